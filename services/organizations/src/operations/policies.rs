//! Policies: made, changed, attached; and which types are on.

use super::organization::{LETTERS, full};
use crate::state::{Member, attachments, page};
use crate::{Organizations, errors, shown};
use cloudlet_access::{Policy as Parsed, PolicyKind};
use cloudlet_api_organizations::*;
use cloudlet_identity::organization::{
    Attachments, Organization as Own, OrganizationPolicy, RESOURCE_CONTROL, SERVICE_CONTROL, Unit, of,
};
use cloudlet_service::Context;

/// The longest policy of the types that decide, in characters.
const LONGEST: usize = 10_240;
/// Policies of one type on one target.
const PER_TARGET: usize = 5;
/// Policies of one type per organization.
const QUOTA: usize = 2_000;

impl Organizations {
    /// Makes a policy; it does nothing until it is attached.
    ///
    /// Errors: `DuplicatePolicyException`, `MalformedPolicyDocumentException`, `ConstraintViolationException`,
    /// `PolicyTypeNotAvailableForOrganizationException`.
    pub async fn create_policy(
        &self,
        cx: &Context,
        input: CreatePolicyInput,
    ) -> Result<CreatePolicyOutput, Error> {
        let own = self.managed(cx)?;
        check_features(&own)?;
        check_content(&input.r#type, &input.content)?;
        let known = self.all::<OrganizationPolicy>(&own)?;
        if known.iter().any(|p| p.kind == input.r#type && p.name == input.name) {
            return Err(duplicate());
        }
        if known.len() >= QUOTA {
            return Err(errors::violates(
                "POLICY_NUMBER_LIMIT_EXCEEDED",
                "You have exceeded the allowed number of policies.",
            ));
        }
        let policy = OrganizationPolicy {
            id: format!("p-{}", cx.random().text(8, LETTERS)),
            name: input.name,
            description: input.description,
            kind: input.r#type,
            content: input.content,
            aws_managed: false,
            tags: super::tags::given(input.tags)?,
        };
        self.change(|tx| Ok(tx.put(&of(&own.id, &policy.id), &policy)?)).await?;
        Ok(CreatePolicyOutput { policy: Some(shown::policy(&own, &policy)) })
    }

    /// Gives a policy.
    ///
    /// Errors: `PolicyNotFoundException`.
    pub async fn describe_policy(
        &self,
        cx: &Context,
        input: DescribePolicyInput,
    ) -> Result<DescribePolicyOutput, Error> {
        let own = self.seen(cx)?;
        let policy = self.policy(&own, &input.policy_id)?;
        Ok(DescribePolicyOutput { policy: Some(shown::policy(&own, &policy)) })
    }

    /// Changes a policy of the organization's own; it counts at once.
    ///
    /// Errors: `PolicyNotFoundException`, `DuplicatePolicyException`, `MalformedPolicyDocumentException`,
    /// `InvalidInputException` for AWS's.
    pub async fn update_policy(
        &self,
        cx: &Context,
        input: UpdatePolicyInput,
    ) -> Result<UpdatePolicyOutput, Error> {
        let own = self.managed(cx)?;
        let mut policy = self.policy(&own, &input.policy_id)?;
        check_mutable(&policy)?;
        if let Some(name) = input.name {
            let known = self.all::<OrganizationPolicy>(&own)?;
            if known.iter().any(|p| p.id != policy.id && p.kind == policy.kind && p.name == name) {
                return Err(duplicate());
            }
            policy.name = name;
        }
        if let Some(content) = input.content {
            check_content(&policy.kind, &content)?;
            policy.content = content;
        }
        policy.description = input.description.unwrap_or(policy.description);
        self.change(|tx| Ok(tx.put(&of(&own.id, &policy.id), &policy)?)).await?;
        Ok(UpdatePolicyOutput { policy: Some(shown::policy(&own, &policy)) })
    }

    /// Deletes a policy that is attached to nothing.
    ///
    /// Errors: `PolicyNotFoundException`, `PolicyInUseException`, `InvalidInputException` for AWS's.
    pub async fn delete_policy(
        &self,
        cx: &Context,
        input: DeletePolicyInput,
    ) -> Result<DeletePolicyOutput, Error> {
        let own = self.managed(cx)?;
        let policy = self.policy(&own, &input.policy_id)?;
        check_mutable(&policy)?;
        if !self.holders(&own, &policy.id)?.is_empty() {
            return Err(PolicyInUseException::error(
                "The policy is attached to one or more entities. You must detach it from all roots, OUs, and accounts \
                 before performing this operation.",
            ));
        }
        self.change(|tx| Ok(tx.delete::<OrganizationPolicy>(&of(&own.id, &policy.id))?)).await?;
        Ok(NoMembers)
    }

    /// Lists the policies of a type.
    pub async fn list_policies(
        &self,
        cx: &Context,
        input: ListPoliciesInput,
    ) -> Result<ListPoliciesOutput, Error> {
        let own = self.seen(cx)?;
        let mut found = self.all::<OrganizationPolicy>(&own)?;
        found.retain(|policy| policy.kind == input.filter);
        let page = page(found, input.next_token.as_deref(), input.max_results, |policy| policy.id.clone())?;
        Ok(ListPoliciesOutput {
            policies: Some(page.items.iter().map(|policy| shown::summary(&own, policy)).collect()),
            next_token: page.next,
        })
    }

    /// Attaches a policy to the root, a unit or an account.
    ///
    /// Errors: `PolicyNotFoundException`, `TargetNotFoundException`, `DuplicatePolicyAttachmentException`,
    /// `PolicyTypeNotEnabledException`, `ConstraintViolationException`.
    pub async fn attach_policy(
        &self,
        cx: &Context,
        input: AttachPolicyInput,
    ) -> Result<AttachPolicyOutput, Error> {
        let own = self.managed(cx)?;
        let policy = self.policy(&own, &input.policy_id)?;
        self.target(&own, &input.target_id)?.ok_or_else(errors::no_target)?;
        check_enabled(&own, &policy.kind)?;
        let known = self.all::<OrganizationPolicy>(&own)?;
        let same_kind = |id: &String| known.iter().any(|p| p.id == *id && p.kind == policy.kind);
        self.change(|tx| {
            let mut attached = attachments(tx, &own.id, &input.target_id)?;
            if attached.policies.contains(&policy.id) {
                return Err(DuplicatePolicyAttachmentException::error(
                    "The selected policy is already attached to the specified target.",
                )
                .into());
            }
            if attached.policies.iter().filter(|id| same_kind(id)).count() >= PER_TARGET {
                return Err(errors::violates(
                    "MAX_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED",
                    "You have attached the maximum number of policies to the specified target.",
                )
                .into());
            }
            attached.policies.push(policy.id.clone());
            Ok(tx.put(&of(&own.id, &input.target_id), &attached)?)
        })
        .await?;
        Ok(NoMembers)
    }

    /// Detaches a policy.
    ///
    /// Errors: `PolicyNotFoundException`, `TargetNotFoundException`, `PolicyNotAttachedException`,
    /// `ConstraintViolationException` for the last one of a type that must have one.
    pub async fn detach_policy(
        &self,
        cx: &Context,
        input: DetachPolicyInput,
    ) -> Result<DetachPolicyOutput, Error> {
        let own = self.managed(cx)?;
        let policy = self.policy(&own, &input.policy_id)?;
        self.target(&own, &input.target_id)?.ok_or_else(errors::no_target)?;
        check_enabled(&own, &policy.kind)?;
        if policy.kind == RESOURCE_CONTROL && policy.aws_managed {
            return Err(errors::bad_input(
                "NON_DETACHABLE_POLICY",
                "You can't detach the RCPFullAWSAccess policy.",
            ));
        }
        let known = self.all::<OrganizationPolicy>(&own)?;
        let same_kind = |id: &String| known.iter().any(|p| p.id == *id && p.kind == policy.kind);
        self.change(|tx| {
            let mut attached = attachments(tx, &own.id, &input.target_id)?;
            if !attached.policies.contains(&policy.id) {
                return Err(PolicyNotAttachedException::error(
                    "The policy isn't attached to the specified target in the specified root.",
                )
                .into());
            }
            if full(&policy.kind).is_some() && attached.policies.iter().filter(|id| same_kind(id)).count() == 1 {
                return Err(errors::violates(
                    "MIN_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED",
                    "You cannot remove the last policy attached to the specified target. You should have at least one \
                     attached at all times.",
                )
                .into());
            }
            attached.policies.retain(|id| *id != policy.id);
            Ok(tx.put(&of(&own.id, &input.target_id), &attached)?)
        })
        .await?;
        Ok(NoMembers)
    }

    /// Lists the policies of a type that are attached to a target.
    ///
    /// Errors: `TargetNotFoundException`.
    pub async fn list_policies_for_target(
        &self,
        cx: &Context,
        input: ListPoliciesForTargetInput,
    ) -> Result<ListPoliciesForTargetOutput, Error> {
        let own = self.seen(cx)?;
        self.target(&own, &input.target_id)?.ok_or_else(errors::no_target)?;
        let attached = self.get::<Attachments>(&of(&own.id, &input.target_id))?.unwrap_or_default();
        let mut found = Vec::new();
        for id in &attached.policies {
            found.extend(self.get::<OrganizationPolicy>(&of(&own.id, id))?);
        }
        found.retain(|policy| policy.kind == input.filter);
        let page = page(found, input.next_token.as_deref(), input.max_results, |policy| policy.id.clone())?;
        Ok(ListPoliciesForTargetOutput {
            policies: Some(page.items.iter().map(|policy| shown::summary(&own, policy)).collect()),
            next_token: page.next,
        })
    }

    /// Lists what a policy is attached to.
    ///
    /// Errors: `PolicyNotFoundException`.
    pub async fn list_targets_for_policy(
        &self,
        cx: &Context,
        input: ListTargetsForPolicyInput,
    ) -> Result<ListTargetsForPolicyOutput, Error> {
        let own = self.seen(cx)?;
        let policy = self.policy(&own, &input.policy_id)?;
        let mut found = Vec::new();
        for id in self.holders(&own, &policy.id)? {
            if let Some(target) = self.target(&own, &id)? {
                found.push(shown::target(&own, &id, &target));
            }
        }
        let key = |target: &PolicyTargetSummary| target.target_id.clone().unwrap_or_default();
        let page = page(found, input.next_token.as_deref(), input.max_results, key)?;
        Ok(ListTargetsForPolicyOutput { targets: Some(page.items), next_token: page.next })
    }

    /// Turns a type of policies on: from now on those attached count.
    ///
    /// Errors: `RootNotFoundException`, `PolicyTypeAlreadyEnabledException`,
    /// `PolicyTypeNotAvailableForOrganizationException`.
    pub async fn enable_policy_type(
        &self,
        cx: &Context,
        input: EnablePolicyTypeInput,
    ) -> Result<EnablePolicyTypeOutput, Error> {
        let own = self.managed(cx)?;
        check_root(&own, &input.root_id)?;
        check_features(&own)?;
        let kind = &input.policy_type;
        if own.policy_types.contains(kind) {
            return Err(PolicyTypeAlreadyEnabledException::error(
                "The specified policy type is already enabled.",
            ));
        }
        let own = self
            .change_own(cx, |own| {
                own.policy_types.push(kind.clone());
                Ok(())
            })
            .await?;
        Ok(EnablePolicyTypeOutput { root: Some(shown::root(&own)) })
    }

    /// Turns a type of policies off; what was attached of it is not any more.
    ///
    /// Errors: `RootNotFoundException`, `PolicyTypeNotEnabledException`.
    pub async fn disable_policy_type(
        &self,
        cx: &Context,
        input: DisablePolicyTypeInput,
    ) -> Result<DisablePolicyTypeOutput, Error> {
        let own = self.managed(cx)?;
        check_root(&own, &input.root_id)?;
        let kind = &input.policy_type;
        check_enabled(&own, kind)?;
        let known = self.all::<OrganizationPolicy>(&own)?;
        let of_kind = |id: &String| known.iter().any(|p| p.id == *id && p.kind == *kind && !p.aws_managed);
        let targets = self.targets(&own)?;
        self.change(|tx| {
            for target in &targets {
                let mut attached = attachments(tx, &own.id, target)?;
                attached.policies.retain(|id| !of_kind(id));
                if let Some(full) = full(kind)
                    && !attached.policies.iter().any(|id| id == full)
                {
                    attached.policies.push(full.to_owned());
                }
                tx.put(&of(&own.id, target), &attached)?;
            }
            Ok(())
        })
        .await?;
        let own = self
            .change_own(cx, |own| {
                own.policy_types.retain(|on| on != kind);
                Ok(())
            })
            .await?;
        Ok(DisablePolicyTypeOutput { root: Some(shown::root(&own)) })
    }

    /// Everything that policies can be attached to.
    fn targets(&self, own: &Own) -> Result<Vec<String>, Error> {
        let mut ids = vec![own.root.clone()];
        ids.extend(self.all::<Unit>(own)?.into_iter().map(|unit| unit.id));
        ids.extend(self.all::<Member>(own)?.into_iter().map(|member| member.id));
        Ok(ids)
    }

    /// What has this policy.
    fn holders(&self, own: &Own, policy: &str) -> Result<Vec<String>, Error> {
        let mut found = Vec::new();
        for id in self.targets(own)? {
            let attached = self.get::<Attachments>(&of(&own.id, &id))?.unwrap_or_default();
            if attached.policies.iter().any(|known| known == policy) {
                found.push(id);
            }
        }
        Ok(found)
    }
}

fn check_content(kind: &str, content: &str) -> Result<(), Error> {
    let malformed = || {
        MalformedPolicyDocumentException::error(
            "The provided policy document does not meet the requirements of the specified policy type.",
        )
    };
    let parsed = match kind {
        SERVICE_CONTROL => Parsed::parse(content, PolicyKind::ServiceControl),
        RESOURCE_CONTROL => Parsed::parse(content, PolicyKind::ResourceControl),
        // The others are kept and say nothing about who may do what.
        _ => {
            let object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(content);
            return object.map(|_| ()).map_err(|_| malformed());
        }
    };
    let policy = parsed.map_err(|_| malformed())?;
    if policy.text().chars().count() > LONGEST {
        return Err(errors::violates(
            "POLICY_CONTENT_LIMIT_EXCEEDED",
            "You have exceeded the allowed policy content size.",
        ));
    }
    Ok(())
}

fn check_mutable(policy: &OrganizationPolicy) -> Result<(), Error> {
    if policy.aws_managed {
        return Err(errors::bad_input("IMMUTABLE_POLICY", "You cannot modify AWS managed policies."));
    }
    Ok(())
}

fn check_features(own: &Own) -> Result<(), Error> {
    if own.features == "ALL" {
        return Ok(());
    }
    Err(PolicyTypeNotAvailableForOrganizationException::error(
        "This operation can be performed only for organizations that have all features enabled.",
    ))
}

fn check_enabled(own: &Own, kind: &str) -> Result<(), Error> {
    if own.policy_types.iter().any(|on| on == kind) {
        return Ok(());
    }
    Err(PolicyTypeNotEnabledException::error(
        "This operation can be performed only for enabled policy types.",
    ))
}

fn check_root(own: &Own, id: &str) -> Result<(), Error> {
    if own.root == id {
        return Ok(());
    }
    Err(RootNotFoundException::error("You specified a root that doesn't exist."))
}

fn duplicate() -> Error {
    DuplicatePolicyException::error("A policy with the same name already exists.")
}

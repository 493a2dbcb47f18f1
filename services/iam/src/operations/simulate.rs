//! The policy simulator: the evaluator that decides live calls, asked what it would say.
//!
//! Source: IAM User Guide, "IAM policy testing with the IAM policy simulator".

use crate::simulation::{Question, keys, simulate};
use crate::{Iam, errors, parse};
use cloudlet_access::{Policy, PolicyKind, PrincipalRef};
use cloudlet_api_iam::*;
use cloudlet_identity::records::{Group, Permissions, Role, User, named};
use cloudlet_identity::{Named, who};
use cloudlet_service::{Arn, Context, Principal};

impl Iam {
    /// Decides actions on resources by the policies given.
    ///
    /// Errors: `InvalidInput`, `PolicyEvaluation`.
    pub async fn simulate_custom_policy(
        &self,
        cx: &Context,
        input: SimulateCustomPolicyInput,
    ) -> Result<SimulateCustomPolicyOutput, Error> {
        let levels = input.ordered_organization_policy_input_list.filter(|levels| !levels.is_empty());
        let control = levels.map(|levels| {
            let level = |(i, level): (usize, OrderedOrganizationPolicyType)| {
                let name = format!("OrderedOrganizationPolicyInputList.{}", i + 1);
                let policies = level.service_control_policy_input_list.unwrap_or_default();
                given(&policies, &name, PolicyKind::ServiceControl)
            };
            levels.into_iter().enumerate().map(level).collect::<Result<Vec<_>, Error>>()
        });
        simulate(
            cx,
            Question {
                policies: given(&input.policy_input_list, "PolicyInputList", PolicyKind::Inline)?,
                boundary: given(
                    input.permissions_boundary_policy_input_list.as_deref().unwrap_or_default(),
                    "PermissionsBoundaryPolicyInputList",
                    PolicyKind::Boundary,
                )?,
                control: control.transpose()?,
                caller: input.caller_arn.as_deref().map(|arn| self.caller_named(arn)).transpose()?,
                actions: input.action_names,
                resources: input.resource_arns.unwrap_or_default(),
                resource_policy: resource_policy(input.resource_policy.as_deref())?,
                resource_owner: input.resource_owner,
                context: input.context_entries.unwrap_or_default(),
                marker: input.marker,
                max_items: input.max_items,
            },
        )
    }

    /// Decides actions on resources by the policies of a user, group or role, and any given beside them.
    ///
    /// Errors: `NoSuchEntity`, `InvalidInput`, `PolicyEvaluation`.
    pub async fn simulate_principal_policy(
        &self,
        cx: &Context,
        input: SimulatePrincipalPolicyInput,
    ) -> Result<SimulatePrincipalPolicyOutput, Error> {
        let (mut policies, mut boundary, own) = self.source(cx, &input.policy_source_arn)?;
        let above = self.identities.above(&cx.account).map_err(Error::internal)?;
        let mut control =
            above.map(|above| above.service_control.clone()).filter(|levels| !levels.is_empty());
        for excluded in input.policy_exclusion_list.unwrap_or_default() {
            exclude(&excluded, &mut policies, &mut boundary, &mut control)?;
        }
        policies.extend(given(
            input.policy_input_list.as_deref().unwrap_or_default(),
            "PolicyInputList",
            PolicyKind::Inline,
        )?);
        let replaced = given(
            input.permissions_boundary_policy_input_list.as_deref().unwrap_or_default(),
            "PermissionsBoundaryPolicyInputList",
            PolicyKind::Boundary,
        )?;
        if !replaced.is_empty() {
            boundary = replaced;
        }
        let caller = match input.caller_arn.as_deref() {
            Some(arn) => Some(self.caller_named(arn)?),
            None => own,
        };
        simulate(
            cx,
            Question {
                policies,
                boundary,
                control,
                caller,
                actions: input.action_names,
                resources: input.resource_arns.unwrap_or_default(),
                resource_policy: resource_policy(input.resource_policy.as_deref())?,
                resource_owner: input.resource_owner,
                context: input.context_entries.unwrap_or_default(),
                marker: input.marker,
                max_items: input.max_items,
            },
        )
    }

    /// Lists the condition keys and variables that policies ask for.
    ///
    /// Errors: `InvalidInput`.
    pub async fn get_context_keys_for_custom_policy(
        &self,
        _: &Context,
        input: GetContextKeysForCustomPolicyInput,
    ) -> Result<GetContextKeysForCustomPolicyOutput, Error> {
        let policies = given(&input.policy_input_list, "PolicyInputList", PolicyKind::Inline)?;
        Ok(GetContextKeysForCustomPolicyOutput { context_key_names: Some(keys(&policies)) })
    }

    /// The same for the policies of a user, group or role.
    ///
    /// Errors: `NoSuchEntity`, `InvalidInput`.
    pub async fn get_context_keys_for_principal_policy(
        &self,
        cx: &Context,
        input: GetContextKeysForPrincipalPolicyInput,
    ) -> Result<GetContextKeysForPrincipalPolicyOutput, Error> {
        let (mut policies, boundary, _) = self.source(cx, &input.policy_source_arn)?;
        policies.extend(boundary);
        let more = input.policy_input_list.unwrap_or_default();
        policies.extend(given(&more, "PolicyInputList", PolicyKind::Inline)?);
        Ok(GetContextKeysForPrincipalPolicyOutput { context_key_names: Some(keys(&policies)) })
    }

    /// The policies and the boundary of a user, group or role, and who that is.
    #[allow(clippy::type_complexity)]
    fn source(
        &self,
        cx: &Context,
        arn: &str,
    ) -> Result<(Vec<Named>, Vec<Named>, Option<PrincipalRef>), Error> {
        let parsed = Arn::parse(arn).filter(|arn| arn.service == "iam" && *arn.account == *cx.account);
        let parsed = parsed.ok_or_else(|| errors::bad_input(format!("Invalid Entity Arn: {arn}")))?;
        let kind = parsed.resource.split('/').next().unwrap_or_default();
        let name = arn.rsplit('/').next().unwrap_or_default();
        let of = |permissions: &Permissions| {
            self.identities.policies_in(&cx.account, permissions).map_err(Error::internal)
        };
        if kind == "group" {
            let group = self.entity::<Group>(cx, name)?;
            return Ok((named_by("group", &group.name, of(&group.permissions)?.identity), Vec::new(), None));
        }
        let principal = self.principal_of(&cx.account, kind, name)?.ok_or_else(|| match kind {
            "role" => crate::state::missing::<Role>(name),
            _ => crate::state::missing::<User>(name),
        })?;
        let mut policies = Vec::new();
        let boundary = if kind == "role" {
            let role = self.entity::<Role>(cx, name)?;
            let own = of(&role.permissions)?;
            policies.extend(named_by("role", &role.name, own.identity));
            own.boundary
        } else {
            let user = self.entity::<User>(cx, name)?;
            let own = of(&user.permissions)?;
            policies.extend(named_by("user", &user.name, own.identity));
            for group in &user.groups {
                if let Some(group) = self.find::<Group>(cx, group)? {
                    policies.extend(named_by("group", &group.name, of(&group.permissions)?.identity));
                }
            }
            own.boundary
        };
        Ok((policies, boundary.into_iter().collect(), Some(who(&principal))))
    }

    fn principal_of(&self, account: &str, kind: &str, name: &str) -> Result<Option<Principal>, Error> {
        let key = named(account, name);
        Ok(match kind {
            "user" => {
                self.store().table::<User>().get(&key).map_err(Error::internal)?.map(|user| Principal::User {
                    account: account.into(),
                    path: user.path.into(),
                    name: user.name.into(),
                    id: user.id.into(),
                })
            }
            "role" => self.store().table::<Role>().get(&key).map_err(Error::internal)?.map(|role| {
                Principal::AssumedRole {
                    account: account.into(),
                    path: role.path.into(),
                    role: role.name.into(),
                    role_id: role.id.into(),
                    session: "simulation".into(),
                }
            }),
            _ => None,
        })
    }

    /// The caller that `CallerArn` names: a user.
    fn caller_named(&self, arn: &str) -> Result<PrincipalRef, Error> {
        let bad =
            || errors::bad_input(format!("Invalid caller Arn: {arn}. It must be the ARN of an IAM user."));
        let parsed = Arn::parse(arn).filter(|arn| arn.service == "iam").ok_or_else(bad)?;
        if parsed.resource == "root" {
            return Ok(PrincipalRef::root(parsed.account));
        }
        let kind = parsed.resource.split('/').next().unwrap_or_default();
        let name = arn.rsplit('/').next().unwrap_or_default();
        Ok(who(&self.principal_of(parsed.account, kind, name)?.ok_or_else(bad)?))
    }
}

fn given(documents: &[String], list: &str, kind: PolicyKind) -> Result<Vec<Named>, Error> {
    let named = |(i, document): (usize, &String)| {
        let policy = Policy::parse(document, kind).map_err(|error| errors::bad_input(error.to_string()))?;
        Ok(Named { policy, id: format!("{list}.{}", i + 1).into() })
    };
    documents.iter().enumerate().map(named).collect()
}

/// Inline policies by the names that the simulator gives them: `user_ann_policy`.
fn named_by(kind: &str, entity: &str, policies: Vec<Named>) -> Vec<Named> {
    let name = |named: Named| match named.id.starts_with("arn:") {
        true => named,
        false => Named { id: format!("{kind}_{entity}_{}", named.id).into(), ..named },
    };
    policies.into_iter().map(name).collect()
}

/// Leaves policies out, as if they were not attached.
fn exclude(
    what: &PolicyIdentifier,
    policies: &mut Vec<Named>,
    boundary: &mut Vec<Named>,
    control: &mut Option<Vec<Vec<Named>>>,
) -> Result<(), Error> {
    let aws = |named: &Named| named.id.starts_with("arn:aws:iam::aws:");
    match what {
        PolicyIdentifier::InlinePolicyIdentifier(inline) => {
            let id = format!("{}_{}_{}", inline.attachment_type, inline.attachment_name, inline.policy_name);
            policies.retain(|named| *named.id != *id);
        }
        PolicyIdentifier::PolicyArn(arn) => {
            if Arn::parse(arn).is_none() {
                return Err(errors::bad_input(format!("Invalid policy identifier: {arn}")));
            }
            policies.retain(|named| *named.id != **arn);
            boundary.retain(|named| *named.id != **arn);
            for level in control.iter_mut().flatten() {
                level.retain(|named| *named.id != **arn);
            }
        }
        PolicyIdentifier::PolicyType(kind) => match kind.as_str() {
            "inline" => policies.retain(|named| named.id.starts_with("arn:")),
            "aws-managed" => policies.retain(|named| !aws(named)),
            "user-managed" => policies.retain(|named| !named.id.starts_with("arn:") || aws(named)),
            "permission-boundary" => boundary.clear(),
            "scp" => *control = None,
            _ => {}
        },
        _ => {}
    }
    Ok(())
}

fn resource_policy(document: Option<&str>) -> Result<Option<Policy>, Error> {
    document.map(|document| parse(document, PolicyKind::Resource)).transpose()
}

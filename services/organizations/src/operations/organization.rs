//! The organization itself: made, described, deleted; its root; its resource policy.

use crate::state::{Creation, Member, page};
use crate::{Organizations, errors, shown};
use cloudlet_access::{Policy as Parsed, PolicyKind};
use cloudlet_api_organizations::*;
use cloudlet_identity::organization::{
    Attachments, Membership, Organization as Own, OrganizationPolicy, RESOURCE_CONTROL, SERVICE_CONTROL, of,
};
use cloudlet_service::Context;
use cloudlet_store::Key;

/// The letters of ids.
pub(crate) const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// AWS's own policies, which allow everything: id, name, description, type.
const FULL: &[(&str, &str, &str, &str)] = &[
    ("p-FullAWSAccess", "FullAWSAccess", "Allows access to every operation", SERVICE_CONTROL),
    ("p-RCPFullAWSAccess", "RCPFullAWSAccess", "Allows access to every resource", RESOURCE_CONTROL),
];

/// The id of the policy that allows everything, of a type that has one.
pub(crate) fn full(kind: &str) -> Option<&'static str> {
    FULL.iter().find(|(_, _, _, of)| *of == kind).map(|(id, _, _, _)| *id)
}

/// What stands on a new root, unit or account.
pub(crate) fn fresh_attachments() -> Attachments {
    Attachments { policies: FULL.iter().map(|(id, _, _, _)| (*id).to_owned()).collect() }
}

fn full_policy((id, name, description, kind): &(&str, &str, &str, &str)) -> OrganizationPolicy {
    let principal = if *kind == RESOURCE_CONTROL { "\"Principal\": \"*\",\n      " } else { "" };
    OrganizationPolicy {
        id: (*id).to_owned(),
        name: (*name).to_owned(),
        description: (*description).to_owned(),
        kind: (*kind).to_owned(),
        content: format!(
            "{{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [\n    {{\n      \"Effect\": \"Allow\",\n      {principal}\"Action\": \"*\",\n      \"Resource\": \"*\"\n    }}\n  ]\n}}"
        ),
        aws_managed: true,
        tags: Vec::new(),
    }
}

impl Organizations {
    /// Makes the caller's account the management account of a new organization.
    ///
    /// Errors: `AlreadyInOrganizationException`.
    pub async fn create_organization(
        &self,
        cx: &Context,
        input: CreateOrganizationInput,
    ) -> Result<CreateOrganizationOutput, Error> {
        let own = Own {
            id: format!("o-{}", cx.random().text(10, LETTERS)),
            management: cx.account.to_string(),
            features: input.feature_set.unwrap_or_else(|| "ALL".to_owned()),
            root: format!("r-{}", cx.random().text(4, LETTERS)),
            ..Own::default()
        };
        let member = Member {
            id: cx.account.to_string(),
            name: "management".to_owned(),
            email: format!("root@{}.example.com", cx.account),
            joined: cx.millis(),
            invited: true,
            status: "ACTIVE".to_owned(),
            tags: Vec::new(),
        };
        let key = Key::new().text(&cx.account);
        self.change(|tx| {
            if tx.exists::<Membership>(&key)? {
                return Err(AlreadyInOrganizationException::error(
                    "The provided account is already a member of an organization.",
                )
                .into());
            }
            tx.put(&key, &Membership { organization: own.id.clone(), parent: own.root.clone() })?;
            tx.put(&Key::new().text(&own.id), &own)?;
            tx.put(&of(&own.id, &member.id), &member)?;
            for policy in FULL.iter().map(full_policy) {
                tx.put(&of(&own.id, &policy.id), &policy)?;
            }
            tx.put(&of(&own.id, &own.root), &fresh_attachments())?;
            tx.put(&of(&own.id, &member.id), &fresh_attachments())?;
            Ok(())
        })
        .await?;
        Ok(CreateOrganizationOutput { organization: Some(shown::organization(&own, &member.email)) })
    }

    /// Describes the organization of the caller's account.
    ///
    /// Errors: `AWSOrganizationsNotInUseException`.
    pub async fn describe_organization(
        &self,
        cx: &Context,
        _: DescribeOrganizationInput,
    ) -> Result<DescribeOrganizationOutput, Error> {
        let own = self.organization(cx)?;
        let email = self.member(&own, &own.management)?.email;
        Ok(DescribeOrganizationOutput { organization: Some(shown::organization(&own, &email)) })
    }

    /// Ends an organization that has no accounts but the management account.
    ///
    /// Errors: `OrganizationNotEmptyException`.
    pub async fn delete_organization(
        &self,
        cx: &Context,
        _: DeleteOrganizationInput,
    ) -> Result<DeleteOrganizationOutput, Error> {
        let own = self.managed(cx)?;
        let range = Key::new().text(&own.id).prefix_range();
        self.change(|tx| {
            let members = keys::<Member>(tx, &range)?;
            let units = keys::<cloudlet_identity::organization::Unit>(tx, &range)?;
            if members.len() > 1 || !units.is_empty() {
                return Err(OrganizationNotEmptyException::error(
                    "To delete an organization you must first remove all member accounts (except the master).",
                )
                .into());
            }
            for key in keys::<OrganizationPolicy>(tx, &range)? {
                tx.delete::<OrganizationPolicy>(&key)?;
            }
            for key in keys::<Attachments>(tx, &range)? {
                tx.delete::<Attachments>(&key)?;
            }
            for key in keys::<Creation>(tx, &range)? {
                tx.delete::<Creation>(&key)?;
            }
            for key in members {
                tx.delete::<Member>(&key)?;
            }
            tx.delete::<Membership>(&Key::new().text(&cx.account))?;
            Ok(tx.delete::<Own>(&Key::new().text(&own.id))?)
        })
        .await?;
        Ok(NoMembers)
    }

    /// Lists the one root.
    pub async fn list_roots(&self, cx: &Context, _: ListRootsInput) -> Result<ListRootsOutput, Error> {
        let own = self.seen(cx)?;
        Ok(ListRootsOutput { roots: Some(vec![shown::root(&own)]), next_token: None })
    }

    /// Lists the services that have access to the organization.
    pub async fn list_aws_service_access_for_organization(
        &self,
        cx: &Context,
        input: ListAWSServiceAccessForOrganizationInput,
    ) -> Result<ListAWSServiceAccessForOrganizationOutput, Error> {
        let own = self.seen(cx)?;
        let all: Vec<(String, i64)> = own.trusted.into_iter().collect();
        let page = page(all, input.next_token.as_deref(), input.max_results, |(name, _)| name.clone())?;
        let shown = page.items.into_iter().map(|(name, at)| EnabledServicePrincipal {
            service_principal: Some(name),
            date_enabled: shown::date(at),
        });
        Ok(ListAWSServiceAccessForOrganizationOutput {
            enabled_service_principals: Some(shown.collect()),
            next_token: page.next,
        })
    }

    /// Gives a service access to the organization.
    ///
    /// Errors: `InvalidInputException`.
    pub async fn enable_aws_service_access(
        &self,
        cx: &Context,
        input: EnableAWSServiceAccessInput,
    ) -> Result<EnableAWSServiceAccessOutput, Error> {
        let service = recognized(&input.service_principal)?;
        let now = cx.millis();
        self.change_own(cx, |own| {
            own.trusted.entry(service.to_owned()).or_insert(now);
            Ok(())
        })
        .await?;
        Ok(NoMembers)
    }

    /// Takes it away.
    ///
    /// Errors: `InvalidInputException`.
    pub async fn disable_aws_service_access(
        &self,
        cx: &Context,
        input: DisableAWSServiceAccessInput,
    ) -> Result<DisableAWSServiceAccessOutput, Error> {
        let service = recognized(&input.service_principal)?;
        self.change_own(cx, |own| {
            own.trusted.remove(service);
            Ok(())
        })
        .await?;
        Ok(NoMembers)
    }

    /// Sets the policy that delegates the organization's administration.
    ///
    /// Errors: `InvalidInputException`.
    pub async fn put_resource_policy(
        &self,
        cx: &Context,
        input: PutResourcePolicyInput,
    ) -> Result<PutResourcePolicyOutput, Error> {
        Parsed::parse(&input.content, PolicyKind::Resource).map_err(|_| {
            errors::bad_input("INVALID_RESOURCE_POLICY_JSON", "The provided resource policy is invalid.")
        })?;
        let id = format!("rp-{}", cx.random().text(8, LETTERS));
        let own = self
            .change_own(cx, |own| {
                let id = own.resource_policy.take().map_or_else(|| id.clone(), |(id, _)| id);
                own.resource_policy = Some((id, input.content.clone()));
                Ok(())
            })
            .await?;
        Ok(PutResourcePolicyOutput { resource_policy: resource_policy(&own) })
    }

    /// Gives that policy.
    ///
    /// Errors: `ResourcePolicyNotFoundException`.
    pub async fn describe_resource_policy(
        &self,
        cx: &Context,
        _: DescribeResourcePolicyInput,
    ) -> Result<DescribeResourcePolicyOutput, Error> {
        let own = self.seen(cx)?;
        let found = resource_policy(&own).ok_or_else(no_resource_policy)?;
        Ok(DescribeResourcePolicyOutput { resource_policy: Some(found) })
    }

    /// Removes that policy.
    ///
    /// Errors: `ResourcePolicyNotFoundException`.
    pub async fn delete_resource_policy(
        &self,
        cx: &Context,
        _: DeleteResourcePolicyInput,
    ) -> Result<DeleteResourcePolicyOutput, Error> {
        self.change_own(cx, |own| own.resource_policy.take().map(|_| ()).ok_or_else(no_resource_policy))
            .await?;
        Ok(NoMembers)
    }

    /// Changes the record of the organization.
    pub(crate) async fn change_own(
        &self,
        cx: &Context,
        mut f: impl FnMut(&mut Own) -> Result<(), Error> + Send,
    ) -> Result<Own, Error> {
        let key = Key::new().text(&self.managed(cx)?.id);
        self.change(|tx| {
            let mut own = tx.get::<Own>(&key)?.ok_or_else(errors::not_in_use)?;
            f(&mut own)?;
            tx.put(&key, &own)?;
            Ok(own)
        })
        .await
    }
}

fn keys<R: cloudlet_store::Record>(
    tx: &mut cloudlet_store::Tx<'_>,
    range: &cloudlet_store::KeyRange,
) -> Result<Vec<Key>, cloudlet_store::StoreError> {
    tx.scan::<R>(range.clone(), false).map(|row| row.map(|(key, _)| key)).collect()
}

/// A service principal by its form.
pub(crate) fn recognized(service: &str) -> Result<&str, Error> {
    if service.ends_with(".amazonaws.com") && service.len() > ".amazonaws.com".len() {
        return Ok(service);
    }
    Err(errors::bad_input(
        "UNRECOGNIZED_SERVICE_PRINCIPAL",
        "You specified an unrecognized service principal.",
    ))
}

fn resource_policy(own: &Own) -> Option<ResourcePolicy> {
    let (id, content) = own.resource_policy.as_ref()?;
    Some(ResourcePolicy {
        resource_policy_summary: Some(ResourcePolicySummary {
            id: Some(id.clone()),
            arn: Some(shown::arn(own, "resourcepolicy", id)),
        }),
        content: Some(content.clone()),
    })
}

fn no_resource_policy() -> Error {
    ResourcePolicyNotFoundException::error(
        "We can't find a resource policy request with the parameter that you specified.",
    )
}

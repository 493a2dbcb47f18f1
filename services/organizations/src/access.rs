//! What each operation needs: the resources by their ARNs, and the condition keys.
//!
//! Source: Service Authorization Reference, "Actions, resources, and condition keys for AWS Organizations".

use crate::{Organizations, shown};
use cloudlet_api_organizations as api;
use cloudlet_identity::organization::{Organization, OrganizationPolicy, of, policy_arn};
use cloudlet_service::api::{Access, Operation};
use cloudlet_service::rules::text_member;
use cloudlet_service::shape::Structure;
use cloudlet_service::{Context, Error, Principal, condition_keys};

/// The members of inputs that name resources.
const IDS: &[&str] = &[
    "AccountId",
    "ChildId",
    "DestinationParentId",
    "OrganizationalUnitId",
    "ParentId",
    "PolicyId",
    "ResourceId",
    "RootId",
    "SourceParentId",
    "TargetId",
];

impl Organizations {
    /// The accesses of an operation: one for each resource that the input names.
    pub(crate) fn needed(
        &self,
        op: &'static Operation,
        cx: &Context,
        input: &dyn Structure,
    ) -> Result<Vec<Access>, Error> {
        let mut out = Vec::new();
        for rule in op.access {
            let before = out.len();
            if !matches!(cx.principal, Principal::Root { .. })
                && let Ok(organization) = self.organization(cx)
            {
                for id in IDS.iter().filter_map(|name| text_member(input, name)) {
                    let (arn, kind) = self.named(&organization, &id)?;
                    let mut access = Access::new(rule.action, arn);
                    access.keys.extend(kind.map(|kind| ("organizations:PolicyType".to_owned(), vec![kind])));
                    let tags = self.tags_of(&organization, &id)?.unwrap_or_default();
                    let tags = tags.iter().map(|tag| (&tag.key, &tag.value));
                    condition_keys::resource_tags(&mut access.keys, None, tags);
                    out.push(access);
                }
            }
            if out.len() == before {
                out.push(Access::new(rule.action, "*"));
            }
        }
        let (given, taken) = (requested_tags(input), untagged(input));
        for access in &mut out {
            if let Some(tags) = given {
                condition_keys::requested_tags(
                    &mut access.keys,
                    tags.iter().map(|tag| (&tag.key, &tag.value)),
                );
            }
            condition_keys::removed_tags(&mut access.keys, taken.unwrap_or_default());
            let mut key = |name: &str, member: &str| {
                let found = text_member(input, member).map(|value| (name.to_owned(), vec![value]));
                access.keys.extend(found);
            };
            key("organizations:ServicePrincipal", "ServicePrincipal");
            key("organizations:PolicyType", "PolicyType");
            key("organizations:PolicyType", "Filter");
            if matches!(op.name, "CreatePolicy") {
                key("organizations:PolicyType", "Type");
            }
        }
        Ok(out)
    }

    /// The ARN of what an id names, and the type of a policy.
    fn named(&self, organization: &Organization, id: &str) -> Result<(String, Option<String>), Error> {
        let kind = match id.split('-').next() {
            Some("ou") => "ou",
            Some("r") => "root",
            Some("rp") => "resourcepolicy",
            Some("p") => {
                let found = self.get::<OrganizationPolicy>(&of(&organization.id, id))?;
                return Ok(match found {
                    Some(policy) => (policy_arn(organization, &policy), Some(policy.kind)),
                    None => (shown::arn(organization, "policy", id), None),
                });
            }
            _ => "account",
        };
        Ok((shown::arn(organization, kind, id), None))
    }
}

/// The tags that a request brings.
fn requested_tags(input: &dyn Structure) -> Option<&[api::Tag]> {
    let input = input.as_any();
    macro_rules! look {
        ($($shape:ident)*) => {
            $(if let Some(input) = input.downcast_ref::<api::$shape>() { return input.tags.as_deref(); })*
        };
    }
    look!(CreateAccountInput CreateOrganizationalUnitInput CreatePolicyInput InviteAccountToOrganizationInput
        PutResourcePolicyInput);
    input.downcast_ref::<api::TagResourceInput>().map(|input| input.tags.as_slice())
}

/// The names of the tags that a request takes away.
fn untagged(input: &dyn Structure) -> Option<&[String]> {
    input.as_any().downcast_ref::<api::UntagResourceInput>().map(|input| input.tag_keys.as_slice())
}

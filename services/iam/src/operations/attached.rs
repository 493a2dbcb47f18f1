//! Managed policies attached to users, groups and roles, and permissions boundaries.

use crate::state::{Entity, no_policy};
use crate::{Iam, errors, shown};
use cloudlet_api_iam::*;
use cloudlet_identity::records;
use cloudlet_service::Context;
use cloudlet_service::pages::Page;

/// Managed policies per user, group or role.
const QUOTA: usize = 10;

impl Iam {
    async fn attach<E: Entity>(&self, cx: &Context, to: &str, arn: &str) -> Result<(), Error> {
        self.entity::<E>(cx, to)?;
        self.attachable(cx, arn)?;
        let managed = (!arn.starts_with("arn:aws:iam::aws:"))
            .then(|| records::named(&cx.account, arn.rsplit('/').next().unwrap_or_default()));
        self.change_entity::<E, _>(cx, to, |tx, entity| {
            entity.check_modifiable()?;
            // Reading it here keeps a deletion at the same time from leaving a loose end.
            if let Some(key) = &managed
                && !tx.exists::<records::ManagedPolicy>(key)?
            {
                return Err(
                    errors::no_such(format!("Policy {arn} does not exist or is not attachable.")).into()
                );
            }
            let attached = &mut entity.permissions_mut().attached;
            if attached.iter().any(|known| known == arn) {
                return Ok(());
            }
            if attached.len() >= QUOTA {
                return Err(errors::quota(&format!("PoliciesPer{}", E::TITLE), QUOTA).into());
            }
            attached.push(arn.to_owned());
            Ok(())
        })
        .await
    }

    async fn detach<E: Entity>(&self, cx: &Context, from: &str, arn: &str) -> Result<(), Error> {
        errors::check_policy_arn(arn)?;
        self.change_entity::<E, _>(cx, from, |_, entity| {
            entity.check_modifiable()?;
            let attached = &mut entity.permissions_mut().attached;
            match attached.iter().position(|known| known == arn) {
                Some(at) => {
                    attached.remove(at);
                    Ok(())
                }
                None => Err(no_policy(arn).into()),
            }
        })
        .await
    }

    fn list_attached<E: Entity>(
        &self,
        cx: &Context,
        of: &str,
        prefix: Option<&str>,
        marker: Option<&str>,
        max_items: Option<i32>,
    ) -> Result<Page<AttachedPolicy>, Error> {
        let entity = self.entity::<E>(cx, of)?;
        let path = |arn: &str| match (arn.find(":policy/"), arn.rfind('/')) {
            (Some(from), Some(to)) => arn.get(from + 7..=to).unwrap_or("/").to_owned(),
            _ => "/".to_owned(),
        };
        let wanted =
            entity.permissions().attached.iter().filter(|arn| path(arn).starts_with(prefix.unwrap_or("/")));
        let mut found: Vec<AttachedPolicy> = wanted
            .map(|arn| AttachedPolicy {
                policy_name: arn.rsplit('/').next().map(str::to_owned),
                policy_arn: Some(arn.clone()),
            })
            .collect();
        let key = |policy: &AttachedPolicy| policy.policy_arn.clone().unwrap_or_default();
        found.sort_by_key(|policy| key(policy).to_ascii_lowercase());
        shown::page(found, marker, max_items, key)
    }

    pub(crate) async fn set_boundary<E: Entity>(
        &self,
        cx: &Context,
        of: &str,
        boundary: Option<&str>,
    ) -> Result<(), Error> {
        self.entity::<E>(cx, of)?;
        if let Some(arn) = boundary {
            self.bounding(cx, arn)?;
        }
        self.change_entity::<E, _>(cx, of, |_, entity| {
            entity.check_modifiable()?;
            if boundary.is_none() && entity.permissions().boundary.is_none() {
                return Err(errors::no_such(format!(
                    "{} {} does not have a permissions boundary attached.",
                    E::TITLE,
                    entity.name()
                ))
                .into());
            }
            entity.permissions_mut().boundary = boundary.map(str::to_owned);
            Ok(())
        })
        .await
    }
}

/// The three operations on one kind of entity. Errors: `NoSuchEntity`, `LimitExceeded`, `UnmodifiableEntity`,
/// `ValidationError` for what is not the ARN of a policy.
macro_rules! attached_policies {
    ($record:ty, $of:ident: $attach:ident $AttachInput:ident, $detach:ident $DetachInput:ident,
     $list:ident $ListInput:ident $ListOutput:ident) => {
        impl Iam {
            /// Attaches a managed policy; once more does nothing.
            pub async fn $attach(&self, cx: &Context, input: $AttachInput) -> Result<NoMembers, Error> {
                self.attach::<$record>(cx, &input.$of, &input.policy_arn).await?;
                Ok(NoMembers)
            }

            /// Detaches a managed policy.
            pub async fn $detach(&self, cx: &Context, input: $DetachInput) -> Result<NoMembers, Error> {
                self.detach::<$record>(cx, &input.$of, &input.policy_arn).await?;
                Ok(NoMembers)
            }

            /// Lists the attached managed policies.
            pub async fn $list(&self, cx: &Context, input: $ListInput) -> Result<$ListOutput, Error> {
                let page = self.list_attached::<$record>(
                    cx,
                    &input.$of,
                    input.path_prefix.as_deref(),
                    input.marker.as_deref(),
                    input.max_items,
                )?;
                Ok($ListOutput {
                    attached_policies: Some(page.items),
                    is_truncated: Some(page.next.is_some()),
                    marker: page.next,
                })
            }
        }
    };
}

attached_policies!(records::Role, role_name:
    attach_role_policy AttachRolePolicyInput, detach_role_policy DetachRolePolicyInput,
    list_attached_role_policies ListAttachedRolePoliciesInput ListAttachedRolePoliciesOutput);
attached_policies!(records::User, user_name:
    attach_user_policy AttachUserPolicyInput, detach_user_policy DetachUserPolicyInput,
    list_attached_user_policies ListAttachedUserPoliciesInput ListAttachedUserPoliciesOutput);
attached_policies!(records::Group, group_name:
    attach_group_policy AttachGroupPolicyInput, detach_group_policy DetachGroupPolicyInput,
    list_attached_group_policies ListAttachedGroupPoliciesInput ListAttachedGroupPoliciesOutput);

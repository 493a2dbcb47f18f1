//! What the policies above an account come to.

use crate::{Organizations, effective, errors};
use cloudlet_api_organizations::*;
use cloudlet_identity::organization::{Attachments, Organization as Own, OrganizationPolicy, of};
use cloudlet_service::Context;

impl Organizations {
    /// The rules of one type that hold for an account: the caller's, or, for the management account and delegated
    /// administrators, any.
    ///
    /// Errors: `EffectivePolicyNotFoundException`, `TargetNotFoundException`, `AccessDeniedException`.
    pub async fn describe_effective_policy(
        &self,
        cx: &Context,
        input: DescribeEffectivePolicyInput,
    ) -> Result<DescribeEffectivePolicyOutput, Error> {
        let own = self.organization(cx)?;
        let target = input.target_id.unwrap_or_else(|| cx.account.to_string());
        if *target != *cx.account {
            self.seen(cx)?;
        }
        if self.member(&own, &target).is_err() {
            return Err(errors::no_target());
        }
        let kind = input.policy_type;
        let levels = self.levels_of(&own, &target, &kind)?;
        let merged = Some(levels).filter(|_| own.policy_types.contains(&kind));
        let merged = merged.and_then(|levels| effective::merge(&levels)).ok_or_else(|| {
            EffectivePolicyNotFoundException::error(
                "The effective policy for the specified target and policy type could not be found.",
            )
        })?;
        Ok(DescribeEffectivePolicyOutput {
            effective_policy: Some(EffectivePolicy {
                policy_content: Some(merged.to_string()),
                // It is put together when it is asked for.
                last_updated_timestamp: Some(cx.now()),
                target_id: Some(target),
                policy_type: Some(kind),
            }),
        })
    }

    /// The texts of the policies of one type from the root to an account.
    fn levels_of(&self, own: &Own, account: &str, kind: &str) -> Result<Vec<Vec<String>>, Error> {
        let mut way = vec![own.root.clone()];
        let parent = self.parent_of(account)?;
        if parent != own.root {
            way.extend(self.way(own, &parent)?);
        }
        way.push(account.to_owned());
        let mut levels = Vec::with_capacity(way.len());
        for id in way {
            let attached = self.get::<Attachments>(&of(&own.id, &id))?.unwrap_or_default();
            let mut level = Vec::new();
            for policy in attached.policies {
                let found = self.get::<OrganizationPolicy>(&of(&own.id, &policy))?;
                level.extend(found.filter(|policy| policy.kind == kind).map(|policy| policy.content));
            }
            levels.push(level);
        }
        Ok(levels)
    }
}

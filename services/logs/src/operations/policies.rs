//! Resource policies: which services may write into the account's groups.

use crate::Logs;
use crate::errors::{Failure, bad_token, invalid, stored};
use crate::state::{ResourcePolicyRecord, place};
use cloudlet_access::{Policy, PolicyKind};
use cloudlet_api_logs::*;
use cloudlet_service::pages;

/// AWS: how many policies an account may have in a region.
const MOST: usize = 10;

impl Logs {
    /// Writes a policy, new or not.
    ///
    /// Errors: `InvalidParameterException` for a document that is none, `LimitExceededException`.
    pub async fn put_resource_policy(
        &self,
        cx: &Context,
        input: PutResourcePolicyInput,
    ) -> Result<PutResourcePolicyOutput, Error> {
        if input.resource_arn.is_some() {
            return Err(Error::not_implemented_part("logs:PutResourcePolicy resourceArn"));
        }
        let name = input.policy_name.ok_or_else(|| invalid("policyName is required."))?;
        let document = input.policy_document.ok_or_else(|| invalid("policyDocument is required."))?;
        Policy::parse(&document, PolicyKind::Resource)
            .map_err(|error| invalid(format!("The resource policy is not valid: {error}")))?;
        let record = ResourcePolicyRecord { name: name.clone(), document, updated: cx.millis() };
        let key = place(cx).text(&name);
        self.store
            .transact(|tx| {
                if !tx.exists::<ResourcePolicyRecord>(&key)? {
                    let there = tx.scan::<ResourcePolicyRecord>(place(cx).prefix_range(), false).count();
                    if there >= MOST {
                        return Err(Failure(LimitExceededException::error("Resource limit exceeded.")));
                    }
                }
                Ok(tx.put(&key, &record)?)
            })
            .await?;
        Ok(PutResourcePolicyOutput { resource_policy: Some(shown(record)), ..Default::default() })
    }

    /// Lists the policies. Errors: `InvalidParameterException`.
    pub async fn describe_resource_policies(
        &self,
        cx: &Context,
        input: DescribeResourcePoliciesInput,
    ) -> Result<DescribeResourcePoliciesOutput, Error> {
        let rows = self.store.table::<ResourcePolicyRecord>().scan(place(cx).prefix_range(), false);
        let all =
            rows.map(|row| row.map(|(_, policy)| policy)).collect::<Result<Vec<_>, _>>().map_err(stored)?;
        let limit = usize::try_from(input.limit.unwrap_or(50)).unwrap_or(50);
        let key = |policy: &ResourcePolicyRecord| policy.name.clone().into_bytes();
        let page = pages::page(all.into_iter(), limit, input.next_token.as_deref(), key, bad_token)?;
        Ok(DescribeResourcePoliciesOutput {
            resource_policies: Some(page.items.into_iter().map(shown).collect()),
            next_token: page.next,
        })
    }

    /// Deletes a policy. Errors: `ResourceNotFoundException`.
    pub async fn delete_resource_policy(
        &self,
        cx: &Context,
        input: DeleteResourcePolicyInput,
    ) -> Result<DeleteResourcePolicyOutput, Error> {
        let name = input.policy_name.ok_or_else(|| invalid("policyName is required."))?;
        let key = place(cx).text(&name);
        self.store
            .transact(|tx| {
                if !tx.exists::<ResourcePolicyRecord>(&key)? {
                    let text = format!("Policy with name [{name}] does not exist");
                    return Err(Failure(ResourceNotFoundException::error(text)));
                }
                Ok(tx.delete::<ResourcePolicyRecord>(&key)?)
            })
            .await?;
        Ok(DeleteResourcePolicyOutput::default())
    }
}

fn shown(record: ResourcePolicyRecord) -> ResourcePolicy {
    ResourcePolicy {
        policy_name: Some(record.name),
        policy_document: Some(record.document),
        last_updated_time: Some(record.updated),
        ..Default::default()
    }
}

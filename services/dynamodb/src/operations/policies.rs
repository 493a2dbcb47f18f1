//! Policies of tables and of their streams.
//! Source: Developer Guide, "Using resource-based policies for DynamoDB"; API Reference of the operations.

use crate::errors::{Result, invalid, no_table, not_found};
use crate::state::{Policy, Table};
use crate::{DynamoDb, names};
use cloudlet_api_dynamodb::*;
use cloudlet_service::{Access, AccessRequest, condition_keys};
use std::sync::Arc;

impl DynamoDb {
    /// The table of a policy's ARN, and whether its stream is meant.
    fn governed(&self, arn: &str) -> Result<(Arc<Table>, bool)> {
        if let Some((place, label)) = names::of_stream_arn(arn) {
            let missing = || not_found(format!("Requested resource not found: Stream: {arn} not found"));
            let table =
                self.table_at(&place)?.filter(|t| t.stream.as_ref().is_some_and(|s| s.label == label));
            return Ok((table.ok_or_else(missing)?, true));
        }
        let Some(place) = names::of_arn(arn).filter(|place| names::is_name(&place.name)) else {
            return Err(invalid(format!("Invalid ResourceArn: {arn}")));
        };
        Ok((self.table_at(&place)?.ok_or_else(|| no_table(&place.name))?, false))
    }

    /// Gives a table or stream a policy.
    ///
    /// Errors: `ResourceNotFoundException`, `PolicyNotFoundException` for another revision than expected.
    pub async fn put_resource_policy(
        &self,
        cx: &Context,
        input: PutResourcePolicyInput,
    ) -> Result<PutResourcePolicyOutput> {
        let (table, stream) = self.governed(&input.resource_arn)?;
        let policy = crate::access::check_policy(cx, &input.policy)?;
        if input.confirm_remove_self_resource_access != Some(true)
            && !may_still_change(cx, &table, &input.resource_arn, policy)?
        {
            return Err(invalid(
                "The new resource-based policy will not allow you to change the policy of this resource in the future. Set \
                 ConfirmRemoveSelfResourceAccess to true to confirm this.",
            ));
        }
        let revision = self
            .change_table(&table, |_, table| {
                let policy = if stream { &mut table.stream_policy } else { &mut table.policy };
                check_revision(&table.name, policy.as_ref(), input.expected_revision_id.as_deref())?;
                let same = policy.as_ref().filter(|policy| policy.document == input.policy);
                let revision = same.map_or_else(|| cx.random().uuid(), |policy| policy.revision.clone());
                *policy = Some(Policy { document: input.policy.clone(), revision: revision.clone() });
                Ok(revision)
            })
            .await?;
        Ok(PutResourcePolicyOutput { revision_id: Some(revision), ..Default::default() })
    }

    /// Shows a policy.
    ///
    /// Errors: `ResourceNotFoundException`, `PolicyNotFoundException`.
    pub async fn get_resource_policy(
        &self,
        _: &Context,
        input: GetResourcePolicyInput,
    ) -> Result<GetResourcePolicyOutput> {
        let (table, stream) = self.governed(&input.resource_arn)?;
        let policy = if stream { &table.stream_policy } else { &table.policy };
        let policy = policy.as_ref().ok_or_else(|| no_policy(&input.resource_arn))?;
        Ok(GetResourcePolicyOutput {
            policy: Some(policy.document.clone()),
            revision_id: Some(policy.revision.clone()),
            ..Default::default()
        })
    }

    /// Takes a policy away. There need not be one.
    ///
    /// Errors: `ResourceNotFoundException`, `PolicyNotFoundException` for another revision than expected.
    pub async fn delete_resource_policy(
        &self,
        _: &Context,
        input: DeleteResourcePolicyInput,
    ) -> Result<DeleteResourcePolicyOutput> {
        let (table, stream) = self.governed(&input.resource_arn)?;
        let revision = self
            .change_table(&table, |_, table| {
                let policy = if stream { &mut table.stream_policy } else { &mut table.policy };
                check_revision(&table.name, policy.as_ref(), input.expected_revision_id.as_deref())?;
                Ok(policy.take().map(|policy| policy.revision))
            })
            .await?;
        Ok(DeleteResourcePolicyOutput { revision_id: revision, ..Default::default() })
    }
}

/// Whether the caller could change the policy again under this one.
fn may_still_change(cx: &Context, table: &Table, arn: &str, policy: cloudlet_access::Policy) -> Result<bool> {
    let Some(operation) = API.operations.iter().find(|op| op.name == "PutResourcePolicy") else {
        return Ok(true);
    };
    let mut access = Access::new("dynamodb:PutResourcePolicy", arn.to_owned());
    access.resource_policy = Some(policy);
    if *table.account != *cx.account {
        access.resource_account = Some(table.account.clone());
    }
    condition_keys::resource_tags(&mut access.keys, None, &table.tags);
    let request = AccessRequest { access: &access, operation, service: &API };
    cx.cloud.identity()?.would_allow(cx, &request)
}

fn no_policy(arn: &str) -> Error {
    PolicyNotFoundException::error(format!(
        "Resource-based policy not found for the provided ResourceArn: {arn}"
    ))
}

/// `NO_POLICY` expects that there is none.
fn check_revision(name: &str, policy: Option<&Policy>, expected: Option<&str>) -> Result<()> {
    let Some(expected) = expected else { return Ok(()) };
    let has = match policy {
        None if expected == "NO_POLICY" => return Ok(()),
        Some(policy) if policy.revision == expected => return Ok(()),
        Some(policy) => {
            format!("the policy associated to target table {name} has revision id {}", policy.revision)
        }
        None => format!("there is no policy associated to target table {name}"),
    };
    Err(PolicyNotFoundException::error(format!(
        "Resource-based policy not found for the provided ResourceArn: Requested update for policy with revision id \
         {expected}, but {has}."
    )))
}

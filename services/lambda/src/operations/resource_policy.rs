//! Resource policies as whole documents, beside the permissions that are added one by one.

use super::permissions::Owner;
use crate::Lambda;
use crate::errors::{Failure, invalid, no_function, no_resource, stale_revision};
use crate::names::{LATEST, Named};
use crate::state::{Function, PolicyRecord, named_key};
use cloudlet_access::{Policy, PolicyKind};
use cloudlet_api_lambda::*;
use serde_json::Value;

impl Lambda {
    /// Replaces the policy of a function, a version or an alias.
    ///
    /// Errors: `InvalidParameterValueException`, `ResourceNotFoundException`, `PreconditionFailedException`.
    pub async fn put_resource_policy(
        &self,
        cx: &Context,
        input: PutResourcePolicyInput,
    ) -> Result<PutResourcePolicyOutput, Error> {
        let named = named(cx, &input.resource_arn)?;
        let statements = statements(&input.policy)?;
        let (policy, revision) =
            self.replace_policy(&named, input.revision_id.as_deref(), Some(statements)).await?;
        Ok(PutResourcePolicyOutput { policy: Some(policy), revision_id: Some(revision) })
    }

    /// Shows it. Errors: `ResourceNotFoundException`.
    pub async fn get_resource_policy(
        &self,
        cx: &Context,
        input: GetResourcePolicyInput,
    ) -> Result<GetResourcePolicyOutput, Error> {
        let named = named(cx, &input.resource_arn)?;
        let shown = GetPolicyInput {
            function_name: named.arn(),
            qualifier: named.qualifier.clone(),
            ..Default::default()
        };
        let shown = self.get_policy(cx, shown).await?;
        Ok(GetResourcePolicyOutput { policy: shown.policy, revision_id: shown.revision_id })
    }

    /// Deletes it. Errors: `ResourceNotFoundException`, `PreconditionFailedException`.
    pub async fn delete_resource_policy(
        &self,
        cx: &Context,
        input: DeleteResourcePolicyInput,
    ) -> Result<DeleteResourcePolicyOutput, Error> {
        let named = named(cx, &input.resource_arn)?;
        self.replace_policy(&named, input.revision_id.as_deref(), None).await?;
        Ok(DeleteResourcePolicyOutput::default())
    }

    async fn replace_policy(
        &self,
        named: &Named,
        revision: Option<&str>,
        statements: Option<Vec<(String, String)>>,
    ) -> Result<(String, String), Error> {
        let key = named_key(&named.cx, &named.name);
        let qualifier = named.qualifier.as_deref().filter(|q| *q != LATEST).unwrap_or_default();
        let changed = self
            .store
            .transact(|tx| {
                let mut function = tx.get::<Function>(&key)?.ok_or_else(|| no_function(&named.arn()))?;
                let mut owner = Owner::read(tx, named)?;
                let old = function.policies.remove(qualifier);
                if statements.is_none() && old.is_none() {
                    return Err(Failure(no_resource()));
                }
                if revision.is_some_and(|revision| revision != owner.revision()) {
                    return Err(Failure(stale_revision("GetResourcePolicy")));
                }
                let mut document = String::new();
                if let Some(statements) = &statements {
                    let policy =
                        PolicyRecord { statements: statements.clone(), revision: named.cx.random().uuid() };
                    document = policy.document();
                    function.policies.insert(qualifier.to_owned(), policy);
                }
                owner.revise(&named.cx);
                owner.write(tx, named)?;
                tx.put(&key, &function)?;
                Ok((document, owner.revision().to_owned()))
            })
            .await;
        Ok(changed?)
    }
}

fn named(cx: &Context, arn: &str) -> Result<Named, Error> {
    if arn.contains(":runtime/") {
        return Err(Error::not_implemented_part(format_args!("lambda resource policies of {arn}")));
    }
    Named::read(cx, arn, None)
}

/// The statements of a document, by their ids.
fn statements(document: &str) -> Result<Vec<(String, String)>, Error> {
    let bad = |why: &str| invalid(format!("The provided resource policy is invalid: {why}"));
    Policy::parse(document, PolicyKind::Resource).map_err(|error| bad(&error.to_string()))?;
    let value: Value = serde_json::from_str(document).map_err(|error| bad(&error.to_string()))?;
    let list = match value.get("Statement") {
        Some(Value::Array(list)) => list.clone(),
        Some(one) => vec![one.clone()],
        None => Vec::new(),
    };
    let id = |(at, statement): (usize, Value)| {
        let id = statement.get("Sid").and_then(Value::as_str).map_or_else(|| format!("{at}"), str::to_owned);
        (id, statement.to_string())
    };
    Ok(list.into_iter().enumerate().map(id).collect())
}

//! Resource policies: who may invoke a function.

use crate::Lambda;
use crate::errors::{Failure, conflict, invalid, not_found, stale_revision};
use crate::names::{LATEST, Named, version_number};
use crate::state::{Function, PolicyRecord, named_key};
use cloudlet_access::{Policy, PolicyKind};
use cloudlet_api_lambda::*;
use serde_json::{Map, Value, json};

/// Lambda quotas: the most bytes of a resource policy.
const MAX_POLICY: usize = 20 * 1024;

impl Lambda {
    /// Adds a statement to a function's policy.
    ///
    /// Errors: `ResourceConflictException`, `InvalidParameterValueException`, `PolicyLengthExceededException`.
    pub async fn add_permission(
        &self,
        cx: &Context,
        input: AddPermissionInput,
    ) -> Result<AddPermissionOutput, Error> {
        let named = Named::read(cx, &input.function_name, input.qualifier.as_deref())?;
        let qualifier = self.policy_qualifier(&named)?;
        if input.principal_org_id.is_some() && input.principal != "*" {
            return Err(invalid("PrincipalOrgID is only supported together with the principal *."));
        }
        let statement = statement(&named, &input)?;
        let text = statement.to_string();
        Policy::parse(
            &json!({"Version": "2012-10-17", "Statement": [statement]}).to_string(),
            PolicyKind::Resource,
        )
        .map_err(|_| {
            invalid("The provided principal was invalid. Please check the principal and try again.")
        })?;
        self.change_policy(&named, &qualifier, input.revision_id.as_deref(), |policy| {
            if policy.statements.iter().any(|(id, _)| *id == input.statement_id) {
                let id = &input.statement_id;
                return Err(conflict(format!("The statement id ({id}) provided already exists. Please provide a new statement id, or remove the existing statement.")));
            }
            policy.statements.push((input.statement_id.clone(), text.clone()));
            let len = policy.document().len();
            if len > MAX_POLICY {
                let message = format!("The final policy size ({len}) is bigger than the limit ({MAX_POLICY}).");
                return Err(PolicyLengthExceededException { r#type: Some("User".to_owned()), message: Some(message) }.into());
            }
            Ok(())
        })
        .await?;
        Ok(AddPermissionOutput { statement: Some(text) })
    }

    /// Removes a statement. Errors: `ResourceNotFoundException`, `PreconditionFailedException`.
    pub async fn remove_permission(
        &self,
        cx: &Context,
        input: RemovePermissionInput,
    ) -> Result<RemovePermissionOutput, Error> {
        let named = Named::read(cx, &input.function_name, input.qualifier.as_deref())?;
        let qualifier = self.policy_qualifier(&named)?;
        self.change_policy(&named, &qualifier, input.revision_id.as_deref(), |policy| {
            if policy.statements.is_empty() {
                return Err(not_found("No policy is associated with the given resource."));
            }
            let before = policy.statements.len();
            policy.statements.retain(|(id, _)| *id != input.statement_id);
            if policy.statements.len() == before {
                return Err(not_found(format!(
                    "Statement {} is not found in resource policy.",
                    input.statement_id
                )));
            }
            Ok(())
        })
        .await?;
        Ok(RemovePermissionOutput::default())
    }

    /// The policy as JSON. Errors: `ResourceNotFoundException`.
    pub async fn get_policy(&self, cx: &Context, input: GetPolicyInput) -> Result<GetPolicyOutput, Error> {
        let named = Named::read(cx, &input.function_name, input.qualifier.as_deref())?;
        let qualifier = self.policy_qualifier(&named)?;
        let function = self.function(&named)?;
        let policy = function.policies.get(&qualifier).filter(|p| !p.statements.is_empty());
        let policy = policy.ok_or_else(|| not_found("The resource you requested does not exist."))?;
        Ok(GetPolicyOutput { policy: Some(policy.document()), revision_id: Some(policy.revision.clone()) })
    }

    /// The key of a qualifier's policy: the empty one is the function's own.
    fn policy_qualifier(&self, named: &Named) -> Result<String, Error> {
        self.function(named)?;
        match named.qualifier.as_deref() {
            None => Ok(String::new()),
            Some(LATEST) => Err(invalid("We currently do not support adding policies for $LATEST.")),
            Some(qualifier) => {
                match version_number(qualifier) {
                    Some(number) => self.version(named, number).map(|_| ())?,
                    None => {
                        let missing =
                            || not_found(format!("Cannot find alias arn: {}", named.qualified_arn()));
                        self.alias(named, qualifier)?.ok_or_else(missing)?;
                    }
                }
                Ok(qualifier.to_owned())
            }
        }
    }

    async fn change_policy(
        &self,
        named: &Named,
        qualifier: &str,
        revision: Option<&str>,
        change: impl Fn(&mut PolicyRecord) -> Result<(), Error> + Send + Sync,
    ) -> Result<(), Error> {
        let key = named_key(&named.cx, &named.name);
        self.store
            .transact(|tx| {
                let mut function = tx.get::<Function>(&key)?.ok_or_else(|| named.missing())?;
                let mut policy = function.policies.remove(qualifier).unwrap_or_default();
                if revision.is_some_and(|revision| revision != policy.revision) {
                    return Err(Failure(stale_revision()));
                }
                change(&mut policy)?;
                policy.revision = named.cx.random().uuid();
                if !policy.statements.is_empty() {
                    function.policies.insert(qualifier.to_owned(), policy);
                }
                Ok(tx.put(&key, &function)?)
            })
            .await?;
        Ok(())
    }
}

/// The statement in the form, and with the order of members, that AWS gives it.
fn statement(named: &Named, input: &AddPermissionInput) -> Result<Value, Error> {
    let principal = &input.principal;
    let who = if principal == "*" {
        json!("*")
    } else if principal.ends_with(".amazonaws.com") || principal.contains(".amazonaws.com.") {
        json!({ "Service": principal })
    } else if principal.starts_with("arn:") {
        json!({ "AWS": principal })
    } else if principal.len() == 12 && principal.bytes().all(|b| b.is_ascii_digit()) {
        json!({ "AWS": format!("arn:{}:iam::{principal}:root", named.cx.partition()) })
    } else {
        return Err(invalid("The provided principal was invalid. Please check the principal and try again."));
    };
    let mut statement = Map::new();
    statement.insert("Sid".to_owned(), json!(input.statement_id));
    statement.insert("Effect".to_owned(), json!("Allow"));
    statement.insert("Principal".to_owned(), who);
    statement.insert("Action".to_owned(), json!(input.action));
    statement.insert("Resource".to_owned(), json!(named.qualified_arn()));
    let mut conditions = Map::new();
    let mut add = |operator: &str, key: &str, value: Option<&str>| {
        if let Some(value) = value {
            let place = conditions.entry(operator).or_insert_with(|| json!({}));
            place[key] = json!(value);
        }
    };
    add("StringEquals", "AWS:SourceAccount", input.source_account.as_deref());
    add("StringEquals", "lambda:EventSourceToken", input.event_source_token.as_deref());
    add("StringEquals", "lambda:FunctionUrlAuthType", input.function_url_auth_type.as_deref());
    add("StringEquals", "aws:PrincipalOrgID", input.principal_org_id.as_deref());
    add("ArnLike", "AWS:SourceArn", input.source_arn.as_deref());
    let via_url = input.invoked_via_function_url.map(|b| b.to_string());
    add("Bool", "lambda:InvokedViaFunctionUrl", via_url.as_deref());
    if !conditions.is_empty() {
        statement.insert("Condition".to_owned(), Value::Object(conditions));
    }
    Ok(Value::Object(statement))
}

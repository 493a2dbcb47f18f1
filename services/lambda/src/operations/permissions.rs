//! Resource policies: who may invoke a function.

use crate::Lambda;
use crate::errors::{Failure, conflict, invalid, no_function, no_resource, not_found, stale_revision};
use crate::names::{LATEST, Named, version_number};
use crate::state::{Alias, Function, PolicyRecord, Version, alias_key, named_key, version_key};
use cloudlet_access::{Policy, PolicyKind};
use cloudlet_api_lambda::*;
use cloudlet_store::Tx;
use serde_json::{Map, Value, json};

/// Lambda quotas: the most bytes of a resource policy.
const MAX_POLICY: usize = 20 * 1024;

impl Lambda {
    /// Adds a statement to a function's policy.
    ///
    /// Errors: `ResourceNotFoundException`, `ResourceConflictException`, `InvalidParameterValueException`,
    /// `PolicyLengthExceededException`, `PreconditionFailedException`.
    pub async fn add_permission(
        &self,
        cx: &Context,
        input: AddPermissionInput,
    ) -> Result<AddPermissionOutput, Error> {
        let named = Named::read(cx, &input.function_name, input.qualifier.as_deref())?;
        if named.qualifier.as_deref() == Some(LATEST) {
            return Err(invalid("We currently do not support adding policies for $LATEST."));
        }
        let statement = statement(&named, &input)?;
        let text = statement.to_string();
        Policy::parse(
            &json!({"Version": "2012-10-17", "Statement": [statement]}).to_string(),
            PolicyKind::Resource,
        )
        .map_err(|_| bad_principal())?;
        if !self.cloud.identity()?.principal_exists(&input.principal) {
            return Err(bad_principal());
        }
        self.change_policy(&named, input.revision_id.as_deref(), |policy| {
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
        self.function(&named).map_err(|_| not_found(format!("No policy found for: {}", named.arn())))?;
        self.change_policy(&named, input.revision_id.as_deref(), |policy| {
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

    /// The policy as JSON, with the revision of the version or alias that it belongs to.
    ///
    /// Errors: `ResourceNotFoundException`.
    pub async fn get_policy(&self, cx: &Context, input: GetPolicyInput) -> Result<GetPolicyOutput, Error> {
        let named = Named::read(cx, &input.function_name, input.qualifier.as_deref())?;
        let function = self.function(&named).map_err(|_| no_function(&named.arn()))?;
        let key = policy_key(&named);
        let policy =
            function.policies.get(key).filter(|p| !p.statements.is_empty()).ok_or_else(no_resource)?;
        let revision = match version_number(named.qualifier.as_deref().unwrap_or(LATEST)) {
            Some(number) => self.version(&named, number)?.revision.clone(),
            None => self.alias(&named, key)?.ok_or_else(no_resource)?.revision.clone(),
        };
        Ok(GetPolicyOutput { policy: Some(policy.document()), revision_id: Some(revision) })
    }

    /// Changes the policy of a qualifier, and with it the revision of what the qualifier names.
    async fn change_policy(
        &self,
        named: &Named,
        revision: Option<&str>,
        change: impl Fn(&mut PolicyRecord) -> Result<(), Error> + Send + Sync,
    ) -> Result<(), Error> {
        let key = named_key(&named.cx, &named.name);
        let qualifier = policy_key(named);
        self.store
            .transact(|tx| {
                let mut function = tx.get::<Function>(&key)?.ok_or_else(|| no_function(&named.arn()))?;
                let mut owner = Owner::read(tx, named)?;
                let mut policy = function.policies.remove(qualifier).unwrap_or_default();
                let checked = change(&mut policy);
                // A statement that is not there, or there already, is told before a revision that is not the last.
                checked?;
                if revision.is_some_and(|revision| revision != owner.revision()) {
                    return Err(Failure(stale_revision("GetFunction/GetAlias")));
                }
                policy.revision = named.cx.random().uuid();
                if !policy.statements.is_empty() {
                    function.policies.insert(qualifier.to_owned(), policy);
                }
                owner.revise(&named.cx);
                owner.write(tx, named)?;
                Ok(tx.put(&key, &function)?)
            })
            .await?;
        Ok(())
    }
}

/// The key of a qualifier's policy: the empty one is the function's own.
fn policy_key(named: &Named) -> &str {
    named.qualifier.as_deref().filter(|q| *q != LATEST).unwrap_or_default()
}

/// Whose revision a policy's changes change.
pub(super) enum Owner {
    Version(Box<Version>),
    Alias(Alias),
}

impl Owner {
    pub(super) fn read(tx: &mut Tx<'_>, named: &Named) -> Result<Self, Failure> {
        let qualifier = named.qualifier.as_deref().unwrap_or(LATEST);
        Ok(match version_number(qualifier) {
            Some(number) => {
                let key = version_key(&named.cx, &named.name, number);
                Self::Version(Box::new(tx.get::<Version>(&key)?.ok_or_else(|| named.missing())?))
            }
            None => {
                let missing = || not_found(format!("Cannot find alias arn: {}", named.qualified_arn()));
                let key = alias_key(&named.cx, &named.name, qualifier);
                Self::Alias(tx.get::<Alias>(&key)?.ok_or_else(missing)?)
            }
        })
    }

    pub(super) fn revision(&self) -> &str {
        match self {
            Self::Version(version) => &version.revision,
            Self::Alias(alias) => &alias.revision,
        }
    }

    pub(super) fn revise(&mut self, cx: &Context) {
        match self {
            Self::Version(version) => version.revise(cx),
            Self::Alias(alias) => alias.revision = cx.random().uuid(),
        }
    }

    pub(super) fn write(&self, tx: &mut Tx<'_>, named: &Named) -> Result<(), Failure> {
        match self {
            Self::Version(version) => {
                tx.put(&version_key(&named.cx, &named.name, version.number), &**version)?
            }
            Self::Alias(alias) => tx.put(&alias_key(&named.cx, &named.name, &alias.name), alias)?,
        }
        Ok(())
    }
}

fn bad_principal() -> Error {
    invalid("The provided principal was invalid. Please check the principal and try again.")
}

/// The statement in the form, and with the order of members, that AWS gives it.
fn statement(named: &Named, input: &AddPermissionInput) -> Result<Value, Error> {
    if input.function_url_auth_type.is_some() && input.action != "lambda:InvokeFunctionUrl" {
        return Err(invalid("FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action"));
    }
    let principal = &input.principal;
    let who = if principal == "*" {
        json!("*")
    } else if principal.ends_with(".amazonaws.com")
        || principal.ends_with(".amazon.com")
        || principal.contains(".amazonaws.com.")
    {
        json!({ "Service": principal })
    } else if principal.starts_with("arn:") {
        json!({ "AWS": principal })
    } else if principal.len() == 12 && principal.bytes().all(|b| b.is_ascii_digit()) {
        json!({ "AWS": format!("arn:{}:iam::{principal}:root", named.cx.partition()) })
    } else {
        return Err(bad_principal());
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

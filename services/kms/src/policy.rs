//! Key policies: the default one, and the checks of those that callers bring.
//!
//! Source: AWS KMS Developer Guide, "Default key policy"; API Reference, `PutKeyPolicy`.

use crate::Kms;
use crate::errors::{bad_policy, limit};
use crate::state::KeyRecord;
use cloudlet_access::{Policy, PolicyError, PolicyKind};
use cloudlet_api_kms::API;
use cloudlet_service::api::{Access, AccessRequest};
use cloudlet_service::{Context, Error};
use serde_json::Value;

/// The largest key policy, in bytes.
const MOST: usize = 32 * 1024;

/// What a key gets where its maker brings no policy. The form is the one AWS prints.
pub(crate) fn default(account: &str, partition: &str) -> String {
    format!(
        "{{\n  \"Version\" : \"2012-10-17\",\n  \"Id\" : \"key-default-1\",\n  \"Statement\" : [ {{\n    \
         \"Sid\" : \"Enable IAM User Permissions\",\n    \"Effect\" : \"Allow\",\n    \"Principal\" : {{\n      \
         \"AWS\" : \"arn:{partition}:iam::{account}:root\"\n    }},\n    \"Action\" : \"kms:*\",\n    \
         \"Resource\" : \"*\"\n  }} ]\n}}"
    )
}

/// The policy as it is evaluated: a statement without actions or without resources is let in and has no effect, as the API
/// Reference says of `PutKeyPolicy`. `None` where nothing is left.
///
/// Errors: what is wrong with the rest.
pub(crate) fn effective(document: &str) -> Result<Option<Policy>, PolicyError> {
    let lacks = |statement: &Value, one: &str, other: &str| {
        statement.is_object() && statement.get(one).is_none() && statement.get(other).is_none()
    };
    let idle = |statement: &Value| {
        lacks(statement, "Action", "NotAction") || lacks(statement, "Resource", "NotResource")
    };
    let Ok(mut parsed) = serde_json::from_str::<Value>(document) else {
        return Policy::parse(document, PolicyKind::Resource).map(Some);
    };
    match parsed.get_mut("Statement") {
        Some(Value::Array(all)) if all.iter().any(idle) => {
            // What is wrong beside that is wrong all the same.
            for statement in all.iter_mut().filter(|statement| idle(statement)) {
                complete(statement);
            }
            let whole = parsed.to_string();
            Policy::parse(&whole, PolicyKind::Resource)?;
            let Ok(Value::Object(mut original)) = serde_json::from_str::<Value>(document) else {
                return Ok(None);
            };
            let Some(Value::Array(all)) = original.get_mut("Statement") else { return Ok(None) };
            all.retain(|statement| !idle(statement));
            if all.is_empty() {
                return Ok(None);
            }
            Policy::parse(&Value::Object(original).to_string(), PolicyKind::Resource).map(Some)
        }
        Some(one) if idle(one) => {
            complete(one);
            Policy::parse(&parsed.to_string(), PolicyKind::Resource).map(|_| None)
        }
        _ => Policy::parse(document, PolicyKind::Resource).map(Some),
    }
}

/// Adds what a statement lacks.
fn complete(statement: &mut Value) {
    let Value::Object(statement) = statement else { return };
    for (one, other, value) in [("Action", "NotAction", "kms:*"), ("Resource", "NotResource", "*")] {
        if !statement.contains_key(one) && !statement.contains_key(other) {
            statement.insert(one.to_owned(), Value::from(value));
        }
    }
}

impl Kms {
    /// Checks the policy that a key is about to get.
    ///
    /// Errors: `MalformedPolicyDocumentException`, `LimitExceededException`.
    pub(crate) async fn check_policy(
        &self,
        cx: &Context,
        key: &KeyRecord,
        document: &str,
        bypass: bool,
    ) -> Result<(), Error> {
        if document.len() > MOST {
            return Err(limit(format!("The key policy exceeds the limit of {MOST} bytes.")));
        }
        let policy = effective(document).map_err(|error| bad_policy(error.message()))?;
        if let Some(policy) = &policy
            && cx.cloud.identity()?.names_strangers(policy)
        {
            return Err(bad_policy("Policy contains a statement with one or more invalid principals."));
        }
        if !bypass && !self.may_still_change(cx, key, policy.as_ref())? {
            return Err(bad_policy(
                "The new key policy will not allow you to update the key policy in the future.",
            ));
        }
        Ok(())
    }

    /// Whether the caller could change the policy again under this one: the lockout safety check.
    fn may_still_change(
        &self,
        cx: &Context,
        key: &KeyRecord,
        policy: Option<&Policy>,
    ) -> Result<bool, Error> {
        let Some(policy) = policy else { return Ok(false) };
        let Some(operation) = API.operations.iter().find(|op| op.name == "PutKeyPolicy") else {
            return Ok(true);
        };
        let mut access = Access::new("kms:PutKeyPolicy", key.arn());
        access.resource_policy = Some(policy.clone());
        access.resource_account = Some(key.account.clone());
        access.keys = crate::access::key_facts(cx, key);
        let request = AccessRequest { access: &access, operation, service: &API };
        cx.cloud.identity()?.would_allow(cx, &request)
    }
}

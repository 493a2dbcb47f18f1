//! Bucket policies, compiled, and what ACLs and public access blocks make of them.

use crate::errors::Result;
use crate::state::Bucket;
use cloudlet_access::{Policy, PolicyKind};
use cloudlet_service::Access;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::HashMap;

/// Bucket policies, compiled. Keyed by the bucket's number; a policy that has changed is compiled anew.
#[derive(Default)]
pub(crate) struct Policies(Mutex<HashMap<u64, Policy>>);

/// How many compiled policies are kept.
const KEPT: usize = 4096;

impl Policies {
    pub(super) fn of(&self, bucket: &Bucket) -> Result<Option<Policy>> {
        let Some(text) = &bucket.policy else { return Ok(None) };
        let mut kept = self.0.lock();
        if let Some(policy) = kept.get(&bucket.id).filter(|p| p.text() == text) {
            return Ok(Some(policy.clone()));
        }
        let policy = compile(text)?;
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(bucket.id, policy.clone());
        Ok(Some(policy))
    }
}

fn compile(text: &str) -> Result<Policy> {
    Policy::parse(text, PolicyKind::Resource).map_err(|why| crate::errors::internal(why).into())
}

/// What is left of a policy where it may only deny.
pub(super) fn denials(policy: &Policy) -> Result<Option<Policy>> {
    let mut document: Value = serde_json::from_str(policy.text()).map_err(crate::errors::internal)?;
    let denies = |statement: &Value| statement.get("Effect").and_then(Value::as_str) == Some("Deny");
    match document.get_mut("Statement") {
        Some(Value::Array(statements)) => {
            statements.retain(denies);
            if statements.is_empty() {
                return Ok(None);
            }
        }
        Some(single) if denies(single) => {}
        _ => return Ok(None),
    }
    compile(&document.to_string()).map(Some)
}

/// The policy, or none, and a statement that allows this one access: what an ACL's grant is worth.
pub(super) fn with_statement(policy: Option<&Policy>, access: &Access) -> Result<Policy> {
    let mut document: Value = match policy {
        Some(policy) => serde_json::from_str(policy.text()).map_err(crate::errors::internal)?,
        None => json!({ "Version": "2012-10-17", "Statement": [] }),
    };
    let statement = json!({
        "Effect": "Allow", "Principal": "*", "Action": access.action, "Resource": escape(&access.resource)
    });
    match document.get_mut("Statement") {
        Some(Value::Array(statements)) => statements.push(statement),
        Some(single) => *single = json!([single.take(), statement]),
        None => {}
    }
    compile(&document.to_string())
}

/// A resource as a policy must write it to mean nothing but itself.
fn escape(resource: &str) -> String {
    resource.replace('$', "${$}").replace('*', "${*}").replace('?', "${?}")
}

//! The grammar of policy documents, and AWS's words for what breaks it.
//!
//! AWS has two validators. Identity-like policies (managed, inline, boundaries, sessions, service control) answer
//! with one set of messages, checked in a fixed order over the whole document; policies that name principals
//! (resource policies, trust policies) with another, statement by statement. Both orders are kept, since users
//! see only the first complaint.
//!
//! Source: IAM User Guide, "Grammar of the IAM JSON policy language" and "Troubleshoot IAM policies"; S3 User
//! Guide, "Bucket policies".

mod identity;
mod resource;

use crate::condition::Operator;
use crate::document::{MAX_POLICY_BYTES, PolicyKind, Version};
use crate::error::{Fault, PolicyError};
use crate::json::{self, Json, Node};
use crate::principal::PrincipalKind;

/// A document that passed, not yet compiled.
pub(crate) struct DraftDocument {
    pub(crate) version: Version,
    pub(crate) id: Option<String>,
    pub(crate) statements: Vec<Draft>,
}

/// A statement that passed. The flag beside a list tells its `Not…` form.
pub(crate) struct Draft {
    pub(crate) sid: Option<String>,
    pub(crate) allow: bool,
    pub(crate) principal: Option<(bool, Vec<(PrincipalKind, String)>)>,
    pub(crate) actions: (bool, Vec<String>),
    pub(crate) resources: Option<(bool, Vec<String>)>,
    pub(crate) conditions: Vec<DraftCondition>,
    pub(crate) span: (usize, usize),
}

/// One operator on one key.
pub(crate) struct DraftCondition {
    pub(crate) operator: Operator,
    /// The operator as written.
    pub(crate) name: String,
    pub(crate) key: String,
    pub(crate) values: Vec<String>,
}

/// Checks a document against the grammar of its kind.
pub(crate) fn check(text: &str, kind: PolicyKind) -> Result<DraftDocument, PolicyError> {
    match kind {
        PolicyKind::Identity | PolicyKind::Boundary | PolicyKind::Session | PolicyKind::ServiceControl => {
            identity::check(text, false)
        }
        PolicyKind::Inline => identity::check(text, true),
        PolicyKind::Resource
        | PolicyKind::ResourceImplied
        | PolicyKind::ResourceControl
        | PolicyKind::Trust => resource::check(text, kind),
    }
}

fn fault<T>(fault: Fault, message: impl Into<String>) -> Result<T, PolicyError> {
    Err(PolicyError::new(fault, message))
}

/// Reads the text as one JSON object; `None` if it is not, or too large.
fn read_object(text: &str) -> Option<Vec<(String, Node)>> {
    if text.len() > MAX_POLICY_BYTES {
        return None;
    }
    match json::parse(text).ok()?.value {
        Json::Object(members) => Some(members),
        _ => None,
    }
}

/// `Statement` as a list: one object stands for a list of one.
fn statement_list(node: Node) -> Option<Vec<Node>> {
    match node.value {
        Json::Object(_) => Some(vec![node]),
        Json::Array(items) => Some(items),
        _ => None,
    }
}

/// A string, or a list of strings.
fn strings(node: Node) -> Option<Vec<String>> {
    match node.value {
        Json::String(text) => Some(vec![text]),
        Json::Array(items) => items
            .into_iter()
            .map(|item| match item.value {
                Json::String(text) => Some(text),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}

/// A condition's operand: text, number or truth value, or a list of them, all as text.
fn operands(node: Node) -> Option<Vec<String>> {
    match node.value {
        Json::Array(items) => items.into_iter().map(|item| scalar(item.value)).collect(),
        value => Some(vec![scalar(value)?]),
    }
}

fn scalar(value: Json) -> Option<String> {
    match value {
        Json::String(text) | Json::Number(text) => Some(text),
        Json::Bool(truth) => Some(truth.to_string()),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

/// What is wrong with a `Condition` element.
enum BadCondition {
    /// Not an object of objects of operands.
    Shape,
    /// No such operator.
    Operator(String),
}

/// Reads `Condition`. An unknown operator without keys says nothing and is let pass, as AWS does.
fn conditions(node: Node) -> Result<Vec<DraftCondition>, BadCondition> {
    let Json::Object(operators) = node.value else { return Err(BadCondition::Shape) };
    let mut conditions = Vec::new();
    for (name, keys) in operators {
        let Json::Object(keys) = keys.value else { return Err(BadCondition::Shape) };
        let operator = Operator::parse(&name);
        for (key, values) in keys {
            let values = operands(values).ok_or(BadCondition::Shape)?;
            let Some(operator) = operator else { return Err(BadCondition::Operator(name)) };
            conditions.push(DraftCondition { operator, name: name.clone(), key, values });
        }
    }
    Ok(conditions)
}

/// True if every date a condition compares with can be read.
fn dates_are_valid(conditions: &[DraftCondition]) -> bool {
    conditions
        .iter()
        .filter(|condition| matches!(condition.operator.comparison, crate::condition::Comparison::Date(_)))
        .flat_map(|condition| &condition.values)
        .all(|value| crate::value::parse_date(value).is_some())
}

/// The first `Sid` that stands twice.
fn repeated_sid(statements: &[Draft]) -> bool {
    let mut seen = std::collections::HashSet::new();
    statements
        .iter()
        .filter_map(|statement| statement.sid.as_deref())
        .any(|sid| !sid.is_empty() && !seen.insert(sid))
}

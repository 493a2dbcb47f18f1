//! Key conditions: which part of a table or index a query reads.
//!
//! Source: Developer Guide, "Key condition expressions for the Query operation" and "Multi-attribute keys".

use super::Purpose;
use super::condition::{Condition, Operand, begins_with, compare};
use super::path::Path;
use super::syntax::Comparator;
use crate::value::{Kind, Value, invalid, invalid_values, size};
use cloudlet_service::Error;
use std::collections::BTreeMap;

/// What is asked of one key attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPredicate {
    /// One of the comparisons, other than `<>`.
    Compare(Comparator, Value),
    /// Between two values, both included.
    Between(Value, Value),
    /// Begins with a string or bytes.
    BeginsWith(Value),
    /// An operator of `KeyConditions` that no index answers.
    NotIndexable,
}

impl KeyPredicate {
    /// Whether the attribute's value meets it.
    pub fn matches(&self, value: &Value) -> bool {
        match self {
            KeyPredicate::Compare(comparator, other) => compare(*comparator, Some(value), Some(other)),
            KeyPredicate::Between(low, high) => {
                compare(Comparator::GreaterEqual, Some(value), Some(low))
                    && compare(Comparator::LessEqual, Some(value), Some(high))
            }
            KeyPredicate::BeginsWith(prefix) => begins_with(value, prefix),
            KeyPredicate::NotIndexable => false,
        }
    }

    fn values(&self) -> Vec<&Value> {
        match self {
            KeyPredicate::Compare(_, value) | KeyPredicate::BeginsWith(value) => vec![value],
            KeyPredicate::Between(low, high) => vec![low, high],
            KeyPredicate::NotIndexable => Vec::new(),
        }
    }
}

/// The conditions of a query by attribute; not yet held against a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyCondition {
    pub(crate) by_attribute: BTreeMap<String, KeyPredicate>,
}

/// The key of a table or index: its attributes and their types. Only global secondary indexes have more than one of
/// either kind.
#[derive(Debug, Clone, Copy)]
pub struct KeySchema<'s> {
    /// The partition key.
    pub hash: &'s [(&'s str, Kind)],
    /// The sort key; empty if there is none.
    pub range: &'s [(&'s str, Kind)],
}

/// What a query reads: one partition, and there the items whose sort key begins with these values and goes on so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyQuery {
    /// The values of the partition key, one for each of its attributes.
    pub hash: Vec<Value>,
    /// The values of the first attributes of the sort key.
    pub range: Vec<Value>,
    /// What the attribute behind those must meet; never an equality.
    pub last: Option<KeyPredicate>,
}

const NOT_SUPPORTED: &str = "Query key condition not supported";

impl KeyCondition {
    /// The attributes that it names.
    pub fn attributes(&self) -> impl Iterator<Item = &str> {
        self.by_attribute.keys().map(String::as_str)
    }

    /// Reads the conditions out of a key condition expression.
    pub(crate) fn from_condition(condition: Condition) -> Result<Self, Error> {
        let mut out = Self::default();
        out.take(condition).map_err(|message| Purpose::KeyCondition.refusal(&message))?;
        Ok(out)
    }

    fn take(&mut self, condition: Condition) -> Result<(), String> {
        let operator = |name: &str| Err(format!("Invalid operator used in KeyConditionExpression: {name}"));
        match condition {
            Condition::And(terms) => terms.into_iter().try_for_each(|term| self.take(term)),
            Condition::Or(_) => operator("OR"),
            Condition::Not(_) | Condition::Same(..) => operator("NOT"),
            Condition::In(..) => operator("IN"),
            Condition::Exists(_) => operator("attribute_exists"),
            Condition::NotExists(_) => operator("attribute_not_exists"),
            Condition::Type(..) => operator("attribute_type"),
            Condition::Contains(..) | Condition::NotContains(..) => operator("contains"),
            Condition::Compare(Comparator::NotEqual, ..) => operator("<>"),
            Condition::Compare(comparator, left, right) => {
                let mirrored = !matches!(left, Operand::Path(_));
                let (name, mut values) = key_and_values(vec![left, right])?;
                let comparator = if mirrored { comparator.mirrored() } else { comparator };
                let value = values.pop().ok_or(NO_KEY)?;
                self.insert(name, KeyPredicate::Compare(comparator, value))
            }
            Condition::Between(value, low, high) => {
                key_first("BETWEEN", &value)?;
                let (name, mut values) = key_and_values(vec![value, low, high])?;
                let high = values.pop().ok_or(NO_KEY)?;
                let low = values.pop().ok_or(NO_KEY)?;
                self.insert(name, KeyPredicate::Between(low, high))
            }
            Condition::BeginsWith(value, prefix) => {
                key_first("begins_with", &value)?;
                let (name, mut values) = key_and_values(vec![value, prefix])?;
                let prefix = values.pop().ok_or(NO_KEY)?;
                self.insert(name, KeyPredicate::BeginsWith(prefix))
            }
        }
    }

    fn insert(&mut self, name: String, predicate: KeyPredicate) -> Result<(), String> {
        if self.by_attribute.insert(name, predicate).is_some() {
            return Err("KeyConditionExpressions must only contain one condition per key".to_owned());
        }
        Ok(())
    }

    /// Holds the conditions against the key of the table or index that is queried.
    ///
    /// Errors: `ValidationException` in AWS's words where an attribute of the key is missed, an operator does not fit
    /// its place, or a value has not the type that the key has.
    pub fn resolve(&self, schema: KeySchema<'_>) -> Result<KeyQuery, Error> {
        let count = self.by_attribute.len();
        let parts = schema.hash.len() + schema.range.len();
        if count == 0 || count > parts.max(2) {
            return Err(invalid("Conditions can be of length 1 or 2 only"));
        }
        if count > parts {
            return Err(invalid(NOT_SUPPORTED));
        }
        let mut query = KeyQuery { hash: Vec::new(), range: Vec::new(), last: None };
        for (i, (name, kind)) in schema.hash.iter().chain(schema.range).enumerate() {
            let hash = i < schema.hash.len();
            let Some(predicate) = self.by_attribute.get(*name) else {
                // A sort key may be left out, from some attribute on to the end.
                if hash || i < count {
                    return Err(invalid(format!("Query condition missed key schema element: {name}")));
                }
                break;
            };
            if *predicate == KeyPredicate::NotIndexable {
                return Err(invalid("Attempted conditional constraint is not an indexable operation"));
            }
            let values = predicate.values();
            if values.iter().any(|value| value.kind() != *kind) {
                return Err(invalid_values("Condition parameter type does not match schema type"));
            }
            if values.iter().any(|value| is_empty(value)) && !matches!(predicate, KeyPredicate::BeginsWith(_))
            {
                return Err(invalid(format!(
                    "One or more parameter values are not valid. The AttributeValue for a key attribute cannot \
                     contain an empty {} value. Key: {name}",
                    if *kind == Kind::S { "string" } else { "binary" }
                )));
            }
            values.iter().try_for_each(|value| size::check_key(value, hash))?;
            match predicate {
                KeyPredicate::Compare(Comparator::Equal, value) if hash => query.hash.push(value.clone()),
                KeyPredicate::Compare(Comparator::Equal, value) if query.last.is_none() => {
                    query.range.push(value.clone());
                }
                other if !hash && query.last.is_none() => query.last = Some(other.clone()),
                // The partition key takes only equality, and nothing follows an attribute without it.
                _ => return Err(invalid(NOT_SUPPORTED)),
            }
        }
        Ok(query)
    }
}

const NO_KEY: &str = "Invalid condition in KeyConditionExpression: No key attribute specified";

fn is_empty(value: &Value) -> bool {
    match value {
        Value::S(text) => text.is_empty(),
        Value::B(bytes) => bytes.is_empty(),
        _ => false,
    }
}

fn key_first(name: &str, operand: &Operand) -> Result<(), String> {
    match operand {
        Operand::Path(_) => Ok(()),
        _ => Err(format!(
            "Invalid condition in KeyConditionExpression: {name} operator must have the key attribute as its \
             first operand"
        )),
    }
}

/// Parts a condition into the one attribute that it is about and the values.
fn key_and_values(operands: Vec<Operand>) -> Result<(String, Vec<Value>), String> {
    let mut name: Option<Path> = None;
    let mut values = Vec::new();
    for operand in operands {
        match operand {
            Operand::Path(_) if name.is_some() => {
                return Err("Invalid condition in KeyConditionExpression: \
                            Multiple attribute names used in one condition"
                    .to_owned());
            }
            Operand::Path(path) if path.is_nested() => {
                return Err("KeyConditionExpressions cannot have conditions on nested attributes".to_owned());
            }
            Operand::Path(path) => name = Some(path),
            Operand::Value(value) => values.push(value),
            Operand::Size(_) => {
                return Err("KeyConditionExpressions cannot contain nested operations".to_owned());
            }
        }
    }
    let name = name.ok_or(NO_KEY)?;
    Ok((name.root().to_owned(), values))
}

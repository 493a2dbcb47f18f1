//! The parameters that came before expressions, as the same trees: `Expected`, `AttributeUpdates`, `KeyConditions`,
//! `QueryFilter`, `ScanFilter`, `AttributesToGet`, with `ConditionalOperator`.
//!
//! Source: Developer Guide, "Legacy conditional parameters".

use super::condition::{Condition, Operand};
use super::key::{KeyCondition, KeyPredicate};
use super::path::Path;
use super::projection::Projection;
use super::syntax::Comparator;
use super::update::{Action, Assigned, Source, Update};
use crate::value::{Kind, Value, invalid, invalid_values};
use cloudlet_api_dynamodb as api;
use cloudlet_service::Error;
use std::collections::BTreeMap;

/// One condition on one attribute, as all but its context is checked.
struct Checked<'a> {
    operator: &'a str,
    values: Vec<Value>,
}

/// Takes the values of a condition and checks them against its operator.
fn checked<'a>(operator: &'a str, values: &[api::AttributeValue]) -> Result<Checked<'a>, Error> {
    let values = values.iter().map(Value::from_api).collect::<Result<Vec<_>, _>>()?;
    check(operator, &values)?;
    Ok(Checked { operator, values })
}

fn check_count(operator: &str, count: usize) -> Result<(), Error> {
    let fits = match operator {
        "NULL" | "NOT_NULL" => count == 0,
        "IN" => count > 0,
        "BETWEEN" => count == 2,
        _ => count == 1,
    };
    if fits {
        return Ok(());
    }
    Err(invalid_values(format_args!("Invalid number of argument(s) for the {operator} ComparisonOperator")))
}

fn check(operator: &str, values: &[Value]) -> Result<(), Error> {
    check_count(operator, values.len())?;
    if let Some((first, rest)) = values.split_first()
        && rest.iter().any(|value| value.kind() != first.kind())
    {
        return Err(invalid_values("AttributeValues inside AttributeValueList must be of same type"));
    }
    for value in values {
        let fits = match operator {
            "LE" | "LT" | "GE" | "GT" | "BETWEEN" | "CONTAINS" | "NOT_CONTAINS" | "IN" => {
                matches!(value.kind(), Kind::S | Kind::N | Kind::B)
            }
            "BEGINS_WITH" => matches!(value.kind(), Kind::S | Kind::B),
            _ => true,
        };
        if !fits {
            return Err(invalid_values(format_args!(
                "ComparisonOperator {operator} is not valid for {} AttributeValue type",
                value.type_name()
            )));
        }
    }
    if let ("BETWEEN", [low, high]) = (operator, values)
        && low.compare(high).is_some_and(std::cmp::Ordering::is_gt)
    {
        return Err(invalid(
            "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound",
        ));
    }
    Ok(())
}

fn comparator(operator: &str) -> Option<Comparator> {
    Some(match operator {
        "EQ" => Comparator::Equal,
        "NE" => Comparator::NotEqual,
        "LT" => Comparator::Less,
        "LE" => Comparator::LessEqual,
        "GT" => Comparator::Greater,
        "GE" => Comparator::GreaterEqual,
        _ => return None,
    })
}

impl Checked<'_> {
    fn condition(self, name: &str) -> Condition {
        let path = || Path::attribute(name);
        let mut values = self.values.into_iter().map(Operand::Value);
        let attribute = Operand::Path(path());
        match (self.operator, comparator(self.operator)) {
            ("NULL", _) => return Condition::NotExists(path()),
            ("IN", _) => return Condition::In(attribute, values.collect()),
            _ => {}
        }
        match (self.operator, comparator(self.operator), values.next(), values.next()) {
            (_, Some(comparator), Some(value), _) => Condition::Compare(comparator, attribute, value),
            ("BETWEEN", _, Some(low), Some(high)) => Condition::Between(attribute, low, high),
            ("BEGINS_WITH", _, Some(prefix), _) => Condition::BeginsWith(attribute, prefix),
            ("CONTAINS", _, Some(part), _) => Condition::Contains(attribute, part),
            ("NOT_CONTAINS", _, Some(part), _) => Condition::NotContains(attribute, part),
            // NOT_NULL; every other operator has had its values counted.
            _ => Condition::Exists(path()),
        }
    }
}

/// All conditions together, as `ConditionalOperator` says.
fn joined(conditions: Vec<Condition>, operator: Option<&str>) -> Condition {
    if operator == Some("OR") { Condition::Or(conditions) } else { Condition::And(conditions) }
}

/// Checks `ConditionalOperator` against what it joins: the number of conditions in `Expected`, `QueryFilter` or
/// `ScanFilter`, `None` if the request has none of them.
pub fn check_conditional_operator(operator: Option<&str>, conditions: Option<usize>) -> Result<(), Error> {
    match (operator, conditions) {
        (None, _) => Ok(()),
        (Some(_), None) => Err(invalid("ConditionalOperator cannot be used without Filter or Expected")),
        (Some(_), Some(0 | 1)) => Err(invalid(
            "ConditionalOperator can only be used when Filter or Expected has two or more elements",
        )),
        _ => Ok(()),
    }
}

/// `Expected`, with the operator that joins its conditions.
pub fn expected(
    expected: &BTreeMap<String, api::ExpectedAttributeValue>,
    conditional_operator: Option<&str>,
) -> Result<Condition, Error> {
    let mut conditions = Vec::new();
    for (name, expectation) in expected {
        conditions.push(expectation_of(name, expectation)?);
    }
    Ok(joined(conditions, conditional_operator))
}

fn expectation_of(name: &str, expectation: &api::ExpectedAttributeValue) -> Result<Condition, Error> {
    let api::ExpectedAttributeValue { value, exists, comparison_operator, attribute_value_list, .. } =
        expectation;
    if attribute_value_list.is_some() && value.is_some() {
        return Err(invalid_values(format_args!(
            "Value and AttributeValueList cannot be used together for Attribute: {name}"
        )));
    }
    if let Some(operator) = comparison_operator {
        if exists.is_some() {
            return Err(invalid_values(format_args!(
                "Exists and ComparisonOperator cannot be used together for Attribute: {name}"
            )));
        }
        let list = match (attribute_value_list, value) {
            (Some(list), _) => list.as_slice(),
            (None, Some(value)) => std::slice::from_ref(value),
            (None, None) if matches!(operator.as_str(), "NULL" | "NOT_NULL") => &[],
            (None, None) => {
                return Err(invalid_values(format_args!(
                    "Value or AttributeValueList must be used with ComparisonOperator: {operator} \
                     for Attribute: {name}"
                )));
            }
        };
        check_count(operator, list.len())?;
        return Ok(checked(operator, list)?.condition(name));
    }
    if attribute_value_list.is_some() {
        return Err(invalid_values(format_args!(
            "AttributeValueList can only be used with a ComparisonOperator for Attribute: {name}"
        )));
    }
    match (exists.unwrap_or(true), value) {
        (true, None) => Err(invalid_values(format_args!(
            "Value must be provided when Exists is {} for Attribute: {name}",
            if exists.is_some() { "true" } else { "null" }
        ))),
        (false, Some(_)) => Err(invalid_values(format_args!(
            "Value cannot be used when Exists is false for Attribute: {name}"
        ))),
        (true, Some(value)) => Ok(Condition::Compare(
            Comparator::Equal,
            Operand::Path(Path::attribute(name)),
            Operand::Value(Value::from_api(value)?),
        )),
        (false, None) => Ok(Condition::NotExists(Path::attribute(name))),
    }
}

/// `QueryFilter` or `ScanFilter`, with the operator that joins its conditions.
pub fn filter(
    filter: &BTreeMap<String, api::Condition>,
    conditional_operator: Option<&str>,
) -> Result<Condition, Error> {
    let mut conditions = Vec::new();
    for (name, condition) in filter {
        let values = condition.attribute_value_list.as_deref().unwrap_or_default();
        conditions.push(checked(&condition.comparison_operator, values)?.condition(name));
    }
    Ok(joined(conditions, conditional_operator))
}

/// Refuses a `QueryFilter` on a key attribute of what is queried.
pub fn check_filter_keys<'k>(
    filter: &BTreeMap<String, api::Condition>,
    keys: impl IntoIterator<Item = &'k str>,
) -> Result<(), Error> {
    match keys.into_iter().find(|key| filter.contains_key(*key)) {
        Some(key) => Err(invalid(format!(
            "QueryFilter can only contain non-primary key attributes: Primary key attribute: {key}"
        ))),
        None => Ok(()),
    }
}

/// `KeyConditions`.
pub fn key_conditions(conditions: &BTreeMap<String, api::Condition>) -> Result<KeyCondition, Error> {
    let mut out = KeyCondition::default();
    for (name, condition) in conditions {
        let values = condition.attribute_value_list.as_deref().unwrap_or_default();
        let Checked { operator, values } = checked(&condition.comparison_operator, values)?;
        let mut values = values.into_iter();
        let predicate = match (operator, comparator(operator), values.next(), values.next()) {
            (_, Some(Comparator::NotEqual), _, _) => KeyPredicate::NotIndexable,
            (_, Some(comparator), Some(value), _) => KeyPredicate::Compare(comparator, value),
            ("BETWEEN", _, Some(low), Some(high)) => KeyPredicate::Between(low, high),
            ("BEGINS_WITH", _, Some(prefix), _) => KeyPredicate::BeginsWith(prefix),
            _ => KeyPredicate::NotIndexable,
        };
        out.by_attribute.insert(name.clone(), predicate);
    }
    Ok(out)
}

/// `AttributeUpdates`.
pub fn updates(updates: &BTreeMap<String, api::AttributeValueUpdate>) -> Result<Update, Error> {
    let mut actions = Vec::new();
    for (name, update) in updates {
        let action = update.action.as_deref().unwrap_or("PUT");
        let value = update.value.as_ref().map(Value::from_api).transpose()?;
        let path = Path::attribute(name.as_str());
        actions.push(match (action, value) {
            ("DELETE", None) => Action::Remove(path),
            (_, None) => {
                return Err(invalid_values(
                    "Only DELETE action is allowed when no attribute value is specified",
                ));
            }
            ("DELETE", Some(value)) if value.kind().is_set() => Action::Delete(path, value),
            ("DELETE", Some(value)) => {
                return Err(invalid_values(format_args!(
                    "DELETE action with value is not supported for the type {}",
                    value.type_name()
                )));
            }
            ("ADD", Some(value)) if value.kind().is_set() || matches!(value.kind(), Kind::N | Kind::L) => {
                Action::Add(path, value)
            }
            ("ADD", Some(value)) => {
                return Err(invalid_values(format_args!(
                    "ADD action is not supported for the type {}",
                    value.type_name()
                )));
            }
            (_, Some(value)) => Action::Set(path, Assigned::Source(Source::Value(value))),
        });
    }
    Ok(Update::legacy(actions))
}

/// `AttributesToGet`: whole attributes, each once.
pub fn attributes_to_get(names: &[String]) -> Result<Projection, Error> {
    for (i, name) in names.iter().enumerate() {
        if names[..i].contains(name) {
            return Err(invalid_values(format_args!("Duplicate value in attribute name: {name}")));
        }
    }
    Ok(Projection::of(names.iter().map(Path::attribute)))
}

//! Conditions and filters, and whether an item meets them.

use super::path::Path;
use super::syntax::Comparator;
use crate::value::{Item, Kind, Number, Value};
use std::borrow::Cow;
use std::cmp::Ordering;

/// What a condition compares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operand {
    /// What the item has there.
    Path(Path),
    /// A value that was given.
    Value(Value),
    /// How large something is.
    Size(Box<Operand>),
}

/// A condition on an item; also a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// `a = b` and its like.
    Compare(Comparator, Operand, Operand),
    /// `a BETWEEN low AND high`.
    Between(Operand, Operand, Operand),
    /// `a IN (b, c)`.
    In(Operand, Vec<Operand>),
    /// All of them.
    And(Vec<Condition>),
    /// One of them.
    Or(Vec<Condition>),
    /// The opposite.
    Not(Box<Condition>),
    /// Both hold or neither does: PartiQL's `condition = condition`.
    Same(Box<Condition>, Box<Condition>),
    /// `attribute_exists(path)`.
    Exists(Path),
    /// `attribute_not_exists(path)`.
    NotExists(Path),
    /// `attribute_type(path, :type)`.
    Type(Operand, Kind),
    /// `begins_with(a, b)`.
    BeginsWith(Operand, Operand),
    /// `contains(a, b)`.
    Contains(Operand, Operand),
    /// `NOT_CONTAINS` of the parameters that came before expressions: unlike the opposite of `contains` it is not met
    /// by what cannot contain anything.
    NotContains(Operand, Operand),
}

/// A filter is a condition on what was read.
pub type Filter = Condition;

impl Operand {
    fn value<'i>(&'i self, item: &'i Item) -> Option<Cow<'i, Value>> {
        match self {
            Operand::Path(path) => path.get(item).map(Cow::Borrowed),
            Operand::Value(value) => Some(Cow::Borrowed(value)),
            Operand::Size(inner) => size(&*inner.value(item)?).map(|n| Cow::Owned(Value::N(n))),
        }
    }
}

impl Operand {
    /// The path that it reads, if it reads one.
    fn path(&self) -> Option<&Path> {
        match self {
            Operand::Path(path) => Some(path),
            Operand::Value(_) => None,
            Operand::Size(inner) => inner.path(),
        }
    }
}

/// What `size` gives; nothing for numbers, booleans and null.
fn size(value: &Value) -> Option<Number> {
    let count = match value {
        // AWS counts as Java does: in UTF-16 code units.
        Value::S(text) => text.encode_utf16().count(),
        Value::B(bytes) => bytes.len(),
        Value::SS(set) => set.len(),
        Value::NS(set) => set.len(),
        Value::BS(set) => set.len(),
        Value::L(list) => list.len(),
        Value::M(map) => map.len(),
        Value::N(_) | Value::Bool(_) | Value::Null => return None,
    };
    Some(Number::from(count as u64))
}

/// Whether a comparison holds. Values of different types are unequal and have no order; so is what is not there.
pub(crate) fn compare(comparator: Comparator, left: Option<&Value>, right: Option<&Value>) -> bool {
    let both = left.zip(right);
    let order = || both.and_then(|(a, b)| a.compare(b));
    match comparator {
        Comparator::Equal => both.is_some_and(|(a, b)| a == b),
        Comparator::NotEqual => both.is_none_or(|(a, b)| a != b),
        Comparator::Less => order().is_some_and(Ordering::is_lt),
        Comparator::LessEqual => order().is_some_and(Ordering::is_le),
        Comparator::Greater => order().is_some_and(Ordering::is_gt),
        Comparator::GreaterEqual => order().is_some_and(Ordering::is_ge),
    }
}

pub(crate) fn begins_with(value: &Value, prefix: &Value) -> bool {
    match (value, prefix) {
        (Value::S(text), Value::S(prefix)) => text.starts_with(prefix.as_str()),
        (Value::B(bytes), Value::B(prefix)) => bytes.starts_with(prefix),
        _ => false,
    }
}

/// Whether one contains the other; `None` where it could not.
fn contains(whole: &Value, part: &Value) -> Option<bool> {
    match (whole, part) {
        (Value::S(text), Value::S(part)) => Some(text.contains(part.as_str())),
        (Value::B(bytes), Value::B(part)) => {
            Some(part.is_empty() || bytes.windows(part.len()).any(|window| window == part))
        }
        (Value::SS(set), Value::S(part)) => Some(set.contains(part)),
        (Value::NS(set), Value::N(part)) => Some(set.contains(part)),
        (Value::BS(set), Value::B(part)) => Some(set.contains(part)),
        (Value::L(list), part) => Some(list.contains(part)),
        _ => None,
    }
}

impl Condition {
    /// Whether the item meets it. An item that does not exist is an empty one.
    pub fn matches(&self, item: &Item) -> bool {
        // The only part that recurses is kept small.
        match self {
            Condition::And(terms) => terms.iter().all(|term| term.matches(item)),
            Condition::Or(terms) => terms.iter().any(|term| term.matches(item)),
            Condition::Not(inner) => !inner.matches(item),
            Condition::Same(a, b) => a.matches(item) == b.matches(item),
            leaf => leaf.holds(item),
        }
    }

    /// Whether the item meets a condition that holds no others.
    fn holds(&self, item: &Item) -> bool {
        let both = |a: &Operand, b: &Operand, test: &dyn Fn(&Value, &Value) -> bool| {
            a.value(item).zip(b.value(item)).is_some_and(|(a, b)| test(&a, &b))
        };
        match self {
            Condition::Compare(comparator, left, right) => {
                compare(*comparator, left.value(item).as_deref(), right.value(item).as_deref())
            }
            Condition::Between(value, low, high) => {
                let (value, low, high) = (value.value(item), low.value(item), high.value(item));
                compare(Comparator::GreaterEqual, value.as_deref(), low.as_deref())
                    && compare(Comparator::LessEqual, value.as_deref(), high.as_deref())
            }
            Condition::In(value, list) => {
                let value = value.value(item);
                list.iter()
                    .any(|one| compare(Comparator::Equal, value.as_deref(), one.value(item).as_deref()))
            }
            Condition::And(_) | Condition::Or(_) | Condition::Not(_) | Condition::Same(..) => {
                self.matches(item)
            }
            Condition::Exists(path) => path.get(item).is_some(),
            Condition::NotExists(path) => path.get(item).is_none(),
            Condition::Type(operand, kind) => operand.value(item).is_some_and(|v| v.kind() == *kind),
            Condition::BeginsWith(value, prefix) => both(value, prefix, &begins_with),
            Condition::Contains(whole, part) => both(whole, part, &|a, b| contains(a, b) == Some(true)),
            Condition::NotContains(whole, part) => both(whole, part, &|a, b| contains(a, b) == Some(false)),
        }
    }

    /// The paths that it reads, from left to right.
    pub fn paths(&self) -> Vec<&Path> {
        let mut out = Vec::new();
        self.collect(&mut out);
        out
    }

    fn collect<'c>(&'c self, out: &mut Vec<&'c Path>) {
        let each = |operand: &'c Operand, out: &mut Vec<&'c Path>| out.extend(operand.path());
        match self {
            Condition::Compare(_, a, b)
            | Condition::BeginsWith(a, b)
            | Condition::Contains(a, b)
            | Condition::NotContains(a, b) => {
                each(a, out);
                each(b, out);
            }
            Condition::Between(a, b, c) => {
                each(a, out);
                each(b, out);
                each(c, out);
            }
            Condition::In(a, list) => {
                each(a, out);
                list.iter().for_each(|one| each(one, out));
            }
            Condition::And(terms) | Condition::Or(terms) => terms.iter().for_each(|term| term.collect(out)),
            Condition::Not(inner) => inner.collect(out),
            Condition::Same(a, b) => {
                a.collect(out);
                b.collect(out);
            }
            Condition::Exists(path) | Condition::NotExists(path) => out.push(path),
            Condition::Type(a, _) => each(a, out),
        }
    }
}

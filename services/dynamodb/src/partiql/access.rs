//! Which keys a condition of a statement names: the one item that changes, or the partitions that are read.

use super::{Change, Exists, Select};
use crate::expression::{
    Comparator, Condition, KeyCondition, KeyPredicate, KeyQuery, KeySchema, Operand, Path,
};
use crate::value::{Item, Kind, Value, invalid, order};
use bytes::Bytes;
use cloudlet_service::Error;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// How the items of a `SELECT` are read. Whatever it is, each item must still be held against the condition: a read
/// may give more than that, never less.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// One partition after the other; no item twice.
    Queries(Vec<KeyQuery>),
    /// Everything.
    Scan,
}

/// The most reads that one statement may become.
const MAX_READS: usize = 50;
/// How many ways to meet a condition are looked at.
const MAX_BRANCHES: usize = 512;

const NO_KEY: &str = "Where clause does not contain a mandatory equality on all key attributes";

/// The key that a condition names by equality with all of its attributes, and what else the condition says.
fn key_and_rest(
    condition: Option<&Condition>,
    schema: KeySchema<'_>,
) -> Result<(Item, Option<Condition>), Error> {
    let mut terms = Vec::new();
    if let Some(condition) = condition {
        flatten(condition, &mut terms);
    }
    let (mut key, mut rest) = (Item::new(), Vec::new());
    for term in terms {
        let kind_of = |name: &str| attributes(schema).find(|(key, _)| *key == name).map(|(_, kind)| kind);
        match equality(term) {
            Some((name, value)) if kind_of(name).is_some_and(|kind| kind == value.kind()) => {
                if key.insert(name.to_owned(), value.clone()).is_some() {
                    return Err(invalid("Multiple conditions on same key"));
                }
            }
            Some((name, _)) if kind_of(name).is_some() => return Err(wrong_key_type(name)),
            _ => rest.push(term.clone()),
        }
    }
    if attributes(schema).any(|(name, _)| !key.contains_key(name)) {
        return Err(invalid(NO_KEY));
    }
    let rest = match rest.len() {
        0 => None,
        1 => rest.pop(),
        _ => Some(Condition::And(rest)),
    };
    Ok((key, rest))
}

fn wrong_key_type(name: &str) -> Error {
    invalid(format!("Key attribute's data type should match its data type in table's schema: Key {name}"))
}

fn attributes<'s>(schema: KeySchema<'s>) -> impl Iterator<Item = (&'s str, Kind)> {
    schema.hash.iter().chain(schema.range).copied()
}

fn flatten<'c>(condition: &'c Condition, out: &mut Vec<&'c Condition>) {
    match condition {
        Condition::And(terms) => terms.iter().for_each(|term| flatten(term, out)),
        other => out.push(other),
    }
}

/// Attribute and value, if the condition says that they are equal.
fn equality(condition: &Condition) -> Option<(&str, &Value)> {
    match condition {
        Condition::Compare(Comparator::Equal, Operand::Path(path), Operand::Value(value))
        | Condition::Compare(Comparator::Equal, Operand::Value(value), Operand::Path(path)) => {
            (!path.is_nested()).then_some((path.root(), value))
        }
        _ => None,
    }
}

impl Change {
    /// The key of the item that changes, and what the item must meet besides.
    ///
    /// Errors: the condition does not name one item of a table with this key.
    pub fn key(&self, schema: KeySchema<'_>) -> Result<(Item, Option<Condition>), Error> {
        key_and_rest(self.condition.as_ref(), schema)
    }
}

impl Exists {
    /// The key of the item that must be there, and what it must meet besides; see [`Change::key`].
    pub fn key(&self, schema: KeySchema<'_>) -> Result<(Item, Option<Condition>), Error> {
        key_and_rest(self.condition.as_ref(), schema)
    }
}

impl Select {
    /// The key of the one item that is read, and what it must meet besides; see [`Change::key`].
    pub fn key(&self, schema: KeySchema<'_>) -> Result<(Item, Option<Condition>), Error> {
        key_and_rest(self.condition.as_ref(), schema)
    }

    /// How the items are read from a table or index with this key, and whether its sort key is walked downwards.
    ///
    /// Errors: a key attribute is held against a value of another type; the statement would become too many reads; it
    /// asks for an order that the keys do not have.
    pub fn access(&self, schema: KeySchema<'_>) -> Result<(Access, bool), Error> {
        let mut access = match &self.condition {
            Some(condition) => access(condition, schema)?,
            None => Access::Scan,
        };
        for (name, _) in &self.order {
            if !attributes(schema).any(|(key, _)| key == name) {
                return Err(invalid(format!(
                    "Variable reference {name} in ORDER BY clause must be part of the primary key"
                )));
            }
        }
        if access == Access::Scan && !self.order.is_empty() {
            return Err(invalid(
                "Must have at least one non-optional hash key condition in WHERE clause when using ORDER BY clause.",
            ));
        }
        let last = self.order.iter().rev().find(|(name, _)| schema.range.iter().any(|(key, _)| key == name));
        let descending = last.or(self.order.first()).is_some_and(|(_, descending)| *descending);
        if let Access::Queries(queries) = &mut access
            && !self.order.is_empty()
        {
            let of_hash = self.order.iter().find(|(name, _)| schema.hash.iter().any(|(key, _)| key == name));
            sort(queries, of_hash.map(|(_, descending)| *descending), descending);
        }
        Ok((access, descending))
    }
}

/// Puts reads into the order that is asked for: by partition key, downwards or not, where that was said, and within a
/// partition by where they begin.
fn sort(queries: &mut [KeyQuery], partitions: Option<bool>, descending: bool) {
    let encoded = |values: &mut dyn Iterator<Item = &Value>| {
        let mut out = Vec::new();
        for value in values {
            order::encode(value, &mut out);
        }
        out
    };
    let mut hashes: Vec<Vec<u8>> = Vec::new();
    for query in queries.iter() {
        let hash = encoded(&mut query.hash.iter());
        if !hashes.contains(&hash) {
            hashes.push(hash);
        }
    }
    match partitions {
        Some(false) => hashes.sort(),
        Some(true) => hashes.sort_by(|a, b| b.cmp(a)),
        None => {}
    }
    let place = |query: &KeyQuery| {
        let hash = encoded(&mut query.hash.iter());
        let begin = bounds(query).0.map(|(value, _)| encoded(&mut std::iter::once(&value)));
        (hashes.iter().position(|one| *one == hash), begin)
    };
    queries.sort_by(|a, b| {
        let ((a, low), (b, other)) = (place(a), place(b));
        let begin = if descending { other.cmp(&low) } else { low.cmp(&other) };
        a.cmp(&b).then(begin)
    });
}

/// One way to meet a condition, as far as keys go.
type Branch = BTreeMap<String, KeyPredicate>;

fn access(condition: &Condition, schema: KeySchema<'_>) -> Result<Access, Error> {
    let Some(branches) = branches(condition, schema)? else {
        return Ok(Access::Scan);
    };
    let pinned = |branch: &Branch| {
        schema
            .hash
            .iter()
            .all(|(name, _)| matches!(branch.get(*name), Some(KeyPredicate::Compare(Comparator::Equal, _))))
    };
    if !branches.iter().all(pinned) {
        return Ok(Access::Scan);
    }
    let mut queries: Vec<KeyQuery> = Vec::new();
    for branch in branches {
        let query = query(branch, schema)?;
        if !queries.contains(&query) {
            queries.push(query);
        }
    }
    if queries.len() > MAX_READS {
        return Err(invalid("Too many decomposed read operations for a given query."));
    }
    if let [(_, _)] = schema.range {
        if queries
            .iter()
            .enumerate()
            .any(|(i, a)| queries[..i].iter().any(|b| a.hash == b.hash && meet(a, b)))
        {
            return Err(invalid("Overlapping conditions with range keys are not supported in where clause"));
        }
        return Ok(Access::Queries(queries));
    }
    // With several attributes in the sort key, reads of one partition become one read of all of it.
    let mut out: Vec<KeyQuery> = Vec::new();
    for query in &queries {
        let alone = queries.iter().filter(|other| other.hash == query.hash).count() == 1;
        if alone {
            out.push(query.clone());
        } else if !out.iter().any(|other| other.hash == query.hash) {
            out.push(KeyQuery { hash: query.hash.clone(), range: Vec::new(), last: None });
        }
    }
    Ok(Access::Queries(out))
}

/// The least and the greatest value of a sort key that a read gives, and whether they belong to it.
type Bounds = (Option<(Value, bool)>, Option<(Value, bool)>);

fn bounds(query: &KeyQuery) -> Bounds {
    if let Some(value) = query.range.first() {
        let edge = Some((value.clone(), true));
        return (edge.clone(), edge);
    }
    let edge = |value: &Value, included: bool| Some((value.clone(), included));
    match &query.last {
        None | Some(KeyPredicate::NotIndexable) => (None, None),
        Some(KeyPredicate::Compare(comparator, value)) => match comparator {
            Comparator::Less => (None, edge(value, false)),
            Comparator::LessEqual => (None, edge(value, true)),
            Comparator::Greater => (edge(value, false), None),
            Comparator::GreaterEqual => (edge(value, true), None),
            Comparator::Equal | Comparator::NotEqual => (edge(value, true), edge(value, true)),
        },
        Some(KeyPredicate::Between(low, high)) => (edge(low, true), edge(high, true)),
        Some(KeyPredicate::BeginsWith(prefix)) => (edge(prefix, true), after(prefix)),
    }
}

/// What comes behind everything that begins so; nothing if nothing does.
fn after(prefix: &Value) -> Option<(Value, bool)> {
    let mut bytes = match prefix {
        Value::S(text) => text.as_bytes().to_vec(),
        Value::B(bytes) => bytes.to_vec(),
        _ => return None,
    };
    while let Some(last) = bytes.pop() {
        if last < u8::MAX {
            bytes.push(last + 1);
            return Some((Value::B(bytes.into()), false));
        }
    }
    None
}

/// Whether two reads of one partition could give the same item.
fn meet(a: &KeyQuery, b: &KeyQuery) -> bool {
    let bytes = |value: &Value| match value {
        // Text is compared by its bytes, and the end of a prefix need not be text.
        Value::S(text) => Value::B(Bytes::copy_from_slice(text.as_bytes())),
        other => other.clone(),
    };
    let before = |high: &Option<(Value, bool)>, low: &Option<(Value, bool)>| match (high, low) {
        (Some((high, high_in)), Some((low, low_in))) => match bytes(high).compare(&bytes(low)) {
            Some(Ordering::Less) => true,
            Some(Ordering::Equal) => !(*high_in && *low_in),
            _ => false,
        },
        _ => false,
    };
    let ((a_low, a_high), (b_low, b_high)) = (bounds(a), bounds(b));
    !before(&a_high, &b_low) && !before(&b_high, &a_low)
}

/// The read of a branch. Conditions on the sort key that do not fit together are left to the filter.
fn query(mut branch: Branch, schema: KeySchema<'_>) -> Result<KeyQuery, Error> {
    loop {
        let condition = KeyCondition { by_attribute: branch.clone() };
        match condition.resolve(schema) {
            Ok(query) => return Ok(query),
            Err(error) => {
                let last = schema.range.iter().rev().find(|(name, _)| branch.contains_key(*name));
                let Some((name, _)) = last else {
                    return Err(error);
                };
                branch.remove(*name);
            }
        }
    }
}

/// All ways to meet a condition; `None` if they are too many to look at.
fn branches(condition: &Condition, schema: KeySchema<'_>) -> Result<Option<Vec<Branch>>, Error> {
    let key = |path: &Path| {
        attributes(schema).find(|(name, _)| !path.is_nested() && *name == path.root()).map(|(_, kind)| kind)
    };
    let single = |path: &Path, predicate: KeyPredicate| {
        Some(vec![Branch::from([(path.root().to_owned(), predicate)])])
    };
    let typed = |path: &Path, kind: Kind, values: &[&Value]| match values.iter().all(|v| v.kind() == kind) {
        true => Ok(()),
        false => Err(wrong_key_type(path.root())),
    };
    let nothing = || Some(vec![Branch::new()]);
    Ok(match condition {
        Condition::And(terms) => {
            let mut out = vec![Branch::new()];
            for term in terms {
                let Some(more) = branches(term, schema)? else {
                    return Ok(None);
                };
                if out.len() * more.len() > MAX_BRANCHES {
                    return Ok(None);
                }
                let joined = out.iter().flat_map(|a| more.iter().map(move |b| join(a, b)));
                out = joined.collect();
            }
            Some(out)
        }
        Condition::Or(terms) => {
            let mut out = Vec::new();
            for term in terms {
                let Some(more) = branches(term, schema)? else {
                    return Ok(None);
                };
                out.extend(more);
                if out.len() > MAX_BRANCHES {
                    return Ok(None);
                }
            }
            Some(out)
        }
        Condition::Compare(comparator, left, right) => {
            let (path, value, comparator) = match (left, right) {
                (Operand::Path(path), Operand::Value(value)) => (path, value, *comparator),
                (Operand::Value(value), Operand::Path(path)) => (path, value, comparator.mirrored()),
                _ => return Ok(nothing()),
            };
            match key(path) {
                Some(kind) => {
                    typed(path, kind, &[value])?;
                    if comparator == Comparator::NotEqual {
                        return Ok(nothing());
                    }
                    single(path, KeyPredicate::Compare(comparator, value.clone()))
                }
                None => nothing(),
            }
        }
        Condition::Between(Operand::Path(path), Operand::Value(low), Operand::Value(high)) => match key(path)
        {
            Some(kind) => {
                typed(path, kind, &[low, high])?;
                single(path, KeyPredicate::Between(low.clone(), high.clone()))
            }
            None => nothing(),
        },
        Condition::BeginsWith(Operand::Path(path), Operand::Value(prefix)) => match key(path) {
            Some(kind) if kind == prefix.kind() => single(path, KeyPredicate::BeginsWith(prefix.clone())),
            _ => nothing(),
        },
        Condition::In(Operand::Path(path), list) => {
            let values: Option<Vec<&Value>> = list
                .iter()
                .map(|one| match one {
                    Operand::Value(value) => Some(value),
                    _ => None,
                })
                .collect();
            match (key(path), values) {
                (Some(kind), Some(values)) => {
                    typed(path, kind, &values)?;
                    let equal = |value: &&Value| KeyPredicate::Compare(Comparator::Equal, (*value).clone());
                    Some(values.iter().map(|v| Branch::from([(path.root().to_owned(), equal(v))])).collect())
                }
                _ => nothing(),
            }
        }
        _ => nothing(),
    })
}

/// Both branches at once. Where both say something of one attribute an equality is kept, else the first: the filter
/// sees to the rest.
fn join(a: &Branch, b: &Branch) -> Branch {
    let mut out = a.clone();
    for (name, predicate) in b {
        let equality = matches!(predicate, KeyPredicate::Compare(Comparator::Equal, _));
        match out.get(name) {
            Some(KeyPredicate::Compare(Comparator::Equal, _)) => {}
            Some(_) if !equality => {}
            _ => {
                out.insert(name.clone(), predicate.clone());
            }
        }
    }
    out
}

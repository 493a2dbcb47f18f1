//! Where an item lies: its primary key, checked in AWS's words and written so that the store's order is DynamoDB's.
//!
//! ```text
//! space (8) · hash of the partition key (8) · partition key · sort key [· the item's primary key, in an index]
//! ```
//!
//! The hash before the partition key gives scans the order that users know, and splits a table into even segments.
//! Source: Developer Guide, "Partitions and data distribution", "Scanning tables"; the answers of DynamoDB.

use crate::errors::{Result, invalid, parameters};
use crate::expression::{Action, Assigned, Path, Source, Update};
use crate::state::{Index, KeyKind, Keys, Table};
use crate::value::{Item, Kind, Value, order, size};
use cloudlet_service::Error;
use cloudlet_store::{Key, KeyRange};
use xxhash_rust::xxh3::xxh3_64;

pub(crate) fn kind(kind: KeyKind) -> Kind {
    match kind {
        KeyKind::S => Kind::S,
        KeyKind::N => Kind::N,
        KeyKind::B => Kind::B,
    }
}

/// The bytes of a partition key, in its space: all that its items have in common.
pub(crate) fn partition<'a>(space: u64, values: impl Iterator<Item = &'a Value>) -> Vec<u8> {
    let mut out = Vec::with_capacity(80);
    out.extend_from_slice(&space.to_be_bytes());
    out.extend_from_slice(&[0; 8]);
    for value in values {
        order::encode(value, &mut out);
    }
    let hash = xxh3_64(&out[16..]);
    out[8..16].copy_from_slice(&hash.to_be_bytes());
    out
}

/// The key of an item in its table.
pub(crate) fn primary(table: &Table, item: &Item) -> Option<Key> {
    let mut out = partition(table.number, table.keys.hash.iter().filter_map(|name| item.get(name)));
    for name in &table.keys.range {
        order::encode(item.get(name)?, &mut out);
    }
    table.keys.hash.iter().all(|name| item.contains_key(name)).then(|| Key::from_bytes(out))
}

/// The key of an item's entry in an index; `None` where the item has not all of the index's attributes, or not with
/// their types, and is not in the index.
pub(crate) fn entry(table: &Table, index: &Index, item: &Item) -> Option<Key> {
    for name in index.keys.names() {
        let expected = table.kind_of(name).map(kind)?;
        if item.get(name)?.kind() != expected {
            return None;
        }
    }
    let mut out = partition(index.number, index.keys.hash.iter().filter_map(|name| item.get(name)));
    let rest = index.keys.range.iter().chain(&table.keys.hash).chain(&table.keys.range);
    for name in rest {
        order::encode(item.get(name)?, &mut out);
    }
    Some(Key::from_bytes(out))
}

/// All of a space.
pub(crate) fn space(number: u64) -> KeyRange {
    Key::new().number(number).prefix_range()
}

/// The part of a space whose hashes belong to a segment of a parallel scan.
pub(crate) fn segment(number: u64, segment: u32, total: u32) -> KeyRange {
    let bound = |at: u32| u64::try_from((u128::from(at) << 64) / u128::from(total.max(1))).ok();
    let mut range = space(number);
    if let Some(from) = bound(segment).filter(|_| segment > 0) {
        range = range.from(&Key::new().number(number).number(from));
    }
    if let Some(until) = bound(segment + 1) {
        range = range.until(&Key::new().number(number).number(until));
    }
    range
}

/// The segment that a key belongs to.
pub(crate) fn segment_of(key: &Key, total: u32) -> u32 {
    let mut parts = key.parts();
    let hash = parts.number().and_then(|_| parts.number()).unwrap_or_default();
    let total = u128::from(total.max(1));
    // The segment whose bounds, as `segment` makes them, hold the hash.
    let mut at = (u128::from(hash) * total) >> 64;
    while at + 1 < total && ((at + 1) << 64) / total <= u128::from(hash) {
        at += 1;
    }
    u32::try_from(at).unwrap_or(0)
}

fn mismatch() -> Error {
    invalid("The provided key element does not match the schema")
}

fn empty(value: &Value) -> Option<&'static str> {
    match value {
        Value::S(text) if text.is_empty() => Some("string"),
        Value::B(bytes) if bytes.is_empty() => Some("binary"),
        _ => None,
    }
}

/// A key attribute's value: neither empty nor too long.
fn check_value(name: &str, value: &Value, partition: bool) -> Result<()> {
    if let Some(what) = empty(value) {
        return Err(invalid(format!(
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty \
             {what} value. Key: {name}"
        )));
    }
    size::check_key(value, partition)
}

/// One attribute of a start key.
pub(crate) fn check_piece(table: &Table, name: &str, value: &Value, partition: bool) -> Result<()> {
    if table.kind_of(name).map(kind) != Some(value.kind()) {
        return Err(mismatch());
    }
    check_value(name, value, partition)
}

/// Paths of expressions may not lead into keys.
pub(crate) fn check_paths<'p>(
    table: &Table,
    paths: impl IntoIterator<Item = &'p Path> + Clone,
) -> Result<()> {
    let indexes = table.globals.iter().chain(&table.locals).flat_map(|index| index.keys.names());
    crate::expression::check_nested_keys(paths, table.keys.names(), indexes)
}

/// The key that a `Key` parameter names: exactly the key's attributes, with their types.
pub(crate) fn given(table: &Table, key: &Item) -> Result<Key> {
    if key.len() != table.keys.names().count() {
        return Err(mismatch());
    }
    for name in table.keys.names() {
        let value = key.get(name).ok_or_else(mismatch)?;
        if table.kind_of(name).map(kind) != Some(value.kind()) {
            return Err(mismatch());
        }
    }
    for name in table.keys.names() {
        if let Some(value) = key.get(name) {
            check_value(name, value, table.keys.hash.iter().any(|hash| hash == name))?;
        }
    }
    primary(table, key).ok_or_else(mismatch)
}

/// The key of an item to be put, whose key attributes and index keys are checked.
pub(crate) fn of_item(table: &Table, item: &Item) -> Result<Key> {
    for name in table.keys.names() {
        let Some(value) = item.get(name) else {
            return Err(parameters(format_args!("Missing the key {name} in the item")));
        };
        let expected = table.kind_of(name).map(kind);
        if expected != Some(value.kind()) {
            return Err(parameters(format_args!(
                "Type mismatch for key {name} expected: {} actual: {}",
                expected.map_or("", Kind::name),
                value.type_name()
            )));
        }
    }
    for name in table.keys.names() {
        if let Some(value) = item.get(name) {
            check_value(name, value, table.keys.hash.iter().any(|hash| hash == name))?;
        }
    }
    check_indexed(table, item)?;
    primary(table, item).ok_or_else(mismatch)
}

/// A batch says of an item without its key what is said of a key that is none.
pub(crate) fn check_put_in_batch(table: &Table, item: &Item) -> Result<()> {
    let fits = |name: &str| item.get(name).map(Value::kind) == table.kind_of(name).map(kind);
    if table.keys.names().all(fits) { Ok(()) } else { Err(mismatch()) }
}

/// What an item has for the keys of indexes must be of their types, not empty, and not too long.
pub(crate) fn check_indexed(table: &Table, item: &Item) -> Result<()> {
    for index in table.globals.iter().chain(&table.locals) {
        for name in index.keys.names() {
            let (Some(value), Some(expected)) = (item.get(name), table.kind_of(name).map(kind)) else {
                continue;
            };
            if value.kind() != expected {
                return Err(parameters(format_args!(
                    "Type mismatch for Index Key {name} Expected: {} Actual: {} IndexName: {}",
                    expected.name(),
                    value.type_name(),
                    index.name
                )));
            }
            if table.keys.has(name) {
                continue;
            }
            if let Some(what) = empty(value) {
                return Err(invalid(format!(
                    "One or more parameter values are not valid. A value specified for a secondary index key is not \
                     supported. The AttributeValue for a key attribute cannot contain an empty {what} value. IndexName: \
                     {}, IndexKey: {name}",
                    index.name
                )));
            }
            size::check_key(value, index.keys.hash.iter().any(|hash| hash == name))?;
        }
    }
    Ok(())
}

/// An update may not give the key of an index a value of another type; what is only known once it is done is checked
/// then.
pub(crate) fn check_update(table: &Table, update: &Update) -> Result<()> {
    for index in table.globals.iter().chain(&table.locals) {
        for name in index.keys.names() {
            let Some(expected) = table.kind_of(name).map(kind) else { continue };
            let action = update.actions().iter().find(|action| {
                let path = action.path();
                !path.is_nested() && path.root() == name
            });
            let given = match action {
                Some(Action::Set(_, Assigned::Source(Source::Value(value))) | Action::Add(_, value)) => {
                    value.kind()
                }
                _ => continue,
            };
            if given != expected {
                return Err(parameters(format_args!(
                    "Type mismatch for Index Key {name} Expected: {} Actual: {} IndexName: {}",
                    expected.name(),
                    given.name(),
                    index.name
                )));
            }
        }
    }
    Ok(())
}

/// The same for an item that an update made: AWS has other words for it. `changed` says whether the update touched an
/// attribute.
pub(crate) fn check_updated(table: &Table, item: &Item, changed: impl Fn(&str) -> bool) -> Result<()> {
    for index in table.globals.iter().chain(&table.locals) {
        for name in index.keys.names() {
            let (Some(value), Some(expected)) = (item.get(name), table.kind_of(name).map(kind)) else {
                continue;
            };
            if table.keys.has(name) || !changed(name) {
                continue;
            }
            if value.kind() != expected {
                return Err(invalid(
                    "The update expression attempted to update the secondary index key to unsupported type",
                ));
            }
            if let Some(what) = empty(value) {
                return Err(invalid(format!(
                    "One or more parameter values are not valid. The update expression attempted to update a secondary \
                     index key to a value that is not supported. The AttributeValue for a key attribute cannot contain \
                     an empty {what} value."
                )));
            }
            if size::check_key(value, index.keys.hash.iter().any(|hash| hash == name)).is_err() {
                return Err(invalid(
                    "The update expression attempted to update the secondary index key beyond allowed size limits",
                ));
            }
        }
    }
    Ok(())
}

/// The key attributes of an item.
pub(crate) fn of(keys: &Keys, item: &Item) -> Item {
    let found = keys.names().filter_map(|name| Some((name.to_owned(), item.get(name)?.clone())));
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hash_is_in_exactly_one_segment() {
        for total in [1, 2, 3, 7, 1000, 1_000_000] {
            for hash in [0, 1, u64::MAX / 3, u64::MAX / 2, u64::MAX / 2 + 1, u64::MAX - 1, u64::MAX] {
                let key = Key::new().number(5).number(hash).raw_tail(b"x");
                let mine = segment_of(&key, total);
                for at in [mine.saturating_sub(1), mine, (mine + 1).min(total - 1)] {
                    // An empty rest after the key means that the range holds it.
                    let range = segment(5, at, total);
                    let holds =
                        range.clone().from(&key).until(&Key::from_bytes([key.as_bytes(), &[0]].concat()))
                            == KeyRange::between(&key, &Key::from_bytes([key.as_bytes(), &[0]].concat()));
                    assert_eq!(holds, at == mine, "{hash} of {total} in {at}");
                }
            }
        }
    }
}

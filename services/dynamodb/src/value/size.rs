//! How large AWS takes an item to be, and what reading and writing it costs.
//!
//! Source: Developer Guide, "DynamoDB item sizes and formats" and "Read and write capacity units". Numbers are said
//! there to take "approximately" a byte for two digits and one more; what AWS counts is pairs of digits aligned at the
//! decimal point, a byte for the exponent, and one for a sign.

use super::{Item, Number, Value, invalid_values};
use cloudlet_service::Error;

/// The largest item.
pub const MAX_ITEM: usize = 400 * 1024;
/// The largest partition key, in bytes.
pub const MAX_PARTITION_KEY: usize = 2048;
/// The largest sort key, in bytes.
pub const MAX_SORT_KEY: usize = 1024;
/// What a list or map takes besides its contents.
const DOCUMENT: usize = 3;
/// What each of its elements takes besides its value.
const ELEMENT: usize = 1;
/// The most bytes that a number takes.
const MAX_NUMBER: usize = 21;

/// The size of an item: names and values.
pub fn item(item: &Item) -> usize {
    item.iter().map(|(name, value)| attribute(name, value)).sum()
}

/// The size of one attribute: its name and its value.
pub fn attribute(name: &str, value: &Value) -> usize {
    name.len() + self::value(value)
}

/// The size of a value alone.
pub fn value(value: &Value) -> usize {
    match value {
        Value::S(text) => text.len(),
        Value::N(number) => self::number(number),
        Value::B(bytes) => bytes.len(),
        Value::Bool(_) | Value::Null => 1,
        Value::SS(set) => set.iter().map(String::len).sum(),
        Value::NS(set) => set.iter().map(number).sum(),
        Value::BS(set) => set.iter().map(|bytes| bytes.len()).sum(),
        Value::L(list) => DOCUMENT + list.iter().map(|v| ELEMENT + self::value(v)).sum::<usize>(),
        Value::M(map) => DOCUMENT + map.iter().map(|(k, v)| ELEMENT + attribute(k, v)).sum::<usize>(),
    }
}

/// The size of a number.
pub fn number(number: &Number) -> usize {
    if number.is_zero() {
        return 1;
    }
    // Pairs are aligned at the point: an odd place on either side widens by one digit.
    let last = number.exponent().div_euclid(2);
    let first = number.magnitude().div_euclid(2);
    let pairs = (first - last + 1).unsigned_abs() as usize;
    (1 + pairs + usize::from(number.is_negative())).min(MAX_NUMBER)
}

/// Read units of this many bytes: one for 4 KiB, half of it if the read is eventually consistent, twice in a
/// transaction. Nothing read counts as one unit.
pub fn read_units(bytes: usize, read: Read) -> f64 {
    let units = bytes.div_ceil(4096).max(1) as f64;
    match read {
        Read::Eventual => units / 2.0,
        Read::Consistent => units,
        Read::Transactional => units * 2.0,
    }
}

/// Write units of this many bytes: one for 1 KiB, twice in a transaction.
pub fn write_units(bytes: usize, transactional: bool) -> f64 {
    let units = bytes.div_ceil(1024).max(1) as f64;
    if transactional { units * 2.0 } else { units }
}

/// How something is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// Eventually consistent.
    Eventual,
    /// Strongly consistent.
    Consistent,
    /// In a transaction.
    Transactional,
}

/// Errors: a key attribute's value that is longer than AWS takes.
pub(crate) fn check_key(value: &Value, partition: bool) -> Result<(), Error> {
    let bytes = self::value(value);
    if partition && bytes > MAX_PARTITION_KEY {
        return Err(invalid_values(format_args!(
            "Size of hashkey has exceeded the maximum size limit of{MAX_PARTITION_KEY} bytes"
        )));
    }
    if !partition && bytes > MAX_SORT_KEY {
        return Err(invalid_values(format_args!(
            "Aggregated size of all range keys has exceeded the size limit of {MAX_SORT_KEY} bytes"
        )));
    }
    Ok(())
}

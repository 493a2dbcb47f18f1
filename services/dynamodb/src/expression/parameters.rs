//! `ExpressionAttributeNames` and `ExpressionAttributeValues`: what the placeholders of a request's expressions mean,
//! and which of them were used.

use crate::value::{Value, invalid};
use cloudlet_api_dynamodb::AttributeValue;
use cloudlet_service::Error;
use std::collections::BTreeMap;

/// The longest placeholder, in bytes. Source: Developer Guide, "Quotas", expression parameters.
const MAX_KEY: usize = 255;
/// The most bytes that all names, and all values, of a request may have together.
const MAX_SUBSTITUTED: usize = 2 * 1024 * 1024;
/// The longest name of an attribute.
const MAX_NAME: usize = 65535;

/// What placeholders stand for. Lives as long as the parsing of one request.
#[derive(Debug, Default)]
pub struct Parameters {
    names: BTreeMap<String, (String, bool)>,
    values: BTreeMap<String, (Value, bool)>,
}

impl Parameters {
    /// Takes both maps as a request has them.
    ///
    /// Errors: `ValidationException` for an empty map, for a placeholder that is none, for a value that cannot be.
    pub fn new(
        names: Option<&BTreeMap<String, String>>,
        values: Option<&BTreeMap<String, AttributeValue>>,
    ) -> Result<Self, Error> {
        Self::with_prefix(names, values, true)
    }

    /// As [`Self::new`] for PutItem and UpdateItem, whose messages about a value do not say which it is.
    pub fn bare(
        names: Option<&BTreeMap<String, String>>,
        values: Option<&BTreeMap<String, AttributeValue>>,
    ) -> Result<Self, Error> {
        Self::with_prefix(names, values, false)
    }

    fn with_prefix(
        names: Option<&BTreeMap<String, String>>,
        values: Option<&BTreeMap<String, AttributeValue>>,
        prefix: bool,
    ) -> Result<Self, Error> {
        let mut out = Self::default();
        if let Some(names) = names {
            out.take_names(names)?;
        }
        if let Some(values) = values {
            out.take_values(values, prefix)?;
        }
        Ok(out)
    }

    fn take_names(&mut self, names: &BTreeMap<String, String>) -> Result<(), Error> {
        const MAP: &str = "ExpressionAttributeNames";
        check_keys(MAP, '#', names.keys())?;
        let mut total = 0;
        for (key, name) in names {
            if name.is_empty() {
                return Err(invalid(format!(
                    "{MAP} contains invalid value: Empty attribute name for key {key}"
                )));
            }
            if name.len() > MAX_NAME {
                return Err(invalid(format!(
                    "{MAP} contains invalid value: Attribute name exceeds maximum size for key {key}"
                )));
            }
            total += key.len() + name.len();
            self.names.insert(key.clone(), (name.clone(), false));
        }
        if total > MAX_SUBSTITUTED { Err(invalid(format!("{MAP} exceeds max size"))) } else { Ok(()) }
    }

    fn take_values(&mut self, values: &BTreeMap<String, AttributeValue>, prefix: bool) -> Result<(), Error> {
        const MAP: &str = "ExpressionAttributeValues";
        check_keys(MAP, ':', values.keys())?;
        let mut total = 0;
        for (key, value) in values {
            let value = Value::from_api(value).map_err(|error| match prefix {
                true => invalid(format!("{MAP} contains invalid value: {} for key {key}", error.message())),
                false => error,
            })?;
            total += crate::value::size::attribute(key, &value);
            self.values.insert(key.clone(), (value, false));
        }
        if total > MAX_SUBSTITUTED { Err(invalid(format!("{MAP} exceeds max size"))) } else { Ok(()) }
    }

    /// The name behind `#placeholder`, which is used now.
    pub(crate) fn name(&mut self, placeholder: &str) -> Result<String, String> {
        let (name, used) = self.names.get_mut(placeholder).ok_or_else(|| undefined_name(placeholder))?;
        *used = true;
        Ok(name.clone())
    }

    /// Whether `#placeholder` is defined.
    pub(crate) fn has_name(&self, placeholder: &str) -> Result<(), String> {
        if self.names.contains_key(placeholder) { Ok(()) } else { Err(undefined_name(placeholder)) }
    }

    /// The value behind `:placeholder`, which is used now.
    pub(crate) fn value(&mut self, placeholder: &str) -> Result<Value, String> {
        let (value, used) = self.values.get_mut(placeholder).ok_or_else(|| undefined_value(placeholder))?;
        *used = true;
        Ok(value.clone())
    }

    /// Whether `:placeholder` is defined.
    pub(crate) fn has_value(&self, placeholder: &str) -> Result<(), String> {
        if self.values.contains_key(placeholder) { Ok(()) } else { Err(undefined_value(placeholder)) }
    }

    /// Refuses placeholders that no expression of the request used. To be called when all have been read.
    pub fn finish(&self) -> Result<(), Error> {
        unused("ExpressionAttributeNames", self.names.iter().map(|(key, (_, used))| (key, *used)))?;
        unused("ExpressionAttributeValues", self.values.iter().map(|(key, (_, used))| (key, *used)))
    }
}

fn undefined_name(placeholder: &str) -> String {
    format!(
        "An expression attribute name used in the document path is not defined; attribute name: {placeholder}"
    )
}

fn undefined_value(placeholder: &str) -> String {
    format!("An expression attribute value used in expression is not defined; attribute value: {placeholder}")
}

fn unused<'k>(map: &str, keys: impl Iterator<Item = (&'k String, bool)>) -> Result<(), Error> {
    let unused: Vec<&str> = keys.filter(|(_, used)| !used).map(|(key, _)| key.as_str()).collect();
    if unused.is_empty() {
        return Ok(());
    }
    Err(invalid(format!("Value provided in {map} unused in expressions: keys: {{{}}}", unused.join(", "))))
}

fn check_keys<'k>(map: &str, first: char, keys: impl Iterator<Item = &'k String>) -> Result<(), Error> {
    let mut any = false;
    for key in keys {
        any = true;
        if key.len() > MAX_KEY {
            return Err(invalid(format!(
                "{map} contains invalid key: The expression attribute map contains a key that is too long; \
                 size of key: {}",
                key.len()
            )));
        }
        let rest = key.strip_prefix(first).unwrap_or_default();
        if rest.is_empty() || !rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(invalid(format!("{map} contains invalid key: Syntax error; key: \"{key}\"")));
        }
    }
    if any { Ok(()) } else { Err(invalid(format!("{map} must not be empty"))) }
}

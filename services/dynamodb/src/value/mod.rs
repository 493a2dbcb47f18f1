//! What an attribute can hold.
//!
//! Source: DynamoDB Developer Guide, "Supported data types and naming rules" and "Quotas".

mod number;
pub mod order;
pub mod size;
mod stored;
#[cfg(test)]
mod tests;

use base64::Engine;
use bytes::Bytes;
use cloudlet_api_dynamodb::{AttributeValue, Blob};
use cloudlet_service::Error;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};

pub use number::{Number, NumberError};

/// An item, or the members of a map: attributes by name.
pub type Item = BTreeMap<String, Value>;

/// How deep documents may nest; the attribute itself is the first level.
/// Source: Developer Guide, "Quotas", nested attribute depth.
pub const MAX_DEPTH: usize = 32;

/// The value of an attribute.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// Text.
    S(String),
    /// A number of up to 38 digits.
    N(Number),
    /// Bytes.
    B(Bytes),
    /// True or false.
    Bool(bool),
    /// Nothing, said explicitly.
    Null,
    /// Texts, each once; never empty.
    SS(BTreeSet<String>),
    /// Numbers, each once; never empty.
    NS(BTreeSet<Number>),
    /// Bytes, each once; never empty.
    BS(BTreeSet<Bytes>),
    /// Values in their order.
    L(Vec<Value>),
    /// Values by name.
    M(Item),
}

/// The ten types, in AWS's spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Kind {
    S,
    N,
    B,
    Bool,
    Null,
    SS,
    NS,
    BS,
    L,
    M,
}

impl Kind {
    /// The name on the wire: `S`, `BOOL`, `NULL`, …
    pub fn name(self) -> &'static str {
        match self {
            Kind::S => "S",
            Kind::N => "N",
            Kind::B => "B",
            Kind::Bool => "BOOL",
            Kind::Null => "NULL",
            Kind::SS => "SS",
            Kind::NS => "NS",
            Kind::BS => "BS",
            Kind::L => "L",
            Kind::M => "M",
        }
    }

    /// The name in messages about `ADD` and `DELETE`: `STRING`, `NUMBER`, …
    pub fn long_name(self) -> &'static str {
        match self {
            Kind::S => "STRING",
            Kind::N => "NUMBER",
            Kind::B => "BINARY",
            Kind::Bool => "BOOLEAN",
            Kind::Null => "NULL",
            Kind::SS => "STRING_SET",
            Kind::NS => "NUMBER_SET",
            Kind::BS => "BINARY_SET",
            Kind::L => "LIST",
            Kind::M => "MAP",
        }
    }

    /// The type with this name on the wire.
    pub fn named(name: &str) -> Option<Self> {
        use Kind::*;
        [S, N, B, Bool, Null, SS, NS, BS, L, M].into_iter().find(|kind| kind.name() == name)
    }

    /// Whether it is one of the three set types.
    pub fn is_set(self) -> bool {
        matches!(self, Kind::SS | Kind::NS | Kind::BS)
    }
}

const EMPTY: &str = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes";
const SEVERAL: &str = "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes";
const NO_NAME: &str = "Empty attribute name";
const TOO_DEEP: &str = "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit";

pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::validation(message)
}

/// AWS's sentence about values that cannot be.
pub(crate) fn invalid_values(what: impl fmt::Display) -> Error {
    Error::validation(format!("One or more parameter values were invalid: {what}"))
}

/// Documents nest too deep.
pub(crate) fn too_deep() -> Error {
    invalid(TOO_DEEP)
}

/// Whether a refusal is about the shape of a value: no type or several, no number, too deep.
pub(crate) fn is_about_shape(message: &str) -> bool {
    let not_a_number = NumberError::NotANumber(String::new()).to_string();
    [EMPTY, SEVERAL, TOO_DEEP, NO_NAME].contains(&message)
        || message.starts_with(&not_a_number)
        || [NumberError::Overflow, NumberError::Underflow, NumberError::Precision]
            .iter()
            .any(|error| error.to_string() == message)
}

impl Value {
    /// Takes a value from the wire.
    ///
    /// Errors: `ValidationException` in AWS's words for no type or several, for numbers that are none or do not fit,
    /// for empty sets and duplicates in them, and for documents nested too deep.
    pub fn from_api(value: &AttributeValue) -> Result<Self, Error> {
        convert(value.clone(), 1)
    }

    /// As [`Self::from_api`], without a copy of texts and bytes.
    pub fn take(value: AttributeValue) -> Result<Self, Error> {
        convert(value, 1)
    }

    /// The value as the wire has it.
    pub fn into_api(self) -> AttributeValue {
        let mut out = AttributeValue::default();
        match self {
            Value::S(text) => out.s = Some(text),
            Value::N(number) => out.n = Some(number.to_string()),
            Value::B(bytes) => out.b = Some(Blob::new(bytes)),
            Value::Bool(value) => out.bool = Some(value),
            Value::Null => out.null = Some(true),
            Value::SS(set) => out.ss = Some(set.into_iter().collect()),
            Value::NS(set) => out.ns = Some(set.iter().map(Number::to_string).collect()),
            Value::BS(set) => out.bs = Some(set.into_iter().map(Blob::new).collect()),
            Value::L(list) => out.l = Some(list.into_iter().map(Value::into_api).collect()),
            Value::M(map) => out.m = Some(into_api(map)),
        }
        out
    }

    /// Its type.
    pub fn kind(&self) -> Kind {
        match self {
            Value::S(_) => Kind::S,
            Value::N(_) => Kind::N,
            Value::B(_) => Kind::B,
            Value::Bool(_) => Kind::Bool,
            Value::Null => Kind::Null,
            Value::SS(_) => Kind::SS,
            Value::NS(_) => Kind::NS,
            Value::BS(_) => Kind::BS,
            Value::L(_) => Kind::L,
            Value::M(_) => Kind::M,
        }
    }

    /// The name of its type on the wire.
    pub fn type_name(&self) -> &'static str {
        self.kind().name()
    }

    /// How deep the document is: 1 for everything that holds nothing else.
    pub fn depth(&self) -> usize {
        match self {
            Value::L(list) => 1 + list.iter().map(Value::depth).max().unwrap_or(0),
            Value::M(map) => 1 + map.values().map(Value::depth).max().unwrap_or(0),
            _ => 1,
        }
    }

    /// The order of two values of one scalar type; `None` for anything else.
    pub fn compare(&self, other: &Self) -> Option<std::cmp::Ordering> {
        match (self, other) {
            (Value::S(a), Value::S(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
            (Value::N(a), Value::N(b)) => Some(a.cmp(b)),
            (Value::B(a), Value::B(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }
}

/// Attributes are named. An empty name would be the first.
fn check_names(item: &BTreeMap<String, AttributeValue>) -> Result<(), Error> {
    match item.first_key_value() {
        Some((name, _)) if name.is_empty() => Err(invalid(NO_NAME)),
        _ => Ok(()),
    }
}

/// Takes an item from the wire; see [`Value::from_api`].
pub fn from_api(item: &BTreeMap<String, AttributeValue>) -> Result<Item, Error> {
    check_names(item)?;
    item.iter().map(|(name, value)| Ok((name.clone(), Value::from_api(value)?))).collect()
}

/// As [`from_api`], without a copy of texts and bytes.
pub fn take(item: BTreeMap<String, AttributeValue>) -> Result<Item, Error> {
    check_names(&item)?;
    item.into_iter().map(|(name, value)| Ok((name, Value::take(value)?))).collect()
}

/// The item as the wire has it.
pub fn into_api(item: Item) -> BTreeMap<String, AttributeValue> {
    item.into_iter().map(|(name, value)| (name, value.into_api())).collect()
}

/// How many types the wire's value has. An absent member is none, an empty list is one.
fn types(value: &AttributeValue) -> usize {
    [
        value.s.is_some(),
        value.n.is_some(),
        value.b.is_some(),
        value.ss.is_some(),
        value.ns.is_some(),
        value.bs.is_some(),
        value.m.is_some(),
        value.l.is_some(),
        value.null.is_some(),
        value.bool.is_some(),
    ]
    .into_iter()
    .map(usize::from)
    .sum()
}

/// What each type that is set says is checked before their number, as AWS does.
fn convert(value: AttributeValue, depth: usize) -> Result<Value, Error> {
    if depth > MAX_DEPTH {
        return Err(too_deep());
    }
    let count = types(&value);
    if count == 0 {
        return Err(invalid(EMPTY));
    }
    let mut found = Value::Null;
    if let Some(text) = value.n {
        found = Value::N(text.parse().map_err(|error: NumberError| invalid(error.to_string()))?);
    }
    if value.null == Some(false) {
        return Err(invalid_values("Null attribute value types must have the value of true"));
    }
    if let Some(texts) = value.ss {
        found = Value::SS(text_set(&texts)?);
    }
    if let Some(texts) = value.ns {
        found = Value::NS(number_set(&texts)?);
    }
    if let Some(blobs) = value.bs {
        found = Value::BS(byte_set(blobs)?);
    }
    if let Some(map) = value.m {
        let member = |(name, value)| Ok((name, convert(value, depth + 1)?));
        found = Value::M(map.into_iter().map(member).collect::<Result<_, Error>>()?);
    }
    if let Some(list) = value.l {
        let elements = list.into_iter().map(|value| convert(value, depth + 1));
        found = Value::L(elements.collect::<Result<_, Error>>()?);
    }
    if count > 1 {
        return Err(invalid(SEVERAL));
    }
    if let Some(text) = value.s {
        found = Value::S(text);
    }
    if let Some(blob) = value.b {
        found = Value::B(Bytes::from(blob.into_inner()));
    }
    if let Some(value) = value.bool {
        found = Value::Bool(value);
    }
    Ok(found)
}

fn text_set(texts: &[String]) -> Result<BTreeSet<String>, Error> {
    if texts.is_empty() {
        return Err(invalid_values("An string set  may not be empty"));
    }
    let set: BTreeSet<String> = texts.iter().cloned().collect();
    if set.len() < texts.len() {
        return Err(invalid_values(format_args!(
            "Input collection [{}] contains duplicates.",
            texts.join(", ")
        )));
    }
    Ok(set)
}

fn number_set(texts: &[String]) -> Result<BTreeSet<Number>, Error> {
    if texts.is_empty() {
        return Err(invalid_values("An number set  may not be empty"));
    }
    let mut set = BTreeSet::new();
    for text in texts {
        set.insert(text.parse().map_err(|error: NumberError| invalid(error.to_string()))?);
    }
    if set.len() < texts.len() {
        return Err(invalid("Input collection contains duplicates"));
    }
    Ok(set)
}

fn byte_set(blobs: Vec<Blob>) -> Result<BTreeSet<Bytes>, Error> {
    if blobs.is_empty() {
        return Err(invalid_values("Binary sets should not be empty"));
    }
    let list: Vec<Bytes> = blobs.into_iter().map(|blob| Bytes::from(blob.into_inner())).collect();
    let set: BTreeSet<Bytes> = list.iter().cloned().collect();
    if set.len() < list.len() {
        let texts: Vec<String> = list.iter().map(|bytes| base64(bytes)).collect();
        // AWS's own sentence lacks the space.
        return Err(invalid_values(format_args!(
            "Input collection [{}]of type BS contains duplicates.",
            texts.join(", ")
        )));
    }
    Ok(set)
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// As AWS's messages quote a value: `{S:text}`, `{N:1}`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, items: &mut dyn Iterator<Item = String>| {
            f.write_char('[')?;
            for (i, item) in items.enumerate() {
                if i > 0 {
                    f.write_str(",")?;
                }
                f.write_str(&item)?;
            }
            f.write_char(']')
        };
        write!(f, "{{{}:", self.type_name())?;
        match self {
            Value::S(text) => f.write_str(text)?,
            Value::N(number) => write!(f, "{number}")?,
            Value::B(bytes) => f.write_str(&base64(bytes))?,
            Value::Bool(value) => write!(f, "{value}")?,
            Value::Null => f.write_str("true")?,
            Value::SS(set) => list(f, &mut set.iter().cloned())?,
            Value::NS(set) => list(f, &mut set.iter().map(Number::to_string))?,
            Value::BS(set) => list(f, &mut set.iter().map(|b| base64(b)))?,
            Value::L(values) => list(f, &mut values.iter().map(Value::to_string))?,
            Value::M(map) => {
                f.write_char('{')?;
                for (i, (name, value)) in map.iter().enumerate() {
                    write!(f, "{}{name}={value}", if i > 0 { "," } else { "" })?;
                }
                f.write_char('}')?;
            }
        }
        f.write_char('}')
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

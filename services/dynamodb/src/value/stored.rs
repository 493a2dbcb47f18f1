//! The stored form of values: what MessagePack has a type for is written as that type.
//!
//! Text, true and false, nothing, lists and maps are themselves; whole numbers that fit are integers. Everything else
//! is bytes behind one that says what they are.

use super::{Number, Value};
use bytes::Bytes;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeSet;
use std::fmt;

const BINARY: u8 = 0;
const NUMBER: u8 = 1;
const STRINGS: u8 = 2;
const NUMBERS: u8 = 3;
const BINARIES: u8 = 4;

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.to_i64() {
            Some(value) => serializer.serialize_i64(value),
            None => {
                let mut out = vec![NUMBER];
                self.order_bytes(&mut out);
                serializer.serialize_bytes(&out)
            }
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::N(number) => Ok(number),
            other => Err(D::Error::custom(format_args!("a number was expected, not {}", other.type_name()))),
        }
    }
}

/// Length and bytes, each element of a set.
fn framed<'a>(tag: u8, elements: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = vec![tag];
    for element in elements {
        // An element is part of a record, which is far below 4 GiB.
        out.extend_from_slice(&(element.len() as u32).to_be_bytes());
        out.extend_from_slice(element);
    }
    out
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::S(text) => serializer.serialize_str(text),
            Value::N(number) => number.serialize(serializer),
            Value::B(bytes) => {
                let mut out = Vec::with_capacity(bytes.len() + 1);
                out.push(BINARY);
                out.extend_from_slice(bytes);
                serializer.serialize_bytes(&out)
            }
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Null => serializer.serialize_unit(),
            Value::SS(set) => serializer.serialize_bytes(&framed(STRINGS, set.iter().map(|s| s.as_bytes()))),
            Value::NS(set) => {
                let mut out = vec![NUMBERS];
                set.iter().for_each(|number| number.order_bytes(&mut out));
                serializer.serialize_bytes(&out)
            }
            Value::BS(set) => serializer.serialize_bytes(&framed(BINARIES, set.iter().map(|b| &**b))),
            Value::L(list) => {
                let mut out = serializer.serialize_seq(Some(list.len()))?;
                list.iter().try_for_each(|value| out.serialize_element(value))?;
                out.end()
            }
            Value::M(map) => {
                let mut out = serializer.serialize_map(Some(map.len()))?;
                map.iter().try_for_each(|(name, value)| out.serialize_entry(name, value))?;
                out.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

fn frames(mut rest: &[u8]) -> Option<Vec<&[u8]>> {
    let mut out = Vec::new();
    while let Some((len, after)) = rest.split_first_chunk::<4>() {
        let (element, after) = after.split_at_checked(u32::from_be_bytes(*len) as usize)?;
        out.push(element);
        rest = after;
    }
    rest.is_empty().then_some(out)
}

fn tagged(bytes: &[u8]) -> Option<Value> {
    let (tag, body) = bytes.split_first()?;
    Some(match *tag {
        BINARY => Value::B(Bytes::copy_from_slice(body)),
        NUMBER => Value::N(Number::from_order_bytes(body)?.0),
        STRINGS => {
            let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
            Value::SS(frames(body)?.into_iter().map(text).collect::<Option<_>>()?)
        }
        NUMBERS => {
            let mut set = BTreeSet::new();
            let mut rest = body;
            while !rest.is_empty() {
                let (number, after) = Number::from_order_bytes(rest)?;
                set.insert(number);
                rest = after;
            }
            Value::NS(set)
        }
        BINARIES => Value::BS(frames(body)?.into_iter().map(Bytes::copy_from_slice).collect()),
        _ => return None,
    })
}

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an attribute value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::N(Number::from(value)))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::N(Number::from(value)))
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::S(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::S(value))
    }

    fn visit_bytes<E: Error>(self, value: &[u8]) -> Result<Value, E> {
        tagged(value).ok_or_else(|| E::custom("bytes that are no attribute value"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut out = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(1024));
        while let Some(value) = seq.next_element()? {
            out.push(value);
        }
        Ok(Value::L(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut out = super::Item::new();
        while let Some((name, value)) = map.next_entry()? {
            out.insert(name, value);
        }
        Ok(Value::M(out))
    }
}

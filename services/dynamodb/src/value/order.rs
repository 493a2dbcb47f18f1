//! Bytes whose order is DynamoDB's order, for keys of the store.
//!
//! Each form ends by itself, so that the parts of a key can follow each other. A key attribute has one type per
//! table, therefore types are not told apart; [`typed`] does that where several may meet.
//!
//! Source: Developer Guide, "Sort key": numbers in numeric order, strings and binary by unsigned bytes.

use super::{Kind, Number, Value};
use bytes::Bytes;

/// Ends text and bytes. A zero byte inside is followed by [`ESCAPED`].
const END: [u8; 2] = [0, 0];
const ESCAPED: u8 = 0xFF;

/// Appends the key form of a string, number or binary value. `false` (and nothing appended) for other types.
pub fn encode(value: &Value, out: &mut Vec<u8>) -> bool {
    match value {
        Value::S(text) => encode_bytes(text.as_bytes(), out),
        Value::N(number) => number.order_bytes(out),
        Value::B(bytes) => encode_bytes(bytes, out),
        _ => return false,
    }
    true
}

/// Reads a value of the type that was written, and gives the rest.
pub fn decode(kind: Kind, bytes: &[u8]) -> Option<(Value, &[u8])> {
    match kind {
        Kind::S => {
            let (text, rest) = decode_bytes(bytes)?;
            Some((Value::S(String::from_utf8(text).ok()?), rest))
        }
        Kind::N => Number::from_order_bytes(bytes).map(|(number, rest)| (Value::N(number), rest)),
        Kind::B => decode_bytes(bytes).map(|(bytes, rest)| (Value::B(Bytes::from(bytes)), rest)),
        _ => None,
    }
}

/// As [`encode`], behind one byte that says which type.
pub fn typed(value: &Value, out: &mut Vec<u8>) -> bool {
    let at = out.len();
    out.push(match value.kind() {
        Kind::B => 1,
        Kind::N => 2,
        _ => 3,
    });
    let key = encode(value, out);
    if !key {
        out.truncate(at);
    }
    key
}

/// Reads what [`typed`] wrote, and gives the rest.
pub fn decode_typed(bytes: &[u8]) -> Option<(Value, &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let kind = match tag {
        1 => Kind::B,
        2 => Kind::N,
        3 => Kind::S,
        _ => return None,
    };
    decode(kind, rest)
}

/// Appends bytes so that a prefix sorts before what continues it.
pub fn encode_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    encode_prefix(bytes, out);
    out.extend_from_slice(&END);
}

/// Appends bytes without the end mark: every key whose bytes begin with these begins with the result.
pub fn encode_prefix(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len() + END.len());
    let mut parts = bytes.split(|byte| *byte == 0);
    out.extend_from_slice(parts.next().unwrap_or_default());
    for part in parts {
        out.extend_from_slice(&[0, ESCAPED]);
        out.extend_from_slice(part);
    }
}

fn decode_bytes(bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut out = Vec::new();
    let mut rest = bytes;
    loop {
        let zero = rest.iter().position(|byte| *byte == 0)?;
        out.extend_from_slice(&rest[..zero]);
        match rest.get(zero + 1)? {
            0 => return Some((out, &rest[zero + 2..])),
            &ESCAPED => out.push(0),
            _ => return None,
        }
        rest = &rest[zero + 2..];
    }
}

//! The functions of the language. Source: S3 User Guide, "SQL functions".

use super::Refused;
use super::pattern;
use super::stamp::{Part, Stamp};
use super::value::Value;
use super::words::refused;
use serde_json::Value as Json;
use std::cmp::Ordering;
use std::collections::HashSet;

/// What a function of this name, in upper case, gives.
/// Errors: `IncorrectSqlFunctionArgumentType`, `IllegalSqlFunctionArgument`, `ValueParseFailure`, those of patterns.
pub(super) fn call(name: &str, arguments: &[Value], now: &Stamp) -> Result<Value, Refused> {
    match (name, arguments) {
        ("UTCNOW", _) => return Ok(Value::Time(*now)),
        ("COALESCE", all) => return Ok(all.iter().find(|v| !v.is_nothing()).cloned().unwrap_or(Value::Null)),
        ("NULLIF", [a, b]) => {
            return Ok(if a.compare(b) == Some(Ordering::Equal) { Value::Null } else { a.clone() });
        }
        (_, all) if all.iter().any(Value::is_nothing) => return Ok(Value::Null),
        _ => {}
    }
    Ok(match (name, arguments) {
        ("LOWER", [of]) => Value::Text(text(of)?.to_lowercase()),
        ("UPPER", [of]) => Value::Text(text(of)?.to_uppercase()),
        ("CHAR_LENGTH" | "CHARACTER_LENGTH", [of]) => Value::Int(text(of)?.chars().count() as i64),
        ("SIZE", [Value::Json(Json::Array(list))]) => Value::Int(list.len() as i64),
        ("SIZE", [Value::Json(Json::Object(map))]) => Value::Int(map.len() as i64),
        ("SUBSTRING", [of, from, rest @ ..]) => substring(text(of)?, number(from)?, rest.first())?,
        ("TRIM", [side, of, set]) => trim(text(side)?, text(of)?, text(set)?),
        ("TO_TIMESTAMP", [of]) => {
            Value::Time(Stamp::read(text(of)?.trim()).ok_or_else(|| refused("ValueParseFailure"))?)
        }
        ("TO_TIMESTAMP", [of, by]) => Value::Time(pattern::read(text(of)?, text(by)?)?),
        ("TO_STRING", [at, by]) => Value::Text(pattern::write(&time(at)?, text(by)?)?),
        ("EXTRACT", [by, at]) => Value::Int(time(at)?.part(part(by)?)),
        ("DATE_ADD", [by, count, at]) => {
            let moved = time(at)?.plus(part(by)?, number(count)?);
            Value::Time(moved.ok_or_else(|| refused("IllegalSqlFunctionArgument"))?)
        }
        ("DATE_DIFF", [by, from, to]) => {
            let between = time(from)?.until(&time(to)?, part(by)?);
            Value::Int(between.ok_or_else(|| refused("IllegalSqlFunctionArgument"))?)
        }
        _ => return Err(wrong()),
    })
}

fn wrong() -> Refused {
    refused("IncorrectSqlFunctionArgumentType")
}

fn text(value: &Value) -> Result<&str, Refused> {
    value.text().ok_or_else(wrong)
}

fn number(value: &Value) -> Result<i64, Refused> {
    match value.numeric() {
        Some(Value::Int(n)) => Ok(n),
        Some(Value::Decimal(n)) => {
            n.truncated().filter(|(_, whole)| *whole).map(|(n, _)| n).ok_or_else(wrong)
        }
        Some(Value::Float(n)) if n.fract() == 0.0 && n.abs() < 9e15 => Ok(n as i64),
        _ => Err(wrong()),
    }
}

fn time(value: &Value) -> Result<Stamp, Refused> {
    match value {
        Value::Time(time) => Ok(*time),
        Value::Text(text) | Value::Field(text) => Stamp::read(text.trim()).ok_or_else(wrong),
        _ => Err(wrong()),
    }
}

fn part(value: &Value) -> Result<Part, Refused> {
    value.text().and_then(Part::read).ok_or_else(wrong)
}

/// Positions begin at 1; what lies before the text counts towards the length.
fn substring(of: &str, from: i64, length: Option<&Value>) -> Result<Value, Refused> {
    let until = match length.map(number).transpose()? {
        None => i64::MAX,
        Some(length) if length < 0 => return Err(refused("IllegalSqlFunctionArgument")),
        Some(length) => from.saturating_add(length),
    };
    let chosen = of.chars().zip(1i64..).filter(|(_, at)| (from..until).contains(at)).map(|(c, _)| c);
    Ok(Value::Text(chosen.collect()))
}

fn trim(side: &str, of: &str, set: &str) -> Value {
    let set: HashSet<char> = set.chars().collect();
    let inside = |c: char| set.contains(&c);
    let of = if side == "TRAILING" { of } else { of.trim_start_matches(inside) };
    let of = if side == "LEADING" { of } else { of.trim_end_matches(inside) };
    Value::Text(of.to_owned())
}

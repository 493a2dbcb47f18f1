//! Values, their order and their conversions.

use super::Refused;
use super::decimal::Decimal;
use super::parse::Type;
use super::stamp::Stamp;
use super::words::refused;
use serde_json::Value as Json;
use std::cmp::Ordering;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Missing,
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Decimal(Decimal),
    Text(String),
    /// A field of a CSV file, which is a text until it is used as something else.
    Field(String),
    Time(Stamp),
    /// A list or an object.
    Json(Json),
}

use Value::{Bool, Field, Float, Int, Missing, Null, Text};

impl Value {
    pub(super) fn number(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(n) = text.parse::<i64>() {
            return Some(Int(n));
        }
        if let Some(decimal) = Decimal::read(text) {
            return Some(Self::Decimal(decimal));
        }
        let plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
        text.parse::<f64>().ok().filter(|n| plain && n.is_finite()).map(Float)
    }

    pub(super) fn of(json: &Json) -> Self {
        match json {
            Json::Null => Null,
            Json::Bool(b) => Bool(*b),
            Json::Number(n) => Self::number(&n.to_string()).unwrap_or(Null),
            Json::String(text) => Text(text.clone()),
            other => Self::Json(other.clone()),
        }
    }

    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Missing | Null)
    }

    /// The value as a text, where it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Text(text) | Field(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn truth(&self) -> Option<bool> {
        match self {
            Bool(b) => Some(*b),
            Field(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Field(text) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }
    }

    /// The value as a number, where it is one or a field that reads like one.
    pub(super) fn numeric(&self) -> Option<Self> {
        match self {
            Int(_) | Float(_) | Self::Decimal(_) => Some(self.clone()),
            Field(text) => Self::number(text),
            _ => None,
        }
    }

    pub(super) fn float(&self) -> Option<f64> {
        match self.numeric()? {
            Int(n) => Some(n as f64),
            Float(n) => Some(n),
            Self::Decimal(n) => Some(n.float()),
            _ => None,
        }
    }

    /// The value as an exact number, where it is one.
    pub(super) fn exact(&self) -> Option<Decimal> {
        match self.numeric()? {
            Int(n) => Some(Decimal::whole(n)),
            Self::Decimal(n) => Some(n),
            _ => None,
        }
    }

    /// The value as it is written in a CSV file.
    pub(super) fn shown(&self) -> String {
        match self {
            Missing | Null => String::new(),
            Bool(b) => b.to_string(),
            Int(n) => n.to_string(),
            Float(n) => n.to_string(),
            Self::Decimal(n) => n.show(),
            Text(text) | Field(text) => text.clone(),
            Self::Time(time) => time.show(),
            Self::Json(json) => json.to_string(),
        }
    }

    /// The value as it is written in a JSON document; `None` where it is missing.
    pub(super) fn json(&self) -> Option<Json> {
        Some(match self {
            Missing => return None,
            Null => Json::Null,
            Bool(b) => Json::Bool(*b),
            Int(n) => Json::from(*n),
            Float(n) => serde_json::Number::from_f64(*n).map_or(Json::Null, Json::Number),
            Self::Decimal(n) => match n.truncated() {
                Some((whole, true)) if !n.show().contains('.') => Json::from(whole),
                _ => serde_json::Number::from_f64(n.float()).map_or(Json::Null, Json::Number),
            },
            Text(text) | Field(text) => Json::String(text.clone()),
            Self::Time(time) => Json::String(time.show()),
            Self::Json(json) => json.clone(),
        })
    }

    /// The order of two values; `None` where they have none.
    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Missing | Null, _) | (_, Missing | Null) => None,
            (Field(a), Field(b)) => match (Self::number(a), Self::number(b)) {
                (Some(a), Some(b)) => a.compare(&b),
                _ => Some(a.cmp(b)),
            },
            (Int(a), Int(b)) => Some(a.cmp(b)),
            (Int(_) | Float(_) | Self::Decimal(_), _) | (_, Int(_) | Float(_) | Self::Decimal(_)) => {
                match (self.exact(), other.exact()) {
                    (Some(a), Some(b)) => a.order(b),
                    _ => self.float()?.partial_cmp(&other.float()?),
                }
            }
            (Bool(_), _) | (_, Bool(_)) => Some(self.truth()?.cmp(&other.truth()?)),
            (Self::Time(a), Self::Time(b)) => Some(a.order(b)),
            (Self::Time(a), Text(b) | Field(b)) => Some(a.order(&Stamp::read(b)?)),
            (Text(a) | Field(a), Self::Time(b)) => Some(Stamp::read(a)?.order(b)),
            (Text(a) | Field(a), Text(b) | Field(b)) => Some(a.cmp(b)),
            (Self::Json(a), Self::Json(b)) => (a == b).then_some(Ordering::Equal),
            _ => None,
        }
    }

    /// `CAST`. Errors: `CastFailed`; `InvalidCast` between types that have nothing to do with each other.
    pub(super) fn cast(&self, to: Type) -> Result<Self, Refused> {
        if self.is_nothing() {
            return Ok(self.clone());
        }
        let numeric = matches!(to, Type::Int | Type::Float | Type::Decimal);
        let strange = match self {
            Self::Time(_) => numeric || to == Type::Bool,
            Bool(_) | Int(_) | Float(_) | Self::Decimal(_) => to == Type::Timestamp,
            Self::Json(_) => to != Type::Text,
            _ => false,
        };
        if strange {
            return Err(refused("InvalidCast"));
        }
        let text = || match self {
            Text(text) | Field(text) => Some(text.trim()),
            _ => None,
        };
        let cast = match to {
            Type::Text => Some(Text(self.shown())),
            Type::Bool => match self {
                Int(n) => Some(Bool(*n != 0)),
                Float(_) | Self::Decimal(_) => self.float().map(|n| Bool(n != 0.0)),
                Text(text) => Field(text.clone()).truth().map(Bool),
                other => other.truth().map(Bool),
            },
            Type::Int => match self {
                Bool(b) => Some(Int(i64::from(*b))),
                Float(n) if n.abs() < 9e18 => Some(Int(*n as i64)),
                Int(n) => Some(Int(*n)),
                Self::Decimal(n) => n.truncated().map(|(n, _)| Int(n)),
                _ => text().and_then(Self::number).and_then(|n| match n {
                    Float(n) if n.abs() < 9e18 && n.fract() == 0.0 => Some(Int(n as i64)),
                    Int(n) => Some(Int(n)),
                    Self::Decimal(n) => n.truncated().filter(|(_, whole)| *whole).map(|(n, _)| Int(n)),
                    _ => None,
                }),
            },
            Type::Float => match self {
                Bool(b) => Some(Float(f64::from(u8::from(*b)))),
                Text(text) => Field(text.clone()).float().map(Float),
                other => other.float().map(Float),
            },
            Type::Decimal => {
                let number = match self {
                    Bool(b) => Some(Int(i64::from(*b))),
                    Text(text) => Self::number(text),
                    Float(n) => Some(Self::number(&n.to_string()).unwrap_or(Float(*n))),
                    other => other.numeric(),
                };
                number.map(|number| number.exact().map_or(number, Self::Decimal))
            }
            Type::Timestamp => match self {
                Self::Time(time) => Some(Self::Time(*time)),
                _ => text().and_then(Stamp::read).map(Self::Time),
            },
        };
        cast.ok_or_else(|| refused("CastFailed"))
    }
}

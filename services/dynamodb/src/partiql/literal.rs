//! Literals of a statement as values.

use super::ast::Expr;
use crate::value::{Item, MAX_DEPTH, NumberError, Value, invalid};
use cloudlet_service::Error;
use std::collections::BTreeSet;
use std::fmt::Write;

/// Where in a literal one is: for the sentence about one that nests too deep.
#[derive(Clone)]
pub(super) struct Place {
    depth: usize,
    path: String,
}

impl Place {
    /// A value by itself.
    pub(super) fn value() -> Self {
        Self { depth: 1, path: String::new() }
    }

    /// An item, whose attributes are values.
    pub(super) fn item() -> Self {
        Self { depth: 0, path: String::new() }
    }

    fn inside(&self, step: std::fmt::Arguments<'_>) -> Result<Self, Error> {
        let mut path = self.path.clone();
        let _ = path.write_fmt(step);
        if self.depth >= MAX_DEPTH {
            return Err(invalid(format!("Nesting Levels have exceeded supported limits under root{path}")));
        }
        Ok(Self { depth: self.depth + 1, path })
    }
}

/// The value of a literal or a parameter; `None` for other expressions.
pub(super) fn value(expr: &Expr, parameters: &[Value], place: &Place) -> Result<Option<Value>, Error> {
    Ok(Some(match expr {
        Expr::Text(text) => Value::S(text.clone()),
        Expr::Number(text) => {
            Value::N(text.parse().map_err(|error: NumberError| invalid(error.to_string()))?)
        }
        Expr::Bool(value) => Value::Bool(*value),
        Expr::Null => Value::Null,
        // Parameters stand for whole values, not for parts of literals.
        Expr::Parameter(_, span) if place.depth > 1 => {
            return Err(invalid(format!(
                "Unsupported data type: Parameter under key root{} at {span}",
                place.path
            )));
        }
        Expr::Parameter(at, _) => match parameters.get(*at) {
            Some(value) => value.clone(),
            None => return Err(invalid("Number of parameters in request and statement don't match.")),
        },
        Expr::List(list) => {
            let mut out = Vec::with_capacity(list.len());
            for (i, one) in list.iter().enumerate() {
                out.push(needed(one, parameters, &place.inside(format_args!("[{i}]"))?)?);
            }
            Value::L(out)
        }
        Expr::Struct(fields) => Value::M(members(fields, parameters, place)?),
        Expr::Bag(list) => set(list, parameters, place)?,
        Expr::Missing => return Err(invalid("MISSING must be compared using IS operator")),
        _ => return Ok(None),
    }))
}

/// The value of what must be a literal or a parameter.
pub(super) fn needed(expr: &Expr, parameters: &[Value], place: &Place) -> Result<Value, Error> {
    value(expr, parameters, place)?
        .ok_or_else(|| invalid(format!("Unsupported data type: expression under key root{}", place.path)))
}

/// The members of a struct.
pub(super) fn members(fields: &[(Expr, Expr)], parameters: &[Value], place: &Place) -> Result<Item, Error> {
    let mut out = Item::new();
    for (key, member) in fields {
        let Expr::Text(name) = key else {
            let kind = match key {
                Expr::Path(_) => "VariableReference",
                Expr::Parameter(..) => "Parameter",
                _ => "Literal",
            };
            return Err(invalid(format!(
                "Tuple keys must be of type String. Actual type: {kind} under root{}",
                place.path
            )));
        };
        let member = needed(member, parameters, &place.inside(format_args!(".{name}"))?)?;
        if out.insert(name.clone(), member).is_some() {
            return Err(invalid(format!("Duplicate keys in tuple. Key: {name} under root{}", place.path)));
        }
    }
    Ok(out)
}

/// A set of strings or of numbers: literals have no other.
fn set(list: &[Expr], parameters: &[Value], place: &Place) -> Result<Value, Error> {
    let inside = Place { depth: place.depth + 1, path: place.path.clone() };
    let (mut strings, mut numbers) = (BTreeSet::new(), BTreeSet::new());
    let mut texts = Vec::with_capacity(list.len());
    for one in list {
        match needed(one, parameters, &inside)? {
            Value::S(text) if numbers.is_empty() => {
                texts.push(text.clone());
                strings.insert(text);
            }
            Value::N(number) if strings.is_empty() => {
                texts.push(number.to_string());
                numbers.insert(number);
            }
            _ => {
                return Err(invalid(
                    "Unsupported data type in Bag. DynamoDB only supports either numbers or strings in bags",
                ));
            }
        }
    }
    if list.is_empty() {
        return Err(invalid("Empty bags are not supported"));
    }
    if strings.len() + numbers.len() < list.len() {
        return Err(invalid(format!(
            "One or more parameter values were invalid: Input collection [{}] contains duplicates{}",
            texts.join(", "),
            if strings.is_empty() { "! under root" } else { "." }
        )));
    }
    Ok(if strings.is_empty() { Value::NS(numbers) } else { Value::SS(strings) })
}

//! Literals of a statement as values.

use super::ast::Expr;
use crate::value::{Item, Kind, MAX_DEPTH, NumberError, Value, invalid};
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
        Expr::Parameter(at) => match parameters.get(*at) {
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
            return Err(invalid("Attribute names in a struct must be string literals."));
        };
        let member = needed(member, parameters, &place.inside(format_args!(".{name}"))?)?;
        out.insert(name.clone(), member);
    }
    Ok(out)
}

fn set(list: &[Expr], parameters: &[Value], place: &Place) -> Result<Value, Error> {
    let mut elements = Vec::with_capacity(list.len());
    for one in list {
        elements.push(needed(one, parameters, place)?);
    }
    let Some(kind) = elements.first().map(Value::kind) else {
        return Err(invalid("Empty bags are not supported"));
    };
    let count = elements.len();
    let texts: Vec<String> = elements.iter().map(|element| element.to_string()).collect();
    let (mut strings, mut numbers, mut binaries) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for element in elements {
        match element {
            Value::S(text) if kind == Kind::S => drop(strings.insert(text)),
            Value::N(number) if kind == Kind::N => drop(numbers.insert(number)),
            Value::B(bytes) if kind == Kind::B => drop(binaries.insert(bytes)),
            other => {
                return Err(invalid(format!(
                    "Unexpected data type {} in {} Set under key root{}",
                    other.type_name(),
                    kind.name(),
                    place.path
                )));
            }
        }
    }
    let (set, distinct) = match kind {
        Kind::S => (strings.len(), Value::SS(strings)),
        Kind::N => (numbers.len(), Value::NS(numbers)),
        _ => (binaries.len(), Value::BS(binaries)),
    };
    if set < count {
        return Err(invalid(format!(
            "One or more parameter values were invalid: Input collection [{}] contains duplicates.",
            texts.join(", ")
        )));
    }
    Ok(distinct)
}

//! What an expression comes to for a record.

use super::Refused;
use super::aggregate::{Sum, arithmetic};
use super::functions::call;
use super::input::LONGEST;
use super::like::like;
use super::parse::{Expr, Query, Step};
use super::record::{Record, field, walk, whole};
use super::stamp::Stamp;
use super::value::Value;
use super::words::refused;
use serde_json::Value as Json;
use std::cmp::Ordering;

/// A query at work: what aggregates have come to, and the time.
pub(super) struct Evaluator<'q> {
    query: &'q Query,
    sums: Vec<Sum>,
    now: Stamp,
}

impl<'q> Evaluator<'q> {
    pub(super) fn new(query: &'q Query, millis: i64) -> Self {
        Self { query, sums: vec![Sum::default(); query.aggregates], now: Stamp::now(millis) }
    }

    /// Whether the record passes the filter.
    pub(super) fn passes(&self, record: &Record) -> Result<bool, Refused> {
        match &self.query.filter {
            None => Ok(true),
            Some(filter) => Ok(self.value(filter, record)?.truth() == Some(true)),
        }
    }

    /// The columns of a record, with their names.
    pub(super) fn row(&self, record: &Record) -> Result<Vec<(String, Value)>, Refused> {
        let Some(columns) = &self.query.columns else { return Ok(whole(record)) };
        let mut row = Vec::with_capacity(columns.len());
        for (index, column) in columns.iter().enumerate() {
            let value = self.value(&column.expr, record)?;
            if let (Expr::Path(steps), Value::Json(Json::Object(map))) = (&column.expr, &value)
                && steps.last() == Some(&Step::Star)
            {
                row.extend(map.iter().map(|(k, v)| (k.clone(), Value::of(v))));
                continue;
            }
            let own = match &column.expr {
                Expr::Path(steps) => steps.iter().rev().find_map(|s| match s {
                    Step::Name(name, _) => Some(name.clone()),
                    _ => None,
                }),
                _ => None,
            };
            let name = column.name.clone().or(own).unwrap_or_else(|| format!("_{}", index + 1));
            row.push((name, value));
        }
        Ok(row)
    }

    /// Takes a record into the aggregates.
    pub(super) fn gather(&mut self, record: &Record) -> Result<(), Refused> {
        let mut sums = std::mem::take(&mut self.sums);
        let columns = self.query.columns.as_deref().unwrap_or_default();
        let gathered = columns.iter().try_for_each(|column| self.visit(&column.expr, record, &mut sums));
        self.sums = sums;
        gathered
    }

    fn visit(&self, expr: &Expr, record: &Record, sums: &mut [Sum]) -> Result<(), Refused> {
        match expr {
            Expr::Aggregate(kind, place, over) => {
                let value = match over {
                    None => Value::Int(1),
                    Some(over) => self.value(over, record)?,
                };
                match sums.get_mut(*place).filter(|_| !value.is_nothing()) {
                    Some(sum) => sum.take(*kind, value),
                    None => Ok(()),
                }
            }
            Expr::Not(a) | Expr::Negative(a) | Expr::Is(a, _) | Expr::Cast(a, _) => {
                self.visit(a, record, sums)
            }
            Expr::Binary(_, a, b) | Expr::Like(a, b, _) => {
                self.visit(a, record, sums)?;
                self.visit(b, record, sums)
            }
            Expr::Chain(first, rest) => {
                self.visit(first, record, sums)?;
                rest.iter().try_for_each(|(_, e)| self.visit(e, record, sums))
            }
            Expr::Between(a, b, c) => [a, b, c].into_iter().try_for_each(|e| self.visit(e, record, sums)),
            Expr::In(a, list) => {
                self.visit(a, record, sums)?;
                list.iter().try_for_each(|e| self.visit(e, record, sums))
            }
            Expr::Call(_, list) | Expr::List(list) | Expr::And(list) | Expr::Or(list) => {
                list.iter().try_for_each(|e| self.visit(e, record, sums))
            }
            Expr::Case(operand, arms, other) => {
                for e in operand.iter().chain(other) {
                    self.visit(e, record, sums)?;
                }
                arms.iter().try_for_each(|(when, then)| {
                    self.visit(when, record, sums)?;
                    self.visit(then, record, sums)
                })
            }
            Expr::Literal(_) | Expr::Path(_) => Ok(()),
        }
    }

    fn value(&self, expr: &Expr, record: &Record) -> Result<Value, Refused> {
        Ok(match expr {
            Expr::Literal(value) => value.clone(),
            Expr::Path(steps) => self.look_up(steps, record)?,
            Expr::Not(inner) => {
                self.value(inner, record)?.truth().map_or(Value::Null, |truth| Value::Bool(!truth))
            }
            Expr::Negative(inner) => arithmetic("-", &Value::Int(0), &self.value(inner, record)?)?,
            Expr::Binary(symbol, left, right) => self.binary(symbol, left, right, record)?,
            // What decides alone is not looked at further.
            Expr::And(all) => self.joined(all, false, record)?,
            Expr::Or(all) => self.joined(all, true, record)?,
            Expr::Chain(first, rest) => {
                let mut left = self.value(first, record)?;
                for (symbol, right) in rest {
                    let right = self.value(right, record)?;
                    left = match *symbol {
                        "||" if left.is_nothing() || right.is_nothing() => Value::Null,
                        "||" => concatenated(left, &right)?,
                        _ => arithmetic(symbol, &left, &right)?,
                    };
                }
                left
            }
            Expr::Between(of, low, high) => {
                let of = self.value(of, record)?;
                let low = of.compare(&self.value(low, record)?);
                let high = of.compare(&self.value(high, record)?);
                match (low, high) {
                    (Some(low), Some(high)) => {
                        Value::Bool(low != Ordering::Less && high != Ordering::Greater)
                    }
                    _ => Value::Null,
                }
            }
            Expr::In(of, list) => {
                let of = self.value(of, record)?;
                let mut found = false;
                for one in list {
                    found |= of.compare(&self.value(one, record)?) == Some(Ordering::Equal);
                }
                if of.is_nothing() { Value::Null } else { Value::Bool(found) }
            }
            Expr::Like(of, pattern, escape) => {
                let (of, pattern) = (self.value(of, record)?, self.value(pattern, record)?);
                if of.is_nothing() || pattern.is_nothing() {
                    return Ok(Value::Null);
                }
                let (Some(of), Some(pattern)) = (of.text(), pattern.text()) else {
                    return Err(refused("LikeInvalidInputs"));
                };
                Value::Bool(like(of, pattern, *escape)?)
            }
            Expr::Is(of, missing) => {
                let of = self.value(of, record)?;
                Value::Bool(if *missing { of == Value::Missing } else { of.is_nothing() })
            }
            Expr::Cast(of, to) => self.value(of, record)?.cast(*to)?,
            Expr::Case(operand, arms, other) => {
                let operand = operand.as_ref().map(|o| self.value(o, record)).transpose()?;
                for (when, then) in arms {
                    let when = self.value(when, record)?;
                    let chosen = match &operand {
                        Some(operand) => operand.compare(&when) == Some(Ordering::Equal),
                        None => when.truth() == Some(true),
                    };
                    if chosen {
                        return self.value(then, record);
                    }
                }
                other.as_ref().map_or(Ok(Value::Null), |other| self.value(other, record))?
            }
            Expr::Call(name, arguments) => {
                let arguments: Vec<Value> =
                    arguments.iter().map(|a| self.value(a, record)).collect::<Result<_, _>>()?;
                call(name, &arguments, &self.now)?
            }
            Expr::List(list) => {
                let list = list.iter().map(|e| Ok(self.value(e, record)?.json().unwrap_or(Json::Null)));
                Value::Json(Json::Array(list.collect::<Result<_, Refused>>()?))
            }
            Expr::Aggregate(kind, place, _) => {
                self.sums.get(*place).map_or(Value::Null, |sum| sum.result(*kind))
            }
        })
    }

    /// `AND`, which one false decides, or `OR`, which one true does.
    fn joined(&self, all: &[Expr], decides: bool, record: &Record) -> Result<Value, Refused> {
        let mut known = true;
        for one in all {
            match self.value(one, record)?.truth() {
                Some(truth) if truth == decides => return Ok(Value::Bool(decides)),
                truth => known &= truth.is_some(),
            }
        }
        Ok(if known { Value::Bool(!decides) } else { Value::Null })
    }

    /// A comparison. Errors: `UnsupportedTypeForQuerying`.
    fn binary(&self, symbol: &str, left: &Expr, right: &Expr, record: &Record) -> Result<Value, Refused> {
        let (left, right) = (self.value(left, record)?, self.value(right, record)?);
        let list = |value: &Value| matches!(value, Value::Json(_));
        if matches!(symbol, "<" | "<=" | ">" | ">=") && (list(&left) || list(&right)) {
            return Err(refused("UnsupportedTypeForQuerying"));
        }
        let fits: fn(Ordering) -> bool = match symbol {
            "=" => Ordering::is_eq,
            "<>" => Ordering::is_ne,
            "<" => Ordering::is_lt,
            "<=" => Ordering::is_le,
            ">" => Ordering::is_gt,
            _ => Ordering::is_ge,
        };
        Ok(left.compare(&right).map_or(Value::Null, |order| Value::Bool(fits(order))))
    }

    fn look_up(&self, steps: &[Step], record: &Record) -> Result<Value, Refused> {
        // Without a name of its own the source has that of its last step.
        let last = || {
            self.query.from.iter().rev().find_map(|step| match step {
                Step::Name(name, _) => Some(name.as_str()),
                _ => None,
            })
        };
        let source = self.query.alias.as_deref().or_else(last).unwrap_or("s3object");
        let own = |name: &str| name.eq_ignore_ascii_case(source);
        let (rest, ours) = match steps {
            [Step::Name(first, _), rest @ ..] if own(first) => (rest, true),
            all => (all, false),
        };
        match record {
            Record::Missing => Ok(Value::Missing),
            Record::Json(json) => match rest {
                // The whole record, where it has no such field.
                [Step::Name(name, _), rest @ ..] if !ours && name == "_1" && json.get("_1").is_none() => {
                    walk(json, rest)
                }
                rest => walk(json, rest),
            },
            Record::Fields { fields, header } => field(fields, header.as_deref(), rest, ours),
        }
    }
}

/// `||`. Errors: `ColumnTooLong`, so that a text does not grow without end.
fn concatenated(left: Value, right: &Value) -> Result<Value, Refused> {
    let mut text = match left {
        Value::Text(text) => text,
        other => other.shown(),
    };
    text.push_str(&right.shown());
    if text.len() > LONGEST { Err(refused("ColumnTooLong")) } else { Ok(Value::Text(text)) }
}

//! WHERE clauses as conditions.

use super::EXISTS_NEEDS_TRANSACTION;
use super::ast::Expr;
use super::literal::{self, Place};
use super::translate::{Translator, document_path, refused, unsupported, wrong_type};
use crate::expression::{Comparator, Condition, Operand, bind};
use crate::value::{Kind, Value, invalid};
use cloudlet_service::Error;

/// The most values behind IN.
const MAX_IN: usize = 100;

const IN_OPERANDS: &str = "IN operator must have a left hand argument of type Variable Reference and right hand \
                           argument of type Seq with at least one member";

/// Functions that are conditions by themselves.
const PREDICATES: &[&str] =
    &["attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains"];

/// Whether an expression is true or false by itself, and no value.
fn is_condition(expr: &Expr) -> bool {
    match expr {
        Expr::Binary(operator, ..) => !matches!(*operator, "+" | "-" | "*" | "/" | "%" | "||"),
        Expr::Unary(operator, _) => *operator == "not",
        Expr::Between(..) | Expr::Is(..) => true,
        Expr::Call(name, ..) => PREDICATES.contains(&name.as_str()),
        _ => false,
    }
}

fn never() -> Condition {
    Condition::Or(Vec::new())
}

fn always() -> Condition {
    Condition::And(Vec::new())
}

fn not(condition: Condition) -> Condition {
    Condition::Not(Box::new(condition))
}

fn comparator(symbol: &str) -> Option<Comparator> {
    Some(match symbol {
        "=" => Comparator::Equal,
        "<>" | "!=" => Comparator::NotEqual,
        "<" => Comparator::Less,
        "<=" => Comparator::LessEqual,
        ">" => Comparator::Greater,
        ">=" => Comparator::GreaterEqual,
        _ => return None,
    })
}

/// The type that a name behind IS means.
fn kind_named(name: &str) -> Option<Kind> {
    Some(match name {
        "null" => Kind::Null,
        "boolean" | "bool" => Kind::Bool,
        "blob" => Kind::B,
        "string" => Kind::S,
        "numeric" => Kind::N,
        "struct" | "tuple" => Kind::M,
        "list" => Kind::L,
        _ => return None,
    })
}

impl Translator<'_> {
    pub(super) fn condition(&self, expr: &Expr) -> Result<Condition, Error> {
        match expr {
            Expr::Binary(word @ ("and" | "or"), ..) => {
                // They lean to the left as far as they are many: walked, not recursed into.
                let (mut terms, mut at) = (Vec::new(), expr);
                while let Expr::Binary(other, left, right) = at
                    && other == word
                {
                    terms.push(self.condition(right)?);
                    at = left;
                }
                terms.push(self.condition(at)?);
                terms.reverse();
                Ok(if *word == "and" { Condition::And(terms) } else { Condition::Or(terms) })
            }
            Expr::Unary("not", inner) => Ok(not(self.condition(inner)?)),
            Expr::Binary("in", value, list) => self.is_in(value, list),
            Expr::Binary(symbol, left, right) => {
                let comparator = comparator(symbol).ok_or_else(|| unsupported("Condition", expr))?;
                match (is_condition(left), is_condition(right)) {
                    (true, _) => self.truth(comparator, left, right),
                    (_, true) => self.truth(comparator, right, left),
                    _ => {
                        let (left, right) = (self.operand(left)?, self.operand(right)?);
                        bind::compare(comparator, left, right).map_err(refused)
                    }
                }
            }
            Expr::Between(value, low, high) => {
                if [value, low, high].into_iter().any(|operand| is_condition(operand)) {
                    return Err(wrong_type("BETWEEN", "BOOL"));
                }
                bind::between(self.operand(value)?, self.operand(low)?, self.operand(high)?).map_err(refused)
            }
            Expr::Is(value, name) => {
                let operand = self.operand(value)?;
                match (operand, kind_named(name)) {
                    (Operand::Path(path), _) if *name == "missing" => Ok(Condition::NotExists(path)),
                    (operand, Some(kind)) => Ok(Condition::Type(operand, kind)),
                    _ => Err(invalid(format!(
                        "Unsupported data type for IS operator: {}. Supported data types are \
                         [MISSING, NULL, BOOLEAN, BLOB, STRING, NUMERIC, STRUCT, TUPLE, LIST]",
                        name.to_uppercase()
                    ))),
                }
            }
            Expr::Call(name, ..) if name == "exists" => Err(invalid(EXISTS_NEEDS_TRANSACTION)),
            Expr::Call(name, arguments, _) if PREDICATES.contains(&name.as_str()) => {
                bind::test(name, self.operands(arguments)?).map_err(refused)
            }
            Expr::Call(name, ..) if name == "size" => Err(invalid(
                "The function is not allowed to be used this way in an expression; function: size",
            )),
            Expr::Call(name, ..) => Err(invalid(format!("Unrecognized function: {name}"))),
            other => Err(unsupported("Condition", other)),
        }
    }

    fn is_in(&self, value: &Expr, list: &Expr) -> Result<Condition, Error> {
        let Expr::List(list) = list else {
            return Err(invalid(IN_OPERANDS));
        };
        if list.is_empty() {
            return Err(invalid(IN_OPERANDS));
        }
        if list.len() > MAX_IN {
            return Err(invalid(format!(
                "The IN operator is provided with too many operands; number of operands: {}",
                list.len()
            )));
        }
        let operands = self.operands(list)?;
        if is_condition(value) {
            let has = |truth: bool| operands.contains(&Operand::Value(Value::Bool(truth)));
            let condition = self.condition(value)?;
            return Ok(match (has(true), has(false)) {
                (true, true) => always(),
                (true, false) => condition,
                (false, true) => not(condition),
                (false, false) => never(),
            });
        }
        match self.operand(value)? {
            value @ Operand::Path(_) => bind::is_in(value, operands).map_err(refused),
            _ => Err(invalid(IN_OPERANDS)),
        }
    }

    /// A condition compared with something: its truth is a boolean.
    fn truth(&self, comparator: Comparator, condition: &Expr, other: &Expr) -> Result<Condition, Error> {
        if comparator.is_ordering() {
            return Err(wrong_type(comparator.symbol(), "BOOL"));
        }
        let condition = self.condition(condition)?;
        let same = if is_condition(other) {
            Condition::Same(Box::new(condition), Box::new(self.condition(other)?))
        } else {
            match self.operand(other)? {
                Operand::Value(Value::Bool(true)) => condition,
                Operand::Value(Value::Bool(false)) => not(condition),
                Operand::Path(path) => {
                    let is = |truth: bool| {
                        let truth = Operand::Value(Value::Bool(truth));
                        Condition::Compare(Comparator::Equal, Operand::Path(path.clone()), truth)
                    };
                    let same = Condition::Same(Box::new(condition), Box::new(is(true)));
                    Condition::And(vec![Condition::Or(vec![is(true), is(false)]), same])
                }
                _ => never(),
            }
        };
        Ok(if comparator == Comparator::Equal { same } else { not(same) })
    }

    fn operands(&self, list: &[Expr]) -> Result<Vec<Operand>, Error> {
        list.iter().map(|one| self.operand(one)).collect()
    }

    fn operand(&self, expr: &Expr) -> Result<Operand, Error> {
        if let Some(value) = literal::value(expr, self.parameters, &Place::value())? {
            return Ok(Operand::Value(value));
        }
        match expr {
            Expr::Path(path) => Ok(Operand::Path(document_path(path)?)),
            Expr::Call(name, arguments, _) if name == "size" => {
                bind::size(self.operands(arguments)?).map_err(refused)
            }
            Expr::Call(name, ..) if PREDICATES.contains(&name.as_str()) => Err(invalid(format!(
                "The function is not allowed to be used this way in an expression; function: {name}"
            ))),
            Expr::Call(name, ..) => Err(invalid(format!("Unrecognized function: {name}"))),
            other => Err(unsupported("Condition", other)),
        }
    }
}

//! Arithmetic, and what aggregates have come to.

use super::Refused;
use super::decimal::Decimal;
use super::parse::Aggregate;
use super::value::Value;
use super::words::refused;
use std::cmp::Ordering;

/// One aggregate as it grows.
#[derive(Default, Clone)]
pub(super) struct Sum {
    count: u64,
    sum: Option<Value>,
    best: Option<Value>,
}

impl Sum {
    /// Takes one more value, which is not nothing.
    pub(super) fn take(&mut self, kind: Aggregate, value: Value) -> Result<(), Refused> {
        self.count += 1;
        match kind {
            Aggregate::Count => {}
            Aggregate::Sum | Aggregate::Avg => {
                self.sum = Some(match &self.sum {
                    None => arithmetic("+", &value, &Value::Int(0))?,
                    Some(sum) => arithmetic("+", sum, &value)?,
                });
            }
            Aggregate::Min | Aggregate::Max => {
                let wanted = if kind == Aggregate::Min { Ordering::Less } else { Ordering::Greater };
                let better = self.best.as_ref().is_none_or(|best| value.compare(best) == Some(wanted));
                if better {
                    self.best = Some(value);
                }
            }
        }
        Ok(())
    }

    pub(super) fn result(&self, kind: Aggregate) -> Value {
        match kind {
            Aggregate::Count => Value::Int(i64::try_from(self.count).unwrap_or(i64::MAX)),
            Aggregate::Sum => self.sum.clone().unwrap_or(Value::Null),
            Aggregate::Avg => {
                let count = Decimal::whole(i64::try_from(self.count).unwrap_or(i64::MAX));
                let sum = self.sum.clone().unwrap_or(Value::Null);
                let mean = sum.exact().and_then(|sum| sum.calculate("/", count)).map(Value::Decimal);
                mean.or(sum.float().map(|sum| Value::Float(sum / self.count as f64))).unwrap_or(Value::Null)
            }
            Aggregate::Min | Aggregate::Max => self.best.clone().unwrap_or(Value::Null),
        }
    }
}

/// `+`, `-`, `*`, `/` or `%`. Errors: `IncorrectSqlFunctionArgumentType`, `ExternalEvalException` for a division by zero, `IntegerOverflow`.
pub(super) fn arithmetic(symbol: &str, left: &Value, right: &Value) -> Result<Value, Refused> {
    if left.is_nothing() || right.is_nothing() {
        return Ok(Value::Null);
    }
    let (Some(left), Some(right)) = (left.numeric(), right.numeric()) else {
        return Err(refused("IncorrectSqlFunctionArgumentType"));
    };
    let zero = || refused("ExternalEvalException");
    let overflow = || refused("IntegerOverflow");
    if let (Value::Int(a), Value::Int(b)) = (&left, &right) {
        let result = match symbol {
            "+" => a.checked_add(*b),
            "-" => a.checked_sub(*b),
            "*" => a.checked_mul(*b),
            "/" if *b == 0 => return Err(zero()),
            "/" => a.checked_div(*b),
            _ if *b == 0 => return Err(zero()),
            _ => a.checked_rem(*b),
        };
        return result.map(Value::Int).ok_or_else(overflow);
    }
    let (a, b) = (left.float().unwrap_or_default(), right.float().unwrap_or_default());
    // What has too many digits goes on as a floating point number.
    if let (Some(a), Some(b)) = (left.exact(), right.exact())
        && let Some(result) = a.calculate(symbol, b)
    {
        return Ok(Value::Decimal(result));
    }
    Ok(Value::Float(match symbol {
        "+" => a + b,
        "-" => a - b,
        "*" => a * b,
        "/" | "%" if b == 0.0 => return Err(zero()),
        "/" => a / b,
        _ => a % b,
    }))
}

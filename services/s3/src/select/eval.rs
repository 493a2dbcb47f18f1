//! What an expression comes to for a record.

use super::Refused;
use super::parse::{Aggregate, Expr, Query, Step};
use super::value::{Value, iso, timestamp};
use serde_json::Value as Json;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;
use time::{Date, Duration, Month, OffsetDateTime};

/// One record of the input.
pub(super) enum Record {
    Fields { fields: Vec<String>, header: Option<Arc<Header>> },
    Json(Json),
}

/// The names of a CSV file's columns.
pub(super) struct Header {
    pub(super) names: Vec<String>,
    exact: HashMap<String, usize>,
    folded: HashMap<String, usize>,
}

impl Header {
    pub(super) fn new(names: Vec<String>) -> Self {
        let (mut exact, mut folded) = (HashMap::new(), HashMap::new());
        for (index, name) in names.iter().enumerate() {
            exact.entry(name.clone()).or_insert(index);
            folded.entry(name.to_lowercase()).or_insert(index);
        }
        Self { names, exact, folded }
    }
}

/// A query at work: what aggregates have come to, and the time.
pub(super) struct Evaluator<'q> {
    query: &'q Query,
    sums: Vec<Sum>,
    now: OffsetDateTime,
}

#[derive(Default, Clone)]
struct Sum {
    count: u64,
    sum: Option<Value>,
    best: Option<Value>,
}

impl<'q> Evaluator<'q> {
    pub(super) fn new(query: &'q Query, millis: i64) -> Self {
        let now = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000);
        let sums = vec![Sum::default(); query.aggregates];
        Self { query, sums, now: now.unwrap_or(OffsetDateTime::UNIX_EPOCH) }
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
                && steps.last() == Some(&Step::All)
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
            Expr::Between(a, b, c) => [a, b, c].into_iter().try_for_each(|e| self.visit(e, record, sums)),
            Expr::In(a, list) => {
                self.visit(a, record, sums)?;
                list.iter().try_for_each(|e| self.visit(e, record, sums))
            }
            Expr::Call(_, list) => list.iter().try_for_each(|e| self.visit(e, record, sums)),
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
            Expr::Negative(inner) => match self.value(inner, record)?.numeric() {
                Some(Value::Int(n)) => Value::Int(n.wrapping_neg()),
                Some(Value::Float(n)) => Value::Float(-n),
                _ => Value::Null,
            },
            Expr::Binary(symbol, left, right) => self.binary(symbol, left, right, record)?,
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
                Value::Bool(like(&of.shown(), &pattern.shown(), *escape))
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
                call(name, &arguments, self.now)?
            }
            Expr::Aggregate(kind, place, _) => {
                self.sums.get(*place).map_or(Value::Null, |sum| sum.result(*kind))
            }
        })
    }

    fn binary(&self, symbol: &str, left: &Expr, right: &Expr, record: &Record) -> Result<Value, Refused> {
        let left = self.value(left, record)?;
        // What decides alone is not looked at further.
        match (symbol, left.truth()) {
            ("AND", Some(false)) => return Ok(Value::Bool(false)),
            ("OR", Some(true)) => return Ok(Value::Bool(true)),
            _ => {}
        }
        let right = self.value(right, record)?;
        let compared = |fits: fn(Ordering) -> bool| {
            left.compare(&right).map_or(Value::Null, |order| Value::Bool(fits(order)))
        };
        Ok(match symbol {
            "AND" => match (left.truth(), right.truth()) {
                (_, Some(false)) => Value::Bool(false),
                (Some(true), Some(true)) => Value::Bool(true),
                _ => Value::Null,
            },
            "OR" => match (left.truth(), right.truth()) {
                (_, Some(true)) => Value::Bool(true),
                (Some(false), Some(false)) => Value::Bool(false),
                _ => Value::Null,
            },
            "=" => compared(Ordering::is_eq),
            "<>" => compared(Ordering::is_ne),
            "<" => compared(Ordering::is_lt),
            "<=" => compared(Ordering::is_le),
            ">" => compared(Ordering::is_gt),
            ">=" => compared(Ordering::is_ge),
            "||" if left.is_nothing() || right.is_nothing() => Value::Null,
            "||" => Value::Text(left.shown() + &right.shown()),
            _ => arithmetic(symbol, &left, &right)?,
        })
    }

    fn look_up(&self, steps: &[Step], record: &Record) -> Result<Value, Refused> {
        let ours = |name: &str| match &self.query.alias {
            Some(alias) => name.eq_ignore_ascii_case(alias),
            None => name.eq_ignore_ascii_case("s3object"),
        };
        let steps = match steps {
            [Step::Name(first, _), rest @ ..] if ours(first) => rest,
            all => all,
        };
        match record {
            Record::Json(json) => Ok(walk(json, steps)),
            Record::Fields { fields, header } => field(fields, header.as_deref(), steps),
        }
    }
}

fn whole(record: &Record) -> Vec<(String, Value)> {
    match record {
        Record::Json(Json::Object(map)) => map.iter().map(|(k, v)| (k.clone(), Value::of(v))).collect(),
        Record::Json(other) => vec![("_1".to_owned(), Value::of(other))],
        Record::Fields { fields, header } => {
            let name = |index: usize| header.as_ref().and_then(|h| h.names.get(index).cloned());
            let numbered = |(index, field): (usize, &String)| {
                (name(index).unwrap_or_else(|| format!("_{}", index + 1)), Value::Field(field.clone()))
            };
            fields.iter().enumerate().map(numbered).collect()
        }
    }
}

fn walk(json: &Json, steps: &[Step]) -> Value {
    let mut at = json;
    for step in steps {
        let next = match step {
            Step::Name(name, true) => at.get(name),
            Step::Name(name, false) => at.get(name).or_else(|| {
                at.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
            }),
            Step::Index(index) => at.get(index),
            Step::All => Some(at),
        };
        match next {
            Some(next) => at = next,
            None => return Value::Missing,
        }
    }
    Value::of(at)
}

fn field(fields: &[String], header: Option<&Header>, steps: &[Step]) -> Result<Value, Refused> {
    let [Step::Name(name, exact)] = steps else {
        let message = "The SQL expression contains a path that a CSV file does not have.";
        return Err(Refused::new("ParseInvalidPathComponent", message));
    };
    let place = |index: usize| Ok(fields.get(index).map_or(Value::Missing, |f| Value::Field(f.clone())));
    if let Some(header) = header {
        let found = if *exact { header.exact.get(name) } else { header.folded.get(&name.to_lowercase()) };
        if let Some(index) = found {
            return place(*index);
        }
    }
    match name.strip_prefix('_').and_then(|n| n.parse::<usize>().ok()) {
        Some(number) if number > 0 => place(number - 1),
        _ if header.is_some() => Err(Refused::new(
            "MissingHeaders",
            "Some headers in the query are missing from the file. Check the file and try again.",
        )),
        _ => Err(Refused::new(
            "InvalidColumnIndex",
            "The column index in the SQL expression is not valid. Check the service documentation and try again.",
        )),
    }
}

fn arithmetic(symbol: &str, left: &Value, right: &Value) -> Result<Value, Refused> {
    if left.is_nothing() || right.is_nothing() {
        return Ok(Value::Null);
    }
    let (Some(left), Some(right)) = (left.numeric(), right.numeric()) else {
        let message =
            "Encountered an incorrect argument type in an arithmetic operation in the SQL expression.";
        return Err(Refused::new("IncorrectSqlFunctionArgumentType", message));
    };
    let zero = || Refused::new("DivideByZero", "The SQL expression divides by zero.");
    let overflow = || {
        Refused::new("IntegerOverflow", "An integer overflow or underflow occurred in the SQL expression.")
    };
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
    Ok(Value::Float(match symbol {
        "+" => a + b,
        "-" => a - b,
        "*" => a * b,
        "/" | "%" if b == 0.0 => return Err(zero()),
        "/" => a / b,
        _ => a % b,
    }))
}

impl Sum {
    fn take(&mut self, kind: Aggregate, value: Value) -> Result<(), Refused> {
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

    fn result(&self, kind: Aggregate) -> Value {
        match kind {
            Aggregate::Count => Value::Int(i64::try_from(self.count).unwrap_or(i64::MAX)),
            Aggregate::Sum => self.sum.clone().unwrap_or(Value::Null),
            Aggregate::Avg => match self.sum.as_ref().and_then(Value::float) {
                Some(sum) => Value::Float(sum / self.count as f64),
                None => Value::Null,
            },
            Aggregate::Min | Aggregate::Max => self.best.clone().unwrap_or(Value::Null),
        }
    }
}

/// `LIKE`: `%` stands for any text, `_` for any character.
fn like(text: &str, pattern: &str, escape: Option<char>) -> bool {
    #[derive(PartialEq)]
    enum Part {
        Any,
        One,
        Is(char),
    }
    let mut parts = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        parts.push(match c {
            c if Some(c) == escape => Part::Is(chars.next().unwrap_or(c)),
            '%' => Part::Any,
            '_' => Part::One,
            c => Part::Is(c),
        });
    }
    let text: Vec<char> = text.chars().collect();
    // The last `%` is where a mismatch goes back to; no other choice needs to be remembered.
    let (mut t, mut p, mut back) = (0, 0, None);
    while t < text.len() {
        match parts.get(p) {
            Some(Part::Any) => {
                back = Some((p, t));
                p += 1;
            }
            Some(Part::One) => (t, p) = (t + 1, p + 1),
            Some(Part::Is(c)) if *c == text[t] => (t, p) = (t + 1, p + 1),
            _ => match back {
                Some((at, from)) => {
                    back = Some((at, from + 1));
                    (t, p) = (from + 1, at + 1);
                }
                None => return false,
            },
        }
    }
    parts[p.min(parts.len())..].iter().all(|part| *part == Part::Any)
}

fn call(name: &str, arguments: &[Value], now: OffsetDateTime) -> Result<Value, Refused> {
    let wrong = || {
        let message = format!(
            "Encountered an incorrect argument type in the function call {name} in the SQL expression."
        );
        Refused::new("IncorrectSqlFunctionArgumentType", message)
    };
    match (name, arguments) {
        ("UTCNOW", _) => return Ok(Value::Time(now)),
        ("COALESCE", all) => return Ok(all.iter().find(|v| !v.is_nothing()).cloned().unwrap_or(Value::Null)),
        ("NULLIF", [a, b]) => {
            return Ok(if a.compare(b) == Some(Ordering::Equal) { Value::Null } else { a.clone() });
        }
        (_, all) if all.iter().any(Value::is_nothing) => return Ok(Value::Null),
        _ => {}
    }
    let number = |value: &Value| match value.numeric() {
        Some(Value::Int(n)) => Ok(n),
        Some(Value::Float(n)) if n.abs() < 9e15 => Ok(n as i64),
        _ => Err(wrong()),
    };
    let time = |value: &Value| match value {
        Value::Time(time) => Ok(*time),
        Value::Text(text) | Value::Field(text) => timestamp(text).ok_or_else(wrong),
        _ => Err(wrong()),
    };
    Ok(match (name, arguments) {
        ("LOWER", [text]) => Value::Text(text.shown().to_lowercase()),
        ("UPPER", [text]) => Value::Text(text.shown().to_uppercase()),
        ("CHAR_LENGTH" | "CHARACTER_LENGTH", [text]) => Value::Int(text.shown().chars().count() as i64),
        ("SIZE", [Value::Json(Json::Array(list))]) => Value::Int(list.len() as i64),
        ("SUBSTRING", [text, from, rest @ ..]) => {
            // Positions begin at 1; what lies before the text counts towards the length.
            let from = number(from)?;
            let until = rest
                .first()
                .map(&number)
                .transpose()?
                .map_or(i64::MAX, |len| from.saturating_add(len.max(0)));
            let chosen = text.shown();
            let chosen =
                chosen.chars().zip(1i64..).filter(|(_, at)| (from..until).contains(at)).map(|(c, _)| c);
            Value::Text(chosen.collect())
        }
        ("TRIM", [side, text, characters]) => {
            let (side, text, set) = (side.shown(), text.shown(), characters.shown());
            let inside = |c: char| set.contains(c);
            let text = if side == "TRAILING" { text.as_str() } else { text.trim_start_matches(inside) };
            let text = if side == "LEADING" { text } else { text.trim_end_matches(inside) };
            Value::Text(text.to_owned())
        }
        ("TO_TIMESTAMP", [text]) => Value::Time(time(text)?),
        ("TO_STRING", [at, format]) => Value::Text(formatted(time(at)?, &format.shown())),
        ("EXTRACT", [part, at]) => {
            let at = time(at)?;
            Value::Int(match part.shown().as_str() {
                "YEAR" => at.year().into(),
                "MONTH" => u8::from(at.month()).into(),
                "DAY" => at.day().into(),
                "HOUR" => at.hour().into(),
                "MINUTE" => at.minute().into(),
                "SECOND" => at.second().into(),
                "TIMEZONE_HOUR" => at.offset().whole_hours().into(),
                "TIMEZONE_MINUTE" => at.offset().minutes_past_hour().into(),
                _ => return Err(wrong()),
            })
        }
        ("DATE_ADD", [part, count, at]) => {
            let moved = moved(time(at)?, &part.shown(), number(count)?);
            Value::Time(moved.ok_or_else(wrong)?)
        }
        ("DATE_DIFF", [part, from, to]) => {
            let (from, to) = (time(from)?, time(to)?);
            let months = |t: OffsetDateTime| i64::from(t.year()) * 12 + i64::from(u8::from(t.month()));
            let whole_months = {
                let raw = months(to) - months(from);
                let later = |t: OffsetDateTime| (t.day(), t.time());
                match raw.signum() {
                    1 if later(to) < later(from) => raw - 1,
                    -1 if later(to) > later(from) => raw + 1,
                    _ => raw,
                }
            };
            let between = to - from;
            Value::Int(match part.shown().as_str() {
                "YEAR" => whole_months / 12,
                "MONTH" => whole_months,
                "DAY" => between.whole_days(),
                "HOUR" => between.whole_hours(),
                "MINUTE" => between.whole_minutes(),
                "SECOND" => between.whole_seconds(),
                _ => return Err(wrong()),
            })
        }
        _ => return Err(wrong()),
    })
}

fn moved(at: OffsetDateTime, part: &str, count: i64) -> Option<OffsetDateTime> {
    let months = match part {
        "YEAR" => count.checked_mul(12)?,
        "MONTH" => count,
        "DAY" => return at.checked_add(Duration::seconds(count.checked_mul(86_400)?)),
        "HOUR" => return at.checked_add(Duration::seconds(count.checked_mul(3_600)?)),
        "MINUTE" => return at.checked_add(Duration::seconds(count.checked_mul(60)?)),
        "SECOND" => return at.checked_add(Duration::seconds(count)),
        _ => return None,
    };
    let all = i64::from(at.year()).checked_mul(12)? + i64::from(u8::from(at.month())) - 1;
    let all = all.checked_add(months)?;
    let month = Month::try_from(u8::try_from(all.rem_euclid(12) + 1).ok()?).ok()?;
    let year = i32::try_from(all.div_euclid(12)).ok()?;
    let day = at.day().min(month.length(year));
    Some(at.replace_date(Date::from_calendar_date(year, month, day).ok()?))
}

/// `TO_STRING` with a pattern such as `MMMM d, y`.
fn formatted(at: OffsetDateTime, pattern: &str) -> String {
    let mut out = String::new();
    let chars: Vec<char> = pattern.chars().collect();
    let mut i = 0;
    while let Some(&c) = chars.get(i) {
        let run = chars[i..].iter().take_while(|x| **x == c).count();
        let padded = |n: i64| format!("{n:0run$}");
        match c {
            'y' if run == 2 => out.push_str(&format!("{:02}", at.year().rem_euclid(100))),
            'y' => out.push_str(&padded(at.year().into())),
            'M' if run == 3 => out.push_str(at.month().to_string().get(..3).unwrap_or_default()),
            'M' if run >= 4 => out.push_str(&at.month().to_string()),
            'M' => out.push_str(&padded(u8::from(at.month()).into())),
            'd' => out.push_str(&padded(at.day().into())),
            'a' => out.push_str(if at.hour() < 12 { "AM" } else { "PM" }),
            'h' => out.push_str(&padded(((at.hour() + 11) % 12 + 1).into())),
            'H' => out.push_str(&padded(at.hour().into())),
            'm' => out.push_str(&padded(at.minute().into())),
            's' => out.push_str(&padded(at.second().into())),
            'S' => {
                let digits = format!("{:09}", at.nanosecond());
                out.push_str(digits.get(..run.min(9)).unwrap_or_default());
            }
            'n' => out.push_str(&at.nanosecond().to_string()),
            'X' | 'x' if at.offset().is_utc() && c == 'X' => out.push('Z'),
            'X' | 'x' => {
                let text = iso(at);
                let offset = text.get(text.len().saturating_sub(6)..).unwrap_or_default();
                let offset = offset.strip_suffix('Z').map_or(offset, |_| "+00:00");
                out.push_str(&if run >= 5 || run == 3 { offset.to_owned() } else { offset.replace(':', "") });
            }
            '\'' => {
                let end = chars[i + 1..].iter().position(|x| *x == '\'').unwrap_or(chars.len() - i - 1);
                out.extend(&chars[i + 1..i + 1 + end]);
                i += end + 2;
                continue;
            }
            other => out.extend(std::iter::repeat_n(other, run)),
        }
        i += run;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (text, pattern, escape, expected) in [
            ("abc", "a%", None, true),
            ("abc", "%b%", None, true),
            ("abc", "a_c", None, true),
            ("abc", "a_", None, false),
            ("", "%", None, true),
            ("a%c", "a!%c", Some('!'), true),
            ("abc", "a!%c", Some('!'), false),
            ("aXbXb", "a%b", None, true),
        ] {
            assert_eq!(like(text, pattern, escape), expected, "{text} {pattern}");
        }
    }

    #[test]
    fn times_are_written_by_pattern() {
        let at = timestamp("1969-07-20T20:18Z").unwrap();
        for (pattern, expected) in [
            ("MMMM d, y", "July 20, 1969"),
            ("MMM d, yyyy", "Jul 20, 1969"),
            ("M-d-yy", "7-20-69"),
            ("MM-d-y", "07-20-1969"),
            ("MMMM d, y h:m a", "July 20, 1969 8:18 PM"),
            ("y-MM-dd''T''H:m:ssX", "1969-07-20TT20:18:00Z"),
        ] {
            let expected = expected.replace("TT", "T");
            let shown = formatted(at, &pattern.replace("''", "'"));
            assert_eq!(shown, expected, "{pattern}");
        }
        assert_eq!(
            moved(timestamp("2020-01-31").unwrap(), "MONTH", 1).map(iso).unwrap(),
            "2020-02-29T00:00:00Z"
        );
    }
}

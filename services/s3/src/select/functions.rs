//! The functions of the language. Source: S3 User Guide, "SQL functions".

use super::Refused;
use super::value::{Value, iso, timestamp};
use serde_json::Value as Json;
use std::cmp::Ordering;
use time::{Date, Duration, Month, OffsetDateTime};

/// What a function of this name, in upper case, gives. Errors: `IncorrectSqlFunctionArgumentType`.
pub(super) fn call(name: &str, arguments: &[Value], now: OffsetDateTime) -> Result<Value, Refused> {
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

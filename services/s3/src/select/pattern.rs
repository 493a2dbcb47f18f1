//! Patterns of timestamps, such as `MMMM d, y h:m a`. Source: S3 User Guide, "Date functions", the format symbols of TO_STRING.

use super::Refused;
use super::stamp::{Precision, Stamp, shown_offset};
use super::words::refused;
use time::{Date, Month, OffsetDateTime, Time, UtcOffset};

/// The longest pattern, in characters.
const LONGEST: usize = 1024;

#[derive(Debug, Clone, PartialEq)]
enum Item {
    /// A letter, and how often it stands there.
    Field(char, usize),
    Text(String),
}

/// Whether a field of this letter can be so long; `None`: there is no such field.
fn fits(letter: char, run: usize) -> Option<bool> {
    Some(match letter {
        'y' => matches!(run, 1 | 2 | 4),
        'M' | 'X' | 'x' => (1..=5).contains(&run),
        'd' | 'h' | 'H' | 'm' | 's' => run <= 2,
        'a' | 'n' => run == 1,
        'S' => run <= 9,
        _ => return None,
    })
}

/// Errors: `EvaluatorInvalidTimestampFormatPatternSymbol`, `…PatternToken`, `EvaluatorUnterminatedTimestampFormatPatternToken`.
fn items(pattern: &str) -> Result<Vec<Item>, Refused> {
    let chars: Vec<char> = pattern.chars().take(LONGEST + 1).collect();
    if chars.len() > LONGEST {
        return Err(refused("EvaluatorInvalidTimestampFormatPattern"));
    }
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        let rest = chars.get(at..).unwrap_or_default();
        if c == '\'' {
            let inside = chars.get(at + 1..).unwrap_or_default();
            let Some(end) = inside.iter().position(|x| *x == '\'') else {
                return Err(refused("EvaluatorUnterminatedTimestampFormatPatternToken"));
            };
            // Two together are one of them.
            let text: String = if end == 0 { "'".to_owned() } else { inside.iter().take(end).collect() };
            out.push(Item::Text(text));
            at += end + 2;
            continue;
        }
        if c.is_alphabetic() {
            let run = rest.iter().take_while(|x| **x == c).count();
            match fits(c, run) {
                None => return Err(refused("EvaluatorInvalidTimestampFormatPatternSymbol")),
                Some(false) => return Err(refused("EvaluatorInvalidTimestampFormatPatternToken")),
                Some(true) => out.push(Item::Field(c, run)),
            }
            at += run;
            continue;
        }
        if c.is_numeric() || c.is_control() {
            return Err(refused("EvaluatorInvalidTimestampFormatPatternSymbol"));
        }
        out.push(Item::Text(c.to_string()));
        at += 1;
    }
    Ok(out)
}

/// `TO_STRING`. Errors: those of the pattern.
pub(super) fn write(stamp: &Stamp, pattern: &str) -> Result<String, Refused> {
    let at = stamp.at;
    let mut out = String::new();
    for item in items(pattern)? {
        let (letter, run) = match item {
            Item::Text(text) => {
                out.push_str(&text);
                continue;
            }
            Item::Field(letter, run) => (letter, run),
        };
        let padded = |n: i64| format!("{n:0run$}");
        let name = at.month().to_string();
        let fraction = format!("{:09}", at.nanosecond());
        out.push_str(&match letter {
            'y' if run == 2 => format!("{:02}", at.year().rem_euclid(100)),
            'y' => padded(at.year().into()),
            'M' if run == 3 => name.get(..3).unwrap_or_default().to_owned(),
            'M' if run == 4 => name,
            'M' if run == 5 => name.get(..1).unwrap_or_default().to_owned(),
            'M' => padded(u8::from(at.month()).into()),
            'd' => padded(at.day().into()),
            'a' => if at.hour() < 12 { "AM" } else { "PM" }.to_owned(),
            'h' => padded(((at.hour() + 11) % 12 + 1).into()),
            'H' => padded(at.hour().into()),
            'm' => padded(at.minute().into()),
            's' => padded(at.second().into()),
            'S' => fraction.get(..run).unwrap_or_default().to_owned(),
            'n' => at.nanosecond().to_string(),
            'X' if at.offset().is_utc() => "Z".to_owned(),
            _ if run == 1 && at.offset().minutes_past_hour() == 0 => {
                shown_offset(at.offset(), "").get(..3).unwrap_or_default().to_owned()
            }
            _ if matches!(run, 3 | 5) => shown_offset(at.offset(), ":"),
            _ => shown_offset(at.offset(), ""),
        });
    }
    Ok(out)
}

/// What a text says, by the fields of a pattern.
#[derive(Default)]
struct Said {
    year: Option<u32>,
    month: Option<u32>,
    day: Option<u32>,
    hour: Option<u32>,
    minute: Option<u32>,
    second: Option<u32>,
    nanos: Option<(u32, u8)>,
    afternoon: Option<bool>,
    offset: Option<UtcOffset>,
}

/// `TO_TIMESTAMP` with a pattern. Errors: those of the pattern; `ValueParseFailure` for a text that it does not fit.
pub(super) fn read(text: &str, pattern: &str) -> Result<Stamp, Refused> {
    let items = items(pattern)?;
    check(&items)?;
    fit(text, &items).ok_or_else(|| refused("ValueParseFailure"))
}

/// Whether a timestamp can be read by these. Errors: `EvaluatorInvalidTimestampFormatPattern`, `…SymbolForParsing`,
/// `EvaluatorTimestampFormatPatternDuplicateFields`, `EvaluatorTimestampFormatPatternHourClockAmPmMismatch`.
fn check(items: &[Item]) -> Result<(), Refused> {
    /// From the largest to the smallest: each needs all before it.
    const ORDER: [&str; 6] = ["y", "M", "d", "hH", "m", "s"];
    let count = |letters: &str| {
        items.iter().filter(|i| matches!(i, Item::Field(c, _) if letters.contains(*c))).count()
    };
    if items.contains(&Item::Field('M', 5)) {
        return Err(refused("EvaluatorInvalidTimestampFormatPatternSymbolForParsing"));
    }
    if ORDER.iter().chain(&["a", "Sn", "Xx"]).any(|letters| count(letters) > 1) {
        return Err(refused("EvaluatorTimestampFormatPatternDuplicateFields"));
    }
    let there: Vec<bool> = ORDER.iter().map(|letters| count(letters) == 1).collect();
    let gap = there.windows(2).any(|pair| matches!(pair, [false, true]));
    let fraction = count("Sn") > 0 && there.last() != Some(&true);
    let offset = count("Xx") > 0 && there.get(4) != Some(&true);
    if there.first() != Some(&true) || gap || fraction || offset {
        return Err(refused("EvaluatorInvalidTimestampFormatPattern"));
    }
    if count("h") > 0 && count("a") == 0 || count("H") > 0 && count("a") > 0 {
        return Err(refused("EvaluatorTimestampFormatPatternHourClockAmPmMismatch"));
    }
    Ok(())
}

fn fit(text: &str, items: &[Item]) -> Option<Stamp> {
    let mut rest = text;
    let mut said = Said::default();
    for item in items {
        match item {
            Item::Text(text) => rest = rest.strip_prefix(text.as_str())?,
            Item::Field(letter, run) => rest = field(rest, *letter, *run, &mut said)?,
        }
    }
    rest.is_empty().then(|| stamp(&said))?
}

/// At most so many digits, and at least the least; what is left.
fn number(text: &str, least: usize, most: usize) -> Option<(u32, usize, &str)> {
    let count = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at_checked(count)?;
    (count >= least).then_some((digits.parse().ok()?, count, rest))
}

fn field<'t>(text: &'t str, letter: char, run: usize, said: &mut Said) -> Option<&'t str> {
    let two = |text: &'t str| number(text, run.min(2), 2);
    match letter {
        'y' if run == 2 => {
            let (year, _, rest) = number(text, 2, 2)?;
            // As Java reads them: from 1970 on.
            said.year = Some(if year < 70 { 2000 + year } else { 1900 + year });
            Some(rest)
        }
        'y' => {
            let (year, _, rest) = number(text, run, 4)?;
            said.year = Some(year);
            Some(rest)
        }
        'M' if run >= 3 => {
            let all = (1..=12u8).filter_map(|n| Month::try_from(n).ok());
            let mut named = all.filter_map(|month| {
                let name = month.to_string();
                let name = if run == 3 { name.get(..3)?.to_owned() } else { name };
                let begins = text.get(..name.len())?.eq_ignore_ascii_case(&name);
                begins.then_some((u8::from(month), name.len()))
            });
            let (month, length) = named.next()?;
            said.month = Some(month.into());
            text.get(length..)
        }
        'a' => {
            let word = text.get(..2)?;
            said.afternoon = Some(word.eq_ignore_ascii_case("PM"));
            (word.eq_ignore_ascii_case("AM") || word.eq_ignore_ascii_case("PM")).then(|| text.get(2..))?
        }
        'S' | 'n' => {
            let (value, count, rest) =
                if letter == 'S' { number(text, run, run)? } else { number(text, 1, 9)? };
            let digits = if letter == 'S' { count } else { 9 };
            let nanos = value.checked_mul(10u32.checked_pow(9u32.checked_sub(digits as u32)?)?)?;
            said.nanos = Some((nanos, digits as u8));
            Some(rest)
        }
        'X' | 'x' => {
            if letter == 'X'
                && let Some(rest) = text.strip_prefix('Z')
            {
                said.offset = Some(UtcOffset::UTC);
                return Some(rest);
            }
            let (sign, rest) = text.split_at_checked(1)?;
            let (hours, _, rest) = number(rest, 2, 2)?;
            let rest = if matches!(run, 3 | 5) { rest.strip_prefix(':')? } else { rest };
            let (minutes, rest) = match run {
                1 => (0, rest),
                _ => number(rest, 2, 2).map(|(minutes, _, rest)| (minutes, rest))?,
            };
            let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?;
            let seconds = match sign {
                "+" => seconds,
                "-" => -seconds,
                _ => return None,
            };
            said.offset = Some(UtcOffset::from_whole_seconds(seconds).ok()?);
            Some(rest)
        }
        _ => {
            let (value, _, rest) = two(text)?;
            let place = match letter {
                'M' => &mut said.month,
                'd' => &mut said.day,
                'h' | 'H' => &mut said.hour,
                'm' => &mut said.minute,
                _ => &mut said.second,
            };
            *place = Some(value);
            Some(rest)
        }
    }
}

fn stamp(said: &Said) -> Option<Stamp> {
    let byte = |value: Option<u32>, or: u8| value.map_or(Some(or), |v| u8::try_from(v).ok());
    let month = Month::try_from(byte(said.month, 1)?).ok()?;
    let year = i32::try_from(said.year?).ok().filter(|year| *year > 0)?;
    let date = Date::from_calendar_date(year, month, byte(said.day, 1)?).ok()?;
    let hour = match said.afternoon {
        None => byte(said.hour, 0)?,
        Some(afternoon) => {
            let hour = byte(said.hour, 0)?;
            (1..=12).contains(&hour).then_some(hour % 12 + if afternoon { 12 } else { 0 })?
        }
    };
    let nanos = said.nanos.map_or(0, |(nanos, _)| nanos);
    let time = Time::from_hms_nano(hour, byte(said.minute, 0)?, byte(said.second, 0)?, nanos).ok()?;
    let precision = match (said.nanos, said.second, said.hour, said.day, said.month) {
        (Some((_, digits)), ..) => Precision::Fraction(digits),
        (_, Some(_), ..) => Precision::Second,
        (_, _, Some(_), ..) => Precision::Minute,
        (_, _, _, Some(_), _) => Precision::Day,
        (_, _, _, _, Some(_)) => Precision::Month,
        _ => Precision::Year,
    };
    let at = OffsetDateTime::new_in_offset(date, time, said.offset.unwrap_or(UtcOffset::UTC));
    Some(Stamp { at, precision, known: said.offset.is_some() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_by_pattern() {
        for (text, pattern, expected) in [
            ("1969-07-20T20:18Z", "MMMM d, y", "July 20, 1969"),
            ("1969-07-20T20:18Z", "MMM d, yyyy", "Jul 20, 1969"),
            ("1969-07-20T20:18Z", "M-d-yy", "7-20-69"),
            ("1969-07-20T20:18Z", "MM-d-y", "07-20-1969"),
            ("1969-07-20T20:18Z", "MMMM d, y h:m a", "July 20, 1969 8:18 PM"),
            ("1969-07-20T20:18Z", "y-MM-dd'T'H:m:ssX", "1969-07-20T20:18:00Z"),
            ("1969-07-20T20:18+08:00", "y-MM-dd'T'H:m:ssXXXX", "1969-07-20T20:18:00+0800"),
            ("1969-07-20T20:18+08:00", "y-MM-dd'T'H:m:ssXXXXX", "1969-07-20T20:18:00+08:00"),
            ("1969-07-20T20:18:01.234567Z", "MMMMM''SSS n x", "J'234 234567000 +00"),
            ("1969-07-20T00:05-05:30", "hh HH mm XX X", "12 00 05 -0530 -0530"),
        ] {
            assert_eq!(write(&Stamp::read(text).unwrap(), pattern).unwrap(), expected, "{pattern}");
        }
    }

    #[test]
    fn times_are_read_by_pattern() {
        for (text, pattern, expected) in [
            ("July 20, 1969", "MMMM d, y", "1969-07-20"),
            ("May 1, 2001", "MMM d, y", "2001-05-01"),
            ("7-20-69", "M-d-yy", "2069-07-20"),
            ("1969", "yyyy", "1969T"),
            ("2007-02", "y-MM", "2007-02T"),
            ("20070223 12:14 AM", "yyyyMMdd hh:mm a", "2007-02-23T00:14-00:00"),
            ("2007-02-23T12:14:33.079-0830", "y-MM-dd'T'HH:mm:ss.SSSXX", "2007-02-23T12:14:33.079-08:30"),
        ] {
            assert_eq!(
                read(text, pattern).map(|s| s.show()).map_err(|r| r.code),
                Ok(expected.to_owned()),
                "{pattern}"
            );
        }
        for (text, pattern, code) in [
            ("x", "y", "ValueParseFailure"),
            ("2007-13", "y-MM", "ValueParseFailure"),
            ("2007 ", "y", "ValueParseFailure"),
            ("1", "M", "EvaluatorInvalidTimestampFormatPattern"),
            ("1", "y d", "EvaluatorInvalidTimestampFormatPattern"),
            ("1", "y y", "EvaluatorTimestampFormatPatternDuplicateFields"),
            ("1", "y M d h", "EvaluatorTimestampFormatPatternHourClockAmPmMismatch"),
            ("1", "y M d H a", "EvaluatorTimestampFormatPatternHourClockAmPmMismatch"),
            ("1", "y MMMMM", "EvaluatorInvalidTimestampFormatPatternSymbolForParsing"),
            ("1", "y Q", "EvaluatorInvalidTimestampFormatPatternSymbol"),
            ("1", "yyyyy", "EvaluatorInvalidTimestampFormatPatternToken"),
            ("1", "y 'T", "EvaluatorUnterminatedTimestampFormatPatternToken"),
        ] {
            assert_eq!(read(text, pattern).unwrap_err().code, code, "{pattern}");
        }
    }
}

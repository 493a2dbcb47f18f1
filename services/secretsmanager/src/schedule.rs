//! When a secret is rotated: every so many days, `rate(…)` or `cron(…)`, in UTC.
//!
//! Source: User Guide, "Schedule expressions in Secrets Manager rotation".

use crate::errors::invalid;
use crate::state::{DAY, Rotation};
use cloudlet_service::Error;
use time::{Date, Duration, Month, OffsetDateTime};

const HOUR: i64 = 60 * 60 * 1000;
/// How many days ahead a cron expression is followed before it counts as one that never comes.
const FARTHEST: i64 = 366 * 9;

/// When the rotation after `from` begins.
///
/// Errors: `InvalidParameterException` for an expression that cannot be read or never comes.
pub(crate) fn next(rotation: &Rotation, from: i64) -> Result<Option<i64>, Error> {
    if let Some(days) = rotation.days {
        // By the end of the last day.
        let due = from + days * DAY;
        return Ok(Some(due - due.rem_euclid(DAY) + DAY - 1000));
    }
    let Some(expression) = &rotation.expression else { return Ok(None) };
    let bad = || invalid(format!("Invalid schedule expression: {expression}"));
    if let Some(rate) = argument(expression, "rate") {
        let (count, unit) = rate.trim().split_once(' ').ok_or_else(bad)?;
        let count: i64 = count.parse().map_err(|_| bad())?;
        let length = match unit.trim() {
            "hour" | "hours" => HOUR,
            "day" | "days" => DAY,
            _ => return Err(bad()),
        };
        let span = count.checked_mul(length).ok_or_else(bad)?;
        if !(4 * HOUR..=999 * DAY).contains(&span) {
            return Err(invalid("Rotation schedule must be at least 4 hours and at most 999 days apart."));
        }
        return Ok(Some(from + span));
    }
    let cron = argument(expression, "cron").ok_or_else(bad)?;
    let cron = Cron::parse(cron).ok_or_else(bad)?;
    Ok(Some(cron.after(from).ok_or_else(bad)?))
}

/// When the window closes that a schedule opens then: after its `Duration`; without one after an hour where the schedule
/// counts hours, else with the day. `None` where the whole day of a number of days is the window, whose end `at` is.
pub(crate) fn window_end(rotation: &Rotation, at: i64) -> Option<i64> {
    let expression = rotation.expression.as_deref().filter(|_| rotation.days.is_none())?;
    let given = rotation.duration.as_deref().and_then(|text| text.strip_suffix('h')?.parse::<i64>().ok());
    let hourly = match argument(expression, "cron") {
        Some(cron) => {
            cron.split_whitespace().nth(1).is_some_and(|hours| hours.contains(['*', '/', ',', '-']))
        }
        None => expression.contains("hour"),
    };
    Some(match given {
        Some(hours) => at + hours * HOUR,
        None if hourly => at + HOUR,
        None => day_end(at),
    })
}

fn day_end(at: i64) -> i64 {
    at - at.rem_euclid(DAY) + DAY
}

/// Whether the schedule can be kept from now on.
///
/// Errors: `InvalidParameterException` for an expression that cannot be read or never comes, and for a window that reaches
/// into the next one or the next day.
pub(crate) fn check(rotation: &Rotation, now: i64) -> Result<(), Error> {
    let Some(at) = next(rotation, now)? else { return Ok(()) };
    let (Some(end), true) = (window_end(rotation, at), rotation.duration.is_some()) else { return Ok(()) };
    let following = next(rotation, at)?.unwrap_or(i64::MAX);
    if end <= at || end > day_end(at) || end > following {
        return Err(invalid(
            "The rotation window can't extend into the next rotation window or the next UTC day.",
        ));
    }
    Ok(())
}

fn argument<'a>(expression: &'a str, name: &str) -> Option<&'a str> {
    expression.trim().strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')')
}

/// Six fields: minutes, hours, day of month, month, day of week, year.
struct Cron {
    minutes: Vec<i64>,
    hours: Vec<i64>,
    days: Option<Days>,
    months: Vec<i64>,
    weekdays: Option<Weekdays>,
    years: Option<Vec<i64>>,
}

enum Days {
    These(Vec<i64>),
    /// `L`
    Last,
}

enum Weekdays {
    /// 1 is Sunday.
    These(Vec<i64>),
    /// `3#2`: the second Tuesday.
    Nth(i64, i64),
    /// `3L`: the last Tuesday.
    Last(i64),
}

const MONTHS: &[&str] = &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

impl Cron {
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays, years] = fields.as_slice() else { return None };
        let days = match *days {
            "?" => None,
            "L" => Some(Days::Last),
            days => Some(Days::These(values(days, 1, 31, &[])?)),
        };
        let weekdays = match *weekdays {
            "?" => None,
            one if one.contains('#') => {
                let (day, nth) = one.split_once('#')?;
                let nth = nth.parse().ok().filter(|nth| (1..=5).contains(nth))?;
                Some(Weekdays::Nth(number(day, 1, 7, WEEKDAYS)?, nth))
            }
            last if last.len() > 1 && last.ends_with('L') => {
                Some(Weekdays::Last(number(last.strip_suffix('L')?, 1, 7, WEEKDAYS)?))
            }
            "L" => Some(Weekdays::These(vec![7])),
            days => Some(Weekdays::These(values(days, 1, 7, WEEKDAYS)?)),
        };
        Some(Self {
            minutes: values(minutes, 0, 59, &[])?,
            hours: values(hours, 0, 23, &[])?,
            days,
            months: values(months, 1, 12, MONTHS)?,
            weekdays,
            years: if *years == "*" { None } else { Some(values(years, 1970, 2199, &[])?) },
        })
    }

    /// The first time after this one.
    fn after(&self, from: i64) -> Option<i64> {
        let from = OffsetDateTime::from_unix_timestamp(from.div_euclid(1000)).ok()?;
        let mut date = from.date();
        for _ in 0..FARTHEST {
            if self.matches(date) {
                for hour in &self.hours {
                    for minute in &self.minutes {
                        let at =
                            date.with_hms(u8::try_from(*hour).ok()?, u8::try_from(*minute).ok()?, 0).ok()?;
                        let at = at.assume_utc();
                        if at > from {
                            return Some(at.unix_timestamp() * 1000);
                        }
                    }
                }
            }
            date = date.checked_add(Duration::DAY)?;
        }
        None
    }

    fn matches(&self, date: Date) -> bool {
        let (month, day) = (i64::from(u8::from(date.month())), i64::from(date.day()));
        let length = i64::from(last_day(date));
        let weekday = i64::from(date.weekday().number_days_from_sunday()) + 1;
        self.months.contains(&month)
            && self.years.as_ref().is_none_or(|years| years.contains(&i64::from(date.year())))
            && match &self.days {
                None => true,
                Some(Days::Last) => day == length,
                Some(Days::These(days)) => days.contains(&day),
            }
            && match &self.weekdays {
                None => true,
                Some(Weekdays::These(days)) => days.contains(&weekday),
                Some(Weekdays::Nth(on, nth)) => weekday == *on && (day - 1) / 7 + 1 == *nth,
                Some(Weekdays::Last(on)) => weekday == *on && day + 7 > length,
            }
    }
}

fn last_day(date: Date) -> u8 {
    match date.month() {
        Month::February => 28 + u8::from(time::util::is_leap_year(date.year())),
        Month::April | Month::June | Month::September | Month::November => 30,
        _ => 31,
    }
}

/// All values of a field: `*`, `1,2`, `1-5`, `*/4`, `8/2`, names.
fn values(field: &str, least: i64, most: i64, names: &[&str]) -> Option<Vec<i64>> {
    let mut out = Vec::new();
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse().ok().filter(|step| *step > 0)?),
            None => (part, 1),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (least, most),
            Some((first, last)) => (number(first, least, most, names)?, number(last, least, most, names)?),
            None => {
                let first = number(range, least, most, names)?;
                (first, if part.contains('/') { most } else { first })
            }
        };
        if first > last {
            return None;
        }
        out.extend((first..=last).step_by(usize::try_from(step).ok()?));
    }
    out.sort_unstable();
    out.dedup();
    Some(out)
}

fn number(text: &str, least: i64, most: i64, names: &[&str]) -> Option<i64> {
    if let Some(at) = names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
        return Some(least + i64::try_from(at).ok()?);
    }
    text.parse().ok().filter(|number| (least..=most).contains(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows() {
        let rotation = |expression: &str, duration: Option<&str>| Rotation {
            expression: Some(expression.to_owned()),
            duration: duration.map(str::to_owned),
            ..Rotation::default()
        };
        let hours = |expression: &str, duration: Option<&str>| {
            let rotation = rotation(expression, duration);
            check(&rotation, NOW).map_err(|error| error.code().to_owned())?;
            let at = next(&rotation, NOW).unwrap().unwrap();
            Ok::<_, String>((window_end(&rotation, at).unwrap() - at) / HOUR)
        };
        assert_eq!(hours("cron(0 20 * * ? *)", None), Ok(4));
        assert_eq!(hours("cron(0 20 * * ? *)", Some("3h")), Ok(3));
        assert_eq!(hours("cron(0 */6 * * ? *)", None), Ok(1));
        assert_eq!(hours("rate(8 hours)", None), Ok(1));
        assert_eq!(hours("rate(8 hours)", Some("4h")), Ok(4));
        let refused = Err("InvalidParameterException".to_owned());
        for (expression, duration) in
            [("cron(0 20 * * ? *)", "5h"), ("cron(0 20 * * ? *)", "0h"), ("cron(0 */2 * * ? *)", "3h")]
        {
            assert_eq!(hours(expression, Some(duration)), refused, "{expression} {duration}");
        }
        assert_eq!(window_end(&Rotation { days: Some(3), ..Rotation::default() }, NOW), None);
    }

    /// 2027-01-15 08:00 UTC, a Friday.
    const NOW: i64 = 1_800_000_000_000;

    fn at(expression: &str) -> Option<String> {
        let rotation = Rotation { expression: Some(expression.to_owned()), ..Rotation::default() };
        let next = next(&rotation, NOW).ok()??;
        Some(OffsetDateTime::from_unix_timestamp(next / 1000).unwrap().to_string())
    }

    #[test]
    fn expressions() {
        for (expression, expected) in [
            ("rate(4 hours)", "2027-01-15 12:00:00.0 +00:00:00"),
            ("rate(10 days)", "2027-01-25 8:00:00.0 +00:00:00"),
            ("cron(0 12 * * ? *)", "2027-01-15 12:00:00.0 +00:00:00"),
            ("cron(0 8 * * ? *)", "2027-01-16 8:00:00.0 +00:00:00"),
            ("cron(0 16 1,15 * ? *)", "2027-01-15 16:00:00.0 +00:00:00"),
            ("cron(0 0 L * ? *)", "2027-01-31 0:00:00.0 +00:00:00"),
            ("cron(0 0 ? * SUN#1 *)", "2027-02-07 0:00:00.0 +00:00:00"),
            ("cron(0 0 ? * 6L *)", "2027-01-29 0:00:00.0 +00:00:00"),
            ("cron(0 */6 * * ? *)", "2027-01-15 12:00:00.0 +00:00:00"),
            ("cron(0 0 1 1/3 ? *)", "2027-04-01 0:00:00.0 +00:00:00"),
            ("cron(0 0 29 FEB ? *)", "2028-02-29 0:00:00.0 +00:00:00"),
        ] {
            assert_eq!(at(expression).as_deref(), Some(expected), "{expression}");
        }
        for bad in
            ["", "rate(1 hour)", "rate(x days)", "cron(0 0)", "cron(0 0 31 2 ? *)", "cron(99 0 * * ? *)"]
        {
            assert_eq!(at(bad), None, "{bad}");
        }
    }
}

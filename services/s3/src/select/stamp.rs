//! Timestamps: they know how precise they are, and whether anybody said which offset they have.
//! Source: Ion specification, "Timestamps"; S3 User Guide, "Date functions".

use std::cmp::Ordering;
use time::{Date, Duration, Month, OffsetDateTime, Time, UtcOffset};

/// How far down a timestamp goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Precision {
    Year,
    Month,
    Day,
    Minute,
    Second,
    /// So many digits of a second.
    Fraction(u8),
}

/// A moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) at: OffsetDateTime,
    pub(super) precision: Precision,
    /// Whether the offset was said.
    pub(super) known: bool,
}

/// What a date function counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    TimezoneHour,
    TimezoneMinute,
}

impl Part {
    /// Out of its name, in any case.
    pub(super) fn read(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "YEAR" => Self::Year,
            "MONTH" => Self::Month,
            "DAY" => Self::Day,
            "HOUR" => Self::Hour,
            "MINUTE" => Self::Minute,
            "SECOND" => Self::Second,
            "TIMEZONE_HOUR" => Self::TimezoneHour,
            "TIMEZONE_MINUTE" => Self::TimezoneMinute,
            _ => return None,
        })
    }
}

/// Exactly so many digits.
fn digits(text: &str, count: usize) -> Option<u32> {
    (text.len() == count && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

impl Stamp {
    /// The cloud's time, to the millisecond.
    pub(super) fn now(millis: i64) -> Self {
        let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000);
        let at = at.unwrap_or(OffsetDateTime::UNIX_EPOCH);
        Self { at, precision: Precision::Fraction(3), known: true }
    }

    /// `2007T`, `2007-02-23`, `2007-02-23T12:14:33.079-08:00` and what lies between.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (day, clock) = match text.split_once(['T', 't']) {
            Some((day, clock)) => (day, clock),
            None if text.len() == 10 => (text, ""),
            None => return None,
        };
        let mut parts = day.split('-');
        let year = digits(parts.next()?, 4)?;
        let month = parts.next().map(|m| digits(m, 2)).map_or(Some(None), |m| m.map(Some))?;
        let date = parts.next().map(|d| digits(d, 2)).map_or(Some(None), |d| d.map(Some))?;
        if parts.next().is_some() || (year == 0) {
            return None;
        }
        let named = Month::try_from(u8::try_from(month.unwrap_or(1)).ok()?).ok()?;
        let number = u8::try_from(date.unwrap_or(1)).ok()?;
        let on = Date::from_calendar_date(i32::try_from(year).ok()?, named, number).ok()?;
        if clock.is_empty() {
            let precision = match (month, date) {
                (None, _) => Precision::Year,
                (_, None) => Precision::Month,
                _ => Precision::Day,
            };
            let at = OffsetDateTime::new_utc(on, Time::MIDNIGHT);
            return Some(Self { at, precision, known: false });
        }
        date?;
        // What the guide's own examples write as `+08:00Z` has its offset all the same.
        let plain = clock.strip_suffix(['Z', 'z']);
        let sign = clock.rfind(['+', '-']);
        let (time, offset, known) = match (sign, plain) {
            (Some(at), _) => {
                let (time, text) = clock.split_at(at);
                let text = text.trim_end_matches(['Z', 'z']);
                (time, offset(text)?, text != "-00:00")
            }
            (None, Some(time)) => (time, UtcOffset::UTC, true),
            (None, None) => (clock, UtcOffset::UTC, false),
        };
        let (time, precision) = clock_time(time)?;
        let at = OffsetDateTime::new_in_offset(on, time, offset);
        Some(Self { at, precision, known })
    }

    /// As it is written.
    pub(super) fn show(&self) -> String {
        let at = self.at;
        let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
        match self.precision {
            Precision::Year => return format!("{year:04}T"),
            Precision::Month => return format!("{year:04}-{month:02}T"),
            Precision::Day => return format!("{year:04}-{month:02}-{day:02}"),
            _ => {}
        }
        let mut out = format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}", at.hour(), at.minute());
        if self.precision > Precision::Minute {
            out.push_str(&format!(":{:02}", at.second()));
        }
        if let Precision::Fraction(count) = self.precision {
            let nanos = format!("{:09}", at.nanosecond());
            out.push('.');
            out.push_str(nanos.get(..usize::from(count).min(9)).unwrap_or_default());
        }
        out.push_str(&match self.known {
            false => "-00:00".to_owned(),
            true if at.offset().is_utc() => "Z".to_owned(),
            true => shown_offset(at.offset(), ":"),
        });
        out
    }

    pub(super) fn order(&self, other: &Self) -> Ordering {
        self.at.cmp(&other.at)
    }

    /// `EXTRACT`.
    pub(super) fn part(&self, part: Part) -> i64 {
        let at = self.at;
        match part {
            Part::Year => at.year().into(),
            Part::Month => u8::from(at.month()).into(),
            Part::Day => at.day().into(),
            Part::Hour => at.hour().into(),
            Part::Minute => at.minute().into(),
            Part::Second => at.second().into(),
            Part::TimezoneHour => at.offset().whole_hours().into(),
            Part::TimezoneMinute => at.offset().minutes_past_hour().into(),
        }
    }

    /// `DATE_ADD`: at least as precise as what is added. `None`: beyond the years 1 to 9999, or no part to count in.
    pub(super) fn plus(&self, part: Part, count: i64) -> Option<Self> {
        let seconds = |each: i64| self.at.checked_add(Duration::seconds(count.checked_mul(each)?));
        let (at, precision) = match part {
            Part::Year => (months(self.at, count.checked_mul(12)?)?, Precision::Year),
            Part::Month => (months(self.at, count)?, Precision::Month),
            Part::Day => (seconds(86_400)?, Precision::Day),
            Part::Hour => (seconds(3_600)?, Precision::Minute),
            Part::Minute => (seconds(60)?, Precision::Minute),
            Part::Second => (seconds(1)?, Precision::Second),
            Part::TimezoneHour | Part::TimezoneMinute => return None,
        };
        (1..=9999).contains(&at.year()).then_some(Self {
            at,
            precision: precision.max(self.precision),
            ..*self
        })
    }

    /// `DATE_DIFF`: the whole ones that lie between. `None`: no part to count in.
    pub(super) fn until(&self, other: &Self, part: Part) -> Option<i64> {
        let (from, to) = (self.at.to_offset(UtcOffset::UTC), other.at.to_offset(UtcOffset::UTC));
        let between = to - from;
        Some(match part {
            Part::Year => whole_months(from, to) / 12,
            Part::Month => whole_months(from, to),
            Part::Day => between.whole_days(),
            Part::Hour => between.whole_hours(),
            Part::Minute => between.whole_minutes(),
            Part::Second => between.whole_seconds(),
            Part::TimezoneHour | Part::TimezoneMinute => return None,
        })
    }
}

/// `12:14`, `12:14:33`, `12:14:33.079`.
fn clock_time(text: &str) -> Option<(Time, Precision)> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let mut parts = whole.split(':');
    let hour = u8::try_from(digits(parts.next()?, 2)?).ok()?;
    let minute = u8::try_from(digits(parts.next()?, 2)?).ok()?;
    let Some(second) = parts.next() else {
        let time = Time::from_hms(hour, minute, 0).ok()?;
        return fraction.is_none().then_some((time, Precision::Minute));
    };
    let second = u8::try_from(digits(second, 2)?).ok()?;
    if parts.next().is_some() {
        return None;
    }
    let Some(fraction) = fraction else {
        return Some((Time::from_hms(hour, minute, second).ok()?, Precision::Second));
    };
    if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let kept = fraction.get(..fraction.len().min(9))?;
    let nanos = format!("{kept:0<9}").parse().ok()?;
    let time = Time::from_hms_nano(hour, minute, second, nanos).ok()?;
    Some((time, Precision::Fraction(u8::try_from(kept.len()).ok()?)))
}

/// `+08:00`.
fn offset(text: &str) -> Option<UtcOffset> {
    let (sign, rest) = text.split_at_checked(1)?;
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?;
    UtcOffset::from_whole_seconds(if sign == "-" { -seconds } else { seconds }).ok()
}

pub(super) fn shown_offset(offset: UtcOffset, between: &str) -> String {
    let minutes = offset.whole_minutes();
    let sign = if minutes < 0 { '-' } else { '+' };
    format!("{sign}{:02}{between}{:02}", minutes.abs() / 60, minutes.abs() % 60)
}

fn months(at: OffsetDateTime, count: i64) -> Option<OffsetDateTime> {
    let all = i64::from(at.year()).checked_mul(12)? + i64::from(u8::from(at.month())) - 1;
    let all = all.checked_add(count)?;
    let month = Month::try_from(u8::try_from(all.rem_euclid(12) + 1).ok()?).ok()?;
    let year = i32::try_from(all.div_euclid(12)).ok().filter(|year| (1..=9999).contains(year))?;
    let day = at.day().min(month.length(year));
    Some(at.replace_date(Date::from_calendar_date(year, month, day).ok()?))
}

fn whole_months(from: OffsetDateTime, to: OffsetDateTime) -> i64 {
    let number = |t: OffsetDateTime| i64::from(t.year()) * 12 + i64::from(u8::from(t.month()));
    let raw = number(to) - number(from);
    let later = |t: OffsetDateTime| (t.day(), t.time());
    match raw.signum() {
        1 if later(to) < later(from) => raw - 1,
        -1 if later(to) > later(from) => raw + 1,
        _ => raw,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_comes_back() {
        for text in [
            "2007T",
            "2007-02T",
            "2007-02-23",
            "2007-02-23T12:14Z",
            "2007-02-23T12:14-00:00",
            "2007-02-23T12:14:33Z",
            "2007-02-23T12:14:33.079-08:00",
            "2007-02-23T12:14:33.000001+05:30",
        ] {
            assert_eq!(Stamp::read(text).unwrap().show(), text);
        }
        for (text, shown) in [("2007-02-23T", "2007-02-23"), ("2007-02-23T12:14", "2007-02-23T12:14-00:00")] {
            assert_eq!(Stamp::read(text).unwrap().show(), shown);
        }
        for text in [
            "",
            "T",
            "2007",
            "2007-02",
            "2007-13T",
            "2007-02-30",
            "0000T",
            "2007-02T12:00Z",
            "2007-02-23T12Z",
            "2007-2-3",
            "2007-02-23T25:00Z",
            "2007-02-23T12:14:33.Z",
            "2007-02-23T12:14+25:00",
            "2007-02-23 12:14",
            "x",
            "2007-02-23T12:14:33:1Z",
        ] {
            assert_eq!(Stamp::read(text), None, "{text}");
        }
    }

    #[test]
    fn dates_are_added_as_the_guide_says() {
        for (part, count, from, to) in [
            ("year", 5, "2010-01-01T", "2015-01-01"),
            ("month", 1, "2010T", "2010-02T"),
            ("month", 13, "2010T", "2011-02T"),
            ("month", 1, "2020-01-31", "2020-02-29"),
            ("day", -1, "2017-01-10T", "2017-01-09"),
            ("hour", 1, "2017T", "2017-01-01T01:00-00:00"),
            ("hour", 1, "2017-01-02T03:04Z", "2017-01-02T04:04Z"),
            ("minute", 1, "2017-01-02T03:04:05.006Z", "2017-01-02T03:05:05.006Z"),
            ("second", 1, "2017-01-02T03:04:05.006Z", "2017-01-02T03:04:06.006Z"),
        ] {
            let moved = Stamp::read(from).unwrap().plus(Part::read(part).unwrap(), count).unwrap();
            assert_eq!(moved.show(), to);
        }
        let late = Stamp::read("9999-12-31").unwrap();
        assert_eq!(late.plus(Part::Day, 1), None);
        assert_eq!(late.plus(Part::Year, i64::MAX), None);
    }

    #[test]
    fn differences_are_whole() {
        for (part, from, to, count) in [
            (Part::Year, "2010-01-01T", "2011-01-01T", 1),
            (Part::Month, "2010T", "2010-05T", 4),
            (Part::Month, "2010T", "2011T", 12),
            (Part::Month, "2011T", "2010T", -12),
            (Part::Day, "2010-01-01T23:00", "2010-01-02T01:00", 0),
            (Part::Day, "2010-01-01T", "2010-01-31T", 30),
            (Part::Second, "2010-01-01T00:00Z", "2010-01-01T01:00+01:00", 0),
        ] {
            assert_eq!(Stamp::read(from).unwrap().until(&Stamp::read(to).unwrap(), part), Some(count));
        }
    }
}

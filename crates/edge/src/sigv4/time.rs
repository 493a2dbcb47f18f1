//! The one form of time that signatures use: `YYYYMMDD'T'HHMMSS'Z'`, in seconds since the Unix epoch.

/// Reads `20150830T123600Z`. `None` for anything else, impossible dates included.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let b = text.as_bytes();
    if b.len() != 16 || b[8] != b'T' || b[15] != b'Z' {
        return None;
    }
    let number = |range: std::ops::Range<usize>| {
        b[range].iter().try_fold(0i64, |n, d| d.is_ascii_digit().then(|| n * 10 + i64::from(d - b'0')))
    };
    let (year, month, day) = (number(0..4)?, number(4..6)?, number(6..8)?);
    let (hour, minute, second) = (number(9..11)?, number(11..13)?, number(13..15)?);
    if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Some(days_since_epoch(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Writes seconds since the epoch as `20150830T123600Z`.
pub(crate) fn basic(seconds: i64) -> String {
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let of_day = seconds.rem_euclid(86_400);
    format!("{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z", of_day / 3600, of_day / 60 % 60, of_day % 60)
}

/// Writes seconds since the epoch as `2015-08-30T12:36:00Z`, the form inside S3's errors.
pub(crate) fn extended(seconds: i64) -> String {
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let of_day = seconds.rem_euclid(86_400);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", of_day / 3600, of_day / 60 % 60, of_day % 60)
}

/// Reads the `Date` header (RFC 9110, section 5.6.7) in any of its three forms, and in that of RFC 5322, section 3.3,
/// with an offset in the place of `GMT`, as S3's own examples have it. Nothing before 1970 is a date.
pub(crate) fn parse_http(text: &str) -> Option<i64> {
    if let Some(at) = parse_mail(text) {
        return Some(at).filter(|at| *at >= 0);
    }
    let at = httpdate::parse_http_date(text).ok()?;
    let since = at.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}

/// Reads `Tue, 27 Mar 2007 19:36:42 +0000`. The name of the day counts for nothing, as on AWS.
fn parse_mail(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, rest) = text.trim().split_once(", ")?;
    let mut parts = rest.split_ascii_whitespace();
    let number = |text: &str| {
        let digits = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<i64>().ok()).flatten()
    };
    let day = number(parts.next()?)?;
    let month = parts.next()?;
    let month = MONTHS.iter().position(|m| m.eq_ignore_ascii_case(month))? as i64 + 1;
    let year = number(parts.next()?)?;
    let mut clock = parts.next()?.split(':').map(number);
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let offset = match parts.next()? {
        "GMT" | "UTC" | "Z" => 0,
        zone => {
            let sign = if zone.starts_with('-') { -1 } else { 1 };
            let digits = zone.strip_prefix(['+', '-']).filter(|d| d.len() == 4)?;
            sign * (number(digits.get(..2)?)? * 3600 + number(digits.get(2..)?)? * 60)
        }
    };
    if parts.next().is_some() || clock.next().is_some() || day < 1 || day > days_in_month(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Some(days_since_epoch(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar, counting years from March so that the leap day
/// is the last of its year.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The inverse of [`days_since_epoch`].
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes() {
        assert_eq!(parse("20150830T123600Z"), Some(1_440_938_160));
        assert_eq!(basic(1_440_938_160), "20150830T123600Z");
        assert_eq!(extended(1_440_938_160), "2015-08-30T12:36:00Z");
        assert_eq!(parse("19700101T000000Z"), Some(0));
        assert_eq!(parse("20240229T000000Z").map(basic).as_deref(), Some("20240229T000000Z"));
        for bad in [
            "20230229T000000Z",
            "20151330T123600Z",
            "20150830T243600Z",
            "20150830 123600Z",
            "",
            "2015é830T12360Z",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        for same in [
            "Fri, 09 Sep 2011 23:36:00 +0000",
            "Mon, 9 Sep 2011 23:36:00 GMT",
            "Fri, 09 Sep 2011 16:06:00 -0730",
        ] {
            assert_eq!(parse_http(same).map(basic).as_deref(), Some("20110909T233600Z"), "{same}");
        }
        for none in [
            "Fri, 07 Jul 1950 21:53:04 GMT",
            "Fri, 31 Sep 2011 23:36:00 GMT",
            "Fri, 09 Sep 2011 23:36 GMT",
            "x, y",
        ] {
            assert_eq!(parse_http(none), None, "{none}");
        }
        assert_eq!(
            parse_http("Fri, 09 Sep 2011 23:36:00 GMT").map(basic).as_deref(),
            Some("20110909T233600Z")
        );
    }

    #[test]
    fn every_day_survives_the_round_trip() {
        for day in -200_000..200_000 {
            let (y, m, d) = civil(day);
            assert_eq!(days_since_epoch(y, m, d), day);
        }
    }
}

//! Typed values of conditions: numbers, dates, addresses, bytes.

use std::cmp::Ordering;
use std::net::{IpAddr, Ipv4Addr};

/// A number: whole ones compare exactly, however large.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Number {
    whole: Option<i128>,
    float: f64,
}

impl Number {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        // Rust reads words such as `inf` and `NaN` as floats too.
        if !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')) {
            return None;
        }
        let float: f64 = text.parse().ok()?;
        Some(Self { whole: text.parse().ok(), float })
    }

    pub(crate) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self.whole, other.whole) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => self.float.partial_cmp(&other.float),
        }
    }
}

const NANOS: i128 = 1_000_000_000;

/// Reads a date as nanoseconds since 1970: whole or decimal epoch seconds, or one of the W3C profiles of
/// ISO 8601 (`YYYY`, `YYYY-MM`, `YYYY-MM-DD`, with `Thh:mm`, `:ss`, fractions and an offset). Without an offset
/// the time is UTC. Four digits are a year, other integers epoch seconds.
pub(crate) fn parse_date(text: &str) -> Option<i128> {
    let text = text.trim();
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let negative = unsigned.len() < text.len();
    let epoch = unsigned.len() != 4 || negative;
    if epoch && !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds: i64 = text.parse().ok()?;
        return Some(i128::from(seconds) * NANOS);
    }
    if let Some((whole, fraction)) = unsigned.split_once('.')
        && digits(whole)
        && digits(fraction)
    {
        let seconds: i64 = whole.parse().ok()?;
        let nanos = i128::from(seconds) * NANOS + nanoseconds(fraction);
        return Some(if negative { -nanos } else { nanos });
    }
    iso_date(text)
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A run of digits after a decimal point, as nanoseconds; what is finer is dropped.
fn nanoseconds(fraction: &str) -> i128 {
    fraction
        .bytes()
        .chain(std::iter::repeat(b'0'))
        .take(9)
        .fold(0, |sum, byte| sum * 10 + i128::from(byte - b'0'))
}

fn number(text: &str, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
    if !digits(text) || text.len() > 9 {
        return None;
    }
    text.parse().ok().filter(|value| range.contains(value))
}

fn iso_date(text: &str) -> Option<i128> {
    let (date, time) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let mut fields = date.split('-');
    let year = number(fields.next()?, 0..=999_999_999)?;
    let month = fields.next().map_or(Some(1), |field| number(field, 1..=12))?;
    let day = fields.next().map_or(Some(1), |field| number(field, 1..=31))?;
    if fields.next().is_some() || day > days_in(year, month) {
        return None;
    }
    let days = i128::from(days_from_civil(year, month, day));
    let (seconds, nanos) = match time {
        Some(time) => time_of_day(time)?,
        None => (0, 0),
    };
    Some((days * 86_400 + i128::from(seconds)) * NANOS + nanos)
}

/// Seconds since midnight in UTC (beyond a day for far offsets), and nanoseconds.
fn time_of_day(text: &str) -> Option<(i64, i128)> {
    let zone_at = text.find(['Z', 'z', '+', '-']).unwrap_or(text.len());
    let (clock, zone) = text.split_at(zone_at);
    let mut fields = clock.split(':');
    let hour = number(fields.next()?, 0..=24)?;
    let minute = fields.next().map_or(Some(0), |field| number(field, 0..=59))?;
    let (second, nanos) = match fields.next() {
        Some(field) => match field.split_once('.') {
            Some((second, fraction)) if digits(fraction) => (number(second, 0..=60)?, nanoseconds(fraction)),
            Some(_) => return None,
            None => (number(field, 0..=60)?, 0),
        },
        None => (0, 0),
    };
    if fields.next().is_some() {
        return None;
    }
    let offset = match zone.as_bytes() {
        [] | [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), ..] => {
            let (hours, minutes) = match zone[1..].split_once(':') {
                Some(pair) => pair,
                None if zone.len() == 5 => zone[1..].split_at(2),
                None => (&zone[1..], "00"),
            };
            if hours.len() != 2 || minutes.len() != 2 {
                return None;
            }
            let size = number(hours, 0..=23)? * 3600 + number(minutes, 0..=59)? * 60;
            if *sign == b'-' { -size } else { size }
        }
        _ => return None,
    };
    Some((hour * 3600 + minute * 60 + second - offset, nanos))
}

fn leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March here, so that the leap day is the last one of its year.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// A range of addresses: `203.0.113.0/24`, `2001:db8::/32`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cidr {
    base: u128,
    mask: u128,
    v4: bool,
}

impl Cidr {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address = parse_address(address)?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) if digits(prefix) => prefix.parse::<u32>().ok().filter(|prefix| *prefix <= width)?,
            Some(_) => return None,
            None => width,
        };
        // IPv4 lives in the low 32 bits.
        let mask = match width - prefix {
            128 => 0,
            host => u128::MAX << host,
        };
        Some(Self { base: bits(address) & mask, mask, v4: address.is_ipv4() })
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.v4 == address.is_ipv4() && bits(address) & self.mask == self.base
    }
}

/// Reads an address. An IPv4 address written as IPv6 (`::ffff:192.0.2.1`, as dual-stack sockets show it) is the
/// IPv4 address.
pub(crate) fn parse_address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    if let Some(address) = parse_v4(text) {
        return Some(IpAddr::V4(address));
    }
    text.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// Dotted decimal, without leading zeros. Every address condition of a decision reads the caller's address, so
/// that this is worth doing quicker than the standard library's general parser.
fn parse_v4(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0u8; 4];
    let mut octet = 0;
    let mut len = 0;
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' if len == 0 || octets[octet] != 0 => {
                octets[octet] = octets[octet].checked_mul(10)?.checked_add(byte - b'0')?;
                len += 1;
            }
            b'.' if len > 0 && octet < 3 => {
                octet += 1;
                len = 0;
            }
            _ => return None,
        }
    }
    (octet == 3 && len > 0).then_some(Ipv4Addr::from(octets))
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// Reads `true` or `false`, in any case.
pub(crate) fn parse_bool(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// Decodes Base64 (RFC 4648, section 4), with or without padding.
pub(crate) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let data = text.trim_end_matches('=');
    if text.len() - data.len() > 2 || data.len() % 4 == 1 {
        return None;
    }
    let mut out = Vec::with_capacity(data.len() * 3 / 4);
    let (mut buffer, mut bits) = (0u32, 0);
    for byte in data.bytes() {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        buffer = buffer << 6 | u32::from(six);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((buffer >> bits) as u8);
            buffer &= (1 << bits) - 1;
        }
    }
    (buffer == 0).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<i128> {
        parse_date(text).map(|nanos| nanos.div_euclid(NANOS))
    }

    #[test]
    fn dates() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29", Some(951_782_400)),
            ("2019-07-16T12:00:00Z", Some(1_563_278_400)),
            ("2019-07-16T12:00Z", Some(1_563_278_400)),
            ("2019-07-16T14:00:00+02:00", Some(1_563_278_400)),
            ("2019-07-16T14:00:00+0200", Some(1_563_278_400)),
            ("2019-07-16T14:00:00+02", Some(1_563_278_400)),
            ("2019-07-16t12:00:00.999z", Some(1_563_278_400)),
            ("2019-07-16T12:00:00", Some(1_563_278_400)),
            ("1563278400", Some(1_563_278_400)),
            ("1563278400.5", Some(1_563_278_400)),
            ("-1", Some(-1)),
            ("2019", Some(1_546_300_800)),
            ("2019-07", Some(1_561_939_200)),
            ("1969-12-31T23:59:59Z", Some(-1)),
            ("9223372036854775808", None),
            ("2019-02-29", None),
            ("2019-13-01", None),
            ("2019-07-16T25:00:00Z", None),
            ("2019-07-16T12:00:00+1", None),
            ("2019-07-16T12:00:00.Z", None),
            ("2019-07-16T12:00:00Zjunk", None),
            ("sdfdsf", None),
            ("", None),
            ("-", None),
            ("234-13", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
        assert!(parse_date("2019-07-16T12:00:00.2Z") > parse_date("2019-07-16T12:00:00.1999999999Z"));
    }

    #[test]
    fn numbers() {
        let compare = |a: &str, b: &str| Number::parse(a)?.compare(&Number::parse(b)?);
        assert_eq!(compare("9007199254740993", "9007199254740992"), Some(Ordering::Greater));
        assert_eq!(compare("1.50", "1.5"), Some(Ordering::Equal));
        assert_eq!(compare("-3", "2.5e0"), Some(Ordering::Less));
        for text in ["", "x", "inf", "NaN", "1,5", "0x10"] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
    }

    #[test]
    fn addresses() {
        for (range, address, expected) in [
            ("203.0.113.0/24", "203.0.113.255", true),
            ("203.0.113.0/24", "203.0.114.0", false),
            ("203.0.113.77/24", "203.0.113.1", true),
            ("203.0.113.5", "203.0.113.5", true),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
            ("2001:DB8:1234:5678::/64", "2001:db8:1234:5678:9::1", true),
            ("2001:DB8:1234:5678::/64", "2001:db8:1234:5679::1", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
        ] {
            let range = Cidr::parse(range).unwrap();
            assert_eq!(range.contains(parse_address(address).unwrap()), expected, "{range:?} {address}");
        }
        for text in [
            "0.0.0.0",
            "10.200.30.255",
            "1.2.3.256",
            "01.2.3.4",
            "00.0.0.0",
            "1..2.3",
            "1.2.3.",
            ".1.2.3",
            "1.2.3.4.5",
        ] {
            assert_eq!(parse_v4(text), text.parse().ok(), "{text}");
        }
        for text in ["", "1.2.3", "1.2.3.4/33", "::/129", "1.2.3.4/", "1.2.3.4/-1", "1.2.3.4/+8", "x/8"] {
            assert_eq!(Cidr::parse(text), None, "{text}");
        }
    }

    #[test]
    fn base64() {
        assert_eq!(decode_base64("QmluYXJ5VmFsdWVJbkJhc2U2NA=="), Some(b"BinaryValueInBase64".to_vec()));
        assert_eq!(decode_base64("QmluYXJ5VmFsdWVJbkJhc2U2NA"), Some(b"BinaryValueInBase64".to_vec()));
        assert_eq!(decode_base64(""), Some(vec![]));
        for text in ["A", "AB", "A=BC", "AA===", "AA-_"] {
            assert_eq!(decode_base64(text), None, "{text}");
        }
    }
}

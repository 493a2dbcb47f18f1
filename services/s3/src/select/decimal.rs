//! Decimal numbers of at most 38 digits, as S3 Select counts with them. Source: S3 User Guide, "Data types".

use std::cmp::Ordering;

/// The most digits after the point.
const MOST: u32 = 38;

/// `digits` divided by ten as often as `scale` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decimal {
    digits: i128,
    scale: u32,
}

fn power(of: u32) -> Option<i128> {
    10i128.checked_pow(of)
}

impl Decimal {
    /// A number without an exponent. `None`: it is none, or has too many digits.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (sign, plain) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = plain.split_once('.').unwrap_or((plain, ""));
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !digits(whole) || !digits(fraction) {
            return None;
        }
        let scale = u32::try_from(fraction.len()).ok().filter(|scale| *scale <= MOST)?;
        let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
        Some(Self { digits: sign * digits, scale })
    }

    pub(super) fn whole(number: i64) -> Self {
        Self { digits: number.into(), scale: 0 }
    }

    pub(super) fn show(self) -> String {
        let digits = self.digits.unsigned_abs().to_string();
        let scale = self.scale as usize;
        let sign = if self.digits < 0 { "-" } else { "" };
        if scale == 0 {
            return format!("{sign}{digits}");
        }
        let padded = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) = padded.split_at(padded.len() - scale);
        format!("{sign}{whole}.{fraction}")
    }

    pub(super) fn float(self) -> f64 {
        self.show().parse().unwrap_or(f64::NAN)
    }

    /// What stands before the point, where it fits; and whether nothing stands behind it.
    pub(super) fn truncated(self) -> Option<(i64, bool)> {
        let one = power(self.scale)?;
        Some((i64::try_from(self.digits / one).ok()?, self.digits % one == 0))
    }

    /// Both with as many digits after the point.
    fn aligned(self, other: Self) -> Option<(i128, i128, u32)> {
        let scale = self.scale.max(other.scale);
        let raised = |d: Self| d.digits.checked_mul(power(scale - d.scale)?);
        Some((raised(self)?, raised(other)?, scale))
    }

    pub(super) fn order(self, other: Self) -> Option<Ordering> {
        match self.aligned(other) {
            Some((a, b, _)) => Some(a.cmp(&b)),
            None => self.float().partial_cmp(&other.float()),
        }
    }

    /// `+`, `-`, `*`, `/` or `%`. `None`: the result has too many digits, or the divisor is zero.
    pub(super) fn calculate(self, symbol: &str, other: Self) -> Option<Self> {
        match symbol {
            "*" => {
                let digits = self.digits.checked_mul(other.digits)?;
                Self { digits, scale: self.scale + other.scale }.shortened(MOST)
            }
            "/" => self.divided(other),
            _ => {
                let (a, b, scale) = self.aligned(other)?;
                let digits = match symbol {
                    "+" => a.checked_add(b)?,
                    "-" => a.checked_sub(b)?,
                    _ => a.checked_rem(b)?,
                };
                Some(Self { digits, scale })
            }
        }
    }

    /// As exact as there is room for.
    fn divided(self, other: Self) -> Option<Self> {
        let least = self.scale.saturating_sub(other.scale);
        let mut digits = self.digits;
        let mut scale = i64::from(self.scale) - i64::from(other.scale);
        while digits != 0 && scale < i64::from(MOST) {
            let Some(more) = digits.checked_mul(10) else { break };
            digits = more;
            scale += 1;
        }
        let (quotient, rest) = (digits.checked_div(other.digits)?, digits.checked_rem(other.digits)?);
        // Half of the last digit is rounded to the even one.
        let twice = rest.unsigned_abs().checked_mul(2)?.cmp(&other.digits.unsigned_abs());
        let up = twice == Ordering::Greater || (twice == Ordering::Equal && quotient % 2 != 0);
        let away = if (digits < 0) == (other.digits < 0) { 1 } else { -1 };
        let quotient = if up { quotient.checked_add(away)? } else { quotient };
        match u32::try_from(scale) {
            Ok(scale) => Self { digits: quotient, scale }.shortened(least),
            Err(_) => {
                let raised = quotient.checked_mul(power(u32::try_from(-scale).ok()?)?)?;
                Some(Self { digits: raised, scale: 0 })
            }
        }
    }

    /// Without the zeros at its end that are beyond so many digits after the point.
    fn shortened(mut self, least: u32) -> Option<Self> {
        while self.scale > least && self.digits % 10 == 0 {
            self.digits /= 10;
            self.scale -= 1;
        }
        (self.scale <= MOST).then_some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calculations() {
        for (a, symbol, b, result) in [
            ("0.1", "+", "0.2", Some("0.3")),
            ("1.10", "+", "2", Some("3.10")),
            ("-0.05", "-", "1", Some("-1.05")),
            ("1.5", "*", "1.50", Some("2.250")),
            ("7.0", "/", "2", Some("3.5")),
            ("10", "/", "3", Some("3.3333333333333333333333333333333333333")),
            ("2", "/", "-3", Some("-0.6666666666666666666666666666666666667")),
            ("1", "/", "8", Some("0.125")),
            ("100", "/", "0.01", Some("10000")),
            ("5.5", "%", "2", Some("1.5")),
            ("1", "/", "0.0", None),
            ("99999999999999999999", "*", "9999999999999999999999", None),
        ] {
            let found = Decimal::read(a).unwrap().calculate(symbol, Decimal::read(b).unwrap());
            assert_eq!(found.map(Decimal::show).as_deref(), result, "{a} {symbol} {b}");
        }
        for text in ["", ".", "-", "1e3", "1.2.3", "x", &"9".repeat(40), &format!("0.{}", "1".repeat(39))] {
            assert_eq!(Decimal::read(text), None, "{text}");
        }
        assert_eq!(Decimal::read(".5").unwrap().show(), "0.5");
        assert_eq!(Decimal::read("-12.70").unwrap().truncated(), Some((-12, false)));
        assert_eq!(Decimal::read("1.0").unwrap().order(Decimal::read("1").unwrap()), Some(Ordering::Equal));
        let large = Decimal::read(&"9".repeat(38)).unwrap();
        assert_eq!(large.order(Decimal::read("0.00000001").unwrap()), Some(Ordering::Greater));
    }
}

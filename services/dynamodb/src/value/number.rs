//! DynamoDB's numbers: decimal, 38 significant digits, magnitudes from 1E-130 to 9.99…E+125.
//!
//! Source: Developer Guide, "Supported data types and naming rules", Number.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// The most significant digits.
const DIGITS: usize = 38;
/// The place of the first digit, at most: 9.99…E+125.
const MOST: i32 = 125;
/// The place of the first digit, at least: 1E-130.
const LEAST: i32 = -130;
const LIMIT: u128 = 10u128.pow(DIGITS as u32);

/// A number in normal form: a coefficient without trailing zeros and a power of ten. Zero has no sign.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Number {
    // Two halves rather than one u128, which would align every value to 16 bytes.
    high: u64,
    low: u64,
    exponent: i16,
    negative: bool,
}

/// Why a text or a result is not a number of DynamoDB's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NumberError {
    /// Not a number. The text, which AWS repeats unless it is empty.
    NotANumber(String),
    /// Beyond 9.99…E+125.
    Overflow,
    /// Nearer to zero than 1E-130.
    Underflow,
    /// More than 38 significant digits.
    Precision,
}

impl fmt::Display for NumberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotANumber(text) if text.is_empty() => {
                f.write_str("The parameter cannot be converted to a numeric value")
            }
            Self::NotANumber(text) => {
                write!(f, "The parameter cannot be converted to a numeric value: {text}")
            }
            Self::Overflow => f.write_str(
                "Number overflow. Attempting to store a number with magnitude larger than supported range",
            ),
            Self::Underflow => f.write_str(
                "Number underflow. Attempting to store a number with magnitude smaller than supported range",
            ),
            Self::Precision => f.write_str("Attempting to store more than 38 significant digits in a Number"),
        }
    }
}

impl std::error::Error for NumberError {}

impl Number {
    /// Nought.
    pub const ZERO: Self = Self { high: 0, low: 0, exponent: 0, negative: false };

    /// From sign, digits and power of ten; trailing zeros may remain.
    pub(crate) fn new(negative: bool, mut coefficient: u128, mut exponent: i32) -> Result<Self, NumberError> {
        if coefficient == 0 {
            return Ok(Self::ZERO);
        }
        while coefficient.is_multiple_of(10) {
            coefficient /= 10;
            exponent += 1;
        }
        let first = exponent + digits(coefficient) as i32 - 1;
        if first > MOST {
            return Err(NumberError::Overflow);
        }
        if first < LEAST {
            return Err(NumberError::Underflow);
        }
        if coefficient >= LIMIT {
            return Err(NumberError::Precision);
        }
        // Within ±168, checked above.
        Ok(Self {
            high: (coefficient >> 64) as u64,
            low: coefficient as u64,
            exponent: exponent as i16,
            negative,
        })
    }

    /// The digits as an integer; no trailing zeros.
    pub fn coefficient(&self) -> u128 {
        u128::from(self.high) << 64 | u128::from(self.low)
    }

    /// The power of ten that the coefficient is multiplied with.
    pub fn exponent(&self) -> i32 {
        i32::from(self.exponent)
    }

    /// Whether it is less than zero.
    pub fn is_negative(&self) -> bool {
        self.negative
    }

    /// Whether it is zero.
    pub fn is_zero(&self) -> bool {
        self.high == 0 && self.low == 0
    }

    /// How many significant digits it has; one for zero.
    pub fn digits(&self) -> usize {
        digits(self.coefficient())
    }

    /// The place of the first digit: 2 for 100.
    pub fn magnitude(&self) -> i32 {
        self.exponent() + self.digits() as i32 - 1
    }

    /// The integer, if it is one and fits.
    pub fn to_i64(&self) -> Option<i64> {
        let factor = 10i128.checked_pow(u32::try_from(self.exponent).ok()?)?;
        let value = i128::try_from(self.coefficient()).ok()?.checked_mul(factor)?;
        i64::try_from(if self.negative { -value } else { value }).ok()
    }

    /// The exact sum. Errors: it does not fit.
    pub fn add(&self, other: &Self) -> Result<Self, NumberError> {
        if self.is_zero() {
            return Ok(*other);
        }
        if other.is_zero() {
            return Ok(*self);
        }
        // The one with the greater power of ten is spread out to the power of the other. Without trailing zeros in
        // the other the sum has its last digit there too, so what does not fit in 128 bits has more than 38 digits.
        let (wide, narrow) = if self.exponent >= other.exponent { (self, other) } else { (other, self) };
        let shift = u32::from(wide.exponent.abs_diff(narrow.exponent));
        let too_wide = || {
            // A carry may still lead beyond the range, which AWS reports first.
            if wide.magnitude() > MOST { NumberError::Overflow } else { NumberError::Precision }
        };
        let spread = 10u128
            .checked_pow(shift)
            .and_then(|factor| wide.coefficient().checked_mul(factor))
            .ok_or_else(too_wide)?;
        let near = narrow.coefficient();
        let (negative, sum) = if wide.negative == narrow.negative {
            (wide.negative, spread.checked_add(near).ok_or_else(too_wide)?)
        } else if spread >= near {
            (wide.negative, spread - near)
        } else {
            (narrow.negative, near - spread)
        };
        Self::new(negative, sum, narrow.exponent())
    }

    /// The exact difference. Errors: it does not fit.
    pub fn subtract(&self, other: &Self) -> Result<Self, NumberError> {
        self.add(&other.negate())
    }

    /// With the other sign.
    pub fn negate(&self) -> Self {
        Self { negative: !self.negative && !self.is_zero(), ..*self }
    }

    /// Appends the order-preserving, self-delimiting form.
    ///
    /// One byte says negative, zero or positive; one the magnitude; then pairs of digits, each plus one, and an end
    /// mark. For negative numbers all but the first byte are inverted.
    pub fn order_bytes(&self, out: &mut Vec<u8>) {
        if self.is_zero() {
            out.push(CLASS_ZERO);
            return;
        }
        out.push(if self.negative { CLASS_NEGATIVE } else { CLASS_POSITIVE });
        let flip = if self.negative { 0xFF } else { 0 };
        out.push((self.magnitude() - LEAST) as u8 ^ flip);
        let mut pairs = [0u8; DIGITS / 2];
        // The first digit stands at the front of the first pair.
        let count = self.digits();
        let mut rest = self.coefficient();
        if count % 2 == 1 {
            rest *= 10;
        }
        let used = count.div_ceil(2);
        for pair in pairs[..used].iter_mut().rev() {
            *pair = (rest % 100) as u8;
            rest /= 100;
        }
        out.extend(pairs[..used].iter().map(|pair| (pair + 1) ^ flip));
        out.push(flip);
    }

    /// Reads what [`Self::order_bytes`] wrote, and gives the rest. `None` if it is not that.
    pub fn from_order_bytes(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (&class, rest) = bytes.split_first()?;
        let negative = match class {
            CLASS_ZERO => return Some((Self::ZERO, rest)),
            CLASS_NEGATIVE => true,
            CLASS_POSITIVE => false,
            _ => return None,
        };
        let flip = if negative { 0xFF } else { 0 };
        let (&magnitude, rest) = rest.split_first()?;
        let end = rest.iter().take(DIGITS / 2 + 1).position(|byte| *byte == flip)?;
        let mut coefficient = 0u128;
        for byte in &rest[..end] {
            let pair = (byte ^ flip).checked_sub(1).filter(|pair| *pair < 100)?;
            coefficient = coefficient * 100 + u128::from(pair);
        }
        let first = i32::from(magnitude ^ flip) + LEAST;
        let written = digits(coefficient) as i32;
        let number = Self::new(negative, coefficient, first - written + 1).ok()?;
        (end > 0 && !number.is_zero()).then_some((number, &rest[end + 1..]))
    }
}

const CLASS_NEGATIVE: u8 = 1;
const CLASS_ZERO: u8 = 2;
const CLASS_POSITIVE: u8 = 3;

fn digits(coefficient: u128) -> usize {
    coefficient.checked_ilog10().map_or(1, |log| log as usize + 1)
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |n: &Self| {
            if n.is_zero() {
                0
            } else if n.negative {
                -1
            } else {
                1
            }
        };
        let by_sign = sign(self).cmp(&sign(other));
        if by_sign != Ordering::Equal || self.is_zero() {
            return by_sign;
        }
        let absolute = self.magnitude().cmp(&other.magnitude()).then_with(|| {
            // The same first place: aligned at the front, both still have at most 38 digits.
            let (a, b) = (self.digits(), other.digits());
            let most = a.max(b);
            let aligned = |n: &Self, have: usize| n.coefficient() * 10u128.pow((most - have) as u32);
            aligned(self, a).cmp(&aligned(other, b))
        });
        if self.negative { absolute.reverse() } else { absolute }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        // Nineteen digits always fit.
        Self::new(value < 0, u128::from(value.unsigned_abs()), 0).unwrap_or(Self::ZERO)
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self::new(false, u128::from(value), 0).unwrap_or(Self::ZERO)
    }
}

impl FromStr for Number {
    type Err = NumberError;

    /// Reads a decimal with an optional fraction and exponent. Leading and trailing zeros do not count.
    fn from_str(text: &str) -> Result<Self, NumberError> {
        let wrong = || NumberError::NotANumber(text.to_owned());
        let bytes = text.as_bytes();
        let (negative, body) = match bytes.split_first() {
            Some((b'-', rest)) => (true, rest),
            Some((b'+', rest)) => (false, rest),
            _ => (false, bytes),
        };
        let split = body.iter().position(|b| matches!(b, b'e' | b'E')).unwrap_or(body.len());
        let (mantissa, power) = body.split_at(split);
        let mut coefficient = 0u128;
        // The digits from the first that is not zero; how many zeros wait for a digit behind them; and the places
        // behind the point.
        let (mut significant, mut zeros, mut places) = (0usize, 0i64, 0i64);
        let (mut any, mut point) = (false, false);
        for byte in mantissa {
            match byte {
                b'.' if !point => point = true,
                b'0'..=b'9' => {
                    any = true;
                    places += i64::from(point);
                    if *byte == b'0' {
                        zeros += i64::from(significant > 0);
                        continue;
                    }
                    significant = significant.saturating_add(zeros as usize + 1);
                    if significant <= DIGITS {
                        coefficient = coefficient * 10u128.pow(zeros as u32 + 1) + u128::from(byte - b'0');
                    }
                    zeros = 0;
                }
                _ => return Err(wrong()),
            }
        }
        if !any {
            return Err(wrong());
        }
        let power = match power.split_first() {
            None => 0,
            Some((_, digits)) => exponent(digits).ok_or_else(wrong)?,
        };
        if significant == 0 {
            return Ok(Self::ZERO);
        }
        // The last digit that is not zero stands here.
        let last = power + zeros - places;
        let first = last + significant as i64 - 1;
        if first > i64::from(MOST) {
            return Err(NumberError::Overflow);
        }
        if first < i64::from(LEAST) {
            return Err(NumberError::Underflow);
        }
        if significant > DIGITS {
            return Err(NumberError::Precision);
        }
        Self::new(negative, coefficient, last as i32)
    }
}

/// The exponent behind an `E`, as far from zero as still matters.
fn exponent(text: &[u8]) -> Option<i64> {
    const FAR: i64 = 1 << 40;
    let (negative, digits) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        (b'+', rest) => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits.iter().fold(0i64, |value, d| (value * 10 + i64::from(d - b'0')).min(FAR));
    Some(if negative { -value } else { value })
}

/// AWS's normal form: plain digits, no exponent, no zeros that say nothing.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        if self.negative {
            f.write_char('-')?;
        }
        let digits = self.coefficient().to_string();
        let exponent = self.exponent();
        let zeros = |f: &mut fmt::Formatter<'_>, count: i32| (0..count).try_for_each(|_| f.write_char('0'));
        if exponent >= 0 {
            f.write_str(&digits)?;
            return zeros(f, exponent);
        }
        let whole = digits.len() as i32 + exponent;
        if whole > 0 {
            let (before, after) = digits.split_at(whole as usize);
            write!(f, "{before}.{after}")
        } else {
            f.write_str("0.")?;
            zeros(f, -whole)?;
            f.write_str(&digits)
        }
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

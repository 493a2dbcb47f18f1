//! `LIKE`.

use super::Refused;
use super::words::refused;

/// How many characters are compared at most: a long pattern in a long text would otherwise take minutes.
const MOST: u64 = 100_000_000;

/// `LIKE`: `%` stands for any text, `_` for any character. Errors: `EvaluatorLikePatternInvalidEscapeSequence` where what is
/// escaped is none of these, nor the escape itself; `ExternalEvalException`.
pub(super) fn like(text: &str, pattern: &str, escape: Option<char>) -> Result<bool, Refused> {
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
            c if Some(c) == escape => match chars.next() {
                Some(next) if matches!(next, '%' | '_') || next == c => Part::Is(next),
                _ => return Err(refused("EvaluatorLikePatternInvalidEscapeSequence")),
            },
            '%' => Part::Any,
            '_' => Part::One,
            c => Part::Is(c),
        });
    }
    let text: Vec<char> = text.chars().collect();
    // The last `%` is where a mismatch goes back to; no other choice needs to be remembered.
    let (mut t, mut p, mut back) = (0, 0, None);
    let mut steps = 0;
    while t < text.len() {
        steps += 1;
        if steps > MOST {
            return Err(refused("ExternalEvalException"));
        }
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
                None => return Ok(false),
            },
        }
    }
    Ok(parts[p.min(parts.len())..].iter().all(|part| *part == Part::Any))
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
            assert_eq!(like(text, pattern, escape).ok(), Some(expected), "{text} {pattern}");
        }
        for pattern in ["a!b", "a!"] {
            assert!(like("ab", pattern, Some('!')).is_err());
        }
    }
}

//! One comparison: `= "x*"`, `!= 3`, `>= 1e3`, `= %regex%`.

use super::PatternError;
use super::cursor::Cursor;
use cloudlet_access::wildcard_match;
use regex::Regex;
use serde_json::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug)]
enum Operand {
    Text(String),
    Number(f64, String),
    Regex(Regex),
}

#[derive(Debug)]
pub(super) struct Test {
    sign: Sign,
    operand: Operand,
}

impl Test {
    /// Reads sign and operand; an unquoted operand ends at one of `ends`.
    pub(super) fn read(cursor: &mut Cursor<'_>, ends: &[char]) -> Result<Self, PatternError> {
        let signs = [
            ("!=", Sign::NotEqual),
            ("<=", Sign::LessOrEqual),
            (">=", Sign::GreaterOrEqual),
            ("=", Sign::Equal),
            ("<", Sign::Less),
            (">", Sign::Greater),
        ];
        let found = signs.iter().find(|(text, _)| cursor.take(text));
        let Some((_, sign)) = found else { return Err(cursor.error("one of = != < > <= >=")) };
        cursor.skip_space();
        let operand = match cursor.peek() {
            Some('"') => Operand::Text(cursor.quoted()?),
            Some('%') if let Some(regex) = cursor.regex()? => Operand::Regex(regex),
            _ => {
                let word = cursor.word(|c| ends.contains(&c));
                match word.parse::<f64>() {
                    _ if word.is_empty() => return Err(cursor.error("a value")),
                    Ok(number) if number.is_finite() => Operand::Number(number, word),
                    _ => Operand::Text(word),
                }
            }
        };
        let equality = matches!(sign, Sign::Equal | Sign::NotEqual);
        if !equality && !matches!(operand, Operand::Number(..)) {
            return Err(cursor.error("a number to compare with"));
        }
        Ok(Self { sign: *sign, operand })
    }

    /// Whether a field's text passes.
    pub(super) fn passes_text(&self, text: &str) -> bool {
        match &self.operand {
            Operand::Number(number, written) => match text.parse::<f64>() {
                Ok(value) => self.passes_number(value, *number),
                Err(_) => match self.sign {
                    Sign::Equal => text == written,
                    Sign::NotEqual => text != written,
                    _ => false,
                },
            },
            Operand::Text(pattern) => wildcards(pattern, text) == (self.sign == Sign::Equal),
            Operand::Regex(regex) => regex.is_match(text) == (self.sign == Sign::Equal),
        }
    }

    /// Whether a JSON value passes. Objects, arrays and null never do.
    pub(super) fn passes(&self, value: &Value) -> bool {
        match (value, &self.operand) {
            (Value::Number(value), Operand::Number(number, _)) => {
                value.as_f64().is_some_and(|value| self.passes_number(value, *number))
            }
            (Value::Number(value), _) => self.passes_text(&value.to_string()),
            (Value::String(text), Operand::Number(_, written)) => match self.sign {
                Sign::Equal => text == written,
                Sign::NotEqual => text != written,
                _ => false,
            },
            (Value::String(text), _) => self.passes_text(text),
            (Value::Bool(value), _) => self.passes_text(if *value { "true" } else { "false" }),
            _ => false,
        }
    }

    fn passes_number(&self, value: f64, number: f64) -> bool {
        match self.sign {
            Sign::Equal => value == number,
            Sign::NotEqual => value != number,
            Sign::Less => value < number,
            Sign::LessOrEqual => value <= number,
            Sign::Greater => value > number,
            Sign::GreaterOrEqual => value >= number,
        }
    }
}

/// `*` stands for any run of characters; `?` only for itself.
fn wildcards(pattern: &str, text: &str) -> bool {
    if !pattern.contains('*') {
        return pattern == text;
    }
    if !pattern.contains('?') {
        return wildcard_match(pattern, text);
    }
    let quoted = regex::escape(pattern).replace("\\*", ".*");
    Regex::new(&format!("(?s)^{quoted}$")).is_ok_and(|regex| regex.is_match(text))
}

//! Words of an expression. Source: S3 User Guide, "SQL reference for Amazon S3 Select".

use super::Refused;
use super::ion;
use super::value::Value;
use super::words::refused;

/// The longest expression, in bytes. Source: S3 API Reference, SelectObjectContent, "Limits".
const LONGEST: usize = 256 << 10;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A keyword or a name.
    Word(String),
    /// A name in double quotes, whose case counts.
    Name(String),
    /// A text in single quotes.
    Text(String),
    Number(String),
    /// What stood between backticks.
    Literal(Value),
    Symbol(&'static str),
}

/// The longer ones first.
const SYMBOLS: [&str; 26] = [
    "<=", ">=", "<>", "!=", "||", "<<", ">>", "(", ")", "[", "]", ",", ".", "*", "+", "-", "/", "%", "=",
    "<", ">", ";", "{", "}", ":", "@",
];

/// Splits an expression.
/// Errors: `ExpressionTooLong`, `LexerInvalidChar`, `LexerInvalidOperator`, `LexerInvalidLiteral`, `LexerInvalidIONLiteral`.
pub(super) fn split(text: &str) -> Result<Vec<Token>, Refused> {
    if text.len() > LONGEST {
        return Err(refused("ExpressionTooLong"));
    }
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = one(first, rest)?;
        tokens.push(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

fn one(first: char, rest: &str) -> Result<(Token, &str), Refused> {
    match first {
        '\'' => quoted(rest, '\'').map(|(text, after)| (Token::Text(text), after)),
        '"' => quoted(rest, '"').map(|(text, after)| (Token::Name(text), after)),
        '`' => {
            let (text, after) = quoted(rest, '`').map_err(|_| refused("LexerInvalidIONLiteral"))?;
            let literal = ion::read(&text).ok_or_else(|| refused("LexerInvalidIONLiteral"))?;
            Ok((Token::Literal(literal), after))
        }
        '0'..='9' => {
            let end = number_end(rest);
            let runs_on = |c: char| c.is_alphanumeric() || c == '_';
            if rest.get(end..).is_some_and(|after| after.starts_with(runs_on)) {
                return Err(refused("LexerInvalidLiteral"));
            }
            Ok((Token::Number(rest[..end].to_owned()), &rest[end..]))
        }
        c if c.is_alphabetic() || c == '_' => {
            let more = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
            let end = rest.find(|c| !more(c)).unwrap_or(rest.len());
            Ok((Token::Word(rest[..end].to_owned()), &rest[end..]))
        }
        _ => {
            let symbol = SYMBOLS.into_iter().find(|s| rest.starts_with(s));
            let symbol = symbol.ok_or_else(|| match first {
                '!' | '|' | '^' | '&' | '~' => refused("LexerInvalidOperator"),
                _ => refused("LexerInvalidChar"),
            })?;
            Ok((Token::Symbol(symbol), &rest[symbol.len()..]))
        }
    }
}

/// A text between quotes; a doubled quote inside stands for itself.
fn quoted(rest: &str, quote: char) -> Result<(String, &str), Refused> {
    let mut out = String::new();
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c != quote {
            out.push(c);
        } else if chars.peek().is_some_and(|(_, next)| *next == quote) {
            chars.next();
            out.push(quote);
        } else {
            return Ok((out, &rest[at + 1..]));
        }
    }
    Err(refused("LexerInvalidLiteral"))
}

fn number_end(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut end = 0;
    let mut seen_dot = false;
    while let Some(b) = bytes.get(end) {
        match b {
            b'0'..=b'9' => {}
            b'.' if !seen_dot => seen_dot = true,
            b'e' | b'E' if bytes.get(end + 1).is_some_and(u8::is_ascii_digit) => {}
            b'e' | b'E'
                if matches!(bytes.get(end + 1), Some(b'+' | b'-'))
                    && bytes.get(end + 2).is_some_and(u8::is_ascii_digit) =>
            {
                end += 1;
            }
            _ => break,
        }
        end += 1;
    }
    end
}

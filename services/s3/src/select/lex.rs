//! Words of an expression. Source: S3 User Guide, "SQL reference for Amazon S3 Select".

use super::Refused;
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
    Symbol(&'static str),
}

/// The longer ones first.
const SYMBOLS: [&str; 22] = [
    "<=", ">=", "<>", "!=", "||", "(", ")", "[", "]", ",", ".", "*", "+", "-", "/", "%", "=", "<", ">", ";",
    "{", "}",
];

/// Splits an expression. Errors: `ExpressionTooLong`, `LexerInvalidChar`, …
pub(super) fn split(text: &str) -> Result<Vec<Token>, Refused> {
    if text.len() > LONGEST {
        let message =
            "The SQL expression is too long: The maximum byte-length for the SQL expression is 256 KB.";
        return Err(Refused::new("ExpressionTooLong", message));
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
        '`' => quoted(rest, '`').map(|(text, after)| (Token::Text(text), after)),
        '0'..='9' => {
            let end = number_end(rest);
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
                _ => {
                    let message = format!("The SQL expression contains an invalid character: {first}");
                    Refused::new("LexerInvalidChar", message)
                }
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
    Err(Refused::new("LexerInvalidLiteral", "The SQL expression contains a literal that does not end."))
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

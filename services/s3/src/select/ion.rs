//! Literals between backticks: single values of Amazon Ion. Source: S3 User Guide, "Data types"; the Ion specification.

use super::stamp::Stamp;
use super::value::Value;

/// The value that a literal is; `None` where it is none that a query can use.
pub(super) fn read(text: &str) -> Option<Value> {
    let text = text.trim();
    match text {
        "true" => return Some(Value::Bool(true)),
        "false" => return Some(Value::Bool(false)),
        _ if text == "null" || text.starts_with("null.") => return Some(Value::Null),
        _ => {}
    }
    if let Some(stamp) = Stamp::read(text) {
        return Some(Value::Time(stamp));
    }
    if let Some(inside) = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) {
        return unescaped(inside, '"').map(Value::Text);
    }
    if let Some(inside) = text.strip_prefix('\'').and_then(|t| t.strip_suffix('\'')) {
        return unescaped(inside, '\'').map(Value::Text);
    }
    let first = text.chars().next()?;
    if first.is_ascii_digit() || first == '-' {
        // `_` may stand between digits, and `d` begins the exponent of a decimal.
        let plain = text.replace('_', "").replace(['d', 'D'], "e");
        return Value::number(plain.strip_suffix('.').unwrap_or(&plain));
    }
    let symbol = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
    (!first.is_ascii_digit() && text.chars().all(symbol)).then(|| Value::Text(text.to_owned()))
}

fn unescaped(text: &str, quote: char) -> Option<String> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == quote {
            return None;
        }
        if c != '\\' {
            out.push(c);
            continue;
        }
        let code = |count: usize, chars: &mut std::str::Chars<'_>| {
            let digits: String = chars.take(count).collect();
            (digits.len() == count).then(|| u32::from_str_radix(&digits, 16).ok())?.and_then(char::from_u32)
        };
        out.push(match chars.next()? {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            '0' => '\0',
            'x' => code(2, &mut chars)?,
            'u' => code(4, &mut chars)?,
            'U' => code(8, &mut chars)?,
            same @ ('\\' | '"' | '\'' | '/' | '?') => same,
            _ => return None,
        });
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals() {
        for (text, value) in [
            ("null", Value::Null),
            ("null.int", Value::Null),
            ("true", Value::Bool(true)),
            ("-12", Value::Int(-12)),
            ("1_000", Value::Int(1000)),
            ("1.5d2", Value::Float(150.0)),
            ("1.50", Value::number("1.50").unwrap()),
            ("\"a\\\"\\u00e9\"", Value::Text("a\"é".into())),
            ("'s y'", Value::Text("s y".into())),
            ("symbol", Value::Text("symbol".into())),
        ] {
            assert_eq!(read(text), Some(value), "{text}");
        }
        assert!(matches!(read("2007-02T"), Some(Value::Time(_))));
        for text in ["", "[1]", "{a:1}", "1x", "\"a", "\"\\q\"", "a b", "(a)"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}

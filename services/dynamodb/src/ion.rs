//! Items as Amazon Ion text: `$ion_1_0 {Item:{pk:"a",n:1.5}}`, for exports and imports.
//!
//! A line is looked over before it is parsed, because the parser descends once per level: only what exports write is let
//! through, and no deeper than an item may be.
//!
//! Source: Developer Guide, "DynamoDB table export output format", "DynamoDB import formats" (Amazon Ion).

use crate::value::{Item, MAX_DEPTH, Number, Value};
use ion_rs::{Decimal, Element, IntoAnnotatedElement, List, Sequence, Struct, Value as Ion};
use std::collections::BTreeSet;
use std::panic::catch_unwind;

/// What an import's line begins with, as an export's does.
const MARKER: &str = "$ion_1_0 ";

/// The levels around an item: the line's struct, and the item's own.
const AROUND: usize = 2;

/// Ours: the longest run of a number's digits, and the largest exponent, that are looked at. Both are far beyond what an
/// item may hold; the parser needs a time that grows with the square of the one, and adds to the other unchecked.
const MOST_DIGITS: usize = 512;
const MOST_EXPONENT: u64 = 1_000_000;

/// A line: the marker, and what belongs to the names.
pub fn line<'f>(fields: impl IntoIterator<Item = (&'f str, Element)>) -> String {
    format!("{MARKER}{}", structure(fields))
}

/// A struct of these fields.
pub fn structure<'f>(fields: impl IntoIterator<Item = (&'f str, Element)>) -> Element {
    let add = |all: ion_rs::StructBuilder, (name, value)| all.with_field(name, value);
    fields.into_iter().fold(Struct::builder(), add).build().into()
}

/// An item as a struct.
pub fn write(item: &Item) -> Element {
    structure(item.iter().map(|(name, value)| (name.as_str(), value_out(value))))
}

/// A whole number.
pub fn number(value: i64) -> Element {
    Decimal::new(value, 0).into()
}

fn decimal(number: &Number) -> Element {
    // 38 digits fit well within the 127 bits.
    let digits = i128::try_from(number.coefficient()).unwrap_or(i128::MAX);
    let digits = if number.is_negative() { -digits } else { digits };
    Decimal::new(digits, i64::from(number.exponent())).into()
}

fn set(name: &str, all: impl Iterator<Item = Element>) -> Element {
    List::from(all.collect::<Vec<_>>()).with_annotations([name])
}

fn value_out(value: &Value) -> Element {
    match value {
        Value::S(text) => Element::string(text.as_str()),
        Value::N(number) => decimal(number),
        Value::B(bytes) => Element::blob(bytes.as_ref()),
        Value::Bool(value) => (*value).into(),
        Value::Null => Element::null(ion_rs::IonType::Null),
        Value::SS(all) => set("$dynamodb_SS", all.iter().map(|text| Element::string(text.as_str()))),
        Value::NS(all) => set("$dynamodb_NS", all.iter().map(decimal)),
        Value::BS(all) => set("$dynamodb_BS", all.iter().map(|bytes| Element::blob(bytes.as_ref()))),
        Value::L(list) => List::from(list.iter().map(value_out).collect::<Vec<_>>()).into(),
        Value::M(map) => write(map),
    }
}

/// The item of an import's line; `None` for what is none.
pub fn read(line: &str) -> Option<Item> {
    if !is_plain(line) {
        return None;
    }
    // The parser means to return its errors, but has unwraps for what it thinks impossible. None is known to be left
    // beyond `is_plain`; were there one, it would be this line's error and not the end of the import.
    let all = catch_unwind(|| Element::read_all(line)).ok()?.ok()?;
    let mut all = all.into_iter();
    let (only, None) = (all.next()?, all.next()) else { return None };
    item(only.as_struct()?.get("Item")?.as_struct()?, 1)
}

fn item(of: &Struct, depth: usize) -> Option<Item> {
    let one =
        |(name, value): (&ion_rs::Symbol, &Element)| Some((name.text()?.to_owned(), value_in(value, depth)?));
    of.fields().map(one).collect()
}

fn digits(element: &Element) -> Option<Number> {
    // Both write their numbers as DynamoDB reads them, but for the letter of the exponent.
    match element.value() {
        Ion::Int(int) => int.to_string().parse().ok(),
        Ion::Decimal(decimal) if decimal.exponent().unsigned_abs() > MOST_EXPONENT => None,
        Ion::Decimal(decimal) => decimal.to_string().replace(['d', 'D'], "e").parse().ok(),
        Ion::Float(float) if float.is_finite() => format!("{float:e}").parse().ok(),
        _ => None,
    }
}

fn value_in(element: &Element, depth: usize) -> Option<Value> {
    if depth > MAX_DEPTH {
        return None;
    }
    let mut annotations = element.annotations().into_iter();
    let annotation = annotations.next().map(|name| name.text().unwrap_or_default());
    Some(match (element.value(), annotation) {
        (Ion::Null(_), None) => Value::Null,
        (Ion::Bool(value), None) => Value::Bool(*value),
        (Ion::Int(_) | Ion::Decimal(_) | Ion::Float(_), None) => Value::N(digits(element)?),
        (Ion::String(text), None) => Value::S(text.text().to_owned()),
        (Ion::Blob(bytes), None) => Value::B(bytes.as_ref().to_vec().into()),
        (Ion::List(list), None) => {
            Value::L(list.elements().map(|one| value_in(one, depth + 1)).collect::<Option<_>>()?)
        }
        (Ion::Struct(map), None) => Value::M(item(map, depth + 1)?),
        (Ion::List(list), Some("$dynamodb_SS")) => {
            Value::SS(unique(list, |one| Some(one.as_string()?.to_owned()))?)
        }
        (Ion::List(list), Some("$dynamodb_NS")) => Value::NS(unique(list, digits)?),
        (Ion::List(list), Some("$dynamodb_BS")) => {
            Value::BS(unique(list, |one| Some(one.as_blob()?.to_vec().into()))?)
        }
        _ => return None,
    })
}

/// The members of a set: some, of one type, none of them twice.
fn unique<T: Ord>(list: &Sequence, one: impl Fn(&Element) -> Option<T>) -> Option<BTreeSet<T>> {
    let count = list.len();
    let all: BTreeSet<T> = list.elements().map(one).collect::<Option<_>>()?;
    (count > 0 && all.len() == count).then_some(all)
}

/// Whether a line has only what an export's lines have, and does not nest too deep: no comments, no s-expressions, no
/// text in `{{…}}`, no timestamps, no names by number (`$10`), which the parser counts on to be small.
fn is_plain(line: &str) -> bool {
    let bytes = line.as_bytes();
    let (mut at, mut depth) = (0, 0usize);
    while let Some(byte) = bytes.get(at) {
        let next = bytes.get(at + 1..).unwrap_or_default();
        match byte {
            b'"' | b'\'' => {
                // Text in three quotes may go on for several lines, which an import's items do not.
                if *byte == b'\'' && next.starts_with(b"''") {
                    return false;
                }
                let Some(length) = quoted(next, *byte) else { return false };
                if !next.get(..length).is_some_and(escapes_are_characters) {
                    return false;
                }
                at += length;
            }
            b'{' if next.starts_with(b"{") => {
                let Some(length) = next.windows(2).position(|two| two == b"}}") else { return false };
                if next[..length].iter().any(|byte| matches!(byte, b'"' | b'\'')) {
                    return false;
                }
                at += length + 2;
            }
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH + AROUND {
                    return false;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'/' | b'(' | b')' => return false,
            byte if is_of_word(*byte) => {
                let length = next.iter().take_while(|byte| is_of_word(**byte) || **byte == b'-').count();
                let word = &bytes[at..=at + length];
                let dated = |two: &[u8]| two[0].is_ascii_digit() && matches!(two[1], b'-' | b'T');
                let strange = match byte {
                    b'$' => word != MARKER.trim_end().as_bytes() && has_number(word),
                    b'0'..=b'9' => length > MOST_DIGITS || word.windows(2).any(dated),
                    _ => false,
                };
                if strange {
                    return false;
                }
                at += length;
            }
            _ => {}
        }
        at += 1;
    }
    true
}

/// How long a quoted text is with its closing quote.
fn quoted(rest: &[u8], quote: u8) -> Option<usize> {
    let mut at = 0;
    loop {
        match rest.get(at)? {
            b'\\' => at += 2,
            byte if *byte == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
}

/// Whether a byte is one of a name's or a number's.
fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$')
}

/// Whether a word begins with the number of a name or of a version.
fn has_number(word: &[u8]) -> bool {
    [b"$".as_slice(), b"$ion_"]
        .iter()
        .any(|start| word.strip_prefix(*start).and_then(|rest| rest.first()).is_some_and(u8::is_ascii_digit))
}

/// Whether each `\u…` and `\U…` of a quoted text stands for a character, alone or with the one after it.
fn escapes_are_characters(text: &[u8]) -> bool {
    let (mut at, mut high) = (0, None);
    while let Some(byte) = text.get(at) {
        let digits = match (byte, text.get(at + 1)) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            (b'\\', _) => 0,
            _ if high.is_some() => return false,
            _ => {
                at += 1;
                continue;
            }
        };
        at += 2;
        if digits == 0 {
            if high.is_some() {
                return false;
            }
            continue;
        }
        let Some(hex) = text.get(at..at + digits).and_then(|hex| std::str::from_utf8(hex).ok()) else {
            return false;
        };
        let Ok(code) = u32::from_str_radix(hex, 16) else { return false };
        high = match (high, code) {
            (None, 0xd800..=0xdbff) => Some(code),
            (Some(_), 0xdc00..=0xdfff) => None,
            (None, _) if char::from_u32(code).is_some() => None,
            _ => return false,
        };
        at += digits;
    }
    high.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    #[test]
    fn names_of_any_kind() {
        for name in
            ["a$5", "$5", "x1T", "x1-T", "$", "$$", "$a$5", "2020T", "'", "\"", "null", "$ion_1_0", "é", ""]
        {
            let item = Item::from([(name.to_owned(), Value::N("-1e-5".parse().unwrap()))]);
            let line = line([("Item", write(&item))]);
            assert_eq!(read(&line), Some(item), "{line}");
        }
    }

    #[test]
    fn characters_by_number() {
        let named = |text: &str| read(&format!("$ion_1_0 {{Item:{{a:\"{text}\"}}}}"));
        let value = |text: &str| Some(Item::from([("a".to_owned(), Value::S(text.into()))]));
        assert_eq!(named(r"\u00e9\U0001f600\ud83d\ude00\x41"), value("é😀😀A"));
        for wrong in [
            r"\udc00",
            r"\ud83d",
            r"\ud83dx",
            r"\ud83d\n",
            r"\ud83d\ud83d",
            r"\U00110000",
            r"\u12",
            r"\u+123",
            r"\U0000dc00",
        ] {
            assert_eq!(named(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn items_come_back() {
        let text = r#"{"pk":{"S":"a\n\"b\" 'c' // \\ é"},"n":{"N":"-1.5"},"k":{"N":"6e2"},"z":{"N":"0"},
            "least":{"N":"-1.2345678901234567890123456789012345678e-100"},"b":{"B":"//8="},"t":{"BOOL":true},"e":{"S":""},
            "a name":{"M":{"l":{"L":[{"BOOL":false},{"NULL":true},{"L":[]}]}}},"ss":{"SS":["x","y"]},"ns":{"NS":["1","2.5"]},"bs":{"BS":["AAE="]}}"#;
        let item = json::read(&serde_json::from_str(text).unwrap()).unwrap();
        let line = line([("Item", write(&item))]);
        assert!(line.starts_with("$ion_1_0 {") && !line.contains('\n'), "{line}");
        assert_eq!(read(&line), Some(item), "{line}");
    }

    #[test]
    fn the_guides_example() {
        let line = r#"$ion_1_0 {Item:{Authors:$dynamodb_SS::["Author1","Author2"],Dimensions:"8.5 x 11.0 x 1.5",Id:103.,InPublication:false,PageCount:6d2,Price:2d3}}"#;
        let item = read(line).unwrap();
        assert_eq!(item["PageCount"], Value::N("600".parse().unwrap()));
        assert_eq!(item["Id"], Value::N("103".parse().unwrap()));
        assert_eq!(item["Authors"], Value::SS(["Author1".to_owned(), "Author2".to_owned()].into()));
        assert_eq!(item["InPublication"], Value::Bool(false));
    }

    #[test]
    fn no_line_can_break_it() {
        for (open, close) in [("[", "]"), ("{a:", "}"), ("(", ")"), ("$dynamodb_SS::[", "]")] {
            for hidden in ["", "/* \" */", "// \"\r", "'''a'''", "{{//}}", "\"\\\"\"", "''"] {
                let deep = format!(
                    "$ion_1_0 {{Item:{{a:[{hidden},{}{}",
                    open.repeat(100_000),
                    close.repeat(100_000)
                );
                assert_eq!(read(&deep), None);
            }
        }
        assert_eq!(read(&format!("$ion_1_0 {{Item:{{a:{}}}}}", "1".repeat(1 << 20))), None);
        for wrong in [
            "",
            "$ion_1_0",
            "$ion_1_0 {}",
            "$ion_1_0 {Item:1}",
            "$ion_1_0 {Item:{a:sym}}",
            "$ion_1_0 {Item:{a:2020-01-01T}}",
            "$ion_1_0 {Item:{a:2020T}}",
            "$ion_1_0 {Item:{a:5d9223372036854775807}}",
            "$ion_1_0 {Item:{a:5d-9223372036854775808}}",
            "$ion_1_0 {Item:{a:{{\"clob\"}}}}",
            "$ion_1_0 {Item:{a:$dynamodb_SS::[]}}",
            "$ion_1_0 {Item:{a:$dynamodb_SS::[\"a\",\"a\"]}}",
            "$ion_1_0 {Item:{a:$dynamodb_SS::[1]}}",
            "$ion_1_0 {Item:{a:$dynamodb_XS::[1]}}",
            "$ion_1_0 {Item:{a:nan}}",
            "$ion_1_0 {Item:{a:1d999}}",
            "$ion_1_0 {Item:{a:1.}} {Item:{a:1.}}",
            "$ion_1_0 {Item:{a:\"open}}",
            "$ion_1_0 {Item:{a:{{AAE=}}",
            "$ion_9_9 {Item:{a:1.}}",
            "$ion_symbol_table::{symbols:[\"a\"]} $10",
            "$ion_1_0 {Item:{a:$99999999999999999999}}",
            "$99999999999999999999:",
            "$ion_1_0$99999999999999999999",
            "\u{0}\u{e0}\u{1}\u{0}\u{ea}",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}

//! Values as text: what headers, query strings, labels and form fields hold.

use aws_smithy_schema::Schema;
use aws_smithy_schema::serde::{SerdeError, ShapeDeserializer};
use aws_smithy_schema::traits::TimestampFormat;
use aws_smithy_types::date_time::Format;
use aws_smithy_types::{BigDecimal, BigInteger, Blob, DateTime, Document};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::str::FromStr;

/// What was given for a member outside a body.
#[derive(Debug, Clone)]
pub(crate) enum Given<'a> {
    /// One value.
    One(&'a str),
    /// A query parameter that may be repeated.
    Many(Vec<&'a str>),
    /// Prefix headers, or all query parameters.
    Pairs(Vec<(&'a str, Vec<&'a str>)>),
}

/// Where the text stood, which decides how timestamps and lists look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A header: HTTP dates, lists by comma, media types in base64.
    Header,
    /// A query parameter, a label or a form field: RFC 3339 dates.
    Query,
}

/// Reads a member from text.
pub(crate) struct TextReader<'a> {
    pub(crate) given: Given<'a>,
    pub(crate) place: Place,
}

impl TextReader<'_> {
    fn text(&self) -> Result<&str, SerdeError> {
        match &self.given {
            Given::One(text) => Ok(text),
            Given::Many(all) => match all.as_slice() {
                [one] => Ok(one),
                [] => Ok(""),
                _ => Err(SerdeError::invalid_input("the parameter is given more than once")),
            },
            Given::Pairs(_) => Err(SerdeError::type_mismatch("expected one value")),
        }
    }

    fn number<T: FromStr>(&self, kind: &str) -> Result<T, SerdeError> {
        let text = self.text()?.trim();
        text.parse().map_err(|_| not_a(text, kind))
    }
}

/// `'abc' can not be converted to an Integer`.
pub(crate) fn not_a(text: &str, kind: &str) -> SerdeError {
    let article = if kind.starts_with(['I', 'A']) { "an" } else { "a" };
    let shown: String = text.chars().take(256).collect();
    SerdeError::type_mismatch(format!("'{shown}' can not be converted to {article} {kind}"))
}

pub(crate) fn boolean(text: &str) -> Result<bool, SerdeError> {
    match text.trim() {
        t if t.eq_ignore_ascii_case("true") => Ok(true),
        t if t.eq_ignore_ascii_case("false") => Ok(false),
        t => Err(not_a(t, "Boolean")),
    }
}

pub(crate) fn float(text: &str) -> Result<f64, SerdeError> {
    match text.trim() {
        "NaN" => Ok(f64::NAN),
        "Infinity" => Ok(f64::INFINITY),
        "-Infinity" => Ok(f64::NEG_INFINITY),
        // Rust also parses `inf` and `nan`, which no protocol of AWS's writes.
        t if t.bytes().any(|b| b.is_ascii_digit()) => t.parse().map_err(|_| not_a(t, "Double")),
        t => Err(not_a(t, "Double")),
    }
}

pub(crate) fn blob(text: &str) -> Result<Blob, SerdeError> {
    // Some clients leave the padding out.
    let padded = text.trim().trim_end_matches('=');
    base64::engine::general_purpose::STANDARD_NO_PAD
        .decode(padded)
        .map(Blob::new)
        .map_err(|_| SerdeError::invalid_input("only base-64-encoded strings are convertible to bytes"))
}

/// The format a member's timestamp has, given the place's default.
pub(crate) fn format_of(schema: &Schema<'_>, default: Format) -> Format {
    match schema.timestamp_format().map(|t| t.format()) {
        Some(TimestampFormat::EpochSeconds) => Format::EpochSeconds,
        Some(TimestampFormat::DateTime) => Format::DateTime,
        Some(TimestampFormat::HttpDate) => Format::HttpDate,
        _ => default,
    }
}

/// Reads a timestamp in its member's format, or in any other that AWS's protocols have.
pub(crate) fn timestamp(text: &str, wanted: Format) -> Result<DateTime, SerdeError> {
    let text = text.trim();
    let wanted = if wanted == Format::DateTime { Format::DateTimeWithOffset } else { wanted };
    let all = [wanted, Format::DateTimeWithOffset, Format::HttpDate, Format::EpochSeconds];
    all.into_iter().find_map(|f| DateTime::from_str(text, f).ok()).ok_or_else(|| not_a(text, "timestamp"))
}

/// Writes a timestamp; one that its format cannot hold (a year beyond 9999) becomes epoch seconds.
pub(crate) fn write_timestamp(value: &DateTime, format: Format) -> String {
    value.fmt(format).or_else(|_| value.fmt(Format::EpochSeconds)).unwrap_or_default()
}

/// Splits a header list; a quoted element may hold commas. HTTP dates have a comma of their own.
/// Source: Smithy, "HTTP header lists"; RFC 9110, section 5.6.1.
pub(crate) fn split_list(text: &str, dates: bool) -> Vec<String> {
    let mut out = Vec::new();
    let mut current = String::new();
    let (mut quoted, mut was_quoted, mut commas) = (false, false, 0);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted => quoted = false,
            '"' if current.trim().is_empty() && !was_quoted => {
                current.clear();
                (quoted, was_quoted) = (true, true);
            }
            '\\' if quoted => current.extend(chars.next()),
            ',' if !quoted => {
                commas += 1;
                if dates && commas % 2 == 1 {
                    current.push(c);
                } else {
                    push(&mut out, &mut current, was_quoted);
                    was_quoted = false;
                }
            }
            // Nothing but space may follow a quoted element.
            _ if was_quoted && !quoted => {}
            _ => current.push(c),
        }
    }
    push(&mut out, &mut current, was_quoted);
    out
}

fn push(out: &mut Vec<String>, current: &mut String, quoted: bool) {
    let text = std::mem::take(current);
    if quoted {
        out.push(text);
    } else if !text.trim().is_empty() {
        out.push(text.trim().to_owned());
    }
}

/// Writes one element of a header list, quoted where it must be.
pub(crate) fn join_element(out: &mut String, element: &str, string: bool) {
    if !out.is_empty() {
        out.push_str(", ");
    }
    if string && (element.contains([',', '"']) || element.trim() != element) {
        out.push('"');
        out.push_str(&element.replace('\\', "\\\\").replace('"', "\\\""));
        out.push('"');
    } else {
        out.push_str(element);
    }
}

fn no<T>(what: &str) -> Result<T, SerdeError> {
    Err(SerdeError::unsupported(format!("{what} outside a body")))
}

impl ShapeDeserializer for TextReader<'_> {
    fn read_struct(
        &mut self,
        _: &Schema<'_>,
        _: &mut dyn FnMut(&Schema<'_>, &mut dyn ShapeDeserializer) -> Result<(), SerdeError>,
    ) -> Result<(), SerdeError> {
        no("a structure")
    }

    fn read_list(
        &mut self,
        schema: &Schema<'_>,
        consumer: &mut dyn FnMut(&mut dyn ShapeDeserializer) -> Result<(), SerdeError>,
    ) -> Result<(), SerdeError> {
        let place = self.place;
        let mut element = |text: &str| consumer(&mut TextReader { given: Given::One(text), place });
        match &self.given {
            Given::One(text) if place == Place::Header => {
                let member = schema.member();
                let dates = member.is_some_and(|m| {
                    m.shape_type() == aws_smithy_schema::ShapeType::Timestamp
                        && format_of(m, Format::HttpDate) == Format::HttpDate
                });
                split_list(text, dates).iter().try_for_each(|text| element(text))
            }
            Given::One(text) => element(text),
            Given::Many(all) => all.iter().try_for_each(|text| element(text)),
            Given::Pairs(_) => no("a list of pairs"),
        }
    }

    fn read_map(
        &mut self,
        _: &Schema<'_>,
        consumer: &mut dyn FnMut(String, &mut dyn ShapeDeserializer) -> Result<(), SerdeError>,
    ) -> Result<(), SerdeError> {
        let Given::Pairs(pairs) = &self.given else { return no("a map in one value") };
        pairs.iter().try_for_each(|(key, values)| {
            let mut value = TextReader { given: Given::Many(values.clone()), place: self.place };
            consumer((*key).to_owned(), &mut value)
        })
    }

    fn read_boolean(&mut self, _: &Schema<'_>) -> Result<bool, SerdeError> {
        boolean(self.text()?)
    }

    fn read_byte(&mut self, _: &Schema<'_>) -> Result<i8, SerdeError> {
        self.number("Integer")
    }

    fn read_short(&mut self, _: &Schema<'_>) -> Result<i16, SerdeError> {
        self.number("Integer")
    }

    fn read_integer(&mut self, _: &Schema<'_>) -> Result<i32, SerdeError> {
        self.number("Integer")
    }

    fn read_long(&mut self, _: &Schema<'_>) -> Result<i64, SerdeError> {
        self.number("Long")
    }

    fn read_float(&mut self, _: &Schema<'_>) -> Result<f32, SerdeError> {
        float(self.text()?).map(|f| f as f32)
    }

    fn read_double(&mut self, _: &Schema<'_>) -> Result<f64, SerdeError> {
        float(self.text()?)
    }

    fn read_big_integer(&mut self, _: &Schema<'_>) -> Result<BigInteger, SerdeError> {
        self.number("Integer")
    }

    fn read_big_decimal(&mut self, _: &Schema<'_>) -> Result<BigDecimal, SerdeError> {
        self.number("Decimal")
    }

    fn read_string(&mut self, schema: &Schema<'_>) -> Result<String, SerdeError> {
        let text = self.text()?;
        if self.place == Place::Header && schema.media_type().is_some() {
            let bytes = STANDARD.decode(text).map_err(|_| not_a(text, "base64 text"))?;
            return String::from_utf8(bytes).map_err(|_| not_a(text, "base64 text"));
        }
        Ok(text.to_owned())
    }

    fn read_blob(&mut self, _: &Schema<'_>) -> Result<Blob, SerdeError> {
        blob(self.text()?)
    }

    fn read_timestamp(&mut self, schema: &Schema<'_>) -> Result<DateTime, SerdeError> {
        let default = if self.place == Place::Header { Format::HttpDate } else { Format::DateTime };
        timestamp(self.text()?, format_of(schema, default))
    }

    fn read_document(&mut self, _: &Schema<'_>) -> Result<Document, SerdeError> {
        Ok(Document::String(self.text()?.to_owned()))
    }

    nothing_to_skip!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_lists() {
        assert_eq!(split_list("a, b ,,c", false), ["a", "b", "c"]);
        assert_eq!(split_list(r#""a, b" , "c\"d", e"#, false), ["a, b", "c\"d", "e"]);
        let dates = "Mon, 16 Dec 2019 23:48:18 GMT, Tue, 17 Dec 2019 23:48:18 GMT";
        assert_eq!(split_list(dates, true).len(), 2);
        let mut out = String::new();
        for element in ["a", "b,c", "d\"e"] {
            join_element(&mut out, element, true);
        }
        assert_eq!(split_list(&out, false), ["a", "b,c", "d\"e"]);
    }

    #[test]
    fn timestamps_in_all_formats() {
        for text in [
            "2019-12-16T23:48:18Z",
            "2019-12-17T00:48:18+01:00",
            "Mon, 16 Dec 2019 23:48:18 GMT",
            "1576540098",
        ] {
            for format in [Format::DateTime, Format::HttpDate, Format::EpochSeconds] {
                assert_eq!(timestamp(text, format).unwrap().secs(), 1_576_540_098, "{text}");
            }
        }
        assert!(timestamp("yesterday", Format::DateTime).is_err());
    }

    #[test]
    fn numbers_are_not_words() {
        assert!(float("nan").is_err() && float("inf").is_err());
        assert!(float("NaN").unwrap().is_nan());
        assert_eq!(float("-1e3").unwrap(), -1000.0);
        assert!(boolean("yes").is_err());
    }
}

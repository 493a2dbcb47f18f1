//! AWS's own codecs for bodies, with the settings of a server.

use aws_smithy_cbor::codec::{CborCodec, CborCodecSettings};
use aws_smithy_json::codec::{JsonCodec, JsonCodecSettings};
use aws_smithy_schema::codec::Codec;
use aws_smithy_schema::serde::SerdeError;
use aws_smithy_xml::codec::{XmlCodec, XmlCodecSettings};
use std::borrow::Cow;
use std::sync::LazyLock;

/// How deep XML and query forms may nest. Nothing in AWS's models that is not recursive comes near it.
pub(crate) const XML_DEPTH: u32 = 48;

/// How deep JSON and CBOR may nest: DynamoDB's 32 levels of attribute values take three containers each.
/// Source: DynamoDB Developer Guide, "Quotas", nested attribute depth.
const JSON_DEPTH: u32 = 112;

static JSON: LazyLock<JsonCodec> = LazyLock::new(|| {
    JsonCodec::new(
        JsonCodecSettings::builder()
            .enforce_strictness(true)
            .validate_skipped_string_encoding(true)
            .allow_integral_float_numbers(true)
            .normalize_arbitrary_precision(true)
            .max_depth(JSON_DEPTH)
            .build(),
    )
});

static XML: LazyLock<XmlCodec> = LazyLock::new(|| {
    XmlCodec::new(XmlCodecSettings::builder().validate_document(true).max_depth(XML_DEPTH).build())
});

static CBOR: LazyLock<CborCodec> = LazyLock::new(|| {
    CborCodec::new(CborCodecSettings::default().enforce_strictness(true).use_definite_lengths(true))
});

pub(crate) fn json(input: &[u8]) -> <JsonCodec as Codec>::Deserializer<'_> {
    JSON.create_deserializer(input)
}

/// Whether JSON was refused for nesting too deep.
pub(crate) fn is_too_deep(why: &SerdeError) -> bool {
    matches!(why, SerdeError::Custom { message, .. } if message == "maximum nesting depth exceeded")
}

/// Whether every bracket of a JSON text is closed by its like, however deep they nest.
pub(crate) fn is_closed(text: &[u8]) -> bool {
    let (mut open, mut quoted, mut escaped) = (Vec::new(), false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'{' => open.push(b'}'),
            b'[' => open.push(b']'),
            b'}' | b']' if open.pop() != Some(*byte) => return false,
            _ => {}
        }
    }
    open.is_empty() && !quoted
}

pub(crate) fn xml(input: &[u8]) -> <XmlCodec as Codec>::Deserializer<'_> {
    XML.create_deserializer(input)
}

pub(crate) fn cbor(input: &[u8]) -> <CborCodec as Codec>::Deserializer<'_> {
    CBOR.create_deserializer(input)
}

pub(crate) fn json_writer() -> <JsonCodec as Codec>::Serializer {
    JSON.create_serializer()
}

pub(crate) fn xml_writer() -> <XmlCodec as Codec>::Serializer {
    XML.create_serializer()
}

/// An XML document with the characters that XML 1.0 cannot hold as references. Many parsers refuse these as well, but whoever
/// reads on gets the name that is there, and so does S3.
/// Source: S3 User Guide, "Creating object key names", "XML related object key constraints".
pub(crate) fn with_references(xml: String) -> String {
    let bad = |c: char| (c < ' ' && !matches!(c, '\t' | '\n' | '\r')) || matches!(c, '\u{fffe}' | '\u{ffff}');
    let control = |b: u8| b < b' ' && !matches!(b, b'\t' | b'\n' | b'\r');
    if !xml.bytes().any(|b| control(b) || b == 0xef) || !xml.contains(bad) {
        return xml;
    }
    let mut out = String::with_capacity(xml.len() + 16);
    for c in xml.chars() {
        match bad(c) {
            true => out.push_str(&format!("&#x{:x};", u32::from(c))),
            false => out.push(c),
        }
    }
    out
}

pub(crate) fn cbor_writer() -> <CborCodec as Codec>::Serializer {
    CBOR.create_serializer()
}

/// Whether an XML document declares a document type, which could define entities without bound. It can only do so
/// before its root element.
pub(crate) fn has_doctype(xml: &[u8]) -> bool {
    after_prolog(xml).starts_with(b"<!")
}

/// The local names of the root and of the elements directly in it, as far as the text is XML. `None`: it is nested too
/// deeply, which the codec does not see in elements that it passes over.
pub(crate) fn outline(xml: &[u8]) -> Option<Vec<&[u8]>> {
    let (mut names, mut depth) = (Vec::new(), 0u32);
    let mut rest = after_prolog(xml);
    while let Some(at) = memchr::memchr(b'<', rest) {
        rest = &rest[at..];
        let end = match rest {
            [b'<', b'!', b'-', b'-', ..] => after(rest, b"-->"),
            [b'<', b'!', b'[', ..] => after(rest, b"]]>"),
            [b'<', b'?', ..] => after(rest, b"?>"),
            [b'<', b'/', ..] => {
                depth = depth.saturating_sub(1);
                after(rest, b">")
            }
            _ => {
                let end = tag_end(rest);
                if depth < 2 {
                    names.push(local_name(&rest[1..]));
                }
                if !rest[..end].ends_with(b"/>") {
                    depth += 1;
                }
                if depth > XML_DEPTH {
                    return None;
                }
                end
            }
        };
        rest = &rest[end..];
    }
    Some(names)
}

fn after(text: &[u8], end: &[u8]) -> usize {
    memchr::memmem::find(text, end).map_or(text.len(), |at| at + end.len())
}

/// Where a start tag ends: a `>` within the quotes of an attribute does not count.
fn tag_end(tag: &[u8]) -> usize {
    let mut quote = None;
    for (at, byte) in tag.iter().enumerate() {
        match (quote, byte) {
            (None, b'>') => return at + 1,
            (None, b'"' | b'\'') => quote = Some(*byte),
            (Some(open), byte) if open == *byte => quote = None,
            _ => {}
        }
    }
    tag.len()
}

fn local_name(tag: &[u8]) -> &[u8] {
    let end = tag.iter().position(|b| b.is_ascii_whitespace() || matches!(b, b'>' | b'/'));
    let name = &tag[..end.unwrap_or(tag.len())];
    name.iter().position(|b| *b == b':').map_or(name, |at| &name[at + 1..])
}

/// What follows the byte order mark, the declaration and comments; empty where one of them does not end.
fn after_prolog(xml: &[u8]) -> &[u8] {
    let mut rest = xml.strip_prefix(b"\xef\xbb\xbf").unwrap_or(xml).trim_ascii_start();
    loop {
        let end: &[u8] = if rest.starts_with(b"<?") {
            b"?>"
        } else if rest.starts_with(b"<!--") {
            b"-->"
        } else {
            return rest;
        };
        match memchr::memmem::find(rest, end) {
            Some(at) => rest = rest[at + end.len()..].trim_ascii_start(),
            None => return &[],
        }
    }
}

/// Writes CDATA sections as escaped text, which is the same document: the codec would leave them out.
pub(crate) fn without_cdata(xml: &[u8]) -> Cow<'_, [u8]> {
    const OPEN: &[u8] = b"<![CDATA[";
    if memchr::memmem::find(xml, OPEN).is_none() {
        return Cow::Borrowed(xml);
    }
    let mut out = Vec::with_capacity(xml.len());
    let mut rest = xml;
    while let Some(at) = memchr::memmem::find(rest, b"<!") {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        let end: &[u8] = if rest.starts_with(OPEN) { b"]]>" } else { b"-->" };
        let length = memchr::memmem::find(rest, end).map_or(rest.len(), |i| i + end.len());
        if rest.starts_with(OPEN) && length < rest.len() {
            for byte in &rest[OPEN.len()..length - end.len()] {
                match byte {
                    b'&' => out.extend_from_slice(b"&amp;"),
                    b'<' => out.extend_from_slice(b"&lt;"),
                    b'>' => out.extend_from_slice(b"&gt;"),
                    byte => out.push(*byte),
                }
            }
        } else {
            out.extend_from_slice(&rest[..length]);
        }
        rest = &rest[length..];
    }
    out.extend_from_slice(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::{has_doctype, outline, without_cdata};

    #[test]
    fn cdata_becomes_text() {
        let cases = [
            ("<a><![CDATA[<b>&]]>c</a>", "<a>&lt;b&gt;&amp;c</a>"),
            ("<a><!-- <![CDATA[x]]> --><![CDATA[]]></a>", "<a><!-- <![CDATA[x]]> --></a>"),
            ("<a><![CDATA[x", "<a><![CDATA[x"),
        ];
        for (xml, expected) in cases {
            assert_eq!(String::from_utf8_lossy(&without_cdata(xml.as_bytes())), expected);
        }
    }

    #[test]
    fn outlines() {
        for (xml, expected) in [
            ("<?xml version=\"1.0\"?>\n<!-- <b> --><a><b><c/></b><d/><!-- <e> --></a>", &["a", "b", "d"][..]),
            ("<s:Tagging xmlns:s=\"x>y\" z='/>'><s:TagSet/></s:Tagging>", &["Tagging", "TagSet"]),
            ("\u{feff}<a><![CDATA[<b>]]><c/></a>", &["a", "c"]),
            ("text", &[]),
            ("<?xml", &[]),
            ("", &[]),
        ] {
            let found = outline(xml.as_bytes()).unwrap();
            assert_eq!(found, expected.iter().map(|name| name.as_bytes()).collect::<Vec<_>>(), "{xml}");
        }
        assert_eq!(outline("<a>".repeat(100_000).as_bytes()), None);
        assert!(outline(format!("<a>{}</a>", "<b></b>".repeat(1000)).as_bytes()).is_some());
    }

    #[test]
    fn finds_document_types() {
        assert!(has_doctype(
            b"<?xml version=\"1.0\"?> <!-- x --> <!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>"
        ));
        assert!(!has_doctype(b"<?xml version=\"1.0\"?><a><![CDATA[<!DOCTYPE a>]]></a>"));
        assert!(!has_doctype(b"<!-- <!DOCTYPE a>"));
    }
}

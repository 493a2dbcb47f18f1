//! The canonical request: the bytes over which both sides of a signature must agree.
//!
//! Source: IAM User Guide, "Create a signed AWS API request", step 1; S3 API Reference, "Authenticating
//! Requests (AWS Signature Version 4)", for S3's own path rule.

use http::HeaderMap;
use percent_encoding::percent_decode_str;

/// What of a request is signed, as the client sent it.
#[derive(Debug, Clone, Copy)]
pub struct Signable<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// The path as sent, percent-encoding untouched.
    pub path: &'a str,
    /// The query as sent, without `?`; empty for none.
    pub query: &'a str,
    /// The headers as sent.
    pub headers: &'a HeaderMap,
    /// The `Host` header or HTTP/2's `:authority`.
    pub host: &'a str,
}

/// How a service turns the path into the canonical URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathStyle {
    /// S3: encoded once, never normalized, because `//` and `..` are ordinary parts of a key.
    Once,
    /// All others: dot segments removed, then encoded again on top of the encoding it came with.
    Twice,
    /// The same without removing dot segments, which some clients leave out.
    TwiceAsSent,
}

/// Writes the canonical request into `out`. `signed_headers` is the list as signed, separated by `;`.
pub(crate) fn write(
    out: &mut Vec<u8>,
    request: &Signable<'_>,
    signed_headers: &str,
    payload_hash: &str,
    style: PathStyle,
) {
    out.extend_from_slice(request.method.as_bytes());
    out.push(b'\n');
    write_path(out, request.path, style);
    out.push(b'\n');
    write_query(out, request.query);
    out.push(b'\n');
    write_headers(out, request, signed_headers);
    out.push(b'\n');
    out.extend_from_slice(signed_headers.as_bytes());
    out.push(b'\n');
    out.extend_from_slice(payload_hash.as_bytes());
}

fn write_path(out: &mut Vec<u8>, path: &str, style: PathStyle) {
    if path.is_empty() {
        out.push(b'/');
        return;
    }
    match style {
        PathStyle::Once => reencode(out, path, true, false),
        PathStyle::TwiceAsSent => encode_path(out, path),
        PathStyle::Twice => {
            if path.contains("//") || path.contains("/.") {
                encode_path(out, &without_dots(path));
            } else {
                encode_path(out, path);
            }
        }
    }
}

/// Removes empty and dot segments (RFC 3986, section 6), keeping a trailing slash.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            other => kept.push(other),
        }
    }
    let mut out = String::with_capacity(path.len());
    for segment in &kept {
        out.push('/');
        out.push_str(segment);
    }
    let ends_open = path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..");
    if kept.is_empty() || ends_open {
        out.push('/');
    }
    out
}

fn write_query(out: &mut Vec<u8>, query: &str) {
    if query.is_empty() {
        return;
    }
    // Each parameter re-encoded into one buffer; `sorted` holds (start, end of name, end of value).
    let mut buffer = Vec::with_capacity(query.len() + 16);
    let mut sorted: Vec<(usize, usize, usize)> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let start = buffer.len();
        reencode(&mut buffer, name, false, true);
        let middle = buffer.len();
        if &buffer[start..middle] == b"X-Amz-Signature" {
            buffer.truncate(start);
            continue;
        }
        reencode(&mut buffer, value, false, true);
        sorted.push((start, middle, buffer.len()));
    }
    sorted.sort_by(|a, b| {
        let key = |p: &(usize, usize, usize)| (p.0..p.1, p.1..p.2);
        let ((an, av), (bn, bv)) = (key(a), key(b));
        (&buffer[an], &buffer[av]).cmp(&(&buffer[bn], &buffer[bv]))
    });
    for (i, (start, middle, end)) in sorted.into_iter().enumerate() {
        if i > 0 {
            out.push(b'&');
        }
        out.extend_from_slice(&buffer[start..middle]);
        out.push(b'=');
        out.extend_from_slice(&buffer[middle..end]);
    }
}

fn write_headers(out: &mut Vec<u8>, request: &Signable<'_>, signed_headers: &str) {
    for name in signed_headers.as_bytes().split(|b| *b == b';') {
        out.extend_from_slice(name);
        out.push(b':');
        if name == b"host" {
            write_value(out, request.host.as_bytes());
        } else {
            // A request has few headers: looking at each is cheaper than hashing the name, which is no
            // `HeaderName` yet.
            let mut several = false;
            for value in values(request.headers, name) {
                if several {
                    out.push(b',');
                }
                several = true;
                write_value(out, value);
            }
        }
        out.push(b'\n');
    }
}

fn values<'a>(headers: &'a HeaderMap, name: &[u8]) -> impl Iterator<Item = &'a [u8]> {
    headers.iter().filter(move |(n, _)| n.as_str().as_bytes() == name).map(|(_, value)| value.as_bytes())
}

/// A header value without outer spaces and with every inner run of spaces made one.
pub(crate) fn write_value(out: &mut Vec<u8>, value: &[u8]) {
    let value = value.trim_ascii();
    if !value.windows(2).any(|w| w == b"  ") {
        out.extend_from_slice(value);
        return;
    }
    let mut after_space = false;
    for &byte in value {
        if byte != b' ' || !after_space {
            out.push(byte);
        }
        after_space = byte == b' ';
    }
}

/// Decodes `text` and encodes it again by AWS's rule, so that every spelling of the same text becomes one.
fn reencode(out: &mut Vec<u8>, text: &str, keep_slash: bool, plus_is_space: bool) {
    let bytes = text.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        let byte = bytes[i];
        let pair = (byte == b'%').then(|| bytes.get(i + 1..i + 3)).flatten().and_then(hex_pair);
        i += if pair.is_some() { 3 } else { 1 };
        match pair {
            Some(decoded) => push_encoded(out, decoded),
            None if byte == b'/' && keep_slash => out.push(b'/'),
            None if byte == b'+' && plus_is_space => out.extend_from_slice(b"%20"),
            None => push_encoded(out, byte),
        }
    }
}

/// Encodes what the client sent once more, its percent signs included.
fn encode_path(out: &mut Vec<u8>, path: &str) {
    for &byte in path.as_bytes() {
        if byte == b'/' {
            out.push(byte);
        } else {
            push_encoded(out, byte);
        }
    }
}

/// RFC 3986 unreserved characters stay; the rest becomes `%XX` in upper case.
fn push_encoded(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
        out.push(byte);
    } else {
        out.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
}

fn hex_pair(pair: &[u8]) -> Option<u8> {
    let digit = |b: u8| char::from(b).to_digit(16);
    let (high, low) = (digit(*pair.first()?)?, digit(*pair.get(1)?)?);
    u8::try_from(high * 16 + low).ok()
}

/// The first value of a query parameter, decoded; `None` where it is absent.
pub(crate) fn query_value<'a>(query: &'a str, name: &str) -> Option<std::borrow::Cow<'a, str>> {
    query.split('&').find_map(|pair| {
        let (n, value) = pair.split_once('=').unwrap_or((pair, ""));
        (n == name).then(|| percent_decode_str(value).decode_utf8_lossy())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str, style: PathStyle) -> String {
        let mut out = Vec::new();
        write_path(&mut out, text, style);
        String::from_utf8(out).unwrap()
    }

    fn query(text: &str) -> String {
        let mut out = Vec::new();
        write_query(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn s3_paths_are_encoded_once_and_never_normalized() {
        assert_eq!(path("/a//b/../c", PathStyle::Once), "/a//b/../c");
        assert_eq!(path("/a%20b/%c3%A9(1)", PathStyle::Once), "/a%20b/%C3%A9%281%29");
        assert_eq!(path("/100%", PathStyle::Once), "/100%25");
        assert_eq!(path("/a%2Fb", PathStyle::Once), "/a%2Fb");
        assert_eq!(path("", PathStyle::Once), "/");
    }

    #[test]
    fn other_paths_are_normalized_and_encoded_twice() {
        for (sent, canonical) in [
            ("/", "/"),
            ("//", "/"),
            ("/./", "/"),
            ("/example/..", "/"),
            ("/example1/example2/../..", "/"),
            ("/./example", "/example"),
            ("//example//", "/example/"),
            ("/2015-03-31/functions/arn%3Aaws", "/2015-03-31/functions/arn%253Aaws"),
            ("/../../x", "/x"),
        ] {
            assert_eq!(path(sent, PathStyle::Twice), canonical, "{sent}");
        }
        assert_eq!(path("/a/../b", PathStyle::TwiceAsSent), "/a/../b");
    }

    #[test]
    fn queries_are_sorted_and_spelled_one_way() {
        assert_eq!(query("b=2&a=1&a=0"), "a=0&a=1&b=2");
        assert_eq!(query("acl"), "acl=");
        assert_eq!(query("a=x+y&X-Amz-Signature=00&b=%2f"), "a=x%20y&b=%2F");
        assert_eq!(query("prefix=a/b&&delimiter=/"), "delimiter=%2F&prefix=a%2Fb");
        assert_eq!(query("ab=1&a=2&a%20=3"), "a=2&a%20=3&ab=1");
        assert_eq!(query("=v"), "=v");
    }

    #[test]
    fn values_lose_outer_and_doubled_spaces() {
        let mut out = Vec::new();
        write_value(&mut out, b"  a   b  \"c   d\" ");
        assert_eq!(out, b"a b \"c d\"");
    }
}

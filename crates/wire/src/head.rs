//! The head of a request, and the decoding of paths and query strings.

use cloudlet_service::Error;
use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// What the protocols need to know of a request's head.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// The method, upper case.
    pub method: &'a str,
    /// The path as it was sent, percent-encoded, beginning with `/`.
    pub path: &'a str,
    /// The query string as it was sent, without the `?`; empty for none.
    pub query: &'a str,
    /// The headers.
    pub headers: &'a http::HeaderMap,
    /// The host that was asked, without port; empty where it is unknown.
    pub host: &'a str,
    /// The bucket where S3 was addressed by virtual host, so that `path` holds the key alone.
    pub bucket: Option<&'a str>,
}

impl<'a> Head<'a> {
    /// The value of a header as text; `None` where it is absent or not ASCII.
    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The media type in `Content-Type`, without parameters.
    pub(crate) fn media_type(&self) -> &'a str {
        let full = self.header("content-type").unwrap_or_default();
        full.split(';').next().unwrap_or_default().trim()
    }
}

/// The values of a route's labels, decoded.
#[derive(Debug, Default, Clone)]
pub struct Labels(pub(crate) Vec<(&'static str, String)>);

impl Labels {
    /// The value of the label, by its member's name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_str())
    }
}

/// How many parameters a query string or a form may have.
pub(crate) const MOST_PARAMETERS: usize = 20_000;

/// Decodes `%XX` exactly once. An escape that is none stays as it is, as AWS's front ends do.
/// Errors: `None` where the bytes are not UTF-8.
pub(crate) fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.as_bytes().contains(&b'%') {
        return Some(Cow::Borrowed(text));
    }
    percent_decode_str(text).decode_utf8().ok()
}

/// Whether every `%` begins an escape.
pub(crate) fn is_encoded(text: &str) -> bool {
    let hex = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
    let bytes = text.as_bytes();
    memchr::memchr_iter(b'%', bytes).all(|at| hex(bytes.get(at + 1)) && hex(bytes.get(at + 2)))
}

/// [`decode`] for forms and query strings, where `+` is a space.
pub(crate) fn decode_plus(text: &str) -> Option<Cow<'_, str>> {
    if text.as_bytes().contains(&b'+') {
        let spaced = text.replace('+', " ");
        return decode(&spaced).map(|d| Cow::Owned(d.into_owned()));
    }
    decode(text)
}

/// The parameters of a query string or a form, in order.
#[derive(Debug, Default)]
pub(crate) struct Params<'a>(pub(crate) Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Params<'a> {
    /// Splits and decodes. Errors: too many parameters, or one that is not UTF-8.
    pub(crate) fn parse(text: &'a str) -> Result<Self, Error> {
        let mut out = Vec::new();
        for pair in text.split('&') {
            if pair.is_empty() {
                continue;
            }
            if out.len() == MOST_PARAMETERS {
                return Err(Error::sender(
                    "MalformedQueryString",
                    format!("A request may have at most {MOST_PARAMETERS} parameters. Send fewer."),
                ));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(name), Some(value)) = (decode_plus(name), decode_plus(value)) else {
                return Err(Error::sender("InvalidURI", "Couldn't parse the specified URI."));
            };
            out.push((name, value));
        }
        Ok(Self(out))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_ref())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(n, _)| n == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_exactly_once() {
        assert_eq!(decode("a%2520b").unwrap(), "a%20b");
        assert_eq!(decode("a+b%zz").unwrap(), "a+b%zz");
        assert_eq!(decode_plus("a+b%2Bc").unwrap(), "a b+c");
        assert_eq!(decode("%ff"), None);
        assert!(
            is_encoded("a%2Fb")
                && is_encoded("")
                && !is_encoded("a%")
                && !is_encoded("a%2")
                && !is_encoded("%zz")
        );
    }

    #[test]
    fn parameters_without_value_are_there() {
        let params = Params::parse("acl&x=&list-type=2&&a=b=c").unwrap();
        assert_eq!(params.get("acl"), Some(""));
        assert_eq!(params.get("a"), Some("b=c"));
        assert_eq!(params.0.len(), 4);
        assert!(Params::parse("%ff=1").is_err());
        assert!(Params::parse(&"a&".repeat(MOST_PARAMETERS + 1)).is_err());
    }
}

//! A request as text: its first line, its headers, an empty line, its body. Two names are not headers: `scope` is the
//! service it is signed for, `bucket` the bucket of a virtual host.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

/// What the front door would know of it.
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) headers: HeaderMap,
    pub(crate) host: &'a str,
    pub(crate) scope: Option<&'a str>,
    pub(crate) bucket: Option<&'a str>,
    pub(crate) body: Bytes,
}

impl<'a> Asked<'a> {
    /// `None` for what no HTTP parser would let through.
    pub(crate) fn parse(input: &'a [u8]) -> Option<Self> {
        let end = input.windows(2).position(|w| w == b"\n\n");
        let (head, body) = end.map_or((input, &b""[..]), |at| (&input[..at], &input[at + 2..]));
        let mut lines = head.split(|b| *b == b'\n');
        let first = std::str::from_utf8(lines.next()?).ok()?;
        let (method, target) = first.split_once(' ')?;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut asked = Self {
            method,
            path,
            query,
            headers: HeaderMap::new(),
            host: "",
            scope: None,
            bucket: None,
            body: Bytes::copy_from_slice(body),
        };
        for line in lines.take(100) {
            let colon = line.iter().position(|b| *b == b':')?;
            let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            match name {
                b"scope" => asked.scope = std::str::from_utf8(value).ok(),
                b"bucket" => asked.bucket = std::str::from_utf8(value).ok(),
                _ => {
                    if name == b"host" {
                        asked.host = std::str::from_utf8(value).ok()?;
                    }
                    asked
                        .headers
                        .append(HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?);
                }
            }
        }
        Some(asked)
    }

    pub(crate) fn head(&self) -> cloudlet_wire::Head<'_> {
        cloudlet_wire::Head {
            method: self.method,
            path: self.path,
            query: self.query,
            headers: &self.headers,
            host: self.host,
            bucket: self.bucket,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_seeds_are_written_in() {
        let asked =
            Asked::parse(b"PUT /b/k?x=1\nscope: s3\nhost: localhost\nx-amz-acl: private\n\nbody\n\nmore")
                .unwrap();
        assert_eq!((asked.method, asked.path, asked.query), ("PUT", "/b/k", "x=1"));
        assert_eq!((asked.scope, asked.host, asked.headers.len()), (Some("s3"), "localhost", 2));
        assert_eq!(&asked.body[..], b"body\n\nmore");
        assert!(Asked::parse(b"GET /\nno colon").is_none());
    }
}

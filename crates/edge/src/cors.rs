//! Web pages that call the APIs from a browser: who may, and what the browser must be told.
//!
//! A page of a foreign site must not reach a cloud on the user's own machine with keys that everybody knows, so
//! only pages of this machine and of configured origins may. S3 answers for itself: a bucket has its own rules.
//!
//! Source: Fetch Standard, "CORS protocol".

use crate::hosts::{Hosts, without_port};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

const METHODS: HeaderValue = HeaderValue::from_static("HEAD,GET,PUT,POST,DELETE,OPTIONS,PATCH");
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "etag,x-amz-version-id,x-amz-request-id,x-amz-id-2,x-amzn-requestid,x-amzn-errortype,x-amz-delete-marker,\
     x-amz-checksum-crc32,x-amz-checksum-crc32c,x-amz-checksum-crc64nvme,x-amz-checksum-sha1,x-amz-checksum-sha256,\
     x-amz-log-result,x-amz-executed-version,x-amz-function-error,content-range,accept-ranges",
);
const DAY: HeaderValue = HeaderValue::from_static("86400");
const BY_ORIGIN: HeaderValue = HeaderValue::from_static("Origin");
/// Browsers of Chromium's kind ask before a public page reaches a private address.
const REQUEST_PRIVATE: HeaderName = HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE: HeaderName = HeaderName::from_static("access-control-allow-private-network");
/// What a browser asks to send is repeated up to this length.
const LONGEST_LIST: usize = 8 * 1024;

/// The origins that may call.
#[derive(Debug)]
pub(crate) struct Cors {
    all: bool,
    extra: Vec<String>,
}

/// What the origin of a request means for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Page {
    /// No page is behind it.
    None,
    /// A page that may.
    Allowed(HeaderValue),
    /// A page that may not.
    Foreign,
}

impl Cors {
    pub(crate) fn new(origins: &[String]) -> Self {
        Self { all: origins.iter().any(|o| o == "*"), extra: origins.to_vec() }
    }

    /// Who is behind the request.
    pub(crate) fn page(&self, headers: &HeaderMap, hosts: &Hosts) -> Page {
        let Some(origin) = headers.get(ORIGIN) else { return Page::None };
        let allowed = origin.to_str().is_ok_and(|text| {
            let of_ours = || {
                let (_, host) = text.split_once("://")?;
                let name = without_port(host);
                let here = matches!(name, "127.0.0.1" | "[::1]")
                    || (hosts.holds(name) && !name.ends_with("amazonaws.com"));
                here.then_some(())
            };
            self.all || self.extra.iter().any(|o| o == text) || of_ours().is_some()
        });
        if allowed { Page::Allowed(origin.clone()) } else { Page::Foreign }
    }
}

/// Whether the request only asks whether another one may be sent.
pub(crate) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to a preflight: 204 and what may be sent.
pub(crate) fn preflight(origin: &HeaderValue, asked: &HeaderMap) -> HeaderMap {
    let mut out = HeaderMap::with_capacity(8);
    allow(&mut out, origin);
    out.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    if let Some(list) = asked.get(ACCESS_CONTROL_REQUEST_HEADERS).filter(|l| l.len() <= LONGEST_LIST) {
        out.insert(ACCESS_CONTROL_ALLOW_HEADERS, list.clone());
    }
    if asked.contains_key(REQUEST_PRIVATE) {
        out.insert(ALLOW_PRIVATE, HeaderValue::from_static("true"));
    }
    out.insert(ACCESS_CONTROL_MAX_AGE, DAY);
    out
}

/// Lets the page read an answer, unless the service has decided that itself.
pub(crate) fn allow(headers: &mut HeaderMap, origin: &HeaderValue) {
    if headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
        return;
    }
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    headers.append(VARY, BY_ORIGIN);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(origin: &str, extra: &[&str]) -> Page {
        let hosts = Hosts::new(&["localhost".to_owned(), "amazonaws.com".to_owned()]);
        let extra: Vec<String> = extra.iter().map(|o| (*o).to_owned()).collect();
        let mut headers = HeaderMap::new();
        headers.insert(ORIGIN, origin.parse().unwrap());
        Cors::new(&extra).page(&headers, &hosts)
    }

    #[test]
    fn only_pages_of_this_machine_and_named_ones_may() {
        for good in
            ["http://localhost:3000", "https://app.localhost", "http://127.0.0.1:8080", "http://[::1]:1"]
        {
            assert!(matches!(page(good, &[]), Page::Allowed(_)), "{good}");
        }
        for bad in
            ["https://evil.example", "null", "http://localhost.evil.example", "https://x.s3.amazonaws.com"]
        {
            assert_eq!(page(bad, &[]), Page::Foreign, "{bad}");
        }
        assert!(matches!(page("https://evil.example", &["https://evil.example"]), Page::Allowed(_)));
        assert!(matches!(page("null", &["*"]), Page::Allowed(_)));
    }
}

//! A bucket's CORS rules at work: preflights, and what other answers tell a browser.
//! Source: S3 User Guide, "Using cross-origin resource sharing (CORS)"; Fetch Standard, "CORS protocol".

use crate::S3;
use crate::errors::{Result, internal};
use crate::operations::CORS;
use bytes::Bytes;
use cloudlet_api_s3::{CORSConfiguration, CORSRule};
use cloudlet_service::Error;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, CONTENT_TYPE, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

/// What browsers must tell apart in their caches.
const VARIES: &str = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method";

impl S3 {
    /// Answers a preflight by the bucket's rules: 200 with what is allowed, or S3's 403 (400 for one that is none).
    pub(crate) fn answer_preflight(
        &self,
        bucket: &str,
        object: bool,
        asked: &HeaderMap,
    ) -> Option<Response<Bytes>> {
        match self.preflight_headers(bucket, object, asked) {
            Ok(headers) => {
                let mut response = Response::new(Bytes::new());
                *response.headers_mut() = headers;
                Some(response)
            }
            Err(error) if error.is("NoSuchBucket") || error.is("InvalidBucketName") => None,
            Err(error) => Some(refuse(&error)),
        }
    }

    fn preflight_headers(&self, bucket: &str, object: bool, asked: &HeaderMap) -> Result<HeaderMap, Error> {
        let text = |name: HeaderName| asked.get(name).and_then(|v| v.to_str().ok());
        let Some(origin) = text(ORIGIN).filter(|o| !o.is_empty()) else {
            return Err(Error::sender(
                "BadRequest",
                "Insufficient information. Origin request header needed.",
            ));
        };
        let Some(method) = text(ACCESS_CONTROL_REQUEST_METHOD) else {
            return Err(Error::sender("BadRequest", "Invalid Access-Control-Request-Method: null"));
        };
        if !["GET", "PUT", "POST", "DELETE", "HEAD"].contains(&method) {
            return Err(Error::sender(
                "BadRequest",
                format!("Invalid Access-Control-Request-Method: {method}"),
            ));
        }
        let wanted: Vec<&str> = text(ACCESS_CONTROL_REQUEST_HEADERS)
            .into_iter()
            .flat_map(|list| list.split(','))
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .collect();
        let found = self.bucket(bucket)?;
        let denied = |message: &str| forbidden(message, method, object);
        let Some(rules) = self.config::<CORSConfiguration>(&found, &CORS, "")? else {
            return Err(denied("CORSResponse: CORS is not enabled for this bucket."));
        };
        let rule = rules
            .cors_rules
            .iter()
            .find(|rule| allows(rule, origin, method) && wanted.iter().all(|name| allows_header(rule, name)));
        let Some(rule) = rule else {
            return Err(denied(
                "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, \
                 request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted \
                 by the resource's CORS spec.",
            ));
        };
        let mut out = allowed(rule, origin)?;
        if !wanted.is_empty() {
            out.insert(ACCESS_CONTROL_ALLOW_HEADERS, value(&wanted.join(", ").to_ascii_lowercase())?);
        }
        if let Some(age) = rule.max_age_seconds {
            out.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(age));
        }
        Ok(out)
    }

    /// What the answer to a request from a page must carry by the bucket's rules; nothing where no rule allows it.
    pub(crate) fn cors_headers(&self, bucket: &str, method: &str, asked: &HeaderMap) -> HeaderMap {
        let Some(origin) = asked.get(ORIGIN).and_then(|v| v.to_str().ok()) else { return HeaderMap::new() };
        // A request may say what a preflight would have asked; S3 heeds that.
        let named = asked.get(ACCESS_CONTROL_REQUEST_METHOD).and_then(|v| v.to_str().ok());
        let found =
            self.bucket(bucket).and_then(|bucket| self.config::<CORSConfiguration>(&bucket, &CORS, ""));
        let Ok(Some(rules)) = found else { return HeaderMap::new() };
        let rule = rules.cors_rules.iter().find(|rule| allows(rule, origin, named.unwrap_or(method)));
        rule.and_then(|rule| allowed(rule, origin).ok()).unwrap_or_default()
    }
}

/// S3's refusal of a preflight.
fn forbidden(message: &str, method: &str, object: bool) -> Error {
    let what = if object { "OBJECT" } else { "BUCKET" };
    Error::new("AccessForbidden", 403, message).with("Method", method).with("ResourceType", what)
}

/// The refusal of a preflight for a bucket that is not there.
pub(crate) fn refuse_nowhere(object: bool, asked: &HeaderMap) -> Response<Bytes> {
    let method = asked.get(ACCESS_CONTROL_REQUEST_METHOD).and_then(|v| v.to_str().ok()).unwrap_or_default();
    refuse(&forbidden("CORSResponse: Bucket not found", method, object))
}

/// What both kinds of answer say.
fn allowed(rule: &CORSRule, origin: &str) -> Result<HeaderMap, Error> {
    let mut out = HeaderMap::new();
    let everybody = rule.allowed_origins.iter().any(|o| o == "*");
    out.insert(ACCESS_CONTROL_ALLOW_ORIGIN, value(if everybody { "*" } else { origin })?);
    out.insert(ACCESS_CONTROL_ALLOW_METHODS, value(&rule.allowed_methods.join(", "))?);
    if !everybody {
        out.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    if let Some(exposed) = rule.expose_headers.as_ref().filter(|e| !e.is_empty()) {
        out.insert(ACCESS_CONTROL_EXPOSE_HEADERS, value(&exposed.join(", "))?);
    }
    out.insert(VARY, HeaderValue::from_static(VARIES));
    Ok(out)
}

fn value(text: &str) -> Result<HeaderValue, Error> {
    HeaderValue::from_str(text).map_err(internal)
}

fn allows(rule: &CORSRule, origin: &str, method: &str) -> bool {
    rule.allowed_methods.iter().any(|m| m == method)
        && rule.allowed_origins.iter().any(|pattern| matches(pattern, origin))
}

fn allows_header(rule: &CORSRule, name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    rule.allowed_headers.iter().flatten().any(|pattern| matches(&pattern.to_ascii_lowercase(), &name))
}

/// A pattern has at most one `*`.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => {
            text.len() >= before.len() + after.len() && text.starts_with(before) && text.ends_with(after)
        }
    }
}

/// An error as S3 writes it, where no protocol's codec is at hand.
pub(crate) fn refuse(error: &Error) -> Response<Bytes> {
    let mut body = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>");
    element(&mut body, "Code", error.code());
    element(&mut body, "Message", error.message());
    for (name, value) in error.fields() {
        element(&mut body, name, value);
    }
    body.push_str("</Error>");
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() =
        StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}

/// Appends `<name>text</name>`, escaped.
pub(crate) fn element(out: &mut String, name: &str, text: &str) {
    out.push('<');
    out.push_str(name);
    out.push('>');
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#13;"),
            c => out.push(c),
        }
    }
    out.push_str("</");
    out.push_str(name);
    out.push('>');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_star_matches_anything() {
        assert!(matches("*", "http://a") && matches("http://*.example.com", "http://a.example.com"));
        assert!(!matches("http://*.example.com", "http://example.com"));
        assert!(!matches("aa*aa", "aaa"));
    }

    #[test]
    fn errors_are_escaped() {
        let response = refuse(&Error::sender("A", "<&>").with("B", "\""));
        let text = String::from_utf8(response.body().to_vec()).unwrap();
        assert!(
            text.ends_with("<Error><Code>A</Code><Message>&lt;&amp;&gt;</Message><B>&quot;</B></Error>"),
            "{text}"
        );
    }
}

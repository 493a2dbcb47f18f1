//! The headers that a request means, where they are not those that it has.

use http::header::CONTENT_ENCODING;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::sync::Arc;

/// The headers of a presigned request: what its query says under `x-amz-` counts as if it were a header.
/// Source: S3 API Reference, "Authenticating Requests: Using Query Parameters"; what SDKs hoist there.
pub(super) fn with_query_headers(headers: &Arc<HeaderMap>, query: &str) -> Arc<HeaderMap> {
    const OF_THE_SIGNATURE: [&str; 7] = [
        "x-amz-algorithm",
        "x-amz-content-sha256",
        "x-amz-credential",
        "x-amz-expires",
        "x-amz-security-token",
        "x-amz-signature",
        "x-amz-signedheaders",
    ];
    let mut out: Option<HeaderMap> = None;
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if !name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("x-amz-")) {
            continue;
        }
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { continue };
        if OF_THE_SIGNATURE.contains(&name.as_str()) || headers.contains_key(&name) {
            continue;
        }
        let value = value.replace('+', " ");
        let value: Vec<u8> = percent_encoding::percent_decode_str(&value).collect();
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            out.get_or_insert_with(|| HeaderMap::clone(headers)).append(name, value);
        }
    }
    out.map_or_else(|| headers.clone(), Arc::new)
}

/// The headers as the object's own: `aws-chunked` is how it travelled, not how it is encoded.
/// Source: S3 API Reference, "Transferring Payload in Multiple Chunks", `Content-Encoding`.
pub(super) fn without_aws_chunked(headers: &Arc<HeaderMap>) -> Arc<HeaderMap> {
    let chunked = |value: &HeaderValue| {
        value.to_str().is_ok_and(|v| v.split(',').any(|c| c.trim().eq_ignore_ascii_case("aws-chunked")))
    };
    if !headers.get_all(CONTENT_ENCODING).iter().any(chunked) {
        return headers.clone();
    }
    let kept: Vec<String> = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|coding| coding.trim().to_owned())
        .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("aws-chunked"))
        .collect();
    let mut out = HeaderMap::clone(headers);
    out.remove(CONTENT_ENCODING);
    if let Ok(value) = HeaderValue::from_str(&kept.join(","))
        && !kept.is_empty()
    {
        out.insert(CONTENT_ENCODING, value);
    }
    Arc::new(out)
}

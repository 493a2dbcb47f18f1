//! What S3 answers to web pages itself: preflights, forms, and the head that all its answers have.

use super::s3_request_id;
use crate::access_log::{self, Line};
use crate::body::Arriving;
use crate::connection::Peer;
use crate::cors::{self, Page};
use crate::gate::Gate;
use crate::hosts::Place;
use crate::out::Out;
use crate::own;
use crate::sigv4::Claim;
use base64::Engine;
use bytes::Bytes;
use cloudlet_service::{ByteStream, Form, Signer, Web};
use cloudlet_wire::Head;
use http::header::{ACCESS_CONTROL_REQUEST_METHOD, SERVER};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use std::sync::Arc;

/// A browser's question whether a request may be sent. Source: Fetch Standard, "CORS-preflight fetch".
pub(super) fn preflight(
    gate: &Gate,
    parts: &Parts,
    headers: &HeaderMap,
    place: Place<'_>,
    page: &Page,
) -> Response<Out> {
    if let Some(bucket) = place.bucket.or_else(|| first_segment(parts)) {
        let by_s3 = s3_web(gate).and_then(|web| web.preflight(bucket, means_object(parts, place), headers));
        if let Some(response) = by_s3.or_else(|| gate.own.preflight(bucket, headers)) {
            return of_s3(gate, response);
        }
    }
    let Page::Allowed(origin) = page else {
        if let Some(web) = s3_web(gate).filter(|_| means_s3(gate, parts, headers, place)) {
            return of_s3(gate, web.preflight_nowhere(means_object(parts, place), headers));
        }
        return own::text(
            StatusCode::FORBIDDEN,
            "Pages of this origin may not call. Add the origin to the configured ones, or give the bucket a CORS rule.\n",
        );
    };
    let mut response = Response::new(Out::bytes(Bytes::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    *response.headers_mut() = cors::preflight(origin, headers);
    response
}

/// Whether the request that a preflight asks for would be S3's, over a bucket.
fn means_s3(gate: &Gate, parts: &Parts, headers: &HeaderMap, place: Place<'_>) -> bool {
    let bucket = place.bucket.or_else(|| first_segment(parts));
    let method = headers.get(ACCESS_CONTROL_REQUEST_METHOD).and_then(|v| v.to_str().ok());
    let (Some(_), Some(method), Some(routes)) = (bucket, method, gate.routes()) else { return false };
    let service = place.service.and_then(|prefix| routes.signing_name(prefix));
    let head = Head {
        method,
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        headers: &HeaderMap::new(),
        host: "",
        bucket: place.bucket,
    };
    let api = match routes.router.route(service, &head, None) {
        Ok(route) => Some(route.api),
        Err(unrouted) => unrouted.api,
    };
    api.is_some_and(|api| api.signing_name == "s3")
}

/// The bucket that a path names, if it is one's.
pub(super) fn first_segment(parts: &Parts) -> Option<&str> {
    parts.uri.path().trim_start_matches('/').split('/').next().filter(|b| !b.is_empty())
}

/// Whether a path names an object, not only a bucket.
pub(super) fn means_object(parts: &Parts, place: Place<'_>) -> bool {
    let path = parts.uri.path().trim_start_matches('/');
    match place.bucket {
        Some(_) => !path.is_empty(),
        None => path.split_once('/').is_some_and(|(_, key)| !key.is_empty()),
    }
}

/// An answer that S3 wrote itself, with the ids that all its answers have, in the head and in an error's document.
pub(super) fn of_s3(gate: &Gate, mut response: Response<Bytes>) -> Response<Out> {
    let id = s3_request_id(gate);
    let long = base64::engine::general_purpose::STANDARD.encode(&id);
    if let Some(start) = response.body().strip_suffix(b"</Error>") {
        let mut document = start.to_vec();
        let ids = format!("<RequestId>{id}</RequestId><HostId>{long}</HostId></Error>");
        document.extend_from_slice(ids.as_bytes());
        *response.body_mut() = Bytes::from(document);
    }
    let headers = response.headers_mut();
    headers.insert(SERVER, HeaderValue::from_static("AmazonS3"));
    for (name, value) in [("x-amz-request-id", id), ("x-amz-id-2", long)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    response.map(Out::bytes)
}

/// What S3 answers to web pages itself.
pub(crate) fn s3_web(gate: &Gate) -> Option<&dyn Web> {
    gate.cloud.service("s3").filter(|_| gate.serves("s3")).and_then(|s3| s3.web())
}

/// The bucket of an upload out of an HTML form, which signs itself in its fields.
/// Source: S3 API Reference, "POST Object".
pub(super) fn form_bucket<'a>(parts: &'a Parts, headers: &HeaderMap, place: Place<'a>) -> Option<&'a str> {
    let kind = headers.get(http::header::CONTENT_TYPE)?.to_str().ok()?;
    if parts.method != Method::POST || !kind.to_ascii_lowercase().starts_with("multipart/form-data") {
        return None;
    }
    let path = parts.uri.path().trim_matches('/');
    let bare = parts.uri.query().is_none_or(str::is_empty);
    match place.bucket {
        Some(bucket) => Some(bucket).filter(|_| bare && path.is_empty()),
        None => Some(path).filter(|_| bare && !path.is_empty() && !path.contains('/')),
    }
}

/// The code in an error's document.
fn error_code(document: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(document).ok()?;
    let (code, _) = text.split_once("<Error><Code>")?.1.split_once('<')?;
    Some(code.to_owned())
}

/// Hands a form to S3, and the line that it is in the bucket's access log.
#[allow(clippy::too_many_arguments)] // Each is a part of the one request.
pub(super) async fn form(
    gate: &Arc<Gate>,
    peer: &Peer,
    bucket: &str,
    parts: &Parts,
    place: Place<'_>,
    headers: &Arc<HeaderMap>,
    host: &Arc<str>,
    arriving: Arriving,
) -> Option<Response<Out>> {
    let web = s3_web(gate)?;
    let content_type =
        headers.get(http::header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let len = arriving.announced();
    let form = Form { cloud: &gate.cloud, bucket, content_type, origin: peer.origin(headers, host) };
    let line = Line::begin(&access_log::Asked {
        gate,
        peer,
        headers,
        method: "POST",
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        host_bucket: place.bucket,
        claim: &Claim::None,
        received: len,
        other: "REST",
    });
    let response = web.form(form, ByteStream::new(arriving, len)).await;
    let code = line.is_some().then(|| error_code(response.body())).flatten();
    let mut response = of_s3(gate, response);
    response.headers_mut().extend(web.for_page(bucket, "POST", headers));
    Some(match line {
        Some(mut line) => {
            line.signed(response.extensions().get::<Signer>());
            line.end(response, code)
        }
        None => response,
    })
}

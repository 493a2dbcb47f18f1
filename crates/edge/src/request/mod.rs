//! The way of one request, top to bottom: what it asks, who asks, its body, the operation, the answer.

mod asked;
mod headers;
mod ids;
mod payload;
mod web;

pub(crate) use ids::{dynamodb_request_id, s3_request_id, uuid};
pub(crate) use web::s3_web;

use crate::body::Arriving;
use crate::connection::Peer;
use crate::cors::{self, Page};
use crate::gate::Gate;
use crate::hosts;
use crate::out::Out;
use crate::sigv4::Claim;
use crate::{own, site, website};
use asked::Asked;
use bytes::Bytes;
use cloudlet_wire::Head;
use futures_util::FutureExt;
use headers::with_query_headers;
use http::header::{CONNECTION, EXPECT, HOST};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use web::{first_segment, form, form_bucket, means_object, of_s3, preflight};

/// Up to this size what is left of a body costs less than a new connection, in bytes.
const DRAINED: u64 = 64 * 1024;

/// How long a small rest of a body may take to arrive.
const DRAINING: Duration = Duration::from_secs(2);

/// Reads what nobody wanted to read: most clients listen only once they have sent everything.
async fn is_drained(rest: Option<Incoming>) -> bool {
    let Some(mut rest) = rest else { return true };
    let drain = async move {
        loop {
            match poll_fn(|cx| Pin::new(&mut rest).poll_frame(cx)).await {
                None => return true,
                Some(Ok(_)) => {}
                Some(Err(_)) => return false,
            }
        }
    };
    tokio::time::timeout(DRAINING, drain).await.unwrap_or(false)
}

/// Answers a request. It always gives an answer; a panic below becomes a 500 for this request alone.
pub(crate) async fn answer(gate: &Arc<Gate>, peer: &Peer, request: Request<Incoming>) -> Response<Out> {
    let (parts, incoming) = request.into_parts();
    let is_head = parts.method == Method::HEAD;
    let page = gate.cors.page(&parts.headers, &gate.hosts);
    let keeps_alive = parts.version < http::Version::HTTP_2;
    let arriving = Arriving::new(incoming, &gate.config.limits);
    let reading = arriving.reading();
    // A small rest of a body is drained; one that is waited for or long is not.
    let waits = parts.headers.contains_key(EXPECT) || arriving.announced().is_none_or(|n| n > DRAINED);
    let mut response = match AssertUnwindSafe(enter(gate, peer, parts, arriving, &page)).catch_unwind().await
    {
        Ok(response) => response,
        Err(_) => {
            own::text(StatusCode::INTERNAL_SERVER_ERROR, "The request failed because of an internal error.\n")
        }
    };
    if let Page::Allowed(origin) = &page
        && response.extensions_mut().remove::<site::OwnRules>().is_none()
    {
        cors::allow(response.headers_mut(), origin);
    }
    if keeps_alive && !reading.is_over() && (waits || !is_drained(reading.rest()).await) {
        // What nobody has read of the body is never read, so that no request can follow it on this connection; a
        // client that is not told would send one into the closing.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if is_head {
        // RFC 9110, section 9.3.2: the length may be told, the body never comes.
        response = response.map(|_| Out::bytes(Bytes::new()));
    }
    response
}

async fn enter(
    gate: &Arc<Gate>,
    peer: &Peer,
    mut parts: Parts,
    arriving: Arriving,
    page: &Page,
) -> Response<Out> {
    if parts.headers.get_all(HOST).iter().count() > 1 {
        // RFC 9112, section 3.2.
        return own::text(StatusCode::BAD_REQUEST, "A request has one Host.\n");
    }
    let headers = Arc::new(std::mem::take(&mut parts.headers));
    let host: Arc<str> = match parts.uri.authority() {
        Some(authority) => authority.as_str().into(),
        None => headers.get(HOST).and_then(|h| h.to_str().ok()).unwrap_or_default().into(),
    };
    let query = parts.uri.query().unwrap_or_default();
    let (claim, flaw) = match Claim::read(&headers, query) {
        Ok(claim) => (claim, None),
        Err(flaw) => (Claim::None, Some(flaw)),
    };
    let name = hosts::without_port(&host);
    if let Some(address) = site::address(gate, name, parts.uri.path()) {
        return site::answer(gate, peer, &parts, &headers, &host, arriving, claim, flaw, address).await;
    }
    let for_s3 = match &claim {
        Claim::V4(v4) => v4.service() == "s3",
        Claim::V2(_) => true,
        Claim::None => false,
    };
    let routes = gate.routes();
    let is_service = |prefix: &str| routes.is_some_and(|r| r.signing_name(prefix).is_some());
    let place = gate.hosts.read(name, for_s3, is_service);

    let signed = flaw.is_some() || !matches!(claim, Claim::None);
    if own::is_own(&parts, place.bucket.is_none(), signed) {
        drop(claim);
        let host = host.clone();
        parts.headers = Arc::unwrap_or_clone(headers);
        return own::answer(gate, peer, parts, &host, arriving).await;
    }
    if cors::is_preflight(&parts.method, &headers) {
        return preflight(gate, &parts, &headers, place, page);
    }
    if let Some(bucket) = place.bucket.filter(|_| place.website && routes.is_some()) {
        return website::answer(gate, peer, bucket, &parts, &headers, &host).await;
    }
    if parts.method == Method::OPTIONS
        && !signed
        && let Some(bucket) = place.bucket.or_else(|| first_segment(&parts))
        && let Some(response) =
            s3_web(gate).and_then(|web| web.preflight(bucket, means_object(&parts, place), &headers))
    {
        // A preflight that lacks what a preflight has: the bucket says so.
        return of_s3(gate, response);
    }
    if !signed
        && routes.is_some()
        && let Some(bucket) = form_bucket(&parts, &headers, place)
        && s3_web(gate).is_some()
    {
        let response = form(gate, peer, bucket, &parts, place, &headers, &host, arriving).await;
        return response.unwrap_or_else(|| own::text(StatusCode::NOT_FOUND, "S3 is not served.\n"));
    }
    let Some(routes) = routes else {
        return own::text(StatusCode::SERVICE_UNAVAILABLE, "The cloud is starting; try again.\n");
    };
    let path = parts.uri.path();
    let signing_name = match &claim {
        Claim::V4(v4) => Some(v4.service()),
        Claim::V2(_) => Some("s3"),
        Claim::None => place.service.and_then(|prefix| routes.signing_name(prefix)),
    };
    let presigned = match &claim {
        Claim::V4(v4) => v4.presigned && for_s3,
        Claim::V2(v2) => v2.expires.is_some(),
        Claim::None => false,
    };
    let meant = if presigned { with_query_headers(&headers, query) } else { headers.clone() };
    let head = Head {
        method: parts.method.as_str(),
        path,
        query,
        headers: &meant,
        host: name,
        bucket: place.bucket,
    };
    let names_dynamodb =
        || headers.get("x-amz-target").is_some_and(|target| target.as_bytes().starts_with(b"DynamoDB"));
    let id = match signing_name {
        Some("dynamodb") => dynamodb_request_id(gate),
        None if names_dynamodb() => dynamodb_request_id(gate),
        None | Some("s3") => s3_request_id(gate),
        Some(_) => uuid(gate),
    };
    let asked = Asked {
        gate,
        peer,
        routes,
        head,
        sent: &headers,
        headers: &meant,
        host: &host,
        place,
        signing_name,
        page,
        id,
        operation: OnceLock::new(),
        who: OnceLock::new(),
    };
    let response = asked.answer(&claim, flaw, arriving).await;
    tracing::debug!(
        id = %asked.id, method = head.method, path = head.path, status = response.status().as_u16(), "answered"
    );
    response
}

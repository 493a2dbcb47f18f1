//! Requests to a bucket's website host name: S3 answers them with pages, and no API is spoken.

use crate::access_log::{self, Line};
use crate::connection::Peer;
use crate::gate::Gate;
use crate::out::Out;
use crate::request::{s3_request_id, s3_web};
use crate::{own, sigv4};
use cloudlet_service::Page;
use cloudlet_wire::Payload;
use http::header::{HeaderValue, SERVER};
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode};
use std::sync::Arc;

/// Hands the request to S3.
pub(crate) async fn answer(
    gate: &Arc<Gate>,
    peer: &Peer,
    bucket: &str,
    parts: &Parts,
    headers: &Arc<HeaderMap>,
    host: &Arc<str>,
) -> Response<Out> {
    let Some(web) = s3_web(gate) else {
        return own::text(StatusCode::NOT_FOUND, "S3 is not served.\n");
    };
    let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
    let line = Line::begin(&access_log::Asked {
        gate,
        peer,
        headers,
        method: parts.method.as_str(),
        path,
        query,
        host_bucket: Some(bucket),
        claim: &sigv4::Claim::None,
        received: None,
        other: "WEBSITE",
    });
    let origin = peer.origin(headers, host);
    let id = s3_request_id(gate);
    let page = Page { cloud: &gate.cloud, bucket, method: &parts.method, path, query, id: &id, origin };
    let mut response = web.website(page).await;
    response.headers_mut().insert(SERVER, HeaderValue::from_static("AmazonS3"));
    response.headers_mut().extend(web.for_page(bucket, parts.method.as_str(), headers));
    let code = response.headers().get("x-amz-error-code").and_then(|v| v.to_str().ok()).map(str::to_owned);
    let response = response.map(|body| Out::new(Payload::Stream(body)));
    match line {
        Some(line) => line.end(response, code),
        None => response,
    }
}

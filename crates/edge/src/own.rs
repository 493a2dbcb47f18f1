//! The endpoints that are ours and not AWS's, and those that existing local tooling probes.

use crate::connection::Peer;
use crate::gate::Gate;
use crate::hosts::{self, Hosts};
use crate::out::Out;
use crate::{body, tls};
use bytes::Bytes;
use cloudlet_service::BoxFuture;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode};
use serde_json::json;
use std::net::IpAddr;

/// The largest body that an endpoint of ours takes, in bytes.
const LARGEST: usize = 1024 * 1024;

/// A request below `/_cloudlet/`.
#[derive(Debug)]
pub struct OwnRequest {
    /// The method.
    pub method: Method,
    /// The path with `/_cloudlet/`.
    pub path: String,
    /// The query without `?`.
    pub query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// All of the body.
    pub body: Bytes,
    /// Where it came from.
    pub source: IpAddr,
}

/// Endpoints that the program adds to those of the front door.
pub trait OwnEndpoints: Send + Sync + 'static {
    /// Answers a request below `/_cloudlet/` that is none of health, info and ca; `None` for 404. It comes from
    /// this machine's names only, never from a foreign web page.
    fn answer(&self, request: OwnRequest) -> BoxFuture<'_, Option<Response<Bytes>>>;

    /// Answers a browser's preflight for S3 by the bucket's own rules; `None` leaves it to the front door.
    /// `bucket` is the bucket that the request addresses.
    fn preflight(&self, _bucket: &str, _headers: &HeaderMap) -> Option<Response<Bytes>> {
        None
    }
}

/// No further endpoints.
impl OwnEndpoints for () {
    fn answer(&self, _: OwnRequest) -> BoxFuture<'_, Option<Response<Bytes>>> {
        Box::pin(async { None })
    }
}

/// Whether the path is one of ours. `signed` says that the request claims a signer, and so means an AWS API.
pub(crate) fn is_own(parts: &Parts, path_style: bool, signed: bool) -> bool {
    let path = parts.uri.path();
    if path.starts_with("/_cloudlet/") || path.starts_with("/_localstack/") || path == "/_cloudlet" {
        return true;
    }
    let looks = matches!(parts.method, Method::GET | Method::HEAD);
    let bare = parts.uri.query().is_none_or(str::is_empty);
    looks && bare && !signed && path_style && matches!(path, "/" | "/health")
}

/// Answers it.
pub(crate) async fn answer(
    gate: &Gate,
    peer: &Peer,
    parts: Parts,
    host: &str,
    body: body::Arriving,
) -> Response<Out> {
    let path = parts.uri.path().trim_end_matches('/');
    if path.starts_with("/_cloudlet") {
        // Another site's name that leads here is a page trying to act as us (DNS rebinding), and an origin that
        // is not ours is a page trying to act through us.
        let foreign_page = matches!(gate.cors.page(&parts.headers, &gate.hosts), crate::cors::Page::Foreign);
        if !is_ours(&gate.hosts, host) || foreign_page {
            return text(
                StatusCode::FORBIDDEN,
                "This endpoint answers only under the cloud's own names, such as localhost. Add the name you use to \
                 the configured domains.\n",
            );
        }
    }
    let read = matches!(parts.method, Method::GET | Method::HEAD);
    match path {
        "" if read => text(StatusCode::OK, greeting(gate, host)),
        "/_cloudlet/health" if read => health(gate),
        "/_cloudlet/info" if read => object(&json!({
            "name": "cloudlet",
            "version": gate.config.version,
            "region": gate.config.default_region,
            "services": names(gate),
        })),
        "/_cloudlet/ca.pem" | "/_cloudlet/ca" if read => certificate(gate),
        "/_localstack/health" | "/health" => local_health(gate, &parts.method),
        "/_localstack/info" if read => object(&json!({
            "version": gate.config.version,
            "edition": "community",
            "is_license_activated": false,
            "session_id": gate.run,
            "system": std::env::consts::OS,
            "is_docker": std::path::Path::new("/.dockerenv").exists(),
            "server_time_utc": crate::sigv4::time::extended(gate.cloud.clock().seconds()),
            "uptime": (gate.cloud.clock().millis() - gate.opened) / 1000,
        })),
        "/_localstack/init" if read => init(gate, None),
        path if read && path.starts_with("/_localstack/init/") => init(gate, path.rsplit('/').next()),
        path if path.starts_with("/_cloudlet/") => further(gate, peer, &parts, body).await,
        _ => text(StatusCode::NOT_FOUND, "There is no such endpoint.\n"),
    }
}

/// What is said to who only looks. Of AWS's services DynamoDB alone has an answer, so that it is also the one of a name
/// that means no service; the space at the end is its own.
fn greeting(gate: &Gate, host: &str) -> String {
    let place = gate.hosts.read(hosts::without_port(host), false, |_| true);
    let region = place.region.unwrap_or(&gate.config.default_region);
    match place.service {
        None | Some("dynamodb") if gate.serves("dynamodb") => {
            format!("healthy: dynamodb.{region}.amazonaws.com ")
        }
        _ => String::new(),
    }
}

fn is_ours(hosts: &Hosts, host: &str) -> bool {
    let name = hosts::without_port(host);
    hosts.read(name, false, |_| true).ours && !name.ends_with("amazonaws.com")
}

async fn further(gate: &Gate, peer: &Peer, parts: &Parts, arriving: body::Arriving) -> Response<Out> {
    let mut held = gate.memory.part();
    let body = match body::collect(arriving, LARGEST, &mut held).await {
        Ok(body) => body,
        Err(error) => {
            let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
            return text(status, format!("{error}\n"));
        }
    };
    let request = OwnRequest {
        method: parts.method.clone(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers.clone(),
        body,
        source: peer.address,
    };
    match gate.own.answer(request).await {
        Some(response) => response.map(Out::bytes),
        None => text(StatusCode::NOT_FOUND, "There is no such endpoint.\n"),
    }
}

fn names(gate: &Gate) -> Vec<&'static str> {
    let mut names: Vec<_> = gate.cloud.services().map(|s| s.api().name).filter(|n| gate.serves(n)).collect();
    names.sort_unstable();
    names
}

fn health(gate: &Gate) -> Response<Out> {
    let ready = gate.routes().is_some();
    let mut response = object(&json!({ "status": if ready { "running" } else { "starting" } }));
    if !ready {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}

/// What LocalStack's clients wait for: every service by name, and its state.
fn local_health(gate: &Gate, method: &Method) -> Response<Out> {
    if *method == Method::POST {
        return text(
            StatusCode::NOT_IMPLEMENTED,
            "Restarting over this endpoint is not implemented; use `cloudlet stop` and `cloudlet start`.\n",
        );
    }
    let services: serde_json::Map<_, _> =
        names(gate).into_iter().map(|n| (n.to_owned(), json!("running"))).collect();
    object(&json!({ "services": services, "edition": "community", "version": gate.config.version }))
}

/// The stages of LocalStack's initialization, which are over once the cloud has opened.
fn init(gate: &Gate, stage: Option<&str>) -> Response<Out> {
    let ready = gate.routes().is_some();
    match stage.map(str::to_ascii_uppercase) {
        None => object(&json!({
            "completed": { "BOOT": true, "START": true, "READY": ready, "SHUTDOWN": false },
            "scripts": [],
        })),
        Some(stage) if matches!(stage.as_str(), "BOOT" | "START" | "READY" | "SHUTDOWN") => {
            let completed = match stage.as_str() {
                "SHUTDOWN" => false,
                "READY" => ready,
                _ => true,
            };
            object(&json!({ "completed": completed, "scripts": [] }))
        }
        Some(_) => text(StatusCode::NOT_FOUND, "There is no such stage: boot, start, ready or shutdown.\n"),
    }
}

fn certificate(gate: &Gate) -> Response<Out> {
    let Some(directory) = &gate.config.tls else {
        return text(StatusCode::NOT_FOUND, "This cloud speaks no TLS.\n");
    };
    match tls::ca_pem(directory) {
        Ok(pem) => {
            let mut response = text(StatusCode::OK, pem);
            let kind = HeaderValue::from_static("application/x-pem-file");
            response.headers_mut().insert(CONTENT_TYPE, kind);
            response
        }
        Err(why) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{why}\n")),
    }
}

fn object(value: &serde_json::Value) -> Response<Out> {
    let mut response = text(StatusCode::OK, value.to_string());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A plain answer.
pub(crate) fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Out> {
    let mut response = Response::new(Out::bytes(body));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

//! Requests to the addresses of services' own resources: function URLs, and the issuers of web identity tokens.
//!
//! Any request may come, so that nothing of it is read but the signature, if there is one, and the body.

use crate::body::{self, Arriving};
use crate::caller::{self, Caller};
use crate::connection::Peer;
use crate::gate::Gate;
use crate::out::Out;
use crate::own;
use crate::request::uuid;
use crate::sigv4::{self, Claim, Family, Flaw, Signable};
use cloudlet_service::{Context, Error, OIDC_PATH, Origin, Principal, Protocol, SITE_PATH, Visit};
use cloudlet_wire::Payload;
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode, Version};
use std::sync::Arc;

/// Lambda quotas: the most bytes of a request to a function URL.
const LARGEST: usize = 6 * 1024 * 1024;

/// Marks an answer that says itself what web pages may know of it.
#[derive(Clone)]
pub(crate) struct OwnRules;

/// Which resource is meant, and the path below its address.
pub(crate) struct Address<'a> {
    service: &'static str,
    id: &'a str,
    region: Option<&'a str>,
    path: &'a str,
}

/// The resource that a request's host or path names.
pub(crate) fn address<'a>(gate: &Gate, name: &'a str, path: &'a str) -> Option<Address<'a>> {
    if let Some((id, region)) = gate.hosts.function_url(name) {
        return Some(Address { service: "lambda", id, region: Some(region), path });
    }
    let (service, below) = match (path.strip_prefix(SITE_PATH), path.strip_prefix(OIDC_PATH)) {
        (Some(below), _) => ("lambda", below),
        (None, Some(below)) => ("sts", below),
        (None, None) => return None,
    };
    let (id, path) = match below.find('/') {
        Some(at) => below.split_at(at),
        None => (below, "/"),
    };
    Some(Address { service, id, region: None, path })
}

/// Answers it.
#[allow(clippy::too_many_arguments)] // Each is a part of the one request.
pub(crate) async fn answer(
    gate: &Arc<Gate>,
    peer: &Peer,
    parts: &Parts,
    headers: &Arc<HeaderMap>,
    host: &Arc<str>,
    arriving: Arriving,
    claim: Claim<'_>,
    flaw: Option<Flaw>,
    address: Address<'_>,
) -> Response<Out> {
    let name = address.service;
    let service = gate.cloud.service(name).filter(|_| gate.serves(name));
    let Some(site) = service.and_then(|service| service.site()) else {
        return own::text(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{name} is not served, or the cloud is starting.\n"),
        );
    };
    let mut held = gate.memory.part();
    let body = match body::collect(arriving, LARGEST, &mut held).await {
        Ok(body) => body,
        Err(error) => {
            let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
            return own::text(status, format!("{}\n", error.message()));
        }
    };
    let cx = Context {
        request_id: uuid(gate).as_str().into(),
        account: gate.default_account.clone(),
        region: address.region.map_or_else(|| gate.default_region.clone(), Arc::from),
        principal: Principal::Anonymous,
        session: None,
        origin: Arc::new(peer.origin(headers, host)),
        cloud: gate.cloud.clone(),
    };
    let query = parts.uri.query().unwrap_or_default();
    let signable = Signable { method: parts.method.as_str(), path: parts.uri.path(), query, headers, host };
    let caller = match flaw {
        Some(flaw) => Some(Err(refuse(flaw))),
        None => match verify(gate, &claim, &signable, &body) {
            Ok(None) => None,
            Ok(Some(caller)) => Some(Ok(as_caller(&cx, caller))),
            Err(flaw) => Some(Err(refuse(flaw))),
        },
    };
    let visit = Visit {
        caller,
        id: address.id.to_owned(),
        region: address.region.map(str::to_owned),
        method: parts.method.clone(),
        path: address.path.to_owned(),
        query: query.to_owned(),
        protocol: if parts.version == Version::HTTP_2 { "HTTP/2.0" } else { "HTTP/1.1" },
        headers: headers.clone(),
        body,
        cx,
    };
    let mut response = site.answer(visit).await.map(|body| Out::new(Payload::Stream(body)));
    response.extensions_mut().insert(OwnRules);
    response
}

/// Who signed the request; `None` for one without a signature.
fn verify(
    gate: &Gate,
    claim: &Claim<'_>,
    request: &Signable<'_>,
    body: &[u8],
) -> Result<Option<Caller>, Flaw> {
    let Some(known) = caller::look_up(gate, claim, request, false)? else { return Ok(None) };
    let said = request.headers.get("x-amz-content-sha256").and_then(|v| v.to_str().ok());
    let hash = match said {
        Some(sigv4::UNSIGNED_PAYLOAD) => sigv4::UNSIGNED_PAYLOAD.to_owned(),
        _ => sigv4::payload_hash(body).into_owned(),
    };
    known.verify(gate, request, &hash, false, None, false).map(Some)
}

fn as_caller(cx: &Context, caller: Caller) -> Context {
    let origin = Origin {
        access_key_id: caller.access_key_id,
        presigned: caller.presigned,
        signature: caller.signature,
        ..Origin::clone(&cx.origin)
    };
    Context {
        account: caller.principal.account().into(),
        region: caller.region.unwrap_or_else(|| cx.region.clone()),
        principal: caller.principal,
        session: caller.session,
        origin: Arc::new(origin),
        ..cx.clone()
    }
}

fn refuse(flaw: Flaw) -> Error {
    Family::of(false, Protocol::RestJson1).refuse(flaw)
}

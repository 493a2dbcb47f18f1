//! The way of one request, top to bottom: what it asks, who asks, its body, the operation, the answer.

use crate::access_log::{self, Line};
use crate::body::{self, Arriving, Hashed, Held, Unframed};
use crate::caller::{self, Caller, PayloadClaim};
use crate::chunked::{Chain, Decoder, Frames, SIGNED_EVENTS};
use crate::connection::Peer;
use crate::cors::{self, Page};
use crate::gate::{Gate, Routes};
use crate::hosts::{self, Place};
use crate::out::Out;
use crate::own;
use crate::sigv4::{self, Claim, Family, Flaw, Signable};
use crate::site;
use crate::website;
use base64::Engine;
use bytes::Bytes;
use cloudlet_service::{ByteStream, Context, Error, Form, Origin, Principal, Protocol, Web};
use cloudlet_wire::{Body, Head, Route, Router};
use futures_util::FutureExt;
use http::header::{CONNECTION, CONTENT_ENCODING, EXPECT, HOST, SERVER};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};

/// Up to this size what is left of a body costs less than a new connection, in bytes.
const DRAINED: u64 = 64 * 1024;

const X_AMZ_CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");

/// Answers a request. It always gives an answer; a panic below becomes a 500 for this request alone.
pub(crate) async fn answer(gate: &Arc<Gate>, peer: &Peer, request: Request<Incoming>) -> Response<Out> {
    let (parts, incoming) = request.into_parts();
    let is_head = parts.method == Method::HEAD;
    let page = gate.cors.page(&parts.headers, &gate.hosts);
    let keeps_alive = parts.version < http::Version::HTTP_2;
    let arriving = Arriving::new(incoming, &gate.config.limits);
    let read = arriving.read();
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
    if keeps_alive && waits && !read.load(std::sync::atomic::Ordering::Relaxed) {
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
        && let Some(response) = s3_web(gate).and_then(|web| web.preflight(bucket, &headers))
    {
        // A preflight that lacks what a preflight has: the bucket says so.
        return of_s3(gate, response);
    }
    if !signed
        && routes.is_some()
        && let Some(bucket) = form_bucket(&parts, &headers, place)
        && s3_web(gate).is_some()
    {
        let response = form(gate, peer, bucket, &headers, &host, arriving).await;
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
    let id = if signing_name.is_none_or(|n| n == "s3") { s3_request_id(gate) } else { uuid(gate) };
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

/// 16 digits as S3 gives them.
pub(crate) fn s3_request_id(gate: &Gate) -> String {
    let mut bytes = [0u8; 8];
    gate.cloud.random().fill(&mut bytes);
    let mut digits = [0u8; 16];
    // The lengths fit by their types.
    let _ = hex::encode_to_slice(bytes, &mut digits);
    digits.make_ascii_uppercase();
    String::from_utf8_lossy(&digits).into_owned()
}

/// A random (version 4) UUID, as most services give their requests.
pub(crate) fn uuid(gate: &Gate) -> String {
    let mut bytes = [0u8; 16];
    gate.cloud.random().fill(&mut bytes);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let mut digits = [0u8; 32];
    let _ = hex::encode_to_slice(bytes, &mut digits);
    let mut text = [b'-'; 36];
    for (at, from) in [(0, 0..8), (9, 8..12), (14, 12..16), (19, 16..20), (24, 20..32)] {
        text[at..at + from.len()].copy_from_slice(&digits[from]);
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// A browser's question whether a request may be sent. Source: Fetch Standard, "CORS-preflight fetch".
fn preflight(
    gate: &Gate,
    parts: &Parts,
    headers: &HeaderMap,
    place: Place<'_>,
    page: &Page,
) -> Response<Out> {
    if let Some(bucket) = place.bucket.or_else(|| first_segment(parts)) {
        let by_s3 = s3_web(gate).and_then(|web| web.preflight(bucket, headers));
        if let Some(response) = by_s3.or_else(|| gate.own.preflight(bucket, headers)) {
            return of_s3(gate, response);
        }
    }
    let Page::Allowed(origin) = page else {
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

/// The bucket that a path names, if it is one's.
fn first_segment(parts: &Parts) -> Option<&str> {
    parts.uri.path().trim_start_matches('/').split('/').next().filter(|b| !b.is_empty())
}

/// An answer that S3 wrote itself, with the ids that all its answers have, in the head and in an error's document.
fn of_s3(gate: &Gate, mut response: Response<Bytes>) -> Response<Out> {
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
fn form_bucket<'a>(parts: &'a Parts, headers: &HeaderMap, place: Place<'a>) -> Option<&'a str> {
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

/// Hands a form to S3.
async fn form(
    gate: &Arc<Gate>,
    peer: &Peer,
    bucket: &str,
    headers: &Arc<HeaderMap>,
    host: &Arc<str>,
    arriving: Arriving,
) -> Option<Response<Out>> {
    let web = s3_web(gate)?;
    let content_type =
        headers.get(http::header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let len = arriving.announced();
    let form = Form { cloud: &gate.cloud, bucket, content_type, origin: peer.origin(headers, host) };
    let response = web.form(form, ByteStream::new(arriving, len)).await;
    let mut response = of_s3(gate, response);
    response.headers_mut().extend(web.for_page(bucket, "POST", headers));
    Some(response)
}

/// A request to an AWS API, with all that its head says.
struct Asked<'a> {
    gate: &'a Arc<Gate>,
    peer: &'a Peer,
    routes: &'a Routes,
    head: Head<'a>,
    /// The headers as they came, over which signatures are made.
    sent: &'a Arc<HeaderMap>,
    /// The same with what a presigned URL says in their place.
    headers: &'a Arc<HeaderMap>,
    host: &'a Arc<str>,
    place: Place<'a>,
    signing_name: Option<&'a str>,
    page: &'a Page,
    id: String,
    /// The operation's name and the caller, once they are known.
    operation: OnceLock<&'static str>,
    who: OnceLock<Principal>,
}

/// How an error must be written.
struct Refused {
    protocol: Protocol,
    api: Option<&'static cloudlet_service::Api>,
    error: Error,
}

impl Asked<'_> {
    async fn answer(&self, claim: &Claim<'_>, flaw: Option<Flaw>, arriving: Arriving) -> Response<Out> {
        let mut held = self.gate.memory.part();
        let mut line = self.line(claim, &arriving);
        let mut code = None;
        let (mut response, s3) = match self.serve(claim, flaw, arriving, &mut held).await {
            Ok((response, route)) => (response.map(Out::new), is_s3(route.api.signing_name)),
            Err(Refused { protocol, api, error }) => {
                let response = cloudlet_wire::write_error(protocol, api, &self.id, &self.head, &error);
                code = line.is_some().then(|| error.code().to_owned());
                (response.map(Out::new), api.is_some_and(|api| is_s3(api.signing_name)))
            }
        };
        if s3 {
            response.headers_mut().insert(SERVER, HeaderValue::from_static("AmazonS3"));
            self.tell_page(response.headers_mut());
        }
        match line.take().filter(|_| s3) {
            Some(mut line) => {
                line.meant(self.operation.get().copied(), self.who.get());
                line.end(response, code)
            }
            None => response,
        }
    }

    /// The line of the bucket's access log that this request will be, where it has one.
    fn line(&self, claim: &Claim<'_>, arriving: &Arriving) -> Option<Line> {
        if !self.signing_name.is_none_or(is_s3) {
            return None;
        }
        Line::begin(&access_log::Asked {
            gate: self.gate,
            peer: self.peer,
            headers: self.headers,
            method: self.head.method,
            path: self.head.path,
            query: self.head.query,
            host_bucket: self.place.bucket,
            claim,
            received: arriving.announced(),
            other: "REST",
        })
    }

    /// Adds what the bucket's own rules let a page know of the answer.
    fn tell_page(&self, answer: &mut HeaderMap) {
        if !self.headers.contains_key(http::header::ORIGIN) {
            return;
        }
        let in_path = || self.head.path.trim_start_matches('/').split('/').next().filter(|b| !b.is_empty());
        if let Some(bucket) = self.place.bucket.or_else(in_path)
            && let Some(web) = s3_web(self.gate)
        {
            answer.extend(web.for_page(bucket, self.head.method, self.headers));
        }
    }

    async fn serve(
        &self,
        claim: &Claim<'_>,
        flaw: Option<Flaw>,
        arriving: Arriving,
        held: &mut Held,
    ) -> Result<(cloudlet_wire::Response, Route), Refused> {
        // A form names its operation in the body, so that it must be read first. S3 never does that.
        let mut body = Unread(Some(arriving));
        let mut form = None;
        if Router::needs_form(&self.head) && self.signing_name != Some("s3") && self.place.bucket.is_none() {
            let most = self.gate.config.limits.body_of(self.signing_name.unwrap_or_default());
            let read = body.collect(most, held).await;
            form = Some(read.map_err(|error| self.unknown(error))?);
        }
        let route = match self.routes.router.route(self.signing_name, &self.head, form.as_deref()) {
            Ok(route) => route,
            Err(unrouted) => {
                let (protocol, api) = (unrouted.protocol, unrouted.api);
                return Err(Refused { protocol, api, error: unrouted.error });
            }
        };
        let _ = self.operation.set(route.operation().name);
        let refused = |error| Refused { protocol: route.protocol, api: Some(route.api), error };
        if *self.page == Page::Foreign && !is_s3(route.api.signing_name) {
            return Err(refused(Error::new(
                "AccessDeniedException",
                403,
                "Web pages of this origin may not call. Add the origin to the configured ones.",
            )));
        }
        let work = self.work(&route, claim, flaw, body, form, held);
        let output = match AssertUnwindSafe(work).catch_unwind().await {
            Ok(output) => output.map_err(refused)?,
            Err(_) => {
                let what = format!("{}:{} panicked in {}", route.api.name, route.operation().name, self.id);
                return Err(refused(Error::internal(what)));
            }
        };
        Ok((cloudlet_wire::write_output(&route, &self.id, output), route))
    }

    /// An error before the operation is known.
    fn unknown(&self, error: Error) -> Refused {
        Refused { protocol: Protocol::AwsQuery, api: None, error }
    }

    /// Authenticates, reads the input, runs the operation.
    async fn work(
        &self,
        route: &Route,
        claim: &Claim<'_>,
        flaw: Option<Flaw>,
        body: Unread,
        form: Option<Bytes>,
        held: &mut Held,
    ) -> Result<Box<dyn cloudlet_service::Structure>, Error> {
        let s3 = is_s3(route.api.signing_name);
        let family = Family::of(s3, route.protocol);
        if let Some(flaw) = flaw {
            return Err(family.refuse(flaw));
        }
        let service = self
            .gate
            .cloud
            .service(route.api.name)
            .ok_or_else(|| Error::not_implemented(route.api.name, route.operation().name))?;
        let (caller, input, headers) = if s3 {
            let (caller, body) = self.s3_body(route, claim, body, held).await?;
            if let (Body::Bytes(bytes), Some(web)) = (&body, s3_web(self.gate))
                && !matches!(route.operation().input_payload, cloudlet_service::Payload::Stream(_))
            {
                web.check_body(route.operation(), self.headers, bytes)?;
            }
            let headers = without_aws_chunked(self.headers);
            let head = Head { headers: &headers, ..self.head };
            (caller, cloudlet_wire::read_input(route, &head, body)?, headers)
        } else if matches!(route.operation().input_payload, cloudlet_service::Payload::Events(_)) {
            let (caller, frames) = self.signed_frames(family, claim, body)?;
            let input = cloudlet_wire::read_events(route, &self.head, frames).await?;
            (caller, input, self.headers.clone())
        } else {
            let (caller, body) = self.whole_body(route, family, claim, body, form, held).await?;
            let input = cloudlet_wire::read_input(route, &self.head, Body::Bytes(body))?;
            (caller, input, self.headers.clone())
        };
        let cx = self.context(caller, headers);
        self.gate.cloud.dispatch(service, route.operation, &cx, input).await
    }

    fn signable(&self) -> Signable<'_> {
        let Head { method, path, query, .. } = self.head;
        Signable { method, path, query, headers: self.sent, host: self.host }
    }

    /// Most services sign the hash of the body itself, so that all of it must be there.
    async fn whole_body(
        &self,
        route: &Route,
        family: Family,
        claim: &Claim<'_>,
        mut body: Unread,
        form: Option<Bytes>,
        held: &mut Held,
    ) -> Result<(Caller, Bytes), Error> {
        let request = self.signable();
        let known = caller::look_up(self.gate, claim, &request, false).map_err(|f| family.refuse(f))?;
        if known.is_none() && !route.operation().public {
            return Err(family.refuse(Flaw::Missing));
        }
        let most = self.gate.config.limits.body_of(route.api.name);
        let bytes = match form {
            Some(form) => form,
            None => body.collect(most, held).await.map_err(|error| too_large(route, most, error))?,
        };
        let caller = match known {
            None => Caller::anonymous(),
            Some(known) => known
                .verify(self.gate, &request, &sigv4::payload_hash(&bytes), false, None, false)
                .map_err(|f| family.refuse(f))?,
        };
        let bytes = match self.head.headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
            None | Some(b"" | b"identity") => bytes,
            Some(coding) if coding.eq_ignore_ascii_case(b"gzip") => body::gunzip(bytes, most, held).await?,
            // Some clients name the encoding of their text here.
            Some(coding) if coding.eq_ignore_ascii_case(b"utf-8") => bytes,
            Some(coding) => {
                let coding = String::from_utf8_lossy(coding);
                return Err(Error::new(
                    "UnsupportedMediaTypeException",
                    415,
                    format!("The Content-Encoding '{coding}' is not supported. Send gzip or none."),
                ));
            }
        };
        Ok((caller, bytes))
    }

    /// The frames of an event stream are signed one by one, as they arrive.
    fn signed_frames(
        &self,
        family: Family,
        claim: &Claim<'_>,
        mut body: Unread,
    ) -> Result<(Caller, ByteStream), Error> {
        let request = self.signable();
        let known = caller::look_up(self.gate, claim, &request, false).map_err(|f| family.refuse(f))?;
        let known = known.ok_or_else(|| family.refuse(Flaw::Missing))?;
        let said = self.head.headers.get(X_AMZ_CONTENT_SHA256).and_then(|v| v.to_str().ok());
        if said != Some(SIGNED_EVENTS) {
            let given = said.unwrap_or_default().chars().take(128).collect();
            return Err(family.refuse(Flaw::BadPayloadHash(given)));
        }
        let mut caller = known
            .verify(self.gate, &request, SIGNED_EVENTS, false, None, true)
            .map_err(|flaw| family.refuse(flaw))?;
        let frames = match (body.0.take(), caller.seed.take()) {
            (Some(arriving), Some(seed)) => {
                let frames = Frames::new(arriving, Chain::new(seed), self.gate.memory.part());
                ByteStream::new(frames, None)
            }
            _ => ByteStream::from(Bytes::new()),
        };
        Ok((caller, frames))
    }

    /// S3 signs what the head says of the body, which may then stream.
    async fn s3_body(
        &self,
        route: &Route,
        claim: &Claim<'_>,
        mut body: Unread,
        held: &mut Held,
    ) -> Result<(Caller, Body), Error> {
        let family = Family::S3;
        let request = self.signable();
        let known = caller::look_up(self.gate, claim, &request, true).map_err(|f| family.refuse(f))?;
        let in_query = sigv4::canonical::query_value(self.head.query, "X-Amz-Content-Sha256");
        let in_header = self.head.headers.get(X_AMZ_CONTENT_SHA256).and_then(|v| v.to_str().ok());
        let needed = matches!(claim, Claim::V4(v4) if !v4.presigned);
        let payload =
            PayloadClaim::read(in_header.or(in_query.as_deref()), needed).map_err(|f| family.refuse(f))?;
        let chunked = matches!(payload, PayloadClaim::Chunked { signed: true, .. });
        let caller = match known {
            None => {
                let given = self.sent.get(http::header::AUTHORIZATION).map(HeaderValue::as_bytes);
                if let Some(given) = given.filter(|given| !given.trim_ascii().is_empty()) {
                    let given = String::from_utf8_lossy(given).chars().take(128).collect();
                    let flaw = Flaw::BadAuthorization { why: "Unsupported Authorization Type", given };
                    return Err(family.refuse(flaw));
                }
                Caller::anonymous()
            }
            Some(known) => known
                .verify(self.gate, &request, payload.canonical(), true, self.place.bucket, chunked)
                .map_err(|f| family.refuse(f))?,
        };
        if body.is_over() && !matches!(payload, PayloadClaim::Chunked { .. }) {
            if let PayloadClaim::Hash(claimed) = payload
                && claimed != sigv4::EMPTY_HASH
            {
                let computed = sigv4::EMPTY_HASH.to_owned();
                return Err(family.refuse(Flaw::WrongPayloadHash { claimed: claimed.to_owned(), computed }));
            }
            return Ok((caller, Body::Bytes(Bytes::new())));
        }
        let streams = matches!(route.operation().input_payload, cloudlet_service::Payload::Stream(_));
        let most = self.gate.config.limits.body_of(route.api.name);
        if !streams && payload == PayloadClaim::Unsigned {
            return Ok((caller, Body::Bytes(body.collect(most, held).await.map_err(s3_size)?)));
        }
        let Some(arriving) = body.0.take() else { return Ok((caller, Body::Bytes(Bytes::new()))) };
        let stream = self.stream(arriving, payload, &caller)?;
        if streams {
            return Ok((caller, Body::Stream(stream)));
        }
        Ok((caller, Body::Bytes(body::collect_stream(stream, most, held).await.map_err(s3_size)?)))
    }

    /// The body as a stream of its data, checked on the way as the head has promised.
    fn stream(
        &self,
        arriving: Arriving,
        payload: PayloadClaim<'_>,
        caller: &Caller,
    ) -> Result<ByteStream, Error> {
        let len = arriving.announced();
        match payload {
            PayloadClaim::Unsigned => Ok(ByteStream::new(arriving, len)),
            PayloadClaim::Hash(hash) => Ok(ByteStream::new(Hashed::new(arriving, hash), len)),
            PayloadClaim::Chunked { trailer, .. } => {
                let text = |name: &str| self.head.headers.get(name).and_then(|v| v.to_str().ok());
                let len = text("x-amz-decoded-content-length").and_then(|v| v.trim().parse().ok());
                let len: u64 = len.ok_or_else(|| Family::S3.refuse(Flaw::NoDecodedLength))?;
                let expected = text("x-amz-trailer").filter(|_| trailer).unwrap_or_default();
                let expected = expected
                    .split(',')
                    .map(|n| n.trim().to_ascii_lowercase())
                    .filter(|n| !n.is_empty())
                    .collect();
                let chain = caller.seed.clone().map(Chain::new);
                Ok(Unframed::stream(arriving, Decoder::new(len, chain, expected), len))
            }
        }
    }

    fn context(&self, caller: Caller, headers: Arc<HeaderMap>) -> Context {
        let _ = self.who.set(caller.principal.clone());
        let origin = Origin {
            access_key_id: caller.access_key_id,
            presigned: caller.presigned,
            ..self.peer.origin(&headers, self.host)
        };
        let account = match caller.principal.account() {
            "" => self.gate.default_account.clone(),
            account if *account == *self.gate.default_account => self.gate.default_account.clone(),
            account => account.into(),
        };
        let region = caller.region.or_else(|| self.place.region.map(Arc::from));
        Context {
            request_id: self.id.as_str().into(),
            account,
            region: region.unwrap_or_else(|| self.gate.default_region.clone()),
            principal: caller.principal,
            session: caller.session,
            origin: Arc::new(origin),
            cloud: self.gate.cloud.clone(),
        }
    }
}

fn is_s3(signing_name: &str) -> bool {
    signing_name == "s3"
}

/// Lambda names the operation whose body is too large.
fn too_large(route: &Route, most: usize, error: Error) -> Error {
    if error.status() != 413 || route.api.name != "lambda" {
        return error;
    }
    let operation = route.operation().name;
    let message = format!("Request must be smaller than {most} bytes for the {operation} operation");
    Error::new("RequestEntityTooLargeException", 413, message)
}

/// S3's words for a document that is too large.
fn s3_size(error: Error) -> Error {
    if error.status() != 413 {
        return error;
    }
    Error::sender("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
}

/// A body that nobody has read yet, or that has been.
struct Unread(Option<Arriving>);

impl Unread {
    fn is_over(&self) -> bool {
        self.0.as_ref().is_none_or(Arriving::is_over)
    }

    async fn collect(&mut self, most: usize, held: &mut Held) -> Result<Bytes, Error> {
        match self.0.take() {
            Some(arriving) => body::collect(arriving, most, held).await,
            None => Ok(Bytes::new()),
        }
    }
}

/// The headers of a presigned request: what its query says under `x-amz-` counts as if it were a header.
/// Source: S3 API Reference, "Authenticating Requests: Using Query Parameters"; what SDKs hoist there.
fn with_query_headers(headers: &Arc<HeaderMap>, query: &str) -> Arc<HeaderMap> {
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
fn without_aws_chunked(headers: &Arc<HeaderMap>) -> Arc<HeaderMap> {
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

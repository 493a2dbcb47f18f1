//! A request to an AWS API: its operation, its caller, its input, its answer.

use super::headers::without_aws_chunked;
use super::payload::Unread;
use super::s3_web;
use crate::access_log::{self, Line};
use crate::apart::{LARGE, apart};
use crate::body::{Arriving, Held};
use crate::caller::Caller;
use crate::connection::Peer;
use crate::cors::Page;
use crate::gate::{Gate, Routes};
use crate::hosts::Place;
use crate::out::Out;
use crate::sigv4::{Claim, Family, Flaw};
use bytes::Bytes;
use cloudlet_service::{Context, Error, Origin, Principal, Protocol};
use cloudlet_wire::{Body, Head, Route, Router};
use futures_util::FutureExt;
use http::header::{CONTENT_TYPE, SERVER};
use http::{HeaderMap, HeaderValue, Response};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};

/// A request to an AWS API, with all that its head says.
pub(super) struct Asked<'a> {
    pub(super) gate: &'a Arc<Gate>,
    pub(super) peer: &'a Peer,
    pub(super) routes: &'a Routes,
    pub(super) head: Head<'a>,
    /// The headers as they came, over which signatures are made.
    pub(super) sent: &'a Arc<HeaderMap>,
    /// The same with what a presigned URL says in their place.
    pub(super) headers: &'a Arc<HeaderMap>,
    pub(super) host: &'a Arc<str>,
    pub(super) place: Place<'a>,
    pub(super) signing_name: Option<&'a str>,
    pub(super) page: &'a Page,
    pub(super) id: String,
    /// The operation's name and the caller, once they are known.
    pub(super) operation: OnceLock<&'static str>,
    pub(super) who: OnceLock<Principal>,
}

/// How an error must be written.
struct Refused {
    protocol: Protocol,
    api: Option<&'static cloudlet_service::Api>,
    error: Error,
}

impl Asked<'_> {
    pub(super) async fn answer(
        &self,
        claim: &Claim<'_>,
        flaw: Option<Flaw>,
        arriving: Arriving,
    ) -> Response<Out> {
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
        self.answer_alike(response.headers_mut());
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

    /// Whoever asks DynamoDB in plain JSON is answered so.
    fn answer_alike(&self, answer: &mut HeaderMap) {
        const JSON: &str = "application/json";
        let asked = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if self.signing_name == Some("dynamodb")
            && asked.is_some_and(|asked| asked.split(';').next().is_some_and(|media| media.trim() == JSON))
            && let Some(value) = answer.get_mut(CONTENT_TYPE)
        {
            *value = HeaderValue::from_static(JSON);
        }
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
        if s3 {
            self.check_head()?;
        }
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
            let large = body.len() >= LARGE;
            let work = async {
                let input = cloudlet_wire::read_input(route, &self.head, Body::Bytes(body))?;
                let cx = self.context(caller, self.headers.clone());
                self.gate.cloud.dispatch(service, route.operation, &cx, input).await
            };
            return if large { apart(work).await } else { work.await };
        };
        let cx = self.context(caller, headers);
        self.gate.cloud.dispatch(service, route.operation, &cx, input).await
    }

    /// What S3 takes of headers and query parameters is less than what a request's head may be. Session tokens, whose
    /// lengths are ours and not the client's choice, do not count.
    /// Errors: `RequestHeaderSectionTooLarge`. Source: S3 API Reference, "Error responses"; what AWS answers.
    fn check_head(&self) -> Result<(), Error> {
        const MOST: usize = 8192;
        let own = self.sent.iter().filter(|(name, _)| *name != "x-amz-security-token");
        let lines = own.map(|(name, value)| name.as_str().len() + value.len() + 4);
        let token =
            self.head.query.split('&').find(|p| p.to_ascii_lowercase().starts_with("x-amz-security-token="));
        let query = self.head.query.len() - token.map_or(0, str::len);
        if lines.sum::<usize>() + query <= MOST {
            return Ok(());
        }
        let message = "Your request header section exceeds the maximum allowed size.";
        Err(Error::sender("RequestHeaderSectionTooLarge", message).with("MaxSizeAllowed", MOST.to_string()))
    }

    fn context(&self, caller: Caller, headers: Arc<HeaderMap>) -> Context {
        let _ = self.who.set(caller.principal.clone());
        let origin = Origin {
            access_key_id: caller.access_key_id,
            presigned: caller.presigned,
            signature: caller.signature,
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

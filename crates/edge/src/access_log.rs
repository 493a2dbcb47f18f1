//! What S3's access logs need of a request, gathered for buckets that are logged and told once the answer has left.

use crate::connection::Peer;
use crate::gate::Gate;
use crate::out::Out;
use crate::request::s3_web;
use crate::sigv4::Claim;
use cloudlet_service::{Answered, Principal, Signer};
use http::{HeaderMap, Response};
use std::sync::Arc;
use std::time::Instant;

/// The head of a request whose answer will be a line of a log.
pub(crate) struct Line {
    asked: Answered,
    begun: Instant,
    gate: Arc<Gate>,
}

/// What is asked of which bucket.
pub(crate) struct Asked<'a> {
    pub(crate) gate: &'a Arc<Gate>,
    pub(crate) peer: &'a Peer,
    pub(crate) headers: &'a Arc<HeaderMap>,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    /// The bucket that the host names.
    pub(crate) host_bucket: Option<&'a str>,
    pub(crate) claim: &'a Claim<'a>,
    pub(crate) received: Option<u64>,
    pub(crate) other: &'static str,
}

impl Line {
    /// Begins a line, where the bucket that is addressed is logged.
    pub(crate) fn begin(asked: &Asked<'_>) -> Option<Self> {
        let path = asked.path.strip_prefix('/').unwrap_or(asked.path);
        let (bucket, rest) = match asked.host_bucket {
            Some(bucket) => (bucket, path),
            None => path.split_once('/').unwrap_or((path, "")),
        };
        if bucket.is_empty() || !s3_web(asked.gate)?.is_logged(bucket) {
            return None;
        }
        let target = match asked.query {
            "" => asked.path.to_owned(),
            query => format!("{}?{query}", asked.path),
        };
        let (signature, presigned) = match asked.claim {
            Claim::None => (None, false),
            Claim::V2(v2) => (Some("SigV2"), v2.expires.is_some()),
            Claim::V4(v4) => (Some("SigV4"), v4.presigned),
        };
        let answered = Answered {
            bucket: bucket.to_owned(),
            operation: None,
            other: asked.other,
            method: asked.method.to_owned(),
            path: rest.to_owned(),
            target,
            query: asked.query.to_owned(),
            at: asked.gate.cloud.clock().millis(),
            principal: Principal::Anonymous,
            source_ip: asked.peer.address,
            ids: Default::default(),
            status: 0,
            error: None,
            sent: 0,
            received: asked.received,
            total_ms: 0,
            turnaround_ms: 0,
            tls: asked.peer.tls,
            signature,
            presigned,
            form: false,
            headers: asked.headers.clone(),
            answer: HeaderMap::new(),
        };
        Some(Self { asked: answered, begun: Instant::now(), gate: asked.gate.clone() })
    }

    /// Says what it turned out to be.
    pub(crate) fn meant(&mut self, operation: Option<&'static str>, principal: Option<&Principal>) {
        self.asked.operation = operation;
        if let Some(principal) = principal {
            self.asked.principal = principal.clone();
        }
    }

    /// Says who signed a form.
    pub(crate) fn signed(&mut self, by: Option<&Signer>) {
        if let Some(signer) = by {
            self.asked.principal = signer.principal.clone();
            self.asked.signature = Some(signer.signature);
            self.asked.form = true;
        }
    }

    /// Ends the line when the last byte of the answer has left.
    pub(crate) fn end(self, response: Response<Out>, error: Option<String>) -> Response<Out> {
        let Self { mut asked, begun, gate } = self;
        let text =
            |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
        asked.ids = (text("x-amz-request-id").to_owned(), text("x-amz-id-2").to_owned());
        asked.status = response.status().as_u16();
        asked.error = error;
        asked.answer = response.headers().clone();
        asked.turnaround_ms = millis(begun);
        response.map(|body| {
            body.counted(move |sent| {
                asked.sent = sent;
                asked.total_ms = millis(begun);
                if let Some(web) = s3_web(&gate) {
                    web.log(asked);
                }
            })
        })
    }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

//! The bodies of requests: whole or as they arrive, checked against what the head has promised.

use super::asked::Asked;
use crate::body::{self, Arriving, Hashed, Held, Unframed};
use crate::caller::{self, Caller, PayloadClaim};
use crate::chunked::{Chain, Decoder, Frames, SIGNED_EVENTS};
use crate::sigv4::{self, Claim, Family, Flaw, Signable};
use bytes::Bytes;
use cloudlet_service::{ByteStream, Error};
use cloudlet_wire::{Body, Head, Route};
use http::header::CONTENT_ENCODING;
use http::{HeaderName, HeaderValue};

const X_AMZ_CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");

impl Asked<'_> {
    fn signable(&self) -> Signable<'_> {
        let Head { method, path, query, .. } = self.head;
        Signable { method, path, query, headers: self.sent, host: self.host }
    }

    /// Most services sign the hash of the body itself, so that all of it must be there.
    pub(super) async fn whole_body(
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
    pub(super) fn signed_frames(
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
    pub(super) async fn s3_body(
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
            return Ok((caller, Body::Bytes(body.collect(most, held).await.map_err(|e| s3_size(most, e))?)));
        }
        let Some(arriving) = body.0.take() else { return Ok((caller, Body::Bytes(Bytes::new()))) };
        let stream = self.stream(arriving, payload, &caller)?;
        if streams {
            return Ok((caller, Body::Stream(stream)));
        }
        Ok((
            caller,
            Body::Bytes(body::collect_stream(stream, most, held).await.map_err(|e| s3_size(most, e))?),
        ))
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

/// S3's words for a document that is larger than `most` bytes.
fn s3_size(most: usize, error: Error) -> Error {
    if error.status() != 413 {
        return error;
    }
    Error::sender("MaxMessageLengthExceeded", "Your request was too big.")
        .with("MaxMessageLengthBytes", most.to_string())
}

/// A body that nobody has read yet, or that has been.
pub(super) struct Unread(pub(super) Option<Arriving>);

impl Unread {
    fn is_over(&self) -> bool {
        self.0.as_ref().is_none_or(Arriving::is_over)
    }

    pub(super) async fn collect(&mut self, most: usize, held: &mut Held) -> Result<Bytes, Error> {
        match self.0.take() {
            Some(arriving) => body::collect(arriving, most, held).await,
            None => Ok(Bytes::new()),
        }
    }
}

//! Event streams whose frames are signed: each is wrapped in a frame with the time and the signature, which is chained to
//! the one before it.
//!
//! Source: Transcribe Developer Guide, "Event stream encoding"; botocore's and the Rust SDK's signers do the same.

use super::{Chain, refused};
use crate::body::{Arriving, Held};
use bytes::{Bytes, BytesMut};
use cloudlet_service::{BodyError, Error};
use cloudlet_wire::decode_frame;
use futures_util::Stream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// What `x-amz-content-sha256` says of a body of signed frames.
pub(crate) const SIGNED_EVENTS: &str = "STREAMING-AWS4-HMAC-SHA256-EVENTS";

/// The frames inside the signed ones, as bytes.
pub(crate) struct Frames {
    inner: Arriving,
    chain: Chain,
    buffer: BytesMut,
    held: Held,
    /// A signed frame without content has come: nothing may follow.
    over: bool,
}

impl Frames {
    /// The frames of a body, chained to the request's own signature. What must be kept of them is held in `held`.
    pub(crate) fn new(inner: Arriving, chain: Chain, held: Held) -> Self {
        Self { inner, chain, buffer: BytesMut::new(), held, over: false }
    }

    /// The content of the next frame that is whole. Errors: it is no signed frame, or its signature is wrong.
    fn take(&mut self) -> Result<Option<Bytes>, BodyError> {
        let Some(message) = decode_frame(&mut self.buffer).map_err(refused)? else { return Ok(None) };
        let header = |name: &str| message.headers().iter().find(|h| h.name().as_str() == name);
        let at = header(":date").and_then(|h| h.value().as_timestamp().ok());
        let signature = header(":chunk-signature").and_then(|h| h.value().as_byte_array().ok());
        let (Some(at), Some(signature), 2) = (at, signature, message.headers().len()) else {
            return Err(broken("a signed frame has a :date and a :chunk-signature, and nothing else"));
        };
        let millis = at.to_millis().map_err(|_| broken("the :date of a frame is out of range"))?;
        self.chain.verify_frame(millis, signature, message.payload())?;
        self.over = message.payload().is_empty();
        Ok(Some(message.payload().clone()))
    }
}

fn broken(why: &str) -> BodyError {
    refused(Error::sender("SerializationException", format!("The event stream is broken: {why}.")))
}

impl Stream for Frames {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        while !this.over {
            match this.take() {
                Ok(Some(content)) if !content.is_empty() => return Poll::Ready(Some(Ok(content))),
                Ok(Some(_)) => break,
                Ok(None) => {}
                Err(error) => {
                    this.over = true;
                    return Poll::Ready(Some(Err(error)));
                }
            }
            let data = match ready!(Pin::new(&mut this.inner).poll_next(cx)) {
                Some(data) => data?,
                None => {
                    // The last signed frame is empty: without it somebody may have cut the stream short.
                    this.over = true;
                    return Poll::Ready(Some(Err(broken(
                        "the stream of events ends without its last frame",
                    ))));
                }
            };
            this.buffer.extend_from_slice(&data);
            this.held.hold(this.buffer.len()).map_err(refused)?;
        }
        Poll::Ready(None)
    }
}

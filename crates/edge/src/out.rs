//! The bodies of answers.

use crate::pulse::Busy;
use bytes::Bytes;
use cloudlet_service::BodyError;
use cloudlet_wire::Payload;
use futures_util::Stream;
use http_body::{Body, Frame, SizeHint};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, BodyError>> + Send>>;

/// The body of an answer. While it lives, its connection is at work.
pub(crate) struct Out {
    content: Content,
    tally: Option<Tally>,
    _busy: Option<Busy>,
}

/// Counts the bytes that leave, and tells how many did once the answer is over.
struct Tally {
    sent: u64,
    told: Option<Box<dyn FnOnce(u64) + Send>>,
}

impl Drop for Tally {
    fn drop(&mut self) {
        if let Some(told) = self.told.take() {
            told(self.sent);
        }
    }
}

enum Content {
    Whole(Option<Bytes>),
    Stream { chunks: Chunks, left: Option<u64> },
}

impl Out {
    pub(crate) fn new(payload: Payload) -> Self {
        let content = match payload {
            Payload::Bytes(bytes) => Content::Whole((!bytes.is_empty()).then_some(bytes)),
            Payload::Stream(stream) => Content::Stream { left: stream.len(), chunks: stream.into_stream() },
        };
        Self { content, tally: None, _busy: None }
    }

    pub(crate) fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self::new(Payload::Bytes(bytes.into()))
    }

    /// Calls `told` with the number of bytes that left, when the answer is over or broke off.
    pub(crate) fn counted(mut self, told: impl FnOnce(u64) + Send + 'static) -> Self {
        self.tally = Some(Tally { sent: 0, told: Some(Box::new(told)) });
        self
    }

    fn count(&mut self, bytes: u64) {
        if let Some(tally) = &mut self.tally {
            tally.sent += bytes;
        }
    }

    pub(crate) fn while_busy(mut self, busy: Busy) -> Self {
        self._busy = Some(busy);
        self
    }
}

impl Body for Out {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        match &mut self.content {
            Content::Whole(bytes) => {
                let bytes = bytes.take();
                self.count(bytes.as_ref().map_or(0, |b| b.len() as u64));
                Poll::Ready(bytes.map(|b| Ok(Frame::data(b))))
            }
            Content::Stream { chunks, left } => {
                // A panic in a stream ends this answer, not its connection's neighbours.
                let polled = catch_unwind(AssertUnwindSafe(|| chunks.as_mut().poll_next(cx)));
                let next = match polled {
                    Ok(polled) => ready!(polled),
                    Err(_) => Some(Err(BodyError::Storage("a stream panicked".to_owned()))),
                };
                match next {
                    None => Poll::Ready(None),
                    Some(Ok(data)) => {
                        if let Some(left) = left {
                            *left = left.saturating_sub(data.len() as u64);
                        }
                        self.count(data.len() as u64);
                        Poll::Ready(Some(Ok(Frame::data(data))))
                    }
                    Some(Err(why)) => {
                        // The head is out: all that is left is to break off, so that the client sees it.
                        tracing::warn!(?why, "an answer broke off");
                        *chunks = Box::pin(futures_util::stream::empty());
                        Poll::Ready(Some(Err(std::io::Error::other("the answer broke off"))))
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(bytes) => bytes.is_none(),
            Content::Stream { left, .. } => *left == Some(0),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            Content::Stream { left: Some(left), .. } => SizeHint::with_exact(*left),
            Content::Stream { left: None, .. } => SizeHint::default(),
        }
    }
}

//! Bodies that are streams of bytes.

use crate::Error;
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, Stream, StreamExt};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

/// Why reading a body failed.
#[derive(Debug, Clone)]
pub enum BodyError {
    /// The client went away or was too slow.
    Disconnected(String),
    /// Fewer or more bytes came than were declared.
    Incomplete,
    /// A signature, a checksum or the framing inside the body was wrong: the answer to give.
    Refused(Box<Error>),
    /// Reading our own storage failed.
    Storage(String),
}

impl From<BodyError> for Error {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Refused(error) => *error,
            BodyError::Incomplete => Error::sender(
                "IncompleteBody",
                "You did not provide the number of bytes specified by the Content-Length HTTP header",
            ),
            BodyError::Disconnected(_) => Error::sender(
                "RequestTimeout",
                "Your socket connection to the server was not read from or written to within the timeout period.",
            ),
            BodyError::Storage(why) => Error::internal(why),
        }
    }
}

/// A value computed from a whole body, which is known once the body has been read to its end:
/// the trailers of an `aws-chunked` upload.
pub type Trailers = std::sync::Arc<std::sync::OnceLock<Vec<(String, String)>>>;

type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, BodyError>> + Send>>;

/// A stream of bytes with, where it is known, its exact length.
pub struct ByteStream {
    // The mutex is never locked: `get_mut` reaches the stream, and the type becomes `Sync` without `unsafe`.
    chunks: Mutex<Chunks>,
    len: Option<u64>,
    trailers: Option<Trailers>,
}

impl Default for ByteStream {
    fn default() -> Self {
        Self::from(Bytes::new())
    }
}

impl From<Bytes> for ByteStream {
    fn from(bytes: Bytes) -> Self {
        let len = Some(bytes.len() as u64);
        let chunks: Vec<Bytes> = if bytes.is_empty() { Vec::new() } else { vec![bytes] };
        Self { chunks: Mutex::new(Box::pin(stream::iter(chunks.into_iter().map(Ok)))), len, trailers: None }
    }
}

impl std::fmt::Debug for ByteStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ByteStream").field("len", &self.len).finish_non_exhaustive()
    }
}

impl ByteStream {
    /// Wraps chunks; `len` is their exact total in bytes where it is known.
    pub fn new(
        chunks: impl Stream<Item = Result<Bytes, BodyError>> + Send + 'static,
        len: Option<u64>,
    ) -> Self {
        Self { chunks: Mutex::new(Box::pin(chunks)), len, trailers: None }
    }

    /// Says where the trailers of this body will be once it has been read to its end.
    pub fn with_trailers(mut self, trailers: Trailers) -> Self {
        self.trailers = Some(trailers);
        self
    }

    /// The exact number of bytes that [`Self::next`] will yield in all, where it is known ahead.
    pub fn len(&self) -> Option<u64> {
        self.len
    }

    /// Whether the body is known to hold no byte.
    pub fn is_empty(&self) -> bool {
        self.len == Some(0)
    }

    /// The trailer of this name (lower case), once the body has been read to its end.
    pub fn trailer(&self, name: &str) -> Option<String> {
        let trailers = self.trailers.as_ref()?.get()?;
        trailers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.clone())
    }

    /// The next chunk, or `None` at the end.
    pub async fn next(&mut self) -> Option<Result<Bytes, BodyError>> {
        self.chunks.get_mut().unwrap_or_else(PoisonError::into_inner).next().await
    }

    /// The chunks themselves.
    pub fn into_stream(self) -> Pin<Box<dyn Stream<Item = Result<Bytes, BodyError>> + Send>> {
        self.chunks.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads everything, refusing with `EntityTooLarge` beyond `limit` bytes.
    pub async fn collect(mut self, limit: usize) -> Result<Bytes, Error> {
        let mut first: Option<Bytes> = None;
        let mut rest = BytesMut::new();
        while let Some(chunk) = self.next().await {
            let chunk = chunk?;
            if rest.len() + first.as_ref().map_or(0, Bytes::len) + chunk.len() > limit {
                return Err(Error::sender(
                    "EntityTooLarge",
                    "Your proposed upload exceeds the maximum allowed size",
                ));
            }
            match (&first, rest.is_empty()) {
                (None, true) => first = Some(chunk),
                (Some(head), true) => {
                    rest.extend_from_slice(head);
                    rest.extend_from_slice(&chunk);
                    first = None;
                }
                _ => rest.extend_from_slice(&chunk),
            }
        }
        Ok(first.unwrap_or_else(|| rest.freeze()))
    }
}

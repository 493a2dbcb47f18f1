//! Results that come in parts, for callers who take them as they come.

use crate::Lambda;
use crate::runner::{Call, Target};
use bytes::Bytes;
use cloudlet_compute::InvokeResult;
use cloudlet_service::Error;
use futures_util::stream::{self, Stream, StreamExt};
use std::pin::Pin;

/// What a function gives, one after the other.
pub(crate) enum Part {
    /// Bytes of its answer.
    Chunk(Bytes),
    /// How it ended; the payload of a result that was streamed is empty, unless the function failed.
    End(Box<InvokeResult>),
}

/// A function that failed.
pub(crate) struct Failure {
    /// Its `errorType`.
    pub kind: String,
}

/// The answer of a function under way.
pub(crate) struct Streamed {
    /// The content type that the function gave its answer, where it streams.
    pub content_type: Option<String>,
    /// The answer's bytes; a failure ends them.
    pub chunks: Pin<Box<dyn Stream<Item = Result<Bytes, Failure>> + Send>>,
}

/// The parts of an answer, ended by [`Part::End`].
pub(crate) struct Parts {
    pub content_type: Option<String>,
    pub parts: Pin<Box<dyn Stream<Item = Part> + Send>>,
}

impl Lambda {
    /// Runs the function once; gives its answer as it comes. Errors: as [`Lambda::run`].
    pub(crate) async fn run_in_parts(&self, target: &Target, call: Call) -> Result<Parts, Error> {
        let mut result = self.run(target, call).await?;
        let mut parts = Vec::new();
        if result.function_error.is_none() {
            parts.push(Part::Chunk(std::mem::take(&mut result.payload)));
        }
        parts.push(Part::End(Box::new(result)));
        Ok(Parts { content_type: None, parts: Box::pin(stream::iter(parts)) })
    }

    /// The same for those who need no more than the bytes.
    pub(crate) async fn run_streaming(&self, target: &Target, call: Call) -> Result<Streamed, Error> {
        let Parts { content_type, parts } = self.run_in_parts(target, call).await?;
        let chunks = parts.filter_map(async |part| match part {
            Part::Chunk(bytes) => Some(Ok(bytes)),
            Part::End(result) => {
                result.function_error?;
                Some(Err(Failure { kind: result.error_type.unwrap_or_else(|| "Unhandled".to_owned()) }))
            }
        });
        Ok(Streamed { content_type, chunks: Box::pin(chunks) })
    }
}

//! Results that come in parts, for callers who take them as they come.

use crate::Lambda;
use crate::runner::{Call, Target};
use bytes::Bytes;
use cloudlet_compute::{InvokeResult, StreamPart};
use cloudlet_service::Error;
use futures_util::stream::{self, Stream, StreamExt};
use std::pin::Pin;
use tokio::sync::{mpsc, oneshot};

/// How many parts wait for a slow reader before the function does.
const AHEAD: usize = 16;

/// What a function gives, one after the other.
pub(crate) enum Part {
    /// Bytes of its answer.
    Chunk(Bytes),
    /// How it ended; the payload of a result that was streamed is empty, unless the function failed.
    End(Result<Box<InvokeResult>, Error>),
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

type Ending = oneshot::Receiver<Result<InvokeResult, Error>>;

impl Lambda {
    /// Runs the function once; gives its answer as it comes. A reader that goes away does not end the function.
    ///
    /// Errors: as [`Lambda::run`].
    pub(crate) async fn run_in_parts(&self, target: Target, call: Call) -> Result<Parts, Error> {
        let Some(this) = self.this.upgrade() else { return Err(gone()) };
        let (sender, mut parts) = mpsc::channel(AHEAD);
        let (tell, mut ending) = oneshot::channel();
        tokio::spawn(async move {
            let _ = tell.send(this.run_into(&target, call, Some(sender)).await);
        });
        // The first word decides whether the function streams.
        let first = tokio::select! {
            biased;
            part = parts.recv() => part,
            end = &mut ending => {
                // What came before the end is still to be read.
                match parts.try_recv() {
                    Ok(part) => {
                        let (tell, told) = oneshot::channel();
                        let _ = tell.send(end.unwrap_or_else(|_| Err(gone())));
                        ending = told;
                        Some(part)
                    }
                    Err(_) => return whole(end.unwrap_or_else(|_| Err(gone()))?),
                }
            }
        };
        match first {
            Some(StreamPart::Begin { content_type }) => {
                Ok(Parts { content_type: Some(content_type), parts: rest(parts, ending) })
            }
            Some(StreamPart::Chunk(bytes)) => {
                let first = stream::iter([Part::Chunk(bytes)]);
                Ok(Parts { content_type: None, parts: Box::pin(first.chain(rest(parts, ending))) })
            }
            None => whole(ending.await.unwrap_or_else(|_| Err(gone()))?),
        }
    }

    /// The same for those who need no more than the bytes.
    pub(crate) async fn run_streaming(&self, target: Target, call: Call) -> Result<Streamed, Error> {
        let Parts { content_type, parts } = self.run_in_parts(target, call).await?;
        let chunks = parts.filter_map(async |part| match part {
            Part::Chunk(bytes) => Some(Ok(bytes)),
            Part::End(Ok(result)) => {
                result.function_error?;
                Some(Err(Failure { kind: result.error_type.unwrap_or_else(|| "Unhandled".to_owned()) }))
            }
            Part::End(Err(error)) => Some(Err(Failure { kind: error.code().to_owned() })),
        });
        Ok(Streamed { content_type, chunks: Box::pin(chunks) })
    }
}

fn gone() -> Error {
    Error::internal("a streaming call was broken off")
}

/// The parts of an answer that came at once.
fn whole(mut result: InvokeResult) -> Result<Parts, Error> {
    let mut parts = Vec::new();
    if result.function_error.is_none() {
        parts.push(Part::Chunk(std::mem::take(&mut result.payload)));
    }
    parts.push(Part::End(Ok(Box::new(result))));
    Ok(Parts { content_type: None, parts: Box::pin(stream::iter(parts)) })
}

fn rest(parts: mpsc::Receiver<StreamPart>, ending: Ending) -> Pin<Box<dyn Stream<Item = Part> + Send>> {
    Box::pin(stream::unfold(Some((parts, ending)), |state| async move {
        let (mut parts, ending) = state?;
        loop {
            match parts.recv().await {
                Some(StreamPart::Chunk(bytes)) => return Some((Part::Chunk(bytes), Some((parts, ending)))),
                Some(StreamPart::Begin { .. }) => {}
                None => {
                    let end = ending.await.unwrap_or_else(|_| Err(gone()));
                    return Some((Part::End(end.map(Box::new)), None));
                }
            }
        }
    }))
}

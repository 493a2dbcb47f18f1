//! The work on one request, which is never dropped halfway.

use crate::out::Out;
use http::Response;
use std::cell::RefCell;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio_util::sync::ReusableBoxFuture;

type Answering = ReusableBoxFuture<'static, Response<Out>>;

/// How many boxes a thread keeps for the requests that follow.
const KEPT: usize = 16;

thread_local! {
    /// Boxes of requests that are over. The work on a request takes some kilobytes, and each allocation of that size makes
    /// the system's allocator merge all the small pieces that it had set aside for quick reuse.
    static SPARE: RefCell<Vec<Answering>> = const { RefCell::new(Vec::new()) };
}

/// A request that is worked on to its end even if its client leaves: what has begun to change state is never
/// dropped halfway.
pub(crate) struct Finished(Option<Answering>);

impl Finished {
    pub(crate) fn new(answering: impl Future<Output = Response<Out>> + Send + 'static) -> Self {
        let spare = SPARE.try_with(|spare| spare.borrow_mut().pop());
        Self(Some(match spare {
            Ok(Some(mut spare)) => {
                spare.set(answering);
                spare
            }
            _ => Answering::new(answering),
        }))
    }
}

impl Future for Finished {
    type Output = Result<Response<Out>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(answering) = &mut self.0 else { return Poll::Pending };
        let polled = answering.poll(cx);
        if polled.is_ready()
            && let Some(over) = self.0.take()
        {
            let _ = SPARE.try_with(|spare| {
                let mut spare = spare.borrow_mut();
                if spare.len() < KEPT {
                    spare.push(over);
                }
            });
        }
        polled.map(Ok)
    }
}

impl Drop for Finished {
    fn drop(&mut self) {
        if let Some(answering) = self.0.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(answering);
        }
    }
}

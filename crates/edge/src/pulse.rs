//! What a connection is doing and since when, so that one that does nothing can be closed.
//!
//! Requests only write a few atomics; one slow timer per connection reads them.

use crate::config::Limits;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The state of one connection.
#[derive(Debug)]
pub(crate) struct Pulse {
    begun: Instant,
    /// Requests in work.
    active: AtomicU32,
    /// Whether bytes of a head have come that is not complete yet.
    in_head: AtomicBool,
    /// HTTP/2 sends frames that belong to no request, so that bytes say nothing about heads.
    http2: AtomicBool,
    /// Milliseconds after `begun` at which the present state began.
    since: AtomicU64,
    /// The same for a write that the client does not take, plus one; 0 for none.
    blocked: AtomicU64,
}

/// What is to be done with a connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Keep,
    /// Idle: say goodbye.
    Close,
    /// Slow: hang up.
    Cut,
}

impl Pulse {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            active: AtomicU32::new(0),
            // A connection that never says anything is as slow as one that begins a head.
            in_head: AtomicBool::new(true),
            http2: AtomicBool::new(false),
            since: AtomicU64::new(0),
            blocked: AtomicU64::new(0),
        })
    }

    fn now(&self) -> u64 {
        self.begun.elapsed().as_millis() as u64
    }

    /// A request's head is complete.
    pub(crate) fn begin(self: &Arc<Self>, http2: bool) -> Busy {
        if http2 && !self.http2.load(Relaxed) {
            self.http2.store(true, Relaxed);
        }
        self.in_head.store(false, Relaxed);
        self.active.fetch_add(1, Relaxed);
        Busy(self.clone())
    }

    /// Requests in work, those whose client has left included.
    pub(crate) fn active(&self) -> u32 {
        self.active.load(Relaxed)
    }

    fn read(&self) {
        if self.active.load(Relaxed) == 0 && !self.in_head.load(Relaxed) && !self.http2.load(Relaxed) {
            self.since.store(self.now(), Relaxed);
            self.in_head.store(true, Relaxed);
        }
    }

    fn wrote(&self, pending: bool) {
        let blocked = self.blocked.load(Relaxed) != 0;
        if pending != blocked {
            self.blocked.store(if pending { self.now() + 1 } else { 0 }, Relaxed);
        }
    }

    /// What the limits say to the present state.
    pub(crate) fn verdict(&self, limits: &Limits) -> Verdict {
        let now = self.now();
        let over = |since: u64, most: Duration| now.saturating_sub(since) > most.as_millis() as u64;
        let blocked = self.blocked.load(Relaxed);
        if blocked != 0 && over(blocked - 1, limits.stall_time) {
            return Verdict::Cut;
        }
        let since = self.since.load(Relaxed);
        match (self.active.load(Relaxed), self.in_head.load(Relaxed)) {
            (0, true) if over(since, limits.head_time) => Verdict::Cut,
            (0, false) if over(since, limits.idle_time) => Verdict::Close,
            _ => Verdict::Keep,
        }
    }
}

/// A request in work, until it is dropped.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Pulse>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.since.store(self.0.now(), Relaxed);
        self.0.active.fetch_sub(1, Relaxed);
    }
}

/// A connection's two directions, felt.
pub(crate) struct Felt<S> {
    pub(crate) inner: S,
    pub(crate) pulse: Arc<Pulse>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Felt<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        if polled.is_ready() && buf.filled().len() > before {
            self.pulse.read();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Felt<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.pulse.wrote(polled.is_pending());
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.pulse.wrote(polled.is_pending());
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(head: u64, idle: u64) -> Limits {
        Limits {
            head_time: Duration::from_millis(head),
            idle_time: Duration::from_millis(idle),
            ..Limits::default()
        }
    }

    /// A pulse whose connection began a second ago.
    fn second_old() -> Pulse {
        let mut pulse = Arc::into_inner(Pulse::new()).unwrap();
        pulse.begun -= Duration::from_secs(1);
        pulse
    }

    #[test]
    fn a_silent_connection_and_a_slow_head_are_cut() {
        assert_eq!(second_old().verdict(&limits(999, 9999)), Verdict::Cut);
        assert_eq!(second_old().verdict(&limits(60_000, 0)), Verdict::Keep);
    }

    #[test]
    fn work_is_left_alone_and_idleness_closed() {
        let pulse = Arc::new(second_old());
        let busy = pulse.begin(false);
        assert_eq!(pulse.verdict(&limits(0, 0)), Verdict::Keep);
        drop(busy);
        let mut pulse = Arc::into_inner(pulse).unwrap();
        assert_eq!(pulse.verdict(&limits(0, 9999)), Verdict::Keep);
        pulse.begun -= Duration::from_secs(1);
        assert_eq!(pulse.verdict(&limits(0, 999)), Verdict::Close);
        pulse.read();
        pulse.begun -= Duration::from_secs(1);
        assert_eq!(pulse.verdict(&limits(999, 0)), Verdict::Cut);
    }

    #[test]
    fn a_client_that_takes_nothing_is_cut() {
        let pulse = second_old();
        pulse.wrote(true);
        let stall = |millis| Limits { stall_time: Duration::from_millis(millis), ..limits(9999, 9999) };
        assert_eq!(pulse.verdict(&stall(500)), Verdict::Keep);
        let mut pulse = pulse;
        pulse.begun -= Duration::from_secs(1);
        assert_eq!(pulse.verdict(&stall(500)), Verdict::Cut);
        pulse.wrote(false);
        assert_eq!(pulse.verdict(&stall(500)), Verdict::Keep);
    }
}

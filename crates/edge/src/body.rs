//! The bodies of requests: bounded in time and memory, unframed, unzipped, and checked against their hash.

use crate::chunked::Decoder;
use crate::config::Limits;
use crate::sigv4::{Family, Flaw};
use bytes::{Bytes, BytesMut};
use cloudlet_service::{BodyError, ByteStream, Error};
use futures_util::Stream;
use http_body::Body as _;
use hyper::body::Incoming;
use sha2::{Digest, Sha256};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// Bodies up to this size are not counted towards [`Limits::body_bytes_in_all`].
const UNCOUNTED: usize = 64 * 1024;

/// The chunks of a body as they arrive, given up when the client stalls.
pub(crate) struct Arriving {
    /// There until this is dropped.
    inner: Option<Incoming>,
    stall: Duration,
    slowest: u64,
    begun: Option<Instant>,
    received: u64,
    timer: Option<Pin<Box<Sleep>>>,
    reading: Arc<Reading>,
}

/// What became of a body.
#[derive(Default)]
pub(crate) struct Reading {
    over: AtomicBool,
    rest: Mutex<Option<Incoming>>,
}

impl Reading {
    /// Whether the last byte has been read.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// What nobody wanted to read, once that is clear.
    pub(crate) fn rest(&self) -> Option<Incoming> {
        self.rest.lock().ok()?.take()
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        if !self.reading.is_over()
            && let Ok(mut rest) = self.reading.rest.lock()
        {
            *rest = self.inner.take();
        }
    }
}

impl Arriving {
    pub(crate) fn new(inner: Incoming, limits: &Limits) -> Self {
        Self {
            inner: Some(inner),
            stall: limits.stall_time,
            slowest: limits.slowest_body,
            begun: None,
            received: 0,
            timer: None,
            reading: Arc::default(),
        }
    }

    /// What becomes of it.
    pub(crate) fn reading(&self) -> Arc<Reading> {
        if self.is_over() {
            self.reading.over.store(true, Ordering::Relaxed);
        }
        self.reading.clone()
    }

    /// Whether no byte will come.
    pub(crate) fn is_over(&self) -> bool {
        self.inner.as_ref().is_none_or(Incoming::is_end_stream)
    }

    /// The length that the head announced.
    pub(crate) fn announced(&self) -> Option<u64> {
        self.inner.as_ref()?.size_hint().exact()
    }

    /// Nothing has come yet; how long may it still be?
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<BodyError> {
        let now = Instant::now();
        let begun = *self.begun.get_or_insert(now);
        if self.timer.is_none() {
            // A body that trickles, one byte before every stall, is stopped by its average.
            let allowed =
                self.stall.as_secs() + self.received.checked_div(self.slowest).unwrap_or(u64::MAX / 2);
            if now.duration_since(begun).as_secs() > allowed {
                return Poll::Ready(BodyError::Disconnected("the body came too slowly".to_owned()));
            }
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.stall)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(BodyError::Disconnected("the body stalled".to_owned()))
    }
}

impl Stream for Arriving {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
            match Pin::new(inner).poll_frame(cx) {
                Poll::Pending => return self.wait(cx).map(|error| Some(Err(error))),
                Poll::Ready(None) => {
                    self.reading.over.store(true, Ordering::Relaxed);
                    return Poll::Ready(None);
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(broken(&error)))),
                Poll::Ready(Some(Ok(frame))) => {
                    self.timer = None;
                    if self.is_over() {
                        self.reading.over.store(true, Ordering::Relaxed);
                    }
                    // HTTP's own trailers carry nothing that AWS's protocols read.
                    if let Ok(data) = frame.into_data()
                        && !data.is_empty()
                    {
                        self.received += data.len() as u64;
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
            }
        }
    }
}

fn broken(error: &hyper::Error) -> BodyError {
    let mut source = std::error::Error::source(error);
    while let Some(why) = source {
        if why.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::UnexpectedEof)
        {
            return BodyError::Incomplete;
        }
        source = why.source();
    }
    if error.is_incomplete_message() {
        return BodyError::Incomplete;
    }
    BodyError::Disconnected(error.to_string())
}

/// The trailers' place, where a body has them.
pub(crate) type Trailers = Arc<OnceLock<Vec<(String, String)>>>;

/// A body in `aws-chunked`, without its framing.
pub(crate) struct Unframed {
    inner: Arriving,
    decoder: Decoder,
    held: Bytes,
    trailers: Trailers,
    over: bool,
}

impl Unframed {
    /// `len` is the declared length of the data, in bytes.
    pub(crate) fn stream(inner: Arriving, decoder: Decoder, len: u64) -> ByteStream {
        let trailers = Trailers::default();
        let unframed = Self { inner, decoder, held: Bytes::new(), trailers: trailers.clone(), over: false };
        ByteStream::new(unframed, Some(len)).with_trailers(trailers)
    }

    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Bytes, BodyError>>> {
        self.over = true;
        Poll::Ready(Some(Err(error)))
    }
}

impl Stream for Unframed {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.over {
            return Poll::Ready(None);
        }
        loop {
            match this.decoder.next(&mut this.held) {
                Ok(Some(data)) => return Poll::Ready(Some(Ok(data))),
                Ok(None) => {}
                Err(error) => return this.fail(error),
            }
            match ready!(Pin::new(&mut this.inner).poll_next(cx)) {
                Some(Ok(data)) => this.held = data,
                Some(Err(error)) => return this.fail(error),
                None => {
                    return match this.decoder.finish() {
                        Ok(trailers) => {
                            this.over = true;
                            let _ = this.trailers.set(trailers);
                            Poll::Ready(None)
                        }
                        Err(error) => this.fail(error),
                    };
                }
            }
        }
    }
}

/// A body whose hash the head has promised. The last word comes at the end: a wrong hash is an error there.
pub(crate) struct Hashed {
    inner: Arriving,
    hash: Option<Sha256>,
    claimed: String,
}

impl Hashed {
    pub(crate) fn new(inner: Arriving, claimed: &str) -> Self {
        Self { inner, hash: Some(Sha256::new()), claimed: claimed.to_owned() }
    }
}

impl Stream for Hashed {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match ready!(Pin::new(&mut self.inner).poll_next(cx)) {
            Some(Ok(data)) => {
                if let Some(hash) = &mut self.hash {
                    hash.update(&data);
                }
                Poll::Ready(Some(Ok(data)))
            }
            Some(Err(error)) => {
                self.hash = None;
                Poll::Ready(Some(Err(error)))
            }
            None => {
                let Some(hash) = self.hash.take() else { return Poll::Ready(None) };
                let computed = hex::encode(hash.finalize());
                if computed == self.claimed {
                    return Poll::Ready(None);
                }
                let flaw = Flaw::WrongPayloadHash { claimed: std::mem::take(&mut self.claimed), computed };
                Poll::Ready(Some(Err(BodyError::Refused(Box::new(Family::S3.refuse(flaw))))))
            }
        }
    }
}

/// The memory that all held bodies share.
#[derive(Debug)]
pub(crate) struct Memory {
    used: AtomicUsize,
    most: usize,
}

/// A part of the memory, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    memory: Arc<Memory>,
    bytes: usize,
}

impl Memory {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), most })
    }

    /// A part that holds nothing yet.
    pub(crate) fn part(self: &Arc<Self>) -> Held {
        Held { memory: self.clone(), bytes: 0 }
    }
}

impl Held {
    /// Takes care that `bytes` in all are accounted for. Errors: there is no room now.
    pub(crate) fn hold(&mut self, bytes: usize) -> Result<(), Error> {
        if bytes <= UNCOUNTED || bytes <= self.bytes {
            return Ok(());
        }
        let more = bytes - self.bytes;
        let before = self.memory.used.fetch_add(more, Ordering::Relaxed);
        self.bytes = bytes;
        if before + more > self.memory.most {
            return Err(Error::new(
                "ServiceUnavailable",
                503,
                "Too many large requests are in work at this moment. Please try again.",
            ));
        }
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.memory.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

fn too_large(most: usize) -> Error {
    Error::new(
        "RequestEntityTooLargeException",
        413,
        format!("Request must be smaller than {most} bytes for this operation."),
    )
    .with_query_code("RequestEntityTooLarge")
}

/// Reads a body into memory. Errors: larger than `most` bytes, stalled, cut off, no memory left for it.
pub(crate) async fn collect(body: Arriving, most: usize, held: &mut Held) -> Result<Bytes, Error> {
    if body.is_over() {
        return Ok(Bytes::new());
    }
    if body.announced().is_some_and(|length| length > most as u64) {
        return Err(too_large(most));
    }
    gather(body, most, held).await
}

/// The same for a body that has already been wrapped.
pub(crate) async fn collect_stream(body: ByteStream, most: usize, held: &mut Held) -> Result<Bytes, Error> {
    gather(body.into_stream(), most, held).await
}

async fn gather(
    mut body: impl Stream<Item = Result<Bytes, BodyError>> + Unpin,
    most: usize,
    held: &mut Held,
) -> Result<Bytes, Error> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(data) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_next(cx)).await {
        let data = data?;
        let total = first.len() + rest.len() + data.len();
        if total > most {
            return Err(too_large(most));
        }
        held.hold(total)?;
        if first.is_empty() && rest.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&std::mem::take(&mut first));
            }
            rest.extend_from_slice(&data);
        }
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

/// Unzips a request's body. Errors: it is no gzip, or it grows beyond `most` bytes.
pub(crate) async fn gunzip(body: Bytes, most: usize, held: &mut Held) -> Result<Bytes, Error> {
    use std::io::Read;
    let unzip = move || {
        let mut out = Vec::new();
        let limit = most as u64 + 1;
        match flate2::bufread::MultiGzDecoder::new(&*body).take(limit).read_to_end(&mut out) {
            Ok(_) if out.len() > most => Err(too_large(most)),
            Ok(_) => Ok(Bytes::from(out)),
            Err(why) => Err(Error::sender(
                "SerializationException",
                format!("The body is not what its Content-Encoding (gzip) says: {why}."),
            )),
        }
    };
    // What may unfold to much is unfolded where it does not keep other requests waiting; it is bounded either way.
    held.hold(most.min(64 * 1024 * 1024))?;
    tokio::task::spawn_blocking(unzip).await.map_err(Error::internal)?
}

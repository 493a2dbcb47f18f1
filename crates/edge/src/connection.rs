//! One connection from its first byte to its last: TLS or not, HTTP/1.1 or 2, and an end for those that stall.

use crate::finished::Finished;
use crate::gate::Gate;
use crate::out::Out;
use crate::pulse::{Felt, Pulse, Verdict};
use crate::{request, tls};
use cloudlet_service::{Origin, Tls};
use http::{HeaderMap, Request, Response, Version};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, watch};

/// The first byte of a TLS handshake record. Source: RFC 8446, section 5.1.
const HANDSHAKE: u8 = 0x16;

/// What requests need to know of their connection. It lives as long as any of them, and so does its permit.
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    /// What the handshake settled on, where the connection is TLS.
    pub(crate) tls: Option<Tls>,
    pub(crate) pulse: Arc<Pulse>,
    _permit: OwnedSemaphorePermit,
}

impl Peer {
    /// Where a request on this connection comes from.
    pub(crate) fn origin(&self, headers: &Arc<HeaderMap>, host: &Arc<str>) -> Origin {
        Origin {
            source_ip: Some(self.address),
            tls: self.tls,
            host: host.clone(),
            headers: Some(headers.clone()),
            ..Origin::default()
        }
    }
}

/// Serves a TCP connection, which may begin with TLS.
pub(crate) async fn tcp(
    gate: Arc<Gate>,
    stream: TcpStream,
    address: IpAddr,
    permit: OwnedSemaphorePermit,
    stop: watch::Receiver<bool>,
) {
    // Answers are small and whole: waiting for more to send would only add delay.
    let _ = stream.set_nodelay(true);
    let pulse = Pulse::new();
    let Some(tls) = &gate.tls else {
        let peer = Arc::new(Peer { address, tls: None, pulse, _permit: permit });
        return http(gate, stream, peer, stop).await;
    };
    let patience = gate.config.limits.head_time;
    let mut first = [0u8];
    match tokio::time::timeout(patience, stream.peek(&mut first)).await {
        Ok(Ok(1)) if first[0] == HANDSHAKE => {
            match tokio::time::timeout(patience, tls.accept(stream)).await {
                Ok(Ok(stream)) => {
                    let tls = Some(tls::agreed(stream.get_ref().1));
                    let peer = Arc::new(Peer { address, tls, pulse, _permit: permit });
                    http(gate, stream, peer, stop).await;
                }
                Ok(Err(why)) => tracing::debug!(%why, "TLS handshake failed"),
                Err(_) => tracing::debug!("TLS handshake took too long"),
            }
        }
        Ok(Ok(1)) => {
            let peer = Arc::new(Peer { address, tls: None, pulse, _permit: permit });
            http(gate, stream, peer, stop).await;
        }
        // The client left or said nothing.
        _ => {}
    }
}

/// Serves a connection from a Unix socket, which is always plain and always from this machine.
pub(crate) async fn unix(
    gate: Arc<Gate>,
    stream: tokio::net::UnixStream,
    permit: OwnedSemaphorePermit,
    stop: watch::Receiver<bool>,
) {
    let address = IpAddr::from([127, 0, 0, 1]);
    let peer = Arc::new(Peer { address, tls: None, pulse: Pulse::new(), _permit: permit });
    http(gate, stream, peer, stop).await;
}

async fn http<S>(gate: Arc<Gate>, stream: S, peer: Arc<Peer>, mut stop: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = gate.config.limits.clone();
    let pulse = peer.pulse.clone();
    let io = TokioIo::new(Felt { inner: stream, pulse: pulse.clone() });
    let builder = gate.http.clone();
    let connection = builder.serve_connection(io, Door { gate, peer });
    let mut connection = pin!(connection);
    let mut watch =
        tokio::time::interval(tick(limits.head_time.min(limits.idle_time).min(limits.stall_time)));
    watch.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut closing, mut stopping) = (false, *stop.borrow());
    if stopping {
        connection.as_mut().graceful_shutdown();
    }
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(why) = ended {
                    tracing::debug!(%why, "a connection ended");
                }
                return;
            }
            _ = watch.tick() => match pulse.verdict(&limits) {
                Verdict::Keep => {}
                Verdict::Close if !closing => {
                    closing = true;
                    connection.as_mut().graceful_shutdown();
                }
                Verdict::Close | Verdict::Cut => return,
            },
            changed = stop.changed(), if !stopping => {
                stopping = true;
                if changed.is_ok() {
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

/// How often a connection's state is looked at: a quarter of the shortest limit, within reason.
fn tick(shortest: Duration) -> Duration {
    (shortest / 4).clamp(Duration::from_millis(10), Duration::from_secs(5))
}

/// The settings of both versions of HTTP.
pub(crate) fn builder(limits: &crate::config::Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // Heads are timed by the connection's pulse, without a timer for each request.
        .header_read_timeout(None)
        // At hyper's own limit of 100 headers; any other costs two large allocations for each request.
        .max_buf_size(limits.head_bytes.max(8 * 1024));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(1024 * 1024)
        .initial_connection_window_size(4 * 1024 * 1024)
        .max_send_buf_size(512 * 1024)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

/// The requests of one connection.
struct Door {
    gate: Arc<Gate>,
    peer: Arc<Peer>,
}

impl hyper::service::Service<Request<Incoming>> for Door {
    type Response = Response<Out>;
    type Error = Infallible;
    type Future = Finished;

    fn call(&self, request: Request<Incoming>) -> Finished {
        let busy = self.peer.pulse.begin(request.version() == Version::HTTP_2);
        let (gate, peer) = (self.gate.clone(), self.peer.clone());
        if peer.pulse.active() > 2 * gate.config.limits.streams {
            // A client that begins requests and takes them back at once; what has begun is still at work.
            let text = "Too many requests of this connection are in work. Please try again.\n";
            let response = crate::own::text(http::StatusCode::SERVICE_UNAVAILABLE, text);
            return Finished::new(std::future::ready(response.map(|out| out.while_busy(busy))));
        }
        Finished::new(async move {
            let response = request::answer(&gate, &peer, request).await;
            response.map(|out| out.while_busy(busy))
        })
    }
}

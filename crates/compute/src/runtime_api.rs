//! The public Lambda Runtime API, for runtimes that we did not write.
//!
//! Source: "Using the Lambda runtime API for custom runtimes" and its OpenAPI description, version 2018-06-01.
//! One server per sandbox, on a listener inside of the sandbox's own network.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};

use crate::Invocation;
use crate::extensions::Extensions;
use crate::frames::{MAX_RESPONSE, Message};

/// One runtime needs one connection, and some keep a few.
const MAX_CONNECTIONS: usize = 32;
/// Requests of extensions are small.
const MAX_EXTENSION_BODY: usize = 64 << 10;
const PREFIX: &str = "/2018-06-01/runtime/";

/// The cloud's end: calls go in, messages come out.
pub(crate) struct Api {
    calls: mpsc::UnboundedSender<Call>,
    messages: mpsc::Receiver<Message>,
}

/// The server of one sandbox, for its extensions and, where it speaks this API, for its runtime.
struct Served {
    runtime: Option<Shared>,
    extensions: Arc<Extensions>,
}

/// Serves extensions only: the runtime has a line of its own.
pub(crate) fn serve_extensions(
    listener: TcpListener,
    extensions: Arc<Extensions>,
) -> tokio::task::JoinHandle<()> {
    tokio::spawn(accept(listener, Arc::new(Served { runtime: None, extensions })))
}

struct Call {
    invocation: Invocation,
    deadline: SystemTime,
}

struct Shared {
    calls: tokio::sync::Mutex<mpsc::UnboundedReceiver<Call>>,
    messages: mpsc::Sender<Message>,
    /// The call that was handed out and not answered.
    current: Mutex<Option<String>>,
    asked: std::sync::atomic::AtomicBool,
}

impl Api {
    /// The line to the runtime, and the task that serves it.
    pub(crate) fn serve(
        listener: TcpListener,
        extensions: Arc<Extensions>,
    ) -> (Self, tokio::task::JoinHandle<()>) {
        let (calls, waiting) = mpsc::unbounded_channel();
        let (messages, heard) = mpsc::channel(4);
        let shared = Shared {
            calls: tokio::sync::Mutex::new(waiting),
            messages,
            current: Mutex::new(None),
            asked: false.into(),
        };
        let server = tokio::spawn(accept(listener, Arc::new(Served { runtime: Some(shared), extensions })));
        (Self { calls, messages: heard }, server)
    }

    /// Gives the runtime its next call.
    pub(crate) fn send(&self, invocation: Invocation, deadline: SystemTime) {
        let _ = self.calls.send(Call { invocation, deadline });
    }

    pub(crate) async fn receive(&mut self) -> std::io::Result<Message> {
        self.messages.recv().await.ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
    }
}

async fn accept(listener: TcpListener, shared: Arc<Served>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, most likely: let others finish first.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let shared = shared.clone();
        connections.spawn(async move {
            let service = hyper::service::service_fn(move |request| {
                let shared = shared.clone();
                async move { Ok::<_, Infallible>(answer(request, &shared).await) }
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
            drop(place);
        });
    }
}

async fn answer(request: Request<Incoming>, served: &Served) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let absent =
        || refusal(StatusCode::NOT_FOUND, "NotFound", "no such operation in the runtime API 2018-06-01");
    let (Some(path), Some(shared)) = (head.uri.path().strip_prefix(PREFIX), &served.runtime) else {
        let Ok(body) = http_body_util::Limited::new(body, MAX_EXTENSION_BODY).collect().await else {
            return refusal(
                StatusCode::PAYLOAD_TOO_LARGE,
                "RequestEntityTooLarge",
                "the request is too long",
            );
        };
        let (path, body) = (head.uri.path(), body.to_bytes());
        let answer = served.extensions.answer(&head.method, path, &head.headers, &body).await;
        return answer.unwrap_or_else(absent);
    };
    let path = path.to_owned();
    match (&head.method, path.split('/').collect::<Vec<_>>().as_slice()) {
        (&Method::GET, ["invocation", "next"]) => next(shared).await,
        (&Method::POST, ["invocation", id, "response"]) => {
            let mode = head.headers.get("Lambda-Runtime-Function-Response-Mode");
            if mode.is_some_and(|mode| mode.as_bytes().eq_ignore_ascii_case(b"streaming")) {
                streamed(shared, id, &head.headers, body).await
            } else {
                response(shared, id, body).await
            }
        }
        (&Method::POST, ["invocation", id, "error"]) => error(shared, id, &head.headers, body).await,
        (&Method::POST, ["init", "error"]) => init_error(shared, &head.headers, body).await,
        _ => absent(),
    }
}

/// Holds the line until there is a call. The first question also says that the runtime is ready.
async fn next(shared: &Shared) -> Response<Full<Bytes>> {
    if !shared.asked.swap(true, std::sync::atomic::Ordering::SeqCst) {
        let _ = shared.messages.send(Message::InitOk).await;
    }
    let call = shared.calls.lock().await.recv().await;
    let Some(Call { invocation, deadline }) = call else {
        return refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", "the sandbox is ending");
    };
    *shared.current.lock() = Some(invocation.request_id.clone());
    let deadline = deadline.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let mut response = Response::builder()
        .header("Content-Type", "application/json")
        .header("Lambda-Runtime-Aws-Request-Id", invocation.request_id)
        .header("Lambda-Runtime-Deadline-Ms", deadline.to_string())
        .header("Lambda-Runtime-Invoked-Function-Arn", invocation.invoked_arn);
    let optional = [
        ("Lambda-Runtime-Trace-Id", invocation.trace_id),
        ("Lambda-Runtime-Client-Context", invocation.client_context),
        ("Lambda-Runtime-Cognito-Identity", invocation.cognito_identity),
        ("Lambda-Runtime-Aws-Tenant-Id", invocation.tenant_id),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            response = response.header(name, value.replace(['\r', '\n'], " "));
        }
    }
    response.body(Full::new(invocation.payload)).unwrap_or_else(|_| {
        refusal(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalServerError",
            "the call cannot be written as HTTP headers",
        )
    })
}

async fn response(shared: &Shared, id: &str, body: Incoming) -> Response<Full<Bytes>> {
    if !is_current(shared, id) {
        return wrong_id();
    }
    let (message, answer) = match collect(body).await {
        Ok(Collected::Whole(payload, None)) => (Message::Response { id: id.to_owned(), payload }, accepted()),
        // A stream that the runtime broke off: trailers carry the reason.
        Ok(Collected::Whole(_, Some((kind, payload)))) => {
            (Message::Error { id: id.to_owned(), kind, payload }, accepted())
        }
        Ok(Collected::TooLarge(size)) => (
            Message::TooLarge { id: id.to_owned(), size },
            refusal(
                StatusCode::PAYLOAD_TOO_LARGE,
                "RequestEntityTooLarge",
                &format!("Exceeded maximum allowed payload size ({MAX_RESPONSE} bytes)."),
            ),
        ),
        Err(()) => return refusal(StatusCode::BAD_REQUEST, "InvalidRequest", "the response ended half way"),
    };
    if !take_current(shared, id) {
        return wrong_id();
    }
    let _ = shared.messages.send(message).await;
    answer
}

/// A response that the runtime sends while it makes it. Source: "Using the Lambda runtime API", response streaming: an
/// error half way comes in trailers.
async fn streamed(
    shared: &Shared,
    id: &str,
    headers: &HeaderMap,
    mut body: Incoming,
) -> Response<Full<Bytes>> {
    if !take_current(shared, id) {
        return wrong_id();
    }
    let content_type = headers.get("Content-Type").and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or("application/octet-stream").to_owned();
    let id = id.to_owned();
    let _ = shared.messages.send(Message::Stream { id: id.clone(), content_type }).await;
    let mut last = Message::End { id: id.clone() };
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            let kind = "Runtime.TruncatedResponse";
            let object =
                serde_json::json!({"errorType": kind, "errorMessage": "the response ended half way"});
            last = Message::Error { id, kind: kind.to_owned(), payload: Bytes::from(object.to_string()) };
            break;
        };
        match frame.into_data() {
            Ok(payload) if payload.is_empty() => {}
            Ok(payload) => {
                let _ = shared.messages.send(Message::Chunk { id: id.clone(), payload }).await;
            }
            Err(frame) => {
                let Ok(trailers) = frame.into_trailers() else { continue };
                if let Some((kind, payload)) = broken_off(&trailers) {
                    last = Message::Error { id: id.clone(), kind, payload };
                }
            }
        }
    }
    let _ = shared.messages.send(last).await;
    accepted()
}

/// The type of an error that came in trailers, and an object for it.
fn broken_off(trailers: &HeaderMap) -> Option<(String, Bytes)> {
    let text = |name| trailers.get(name).and_then(|v: &http::HeaderValue| v.to_str().ok());
    let kind = text("Lambda-Runtime-Function-Error-Type")?;
    let object = serde_json::json!({"errorType": kind, "errorMessage": "the response stream was broken off"});
    Some((kind.to_owned(), Bytes::from(object.to_string())))
}

async fn error(shared: &Shared, id: &str, headers: &HeaderMap, body: Incoming) -> Response<Full<Bytes>> {
    if !is_current(shared, id) {
        return wrong_id();
    }
    let Ok(Collected::Whole(payload, _)) = collect(body).await else {
        return refusal(
            StatusCode::BAD_REQUEST,
            "InvalidRequest",
            "the error object is too large or incomplete",
        );
    };
    if !take_current(shared, id) {
        return wrong_id();
    }
    let kind = error_type(headers, &payload);
    let _ = shared.messages.send(Message::Error { id: id.to_owned(), kind, payload }).await;
    accepted()
}

async fn init_error(shared: &Shared, headers: &HeaderMap, body: Incoming) -> Response<Full<Bytes>> {
    let Ok(Collected::Whole(payload, _)) = collect(body).await else {
        return refusal(
            StatusCode::BAD_REQUEST,
            "InvalidRequest",
            "the error object is too large or incomplete",
        );
    };
    let kind = error_type(headers, &payload);
    let _ = shared.messages.send(Message::InitError { kind, payload }).await;
    accepted()
}

fn error_type(headers: &HeaderMap, payload: &[u8]) -> String {
    let header = headers.get("Lambda-Runtime-Function-Error-Type").and_then(|value| value.to_str().ok());
    let from_body = || {
        let object: serde_json::Value = serde_json::from_slice(payload).ok()?;
        Some(object.get("errorType")?.as_str()?.to_owned())
    };
    header.map(str::to_owned).or_else(from_body).unwrap_or_else(|| "Runtime.Unknown".to_owned())
}

fn is_current(shared: &Shared, id: &str) -> bool {
    shared.current.lock().as_deref() == Some(id)
}

fn take_current(shared: &Shared, id: &str) -> bool {
    let mut current = shared.current.lock();
    let matches = current.as_deref() == Some(id);
    if matches {
        *current = None;
    }
    matches
}

enum Collected {
    /// The body, and the type and object of an error that came in trailers.
    Whole(Bytes, Option<(String, Bytes)>),
    TooLarge(usize),
}

async fn collect(mut body: Incoming) -> Result<Collected, ()> {
    let mut all = BytesMut::new();
    let mut size = 0;
    let mut failed = None;
    while let Some(frame) = body.frame().await {
        match frame.map_err(|_| ())?.into_data() {
            Ok(data) => {
                size += data.len();
                if size <= MAX_RESPONSE {
                    all.extend_from_slice(&data);
                } else {
                    all.clear();
                }
            }
            Err(frame) => {
                let Ok(trailers) = frame.into_trailers() else { continue };
                failed = broken_off(&trailers).or(failed);
            }
        }
    }
    Ok(if size > MAX_RESPONSE { Collected::TooLarge(size) } else { Collected::Whole(all.freeze(), failed) })
}

pub(crate) fn accepted() -> Response<Full<Bytes>> {
    json(StatusCode::ACCEPTED, serde_json::json!({"status": "OK"}))
}

fn wrong_id() -> Response<Full<Bytes>> {
    refusal(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID")
}

pub(crate) fn refusal(status: StatusCode, kind: &str, message: &str) -> Response<Full<Bytes>> {
    json(status, serde_json::json!({"errorMessage": message, "errorType": kind}))
}

pub(crate) fn json(status: StatusCode, value: serde_json::Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(value.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert("Content-Type", http::HeaderValue::from_static("application/json"));
    response
}

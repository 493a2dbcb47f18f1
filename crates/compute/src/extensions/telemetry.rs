//! The Telemetry API, and the Logs API before it: what the platform and the function say, sent to a listener of an
//! extension's own.
//!
//! Source: "Using the Telemetry API", schema 2022-12-13, and "Using the Lambda Logs API". The listener is inside of the
//! sandbox's own network, so the sandbox's init makes the connections.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::report::timestamp;
use crate::warden::client::Warden;
use crate::warden::protocol::SandboxId;

pub(super) const VALIDATION: &str = "ValidationError";
/// Events that wait for a listener that does not take them. What comes then is dropped, and said to be.
const MOST_WAITING: usize = 10_000;
/// How long a listener may take for one batch.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subscription {
    types: Vec<String>,
    destination: Destination,
    max_items: usize,
    max_bytes: usize,
    timeout: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Destination {
    Http { port: u16, path: String },
    Tcp { port: u16 },
}

impl Subscription {
    pub(super) fn read(body: &[u8], is_telemetry: bool) -> Result<Self, String> {
        let asked: Value = serde_json::from_slice(body).map_err(|error| format!("invalid JSON: {error}"))?;
        let types: Vec<String> = asked["types"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|kind| kind.as_str().map(str::to_owned))
            .collect();
        if types.is_empty()
            || types.iter().any(|kind| !["platform", "function", "extension"].contains(&kind.as_str()))
        {
            return Err("types must be some of platform, function, extension".to_owned());
        }
        let version = asked["schemaVersion"].as_str();
        let known: &[&str] =
            if is_telemetry { &["2022-07-01", "2022-12-13"] } else { &["2020-08-15", "2021-03-18"] };
        if version.is_some_and(|version| !known.contains(&version)) {
            return Err(format!("schemaVersion must be one of {}", known.join(", ")));
        }
        let destination = match asked["destination"]["protocol"].as_str() {
            Some("HTTP") => {
                let uri = asked["destination"]["URI"].as_str().or(asked["destination"]["uri"].as_str());
                http_destination(uri.unwrap_or_default())
                    .ok_or("destination.URI must be http://sandbox.localdomain:PORT/PATH")?
            }
            Some("TCP") => {
                let port = asked["destination"]["port"].as_u64().and_then(|port| u16::try_from(port).ok());
                Destination::Tcp { port: port.ok_or("destination.port must be a port")? }
            }
            _ => return Err("destination.protocol must be HTTP or TCP".to_owned()),
        };
        let within = |name: &str, default: u64, least: u64, most: u64| match &asked["buffering"][name] {
            Value::Null => Ok(default),
            value => value
                .as_u64()
                .filter(|n| (least..=most).contains(n))
                .ok_or_else(|| format!("buffering.{name} must be between {least} and {most}")),
        };
        Ok(Self {
            types,
            destination,
            max_items: within("maxItems", 10_000, 1000, 10_000)? as usize,
            max_bytes: within("maxBytes", 262_144, 262_144, 1_048_576)? as usize,
            timeout: Duration::from_millis(within("timeoutMs", 1000, 25, 30_000)?),
        })
    }
}

fn http_destination(uri: &str) -> Option<Destination> {
    let rest = uri.strip_prefix("http://")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, port) = host.rsplit_once(':')?;
    ["sandbox.localdomain", "sandbox", "localhost", "127.0.0.1"].contains(&host).then_some(())?;
    let plain = path.bytes().all(|byte| byte.is_ascii_graphic());
    plain.then_some(Destination::Http { port: port.parse().ok()?, path: format!("/{path}") })
}

/// Who of a sandbox's extensions gets what.
pub(crate) struct Telemetry {
    warden: Arc<Warden>,
    sandbox: SandboxId,
    takers: Mutex<Vec<Taker>>,
}

struct Taker {
    types: Vec<String>,
    events: mpsc::Sender<Value>,
    dropped: Arc<Mutex<(u64, u64)>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Taker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Telemetry {
    pub(crate) fn new(warden: Arc<Warden>, sandbox: SandboxId) -> Self {
        Self { warden, sandbox, takers: Mutex::default() }
    }

    pub(super) fn subscribe(&self, name: String, subscription: Subscription) {
        let (events, waiting) = mpsc::channel(MOST_WAITING);
        let dropped = Arc::new(Mutex::new((0, 0)));
        let types = subscription.types.clone();
        let sender = send(self.warden.clone(), self.sandbox, subscription, waiting, dropped.clone());
        let task = tokio::spawn(sender);
        self.takers.lock().push(Taker { types: types.clone(), events, dropped, task });
        let record = json!({"name": name, "state": "Subscribed", "types": types});
        self.tell("platform", "platform.telemetrySubscription", SystemTime::now(), record);
    }

    /// Whether anybody listens; what nobody takes need not be written.
    pub(crate) fn is_heard(&self) -> bool {
        !self.takers.lock().is_empty()
    }

    /// One event. `stream` is what subscriptions name.
    pub(crate) fn tell(&self, stream: &str, kind: &str, at: SystemTime, record: Value) {
        let takers = self.takers.lock();
        if takers.is_empty() {
            return;
        }
        let event = json!({"time": timestamp(at), "type": kind, "record": record});
        for taker in takers.iter().filter(|taker| taker.types.iter().any(|wanted| wanted == stream)) {
            if taker.events.try_send(event.clone()).is_err() {
                let mut dropped = taker.dropped.lock();
                dropped.0 += 1;
                dropped.1 += event.to_string().len() as u64;
            }
        }
    }
}

/// Gathers events and sends them on, a batch at a time.
async fn send(
    warden: Arc<Warden>,
    sandbox: SandboxId,
    to: Subscription,
    mut events: mpsc::Receiver<Value>,
    dropped: Arc<Mutex<(u64, u64)>>,
) {
    while let Some(first) = events.recv().await {
        let deadline = tokio::time::Instant::now() + to.timeout;
        let mut size = first.to_string().len();
        let mut batch = vec![first];
        while batch.len() < to.max_items && size < to.max_bytes {
            match tokio::time::timeout_at(deadline, events.recv()).await {
                Ok(Some(event)) => {
                    size += event.to_string().len();
                    batch.push(event);
                }
                Ok(None) | Err(_) => break,
            }
        }
        let (records, bytes) = std::mem::take(&mut *dropped.lock());
        if records > 0 {
            let record = json!({"reason": "Consumer seems to have fallen behind", "droppedRecords": records, "droppedBytes": bytes});
            let now = timestamp(SystemTime::now());
            batch.push(json!({"time": now, "type": "platform.logsDropped", "record": record}));
        }
        // A listener that is not there yet is tried again a few times.
        for _ in 0..5 {
            let sent =
                tokio::time::timeout(PATIENCE, deliver(&warden, sandbox, &to.destination, &batch)).await;
            if matches!(sent, Ok(Ok(()))) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

async fn deliver(
    warden: &Warden,
    sandbox: SandboxId,
    to: &Destination,
    batch: &[Value],
) -> std::io::Result<()> {
    let port = match to {
        Destination::Http { port, .. } | Destination::Tcp { port } => *port,
    };
    let mut stream: TcpStream = warden.connect(sandbox, port).await?;
    match to {
        Destination::Http { path, .. } => {
            let body = serde_json::to_vec(batch)?;
            let head = format!(
                "POST {path} HTTP/1.1\r\nHost: sandbox.localdomain:{port}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&body).await?;
            // Whatever it answers: it has it once it has answered.
            let mut answer = [0; 1024];
            match stream.read(&mut answer).await? {
                0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
                _ => Ok(()),
            }
        }
        Destination::Tcp { .. } => {
            for event in batch {
                stream.write_all(format!("{event}\n").as_bytes()).await?;
            }
            stream.shutdown().await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscriptions_are_read_within_lambdas_limits() {
        let read = |text: &str| Subscription::read(text.as_bytes(), true);
        let good = read(
            r#"{"schemaVersion": "2022-12-13", "types": ["platform"], "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain:8080/x"}, "buffering": {"timeoutMs": 25}}"#,
        )
        .unwrap();
        assert_eq!(good.destination, Destination::Http { port: 8080, path: "/x".into() });
        assert_eq!((good.max_items, good.timeout.as_millis()), (10_000, 25));
        for bad in [
            "",
            r#"{"types": ["platform"]}"#,
            r#"{"types": [], "destination": {"protocol": "TCP", "port": 1}}"#,
            r#"{"types": ["all"], "destination": {"protocol": "TCP", "port": 1}}"#,
            r#"{"types": ["platform"], "destination": {"protocol": "TCP", "port": 99999}}"#,
            r#"{"types": ["platform"], "destination": {"protocol": "HTTP", "URI": "http://example.com:80/"}}"#,
            r#"{"types": ["platform"], "destination": {"protocol": "HTTP", "URI": "http://sandbox:80/a b"}}"#,
            r#"{"types": ["platform"], "destination": {"protocol": "TCP", "port": 1}, "buffering": {"timeoutMs": 1}}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}

//! Where functions' output goes: CloudWatch Logs, written with the rights of the function's own role. A role that may
//! not write logs has none, as on AWS.

use crate::roles::Roles;
use cloudlet_api_logs::operations::{CreateLogGroup, CreateLogStream, PutLogEvents};
use cloudlet_api_logs::{CreateLogGroupInput, CreateLogStreamInput, InputLogEvent, PutLogEventsInput};
use cloudlet_compute::{BoxFuture, LogLine, LogSink, LogStream};
use cloudlet_service::{Cloud, Context, Error};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// What PutLogEvents takes at once: bytes of the messages with 26 for each, and events.
const MAX_BATCH: usize = 1_048_576;
const MAX_EVENTS: usize = 10_000;
const OVERHEAD: usize = 26;

/// Whose group a log group is: function and role.
type Writers = Mutex<HashMap<(String, String, String), (String, String)>>;

/// Writes functions' lines. Cheap to clone.
#[derive(Clone)]
pub struct Sink(Arc<Inner>);

struct Inner {
    roles: Roles,
    cloud: Arc<Cloud>,
    writers: Writers,
}

impl Sink {
    /// The sink of this cloud: given to [`cloudlet_compute::Compute::new`], then to [`crate::Lambda::new`].
    pub fn new(cloud: &Arc<Cloud>) -> Arc<Self> {
        let roles = Roles::new(cloud.clone());
        Arc::new(Self(Arc::new(Inner { roles, cloud: cloud.clone(), writers: Writers::default() })))
    }

    pub(crate) fn roles(&self) -> &Roles {
        &self.0.roles
    }

    /// Says which function writes to a group, and with which role.
    pub(crate) fn writes(&self, account: &str, region: &str, group: &str, function: &str, role: &str) {
        let key = (account.to_owned(), region.to_owned(), group.to_owned());
        self.0.writers.lock().insert(key, (function.to_owned(), role.to_owned()));
    }
}

impl Inner {
    async fn put(&self, stream: &LogStream, lines: Vec<LogLine>) -> Result<(), Error> {
        let key = (stream.account.clone(), stream.region.clone(), stream.group.clone());
        let Some((function, role)) = self.writers.lock().get(&key).cloned() else { return Ok(()) };
        let session = self.roles.session(&stream.account, &stream.region, &role, &function).await?;
        // The cloud's clock may be ahead of the machine's.
        let ahead = self.cloud.clock().millis() - millis(SystemTime::now());
        let mut latest = 0;
        let mut batch = Vec::new();
        let mut bytes = 0;
        for line in lines {
            let mut message = String::from_utf8_lossy(&line.message).into_owned();
            message.push('\n');
            latest = latest.max(millis(line.at) + ahead);
            let cost = message.len() + OVERHEAD;
            if !batch.is_empty() && (bytes + cost > MAX_BATCH || batch.len() == MAX_EVENTS) {
                send(&session.cx, stream, std::mem::take(&mut batch)).await?;
                bytes = 0;
            }
            bytes += cost;
            batch.push(InputLogEvent { timestamp: latest, message, ..Default::default() });
        }
        if batch.is_empty() { Ok(()) } else { send(&session.cx, stream, batch).await }
    }
}

async fn send(cx: &Context, stream: &LogStream, events: Vec<InputLogEvent>) -> Result<(), Error> {
    let input = || PutLogEventsInput {
        log_group_name: stream.group.clone(),
        log_stream_name: stream.stream.clone(),
        log_events: events.clone(),
        ..Default::default()
    };
    match cx.cloud.call::<PutLogEvents>(cx, input()).await {
        Err(error) if error.is("ResourceNotFoundException") => {}
        other => return other.map(|_| ()),
    }
    let there = |error: Error| if error.is("ResourceAlreadyExistsException") { Ok(()) } else { Err(error) };
    let make = CreateLogStreamInput {
        log_group_name: stream.group.clone(),
        log_stream_name: stream.stream.clone(),
        ..Default::default()
    };
    match cx.cloud.call::<CreateLogStream>(cx, make.clone()).await {
        Err(error) if error.is("ResourceNotFoundException") => {
            let group = CreateLogGroupInput { log_group_name: stream.group.clone(), ..Default::default() };
            cx.cloud.call::<CreateLogGroup>(cx, group).await.map(|_| ()).or_else(there)?;
            cx.cloud.call::<CreateLogStream>(cx, make).await.map(|_| ()).or_else(there)?;
        }
        other => other.map(|_| ()).or_else(there)?,
    }
    cx.cloud.call::<PutLogEvents>(cx, input()).await.map(|_| ())
}

fn millis(at: SystemTime) -> i64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}

impl LogSink for Sink {
    fn write(&self, stream: &Arc<LogStream>, lines: Vec<LogLine>) -> BoxFuture<'static, ()> {
        let (sink, stream) = (self.0.clone(), stream.clone());
        Box::pin(async move {
            if let Err(error) = sink.put(&stream, lines).await {
                tracing::debug!(group = stream.group, %error, "a function's lines were not written; does its role allow logs:PutLogEvents?");
            }
        })
    }
}

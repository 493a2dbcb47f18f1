//! Durable functions: executions that outlive their invocations.
//!
//! An execution is a list of operations (steps, waits, callbacks, calls of other functions). The function is invoked with
//! all of them, checkpoints new ones as it goes, and ends its invocation where it has to wait; it is invoked again, with
//! everything that is known by then, once there is something to go on with. `checkpoint` says what an update does to an
//! operation, `engine` when the function is invoked, `shown` how answers and events show it.
//!
//! Source: Developer Guide, "Lambda durable functions"; API Reference, CheckpointDurableExecution and its shapes.

mod checkpoint;
mod engine;
mod pause;
mod shown;
mod through;

pub(crate) use checkpoint::fault as checkpoint_fault;
pub(crate) use engine::Advancer;
pub(crate) use pause::Pause;
pub(crate) use shown::{
    error as shown_error, event as shown_event, operation as shown_operation, page as shown_page,
};

use crate::state::named_key;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloudlet_bus::Message;
use cloudlet_service::Context;
use cloudlet_store::{Key, Record};
use serde::{Deserialize, Serialize};

/// The queue of executions that may have something to go on with.
pub(crate) const QUEUE: &str = "lambda.durable";
/// AWS: operations of an execution, and bytes of all that they hold.
const MOST_OPERATIONS: usize = 3000;
const MOST_BYTES: usize = 100 * 1024 * 1024;
/// AWS's default: executions are kept for two weeks after their end.
const RETENTION_DAYS: i32 = 14;
/// AWS: how long an execution may take that is not told, and one that somebody waits for, in seconds.
const LONGEST: i32 = 31_622_400;
pub(crate) const LONGEST_SYNC: i64 = 15 * 60;

/// What makes a function durable.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub(crate) struct Durable {
    pub timeout: Option<i32>,
    pub retention_days: Option<i32>,
    pub kms_key: Option<String>,
}

impl Durable {
    pub(crate) fn timeout_seconds(&self) -> i64 {
        i64::from(self.timeout.unwrap_or(LONGEST))
    }
}

/// What went wrong, in the function's own words.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
pub(crate) struct Fault {
    pub message: Option<String>,
    pub kind: Option<String>,
    pub data: Option<String>,
    pub stack: Option<Vec<String>>,
}

/// One operation of an execution. Times are milliseconds since 1970.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub(crate) struct Op {
    pub id: String,
    pub parent: Option<String>,
    pub name: Option<String>,
    /// `STEP`, `WAIT`, …
    pub kind: String,
    pub sub_kind: Option<String>,
    pub status: String,
    pub started: i64,
    pub ended: Option<i64>,
    pub result: Option<String>,
    pub fault: Option<Fault>,
    /// What a call of another function is given, and which function that is.
    pub input: Option<String>,
    pub function: Option<String>,
    pub replay_children: bool,
    pub attempt: i32,
    /// When it goes on by itself: a wait ends, a step is tried again, a callback is given up.
    pub due: Option<i64>,
    /// How long a callback may be silent, in seconds, and when it has been silent for too long.
    pub heartbeat_seconds: Option<i64>,
    pub silent: Option<i64>,
    /// Which change of the execution was its last.
    pub change: u64,
}

/// Something that happened in an execution.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub(crate) struct Happened {
    pub kind: String,
    pub at: i64,
    pub id: Option<String>,
    pub parent: Option<String>,
    pub name: Option<String>,
    pub sub_kind: Option<String>,
    pub payload: Option<String>,
    pub fault: Option<Fault>,
    pub function: Option<String>,
    pub attempt: i32,
    pub seconds: Option<i64>,
    pub until: Option<i64>,
    pub heartbeat_seconds: Option<i64>,
    /// Of an invocation: its request, and when it began.
    pub request: Option<(String, i64)>,
    /// Of a pause or its end: when it was asked for, and whether time stands still.
    #[serde(default)]
    pub asked: Option<(i64, bool)>,
}

/// An execution. Key: account, region, function, id.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub(crate) struct Execution {
    pub id: String,
    pub name: String,
    pub function: String,
    pub version: u64,
    pub input: String,
    pub trace: Option<String>,
    pub status: String,
    pub started: i64,
    pub ended: Option<i64>,
    pub result: Option<String>,
    pub fault: Option<Fault>,
    pub timeout_seconds: i64,
    pub retention_days: i32,
    pub operations: Vec<Op>,
    pub history: Vec<Happened>,
    /// How often it was invoked: what a checkpoint token is good for.
    pub invocations: u64,
    /// There is something to go on with.
    pub wake: bool,
    /// The function runs; after a restart, it did.
    pub running: bool,
    /// The number of the last change, and of the last one that the running function was told.
    pub changes: u64,
    pub told: u64,
    /// Asked for, and not taken back.
    #[serde(default)]
    pub pause: Option<Pause>,
    /// How many milliseconds its time did not pass.
    #[serde(default)]
    pub stood_still: i64,
}

impl Record for Execution {
    const TABLE: &'static str = "lambda.durable";
}

/// Which execution a name means. Key: account, region, function, version, name.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct ExecutionName {
    pub id: String,
}

impl Record for ExecutionName {
    const TABLE: &'static str = "lambda.durable-names";
}

pub(crate) fn execution_key(cx: &Context, function: &str, id: &str) -> Key {
    named_key(cx, function).text(id)
}

pub(crate) fn name_key(cx: &Context, execution: &Execution) -> Key {
    named_key(cx, &execution.function).number(execution.version).text(&execution.name)
}

/// Where an execution is looked at.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Task {
    pub account: String,
    pub region: String,
    pub function: String,
    pub id: String,
    /// The call of another function that is to be made.
    pub operation: Option<String>,
}

impl Task {
    pub(crate) fn of(cx: &Context, execution: &Execution) -> Self {
        Self {
            account: cx.account.to_string(),
            region: cx.region.to_string(),
            function: execution.function.clone(),
            id: execution.id.clone(),
            operation: None,
        }
    }

    pub(crate) fn message(&self, at: i64) -> Message {
        let operation = self.operation.as_deref().unwrap_or_default();
        Message {
            queue: QUEUE.to_owned(),
            group: format!("{}:{}:{operation}", self.function, self.id),
            payload: serde_json::to_vec(self).unwrap_or_default(),
            not_before: u64::try_from(at).unwrap_or(0),
            ..Message::default()
        }
    }
}

impl Execution {
    pub(crate) fn arn(&self, cx: &Context) -> String {
        let version = crate::names::version_name(self.version);
        let resource =
            format!("function:{}:{version}/durable-execution/{}/{}", self.function, self.name, self.id);
        cx.arn("lambda", format_args!("{resource}"))
    }

    /// What the function shows when it checkpoints.
    pub(crate) fn token(&self) -> String {
        STANDARD.encode(format!("{}:{}", self.id, self.invocations))
    }

    /// What somebody shows who completes a callback.
    pub(crate) fn callback_id(&self, cx: &Context, operation: &str) -> String {
        let parts = [&*cx.account, &*cx.region, &self.function, &self.id, operation];
        STANDARD.encode(parts.join("\n"))
    }

    /// Ends it, unless it has ended.
    pub(crate) fn end(&mut self, status: &str, result: Option<String>, fault: Option<Fault>, now: i64) {
        if self.ended.is_some() {
            return;
        }
        let kind = match status {
            "SUCCEEDED" => "ExecutionSucceeded",
            "TIMED_OUT" => "ExecutionTimedOut",
            "STOPPED" => "ExecutionStopped",
            _ => "ExecutionFailed",
        };
        self.history.push(Happened {
            kind: kind.to_owned(),
            at: now,
            payload: result.clone(),
            fault: fault.clone(),
            ..Happened::default()
        });
        (self.status, self.ended, self.result, self.fault) = (status.to_owned(), Some(now), result, fault);
        if let Some(first) = self.operations.first_mut() {
            (first.status, first.ended) = (status.to_owned(), Some(now));
        }
        (self.wake, self.pause) = (false, None);
    }

    /// When it is deleted.
    pub(crate) fn expires(&self) -> Option<i64> {
        Some(self.ended? + i64::from(self.retention_days) * 24 * 3600 * 1000)
    }

    fn bytes(&self) -> usize {
        let of = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        self.input.len() + self.operations.iter().map(|o| of(&o.result) + of(&o.input)).sum::<usize>()
    }
}

/// The parts of an execution's ARN that say where it is: account, region, function, id.
pub(crate) fn parse_arn(arn: &str) -> Option<(String, String, String, String)> {
    let parsed = cloudlet_service::Arn::parse(arn).filter(|a| a.service == "lambda")?;
    let (function, rest) = parsed.resource.strip_prefix("function:")?.split_once(':')?;
    let id = rest.split_once("/durable-execution/")?.1.split_once('/')?.1;
    Some((parsed.account.to_owned(), parsed.region.to_owned(), function.to_owned(), id.to_owned()))
}

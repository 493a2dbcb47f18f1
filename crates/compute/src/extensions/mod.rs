//! Extensions: programs beside a function's runtime that are told about its life, in the same sandbox.
//!
//! Source: "Using the Lambda Extensions API to create extensions", API version 2020-01-01. External extensions are the
//! executables in /opt/extensions; internal ones are parts of the runtime's own process.

pub(crate) mod http;
pub(crate) mod telemetry;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::{FunctionSpec, Invocation};
use telemetry::Telemetry;

/// Lambda quotas: extensions of a function.
pub(crate) const MOST: usize = 10;
/// Lambda's time for extensions to end: two seconds with external ones.
pub(crate) const FAREWELL: Duration = Duration::from_secs(2);

/// The extensions of one sandbox.
pub(crate) struct Extensions {
    /// What they are told about their function.
    about: Value,
    account: String,
    /// External ones that are started; they are waited for.
    expected: Vec<String>,
    state: Mutex<State>,
    /// Something has changed for who waits.
    changed: Notify,
    pub(crate) telemetry: Telemetry,
}

#[derive(Default)]
struct State {
    /// The init phase is over: nobody can register any more.
    closed: bool,
    agents: Vec<Agent>,
    failure: Option<Failure>,
}

/// What an extension did wrong: the function fails for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) kind: String,
    pub(crate) message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Registered,
    /// It waits for its next event.
    Ready,
    /// It has one that it works on.
    Working,
    /// It said that it cannot go on, or its process ended.
    Over,
}

struct Agent {
    id: String,
    name: String,
    external: bool,
    invoke: bool,
    shutdown: bool,
    phase: Phase,
    events: VecDeque<Value>,
}

/// Executables in the `extensions` folder of the layers: their names.
pub(crate) fn external(opt: Option<&Path>) -> Vec<String> {
    let Some(opt) = opt else { return vec![] };
    let mut names: Vec<String> = std::fs::read_dir(opt.join("extensions"))
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names.truncate(MOST);
    names
}

impl Extensions {
    pub(crate) fn new(spec: &FunctionSpec, expected: Vec<String>, telemetry: Telemetry) -> Arc<Self> {
        Arc::new(Self {
            about: json!({
                "functionName": spec.name,
                "functionVersion": spec.version,
                "handler": spec.handler,
            }),
            account: spec.account.clone(),
            expected,
            state: Mutex::default(),
            changed: Notify::new(),
            telemetry,
        })
    }

    /// Whether there is anybody to wait for or to tell.
    pub(crate) fn any(&self) -> bool {
        !self.expected.is_empty() || !self.state.lock().agents.is_empty()
    }

    /// What an extension did wrong, if one did.
    pub(crate) fn failure(&self) -> Option<Failure> {
        self.state.lock().failure.clone()
    }

    /// Waits until every extension waits for its next event, or one has failed.
    pub(crate) async fn settled(&self) {
        loop {
            let change = self.changed.notified();
            {
                let state = self.state.lock();
                let there =
                    |name: &String| state.agents.iter().any(|agent| agent.external && agent.name == *name);
                let idle = |agent: &Agent| {
                    let unasked = agent.phase != Phase::Registered && !agent.invoke;
                    matches!(agent.phase, Phase::Ready | Phase::Over) || unasked
                };
                let all = self.expected.iter().all(there) && state.agents.iter().all(idle);
                if all || state.failure.is_some() {
                    return;
                }
            }
            change.await;
        }
    }

    /// The init phase is over. Gives the line that Lambda logs about each extension.
    pub(crate) fn close(&self) -> Vec<String> {
        let mut state = self.state.lock();
        if std::mem::replace(&mut state.closed, true) {
            return vec![];
        }
        state.agents.iter().map(Agent::line).collect()
    }

    /// Tells those who asked for it about a call.
    pub(crate) fn invoke(&self, call: &Invocation, deadline: SystemTime) {
        let mut event = json!({
            "eventType": "INVOKE",
            "deadlineMs": millis(deadline),
            "requestId": call.request_id,
            "invokedFunctionArn": call.invoked_arn,
        });
        if let Some(trace) = &call.trace_id {
            event["tracing"] = json!({"type": "X-Amzn-Trace-Id", "value": trace});
        }
        self.tell(|agent| agent.invoke, &event);
    }

    /// Whether somebody wants to know about the end.
    pub(crate) fn wants_farewell(&self) -> bool {
        self.state.lock().agents.iter().any(|agent| agent.shutdown && agent.phase != Phase::Over)
    }

    /// Tells them about the end, and waits until they have ended or their time is up.
    pub(crate) async fn farewell(&self, reason: &str) {
        let deadline = SystemTime::now() + FAREWELL;
        let event = json!({
            "eventType": "SHUTDOWN",
            "shutdownReason": reason,
            "deadlineMs": millis(deadline),
        });
        self.tell(|agent| agent.shutdown, &event);
        let _ = tokio::time::timeout(FAREWELL, async {
            loop {
                let change = self.changed.notified();
                if !self.wants_farewell() {
                    return;
                }
                change.await;
            }
        })
        .await;
    }

    fn tell(&self, whom: impl Fn(&Agent) -> bool, event: &Value) {
        let mut state = self.state.lock();
        for agent in state.agents.iter_mut().filter(|agent| whom(agent) && agent.phase != Phase::Over) {
            agent.phase = Phase::Working;
            agent.events.push_back(event.clone());
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// The process of an external extension has ended. Unless it was told to, that is a failure of the function.
    pub(crate) fn ended(&self, name: &str, words: &str, expected: bool) {
        let mut state = self.state.lock();
        for agent in state.agents.iter_mut().filter(|agent| agent.external && agent.name == name) {
            agent.phase = Phase::Over;
        }
        if !expected && state.failure.is_none() {
            state.failure = Some(Failure { kind: "Extension.Crash".to_owned(), message: words.to_owned() });
        }
        drop(state);
        self.changed.notify_waiters();
    }
}

impl Agent {
    /// `EXTENSION Name: …`, as Lambda logs it when the init phase is over.
    fn line(&self) -> String {
        let mut events = Vec::new();
        if self.invoke {
            events.push("INVOKE");
        }
        if self.shutdown {
            events.push("SHUTDOWN");
        }
        let state = match self.phase {
            Phase::Registered => "Registered",
            Phase::Ready | Phase::Working => "Ready",
            Phase::Over => "Exited",
        };
        format!("EXTENSION\tName: {}\tState: {state}\tEvents: [{}]", self.name, events.join(", "))
    }
}

fn millis(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

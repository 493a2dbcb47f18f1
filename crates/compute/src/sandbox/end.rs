//! How calls and sandboxes come to an end, in Lambda's words.

use bytes::Bytes;
use serde_json::json;

use crate::extensions::Failure;
use crate::warden::protocol::{Exit, Status as ExitStatus};

/// Why the handler could not be loaded.
#[derive(Debug)]
pub(crate) struct InitFailure {
    pub(super) kind: String,
    pub(super) payload: Option<Bytes>,
    pub(super) message: String,
    pub(super) end: Option<End>,
}

impl InitFailure {
    pub(crate) fn new(kind: &str, message: &str) -> Self {
        Self { kind: kind.to_owned(), payload: None, message: message.to_owned(), end: None }
    }
}

/// How a sandbox came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    OutOfMemory,
    Code(i32),
    Signal(i32),
    Killed,
}

impl End {
    pub(crate) fn of(exit: &Exit) -> Self {
        match exit.status {
            _ if exit.oom => Self::OutOfMemory,
            Some(ExitStatus::Code(code)) => Self::Code(code),
            Some(ExitStatus::Signal(signal)) => Self::Signal(signal),
            None => Self::Killed,
        }
    }

    /// As Lambda says it.
    pub(crate) fn words(self) -> String {
        match self {
            Self::OutOfMemory | Self::Killed => "Runtime exited with error: signal: killed".to_owned(),
            Self::Code(0) => "Runtime exited without providing a reason".to_owned(),
            Self::Code(code) => format!("Runtime exited with error: exit status {code}"),
            Self::Signal(signal) => format!("Runtime exited with error: signal: {}", signal_name(signal)),
        }
    }

    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::OutOfMemory => "Runtime.OutOfMemory",
            _ => "Runtime.ExitError",
        }
    }
}

/// The names that Go's syscall package gives them, which Lambda prints.
pub(super) fn signal_name(signal: i32) -> String {
    match signal {
        1 => "hangup",
        2 => "interrupt",
        3 => "quit",
        4 => "illegal instruction",
        5 => "trace/breakpoint trap",
        6 => "aborted",
        7 => "bus error",
        8 => "floating point exception",
        9 => "killed",
        10 => "user defined signal 1",
        11 => "segmentation fault",
        12 => "user defined signal 2",
        13 => "broken pipe",
        14 => "alarm clock",
        15 => "terminated",
        other => return format!("signal {other}"),
    }
    .to_owned()
}

/// What one call came to, inside.
pub(super) enum Outcome {
    Answer(Bytes),
    Failure {
        kind: String,
        payload: Bytes,
    },
    TooLarge(usize),
    Ended(End),
    /// An extension went wrong, and the function with it.
    Extension(Failure),
    TimedOut,
}

impl InitFailure {
    pub(super) fn outcome(self, request_id: &str) -> Outcome {
        if let Some(end) = self.end {
            return Outcome::Ended(end);
        }
        if self.kind == "Sandbox.Timedout" {
            return Outcome::TimedOut;
        }
        let payload = self.payload.unwrap_or_else(|| {
            let message = format!("RequestId: {request_id} Error: {}", self.message);
            Bytes::from(json!({"errorType": self.kind, "errorMessage": message}).to_string())
        });
        Outcome::Failure { kind: self.kind, payload }
    }
}

//! Executions that are kept from going on for a while.
//!
//! Source: Developer Guide, "Pausing and resuming durable executions".

use super::{Execution, Happened};
use serde::{Deserialize, Serialize};

/// Later than any execution lasts: the end of one whose time stands still.
const NEVER: i64 = i64::MAX >> 16;

/// A pause that was asked for.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub(crate) struct Pause {
    pub asked: i64,
    pub reason: Option<String>,
    /// Whether the execution's time stands still meanwhile.
    pub stops_time: bool,
    /// Since when nothing runs; none while an invocation goes on to its next checkpoint.
    pub since: Option<i64>,
    /// What makes a repeated request the same.
    pub token: Option<String>,
}

impl Execution {
    /// When its time is over.
    pub(crate) fn deadline(&self) -> i64 {
        match &self.pause {
            Some(pause) if pause.stops_time && pause.since.is_some() => NEVER,
            _ => self.started + self.timeout_seconds * 1000 + self.stood_still,
        }
    }

    /// Asks for a pause, which begins once nothing runs.
    pub(crate) fn ask_pause(&mut self, pause: Pause, now: i64) {
        self.status = "PAUSING".to_owned();
        self.pause = Some(pause);
        if !self.running {
            self.begin_pause(now);
        }
    }

    /// Begins the pause that was asked for, if there is one. What ran is invoked again after it.
    pub(crate) fn begin_pause(&mut self, now: i64) {
        let Some(pause) = self.pause.as_mut().filter(|pause| pause.since.is_none()) else { return };
        pause.since = Some(now);
        let happened = Happened {
            kind: "ExecutionPaused".to_owned(),
            at: now,
            payload: pause.reason.clone(),
            asked: Some((pause.asked, pause.stops_time)),
            ..Happened::default()
        };
        self.status = "PAUSED".to_owned();
        self.history.push(happened);
        if self.running {
            (self.running, self.wake) = (false, true);
            // What is still running has nothing to say any more.
            self.invocations += 1;
        }
    }

    /// Ends a pause, or takes it back before it began.
    pub(crate) fn resume(&mut self, reason: Option<String>, now: i64) {
        let Some(pause) = self.pause.take() else { return };
        self.status = "RUNNING".to_owned();
        let Some(since) = pause.since else { return };
        if pause.stops_time {
            self.stood_still += now - since;
        }
        self.history.push(Happened {
            kind: "ExecutionResumed".to_owned(),
            at: now,
            payload: reason,
            asked: Some((now, false)),
            ..Happened::default()
        });
    }
}

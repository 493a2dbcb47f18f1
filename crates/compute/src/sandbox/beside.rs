//! What a sandbox does with the extensions of its function.

use std::io;
use std::time::{Instant, SystemTime};

use serde_json::json;

use super::Sandbox;
use super::end::{InitFailure, Outcome};
use crate::capture::Capture;
use crate::output::Writer;
use crate::report;

impl Sandbox {
    /// Waits until every extension waits for its next event.
    pub(super) async fn settle(&mut self, deadline: Instant) -> Result<(), Outcome> {
        let extensions = self.extensions.clone();
        let settled = extensions.settled();
        tokio::pin!(settled);
        loop {
            tokio::select! {
                () = &mut settled => break,
                event = self.events.recv() => if let Some(outcome) = self.ended_by(event) {
                    return Err(outcome);
                },
                lines = read(&mut self.beside) => self.put_beside(lines, deadline).await,
                () = tokio::time::sleep_until(deadline.into()) => return Err(Outcome::TimedOut),
            }
        }
        match self.extensions.failure() {
            Some(why) => Err(Outcome::Extension(why)),
            None => Ok(()),
        }
    }

    pub(crate) fn has_extensions(&self) -> bool {
        self.extensions.any()
    }

    /// Lets extensions finish what they do about the last call, which is answered already. Gives whether the sandbox can
    /// take another.
    pub(crate) async fn finish(&mut self) -> bool {
        let settled = self.settle(self.until).await;
        self.take_output().await;
        match settled {
            Ok(()) => true,
            Err(Outcome::TimedOut) => {
                self.handle.reason = "timeout";
                false
            }
            Err(_) => {
                self.handle.reason = "failure";
                false
            }
        }
    }

    /// What Lambda logs about extensions and tells subscribers once the init phase is over.
    pub(super) fn tell_init(&mut self, begin: Instant, failure: Option<&InitFailure>) {
        let lines = self.extensions.close();
        let now = SystemTime::now();
        for line in &lines {
            self.output.hold(report::extension(&self.spec, line, now));
        }
        let telemetry = &self.extensions.telemetry;
        if !telemetry.is_heard() {
            return;
        }
        let took = begin.elapsed();
        let kind = &self.spec.initialization_type;
        let status = if failure.is_some() { "error" } else { "success" };
        let start = json!({"initializationType": kind, "phase": "init", "functionName": self.spec.name, "functionVersion": self.spec.version});
        telemetry.tell("platform", "platform.initStart", now - took, start);
        let done = json!({"initializationType": kind, "phase": "init", "status": status});
        telemetry.tell("platform", "platform.initRuntimeDone", now, done);
        for line in &lines {
            telemetry.tell("platform", "platform.extension", now, report::extension_record(line));
        }
        let metrics = json!({"durationMs": report::rounded(took)});
        let report =
            json!({"initializationType": kind, "phase": "init", "status": status, "metrics": metrics});
        telemetry.tell("platform", "platform.initReport", now, report);
    }

    /// Lines of extensions. At the end of their output there is nothing to read any more.
    pub(super) async fn put_beside(
        &mut self,
        lines: io::Result<Option<Vec<crate::LogLine>>>,
        deadline: Instant,
    ) {
        match lines {
            Ok(Some(lines)) => {
                let put = self.output.put(lines, Writer::Extension);
                let _ = tokio::time::timeout_at(deadline.into(), put).await;
            }
            Ok(None) | Err(_) => self.beside = None,
        }
    }
}

/// Lines of an output that may not be there.
pub(super) async fn read(capture: &mut Option<Capture>) -> io::Result<Option<Vec<crate::LogLine>>> {
    match capture {
        Some(capture) => capture.read().await,
        None => std::future::pending().await,
    }
}

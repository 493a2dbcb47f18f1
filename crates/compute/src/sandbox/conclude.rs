//! From the outcome of a call to what its caller gets and its log says.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde_json::json;

use super::end::Outcome;
use super::{Link, Sandbox};
use crate::frames::MAX_RESPONSE;
use crate::report::{self, Report, Status};
use crate::{FunctionError, Invocation, InvokeResult, Phases};

impl Sandbox {
    pub(super) async fn conclude(
        &mut self,
        call: Invocation,
        outcome: Outcome,
        elapsed: Duration,
        queued: Duration,
    ) -> InvokeResult {
        let id = &call.request_id;
        let now = SystemTime::now();
        let fail = |kind: &str, message: String| {
            let object =
                json!({"errorType": kind, "errorMessage": format!("RequestId: {id} Error: {message}")});
            (Bytes::from(object.to_string()), Some(kind.to_owned()))
        };
        let mut platform_error = None;
        self.output.settle();
        let (payload, error_type) = match outcome {
            Outcome::Answer(payload) => (payload, None),
            Outcome::Failure { kind, payload } => (payload, Some(kind)),
            Outcome::TooLarge(size) => {
                let kind = "Function.ResponseSizeTooLarge";
                let message = format!(
                    "Response payload size exceeded maximum allowed payload size ({MAX_RESPONSE} bytes)."
                );
                let notice = format!("RequestId: {id} Error: {message} It had {size} bytes.");
                self.output.hold(report::notice(&self.spec, id, &notice, now));
                let object = json!({"errorType": kind, "errorMessage": message});
                (Bytes::from(object.to_string()), Some(kind.to_owned()))
            }
            Outcome::TimedOut => {
                let message = format!("Task timed out after {:.2} seconds", self.spec.timeout.as_secs_f64());
                let line = format!("{} {id} {message}\n", report::timestamp(now));
                self.output.hold(report::notice(&self.spec, id, line.trim_end(), now));
                fail("Sandbox.Timedout", message)
            }
            Outcome::Extension(why) => {
                let line = format!("RequestId: {id} Error: {}\n{}", why.message, why.kind);
                self.output.hold(report::notice(&self.spec, id, &line, now));
                fail(&why.kind, why.message)
            }
            Outcome::Ended(end) => {
                let line = format!("RequestId: {id} Error: {}\n{}", end.words(), end.kind());
                self.output.hold(report::notice(&self.spec, id, &line, now));
                platform_error = Some(end.kind());
                fail(end.kind(), end.words())
            }
        };
        let status = match (&error_type, platform_error) {
            (_, Some(kind)) => Status::Error(kind),
            (Some(kind), _) if kind == "Sandbox.Timedout" => Status::Timeout,
            _ => Status::Success,
        };
        if let Some(Link::Frames(frames)) = &self.link {
            self.max_memory_kb = self.max_memory_kb.max(frames.peak_kb);
        }
        let max_memory_mb = (self.max_memory_kb.div_ceil(1024) as u32).clamp(1, self.spec.memory_mb.max(1));
        let init = self.init_duration.take();
        let billed = report::billed(elapsed + init.unwrap_or_default());
        let figures = Report {
            request_id: id,
            duration: elapsed,
            billed,
            memory_mb: self.spec.memory_mb,
            max_memory_mb,
            init,
            status,
        };
        let telemetry = &self.extensions.telemetry;
        if telemetry.is_heard() {
            let mut done = figures.json();
            let metrics = json!({"durationMs": report::rounded(elapsed), "producedBytes": payload.len()});
            done["metrics"] = metrics;
            telemetry.tell("platform", "platform.runtimeDone", now, done);
            telemetry.tell("platform", "platform.report", now, figures.json());
        }
        for line in report::end(&self.spec, &figures, now) {
            self.output.hold(line);
        }
        let _ = tokio::time::timeout(Duration::from_secs(30), self.output.flush()).await;
        let phases = std::mem::take(&mut self.phases);
        InvokeResult {
            payload,
            function_error: error_type.is_some().then_some(FunctionError::Unhandled),
            error_type,
            log_tail: self.output.take_tail(),
            duration: elapsed,
            billed,
            init,
            max_memory_mb,
            phases: Phases { queue: queued, handler: elapsed, ..phases },
            sandbox: self.handle.id.to_string(),
            log_stream: self.output.stream.stream.clone(),
        }
    }
}

//! What an update does to an operation, and what time does to those that wait.

use super::{Execution, Fault, Happened, MOST_BYTES, MOST_OPERATIONS, Op};
use crate::errors::invalid;
use cloudlet_api_lambda::{ErrorObject, OperationUpdate};
use cloudlet_service::Error;

pub(crate) fn fault(error: Option<ErrorObject>) -> Option<Fault> {
    error.map(|e| Fault {
        message: e.error_message,
        kind: e.error_type,
        data: e.error_data,
        stack: e.stack_trace,
    })
}

impl Execution {
    /// Applies an update. Gives whether another function is to be called for it.
    ///
    /// Errors: `InvalidParameterValueException`.
    pub(crate) fn update(&mut self, update: &OperationUpdate, now: i64) -> Result<bool, Error> {
        if self.ended.is_some() {
            return Err(invalid("The durable execution has already ended."));
        }
        let error = fault(update.error.clone());
        if update.r#type == "EXECUTION" {
            match update.action.as_str() {
                "SUCCEED" => self.end("SUCCEEDED", update.payload.clone(), None, now),
                "FAIL" => self.end("FAILED", None, error, now),
                _ => return Err(no_action(update)),
            }
            return Ok(false);
        }
        let place = self.operations.iter().position(|o| o.id == update.id);
        if update.action == "START" {
            return self.start(place, update, now);
        }
        let place = place.ok_or_else(|| invalid(format!("Operation {} has not been started.", update.id)))?;
        self.changes += 1;
        let change = self.changes;
        let Some(op) = self.operations.get_mut(place) else { return Ok(false) };
        if op.kind != update.r#type || op.ended.is_some() {
            return Err(no_action(update));
        }
        op.change = change;
        let happened = match (op.kind.as_str(), update.action.as_str()) {
            ("STEP" | "CONTEXT", "SUCCEED") => {
                op.finish("SUCCEEDED", update.payload.clone(), None, now);
                op.replay_children =
                    update.context_options.as_ref().and_then(|c| c.replay_children).unwrap_or(false);
                "Succeeded"
            }
            ("STEP" | "CONTEXT", "FAIL") => {
                op.finish("FAILED", None, error, now);
                "Failed"
            }
            ("STEP", "RETRY") => {
                let seconds =
                    update.step_options.as_ref().and_then(|s| s.next_attempt_delay_seconds).unwrap_or(1);
                op.status = "PENDING".to_owned();
                op.attempt += 1;
                op.due = Some(now + i64::from(seconds) * 1000);
                (op.fault, op.result) = (error, update.payload.clone());
                "Failed"
            }
            ("WAIT", "CANCEL") => {
                op.finish("CANCELLED", None, error, now);
                "Cancelled"
            }
            _ => return Err(no_action(update)),
        };
        let op = op.clone();
        self.happened(&op, happened, now);
        Ok(false)
    }

    fn start(&mut self, place: Option<usize>, update: &OperationUpdate, now: i64) -> Result<bool, Error> {
        self.changes += 1;
        let change = self.changes;
        if let Some(op) = place.and_then(|at| self.operations.get_mut(at)) {
            // Another attempt of a step whose time has come.
            if op.kind != "STEP" || op.kind != update.r#type || op.ended.is_some() {
                return Err(no_action(update));
            }
            (op.status, op.due, op.change) = ("STARTED".to_owned(), None, change);
            let op = op.clone();
            self.happened(&op, "Started", now);
            return Ok(false);
        }
        if self.operations.len() >= MOST_OPERATIONS || self.bytes() >= MOST_BYTES {
            return Err(invalid(format!(
                "The durable execution has more than {MOST_OPERATIONS} operations or {MOST_BYTES} bytes."
            )));
        }
        let mut op = Op {
            id: update.id.clone(),
            parent: update.parent_id.clone(),
            name: update.name.clone(),
            kind: update.r#type.clone(),
            sub_kind: update.sub_type.clone(),
            status: "STARTED".to_owned(),
            started: now,
            change,
            ..Op::default()
        };
        let after = |seconds: i32| now + i64::from(seconds) * 1000;
        match op.kind.as_str() {
            "STEP" | "CONTEXT" => {}
            "WAIT" => {
                let seconds = update.wait_options.as_ref().and_then(|w| w.wait_seconds);
                op.due = Some(after(seconds.ok_or_else(|| invalid("WaitOptions.WaitSeconds is missing."))?));
            }
            "CALLBACK" => {
                let options = update.callback_options.clone().unwrap_or_default();
                op.due = options.timeout_seconds.filter(|s| *s > 0).map(after);
                op.heartbeat_seconds = options.heartbeat_timeout_seconds.filter(|s| *s > 0).map(i64::from);
                op.silent = op.heartbeat_seconds.map(|s| now + s * 1000);
            }
            "CHAINED_INVOKE" => {
                let options = update.chained_invoke_options.as_ref();
                let function = options.map(|o| o.function_name.clone());
                op.function = Some(function.ok_or_else(|| invalid("ChainedInvokeOptions is missing."))?);
                op.input = update.payload.clone();
            }
            _ => return Err(no_action(update)),
        }
        self.happened(&op, "Started", now);
        let calls = op.kind == "CHAINED_INVOKE";
        self.operations.push(op);
        Ok(calls)
    }

    /// Ends an operation from outside, as long as it runs; the function can go on.
    pub(crate) fn complete(
        &mut self,
        id: &str,
        status: &str,
        result: Option<String>,
        fault: Option<Fault>,
        now: i64,
    ) -> bool {
        self.changes += 1;
        let change = self.changes;
        let Some(op) = self.operations.iter_mut().find(|o| o.id == id && o.ended.is_none()) else {
            return false;
        };
        op.finish(status, result, fault, now);
        op.change = change;
        let op = op.clone();
        let suffix = match status {
            "SUCCEEDED" => "Succeeded",
            "TIMED_OUT" => "TimedOut",
            _ => "Failed",
        };
        self.happened(&op, suffix, now);
        self.wake = true;
        true
    }

    /// What has come about by time alone.
    pub(crate) fn settle(&mut self, now: i64) {
        if self.ended.is_some() {
            return;
        }
        if now >= self.deadline() {
            return self.end("TIMED_OUT", None, None, now);
        }
        let late = |op: &&Op| op.ended.is_none() && op.next().is_some_and(|at| now >= at);
        let due: Vec<(String, String)> =
            self.operations.iter().filter(late).map(|o| (o.id.clone(), o.kind.clone())).collect();
        for (id, kind) in due {
            match kind.as_str() {
                "WAIT" => {
                    self.complete(&id, "SUCCEEDED", None, None, now);
                }
                "CALLBACK" => {
                    let message = Some("Callback timed out".to_owned());
                    let fault =
                        Fault { message, kind: Some("Callback.Timeout".to_owned()), ..Fault::default() };
                    self.complete(&id, "TIMED_OUT", None, Some(fault), now);
                }
                _ => {
                    self.changes += 1;
                    let change = self.changes;
                    if let Some(op) = self.operations.iter_mut().find(|o| o.id == id) {
                        (op.status, op.due, op.change) = ("READY".to_owned(), None, change);
                    }
                    self.wake = true;
                }
            }
        }
    }

    /// When time will bring something about.
    pub(crate) fn next(&self) -> i64 {
        let end = self.deadline();
        self.operations.iter().filter(|o| o.ended.is_none()).filter_map(Op::next).fold(end, i64::min)
    }

    /// Whether something is under way that will let the function go on.
    pub(crate) fn waits(&self) -> bool {
        let waits = |op: &Op| {
            op.ended.is_none()
                && (matches!(op.kind.as_str(), "WAIT" | "CALLBACK" | "CHAINED_INVOKE") || op.due.is_some())
        };
        self.wake || self.operations.iter().any(waits)
    }

    fn happened(&mut self, op: &Op, suffix: &str, now: i64) {
        let kind = match op.kind.as_str() {
            "STEP" => "Step",
            "WAIT" => "Wait",
            "CALLBACK" => "Callback",
            "CHAINED_INVOKE" => "ChainedInvoke",
            _ => "Context",
        };
        self.history.push(Happened {
            kind: format!("{kind}{suffix}"),
            at: now,
            id: Some(op.id.clone()),
            parent: op.parent.clone(),
            name: op.name.clone(),
            sub_kind: op.sub_kind.clone(),
            payload: if suffix == "Started" { op.input.clone() } else { op.result.clone() },
            fault: op.fault.clone(),
            function: op.function.clone(),
            attempt: op.attempt,
            seconds: op.due.map(|due| (due - now) / 1000).or_else(|| Some((now - op.started) / 1000)),
            until: op.due,
            heartbeat_seconds: op.heartbeat_seconds,
            request: None,
            asked: None,
        });
    }
}

impl Op {
    fn next(&self) -> Option<i64> {
        self.due.into_iter().chain(self.silent).min()
    }

    fn finish(&mut self, status: &str, result: Option<String>, fault: Option<Fault>, now: i64) {
        (self.status, self.ended, self.result, self.fault) = (status.to_owned(), Some(now), result, fault);
        (self.due, self.silent) = (None, None);
    }
}

fn no_action(update: &OperationUpdate) -> Error {
    invalid(format!(
        "Invalid action {} for operation {} of type {}.",
        update.action, update.id, update.r#type
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cloudlet_api_lambda::{CallbackOptions, StepOptions, WaitOptions};

    fn update(id: &str, kind: &str, action: &str) -> OperationUpdate {
        OperationUpdate { id: id.into(), r#type: kind.into(), action: action.into(), ..Default::default() }
    }

    fn execution() -> Execution {
        Execution { status: "RUNNING".into(), timeout_seconds: 3600, ..Execution::default() }
    }

    #[test]
    fn a_wait_ends_by_itself() {
        let mut e = execution();
        let wait = OperationUpdate {
            wait_options: Some(WaitOptions { wait_seconds: Some(5) }),
            ..update("w", "WAIT", "START")
        };
        e.update(&wait, 0).unwrap();
        assert!(e.waits() && e.next() == 5000);
        e.settle(4999);
        assert!(!e.wake);
        e.settle(5000);
        assert!(
            e.wake
                && e.operations[0].status == "SUCCEEDED"
                && e.history.last().unwrap().kind == "WaitSucceeded"
        );
        assert!(e.update(&wait, 6000).is_err());
    }

    #[test]
    fn a_step_is_tried_again() {
        let mut e = execution();
        e.update(&update("s", "STEP", "START"), 0).unwrap();
        assert!(!e.waits());
        let again = OperationUpdate {
            step_options: Some(StepOptions { next_attempt_delay_seconds: Some(2) }),
            ..update("s", "STEP", "RETRY")
        };
        e.update(&again, 1000).unwrap();
        assert_eq!(
            (e.operations[0].status.as_str(), e.operations[0].attempt, e.next()),
            ("PENDING", 1, 3000)
        );
        e.settle(3000);
        assert!(e.wake && e.operations[0].status == "READY");
        e.update(&update("s", "STEP", "START"), 3000).unwrap();
        let done = OperationUpdate { payload: Some("1".into()), ..update("s", "STEP", "SUCCEED") };
        e.update(&done, 3000).unwrap();
        assert_eq!(e.operations[0].result.as_deref(), Some("1"));
        assert!(e.update(&done, 3000).is_err());
    }

    #[test]
    fn silence_and_time_end_what_waits() {
        let mut e = execution();
        let options = CallbackOptions { timeout_seconds: Some(60), heartbeat_timeout_seconds: Some(10) };
        e.update(&OperationUpdate { callback_options: Some(options), ..update("c", "CALLBACK", "START") }, 0)
            .unwrap();
        e.settle(10_000);
        assert_eq!(e.operations[0].status, "TIMED_OUT");
        e.settle(3_600_000);
        assert_eq!(e.status, "TIMED_OUT");
        assert!(e.update(&update("x", "STEP", "START"), 0).is_err());
    }
}

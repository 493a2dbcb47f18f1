//! Executions as answers show them, and as the function is given them.

use super::{Execution, Fault, Happened, Op};
use cloudlet_api_lambda::*;
use cloudlet_service::Context;
use serde_json::{Map, Value, json};

/// The most bytes of operations that an invocation is given at once; it asks for the rest.
const MOST_AT_ONCE: usize = 4 * 1024 * 1024;

/// What the function is invoked with.
pub(super) fn payload(cx: &Context, execution: &Execution) -> Value {
    let (operations, next) = page(execution, 0, usize::MAX);
    let operations: Vec<Value> = operations.iter().map(|op| told(cx, execution, op)).collect();
    json!({
        "DurableExecutionArn": execution.arn(cx),
        "CheckpointToken": execution.token(),
        "InitialExecutionState": {
            "Operations": operations,
            "NextMarker": next.map(|n| n.to_string()).unwrap_or_default(),
        },
    })
}

/// Operations from one on, as many as fit; where the next page begins.
pub(crate) fn page(execution: &Execution, from: usize, most: usize) -> (Vec<&Op>, Option<usize>) {
    let (mut page, mut bytes) = (Vec::new(), 0);
    for (at, op) in execution.operations.iter().enumerate().skip(from) {
        let size =
            512 + op.result.as_ref().map_or(0, String::len) + if at == 0 { execution.input.len() } else { 0 };
        if !page.is_empty() && (page.len() >= most || bytes + size > MOST_AT_ONCE) {
            return (page, Some(at));
        }
        bytes += size;
        page.push(op);
    }
    (page, None)
}

fn fault_json(fault: &Fault) -> Value {
    let mut out = Map::new();
    let parts = [("ErrorMessage", &fault.message), ("ErrorType", &fault.kind), ("ErrorData", &fault.data)];
    for (name, value) in parts {
        if let Some(value) = value {
            out.insert(name.to_owned(), json!(value));
        }
    }
    if let Some(stack) = &fault.stack {
        out.insert("StackTrace".to_owned(), json!(stack));
    }
    Value::Object(out)
}

/// An operation in the function's event: times are milliseconds there.
fn told(cx: &Context, execution: &Execution, op: &Op) -> Value {
    let mut out = json!({ "Id": op.id, "Type": op.kind, "Status": op.status, "StartTimestamp": op.started });
    let mut details = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            details.insert(name.to_owned(), value);
        }
    };
    put("Result", op.result.as_ref().map(|r| json!(r)));
    put("Error", op.fault.as_ref().map(fault_json));
    let name = match op.kind.as_str() {
        "EXECUTION" => {
            put("InputPayload", Some(json!(execution.input)));
            "ExecutionDetails"
        }
        "STEP" => {
            put("Attempt", Some(json!(op.attempt)));
            put("NextAttemptTimestamp", op.due.map(|at| json!(at)));
            "StepDetails"
        }
        "WAIT" => {
            put("ScheduledEndTimestamp", op.due.map(|at| json!(at)));
            "WaitDetails"
        }
        "CALLBACK" => {
            put("CallbackId", Some(json!(execution.callback_id(cx, &op.id))));
            "CallbackDetails"
        }
        "CHAINED_INVOKE" => "ChainedInvokeDetails",
        _ => {
            put("ReplayChildren", op.replay_children.then(|| json!(true)));
            "ContextDetails"
        }
    };
    out[name] = Value::Object(details);
    let more = [("ParentId", &op.parent), ("Name", &op.name), ("SubType", &op.sub_kind)];
    for (name, value) in more {
        if let Some(value) = value {
            out[name] = json!(value);
        }
    }
    if let Some(ended) = op.ended {
        out["EndTimestamp"] = json!(ended);
    }
    out
}

fn time(millis: i64) -> DateTime {
    DateTime::from_millis(millis)
}

pub(crate) fn error(fault: Fault) -> ErrorObject {
    ErrorObject {
        error_message: fault.message,
        error_type: fault.kind,
        error_data: fault.data,
        stack_trace: fault.stack,
    }
}

/// An operation in an answer.
pub(crate) fn operation(cx: &Context, execution: &Execution, op: &Op) -> DurableOperation {
    let (result, fault) = (op.result.clone(), op.fault.clone().map(error));
    let is = |kind: &str| op.kind == kind;
    DurableOperation {
        id: op.id.clone(),
        parent_id: op.parent.clone(),
        name: op.name.clone(),
        r#type: op.kind.clone(),
        sub_type: op.sub_kind.clone(),
        start_timestamp: Some(time(op.started)),
        end_timestamp: op.ended.map(time),
        status: op.status.clone(),
        execution_details: is("EXECUTION")
            .then(|| ExecutionDetails { input_payload: Some(execution.input.clone()) }),
        context_details: is("CONTEXT").then(|| ContextDetails {
            replay_children: Some(op.replay_children),
            result: result.clone(),
            error: fault.clone(),
        }),
        step_details: is("STEP").then(|| StepDetails {
            attempt: Some(op.attempt),
            next_attempt_timestamp: op.due.map(time),
            result: result.clone(),
            error: fault.clone(),
        }),
        wait_details: is("WAIT").then(|| WaitDetails { scheduled_end_timestamp: op.due.map(time) }),
        callback_details: is("CALLBACK").then(|| CallbackDetails {
            callback_id: Some(execution.callback_id(cx, &op.id)),
            result: result.clone(),
            error: fault.clone(),
        }),
        chained_invoke_details: is("CHAINED_INVOKE").then_some(ChainedInvokeDetails { result, error: fault }),
        ..Default::default()
    }
}

/// An event of an execution's history; without its data where that is not wanted.
pub(crate) fn event(
    cx: &Context,
    execution: &Execution,
    number: i32,
    h: &Happened,
    data: bool,
) -> EventShape {
    let result = || EventResult {
        payload: h.payload.clone().filter(|_| data),
        truncated: Some(!data && h.payload.is_some()),
    };
    let fault = || EventError {
        payload: h.fault.clone().filter(|_| data).map(error),
        truncated: Some(!data && h.fault.is_some()),
    };
    let input = || EventInput { payload: h.payload.clone().filter(|_| data), truncated: Some(!data) };
    let seconds = h.seconds.and_then(|s| i32::try_from(s).ok());
    let retry = || RetryDetails {
        current_attempt: Some(h.attempt.max(1)),
        next_attempt_delay_seconds: seconds.filter(|_| h.until.is_some()),
    };
    let mut event = EventShape {
        event_type: Some(h.kind.clone()),
        sub_type: h.sub_kind.clone(),
        event_id: Some(number),
        id: h.id.clone(),
        name: h.name.clone(),
        event_timestamp: Some(time(h.at)),
        parent_id: h.parent.clone(),
        ..Default::default()
    };
    match h.kind.as_str() {
        "ExecutionStarted" => {
            event.execution_started_details = Some(ExecutionStartedDetails {
                input: input(),
                execution_timeout: seconds.unwrap_or(0),
                ..Default::default()
            });
        }
        "ExecutionSucceeded" => {
            event.execution_succeeded_details =
                Some(ExecutionSucceededDetails { result: result(), ..Default::default() });
        }
        "ExecutionFailed" => {
            event.execution_failed_details =
                Some(ExecutionFailedDetails { error: fault(), ..Default::default() });
        }
        "ExecutionTimedOut" => {
            event.execution_timed_out_details =
                Some(ExecutionTimedOutDetails { error: h.fault.as_ref().map(|_| fault()) });
        }
        "ExecutionStopped" => {
            event.execution_stopped_details =
                Some(ExecutionStoppedDetails { error: fault(), ..Default::default() });
        }
        "ContextStarted" => event.context_started_details = Some(ContextStartedDetails::default()),
        "ContextSucceeded" => {
            event.context_succeeded_details =
                Some(ContextSucceededDetails { result: result(), ..Default::default() });
        }
        "ContextFailed" => {
            event.context_failed_details =
                Some(ContextFailedDetails { error: fault(), ..Default::default() });
        }
        "WaitStarted" => {
            event.wait_started_details = Some(WaitStartedDetails {
                duration: seconds.unwrap_or(0),
                scheduled_end_timestamp: Some(time(h.until.unwrap_or(h.at))),
                ..Default::default()
            });
        }
        "WaitSucceeded" => event.wait_succeeded_details = Some(WaitSucceededDetails { duration: seconds }),
        "WaitCancelled" => {
            event.wait_cancelled_details =
                Some(WaitCancelledDetails { error: h.fault.as_ref().map(|_| fault()) });
        }
        "StepStarted" => event.step_started_details = Some(StepStartedDetails::default()),
        "StepSucceeded" => {
            event.step_succeeded_details =
                Some(StepSucceededDetails { result: result(), retry_details: retry(), ..Default::default() });
        }
        "StepFailed" => {
            event.step_failed_details =
                Some(StepFailedDetails { error: fault(), retry_details: retry(), ..Default::default() });
        }
        "ChainedInvokeStarted" => {
            event.chained_invoke_started_details = Some(ChainedInvokeStartedDetails {
                function_name: h.function.clone().unwrap_or_default(),
                input: Some(input()),
                ..Default::default()
            });
        }
        "ChainedInvokeSucceeded" => {
            event.chained_invoke_succeeded_details =
                Some(ChainedInvokeSucceededDetails { result: result(), ..Default::default() });
        }
        "ChainedInvokeFailed" => {
            event.chained_invoke_failed_details =
                Some(ChainedInvokeFailedDetails { error: fault(), ..Default::default() });
        }
        "CallbackStarted" => {
            event.callback_started_details = Some(CallbackStartedDetails {
                callback_id: execution.callback_id(cx, h.id.as_deref().unwrap_or_default()),
                heartbeat_timeout: h.heartbeat_seconds.and_then(|s| i32::try_from(s).ok()),
                timeout: seconds.filter(|_| h.until.is_some()),
                ..Default::default()
            });
        }
        "CallbackSucceeded" => {
            event.callback_succeeded_details =
                Some(CallbackSucceededDetails { result: result(), ..Default::default() });
        }
        "CallbackFailed" => {
            event.callback_failed_details =
                Some(CallbackFailedDetails { error: fault(), ..Default::default() });
        }
        "CallbackTimedOut" => {
            event.callback_timed_out_details =
                Some(CallbackTimedOutDetails { error: fault(), ..Default::default() });
        }
        "ExecutionPaused" => {
            let (asked, stops_time) = h.asked.unwrap_or((h.at, false));
            event.execution_paused_details = Some(ExecutionPausedDetails {
                pause_request_timestamp: Some(time(asked)),
                reason: h.payload.is_some().then(|| EventPauseReason {
                    payload: h.payload.clone().filter(|_| data),
                    truncated: Some(!data),
                }),
                execution_timeout_paused: stops_time,
                ..Default::default()
            });
        }
        "ExecutionResumed" => {
            let (asked, _) = h.asked.unwrap_or((h.at, false));
            event.execution_resumed_details = Some(ExecutionResumedDetails {
                resume_request_timestamp: Some(time(asked)),
                reason: h.payload.is_some().then(|| EventResumeReason {
                    payload: h.payload.clone().filter(|_| data),
                    truncated: Some(!data),
                }),
                ..Default::default()
            });
        }
        "InvocationCompleted" => {
            let (request_id, began) = h.request.clone().unwrap_or_default();
            event.invocation_completed_details = Some(InvocationCompletedDetails {
                start_timestamp: Some(time(began)),
                end_timestamp: Some(time(h.at)),
                request_id,
                ..Default::default()
            });
        }
        _ => {}
    }
    event
}

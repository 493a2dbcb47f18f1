//! Durable executions: what their functions checkpoint, and what others see and do of them.

use super::get::PAGE;
use crate::Lambda;
use crate::durable::{
    Execution, Task, checkpoint_fault, execution_key, parse_arn, shown_error, shown_event, shown_operation,
    shown_page,
};
use crate::errors::{Failure, invalid, not_found, stored};
use crate::names::{LATEST, Named, version_name, version_number};
use crate::state::named_key;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloudlet_api_lambda::*;
use cloudlet_service::pages;

/// The most items of a page.
const MOST: usize = 1000;

impl Lambda {
    /// Takes what a durable function has done. Errors: `InvalidParameterValueException`.
    pub async fn checkpoint_durable_execution(
        &self,
        cx: &Context,
        input: CheckpointDurableExecutionInput,
    ) -> Result<CheckpointDurableExecutionOutput, Error> {
        let (there, function, id) = place(cx, &input.durable_execution_arn).ok_or_else(bad_token)?;
        let key = execution_key(&there, &function, &id);
        let updates = input.updates.unwrap_or_default();
        let done = self
            .store
            .transact(|tx| {
                let mut execution = tx.get::<Execution>(&key)?.ok_or_else(bad_token)?;
                if execution.token() != input.checkpoint_token {
                    return Err(Failure(bad_token()));
                }
                let now = cx.millis();
                for update in &updates {
                    if execution.update(update, now)? {
                        let operation = Some(update.id.clone());
                        tx.emit(Task { operation, ..Task::of(&there, &execution) }.message(now))?;
                    }
                }
                // Once it is paused, what runs has no token that is good for more.
                let token = execution.token();
                execution.begin_pause(now);
                let told = std::mem::replace(&mut execution.told, execution.changes);
                tx.put(&key, &execution)?;
                tx.emit(
                    Task::of(&there, &execution)
                        .message(execution.expires().unwrap_or_else(|| execution.next())),
                )?;
                Ok((execution, told, token))
            })
            .await;
        let (execution, told, token) = done?;
        self.changes.notify_waiters();
        let changed = execution.operations.iter().filter(|op| op.change > told);
        let operations = changed.map(|op| shown_operation(&there, &execution, op)).collect();
        Ok(CheckpointDurableExecutionOutput {
            checkpoint_token: Some(token),
            new_execution_state: CheckpointUpdatedExecutionState {
                operations: Some(operations),
                next_marker: None,
            },
            ..Default::default()
        })
    }

    /// Gives a durable function the operations that did not fit its event. Errors: `InvalidParameterValueException`.
    pub async fn get_durable_execution_state(
        &self,
        cx: &Context,
        input: GetDurableExecutionStateInput,
    ) -> Result<GetDurableExecutionStateOutput, Error> {
        let (there, execution) = self.durable(cx, &input.durable_execution_arn).map_err(|_| bad_token())?;
        if execution.token() != input.checkpoint_token {
            return Err(bad_token());
        }
        let from = input.marker.as_deref().filter(|m| !m.is_empty()).map_or(Ok(0), str::parse);
        let from = from.map_err(|_| invalid("Invalid marker."))?;
        let (operations, next) = shown_page(&execution, from, most(input.max_items));
        Ok(GetDurableExecutionStateOutput {
            operations: operations.into_iter().map(|op| shown_operation(&there, &execution, op)).collect(),
            next_marker: next.map(|n| n.to_string()),
            ..Default::default()
        })
    }

    /// Shows an execution. Errors: `ResourceNotFoundException`.
    pub async fn get_durable_execution(
        &self,
        cx: &Context,
        input: GetDurableExecutionInput,
    ) -> Result<GetDurableExecutionOutput, Error> {
        let (there, e) = self.durable(cx, &input.durable_execution_arn)?;
        let data = input.include_execution_data.unwrap_or(true);
        let deadline = e.deadline();
        let stands_still = e.pause.as_ref().is_some_and(|pause| pause.stops_time && pause.since.is_some());
        let pause_details = e.pause.clone().map(|pause| PauseDetails {
            pause_request_timestamp: Some(DateTime::from_millis(pause.asked)),
            reason: pause.reason.filter(|_| data),
            execution_timeout_paused: pause.stops_time,
            ..Default::default()
        });
        Ok(GetDurableExecutionOutput {
            durable_execution_arn: e.arn(&there),
            durable_execution_name: e.name.clone(),
            function_arn: function_arn(&there, &e),
            input_payload: Some(e.input).filter(|_| data),
            result: e.result.filter(|_| data),
            error: e.fault.filter(|_| data).map(shown_error),
            start_timestamp: Some(DateTime::from_millis(e.started)),
            status: e.status,
            end_timestamp: e.ended.map(DateTime::from_millis),
            version: Some(version_name(e.version)),
            trace_header: e.trace.map(|id| TraceHeader { x_amzn_trace_id: Some(id) }),
            execution_data_included: Some(data),
            expected_execution_timeout_timestamp: (!stands_still).then(|| DateTime::from_millis(deadline)),
            pause_details,
            ..Default::default()
        })
    }

    /// Tells what happened in an execution. Errors: `ResourceNotFoundException`.
    pub async fn get_durable_execution_history(
        &self,
        cx: &Context,
        input: GetDurableExecutionHistoryInput,
    ) -> Result<GetDurableExecutionHistoryOutput, Error> {
        let (there, execution) = self.durable(cx, &input.durable_execution_arn)?;
        let data = input.include_execution_data.unwrap_or(false);
        let mut all: Vec<(i32, _)> = (1..).zip(&execution.history).collect();
        let reverse = input.reverse_order.unwrap_or(false);
        if reverse {
            all.reverse();
        }
        let key = |(number, _): &(i32, _)| {
            let number = u32::try_from(*number).unwrap_or(0);
            (if reverse { u32::MAX - number } else { number }).to_be_bytes().to_vec()
        };
        let bad = || invalid("Invalid marker.");
        let page = pages::page(all.into_iter(), most(input.max_items), input.marker.as_deref(), key, bad)?;
        let shown = |(number, happened)| shown_event(&there, &execution, number, happened, data);
        Ok(GetDurableExecutionHistoryOutput {
            events: page.items.into_iter().map(shown).collect(),
            next_marker: page.next,
            ..Default::default()
        })
    }

    /// Lists the executions of a function, the newest first. Errors: `ResourceNotFoundException`.
    pub async fn list_durable_executions_by_function(
        &self,
        cx: &Context,
        input: ListDurableExecutionsByFunctionInput,
    ) -> Result<ListDurableExecutionsByFunctionOutput, Error> {
        let named = Named::read(cx, &input.function_name, input.qualifier.as_deref())?;
        self.function(&named)?;
        let version = match named.qualifier.as_deref() {
            None => None,
            Some(qualifier) => Some(match version_number(qualifier) {
                Some(number) => number,
                None => {
                    let alias = self.alias(&named, qualifier)?.ok_or_else(|| named.missing())?;
                    version_number(&alias.version).unwrap_or(0)
                }
            }),
        };
        let millis = |t: Option<DateTime>| t.and_then(|t| t.to_millis().ok());
        let (after, before) = (millis(input.started_after), millis(input.started_before));
        let mut all = Vec::new();
        for row in
            self.store.table::<Execution>().scan(named_key(&named.cx, &named.name).prefix_range(), false)
        {
            let (_, e) = row.map_err(stored)?;
            let wanted = version.is_none_or(|v| v == e.version)
                && input.durable_execution_name.as_ref().is_none_or(|name| *name == e.name)
                && input.statuses.as_ref().is_none_or(|s| s.is_empty() || s.contains(&e.status))
                && after.is_none_or(|t| e.started >= t)
                && before.is_none_or(|t| e.started <= t);
            if wanted {
                all.push(e);
            }
        }
        let ascending = input.reverse_order.unwrap_or(false);
        let order = move |e: &Execution| {
            let at = u64::try_from(e.started).unwrap_or(0);
            let mut key = (if ascending { at } else { u64::MAX - at }).to_be_bytes().to_vec();
            key.extend_from_slice(e.id.as_bytes());
            key
        };
        all.sort_by_key(order);
        let limit = if input.max_items.unwrap_or(0) > 0 { most(input.max_items) } else { PAGE };
        let page = pages::page(all.into_iter(), limit, input.marker.as_deref(), order, || {
            invalid("Invalid marker.")
        })?;
        let shown = |e: Execution| cloudlet_api_lambda::Execution {
            durable_execution_arn: e.arn(&named.cx),
            durable_execution_name: e.name.clone(),
            function_arn: function_arn(&named.cx, &e),
            status: e.status.clone(),
            start_timestamp: Some(DateTime::from_millis(e.started)),
            end_timestamp: e.ended.map(DateTime::from_millis),
            ..Default::default()
        };
        Ok(ListDurableExecutionsByFunctionOutput {
            durable_executions: Some(page.items.into_iter().map(shown).collect()),
            next_marker: page.next,
        })
    }

    /// Ends an execution; what its function is doing comes to nothing. Errors: `ResourceNotFoundException`.
    pub async fn stop_durable_execution(
        &self,
        cx: &Context,
        input: StopDurableExecutionInput,
    ) -> Result<StopDurableExecutionOutput, Error> {
        let arn = &input.durable_execution_arn;
        let (there, function, id) = place(cx, arn).ok_or_else(|| no_execution(arn))?;
        let stopped = self
            .change_durable(&there, &function, &id, |execution, now| {
                execution.end("STOPPED", None, checkpoint_fault(input.error.clone()), now);
                Ok(execution.ended.unwrap_or(now))
            })
            .await?;
        let at = stopped.ok_or_else(|| no_execution(arn))?;
        Ok(StopDurableExecutionOutput {
            stop_timestamp: Some(DateTime::from_millis(at)),
            ..Default::default()
        })
    }

    /// Completes a callback. Errors: `ResourceNotFoundException`, `CallbackTimeoutException`.
    pub async fn send_durable_execution_callback_success(
        &self,
        cx: &Context,
        input: SendDurableExecutionCallbackSuccessInput,
    ) -> Result<SendDurableExecutionCallbackSuccessOutput, Error> {
        let result = input.result.map(|blob| String::from_utf8_lossy(blob.as_ref()).into_owned());
        self.callback(cx, &input.callback_id, |e, id, now| {
            e.complete(id, "SUCCEEDED", result.clone(), None, now)
        })
        .await?;
        Ok(SendDurableExecutionCallbackSuccessOutput::default())
    }

    /// Says that a callback failed. Errors: `ResourceNotFoundException`, `CallbackTimeoutException`.
    pub async fn send_durable_execution_callback_failure(
        &self,
        cx: &Context,
        input: SendDurableExecutionCallbackFailureInput,
    ) -> Result<SendDurableExecutionCallbackFailureOutput, Error> {
        let fault = checkpoint_fault(input.error).or_else(|| Some(Default::default()));
        self.callback(cx, &input.callback_id, |e, id, now| {
            e.complete(id, "FAILED", None, fault.clone(), now)
        })
        .await?;
        Ok(SendDurableExecutionCallbackFailureOutput::default())
    }

    /// Says that a callback is still to be waited for. Errors: `ResourceNotFoundException`, `CallbackTimeoutException`.
    pub async fn send_durable_execution_callback_heartbeat(
        &self,
        cx: &Context,
        input: SendDurableExecutionCallbackHeartbeatInput,
    ) -> Result<SendDurableExecutionCallbackHeartbeatOutput, Error> {
        self.callback(cx, &input.callback_id, |e, id, now| {
            let op = e.operations.iter_mut().find(|o| o.id == id && o.ended.is_none());
            op.map(|op| op.silent = op.heartbeat_seconds.map(|s| now + s * 1000)).is_some()
        })
        .await?;
        Ok(SendDurableExecutionCallbackHeartbeatOutput::default())
    }

    /// Does something to a callback that is waited for.
    async fn callback(
        &self,
        cx: &Context,
        callback: &str,
        change: impl Fn(&mut Execution, &str, i64) -> bool + Send + Sync,
    ) -> Result<(), Error> {
        let missing = || not_found(format!("Callback not found: {callback}"));
        let [account, region, function, id, operation] = callback_parts(callback).ok_or_else(missing)?;
        let there = cx.located(&account, &region);
        let changed = self.change_durable(&there, &function, &id, |execution, now| {
            execution.settle(now);
            if execution.ended.is_some() || !change(execution, &operation, now) {
                let late = execution.operations.iter().any(|o| o.id == operation && o.status == "TIMED_OUT");
                return Err(if late {
                    too_late()
                } else {
                    invalid("The callback has been completed already.")
                });
            }
            Ok(())
        });
        changed.await?.ok_or_else(missing)
    }

    fn durable(&self, cx: &Context, arn: &str) -> Result<(Context, Execution), Error> {
        let (there, function, id) = place(cx, arn).ok_or_else(|| no_execution(arn))?;
        let found =
            self.store.table::<Execution>().get(&execution_key(&there, &function, &id)).map_err(stored)?;
        found.map(|execution| (there, execution)).ok_or_else(|| no_execution(arn))
    }
}

/// The parts of a callback's id: account, region, function, execution, operation.
pub(crate) fn callback_parts(callback: &str) -> Option<[String; 5]> {
    let text = String::from_utf8(STANDARD.decode(callback).ok()?).ok()?;
    let parts: Vec<String> = text.split('\n').map(str::to_owned).collect();
    parts.try_into().ok()
}

pub(super) fn place(cx: &Context, arn: &str) -> Option<(Context, String, String)> {
    let (account, region, function, id) = parse_arn(arn).filter(|(_, region, ..)| *region == *cx.region)?;
    Some((cx.located(&account, &region), function, id))
}

fn function_arn(cx: &Context, execution: &Execution) -> String {
    let version = version_name(execution.version);
    let qualifier = if version == LATEST { LATEST } else { &version };
    format!("{}:{qualifier}", crate::names::function_arn(cx, &execution.function))
}

fn most(items: Option<i32>) -> usize {
    items.and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0).unwrap_or(MOST).min(MOST)
}

fn bad_token() -> Error {
    invalid("Invalid checkpoint token.")
}

pub(super) fn no_execution(arn: &str) -> Error {
    not_found(format!("Durable execution not found: {arn}"))
}

fn too_late() -> Error {
    let message = Some("The callback has timed out.".to_owned());
    CallbackTimeoutException { r#type: Some("User".to_owned()), message }.into()
}

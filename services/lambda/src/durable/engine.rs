//! When a durable function is invoked: at first, and whenever there is something to go on with.

use super::shown::payload;
use super::{
    Durable, Execution, ExecutionName, Fault, Happened, Op, RETENTION_DAYS, Task, execution_key, name_key,
};
use crate::Lambda;
use crate::errors::{Failure, stored};
use crate::names::{Named, version_name};
use crate::runner::{Call, Target};
use crate::tasks::at_work;
use bytes::Bytes;
use cloudlet_api_lambda::operations::Invoke;
use cloudlet_api_lambda::{Blob, DurableExecutionAlreadyStartedException, InvocationRequest};
use cloudlet_bus::{Handler, Message, MessageId, Outcome};
use cloudlet_compute::InvokeResult;
use cloudlet_service::{BoxFuture, Context, Error};
use serde_json::Value;
use std::sync::Weak;
use std::time::Duration;

/// How long it is waited before a function that is throttled is tried again.
const PAUSE: Duration = Duration::from_secs(1);

pub(crate) struct Advancer(pub(crate) Weak<Lambda>);

impl Handler for Advancer {
    fn deliver<'a>(&'a self, _: &'a MessageId, message: &'a Message) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let (lambda, task) = match at_work::<Task>(&self.0, message) {
                Ok(found) => found,
                Err(outcome) => return outcome,
            };
            let done = match &task.operation {
                Some(operation) => lambda.call_another(&task, operation).await,
                None => lambda.advance(&task).await,
            };
            match done {
                Ok(()) => Outcome::Done,
                Err(error) => Outcome::Postpone { after: PAUSE, why: error.to_string() },
            }
        })
    }
}

impl Lambda {
    /// Begins an execution, or finds the one of this name that was begun with the same input.
    ///
    /// Errors: `DurableExecutionAlreadyStartedException`.
    pub(crate) async fn begin_durable(
        &self,
        target: &Target,
        durable: &Durable,
        name: Option<String>,
        call: &Call,
    ) -> Result<Execution, Error> {
        let cx = &target.named.cx;
        let now = cx.millis();
        let input = String::from_utf8_lossy(&call.payload).into_owned();
        let id = cx.random().uuid();
        let mut execution = Execution {
            name: name.unwrap_or_else(|| id.clone()),
            id,
            function: target.named.name.clone(),
            version: target.version.number,
            input: input.clone(),
            trace: call.trace_id.clone(),
            status: "RUNNING".to_owned(),
            started: now,
            timeout_seconds: durable.timeout_seconds(),
            retention_days: durable.retention_days.unwrap_or(RETENTION_DAYS),
            wake: true,
            ..Execution::default()
        };
        let first = Op {
            id: execution.id.clone(),
            name: Some(execution.name.clone()),
            kind: "EXECUTION".to_owned(),
            status: "STARTED".to_owned(),
            started: now,
            ..Op::default()
        };
        execution.operations.push(first);
        execution.history.push(Happened {
            kind: "ExecutionStarted".to_owned(),
            at: now,
            payload: Some(input.clone()),
            seconds: Some(execution.timeout_seconds),
            ..Happened::default()
        });
        let begun = self.store.transact(|tx| {
            let key = name_key(cx, &execution);
            if let Some(other) = tx.get::<ExecutionName>(&key)? {
                let other = tx.get::<Execution>(&execution_key(cx, &execution.function, &other.id))?;
                return match other {
                    Some(other) if other.input == input => Ok(other),
                    _ => Err(Failure(taken(&execution.name))),
                };
            }
            tx.put(&key, &ExecutionName { id: execution.id.clone() })?;
            tx.put(&execution_key(cx, &execution.function, &execution.id), &execution)?;
            tx.emit(Task::of(cx, &execution).message(now))?;
            Ok(execution.clone())
        });
        Ok(begun.await?)
    }

    /// Waits for the end of an execution, for as long as a call may take.
    pub(crate) async fn end_of_durable(
        &self,
        cx: &Context,
        begun: &Execution,
    ) -> Result<Option<Execution>, Error> {
        let end = begun.started + super::LONGEST_SYNC * 1000;
        loop {
            let change = self.changes.notified();
            let key = execution_key(cx, &begun.function, &begun.id);
            match self.store.table::<Execution>().get(&key).map_err(stored)? {
                Some(execution) if execution.ended.is_some() => return Ok(Some(execution)),
                Some(_) if cx.millis() < end => {}
                _ => return Ok(None),
            }
            let _ = tokio::time::timeout(Duration::from_millis(100), change).await;
        }
    }

    /// Changes an execution, and has it looked at again. Gives `None` where it is gone.
    pub(crate) async fn change_durable<T: Send>(
        &self,
        cx: &Context,
        function: &str,
        id: &str,
        change: impl Fn(&mut Execution, i64) -> Result<T, Error> + Send + Sync,
    ) -> Result<Option<T>, Error> {
        let key = execution_key(cx, function, id);
        let changed = self.store.transact(|tx| {
            let Some(mut execution) = tx.get::<Execution>(&key)? else { return Ok(None) };
            let now = cx.millis();
            let given = change(&mut execution, now)?;
            tx.put(&key, &execution)?;
            tx.emit(Task::of(cx, &execution).message(execution.expires().unwrap_or(now)))?;
            Ok::<_, Failure>(Some(given))
        });
        let changed = changed.await?;
        self.changes.notify_waiters();
        Ok(changed)
    }

    /// Looks at an execution: invokes its function as often as there is something to go on with.
    async fn advance(&self, task: &Task) -> Result<(), Error> {
        let cx = self.own_context(&task.account, &task.region);
        let key = execution_key(&cx, &task.function, &task.id);
        loop {
            let ready = self.store.transact(|tx| {
                let Some(mut execution) = tx.get::<Execution>(&key)? else { return Ok(None) };
                let now = cx.millis();
                if let Some(expires) = execution.expires() {
                    if now >= expires {
                        tx.delete::<ExecutionName>(&name_key(&cx, &execution))?;
                        tx.delete::<Execution>(&key)?;
                    }
                    return Ok(None);
                }
                execution.settle(now);
                // Nothing runs while this is looked at.
                execution.begin_pause(now);
                let go = execution.ended.is_none()
                    && execution.pause.is_none()
                    && (execution.wake || execution.running);
                if go {
                    execution.invocations += 1;
                    (execution.wake, execution.running) = (false, true);
                    execution.told = execution.changes;
                }
                tx.put(&key, &execution)?;
                if !go {
                    let at = execution.expires().unwrap_or_else(|| execution.next());
                    tx.emit(Task::of(&cx, &execution).message(at))?;
                }
                Ok::<_, Failure>(go.then_some(execution))
            });
            let ready = ready.await?;
            self.changes.notify_waiters();
            let Some(execution) = ready else { return Ok(()) };
            self.invoke_durable(&cx, &execution).await?;
        }
    }

    async fn invoke_durable(&self, cx: &Context, execution: &Execution) -> Result<(), Error> {
        let qualifier = Some(version_name(execution.version));
        let named = Named { cx: cx.clone(), name: execution.function.clone(), qualifier };
        let began = cx.millis();
        let request_id = cx.random().uuid();
        let ran = match self.target(named) {
            Ok(target) => {
                let call = Call {
                    payload: Bytes::from(payload(cx, execution).to_string()),
                    trace_id: execution.trace.clone(),
                    ..Call::new(request_id.clone())
                };
                self.run(&target, call).await
            }
            Err(error) => Err(error),
        };
        let outcome = match ran {
            Ok(result) => read(&result),
            Err(error) if error.status() == 429 || error.status() >= 500 => return Err(error),
            Err(error) => Outcomes::Failed(Some(Fault {
                message: Some(error.message().to_owned()),
                kind: Some(error.code().to_owned()),
                ..Fault::default()
            })),
        };
        let request = Some((request_id, began));
        let number = execution.invocations;
        self.change_durable(cx, &execution.function, &execution.id, |execution, now| {
            let current = execution.invocations == number;
            execution.history.push(Happened {
                kind: "InvocationCompleted".to_owned(),
                at: now,
                request: request.clone(),
                ..Happened::default()
            });
            if !current {
                return Ok(());
            }
            execution.running = false;
            match &outcome {
                Outcomes::Succeeded(result) => execution.end("SUCCEEDED", result.clone(), None, now),
                Outcomes::Failed(fault) => execution.end("FAILED", None, fault.clone(), now),
                Outcomes::Pending if execution.waits() => {}
                Outcomes::Pending => {
                    let message = "Cannot return PENDING status with no pending operations.".to_owned();
                    let fault = Fault { message: Some(message), ..Fault::default() };
                    execution.end("FAILED", None, Some(fault), now);
                }
            }
            execution.begin_pause(now);
            Ok(())
        })
        .await
        .map(drop)
    }

    /// Calls another function for an operation, with the rights of the function's role.
    async fn call_another(&self, task: &Task, operation: &str) -> Result<(), Error> {
        let cx = self.own_context(&task.account, &task.region);
        let key = execution_key(&cx, &task.function, &task.id);
        let Some(execution) = self.store.table::<Execution>().get(&key).map_err(stored)? else {
            return Ok(());
        };
        let open = |op: &&Op| op.id == operation && op.ended.is_none();
        let Some(op) = execution.operations.iter().find(open).filter(|_| execution.ended.is_none()) else {
            return Ok(());
        };
        let named = Named { cx: cx.clone(), name: task.function.clone(), qualifier: None };
        let version = self.version(&named, execution.version)?;
        let role = &version.settings.role;
        let session = self.sink.roles().session(&cx.account, &cx.region, role, &named.name).await?;
        let input = InvocationRequest {
            function_name: op.function.clone().unwrap_or_default(),
            payload: op.input.clone().map(|text| Blob::new(text.into_bytes())),
            ..Default::default()
        };
        let (status, result, fault) = match self.cloud.call::<Invoke>(&session.cx, input).await {
            Err(error) if error.status() == 429 || error.status() >= 500 => return Err(error),
            Err(error) => {
                let (message, kind) = (Some(error.message().to_owned()), Some(error.code().to_owned()));
                ("FAILED", None, Some(Fault { message, kind, ..Fault::default() }))
            }
            Ok(output) => {
                let bytes = output.payload.map(Blob::into_inner).unwrap_or_default();
                match output.function_error {
                    Some(_) => ("FAILED", None, Some(told_fault(&bytes))),
                    None => ("SUCCEEDED", Some(String::from_utf8_lossy(&bytes).into_owned()), None),
                }
            }
        };
        self.change_durable(&cx, &task.function, &task.id, |execution, now| {
            Ok(execution.complete(operation, status, result.clone(), fault.clone(), now))
        })
        .await
        .map(drop)
    }
}

/// How an invocation of a durable function ended.
enum Outcomes {
    Succeeded(Option<String>),
    Failed(Option<Fault>),
    Pending,
}

fn read(result: &InvokeResult) -> Outcomes {
    if result.function_error.is_some() {
        return Outcomes::Failed(Some(told_fault(&result.payload)));
    }
    let answer = serde_json::from_slice::<Value>(&result.payload).unwrap_or(Value::Null);
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    match answer.get("Status").and_then(Value::as_str) {
        Some("SUCCEEDED") => Outcomes::Succeeded(text(&answer, "Result")),
        Some("PENDING") => Outcomes::Pending,
        Some("FAILED") => Outcomes::Failed(answer.get("Error").map(|error| Fault {
            message: text(error, "ErrorMessage"),
            kind: text(error, "ErrorType"),
            data: text(error, "ErrorData"),
            stack: error.get("StackTrace").and_then(|s| serde_json::from_value(s.clone()).ok()),
        })),
        _ => {
            let message = Some("Invalid Status in invocation output.".to_owned());
            Outcomes::Failed(Some(Fault { message, ..Fault::default() }))
        }
    }
}

/// The fault in the answer of a function that failed.
fn told_fault(payload: &[u8]) -> Fault {
    let told = serde_json::from_slice::<Value>(payload).unwrap_or(Value::Null);
    let text = |name: &str| told.get(name).and_then(Value::as_str).map(str::to_owned);
    Fault {
        message: text("errorMessage"),
        kind: text("errorType"),
        data: None,
        stack: told.get("stackTrace").and_then(|s| serde_json::from_value(s.clone()).ok()),
    }
}

fn taken(name: &str) -> Error {
    let message =
        format!("A durable execution with the name {name} and another input has been started already.");
    DurableExecutionAlreadyStartedException { r#type: Some("User".to_owned()), message: Some(message) }.into()
}

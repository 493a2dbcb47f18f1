//! PauseDurableExecution, ResumeDurableExecution, DeleteDurableExecution.

use super::durable::{no_execution, place};
use crate::Lambda;
use crate::durable::{Execution, ExecutionName, Pause, execution_key, name_key};
use crate::errors::{Failure, conflict};
use cloudlet_api_lambda::*;

impl Lambda {
    /// Keeps an execution from going on: what runs goes on to its next checkpoint.
    ///
    /// Errors: `ResourceNotFoundException`, `ResourceConflictException`.
    pub async fn pause_durable_execution(
        &self,
        cx: &Context,
        input: PauseDurableExecutionInput,
    ) -> Result<PauseDurableExecutionOutput, Error> {
        let arn = &input.durable_execution_arn;
        let (there, function, id) = place(cx, arn).ok_or_else(|| no_execution(arn))?;
        self.change_durable(&there, &function, &id, |execution, now| {
            let token = input.client_token.clone();
            if token.is_some() && execution.pause.as_ref().is_some_and(|pause| pause.token == token) {
                return Ok(());
            }
            if execution.ended.is_some() || execution.pause.is_some() {
                return Err(not_now("paused", &execution.status));
            }
            let stops_time = input.execution_timeout_paused.unwrap_or(false);
            let pause = Pause { asked: now, reason: input.reason.clone(), stops_time, since: None, token };
            execution.ask_pause(pause, now);
            Ok(())
        })
        .await?
        .ok_or_else(|| no_execution(arn))?;
        Ok(PauseDurableExecutionOutput::default())
    }

    /// Lets a paused execution go on. Errors: `ResourceNotFoundException`, `ResourceConflictException`.
    pub async fn resume_durable_execution(
        &self,
        cx: &Context,
        input: ResumeDurableExecutionInput,
    ) -> Result<ResumeDurableExecutionOutput, Error> {
        let arn = &input.durable_execution_arn;
        let (there, function, id) = place(cx, arn).ok_or_else(|| no_execution(arn))?;
        self.change_durable(&there, &function, &id, |execution, now| {
            if execution.pause.is_none() {
                return Err(not_now("resumed", &execution.status));
            }
            execution.resume(input.reason.clone(), now);
            Ok(())
        })
        .await?
        .ok_or_else(|| no_execution(arn))?;
        Ok(ResumeDurableExecutionOutput::default())
    }

    /// Deletes an execution that has ended, with all that it knows.
    ///
    /// Errors: `ResourceNotFoundException`, `ResourceConflictException`.
    pub async fn delete_durable_execution(
        &self,
        cx: &Context,
        input: DeleteDurableExecutionInput,
    ) -> Result<DeleteDurableExecutionOutput, Error> {
        let arn = &input.durable_execution_arn;
        let (there, function, id) = place(cx, arn).ok_or_else(|| no_execution(arn))?;
        let key = execution_key(&there, &function, &id);
        self.store
            .transact(|tx| {
                let execution = tx.get::<Execution>(&key)?.ok_or_else(|| no_execution(arn))?;
                if execution.ended.is_none() {
                    return Err(Failure(not_now("deleted", &execution.status)));
                }
                tx.delete::<ExecutionName>(&name_key(&there, &execution))?;
                tx.delete::<Execution>(&key)?;
                Ok(())
            })
            .await?;
        Ok(DeleteDurableExecutionOutput {
            deletion_request_timestamp: Some(DateTime::from_millis(cx.millis())),
            ..Default::default()
        })
    }
}

fn not_now(what: &str, status: &str) -> Error {
    conflict(format!("The durable execution cannot be {what}: its status is {status}."))
}

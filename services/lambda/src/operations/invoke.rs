//! Invoke, InvokeAsync, InvokeWithResponseStream.

use crate::Lambda;
use crate::durable::{Durable, LONGEST_SYNC};
use crate::errors::{invalid, too_large};
use crate::names::Named;
use crate::runner::{Call, Target};
use crate::stream::Part;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cloudlet_api_lambda::*;
use futures_util::StreamExt;

/// Lambda quotas: the most bytes of a synchronous and of an asynchronous payload.
const MAX_SYNC: usize = 6 * 1024 * 1024;
const MAX_ASYNC: usize = 1024 * 1024;
/// The most bytes of a client context before Base64.
const MAX_CLIENT_CONTEXT: usize = 3583;

impl Lambda {
    /// Runs a function and waits (`RequestResponse`), accepts an event for it (`Event`), or checks whether the caller
    /// might (`DryRun`).
    ///
    /// Errors: `ResourceNotFoundException`, `InvalidRequestContentException`, `RequestEntityTooLargeException`,
    /// `TooManyRequestsException`, `ResourceConflictException`.
    pub async fn invoke(&self, cx: &Context, input: InvokeInput) -> Result<InvokeOutput, Error> {
        let named = Named::read(cx, &input.function_name, input.qualifier.as_deref())?;
        let target = self.target(named)?;
        let kind = input.invocation_type.as_deref().unwrap_or("RequestResponse");
        let payload = input.payload.map(|blob| Bytes::from(blob.into_inner())).unwrap_or_default();
        let mut call = call(cx, payload, input.client_context.as_deref(), kind == "Event")?;
        call.tenant = input.tenant_id;
        target.check_tenant(call.tenant.as_deref())?;
        if kind != "DryRun" {
            if let Some(durable) = &target.version.settings.durable {
                return self
                    .invoke_for_long(&target, durable, input.durable_execution_name, call, kind)
                    .await;
            }
            if input.durable_execution_name.is_some() {
                return Err(invalid("DurableExecutionName is only supported for durable functions."));
            }
        }
        match kind {
            "DryRun" => Ok(InvokeOutput { status_code: Some(204), ..Default::default() }),
            "Event" => {
                self.accept_event(&target, call).await?;
                Ok(InvokeOutput { status_code: Some(202), ..Default::default() })
            }
            _ => {
                let result = self.run(&target, call).await?;
                let tail = input.log_type.as_deref() == Some("Tail");
                Ok(InvokeOutput {
                    status_code: Some(200),
                    function_error: result.function_error.map(|e| e.as_str().to_owned()),
                    log_result: tail.then(|| STANDARD.encode(&result.log_tail)),
                    payload: Some(Blob::new(result.payload)),
                    executed_version: Some(target.version.name()),
                    ..Default::default()
                })
            }
        }
    }

    /// Begins an execution of a durable function, and waits for its end where the caller does.
    pub(crate) async fn invoke_for_long(
        &self,
        target: &Target,
        durable: &Durable,
        name: Option<String>,
        call: Call,
        kind: &str,
    ) -> Result<InvokeOutput, Error> {
        if target.named.qualifier.is_none() {
            return Err(invalid("You cannot invoke a durable function using an unqualified ARN."));
        }
        let waits = kind != "Event";
        if waits && durable.timeout_seconds() > LONGEST_SYNC {
            return Err(invalid(
                "You cannot synchronously invoke a durable function with an executionTimeout greater than 15 minutes.",
            ));
        }
        let begun = self.begin_durable(target, durable, name, &call).await?;
        let mut output = InvokeOutput {
            status_code: Some(if waits { 200 } else { 202 }),
            durable_execution_arn: Some(begun.arn(&target.named.cx)),
            ..Default::default()
        };
        if !waits {
            return Ok(output);
        }
        output.executed_version = Some(target.version.name());
        let ended = self.end_of_durable(&target.named.cx, &begun).await?.unwrap_or(begun);
        output.payload = Some(match ended.status.as_str() {
            "SUCCEEDED" => Blob::new(ended.result.unwrap_or_else(|| "null".to_owned())),
            status => {
                output.function_error = Some("Unhandled".to_owned());
                let fault = ended.fault.unwrap_or_default();
                let told = serde_json::json!({
                    "errorMessage": fault.message.unwrap_or_else(|| format!("The durable execution is {status}.")),
                    "errorType": fault.kind,
                    "errorData": fault.data,
                    "stackTrace": fault.stack,
                });
                Blob::new(told.to_string())
            }
        });
        Ok(output)
    }

    /// The old way to send an event. Errors: as [`Lambda::invoke`].
    pub async fn invoke_async(
        &self,
        cx: &Context,
        input: InvokeAsyncInput,
    ) -> Result<InvokeAsyncOutput, Error> {
        let target = self.target(Named::read(cx, &input.function_name, None)?)?;
        let payload = input.invoke_args.collect(MAX_ASYNC).await?;
        let call = call(cx, payload, None, true)?;
        match &target.version.settings.durable {
            Some(durable) => drop(self.invoke_for_long(&target, durable, None, call, "Event").await?),
            None => self.accept_event(&target, call).await?,
        }
        Ok(InvokeAsyncOutput { status: Some(202) })
    }

    /// Runs a function and sends its answer as a stream of events. A runtime that answers at once sends one part.
    ///
    /// Errors: as [`Lambda::invoke`].
    pub async fn invoke_with_response_stream(
        &self,
        cx: &Context,
        input: InvokeWithResponseStreamInput,
    ) -> Result<InvokeWithResponseStreamOutput, Error> {
        let named = Named::read(cx, &input.function_name, input.qualifier.as_deref())?;
        let target = self.target(named)?;
        let payload = input.payload.map(|blob| Bytes::from(blob.into_inner())).unwrap_or_default();
        let mut call = call(cx, payload, input.client_context.as_deref(), false)?;
        call.tenant = input.tenant_id;
        target.check_tenant(call.tenant.as_deref())?;
        if target.version.settings.durable.is_some() {
            return Err(invalid("InvokeWithResponseStream is not supported for durable functions."));
        }
        let mut output = InvokeWithResponseStreamOutput {
            status_code: Some(200),
            executed_version: Some(target.version.name()),
            response_stream_content_type: Some("application/vnd.amazon.eventstream".to_owned()),
            ..Default::default()
        };
        if input.invocation_type.as_deref() == Some("DryRun") {
            output.status_code = Some(204);
            return Ok(output);
        }
        let tail = input.log_type.as_deref() == Some("Tail");
        let parts = self.run_in_parts(target, call).await?.parts;
        output.event_stream = EventStream::new(parts.map(move |part| part_event(part, tail)));
        Ok(output)
    }
}

/// A part of an answer as an event; what keeps a function from ending is told in the last one as well.
fn part_event(part: Part, tail: bool) -> Result<InvokeWithResponseStreamResponseEvent, Error> {
    let result = match part {
        Part::Chunk(bytes) => {
            let update = InvokeResponseStreamUpdate { payload: Some(Blob::new(bytes)) };
            return Ok(InvokeWithResponseStreamResponseEvent::PayloadChunk(update));
        }
        Part::End(result) => result?,
    };
    let failed = result.function_error.is_some();
    let complete = InvokeWithResponseStreamCompleteEvent {
        error_code: failed.then(|| result.error_type.clone().unwrap_or_else(|| "Unhandled".to_owned())),
        error_details: failed.then(|| String::from_utf8_lossy(&result.payload).into_owned()),
        log_result: tail.then(|| STANDARD.encode(&result.log_tail)),
    };
    Ok(InvokeWithResponseStreamResponseEvent::InvokeComplete(complete))
}

/// Checks what came with the call.
fn call(cx: &Context, payload: Bytes, client_context: Option<&str>, event: bool) -> Result<Call, Error> {
    let len = payload.len();
    if len > MAX_SYNC {
        return Err(too_large(format!(
            "Request must be smaller than {MAX_SYNC} bytes for the InvokeFunction operation"
        )));
    }
    if event && len > MAX_ASYNC {
        return Err(too_large(format!(
            "{len} byte payload is too large for the Event invocation type (limit {MAX_ASYNC} bytes)"
        )));
    }
    let payload = if payload.is_empty() { Bytes::from_static(b"{}") } else { payload };
    if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(&payload) {
        let why = crate::payload::fault(&payload).unwrap_or_else(|| error.to_string());
        let message =
            format!("Could not parse request body into json: Could not parse payload into json: {why}");
        return Err(InvalidRequestContentException {
            r#type: Some("User".to_owned()),
            message: Some(message),
        }
        .into());
    }
    let client_context = client_context.map(decode_context).transpose()?;
    let headers = cx.origin.headers.as_ref();
    let trace_id =
        headers.and_then(|h| h.get("x-amzn-trace-id")).and_then(|v| v.to_str().ok()).map(str::to_owned);
    Ok(Call { request_id: cx.request_id.to_string(), payload, client_context, trace_id, tenant: None })
}

fn decode_context(text: &str) -> Result<String, Error> {
    if text.len() > MAX_CLIENT_CONTEXT {
        return Err(invalid(format!(
            "Client context must be no more than {MAX_CLIENT_CONTEXT} bytes when base64-encoded."
        )));
    }
    let bad = || {
        let message = "Client context must be a valid Base64-encoded JSON object.";
        Error::from(InvalidRequestContentException {
            r#type: Some("User".to_owned()),
            message: Some(message.to_owned()),
        })
    };
    let text = STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(bad)?;
    serde_json::from_str::<serde::de::IgnoredAny>(&text).map_err(|_| bad())?;
    Ok(text)
}

//! Asynchronous invocations: accepted onto disk, run by the bus, tried again, and in the end told to a destination.
//!
//! Source: Developer Guide, "How Lambda handles errors and retries with asynchronous invocation".

use crate::Lambda;
use crate::errors::Failure;
use crate::names::{LATEST, Named};
use crate::runner::{Call, Target};
use crate::state::EventConfig;
use cloudlet_bus::{Delivery, Handler, Message, MessageId, Outcome};
use cloudlet_compute::InvokeResult;
use cloudlet_service::{BoxFuture, Error, Principal};
use serde::{Deserialize, Serialize};
use std::sync::Weak;
use std::time::Duration;

/// The queue of events.
pub(crate) const QUEUE: &str = "lambda.async";
/// AWS's defaults.
const MAX_RETRIES: i32 = 2;
const MAX_AGE_SECONDS: i32 = 6 * 60 * 60;
/// Delays after the first and the second failure of the function.
const DELAYS: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(120)];
/// The delays of throttled events grow from one second to five minutes.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// How the bus delivers: as many at once as an account may run, so that one busy function leaves room for others.
pub(crate) fn delivery() -> Delivery {
    Delivery {
        concurrency: 256,
        per_group: 128,
        first_delay: Duration::from_secs(1),
        max_delay: LONGEST_PAUSE,
        max_attempts: None,
    }
}

/// An event on its way.
#[derive(Serialize, Deserialize)]
pub(crate) struct Event {
    pub account: String,
    pub region: String,
    pub name: String,
    pub qualifier: Option<String>,
    pub request_id: String,
    /// Milliseconds since 1970.
    pub accepted: i64,
    pub client_context: Option<String>,
    pub trace_id: Option<String>,
    #[serde(default)]
    pub tenant: Option<String>,
}

/// An event with its payload: a line of JSON, then the payload as it came.
fn encode(event: &Event, payload: &[u8]) -> Vec<u8> {
    let mut out = serde_json::to_vec(event).unwrap_or_default();
    out.push(b'\n');
    out.extend_from_slice(payload);
    out
}

fn decode(bytes: &[u8]) -> Option<(Event, &[u8])> {
    let end = bytes.iter().position(|b| *b == b'\n')?;
    Some((serde_json::from_slice(&bytes[..end]).ok()?, &bytes[end + 1..]))
}

impl Lambda {
    /// Takes an event for a function that is there. It is on disk when this returns.
    pub(crate) async fn accept_event(&self, target: &Target, call: Call) -> Result<(), Error> {
        target.check_tenant(call.tenant.as_deref())?;
        let named = &target.named;
        let now = named.cx.millis();
        let config = target.event_config();
        let age = i64::from(config.max_age_seconds.unwrap_or(MAX_AGE_SECONDS)) * 1000;
        let event = Event {
            account: named.cx.account.to_string(),
            region: named.cx.region.to_string(),
            name: named.name.clone(),
            qualifier: named.qualifier.clone(),
            request_id: call.request_id,
            accepted: now,
            client_context: call.client_context,
            trace_id: call.trace_id,
            tenant: call.tenant,
        };
        let message = Message {
            queue: QUEUE.to_owned(),
            group: named.arn(),
            payload: encode(&event, &call.payload),
            not_before: u64::try_from(now).unwrap_or(0),
            expires: u64::try_from(now + age).ok(),
            attempts: 0,
        };
        self.store.transact(|tx| Ok::<_, Failure>(tx.emit(message.clone()).map(|_| ())?)).await?;
        Ok(())
    }

    async fn deliver(&self, message: &Message) -> Outcome {
        let Some((event, payload)) = decode(&message.payload) else {
            return Outcome::Dead { why: "the event cannot be read".to_owned() };
        };
        let target = match self.target(self.named(&event)) {
            Ok(target) => target,
            Err(error) if error.is("ResourceNotFoundException") => {
                tracing::info!(function = event.name, "an event's function is gone; the event is dropped");
                return Outcome::Done;
            }
            Err(error) => return self.pause(&event, &error),
        };
        let call = Call {
            request_id: event.request_id.clone(),
            payload: bytes::Bytes::copy_from_slice(payload),
            client_context: event.client_context.clone(),
            trace_id: event.trace_id.clone(),
            tenant: event.tenant.clone(),
        };
        if target.function.reserved_concurrency == Some(0) {
            // There is nothing to wait for.
            let destination = target.event_config().on_failure;
            let record =
                self.record(&target, &event, payload, "ZeroReservedConcurrency", message.attempts + 1, None);
            self.tell(&target, &event, destination.as_deref(), record).await;
            self.dead_letter(&target, &event);
            return Outcome::Done;
        }
        let counted = self.gate.event(target.named.arn());
        let ran = self.run(&target, call).await;
        drop(counted);
        let result = match ran {
            Ok(result) => result,
            Err(error) if error.is("RecursiveInvocationException") => {
                let destination = target.event_config().on_failure;
                let record =
                    self.record(&target, &event, payload, "RecursiveInvocation", message.attempts + 1, None);
                self.tell(&target, &event, destination.as_deref(), record).await;
                self.dead_letter(&target, &event);
                return Outcome::Done;
            }
            Err(error) => return self.pause(&event, &error),
        };
        let config = target.event_config();
        if result.function_error.is_some() {
            let retries = config.max_retries.unwrap_or(MAX_RETRIES);
            let attempt = i32::try_from(message.attempts).unwrap_or(i32::MAX);
            if attempt < retries {
                let after = DELAYS[usize::try_from(attempt).unwrap_or(1).min(1)];
                return Outcome::Retry { after: Some(after), why: "the function failed".to_owned() };
            }
            let record = self.record(
                &target,
                &event,
                payload,
                "RetriesExhausted",
                message.attempts + 1,
                Some(&result),
            );
            self.tell(&target, &event, config.on_failure.as_deref(), record).await;
            self.dead_letter(&target, &event);
            return Outcome::Done;
        }
        if let Some(destination) = &config.on_success {
            let record =
                self.record(&target, &event, payload, "Success", message.attempts + 1, Some(&result));
            self.tell(&target, &event, Some(destination), record).await;
        }
        Outcome::Done
    }

    /// Lambda's own errors and throttles are tried until the event is too old, less and less often.
    fn pause(&self, event: &Event, error: &Error) -> Outcome {
        let age =
            Duration::from_millis(u64::try_from(self.cloud.clock().millis() - event.accepted).unwrap_or(0));
        let after = (age / 2).clamp(Duration::from_secs(1), LONGEST_PAUSE);
        Outcome::Postpone { after, why: error.to_string() }
    }

    fn named(&self, event: &Event) -> Named {
        let principal = Principal::Service {
            name: "lambda.amazonaws.com".into(),
            source_arn: None,
            source_account: None,
        };
        let mut cx = self.cloud.context(principal, &event.account, &event.region);
        cx.request_id = event.request_id.as_str().into();
        Named { cx, name: event.name.clone(), qualifier: event.qualifier.clone() }
    }

    async fn expired(&self, message: &Message, why: &str) {
        let Some((event, payload)) = decode(&message.payload) else { return };
        let Ok(target) = self.target(self.named(&event)) else { return };
        tracing::warn!(function = event.name, request = event.request_id, why, "an event was given up");
        let config = target.event_config();
        let record = self.record(&target, &event, payload, "EventAgeExceeded", message.attempts, None);
        self.tell(&target, &event, config.on_failure.as_deref(), record).await;
        self.dead_letter(&target, &event);
    }

    /// The invocation record that destinations get. Source: Developer Guide, "Example invocation record".
    fn record(
        &self,
        target: &Target,
        event: &Event,
        payload: &[u8],
        condition: &str,
        attempts: u32,
        result: Option<&InvokeResult>,
    ) -> serde_json::Value {
        let json = |bytes: &[u8]| serde_json::from_slice(bytes).unwrap_or(serde_json::Value::Null);
        let arn = format!("{}:{}", target.named.arn(), event.qualifier.as_deref().unwrap_or(LATEST));
        let mut record = serde_json::json!({
            "version": "1.0",
            "timestamp": crate::state::written_time(self.cloud.clock().millis()).replace("+0000", "Z"),
            "requestContext": {
                "requestId": event.request_id,
                "functionArn": arn,
                "condition": condition,
                "approximateInvokeCount": attempts,
            },
            "requestPayload": json(payload),
        });
        if let Some(result) = result {
            let mut context =
                serde_json::json!({ "statusCode": 200, "executedVersion": target.version.name() });
            if let Some(error) = result.function_error {
                context["functionError"] = error.as_str().into();
            }
            record["responseContext"] = context;
            record["responsePayload"] = json(&result.payload);
        }
        record
    }

    /// Sends a record to a destination, with the rights of the function's role.
    async fn tell(
        &self,
        target: &Target,
        event: &Event,
        destination: Option<&str>,
        record: serde_json::Value,
    ) {
        let Some(destination) = destination else { return };
        if let Err(error) = self.send(target, destination, &record, event.trace_id.as_deref()).await {
            let (named, id) = (&target.named, &event.request_id);
            self.trace_undelivered(named, "DestinationDeliveryFailures", id, destination, &error);
        }
    }

    async fn send(
        &self,
        target: &Target,
        destination: &str,
        record: &serde_json::Value,
        trace_id: Option<&str>,
    ) -> Result<(), Error> {
        let cx = &target.named.cx;
        let session = self
            .sink
            .roles()
            .session(&cx.account, &cx.region, &target.version.settings.role, &target.named.name)
            .await?;
        let key = format!("aws/lambda/async/{}/{}", target.named.name, crate::destinations::object_name(cx));
        let (trace, _) = crate::lineage::step(cx, trace_id, &target.named.arn());
        self.send_record(&session.cx, destination, key, record, Some(&trace)).await
    }

    /// Queues and topics are not served yet: that an event could not go there is made visible, as AWS does in a metric.
    fn dead_letter(&self, target: &Target, event: &Event) {
        if let Some(queue) = &target.version.settings.dead_letter {
            let service = cloudlet_service::Arn::parse(queue).map_or("", |arn| arn.service);
            let error = Error::not_implemented(service, "dead letters of Lambda");
            self.trace_undelivered(&target.named, "DeadLetterErrors", &event.request_id, queue, &error);
        }
    }
}

impl Target {
    /// How events of this qualifier are treated.
    pub(crate) fn event_config(&self) -> EventConfig {
        let qualifier = self.named.qualifier.as_deref().unwrap_or(LATEST);
        self.function.event_configs.get(qualifier).cloned().unwrap_or_default()
    }
}

pub(crate) struct Deliverer(pub(crate) Weak<Lambda>);

impl Handler for Deliverer {
    fn deliver<'a>(&'a self, _: &'a MessageId, message: &'a Message) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            match self.0.upgrade() {
                Some(lambda) => lambda.deliver(message).await,
                None => Outcome::Retry { after: None, why: "the program is stopping".to_owned() },
            }
        })
    }

    fn room(&self, group: &str) -> usize {
        self.0.upgrade().map_or(usize::MAX, |lambda| lambda.room(group))
    }

    fn dead<'a>(&'a self, _: &'a MessageId, message: &'a Message, why: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if let Some(lambda) = self.0.upgrade() {
                lambda.expired(message, why).await;
            }
        })
    }
}

//! What is told of a batch that was given up.

use super::source::{Found, Source};
use super::{Mapping, batch::Worker};
use crate::destinations::object_name;
use crate::names::Named;
use crate::state::written_time;
use cloudlet_compute::InvokeResult;
use serde_json::{Value, json};

/// Why a batch was given up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    RetryAttemptsExhausted,
    RecordAgeExceeded,
}

impl Condition {
    fn as_str(self) -> &'static str {
        match self {
            Self::RetryAttemptsExhausted => "RetryAttemptsExhausted",
            Self::RecordAgeExceeded => "RecordAgeExceeded",
        }
    }
}

impl Worker {
    /// Tells the mapping's destination, if it has one, of records that are given up.
    pub(super) async fn give_up(
        &self,
        mapping: &Mapping,
        records: &[Found],
        condition: Condition,
        attempts: i32,
        last: Option<&(String, String, InvokeResult)>,
    ) {
        let Some(destination) = mapping.stream.as_ref().and_then(|s| s.on_failure.as_deref()) else { return };
        let mut record = self.record(mapping, records, condition, attempts, last);
        if destination.contains(":s3:::") {
            // A bucket has room for the records themselves.
            let events: Vec<&Value> = records.iter().map(|r| &r.event).collect();
            record["payload"] = json!({ "Records": events }).to_string().into();
        }
        let key = format!("aws/lambda/{}/{}/{}", mapping.uuid, self.shard, object_name(&self.cx));
        let sent = match self.session().await {
            Ok(session) => match self.lambda.upgrade() {
                Some(lambda) => lambda.send_record(&session.cx, destination, key, &record, None).await,
                None => return,
            },
            Err(error) => Err(error),
        };
        if let Err(error) = sent
            && let (Some(lambda), Ok(named)) =
                (self.lambda.upgrade(), Named::read(&self.cx, &mapping.function, None))
        {
            let request_id = record["requestContext"]["requestId"].as_str().unwrap_or_default();
            lambda.trace_undelivered(&named, "DestinationDeliveryFailures", request_id, destination, &error);
        }
    }

    /// Source: Developer Guide, "Configuring destinations for failed invocations" of streams.
    fn record(
        &self,
        mapping: &Mapping,
        records: &[Found],
        condition: Condition,
        attempts: i32,
        last: Option<&(String, String, InvokeResult)>,
    ) -> Value {
        let time = |millis: i64| written_time(millis).replace("+0000", "Z");
        let (first, end) = (records.first(), records.last());
        let request_id = last.map_or_else(|| self.cx.random().uuid(), |(id, ..)| id.clone());
        let mut record = json!({
            "requestContext": {
                "requestId": request_id,
                "functionArn": mapping.function,
                "condition": condition.as_str(),
                "approximateInvokeCount": attempts,
            },
        });
        if let Some((_, version, result)) = last {
            record["responseContext"] = json!({
                "statusCode": 200,
                "executedVersion": version,
                "functionError": result.function_error.map(|e| e.as_str()),
            });
        }
        record["version"] = "1.0".into();
        record["timestamp"] = time(self.cx.millis()).into();
        let info = Source::of(&mapping.source).map_or("BatchInfo", |source| source.batch_info());
        record[info] = json!({
            "shardId": self.shard,
            "startSequenceNumber": first.map(|r| &r.sequence),
            "endSequenceNumber": end.map(|r| &r.sequence),
            "approximateArrivalOfFirstRecord": first.map(|r| time(r.arrived)),
            "approximateArrivalOfLastRecord": end.map(|r| time(r.arrived)),
            "batchSize": records.len(),
            "streamArn": mapping.source,
        });
        record
    }
}

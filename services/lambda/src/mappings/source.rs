//! Where records come from. A source is read with the rights of the function's role.

use super::Kind;
use crate::Lambda;
use crate::errors::invalid;
use crate::names::Named;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloudlet_api_dynamodbstreams::operations::{DescribeStream, GetRecords, GetShardIterator};
use cloudlet_api_dynamodbstreams::{
    AttributeValue, DescribeStreamInput, GetRecordsInput, GetShardIteratorInput, Record,
};
use cloudlet_service::{Context, Error};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The most records of one read. Source: DynamoDB Streams API Reference, GetRecords.
const MOST: usize = 1000;
/// How many pages of shards are read, which bounds what one look at a source may cost.
const MOST_PAGES: usize = 100;

/// A part of a stream that is read in order.
pub(super) struct Shard {
    pub id: String,
    pub parent: Option<String>,
}

/// Where reading a shard begins.
pub(super) enum Start {
    After(String),
    Oldest,
    Newest,
}

/// A record.
pub(super) struct Found {
    pub sequence: String,
    /// When it came into being, in milliseconds since 1970.
    pub arrived: i64,
    /// Records of one key stay in order.
    pub key: u64,
    /// As the function is given it.
    pub event: Value,
    /// Bytes of the event.
    pub size: usize,
}

/// One read.
pub(super) struct Read {
    pub records: Vec<Found>,
    /// `None` at the end of a shard that has ended.
    pub next: Option<String>,
}

/// A stream.
#[derive(Clone)]
pub(super) enum Source {
    DynamoDb { arn: String },
}

impl Source {
    /// Errors: not implemented for a service that is not served.
    pub(super) fn of(arn: &str) -> Result<Self, Error> {
        match Kind::of(arn)? {
            Kind::DynamoDb => Ok(Self::DynamoDb { arn: arn.to_owned() }),
            kind => Err(Error::not_implemented_part(format_args!("lambda event sources of {kind:?}"))),
        }
    }

    /// What an event of it says its source is; the name of what a record about a batch calls the batch.
    pub(super) fn batch_info(&self) -> &'static str {
        match self {
            Self::DynamoDb { .. } => "DDBStreamBatchInfo",
        }
    }

    /// All shards, parents before their children. Errors: those of the source.
    pub(super) async fn shards(&self, cx: &Context) -> Result<Vec<Shard>, Error> {
        let Self::DynamoDb { arn } = self;
        let (mut shards, mut start) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            let input = DescribeStreamInput {
                stream_arn: arn.clone(),
                exclusive_start_shard_id: start.take(),
                ..Default::default()
            };
            let described = cx.cloud.call::<DescribeStream>(cx, input).await?;
            let Some(stream) = described.stream_description else { break };
            for shard in stream.shards.unwrap_or_default() {
                if let Some(id) = shard.shard_id {
                    shards.push(Shard { id, parent: shard.parent_shard_id });
                }
            }
            start = stream.last_evaluated_shard_id;
            if start.is_none() {
                break;
            }
        }
        Ok(shards)
    }

    /// Where to read a shard from. Errors: those of the source.
    pub(super) async fn begin(
        &self,
        cx: &Context,
        shard: &str,
        start: Start,
    ) -> Result<Option<String>, Error> {
        let Self::DynamoDb { arn } = self;
        let (kind, sequence) = match start {
            Start::After(sequence) => ("AFTER_SEQUENCE_NUMBER", Some(sequence)),
            Start::Oldest => ("TRIM_HORIZON", None),
            Start::Newest => ("LATEST", None),
        };
        let input = GetShardIteratorInput {
            stream_arn: arn.clone(),
            shard_id: shard.to_owned(),
            shard_iterator_type: kind.to_owned(),
            sequence_number: sequence,
            ..Default::default()
        };
        Ok(cx.cloud.call::<GetShardIterator>(cx, input).await?.shard_iterator)
    }

    /// Reads on. Errors: those of the source.
    pub(super) async fn read(&self, cx: &Context, iterator: &str, limit: usize) -> Result<Read, Error> {
        let Self::DynamoDb { arn } = self;
        let input = GetRecordsInput {
            shard_iterator: iterator.to_owned(),
            limit: i32::try_from(limit.clamp(1, MOST)).ok(),
            ..Default::default()
        };
        let output = cx.cloud.call::<GetRecords>(cx, input).await?;
        let records = output.records.unwrap_or_default();
        Ok(Read {
            records: records.into_iter().filter_map(|record| found(record, arn)).collect(),
            next: output.next_shard_iterator,
        })
    }
}

/// A record as Lambda's event shows it. Source: Developer Guide, "Using AWS Lambda with Amazon DynamoDB".
fn found(record: Record, arn: &str) -> Option<Found> {
    let change = record.dynamodb?;
    let sequence = change.sequence_number?;
    let arrived = change.approximate_creation_date_time.and_then(|t| t.to_millis().ok()).unwrap_or(0);
    let keys = change.keys.as_ref().map(image);
    let mut hasher = DefaultHasher::new();
    keys.as_ref().map(Value::to_string).hash(&mut hasher);
    let mut body = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    };
    // Seconds, as the stream itself tells them.
    put("ApproximateCreationDateTime", Some(json!(arrived.div_euclid(1000) as f64)));
    put("Keys", keys);
    put("NewImage", change.new_image.as_ref().map(image));
    put("OldImage", change.old_image.as_ref().map(image));
    put("SequenceNumber", Some(json!(sequence)));
    put("SizeBytes", change.size_bytes.map(|n| json!(n)));
    put("StreamViewType", change.stream_view_type.map(Value::from));
    let mut event = json!({
        "eventID": record.event_id,
        "eventName": record.event_name,
        "eventVersion": record.event_version,
        "eventSource": record.event_source,
        "awsRegion": record.aws_region,
        "dynamodb": body,
        "eventSourceARN": arn,
    });
    if let Some(identity) = record.user_identity {
        event["userIdentity"] = json!({ "principalId": identity.principal_id, "type": identity.r#type });
    }
    let size = event.to_string().len();
    Some(Found { sequence, arrived, key: hasher.finish(), event, size })
}

fn image(attributes: &BTreeMap<String, AttributeValue>) -> Value {
    attributes.iter().map(|(name, value)| (name.clone(), attribute(value))).collect::<Map<_, _>>().into()
}

/// In DynamoDB's own JSON. Items nest at most 32 deep.
fn attribute(value: &AttributeValue) -> Value {
    let bytes = |blob: &cloudlet_api_dynamodbstreams::Blob| STANDARD.encode(blob.as_ref());
    if let Some(text) = &value.s {
        json!({ "S": text })
    } else if let Some(number) = &value.n {
        json!({ "N": number })
    } else if let Some(blob) = &value.b {
        json!({ "B": bytes(blob) })
    } else if let Some(set) = &value.ss {
        json!({ "SS": set })
    } else if let Some(set) = &value.ns {
        json!({ "NS": set })
    } else if let Some(set) = &value.bs {
        json!({ "BS": set.iter().map(bytes).collect::<Vec<_>>() })
    } else if let Some(map) = &value.m {
        json!({ "M": image(map) })
    } else if let Some(list) = &value.l {
        json!({ "L": list.iter().map(attribute).collect::<Vec<_>>() })
    } else if let Some(truth) = value.bool {
        json!({ "BOOL": truth })
    } else {
        json!({ "NULL": true })
    }
}

/// What a role needs for a source.
const KINESIS: [&str; 4] =
    ["kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:DescribeStream", "kinesis:ListShards"];
const SQS: [&str; 3] = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];

/// Whether a new mapping's source is there and the function's role may read it.
///
/// Errors: `InvalidParameterValueException` in the words of each source.
pub(crate) async fn probe(
    lambda: &Lambda,
    named: &Named,
    role: &str,
    kind: Kind,
    arn: &str,
) -> Result<(), Error> {
    let cx = &named.cx;
    // What the role may not read is told before what is not there.
    if kind == Kind::Kinesis && lambda.missing_right(named, role, &KINESIS, arn).await?.is_some() {
        return Err(invalid(format!(
            "Cannot access stream {arn}. Please ensure the role can perform the GetRecords, GetShardIterator, DescribeStream, ListShards, \
             and ListStreams Actions on your stream in IAM."
        )));
    }
    if kind.is_queue()
        && let Some(call) = lambda.missing_right(named, role, &SQS, arn).await?
    {
        return Err(invalid(format!(
            "The provided execution role does not have permissions to call {call} on SQS"
        )));
    }
    match kind {
        Kind::DynamoDb => {
            let denied = || {
                invalid(format!(
                    "Cannot access stream {arn}. Please ensure the role can perform the GetRecords, GetShardIterator, DescribeStream, \
                     and ListStreams Actions on your stream in IAM."
                ))
            };
            let session = lambda.sink.roles().session(&cx.account, &cx.region, role, &named.name).await;
            let session = session.map_err(|_| denied())?;
            let input = DescribeStreamInput { stream_arn: arn.to_owned(), ..Default::default() };
            match cx.cloud.call::<DescribeStream>(&session.cx, input).await {
                Ok(_) => Ok(()),
                Err(error) if error.code().starts_with("AccessDenied") => Err(denied()),
                Err(error) if error.status() >= 500 => Err(error),
                Err(_) => Err(invalid(format!("Stream not found: {arn}"))),
            }
        }
        // What AWS says of a stream and of a queue that are not there, which none can be.
        Kind::Kinesis if cx.cloud.service("kinesis").is_none() => {
            Err(invalid(format!("Stream not found: {arn}")))
        }
        Kind::Sqs | Kind::SqsFifo if cx.cloud.service("sqs").is_none() => Err(invalid(
            "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS Error Message: The \
             specified queue does not exist.",
        )),
        kind => Err(Error::not_implemented_part(format_args!("lambda event source mappings of {kind:?}"))),
    }
}

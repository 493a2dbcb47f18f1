//! Event notifications: which configuration an event meets, the message it becomes, its delivery.
//! Source: S3 User Guide, "Event message structure".

use crate::errors::Result;
use crate::names::url_encode;
use crate::state::{Bucket, Notification, Target, Version, partition};
use cloudlet_api_lambda as lambda;
use cloudlet_bus::{Delivery, Handler, Message, MessageId, Outcome};
use cloudlet_service::{Arn, BoxFuture, Cloud, Context, Principal};
use cloudlet_store::Tx;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// The queue that carries events to functions.
pub(crate) const QUEUE: &str = "s3.notifications";

/// How long an event is kept for a function that does not take it: as long as Lambda keeps its own.
const MAX_AGE_MS: u64 = 6 * 3600 * 1000;

/// Something that happened to a version of an object.
pub(crate) struct Event<'a> {
    /// Without `s3:`, such as `ObjectCreated:Put`.
    pub(crate) name: &'static str,
    pub(crate) key: &'a str,
    pub(crate) version: &'a Version,
}

/// What the deliverer is given.
#[derive(Serialize, Deserialize)]
struct Parcel {
    function: String,
    bucket: String,
    account: String,
    region: String,
    event: Value,
    /// The chain of requests that the event comes from: Lambda stops functions that cause themselves to be called.
    #[serde(default)]
    trace: Option<String>,
}

/// The header in which SDKs pass a chain of requests on, and the most bytes of it that are kept.
const TRACE: &str = "x-amzn-trace-id";
const LONGEST_TRACE: usize = 2048;

fn trace(cx: &Context) -> Option<String> {
    let value = cx.origin.headers.as_ref()?.get(TRACE)?.to_str().ok()?;
    (value.len() <= LONGEST_TRACE).then(|| value.to_owned())
}

/// Emits the event to every destination that asks for it, in the transaction that causes it.
pub(crate) fn emit(tx: &mut Tx<'_>, cx: &Context, bucket: &Bucket, event: &Event<'_>) -> Result<()> {
    emit_with(tx, cx, bucket, event, None)
}

/// The same with data that only some events have, under its name.
pub(crate) fn emit_with(
    tx: &mut Tx<'_>,
    cx: &Context,
    bucket: &Bucket,
    event: &Event<'_>,
    more: Option<(&str, Value)>,
) -> Result<()> {
    for destination in bucket.notifications.iter().filter(|n| n.target == Target::Lambda) {
        if !wants(destination, event.name, event.key) {
            continue;
        }
        let mut told = record(cx, bucket, destination, event);
        if let Some((name, data)) = &more {
            told[*name] = data.clone();
        }
        let parcel = Parcel {
            function: destination.arn.clone(),
            bucket: bucket.arn(),
            account: bucket.owner.clone(),
            region: bucket.region.clone(),
            event: json!({ "Records": [told] }),
            trace: trace(cx),
        };
        let now = u64::try_from(cx.millis()).unwrap_or_default();
        tx.emit(Message {
            queue: QUEUE.to_owned(),
            group: destination.arn.clone(),
            payload: serde_json::to_vec(&parcel).unwrap_or_default(),
            not_before: now,
            expires: Some(now + MAX_AGE_MS),
            attempts: 0,
        })?;
    }
    Ok(())
}

/// Whether a destination asks for this event on this key.
pub(crate) fn wants(destination: &Notification, event: &str, key: &str) -> bool {
    let named = destination.events.iter().any(|wanted| {
        let wanted = wanted.strip_prefix("s3:").unwrap_or(wanted);
        match wanted.strip_suffix('*') {
            Some(family) => event.starts_with(family),
            None => wanted == event,
        }
    });
    named
        && destination.rules.iter().all(|(name, value)| {
            if name.eq_ignore_ascii_case("prefix") {
                key.starts_with(value.as_str())
            } else {
                key.ends_with(value.as_str())
            }
        })
}

/// The version of the message's form, which differs by what it tells of.
fn event_version(name: &str) -> &'static str {
    let family = name.split(':').next().unwrap_or_default();
    match family {
        "Replication" => "2.2",
        "LifecycleExpiration"
        | "LifecycleTransition"
        | "IntelligentTiering"
        | "ObjectAcl"
        | "ObjectRetention"
        | "ObjectTagging" => "2.3",
        _ => "2.1",
    }
}

fn record(cx: &Context, bucket: &Bucket, destination: &Notification, event: &Event<'_>) -> Value {
    // What S3 does by itself comes from itself.
    let own = matches!(cx.principal, Principal::Service { .. }) || event.name == "ObjectRestore:Completed";
    let source_ip = match cx.origin.source_ip {
        _ if own => "s3.amazonaws.com".to_owned(),
        Some(ip) => ip.to_string(),
        None => "127.0.0.1".to_owned(),
    };
    let principal = match own {
        true if event.name.starts_with("ObjectRestore") => {
            format!("AmazonCustomer:{}", owner_id(&bucket.owner))
        }
        true => "s3.amazonaws.com".to_owned(),
        false => principal_id(&cx.principal),
    };
    let (request_id, id_2) = request_ids(&cx.request_id);
    json!({
        "eventVersion": event_version(event.name),
        "eventSource": "aws:s3",
        "awsRegion": bucket.region,
        "eventTime": iso(cx.millis()),
        "eventName": event.name,
        "userIdentity": { "principalId": principal },
        "requestParameters": { "sourceIPAddress": source_ip },
        "responseElements": { "x-amz-request-id": request_id, "x-amz-id-2": id_2 },
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": destination.id,
            "bucket": {
                "name": bucket.name,
                "ownerIdentity": { "principalId": owner_id(&bucket.owner) },
                "arn": bucket.arn(),
            },
            "object": object(event),
        },
    })
}

/// What an event tells of the object, which differs by its family.
fn object(event: &Event<'_>) -> Value {
    let version = event.version;
    let family = event.name.split(':').next().unwrap_or_default();
    let mut object = json!({ "key": url_encode(event.key) });
    let about_bytes = matches!(
        family,
        "ObjectCreated" | "ObjectRestore" | "Replication" | "LifecycleTransition" | "IntelligentTiering"
    );
    if about_bytes && !version.marker {
        object["size"] = json!(version.size);
    }
    if version.marker {
        object["eTag"] = json!("d41d8cd98f00b204e9800998ecf8427e");
    } else if !matches!(family, "ObjectRemoved" | "LifecycleExpiration") {
        object["eTag"] = json!(version.etag);
    }
    if let Some(id) = &version.id {
        object["versionId"] = json!(id);
    }
    if !matches!(family, "ObjectTagging" | "ObjectAcl") {
        object["sequencer"] = json!(format!("{:018X}", version.seq));
    }
    object
}

/// The customer id of an account: 14 characters beginning with `A`, made from the account's number.
fn owner_id(account: &str) -> String {
    let hash = crate::names::canonical_id(account).to_ascii_uppercase();
    format!("A{}", &hash[..13.min(hash.len())])
}

fn principal_id(principal: &Principal) -> String {
    match principal {
        Principal::Anonymous => "Anonymous".to_owned(),
        Principal::Root { account } => owner_id(account),
        other => format!("AWS:{}", other.user_id()),
    }
}

/// The request's ids as the answer's headers show them.
pub(crate) fn request_ids(request_id: &str) -> (String, String) {
    use base64::Engine;
    let short =
        request_id.chars().filter(char::is_ascii_alphanumeric).take(16).map(|c| c.to_ascii_uppercase());
    (short.collect(), base64::engine::general_purpose::STANDARD.encode(request_id))
}

/// ISO 8601 with milliseconds.
pub(crate) fn iso(millis: i64) -> String {
    let nanos = i128::from(millis) * 1_000_000;
    let Ok(t) = time::OffsetDateTime::from_unix_timestamp_nanos(nanos) else { return String::new() };
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        t.year(),
        u8::from(t.month()),
        t.day(),
        t.hour(),
        t.minute(),
        t.second(),
        t.millisecond()
    )
}

/// Whether Lambda lets the bucket call the function: asked as S3 itself, with nothing run.
pub(crate) async fn may_invoke(cx: &Context, bucket: &Bucket, function: &str) -> bool {
    let Some(arn) =
        Arn::parse(function).filter(|a| a.service == "lambda" && a.resource.starts_with("function:"))
    else {
        return false;
    };
    let mut caller = cx.as_service("s3.amazonaws.com", Some(&bucket.arn())).located(arn.account, arn.region);
    if let Principal::Service { source_account, .. } = &mut caller.principal {
        *source_account = Some(bucket.owner.as_str().into());
    }
    invoke(&caller, function, "DryRun", None).await.is_ok()
}

async fn invoke(
    cx: &Context,
    function: &str,
    kind: &str,
    payload: Option<Vec<u8>>,
) -> std::result::Result<(), cloudlet_service::Error> {
    let input = lambda::InvokeInput {
        function_name: function.to_owned(),
        invocation_type: Some(kind.to_owned()),
        payload: payload.map(lambda::Blob::new),
        ..Default::default()
    };
    cx.cloud.call::<lambda::operations::Invoke>(cx, input).await.map(drop)
}

/// How events are delivered: many at once, and soon again where a function's account is throttled.
pub(crate) fn delivery() -> Delivery {
    Delivery { concurrency: 64, per_group: 32, max_delay: Duration::from_secs(60), ..Delivery::default() }
}

/// Hands events to Lambda, as an asynchronous invocation: from there on they are Lambda's to run and to retry.
pub(crate) struct Deliverer {
    pub(crate) cloud: Arc<Cloud>,
}

impl Handler for Deliverer {
    fn deliver<'a>(&'a self, _: &'a MessageId, message: &'a Message) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let parcel: Parcel = match serde_json::from_slice(&message.payload) {
                Ok(parcel) => parcel,
                Err(why) => return Outcome::Dead { why: format!("the message is none of ours: {why}") },
            };
            let place = Arn::parse(&parcel.function).map(|a| (a.account.to_owned(), a.region.to_owned()));
            let (account, region) = place.unwrap_or((parcel.account.clone(), parcel.region));
            let principal = Principal::Service {
                name: "s3.amazonaws.com".into(),
                source_arn: Some(parcel.bucket.as_str().into()),
                source_account: Some(parcel.account.as_str().into()),
            };
            let mut cx = self.cloud.context(principal, &account, &region);
            let chain = parcel.trace.as_deref().and_then(|trace| http::HeaderValue::from_str(trace).ok());
            let chain = chain.map(|value| [(http::HeaderName::from_static(TRACE), value)]);
            Arc::make_mut(&mut cx.origin).headers =
                chain.map(|pair| Arc::new(http::HeaderMap::from_iter(pair)));
            let payload = parcel.event.to_string().into_bytes();
            match invoke(&cx, &parcel.function, "Event", Some(payload)).await {
                Ok(()) => Outcome::Done,
                Err(error) if error.status() >= 500 || error.status() == 429 => {
                    Outcome::Retry { after: None, why: error.to_string() }
                }
                Err(error) => Outcome::Dead { why: error.to_string() },
            }
        })
    }
}

/// The ARN of a bucket's name in a region's partition.
pub(crate) fn bucket_arn(region: &str, bucket: &str) -> String {
    format!("arn:{}:s3:::{bucket}", partition(region))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destination(events: &[&str], rules: &[(&str, &str)]) -> Notification {
        Notification {
            id: "n".into(),
            target: Target::Lambda,
            arn: String::new(),
            events: events.iter().map(|e| (*e).to_owned()).collect(),
            rules: rules.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            filtered: !rules.is_empty(),
        }
    }

    #[test]
    fn filters() {
        let all = destination(&["s3:ObjectCreated:*"], &[]);
        assert!(wants(&all, "ObjectCreated:Put", "a") && wants(&all, "ObjectCreated:Copy", "a"));
        assert!(!wants(&all, "ObjectRemoved:Delete", "a"));
        let some = destination(&["s3:ObjectCreated:Put"], &[("Prefix", "in/"), ("suffix", ".jpg")]);
        assert!(wants(&some, "ObjectCreated:Put", "in/a.jpg"));
        assert!(!wants(&some, "ObjectCreated:Copy", "in/a.jpg"));
        assert!(!wants(&some, "ObjectCreated:Put", "out/a.jpg"));
        assert!(!wants(&some, "ObjectCreated:Put", "in/a.png"));
    }

    #[test]
    fn times() {
        assert_eq!(iso(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso(1_700_000_000_123), "2023-11-14T22:13:20.123Z");
    }
}

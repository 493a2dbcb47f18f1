//! A change of an item, as readers of a stream see it, and its number.
//! Source: DynamoDB Streams API Reference, Record, StreamRecord.

use crate::describe::time;
use crate::state::{Entry, StreamOf};
use crate::value::Item;
use cloudlet_api_dynamodbstreams as api;
use cloudlet_store::Key;
use std::collections::BTreeMap;

/// What is added to our numbers, so that they have the 21 digits of AWS's.
const NUMBER_BASE: u128 = 100_000_000_000_000_000_000;

pub(super) fn sequence(number: u64) -> String {
    (NUMBER_BASE + u128::from(number)).to_string()
}

pub(super) fn parse_sequence(text: &str) -> Option<u64> {
    text.parse::<u128>().ok()?.checked_sub(NUMBER_BASE)?.try_into().ok()
}

pub(super) fn number_of(key: &Key) -> Option<u64> {
    let mut parts = key.parts();
    parts.number()?;
    parts.number()?;
    parts.number()
}

fn item(item: Item) -> BTreeMap<String, api::AttributeValue> {
    item.into_iter().map(|(name, value)| (name, attribute(value))).collect()
}

fn attribute(value: crate::value::Value) -> api::AttributeValue {
    use crate::value::Value;
    let mut out = api::AttributeValue::default();
    match value {
        Value::S(text) => out.s = Some(text),
        Value::N(number) => out.n = Some(number.to_string()),
        Value::B(bytes) => out.b = Some(api::Blob::new(bytes)),
        Value::Bool(value) => out.bool = Some(value),
        Value::Null => out.null = Some(true),
        Value::SS(set) => out.ss = Some(set.into_iter().collect()),
        Value::NS(set) => out.ns = Some(set.iter().map(ToString::to_string).collect()),
        Value::BS(set) => out.bs = Some(set.into_iter().map(api::Blob::new).collect()),
        Value::L(list) => out.l = Some(list.into_iter().map(attribute).collect()),
        Value::M(map) => out.m = Some(item(map)),
    }
    out
}

pub(super) fn record(stream: &StreamOf, number: u64, entry: Entry, arn: &str) -> api::Record {
    let id = [stream.number.to_be_bytes(), number.to_be_bytes()].concat();
    let event = match entry.event {
        'I' => "INSERT",
        'M' => "MODIFY",
        _ => "REMOVE",
    };
    let region = cloudlet_service::Arn::parse(arn).map(|arn| arn.region.to_owned());
    api::Record {
        event_id: Some(hex::encode(id)),
        event_name: Some(event.to_owned()),
        event_version: Some("1.1".to_owned()),
        event_source: Some("aws:dynamodb".to_owned()),
        aws_region: region,
        dynamodb: Some(api::StreamRecord {
            // AWS shows whole seconds.
            approximate_creation_date_time: Some(time(entry.at - entry.at.rem_euclid(1000))),
            keys: Some(item(entry.keys)),
            new_image: entry.new.map(item),
            old_image: entry.old.map(item),
            sequence_number: Some(sequence(number)),
            size_bytes: Some(entry.size),
            stream_view_type: Some(stream.view.name().to_owned()),
            ..Default::default()
        }),
        user_identity: entry.expired.then(|| api::Identity {
            principal_id: Some("dynamodb.amazonaws.com".to_owned()),
            r#type: Some("Service".to_owned()),
            ..Default::default()
        }),
        ..Default::default()
    }
}

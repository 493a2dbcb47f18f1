//! The API `streams.dynamodb`: streams, their shards, iterators over their records.
//!
//! A stream has one open shard at a time; after some hours the next one takes over, as on AWS. Records are kept a day.
//! Source: DynamoDB Streams API Reference; Developer Guide, "Change data capture for DynamoDB Streams".

mod iterators;
mod records;

use crate::describe::{key_schema, time};
use crate::errors::{Failure, Result, stored};
use crate::state::{Entry, Shard, StreamOf, Table};
use crate::{DynamoDb, names};
use cloudlet_api_dynamodbstreams as api;
use cloudlet_service::rules::Violations;
use cloudlet_service::{Access, BoxFuture, Context, Error, Operation, Service, Structure};
use cloudlet_store::{Key, Store};
use iterators::Iterator;
pub(crate) use iterators::stream_of;
use records::{number_of, record, sequence};
use std::sync::Arc;

/// The sequence that numbers records.
pub(crate) const SEQUENCE: &str = "dynamodb.records";
/// How long records are kept, in milliseconds.
pub(crate) const KEPT: i64 = 24 * 60 * 60 * 1000;
/// How long a shard takes records. AWS: "up to four hours".
pub(crate) const SHARD_AGE: i64 = 4 * 60 * 60 * 1000;
/// How long an iterator may be used.
const ITERATOR_AGE: i64 = 15 * 60 * 1000;
/// AWS: the most bytes in an answer of `GetRecords`.
const MOST_BYTES: i64 = 1024 * 1024;

/// The service over the streams of [`DynamoDb`]'s tables.
pub struct Streams(pub(crate) Arc<DynamoDb>);

impl DynamoDb {
    /// The streams of these tables, as the service that AWS makes of them.
    pub fn streams(self: &Arc<Self>) -> Arc<Streams> {
        Arc::new(Streams(self.clone()))
    }
}

impl Service for Streams {
    cloudlet_api_dynamodbstreams::operations!();

    fn access<'a>(
        &'a self,
        op: &'static Operation,
        cx: &'a Context,
        input: &'a dyn Structure,
    ) -> BoxFuture<'a, Result<Vec<Access>, Error>> {
        Box::pin(async move { self.accesses(op, cx, input) })
    }

    fn invalid_input(&self, op: &'static Operation, violations: Violations) -> Error {
        crate::violations::error(op, violations)
    }
}

/// The last shard of a stream and when it was opened.
pub(crate) fn last_shard(store: &Store, stream: u64) -> Result<Option<(u64, i64)>, Failure> {
    let range = Key::new().number(stream).prefix_range();
    match store.table::<Shard>().scan(range, true).next() {
        Some(row) => {
            let (key, shard) = row?;
            let mut parts = key.parts();
            Ok(parts.number().and_then(|_| parts.number()).map(|number| (number, shard.opened)))
        }
        None => Ok(None),
    }
}

/// AWS's form of a shard's id: when it was opened, and something to tell it from others.
fn shard_id(stream: u64, number: u64, opened: i64) -> String {
    let mark = xxhash_rust::xxh3::xxh3_64(&[stream.to_be_bytes(), number.to_be_bytes()].concat());
    format!("shardId-{:020}-{:08x}", opened, mark & 0xFFFF_FFFF)
}

/// How many an answer may give at the most. The model does not say, but DynamoDB does.
///
/// Errors: more than there can be.
fn limited(given: Option<i32>, most: u16) -> Result<usize> {
    match given {
        Some(limit) if limit > i32::from(most) => Err(Error::validation(format!(
            "1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: Member must have value \
             less than or equal to {most}"
        ))),
        Some(limit) => Ok(usize::try_from(limit).unwrap_or(1)),
        None => Ok(usize::from(most)),
    }
}

fn not_found(arn: &str) -> Error {
    api::ResourceNotFoundException::error(format!("Requested resource not found: Stream: {arn} not found"))
}

fn no_shard(shard: &str, arn: &str) -> Error {
    api::ResourceNotFoundException::error(format!(
        "Requested resource not found: Shard does not exist: {shard} in stream: {arn}"
    ))
}

/// A shard with its number and its id, in the order of time.
struct Numbered {
    number: u64,
    id: String,
    shard: Shard,
}

impl Streams {
    fn stream(&self, arn: &str) -> Result<StreamOf> {
        let Some((place, label)) = names::of_stream_arn(arn) else {
            return Err(Error::validation(format!("Invalid StreamArn: {arn}")));
        };
        let key = crate::state::table_key(&place.account, &place.region, &place.name).text(&label);
        let found = self.0.store.table::<StreamOf>().get(&key).map_err(stored)?;
        found.ok_or_else(|| not_found(arn))
    }

    fn shards(&self, stream: &StreamOf) -> Result<Vec<Numbered>> {
        let range = Key::new().number(stream.number).prefix_range();
        let mut all = Vec::new();
        for row in self.0.store.table::<Shard>().scan(range, false) {
            let (key, shard) = row.map_err(stored)?;
            let mut parts = key.parts();
            let Some(number) = parts.number().and_then(|_| parts.number()) else { continue };
            let id = shard_id(stream.number, number, shard.opened);
            all.push(Numbered { number, id, shard });
        }
        Ok(all)
    }

    /// The number before which every record of a stream is there.
    async fn horizon(&self, stream: u64) -> Result<u64> {
        let space = self.0.live.space(stream);
        if space.flow.lock().last == 0 {
            let number = self.0.store.transact(|tx| Ok::<_, Failure>(tx.sequence(SEQUENCE)?)).await?;
            let mut flow = space.flow.lock();
            flow.last = flow.last.max(number);
        }
        let flow = space.flow.lock();
        Ok(flow.horizon().min(flow.last + 1))
    }

    /// Lists streams, by table or all.
    pub async fn list_streams(
        &self,
        cx: &Context,
        input: api::ListStreamsInput,
    ) -> Result<api::ListStreamsOutput> {
        let limit = limited(input.limit, 100)?;
        let mut range = crate::state::place_key(&cx.account, &cx.region).prefix_range();
        if let Some(table) = &input.table_name {
            let key = crate::state::table_key(&cx.account, &cx.region, table);
            range = key.prefix_range();
            // A table that was deleted today still has its streams.
            let streams = self.0.store.table::<StreamOf>().scan(range.clone(), false).next().is_some();
            if !streams && self.0.store.table::<Table>().get(&key).map_err(stored)?.is_none() {
                return Err(api::ResourceNotFoundException::error(format!(
                    "Requested resource not found: Table: {table} not found"
                )));
            }
        }
        if let Some(after) = &input.exclusive_start_stream_arn {
            let Some((place, label)) = names::of_stream_arn(after) else {
                return Err(Error::validation(format!("Invalid StreamArn: {after}")));
            };
            range = range
                .after(&crate::state::table_key(&place.account, &place.region, &place.name).text(&label));
        }
        let mut streams: Vec<api::Stream> = Vec::new();
        let mut last = None;
        for row in self.0.store.table::<StreamOf>().scan(range, false) {
            let (_, stream) = row.map_err(stored)?;
            if streams.len() == limit {
                last = streams.last().and_then(|stream| stream.stream_arn.clone());
                break;
            }
            let table = names::table_arn(&cx.account, &cx.region, &stream.table);
            streams.push(api::Stream {
                stream_arn: Some(format!("{table}/stream/{}", stream.label)),
                table_name: Some(stream.table),
                stream_label: Some(stream.label),
                ..Default::default()
            });
        }
        Ok(api::ListStreamsOutput {
            streams: Some(streams),
            last_evaluated_stream_arn: last,
            ..Default::default()
        })
    }

    /// Shows a stream and its shards.
    ///
    /// Errors: `ResourceNotFoundException`.
    pub async fn describe_stream(
        &self,
        cx: &Context,
        input: api::DescribeStreamInput,
    ) -> Result<api::DescribeStreamOutput> {
        let limit = limited(input.limit, 100)?;
        let stream = self.stream(&input.stream_arn)?;
        let shards = self.shards(&stream)?;
        let oldest = cx.millis() - KEPT;
        let mut shown: Vec<api::Shard> = Vec::new();
        let mut last = None;
        let mut passed = input.exclusive_start_shard_id.is_none();
        let child_of = match &input.shard_filter {
            Some(filter) => filter.shard_id.as_deref(),
            None => None,
        };
        for (at, one) in shards.iter().enumerate() {
            let next = shards.get(at + 1);
            if !passed {
                passed = input.exclusive_start_shard_id.as_deref() == Some(one.id.as_str());
                continue;
            }
            // A shard all of whose records are gone is gone as well.
            if next.is_some_and(|next| next.shard.opened < oldest) {
                continue;
            }
            let parent = at.checked_sub(1).and_then(|at| shards.get(at));
            if child_of.is_some() && parent.map(|p| p.id.as_str()) != child_of {
                continue;
            }
            if shown.len() == limit {
                last = shown.last().and_then(|shard| shard.shard_id.clone());
                break;
            }
            let ended = match next {
                Some(next) => Some(next.shard.first.saturating_sub(1)),
                None if stream.ended.is_some() => Some(self.last_number(&stream, one)?),
                None => None,
            };
            shown.push(api::Shard {
                shard_id: Some(one.id.clone()),
                sequence_number_range: Some(api::SequenceNumberRange {
                    starting_sequence_number: Some(sequence(one.shard.first)),
                    ending_sequence_number: ended.map(|number| sequence(number.max(one.shard.first))),
                    ..Default::default()
                }),
                parent_shard_id: parent.map(|parent| parent.id.clone()),
                ..Default::default()
            });
        }
        let description = api::StreamDescription {
            stream_arn: Some(input.stream_arn),
            stream_label: Some(stream.label),
            stream_status: Some(if stream.ended.is_some() { "DISABLED" } else { "ENABLED" }.to_owned()),
            stream_view_type: Some(stream.view.name().to_owned()),
            creation_request_date_time: Some(time(stream.created)),
            table_name: Some(stream.table),
            key_schema: Some(
                key_schema(&stream.keys)
                    .into_iter()
                    .map(|key| api::KeySchemaElement {
                        attribute_name: key.attribute_name,
                        key_type: key.key_type,
                        ..Default::default()
                    })
                    .collect(),
            ),
            shards: Some(shown),
            last_evaluated_shard_id: last,
            ..Default::default()
        };
        Ok(api::DescribeStreamOutput { stream_description: Some(description), ..Default::default() })
    }

    /// The number of a shard's last record.
    fn last_number(&self, stream: &StreamOf, shard: &Numbered) -> Result<u64> {
        let range = Key::new().number(stream.number).number(shard.number).prefix_range();
        match self.0.store.table::<Entry>().scan(range, true).next() {
            Some(row) => Ok(number_of(&row.map_err(stored)?.0).unwrap_or(shard.shard.first)),
            None => Ok(shard.shard.first),
        }
    }

    /// Reads records from where an iterator stands.
    ///
    /// Errors: `ExpiredIteratorException`, `ResourceNotFoundException`, `ValidationException`.
    pub async fn get_records(
        &self,
        cx: &Context,
        input: api::GetRecordsInput,
    ) -> Result<api::GetRecordsOutput> {
        let limit = limited(input.limit, 1000)?;
        let Some(iterator) = Iterator::parse(&input.shard_iterator) else {
            return Err(Error::validation("Invalid ShardIterator"));
        };
        if cx.millis() - iterator.made > ITERATOR_AGE {
            return Err(api::ExpiredIteratorException::error(format!(
                "Iterator expired. The iterator was created at time {} while right now it is {}, which is further in the \
                 future than the tolerated delay of {ITERATOR_AGE} milliseconds.",
                iterator.made,
                cx.millis()
            )));
        }
        let stream = self.stream(&iterator.arn)?;
        let shards = self.shards(&stream)?;
        let Some(at) = shards.iter().position(|shard| shard.id == iterator.shard) else {
            return Err(no_shard(&iterator.shard, &iterator.arn));
        };
        let Some(shard) = shards.get(at) else { return Err(no_shard(&iterator.shard, &iterator.arn)) };
        // What is known to be closed now stays so; the horizon is looked at before the records.
        let closed = at + 1 < shards.len() || stream.ended.is_some();
        let horizon = self.horizon(stream.number).await?;
        // A record that was numbered before the next shard began may still be on its way.
        let closed = closed && shards.get(at + 1).is_none_or(|next| horizon >= next.shard.first);
        let prefix = Key::new().number(stream.number).number(shard.number);
        let range = prefix
            .prefix_range()
            .from(&Key::new().number(stream.number).number(shard.number).number(iterator.after + 1));
        let oldest = cx.millis() - KEPT;
        let mut records = Vec::new();
        let (mut after, mut bytes, mut whole) = (iterator.after, 0, true);
        for row in self.0.store.table::<Entry>().scan(range, false) {
            let (key, entry) = row.map_err(stored)?;
            let Some(number) = number_of(&key) else { continue };
            if number >= horizon {
                break;
            }
            // No more than fits, but one at the least.
            if records.len() == limit || (bytes > 0 && bytes + entry.size > MOST_BYTES) {
                whole = false;
                break;
            }
            after = number;
            if entry.at < oldest {
                continue;
            }
            bytes += entry.size;
            records.push(record(&stream, number, entry, &iterator.arn));
        }
        let next = Iterator { after, made: cx.millis(), ..iterator };
        Ok(api::GetRecordsOutput {
            records: Some(records),
            next_shard_iterator: (!(closed && whole)).then(|| next.text()),
            ..Default::default()
        })
    }
}

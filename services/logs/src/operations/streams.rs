//! Log streams: made, listed, deleted.

use crate::Logs;
use crate::errors::{Failure, bad_token, invalid, no_group, no_stream, stored, stream_exists};
use crate::purge::Task;
use crate::state::{Group, Stream, group_key, stream_key};
use cloudlet_api_logs::*;
use cloudlet_service::pages;
use cloudlet_store::Key;

/// How many streams are sorted by their last event at most; a listing by name has no such limit.
const MOST_SORTED: usize = 100_000;

impl Logs {
    /// Makes a log stream.
    ///
    /// Errors: `ResourceNotFoundException`, `ResourceAlreadyExistsException`, `InvalidParameterException`.
    pub async fn create_log_stream(
        &self,
        cx: &Context,
        input: CreateLogStreamInput,
    ) -> Result<CreateLogStreamOutput, Error> {
        if input.log_stream_name.contains([':', '*']) {
            return Err(invalid(format!(
                "1 validation error detected: Value '{}' at 'logStreamName' failed to satisfy constraint: Member must \
                 satisfy regular expression pattern: [^:*]*",
                input.log_stream_name
            )));
        }
        let key = group_key(cx, &input.log_group_name);
        self.store
            .transact(|tx| {
                let group = tx.get::<Group>(&key)?.ok_or_else(no_group)?;
                let key = stream_key(group.number, &input.log_stream_name);
                if tx.exists::<Stream>(&key)? {
                    return Err(Failure(stream_exists()));
                }
                let stream = Stream {
                    number: tx.sequence("logs")?,
                    name: input.log_stream_name.clone(),
                    created: cx.millis(),
                    first_event: None,
                    last_event: None,
                    last_ingestion: None,
                    stored_bytes: 0,
                };
                Ok(tx.put(&key, &stream)?)
            })
            .await?;
        Ok(CreateLogStreamOutput::default())
    }

    /// Deletes a log stream with its events.
    ///
    /// Errors: `ResourceNotFoundException`.
    pub async fn delete_log_stream(
        &self,
        cx: &Context,
        input: DeleteLogStreamInput,
    ) -> Result<DeleteLogStreamOutput, Error> {
        let key = group_key(cx, &input.log_group_name);
        self.store
            .transact(|tx| {
                let group = tx.get::<Group>(&key)?.ok_or_else(no_group)?;
                let key = stream_key(group.number, &input.log_stream_name);
                let stream = tx.get::<Stream>(&key)?.ok_or_else(no_stream)?;
                tx.delete::<Stream>(&key)?;
                tx.emit(Task::Stream(stream.number).message(cx.millis()))?;
                Ok::<_, Failure>(())
            })
            .await?;
        Ok(DeleteLogStreamOutput::default())
    }

    /// Lists the streams of a group, by name or by their last event.
    ///
    /// Errors: `ResourceNotFoundException`, `InvalidParameterException`.
    pub async fn describe_log_streams(
        &self,
        cx: &Context,
        input: DescribeLogStreamsInput,
    ) -> Result<DescribeLogStreamsOutput, Error> {
        let by_time = input.order_by.as_deref() == Some("LastEventTime");
        if by_time && input.log_stream_name_prefix.is_some() {
            return Err(invalid("Cannot order by LastEventTime with a logStreamNamePrefix."));
        }
        let group =
            self.named_group(cx, input.log_group_name.as_deref(), input.log_group_identifier.as_deref())?;
        let reverse = input.descending.unwrap_or(false);
        let limit = usize::try_from(input.limit.unwrap_or(50)).unwrap_or(50);
        let all = Key::new().number(group.number);
        let prefix = input.log_stream_name_prefix.as_deref().unwrap_or_default();
        let range = all.clone().raw_tail(prefix.as_bytes()).prefix_range();
        let bad = bad_token;
        let page = if by_time {
            let mut streams = Vec::new();
            for row in self.store.table::<Stream>().scan(range, false).take(MOST_SORTED) {
                streams.push(row.map_err(stored)?.1);
            }
            streams.sort_by_cached_key(time_key);
            if reverse {
                streams.reverse();
            }
            let start = match input.next_token.as_deref() {
                None => 0,
                Some(token) => {
                    let last = pages::position(token).ok_or_else(bad)?;
                    streams
                        .partition_point(|s| if reverse { time_key(s) >= last } else { time_key(s) <= last })
                }
            };
            let more = streams.len() > start + limit;
            let items: Vec<Stream> = streams.into_iter().skip(start).take(limit).collect();
            let next = items.last().filter(|_| more).map(|last| pages::token(time_key(last)));
            pages::Page { items, next }
        } else {
            let range = match input.next_token.as_deref() {
                None => range,
                Some(token) => {
                    let last =
                        pages::position(token).and_then(|p| String::from_utf8(p).ok()).ok_or_else(bad)?;
                    let last = stream_key(group.number, &last);
                    if reverse { range.until(&last) } else { range.after(&last) }
                }
            };
            let mut items = Vec::new();
            for row in self.store.table::<Stream>().scan(range, reverse).take(limit + 1) {
                items.push(row.map_err(stored)?.1);
            }
            let more = items.len() > limit;
            items.truncate(limit);
            let next = items.last().filter(|_| more).map(|last| pages::token(&last.name));
            pages::Page { items, next }
        };
        let arn = group.arn(cx);
        let describe = |stream: Stream| LogStream {
            arn: Some(format!("{arn}:log-stream:{}", stream.name)),
            log_stream_name: Some(stream.name),
            creation_time: Some(stream.created),
            first_event_timestamp: stream.first_event,
            last_event_timestamp: stream.last_event,
            last_ingestion_time: stream.last_ingestion,
            upload_sequence_token: Some(upload_token(stream.number)),
            // AWS reports 0 for streams since June 2019; the group has the sum.
            stored_bytes: Some(0),
        };
        Ok(DescribeLogStreamsOutput {
            log_streams: Some(page.items.into_iter().map(describe).collect()),
            next_token: page.next,
        })
    }
}

/// A sequence token, which is given and never asked for: 56 digits as AWS's are.
pub(crate) fn upload_token(number: u64) -> String {
    format!("4{number:055}")
}

/// Sorts by the last event, then by name; streams without events come first.
fn time_key(stream: &Stream) -> Vec<u8> {
    let time = stream.last_event.map_or(0, |t| t.max(0) as u64 + 1);
    Key::new().number(time).text(&stream.name).as_bytes().to_vec()
}

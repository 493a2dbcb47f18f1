//! PutLogEvents.

use super::streams::upload_token;
use crate::Logs;
use crate::errors::{Failure, invalid, no_group, no_stream};
use crate::state::{DAY, Event, Group, Position, Stream, event_key, group_key, stream_key};
use cloudlet_api_logs::*;

/// The most bytes of a batch: all messages in UTF-8 and 26 bytes for each.
const MAX_BATCH: usize = 1_048_576;
/// What each event costs beside its message.
pub(crate) const OVERHEAD: usize = 26;
const TWO_HOURS: i64 = 2 * 60 * 60 * 1000;

impl Logs {
    /// Appends a batch to a stream. What is too old, too new or past the group's retention is rejected; the rest is
    /// kept. The sequence token is ignored, as AWS has done since 2023.
    ///
    /// Errors: `InvalidParameterException` for a batch out of order, too large or longer than a day,
    /// `ResourceNotFoundException`.
    /// Source: API Reference, PutLogEvents.
    pub async fn put_log_events(
        &self,
        cx: &Context,
        input: PutLogEventsInput,
    ) -> Result<PutLogEventsOutput, Error> {
        let events = &input.log_events;
        let size: usize = events.iter().map(|e| e.message.len() + OVERHEAD).sum();
        if let Some(large) = events.iter().find(|e| e.message.len() > MAX_BATCH) {
            let len = large.message.len();
            return Err(invalid(format!("Log event too large: {len} bytes exceeds limit of {MAX_BATCH}")));
        }
        if size > MAX_BATCH {
            return Err(invalid(format!("Upload too large: {size} bytes exceeds limit of {MAX_BATCH}")));
        }
        if !events.is_sorted_by_key(|e| e.timestamp) {
            return Err(invalid(
                "Log events in a single PutLogEvents request must be in chronological order.",
            ));
        }
        let now = cx.millis();
        let key = group_key(cx, &input.log_group_name);
        let (rejected, group, stream, number, taken) = self
            .store
            .transact(|tx| {
                let group = tx.get::<Group>(&key)?.ok_or_else(no_group)?;
                let key = stream_key(group.number, &input.log_stream_name);
                let mut stream = tx.get::<Stream>(&key)?.ok_or_else(no_stream)?;
                let windows = Windows::of(events, now, group.horizon(now));
                let kept = &events[windows.first..windows.end.max(windows.first)];
                if let (Some(first), Some(last)) = (kept.first(), kept.last()) {
                    if last.timestamp - first.timestamp > DAY {
                        return Err(Failure(invalid(
                            "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.",
                        )));
                    }
                    stream.first_event = Some(stream.first_event.map_or(first.timestamp, |t| t.min(first.timestamp)));
                    stream.last_event = Some(stream.last_event.map_or(last.timestamp, |t| t.max(last.timestamp)));
                    stream.last_ingestion = Some(now);
                }
                // One number a batch and 14 bits for the place in it: at most 10,000 events come at once.
                let batch = tx.sequence("logs.batches")? << 14;
                for (i, event) in kept.iter().enumerate() {
                    let at = Position { time: event.timestamp, order: batch + i as u64 };
                    let record = Event { message: event.message.clone(), ingested: now };
                    tx.put(&event_key(stream.number, at), &record)?;
                    stream.stored_bytes += (event.message.len() + OVERHEAD) as i64;
                }
                tx.put(&key, &stream)?;
                Ok((windows.rejected(), group.number, stream.number, batch, windows.first..windows.end.max(windows.first)))
            })
            .await?;
        self.live.publish(group, &input.log_stream_name, now, &events[taken]);
        Ok(PutLogEventsOutput {
            next_sequence_token: Some(upload_token(number.max(stream))),
            rejected_log_events_info: rejected,
            ..Default::default()
        })
    }
}

/// Which part of a sorted batch is taken.
struct Windows {
    total: usize,
    /// Past the group's retention: before this index.
    expired: usize,
    /// Older than 14 days: before this index.
    old: usize,
    first: usize,
    /// More than two hours ahead: from this index.
    end: usize,
}

impl Windows {
    fn of(events: &[InputLogEvent], now: i64, horizon: i64) -> Self {
        let expired = events.partition_point(|e| e.timestamp < horizon);
        let old = events.partition_point(|e| e.timestamp < now - 14 * DAY);
        let end = events.partition_point(|e| e.timestamp <= now + TWO_HOURS);
        Self { total: events.len(), expired, old, first: expired.max(old), end }
    }

    fn rejected(&self) -> Option<RejectedLogEventsInfo> {
        let some = |n: usize| i32::try_from(n).ok();
        if self.first == 0 && self.end == self.total {
            return None;
        }
        Some(RejectedLogEventsInfo {
            too_new_log_event_start_index: some(self.end).filter(|_| self.end < self.total),
            too_old_log_event_end_index: some(self.old).filter(|n| *n > 0),
            expired_log_event_end_index: some(self.expired).filter(|n| *n > 0),
        })
    }
}

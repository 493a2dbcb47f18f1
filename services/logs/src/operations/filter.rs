//! FilterLogEvents.

use super::put::OVERHEAD;
use crate::Logs;
use crate::errors::{bad_token, invalid, no_stream, stored};
use crate::pattern::Pattern;
use crate::read::{Mark, Merge};
use crate::state::{Stream, stream_key};
use cloudlet_api_logs::*;
use cloudlet_store::Key;

/// The most events of a page.
const MOST: usize = 10_000;
/// The most bytes of a page.
pub(crate) const PAGE_BYTES: usize = 1_048_576;
/// How many events one call looks at before it answers with what it has: AWS's pages may be empty as well.
const LOOKS: usize = 250_000;

impl Logs {
    /// Finds events of a group, in the order of their time.
    ///
    /// Errors: `InvalidParameterException`, `ResourceNotFoundException`.
    pub async fn filter_log_events(
        &self,
        cx: &Context,
        input: FilterLogEventsInput,
    ) -> Result<FilterLogEventsOutput, Error> {
        if input.log_stream_names.is_some() && input.log_stream_name_prefix.is_some() {
            return Err(invalid("logStreamNamePrefix and logStreamNames are mutually exclusive parameters."));
        }
        let pattern =
            Pattern::parse(input.filter_pattern.as_deref().unwrap_or_default()).map_err(|e| invalid(e.0))?;
        let group =
            self.named_group(cx, input.log_group_name.as_deref(), input.log_group_identifier.as_deref())?;
        let streams = match &input.log_stream_names {
            Some(names) => {
                let find = |name: &String| {
                    let found =
                        self.store.table::<Stream>().get(&stream_key(group.number, name)).map_err(stored)?;
                    found.ok_or_else(no_stream)
                };
                names.iter().map(find).collect::<Result<Vec<_>, _>>()?
            }
            None => {
                let prefix = input.log_stream_name_prefix.as_deref().unwrap_or_default();
                let range = Key::new().number(group.number).raw_tail(prefix.as_bytes()).prefix_range();
                let rows =
                    self.store.table::<Stream>().scan(range, false).map(|row| row.map(|(_, stream)| stream));
                rows.collect::<Result<Vec<_>, _>>().map_err(stored)?
            }
        };
        let (mut reverse, mut after) = (input.start_from_head == Some(false), None);
        if let Some(token) = input.next_token.as_deref() {
            // The direction stands in the token.
            let (direction, mark) = token.split_once('.').ok_or_else(bad_token)?;
            reverse = direction == "b";
            after = Some(Mark::parse(mark).ok_or_else(bad_token)?);
        }
        let from = input.start_time.unwrap_or(0).max(group.horizon(cx.millis()));
        let until = input.end_time.map_or(i64::MAX, |end| end.saturating_add(1));
        let limit = input.limit.and_then(|l| usize::try_from(l).ok()).unwrap_or(MOST).min(MOST);
        let mut merge = Merge::new(&self.store, streams, from, until, after, reverse);
        let (mut events, mut bytes, mut looks, mut last) = (Vec::new(), 0, 0, None);
        let mut next = None;
        while let Some((mark, found)) = merge.next()? {
            let cost = found.event.message.len() + OVERHEAD;
            let fits =
                events.len() < limit && (events.is_empty() || bytes + cost <= PAGE_BYTES) && looks < LOOKS;
            if !fits {
                next = last.map(|mark: Mark| format!("{}.{}", if reverse { "b" } else { "f" }, mark.token()));
                break;
            }
            looks += 1;
            last = Some(mark);
            if looks.is_multiple_of(4096) {
                tokio::task::yield_now().await;
            }
            if pattern.matches(&found.event.message) {
                bytes += cost;
                events.push(FilteredLogEvent {
                    log_stream_name: Some(found.stream.to_string()),
                    timestamp: Some(found.at.time),
                    message: Some(found.event.message),
                    ingestion_time: Some(found.event.ingested),
                    event_id: Some(found.at.event_id()),
                });
            }
        }
        Ok(FilterLogEventsOutput {
            events: Some(events),
            searched_log_streams: Some(Vec::new()),
            next_token: next,
        })
    }
}

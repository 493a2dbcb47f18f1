//! GetLogEvents.

use super::filter::PAGE_BYTES;
use super::put::OVERHEAD;
use crate::Logs;
use crate::errors::{bad_token, no_stream, stored};
use crate::state::{Event, Position, Stream, event_key, event_position, stream_key};
use cloudlet_api_logs::{Context, Error, GetLogEventsInput, GetLogEventsOutput, OutputLogEvent};
use cloudlet_store::Key;

/// The most events of a page.
const MOST: usize = 10_000;

/// A page token: `f/` and the id of the last event seen, or `b/` and that of the first, and `/s`.
struct Token {
    forward: bool,
    at: Position,
}

impl Token {
    fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_suffix("/s").unwrap_or(text);
        let (forward, id) = match rest.split_once('/')? {
            ("f", id) => (true, id),
            ("b", id) => (false, id),
            _ => return None,
        };
        Some(Self { forward, at: Position::parse(id)? })
    }

    fn text(forward: bool, at: Position) -> String {
        format!("{}/{}/s", if forward { 'f' } else { 'b' }, at.event_id())
    }
}

impl Logs {
    /// Reads one stream, forward or backward. Both tokens always come; one that equals the token given says that
    /// there is nothing more in its direction.
    ///
    /// Errors: `InvalidParameterException`, `ResourceNotFoundException`.
    pub async fn get_log_events(
        &self,
        cx: &Context,
        input: GetLogEventsInput,
    ) -> Result<GetLogEventsOutput, Error> {
        let group =
            self.named_group(cx, input.log_group_name.as_deref(), input.log_group_identifier.as_deref())?;
        let key = stream_key(group.number, &input.log_stream_name);
        let stream = self.store.table::<Stream>().get(&key).map_err(stored)?.ok_or_else(no_stream)?;
        let token = match input.next_token.as_deref() {
            Some(text) => Some(Token::parse(text).ok_or_else(bad_token)?),
            None => None,
        };
        let from = input.start_time.unwrap_or(0).max(group.horizon(cx.millis())).max(0);
        let mut range = Key::new().number(stream.number).prefix_range();
        range = range.from(&event_key(stream.number, Position { time: from, order: 0 }));
        if let Some(end) = input.end_time {
            range = range.until(&event_key(stream.number, Position { time: end.max(0), order: 0 }));
        }
        let forward = token.as_ref().map_or(input.start_from_head.unwrap_or(false), |t| t.forward);
        if let Some(token) = &token {
            let border = event_key(stream.number, token.at);
            range = if token.forward { range.after(&border) } else { range.until(&border) };
        }
        let limit = input.limit.and_then(|l| usize::try_from(l).ok()).unwrap_or(MOST).min(MOST);
        let (mut events, mut bytes) = (Vec::new(), 0);
        for row in self.store.table::<Event>().scan(range, !forward).take(limit) {
            let (key, event) = row.map_err(stored)?;
            let Some(at) = event_position(&key) else { continue };
            bytes += event.message.len() + OVERHEAD;
            if bytes > PAGE_BYTES && !events.is_empty() {
                break;
            }
            events.push((at, event));
        }
        if !forward {
            events.reverse();
        }
        // An empty page keeps its place: the token that was given, or the border of the stream.
        let place = token.as_ref().map(|t| t.at);
        let nowhere = place.unwrap_or(Position { time: input.start_time.unwrap_or(0).max(0), order: 0 });
        let first = events.first().map_or(nowhere, |(at, _)| *at);
        let last = events.last().map_or(nowhere, |(at, _)| *at);
        let output = |(at, event): (Position, Event)| OutputLogEvent {
            timestamp: Some(at.time),
            message: Some(event.message),
            ingestion_time: Some(event.ingested),
        };
        Ok(GetLogEventsOutput {
            events: Some(events.into_iter().map(output).collect()),
            next_forward_token: Some(Token::text(true, last)),
            next_backward_token: Some(Token::text(false, first)),
        })
    }
}

//! The events of many streams in the order of their time, without opening more of them than the time asks for.

use crate::errors::stored;
use crate::state::{Event, Position, Stream, event_key, event_position};
use cloudlet_service::Error;
use cloudlet_store::{Key, Scan, Store};
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;

/// An event with where it came from.
pub(crate) struct Found {
    pub stream: Arc<str>,
    pub at: Position,
    pub event: Event,
}

/// A point in the merged order: what a page token remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark {
    pub at: Position,
    pub stream: u64,
}

impl Mark {
    pub(crate) fn token(self) -> String {
        let key = Key::new().number(self.at.time.max(0) as u64).number(self.at.order).number(self.stream);
        cloudlet_service::pages::token(key.as_bytes())
    }

    pub(crate) fn parse(token: &str) -> Option<Self> {
        let key = Key::from_bytes(cloudlet_service::pages::position(token)?);
        let mut parts = key.parts();
        let time = i64::try_from(parts.number()?).ok()?;
        let order = parts.number()?;
        let stream = parts.number()?;
        parts.rest().is_empty().then_some(Self { at: Position { time, order }, stream })
    }
}

/// Merges the events of `streams` between two times (milliseconds, `until` excluded), after a mark.
pub(crate) struct Merge<'a> {
    store: &'a Store,
    from: i64,
    until: i64,
    after: Option<Mark>,
    reverse: bool,
    /// Streams not opened yet; the next to open is the last.
    closed: Vec<Stream>,
    open: BinaryHeap<Head>,
}

struct Head {
    mark: Mark,
    reverse: bool,
    name: Arc<str>,
    event: Event,
    rest: Scan<Event>,
}

impl Ord for Head {
    /// The greatest comes out of the heap first: the earliest, or the latest against the order.
    fn cmp(&self, other: &Self) -> Ordering {
        let order = self.mark.cmp(&other.mark);
        if self.reverse { order } else { order.reverse() }
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.mark == other.mark
    }
}

impl Eq for Head {}

impl<'a> Merge<'a> {
    pub(crate) fn new(
        store: &'a Store,
        mut streams: Vec<Stream>,
        from: i64,
        until: i64,
        after: Option<Mark>,
        reverse: bool,
    ) -> Self {
        // A page token moves the border, so that streams that ended before it are not opened again.
        let edge = after.map(|mark| mark.at.time);
        let (low, high) = match (edge, reverse) {
            (Some(edge), false) => (from.max(edge), until),
            (Some(edge), true) => (from, until.min(edge.saturating_add(1))),
            (None, _) => (from, until),
        };
        streams.retain(|s| match (s.first_event, s.last_event) {
            (Some(first), Some(last)) => last >= low && first < high,
            _ => false,
        });
        streams.sort_by_key(|s| if reverse { s.last_event } else { s.first_event.map(|t| -t) });
        Self {
            store,
            from: low.max(0),
            until: high,
            after,
            reverse,
            closed: streams,
            open: BinaryHeap::new(),
        }
    }

    pub(crate) fn next(&mut self) -> Result<Option<(Mark, Found)>, Error> {
        // A stream is opened once the merge has come to where its events may be.
        while let Some(stream) = self.closed.last() {
            let due = match (self.open.peek(), self.reverse) {
                (None, _) => true,
                (Some(head), false) => stream.first_event.is_some_and(|t| t <= head.mark.at.time),
                (Some(head), true) => stream.last_event.is_some_and(|t| t >= head.mark.at.time),
            };
            if !due {
                break;
            }
            if let Some(stream) = self.closed.pop() {
                self.open(stream)?;
            }
        }
        let Some(head) = self.open.pop() else { return Ok(None) };
        let Head { mark, name, event, rest, .. } = head;
        self.advance(mark.stream, name.clone(), rest)?;
        Ok(Some((mark, Found { stream: name, at: mark.at, event })))
    }

    fn open(&mut self, stream: Stream) -> Result<(), Error> {
        let range = Key::new().number(stream.number).prefix_range();
        let low = event_key(stream.number, Position { time: self.from, order: 0 });
        let mut range = range.from(&low);
        if self.until < i64::MAX {
            range = range.until(&event_key(stream.number, Position { time: self.until.max(0), order: 0 }));
        }
        let rows = self.store.table::<Event>().scan(range, self.reverse);
        self.advance(stream.number, stream.name.into(), rows)
    }

    fn advance(&mut self, stream: u64, name: Arc<str>, mut rest: Scan<Event>) -> Result<(), Error> {
        for row in rest.by_ref() {
            let (key, event) = row.map_err(stored)?;
            let Some(at) = event_position(&key) else { continue };
            let mark = Mark { at, stream };
            let passed =
                self.after.is_some_and(|after| if self.reverse { mark >= after } else { mark <= after });
            if !passed {
                self.open.push(Head { mark, reverse: self.reverse, name, event, rest });
                return Ok(());
            }
        }
        Ok(())
    }
}

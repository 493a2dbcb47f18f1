//! What the store asks of an engine: an ordered map of bytes with snapshots and conditional atomic commits.
//!
//! Nothing above this file knows which engine serves. Another one (a database that many processes share) implements
//! [`Engine`] and [`View`] and keeps the same promises:
//! - a [`View`] is one instant of the whole map;
//! - [`Engine::commit`] applies all writes or none, and only if everything in `reads` and `ranges` still is as it
//!   was read; when it returns, the change survives the death of this process;
//! - after [`Engine::sync`], every commit that returned before the call survives the loss of power.

pub(crate) mod fjall;

use crate::{StoreError, key::KeyRange};
use bytes::Bytes;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The engine's two maps. Bookkeeping churns, and is kept apart so that its leftovers do not slow the records down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Space {
    /// The records of all tables.
    Records = 0,
    /// Outbox, reference counts of blobs, sequences.
    System = 1,
}

/// Rows as they come, each read when it is asked for.
pub(crate) type Rows = Box<dyn Iterator<Item = Result<(Bytes, Bytes), StoreError>> + Send>;

/// One instant of the whole map.
pub(crate) trait View: Send + Sync {
    /// The instant, as [`Commit::since`] wants it.
    fn version(&self) -> u64;
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StoreError>;
    fn range(&self, space: Space, range: &KeyRange, reverse: bool) -> Rows;
}

/// An ordered map of bytes.
pub(crate) trait Engine: Send + Sync {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StoreError>;
    fn range(&self, space: Space, range: &KeyRange, reverse: bool) -> Rows;
    fn view(&self) -> Box<dyn View>;
    fn commit(&self, commit: &Commit) -> Result<Outcome, StoreError>;
    /// Counts what was written. Now and then it is somebody's turn to see to it that there is room for more.
    fn is_due(&self, bytes: u64) -> bool;
    /// Whether more is in memory than should be before it is written out.
    fn is_crowded(&self) -> bool;
    fn sync(&self) -> Result<(), StoreError>;
    /// Writes everything to its final place, when nobody writes any more.
    fn flush(&self) -> Result<(), StoreError>;
    /// Takes away the files that hold nothing but keys of this range, for which nobody will ask again. What lies in
    /// other files and in memory stays, and what was deleted may come back: delete what is left afterwards.
    fn drop_files(&self, space: Space, range: &KeyRange) -> Result<(), StoreError>;
    /// Writes the files anew without what was deleted, if that is this many bytes and a quarter of all at least: what
    /// is written is then at most three times what is gained.
    fn compact(&self, space: Space, deleted: u64) -> Result<(), StoreError>;
}

/// How a commit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Committed,
    /// Something that was read has changed; nothing was written.
    Conflict,
}

/// A change and what it rests on.
#[derive(Debug, Default)]
pub(crate) struct Commit {
    /// [`View::version`] of the view that `reads` and `ranges` came from.
    pub since: u64,
    pub reads: Vec<Read>,
    pub ranges: Vec<RangeRead>,
    pub writes: Vec<Write>,
}

impl Commit {
    /// About how many bytes it adds to the disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.writes
            .iter()
            .map(|write| 64 + write.key.len() + write.value.as_ref().map_or(0, Bytes::len))
            .sum::<usize>() as u64
    }

    /// Whether it only takes away.
    pub(crate) fn only_deletes(&self) -> bool {
        self.writes.iter().all(|write| write.value.is_none())
    }
}

/// A key and what it held.
#[derive(Debug)]
pub(crate) struct Read {
    pub space: Space,
    pub key: Vec<u8>,
    pub seen: Option<Bytes>,
}

/// A key and what it shall hold.
#[derive(Debug)]
pub(crate) struct Write {
    pub space: Space,
    pub key: Vec<u8>,
    pub value: Option<Bytes>,
}

/// The part of a range that a transaction looked at.
#[derive(Debug, Clone)]
pub(crate) struct RangeRead {
    pub space: Space,
    pub range: KeyRange,
    pub reverse: bool,
    pub seen: Digest,
    /// Whether the end of the range was reached; otherwise only the rows up to there count.
    pub to_the_end: bool,
}

/// Rows in a few bytes: how many, and a hash of all of them in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Digest {
    pub rows: u64,
    hasher: DefaultHasher,
}

impl Digest {
    pub(crate) fn add(&mut self, key: &[u8], value: &[u8]) {
        self.rows += 1;
        key.hash(&mut self.hasher);
        value.hash(&mut self.hasher);
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Digest) -> bool {
        self.rows == other.rows && self.hasher.finish() == other.hasher.finish()
    }
}

impl RangeRead {
    /// Whether the rows now are what was seen.
    pub(crate) fn holds(&self, rows: Rows) -> Result<bool, StoreError> {
        let mut now = Digest::default();
        for row in rows {
            if now.rows == self.seen.rows {
                // One row more than was there: it matters only if the reader had seen the end.
                if self.to_the_end {
                    return Ok(false);
                }
                break;
            }
            let (key, value) = row?;
            now.add(&key, &value);
        }
        Ok(now == self.seen)
    }
}

//! A transaction in the making: what it has read, what it will write.

use crate::{
    BlobId, Key, KeyRange, Message, MessageId, Record, Scan, StoreError,
    engine::{Commit, Digest, Engine, Outcome, RangeRead, Read, Rows, Space, View, Write},
    key::{lookup_key, record_key, table_prefix},
    outbox::{StoredMessage, message_key},
    queues::Touched,
    record::{decode, encode},
    store::{Inner, blob_row},
};
use bytes::Bytes;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, atomic::Ordering},
};

type Buffered = BTreeMap<(Space, Vec<u8>), Option<Bytes>>;

/// Inside [`crate::Store::transact`]: reads see one instant of the store and the writes made so far; nothing is visible
/// to others before the closure has returned `Ok` and the commit has succeeded.
pub struct Tx<'a> {
    inner: &'a Arc<Inner>,
    engine: &'a Arc<dyn Engine>,
    view: Option<Box<dyn View>>,
    reads: HashMap<(Space, Vec<u8>), Option<Bytes>>,
    ranges: Arc<Mutex<Vec<RangeRead>>>,
    writes: Buffered,
    queues: Vec<Touched>,
    dropped: Vec<BlobId>,
}

/// A transaction whose closure has returned.
pub(crate) struct Done {
    pub commit: Commit,
    pub queues: Vec<Touched>,
    pub dropped: Vec<BlobId>,
}

impl<'a> Tx<'a> {
    pub(crate) fn new(inner: &'a Arc<Inner>, engine: &'a Arc<dyn Engine>) -> Tx<'a> {
        Tx {
            inner,
            engine,
            view: None,
            reads: HashMap::new(),
            ranges: Arc::default(),
            writes: Buffered::new(),
            queues: Vec::new(),
            dropped: Vec::new(),
        }
    }

    pub(crate) fn finish(self) -> Done {
        let writes =
            self.writes.into_iter().map(|((space, key), value)| Write { space, key, value }).collect();
        let reads = self.reads.into_iter().map(|((space, key), seen)| Read { space, key, seen }).collect();
        let since = self.view.as_ref().map_or(0, |view| view.version());
        let ranges = std::mem::take(&mut *self.ranges.lock());
        Done { commit: Commit { since, reads, ranges, writes }, queues: self.queues, dropped: self.dropped }
    }

    /// The record, with this transaction's own changes.
    pub fn get<R: Record>(&mut self, key: &Key) -> Result<Option<R>, StoreError> {
        let Some(full) = lookup_key(R::TABLE, key) else { return Ok(None) };
        let value = self.get_bytes(Space::Records, full)?;
        value.map(|bytes| decode(&bytes)).transpose()
    }

    /// Whether there is such a record.
    pub fn exists<R: Record>(&mut self, key: &Key) -> Result<bool, StoreError> {
        let Some(full) = lookup_key(R::TABLE, key) else { return Ok(false) };
        Ok(self.get_bytes(Space::Records, full)?.is_some())
    }

    /// Writes the record, new or not.
    pub fn put<R: Record>(&mut self, key: &Key, record: &R) -> Result<(), StoreError> {
        self.writes.insert((Space::Records, record_key(R::TABLE, key)?), Some(encode(record)?));
        Ok(())
    }

    /// Removes the record; nothing happens when there is none.
    pub fn delete<R: Record>(&mut self, key: &Key) -> Result<(), StoreError> {
        self.writes.insert((Space::Records, record_key(R::TABLE, key)?), None);
        Ok(())
    }

    /// The records of a range, with the changes that this transaction has made so far. The commit fails over to
    /// another run if what was taken out of the iterator has changed by then, also by a record that is new in it.
    pub fn scan<R: Record>(&mut self, range: KeyRange, reverse: bool) -> Scan<R> {
        Scan::new(|full| self.rows(Space::Records, full, reverse), &range)
    }

    /// Emits a message, to be delivered after the commit, and only then.
    pub fn emit(&mut self, message: Message) -> Result<MessageId, StoreError> {
        let seq = self.inner.message_ids.fetch_add(1, Ordering::Relaxed);
        let id = MessageId::new(&message.queue, message.not_before, seq);
        self.writes.insert((Space::System, message_key(&id)), Some(encode(&StoredMessage::from(message))?));
        self.queues.push(Touched::added(&id));
        Ok(id)
    }

    /// Forgets a message because what it asked for happens in this very transaction. `false`: it was gone already,
    /// and the work should not be done again.
    pub fn complete(&mut self, id: &MessageId) -> Result<bool, StoreError> {
        Ok(self.take_message(id)?.is_some())
    }

    /// Removes a message from its queue and gives it.
    pub(crate) fn take_message(&mut self, id: &MessageId) -> Result<Option<StoredMessage>, StoreError> {
        let key = message_key(id);
        let Some(bytes) = self.get_bytes(Space::System, key.clone())? else { return Ok(None) };
        self.writes.insert((Space::System, key), None);
        self.queues.push(Touched::removed(id));
        decode(&bytes).map(Some)
    }

    /// Writes a bookkeeping row.
    pub(crate) fn put_system(&mut self, key: Vec<u8>, value: Option<Bytes>) {
        self.writes.insert((Space::System, key), value);
    }

    /// Puts a message back into its queue under its own number.
    pub(crate) fn put_message(&mut self, id: &MessageId, message: &StoredMessage) -> Result<(), StoreError> {
        self.writes.insert((Space::System, message_key(id)), Some(encode(message)?));
        self.queues.push(Touched::added(id));
        Ok(())
    }

    /// Adds a reference to a finished blob: one for every record that will hold its id.
    pub fn adopt_blob(&mut self, id: BlobId) -> Result<(), StoreError> {
        let count = self.references(id)? + 1;
        self.put_system(blob_row(id), Some(Bytes::copy_from_slice(&count.to_be_bytes())));
        Ok(())
    }

    /// Takes a reference away. With the last one gone, the file is deleted after the commit. A blob that was never
    /// adopted is deleted as well.
    pub fn release_blob(&mut self, id: BlobId) -> Result<(), StoreError> {
        match self.references(id)? {
            0 | 1 => {
                self.put_system(blob_row(id), None);
                self.dropped.push(id);
            }
            count => self.put_system(blob_row(id), Some(Bytes::copy_from_slice(&(count - 1).to_be_bytes()))),
        }
        Ok(())
    }

    fn references(&mut self, id: BlobId) -> Result<u64, StoreError> {
        let Some(bytes) = self.get_bytes(Space::System, blob_row(id))? else { return Ok(0) };
        let count = bytes.as_ref().try_into().map(u64::from_be_bytes);
        count.map_err(|_| StoreError::corrupt(format!("the references of blob {id}"), "not a count"))
    }

    /// The next number of a sequence: never the same twice, and larger than every one given before, also by an earlier
    /// run of the program. Numbers may be left out. Two transactions that meet on a record get theirs in the order in
    /// which they commit.
    pub fn sequence(&mut self, name: &str) -> Result<u64, StoreError> {
        self.inner.sequences.next(&**self.engine, name)
    }

    fn view(&mut self) -> &dyn View {
        &**self.view.get_or_insert_with(|| self.engine.view())
    }

    fn get_bytes(&mut self, space: Space, key: Vec<u8>) -> Result<Option<Bytes>, StoreError> {
        let at = (space, key);
        if let Some(written) = self.writes.get(&at) {
            return Ok(written.clone());
        }
        if let Some(seen) = self.reads.get(&at) {
            return Ok(seen.clone());
        }
        let value = self.view().get(space, &at.1)?;
        self.reads.insert(at, value.clone());
        Ok(value)
    }

    fn rows(&mut self, space: Space, range: &KeyRange, reverse: bool) -> Rows {
        let stored = self.view().range(space, range, reverse);
        let watch = Watch {
            rows: stored,
            log: Arc::clone(&self.ranges),
            seen: RangeRead {
                space,
                range: range.clone(),
                reverse,
                seen: Digest::default(),
                to_the_end: false,
            },
            asked: false,
        };
        if range.is_empty() {
            return Box::new(std::iter::empty());
        }
        let from = (space, range.start.clone());
        let mut own: Vec<(Bytes, Option<Bytes>)> = self
            .writes
            .range(from..)
            .take_while(|((s, key), _)| *s == space && range.end.as_ref().is_none_or(|end| key < end))
            .map(|((_, key), value)| (Bytes::copy_from_slice(key), value.clone()))
            .collect();
        if reverse {
            own.reverse();
        }
        Box::new(Merged { stored: watch.peekable(), own: own.into_iter().peekable(), reverse })
    }
}

/// Notes what is taken out of a range.
struct Watch {
    rows: Rows,
    log: Arc<Mutex<Vec<RangeRead>>>,
    seen: RangeRead,
    asked: bool,
}

impl Iterator for Watch {
    type Item = Result<(Bytes, Bytes), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.asked = true;
        let row = self.rows.next();
        match &row {
            Some(Ok((key, value))) => self.seen.seen.add(key, value),
            Some(Err(_)) => {}
            None => self.seen.to_the_end = true,
        }
        row
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.asked {
            self.log.lock().push(self.seen.clone());
        }
    }
}

/// Stored rows overlaid with the transaction's own writes.
struct Merged {
    stored: std::iter::Peekable<Watch>,
    own: std::iter::Peekable<std::vec::IntoIter<(Bytes, Option<Bytes>)>>,
    reverse: bool,
}

impl Iterator for Merged {
    type Item = Result<(Bytes, Bytes), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some((own, _)) = self.own.peek() else { return self.stored.next() };
            if let Some(Ok((stored, _))) = self.stored.peek() {
                let order = if self.reverse { own.cmp(stored) } else { stored.cmp(own) };
                match order {
                    std::cmp::Ordering::Less => return self.stored.next(),
                    std::cmp::Ordering::Equal => drop(self.stored.next()),
                    std::cmp::Ordering::Greater => {}
                }
            } else if let Some(failed) = self.stored.next_if(Result::is_err) {
                return Some(failed);
            }
            let (key, value) = self.own.next()?;
            if let Some(value) = value {
                return Some(Ok((key, value)));
            }
        }
    }
}

/// Sequences: numbers are reserved on disk by the block and given out of memory.
#[derive(Default)]
pub(crate) struct Sequences {
    blocks: Mutex<HashMap<String, Block>>,
}

struct Block {
    next: u64,
    end: u64,
}

const BLOCK: u64 = 1024;

impl Sequences {
    fn next(&self, engine: &dyn Engine, name: &str) -> Result<u64, StoreError> {
        let mut blocks = self.blocks.lock();
        if let Some(block) = blocks.get_mut(name)
            && block.next < block.end
        {
            block.next += 1;
            return Ok(block.next - 1);
        }
        let key = [table_prefix("sequence"), name.as_bytes().to_vec()].concat();
        if key.len() > crate::MAX_KEY {
            return Err(StoreError::TooLarge { what: "key", len: key.len(), limit: crate::MAX_KEY });
        }
        let stored = engine.get(Space::System, &key)?;
        let start = match stored.as_deref() {
            None => 1,
            Some(bytes) => bytes
                .try_into()
                .map(u64::from_be_bytes)
                .map_err(|_| StoreError::corrupt(format!("sequence {name}"), "not a number"))?,
        };
        let end = start + BLOCK;
        let value = Some(Bytes::copy_from_slice(&end.to_be_bytes()));
        let commit = Commit { writes: vec![Write { space: Space::System, key, value }], ..Commit::default() };
        match engine.commit(&commit)? {
            Outcome::Committed => {}
            Outcome::Conflict => return Err(StoreError::Conflict { attempts: 1 }),
        }
        blocks.insert(name.to_owned(), Block { next: start + 1, end });
        Ok(start)
    }

    pub(crate) fn forget(&self) {
        self.blocks.lock().clear();
    }
}

//! What is kept in memory beside the store: who is changing what, and how much has changed since it was last written.
//!
//! - A table's gate is held shared by whoever changes items and alone by whoever changes what the table is, so that
//!   every change of an item knows all indexes, and adding one to a full table misses nothing.
//! - A lock for each item (by a hash of its key) lets those who change one item wait for each other in turn, instead of
//!   losing their transactions to each other.
//! - A stream's numbers are given out under a lock and noted until their transaction has ended: readers stop before the
//!   first that is under way, and never see a later one first.

use crate::throughput::{Bucket, Side};
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard as AsyncGuard, RwLock as Gate};
use xxhash_rust::xxh3::xxh3_64;

/// More than there are items under change at a time.
const LOCKS: usize = 1024;

/// The state of all tables.
pub(crate) struct Live {
    spaces: RwLock<HashMap<u64, Arc<Space>>>,
    locks: Box<[AsyncMutex<()>]>,
}

/// The state of a table, an index or a stream, by its number.
#[derive(Default)]
pub(crate) struct Space {
    pub gate: Arc<Gate<()>>,
    items: AtomicI64,
    bytes: AtomicI64,
    reads: Mutex<Bucket>,
    writes: Mutex<Bucket>,
    pub flow: Mutex<Flow>,
}

/// The records of a stream that are being written.
#[derive(Default)]
pub(crate) struct Flow {
    /// The shard that takes records, once it is known, and when it was opened.
    pub shard: Option<(u64, i64)>,
    under_way: BTreeSet<u64>,
    /// The greatest number that was given out.
    pub last: u64,
}

impl Flow {
    pub(crate) fn begin(&mut self, number: u64) {
        self.under_way.insert(number);
        self.last = self.last.max(number);
    }

    pub(crate) fn end(&mut self, numbers: &[u64]) {
        for number in numbers {
            self.under_way.remove(number);
        }
    }

    /// The first number that may still appear; everything before it is there or never will be.
    pub(crate) fn horizon(&self) -> u64 {
        self.under_way.first().copied().unwrap_or(u64::MAX)
    }
}

impl Default for Live {
    fn default() -> Self {
        Self { spaces: RwLock::default(), locks: (0..LOCKS).map(|_| AsyncMutex::new(())).collect() }
    }
}

impl Live {
    /// The state of a space.
    pub(crate) fn space(&self, number: u64) -> Arc<Space> {
        if let Some(found) = self.spaces.read().get(&number) {
            return found.clone();
        }
        self.spaces.write().entry(number).or_default().clone()
    }

    /// Forgets a space that is gone.
    pub(crate) fn forget(&self, number: u64) {
        self.spaces.write().remove(&number);
    }

    /// Forgets everything: what a reset does.
    pub(crate) fn changed(&self) -> Vec<(u64, Arc<Space>)> {
        let spaces = self.spaces.read();
        let changed = spaces.iter().filter(|(_, space)| {
            space.items.load(Ordering::Relaxed) != 0 || space.bytes.load(Ordering::Relaxed) != 0
        });
        changed.map(|(number, space)| (*number, space.clone())).collect()
    }

    /// Waits until nobody else changes the item of this key.
    pub(crate) async fn lock(&self, key: &[u8]) -> AsyncGuard<'_, ()> {
        self.locks[Self::stripe(key)].lock().await
    }

    /// [`Live::lock`] for many, in an order in which no two callers wait for each other.
    pub(crate) async fn lock_all(&self, keys: impl Iterator<Item = &[u8]>) -> Vec<AsyncGuard<'_, ()>> {
        let stripes: BTreeSet<usize> = keys.map(Self::stripe).collect();
        let mut held = Vec::with_capacity(stripes.len());
        for stripe in stripes {
            held.push(self.locks[stripe].lock().await);
        }
        held
    }

    fn stripe(key: &[u8]) -> usize {
        usize::try_from(xxh3_64(key) % LOCKS as u64).unwrap_or(0)
    }
}

impl Space {
    /// What is left of its units.
    pub(crate) fn bucket(&self, side: Side) -> &Mutex<Bucket> {
        match side {
            Side::Read => &self.reads,
            Side::Write => &self.writes,
        }
    }

    /// Notes a change of what the space holds.
    pub(crate) fn count(&self, items: i64, bytes: i64) {
        if items != 0 {
            self.items.fetch_add(items, Ordering::Relaxed);
        }
        if bytes != 0 {
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// What has changed since it was last taken.
    pub(crate) fn peek(&self) -> (i64, i64) {
        (self.items.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }

    pub(crate) fn take(&self) -> (i64, i64) {
        (self.items.swap(0, Ordering::Relaxed), self.bytes.swap(0, Ordering::Relaxed))
    }
}

//! Decoded records that were read lately, so that a hot one costs a hash and a clone of an `Arc`.
//!
//! Every shard has two generations: what was used since the last turn, and before it. When the newer one has had its
//! share of the budget, the older one is forgotten. That is close to least-recently-used and never scans.

use parking_lot::RwLock;
use std::{
    any::Any,
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

const SHARDS: usize = 16;

/// What an entry costs besides its bytes: the decoded structs, the key, the map's own room.
const OVERHEAD: usize = 256;

type Entry = (Arc<dyn Any + Send + Sync>, usize);

pub(crate) struct Cache {
    shards: [RwLock<Shard>; SHARDS],
    hasher: RandomState,
    /// What one generation of one shard may hold, in bytes.
    share: usize,
}

#[derive(Default)]
struct Shard {
    newer: HashMap<Box<[u8]>, Entry>,
    older: HashMap<Box<[u8]>, Entry>,
    held: usize,
    /// Raised by every invalidation, so that a value read before one is not put in after it.
    epoch: u64,
    /// How many records of it are being committed.
    closed: usize,
}

/// Shards in which a commit is under way; see [`Cache::close`].
pub(crate) struct Closed<'a> {
    shards: Vec<&'a RwLock<Shard>>,
}

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        for shard in &self.shards {
            let mut shard = shard.write();
            // Whoever began to read meanwhile may have seen what was there before.
            shard.epoch += 1;
            shard.closed -= 1;
        }
    }
}

/// Proof of when a read began; see [`Cache::begin`].
#[derive(Clone, Copy)]
pub(crate) struct Epoch(u64);

impl Cache {
    pub(crate) fn new(budget: u64) -> Cache {
        let share = usize::try_from(budget).unwrap_or(usize::MAX) / SHARDS / 2;
        Cache { shards: Default::default(), hasher: RandomState::new(), share }
    }

    fn shard(&self, key: &[u8]) -> &RwLock<Shard> {
        &self.shards[self.hasher.hash_one(key) as usize % SHARDS]
    }

    pub(crate) fn get<R: Send + Sync + 'static>(&self, key: &[u8]) -> Option<Arc<R>> {
        let shard = self.shard(key);
        let held = {
            let shard = shard.read();
            if let Some((value, _)) = shard.newer.get(key) {
                return Arc::clone(value).downcast().ok();
            }
            shard.older.contains_key(key)
        };
        if !held {
            return None;
        }
        let mut shard = shard.write();
        let (key, entry) = shard.older.remove_entry(key)?;
        let value = Arc::clone(&entry.0);
        shard.insert(key, entry, self.share);
        value.downcast().ok()
    }

    /// Called before the record is read from the engine; the result goes to [`Cache::put`].
    pub(crate) fn begin(&self, key: &[u8]) -> Epoch {
        Epoch(self.shard(key).read().epoch)
    }

    /// Keeps a record, unless something in its shard was committed since `begun`.
    pub(crate) fn put<R: Send + Sync + 'static>(
        &self,
        key: &[u8],
        value: Arc<R>,
        bytes: usize,
        begun: Epoch,
    ) {
        let cost = bytes + key.len() + OVERHEAD;
        if cost > self.share {
            return;
        }
        let mut shard = self.shard(key).write();
        if shard.epoch == begun.0 && shard.closed == 0 {
            shard.insert(key.into(), (value, cost), self.share);
        }
    }

    /// Forgets what a commit is about to write, and keeps nothing new beside it until the result is dropped, which is for
    /// after the commit. A reader that has seen the commit in one record can thus not find another one as it was before.
    pub(crate) fn close<'k>(&self, keys: impl Iterator<Item = &'k [u8]>) -> Closed<'_> {
        let shards = keys
            .map(|key| {
                let shard = self.shard(key);
                let mut open = shard.write();
                open.epoch += 1;
                open.closed += 1;
                if let Some((_, cost)) = open.newer.remove(key) {
                    open.held -= cost;
                }
                open.older.remove(key);
                shard
            })
            .collect();
        Closed { shards }
    }

    /// Called when the whole state was replaced.
    pub(crate) fn forget_all(&self) {
        for shard in &self.shards {
            let mut shard = shard.write();
            *shard = Shard { epoch: shard.epoch + 1, closed: shard.closed, ..Shard::default() };
        }
    }
}

impl Shard {
    fn insert(&mut self, key: Box<[u8]>, entry: Entry, share: usize) {
        if self.held + entry.1 > share {
            self.older = std::mem::take(&mut self.newer);
            self.held = 0;
        }
        self.held += entry.1;
        if let Some((_, cost)) = self.newer.insert(key, entry) {
            self.held -= cost;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_is_hot_within_its_budget() {
        let cache = Cache::new(1 << 20);
        for n in 0u64..100_000 {
            let key = n.to_be_bytes();
            cache.put(&key, Arc::new(n), 100, cache.begin(&key));
            assert_eq!(cache.get::<u64>(&key).as_deref(), Some(&n));
            assert_eq!(
                cache.get::<u64>(&0u64.to_be_bytes()).as_deref(),
                Some(&0),
                "the hot one stays, after {n}"
            );
        }
        let held: usize = cache.shards.iter().map(|s| s.read().newer.len() + s.read().older.len()).sum();
        assert!(held * (100 + 8 + OVERHEAD) <= 1 << 20, "{held} entries");
    }

    #[test]
    fn a_value_read_before_a_commit_is_not_kept_after_it() {
        let cache = Cache::new(1 << 20);
        let begun = cache.begin(b"k");
        let commit = cache.close([&b"k"[..]].into_iter());
        cache.put(b"k", Arc::new(1u8), 1, begun);
        assert!(cache.get::<u8>(b"k").is_none());
        // Nor one that was read during the commit, whether it is put in during it or after it.
        let during = cache.begin(b"k");
        cache.put(b"k", Arc::new(1u8), 1, during);
        assert!(cache.get::<u8>(b"k").is_none());
        drop(commit);
        cache.put(b"k", Arc::new(1u8), 1, during);
        assert!(cache.get::<u8>(b"k").is_none());
        cache.put(b"k", Arc::new(2u8), 1, cache.begin(b"k"));
        assert_eq!(cache.get::<u8>(b"k").as_deref(), Some(&2));
        cache.forget_all();
        assert!(cache.get::<u8>(b"k").is_none());
    }
}

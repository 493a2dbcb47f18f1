//! The embedded engine: fjall's plain atomic batches under our own key locks.
//!
//! fjall's optimistic transactions cost several times the write itself; what they give is made here from three parts:
//! a lock per stripe of keys, the version at which a stripe last changed, and a comparison of values when it did.

use super::{Commit, Engine, Outcome, Rows, Space, View};
use crate::{StoreError, error::is_full, key::KeyRange};
use bytes::Bytes;
use fjall::compaction::Leveled;
use fjall::config::{PartitioningPolicy, PinningPolicy};
use fjall::{AbstractTree, Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable};
use parking_lot::{Mutex, MutexGuard, RwLock};
use std::{
    fs::File,
    hash::{BuildHasher, RandomState},
    ops::Bound,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// More than there will ever be threads in a commit, so that two rarely meet by chance.
const STRIPES: usize = 512;

/// Small, because under heavy writing each of the two spaces has one that fills and up to four that wait to be written
/// out (fjall slows writers down from there), and the next start reads back what is left.
const MEMTABLE_BYTES: u64 = 4 << 20;

/// The size of a file of records. fjall's own (64 MiB) is made for memtables as large: the first level, four files, would
/// be written anew for every 16 MiB that come, and what a merge has in memory would be as large.
const FILE_BYTES: u64 = 8 << 20;

/// How many written-out memtables are merged at once: half as much as the first level has.
const MERGED_AT_ONCE: u8 = 8;

/// How much is written between two looks at what waits in memory, and how many memtables may wait. From four on, fjall
/// itself stops every writer for a tenth of a second at a time.
const LOOK_BYTES: u64 = 1 << 20;
const WAITING: usize = 1;

/// How much less important than answering it is to write out and to merge: nice(2).
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// A key that no record has: those begin with the name of their table.
const NOTHING: &[u8] = &[0];

/// How long closing waits for a flush of the little that is in memory.
const FLUSH_TIME: Duration = Duration::from_secs(10);

pub(crate) struct FjallEngine {
    shared: Arc<Shared>,
    db: Database,
    dir: PathBuf,
    /// Each holds the version of the last commit that wrote a key of the stripe.
    stripes: Box<[Mutex<u64>]>,
    hasher: RandomState,
    /// Held shared by every commit and alone by one that must know that a range does not change under it, or that no commit
    /// is half done.
    ranges: RwLock<()>,
    /// How many commits have begun, and how many of them have ended.
    begun: AtomicU64,
    ended: AtomicU64,
    /// Bytes written since somebody last looked at what waits.
    unlooked: AtomicU64,
}

/// A commit under way.
struct Underway<'a>(&'a AtomicU64);

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// What a view shares with the engine.
struct Shared {
    spaces: [Keyspace; 2],
    version: AtomicU64,
}

impl FjallEngine {
    pub(crate) fn open(dir: &Path, cache_bytes: u64) -> Result<FjallEngine, StoreError> {
        let fail = |error| translate(dir, error);
        let builder = Database::builder(dir)
            .cache_size(cache_bytes)
            .worker_threads(2)
            .max_cached_files(Some(256))
            .max_journaling_size(64 << 20);
        // Recovery asserts what it expects of its files. For a damaged directory that has to be an error like others.
        let opened = std::thread::spawn(move || {
            step_back();
            builder.open()
        });
        let db = opened
            .join()
            .map_err(|_| StoreError::corrupt(dir.display().to_string(), "its files contradict each other"))?
            .map_err(fail)?;
        let space = |name| db.keyspace(name, options).map_err(fail);
        let spaces = [space("records")?, space("system")?];
        Ok(FjallEngine {
            shared: Arc::new(Shared { spaces, version: AtomicU64::new(1) }),
            dir: dir.to_owned(),
            stripes: (0..STRIPES).map(|_| Mutex::new(0)).collect(),
            hasher: RandomState::new(),
            ranges: RwLock::new(()),
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            unlooked: AtomicU64::new(0),
            db,
        })
    }

    fn stripe(&self, space: Space, key: &[u8]) -> usize {
        (self.hasher.hash_one((space, key)) as usize) % STRIPES
    }

    /// One instant, between two commits. fjall shows a batch whole only to those who ask after it: when it writes a memtable
    /// out while a batch is being applied, whoever asks next sees the part that is there.
    fn instant(&self) -> fjall::Snapshot {
        let ended = self.ended.load(Ordering::SeqCst);
        if self.begun.load(Ordering::SeqCst) == ended {
            let snapshot = self.db.snapshot();
            if self.begun.load(Ordering::SeqCst) == ended {
                return snapshot;
            }
        }
        let _alone = self.ranges.write();
        self.db.snapshot()
    }

    /// What a key holds; the caller knows that no commit is writing it.
    fn quiet(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let value =
            self.shared.spaces[space as usize].get(key).map_err(|error| translate(&self.dir, error))?;
        Ok(value.map(Bytes::from))
    }

    /// Whether everything that was read still is so. The caller holds the stripes of `reads`, and if there are ranges it
    /// is alone.
    fn unchanged(&self, commit: &Commit, locked: &Locked<'_>) -> Result<bool, StoreError> {
        for read in &commit.reads {
            let quiet =
                locked.version(self.stripe(read.space, &read.key)).is_some_and(|last| last <= commit.since);
            if !quiet && self.quiet(read.space, &read.key)? != read.seen {
                return Ok(false);
            }
        }
        if self.shared.version.load(Ordering::Acquire) == commit.since {
            return Ok(true);
        }
        for range in &commit.ranges {
            let space = &self.shared.spaces[range.space as usize];
            if !range.holds(rows(&self.dir, &self.db.snapshot(), space, &range.range, range.reverse))? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Lets the threads that this one starts come after those that answer, where a thread has a priority of its own.
fn step_back() {
    #[cfg(target_os = "linux")]
    if let Err(why) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%why, "merging is as important as answering");
    }
}

/// How a space is made; one that is there keeps what it was made with.
fn options() -> KeyspaceCreateOptions {
    let levels = Leveled::default().with_table_target_size(FILE_BYTES).with_l0_threshold(MERGED_AT_ONCE);
    // Filters and indexes of files are read in parts, and kept in the cache only as they are used: whole ones are as large
    // as the cache soon, and would be read anew for nearly every record.
    let parts = PartitioningPolicy::new([false, true]);
    let kept = PinningPolicy::new([true, false]);
    KeyspaceCreateOptions::default()
        .max_memtable_size(MEMTABLE_BYTES)
        .compaction_strategy(Arc::new(levels))
        .index_block_partitioning_policy(parts.clone())
        .filter_block_partitioning_policy(parts)
        .index_block_pinning_policy(kept.clone())
        .filter_block_pinning_policy(kept)
}

/// The stripes of one commit, locked in ascending order so that no two commits wait for each other.
struct Locked<'a> {
    stripes: Vec<(usize, MutexGuard<'a, u64>)>,
}

impl<'a> Locked<'a> {
    fn take(engine: &'a FjallEngine, commit: &Commit) -> Locked<'a> {
        let reads = commit.reads.iter().map(|read| engine.stripe(read.space, &read.key));
        let writes = commit.writes.iter().map(|write| engine.stripe(write.space, &write.key));
        let mut wanted: Vec<usize> = reads.chain(writes).collect();
        wanted.sort_unstable();
        wanted.dedup();
        Locked { stripes: wanted.into_iter().map(|at| (at, engine.stripes[at].lock())).collect() }
    }

    fn version(&self, stripe: usize) -> Option<u64> {
        let at = self.stripes.binary_search_by_key(&stripe, |(at, _)| *at).ok()?;
        Some(*self.stripes[at].1)
    }
}

impl Engine for FjallEngine {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        // A commit that writes the key holds its stripe until all of it is there: who sees one of its keys changed has
        // waited for it, and does not find another one as it was before.
        drop(self.stripes[self.stripe(space, key)].lock());
        self.quiet(space, key)
    }

    fn range(&self, space: Space, range: &KeyRange, reverse: bool) -> Rows {
        rows(&self.dir, &self.instant(), &self.shared.spaces[space as usize], range, reverse)
    }

    fn view(&self) -> Box<dyn View> {
        // The version first: whatever is committed in between is then seen as newer than the view, and compared.
        let version = self.shared.version.load(Ordering::Acquire);
        Box::new(FjallView {
            version,
            snapshot: self.instant(),
            shared: Arc::clone(&self.shared),
            dir: self.dir.clone(),
        })
    }

    fn commit(&self, commit: &Commit) -> Result<Outcome, StoreError> {
        let (_alone, _together) = match commit.ranges.is_empty() {
            true => (None, Some(self.ranges.read())),
            false => (Some(self.ranges.write()), None),
        };
        let mut locked = Locked::take(self, commit);
        self.begun.fetch_add(1, Ordering::SeqCst);
        let _underway = Underway(&self.ended);
        if !self.unchanged(commit, &locked)? {
            return Ok(Outcome::Conflict);
        }
        if commit.writes.is_empty() {
            return Ok(Outcome::Committed);
        }
        let mut batch = fjall::OwnedWriteBatch::with_capacity(self.db.clone(), commit.writes.len())
            .durability(Some(PersistMode::Buffer));
        for write in &commit.writes {
            let space = &self.shared.spaces[write.space as usize];
            match &write.value {
                Some(value) => batch.insert(space, write.key.as_slice(), value.clone()),
                None => batch.remove(space, write.key.as_slice()),
            }
        }
        batch.commit().map_err(|error| translate(&self.dir, error))?;
        let version = self.shared.version.fetch_add(1, Ordering::AcqRel) + 1;
        for write in &commit.writes {
            let stripe = self.stripe(write.space, &write.key);
            if let Ok(at) = locked.stripes.binary_search_by_key(&stripe, |(at, _)| *at) {
                *locked.stripes[at].1 = version;
            }
        }
        Ok(Outcome::Committed)
    }

    fn is_due(&self, bytes: u64) -> bool {
        if self.unlooked.fetch_add(bytes, Ordering::Relaxed) + bytes < LOOK_BYTES {
            return false;
        }
        self.unlooked.swap(0, Ordering::Relaxed) >= LOOK_BYTES
    }

    fn is_crowded(&self) -> bool {
        let mut crowded = false;
        for space in &self.shared.spaces {
            // fjall's threads change to a new memtable, but not while they are at work on large ones.
            if space.tree.active_memtable().size() > 2 * MEMTABLE_BYTES && space.rotate_memtable().is_err() {
                return false;
            }
            crowded |= space.tree.sealed_memtable_count() > WAITING;
        }
        crowded
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.db.persist(PersistMode::SyncData).map_err(|error| translate(&self.dir, error))
    }

    fn flush(&self) -> Result<(), StoreError> {
        let fail = |error| translate(&self.dir, error);
        let began = Instant::now();
        for space in &self.shared.spaces {
            // The first question moves what is in memory aside, and is answered with no when there is nothing left.
            while space.rotate_memtable().map_err(fail)? || space.sealed_memtable_count() > 0 {
                if began.elapsed() > FLUSH_TIME {
                    return Err(StoreError::Engine { detail: "a flush does not end".into() });
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(())
    }

    fn drop_files(&self, space: Space, range: &KeyRange) -> Result<(), StoreError> {
        let end = range.end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let range = (Bound::Included(range.start.as_slice()), end);
        let dropped = self.shared.spaces[space as usize].tree.drop_range::<&[u8], _>(range);
        dropped.map_err(|error| translate(&self.dir, error.into()))
    }

    fn compact(&self, space: Space, deleted: u64) -> Result<(), StoreError> {
        let space = &self.shared.spaces[space as usize];
        if space.disk_space() / 4 > deleted {
            return Ok(());
        }
        let fail = |error| translate(&self.dir, error);
        // The deletions themselves may still be in memory.
        space.rotate_memtable_and_wait().map_err(fail)?;
        space.major_compact().map_err(fail)?;
        // The files of before go when the next thing in memory is written out, which may be never: a deletion of what is
        // not there is enough.
        space.remove(NOTHING).map_err(fail)?;
        space.rotate_memtable_and_wait().map_err(fail)
    }
}

/// Empties the journal of an engine that was flushed and is closed: all that it has is in the tables, and the next
/// start would read it for nothing.
pub(crate) fn empty_journal(dir: &Path) -> Result<(), StoreError> {
    let number =
        |path: &Path| -> Option<u64> { path.file_name()?.to_str()?.strip_suffix(".jnl")?.parse().ok() };
    let files = crate::dir::list(dir)?.into_iter().map(|entry| entry.path());
    // Only the last one is still written to. It has to exist, because the engine takes its count of changes from it.
    let Some(last) = files.filter(|path| number(path).is_some()).max_by_key(|path| number(path)) else {
        return Ok(());
    };
    let emptied = File::options().write(true).open(&last).and_then(|file| {
        file.set_len(0)?;
        file.sync_all()
    });
    emptied.map_err(|error| StoreError::io("write", last, error))
}

struct FjallView {
    version: u64,
    snapshot: fjall::Snapshot,
    shared: Arc<Shared>,
    dir: PathBuf,
}

impl View for FjallView {
    fn version(&self) -> u64 {
        self.version
    }

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let value = self.snapshot.get(&self.shared.spaces[space as usize], key);
        Ok(value.map_err(|error| translate(&self.dir, error))?.map(Bytes::from))
    }

    fn range(&self, space: Space, range: &KeyRange, reverse: bool) -> Rows {
        rows(&self.dir, &self.snapshot, &self.shared.spaces[space as usize], range, reverse)
    }
}

fn rows(dir: &Path, snapshot: &fjall::Snapshot, space: &Keyspace, range: &KeyRange, reverse: bool) -> Rows {
    if range.is_empty() {
        return Box::new(std::iter::empty());
    }
    let end = range.end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let iter = snapshot.range::<&[u8], _>(space, (Bound::Included(range.start.as_slice()), end));
    let dir = dir.to_owned();
    let read = move |guard: fjall::Guard| match guard.into_inner() {
        Ok((key, value)) => Ok((Bytes::from(key), Bytes::from(value))),
        Err(error) => Err(translate(&dir, error)),
    };
    if reverse { Box::new(iter.rev().map(read)) } else { Box::new(iter.map(read)) }
}

/// fjall's errors in the store's words.
fn translate(dir: &Path, error: fjall::Error) -> StoreError {
    let detail = error.to_string();
    match error {
        fjall::Error::Io(io) if is_full(&io) => StoreError::NoSpace { dir: dir.to_owned() },
        fjall::Error::Io(io) => StoreError::io("use", dir, io),
        fjall::Error::Storage(fjall::LsmError::Io(io)) if is_full(&io) => {
            StoreError::NoSpace { dir: dir.to_owned() }
        }
        fjall::Error::Poisoned => StoreError::Engine { detail },
        _ => StoreError::corrupt(dir.display().to_string(), detail),
    }
}

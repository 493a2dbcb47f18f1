//! The store: opening, the engine in use, closing.

use crate::{
    Blobs, Outbox, Record, Snapshot, StoreError, Table,
    blobs::BlobId,
    cache::Cache,
    commit,
    dir::{self, DirLock},
    engine::{
        Commit, Engine, Outcome, Space, Write,
        fjall::{FjallEngine, empty_journal},
    },
    group::Group,
    janitor::Janitor,
    queues::Queues,
    space,
    tx::{Sequences, Tx},
};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// What a commit survives before it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// The death of the process (kill -9): the journal is in the operating system's hands.
    #[default]
    Process,
    /// The loss of power: `fdatasync`, shared by all commits that wait for it.
    Disk,
}

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// What a commit survives.
    pub durability: Durability,
    /// Memory for caches, in bytes; half for the engine's blocks, half for decoded records. It is used only as it is
    /// needed.
    pub cache_bytes: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options { durability: Durability::Process, cache_bytes: 32 << 20 }
    }
}

/// The durable state. A cheap handle: clone it freely.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Handle>,
    outbox: Outbox,
}

/// Shared by everything that callers hold. The last one closes the store, at once, even while a thread of the store
/// itself is at work.
pub(crate) struct Handle(Arc<Inner>);

impl std::ops::Deref for Handle {
    type Target = Arc<Inner>;

    fn deref(&self) -> &Arc<Inner> {
        &self.0
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}

pub(crate) struct Inner {
    pub dir: PathBuf,
    pub options: Options,
    slot: RwLock<Slot>,
    /// Held shared by every commit; alone by one that has lost too often, and while the engine is exchanged.
    pub gate: RwLock<()>,
    pub cache: Cache,
    pub space: Arc<space::Space>,
    group: Arc<Group>,
    pub queues: Queues,
    pub blobs: Blobs,
    pub sequences: Sequences,
    pub message_ids: AtomicU64,
    pub janitor: Janitor,
    /// The engine has refused to go on and is opened anew before the next write.
    broken: AtomicBool,
    repaired: Mutex<Option<Instant>>,
    lock: Mutex<Option<DirLock>>,
    ephemeral: bool,
}

enum Slot {
    Open {
        engine: Arc<dyn Engine>,
        dir: PathBuf,
    },
    /// It could not be opened again; the next write tries.
    Stopped {
        dir: PathBuf,
    },
    Closed,
}

impl Store {
    /// Opens a data directory, creating it when it is not there.
    ///
    /// Errors: [`StoreError::Locked`], [`StoreError::NewerFormat`], [`StoreError::Corrupt`], [`StoreError::NoSpace`],
    /// [`StoreError::Io`].
    pub fn open(dir: &Path, options: Options) -> Result<Store, StoreError> {
        dir::make(dir)?;
        let dir = dir.canonicalize().map_err(|error| StoreError::io("open", dir, error))?;
        Store::open_at(dir, options, false)
    }

    /// A store in a private directory that goes away with it.
    pub fn ephemeral() -> Result<Store, StoreError> {
        Store::ephemeral_with(Options::default())
    }

    /// [`Store::ephemeral`], with options.
    pub fn ephemeral_with(options: Options) -> Result<Store, StoreError> {
        Store::open_at(dir::new_ephemeral()?, options, true)
    }

    fn open_at(dir: PathBuf, options: Options, ephemeral: bool) -> Result<Store, StoreError> {
        let lock = DirLock::take(&dir)?;
        dir::check_format(&dir)?;
        let engine_dir = dir::current_engine(&dir)?;
        let engine: Arc<dyn Engine> = Arc::new(FjallEngine::open(&engine_dir, options.cache_bytes / 2)?);
        let space = Arc::new(space::Space::new(&dir));
        let inner = Arc::new(Inner {
            blobs: Blobs::open_all(&dir, options.durability, Arc::clone(&space))?,
            message_ids: AtomicU64::new(next_boot(&*engine, 0)? << BOOT_BITS),
            slot: RwLock::new(Slot::Open { engine, dir: engine_dir }),
            gate: RwLock::new(()),
            cache: Cache::new(options.cache_bytes / 2),
            space,
            group: Arc::default(),
            queues: Queues::default(),
            sequences: Sequences::default(),
            janitor: Janitor::default(),
            broken: AtomicBool::new(false),
            repaired: Mutex::new(None),
            lock: Mutex::new(Some(lock)),
            ephemeral,
            dir,
            options,
        });
        inner.janitor.sweep(&inner);
        let inner = Arc::new(Handle(inner));
        Ok(Store { outbox: Outbox::new(Arc::clone(&inner)), inner })
    }

    /// The data directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// A typed view of one table.
    #[must_use]
    pub fn table<R: Record>(&self) -> Table<R> {
        Table::new(Arc::clone(&self.inner))
    }

    /// Shows `f` one instant of all tables.
    ///
    /// # Errors
    /// The snapshot's methods give [`StoreError::Closed`] after [`Store::close`].
    pub fn read<T>(&self, f: impl FnOnce(&Snapshot) -> T) -> T {
        // The engine is held as long as its view, so that it is never opened anew under a reader.
        let engine = self.inner.engine();
        f(&Snapshot::new(engine.as_ref().map(|engine| engine.view()).map_err(Clone::clone)))
    }

    /// Runs the closure and commits what it wrote, emitted and adopted, all or nothing.
    ///
    /// The closure sees one instant of the store and its own writes. When something that it read has changed before
    /// the commit, it runs again, so it must not act on the outside; after some attempts it runs while nobody else may
    /// commit. Resolves when the change is durable at the configured level. An error of the closure discards
    /// everything.
    pub async fn transact<T, E: From<StoreError>>(
        &self,
        f: impl FnMut(&mut Tx<'_>) -> Result<T, E> + Send,
    ) -> Result<T, E> {
        commit::transact(&self.inner, f).await
    }

    /// Object bytes.
    #[must_use]
    pub fn blobs(&self) -> &Blobs {
        &self.inner.blobs
    }

    /// Deletes a finished blob, soon, unless a commit has adopted it: for whoever does not know how the transaction
    /// ended, because it failed late or was given up. Without this call it is deleted at the next start.
    pub fn discard_blob(&self, id: BlobId) {
        self.inner.janitor.delete(&self.inner, vec![id]);
    }

    /// Messages on their way to other services.
    #[must_use]
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Writes everything to its final place, releases the directory, and removes it if it was ephemeral. Whoever still
    /// uses the store gets [`StoreError::Closed`].
    pub fn close(&self) {
        self.inner.close();
    }
}

impl Inner {
    /// The engine in use.
    pub(crate) fn engine(&self) -> Result<Arc<dyn Engine>, StoreError> {
        match &*self.slot.read() {
            Slot::Open { engine, .. } => Ok(Arc::clone(engine)),
            Slot::Stopped { dir } => Err(StoreError::NoSpace { dir: dir.clone() }),
            Slot::Closed => Err(StoreError::Closed),
        }
    }

    pub(crate) fn is_current(&self, engine: &Arc<dyn Engine>) -> bool {
        matches!(&*self.slot.read(), Slot::Open { engine: current, .. } if Arc::ptr_eq(current, engine))
    }

    /// The engine for a write: one that has stopped after a failure is opened anew first.
    pub(crate) fn engine_to_write(&self) -> Result<Arc<dyn Engine>, StoreError> {
        if self.broken.load(Ordering::Acquire) {
            self.repair()?;
        }
        self.engine()
    }

    /// Remembers that the engine will not take another write.
    pub(crate) fn broke(&self, error: &StoreError) {
        if matches!(error, StoreError::NoSpace { .. } | StoreError::Engine { .. } | StoreError::Io { .. }) {
            tracing::warn!(%error, "the storage engine will be opened anew");
            self.broken.store(true, Ordering::Release);
        }
    }

    /// Waits until what was committed survives the loss of power.
    pub(crate) async fn sync(self: &Arc<Self>) -> Result<(), StoreError> {
        let inner = Arc::downgrade(self);
        let sync = move || match inner.upgrade() {
            Some(inner) => {
                inner.engine().and_then(|engine| engine.sync()).inspect_err(|error| inner.broke(error))
            }
            None => Err(StoreError::Closed),
        };
        self.group.synced(sync).await
    }

    /// Opens the engine anew after a failed write. What it had acknowledged is in its journal; what it refused may be
    /// there as well, which is why everything that was kept in memory is forgotten.
    fn repair(&self) -> Result<(), StoreError> {
        let mut repaired = self.repaired.lock();
        if !self.broken.load(Ordering::Acquire) {
            return Ok(());
        }
        self.space.check(space::Want::Room, 0)?;
        if repaired.is_some_and(|at| at.elapsed() < Duration::from_millis(250)) {
            return Err(StoreError::NoSpace { dir: self.dir.clone() });
        }
        *repaired = Some(Instant::now());
        let _alone = self.gate.write();
        let mut slot = self.slot.write();
        let (dir, engine) = match &*slot {
            Slot::Open { engine, dir } => (dir.clone(), Some(engine)),
            Slot::Stopped { dir } => (dir.clone(), None),
            Slot::Closed => return Err(StoreError::Closed),
        };
        let waited = Instant::now();
        while engine.is_some_and(|engine| Arc::strong_count(engine) > 1) {
            if waited.elapsed() > Duration::from_secs(2) {
                return Err(StoreError::Engine { detail: "it is still being read".into() });
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        *slot = Slot::Stopped { dir: dir.clone() };
        let engine: Arc<dyn Engine> = Arc::new(FjallEngine::open(&dir, self.options.cache_bytes / 2)?);
        *slot = Slot::Open { engine, dir };
        self.broken.store(false, Ordering::Release);
        self.forget_memory();
        tracing::info!("the storage engine works again");
        Ok(())
    }

    /// Exchanges the whole state for what `fill`, given the old engine and the new one, writes. A crash leaves the one
    /// or the other.
    pub(crate) fn exchange(
        &self,
        fill: impl FnOnce(&dyn Engine, &dyn Engine) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let _alone = self.gate.write();
        let mut slot = self.slot.write();
        let Slot::Open { engine: old, dir: old_dir } = &*slot else { return Err(StoreError::Closed) };
        let boot = self.message_ids.load(Ordering::Relaxed) >> BOOT_BITS;
        let dir = dir::next_engine(old_dir);
        let _ = std::fs::remove_dir_all(&dir);
        let fresh = FjallEngine::open(&dir, self.options.cache_bytes / 2)?;
        let filled = fill(&**old, &fresh)
            .and_then(|()| next_boot(&fresh, boot))
            .and_then(|boot| fresh.sync().map(|()| boot))
            .and_then(|boot| dir::switch_engine(&self.dir, &dir).map(|()| boot));
        let boot = match filled {
            Ok(boot) => boot,
            Err(error) => {
                drop(fresh);
                let _ = std::fs::remove_dir_all(&dir);
                return Err(error);
            }
        };
        self.message_ids.store(boot << BOOT_BITS, Ordering::Relaxed);
        let (old, old_dir) = (Arc::clone(old), old_dir.clone());
        *slot = Slot::Open { engine: Arc::new(fresh), dir };
        self.broken.store(false, Ordering::Release);
        self.forget_memory();
        drop(slot);
        drop(old);
        let _ = std::fs::remove_dir_all(old_dir);
        Ok(())
    }

    fn forget_memory(&self) {
        self.cache.forget_all();
        self.sequences.forget();
        self.queues.forget();
    }

    fn close(&self) {
        let engine = match std::mem::replace(&mut *self.slot.write(), Slot::Closed) {
            Slot::Open { engine, dir } => Some((engine, dir)),
            Slot::Stopped { .. } => None,
            Slot::Closed => return,
        };
        self.group.close();
        self.janitor.close();
        if let Some((engine, dir)) = engine {
            self.put_away(engine, &dir);
        }
        if self.ephemeral {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
        self.lock.lock().take();
    }

    /// Closes the engine: its last changes to their place if that can be done, its files released in any case.
    fn put_away(&self, engine: Arc<dyn Engine>, dir: &Path) {
        let waited = Instant::now();
        while Arc::strong_count(&engine) > 1 && waited.elapsed() < Duration::from_secs(2) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let alone = Arc::strong_count(&engine) == 1;
        if self.ephemeral || self.broken.load(Ordering::Acquire) || !alone {
            return;
        }
        // A flush on a full disk would never end, and the journal has everything.
        let room = self.space.check(space::Want::Records, 0);
        let flushed = room.and_then(|()| engine.sync()).and_then(|()| engine.flush());
        drop(engine);
        if let Err(error) = flushed.and_then(|()| empty_journal(dir)) {
            tracing::warn!(%error, "the store was closed with its last changes in the journal only");
        }
    }
}

/// How many messages one start may emit before its ids reach those of the next: about a million million.
const BOOT_BITS: u32 = 40;

/// Counts the starts of this directory, so that ids made from the count are never given twice.
fn next_boot(engine: &dyn Engine, at_least: u64) -> Result<u64, StoreError> {
    let key = crate::key::table_prefix("boot");
    let seen = engine.get(Space::System, &key)?;
    let last = seen.as_deref().and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes);
    let boot = last.max(at_least) + 1;
    let value = Some(Bytes::copy_from_slice(&boot.to_be_bytes()));
    let commit = Commit { writes: vec![Write { space: Space::System, key, value }], ..Commit::default() };
    match engine.commit(&commit)? {
        Outcome::Committed => Ok(boot),
        Outcome::Conflict => Err(StoreError::Conflict { attempts: 1 }),
    }
}

/// The row that counts the references to a blob.
pub(crate) fn blob_row(id: BlobId) -> Vec<u8> {
    let mut key = crate::key::table_prefix("blob");
    key.extend_from_slice(&id.to_bytes());
    key
}

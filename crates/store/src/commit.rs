//! The way of a transaction, from its closure to the acknowledgement.

use crate::{
    StoreError,
    engine::{Outcome, Space},
    space::Want,
    store::{Durability, Inner},
    tx::Tx,
};
use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::{Duration, Instant},
};

/// After so many lost attempts a transaction runs while nobody else may commit.
const PATIENCE: u32 = 8;

/// A bound for what should not happen at all: the engine being exchanged again and again.
const ATTEMPTS: u32 = 16;

pub(crate) async fn transact<T, E: From<StoreError>>(
    inner: &Arc<Inner>,
    mut f: impl FnMut(&mut Tx<'_>) -> Result<T, E> + Send,
) -> Result<T, E> {
    for attempt in 0..ATTEMPTS {
        if let Some((value, wrote)) = try_once(inner, &mut f, attempt >= PATIENCE)? {
            if let Some(wrote) = wrote {
                let to_disk = inner.options.durability == Durability::Disk;
                let mut released = Released { inner, blobs: wrote.dropped, durable: !to_disk };
                make_room(inner, wrote.bytes).await;
                if to_disk {
                    inner.sync().await?;
                    released.durable = true;
                }
            }
            return Ok(value);
        }
        pause(attempt).await;
    }
    Err(StoreError::Conflict { attempts: ATTEMPTS }.into())
}

/// What a commit leaves to do.
struct Wrote {
    /// The blobs that nobody refers to any more.
    dropped: Vec<crate::BlobId>,
    /// How much was written.
    bytes: u64,
}

/// The blobs that a commit released. They go when it is durable, also if nobody waits for its end any more; otherwise the
/// next start looks after them.
struct Released<'a> {
    inner: &'a Arc<Inner>,
    blobs: Vec<crate::BlobId>,
    durable: bool,
}

impl Drop for Released<'_> {
    fn drop(&mut self) {
        if self.durable {
            self.inner.janitor.delete(self.inner, std::mem::take(&mut self.blobs));
        }
    }
}

/// How long one commit waits for room at most.
const ROOM: Duration = Duration::from_secs(2);

/// Lets the engine write out what is in memory, before whoever has written much writes more. Those who write little meet
/// the one whose turn it is now and then; without this, all would be stopped together, for longer.
async fn make_room(inner: &Inner, bytes: u64) {
    let Ok(engine) = inner.engine() else { return };
    if !engine.is_due(bytes) {
        return;
    }
    let began = Instant::now();
    while engine.is_crowded() && began.elapsed() < ROOM {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// One run of the closure and its commit. `None`: something it read has changed meanwhile. The second half of the
/// value is `None` when nothing was written.
fn try_once<T, E: From<StoreError>>(
    inner: &Arc<Inner>,
    f: &mut impl FnMut(&mut Tx<'_>) -> Result<T, E>,
    alone: bool,
) -> Result<Option<(T, Option<Wrote>)>, E> {
    let engine = inner.engine_to_write()?;
    let _alone = alone.then(|| inner.gate.write());
    let mut tx = Tx::new(inner, &engine);
    let value = f(&mut tx)?;
    let done = tx.finish();
    if done.commit.writes.is_empty() {
        return Ok(Some((value, None)));
    }
    let _shared = (!alone).then(|| inner.gate.read());
    if !inner.is_current(&engine) {
        return Ok(None);
    }
    let want = if done.commit.only_deletes() { Want::Room } else { Want::Records };
    let bytes = done.commit.bytes();
    inner.space.check(want, bytes)?;
    let arriving = inner.queues.begin(&done.queues);
    let records = done.commit.writes.iter().filter(|write| write.space == Space::Records);
    let closed = inner.cache.close(records.map(|write| write.key.as_slice()));
    let outcome = engine.commit(&done.commit);
    drop(closed);
    match outcome {
        Ok(Outcome::Committed) => {
            arriving.committed();
            Ok(Some((value, Some(Wrote { dropped: done.dropped, bytes }))))
        }
        Ok(Outcome::Conflict) => Ok(None),
        Err(error) => {
            inner.broke(&error);
            Err(error.into())
        }
    }
}

/// Lets others finish: at first only this task steps back, then for a random while that grows to a few milliseconds.
async fn pause(attempt: u32) {
    if attempt < 2 {
        return tokio::task::yield_now().await;
    }
    let most = 50u64 << attempt.min(6);
    let micros = RandomState::new().hash_one(attempt) % most;
    tokio::time::sleep(Duration::from_micros(micros)).await;
}

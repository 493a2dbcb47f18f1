//! Keeps a little of the disk free, so that a full one is refused before a write is half done.
//!
//! The engine stops for good when its journal cannot be written; asking the file system first, and keeping a reserve,
//! makes that rare. Changes that only delete may use the reserve: that is how space comes back.

use crate::StoreError;
use parking_lot::Mutex;
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// What stays free for the engine's own background work, in bytes.
const RESERVE: u64 = 24 << 20;

/// What deletions leave free, in bytes.
const LAST: u64 = 4 << 20;

/// How long, and for how many bytes, an answer of the file system is believed.
const BELIEVED: Duration = Duration::from_millis(200);
const BELIEVED_BYTES: u64 = 2 << 20;

pub(crate) struct Space {
    dir: PathBuf,
    free: Box<dyn Fn(&Path) -> u64 + Send + Sync>,
    seen: Mutex<Option<Seen>>,
}

struct Seen {
    at: Instant,
    free: u64,
    spent: u64,
}

/// What wants to write.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    Records,
    /// Deletions only.
    Room,
    /// Blobs leave room for the records that will point at them.
    Blob,
}

impl Space {
    pub(crate) fn new(dir: &Path) -> Space {
        Space::with(dir, Box::new(free_bytes))
    }

    pub(crate) fn with(dir: &Path, free: Box<dyn Fn(&Path) -> u64 + Send + Sync>) -> Space {
        Space { dir: dir.to_owned(), free, seen: Mutex::new(None) }
    }

    /// Refuses when `bytes` more would eat into the reserve.
    pub(crate) fn check(&self, want: Want, bytes: u64) -> Result<(), StoreError> {
        let keep = match want {
            Want::Records => RESERVE,
            Want::Room => LAST,
            Want::Blob => RESERVE + RESERVE / 2,
        };
        let mut seen = self.seen.lock();
        let stale = seen.as_ref().is_none_or(|seen| {
            seen.at.elapsed() > BELIEVED
                || seen.spent > BELIEVED_BYTES
                // Near the end every answer is asked for anew, also so that freed space shows at once.
                || seen.free < seen.spent + bytes + keep + BELIEVED_BYTES
        });
        if stale {
            *seen = Some(Seen { at: Instant::now(), free: (self.free)(&self.dir), spent: 0 });
        }
        let Some(seen) = seen.as_mut() else { return Ok(()) };
        if seen.free < seen.spent + bytes + keep {
            return Err(StoreError::NoSpace { dir: self.dir.clone() });
        }
        seen.spent += bytes;
        Ok(())
    }
}

/// Free bytes for this user; a file system that cannot say is taken to have room.
fn free_bytes(dir: &Path) -> u64 {
    rustix::fs::statvfs(dir).map_or(u64::MAX, |stat| stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    };

    #[test]
    fn refuses_before_the_end_and_recovers() {
        let free = Arc::new(AtomicU64::new(100 << 20));
        let shown = Arc::clone(&free);
        let space = Space::with(Path::new("/"), Box::new(move |_| shown.load(Ordering::Relaxed)));
        space.check(Want::Records, 1 << 20).unwrap();
        space.check(Want::Blob, 10 << 20).unwrap();
        free.store(30 << 20, Ordering::Relaxed);
        *space.seen.lock() = None;
        assert!(matches!(space.check(Want::Blob, 1), Err(StoreError::NoSpace { .. })));
        space.check(Want::Records, 1).unwrap();
        free.store(10 << 20, Ordering::Relaxed);
        *space.seen.lock() = None;
        assert!(matches!(space.check(Want::Records, 1), Err(StoreError::NoSpace { .. })));
        space.check(Want::Room, 1).unwrap();
        free.store(100 << 20, Ordering::Relaxed);
        space.check(Want::Records, 1).unwrap();
    }
}

//! Deletes blob files that nobody refers to: those that a commit released, and at the start those that a crash left.
//!
//! One thread, started by the first work, asleep without any.

use crate::{
    BlobId, StoreError,
    engine::Space,
    store::{Inner, blob_row},
};
use parking_lot::{Mutex, MutexGuard};
use std::{
    fs, io,
    sync::{Arc, Weak, mpsc},
    time::Duration,
};

#[derive(Default)]
pub(crate) struct Janitor {
    jobs: Mutex<Jobs>,
    /// Held by whoever needs all files to stay.
    still: Mutex<()>,
}

#[derive(Default)]
struct Jobs {
    sender: Option<mpsc::Sender<Job>>,
    closed: bool,
}

enum Job {
    Delete(Vec<BlobId>),
    Sweep,
}

impl Janitor {
    /// Deletes files whose last reference is gone, soon.
    pub(crate) fn delete(&self, inner: &Arc<Inner>, ids: Vec<BlobId>) {
        if !ids.is_empty() {
            self.send(inner, Job::Delete(ids));
        }
    }

    /// Looks for files that no record refers to, among those of earlier processes.
    pub(crate) fn sweep(&self, inner: &Arc<Inner>) {
        if inner.blobs.files().next().is_some() {
            self.send(inner, Job::Sweep);
        }
    }

    /// While the guard is held no file is deleted.
    pub(crate) fn pause(&self) -> MutexGuard<'_, ()> {
        self.still.lock()
    }

    pub(crate) fn close(&self) {
        let mut jobs = self.jobs.lock();
        jobs.closed = true;
        jobs.sender = None;
    }

    fn send(&self, inner: &Arc<Inner>, job: Job) {
        let mut jobs = self.jobs.lock();
        if jobs.closed {
            return;
        }
        let sender = jobs.sender.get_or_insert_with(|| {
            let (sender, receiver) = mpsc::channel();
            let inner = Arc::downgrade(inner);
            // Without the thread, files stay until the next start sweeps them.
            let _ = std::thread::Builder::new()
                .name("store-janitor".into())
                .spawn(move || work(&inner, &receiver))
                .inspect_err(|error| tracing::warn!(%error, "released blobs stay until the next start"));
            sender
        });
        let _ = sender.send(job);
    }
}

fn work(inner: &Weak<Inner>, jobs: &mpsc::Receiver<Job>) {
    while let Ok(job) = jobs.recv() {
        match job {
            Job::Delete(ids) => {
                let Some(inner) = inner.upgrade() else { return };
                let _deleting = inner.janitor.still.lock();
                for id in ids {
                    delete(&inner, id);
                }
            }
            Job::Sweep => {
                let Some(files) = inner.upgrade().map(|inner| inner.blobs.files()) else { return };
                for (count, id) in files.filter(|id| !id.is_ours()).enumerate() {
                    let Some(inner) = inner.upgrade() else { return };
                    let _deleting = inner.janitor.still.lock();
                    match is_referenced(&inner, id) {
                        Ok(true) => {}
                        Ok(false) => delete(&inner, id),
                        Err(StoreError::Closed) => return,
                        Err(error) => tracing::warn!(%error, "cannot tell whether a blob is still needed"),
                    }
                    // Everybody else goes first.
                    if count % 256 == 255 {
                        std::thread::sleep(Duration::from_millis(5));
                    }
                }
            }
        }
    }
}

fn is_referenced(inner: &Inner, id: BlobId) -> Result<bool, StoreError> {
    Ok(inner.engine()?.get(Space::System, &blob_row(id))?.is_some())
}

fn delete(inner: &Inner, id: BlobId) {
    // An id may have been adopted again by a transaction that had it from the same record.
    if !matches!(is_referenced(inner, id), Ok(false)) {
        return;
    }
    if let Err(error) = fs::remove_file(inner.blobs.path(id))
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(%error, blob = %id, "cannot delete a blob that is not needed any more");
    }
}

//! Group commit: however many commits wait, one `fdatasync` serves all that came before it.
//!
//! One thread, started by the first commit that needs it, asleep when nothing waits.

use crate::StoreError;
use parking_lot::{Condvar, Mutex};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::sync::oneshot;

type Waiter = oneshot::Sender<Result<(), StoreError>>;

#[derive(Default)]
pub(crate) struct Group {
    state: Mutex<State>,
    wake: Condvar,
    syncs: AtomicU64,
}

#[derive(Default)]
struct State {
    waiting: Vec<Waiter>,
    running: bool,
    closed: bool,
}

impl Group {
    /// Resolves when a sync that began after this call has ended.
    pub(crate) async fn synced(
        self: &Arc<Self>,
        sync: impl FnMut() -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), StoreError> {
        let (done, wait) = oneshot::channel();
        {
            let mut state = self.state.lock();
            if state.closed {
                return Err(StoreError::Closed);
            }
            state.waiting.push(done);
            if !state.running {
                let group = Arc::clone(self);
                std::thread::Builder::new()
                    .name("store-sync".into())
                    .spawn(move || group.run(sync))
                    .map_err(|error| StoreError::io("start a thread for", "store-sync", error))?;
                state.running = true;
            }
        }
        self.wake.notify_one();
        wait.await.unwrap_or(Err(StoreError::Closed))
    }

    fn run(&self, mut sync: impl FnMut() -> Result<(), StoreError>) {
        loop {
            let waiting = {
                let mut state = self.state.lock();
                while state.waiting.is_empty() && !state.closed {
                    self.wake.wait(&mut state);
                }
                if state.waiting.is_empty() {
                    return;
                }
                std::mem::take(&mut state.waiting)
            };
            let result = sync();
            self.syncs.fetch_add(1, Ordering::Relaxed);
            for waiter in waiting {
                let _ = waiter.send(result.clone());
            }
        }
    }

    /// Ends the thread after what waits now.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.wake.notify_all();
    }

    /// How many syncs there were.
    #[cfg(test)]
    fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    /// While one sync is under way all who come wait for the next one, and that is a single one.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn many_commits_share_a_sync() {
        let group = Arc::new(Group::default());
        let (begun, held) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(true)));
        let sync = {
            let (begun, held) = (Arc::clone(&begun), Arc::clone(&held));
            move || {
                begun.store(true, Ordering::Release);
                while held.load(Ordering::Acquire) {
                    std::thread::yield_now();
                }
                Ok(())
            }
        };
        let wait = |group: &Arc<Group>| {
            let (group, sync) = (Arc::clone(group), sync.clone());
            tokio::spawn(async move { group.synced(sync).await })
        };
        let first = wait(&group);
        while !begun.load(Ordering::Acquire) {
            tokio::task::yield_now().await;
        }
        let others: Vec<_> = (0..100).map(|_| wait(&group)).collect();
        while group.state.lock().waiting.len() < 100 {
            tokio::task::yield_now().await;
        }
        held.store(false, Ordering::Release);
        first.await.unwrap().unwrap();
        for other in others {
            other.await.unwrap().unwrap();
        }
        assert_eq!(group.syncs(), 2);
        group.close();
        assert!(matches!(group.synced(|| Ok(())).await, Err(StoreError::Closed)));
    }

    #[tokio::test]
    async fn a_failed_sync_is_everybodys_error() {
        let group = Arc::new(Group::default());
        let fail = || Err(StoreError::NoSpace { dir: "/data".into() });
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                tokio::spawn({
                    let group = Arc::clone(&group);
                    async move { group.synced(fail).await }
                })
            })
            .collect();
        for wait in waiting {
            assert!(matches!(wait.await.unwrap(), Err(StoreError::NoSpace { .. })));
        }
        group.close();
    }
}

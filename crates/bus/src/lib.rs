//! Carries committed events to those who act on them: at least once, with backoff, bounded concurrency, a maximum
//! age and dead letters. What is under way when the process dies is delivered again after the restart.
//!
//! A service emits a [`Message`] in the transaction that causes it ([`cloudlet_store::Tx::emit`]) and subscribes a
//! [`Handler`] to the queue. The bus holds no message in memory beyond those under way: ten thousand or ten million
//! waiting events cost disk only.

mod dispatcher;
mod policy;

pub use cloudlet_store::{Message, MessageId};
pub use policy::{Delivery, Outcome};

use cloudlet_service::{BoxFuture, Clock};
use cloudlet_store::Store;
use dispatcher::Dispatcher;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// Acts on the messages of a queue.
pub trait Handler: Send + Sync + 'static {
    /// Delivers one message. It may come again: after a crash, or where the outcome was a retry.
    fn deliver<'a>(&'a self, id: &'a MessageId, message: &'a Message) -> BoxFuture<'a, Outcome>;

    /// How many deliveries to this group may be under way now, where the target has a limit of its own. What finds no
    /// room waits on disk. Asked often: to be answered at once.
    fn room(&self, _group: &str) -> usize {
        usize::MAX
    }

    /// A message is given up; the last chance to tell somebody. It is kept as a dead letter all the same.
    fn dead<'a>(&'a self, _id: &'a MessageId, _message: &'a Message, _why: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }
}

/// The deliverer of all queues of one store.
pub struct Bus {
    store: Store,
    clock: Arc<dyn Clock>,
    dispatchers: Mutex<Vec<Arc<Dispatcher>>>,
}

impl Bus {
    /// A bus over the store's outbox. Nothing is delivered before [`Bus::subscribe`].
    pub fn new(store: Store, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { store, clock, dispatchers: Mutex::new(Vec::new()) })
    }

    /// Delivers the queue's messages to `handler` from now on. One subscriber a queue. Must be called within a
    /// tokio runtime.
    pub fn subscribe(&self, queue: &str, delivery: Delivery, handler: Arc<dyn Handler>) {
        let dispatcher = Dispatcher::new(queue, delivery, handler, self.store.clone(), self.clock.clone());
        self.dispatchers.lock().push(dispatcher.clone());
        tokio::spawn(dispatcher.run());
    }

    /// Looks at every queue again: what a test does after it has moved the clock.
    pub fn wake(&self) {
        for dispatcher in self.dispatchers.lock().iter() {
            dispatcher.wake();
        }
    }

    /// Takes no further message and waits, at most for `limit`, for those under way.
    pub async fn stop(&self, limit: Duration) {
        let dispatchers = self.dispatchers.lock().clone();
        for dispatcher in &dispatchers {
            dispatcher.stop();
        }
        let all = async {
            for dispatcher in &dispatchers {
                dispatcher.idle().await;
            }
        };
        if tokio::time::timeout(limit, all).await.is_err() {
            tracing::warn!("some deliveries did not end in time; they will be made again at the next start");
        }
    }
}

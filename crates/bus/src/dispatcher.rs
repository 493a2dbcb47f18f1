//! The loop of one queue: look at what is due, start what may start, wait for whatever comes first.

use crate::{Delivery, Handler, Outcome};
use cloudlet_service::Clock;
use cloudlet_store::{Message, MessageId, Outbox, Store, StoreError};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// How many messages one look reads at a time.
const PAGE: usize = 128;
/// How far one look goes past messages whose group is busy, so that a long backlog of one target cannot hide
/// another's messages and a look stays short.
const FARTHEST: usize = 8192;
/// The longest sleep while something is due later: the clock may be moved meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

pub(crate) struct Dispatcher {
    queue: String,
    delivery: Delivery,
    handler: Arc<dyn Handler>,
    outbox: Outbox,
    clock: Arc<dyn Clock>,
    under_way: Mutex<UnderWay>,
    ended: Notify,
    stopped: AtomicBool,
}

#[derive(Default)]
struct UnderWay {
    ids: HashSet<MessageId>,
    /// What ended since the present look began: a page read before the end still shows it.
    ended: HashSet<MessageId>,
    groups: HashMap<String, usize>,
}

impl UnderWay {
    fn end(&mut self, id: &MessageId, group: &str) {
        self.ids.remove(id);
        self.ended.insert(id.clone());
        if let Some(count) = self.groups.get_mut(group) {
            *count -= 1;
            if *count == 0 {
                self.groups.remove(group);
            }
        }
    }
}

impl Dispatcher {
    pub(crate) fn new(
        queue: &str,
        delivery: Delivery,
        handler: Arc<dyn Handler>,
        store: Store,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        Arc::new(Self {
            queue: queue.to_owned(),
            delivery,
            handler,
            outbox: store.outbox().clone(),
            clock,
            under_way: Mutex::default(),
            ended: Notify::new(),
            stopped: AtomicBool::new(false),
        })
    }

    pub(crate) fn wake(&self) {
        self.ended.notify_one();
    }

    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.wake();
    }

    /// Resolves when nothing is under way.
    pub(crate) async fn idle(&self) {
        while !self.under_way.lock().ids.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.clock.millis()).unwrap_or(0)
    }

    pub(crate) async fn run(self: Arc<Self>) {
        let arrivals = self.outbox.arrivals(&self.queue);
        while !self.stopped.load(Ordering::Acquire) {
            let sleep = match self.start_due() {
                Ok(sleep) => sleep,
                Err(StoreError::Closed) => return,
                Err(error) => {
                    tracing::error!(queue = self.queue, %error, "cannot read the outbox");
                    Some(LONGEST_SLEEP)
                }
            };
            let timer = async {
                match sleep {
                    Some(sleep) => tokio::time::sleep(sleep.min(LONGEST_SLEEP)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = arrivals.notified() => {}
                () = self.ended.notified() => {}
                () = timer => {}
            }
        }
    }

    /// Starts what is due and may start. Gives how long nothing new will be due, `None` for until somebody says so.
    fn start_due(self: &Arc<Self>) -> Result<Option<Duration>, StoreError> {
        let now = self.now();
        self.under_way.lock().ended.clear();
        let mut after: Option<MessageId> = None;
        let mut seen = 0;
        loop {
            if self.under_way.lock().ids.len() >= self.delivery.concurrency {
                return Ok(None); // The end of one of them wakes us.
            }
            let page = self.outbox.pending(&self.queue, after.as_ref(), PAGE, now)?;
            let last = page.len() < PAGE;
            seen += page.len();
            after = page.last().map(|(id, _)| id.clone()).or(after);
            for (id, message) in page {
                if !self.start(id, message) {
                    return Ok(None);
                }
            }
            if last {
                let due = self.outbox.next_due(&self.queue, after.as_ref())?;
                return Ok(due.map(|due| Duration::from_millis(due.saturating_sub(now))));
            }
            if seen >= FARTHEST {
                return Ok(Some(LONGEST_SLEEP));
            }
        }
    }

    /// Starts one delivery unless it is under way or its group is busy. `false` where the queue is.
    fn start(self: &Arc<Self>, id: MessageId, message: Message) -> bool {
        {
            let mut under_way = self.under_way.lock();
            if under_way.ids.len() >= self.delivery.concurrency {
                return false;
            }
            let busy = under_way.groups.get(&message.group).copied().unwrap_or(0) >= self.delivery.per_group;
            if busy || under_way.ids.contains(&id) || under_way.ended.contains(&id) {
                return true;
            }
            under_way.ids.insert(id.clone());
            *under_way.groups.entry(message.group.clone()).or_default() += 1;
        }
        let this = self.clone();
        tokio::spawn(async move {
            this.deliver(&id, &message).await;
            this.under_way.lock().end(&id, &message.group);
            this.ended.notify_one();
        });
        true
    }

    async fn deliver(self: &Arc<Self>, id: &MessageId, message: &Message) {
        let expired = message.expires.is_some_and(|at| at <= self.now());
        let outcome = if expired {
            Outcome::Dead { why: "the message grew older than its maximum age".to_owned() }
        } else {
            self.attempt(id, message).await
        };
        let attempts = message.attempts + 1;
        let settled = match outcome {
            Outcome::Done => self.outbox.complete(id).await.map(drop),
            Outcome::Dead { why } => self.give_up(id, message, &why).await,
            Outcome::Retry { why, .. } if self.delivery.max_attempts.is_some_and(|max| attempts >= max) => {
                self.give_up(id, message, &why).await
            }
            Outcome::Retry { after, why } => {
                let delay = after.unwrap_or_else(|| self.delivery.delay(attempts));
                tracing::debug!(queue = self.queue, %id, attempts, why, ?delay, "delivery will be retried");
                self.outbox.retry(id, self.due_in(delay), attempts).await.map(drop)
            }
            Outcome::Postpone { after, .. } => {
                self.outbox.retry(id, self.due_in(after), message.attempts).await.map(drop)
            }
        };
        if let Err(error) = settled
            && !matches!(error, StoreError::Closed)
        {
            tracing::error!(queue = self.queue, %id, %error, "the outcome of a delivery could not be written; it will be made again");
            // Not at once: a full disk would turn this into a busy loop.
            tokio::time::sleep(LONGEST_SLEEP).await;
        }
    }

    fn due_in(&self, delay: Duration) -> u64 {
        self.now().saturating_add(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX))
    }

    /// Runs the handler in a task of its own: its panic is one failed attempt.
    async fn attempt(self: &Arc<Self>, id: &MessageId, message: &Message) -> Outcome {
        let (this, id, message) = (self.clone(), id.clone(), message.clone());
        let task = tokio::spawn(async move { this.handler.deliver(&id, &message).await });
        task.await.unwrap_or_else(|_| Outcome::Retry {
            after: None,
            why: "the handler failed unexpectedly".to_owned(),
        })
    }

    async fn give_up(&self, id: &MessageId, message: &Message, why: &str) -> Result<(), StoreError> {
        tracing::warn!(queue = self.queue, %id, group = message.group, attempts = message.attempts + 1, why, "delivery given up");
        self.handler.dead(id, message, why).await;
        self.outbox.dead_letter(id, why).await.map(drop)
    }
}

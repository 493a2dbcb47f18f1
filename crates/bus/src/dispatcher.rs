//! The loop of one queue: look at what is due, start what may start, wait for whatever comes first.

use crate::{Delivery, Handler, Outcome};
use cloudlet_service::Clock;
use cloudlet_store::{Message, MessageId, Outbox, Store, StoreError};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// How many messages one look reads at a time.
const PAGE: usize = 128;
/// How many messages of one busy group stand in line in memory, by their ids only. The others wait on disk.
const LINE: usize = 1024;
/// The longest sleep while something is due later: the clock may be moved meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// How often a group is looked at again whose handler had no room for it, for reasons of its own.
const NO_ROOM: Duration = Duration::from_millis(50);

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

/// What is known of the queue. Every message before `cursor` is in here, done, or beyond the horizon of its group, so
/// that a look reads each message about once however long the queue is.
#[derive(Default)]
struct UnderWay {
    ids: HashSet<MessageId>,
    /// What ended since the present look began: a page read before the end still shows it.
    ended: HashSet<MessageId>,
    groups: HashMap<String, Group>,
    /// Groups with a line, in the order of their turns.
    turns: VecDeque<String>,
    cursor: Option<MessageId>,
    /// To be read again from here: something that ended still stands there.
    again: Option<MessageId>,
}

#[derive(Default)]
struct Group {
    running: usize,
    line: VecDeque<MessageId>,
    lined: HashSet<MessageId>,
    /// The first message that found the line full. It and its successors are read again when the line has gone.
    horizon: Option<MessageId>,
}

impl UnderWay {
    fn end(&mut self, id: &MessageId, group: &str, settled: bool) {
        self.ids.remove(id);
        if settled {
            self.ended.insert(id.clone());
        } else {
            self.again = Some(self.again.take().map_or_else(|| id.clone(), |again| again.min(id.clone())));
        }
        if let Some(known) = self.groups.get_mut(group) {
            known.running -= 1;
            if known.running == 0 && known.line.is_empty() && known.horizon.is_none() {
                self.groups.remove(group);
            }
        }
    }

    /// A message that was read and may not start now.
    fn line_up(&mut self, group: &str, id: MessageId) {
        let known = self.groups.entry(group.to_owned()).or_default();
        let beyond = known.horizon.as_ref().is_some_and(|horizon| id >= *horizon);
        if known.line.len() >= LINE || beyond {
            if !beyond {
                known.horizon = Some(id);
            }
            return;
        }
        if known.line.is_empty() {
            self.turns.push_back(group.to_owned());
        }
        known.lined.insert(id.clone());
        known.line.push_back(id);
    }

    fn knows(&self, group: &str, id: &MessageId) -> bool {
        self.ids.contains(id)
            || self.ended.contains(id)
            || self.groups.get(group).is_some_and(|known| known.lined.contains(id))
    }

    /// The next message of a group's line. A line that has gone sends the cursor back to its horizon.
    fn take(&mut self, group: &str) -> Option<MessageId> {
        let known = self.groups.get_mut(group)?;
        let id = known.line.pop_front()?;
        known.lined.remove(&id);
        if known.line.is_empty()
            && let Some(horizon) = known.horizon.take()
        {
            self.back_to(&horizon);
        }
        Some(id)
    }

    fn back_to(&mut self, id: &MessageId) {
        if self.cursor.as_ref().is_some_and(|cursor| *cursor >= *id) {
            self.cursor = id.before();
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
            let sleep = match self.start_due().await {
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
    async fn start_due(self: &Arc<Self>) -> Result<Option<Duration>, StoreError> {
        let now = self.now();
        {
            let mut under_way = self.under_way.lock();
            under_way.ended.clear();
            // What arrived lies before the cursor at times: commits overtake each other.
            let news = self.outbox.earliest_arrival(&self.queue);
            for id in news.into_iter().chain(under_way.again.take()) {
                under_way.back_to(&id);
            }
        }
        self.start_lined()?;
        loop {
            if self.is_full() {
                return Ok(None); // The end of one of them wakes us.
            }
            let after = self.under_way.lock().cursor.clone();
            let page = self.outbox.pending(&self.queue, after.as_ref(), PAGE, now)?;
            let last = page.len() < PAGE;
            for (id, message) in page {
                if self.is_full() {
                    return Ok(None);
                }
                self.under_way.lock().cursor = Some(id.clone());
                self.take_up(id, message);
            }
            if last {
                break;
            }
            // Others want the processor too.
            tokio::task::yield_now().await;
        }
        let stalled = {
            let under_way = self.under_way.lock();
            let held = |known: &Group| known.running < self.delivery.per_group;
            under_way.turns.iter().any(|group| under_way.groups.get(group).is_none_or(held))
        };
        if stalled {
            return Ok(Some(NO_ROOM));
        }
        let after = self.under_way.lock().cursor.clone();
        let due = self.outbox.next_due(&self.queue, after.as_ref())?;
        Ok(due.map(|due| Duration::from_millis(due.saturating_sub(now))))
    }

    fn is_full(&self) -> bool {
        self.under_way.lock().ids.len() >= self.delivery.concurrency
    }

    /// How many deliveries to the group may be under way.
    fn room(&self, group: &str) -> usize {
        self.handler.room(group).min(self.delivery.per_group)
    }

    /// Gives every group with a line its turn, one message at a time, while there is room.
    fn start_lined(self: &Arc<Self>) -> Result<(), StoreError> {
        let mut refused = 0;
        while !self.is_full() {
            let group = {
                let mut under_way = self.under_way.lock();
                if refused >= under_way.turns.len() {
                    return Ok(());
                }
                let Some(group) = under_way.turns.pop_front() else { return Ok(()) };
                group
            };
            let room = self.room(&group);
            let id = {
                let mut under_way = self.under_way.lock();
                let running = under_way.groups.get(&group).map_or(0, |known| known.running);
                let id = if running < room { under_way.take(&group) } else { None };
                match &id {
                    Some(_) => refused = 0,
                    None => refused += 1,
                }
                if under_way.groups.get(&group).is_some_and(|known| !known.line.is_empty()) {
                    under_way.turns.push_back(group);
                }
                id
            };
            let Some(id) = id else { continue };
            // Gone meanwhile: somebody emptied the store.
            if let Some(message) = self.outbox.get(&id)? {
                self.begin(id, message);
            }
        }
        Ok(())
    }

    /// Starts a message that was just read, or puts it in its group's line.
    fn take_up(self: &Arc<Self>, id: MessageId, message: Message) {
        let room = self.room(&message.group);
        {
            let mut under_way = self.under_way.lock();
            if under_way.knows(&message.group, &id) {
                return;
            }
            let known = under_way.groups.get(&message.group);
            let busy = known.is_some_and(|known| !known.line.is_empty() || known.horizon.is_some());
            if busy || known.map_or(0, |known| known.running) >= room {
                under_way.line_up(&message.group, id);
                return;
            }
        }
        self.begin(id, message);
    }

    fn begin(self: &Arc<Self>, id: MessageId, message: Message) {
        {
            let mut under_way = self.under_way.lock();
            under_way.ids.insert(id.clone());
            under_way.groups.entry(message.group.clone()).or_default().running += 1;
        }
        let this = self.clone();
        tokio::spawn(async move {
            let settled = this.deliver(&id, &message).await;
            this.under_way.lock().end(&id, &message.group, settled);
            this.ended.notify_one();
        });
    }

    /// One attempt and its outcome. `false`: the message still stands where it stood.
    async fn deliver(self: &Arc<Self>, id: &MessageId, message: &Message) -> bool {
        let expired = message.expires.is_some_and(|at| at <= self.now());
        let outcome = if expired {
            Outcome::Dead { why: "the message grew older than its maximum age".to_owned() }
        } else {
            self.attempt(id, message).await
        };
        let attempts = message.attempts + 1;
        let settled = match outcome {
            Outcome::Done => self.outbox.complete(id).await.map(|_| true),
            Outcome::Dead { why } => self.give_up(id, message, &why).await,
            Outcome::Retry { why, .. } if self.delivery.max_attempts.is_some_and(|max| attempts >= max) => {
                self.give_up(id, message, &why).await
            }
            Outcome::Retry { after, why } => {
                let delay = after.unwrap_or_else(|| self.delivery.delay(attempts));
                tracing::debug!(queue = self.queue, %id, attempts, why, ?delay, "delivery will be retried");
                // The same moment again is the same name again.
                self.outbox
                    .retry(id, self.due_in(delay), attempts)
                    .await
                    .map(|next| next.as_ref() != Some(id))
            }
            Outcome::Postpone { after, .. } => {
                let next = self.outbox.retry(id, self.due_in(after), message.attempts).await;
                next.map(|next| next.as_ref() != Some(id))
            }
        };
        let error = match settled {
            Ok(settled) => return settled,
            Err(error) => error,
        };
        if !matches!(error, StoreError::Closed) {
            tracing::error!(queue = self.queue, %id, %error, "the outcome of a delivery could not be written; it will be made again");
            // Not at once: a full disk would turn this into a busy loop.
            tokio::time::sleep(LONGEST_SLEEP).await;
        }
        false
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

    async fn give_up(&self, id: &MessageId, message: &Message, why: &str) -> Result<bool, StoreError> {
        tracing::warn!(queue = self.queue, %id, group = message.group, attempts = message.attempts + 1, why, "delivery given up");
        self.handler.dead(id, message, why).await;
        self.outbox.dead_letter(id, why).await.map(|_| true)
    }
}

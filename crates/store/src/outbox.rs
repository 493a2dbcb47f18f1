//! The outbox: messages that were committed with the change that caused them, kept until they are delivered.
//!
//! A queue is ordered by when a message is due, then by when it was emitted. Nothing of a queue is held in memory but
//! where it begins and how long it is.

use crate::{
    Key, KeyRange, Record, StoreError, commit,
    engine::Space,
    key::{successor, table_prefix},
    record::{decode, encode},
    store::Handle,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};
use tokio::sync::Notify;

/// Something to be delivered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// Who delivers it, for example `s3.notifications`.
    pub queue: String,
    /// To whom, for limits on how many are under way at once, for example a function's ARN.
    pub group: String,
    /// What the deliverer needs to know.
    pub payload: Vec<u8>,
    /// Not to be delivered before this time, in milliseconds since 1970. Usually now.
    pub not_before: u64,
    /// Given up after this time, in milliseconds since 1970.
    pub expires: Option<u64>,
    /// How often delivery was tried.
    pub attempts: u32,
}

/// Names a message in its queue. A retry gives it another one, because it moves to another time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MessageId {
    queue: Arc<str>,
    due: u64,
    seq: u64,
}

impl MessageId {
    pub(crate) fn new(queue: &str, due: u64, seq: u64) -> MessageId {
        MessageId { queue: queue.into(), due, seq }
    }

    /// The queue it is in.
    #[must_use]
    pub fn queue(&self) -> &str {
        &self.queue
    }

    /// When it is due, in milliseconds since 1970.
    #[must_use]
    pub fn due(&self) -> u64 {
        self.due
    }

    /// The greatest id that is smaller: a place to read on from, not a message. `None` for the first of all.
    #[must_use]
    pub fn before(&self) -> Option<MessageId> {
        let (due, seq) = match (self.due, self.seq) {
            (0, 0) => return None,
            (due, 0) => (due - 1, u64::MAX),
            (due, seq) => (due, seq - 1),
        };
        Some(MessageId { queue: Arc::clone(&self.queue), due, seq })
    }

    /// A number that no other message of this data directory has, and that stays through retries.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.seq
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.queue, self.seq)
    }
}

/// A message that could not be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its id.
    pub id: MessageId,
    /// What it was.
    pub message: Message,
    /// Why it was given up.
    pub reason: String,
}

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct StoredMessage {
    group: String,
    #[serde(with = "crate::as_bytes")]
    payload: Vec<u8>,
    expires: Option<u64>,
    attempts: u32,
    #[serde(default)]
    reason: Option<String>,
}

impl Record for StoredMessage {
    const TABLE: &'static str = "outbox";
}

impl From<Message> for StoredMessage {
    fn from(message: Message) -> StoredMessage {
        let Message { group, payload, expires, attempts, .. } = message;
        StoredMessage { group, payload, expires, attempts, reason: None }
    }
}

impl StoredMessage {
    fn message(self, id: &MessageId) -> Message {
        Message {
            queue: id.queue.to_string(),
            group: self.group,
            payload: self.payload,
            not_before: id.due,
            expires: self.expires,
            attempts: self.attempts,
        }
    }
}

const PENDING: &str = "outbox";
const DEAD: &str = "outbox.dead";

fn queue_key(kind: &str, queue: &str) -> Vec<u8> {
    [table_prefix(kind), table_prefix(queue)].concat()
}

fn row_key(kind: &str, id: &MessageId) -> Vec<u8> {
    let mut key = queue_key(kind, &id.queue);
    key.extend_from_slice(&id.due.to_be_bytes());
    key.extend_from_slice(&id.seq.to_be_bytes());
    key
}

pub(crate) fn message_key(id: &MessageId) -> Vec<u8> {
    row_key(PENDING, id)
}

fn read_key(key: &[u8]) -> Result<MessageId, StoreError> {
    let key = Key::from_bytes(key);
    let mut parts = key.parts();
    let mut read = || Some((parts.text()?, parts.text()?, parts.number()?, parts.number()?));
    let (_, queue, due, seq) =
        read().ok_or_else(|| StoreError::corrupt("the outbox", "a key that cannot be read"))?;
    Ok(MessageId::new(&queue, due, seq))
}

/// Messages on their way. Cheap to clone.
#[derive(Clone)]
pub struct Outbox {
    inner: Arc<Handle>,
}

impl Outbox {
    pub(crate) fn new(inner: Arc<Handle>) -> Outbox {
        Outbox { inner }
    }

    /// Up to `limit` messages of a queue that are due at `now`, in the order in which they are due, after `after`.
    pub fn pending(
        &self,
        queue: &str,
        after: Option<&MessageId>,
        limit: usize,
        now: u64,
    ) -> Result<Vec<(MessageId, Message)>, StoreError> {
        let prefix = queue_key(PENDING, queue);
        let known = self.inner.queues.get(queue);
        let walk = after.is_none().then(|| known.walk());
        let start = match (after, &walk) {
            (Some(id), _) => [&message_key(id)[..], &[0]].concat(),
            (None, Some(walk)) => {
                [&prefix[..], &walk.start.0.to_be_bytes(), &walk.start.1.to_be_bytes()].concat()
            }
            (None, None) => prefix.clone(),
        };
        let end = match now.checked_add(1) {
            Some(end) => Some([&prefix[..], &end.to_be_bytes()].concat()),
            None => successor(&prefix),
        };
        let mut found = Vec::new();
        let rows = self.inner.engine()?.range(Space::System, &KeyRange { start, end }, false);
        for row in rows.take(limit) {
            let (key, value) = row?;
            let id = read_key(&key)?;
            let message = decode::<StoredMessage>(&value)?.message(&id);
            found.push((id, message));
        }
        if let Some(walk) = walk.filter(|_| limit > 0) {
            walk.found(found.first().map_or((now, 0), |(id, _)| (id.due, id.seq)));
        }
        Ok(found)
    }

    /// When the first message after `after` is due, in milliseconds since 1970: how long a deliverer may sleep.
    pub fn next_due(&self, queue: &str, after: Option<&MessageId>) -> Result<Option<u64>, StoreError> {
        let prefix = queue_key(PENDING, queue);
        let known = self.inner.queues.get(queue);
        let walk = after.is_none().then(|| known.walk());
        let start = match (after, &walk) {
            (Some(id), _) => [&message_key(id)[..], &[0]].concat(),
            (None, Some(walk)) => {
                [&prefix[..], &walk.start.0.to_be_bytes(), &walk.start.1.to_be_bytes()].concat()
            }
            (None, None) => prefix.clone(),
        };
        let range = KeyRange { start, end: successor(&prefix) };
        let Some(row) = self.inner.engine()?.range(Space::System, &range, false).next() else {
            return Ok(None);
        };
        let id = read_key(&row?.0)?;
        if let Some(walk) = walk {
            walk.found((id.due, id.seq));
        }
        Ok(Some(id.due))
    }

    /// One message, if it is still there.
    pub fn get(&self, id: &MessageId) -> Result<Option<Message>, StoreError> {
        let Some(value) = self.inner.engine()?.get(Space::System, &message_key(id))? else { return Ok(None) };
        Ok(Some(decode::<StoredMessage>(&value)?.message(id)))
    }

    /// Where the earliest message lies that was committed since this was last asked. For the one consumer of a queue,
    /// which has read on: a commit may come after others that are due later.
    #[must_use]
    pub fn earliest_arrival(&self, queue: &str) -> Option<MessageId> {
        let (due, seq) = self.inner.queues.get(queue).take_news()?;
        Some(MessageId::new(queue, due, seq))
    }

    /// Woken when a message is committed to the queue, and once for what came while nobody waited. For one consumer
    /// per queue: a permit is kept for one.
    #[must_use]
    pub fn arrivals(&self, queue: &str) -> Arc<Notify> {
        Arc::clone(&self.inner.queues.get(queue).arrivals)
    }

    /// The message was delivered; it is forgotten. `false`: it was gone already.
    pub async fn complete(&self, id: &MessageId) -> Result<bool, StoreError> {
        commit::transact(&self.inner, |tx| tx.complete(id)).await
    }

    /// [`Outbox::complete`] for many, in one commit.
    pub async fn complete_all(&self, ids: &[MessageId]) -> Result<(), StoreError> {
        commit::transact(&self.inner, |tx| ids.iter().try_for_each(|id| tx.complete(id).map(drop))).await
    }

    /// The message is to be tried again, at `not_before`, having been tried `attempts` times. Gives its new id, or
    /// `None` when it is gone.
    pub async fn retry(
        &self,
        id: &MessageId,
        not_before: u64,
        attempts: u32,
    ) -> Result<Option<MessageId>, StoreError> {
        commit::transact(&self.inner, |tx| {
            let Some(mut message) = tx.take_message(id)? else { return Ok(None) };
            message.attempts = attempts;
            let next = MessageId { queue: Arc::clone(&id.queue), due: not_before, seq: id.seq };
            tx.put_message(&next, &message)?;
            Ok(Some(next))
        })
        .await
    }

    /// The message is given up, and kept with the reason. `false`: it was gone already.
    pub async fn dead_letter(&self, id: &MessageId, reason: &str) -> Result<bool, StoreError> {
        commit::transact(&self.inner, |tx| {
            let Some(mut message) = tx.take_message(id)? else { return Ok(false) };
            message.reason = Some(reason.to_owned());
            let value: Bytes = encode(&message)?;
            tx.put_system(row_key(DEAD, id), Some(value));
            Ok(true)
        })
        .await
    }

    /// Up to `limit` messages that were given up, after `after`.
    pub fn dead_letters(
        &self,
        queue: &str,
        after: Option<&MessageId>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let prefix = queue_key(DEAD, queue);
        let start = after.map_or_else(|| prefix.clone(), |id| [&row_key(DEAD, id)[..], &[0]].concat());
        let range = KeyRange { start, end: successor(&prefix) };
        let rows = self.inner.engine()?.range(Space::System, &range, false);
        rows.take(limit)
            .map(|row| {
                let (key, value) = row?;
                let id = read_key(&key)?;
                let mut stored = decode::<StoredMessage>(&value)?;
                let reason = stored.reason.take().unwrap_or_default();
                Ok(DeadLetter { message: stored.message(&id), id, reason })
            })
            .collect()
    }

    /// Forgets a message that was given up.
    pub async fn forget_dead(&self, id: &MessageId) -> Result<(), StoreError> {
        commit::transact(&self.inner, |tx| {
            tx.put_system(row_key(DEAD, id), None);
            Ok(())
        })
        .await
    }

    /// How many messages a queue holds, due or not. Counted once, then known.
    pub fn len(&self, queue: &str) -> Result<u64, StoreError> {
        let prefix = queue_key(PENDING, queue);
        let range = KeyRange { end: successor(&prefix), start: prefix };
        let engine = self.inner.engine()?;
        self.inner.queues.get(queue).len(
            || Ok(engine.view()),
            |view| {
                let mut count = 0;
                for row in view.range(Space::System, &range, false) {
                    row?;
                    count += 1;
                }
                Ok(count)
            },
        )
    }

    /// Whether a queue holds nothing.
    pub fn is_empty(&self, queue: &str) -> Result<bool, StoreError> {
        Ok(self.next_due(queue, None)?.is_none())
    }

    /// The queues that hold messages.
    pub fn queues(&self) -> Result<Vec<String>, StoreError> {
        let end = successor(&table_prefix(PENDING));
        let mut start = table_prefix(PENDING);
        let engine = self.inner.engine()?;
        let mut names = Vec::new();
        while let Some(row) =
            engine.range(Space::System, &KeyRange { start: start.clone(), end: end.clone() }, false).next()
        {
            let id = read_key(&row?.0)?;
            names.push(id.queue.to_string());
            let Some(next) = successor(&queue_key(PENDING, &id.queue)) else { break };
            start = next;
        }
        Ok(names)
    }
}

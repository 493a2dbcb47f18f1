//! Forgets the events of deleted groups and streams, and those past their retention, in small transactions.

use crate::errors::{Failure, stored};
use crate::state::{DAY, Event, Group, Position, Stream, event_key, stream_key};
use cloudlet_bus::{Handler, Message, MessageId, Outcome};
use cloudlet_service::{BoxFuture, Context, Error};
use cloudlet_store::{Key, KeyRange, Store};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The queue of what is to be forgotten.
pub(crate) const QUEUE: &str = "logs.purge";

/// How many records one transaction forgets.
const BATCH: usize = 1000;

/// What is to be forgotten.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) enum Task {
    /// All streams of a group that is gone.
    Group(u64),
    /// All events of a stream that is gone.
    Stream(u64),
    /// What is past its retention in a group, and again a day later while the group has a retention.
    Expired { key: Vec<u8>, group: u64 },
}

impl Task {
    /// The message that asks for it at this time.
    pub(crate) fn message(&self, due: i64) -> Message {
        Message {
            queue: QUEUE.to_owned(),
            group: String::new(),
            payload: serde_json::to_vec(self).unwrap_or_default(),
            not_before: due.max(0) as u64,
            ..Message::default()
        }
    }
}

pub(crate) fn expire_later(cx: &Context, group: &Group) -> Message {
    let key = crate::state::group_key(cx, &group.name).as_bytes().to_vec();
    Task::Expired { key, group: group.number }.message(cx.millis() + DAY)
}

pub(crate) struct Purge {
    pub store: Store,
}

impl Handler for Purge {
    fn deliver<'a>(&'a self, id: &'a MessageId, message: &'a Message) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let task = match serde_json::from_slice::<Task>(&message.payload) {
                Ok(task) => task,
                Err(error) => return Outcome::Dead { why: error.to_string() },
            };
            let now = i64::try_from(id.due()).unwrap_or(i64::MAX);
            match self.run(&task, now).await {
                Ok(()) => Outcome::Done,
                Err(error) => Outcome::Retry { after: Some(Duration::from_secs(60)), why: error.to_string() },
            }
        })
    }
}

impl Purge {
    /// `now` is when the task was due: what expires later is left to the next run.
    pub(crate) async fn run(&self, task: &Task, now: i64) -> Result<(), Error> {
        match task {
            Task::Stream(stream) => self.events(Key::new().number(*stream).prefix_range()).await,
            Task::Group(group) => loop {
                let range = Key::new().number(*group).prefix_range();
                let streams = self.store.table::<Stream>().scan(range, false).take(BATCH);
                let streams: Vec<_> = streams.collect::<Result<_, _>>().map_err(stored)?;
                if streams.is_empty() {
                    return Ok(());
                }
                for (_, stream) in &streams {
                    self.events(Key::new().number(stream.number).prefix_range()).await?;
                }
                self.forget::<Stream>(streams.into_iter().map(|(key, _)| key).collect()).await?;
            },
            Task::Expired { key, group } => self.expired(Key::from_bytes(key.clone()), *group, now).await,
        }
    }

    async fn expired(&self, key: Key, number: u64, now: i64) -> Result<(), Error> {
        let group = self.store.table::<Group>().get(&key).map_err(stored)?;
        let Some(group) = group.filter(|g| g.number == number && g.retention_days.is_some()) else {
            return Ok(());
        };
        let horizon = group.horizon(now);
        let range = Key::new().number(number).prefix_range();
        for row in self.store.table::<Stream>().scan(range, false) {
            let (_, stream) = row.map_err(stored)?;
            if stream.first_event.is_none_or(|first| first >= horizon) {
                continue;
            }
            let start = Key::new().number(stream.number);
            let end = event_key(stream.number, Position { time: horizon, order: 0 });
            self.events(start.prefix_range().until(&end)).await?;
            let name = stream.name.clone();
            self.store
                .transact(|tx| {
                    let key = stream_key(number, &name);
                    if let Some(mut stream) = tx.get::<Stream>(&key)? {
                        stream.first_event =
                            stream.last_event.filter(|last| *last >= horizon).map(|_| horizon);
                        tx.put(&key, &stream)?;
                    }
                    Ok::<_, Failure>(())
                })
                .await?;
        }
        let again = Task::Expired { key: key.as_bytes().to_vec(), group: number }.message(now + DAY);
        self.store.transact(|tx| Ok::<_, Failure>(tx.emit(again.clone()).map(|_| ())?)).await?;
        Ok(())
    }

    async fn events(&self, range: KeyRange) -> Result<(), Error> {
        loop {
            let rows = self.store.table::<Event>().scan(range.clone(), false).take(BATCH);
            let keys: Vec<Key> =
                rows.map(|row| row.map(|(key, _)| key)).collect::<Result<_, _>>().map_err(stored)?;
            let all = keys.len() < BATCH;
            self.forget::<Event>(keys).await?;
            if all {
                return Ok(());
            }
        }
    }

    async fn forget<R: cloudlet_store::Record>(&self, keys: Vec<Key>) -> Result<(), Error> {
        let forgotten = self.store.transact(|tx| {
            for key in &keys {
                tx.delete::<R>(key)?;
            }
            Ok::<_, Failure>(())
        });
        Ok(forgotten.await?)
    }
}

//! What is done in the background, in small transactions: forgetting what lay under what is gone, filling new indexes,
//! taking expired items, writing down how much tables hold.

use crate::DynamoDb;
use crate::change::{Attempt, Cause, Change, expires, expiry_key, projected};
use crate::errors::{Failure, stored};
use crate::keys;
use crate::names::Place;
use crate::state::{Backup, Entry, Expiry, Shard, Stored, StreamOf, Table, Undo, Volume};
use cloudlet_bus::{Handler, Message, MessageId, Outcome};
use cloudlet_service::{BoxFuture, Error};
use cloudlet_store::{Key, KeyRange, Record};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// The queue of what is to be done.
pub(crate) const QUEUE: &str = "dynamodb.work";

/// How many records one transaction takes.
const BATCH: usize = 500;
/// From how many bytes on the space of what is gone is given back at once, instead of whenever files are merged.
const LARGE: i64 = 16 << 20;
/// How many items one transaction puts into an index.
const FILL_BATCH: usize = 100;
/// How often what tables hold is written down, and expired items are looked for.
const VOLUMES: Duration = Duration::from_secs(5);
const EXPIRED: Duration = Duration::from_secs(20);
/// How often records of streams and histories are looked through for what is too old.
const TRIM: Duration = Duration::from_secs(300);
/// How long after the start exports and imports go on.
const RESUMED: Duration = Duration::from_secs(1);
/// AWS: items that have been expired for longer than this are left alone. Five years, in seconds.
const TOO_OLD: i64 = 5 * 365 * 24 * 60 * 60;

/// What is to be done.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) enum Task {
    /// All items or entries of spaces that are gone, and how much they held together.
    Spaces {
        spaces: Vec<u64>,
        #[serde(default)]
        bytes: i64,
    },
    /// A stream whose last record is a day old.
    Stream { key: Vec<u8>, number: u64 },
    /// The history of a table, all of it or until a time.
    History { number: u64, until: Option<i64> },
    /// A new index of a table.
    Fill { key: Vec<u8>, index: u64 },
    /// The expiries of a table whose time to live was turned on.
    Expiries { key: Vec<u8>, number: u64 },
    /// A backup that a deleted table has left, when its time is over.
    Backup { key: Vec<u8>, number: u64 },
    /// The items of a table for its replica in another region.
    Seed { key: Vec<u8>, region: String },
}

impl Task {
    /// The message that asks for it at this time.
    pub(crate) fn message(&self, due: i64) -> Message {
        Message {
            queue: QUEUE.to_owned(),
            group: match self {
                Self::Spaces { spaces, .. } => format!("{:?}", spaces.first()),
                Self::Stream { number, .. } | Self::History { number, .. } | Self::Backup { number, .. } => {
                    number.to_string()
                }
                Self::Fill { index, .. } => index.to_string(),
                Self::Expiries { number, .. } => number.to_string(),
                Self::Seed { region, .. } => region.clone(),
            },
            payload: serde_json::to_vec(self).unwrap_or_default(),
            not_before: due.unsigned_abs(),
            ..Message::default()
        }
    }
}

pub(crate) struct Purge(pub Arc<DynamoDb>);

impl Handler for Purge {
    fn deliver<'a>(&'a self, _: &'a MessageId, message: &'a Message) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let task = match serde_json::from_slice::<Task>(&message.payload) {
                Ok(task) => task,
                Err(error) => return Outcome::Dead { why: error.to_string() },
            };
            match self.0.work(&task).await {
                Ok(()) => Outcome::Done,
                Err(error) => Outcome::Retry { after: Some(Duration::from_secs(5)), why: error.to_string() },
            }
        })
    }
}

/// Begins what is done at intervals, for as long as the service lives.
pub(crate) fn start(service: &Arc<DynamoDb>) {
    let weak = Arc::downgrade(service);
    tokio::spawn(every(VOLUMES, weak.clone(), |service| {
        Box::pin(async move { service.write_volumes().await })
    }));
    let begun = weak.clone();
    tokio::spawn(async move {
        // The other services are there soon after this one.
        tokio::time::sleep(RESUMED).await;
        if let Some(service) = begun.upgrade().filter(|service| !service.cloud.is_closing())
            && let Err(error) = service.resume_transfers().await
        {
            tracing::warn!(%error, "exports and imports could not be resumed");
        }
    });
    tokio::spawn(every(TRIM, weak.clone(), |service| Box::pin(async move { service.trim().await })));
    tokio::spawn(every(EXPIRED, weak, |service| Box::pin(async move { service.expire().await })));
}

async fn every(
    interval: Duration,
    service: Weak<DynamoDb>,
    run: fn(Arc<DynamoDb>) -> BoxFuture<'static, Result<(), Error>>,
) {
    loop {
        tokio::time::sleep(interval).await;
        let Some(service) = service.upgrade().filter(|service| !service.cloud.is_closing()) else { return };
        if let Err(error) = run(service).await {
            tracing::debug!(%error, "work in the background will be tried again");
        }
    }
}

/// Does what takes as long as the disk in a thread of its own.
async fn blocking(
    work: impl FnOnce() -> Result<(), cloudlet_store::StoreError> + Send + 'static,
) -> Result<(), Error> {
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)?.map_err(stored)
}

/// Whether a global index of the table has this number.
fn has(table: &Table, number: u64) -> bool {
    table.globals.iter().any(|index| index.number == number)
}

impl DynamoDb {
    pub(crate) async fn work(&self, task: &Task) -> Result<(), Error> {
        match task {
            Task::Spaces { spaces, bytes } => {
                let large = *bytes >= LARGE;
                for number in spaces {
                    if large {
                        let (items, range) = (self.store.table::<Stored>(), keys::space(*number));
                        blocking(move || items.drop_files(&range)).await?;
                    }
                    self.forget::<Stored>(keys::space(*number)).await?;
                    self.forget::<Undo>(keys::space(*number)).await?;
                    let key = Key::new().number(*number);
                    let gone = self.store.transact(|tx| Ok::<_, Failure>(tx.delete::<Volume>(&key)?));
                    gone.await?;
                    self.live.forget(*number);
                }
                if large {
                    let (items, bytes) = (self.store.table::<Stored>(), bytes.unsigned_abs());
                    blocking(move || items.compact(bytes)).await?;
                }
                Ok(())
            }
            Task::Stream { key, number } => {
                self.forget::<Entry>(keys::space(*number)).await?;
                self.forget::<Shard>(keys::space(*number)).await?;
                let key = Key::from_bytes(key.clone());
                let gone = self.store.transact(|tx| {
                    if tx.get::<StreamOf>(&key)?.is_some_and(|stream| stream.number == *number) {
                        tx.delete::<StreamOf>(&key)?;
                    }
                    Ok::<_, Failure>(())
                });
                gone.await?;
                Ok(())
            }
            Task::History { number, until } => {
                let mut range = keys::space(*number);
                if let Some(until) = until {
                    range = range.until(&Key::new().number(*number).number(until.unsigned_abs()));
                }
                self.forget::<Undo>(range).await
            }
            Task::Backup { key, number } => {
                let key = Key::from_bytes(key.clone());
                let number = *number;
                let gone = self.store.transact(|tx| {
                    let backup = tx.get::<Backup>(&key)?.filter(|backup| backup.number == number);
                    if let Some(Backup { bytes, .. }) = backup {
                        tx.delete::<Backup>(&key)?;
                        let task = Task::Spaces { spaces: vec![number], bytes };
                        tx.emit(task.message(self.cloud.clock().millis()))?;
                    }
                    Ok::<_, Failure>(())
                });
                Ok(gone.await?)
            }
            Task::Fill { key, index } => self.fill(&Key::from_bytes(key.clone()), *index).await,
            Task::Expiries { key, number } => {
                self.note_expiries(&Key::from_bytes(key.clone()), *number).await
            }
            Task::Seed { key, region } => self.seed(&Key::from_bytes(key.clone()), region).await,
        }
    }

    /// Deletes all records of a range.
    pub(crate) async fn forget<R: Record>(&self, range: KeyRange) -> Result<(), Error> {
        loop {
            let rows = self.store.table::<R>().scan(range.clone(), false).take(BATCH);
            let keys: Vec<Key> =
                rows.map(|row| row.map(|(key, _)| key)).collect::<Result<_, _>>().map_err(stored)?;
            let all = keys.len() < BATCH;
            let gone = self.store.transact(|tx| {
                for key in &keys {
                    tx.delete::<R>(key)?;
                }
                Ok::<_, Failure>(())
            });
            gone.await?;
            if all {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
    }

    /// Forgets the records of streams that are older than a day, and the history beyond what a table can be restored to.
    pub(crate) async fn trim(&self) -> Result<(), Error> {
        let now = self.cloud.clock().millis();
        let streams = self.store.table::<StreamOf>().scan(KeyRange::all(), false);
        let streams: Vec<u64> =
            streams.map(|row| row.map(|(_, of)| of.number)).collect::<Result<_, _>>().map_err(stored)?;
        for stream in streams {
            self.trim_stream(stream, now - crate::streams::KEPT).await?;
        }
        let tables = self.store.table::<Table>().scan(KeyRange::all(), false);
        let tables: Vec<Table> =
            tables.map(|row| row.map(|(_, table)| table)).collect::<Result<_, _>>().map_err(stored)?;
        for table in tables {
            let Some(history) = &table.history else { continue };
            let oldest = now - i64::from(history.days) * crate::describe::DAY;
            let until = Key::new().number(table.number).number(oldest.max(0).unsigned_abs());
            self.forget::<Undo>(keys::space(table.number).until(&until)).await?;
        }
        Ok(())
    }

    async fn trim_stream(&self, stream: u64, oldest: i64) -> Result<(), Error> {
        let rows = self.store.table::<Shard>().scan(keys::space(stream), false);
        let shards: Vec<(Key, Shard)> = rows.collect::<Result<_, _>>().map_err(stored)?;
        for (at, (shard, of)) in shards.iter().enumerate() {
            if of.opened >= oldest {
                break;
            }
            let closed = shards.get(at + 1).is_some_and(|(_, next)| next.opened < oldest);
            loop {
                let rows = self.store.table::<Entry>().scan(shard.prefix_range(), false).take(BATCH);
                let mut gone = Vec::new();
                let mut whole = false;
                for row in rows {
                    let (key, entry) = row.map_err(stored)?;
                    whole = entry.at < oldest;
                    if !whole {
                        break;
                    }
                    gone.push(key);
                }
                let more = whole && gone.len() == BATCH;
                let trimmed = self.store.transact(|tx| {
                    for key in &gone {
                        tx.delete::<Entry>(key)?;
                    }
                    // A shard all of whose records are gone is gone as well, unless it still takes records.
                    if closed && !more {
                        tx.delete::<Shard>(shard)?;
                    }
                    Ok::<_, Failure>(())
                });
                if !gone.is_empty() || closed {
                    trimmed.await?;
                }
                if !more {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    /// Puts the items that were there before an index into it. Those that change meanwhile are put in by their change:
    /// every item is read again in the transaction that puts it in.
    async fn fill(&self, key: &Key, number: u64) -> Result<(), Error> {
        let load = || self.store.table::<Table>().get(key).map_err(stored);
        let Some(table) = load()? else { return Ok(()) };
        let Some(index) = table.globals.iter().find(|index| index.number == number).cloned() else {
            return Ok(());
        };
        let mut after: Option<Key> = None;
        loop {
            let mut range = keys::space(table.number);
            if let Some(after) = &after {
                range = range.after(after);
            }
            let rows = self.store.table::<Stored>().scan(range, false).take(FILL_BATCH);
            let found: Vec<Key> =
                rows.map(|row| row.map(|(key, _)| key)).collect::<Result<_, _>>().map_err(stored)?;
            let Some(last) = found.last().cloned() else { break };
            let filled = self.store.transact(|tx| {
                // An index that was deleted meanwhile, perhaps with its table, must not be given any more.
                let there = tx.get::<Table>(key)?.is_some_and(|table| has(&table, number));
                if !there {
                    return Ok(None);
                }
                let (mut items, mut bytes) = (0, 0);
                for key in &found {
                    let Some(item) = tx.get::<Stored>(key)? else { continue };
                    let Some(at) = keys::entry(&table, &index, &item.0) else { continue };
                    if tx.exists::<Stored>(&at)? {
                        continue;
                    }
                    let entry = Stored(projected(&table, &index, &item.0));
                    bytes += i64::try_from(crate::value::size::item(&entry.0)).unwrap_or(0);
                    items += 1;
                    tx.put(&at, &entry)?;
                }
                Ok::<_, Failure>(Some((items, bytes)))
            });
            let Some((items, bytes)) = filled.await? else { return Ok(()) };
            self.live.space(number).count(items, bytes);
            after = Some(last);
            tokio::task::yield_now().await;
        }
        let done = self.store.transact(|tx| {
            if let Some(mut table) = tx.get::<Table>(key)?
                && let Some(index) = table.globals.iter_mut().find(|index| index.number == number)
            {
                index.filling = false;
                tx.put(key, &table)?;
            }
            Ok::<_, Failure>(())
        });
        Ok(done.await?)
    }

    /// Notes when the items that were there before time to live expire.
    async fn note_expiries(&self, key: &Key, number: u64) -> Result<(), Error> {
        let table = self.store.table::<Table>().get(key).map_err(stored)?;
        let Some(table) = table.filter(|table| table.number == number) else { return Ok(()) };
        let mut after: Option<Key> = None;
        loop {
            let mut range = keys::space(table.number);
            if let Some(after) = &after {
                range = range.after(after);
            }
            let rows = self.store.table::<Stored>().scan(range, false).take(FILL_BATCH);
            let found: Vec<Key> =
                rows.map(|row| row.map(|(key, _)| key)).collect::<Result<_, _>>().map_err(stored)?;
            let Some(last) = found.last().cloned() else { return Ok(()) };
            let noted = self.store.transact(|tx| {
                for key in &found {
                    if let Some(item) = tx.get::<Stored>(key)?
                        && let Some(at) = expires(&table, &item.0)
                    {
                        tx.put(&expiry_key(at, &table, key), &Expiry::of(&table))?;
                    }
                }
                Ok::<_, Failure>(())
            });
            noted.await?;
            after = Some(last);
            tokio::task::yield_now().await;
        }
    }

    /// Takes the items whose time has come.
    pub(crate) async fn expire(&self) -> Result<(), Error> {
        let now = self.cloud.clock().seconds();
        let until = Key::new().number(now.unsigned_abs() + 1);
        let mut after: Option<Key> = None;
        loop {
            let mut range = KeyRange::all().until(&until);
            if let Some(after) = &after {
                range = range.after(after);
            }
            let rows = self.store.table::<Expiry>().scan(range, false).take(BATCH);
            let found: Vec<(Key, Expiry)> = rows.collect::<Result<_, _>>().map_err(stored)?;
            let Some((last, _)) = found.last() else { return Ok(()) };
            after = Some(last.clone());
            for (at, expiry) in &found {
                self.expire_one(at, expiry, now).await?;
            }
            tokio::task::yield_now().await;
        }
    }

    async fn expire_one(&self, at: &Key, expiry: &Expiry, now: i64) -> Result<(), Error> {
        let mut parts = at.parts();
        let (Some(when), Some(number)) = (parts.number(), parts.number()) else { return Ok(()) };
        let key = Key::from_bytes(parts.rest());
        let place = Place {
            account: expiry.account.clone(),
            region: expiry.region.clone(),
            name: expiry.table.clone(),
        };
        let space = self.live.space(number);
        let _together = space.gate.read().await;
        let _mine = self.live.lock(key.as_bytes()).await;
        let table = self.table_at(&place)?.filter(|table| table.number == number);
        let too_old = i64::try_from(when).is_ok_and(|when| now - when > TOO_OLD);
        let mut attempt = Attempt::new(&self.store, &self.live, self.cloud.clock().millis());
        let taken = self.store.transact(|tx| {
            attempt.begin();
            let item = match &table {
                Some(table) => tx.get::<Stored>(&key)?.map(|item| (table, item)),
                None => None,
            };
            match item {
                Some((table, item)) if !too_old && expires(table, &item.0) == Some(when) => {
                    if !crate::replicas::expires_here(tx, table, &key)? {
                        return Ok(());
                    }
                    let change =
                        Change { table, key: &key, old: Some(&item), new: None, cause: Cause::Expiry };
                    attempt.write(tx, change)?;
                }
                _ => tx.delete::<Expiry>(at)?,
            }
            Ok::<_, Failure>(())
        });
        taken.await?;
        attempt.committed();
        Ok(())
    }

    /// Writes down how much has been added to and taken from the spaces that changed.
    pub(crate) async fn write_volumes(&self) -> Result<(), Error> {
        for (number, space) in self.live.changed() {
            let (items, bytes) = space.take();
            let key = Key::new().number(number);
            let written = self.store.transact(|tx| {
                let mut volume = tx.get::<Volume>(&key)?.unwrap_or_default();
                volume.items += items;
                volume.bytes += bytes;
                Ok::<_, Failure>(tx.put(&key, &volume)?)
            });
            if let Err(Failure(error)) = written.await {
                space.count(items, bytes);
                return Err(error);
            }
        }
        Ok(())
    }
}

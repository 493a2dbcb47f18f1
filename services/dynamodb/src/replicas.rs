//! Global tables: the same table in several regions, every write of one brought to the others.
//!
//! A message says which item has changed, not how: whoever delivers it brings over what the item is by then. Of two
//! writes the later one wins, and of two in the same millisecond the one of the greater region, everywhere alike.
//! Source: Developer Guide, "Global tables: multi-active, multi-Region replication", version 2019.11.21.

use crate::DynamoDb;
use crate::change::{Attempt, Cause, Change};
use crate::errors::{Failure, Result, in_use, invalid, stored};
use crate::keys;
use crate::names::Place;
use crate::purge::Task;
use crate::state::{GlobalTable, Replica, Stored, Table, View, table_key};
use crate::value::Item;
use cloudlet_api_dynamodb as api;
use cloudlet_bus::{Handler, Message, MessageId, Outcome};
use cloudlet_service::{BoxFuture, Context, Error};
use cloudlet_store::{Key, Record, Tx};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// The queue of what is to be brought over.
pub(crate) const QUEUE: &str = "dynamodb.replicas";

/// When and where an item of a global table was last written. Key: the table's number, the item's key.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Stamp {
    at: i64,
    region: String,
}

impl Record for Stamp {
    const TABLE: &'static str = "dynamodb.stamps";
}

/// What is to be brought over.
#[derive(Serialize, Deserialize, Clone, Debug)]
struct News {
    account: String,
    from: String,
    to: String,
    table: String,
    key: Item,
}

fn stamp_key(table: &Table, key: &Key) -> Key {
    Key::new().number(table.number).raw_tail(key.as_bytes())
}

/// Notes a change of an item for the other regions. `item` is the item as it is or was: its key is what counts.
pub(crate) fn note(
    tx: &mut Tx<'_>,
    table: &Table,
    key: &Key,
    item: Option<&Stored>,
    cause: Cause,
    now: i64,
) -> Result<(), Failure> {
    let Some(item) = item.filter(|_| cause != Cause::Replica) else { return Ok(()) };
    let at = stamp_key(table, key);
    // A clock that stands still does not lose the order of two writes in one region.
    let last = tx.get::<Stamp>(&at)?.map_or(0, |stamp| stamp.at);
    tx.put(&at, &Stamp { at: now.max(last + 1), region: table.region.clone() })?;
    for replica in &table.replicas {
        tx.emit(news(table, &replica.region, keys::of(&table.keys, &item.0), now))?;
    }
    Ok(())
}

fn news(table: &Table, region: &str, key: Item, now: i64) -> Message {
    let news = News {
        account: table.account.clone(),
        from: table.region.clone(),
        to: region.to_owned(),
        table: table.name.clone(),
        key,
    };
    Message {
        queue: QUEUE.to_owned(),
        group: format!("{region}/{}", table.name),
        payload: rmp_serde::to_vec_named(&news).unwrap_or_default(),
        not_before: now.unsigned_abs(),
        ..Message::default()
    }
}

/// Takes a table out of its group, because it is deleted.
pub(crate) fn leave(tx: &mut Tx<'_>, table: &Table) -> Result<(), Failure> {
    for replica in &table.replicas {
        let key = table_key(&table.account, &replica.region, &table.name);
        if let Some(mut other) = tx.get::<Table>(&key)? {
            other.replicas.retain(|replica| replica.region != table.region);
            tx.put(&key, &other)?;
        }
    }
    if table.legacy {
        let key = Key::new().text(&table.account).text(&table.name);
        if let Some(mut global) = tx.get::<GlobalTable>(&key)? {
            global.regions.retain(|region| *region != table.region);
            match global.regions.is_empty() {
                true => tx.delete::<GlobalTable>(&key)?,
                false => tx.put(&key, &global)?,
            }
        }
    }
    Ok(())
}

/// Adds and removes regions.
pub(crate) fn change(
    cx: &Context,
    tx: &mut Tx<'_>,
    table: &mut Table,
    updates: &[api::ReplicationGroupUpdate],
) -> Result<(), Failure> {
    if table.legacy {
        return Err(invalid(format!(
            "This operation cannot be performed on global table '{}' of version 2017.11.29. Use UpdateGlobalTable instead.",
            table.name
        ))
        .into());
    }
    for update in updates {
        if update.disassociate.is_some() {
            return Err(
                Error::not_implemented_part("dynamodb:UpdateTable ReplicaUpdates Disassociate").into()
            );
        }
        if let Some(create) = &update.create {
            add(cx, tx, table, create)?;
        }
        if let Some(update) = &update.update {
            let replica = table.replicas.iter_mut().find(|replica| replica.region == update.region_name);
            let replica = replica.ok_or_else(|| no_replica(&table.name, &update.region_name))?;
            replica.class = update.table_class_override.clone().or(replica.class.take());
            replica.key = update.kms_master_key_id.clone().or(replica.key.take());
        }
        if let Some(delete) = &update.delete {
            remove(cx, tx, table, &delete.region_name)?;
        }
    }
    Ok(())
}

fn no_replica(table: &str, region: &str) -> Error {
    invalid(format!(
        "Update global table operation failed because one or more replicas were not part of the global table: {table} in {region}"
    ))
}

fn add(
    cx: &Context,
    tx: &mut Tx<'_>,
    table: &mut Table,
    create: &api::CreateReplicationGroupMemberAction,
) -> Result<(), Failure> {
    let region = &create.region_name;
    if *region == table.region || table.replicas.iter().any(|replica| replica.region == *region) {
        return Err(invalid(format!(
            "Failed to create a the new replica of table with name: '{}' because one or more replicas already existed as \
             tables.",
            table.name
        ))
        .into());
    }
    let key = table_key(&table.account, region, &table.name);
    if tx.exists::<Table>(&key)? {
        return Err(in_use(format!("Table already exists: {}", table.name)).into());
    }
    if table.live_stream().is_none() {
        crate::operations::tables::open_stream(tx, table, View::Both, cx.millis())?;
    }
    let mut twin = table.clone();
    twin.region.clone_from(region);
    twin.id = cx.random().uuid();
    twin.created = cx.millis();
    twin.replicas.push(Replica { region: table.region.clone(), class: None, key: None });
    twin.stream = None;
    twin.policy = None;
    twin.stream_policy = None;
    twin.history = None;
    twin.number = tx.sequence(crate::SEQUENCE)?;
    for index in twin.locals.iter_mut().chain(&mut twin.globals) {
        index.number = tx.sequence(crate::SEQUENCE)?;
        index.filling = false;
    }
    crate::operations::tables::open_stream(tx, &mut twin, View::Both, cx.millis())?;
    tx.put(&key, &twin)?;
    let replica = Replica {
        region: region.clone(),
        class: create.table_class_override.clone(),
        key: create.kms_master_key_id.clone(),
    };
    for other in &table.replicas {
        let key = table_key(&table.account, &other.region, &table.name);
        if let Some(mut other) = tx.get::<Table>(&key)? {
            other.replicas.push(replica.clone());
            tx.put(&key, &other)?;
        }
    }
    table.replicas.push(replica);
    let task = Task::Seed { key: table.key().as_bytes().to_vec(), region: region.clone() };
    tx.emit(task.message(cx.millis()))?;
    Ok(())
}

fn remove(cx: &Context, tx: &mut Tx<'_>, table: &mut Table, region: &str) -> Result<(), Failure> {
    if !table.replicas.iter().any(|replica| replica.region == region) {
        return Err(no_replica(&table.name, region).into());
    }
    let key = table_key(&table.account, region, &table.name);
    if let Some(mut twin) = tx.get::<Table>(&key)? {
        crate::operations::tables::close_stream(tx, &mut twin, cx.millis())?;
        let mut spaces = vec![twin.number];
        spaces.extend(twin.locals.iter().chain(&twin.globals).map(|index| index.number));
        tx.emit(Task::Spaces { spaces, bytes: 0 }.message(cx.millis()))?;
        tx.delete::<Table>(&key)?;
    }
    table.replicas.retain(|replica| replica.region != region);
    for other in &table.replicas {
        let key = table_key(&table.account, &other.region, &table.name);
        if let Some(mut other) = tx.get::<Table>(&key)? {
            other.replicas.retain(|replica| replica.region != region);
            tx.put(&key, &other)?;
        }
    }
    Ok(())
}

/// Brings items over.
pub(crate) struct Replicator(pub Arc<DynamoDb>);

impl Handler for Replicator {
    fn deliver<'a>(&'a self, _: &'a MessageId, message: &'a Message) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let news = match rmp_serde::from_slice::<News>(&message.payload) {
                Ok(news) => news,
                Err(error) => return Outcome::Dead { why: error.to_string() },
            };
            match self.0.bring(&news).await {
                Ok(()) => Outcome::Done,
                Err(error) => Outcome::Retry { after: Some(Duration::from_secs(1)), why: error.to_string() },
            }
        })
    }
}

impl DynamoDb {
    async fn bring(&self, news: &News) -> Result<()> {
        let place = |region: &str| Place {
            account: news.account.clone(),
            region: region.to_owned(),
            name: news.table.clone(),
        };
        let Some(from) = self.table_at(&place(&news.from))? else { return Ok(()) };
        let Some(to) = self.table_at(&place(&news.to))? else { return Ok(()) };
        let space = self.live.space(to.number);
        let _together = space.gate.read().await;
        let Some(to) = self.table_at(&place(&news.to))? else { return Ok(()) };
        let (Some(source), Some(target)) = (keys::primary(&from, &news.key), keys::primary(&to, &news.key))
        else {
            return Ok(());
        };
        let _mine = self.live.lock(target.as_bytes()).await;
        let mut attempt = Attempt::new(&self.store, &self.live, self.cloud.clock().millis());
        let brought = self.store.transact(|tx| {
            attempt.begin();
            let theirs = tx.get::<Stamp>(&stamp_key(&from, &source))?.unwrap_or_default();
            let at = stamp_key(&to, &target);
            let ours = tx.get::<Stamp>(&at)?.unwrap_or_default();
            if ours > theirs {
                return Ok(());
            }
            let new = tx.get::<Stored>(&source)?;
            let old = tx.get::<Stored>(&target)?;
            tx.put(&at, &theirs)?;
            let change = Change {
                table: &to,
                key: &target,
                old: old.as_ref(),
                new: new.as_ref(),
                cause: Cause::Replica,
            };
            attempt.write(tx, change)?;
            Ok::<_, Failure>(())
        });
        brought.await?;
        attempt.committed();
        Ok(())
    }

    /// Brings what was in a table before its new replica.
    pub(crate) async fn seed(&self, key: &Key, region: &str) -> Result<()> {
        let Some(table) = self.store.table::<Table>().get(key).map_err(stored)? else { return Ok(()) };
        for row in self.store.table::<Stored>().scan(keys::space(table.number), false) {
            let (_, item) = row.map_err(stored)?;
            let news = News {
                account: table.account.clone(),
                from: table.region.clone(),
                to: region.to_owned(),
                table: table.name.clone(),
                key: keys::of(&table.keys, &item.0),
            };
            self.bring(&news).await?;
        }
        Ok(())
    }
}

//! Replication: every write of one member of a global table brought to the others. Who the members are: `group`.
//!
//! A message says which item has changed, not how: whoever delivers it brings over what the item is by then. Of two
//! writes the later one wins, and of two in the same millisecond the one of the greater region, everywhere alike.
//! Source: Developer Guide, "Global tables: multi-active, multi-Region replication", version 2019.11.21.

use crate::DynamoDb;
use crate::change::{Attempt, Cause, Change};
use crate::errors::{Failure, Result, stored};
use crate::keys;
use crate::names::Place;
use crate::state::{Stored, Table};
use crate::value::Item;
use cloudlet_bus::{Handler, Message, MessageId, Outcome};
use cloudlet_service::BoxFuture;
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

/// Whether it is this member that time to live takes an item from: the one that wrote it last, from which the others
/// learn that it is gone. AWS: only there the deletion is marked as that of time to live.
pub(crate) fn expires_here(tx: &mut Tx<'_>, table: &Table, key: &Key) -> Result<bool, Failure> {
    if table.replicas.is_empty() || table.legacy {
        return Ok(true);
    }
    let mut members: Vec<&str> = table.replicas.iter().map(|other| other.region.as_str()).collect();
    members.push(&table.region);
    let wrote = tx.get::<Stamp>(&stamp_key(table, key))?.map(|stamp| stamp.region).unwrap_or_default();
    let takes = members.iter().find(|region| **region == wrote).or_else(|| members.iter().min());
    Ok(takes.is_none_or(|region| **region == table.region))
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

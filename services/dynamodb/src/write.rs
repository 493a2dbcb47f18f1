//! One write of one item: what is asked, what it is asked under, and how it is done inside a transaction. Single calls,
//! batches, transactions and statements all write in this way.

use crate::DynamoDb;
use crate::change::{Attempt, Cause, Change, Cost};
use crate::errors::{Failure, Result, condition_failed, invalid, no_resource, stored};
use crate::expression::{Condition, Update};
use crate::keys;
use crate::names::{self, Place};
use crate::state::{Stored, Table};
use crate::value::{Item, size};
use cloudlet_api_dynamodb as api;
use cloudlet_service::{Context, Error};
use cloudlet_store::{Key, StoreError, Tx};
use std::sync::Arc;
use tokio::sync::OwnedRwLockReadGuard;

/// What is to happen to an item.
pub(crate) enum Action {
    Put(Stored),
    Delete,
    Update {
        update: Update,
        /// Whether it only takes attributes away in the way that came before expressions: an item that is not there is
        /// not made then.
        makes_nothing: bool,
    },
    /// Nothing: a condition is all.
    Check,
}

/// A write whose key is known.
pub(crate) struct Write {
    pub table: Arc<Table>,
    pub key: Key,
    /// The key's attributes.
    pub key_item: Item,
    pub action: Action,
    pub condition: Option<Condition>,
    /// Whether a caller whose condition fails sees the item.
    pub shows_item: bool,
}

/// An item before and after, and what the write costs.
pub(crate) struct Done {
    pub old: Option<Item>,
    /// Of an update; what was put is known to whoever put it.
    pub new: Option<Item>,
    /// How large the item is, or was.
    pub bytes: usize,
    pub cost: Cost,
}

/// Why a write was not done.
pub(crate) enum Refused {
    /// The condition does not hold; with the item, where the caller wants it.
    Condition(Option<Item>),
    Other(Error),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Other(stored(error))
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Other(failure.0)
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Condition(item) => condition_failed(item),
            Refused::Other(error) => error,
        }
    }
}

/// A table that stays what it is while it is held.
pub(crate) struct Held {
    pub table: Arc<Table>,
    _gate: OwnedRwLockReadGuard<()>,
}

/// Errors: an item larger than AWS takes.
pub(crate) fn check_size(item: &Item) -> Result<()> {
    if size::item(item) > size::MAX_ITEM {
        return Err(invalid("Item size has exceeded the maximum allowed size"));
    }
    Ok(())
}

impl Write {
    /// A write to a table, whose key and index keys are checked.
    pub(crate) fn new(
        table: Arc<Table>,
        key: Option<Item>,
        action: Action,
        condition: Option<Condition>,
        shows_item: bool,
    ) -> Result<Self> {
        let (at, key_item) = match (&action, key) {
            (Action::Put(item), _) => (keys::of_item(&table, &item.0)?, keys::of(&table.keys, &item.0)),
            (_, Some(key)) => (keys::given(&table, &key)?, key),
            (_, None) => return Err(Error::internal("a write without a key")),
        };
        if let Action::Update { update, .. } = &action {
            update.check_keys(table.keys.names())?;
            keys::check_update(&table, update)?;
            keys::check_paths(&table, update.targets())?;
        }
        if let Some(condition) = &condition {
            keys::check_paths(&table, condition.paths())?;
        }
        Ok(Self { table, key: at, key_item, action, condition, shows_item })
    }

    /// Does it.
    pub(crate) fn perform(&self, tx: &mut Tx<'_>, attempt: &mut Attempt<'_>) -> Result<Done, Refused> {
        let old = tx.get::<Stored>(&self.key)?;
        if let Some(condition) = &self.condition {
            let holds = match &old {
                Some(old) => condition.matches(&old.0),
                None => condition.matches(&Item::new()),
            };
            if !holds {
                return Err(Refused::Condition(old.map(|old| old.0).filter(|_| self.shows_item)));
            }
        }
        let made = match &self.action {
            Action::Put(_) | Action::Delete => None,
            Action::Update { makes_nothing: true, .. } if old.is_none() => None,
            Action::Update { update, .. } => Some(Stored(self.updated(update, old.as_ref())?)),
            Action::Check => {
                let bytes = old.as_ref().map_or(0, |old| size::item(&old.0));
                let cost = Cost { table: size::write_units(bytes, false), ..Cost::default() };
                return Ok(Done { old: None, new: None, bytes, cost });
            }
        };
        let new = match &self.action {
            Action::Put(item) => Some(item),
            _ => made.as_ref(),
        };
        let bytes = new.or(old.as_ref()).map_or(0, |item| size::item(&item.0));
        let change =
            Change { table: &self.table, key: &self.key, old: old.as_ref(), new, cause: Cause::Call };
        let cost = attempt.write(tx, change)?;
        Ok(Done { old: old.map(|old| old.0), new: made.map(|new| new.0), bytes, cost })
    }

    fn updated(&self, update: &Update, old: Option<&Stored>) -> Result<Item> {
        let mut item = old.map_or_else(|| self.key_item.clone(), |old| old.0.clone());
        update.apply(&mut item)?;
        let targets = update.targets();
        keys::check_updated(&self.table, &item, |name| targets.iter().any(|path| path.root() == name))?;
        if size::item(&item) > size::MAX_ITEM {
            return Err(invalid("Item size to update has exceeded the maximum allowed size"));
        }
        Ok(item)
    }
}

impl DynamoDb {
    /// The table that a write means, which stays what it is while it is held.
    ///
    /// Errors: `ResourceNotFoundException`.
    pub(crate) async fn hold(&self, cx: &Context, name: &str) -> Result<Held> {
        self.hold_at(&names::locate(cx, name)?).await
    }

    /// Holds each of the tables once, in an order in which no two callers wait for each other behind somebody who
    /// changes a table. Gives them, and which of them each name means.
    pub(crate) async fn hold_all<'n>(
        &self,
        cx: &Context,
        names: impl Iterator<Item = &'n str>,
    ) -> Result<(Vec<Held>, Vec<usize>)> {
        let places = names.map(|name| names::locate(cx, name)).collect::<Result<Vec<_>>>()?;
        let mut each = places.clone();
        each.sort();
        each.dedup();
        let mut held = Vec::with_capacity(each.len());
        for place in &each {
            held.push(self.hold_at(place).await?);
        }
        let which = places.iter().map(|place| each.binary_search(place).unwrap_or(0)).collect();
        Ok((held, which))
    }

    async fn hold_at(&self, place: &Place) -> Result<Held> {
        loop {
            let number = self.table_at(place)?.ok_or_else(no_resource)?.number;
            let gate = self.live.space(number).gate.clone().read_owned().await;
            // Between the look and the gate it may have become another.
            let table = self.table_at(place)?.ok_or_else(no_resource)?;
            if table.number == number {
                return Ok(Held { table, _gate: gate });
            }
        }
    }

    /// Does one write by itself.
    pub(crate) async fn write_one(&self, cx: &Context, write: &Write) -> Result<Done> {
        let _mine = self.live.lock(write.key.as_bytes()).await;
        let mut attempt = Attempt::new(&self.store, &self.live, cx.millis());
        let done = self
            .store
            .transact(|tx| {
                attempt.begin();
                let done = write.perform(tx, &mut attempt)?;
                self.admit_cost(&write.table, &done.cost)?;
                Ok::<_, Refused>(done)
            })
            .await;
        if let Err(Refused::Condition(_)) = &done {
            // A write that was looked into is paid for, whether or not its condition held.
            self.spend_write(&write.table, &Cost { table: 1.0, ..Cost::default() });
        }
        let done = done?;
        attempt.committed();
        self.spend_write(&write.table, &done.cost);
        Ok(done)
    }

    /// `ItemCollectionMetrics` of an item, for a table that has item collections with a limit.
    pub(crate) fn collection(&self, table: &Table, key: &Item) -> Result<Option<api::ItemCollectionMetrics>> {
        if table.locals.is_empty() {
            return Ok(None);
        }
        let mut bytes = self.volume(table.number)?.1;
        for index in &table.locals {
            bytes += self.volume(index.number)?.1;
        }
        // What the whole table holds bounds what one collection holds.
        let most = (bytes as f64 / (1u64 << 30) as f64).ceil().max(1.0);
        let hash = table.hash();
        let key = key.get(hash).map(|value| (hash.to_owned(), crate::convert::value_out(value.clone())));
        Ok(Some(api::ItemCollectionMetrics {
            item_collection_key: Some(key.into_iter().collect()),
            size_estimate_range_gb: Some(vec![0.0, most]),
            ..Default::default()
        }))
    }
}

//! What happens when an item changes: its record, its entries in indexes, its stream's record, its expiry and its
//! history, all in the caller's transaction; and what it costs.
//! Source: Developer Guide, "Read and write capacity units", "Global secondary indexes", "Change data capture for
//! DynamoDB Streams".

use crate::errors::Failure;
use crate::keys;
use crate::live::{Live, Space};
use crate::state::{Entry, Expiry, Index, Projection, Shard, Stored, Stream, Table, Undo};
use crate::streams;
use crate::value::{Item, Value, size};
use cloudlet_store::{Key, Store, Tx};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Who changes an item.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A caller.
    Call,
    /// Time to live.
    Expiry,
    /// Another region of a global table.
    Replica,
}

/// One item before and after.
pub(crate) struct Change<'a> {
    pub table: &'a Table,
    pub key: &'a Key,
    pub old: Option<&'a Stored>,
    pub new: Option<&'a Stored>,
    pub cause: Cause,
}

/// Write units by table and index.
#[derive(Default, Clone, Debug)]
pub(crate) struct Cost {
    pub table: f64,
    pub locals: BTreeMap<String, f64>,
    pub globals: BTreeMap<String, f64>,
}

/// What a transaction of changes leaves to do when it has ended, however it ends.
pub(crate) struct Attempt<'a> {
    store: &'a Store,
    live: &'a Live,
    now: i64,
    counts: Vec<(u64, i64, i64)>,
    numbers: Vec<(Arc<Space>, u64)>,
    shards: Vec<(Arc<Space>, u64, i64)>,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        for (space, number) in &self.numbers {
            space.flow.lock().end(&[*number]);
        }
    }
}

fn bytes(item: Option<&Stored>) -> i64 {
    item.map_or(0, |item| i64::try_from(size::item(&item.0)).unwrap_or(i64::MAX))
}

/// What of an item an index holds.
pub(crate) fn projected(table: &Table, index: &Index, item: &Item) -> Item {
    let include: &[String] = match &index.projection {
        Projection::All => return item.clone(),
        Projection::KeysOnly => &[],
        Projection::Include(names) => names,
    };
    let names = table.keys.names().chain(index.keys.names()).chain(include.iter().map(String::as_str));
    names.filter_map(|name| Some((name.to_owned(), item.get(name)?.clone()))).collect()
}

/// When an item expires, in seconds since 1970.
pub(crate) fn expires(table: &Table, item: &Item) -> Option<u64> {
    let ttl = table.ttl.as_ref().filter(|ttl| ttl.enabled)?;
    match item.get(&ttl.attribute)? {
        Value::N(number) => {
            // A fraction of a second is not looked at.
            let text = number.to_string();
            text.split('.').next()?.parse().ok()
        }
        _ => None,
    }
}

pub(crate) fn expiry_key(at: u64, table: &Table, key: &Key) -> Key {
    Key::new().number(at).number(table.number).raw_tail(key.as_bytes())
}

impl<'a> Attempt<'a> {
    pub(crate) fn new(store: &'a Store, live: &'a Live, now: i64) -> Self {
        Self { store, live, now, counts: Vec::new(), numbers: Vec::new(), shards: Vec::new() }
    }

    /// At the beginning of every run of the transaction.
    pub(crate) fn begin(&mut self) {
        self.counts.clear();
        self.shards.clear();
    }

    /// After the transaction has been committed.
    pub(crate) fn committed(&mut self) {
        for (space, items, bytes) in self.counts.drain(..) {
            self.live.space(space).count(items, bytes);
        }
        for (space, shard, opened) in self.shards.drain(..) {
            space.flow.lock().shard = Some((shard, opened));
        }
    }

    /// Writes one change with all that follows from it.
    pub(crate) fn write(&mut self, tx: &mut Tx<'_>, change: Change<'_>) -> Result<Cost, Failure> {
        let Change { table, key, old, new, cause } = change;
        let (before, after) = (bytes(old), bytes(new));
        let units = |bytes: i64| size::write_units(usize::try_from(bytes).unwrap_or(0), false);
        let mut cost = Cost { table: units(before.max(after)), ..Cost::default() };
        let changed = old.map(|old| &old.0) != new.map(|new| &new.0);
        if !changed {
            return Ok(cost);
        }
        match new {
            Some(new) => tx.put(key, new)?,
            None => tx.delete::<Stored>(key)?,
        }
        let items = i64::from(new.is_some()) - i64::from(old.is_some());
        self.counts.push((table.number, items, after - before));
        for (index, costs) in table
            .locals
            .iter()
            .map(|index| (index, false))
            .chain(table.globals.iter().map(|index| (index, true)))
        {
            let units = self.index(tx, table, index, old, new)?;
            if units > 0.0 {
                let costs = if costs { &mut cost.globals } else { &mut cost.locals };
                costs.insert(index.name.clone(), units);
            }
        }
        self.expiry(tx, table, key, old, new)?;
        if table.history.is_some() {
            let number = tx.sequence(streams::SEQUENCE)?;
            let at = Key::new().number(table.number).number(self.now.unsigned_abs()).number(number);
            let undo = Undo { key: key.as_bytes().to_vec(), old: old.map(|old| old.0.clone()) };
            tx.put(&at, &undo)?;
        }
        if table.strong && cause != Cause::Replica {
            self.everywhere(tx, table, old, new)?;
        } else if !table.replicas.is_empty() {
            crate::replicas::note(tx, table, key, new.or(old), cause, self.now)?;
        }
        if let Some(stream) = table.live_stream() {
            self.record(tx, table, stream, old, new, cause)?;
        }
        Ok(cost)
    }

    /// Writes the same into the other members of a group that is consistent at all times.
    fn everywhere(
        &mut self,
        tx: &mut Tx<'_>,
        table: &Table,
        old: Option<&Stored>,
        new: Option<&Stored>,
    ) -> Result<(), Failure> {
        let Some(either) = new.or(old) else { return Ok(()) };
        for replica in &table.replicas {
            let at = crate::state::table_key(&table.account, &replica.region, &table.name);
            let Some(other) = tx.get::<Table>(&at)? else { continue };
            let Some(key) = keys::primary(&other, &either.0) else { continue };
            self.write(tx, Change { table: &other, key: &key, old, new, cause: Cause::Replica })?;
        }
        Ok(())
    }

    /// Keeps an index up to date. Gives the write units that it takes.
    fn index(
        &mut self,
        tx: &mut Tx<'_>,
        table: &Table,
        index: &Index,
        old: Option<&Stored>,
        new: Option<&Stored>,
    ) -> Result<f64, Failure> {
        let entry = |item: Option<&Stored>| {
            item.and_then(|item| {
                Some((keys::entry(table, index, &item.0)?, Stored(projected(table, index, &item.0))))
            })
        };
        let (old, new) = (entry(old), entry(new));
        let sized = |entry: &Option<(Key, Stored)>| bytes(entry.as_ref().map(|(_, item)| item));
        let (before, after) = (sized(&old), sized(&new));
        let units = |bytes: i64| size::write_units(usize::try_from(bytes).unwrap_or(0), false);
        let (cost, items) = match (&old, &new) {
            (None, None) => return Ok(0.0),
            (Some((from, was)), Some((to, is))) if from == to => {
                if was.0 == is.0 {
                    return Ok(0.0);
                }
                tx.put(to, is)?;
                (units(before.max(after)), 0)
            }
            (old, new) => {
                let mut cost = 0.0;
                if let Some((from, _)) = old {
                    tx.delete::<Stored>(from)?;
                    cost += units(before);
                }
                if let Some((to, is)) = new {
                    tx.put(to, is)?;
                    cost += units(after);
                }
                (cost, i64::from(new.is_some()) - i64::from(old.is_some()))
            }
        };
        self.counts.push((index.number, items, after - before));
        Ok(cost)
    }

    fn expiry(
        &self,
        tx: &mut Tx<'_>,
        table: &Table,
        key: &Key,
        old: Option<&Stored>,
        new: Option<&Stored>,
    ) -> Result<(), Failure> {
        let at = |item: Option<&Stored>| item.and_then(|item| expires(table, &item.0));
        let (before, after) = (at(old), at(new));
        if before == after {
            return Ok(());
        }
        if let Some(at) = before {
            tx.delete::<Expiry>(&expiry_key(at, table, key))?;
        }
        if let Some(at) = after {
            tx.put(&expiry_key(at, table, key), &Expiry::of(table))?;
        }
        Ok(())
    }

    /// Writes the stream's record.
    fn record(
        &mut self,
        tx: &mut Tx<'_>,
        table: &Table,
        stream: &Stream,
        old: Option<&Stored>,
        new: Option<&Stored>,
        cause: Cause,
    ) -> Result<(), Failure> {
        let event = match (old, new) {
            (None, _) => 'I',
            (Some(_), Some(_)) => 'M',
            (Some(_), None) => 'R',
        };
        let Some(either) = new.or(old) else { return Ok(()) };
        let keys = keys::of(&table.keys, &either.0);
        let space = self.live.space(stream.number);
        let (number, shard, opened) = {
            let mut flow = space.flow.lock();
            let number = tx.sequence(streams::SEQUENCE)?;
            flow.begin(number);
            self.numbers.push((space.clone(), number));
            let known = match flow.shard {
                Some(known) => known,
                None => streams::last_shard(self.store, stream.number)?.unwrap_or((0, self.now)),
            };
            let due = self.now - known.1 >= streams::SHARD_AGE;
            let (shard, opened) = if due { (known.0 + 1, self.now) } else { known };
            (number, shard, (due || flow.shard.is_none()).then_some((due, opened)))
        };
        if let Some((new, opened)) = opened {
            if new {
                let first = Shard { first: number, opened };
                tx.put(&Key::new().number(stream.number).number(shard), &first)?;
            }
            self.shards.push((space, shard, opened));
        }
        let mut bytes = size::item(&keys);
        let new = new.filter(|_| stream.view.new_image()).map(|item| item.0.clone());
        let old = old.filter(|_| stream.view.old_image()).map(|item| item.0.clone());
        for image in [&new, &old].into_iter().flatten() {
            bytes += size::item(image);
        }
        let entry = Entry {
            at: self.now,
            keys,
            old,
            new,
            event,
            size: i64::try_from(bytes).unwrap_or(i64::MAX),
            expired: cause == Cause::Expiry,
        };
        let at = Key::new().number(stream.number).number(shard).number(number);
        tx.put(&at, &entry)?;
        Ok(())
    }
}

impl Expiry {
    pub(crate) fn of(table: &Table) -> Self {
        Self { account: table.account.clone(), region: table.region.clone(), table: table.name.clone() }
    }
}

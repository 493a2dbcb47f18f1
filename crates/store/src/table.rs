//! Typed reading: of the latest state through a [`Table`], of one instant through a [`Snapshot`].

use crate::{
    Key, KeyRange, Record, StoreError,
    engine::{Rows, Space, View},
    key::{lookup_key, table_prefix},
    record::decode,
    store::Handle,
};
use std::{marker::PhantomData, sync::Arc};

/// The records of one kind. Cheap to make and to clone.
pub struct Table<R> {
    inner: Arc<Handle>,
    record: PhantomData<fn() -> R>,
}

impl<R> Clone for Table<R> {
    fn clone(&self) -> Table<R> {
        Table { inner: Arc::clone(&self.inner), record: PhantomData }
    }
}

impl<R: Record> Table<R> {
    pub(crate) fn new(inner: Arc<Handle>) -> Table<R> {
        Table { inner, record: PhantomData }
    }

    /// The record, as it was last committed.
    pub fn get(&self, key: &Key) -> Result<Option<R>, StoreError> {
        let Some(full) = lookup_key(R::TABLE, key) else { return Ok(None) };
        let value = self.inner.engine()?.get(Space::Records, &full)?;
        value.map(|bytes| decode(&bytes)).transpose()
    }

    /// The record out of memory when it was read this way before and has not changed since. For what every request
    /// needs: a bucket's settings, a function's configuration, a key's owner.
    pub fn get_arc(&self, key: &Key) -> Result<Option<Arc<R>>, StoreError> {
        let Some(full) = lookup_key(R::TABLE, key) else { return Ok(None) };
        let cache = &self.inner.cache;
        if let Some(record) = cache.get(&full) {
            return Ok(Some(record));
        }
        let begun = cache.begin(&full);
        let Some(bytes) = self.inner.engine()?.get(Space::Records, &full)? else { return Ok(None) };
        let record = Arc::new(decode::<R>(&bytes)?);
        cache.put(&full, Arc::clone(&record), bytes.len(), begun);
        Ok(Some(record))
    }

    /// Whether there is such a record.
    pub fn exists(&self, key: &Key) -> Result<bool, StoreError> {
        let Some(full) = lookup_key(R::TABLE, key) else { return Ok(false) };
        Ok(self.inner.engine()?.get(Space::Records, &full)?.is_some())
    }

    /// The records of a range in the order of their keys, or against it, as of now. Each is read when it is asked for,
    /// and no lock is held in between.
    pub fn scan(&self, range: KeyRange, reverse: bool) -> Scan<R> {
        match self.inner.engine() {
            Ok(engine) => Scan::new(|full| engine.range(Space::Records, full, reverse), &range),
            Err(error) => Scan::failed(error),
        }
    }

    /// Gives the space of a range back whose records nobody will ask for again, as far as whole files can be taken away.
    /// What of them is left must be deleted afterwards; deleting it all alone would need as much space again until it is
    /// compacted, which for a range that nobody writes to any more can be never. Blocks for as long as that takes.
    pub fn drop_files(&self, range: &KeyRange) -> Result<(), StoreError> {
        self.inner.engine()?.drop_files(Space::Records, &range.below(&table_prefix(R::TABLE)))
    }

    /// Gives back what this many bytes of deleted records still take, unless the rest is so much more that writing it
    /// anew costs more than it gains. Blocks for as long as that takes.
    pub fn compact(&self, deleted: u64) -> Result<(), StoreError> {
        self.inner.engine()?.compact(Space::Records, deleted)
    }
}

/// One instant of all tables.
pub struct Snapshot {
    view: Result<Box<dyn View>, StoreError>,
}

impl Snapshot {
    pub(crate) fn new(view: Result<Box<dyn View>, StoreError>) -> Snapshot {
        Snapshot { view }
    }

    fn view(&self) -> Result<&dyn View, StoreError> {
        self.view.as_deref().map_err(Clone::clone)
    }

    /// The record at that instant.
    pub fn get<R: Record>(&self, key: &Key) -> Result<Option<R>, StoreError> {
        let Some(full) = lookup_key(R::TABLE, key) else { return Ok(None) };
        let value = self.view()?.get(Space::Records, &full)?;
        value.map(|bytes| decode(&bytes)).transpose()
    }

    /// Whether there was such a record.
    pub fn exists<R: Record>(&self, key: &Key) -> Result<bool, StoreError> {
        let Some(full) = lookup_key(R::TABLE, key) else { return Ok(false) };
        Ok(self.view()?.get(Space::Records, &full)?.is_some())
    }

    /// The records of a range at that instant.
    pub fn scan<R: Record>(&self, range: KeyRange, reverse: bool) -> Scan<R> {
        match self.view() {
            Ok(view) => Scan::new(|full| view.range(Space::Records, full, reverse), &range),
            Err(error) => Scan::failed(error),
        }
    }
}

/// Records as they come out of a range.
pub struct Scan<R> {
    rows: Rows,
    prefix: usize,
    record: PhantomData<fn() -> R>,
}

impl<R: Record> Scan<R> {
    pub(crate) fn new(rows: impl FnOnce(&KeyRange) -> Rows, range: &KeyRange) -> Scan<R> {
        let prefix = table_prefix(R::TABLE);
        Scan { rows: rows(&range.below(&prefix)), prefix: prefix.len(), record: PhantomData }
    }

    pub(crate) fn failed(error: StoreError) -> Scan<R> {
        Scan { rows: Box::new(std::iter::once(Err(error))), prefix: 0, record: PhantomData }
    }
}

impl<R: Record> Iterator for Scan<R> {
    type Item = Result<(Key, R), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.rows.next()?;
        Some(row.and_then(|(key, value)| Ok((Key::from_bytes(&key[self.prefix..]), decode(&value)?))))
    }
}

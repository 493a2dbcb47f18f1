//! What queries and scans have in common: what is read, how much of each item, where a page ends and the next begins.
//! Source: API Reference, `Query` and `Scan`; Developer Guide, "Paginating table query results", "Local secondary
//! indexes" (fetches from the table).

use crate::DynamoDb;
use crate::capacity;
use crate::change::Cost;
use crate::convert::{item_in, item_out};
use crate::errors::{Result, invalid, parameters, stored};
use crate::expression::{Filter, Projection as Wanted};
use crate::keys;
use crate::state::{Index, Keys, Projection, Stored, Table};
use crate::value::{Item, size};
use cloudlet_api_dynamodb as api;
use cloudlet_store::{Key, KeyRange};
use std::collections::BTreeMap;

/// AWS: the most bytes of items that one page reads.
const PAGE_BYTES: usize = 1024 * 1024;

/// A table or an index of it.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub table: &'a Table,
    pub index: Option<&'a Index>,
    pub global: bool,
}

impl<'a> Source<'a> {
    /// Errors: an index that the table does not have; what a global index cannot do.
    pub(crate) fn of(
        table: &'a Table,
        index: Option<&str>,
        consistent: bool,
        select: Option<&str>,
    ) -> Result<Self> {
        let Some(name) = index else { return Ok(Self { table, index: None, global: false }) };
        if let Some(index) = table.local(name) {
            return Ok(Self { table, index: Some(index), global: false });
        }
        let Some(index) = table.global(name) else {
            return Err(invalid(format!("The table does not have the specified index: {name}")));
        };
        if index.filling {
            return Err(invalid(format!("Cannot read from backfilling global secondary index: {name}")));
        }
        if consistent {
            return Err(invalid("Consistent reads are not supported on global secondary indexes"));
        }
        if select == Some("ALL_ATTRIBUTES") && index.projection != Projection::All {
            return Err(parameters(format_args!(
                "Select type ALL_ATTRIBUTES is not supported for global secondary index {name} because its projection \
                 type is not ALL"
            )));
        }
        Ok(Self { table, index: Some(index), global: true })
    }

    pub(crate) fn number(&self) -> u64 {
        self.index.map_or(self.table.number, |index| index.number)
    }

    pub(crate) fn keys(&self) -> &'a Keys {
        self.index.map_or(&self.table.keys, |index| &index.keys)
    }

    /// The names that a start key of this source has.
    fn key_names(&self) -> Vec<&'a str> {
        let mut names: Vec<&str> = self.table.keys.names().collect();
        for name in self.keys().names() {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// What identifies an item in a page's `LastEvaluatedKey`.
    pub(crate) fn key_of(&self, item: &Item) -> Item {
        let names = self.key_names();
        names.into_iter().filter_map(|name| Some((name.to_owned(), item.get(name)?.clone()))).collect()
    }

    /// Whether the index has an attribute.
    fn has(&self, name: &str) -> bool {
        let Some(index) = self.index else { return true };
        match &index.projection {
            Projection::All => true,
            Projection::KeysOnly => self.table.keys.has(name) || index.keys.has(name),
            Projection::Include(names) => {
                self.table.keys.has(name) || index.keys.has(name) || names.iter().any(|n| n == name)
            }
        }
    }

    /// Errors: attributes that a global index does not have.
    pub(crate) fn check_wanted(&self, wanted: &Wanted) -> Result<()> {
        let Some(index) = self.index.filter(|_| self.global) else { return Ok(()) };
        let missing: Vec<&str> = wanted.attributes().filter(|name| !self.has(name)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(parameters(format_args!(
            "Global secondary index {} does not project [{}]",
            index.name,
            missing.join(", ")
        )))
    }

    /// Whether every item has to be fetched from the table, because a local index lacks what is wanted.
    pub(crate) fn fetches(&self, select: Option<&str>, wanted: Option<&Wanted>) -> bool {
        if self.global || self.index.is_none_or(|index| index.projection == Projection::All) {
            return false;
        }
        match wanted {
            Some(wanted) => wanted.attributes().any(|name| !self.has(name)),
            None => select == Some("ALL_ATTRIBUTES"),
        }
    }

    /// The place after which a page begins. Errors: a start key that is none of this source.
    pub(crate) fn start(&self, item: &Item, query: bool) -> Result<Key> {
        let wrong = |why: &str| invalid(format!("The provided starting key is invalid{why}"));
        let names = self.key_names();
        if item.len() != names.len() {
            let whole = query || self.index.is_some();
            return Err(wrong(if whole {
                ""
            } else {
                ": The provided key element does not match the schema"
            }));
        }
        if query || self.index.is_some() {
            for name in self.keys().names() {
                let value = item.get(name).ok_or_else(|| wrong(""))?;
                keys::check_piece(self.table, name, value, self.keys().hash.iter().any(|hash| hash == name))?;
            }
        }
        let table_key = keys::of(&self.table.keys, item);
        let key =
            keys::given(self.table, &table_key).map_err(|error| wrong(&format!(": {}", error.message())))?;
        match self.index {
            None => Ok(key),
            Some(index) => keys::entry(self.table, index, item).ok_or_else(|| wrong("")),
        }
    }
}

/// The values of a start key. Errors: what cannot be an attribute's value.
pub(crate) fn start_values(given: Option<&BTreeMap<String, api::AttributeValue>>) -> Result<Option<Item>> {
    let read = |given| {
        item_in(given).map_err(|error| {
            // For some of what can be wrong with a value AWS leaves the frame away.
            let bare = [
                "contains duplicates",
                "number set",
                "numeric value",
                "significant digits",
                "number with magnitude",
            ];
            if bare.iter().any(|part| error.message().contains(part)) {
                return error;
            }
            invalid(format!("The provided starting key is invalid: {}", error.message()))
        })
    };
    given.map(read).transpose()
}

/// A page to read.
pub(crate) struct Page<'a> {
    pub source: Source<'a>,
    pub range: KeyRange,
    pub reverse: bool,
    pub limit: Option<usize>,
    pub select: Option<&'a str>,
    pub wanted: Option<&'a Wanted>,
    pub filter: Option<&'a Filter>,
    pub read: size::Read,
}

/// A page that was read.
pub(crate) struct Found {
    pub items: Vec<Item>,
    pub count: usize,
    pub scanned: usize,
    pub last: Option<Item>,
    pub cost: Cost,
}

impl DynamoDb {
    /// Reads a page.
    pub(crate) fn page(&self, page: &Page<'_>) -> Result<Found> {
        let source = &page.source;
        self.admit_read(source.table, source.index.filter(|_| source.global))?;
        let fetches = source.fetches(page.select, page.wanted);
        let counts_only = page.select == Some("COUNT");
        let (mut items, mut count, mut scanned) = (Vec::new(), 0, 0);
        let (mut bytes, mut fetched) = (0, 0.0);
        let mut last = None;
        for row in self.store.table::<Stored>().scan(page.range.clone(), page.reverse) {
            let (_, Stored(mut item)) = row.map_err(stored)?;
            scanned += 1;
            bytes += size::item(&item);
            let full = page.limit == Some(scanned) || bytes > PAGE_BYTES;
            if full {
                last = Some(source.key_of(&item));
            }
            if fetches {
                let whole = match keys::primary(source.table, &item) {
                    Some(key) => self.store.table::<Stored>().get(&key).map_err(stored)?,
                    None => None,
                };
                if let Some(whole) = whole {
                    fetched += size::read_units(size::item(&whole.0), page.read);
                    item = whole.0;
                }
            }
            if page.filter.is_none_or(|filter| filter.matches(&item)) {
                count += 1;
                if !counts_only {
                    items.push(match page.wanted {
                        Some(wanted) => wanted.project(&item),
                        None => item,
                    });
                }
            }
            if full {
                break;
            }
        }
        let units = size::read_units(bytes, page.read);
        let mut cost = Cost::default();
        match source.index {
            None => cost.table = units,
            Some(index) if source.global => {
                cost.globals.insert(index.name.clone(), units);
            }
            Some(index) => {
                cost.table = fetched;
                cost.locals.insert(index.name.clone(), units);
            }
        }
        self.spend_read(source.table, &cost);
        Ok(Found { items, count, scanned, last, cost })
    }
}

/// The items of an answer, as the wire has them.
pub(crate) fn items_out(
    items: Vec<Item>,
    select: Option<&str>,
) -> Option<Vec<BTreeMap<String, api::AttributeValue>>> {
    (select != Some("COUNT")).then(|| items.into_iter().map(item_out).collect())
}

/// The cost of a page in an answer.
pub(crate) fn consumed(asked: Option<&str>, table: &str, cost: &Cost) -> Option<api::ConsumedCapacity> {
    capacity::consumed(asked, table, cost, capacity::Units::Plain)
}

//! Many items in one call, each by itself.

use crate::capacity::{self, Units};
use crate::change::{Attempt, Cost};
use crate::convert::{item_in, item_out};
use crate::errors::{Result, invalid, stored};
use crate::state::Stored;
use crate::value::{Item, size};
use crate::write::{Action, Refused, Write, check_size};
use crate::{DynamoDb, keys, request};
use cloudlet_api_dynamodb::*;
use std::collections::{BTreeMap, BTreeSet};

/// AWS: the most keys and writes of one call, and the most bytes of one answer.
const MOST_KEYS: usize = 100;
const MOST_WRITES: usize = 25;
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// An action, and the key where the action has not got it.
type Keyed = (Option<Item>, Action);

const TWICE: &str = "Provided list of item keys contains duplicates";

/// What is asked of one table.
struct Wanted<'a> {
    name: &'a str,
    keys: Vec<Item>,
    projection: Option<crate::expression::Projection>,
    read: size::Read,
}

impl DynamoDb {
    /// Reads many items of many tables. What does not fit into 16 MB is given back to be asked for again.
    ///
    /// Errors: `ResourceNotFoundException`, `ValidationException`.
    pub async fn batch_get_item(&self, cx: &Context, input: BatchGetItemInput) -> Result<BatchGetItemOutput> {
        let mut wanted = Vec::with_capacity(input.request_items.len());
        let mut count = 0;
        for (name, asked) in &input.request_items {
            let what = request::Wanted {
                expression: asked.projection_expression.as_deref(),
                names: &asked.expression_attribute_names,
                attributes: asked.attributes_to_get.as_deref(),
            };
            what.check()?;
            let projection = what.read()?;
            let keys = asked.keys.iter().map(item_in).collect::<Result<Vec<_>>>()?;
            count += keys.len();
            if count > MOST_KEYS {
                return Err(invalid("Too many items requested for the BatchGetItem call"));
            }
            for (i, key) in keys.iter().enumerate() {
                if keys[..i].contains(key) {
                    return Err(invalid(TWICE));
                }
            }
            wanted.push(Wanted { name, keys, projection, read: capacity::read(asked.consistent_read) });
        }
        let mut located = Vec::with_capacity(wanted.len());
        for one in &wanted {
            let table = self.table(cx, one.name)?;
            let keys = one.keys.iter().map(|key| keys::given(&table, key)).collect::<Result<Vec<_>>>()?;
            if keys.iter().collect::<BTreeSet<_>>().len() < keys.len() {
                return Err(invalid(TWICE));
            }
            located.push((table, keys));
        }
        let mut responses = BTreeMap::new();
        let mut unprocessed = BTreeMap::new();
        let mut throttled = None;
        let mut consumed = Vec::new();
        let (mut bytes, mut full) = (0, false);
        for (one, (table, keys)) in wanted.iter().zip(&located) {
            let mut items = Vec::new();
            let mut cost = Cost::default();
            let mut left = Vec::new();
            for (key, at) in one.keys.iter().zip(keys) {
                let refused = self.admit_read(table, None).err();
                if full || refused.is_some() {
                    throttled = throttled.or(refused);
                    left.push(item_out(key.clone()));
                    continue;
                }
                let found = self.store.table::<Stored>().get(at).map_err(stored)?;
                let size = found.as_ref().map_or(0, |item| size::item(&item.0));
                if bytes + size > MOST_BYTES {
                    full = true;
                    left.push(item_out(key.clone()));
                    continue;
                }
                bytes += size;
                let read = Cost::of_read(size, one.read);
                self.spend_read(table, &read);
                cost.add(&read);
                if let Some(Stored(item)) = found {
                    items.push(item_out(match &one.projection {
                        Some(projection) => projection.project(&item),
                        None => item,
                    }));
                }
            }
            responses.insert(one.name.to_owned(), items);
            if !left.is_empty()
                && let Some(asked) = input.request_items.get(one.name)
            {
                unprocessed.insert(one.name.to_owned(), KeysAndAttributes { keys: left, ..asked.clone() });
            }
            consumed.extend(capacity::consumed(
                input.return_consumed_capacity.as_deref(),
                one.name,
                &cost,
                Units::Plain,
            ));
        }
        // AWS: a call of which nothing could be done is refused; of any other the rest is given back.
        if let Some(error) = throttled
            && unprocessed.values().map(|left: &KeysAndAttributes| left.keys.len()).sum::<usize>() == count
        {
            return Err(error);
        }
        Ok(BatchGetItemOutput {
            responses: Some(responses),
            unprocessed_keys: Some(unprocessed),
            consumed_capacity: shown(input.return_consumed_capacity.as_deref(), consumed),
            ..Default::default()
        })
    }

    /// Puts and deletes many items of many tables.
    ///
    /// Errors: `ResourceNotFoundException`, `ValidationException`.
    pub async fn batch_write_item(
        &self,
        cx: &Context,
        input: BatchWriteItemInput,
    ) -> Result<BatchWriteItemOutput> {
        let mut asked: Vec<(&str, Vec<Keyed>)> = Vec::new();
        let mut count = 0;
        for (name, writes) in &input.request_items {
            let mut all = Vec::with_capacity(writes.len());
            writes.iter().try_for_each(check_one)?;
            for write in writes {
                all.push(action(write)?);
            }
            count += all.len();
            if count > MOST_WRITES {
                return Err(invalid("Too many items requested for the BatchWriteItem call"));
            }
            asked.push((name, all));
        }
        let (held, which) = self.hold_all(cx, asked.iter().map(|(name, _)| *name)).await?;
        let mut writes: Vec<(&str, Write)> = Vec::with_capacity(count);
        for ((name, actions), at) in asked.into_iter().zip(which) {
            let Some(held) = held.get(at) else { return Err(Error::internal("a table that was not held")) };
            for (key, action) in actions {
                if let Action::Put(item) = &action {
                    keys::check_put_in_batch(&held.table, &item.0)?;
                }
                writes.push((name, Write::new(held.table.clone(), key, action, None, false)?));
            }
        }
        let keys: BTreeSet<_> = writes.iter().map(|(_, write)| &write.key).collect();
        if keys.len() < writes.len() {
            return Err(invalid(TWICE));
        }
        let mut unprocessed = BTreeMap::new();
        let mut throttled = None;
        for (name, asked) in &input.request_items {
            let of = writes.iter().find(|(other, _)| other == name);
            if let Some(Err(error)) = of.map(|(_, write)| self.admit_write(&write.table)) {
                throttled = Some(error);
                unprocessed.insert(name.clone(), asked.clone());
            }
        }
        writes.retain(|(name, _)| !unprocessed.contains_key(*name));
        if writes.is_empty()
            && let Some(error) = throttled
        {
            return Err(error);
        }
        let _mine = self.live.lock_all(writes.iter().map(|(_, write)| write.key.as_bytes())).await;
        let mut attempt = Attempt::new(&self.store, &self.live, cx.millis());
        let costs = self
            .store
            .transact(|tx| {
                attempt.begin();
                let mut costs: BTreeMap<&str, Cost> = BTreeMap::new();
                for (name, write) in &writes {
                    let done = write.perform(tx, &mut attempt)?;
                    costs.entry(name).or_default().add(&done.cost);
                }
                Ok::<_, Refused>(costs)
            })
            .await?;
        attempt.committed();
        for (name, cost) in &costs {
            if let Some((_, write)) = writes.iter().find(|(other, _)| other == name) {
                self.spend_write(&write.table, cost);
            }
        }
        let consumed = costs.iter().filter_map(|(name, cost)| {
            capacity::consumed(input.return_consumed_capacity.as_deref(), name, cost, Units::Plain)
        });
        let consumed = consumed.collect();
        Ok(BatchWriteItemOutput {
            unprocessed_items: Some(unprocessed),
            item_collection_metrics: self.all_metrics(
                input.return_item_collection_metrics.as_deref(),
                writes.iter().map(|(name, write)| (*name, write)),
            )?,
            consumed_capacity: shown(input.return_consumed_capacity.as_deref(), consumed),
            ..Default::default()
        })
    }

    /// `ItemCollectionMetrics` by table.
    pub(crate) fn all_metrics<'w>(
        &self,
        asked: Option<&str>,
        writes: impl Iterator<Item = (&'w str, &'w Write)>,
    ) -> Result<Option<BTreeMap<String, Vec<ItemCollectionMetrics>>>> {
        if asked != Some("SIZE") {
            return Ok(None);
        }
        let mut all: BTreeMap<String, Vec<ItemCollectionMetrics>> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for (name, write) in writes {
            let hash = write.key.as_bytes().get(..16).map(<[u8]>::to_vec);
            if seen.insert(hash)
                && let Some(metrics) = self.metrics(write, asked)?
            {
                all.entry(name.to_owned()).or_default().push(metrics);
            }
        }
        Ok((!all.is_empty()).then_some(all))
    }
}

/// The list of an answer, where it was asked for.
pub(crate) fn shown(asked: Option<&str>, all: Vec<ConsumedCapacity>) -> Option<Vec<ConsumedCapacity>> {
    matches!(asked, Some("TOTAL" | "INDEXES")).then_some(all)
}

/// Errors: neither a put nor a deletion, or both. AWS says the same of either.
fn check_one(write: &WriteRequest) -> Result<()> {
    if write.put_request.is_some() != write.delete_request.is_some() {
        return Ok(());
    }
    Err(invalid(
        "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes",
    ))
}

/// One write of a batch: the key, where the action has not got it, and the action.
fn action(write: &WriteRequest) -> Result<Keyed> {
    match (&write.put_request, &write.delete_request) {
        (Some(put), _) => {
            let item = item_in(&put.item)?;
            check_size(&item)?;
            Ok((None, Action::Put(Stored(item))))
        }
        (None, Some(delete)) => Ok((Some(item_in(&delete.key)?), Action::Delete)),
        (None, None) => Err(Error::internal("a write of nothing")),
    }
}

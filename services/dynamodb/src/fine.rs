//! What conditions of policies can ask about a call on items: which partitions and which attributes it touches, what it
//! reads, what it gives back.
//! Source: Developer Guide, "Using IAM policy conditions for fine-grained access control"; Service Authorization
//! Reference, "Condition keys for Amazon DynamoDB".

use crate::expression::{self, Comparator, KeyPredicate, KeyQuery, KeySchema, Parameters, legacy};
use crate::operations::query::Schema;
use crate::partiql::{self, Plan, Returning};
use crate::state::{Keys, Table};
use crate::value::{Item, Value, base64};
use cloudlet_api_dynamodb as api;
use std::collections::{BTreeMap, BTreeSet};

type Map<T> = BTreeMap<String, T>;

/// The condition keys of one access.
#[derive(Default)]
pub(crate) struct Facts<'a> {
    leading: Vec<String>,
    attributes: BTreeSet<String>,
    /// Whether the access says which attributes it is about. One that reads all does not.
    names_attributes: bool,
    names: Option<&'a Map<String>>,
    rest: Vec<(&'static str, String)>,
}

/// A key value as policies write it.
fn text(value: &Value) -> Option<String> {
    Some(match value {
        Value::S(text) => text.clone(),
        Value::N(number) => number.to_string(),
        Value::B(bytes) => base64(bytes),
        _ => return None,
    })
}

fn keys_of<'t>(table: &'t Table, index: Option<&str>) -> &'t Keys {
    let index = index.and_then(|name| table.global(name).or_else(|| table.local(name)));
    index.map_or(&table.keys, |index| &index.keys)
}

impl<'a> Facts<'a> {
    fn with(names: &'a Option<Map<String>>) -> Self {
        Self { names: names.as_ref(), ..Self::default() }
    }

    /// The facts as IAM takes them.
    pub(crate) fn into_keys(self) -> Vec<(String, Vec<String>)> {
        let key = |name: &str| format!("dynamodb:{name}");
        let mut out: Vec<_> = self.rest.into_iter().map(|(name, value)| (key(name), vec![value])).collect();
        if !self.leading.is_empty() {
            out.push((key("LeadingKeys"), self.leading));
        }
        if self.names_attributes {
            out.push((key("Attributes"), self.attributes.into_iter().collect()));
        }
        out
    }

    fn say(mut self, name: &'static str, value: &str) -> Self {
        self.rest.push((name, value.to_owned()));
        self
    }

    fn capacity(self, asked: Option<&str>) -> Self {
        self.say("ReturnConsumedCapacity", asked.unwrap_or("NONE"))
    }

    fn returns(self, asked: Option<&str>) -> Self {
        self.say("ReturnValues", asked.unwrap_or("NONE"))
    }

    /// The call that this access is a part of.
    pub(crate) fn within(self, operation: &str) -> Self {
        self.say("EnclosingOperation", operation)
    }

    /// An item or a key that is written or read.
    fn item(mut self, table: &Table, item: &Map<api::AttributeValue>) -> Self {
        let values = table.keys.hash.iter().filter_map(|name| item.get(name));
        self.leading.extend(values.filter_map(|v| Value::from_api(v).ok()).into_texts());
        self.attributes.extend(item.keys().cloned());
        self.names_attributes = true;
        self
    }

    fn texts<'t>(mut self, of: impl IntoIterator<Item = Option<&'t str>>, update: Option<&str>) -> Self {
        for condition in of.into_iter().flatten() {
            self.attributes.extend(expression::condition_attributes(condition, self.names));
        }
        if let Some(update) = update {
            self.attributes.extend(expression::update_attributes(update, self.names));
        }
        self
    }

    fn older<T>(mut self, all: Option<&Map<T>>) -> Self {
        self.attributes.extend(all.into_iter().flatten().map(|(name, _)| name.clone()));
        self
    }

    /// What of the items a call reads; `Select` of one that does not say so itself follows from it.
    fn wanted(
        mut self,
        select: Option<&str>,
        projection: Option<&str>,
        older: Option<&[String]>,
        index: bool,
    ) -> Self {
        if let Some(text) = projection {
            self.attributes.extend(expression::projection_attributes(text, self.names));
        }
        self.attributes.extend(older.into_iter().flatten().cloned());
        let some = projection.is_some() || older.is_some();
        self.names_attributes = some;
        self.say(
            "Select",
            match select {
                Some(select) => select,
                None if some => "SPECIFIC_ATTRIBUTES",
                None if index => "ALL_PROJECTED_ATTRIBUTES",
                None => "ALL_ATTRIBUTES",
            },
        )
    }

    pub(crate) fn get(table: &Table, input: &'a api::GetItemInput) -> Self {
        Self::with(&input.expression_attribute_names)
            .item(table, &input.key)
            .wanted(None, input.projection_expression.as_deref(), input.attributes_to_get.as_deref(), false)
            .capacity(input.return_consumed_capacity.as_deref())
    }

    pub(crate) fn put(table: &Table, input: &'a api::PutItemInput) -> Self {
        Self::with(&input.expression_attribute_names)
            .item(table, &input.item)
            .texts([input.condition_expression.as_deref()], None)
            .older(input.expected.as_ref())
            .returns(input.return_values.as_deref())
            .capacity(input.return_consumed_capacity.as_deref())
    }

    pub(crate) fn update(table: &Table, input: &'a api::UpdateItemInput) -> Self {
        Self::with(&input.expression_attribute_names)
            .item(table, &input.key)
            .texts([input.condition_expression.as_deref()], input.update_expression.as_deref())
            .older(input.expected.as_ref())
            .older(input.attribute_updates.as_ref())
            .returns(input.return_values.as_deref())
            .capacity(input.return_consumed_capacity.as_deref())
    }

    pub(crate) fn delete(table: &Table, input: &'a api::DeleteItemInput) -> Self {
        Self::with(&input.expression_attribute_names)
            .item(table, &input.key)
            .texts([input.condition_expression.as_deref()], None)
            .older(input.expected.as_ref())
            .returns(input.return_values.as_deref())
            .capacity(input.return_consumed_capacity.as_deref())
    }

    pub(crate) fn query(table: &Table, input: &'a api::QueryInput) -> Self {
        let hash = &keys_of(table, input.index_name.as_deref()).hash;
        let mut parameters = Parameters::new(
            input.expression_attribute_names.as_ref(),
            input.expression_attribute_values.as_ref(),
        )
        .unwrap_or_default();
        let condition = match (&input.key_condition_expression, &input.key_conditions) {
            (Some(text), _) => parameters.key_condition(text).ok(),
            (None, Some(all)) => legacy::key_conditions(all).ok(),
            (None, None) => None,
        };
        let equal = hash.iter().filter_map(|name| match condition.as_ref()?.by_attribute.get(name)? {
            KeyPredicate::Compare(Comparator::Equal, value) => Some(value.clone()),
            _ => None,
        });
        let leading = equal.into_texts().collect();
        Self { leading, ..Self::with(&input.expression_attribute_names) }
            .texts([input.key_condition_expression.as_deref(), input.filter_expression.as_deref()], None)
            .older(input.key_conditions.as_ref())
            .older(input.query_filter.as_ref())
            .wanted(
                input.select.as_deref(),
                input.projection_expression.as_deref(),
                input.attributes_to_get.as_deref(),
                input.index_name.is_some(),
            )
            .capacity(input.return_consumed_capacity.as_deref())
    }

    pub(crate) fn scan(input: &'a api::ScanInput) -> Self {
        Self::with(&input.expression_attribute_names)
            .texts([input.filter_expression.as_deref()], None)
            .older(input.scan_filter.as_ref())
            .wanted(
                input.select.as_deref(),
                input.projection_expression.as_deref(),
                input.attributes_to_get.as_deref(),
                input.index_name.is_some(),
            )
            .capacity(input.return_consumed_capacity.as_deref())
    }

    pub(crate) fn batch_get(
        table: &Table,
        asked: &'a api::KeysAndAttributes,
        capacity: Option<&str>,
    ) -> Self {
        let facts = Self::with(&asked.expression_attribute_names);
        asked
            .keys
            .iter()
            .fold(facts, |facts, key| facts.item(table, key))
            .wanted(None, asked.projection_expression.as_deref(), asked.attributes_to_get.as_deref(), false)
            .capacity(capacity)
    }

    pub(crate) fn batch_write(
        table: &Table,
        writes: &'a [api::WriteRequest],
        capacity: Option<&str>,
    ) -> Self {
        let items = writes.iter().filter_map(|write| {
            let put = write.put_request.as_ref().map(|put| &put.item);
            put.or_else(|| write.delete_request.as_ref().map(|delete| &delete.key))
        });
        items.fold(Self::default(), |facts, item| facts.item(table, item)).capacity(capacity)
    }

    pub(crate) fn transact_get(table: &Table, get: &'a api::Get, capacity: Option<&str>) -> Self {
        Self::with(&get.expression_attribute_names)
            .item(table, &get.key)
            .wanted(None, get.projection_expression.as_deref(), None, false)
            .capacity(capacity)
            .within("TransactGetItems")
    }

    /// One write of a transaction.
    pub(crate) fn transact_write(
        table: &Table,
        item: &Map<api::AttributeValue>,
        names: &'a Option<Map<String>>,
        condition: Option<&str>,
        update: Option<&str>,
        capacity: Option<&str>,
    ) -> Self {
        Self::with(names)
            .item(table, item)
            .texts([condition], update)
            .capacity(capacity)
            .within("TransactWriteItems")
    }

    /// A PartiQL statement.
    pub(crate) fn statement(table: &Table, plan: &Plan, capacity: Option<&str>) -> Self {
        let keys = Schema::of(table, &table.keys);
        let facts = Self { names_attributes: true, ..Self::default() };
        let returning = |returning: Option<Returning>| match returning {
            None => "NONE",
            Some(Returning::AllOld) => "ALL_OLD",
            Some(Returning::ModifiedOld) => "MODIFIED_OLD",
            Some(Returning::AllNew) => "ALL_NEW",
            Some(Returning::ModifiedNew) => "MODIFIED_NEW",
        };
        let facts = match plan {
            Plan::Select(select) => {
                let index = Schema::of(table, keys_of(table, select.index.as_deref()));
                facts.select(select, index.keys(), select.index.is_some())
            }
            Plan::Insert(insert) => facts.parsed(table, &insert.item),
            Plan::Update(change) | Plan::Delete(change) => {
                let key = change.key(keys.keys()).map(|(key, _)| key).unwrap_or_default();
                let facts = facts.parsed(table, &key).paths(change.condition.iter().flat_map(|c| c.paths()));
                let facts = facts.paths(change.update.iter().flat_map(|update| update.paths()));
                facts.say("ReturnValues", returning(change.returning))
            }
            Plan::Exists(exists) => {
                let key = exists.key(keys.keys()).map(|(key, _)| key).unwrap_or_default();
                facts.parsed(table, &key).paths(exists.condition.iter().flat_map(|c| c.paths()))
            }
        };
        facts.capacity(capacity)
    }

    fn parsed(mut self, table: &Table, item: &Item) -> Self {
        let values = table.keys.hash.iter().filter_map(|name| item.get(name));
        self.leading.extend(values.filter_map(text));
        self.attributes.extend(item.keys().cloned());
        self
    }

    fn paths<'p>(mut self, paths: impl IntoIterator<Item = &'p expression::Path>) -> Self {
        self.attributes.extend(paths.into_iter().map(|path| path.root().to_owned()));
        self
    }

    fn select(self, select: &partiql::Select, keys: KeySchema<'_>, index: bool) -> Self {
        let mut facts = self.paths(select.condition.iter().flat_map(|c| c.paths()));
        let columns = select.columns.as_deref();
        facts = facts.paths(columns.into_iter().flatten().map(|(_, path)| path));
        facts.names_attributes = columns.is_some();
        let whole = match select.access(keys) {
            Ok((partiql::Access::Queries(queries), _)) => {
                let hashes = queries.into_iter().flat_map(|KeyQuery { hash, .. }| hash);
                facts.leading.extend(hashes.into_texts());
                "false"
            }
            _ => "true",
        };
        let what = match columns {
            Some(_) => "SPECIFIC_ATTRIBUTES",
            None if index => "ALL_PROJECTED_ATTRIBUTES",
            None => "ALL_ATTRIBUTES",
        };
        facts.say("FullTableScan", whole).say("Select", what)
    }
}

/// Values as policies write them.
trait Texts: Iterator<Item = Value> + Sized {
    fn into_texts(self) -> impl Iterator<Item = String> {
        self.filter_map(|value| text(&value))
    }
}

impl<I: Iterator<Item = Value>> Texts for I {}

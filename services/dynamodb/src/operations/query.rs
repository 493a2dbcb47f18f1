//! Queries: the items of one partition, in the order of their sort keys.

use crate::errors::{Result, invalid};
use crate::expression::{self, Comparator, KeyPredicate, KeyQuery, KeySchema, Parameters, legacy};
use crate::keys;
use crate::reading::{Page, Source, consumed, items_out, start_values};
use crate::request::{Search, Sought};
use crate::state::{Keys, Table};
use crate::value::{Item, Kind, Value, order};
use crate::{DynamoDb, capacity};
use cloudlet_api_dynamodb::*;
use cloudlet_store::{Key, KeyRange};

/// The keys of a table or index with their types.
pub(crate) struct Schema<'t> {
    hash: Vec<(&'t str, Kind)>,
    range: Vec<(&'t str, Kind)>,
}

impl<'t> Schema<'t> {
    pub(crate) fn of(table: &'t Table, names: &'t Keys) -> Self {
        let kind = |name: &String| table.kind_of(name).map_or(Kind::S, keys::kind);
        let typed = |names: &'t [String]| names.iter().map(|name| (name.as_str(), kind(name))).collect();
        Self { hash: typed(&names.hash), range: typed(&names.range) }
    }

    pub(crate) fn keys(&self) -> KeySchema<'_> {
        KeySchema { hash: &self.hash, range: &self.range }
    }
}

/// The part of a source that a key condition means.
pub(crate) fn range(source: &Source<'_>, query: &KeyQuery) -> KeyRange {
    let mut prefix = keys::partition(source.number(), query.hash.iter());
    for value in &query.range {
        order::encode(value, &mut prefix);
    }
    let with = |value: &Value| {
        let mut out = prefix.clone();
        order::encode(value, &mut out);
        Key::from_bytes(out)
    };
    let all = Key::from_bytes(prefix.clone()).prefix_range();
    match &query.last {
        None | Some(KeyPredicate::NotIndexable) => all,
        Some(KeyPredicate::Compare(comparator, value)) => match comparator {
            Comparator::Less => all.until(&with(value)),
            Comparator::LessEqual => until_past(all, &with(value)),
            Comparator::Greater => all.past(&with(value)),
            Comparator::GreaterEqual => all.from(&with(value)),
            Comparator::Equal => with(value).prefix_range(),
            Comparator::NotEqual => all,
        },
        Some(KeyPredicate::Between(low, high)) => until_past(all.from(&with(low)), &with(high)),
        Some(KeyPredicate::BeginsWith(value)) => {
            let mut out = prefix.clone();
            match value {
                Value::S(text) => order::encode_prefix(text.as_bytes(), &mut out),
                Value::B(bytes) => order::encode_prefix(bytes, &mut out),
                _ => return all,
            }
            Key::from_bytes(out).prefix_range()
        }
    }
}

/// A range until after all that begins with a key.
fn until_past(range: KeyRange, key: &Key) -> KeyRange {
    // Encoded values end in bytes that are not `FF` throughout, so that the last one can be counted up.
    let mut bytes = key.as_bytes().to_vec();
    while let Some(last) = bytes.pop() {
        if last < u8::MAX {
            bytes.push(last + 1);
            return range.until(&Key::from_bytes(bytes));
        }
    }
    range
}

const NO_CONDITIONS: &str =
    "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.";

/// Whether a refusal is about what a key condition says of keys, not about how it is written.
fn is_about_keys(message: &str) -> bool {
    let rest = message.strip_prefix("Invalid KeyConditionExpression: ").unwrap_or(message);
    ["Invalid operator used in ", "Invalid condition in ", "KeyConditionExpressions "]
        .iter()
        .any(|beginning| rest.starts_with(beginning))
}

/// Whether a start key lies in what is queried.
fn check_start(source: &Source<'_>, query: &KeyQuery, start: &Item) -> Result<()> {
    let names = source.keys();
    let equal = names.range.iter().zip(&query.range).all(|(name, value)| start.get(name) == Some(value));
    let last = query.last.as_ref().is_none_or(|predicate| {
        let name = names.range.get(query.range.len());
        name.and_then(|name| start.get(name)).is_some_and(|value| predicate.matches(value))
    });
    if !equal || !last {
        return Err(invalid("The provided starting key does not match the range key predicate"));
    }
    let same = names.hash.iter().zip(&query.hash).all(|(name, value)| start.get(name) == Some(value));
    if !same {
        return Err(invalid(if query.range.is_empty() && query.last.is_none() {
            "The provided starting key is outside query boundaries based on provided conditions"
        } else {
            "The query can return at most one row and cannot be restarted"
        }));
    }
    Ok(())
}

impl DynamoDb {
    /// Reads the items of one partition.
    ///
    /// Errors: `ResourceNotFoundException`, `ValidationException`.
    pub async fn query(&self, cx: &Context, input: QueryInput) -> Result<QueryOutput> {
        expression::check_kinds(
            &[
                ("ProjectionExpression", input.projection_expression.is_some()),
                ("FilterExpression", input.filter_expression.is_some()),
                ("KeyConditionExpression", input.key_condition_expression.is_some()),
            ],
            &[
                ("AttributesToGet", input.attributes_to_get.is_some()),
                ("QueryFilter", input.query_filter.is_some()),
                ("ConditionalOperator", input.conditional_operator.is_some()),
                ("KeyConditions", input.key_conditions.is_some()),
            ],
            input.expression_attribute_names.is_some(),
            input.expression_attribute_values.is_some(),
        )?;
        let search = Search {
            names: &input.expression_attribute_names,
            values: &input.expression_attribute_values,
            filter: input.filter_expression.as_deref(),
            older: input.query_filter.as_ref(),
            operator: input.conditional_operator.as_deref(),
            projection: input.projection_expression.as_deref(),
            attributes: input.attributes_to_get.as_deref(),
            select: input.select.as_deref(),
            index: input.index_name.is_some(),
            is_query: true,
        };
        let early = || {
            let start = start_values(input.exclusive_start_key.as_ref())?;
            if input.key_conditions.is_none() && input.key_condition_expression.is_none() {
                return Err(invalid(NO_CONDITIONS));
            }
            Ok(start)
        };
        // What a key condition says of keys is looked at when all expressions have been read.
        let newer = |parameters: &mut Parameters| {
            let read = input.key_condition_expression.as_ref().map(|text| parameters.key_condition(text));
            match read {
                Some(Err(error)) if !is_about_keys(error.message()) => Err(error),
                read => Ok(read),
            }
        };
        let Sought { early: start, newer: new_keys, filter, wanted } = search.read(early, newer)?;
        let old_keys = || input.key_conditions.as_ref().map(legacy::key_conditions).transpose();
        let conditions = match new_keys.transpose()? {
            Some(conditions) => conditions,
            None => old_keys()?.ok_or_else(|| invalid(NO_CONDITIONS))?,
        };
        let table = self.table(cx, &input.table_name)?;
        let consistent = input.consistent_read == Some(true);
        let source = Source::of(&table, input.index_name.as_deref(), consistent, input.select.as_deref())?;
        let start = start.map(|item| Ok::<_, Error>((source.start(&item, true)?, item))).transpose()?;
        let names = source.keys();
        let query = conditions.resolve(Schema::of(&table, names).keys())?;
        if input.filter_expression.is_some()
            && let Some(filter) = &filter
        {
            expression::check_filter_keys(filter, names.names())?;
            keys::check_paths(&table, filter.paths())?;
        }
        if let Some(filter) = &input.query_filter {
            legacy::check_filter_keys(filter, names.names())?;
        }
        if let Some(wanted) = &wanted {
            keys::check_paths(&table, wanted.paths())?;
            source.check_wanted(wanted)?;
        }
        let mut range = range(&source, &query);
        let reverse = input.scan_index_forward == Some(false);
        if let Some((key, item)) = &start {
            check_start(&source, &query, item)?;
            range = if reverse { range.until(key) } else { range.after(key) };
        }
        let found = self.page(&Page {
            source,
            range,
            reverse,
            limit: input.limit.and_then(|limit| usize::try_from(limit).ok()),
            select: input.select.as_deref(),
            wanted: wanted.as_ref(),
            filter: filter.as_ref(),
            read: capacity::read(input.consistent_read),
        })?;
        Ok(QueryOutput {
            items: items_out(found.items, input.select.as_deref()),
            count: i32::try_from(found.count).ok(),
            scanned_count: i32::try_from(found.scanned).ok(),
            last_evaluated_key: found.last.map(crate::convert::item_out),
            consumed_capacity: consumed(
                input.return_consumed_capacity.as_deref(),
                &input.table_name,
                &found.cost,
            ),
            ..Default::default()
        })
    }
}

//! Transactions: all of it or nothing, in one commit.
//! Source: Developer Guide, "Amazon DynamoDB Transactions: How it works"; API Reference, `TransactWriteItems`,
//! `TransactionCanceledException`.

use crate::capacity::{self, Units};
use crate::change::{Attempt, Cost};
use crate::convert::{item_in, item_out};
use crate::errors::{Failure, Result, invalid, stored};
use crate::operations::batch::shown;
use crate::request::{self, Conditional, Wanted};
use crate::state::{Stored, Token, place_key};
use crate::value::{Item, size};
use crate::write::{Action, Done, Refused, Write, check_size};
use crate::{DynamoDb, keys};
use cloudlet_api_dynamodb::*;
use cloudlet_store::{Key, Tx};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hasher;
use xxhash_rust::xxh3::Xxh3;

/// AWS: how long a token is remembered, in milliseconds, and the most bytes of a transaction's items.
const TOKEN_AGE: i64 = 10 * 60 * 1000;
const MOST_BYTES: usize = 4 * 1024 * 1024;

pub(crate) const ONE_ITEM_TWICE: &str = "Transaction request cannot include multiple operations on one item";

/// One item of a transaction, as it was asked: its table, its key where the action has not got it, what is to happen.
pub(crate) struct Asked<'a> {
    pub table: &'a str,
    pub key: Option<Item>,
    pub action: Action,
    pub condition: Option<crate::expression::Condition>,
    pub shows_item: bool,
    /// Whether an item that is there is a duplicate.
    pub inserts: bool,
}

/// Why an item cancels its transaction; `None` for one that does not.
pub(crate) enum Reason {
    None,
    Condition(Option<Item>),
    Invalid(String),
    /// PartiQL: an item to be inserted is there.
    Duplicate,
    /// More throughput than there is.
    Throttled(Error),
}

/// The refusal with its reasons in the order of the items.
pub(crate) fn cancelled(reasons: Vec<Reason>) -> Error {
    let mut codes = Vec::with_capacity(reasons.len());
    let mut shown = Vec::with_capacity(reasons.len());
    for reason in reasons {
        let (code, message, item) = match reason {
            Reason::None => ("None", None, None),
            Reason::Condition(item) => {
                ("ConditionalCheckFailed", Some("The conditional request failed".to_owned()), item)
            }
            Reason::Invalid(message) => ("ValidationError", Some(message), None),
            Reason::Duplicate => {
                ("DuplicateItem", Some("Duplicate primary key exists in table".to_owned()), None)
            }
            Reason::Throttled(error) => {
                let provisioned = error.is("ProvisionedThroughputExceededException");
                let code = if provisioned { "ProvisionedThroughputExceeded" } else { "ThrottlingError" };
                (code, Some(error.message().to_owned()), None)
            }
        };
        codes.push(code);
        shown.push(CancellationReason {
            code: Some(code.to_owned()),
            message,
            item: item.map(item_out),
            ..Default::default()
        });
    }
    TransactionCanceledException {
        message: Some(format!(
            "Transaction cancelled, please refer cancellation reasons for specific reasons [{}]",
            codes.join(", ")
        )),
        cancellation_reasons: Some(shown),
        ..Default::default()
    }
    .into()
}

/// The answer to one item of a transaction of statements.
pub(crate) struct Committed {
    pub done: Vec<Done>,
    /// Units by the tables' names, in the caller's words.
    pub costs: BTreeMap<String, Cost>,
    /// Whether the transaction had been done before, under the same token.
    pub repeated: bool,
}

impl DynamoDb {
    /// Writes many items, all or none.
    ///
    /// Errors: `TransactionCanceledException` with the reasons, `IdempotentParameterMismatchException`,
    /// `ResourceNotFoundException`, `ValidationException`.
    pub async fn transact_write_items(
        &self,
        cx: &Context,
        input: TransactWriteItemsInput,
    ) -> Result<TransactWriteItemsOutput> {
        let asked = input.transact_items.iter().map(asked).collect::<Result<Vec<_>>>()?;
        let token = input.client_request_token.as_deref().filter(|token| !token.is_empty());
        let token = token.map(|token| (token, fingerprint(&input)));
        let names: Vec<&str> = asked.iter().map(|one| one.table).collect();
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let (committed, writes) = self.commit(cx, asked, token).await?;
        let kind = if committed.repeated { Units::Read } else { Units::Write };
        let consumed = committed.costs.iter().filter_map(|(name, cost)| {
            capacity::consumed(input.return_consumed_capacity.as_deref(), name, cost, kind)
        });
        let consumed = consumed.collect();
        Ok(TransactWriteItemsOutput {
            consumed_capacity: shown(input.return_consumed_capacity.as_deref(), consumed),
            item_collection_metrics: self.all_metrics(
                input.return_item_collection_metrics.as_deref(),
                names.iter().map(String::as_str).zip(&writes),
            )?,
            ..Default::default()
        })
    }

    /// Does all of it in one commit, or nothing.
    pub(crate) async fn commit(
        &self,
        cx: &Context,
        asked: Vec<Asked<'_>>,
        token: Option<(&str, u64)>,
    ) -> Result<(Committed, Vec<Write>)> {
        let (held, tables) = self.hold_all(cx, asked.iter().map(|one| one.table)).await?;
        for one in &held {
            crate::strong::refuse(&one.table, "A transaction")?;
        }
        let names: Vec<(String, bool)> =
            asked.iter().map(|one| (one.table.to_owned(), one.inserts)).collect();
        let mut writes = Vec::with_capacity(asked.len());
        let mut reasons = Vec::with_capacity(asked.len());
        for (one, at) in asked.into_iter().zip(&tables) {
            let Some(held) = held.get(*at) else { return Err(Error::internal("a table that was not held")) };
            match Write::new(held.table.clone(), one.key, one.action, one.condition, one.shows_item) {
                Ok(write) => {
                    writes.push(write);
                    let refused = self.admit_write(&held.table).err();
                    reasons.push(refused.map_or(Reason::None, Reason::Throttled));
                }
                Err(error) => reasons.push(Reason::Invalid(error.message().to_owned())),
            }
        }
        let keys: BTreeSet<_> = writes.iter().map(|write| &write.key).collect();
        if keys.len() < writes.len() {
            return Err(invalid(ONE_ITEM_TWICE));
        }
        if reasons.iter().any(|reason| !matches!(reason, Reason::None)) {
            return Err(cancelled(reasons));
        }
        let _mine = self.live.lock_all(writes.iter().map(|write| write.key.as_bytes())).await;
        let token_key =
            token.map(|(token, request)| (place_key(&cx.account, &cx.region).text(token), request));
        let mut attempt = Attempt::new(&self.store, &self.live, cx.millis());
        let committed = self
            .store
            .transact(|tx| {
                attempt.begin();
                if let Some((key, request)) = &token_key
                    && let Some(known) = known(tx, key, *request, cx.millis())?
                {
                    return Ok(Committed { done: Vec::new(), costs: known, repeated: true });
                }
                let mut done = Vec::with_capacity(writes.len());
                let mut costs: BTreeMap<String, Cost> = BTreeMap::new();
                let mut reads: BTreeMap<String, f64> = BTreeMap::new();
                let mut reasons = Vec::with_capacity(writes.len());
                let mut bytes = 0;
                for (write, (name, inserts)) in writes.iter().zip(&names) {
                    match write.perform(tx, &mut attempt) {
                        Ok(one) => {
                            let sized = one.bytes;
                            bytes += sized;
                            *reads.entry(name.clone()).or_default() +=
                                size::read_units(sized, size::Read::Transactional);
                            costs.entry(name.clone()).or_default().add(&one.cost.clone().doubled());
                            done.push(one);
                            reasons.push(Reason::None);
                        }
                        Err(Refused::Condition(_)) if *inserts => reasons.push(Reason::Duplicate),
                        Err(Refused::Condition(item)) => reasons.push(Reason::Condition(item)),
                        Err(Refused::Other(error)) if error.is("ValidationException") => {
                            reasons.push(Reason::Invalid(error.message().to_owned()));
                        }
                        Err(refused) => return Err(refused),
                    }
                }
                if reasons.iter().any(|reason| !matches!(reason, Reason::None)) {
                    return Err(cancelled(reasons).into());
                }
                if bytes > MOST_BYTES {
                    return Err(invalid("Transaction request size exceeds the limit of 4 MB").into());
                }
                if let Some((key, request)) = &token_key {
                    let capacity = reads.into_iter().collect();
                    tx.put(key, &Token { at: cx.millis(), request: *request, capacity })?;
                }
                Ok::<_, Refused>(Committed { done, costs, repeated: false })
            })
            .await?;
        attempt.committed();
        for (write, done) in writes.iter().zip(&committed.done) {
            self.spend_write(&write.table, &done.cost.clone().doubled());
        }
        Ok((committed, writes))
    }

    /// Reads many items as they are at one instant.
    ///
    /// Errors: `TransactionCanceledException`, `ResourceNotFoundException`, `ValidationException`.
    pub async fn transact_get_items(
        &self,
        cx: &Context,
        input: TransactGetItemsInput,
    ) -> Result<TransactGetItemsOutput> {
        let mut wanted = Vec::with_capacity(input.transact_items.len());
        for TransactGetItem { get, .. } in &input.transact_items {
            let what = Wanted {
                expression: get.projection_expression.as_deref(),
                names: &get.expression_attribute_names,
                attributes: None,
            };
            what.check()?;
            let key = item_in(&get.key)?;
            let projection = what.read()?;
            wanted.push((get, key, projection));
        }
        let mut located = Vec::with_capacity(wanted.len());
        let mut tables = Vec::with_capacity(wanted.len());
        let mut reasons = Vec::with_capacity(wanted.len());
        for (get, key, _) in &wanted {
            let table = self.table(cx, &get.table_name)?;
            crate::strong::refuse(&table, "A transaction")?;
            match keys::given(&table, key) {
                Ok(at) => {
                    located.push(at);
                    let refused = self.admit_read(&table, None).err();
                    reasons.push(refused.map_or(Reason::None, Reason::Throttled));
                    tables.push(table);
                }
                Err(error) => reasons.push(Reason::Invalid(error.message().to_owned())),
            }
        }
        if located.iter().collect::<BTreeSet<_>>().len() < located.len() {
            return Err(invalid(ONE_ITEM_TWICE));
        }
        if reasons.iter().any(|reason| !matches!(reason, Reason::None)) {
            return Err(cancelled(reasons));
        }
        let items = self.snapshot(&located)?;
        let mut costs: BTreeMap<&str, Cost> = BTreeMap::new();
        let mut responses = Vec::with_capacity(wanted.len());
        let mut bytes = 0;
        for (((get, _, projection), table), item) in wanted.iter().zip(&tables).zip(items) {
            let sized = item.as_ref().map_or(0, size::item);
            bytes += sized;
            let cost = Cost::of_read(sized, size::Read::Transactional);
            self.spend_read(table, &cost);
            costs.entry(&get.table_name).or_default().add(&cost);
            let item = item.map(|item| match projection {
                Some(projection) => projection.project(&item),
                None => item,
            });
            responses.push(ItemResponse { item: item.map(item_out), ..Default::default() });
        }
        if bytes > MOST_BYTES {
            return Err(invalid("Transaction response size exceeds the limit of 4 MB"));
        }
        let consumed = costs.iter().filter_map(|(name, cost)| {
            capacity::consumed(input.return_consumed_capacity.as_deref(), name, cost, Units::Read)
        });
        let consumed = consumed.collect();
        Ok(TransactGetItemsOutput {
            responses: Some(responses),
            consumed_capacity: shown(input.return_consumed_capacity.as_deref(), consumed),
            ..Default::default()
        })
    }

    /// Items as they are at one instant.
    pub(crate) fn snapshot(&self, keys: &[Key]) -> Result<Vec<Option<Item>>> {
        let read = self.store.read(|snapshot| {
            keys.iter()
                .map(|key| Ok(snapshot.get::<Stored>(key)?.map(|item| item.0)))
                .collect::<std::result::Result<Vec<_>, cloudlet_store::StoreError>>()
        });
        read.map_err(stored)
    }
}

/// What a request of the same token cost, if it was this one. Errors: it was another one.
fn known(
    tx: &mut Tx<'_>,
    key: &Key,
    request: u64,
    now: i64,
) -> Result<Option<BTreeMap<String, Cost>>, Failure> {
    let Some(token) = tx.get::<Token>(key)?.filter(|token| now - token.at < TOKEN_AGE) else {
        return Ok(None);
    };
    if token.request != request {
        return Err(IdempotentParameterMismatchException::error(
            "The request uses the same client token as a previous, but non-identical request.",
        )
        .into());
    }
    let cost = |(name, units)| (name, Cost { table: units, ..Cost::default() });
    Ok(Some(token.capacity.into_iter().map(cost).collect()))
}

/// A hash of all that a transaction asks.
fn fingerprint(input: &TransactWriteItemsInput) -> u64 {
    let mut hasher = Xxh3::new();
    let mut part =
        |kind: &str, table: &str, item: &BTreeMap<String, AttributeValue>, texts: [&Option<String>; 2]| {
            hasher.update(kind.as_bytes());
            hasher.write(table.as_bytes());
            hash_values(&mut hasher, item);
            for text in texts.into_iter().flatten() {
                hasher.write(text.as_bytes());
                hasher.write_u8(0xFF);
            }
        };
    for item in &input.transact_items {
        if let Some(put) = &item.put {
            part("put", &put.table_name, &put.item, [&put.condition_expression, &None]);
            part(
                "",
                "",
                put.expression_attribute_values.as_ref().unwrap_or(&BTreeMap::new()),
                [&None, &None],
            );
            part("", &names_text(&put.expression_attribute_names), &BTreeMap::new(), [&None, &None]);
        }
        if let Some(update) = &item.update {
            let expression = Some(update.update_expression.clone());
            part("update", &update.table_name, &update.key, [&update.condition_expression, &expression]);
            part(
                "",
                "",
                update.expression_attribute_values.as_ref().unwrap_or(&BTreeMap::new()),
                [&None, &None],
            );
            part("", &names_text(&update.expression_attribute_names), &BTreeMap::new(), [&None, &None]);
        }
        if let Some(delete) = &item.delete {
            part("delete", &delete.table_name, &delete.key, [&delete.condition_expression, &None]);
            part(
                "",
                "",
                delete.expression_attribute_values.as_ref().unwrap_or(&BTreeMap::new()),
                [&None, &None],
            );
            part("", &names_text(&delete.expression_attribute_names), &BTreeMap::new(), [&None, &None]);
        }
        if let Some(check) = &item.condition_check {
            let condition = Some(check.condition_expression.clone());
            part("check", &check.table_name, &check.key, [&condition, &None]);
            part(
                "",
                "",
                check.expression_attribute_values.as_ref().unwrap_or(&BTreeMap::new()),
                [&None, &None],
            );
            part("", &names_text(&check.expression_attribute_names), &BTreeMap::new(), [&None, &None]);
        }
    }
    hasher.finish()
}

fn names_text(names: &Option<BTreeMap<String, String>>) -> String {
    let one = |(placeholder, name): (&String, &String)| format!("{placeholder}\u{1}{name}\u{2}");
    names.iter().flatten().map(one).collect()
}

fn hash_values(hasher: &mut Xxh3, values: &BTreeMap<String, AttributeValue>) {
    for (name, value) in values {
        hasher.write(name.as_bytes());
        // Values were read before, so that they can be read again; their text tells them apart.
        if let Ok(value) = crate::value::Value::from_api(value) {
            hasher.write(value.to_string().as_bytes());
        }
        hasher.write_u8(0xFE);
    }
}

/// What one item of the request asks. Errors: not exactly one action; what is wrong with its expressions.
fn asked(item: &TransactWriteItem) -> Result<Asked<'_>> {
    let actions =
        [item.condition_check.is_some(), item.put.is_some(), item.update.is_some(), item.delete.is_some()];
    match actions.iter().filter(|given| **given).count() {
        0 => {
            return Err(invalid(
                "Invalid Request: TransactWriteRequest should contain Delete or Put or Update request",
            ));
        }
        1 => {}
        _ => return Err(invalid("TransactItems can only contain one of Check, Put, Update or Delete")),
    }
    let shows = |asked: &Option<String>| asked.as_deref() == Some("ALL_OLD");
    if let Some(put) = &item.put {
        let of = conditional(
            put.condition_expression.as_deref(),
            &put.expression_attribute_names,
            &put.expression_attribute_values,
        );
        of.check(None)?;
        let item = item_in(&put.item)?;
        check_size(&item)?;
        return Ok(Asked {
            table: &put.table_name,
            key: None,
            action: Action::Put(Stored(item)),
            condition: request::condition(&of, false)?,
            shows_item: shows(&put.return_values_on_condition_check_failure),
            inserts: false,
        });
    }
    if let Some(update) = &item.update {
        let of = conditional(
            update.condition_expression.as_deref(),
            &update.expression_attribute_names,
            &update.expression_attribute_values,
        );
        of.check(Some((true, false)))?;
        let key = item_in(&update.key)?;
        let (parsed, condition) = request::update(Some(&update.update_expression), None, &of, false)?;
        return Ok(Asked {
            table: &update.table_name,
            key: Some(key),
            action: Action::Update { update: parsed, makes_nothing: false },
            condition,
            shows_item: shows(&update.return_values_on_condition_check_failure),
            inserts: false,
        });
    }
    if let Some(delete) = &item.delete {
        let of = conditional(
            delete.condition_expression.as_deref(),
            &delete.expression_attribute_names,
            &delete.expression_attribute_values,
        );
        of.check(None)?;
        let key = item_in(&delete.key)?;
        return Ok(Asked {
            table: &delete.table_name,
            key: Some(key),
            action: Action::Delete,
            condition: request::condition(&of, false)?,
            shows_item: shows(&delete.return_values_on_condition_check_failure),
            inserts: false,
        });
    }
    let Some(check) = &item.condition_check else {
        return Err(invalid(
            "Invalid Request: TransactWriteRequest should contain Delete or Put or Update request",
        ));
    };
    let of = conditional(
        Some(&check.condition_expression),
        &check.expression_attribute_names,
        &check.expression_attribute_values,
    );
    of.check(None)?;
    let key = item_in(&check.key)?;
    Ok(Asked {
        table: &check.table_name,
        key: Some(key),
        action: Action::Check,
        condition: request::condition(&of, false)?,
        shows_item: shows(&check.return_values_on_condition_check_failure),
        inserts: false,
    })
}

fn conditional<'a>(
    expression: Option<&'a str>,
    names: &'a Option<BTreeMap<String, String>>,
    values: &'a Option<BTreeMap<String, AttributeValue>>,
) -> Conditional<'a> {
    Conditional { expression, names, values, expected: None, operator: None }
}

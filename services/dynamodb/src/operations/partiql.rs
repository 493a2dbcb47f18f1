//! PartiQL: statements by themselves, in batches and in transactions.
//! Source: Developer Guide, "PartiQL - a SQL-compatible query language for Amazon DynamoDB"; API Reference,
//! `ExecuteStatement`, `BatchExecuteStatement`, `ExecuteTransaction`.

use crate::capacity::{self, Units};
use crate::change::Cost;
use crate::convert::item_out;
use crate::errors::{Result, invalid, stored};
use crate::expression::{Condition, KeyQuery, Path, Projection, Update};
use crate::fine::Facts;
use crate::operations::batch::shown;
use crate::operations::query::{Schema, range};
use crate::operations::transact::{Asked, ONE_ITEM_TWICE, Reason, cancelled};
use crate::partiql::{
    Access, BATCH_NEEDS_KEY, Change, EXISTS_NEEDS_TRANSACTION, Plan, Returning, Select, TRANSACTION_NEEDS_KEY,
};
use crate::reading::{Page, Source};
use crate::state::{Stored, Table};
use crate::value::{Item, size};
use crate::write::{Action, Done, Write, check_size};
use crate::{DynamoDb, keys};
use cloudlet_api_dynamodb::*;
use cloudlet_service::{Structure, pages};
use cloudlet_store::Key;
use std::collections::{BTreeMap, BTreeSet};
use xxhash_rust::xxh3::Xxh3;

const DUPLICATE: &str = "Duplicate primary key exists in table";
const MIXED: &str = "Transaction request cannot include both read and write statements";

/// Where the next page of a statement begins: which of its reads, after which item.
fn token(read: usize, after: &[u8]) -> String {
    let read = u32::try_from(read).unwrap_or(u32::MAX);
    pages::token([&read.to_be_bytes()[..], after].concat())
}

fn position(text: &str) -> Result<(usize, Key)> {
    let bytes = pages::position(text).ok_or_else(|| invalid("Invalid NextToken"))?;
    let (read, after) = bytes.split_first_chunk::<4>().ok_or_else(|| invalid("Invalid NextToken"))?;
    let read = usize::try_from(u32::from_be_bytes(*read)).unwrap_or(usize::MAX);
    Ok((read, Key::from_bytes(after)))
}

/// A statement that writes one item.
struct Planned {
    key: Option<Item>,
    action: Action,
    condition: Option<Condition>,
    /// Whether an item that is there is a duplicate, and whether that is no mistake.
    inserts: bool,
    or_nothing: bool,
    returning: Option<Returning>,
}

fn exists(table: &Table, and: Option<Condition>) -> Condition {
    let exists = Condition::Exists(Path::attribute(table.hash()));
    match and {
        Some(rest) => Condition::And(vec![exists, rest]),
        None => exists,
    }
}

/// What a statement writes to this table.
fn planned(table: &Table, plan: &Plan) -> Result<Planned> {
    let schema = Schema::of(table, &table.keys);
    let changed = |change: &Change, update: Option<&Update>| {
        let (key, rest) = change.key(schema.keys())?;
        let (action, condition) = match update {
            Some(update) => {
                (Action::Update { update: update.clone(), makes_nothing: false }, Some(exists(table, rest)))
            }
            None => (Action::Delete, rest),
        };
        let returning = change.returning;
        Ok(Planned { key: Some(key), action, condition, inserts: false, or_nothing: false, returning })
    };
    match plan {
        Plan::Insert(insert) => Ok(Planned {
            key: None,
            action: Action::Put(Stored(insert.item.clone())),
            condition: Some(Condition::NotExists(Path::attribute(table.hash()))),
            inserts: true,
            or_nothing: insert.or_nothing,
            returning: None,
        }),
        Plan::Update(change) | Plan::Delete(change) => changed(change, change.update.as_ref()),
        Plan::Exists(wanted) => {
            let (key, rest) = wanted.key(schema.keys())?;
            Ok(Planned {
                key: Some(key),
                action: Action::Check,
                condition: Some(exists(table, rest)),
                inserts: false,
                or_nothing: false,
                returning: None,
            })
        }
        Plan::Select(_) => Err(Error::internal("a statement that reads was taken for one that writes")),
    }
}

/// The item that `RETURNING` gives.
fn returned(write: &Write, returning: Option<Returning>, done: Done) -> Option<Item> {
    let updated = |item: Item| match &write.action {
        Action::Update { update, .. } => update.updated(&item),
        _ => item,
    };
    match returning? {
        Returning::AllOld => done.old,
        Returning::ModifiedOld => done.old.map(updated),
        Returning::AllNew => done.new,
        Returning::ModifiedNew => done.new.map(updated),
    }
}

/// A page of a statement that reads.
#[derive(Default)]
struct Read {
    items: Vec<Item>,
    next: Option<String>,
    last: Option<Item>,
    cost: Cost,
}

/// One of the parameters of [`DynamoDb::read_statement`].
struct Paging<'a> {
    consistent: Option<bool>,
    limit: Option<usize>,
    next: Option<&'a str>,
}

impl DynamoDb {
    fn read_statement(&self, cx: &Context, select: &Select, paging: &Paging<'_>) -> Result<Read> {
        let table = self.table(cx, &select.table)?;
        let consistent = paging.consistent == Some(true);
        let source = Source::of(&table, select.index.as_deref(), consistent, None)?;
        let schema = Schema::of(&table, source.keys());
        let (access, reverse) = select.access(schema.keys())?;
        // What a local index lacks of the columns comes from the table.
        let columns =
            select.columns.as_ref().map(|all| Projection::of(all.iter().map(|(_, path)| path.clone())));
        let fetches = columns.is_some_and(|columns| source.fetches(None, Some(&columns)));
        let reads: Vec<Option<KeyQuery>> = match access {
            Access::Scan => vec![None],
            Access::Queries(queries) => queries.into_iter().map(Some).collect(),
        };
        let (first, after) = match paging.next {
            Some(text) => {
                let (read, after) = position(text)?;
                (read, Some(after))
            }
            None => (0, None),
        };
        let mut out = Read::default();
        let mut left = paging.limit;
        for (at, read) in reads.iter().enumerate().skip(first) {
            let mut range = match read {
                Some(query) => range(&source, query),
                None => keys::space(source.number()),
            };
            if let Some(after) = after.as_ref().filter(|_| at == first) {
                range = if reverse { range.until(after) } else { range.after(after) };
            }
            let found = self.page(&Page {
                source,
                range,
                reverse,
                limit: left,
                select: fetches.then_some("ALL_ATTRIBUTES"),
                wanted: None,
                filter: select.condition.as_ref(),
                read: capacity::read(paging.consistent),
            })?;
            out.items.extend(found.items.iter().map(|item| select.project(item)));
            out.cost.add(&found.cost);
            left = left.map(|left| left.saturating_sub(found.scanned));
            if let Some(last) = found.last {
                let key = match source.index {
                    Some(index) => keys::entry(&table, index, &last),
                    None => keys::primary(&table, &last),
                };
                out.next = key.map(|key| token(at, key.as_bytes()));
                out.last = Some(last);
                break;
            }
        }
        Ok(out)
    }

    /// Runs one statement.
    ///
    /// Errors: `DuplicateItemException`, `ConditionalCheckFailedException`, `ResourceNotFoundException`,
    /// `ValidationException`.
    pub async fn execute_statement(
        &self,
        cx: &Context,
        input: ExecuteStatementInput,
    ) -> Result<ExecuteStatementOutput> {
        let plan = Plan::parse(&input.statement, input.parameters.as_deref())?;
        let shows = input.return_values_on_condition_check_failure.as_deref() == Some("ALL_OLD");
        let asked = input.return_consumed_capacity.as_deref();
        match &plan {
            Plan::Exists(_) => Err(invalid(EXISTS_NEEDS_TRANSACTION)),
            Plan::Select(select) => {
                let paging = Paging {
                    consistent: input.consistent_read,
                    limit: input.limit.and_then(|limit| usize::try_from(limit).ok()),
                    next: input.next_token.as_deref(),
                };
                let read = self.read_statement(cx, select, &paging)?;
                Ok(ExecuteStatementOutput {
                    items: Some(read.items.into_iter().map(item_out).collect()),
                    next_token: read.next,
                    last_evaluated_key: read.last.map(item_out),
                    consumed_capacity: capacity::consumed(asked, plan.table(), &read.cost, Units::Plain),
                    ..Default::default()
                })
            }
            plan => {
                let (item, cost) = self.write_statement(cx, plan, shows).await?;
                Ok(ExecuteStatementOutput {
                    items: Some(item.into_iter().map(item_out).collect()),
                    consumed_capacity: capacity::consumed(asked, plan.table(), &cost, Units::Plain),
                    ..Default::default()
                })
            }
        }
    }

    async fn write_statement(&self, cx: &Context, plan: &Plan, shows: bool) -> Result<(Option<Item>, Cost)> {
        let held = self.hold(cx, plan.table()).await?;
        let planned = planned(&held.table, plan)?;
        if let Action::Put(item) = &planned.action {
            check_size(&item.0)?;
        }
        let write = Write::new(held.table.clone(), planned.key, planned.action, planned.condition, shows)?;
        match self.write_one(cx, &write).await {
            Ok(done) => {
                let cost = done.cost.clone();
                Ok((returned(&write, planned.returning, done), cost))
            }
            Err(error) if planned.inserts && error.is("ConditionalCheckFailedException") => {
                match planned.or_nothing {
                    true => Ok((None, Cost { table: 1.0, ..Cost::default() })),
                    false => Err(DuplicateItemException::error(DUPLICATE)),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Runs many statements, each by itself: all read or all write.
    ///
    /// Errors: `ValidationException`; what is wrong with one statement stands in its answer.
    pub async fn batch_execute_statement(
        &self,
        cx: &Context,
        input: BatchExecuteStatementInput,
    ) -> Result<BatchExecuteStatementOutput> {
        let plans: Vec<Result<Plan>> = input
            .statements
            .iter()
            .map(|one| Plan::parse(&one.statement, one.parameters.as_deref()))
            .collect();
        let reads = plans.iter().flatten().filter(|plan| plan.is_read()).count();
        let known = plans.iter().flatten().count();
        if reads > 0 && reads < known {
            return Err(invalid("Batch request cannot include both read and write statements"));
        }
        let mut responses = Vec::with_capacity(plans.len());
        let mut costs: BTreeMap<String, Cost> = BTreeMap::new();
        for (one, plan) in input.statements.iter().zip(plans) {
            let table = plan.as_ref().ok().map(|plan| plan.table().to_owned());
            let done = match plan {
                Ok(plan) => self.one_of_batch(cx, one, &plan).await,
                Err(error) => Err(error),
            };
            let (item, error) = match done {
                Ok((item, cost)) => {
                    costs.entry(table.clone().unwrap_or_default()).or_default().add(&cost);
                    (item.map(item_out), None)
                }
                Err(error) => (None, Some(batch_error(&error))),
            };
            responses.push(BatchStatementResponse { error, table_name: table, item, ..Default::default() });
        }
        let asked = input.return_consumed_capacity.as_deref();
        let consumed =
            costs.iter().filter_map(|(name, cost)| capacity::consumed(asked, name, cost, Units::Plain));
        let consumed = consumed.collect();
        Ok(BatchExecuteStatementOutput {
            responses: Some(responses),
            consumed_capacity: shown(asked, consumed),
            ..Default::default()
        })
    }

    async fn one_of_batch(
        &self,
        cx: &Context,
        one: &BatchStatementRequest,
        plan: &Plan,
    ) -> Result<(Option<Item>, Cost)> {
        match plan {
            Plan::Exists(_) => Err(invalid(EXISTS_NEEDS_TRANSACTION)),
            Plan::Select(select) => {
                let table = self.table(cx, &select.table)?;
                let (key, rest) = single(&table, select, BATCH_NEEDS_KEY)?;
                self.admit_read(&table, None)?;
                let found = self.store.table::<Stored>().get(&key).map_err(stored)?.map(|item| item.0);
                let bytes = found.as_ref().map_or(0, size::item);
                let found = found.filter(|item| rest.as_ref().is_none_or(|rest| rest.matches(item)));
                let cost = Cost::of_read(bytes, capacity::read(one.consistent_read));
                self.spend_read(&table, &cost);
                Ok((found.map(|item| select.project(&item)), cost))
            }
            plan => {
                let shows = one.return_values_on_condition_check_failure.as_deref() == Some("ALL_OLD");
                self.write_statement(cx, plan, shows).await
            }
        }
    }

    /// Runs many statements, all or none: all read at one instant, or all write in one commit.
    ///
    /// Errors: `TransactionCanceledException` with the reasons, `IdempotentParameterMismatchException`,
    /// `ResourceNotFoundException`, `ValidationException`.
    pub async fn execute_transaction(
        &self,
        cx: &Context,
        input: ExecuteTransactionInput,
    ) -> Result<ExecuteTransactionOutput> {
        let mut plans = Vec::with_capacity(input.transact_statements.len());
        for one in &input.transact_statements {
            plans.push(Plan::parse(&one.statement, one.parameters.as_deref())?);
        }
        let reads = plans.iter().filter(|plan| plan.is_read()).count();
        let asked = input.return_consumed_capacity.as_deref();
        if reads == plans.len() {
            return self.read_transaction(cx, &plans, asked);
        }
        if reads > 0 {
            return Err(invalid(MIXED));
        }
        let mut all = Vec::with_capacity(plans.len());
        let mut returning = Vec::with_capacity(plans.len());
        for (plan, one) in plans.iter().zip(&input.transact_statements) {
            let table = self.table(cx, plan.table())?;
            let planned = planned(&table, plan)?;
            if let Action::Put(item) = &planned.action {
                check_size(&item.0)?;
            }
            returning.push(planned.returning);
            all.push(Asked {
                table: plan.table(),
                key: planned.key,
                action: planned.action,
                condition: planned.condition,
                shows_item: one.return_values_on_condition_check_failure.as_deref() == Some("ALL_OLD"),
                inserts: planned.inserts,
            });
        }
        let token = input.client_request_token.as_deref().filter(|token| !token.is_empty());
        let token = token.map(|token| (token, fingerprint(&input)));
        let (committed, writes) = self.commit(cx, all, token).await?;
        let mut responses = Vec::with_capacity(writes.len());
        // Where the same was asked before nothing is done now, and there is an answer to each statement all the same.
        let mut done = committed.done.into_iter();
        for (write, returning) in writes.iter().zip(returning) {
            let item = done.next().and_then(|done| returned(write, returning, done));
            responses.push(ItemResponse { item: item.map(item_out), ..Default::default() });
        }
        let kind = if committed.repeated { Units::Read } else { Units::Write };
        let consumed =
            committed.costs.iter().filter_map(|(name, cost)| capacity::consumed(asked, name, cost, kind));
        let consumed = consumed.collect();
        Ok(ExecuteTransactionOutput {
            responses: Some(responses),
            consumed_capacity: shown(asked, consumed),
            ..Default::default()
        })
    }

    fn read_transaction(
        &self,
        cx: &Context,
        plans: &[Plan],
        asked: Option<&str>,
    ) -> Result<ExecuteTransactionOutput> {
        let mut located = Vec::with_capacity(plans.len());
        let mut selects = Vec::with_capacity(plans.len());
        let mut reasons = Vec::with_capacity(plans.len());
        for plan in plans {
            let Plan::Select(select) = plan else { continue };
            let table = self.table(cx, &select.table)?;
            crate::strong::refuse(&table, "A transaction")?;
            let (key, rest) = single(&table, select, TRANSACTION_NEEDS_KEY)?;
            let refused = self.admit_read(&table, None).err();
            reasons.push(refused.map_or(Reason::None, Reason::Throttled));
            located.push(key);
            selects.push((table, select, rest));
        }
        if located.iter().collect::<BTreeSet<_>>().len() < located.len() {
            return Err(invalid(ONE_ITEM_TWICE));
        }
        if reasons.iter().any(|reason| !matches!(reason, Reason::None)) {
            return Err(cancelled(reasons));
        }
        let items = self.snapshot(&located)?;
        let mut costs: BTreeMap<&str, Cost> = BTreeMap::new();
        let mut responses = Vec::with_capacity(items.len());
        for ((table, select, rest), item) in selects.iter().zip(items) {
            let bytes = item.as_ref().map_or(0, size::item);
            let cost = Cost::of_read(bytes, size::Read::Transactional);
            self.spend_read(table, &cost);
            costs.entry(&select.table).or_default().add(&cost);
            let item = item.filter(|item| rest.as_ref().is_none_or(|rest| rest.matches(item)));
            let item = item.map(|item| item_out(select.project(&item)));
            responses.push(ItemResponse { item, ..Default::default() });
        }
        let consumed =
            costs.iter().filter_map(|(name, cost)| capacity::consumed(asked, name, cost, Units::Read));
        let consumed = consumed.collect();
        Ok(ExecuteTransactionOutput {
            responses: Some(responses),
            consumed_capacity: shown(asked, consumed),
            ..Default::default()
        })
    }

    /// What IAM is asked for statements. One that cannot be read is refused later, in its own words.
    pub(crate) fn statement_accesses(
        &self,
        cx: &Context,
        input: &dyn Structure,
    ) -> Result<Vec<cloudlet_service::Access>> {
        let any = input.as_any();
        let mut statements: Vec<(&str, Option<&[AttributeValue]>)> = Vec::new();
        let (mut within, mut capacity) = (None, None);
        if let Some(input) = any.downcast_ref::<ExecuteStatementInput>() {
            statements.push((&input.statement, input.parameters.as_deref()));
            capacity = input.return_consumed_capacity.as_deref();
        } else if let Some(input) = any.downcast_ref::<BatchExecuteStatementInput>() {
            let all = input.statements.iter();
            statements.extend(all.map(|one| (one.statement.as_str(), one.parameters.as_deref())));
            capacity = input.return_consumed_capacity.as_deref();
        } else if let Some(input) = any.downcast_ref::<ExecuteTransactionInput>() {
            let all = input.transact_statements.iter();
            statements.extend(all.map(|one| (one.statement.as_str(), one.parameters.as_deref())));
            within = Some("ExecuteTransaction");
            capacity = input.return_consumed_capacity.as_deref();
        }
        let mut accesses = Vec::with_capacity(statements.len());
        for (statement, parameters) in statements {
            let Ok(plan) = Plan::parse(statement, parameters) else { continue };
            let index = match &plan {
                Plan::Select(select) => select.index.as_deref(),
                _ => None,
            };
            accesses.push(self.to(cx, plan.action(), plan.table(), index, |table| {
                let facts = Facts::statement(table, &plan, capacity);
                match within {
                    Some(operation) => facts.within(operation),
                    None => facts,
                }
            })?);
        }
        Ok(accesses)
    }
}

/// The one item that a statement of a batch or a transaction reads.
fn single(table: &Table, select: &Select, refusal: &str) -> Result<(Key, Option<Condition>)> {
    let schema = Schema::of(table, &table.keys);
    let named = select.index.is_none().then(|| select.key(schema.keys()));
    match named {
        Some(Ok((key, rest))) => Ok((keys::given(table, &key)?, rest)),
        _ => Err(invalid(refusal)),
    }
}

/// An error as a statement's answer has it.
fn batch_error(error: &Error) -> BatchStatementError {
    let code = match error.code() {
        "ConditionalCheckFailedException" => "ConditionalCheckFailed",
        "DuplicateItemException" => "DuplicateItem",
        "ResourceNotFoundException" => "ResourceNotFound",
        "ValidationException" => "ValidationError",
        "TransactionConflictException" => "TransactionConflict",
        "AccessDeniedException" => "AccessDenied",
        "ProvisionedThroughputExceededException" => "ProvisionedThroughputExceeded",
        "ThrottlingException" => "ThrottlingError",
        _ => "InternalServerError",
    };
    let detail = error.detail().and_then(|d| d.as_any().downcast_ref::<ConditionalCheckFailedException>());
    BatchStatementError {
        code: Some(code.to_owned()),
        message: Some(error.message().to_owned()),
        item: detail.and_then(|detail| detail.item.clone()),
        ..Default::default()
    }
}

fn fingerprint(input: &ExecuteTransactionInput) -> u64 {
    let mut hasher = Xxh3::new();
    for one in &input.transact_statements {
        hasher.update(one.statement.as_bytes());
        hasher.update(&[0xFF]);
        for value in one.parameters.iter().flatten() {
            if let Ok(value) = crate::value::Value::from_api(value) {
                hasher.update(value.to_string().as_bytes());
            }
            hasher.update(&[0xFE]);
        }
    }
    hasher.digest()
}

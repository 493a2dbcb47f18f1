//! Tables: made, shown, listed, deleted.

use crate::describe::Phase;
use crate::errors::{Failure, Result, in_use, invalid, no_table, parameters, stored};
use crate::purge::Task;
use crate::state::{
    Billing, Class, Coming, Policy, Shard, Sse, Stream, StreamOf, Table, View, place_key, table_key,
};
use crate::{DynamoDb, names, schema};
use cloudlet_api_dynamodb::*;
use cloudlet_api_kms::{DescribeKeyRequest, operations::DescribeKey};
use cloudlet_store::{Key, Tx};
use std::collections::{BTreeMap, BTreeSet};

/// AWS: the most tags of a table.
pub(crate) const MOST_TAGS: usize = 50;

pub(crate) const PROTECTED: &str = "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.";

/// What throughput a table is to have. Errors: units where requests are paid for, none where they are not.
pub(crate) fn billing(mode: Option<&str>, units: Option<&ProvisionedThroughput>) -> Result<Billing> {
    let pays_per_request = mode == Some("PAY_PER_REQUEST");
    match units {
        Some(_) if pays_per_request => Err(parameters(
            "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
        )),
        None if !pays_per_request => Err(parameters(
            "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
        )),
        units => {
            let throughput =
                units.map(|units| schema::throughput(units, None)).transpose()?.unwrap_or_default();
            Ok(Billing {
                on_demand: pays_per_request,
                shown: pays_per_request,
                to_on_demand: None,
                throughput,
            })
        }
    }
}

/// The key that a table is encrypted with beside AWS's own.
pub(crate) fn sse(cx: &Context, given: Option<&SSESpecification>) -> Result<Option<Sse>> {
    let Some(given) = given else { return Ok(None) };
    if given.sse_type.as_deref() == Some("AES256") {
        return Err(parameters("SSEType AES256 is not supported"));
    }
    if given.enabled != Some(true) {
        if given.kms_master_key_id.is_some() {
            return Err(parameters("KMSMasterKeyId cannot be specified when SSE is disabled"));
        }
        return Ok(None);
    }
    let key = match given.kms_master_key_id.as_deref() {
        Some(arn) if arn.starts_with("arn:") => arn.to_owned(),
        Some(id) => cx.arn("kms", format_args!("{}{id}", if id.starts_with("alias/") { "" } else { "key/" })),
        None => cx.arn("kms", "alias/aws/dynamodb"),
    };
    Ok(Some(Sse { key }))
}

/// The same with the ARN of the key itself, where KMS knows it.
///
/// Errors: a key that is not there.
pub(crate) async fn resolved(cx: &Context, sse: Option<Sse>) -> Result<Option<Sse>> {
    let Some(sse) = sse else { return Ok(None) };
    let input = DescribeKeyRequest { key_id: sse.key.clone(), ..Default::default() };
    let described = cx.cloud.call::<DescribeKey>(&cx.through("dynamodb.amazonaws.com"), input).await;
    let arn = match described {
        Ok(answer) => answer.key_metadata.and_then(|key| key.arn),
        Err(error) if error.code() == "NotFoundException" => {
            return Err(parameters(format_args!("KMS validation error: {}", error.message())));
        }
        // Whoever may not look at the key can still name it.
        Err(_) => None,
    };
    Ok(Some(Sse { key: arn.unwrap_or(sse.key) }))
}

/// Tags as a map. Errors: too many, or AWS's own prefix.
pub(crate) fn tags(given: &[Tag]) -> Result<BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    for tag in given {
        if !is_tag(&tag.key) || !is_tag(&tag.value) {
            return Err(parameters(format_args!(
                "Tag keys and values can contain only letters, whitespace, numbers and the characters + - = . _ : / @. \
                 Key: {}",
                tag.key
            )));
        }
        if tag.key.to_ascii_lowercase().starts_with("aws:") {
            return Err(parameters("One or more tag keys use the reserved prefix 'aws:'"));
        }
        if all.insert(tag.key.clone(), tag.value.clone()).is_some() {
            return Err(parameters(format_args!("Duplicate tag key: {}", tag.key)));
        }
    }
    check_tags(&all)?;
    Ok(all)
}

/// API Reference, `Tag`: the characters of keys and values.
fn is_tag(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || c.is_whitespace() || "_.:/=+-@".contains(c))
}

pub(crate) fn check_tags(all: &BTreeMap<String, String>) -> Result<()> {
    if all.len() > MOST_TAGS {
        return Err(parameters(format_args!("Too many tags: {}. Limit: {MOST_TAGS}", all.len())));
    }
    Ok(())
}

/// AWS's label of a stream: when it was made, to the millisecond, such as `2026-11-25T07:00:00.123`.
fn label(millis: i64) -> String {
    let at = time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000);
    let at = at.unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second(),
        at.millisecond()
    )
}

/// Gives the table a stream, with its first shard.
pub(crate) fn open_stream(tx: &mut Tx<'_>, table: &mut Table, view: View, now: i64) -> Result<(), Failure> {
    let number = tx.sequence(crate::SEQUENCE)?;
    let label = label(now);
    let first = tx.sequence(crate::streams::SEQUENCE)?;
    let stream = StreamOf {
        number,
        table: table.name.clone(),
        label: label.clone(),
        view,
        keys: table.keys.clone(),
        created: now,
        ended: None,
    };
    tx.put(&table.key().text(&label), &stream)?;
    tx.put(&Key::new().number(number).number(0), &Shard { first, opened: now })?;
    table.stream = Some(Stream { number, label, view, enabled: true });
    Ok(())
}

/// Ends the table's stream. Its records stay for a day.
pub(crate) fn close_stream(tx: &mut Tx<'_>, table: &mut Table, now: i64) -> Result<(), Failure> {
    let key = table.key();
    let Some(stream) = table.stream.as_mut().filter(|stream| stream.enabled) else { return Ok(()) };
    stream.enabled = false;
    let key = key.text(&stream.label);
    if let Some(mut of) = tx.get::<StreamOf>(&key)? {
        of.ended = Some(now);
        tx.put(&key, &of)?;
        let task = Task::Stream { key: key.as_bytes().to_vec(), number: stream.number };
        tx.emit(task.message(now + crate::streams::KEPT))?;
    }
    Ok(())
}

impl DynamoDb {
    /// Makes a table.
    ///
    /// Errors: `ValidationException`, `ResourceInUseException` for a table of that name, `LimitExceededException`.
    pub async fn create_table(&self, cx: &Context, input: CreateTableInput) -> Result<CreateTableOutput> {
        if input.vector_indexes.is_some() {
            return Err(Error::not_implemented_part("dynamodb:CreateTable VectorIndexes"));
        }
        if input.global_table_source_arn.is_some() || input.global_table_settings_replication_mode.is_some() {
            return Err(Error::not_implemented_part("dynamodb:CreateTable GlobalTableSourceArn"));
        }
        let place = new_place(cx, &input.table_name)?;
        let mut table = new_table(cx, &input)?;
        table.sse = resolved(cx, table.sse).await?;
        let view = schema::stream(input.stream_specification.as_ref())?;
        table.account = place.account;
        table.region = place.region;
        table.name = place.name;
        if let Some(document) = &input.resource_policy {
            crate::access::check_policy(cx, document)?;
            table.policy = Some(Policy { document: document.clone(), revision: cx.random().uuid() });
        }
        let table = self.make(cx, table, view).await?;
        let description = self.describe(&table, Phase::Creating, cx.millis())?;
        Ok(CreateTableOutput { table_description: Some(description), ..Default::default() })
    }

    /// Writes a new table, with its numbers and its stream.
    ///
    /// Errors: `ResourceInUseException` for a table of that name.
    pub(crate) async fn make(&self, cx: &Context, table: Table, view: Option<View>) -> Result<Table> {
        let key = table.key();
        let made = self.store.transact(|tx| {
            if tx.exists::<Table>(&key)? || tx.exists::<Coming>(&key)? {
                return Err(Failure(in_use(format!("Table already exists: {}", table.name))));
            }
            let mut table = table.clone();
            table.number = tx.sequence(crate::SEQUENCE)?;
            for index in table.locals.iter_mut().chain(&mut table.globals) {
                index.number = tx.sequence(crate::SEQUENCE)?;
            }
            if let Some(view) = view {
                open_stream(tx, &mut table, view, cx.millis())?;
            }
            tx.put(&key, &table)?;
            Ok(table)
        });
        Ok(made.await?)
    }

    /// Shows a table.
    ///
    /// Errors: `ResourceNotFoundException`.
    pub async fn describe_table(
        &self,
        cx: &Context,
        input: DescribeTableInput,
    ) -> Result<DescribeTableOutput> {
        let place = names::locate(cx, &input.table_name)?;
        let description = match (self.table_at(&place)?, self.coming(&place)?) {
            (Some(table), _) => self.describe(&table, Phase::Settled, cx.millis())?,
            (None, Some(coming)) => self.describe(&coming, Phase::Creating, cx.millis())?,
            (None, None) => return Err(no_table(&place.name)),
        };
        Ok(DescribeTableOutput { table: Some(description), ..Default::default() })
    }

    /// Lists the names of the tables.
    pub async fn list_tables(&self, cx: &Context, input: ListTablesInput) -> Result<ListTablesOutput> {
        let limit = usize::try_from(input.limit.unwrap_or(100)).unwrap_or(100);
        let mut range = place_key(&cx.account, &cx.region).prefix_range();
        if let Some(after) = &input.exclusive_start_table_name {
            range = range.after(&table_key(&cx.account, &cx.region, after));
        }
        // One more than asked for tells whether there are any.
        let mut names = BTreeSet::new();
        for row in self.store.table::<Table>().scan(range.clone(), false).take(limit + 1) {
            names.insert(row.map_err(stored)?.1.name);
        }
        for row in self.store.table::<Coming>().scan(range, false).take(limit + 1) {
            names.insert(row.map_err(stored)?.1.table.name);
        }
        let more = names.len() > limit;
        let names: Vec<_> = names.into_iter().take(limit).collect();
        let last = names.last().filter(|_| more).cloned();
        Ok(ListTablesOutput {
            table_names: Some(names),
            last_evaluated_table_name: last,
            ..Default::default()
        })
    }

    /// Deletes a table with all that belongs to it.
    ///
    /// Errors: `ResourceNotFoundException`, `ValidationException` while it is protected.
    pub async fn delete_table(&self, cx: &Context, input: DeleteTableInput) -> Result<DeleteTableOutput> {
        let found = self.control_table(cx, &input.table_name)?;
        let space = self.live.space(found.number);
        let _alone = space.gate.write().await;
        let key = found.key();
        let (items, bytes) = self.volume(found.number)?;
        let deleted = self.store.transact(|tx| {
            let mut table = tx.get::<Table>(&key)?.ok_or_else(|| crate::errors::no_table(&found.name))?;
            if table.protected {
                return Err(Failure(invalid(PROTECTED)));
            }
            if table.strong {
                return Err(Failure(invalid(crate::group::STRONG_TOGETHER)));
            }
            crate::group::leave(tx, &table)?;
            close_stream(tx, &mut table, cx.millis())?;
            tx.delete::<Table>(&key)?;
            let mut spaces: Vec<u64> =
                table.locals.iter().chain(&table.globals).map(|index| index.number).collect();
            match &table.history {
                // What can be restored to a point in time stays restorable for a while.
                Some(_) => crate::operations::backups::leave(cx, tx, &table, (items, bytes))?,
                None => spaces.push(table.number),
            }
            tx.emit(Task::Spaces { spaces, bytes }.message(cx.millis()))?;
            Ok(table)
        });
        let table = deleted.await?;
        let mut description = self.describe(&table, Phase::Deleting, cx.millis())?;
        description.warm_throughput = None;
        description.global_secondary_indexes = None;
        self.live.forget(table.number);
        Ok(DeleteTableOutput { table_description: Some(description), ..Default::default() })
    }
}

/// Where a table that is to be made will be. Its name may be given as an ARN of this account and region.
fn new_place(cx: &Context, name: &str) -> Result<names::Place> {
    let place = names::locate(cx, name)?;
    if !place.is_here(cx) {
        return Err(invalid("A table can be created only in the account and region that is called"));
    }
    names::check_new(&place.name)?;
    Ok(place)
}

/// A table out of a request, without place, numbers, stream and policy.
pub(crate) fn new_table(cx: &Context, input: &CreateTableInput) -> Result<Table> {
    let (Some(definitions), Some(key_schema)) = (&input.attribute_definitions, &input.key_schema) else {
        return Err(missing(input));
    };
    schema::check_lengths(key_schema, input.local_secondary_indexes.as_deref())?;
    let mut billing = billing(input.billing_mode.as_deref(), input.provisioned_throughput.as_ref())?;
    billing.to_on_demand = billing.on_demand.then(|| cx.millis());
    for index in input.global_secondary_indexes.iter().flatten() {
        if let Some(units) = &index.provisioned_throughput {
            schema::throughput(units, Some(&index.index_name))?;
        }
    }
    let attributes = schema::attributes(definitions);
    let keys = schema::table_keys(key_schema, &attributes)?;
    let mut names = BTreeSet::new();
    if input.local_secondary_indexes.is_none() && input.global_secondary_indexes.is_none() {
        schema::check_whole(&attributes, &keys, &[], &[])?;
    }
    let locals = schema::locals(input.local_secondary_indexes.as_deref(), &keys, &attributes, &mut names)?;
    let globals = schema::globals(
        input.global_secondary_indexes.as_deref(),
        &attributes,
        billing.on_demand,
        &mut names,
    )?;
    schema::check_whole(&attributes, &keys, &locals, &globals)?;
    schema::check_units(&billing.throughput)?;
    for index in &globals {
        schema::check_units(&index.throughput)?;
    }
    Ok(Table {
        id: cx.random().uuid(),
        created: cx.millis(),
        attributes,
        keys,
        locals,
        globals,
        on_demand: schema::on_demand(input.on_demand_throughput.as_ref(), None, billing.on_demand)?,
        warm: schema::warm(input.warm_throughput.as_ref())?,
        billing,
        class: input
            .table_class
            .as_deref()
            .map(|class| Class { infrequent: class == "STANDARD_INFREQUENT_ACCESS", changed: None }),
        sse: sse(cx, input.sse_specification.as_ref())?,
        protected: input.deletion_protection_enabled.unwrap_or(false),
        tags: tags(input.tags.as_deref().unwrap_or_default())?,
        ..Table::default()
    })
}

/// AWS's words for a request without key schema or definitions.
fn missing(input: &CreateTableInput) -> Error {
    let mut said = Vec::new();
    let null =
        |name: &str| format!("Value null at '{name}' failed to satisfy constraint: Member must not be null");
    if input.attribute_definitions.is_none() {
        said.push(null("attributeDefinitions"));
    }
    if input.key_schema.is_none() {
        said.push(null("keySchema"));
    }
    let n = said.len();
    let s = if n == 1 { "" } else { "s" };
    invalid(format!("{n} validation error{s} detected: {}", said.join("; ")))
}

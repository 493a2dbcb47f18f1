//! Changes of what a table is: throughput, indexes, stream, encryption, class, protection, replicas.

use crate::describe::Phase;
use crate::describe::lowered_today;
use crate::errors::{Failure, Result, in_use, invalid, limit, no_resource, no_table, parameters};
use crate::operations::tables::{close_stream, open_stream, resolved, sse};
use crate::purge::Task;
use crate::schema::NewGlobal;
use crate::state::{Class, Index, Sse, Table, Throughput};
use crate::{DynamoDb, schema};
use cloudlet_api_dynamodb::*;
use cloudlet_store::Tx;
use std::collections::BTreeSet;

const NOTHING: &str = "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, \
     GlobalSecondaryIndexUpdates, SSESpecification, ReplicaUpdates, MultiAccountReplicaReady, ReplicaTransitRoleArn, \
     MultiRegionConsistency, DeletionProtectionEnabled, OnDemandThroughput, WarmThroughput or TableClass is required";

const UNITS_WITH_REQUESTS: &str =
    "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST";

impl DynamoDb {
    /// Changes a table.
    ///
    /// Errors: `ResourceNotFoundException`, `ResourceInUseException`, `LimitExceededException`, `ValidationException`.
    pub async fn update_table(&self, cx: &Context, input: UpdateTableInput) -> Result<UpdateTableOutput> {
        check(&input)?;
        let found = self.control_table(cx, &input.table_name)?;
        let encrypted = resolved(cx, sse(cx, input.sse_specification.as_ref())?).await?;
        let members = self.alone(&found).await?;
        let found = members.table.clone();
        let limited = self.enforces();
        let key = found.key();
        let changed = self.store.transact(|tx| {
            let mut table = tx.get::<Table>(&key)?.ok_or_else(|| no_table(&found.name))?;
            let filling = table.globals.iter().any(|index| index.filling);
            if filling && changes_shape(&input) && !only_deletes_filling(&table, &input) {
                let message = format!(
                    "Attempt to change a resource which is still in use: Table is being updated: {}",
                    table.name
                );
                return Err(Failure(in_use(message)));
            }
            change_billing(&mut table, &input, cx.millis())?;
            let gone = change_indexes(&mut table, &input, cx.millis())?;
            if limited {
                crate::throughput::check_decreases(&found, &table, cx.millis())?;
            }
            for index in table.globals.iter_mut().filter(|index| index.number == 0) {
                index.number = tx.sequence(crate::SEQUENCE)?;
                index.filling = true;
                let task = Task::Fill { key: key.as_bytes().to_vec(), index: index.number };
                tx.emit(task.message(cx.millis()))?;
            }
            if let Some(spaces) = gone {
                tx.emit(Task::Spaces { spaces, bytes: 0 }.message(cx.millis()))?;
            }
            change_stream(tx, &mut table, &input, cx.millis())?;
            if input.sse_specification.is_some() {
                change_encryption(&mut table, encrypted.as_ref())?;
            }
            if let Some(class) = &input.table_class {
                let infrequent = class == "STANDARD_INFREQUENT_ACCESS";
                table.class = Some(Class { infrequent, changed: Some(cx.millis()) });
            }
            if let Some(protected) = input.deletion_protection_enabled {
                table.protected = protected;
            }
            if let Some(updates) = &input.replica_updates {
                crate::strong::before(tx, &mut table, &input)?;
                crate::group::change(cx, tx, &mut table, updates)?;
                crate::strong::after(tx, &mut table)?;
            }
            if let Some(protected) = input.disassociation_protection_enabled {
                crate::strong::protect(&mut table, protected)?;
            }
            if changes_members(&input) {
                crate::group::each_other(tx, &table, |tx, replica, other| {
                    crate::group::align(tx, &table, replica, other, cx.millis())
                })?;
            }
            tx.put(&key, &table)?;
            Ok(table)
        });
        let table = changed.await?;
        let mut description = self.describe(&table, Phase::Updating, cx.millis())?;
        super::under_way::replicas(&input, &mut description);
        self.show_before(&found, &input, &mut description, cx.millis())?;
        if changes_only_settings(&input) || same_mode(&found, &input) {
            description.table_status = Some("ACTIVE".to_owned());
        }
        Ok(UpdateTableOutput { table_description: Some(description), ..Default::default() })
    }
}

/// Whether an update needs the table to have come to rest.
fn changes_shape(input: &UpdateTableInput) -> bool {
    input.global_secondary_index_updates.as_ref().is_some_and(|updates| !updates.is_empty())
        || input.provisioned_throughput.is_some()
        || input.billing_mode.is_some()
        || input.replica_updates.is_some()
}

/// Whether an update changes what all members of a global table have in common.
fn changes_members(input: &UpdateTableInput) -> bool {
    input.global_secondary_index_updates.as_ref().is_some_and(|updates| !updates.is_empty())
        || input.provisioned_throughput.is_some()
        || input.billing_mode.is_some()
        || input.on_demand_throughput.is_some()
        || input.warm_throughput.is_some()
        || input.sse_specification.is_some()
}

/// Errors: what is so already.
fn change_encryption(table: &mut Table, wanted: Option<&Sse>) -> Result<()> {
    match (&table.sse, wanted) {
        (None, None) => return Err(parameters("Table is already encrypted by default")),
        (Some(now), Some(wanted)) if now.key == wanted.key => {
            return Err(parameters(format_args!(
                "Table is already encrypted with given KMSMasterKeyId: {}",
                now.key
            )));
        }
        _ => table.sse = wanted.cloned(),
    }
    Ok(())
}

/// Whether an update only deletes an index that is still being filled, which may be done at any time.
fn only_deletes_filling(table: &Table, input: &UpdateTableInput) -> bool {
    let updates = input.global_secondary_index_updates.as_deref().unwrap_or_default();
    let filling = |name: &str| table.global(name).is_some_and(|index| index.filling);
    !updates.is_empty()
        && updates
            .iter()
            .all(|update| update.delete.as_ref().is_some_and(|delete| filling(&delete.index_name)))
        && input.provisioned_throughput.is_none()
        && input.billing_mode.is_none()
        && input.replica_updates.is_none()
}

/// Whether a table is only told to be paid for as it is.
fn same_mode(table: &Table, input: &UpdateTableInput) -> bool {
    input.billing_mode.as_deref() == Some("PAY_PER_REQUEST")
        && table.billing.on_demand
        && input.global_secondary_index_updates.as_ref().is_none_or(Vec::is_empty)
        && input.stream_specification.is_none()
        && input.sse_specification.is_none()
        && input.table_class.is_none()
        && input.replica_updates.is_none()
}

/// What takes effect at once on AWS as well.
fn changes_only_settings(input: &UpdateTableInput) -> bool {
    input.deletion_protection_enabled.is_some()
        && !changes_shape(input)
        && input.stream_specification.is_none()
        && input.sse_specification.is_none()
        && input.table_class.is_none()
        && input.on_demand_throughput.is_none()
        && input.warm_throughput.is_none()
}

/// What is wrong with an update whatever the table is.
fn check(input: &UpdateTableInput) -> Result<()> {
    for (given, name) in [
        (input.vector_index_updates.is_some(), "VectorIndexUpdates"),
        (input.global_table_settings_replication_mode.is_some(), "GlobalTableSettingsReplicationMode"),
    ] {
        if given {
            return Err(Error::not_implemented_part(format_args!("dynamodb:UpdateTable {name}")));
        }
    }
    let updates = input.global_secondary_index_updates.as_deref().unwrap_or_default();
    let any = input.provisioned_throughput.is_some()
        || input.billing_mode.is_some()
        || !updates.is_empty()
        || input.stream_specification.is_some()
        || input.sse_specification.is_some()
        || input.replica_updates.is_some()
        || input.table_class.is_some()
        || input.deletion_protection_enabled.is_some()
        || input.on_demand_throughput.is_some()
        || input.warm_throughput.is_some()
        || input.multi_region_consistency.is_some()
        || input.global_table_witness_updates.is_some()
        || input.disassociation_protection_enabled.is_some();
    if !any {
        return Err(invalid(NOTHING));
    }
    crate::strong::check(input)?;
    if let Some(units) = &input.provisioned_throughput {
        if input.billing_mode.as_deref() == Some("PAY_PER_REQUEST") {
            return Err(parameters(UNITS_WITH_REQUESTS));
        }
        schema::throughput(units, None)?;
    }
    for update in updates {
        let units = update.update.as_ref().map(|u| (&u.index_name, u.provisioned_throughput.as_ref()));
        let made = update.create.as_ref().map(|c| (&c.index_name, c.provisioned_throughput.as_ref()));
        for (name, units) in units.into_iter().chain(made) {
            units.map(|units| schema::throughput(units, Some(name))).transpose()?;
        }
    }
    let mut names = BTreeSet::new();
    let mut made_or_deleted = 0;
    for update in updates {
        let given = [
            update.update.as_ref().map(|u| &u.index_name),
            update.create.as_ref().map(|c| &c.index_name),
            update.delete.as_ref().map(|d| &d.index_name),
        ];
        let mut given = given.into_iter().flatten();
        let (Some(name), None) = (given.next(), given.next()) else {
            return Err(parameters(
                "One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, \
                 GlobalSecondaryIndexUpdate.Delete must not be null",
            ));
        };
        if !names.insert(name.as_str()) {
            return Err(parameters(format_args!(
                "Only one global secondary index update per index is allowed simultaneously. Index: {name}"
            )));
        }
        made_or_deleted += usize::from(update.update.is_none());
    }
    if made_or_deleted > 1 {
        return Err(limit(
            "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table",
        ));
    }
    Ok(())
}

/// New units for old ones. Errors: no change.
fn change_units(
    old: &Throughput,
    given: &ProvisionedThroughput,
    what: &str,
    subject: &str,
    now: i64,
) -> Result<Throughput> {
    let new = schema::throughput(given, None)?;
    schema::check_units(&new)?;
    if (old.read, old.write) == (new.read, new.write) {
        return Err(invalid(format!(
            "The provisioned throughput for the {subject} will not change. The requested value equals the current value. \
             Current ReadCapacityUnits provisioned for the {what}: {}. Requested ReadCapacityUnits: {}. Current \
             WriteCapacityUnits provisioned for the {what}: {}. Requested WriteCapacityUnits: {}. Refer to the Amazon \
             DynamoDB Developer Guide for current limits and how to request higher limits.",
            old.read, new.read, old.write, new.write
        )));
    }
    let mut changed = Throughput { read: new.read, write: new.write, ..*old };
    if new.read > old.read || new.write > old.write {
        changed.increased = Some(now);
    }
    if new.read < old.read || new.write < old.write {
        changed.decreases = if lowered_today(old, now) { old.decreases + 1 } else { 1 };
        changed.decreased = Some(now);
    }
    Ok(changed)
}

fn change_billing(table: &mut Table, input: &UpdateTableInput, now: i64) -> Result<()> {
    let units = input.provisioned_throughput.as_ref();
    match input.billing_mode.as_deref() {
        Some("PAY_PER_REQUEST") if !table.billing.on_demand => {
            table.billing.on_demand = true;
            table.billing.shown = true;
            table.billing.to_on_demand = Some(now);
            // The units go down to none; of the decreases of a day that is none.
            let none = |of: &Throughput| {
                let decreases = if lowered_today(of, now) { of.decreases } else { 0 };
                Throughput { read: 0, write: 0, decreased: Some(now), decreases, ..*of }
            };
            table.billing.throughput = none(&table.billing.throughput);
            for index in &mut table.globals {
                index.throughput = none(&index.throughput);
            }
        }
        Some("PROVISIONED") if table.billing.on_demand => {
            let Some(units) = units else {
                return Err(parameters(
                    "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
                ));
            };
            table.billing.on_demand = false;
            table.billing.shown = true;
            table.billing.throughput = schema::throughput(units, None)?;
            table.billing.throughput.increased = Some(now);
            schema::check_units(&table.billing.throughput)?;
            table.on_demand = None;
            let updates = input.global_secondary_index_updates.as_deref().unwrap_or_default();
            for index in &table.globals {
                let mut given =
                    updates.iter().filter_map(|u| u.update.as_ref()).filter(|u| u.index_name == index.name);
                if given.next().is_none_or(|u| u.provisioned_throughput.is_none()) {
                    return Err(parameters(format_args!(
                        "ProvisionedThroughput must be specified for index: {}",
                        index.name
                    )));
                }
            }
        }
        _ => {
            if let Some(units) = units {
                if table.billing.on_demand {
                    return Err(parameters(UNITS_WITH_REQUESTS));
                }
                table.billing.throughput =
                    change_units(&table.billing.throughput, units, "table", "table", now)?;
            }
        }
    }
    if let Some(given) = &input.on_demand_throughput {
        table.on_demand = schema::on_demand(Some(given), table.on_demand, table.billing.on_demand)?;
    }
    if let Some(given) = &input.warm_throughput {
        table.warm = schema::warmer(Some(given), table.warm)?;
    }
    Ok(())
}

/// Changes the global indexes. New ones have no number yet. Gives the spaces of those that are gone.
fn change_indexes(table: &mut Table, input: &UpdateTableInput, now: i64) -> Result<Option<Vec<u64>>> {
    let mut gone = None;
    for update in input.global_secondary_index_updates.as_deref().unwrap_or_default() {
        if let Some(create) = &update.create {
            if table.global(&create.index_name).is_some() || table.local(&create.index_name).is_some() {
                return Err(invalid("Attempting to create an index which already exists"));
            }
            let index = new_index(table, create, input.attribute_definitions.as_deref())?;
            table.globals.push(index);
            schema::check_count(table.globals.len())?;
        }
        if let Some(delete) = &update.delete {
            let found = table.globals.iter().position(|index| index.name == delete.index_name);
            let index = table.globals.remove(found.ok_or_else(no_resource)?);
            gone = Some(vec![index.number]);
            forget_unused(table);
        }
        if let Some(change) = &update.update {
            let pays_per_request = table.billing.on_demand;
            let index = table.globals.iter_mut().find(|index| index.name == change.index_name);
            let index = index.ok_or_else(no_resource)?;
            if let Some(units) = &change.provisioned_throughput {
                if pays_per_request {
                    return Err(parameters(format_args!(
                        "ProvisionedThroughput should not be specified for index: {} when BillingMode is \
                         PAY_PER_REQUEST",
                        index.name
                    )));
                }
                let subject = format!("index {}", index.name);
                index.throughput = change_units(&index.throughput, units, "index", &subject, now)?;
            }
            if let Some(given) = &change.on_demand_throughput {
                index.on_demand = schema::on_demand(Some(given), index.on_demand, pays_per_request)?;
            }
            if let Some(given) = &change.warm_throughput {
                index.warm = schema::warmer(Some(given), index.warm)?;
            }
            if change.provisioned_throughput.is_none()
                && change.on_demand_throughput.is_none()
                && change.warm_throughput.is_none()
            {
                return Err(parameters(format_args!(
                    "At least one of ProvisionedThroughput, OnDemandThroughput or WarmThroughput must be specified for \
                     index: {}",
                    index.name
                )));
            }
        }
    }
    Ok(gone)
}

/// A new index, whose attributes become the table's.
fn new_index(
    table: &mut Table,
    create: &CreateGlobalSecondaryIndexAction,
    given: Option<&[AttributeDefinition]>,
) -> Result<Index> {
    let given = schema::attributes(given.unwrap_or_default());
    let mut defined = table.attributes.clone();
    for (name, kind) in &given {
        match defined.iter().find(|(known, _)| known == name) {
            Some((_, known)) if known != kind => {
                return Err(parameters(format_args!(
                    "Attribute {name} is already defined with type {}",
                    known.name()
                )));
            }
            Some(_) => {}
            None => defined.push((name.clone(), *kind)),
        }
    }
    let new = NewGlobal {
        name: &create.index_name,
        keys: &create.key_schema,
        projection: &create.projection,
        throughput: create.provisioned_throughput.as_ref(),
        on_demand: create.on_demand_throughput.as_ref(),
        warm: create.warm_throughput.as_ref(),
    };
    let index = schema::global(&new, &defined, table.billing.on_demand)?;
    schema::check_projected(table.locals.iter().chain(&table.globals).chain([&index]))?;
    table.attributes = defined;
    let mut used: Vec<&str> = table.keys.names().collect();
    for name in table.locals.iter().chain(&table.globals).chain([&index]).flat_map(|i| i.keys.names()) {
        if !used.contains(&name) {
            used.push(name);
        }
    }
    if given.iter().any(|(name, _)| !used.contains(&name.as_str())) {
        let names: Vec<&str> = table.attributes.iter().map(|(name, _)| name.as_str()).collect();
        return Err(parameters(format_args!(
            "Some AttributeDefinitions are not used. AttributeDefinitions: [{}], keys used: [{}]",
            names.join(", "),
            used.join(", ")
        )));
    }
    Ok(index)
}

/// Definitions that no key uses any more go with the index that used them.
fn forget_unused(table: &mut Table) {
    let Table { attributes, keys, locals, globals, .. } = table;
    attributes
        .retain(|(name, _)| keys.has(name) || locals.iter().chain(globals.iter()).any(|i| i.keys.has(name)));
}

fn change_stream(
    tx: &mut Tx<'_>,
    table: &mut Table,
    input: &UpdateTableInput,
    now: i64,
) -> Result<(), Failure> {
    let Some(given) = &input.stream_specification else { return Ok(()) };
    match schema::stream(Some(given))? {
        Some(_) if table.live_stream().is_some() => {
            Err(invalid(format!("Table already has an enabled stream: TableName: {}", table.name)).into())
        }
        Some(view) => open_stream(tx, table, view, now),
        None if !table.replicas.is_empty() => Err(invalid(format!(
            "The stream of a table that is part of a global table cannot be disabled: TableName: {}",
            table.name
        ))
        .into()),
        None if table.live_stream().is_none() => {
            Err(invalid(format!("Table has no stream to disable: TableName: {}", table.name)).into())
        }
        None => close_stream(tx, table, now),
    }
}

//! Global tables of the first version, over the same replication as those of the second; and what is said of their
//! scaling.
//! Source: Developer Guide, "Global tables version 2017.11.29 (Legacy)"; API Reference of the operations.

use crate::describe::time;
use crate::errors::{Failure, Result, invalid, stored};
use crate::names::Place;
use crate::state::{Class, GlobalTable, Replica, Stored, Table, Throughput, View, table_key};
use crate::{DynamoDb, keys, names, schema};
use cloudlet_api_dynamodb::*;
use cloudlet_store::{Key, Tx};
use std::collections::BTreeSet;

/// AWS: how many global tables one answer lists.
const PAGE: usize = 100;

fn global_key(account: &str, name: &str) -> Key {
    Key::new().text(account).text(name)
}

fn missing(name: &str) -> Error {
    GlobalTableNotFoundException::error(format!(
        "Global table not found: Global table with name: '{name}' does not exist."
    ))
}

fn no_member(name: &str, region: &str) -> Error {
    TableNotFoundException::error(format!(
        "Table not found: Table with name: '{name}' in region: '{region}' does not exist."
    ))
}

fn no_replica(name: &str, region: &str) -> Error {
    ReplicaNotFoundException::error(format!(
        "Replica not found: Replica in region: '{region}' of global table: '{name}' does not exist."
    ))
}

/// The regions of a list. Errors: a region that is missing, or there twice.
fn regions(group: &[cloudlet_api_dynamodb::Replica]) -> Result<Vec<String>> {
    let mut all = Vec::with_capacity(group.len());
    for replica in group {
        let region = replica.region_name.clone().filter(|region| !region.is_empty());
        let region = region.ok_or_else(|| invalid("RegionName must be specified for each replica"))?;
        if all.contains(&region) {
            return Err(invalid(format!("Duplicate replica region: {region}")));
        }
        all.push(region);
    }
    if all.is_empty() {
        return Err(invalid("ReplicationGroup must have at least one replica"));
    }
    Ok(all)
}

/// Errors: a table that cannot be a member. AWS: empty, with a stream of both images, in no other group.
fn check_member(tx: &mut Tx<'_>, table: &Table) -> Result<(), Failure> {
    let name = &table.name;
    let what = |why: &str| Failure(invalid(format!("Table '{name}' in region '{}' {why}", table.region)));
    if table.live_stream().is_none_or(|stream| stream.view != View::Both) {
        return Err(what("must have a stream that is enabled with StreamViewType NEW_AND_OLD_IMAGES"));
    }
    if !table.replicas.is_empty() && !table.legacy {
        return Err(what("is part of a global table of version 2019.11.21"));
    }
    if tx.scan::<Stored>(keys::space(table.number), false).next().transpose()?.is_some() {
        return Err(what("must be empty"));
    }
    Ok(())
}

/// What members of a group must have in common.
fn alike(one: &Table, other: &Table) -> bool {
    let indexes = |table: &Table| -> BTreeSet<String> {
        table
            .globals
            .iter()
            .map(|index| format!("{}{:?}{:?}", index.name, index.keys, index.projection))
            .collect()
    };
    let kinds = |table: &Table| -> Vec<_> { table.keys.names().map(|name| table.kind_of(name)).collect() };
    one.keys == other.keys && kinds(one) == kinds(other) && indexes(one) == indexes(other)
}

/// Makes tables know each other.
fn join(tx: &mut Tx<'_>, account: &str, global: &GlobalTable) -> Result<(), Failure> {
    for region in &global.regions {
        let key = table_key(account, region, &global.name);
        let mut table = tx.get::<Table>(&key)?.ok_or_else(|| no_member(&global.name, region))?;
        table.legacy = true;
        let others = global.regions.iter().filter(|other| *other != region);
        table.replicas = others
            .map(|other| {
                let known = table.replicas.iter().find(|replica| replica.region == *other).cloned();
                known.unwrap_or(Replica { region: other.clone(), ..Replica::default() })
            })
            .collect();
        tx.put(&key, &table)?;
    }
    tx.put(&global_key(account, &global.name), global)?;
    Ok(())
}

fn description(cx: &Context, global: &GlobalTable, status: &str) -> GlobalTableDescription {
    let group = global.regions.iter().map(|region| ReplicaDescription {
        region_name: Some(region.clone()),
        replica_status: Some("ACTIVE".to_owned()),
        ..Default::default()
    });
    let partition = names::partition(&cx.region);
    GlobalTableDescription {
        replication_group: Some(group.collect()),
        global_table_arn: Some(format!(
            "arn:{partition}:dynamodb::{}:global-table/{}",
            cx.account, global.name
        )),
        creation_date_time: Some(time(global.created)),
        global_table_status: Some(status.to_owned()),
        global_table_name: Some(global.name.clone()),
        ..Default::default()
    }
}

impl DynamoDb {
    fn global_table(&self, cx: &Context, name: &str) -> Result<GlobalTable> {
        let found = self.store.table::<GlobalTable>().get(&global_key(&cx.account, name)).map_err(stored)?;
        found.ok_or_else(|| missing(name))
    }

    /// The members of a group, and the gates that keep everybody else from changing items and tables meanwhile.
    async fn members(
        &self,
        cx: &Context,
        name: &str,
        regions: &[String],
    ) -> Result<Vec<tokio::sync::OwnedRwLockWriteGuard<()>>> {
        let mut numbers = Vec::with_capacity(regions.len());
        for region in regions {
            let place =
                Place { account: cx.account.to_string(), region: region.clone(), name: name.to_owned() };
            let number = self.table_at(&place)?.ok_or_else(|| no_member(name, region))?.number;
            numbers.push((place, number));
        }
        // In the order of those who hold several tables, so that no two callers wait for each other.
        numbers.sort();
        let mut gates = Vec::with_capacity(numbers.len());
        for (_, number) in numbers {
            gates.push(self.live.space(number).gate.clone().write_owned().await);
        }
        Ok(gates)
    }

    /// Makes one table of the tables of several regions.
    ///
    /// Errors: `GlobalTableAlreadyExistsException`, `TableNotFoundException`, `ValidationException`.
    pub async fn create_global_table(
        &self,
        cx: &Context,
        input: CreateGlobalTableInput,
    ) -> Result<CreateGlobalTableOutput> {
        let name = &input.global_table_name;
        let global = GlobalTable {
            name: name.clone(),
            created: cx.millis(),
            regions: regions(&input.replication_group)?,
        };
        let key = global_key(&cx.account, name);
        let there = || {
            GlobalTableAlreadyExistsException::error(format!(
                "Global table already exists: Global table with name: '{name}' already exists."
            ))
        };
        if self.store.table::<GlobalTable>().get(&key).map_err(stored)?.is_some() {
            return Err(there());
        }
        let _alone = self.members(cx, name, &global.regions).await?;
        let made = self.store.transact(|tx| {
            if tx.exists::<GlobalTable>(&key)? {
                return Err(Failure(there()));
            }
            let mut first: Option<Table> = None;
            for region in &global.regions {
                let at = table_key(&cx.account, region, name);
                let table = tx.get::<Table>(&at)?.ok_or_else(|| no_member(name, region))?;
                check_member(tx, &table)?;
                if first.as_ref().is_some_and(|first| !alike(first, &table)) {
                    return Err(invalid(format!(
                        "Tables '{name}' must have the same key schema and the same global secondary indexes in all regions"
                    ))
                    .into());
                }
                first.get_or_insert(table);
            }
            join(tx, &cx.account, &global)
        });
        made.await?;
        let description = description(cx, &global, "CREATING");
        Ok(CreateGlobalTableOutput { global_table_description: Some(description), ..Default::default() })
    }

    /// Adds and removes regions.
    ///
    /// Errors: `GlobalTableNotFoundException`, `ReplicaAlreadyExistsException`, `ReplicaNotFoundException`,
    /// `TableNotFoundException`, `ValidationException`.
    pub async fn update_global_table(
        &self,
        cx: &Context,
        input: UpdateGlobalTableInput,
    ) -> Result<UpdateGlobalTableOutput> {
        let name = &input.global_table_name;
        let known = self.global_table(cx, name)?;
        let mut all = known.regions.clone();
        let (mut added, mut removed) = (Vec::new(), Vec::new());
        for update in &input.replica_updates {
            match (&update.create, &update.delete) {
                (Some(create), None) => added.push(create.region_name.clone()),
                (None, Some(delete)) => removed.push(delete.region_name.clone()),
                _ => {
                    return Err(invalid(
                        "Exactly one of Create and Delete must be specified in a replica update",
                    ));
                }
            }
        }
        for region in &added {
            if all.contains(region) {
                return Err(ReplicaAlreadyExistsException::error(format!(
                    "Replica already exists: Replica in region: '{region}' of global table: '{name}' already exists."
                )));
            }
            all.push(region.clone());
        }
        if let Some(region) = removed.iter().find(|region| !known.regions.contains(region)) {
            return Err(no_replica(name, region));
        }
        let _alone = self.members(cx, name, &all).await?;
        let key = global_key(&cx.account, name);
        let changed = self.store.transact(|tx| {
            let mut global = tx.get::<GlobalTable>(&key)?.ok_or_else(|| missing(name))?;
            for region in &added {
                let at = table_key(&cx.account, region, name);
                let table = tx.get::<Table>(&at)?.ok_or_else(|| no_member(name, region))?;
                check_member(tx, &table)?;
                global.regions.push(region.clone());
            }
            for region in &removed {
                let at = table_key(&cx.account, region, name);
                if let Some(mut table) = tx.get::<Table>(&at)? {
                    table.legacy = false;
                    table.replicas.clear();
                    tx.put(&at, &table)?;
                }
            }
            global.regions.retain(|region| !removed.contains(region));
            join(tx, &cx.account, &global)?;
            if global.regions.is_empty() {
                tx.delete::<GlobalTable>(&key)?;
            }
            // What is in the group already comes to those who are new.
            if let Some(from) = known.regions.iter().find(|region| !removed.contains(region)) {
                for region in &added {
                    let key = table_key(&cx.account, from, name).as_bytes().to_vec();
                    let task = crate::purge::Task::Seed { key, region: region.clone() };
                    tx.emit(task.message(cx.millis()))?;
                }
            }
            Ok::<_, Failure>(global)
        });
        let global = changed.await?;
        let description = description(cx, &global, "UPDATING");
        Ok(UpdateGlobalTableOutput { global_table_description: Some(description), ..Default::default() })
    }

    /// Shows a global table.
    ///
    /// Errors: `GlobalTableNotFoundException`.
    pub async fn describe_global_table(
        &self,
        cx: &Context,
        input: DescribeGlobalTableInput,
    ) -> Result<DescribeGlobalTableOutput> {
        let global = self.global_table(cx, &input.global_table_name)?;
        let description = description(cx, &global, "ACTIVE");
        Ok(DescribeGlobalTableOutput { global_table_description: Some(description), ..Default::default() })
    }

    /// Lists global tables, of one region or all.
    pub async fn list_global_tables(
        &self,
        cx: &Context,
        input: ListGlobalTablesInput,
    ) -> Result<ListGlobalTablesOutput> {
        let mut range = Key::new().text(&cx.account).prefix_range();
        if let Some(after) = &input.exclusive_start_global_table_name {
            range = range.after(&global_key(&cx.account, after));
        }
        let limit = input.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(PAGE);
        let mut found: Vec<cloudlet_api_dynamodb::GlobalTable> = Vec::new();
        let mut last = None;
        for row in self.store.table::<GlobalTable>().scan(range, false) {
            let (_, global) = row.map_err(stored)?;
            if input.region_name.as_ref().is_some_and(|region| !global.regions.contains(region)) {
                continue;
            }
            if found.len() == limit {
                last = found.last().and_then(|global| global.global_table_name.clone());
                break;
            }
            let replica = |region: String| cloudlet_api_dynamodb::Replica {
                region_name: Some(region),
                ..Default::default()
            };
            found.push(cloudlet_api_dynamodb::GlobalTable {
                global_table_name: Some(global.name),
                replication_group: Some(global.regions.into_iter().map(replica).collect()),
                ..Default::default()
            });
        }
        Ok(ListGlobalTablesOutput {
            global_tables: Some(found),
            last_evaluated_global_table_name: last,
            ..Default::default()
        })
    }

    fn replica_settings(
        &self,
        cx: &Context,
        global: &GlobalTable,
    ) -> Result<Vec<ReplicaSettingsDescription>> {
        let mut all = Vec::with_capacity(global.regions.len());
        for region in &global.regions {
            let place =
                Place { account: cx.account.to_string(), region: region.clone(), name: global.name.clone() };
            let Some(table) = self.table_at(&place)? else { continue };
            all.push(settings(&table));
        }
        Ok(all)
    }

    /// Shows the settings of a global table by region.
    ///
    /// Errors: `GlobalTableNotFoundException`.
    pub async fn describe_global_table_settings(
        &self,
        cx: &Context,
        input: DescribeGlobalTableSettingsInput,
    ) -> Result<DescribeGlobalTableSettingsOutput> {
        let global = self.global_table(cx, &input.global_table_name)?;
        Ok(DescribeGlobalTableSettingsOutput {
            replica_settings: Some(self.replica_settings(cx, &global)?),
            global_table_name: Some(global.name),
            ..Default::default()
        })
    }

    /// Changes the settings of a global table, of all regions or of some.
    ///
    /// Errors: `GlobalTableNotFoundException`, `ReplicaNotFoundException`, `IndexNotFoundException`,
    /// `LimitExceededException`, `ValidationException`.
    pub async fn update_global_table_settings(
        &self,
        cx: &Context,
        input: UpdateGlobalTableSettingsInput,
    ) -> Result<UpdateGlobalTableSettingsOutput> {
        check_scaling(&input)?;
        let name = &input.global_table_name;
        let global = self.global_table(cx, name)?;
        for update in input.replica_settings_update.as_deref().unwrap_or_default() {
            if !global.regions.contains(&update.region_name) {
                return Err(no_replica(name, &update.region_name));
            }
        }
        let _alone = self.members(cx, name, &global.regions).await?;
        let changed = self.store.transact(|tx| {
            for region in &global.regions {
                let key = table_key(&cx.account, region, name);
                let mut table = tx.get::<Table>(&key)?.ok_or_else(|| no_member(name, region))?;
                change_settings(&mut table, &input, cx.millis())?;
                tx.put(&key, &table)?;
            }
            Ok::<_, Failure>(())
        });
        changed.await?;
        let mut shown = self.replica_settings(cx, &global)?;
        for replica in &mut shown {
            replica.replica_status = Some("UPDATING".to_owned());
        }
        Ok(UpdateGlobalTableSettingsOutput {
            replica_settings: Some(shown),
            global_table_name: Some(global.name),
            ..Default::default()
        })
    }

    /// Shows how the regions of a table scale by themselves: not at all, since nothing here does that.
    ///
    /// Errors: `ResourceNotFoundException`.
    pub async fn describe_table_replica_auto_scaling(
        &self,
        cx: &Context,
        input: DescribeTableReplicaAutoScalingInput,
    ) -> Result<DescribeTableReplicaAutoScalingOutput> {
        let table = self.control_table(cx, &input.table_name)?;
        let regions = std::iter::once(&table.region).chain(table.replicas.iter().map(|other| &other.region));
        let replicas = regions.map(|region| {
            let indexes =
                table.globals.iter().map(|index| ReplicaGlobalSecondaryIndexAutoScalingDescription {
                    index_name: Some(index.name.clone()),
                    index_status: Some(if index.filling { "CREATING" } else { "ACTIVE" }.to_owned()),
                    provisioned_read_capacity_auto_scaling_settings: Some(off()),
                    provisioned_write_capacity_auto_scaling_settings: Some(off()),
                    ..Default::default()
                });
            ReplicaAutoScalingDescription {
                region_name: Some(region.clone()),
                global_secondary_indexes: Some(indexes.collect()),
                replica_provisioned_read_capacity_auto_scaling_settings: Some(off()),
                replica_provisioned_write_capacity_auto_scaling_settings: Some(off()),
                replica_status: Some("ACTIVE".to_owned()),
                ..Default::default()
            }
        });
        Ok(DescribeTableReplicaAutoScalingOutput {
            table_auto_scaling_description: Some(TableAutoScalingDescription {
                table_name: Some(table.name.clone()),
                table_status: Some("ACTIVE".to_owned()),
                replicas: Some(replicas.collect()),
                ..Default::default()
            }),
            ..Default::default()
        })
    }
}

fn off() -> AutoScalingSettingsDescription {
    AutoScalingSettingsDescription { auto_scaling_disabled: Some(true), ..Default::default() }
}

fn settings(table: &Table) -> ReplicaSettingsDescription {
    let units = |units: i64| (!table.billing.on_demand).then_some(units);
    let indexes: Vec<_> = table
        .globals
        .iter()
        .map(|index| ReplicaGlobalSecondaryIndexSettingsDescription {
            index_name: index.name.clone(),
            index_status: Some(if index.filling { "CREATING" } else { "ACTIVE" }.to_owned()),
            provisioned_read_capacity_units: units(index.throughput.read),
            provisioned_write_capacity_units: units(index.throughput.write),
            provisioned_read_capacity_auto_scaling_settings: Some(off()),
            provisioned_write_capacity_auto_scaling_settings: Some(off()),
            ..Default::default()
        })
        .collect();
    ReplicaSettingsDescription {
        region_name: table.region.clone(),
        replica_status: Some("ACTIVE".to_owned()),
        replica_billing_mode_summary: table.billing.shown.then(|| BillingModeSummary {
            billing_mode: Some(
                if table.billing.on_demand { "PAY_PER_REQUEST" } else { "PROVISIONED" }.to_owned(),
            ),
            last_update_to_pay_per_request_date_time: table.billing.to_on_demand.map(time),
            ..Default::default()
        }),
        replica_provisioned_read_capacity_units: Some(table.billing.throughput.read),
        replica_provisioned_write_capacity_units: Some(table.billing.throughput.write),
        replica_provisioned_read_capacity_auto_scaling_settings: Some(off()),
        replica_provisioned_write_capacity_auto_scaling_settings: Some(off()),
        replica_global_secondary_index_settings: (!indexes.is_empty()).then_some(indexes),
        replica_table_class_summary: table.class.as_ref().map(|class| TableClassSummary {
            table_class: Some(
                if class.infrequent { "STANDARD_INFREQUENT_ACCESS" } else { "STANDARD" }.to_owned(),
            ),
            last_update_date_time: class.changed.map(time),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// Errors: to scale by itself, which nothing here does.
fn check_scaling(input: &UpdateGlobalTableSettingsInput) -> Result<()> {
    let indexes = input.global_table_global_secondary_index_settings_update.iter().flatten();
    let replicas = || input.replica_settings_update.iter().flatten();
    let of_indexes = replicas()
        .flat_map(|replica| replica.replica_global_secondary_index_settings_update.iter().flatten())
        .filter_map(|index| index.provisioned_read_capacity_auto_scaling_settings_update.as_ref());
    let all = input
        .global_table_provisioned_write_capacity_auto_scaling_settings_update
        .iter()
        .chain(indexes.filter_map(|i| i.provisioned_write_capacity_auto_scaling_settings_update.as_ref()))
        .chain(
            replicas()
                .filter_map(|r| r.replica_provisioned_read_capacity_auto_scaling_settings_update.as_ref()),
        )
        .chain(of_indexes);
    for update in all {
        if update.auto_scaling_disabled != Some(true) {
            return Err(Error::not_implemented_part(
                "dynamodb:UpdateGlobalTableSettings AutoScalingSettingsUpdate",
            ));
        }
    }
    Ok(())
}

fn change_settings(table: &mut Table, input: &UpdateGlobalTableSettingsInput, now: i64) -> Result<()> {
    match input.global_table_billing_mode.as_deref() {
        Some("PAY_PER_REQUEST") if !table.billing.on_demand => {
            table.billing.on_demand = true;
            table.billing.shown = true;
            table.billing.to_on_demand = Some(now);
            table.billing.throughput = Throughput::default();
            table.globals.iter_mut().for_each(|index| index.throughput = Throughput::default());
        }
        Some("PROVISIONED") if table.billing.on_demand => {
            table.billing.on_demand = false;
            table.billing.shown = true;
        }
        _ => {}
    }
    let mine =
        input.replica_settings_update.iter().flatten().find(|update| update.region_name == table.region);
    let writes = input.global_table_provisioned_write_capacity_units;
    let reads = mine.and_then(|mine| mine.replica_provisioned_read_capacity_units);
    if (writes.is_some() || reads.is_some()) && table.billing.on_demand {
        return Err(crate::errors::parameters(
            "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
        ));
    }
    table.billing.throughput.write = writes.unwrap_or(table.billing.throughput.write);
    table.billing.throughput.read = reads.unwrap_or(table.billing.throughput.read);
    if !table.billing.on_demand && (table.billing.throughput.read == 0 || table.billing.throughput.write == 0)
    {
        return Err(crate::errors::parameters(
            "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
        ));
    }
    schema::check_units(&table.billing.throughput)?;
    if let Some(class) = mine.and_then(|mine| mine.replica_table_class.as_deref()) {
        table.class = Some(Class { infrequent: class == "STANDARD_INFREQUENT_ACCESS", changed: Some(now) });
    }
    let no_index = |name: &str| {
        IndexNotFoundException::error(format!("Index not found: Index with name: '{name}' does not exist."))
    };
    for update in input.global_table_global_secondary_index_settings_update.iter().flatten() {
        let index = table.globals.iter_mut().find(|index| index.name == update.index_name);
        let index = index.ok_or_else(|| no_index(&update.index_name))?;
        index.throughput.write = update.provisioned_write_capacity_units.unwrap_or(index.throughput.write);
    }
    let of_mine = mine.and_then(|mine| mine.replica_global_secondary_index_settings_update.as_ref());
    for update in of_mine.into_iter().flatten() {
        let index = table.globals.iter_mut().find(|index| index.name == update.index_name);
        let index = index.ok_or_else(|| no_index(&update.index_name))?;
        index.throughput.read = update.provisioned_read_capacity_units.unwrap_or(index.throughput.read);
    }
    Ok(())
}

//! The members of a global table: who they are, how regions come and go, and what all of them have in common.
//! Source: Developer Guide, "Global tables: multi-active, multi-Region replication", version 2019.11.21: "Settings
//! synchronization"; API Reference, `ReplicationGroupUpdate`.

use crate::DynamoDb;
use crate::errors::{Failure, Result, invalid, parameters};
use crate::names::Place;
use crate::operations::tables::{close_stream, open_stream};
use crate::purge::Task;
use crate::state::{Class, GlobalTable, Index, Replica, ReplicaIndex, Sse, Table, View, table_key};
use cloudlet_api_dynamodb as api;
use cloudlet_service::{Context, Error};
use cloudlet_store::{Key, Tx};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::OwnedRwLockWriteGuard;

/// The gates of all members, held alone.
pub(crate) struct Members {
    /// The table that was asked for, as it is now.
    pub table: Arc<Table>,
    _gates: Vec<OwnedRwLockWriteGuard<()>>,
}

impl DynamoDb {
    /// Keeps everybody else from changing a table, its replicas and their items.
    ///
    /// Errors: `ResourceNotFoundException` for a table that is gone.
    pub(crate) async fn alone(&self, found: &Table) -> Result<Members> {
        let place = |region: &str| Place {
            account: found.account.clone(),
            region: region.to_owned(),
            name: found.name.clone(),
        };
        let mut known = found.replicas.iter().map(|other| other.region.clone()).collect::<Vec<_>>();
        loop {
            let mut places: Vec<Place> = known.iter().map(|region| place(region)).collect();
            places.push(place(&found.region));
            // In the order of those who hold several tables, so that no two callers wait for each other.
            places.sort();
            let mut gates = Vec::with_capacity(places.len());
            for place in &places {
                if let Some(table) = self.table_at(place)? {
                    gates.push(self.live.space(table.number).gate.clone().write_owned().await);
                }
            }
            let gone = || crate::errors::no_table(&found.name);
            let table = self.table_at(&place(&found.region))?.ok_or_else(gone)?;
            let now = table.replicas.iter().map(|other| other.region.clone()).collect::<Vec<_>>();
            if now == known {
                return Ok(Members { table, _gates: gates });
            }
            known = now;
        }
    }
}

/// AWS: a group that is consistent at all times has three members, or is none.
pub(crate) const STRONG_TOGETHER: &str = "The replicas and the witness of a global table with multi-Region strong \
    consistency can only be deleted together, until one table is left.";

/// Takes a table out of its group, because it is deleted.
pub(crate) fn leave(tx: &mut Tx<'_>, table: &Table) -> Result<(), Failure> {
    for replica in &table.replicas {
        let key = table_key(&table.account, &replica.region, &table.name);
        if let Some(mut other) = tx.get::<Table>(&key)? {
            other.replicas.retain(|replica| replica.region != table.region);
            other.may_leave &= !other.replicas.is_empty();
            tx.put(&key, &other)?;
        }
    }
    if table.legacy {
        let key = Key::new().text(&table.account).text(&table.name);
        if let Some(mut global) = tx.get::<GlobalTable>(&key)? {
            global.regions.retain(|region| *region != table.region);
            match global.regions.is_empty() {
                true => tx.delete::<GlobalTable>(&key)?,
                false => tx.put(&key, &global)?,
            }
        }
    }
    Ok(())
}

/// Changes every other member of a group. Does nothing to a table by itself, or to one of the first version, whose
/// members are tables of their own.
pub(crate) fn each_other(
    tx: &mut Tx<'_>,
    table: &Table,
    mut change: impl FnMut(&mut Tx<'_>, &Replica, &mut Table) -> Result<(), Failure>,
) -> Result<(), Failure> {
    for replica in table.replicas.iter().filter(|_| !table.legacy) {
        let key = table_key(&table.account, &replica.region, &table.name);
        if let Some(mut other) = tx.get::<Table>(&key)? {
            change(tx, replica, &mut other)?;
            tx.put(&key, &other)?;
        }
    }
    Ok(())
}

/// Gives a member what all members have in common: indexes, capacity, encryption's kind, time to live.
pub(crate) fn align(
    tx: &mut Tx<'_>,
    table: &Table,
    replica: &Replica,
    other: &mut Table,
    now: i64,
) -> Result<(), Failure> {
    other.attributes.clone_from(&table.attributes);
    other.billing.clone_from(&table.billing);
    other.on_demand = table.on_demand;
    other.warm = table.warm;
    other.ttl.clone_from(&table.ttl);
    // Whether with a key of DynamoDB's own or of the account's: which one is for each region to say.
    match (&table.sse, other.sse.is_some()) {
        (None, _) => other.sse = None,
        (Some(sse), false) => {
            other.sse = Some(Sse {
                key: replica.key.clone().unwrap_or_else(|| there(sse, &table.region, &other.region)),
            });
        }
        (Some(_), true) => {}
    }
    let (kept, gone): (Vec<Index>, Vec<Index>) =
        std::mem::take(&mut other.globals).into_iter().partition(|index| table.global(&index.name).is_some());
    if !gone.is_empty() {
        let spaces = gone.iter().map(|index| index.number).collect();
        tx.emit(Task::Spaces { spaces, bytes: 0 }.message(now))?;
    }
    let key = other.key();
    for index in &table.globals {
        let mut same = index.clone();
        match kept.iter().find(|known| known.name == index.name) {
            Some(known) => {
                same.number = known.number;
                same.filling = known.filling;
                same.insights.clone_from(&known.insights);
            }
            None => {
                same.number = tx.sequence(crate::SEQUENCE)?;
                same.filling = true;
                same.insights = None;
                let task = Task::Fill { key: key.as_bytes().to_vec(), index: same.number };
                tx.emit(task.message(now))?;
            }
        }
        other.globals.push(same);
    }
    own(replica, other);
    Ok(())
}

/// The same key in another region.
fn there(sse: &Sse, here: &str, region: &str) -> String {
    sse.key.replacen(&format!(":{here}:"), &format!(":{region}:"), 1)
}

/// What a member has for itself.
fn own(replica: &Replica, table: &mut Table) {
    if !table.billing.on_demand {
        table.billing.throughput.read = replica.reads.unwrap_or(table.billing.throughput.read);
    }
    if let Some(units) = replica.on_demand_reads {
        table.on_demand.get_or_insert_default().read = Some(units).filter(|units| *units > 0);
    }
    for index in &mut table.globals {
        let Some(of) = replica.indexes.get(&index.name) else { continue };
        if !table.billing.on_demand {
            index.throughput.read = of.reads.unwrap_or(index.throughput.read);
        }
        if let Some(units) = of.on_demand_reads {
            index.on_demand.get_or_insert_default().read = Some(units).filter(|units| *units > 0);
        }
    }
}

/// Adds, changes and removes regions.
pub(crate) fn change(
    cx: &Context,
    tx: &mut Tx<'_>,
    table: &mut Table,
    updates: &[api::ReplicationGroupUpdate],
) -> Result<(), Failure> {
    if table.legacy {
        return Err(invalid(format!(
            "This operation cannot be performed on global table '{}' of version 2017.11.29. Use UpdateGlobalTable instead.",
            table.name
        ))
        .into());
    }
    if updates.len() > 1 && updates.iter().any(|update| update.disassociate.is_some()) {
        return Err(parameters("A Disassociate action must be the only replica update in the request").into());
    }
    for update in updates {
        if let Some(away) = &update.disassociate {
            disassociate(tx, table, &away.region_name)?;
            continue;
        }
        match (&update.create, &update.update, &update.delete) {
            (Some(create), None, None) => add(cx, tx, table, create)?,
            (None, Some(update), None) => {
                not_here(table, &update.region_name)?;
                let settings = Settings::of_update(update);
                let at = table.replicas.iter_mut().find(|replica| replica.region == update.region_name);
                let replica = at.ok_or_else(no_replica)?;
                settings.apply(replica);
                let replica = replica.clone();
                each_other(tx, table, |_, to, other| {
                    if to.region == replica.region {
                        settings.own(&replica, other, cx.millis());
                    } else if let Some(known) =
                        other.replicas.iter_mut().find(|known| known.region == replica.region)
                    {
                        known.clone_from(&replica);
                    }
                    Ok(())
                })?;
            }
            (None, None, Some(delete)) => remove(cx, tx, table, &delete.region_name)?,
            _ => {
                return Err(parameters(
                    "One of ReplicationGroupUpdate.Create, ReplicationGroupUpdate.Update, ReplicationGroupUpdate.Delete \
                     must not be null",
                )
                .into());
            }
        }
    }
    Ok(())
}

/// What a member is asked to have for itself.
struct Settings<'a> {
    class: Option<&'a str>,
    key: Option<&'a str>,
    throughput: Option<&'a api::ProvisionedThroughputOverride>,
    on_demand: Option<&'a api::OnDemandThroughputOverride>,
    indexes: &'a [api::ReplicaGlobalSecondaryIndex],
}

impl<'a> Settings<'a> {
    fn of_create(create: &'a api::CreateReplicationGroupMemberAction) -> Self {
        Self {
            class: create.table_class_override.as_deref(),
            key: create.kms_master_key_id.as_deref(),
            throughput: create.provisioned_throughput_override.as_ref(),
            on_demand: create.on_demand_throughput_override.as_ref(),
            indexes: create.global_secondary_indexes.as_deref().unwrap_or_default(),
        }
    }

    fn of_update(update: &'a api::UpdateReplicationGroupMemberAction) -> Self {
        Self {
            class: update.table_class_override.as_deref(),
            key: update.kms_master_key_id.as_deref(),
            throughput: update.provisioned_throughput_override.as_ref(),
            on_demand: update.on_demand_throughput_override.as_ref(),
            indexes: update.global_secondary_indexes.as_deref().unwrap_or_default(),
        }
    }

    fn apply(&self, replica: &mut Replica) {
        let set = |to: &mut Option<i64>, units: Option<i64>| *to = units.or(*to);
        if let Some(class) = self.class {
            replica.class = Some(class.to_owned());
        }
        if let Some(key) = self.key {
            replica.key = Some(key.to_owned());
        }
        set(&mut replica.reads, self.throughput.and_then(|given| given.read_capacity_units));
        set(&mut replica.on_demand_reads, self.on_demand.and_then(|given| given.max_read_request_units));
        for index in self.indexes {
            let of: &mut ReplicaIndex = replica.indexes.entry(index.index_name.clone()).or_default();
            let units = index.provisioned_throughput_override.as_ref();
            set(&mut of.reads, units.and_then(|given| given.read_capacity_units));
            let units = index.on_demand_throughput_override.as_ref();
            set(&mut of.on_demand_reads, units.and_then(|given| given.max_read_request_units));
        }
    }

    /// Gives the member itself what it is to have.
    fn own(&self, replica: &Replica, table: &mut Table, now: i64) {
        if let Some(class) = self.class {
            let infrequent = class == "STANDARD_INFREQUENT_ACCESS";
            table.class = Some(Class { infrequent, changed: Some(now) });
        }
        if let Some(key) = self.key {
            table.sse = Some(Sse { key: key.to_owned() });
        }
        own(replica, table);
    }
}

fn no_replica() -> Error {
    invalid(
        "Update global table operation failed because one or more replicas were not part of the global table.",
    )
}

/// Errors: the region that is called.
fn not_here(table: &Table, region: &str) -> Result<()> {
    if *region == table.region {
        return Err(invalid(
            "Cannot add, delete, or update the local region through ReplicaUpdates. Use CreateTable, DeleteTable, or \
             UpdateTable as required.",
        ));
    }
    Ok(())
}

fn add(
    cx: &Context,
    tx: &mut Tx<'_>,
    table: &mut Table,
    create: &api::CreateReplicationGroupMemberAction,
) -> Result<(), Failure> {
    let region = &create.region_name;
    not_here(table, region)?;
    if !cloudlet_service::regions::exists(region) {
        return Err(invalid(format!("The Region '{region}' is not valid.")).into());
    }
    let key = table_key(&table.account, region, &table.name);
    if table.replicas.iter().any(|replica| replica.region == *region) || tx.exists::<Table>(&key)? {
        return Err(invalid(format!(
            "Failed to create a the new replica of table with name: '{}' because one or more replicas already existed as \
             tables.",
            table.name
        ))
        .into());
    }
    match table.live_stream() {
        // Where every write is everywhere at once, none is brought over from a stream.
        _ if table.strong => {}
        None => open_stream(tx, table, View::Both, cx.millis())?,
        Some(stream) if stream.view != View::Both => {
            return Err(invalid(format!(
                "Table '{}' must have a stream that is enabled with StreamViewType NEW_AND_OLD_IMAGES",
                table.name
            ))
            .into());
        }
        Some(_) => {}
    }
    let settings = Settings::of_create(create);
    let unknown = settings.indexes.iter().find(|index| table.global(&index.index_name).is_none());
    if let Some(index) = unknown {
        return Err(parameters(format_args!("Index {} is not part of the table", index.index_name)).into());
    }
    let plain = |region: &str| Replica { region: region.to_owned(), ..Replica::default() };
    let mut replica = plain(region);
    settings.apply(&mut replica);
    let mut twin = table.clone();
    twin.region.clone_from(region);
    twin.id = cx.random().uuid();
    twin.created = cx.millis();
    twin.replicas.push(plain(&table.region));
    twin.stream = None;
    twin.policy = None;
    twin.stream_policy = None;
    twin.history = None;
    twin.insights = None;
    twin.restored = None;
    twin.protected = false;
    twin.may_leave = false;
    twin.tags = BTreeMap::new();
    twin.destinations.clear();
    twin.number = tx.sequence(crate::SEQUENCE)?;
    for index in twin.locals.iter_mut().chain(&mut twin.globals) {
        index.number = tx.sequence(crate::SEQUENCE)?;
        index.filling = false;
        index.insights = None;
    }
    if let Some(sse) = &mut twin.sse {
        sse.key = there(sse, &table.region, region);
    }
    settings.own(&replica, &mut twin, cx.millis());
    if !table.strong {
        open_stream(tx, &mut twin, View::Both, cx.millis())?;
    }
    tx.put(&key, &twin)?;
    each_other(tx, table, |_, _, other| {
        other.replicas.push(replica.clone());
        Ok(())
    })?;
    table.replicas.push(replica);
    let task = Task::Seed { key: table.key().as_bytes().to_vec(), region: region.clone() };
    tx.emit(task.message(cx.millis()))?;
    Ok(())
}

/// Lets the member that is called leave the group and stay a table by itself.
fn disassociate(tx: &mut Tx<'_>, table: &mut Table, region: &str) -> Result<(), Failure> {
    if *region != table.region {
        return Err(invalid("Only the local replica can be disassociated from a global table.").into());
    }
    if table.replicas.is_empty() {
        return Err(no_replica().into());
    }
    if table.strong {
        return Err(invalid(STRONG_TOGETHER).into());
    }
    if !table.may_leave {
        return Err(invalid(
            "Replica cannot be disassociated as it is currently protected against disassociation. Disable \
             disassociation protection first.",
        )
        .into());
    }
    leave(tx, table)?;
    table.replicas.clear();
    table.may_leave = false;
    Ok(())
}

fn remove(cx: &Context, tx: &mut Tx<'_>, table: &mut Table, region: &str) -> Result<(), Failure> {
    not_here(table, region)?;
    if !table.replicas.iter().any(|replica| replica.region == region) {
        return Err(no_replica().into());
    }
    let key = table_key(&table.account, region, &table.name);
    if let Some(mut twin) = tx.get::<Table>(&key)? {
        if twin.protected {
            return Err(invalid(crate::operations::tables::PROTECTED).into());
        }
        close_stream(tx, &mut twin, cx.millis())?;
        let mut spaces = vec![twin.number];
        spaces.extend(twin.locals.iter().chain(&twin.globals).map(|index| index.number));
        tx.emit(Task::Spaces { spaces, bytes: 0 }.message(cx.millis()))?;
        tx.delete::<Table>(&key)?;
    }
    table.replicas.retain(|replica| replica.region != region);
    table.may_leave &= !table.replicas.is_empty();
    each_other(tx, table, |_, _, other| {
        other.replicas.retain(|replica| replica.region != region);
        Ok(())
    })
}

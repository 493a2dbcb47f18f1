//! Global tables that are consistent in all regions at all times: each write is one commit over all members.
//! Source: Developer Guide, "Multi-Region strong consistency (MRSC)"; API Reference, UpdateTable.

use crate::errors::{Failure, Result, invalid, parameters};
use crate::group::STRONG_TOGETHER;
use crate::keys;
use crate::state::{Stored, Table, table_key};
use cloudlet_api_dynamodb::UpdateTableInput;
use cloudlet_store::Tx;

/// AWS: the regions of such a table are all of one of these sets.
const SETS: [&[&str]; 3] = [
    &["us-east-1", "us-east-2", "us-west-2"],
    &["eu-west-1", "eu-west-2", "eu-west-3", "eu-central-1"],
    &["ap-northeast-1", "ap-northeast-2", "ap-northeast-3"],
];

/// AWS: how many replicas and witnesses it has.
const MEMBERS: usize = 3;

fn created(input: &UpdateTableInput) -> impl Iterator<Item = &str> {
    let updates = input.replica_updates.iter().flatten();
    updates.filter_map(|update| update.create.as_ref()).map(|create| create.region_name.as_str())
}

fn witnesses(input: &UpdateTableInput) -> impl Iterator<Item = (Option<&str>, Option<&str>)> {
    input.global_table_witness_updates.iter().flatten().map(|update| {
        let create = update.create.as_ref().map(|create| create.region_name.as_str());
        (create, update.delete.as_ref().map(|delete| delete.region_name.as_str()))
    })
}

/// What is wrong with an update whatever the table is.
pub(crate) fn check(input: &UpdateTableInput) -> Result<()> {
    if input.multi_region_consistency.is_some() && created(input).next().is_none() {
        return Err(parameters(
            "MultiRegionConsistency can only be specified together with Create actions in ReplicaUpdates",
        ));
    }
    let updates = input.global_table_witness_updates.as_deref().unwrap_or_default();
    if updates.len() > 1 {
        return Err(parameters("Only one witness can be created or deleted in an UpdateTable operation"));
    }
    for (create, delete) in witnesses(input) {
        if create.is_some() == delete.is_some() {
            return Err(parameters(
                "One of GlobalTableWitnessGroupUpdate.Create, GlobalTableWitnessGroupUpdate.Delete must not be null",
            ));
        }
        if create.is_some() && input.multi_region_consistency.as_deref() != Some("STRONG") {
            return Err(parameters("A witness can only be created when MultiRegionConsistency is STRONG"));
        }
        if input.replica_updates.is_none() {
            return Err(invalid(STRONG_TOGETHER));
        }
    }
    let others = [
        input.provisioned_throughput.is_some(),
        input.billing_mode.is_some(),
        input.global_secondary_index_updates.is_some(),
        input.stream_specification.is_some(),
        input.sse_specification.is_some(),
        input.replica_updates.is_some(),
        input.table_class.is_some(),
        input.deletion_protection_enabled.is_some(),
        input.on_demand_throughput.is_some(),
        input.warm_throughput.is_some(),
    ];
    if input.disassociation_protection_enabled.is_some() && others.contains(&true) {
        return Err(parameters(
            "DisassociationProtectionEnabled cannot be combined with any other change in the same UpdateTable request",
        ));
    }
    Ok(())
}

/// Before regions come or go: whether the table can become one of three, or what it may lose.
pub(crate) fn before(tx: &mut Tx<'_>, table: &mut Table, input: &UpdateTableInput) -> Result<(), Failure> {
    let added = witnesses(input).find_map(|(create, _)| create);
    let removed = witnesses(input).find_map(|(_, delete)| delete);
    if input.multi_region_consistency.as_deref() == Some("STRONG") {
        if !table.replicas.is_empty() {
            return Err(invalid("The consistency mode of a global table cannot be changed.").into());
        }
        let regions: Vec<&str> =
            std::iter::once(table.region.as_str()).chain(created(input)).chain(added).collect();
        if regions.len() != MEMBERS {
            return Err(invalid(
                "A global table with multi-Region strong consistency must be deployed in exactly three Regions: as three \
                 replicas, or as two replicas and one witness.",
            )
            .into());
        }
        if !SETS.iter().any(|set| regions.iter().all(|region| set.contains(region))) {
            return Err(invalid(
                "All Regions of a global table with multi-Region strong consistency must belong to the same Region set.",
            )
            .into());
        }
        let unfit = [
            (!table.locals.is_empty(), "has local secondary indexes"),
            (table.ttl.as_ref().is_some_and(|ttl| ttl.enabled), "has Time to Live enabled"),
            (
                tx.scan::<Stored>(keys::space(table.number), false).next().transpose()?.is_some(),
                "is not empty",
            ),
        ];
        if let Some((_, why)) = unfit.iter().find(|(unfit, _)| *unfit) {
            return Err(invalid(format!(
                "Table '{}' cannot be part of a global table with multi-Region strong consistency because it {why}.",
                table.name
            ))
            .into());
        }
        table.strong = true;
        table.witness = added.map(str::to_owned);
    } else if table.strong && created(input).next().is_some() {
        return Err(invalid(STRONG_TOGETHER).into());
    }
    if let Some(region) = removed {
        if table.witness.as_deref() != Some(region) {
            return Err(invalid(format!("There is no witness of the global table in {region}.")).into());
        }
        table.witness = None;
    }
    Ok(())
}

/// After regions have come or gone: three are left, or one. All members know the witness.
pub(crate) fn after(tx: &mut Tx<'_>, table: &mut Table) -> Result<(), Failure> {
    if !table.strong {
        return Ok(());
    }
    match 1 + table.replicas.len() + usize::from(table.witness.is_some()) {
        1 => table.strong = false,
        MEMBERS => {}
        _ => return Err(invalid(STRONG_TOGETHER).into()),
    }
    for replica in &table.replicas {
        let key = table_key(&table.account, &replica.region, &table.name);
        if let Some(mut other) = tx.get::<Table>(&key)? {
            other.witness.clone_from(&table.witness);
            tx.put(&key, &other)?;
        }
    }
    Ok(())
}

/// Whether a member may leave its group and stay.
pub(crate) fn protect(table: &mut Table, protected: bool) -> Result<()> {
    if table.replicas.is_empty() || table.strong || table.legacy {
        return Err(invalid(
            "DisassociationProtectionEnabled can only be specified for a replica of a global table with multi-Region \
             eventual consistency.",
        ));
    }
    table.may_leave = !protected;
    Ok(())
}

/// Errors: what such tables do not offer.
pub(crate) fn refuse(table: &Table, what: &str) -> Result<()> {
    if table.strong {
        return Err(invalid(format!(
            "{what} is not supported for global tables with multi-Region strong consistency: {}",
            table.name
        )));
    }
    Ok(())
}

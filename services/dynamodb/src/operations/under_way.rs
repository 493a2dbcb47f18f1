//! What the answer of an update shows of what it has begun: indexes and replicas as they were, and what happens to them.

use crate::DynamoDb;
use crate::describe::Phase;
use crate::errors::Result;
use crate::state::Table;
use cloudlet_api_dynamodb::*;

impl DynamoDb {
    /// Shows the table's units and the indexes that are being changed or deleted as they were, and what happens to them.
    pub(super) fn show_before(
        &self,
        found: &Table,
        input: &UpdateTableInput,
        description: &mut TableDescription,
        now: i64,
    ) -> Result<()> {
        let before = self.describe(found, Phase::Settled, now)?;
        // The units are those of before until the table is active again.
        description.provisioned_throughput = before.provisioned_throughput;
        let mode =
            |summary: Option<&BillingModeSummary>| summary.and_then(|summary| summary.billing_mode.clone());
        let switches =
            mode(before.billing_mode_summary.as_ref()) != mode(description.billing_mode_summary.as_ref());
        if let Some(summary) = description.billing_mode_summary.as_mut().filter(|_| switches) {
            let known = before.billing_mode_summary.as_ref();
            summary.last_update_to_pay_per_request_date_time =
                known.and_then(|known| known.last_update_to_pay_per_request_date_time);
        }
        let before = before.global_secondary_indexes.unwrap_or_default();
        let updates = input.global_secondary_index_updates.iter().flatten();
        let named = updates.filter_map(|update| {
            let changed = update.update.as_ref().map(|update| (update.index_name.as_str(), "UPDATING"));
            let deleted = update.delete.as_ref().map(|delete| (delete.index_name.as_str(), "DELETING"));
            changed.or(deleted)
        });
        // All indexes switch with their table.
        let all = before
            .iter()
            .filter(|_| switches)
            .filter_map(|index| Some((index.index_name.as_deref()?, "UPDATING")));
        for (name, status) in all.chain(named) {
            let of = |index: &&GlobalSecondaryIndexDescription| index.index_name.as_deref() == Some(name);
            let Some(mut old) = before.iter().find(of).cloned() else { continue };
            old.index_status = Some(status.to_owned());
            if let Some(warm) = &mut old.warm_throughput {
                warm.status = Some(status.to_owned());
            }
            let shown = description.global_secondary_indexes.get_or_insert_default();
            match shown.iter_mut().find(|index| index.index_name.as_deref() == Some(name)) {
                Some(index) => *index = old,
                None => shown.push(old),
            }
        }
        Ok(())
    }
}

/// Shows what happens to replicas.
pub(super) fn replicas(input: &UpdateTableInput, description: &mut TableDescription) {
    for update in input.replica_updates.iter().flatten() {
        let created = update.create.as_ref().map(|create| (&create.region_name, "CREATING"));
        let updated = update.update.as_ref().map(|update| (&update.region_name, "UPDATING"));
        let deleted = update.delete.as_ref().map(|delete| (&delete.region_name, "DELETING"));
        let Some((region, status)) = created.or(updated).or(deleted) else { continue };
        let shown = description.replicas.get_or_insert_default();
        match shown.iter_mut().find(|replica| replica.region_name.as_ref() == Some(region)) {
            Some(replica) => replica.replica_status = Some(status.to_owned()),
            None => shown.push(ReplicaDescription {
                region_name: Some(region.clone()),
                replica_status: Some(status.to_owned()),
                ..Default::default()
            }),
        }
    }
}

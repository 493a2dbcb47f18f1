//! What exports and imports have alike: how they are kept, how they end, and that they go on after a restart.

use crate::errors::{Failure, Result, stored};
use crate::state::{Coming, Table, Transfer, place_key};
use crate::{DynamoDb, names};
use cloudlet_api_dynamodb::*;
use cloudlet_store::{Key, Store};

pub(crate) fn transfer_key(account: &str, region: &str, kind: &str, id: &str) -> Key {
    place_key(account, region).text(kind).text(id)
}

/// The id of a new export or import.
pub(crate) fn transfer_id(cx: &Context) -> String {
    format!("{:014}-{}", cx.millis(), cx.random().text(8, b"0123456789abcdef"))
}

/// Writes down how a transfer has ended.
pub(crate) async fn end(store: &Store, key: &Key, change: impl Fn(&mut Transfer) + Send + Sync) {
    let ended = store.transact(|tx| {
        if let Some(mut transfer) = tx.get::<Transfer>(key)? {
            change(&mut transfer);
            tx.put(key, &transfer)?;
        }
        Ok::<_, Failure>(())
    });
    if let Err(Failure(error)) = ended.await {
        tracing::warn!(%error, "the end of a transfer could not be written down");
    }
}

impl DynamoDb {
    /// A transfer as it is; one that another run of the program had begun and that cannot go on has failed.
    pub(crate) fn seen(&self, mut transfer: Transfer) -> Transfer {
        if transfer.status == "IN_PROGRESS" && transfer.run != *self.run && transfer.caller.is_none() {
            transfer.status = "FAILED".to_owned();
            transfer.failure = Some((
                "InternalServerError".to_owned(),
                "The program ended while it was at work.".to_owned(),
            ));
        }
        transfer
    }

    /// Goes on with the restores, exports and imports that the last run of the program has not ended.
    pub(crate) async fn resume_transfers(&self) -> Result<()> {
        for row in self.store.table::<Coming>().scan(cloudlet_store::KeyRange::all(), false) {
            let (key, coming) = row.map_err(stored)?;
            if coming.from.is_some() {
                self.begin_restore(coming);
            } else if !self.is_imported(&coming.table)? {
                self.store.transact(|tx| Ok::<_, Failure>(tx.delete::<Coming>(&key)?)).await?;
            }
        }
        let rows = self.store.table::<Transfer>().scan(cloudlet_store::KeyRange::all(), false);
        for row in rows {
            let (key, mut transfer) = row.map_err(stored)?;
            if transfer.status != "IN_PROGRESS" || transfer.run == *self.run {
                continue;
            }
            let Some(caller) = transfer.caller.clone() else { continue };
            let Some(place) = names::of_arn(&transfer.table) else { continue };
            transfer.run = self.run.to_string();
            self.store.transact(|tx| Ok::<_, Failure>(tx.put(&key, &transfer)?)).await?;
            let cx = self.cloud.context(caller.principal(), &place.account, &place.region);
            match transfer.into.is_some() {
                true => self.begin_import(cx, key, transfer),
                false => self.begin_export(cx, key, transfer),
            }
        }
        Ok(())
    }

    /// Whether there is an import that can go on to fill the table.
    fn is_imported(&self, table: &Table) -> Result<bool> {
        let range = place_key(&table.account, &table.region).text("import").prefix_range();
        for row in self.store.table::<Transfer>().scan(range, true) {
            let (_, transfer) = row.map_err(stored)?;
            if transfer.table_id == table.id {
                return Ok(transfer.status == "IN_PROGRESS" && transfer.caller.is_some());
            }
        }
        Ok(false)
    }

    /// The exports or imports of the caller's account and region, of one table or all.
    pub(super) fn transfers(&self, cx: &Context, kind: &str, table: Option<&str>) -> Result<Vec<Transfer>> {
        let range = place_key(&cx.account, &cx.region).text(kind).prefix_range();
        let mut all = Vec::new();
        for row in self.store.table::<Transfer>().scan(range, false) {
            let (_, transfer) = row.map_err(stored)?;
            if table.is_none_or(|arn| *arn == transfer.table) {
                all.push(self.seen(transfer));
            }
        }
        Ok(all)
    }
}

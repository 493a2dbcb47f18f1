//! Backups, and tables made of them or of a table's past.
//! Source: Developer Guide, "On-demand backup and restore", "Point-in-time backups"; API Reference of the operations.

use crate::change::projected;
use crate::describe::{DAY, key_schema, on_demand, projection, time};
use crate::errors::{Failure, Result, invalid, stored};
use crate::names::{self, Place};
use crate::purge::Task;
use crate::state::{Backup, Coming, Index, Stored, Table, Undo, place_key};
use crate::value::{Item, size};
use crate::{DynamoDb, keys};
use cloudlet_api_dynamodb::*;
use cloudlet_store::{Key, KeyRange, Store, Tx};
use std::collections::HashMap;
use tokio::runtime::Handle;

/// How many items one transaction copies.
const BATCH: usize = 200;

/// A backup's ARN.
fn arn(table: &Table, id: &str) -> String {
    format!("{}/backup/{id}", table.arn())
}

fn missing(arn: &str) -> Error {
    BackupNotFoundException::error(format!("Backup not found: {arn}"))
}

/// Where a backup is, out of its ARN.
fn locate(arn: &str) -> Option<(Place, String)> {
    let mut place = names::of_arn(arn)?;
    let (table, id) = place.name.split_once("/backup/")?;
    let (table, id) = (table.to_owned(), id.to_owned());
    place.name = table;
    Some((place, id))
}

/// AWS: how long the backup of a deleted table is kept, in days.
const LEFT: i64 = 35;

/// Leaves a backup of a table that is deleted, made of the very items that it held.
pub(crate) fn leave(
    cx: &Context,
    tx: &mut Tx<'_>,
    table: &Table,
    (items, bytes): (i64, i64),
) -> Result<(), Failure> {
    let now = cx.millis();
    let backup = Backup {
        number: table.number,
        id: format!("{now:014}-{}", cx.random().text(8, b"0123456789abcdef")),
        name: format!("{}$DeletedTableBackup", table.name),
        created: now,
        bytes,
        items,
        table: table.clone(),
        expires: Some(now + LEFT * DAY),
    };
    let key = place_key(&table.account, &table.region).text(&backup.id);
    tx.put(&key, &backup)?;
    tx.emit(Task::History { number: table.number, until: None }.message(now))?;
    let task = Task::Backup { key: key.as_bytes().to_vec(), number: table.number };
    tx.emit(task.message(now + LEFT * DAY))?;
    Ok(())
}

fn kind(backup: &Backup) -> String {
    if backup.expires.is_some() { "SYSTEM" } else { "USER" }.to_owned()
}

fn backup_key(place: &Place, id: &str) -> Key {
    place_key(&place.account, &place.region).text(id)
}

/// The same key in another space.
fn moved(key: &Key, space: u64) -> Key {
    let tail = key.as_bytes().get(8..).unwrap_or_default();
    Key::new().number(space).raw_tail(tail)
}

/// Whose items are read.
#[derive(Clone, Copy)]
pub(crate) enum From {
    /// The items of a space as they are.
    Now(u64),
    /// The items of a table as they were.
    Then(u64, i64),
}

/// Shows all items as they are, or were, at one instant.
pub(crate) fn each_item(
    store: &Store,
    from: From,
    mut show: impl FnMut(Key, Stored) -> Result<(), Failure>,
) -> Result<(), Failure> {
    store.read(|snapshot| {
        let (space, mut before) = match from {
            From::Now(space) => (space, HashMap::new()),
            From::Then(space, at) => {
                // The first thing noted of an item after that time is what it was at it.
                let mut before: HashMap<Vec<u8>, Option<Item>> = HashMap::new();
                let start = Key::new().number(space).number(at.unsigned_abs() + 1);
                for row in snapshot.scan::<Undo>(keys::space(space).from(&start), false) {
                    let (_, undo) = row?;
                    before.entry(undo.key).or_insert(undo.old);
                }
                (space, before)
            }
        };
        for row in snapshot.scan::<Stored>(keys::space(space), false) {
            let (key, item) = row?;
            match before.remove(key.as_bytes()) {
                Some(Some(old)) => show(key, Stored(old))?,
                Some(None) => {}
                None => show(key, item)?,
            }
        }
        for (key, old) in before {
            if let Some(old) = old {
                show(Key::from_bytes(key), Stored(old))?;
            }
        }
        Ok(())
    })
}

/// Copies items in small transactions. Gives how many and how large they were.
fn copy(
    store: &Store,
    handle: &Handle,
    from: From,
    to: u64,
    entries: &(Table, Vec<Index>),
) -> Result<(i64, i64), Failure> {
    let mut batch: Vec<(Key, Stored)> = Vec::with_capacity(BATCH);
    let (mut items, mut bytes) = (0, 0);
    let mut flush = |batch: &mut Vec<(Key, Stored)>| -> Result<(), Failure> {
        for (_, item) in batch.iter() {
            items += 1;
            bytes += i64::try_from(size::item(&item.0)).unwrap_or(0);
        }
        let full = std::mem::take(batch);
        handle.block_on(store.transact(|tx| {
            for (key, item) in &full {
                tx.put(&moved(key, to), item)?;
                for index in &entries.1 {
                    if let Some(at) = keys::entry(&entries.0, index, &item.0) {
                        tx.put(&at, &Stored(projected(&entries.0, index, &item.0)))?;
                    }
                }
            }
            Ok::<_, Failure>(())
        }))
    };
    each_item(store, from, |key, item| {
        batch.push((key, item));
        if batch.len() >= BATCH { flush(&mut batch) } else { Ok(()) }
    })?;
    flush(&mut batch)?;
    Ok((items, bytes))
}

/// What is said of a backup that is at work.
const IN_USE: &str = "There is another ongoing conflicting backup control plane operation on the table. The backup is \
    either being created, deleted or restored to a table.";

impl DynamoDb {
    /// Copies in a thread of its own, because it takes as long as the table is large.
    pub(super) async fn copied(
        &self,
        from: From,
        to: u64,
        entries: (Table, Vec<Index>),
    ) -> Result<(i64, i64)> {
        let (store, handle) = (self.store.clone(), Handle::current());
        let copied = tokio::task::spawn_blocking(move || copy(&store, &handle, from, to, &entries));
        match copied.await {
            Ok(copied) => Ok(copied?),
            Err(error) => Err(Error::internal(error)),
        }
    }

    pub(crate) async fn new_number(&self) -> Result<u64> {
        Ok(self.store.transact(|tx| Ok::<_, Failure>(tx.sequence(crate::SEQUENCE)?)).await?)
    }

    /// Makes a backup of a table.
    ///
    /// Errors: `TableNotFoundException`.
    pub async fn create_backup(&self, cx: &Context, input: CreateBackupInput) -> Result<CreateBackupOutput> {
        let table = self.backed_up(cx, &input.table_name)?;
        let number = self.new_number().await?;
        // Items are copied as they are at one instant: no change waits for the copy.
        let nothing = ((*table).clone(), Vec::new());
        let (items, bytes) = self.copied(From::Now(table.number), number, nothing).await?;
        let backup = Backup {
            number,
            id: format!("{:014}-{}", cx.millis(), cx.random().text(8, b"0123456789abcdef")),
            name: input.backup_name,
            created: cx.millis(),
            bytes,
            items,
            table: (*table).clone(),
            expires: None,
        };
        let place =
            Place { account: table.account.clone(), region: table.region.clone(), name: table.name.clone() };
        let key = backup_key(&place, &backup.id);
        self.store.transact(|tx| Ok::<_, Failure>(tx.put(&key, &backup)?)).await?;
        let details = details(&backup, "CREATING");
        Ok(CreateBackupOutput { backup_details: Some(details), ..Default::default() })
    }

    pub(crate) fn backup(&self, arn: &str) -> Result<(Key, Backup)> {
        let Some((place, id)) = locate(arn) else {
            return Err(invalid(format!("Invalid Request: Invalid BackupArn: {arn}")));
        };
        let key = backup_key(&place, &id);
        let found = self.store.table::<Backup>().get(&key).map_err(stored)?;
        let found = found.filter(|backup| backup.table.name == place.name);
        Ok((key, found.ok_or_else(|| missing(arn))?))
    }

    /// Shows a backup.
    ///
    /// Errors: `BackupNotFoundException`.
    pub async fn describe_backup(
        &self,
        _: &Context,
        input: DescribeBackupInput,
    ) -> Result<DescribeBackupOutput> {
        let (_, backup) = self.backup(&input.backup_arn)?;
        let description = description(&backup, "AVAILABLE");
        Ok(DescribeBackupOutput { backup_description: Some(description), ..Default::default() })
    }

    /// Deletes a backup.
    ///
    /// Errors: `BackupNotFoundException`.
    pub async fn delete_backup(&self, cx: &Context, input: DeleteBackupInput) -> Result<DeleteBackupOutput> {
        let (key, backup) = self.backup(&input.backup_arn)?;
        let deleted = self.store.transact(|tx| {
            for row in tx.scan::<Coming>(KeyRange::all(), false) {
                if row?.1.from == Some((backup.number, None)) {
                    return Err(Failure(BackupInUseException::error(IN_USE)));
                }
            }
            tx.delete::<Backup>(&key)?;
            tx.emit(Task::Spaces { spaces: vec![backup.number], bytes: backup.bytes }.message(cx.millis()))?;
            Ok(())
        });
        deleted.await?;
        let description = description(&backup, "DELETED");
        Ok(DeleteBackupOutput { backup_description: Some(description), ..Default::default() })
    }

    /// Lists backups, in the order in which they were made.
    ///
    /// Errors: `ValidationException`.
    pub async fn list_backups(&self, cx: &Context, input: ListBackupsInput) -> Result<ListBackupsOutput> {
        let mut range = place_key(&cx.account, &cx.region).prefix_range();
        if let Some(after) = &input.exclusive_start_backup_arn {
            let (place, id) = locate(after)
                .ok_or_else(|| invalid(format!("Invalid Request: Invalid BackupArn: {after}")))?;
            range = range.after(&backup_key(&place, &id));
        }
        let table = input.table_name.as_deref().map(|name| names::locate(cx, name)).transpose()?;
        let seconds = |at: &Option<DateTime>| at.as_ref().map(|at| at.secs() * 1000);
        let (from, until) = (seconds(&input.time_range_lower_bound), seconds(&input.time_range_upper_bound));
        let wanted = |backup: &Backup| match input.backup_type.as_deref() {
            Some("ALL") => true,
            Some("SYSTEM") => backup.expires.is_some(),
            Some("AWS_BACKUP") => false,
            _ => backup.expires.is_none(),
        };
        let limit = usize::try_from(input.limit.unwrap_or(100)).unwrap_or(100);
        let mut found: Vec<BackupSummary> = Vec::new();
        let mut last = None;
        for row in self.store.table::<Backup>().scan(range, false) {
            let (_, backup) = row.map_err(stored)?;
            if !wanted(&backup)
                || table.as_ref().is_some_and(|table| table.arn() != backup.table.arn())
                || from.is_some_and(|from| backup.created < from)
                || until.is_some_and(|until| backup.created >= until)
            {
                continue;
            }
            if found.len() == limit {
                last = found.last().and_then(|summary| summary.backup_arn.clone());
                break;
            }
            found.push(BackupSummary {
                table_name: Some(backup.table.name.clone()),
                table_id: Some(backup.table.id.clone()),
                table_arn: Some(backup.table.arn()),
                backup_arn: Some(arn(&backup.table, &backup.id)),
                backup_name: Some(backup.name.clone()),
                backup_creation_date_time: Some(time(backup.created)),
                backup_status: Some("AVAILABLE".to_owned()),
                backup_type: Some(kind(&backup)),
                backup_expiry_date_time: backup.expires.map(time),
                backup_size_bytes: Some(backup.bytes),
                ..Default::default()
            });
        }
        Ok(ListBackupsOutput {
            backup_summaries: Some(found),
            last_evaluated_backup_arn: last,
            ..Default::default()
        })
    }
}

fn details(backup: &Backup, status: &str) -> BackupDetails {
    BackupDetails {
        backup_arn: arn(&backup.table, &backup.id),
        backup_name: backup.name.clone(),
        backup_size_bytes: Some(backup.bytes),
        backup_status: status.to_owned(),
        backup_type: kind(backup),
        backup_expiry_date_time: backup.expires.map(time),
        backup_creation_date_time: Some(time(backup.created)),
        ..Default::default()
    }
}

fn description(backup: &Backup, status: &str) -> BackupDescription {
    let table = &backup.table;
    let units = |throughput: &crate::state::Throughput| ProvisionedThroughput {
        read_capacity_units: throughput.read,
        write_capacity_units: throughput.write,
        ..Default::default()
    };
    let locals: Vec<_> = table
        .locals
        .iter()
        .map(|index| LocalSecondaryIndexInfo {
            index_name: Some(index.name.clone()),
            key_schema: Some(key_schema(&index.keys)),
            projection: Some(projection(&index.projection)),
            ..Default::default()
        })
        .collect();
    let globals: Vec<_> = table
        .globals
        .iter()
        .map(|index| GlobalSecondaryIndexInfo {
            index_name: Some(index.name.clone()),
            key_schema: Some(key_schema(&index.keys)),
            projection: Some(projection(&index.projection)),
            provisioned_throughput: Some(units(&index.throughput)),
            on_demand_throughput: on_demand(index.on_demand),
            ..Default::default()
        })
        .collect();
    BackupDescription {
        backup_details: Some(details(backup, status)),
        source_table_details: Some(SourceTableDetails {
            table_name: table.name.clone(),
            table_id: table.id.clone(),
            table_arn: Some(table.arn()),
            table_size_bytes: Some(backup.bytes),
            key_schema: key_schema(&table.keys),
            table_creation_date_time: Some(time(table.created)),
            provisioned_throughput: units(&table.billing.throughput),
            on_demand_throughput: on_demand(table.on_demand),
            item_count: Some(backup.items),
            billing_mode: Some(
                if table.billing.on_demand { "PAY_PER_REQUEST" } else { "PROVISIONED" }.to_owned(),
            ),
            ..Default::default()
        }),
        source_table_feature_details: Some(SourceTableFeatureDetails {
            local_secondary_indexes: (!locals.is_empty()).then_some(locals),
            global_secondary_indexes: (!globals.is_empty()).then_some(globals),
            stream_description: table.live_stream().map(|stream| StreamSpecification {
                stream_enabled: true,
                stream_view_type: Some(stream.view.name().to_owned()),
                ..Default::default()
            }),
            time_to_live_description: table.ttl.as_ref().filter(|ttl| ttl.enabled).map(|ttl| {
                TimeToLiveDescription {
                    time_to_live_status: Some("ENABLED".to_owned()),
                    attribute_name: Some(ttl.attribute.clone()),
                    ..Default::default()
                }
            }),
            sse_description: crate::describe::encryption(table),
            ..Default::default()
        }),
        ..Default::default()
    }
}

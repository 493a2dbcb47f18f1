//! Tables made of backups or of a table's past.
//! Source: Developer Guide, "Point-in-time backups"; API Reference of the operations.

use crate::describe::{DAY, Phase};
use crate::errors::{Failure, Result, invalid};
use crate::names::Place;
use crate::operations::backups::From;
use crate::operations::tables::{billing, sse};
use crate::state::{Coming, History, Index, Restored, Table};
use crate::{DynamoDb, schema};
use cloudlet_api_dynamodb::*;
use std::collections::BTreeSet;

/// What may be different about a table that is restored.
struct Overrides<'a> {
    billing: Option<&'a str>,
    throughput: Option<&'a ProvisionedThroughput>,
    globals: Option<&'a [GlobalSecondaryIndex]>,
    locals: Option<&'a [LocalSecondaryIndex]>,
    on_demand: Option<&'a OnDemandThroughput>,
    sse: Option<&'a SSESpecification>,
}

impl DynamoDb {
    /// Makes a table of a backup.
    ///
    /// Errors: `BackupNotFoundException`, `TableAlreadyExistsException`, `ValidationException`.
    pub async fn restore_table_from_backup(
        &self,
        cx: &Context,
        input: RestoreTableFromBackupInput,
    ) -> Result<RestoreTableFromBackupOutput> {
        let (_, backup) = self.backup(&input.backup_arn)?;
        let overrides = Overrides {
            billing: input.billing_mode_override.as_deref(),
            throughput: input.provisioned_throughput_override.as_ref(),
            globals: input.global_secondary_index_override.as_deref(),
            locals: input.local_secondary_index_override.as_deref(),
            on_demand: input.on_demand_throughput_override.as_ref(),
            sse: input.sse_specification_override.as_ref(),
        };
        let restored = Restored {
            backup: Some(input.backup_arn.clone()),
            table: Some(backup.table.arn()),
            at: backup.created,
        };
        let from = From::Now(backup.number);
        let description =
            self.restore(cx, &input.target_table_name, &backup.table, &overrides, restored, from).await?;
        Ok(RestoreTableFromBackupOutput { table_description: Some(description), ..Default::default() })
    }

    /// Makes a table of what another one was at a time.
    ///
    /// Errors: `TableNotFoundException`, `PointInTimeRecoveryUnavailableException`, `InvalidRestoreTimeException`,
    /// `TableAlreadyExistsException`, `ValidationException`.
    pub async fn restore_table_to_point_in_time(
        &self,
        cx: &Context,
        input: RestoreTableToPointInTimeInput,
    ) -> Result<RestoreTableToPointInTimeOutput> {
        let source = match (&input.source_table_arn, &input.source_table_name) {
            (Some(arn), _) => arn,
            (None, Some(name)) => name,
            (None, None) => {
                return Err(invalid("Either SourceTableName or SourceTableArn must be specified"));
            }
        };
        let table = self.backed_up(cx, source)?;
        let Some(history) = &table.history else {
            return Err(PointInTimeRecoveryUnavailableException::error(format!(
                "Point in time recovery is not enabled for table '{}'",
                table.name
            )));
        };
        let at = restore_time(cx, history, &input)?;
        let overrides = Overrides {
            billing: input.billing_mode_override.as_deref(),
            throughput: input.provisioned_throughput_override.as_ref(),
            globals: input.global_secondary_index_override.as_deref(),
            locals: input.local_secondary_index_override.as_deref(),
            on_demand: input.on_demand_throughput_override.as_ref(),
            sse: input.sse_specification_override.as_ref(),
        };
        let restored = Restored { backup: None, table: Some(table.arn()), at };
        let from = From::Then(table.number, at);
        let description =
            self.restore(cx, &input.target_table_name, &table, &overrides, restored, from).await?;
        Ok(RestoreTableToPointInTimeOutput { table_description: Some(description), ..Default::default() })
    }

    /// Makes a table like another one, which is filled while the caller waits for its state.
    async fn restore(
        &self,
        cx: &Context,
        name: &str,
        like: &Table,
        overrides: &Overrides<'_>,
        restored: Restored,
        from: From,
    ) -> Result<TableDescription> {
        let place =
            Place { account: cx.account.to_string(), region: cx.region.to_string(), name: name.to_owned() };
        let mut table = like_another(cx, like, overrides)?;
        table.account = place.account;
        table.region = place.region;
        table.name = place.name;
        table.restored = Some(restored);
        table.number = self.new_number().await?;
        for index in table.locals.iter_mut().chain(&mut table.globals) {
            index.number = self.new_number().await?;
        }
        let from = match from {
            From::Now(space) => (space, None),
            From::Then(space, at) => (space, Some(at)),
        };
        let coming = Coming { table, from: Some(from) };
        let key = coming.table.key();
        let made = self.store.transact(|tx| {
            if tx.exists::<Table>(&key)? || tx.exists::<Coming>(&key)? {
                return Err(Failure(already_there(name)));
            }
            tx.put(&key, &coming)?;
            Ok(())
        });
        made.await?;
        let description = self.describe(&coming.table, Phase::Creating, cx.millis())?;
        self.begin_restore(coming);
        Ok(description)
    }

    /// Fills a table and lets it be seen. What an earlier run of the program has copied already is copied again.
    pub(crate) fn begin_restore(&self, coming: Coming) {
        let Some(service) = self.itself.upgrade() else { return };
        tokio::spawn(async move {
            if let Err(error) = service.fill_restored(&coming).await {
                tracing::warn!(table = coming.table.name, %error, "a table could not be restored");
                let key = coming.table.key();
                let forgotten = service.store.transact(|tx| Ok::<_, Failure>(tx.delete::<Coming>(&key)?));
                if let Err(Failure(error)) = forgotten.await {
                    tracing::warn!(%error, "a restore that failed could not be forgotten");
                }
            }
        });
    }

    async fn fill_restored(&self, coming: &Coming) -> Result<()> {
        let table = &coming.table;
        let from = match coming.from {
            Some((space, Some(at))) => From::Then(space, at),
            Some((space, None)) => From::Now(space),
            None => return Ok(()),
        };
        let indexes: Vec<Index> = table.locals.iter().chain(&table.globals).cloned().collect();
        let (items, bytes) = self.copied(from, table.number, (table.clone(), indexes)).await?;
        let key = table.key();
        let made = self.store.transact(|tx| {
            tx.delete::<Coming>(&key)?;
            Ok::<_, Failure>(tx.put(&key, table)?)
        });
        made.await?;
        self.live.space(table.number).count(items, bytes);
        Ok(())
    }
}

fn already_there(name: &str) -> Error {
    TableAlreadyExistsException::error(format!("Table already exists: {name}"))
}

fn restore_time(cx: &Context, history: &History, input: &RestoreTableToPointInTimeInput) -> Result<i64> {
    let now = cx.millis();
    let at = match (input.use_latest_restorable_time == Some(true), &input.restore_date_time) {
        (true, Some(_)) => {
            return Err(invalid("Cannot specify both RestoreDateTime and UseLatestRestorableTime"));
        }
        (false, None) => {
            return Err(invalid("Either RestoreDateTime or UseLatestRestorableTime must be specified"));
        }
        (true, None) => now,
        (false, Some(at)) => at.to_millis().unwrap_or(i64::MAX),
    };
    let earliest = history.since.max(now - i64::from(history.days) * DAY);
    // Times are given in seconds: the second in which recovery was turned on belongs to it.
    if at < earliest - earliest.rem_euclid(1000) || at > now {
        return Err(InvalidRestoreTimeException::error(
            "An invalid restore time was specified. RestoreDateTime must be between EarliestRestorableDateTime and \
             LatestRestorableDateTime.",
        ));
    }
    Ok(at)
}

/// A table with another one's keys and indexes and its own settings.
fn like_another(cx: &Context, like: &Table, overrides: &Overrides<'_>) -> Result<Table> {
    let mut pays = like.billing.clone();
    if overrides.billing.is_some() || overrides.throughput.is_some() {
        let mode = overrides.billing.unwrap_or(if like.billing.on_demand {
            "PAY_PER_REQUEST"
        } else {
            "PROVISIONED"
        });
        let given = overrides.throughput.cloned().or_else(|| {
            (mode == "PROVISIONED" && !like.billing.on_demand).then(|| ProvisionedThroughput {
                read_capacity_units: like.billing.throughput.read,
                write_capacity_units: like.billing.throughput.write,
                ..Default::default()
            })
        });
        pays = billing(Some(mode), given.as_ref())?;
        pays.to_on_demand = pays.on_demand.then(|| cx.millis());
    }
    let mut seen = BTreeSet::new();
    let globals = match overrides.globals {
        Some([]) => Vec::new(),
        Some(given) => {
            let globals = schema::globals(Some(given), &like.attributes, pays.on_demand, &mut seen)?;
            check_known(globals.iter().map(|index| index.name.as_str()), &like.globals)?;
            globals
        }
        None => like.globals.clone(),
    };
    let locals = match overrides.locals {
        Some([]) => Vec::new(),
        Some(given) => {
            schema::check_lengths(&[], Some(given))?;
            let locals = schema::locals(Some(given), &like.keys, &like.attributes, &mut seen)?;
            check_known(locals.iter().map(|index| index.name.as_str()), &like.locals)?;
            locals
        }
        None => like.locals.clone(),
    };
    let mut table = Table {
        id: cx.random().uuid(),
        created: cx.millis(),
        attributes: like.attributes.clone(),
        keys: like.keys.clone(),
        locals,
        globals,
        on_demand: match overrides.on_demand {
            Some(given) => schema::on_demand(Some(given), None, pays.on_demand)?,
            None => like.on_demand.filter(|_| pays.on_demand),
        },
        billing: pays,
        class: like.class.clone(),
        sse: match overrides.sse {
            Some(given) => sse(cx, Some(given))?,
            None => like.sse.clone(),
        },
        ..Table::default()
    };
    let Table { attributes, keys, locals, globals, .. } = &mut table;
    attributes
        .retain(|(name, _)| keys.has(name) || locals.iter().chain(globals.iter()).any(|i| i.keys.has(name)));
    for index in table.globals.iter_mut() {
        index.filling = false;
    }
    Ok(table)
}

fn check_known<'n>(mut names: impl Iterator<Item = &'n str>, known: &[Index]) -> Result<()> {
    match names.find(|name| !known.iter().any(|index| index.name == *name)) {
        Some(name) => Err(invalid(format!(
            "One or more parameter values were invalid: Index {name} is not part of the source table"
        ))),
        None => Ok(()),
    }
}

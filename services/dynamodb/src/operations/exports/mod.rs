//! Tables written to S3, as they were at a time or as they changed between two, in DynamoDB JSON or Amazon Ion.
//! Source: Developer Guide, "Exporting DynamoDB table data to Amazon S3", "table export output format".

pub(crate) mod changes;
mod files;
mod format;

use files::{Target, write_all};

use crate::errors::{Failure, Result, invalid, stored};
use crate::operations::transfers::{end, transfer_id, transfer_key};
use crate::state::{Caller, Table, Transfer, place_key};
use crate::{DynamoDb, names};
use cloudlet_api_dynamodb::*;
use cloudlet_service::pages;
use cloudlet_store::Key;
use std::collections::BTreeMap;
use tokio::runtime::Handle;

const PAGE: usize = 25;

fn export_type(transfer: &Transfer) -> &'static str {
    if transfer.asked.contains_key("ExportFromTime") { "INCREMENTAL_EXPORT" } else { "FULL_EXPORT" }
}

fn export_arn(table: &str, id: &str) -> String {
    format!("{table}/export/{id}")
}

impl DynamoDb {
    /// Begins to write a table to S3.
    ///
    /// Errors: `TableNotFoundException`, `PointInTimeRecoveryUnavailableException`, `InvalidExportTimeException`,
    /// `ExportConflictException` for another request under the same token.
    pub async fn export_table_to_point_in_time(
        &self,
        cx: &Context,
        input: ExportTableToPointInTimeInput,
    ) -> Result<ExportTableToPointInTimeOutput> {
        if input.filter_specification.is_some() {
            return Err(Error::not_implemented_part("dynamodb:ExportTableToPointInTime FilterSpecification"));
        }
        let table = self.backed_up(cx, &input.table_arn)?;
        let Some(history) = &table.history else {
            return Err(PointInTimeRecoveryUnavailableException::error(format!(
                "Point in time recovery is not enabled for table '{}'",
                table.name
            )));
        };
        let now = cx.millis();
        let earliest = history.since.max(now - i64::from(history.days) * crate::describe::DAY);
        let earliest = earliest - earliest.rem_euclid(1000);
        let asked_keys = table.keys.names().collect::<Vec<_>>().join("\u{1}");
        let millis = |at: &DateTime| at.to_millis().unwrap_or(i64::MAX);
        let outside = |at: i64| at < earliest || at > now;
        let mut asked = asked_of(&input);
        if input.export_type.as_deref() == Some("INCREMENTAL_EXPORT") {
            let (from, to, view) = increment(&input, now)?;
            if outside(from) || outside(to) {
                return Err(wrong_time());
            }
            asked.insert("ExportFromTime".to_owned(), from.to_string());
            asked.insert("ExportToTime".to_owned(), to.to_string());
            asked.insert("ExportViewType".to_owned(), view);
            asked.insert("Keys".to_owned(), asked_keys);
        } else {
            if input.incremental_export_specification.is_some() {
                return Err(invalid(
                    "IncrementalExportSpecification can only be specified when ExportType is INCREMENTAL_EXPORT",
                ));
            }
            let at = input.export_time.as_ref().map_or(now, millis);
            if outside(at) {
                return Err(wrong_time());
            }
            asked.insert("ExportTime".to_owned(), at.to_string());
        }
        if let Some(token) = &input.client_token
            && let Some(known) = self.export_under(&table, token)?
        {
            let same = |name: &str| known.asked.get(name) == asked.get(name);
            let timed = input.export_time.is_some() || input.incremental_export_specification.is_some();
            let names = asked.keys().filter(|name| timed || *name != "ExportTime");
            if !names.into_iter().all(|name| same(name)) {
                return Err(ExportConflictException::error(
                    "A different export request was already made under this client token",
                ));
            }
            let known = shown(known);
            return Ok(ExportTableToPointInTimeOutput {
                export_description: Some(known),
                ..Default::default()
            });
        }
        let transfer = Transfer {
            id: transfer_id(cx),
            table: table.arn(),
            table_id: table.id.clone(),
            started: now,
            ended: None,
            status: "IN_PROGRESS".to_owned(),
            failure: None,
            items: 0,
            errors: 0,
            bytes: 0,
            manifest: None,
            asked,
            run: self.run.to_string(),
            caller: Caller::of(cx),
            space: table.number,
            into: None,
        };
        let key = transfer_key(&table.account, &table.region, "export", &transfer.id);
        self.store.transact(|tx| Ok::<_, Failure>(tx.put(&key, &transfer)?)).await?;
        self.begin_export(cx.clone(), key, transfer.clone());
        let description = shown(transfer);
        Ok(ExportTableToPointInTimeOutput { export_description: Some(description), ..Default::default() })
    }

    /// Does the work of an export, in a thread of its own because it takes as long as the table is large.
    pub(crate) fn begin_export(&self, cx: Context, key: Key, job: Transfer) {
        let (store, handle) = (self.store.clone(), Handle::current());
        tokio::spawn(async move {
            let target = Target::of(cx.clone(), &job);
            let writer = store.clone();
            let work = tokio::task::spawn_blocking(move || write_all(&writer, &handle, &target, &job));
            let done = work.await.unwrap_or_else(|error| Err(Error::internal(error)));
            end(&store, &key, |transfer| {
                transfer.ended = Some(cx.millis());
                match &done {
                    Ok((items, bytes, manifest)) => {
                        transfer.status = "COMPLETED".to_owned();
                        transfer.items = *items;
                        transfer.bytes = *bytes;
                        transfer.manifest = Some(manifest.clone());
                    }
                    Err(error) => {
                        transfer.status = "FAILED".to_owned();
                        let code = match error.code() {
                            "NoSuchBucket" => "S3NoSuchBucket".to_owned(),
                            code => code.to_owned(),
                        };
                        transfer.failure = Some((code, error.message().to_owned()));
                    }
                }
            })
            .await;
        });
    }

    fn export_under(&self, table: &Table, token: &str) -> Result<Option<Transfer>> {
        let range = place_key(&table.account, &table.region).text("export").prefix_range();
        for row in self.store.table::<Transfer>().scan(range, true).take(1000) {
            let (_, transfer) = row.map_err(stored)?;
            if transfer.table == table.arn()
                && transfer.asked.get("ClientToken").map(String::as_str) == Some(token)
            {
                return Ok(Some(self.seen(transfer)));
            }
        }
        Ok(None)
    }

    /// Shows an export.
    ///
    /// Errors: `ExportNotFoundException`.
    pub async fn describe_export(
        &self,
        _: &Context,
        input: DescribeExportInput,
    ) -> Result<DescribeExportOutput> {
        let missing = || ExportNotFoundException::error(format!("Export not found: {}", input.export_arn));
        let place = names::of_arn(&input.export_arn).ok_or_else(missing)?;
        let (_, id) = place.name.split_once("/export/").ok_or_else(missing)?;
        let key = transfer_key(&place.account, &place.region, "export", id);
        let found = self.store.table::<Transfer>().get(&key).map_err(stored)?.ok_or_else(missing)?;
        let description = shown(self.seen(found));
        Ok(DescribeExportOutput { export_description: Some(description), ..Default::default() })
    }

    /// Lists exports, of one table or all.
    ///
    /// Errors: `ValidationException`.
    pub async fn list_exports(&self, cx: &Context, input: ListExportsInput) -> Result<ListExportsOutput> {
        let all = self.transfers(cx, "export", input.table_arn.as_deref())?;
        let limit = usize::try_from(input.max_results.unwrap_or(0)).ok().filter(|n| *n > 0).unwrap_or(PAGE);
        let page = pages::page(
            all.into_iter(),
            limit,
            input.next_token.as_deref(),
            |transfer| transfer.id.as_bytes().to_vec(),
            || invalid("Invalid NextToken"),
        )?;
        let summary = |transfer: Transfer| {
            let kind = export_type(&transfer);
            ExportSummary {
                export_arn: Some(export_arn(&transfer.table, &transfer.id)),
                export_status: Some(transfer.status),
                export_type: Some(kind.to_owned()),
                ..Default::default()
            }
        };
        Ok(ListExportsOutput {
            export_summaries: Some(page.items.into_iter().map(summary).collect()),
            next_token: page.next,
            ..Default::default()
        })
    }
}

fn wrong_time() -> Error {
    InvalidExportTimeException::error(
        "Export time must be between EarliestRestorableDateTime and LatestRestorableDateTime",
    )
}

/// The times and the view of an incremental export. AWS: at least 15 minutes and at most a day.
fn increment(input: &ExportTableToPointInTimeInput, now: i64) -> Result<(i64, i64, String)> {
    const SHORTEST: i64 = 15 * 60 * 1000;
    if input.export_time.is_some() {
        return Err(invalid("ExportTime cannot be specified when ExportType is INCREMENTAL_EXPORT"));
    }
    let given = input.incremental_export_specification.as_ref().ok_or_else(|| {
        invalid("IncrementalExportSpecification must be specified when ExportType is INCREMENTAL_EXPORT")
    })?;
    let millis = |at: &DateTime| at.to_millis().unwrap_or(i64::MAX);
    let from = given.export_from_time.as_ref().map(millis);
    let from = from.ok_or_else(|| invalid("ExportFromTime must be specified for an incremental export"))?;
    let to = given.export_to_time.as_ref().map_or(now.min(from + crate::describe::DAY), millis);
    if to <= from {
        return Err(invalid("ExportFromTime must be before ExportToTime"));
    }
    if !(SHORTEST..=crate::describe::DAY).contains(&(to - from)) {
        return Err(invalid("The period of an incremental export must be between 15 minutes and 24 hours"));
    }
    let view = given.export_view_type.clone().unwrap_or_else(|| "NEW_AND_OLD_IMAGES".to_owned());
    Ok((from, to, view))
}

fn asked_of(input: &ExportTableToPointInTimeInput) -> BTreeMap<String, String> {
    let given = [
        ("ClientToken", input.client_token.clone()),
        ("S3Bucket", Some(input.s3_bucket.clone())),
        ("S3BucketOwner", input.s3_bucket_owner.clone()),
        ("S3Prefix", input.s3_prefix.clone()),
        ("ExportFormat", input.export_format.clone()),
        ("S3SseAlgorithm", input.s3_sse_algorithm.clone()),
        ("S3SseKmsKeyId", input.s3_sse_kms_key_id.clone()),
    ];
    given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn shown(transfer: Transfer) -> ExportDescription {
    let text = |name: &str| transfer.asked.get(name).cloned();
    let when = |name: &str| text(name).and_then(|at| at.parse().ok()).map(crate::describe::time);
    let done = transfer.status == "COMPLETED";
    ExportDescription {
        export_arn: Some(export_arn(&transfer.table, &transfer.id)),
        start_time: Some(crate::describe::time(transfer.started)),
        end_time: transfer.ended.map(crate::describe::time),
        export_manifest: transfer.manifest.clone(),
        table_arn: Some(transfer.table.clone()),
        table_id: Some(transfer.table_id.clone()),
        export_time: when("ExportTime"),
        client_token: text("ClientToken"),
        s3_bucket: text("S3Bucket"),
        s3_bucket_owner: text("S3BucketOwner"),
        s3_prefix: text("S3Prefix"),
        s3_sse_algorithm: Some(text("S3SseAlgorithm").unwrap_or_else(|| "AES256".to_owned())),
        s3_sse_kms_key_id: text("S3SseKmsKeyId"),
        failure_code: transfer.failure.as_ref().map(|(code, _)| code.clone()),
        failure_message: transfer.failure.as_ref().map(|(_, message)| message.clone()),
        export_format: Some(text("ExportFormat").unwrap_or_else(|| "DYNAMODB_JSON".to_owned())),
        billed_size_bytes: done.then_some(transfer.bytes),
        item_count: done.then_some(transfer.items),
        export_type: Some(export_type(&transfer).to_owned()),
        incremental_export_specification: when("ExportFromTime").map(|from| IncrementalExportSpecification {
            export_from_time: Some(from),
            export_to_time: when("ExportToTime"),
            export_view_type: text("ExportViewType"),
            ..Default::default()
        }),
        export_status: Some(transfer.status),
        ..Default::default()
    }
}

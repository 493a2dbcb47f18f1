//! Tables written to S3, as they were at a time, in DynamoDB JSON.
//! Source: Developer Guide, "Exporting DynamoDB table data to Amazon S3", "table export output format".

use crate::errors::{Failure, Result, invalid, stored};
use crate::operations::backups::{From, each_item};
use crate::state::{Table, Transfer, place_key};
use crate::value::size;
use crate::{DynamoDb, json, names};
use base64::Engine;
use bytes::Bytes;
use cloudlet_api_dynamodb::*;
use cloudlet_api_s3::{PutObjectInput, operations::PutObject};
use cloudlet_service::{ByteStream, pages};
use cloudlet_store::{Key, Store};
use flate2::{Compression, write::GzEncoder};
use md5::{Digest, Md5};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;
use tokio::runtime::Handle;

/// How much of items one file holds, before it is compressed.
const FILE_BYTES: usize = 64 << 20;
const PAGE: usize = 25;

/// One data file, as the manifest lists it.
struct File {
    key: String,
    items: i64,
    md5: Vec<u8>,
}

/// Where an export goes.
struct Target {
    cx: Context,
    bucket: String,
    prefix: String,
    sse: Option<String>,
    kms: Option<String>,
}

impl Target {
    fn put(&self, handle: &Handle, key: &str, bytes: Vec<u8>) -> Result<()> {
        let input = PutObjectInput {
            bucket: self.bucket.clone(),
            key: key.to_owned(),
            body: ByteStream::from(Bytes::from(bytes)),
            server_side_encryption: self.sse.clone(),
            ssekms_key_id: self.kms.clone(),
            ..Default::default()
        };
        handle.block_on(self.cx.cloud.call::<PutObject>(&self.cx, input)).map(drop)
    }
}

fn digest(bytes: &[u8]) -> Vec<u8> {
    Md5::digest(bytes).to_vec()
}

fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// A file of items under way.
struct Writing {
    encoder: GzEncoder<Vec<u8>>,
    items: i64,
    bytes: usize,
}

impl Writing {
    fn new() -> Self {
        Self { encoder: GzEncoder::new(Vec::new(), Compression::default()), items: 0, bytes: 0 }
    }
}

/// Writes all of it. Gives how many items and bytes there were, and the manifest's key.
fn write_all(
    store: &Store,
    handle: &Handle,
    target: &Target,
    from: From,
    transfer: &Transfer,
) -> Result<(i64, i64, String)> {
    let root = format!("{}AWSDynamoDB/{}", target.prefix, transfer.id);
    target.put(handle, &format!("{root}/_started"), Vec::new())?;
    let mut files: Vec<File> = Vec::new();
    let (mut items, mut bytes) = (0, 0);
    let broken = |error: std::io::Error| Failure(Error::internal(error));
    let close = |writing: Writing, files: &mut Vec<File>| -> Result<(), Failure> {
        if writing.items == 0 {
            return Ok(());
        }
        let body = writing.encoder.finish().map_err(broken)?;
        let name = target.cx.random().text(26, b"abcdefghijklmnopqrstuvwxyz0123456789");
        let file =
            File { key: format!("{root}/data/{name}.json.gz"), items: writing.items, md5: digest(&body) };
        target.put(handle, &file.key, body)?;
        files.push(file);
        Ok(())
    };
    let mut writing = Writing::new();
    each_item(store, from, |_, item| {
        let line = json!({ "Item": json::write(&item.0) }).to_string();
        writing.encoder.write_all(line.as_bytes()).map_err(broken)?;
        writing.encoder.write_all(b"\n").map_err(broken)?;
        writing.items += 1;
        writing.bytes += line.len();
        items += 1;
        bytes += i64::try_from(size::item(&item.0)).unwrap_or(0);
        if writing.bytes >= FILE_BYTES {
            close(std::mem::replace(&mut writing, Writing::new()), &mut files)?;
        }
        Ok(())
    })?;
    close(writing, &mut files)?;
    let listed: String = files
        .iter()
        .map(|file| {
            let line = json!({
                "itemCount": file.items,
                "md5Checksum": base64(&file.md5),
                "etag": hex::encode(&file.md5),
                "dataFileS3Key": file.key,
            });
            format!("{line}\n")
        })
        .collect();
    let listed_key = format!("{root}/manifest-files.json");
    target.put(
        handle,
        &format!("{root}/manifest-files.md5"),
        base64(&digest(listed.as_bytes())).into_bytes(),
    )?;
    target.put(handle, &listed_key, listed.into_bytes())?;
    let text = |name: &str| transfer.asked.get(name);
    let summary = json!({
        "version": "2020-06-30",
        "exportArn": export_arn(&transfer.table, &transfer.id),
        "startTime": iso(transfer.started),
        "endTime": iso(target.cx.millis()),
        "tableArn": transfer.table,
        "tableId": transfer.table_id,
        "exportTime": text("ExportTime").and_then(|t| t.parse().ok()).map(iso),
        "s3Bucket": target.bucket,
        "s3Prefix": text("S3Prefix"),
        "s3SseAlgorithm": target.sse.as_deref().unwrap_or("AES256"),
        "s3SseKmsKeyId": target.kms,
        "manifestFilesS3Key": listed_key,
        "billedSizeBytes": bytes,
        "itemCount": items,
        "outputFormat": "DYNAMODB_JSON",
        "exportType": "FULL_EXPORT",
    })
    .to_string();
    let summary_key = format!("{root}/manifest-summary.json");
    target.put(
        handle,
        &format!("{root}/manifest-summary.md5"),
        base64(&digest(summary.as_bytes())).into_bytes(),
    )?;
    target.put(handle, &summary_key, summary.into_bytes())?;
    Ok((items, bytes, summary_key))
}

fn iso(millis: i64) -> String {
    let at = time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).ok();
    let format = time::macros::format_description!(
        "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
    );
    at.and_then(|at| at.format(&format).ok()).unwrap_or_default()
}

fn export_arn(table: &str, id: &str) -> String {
    format!("{table}/export/{id}")
}

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
    /// A transfer as it is; one that another run of the program had begun has failed.
    pub(crate) fn seen(&self, mut transfer: Transfer) -> Transfer {
        if transfer.status == "IN_PROGRESS" && transfer.run != *self.run {
            transfer.status = "FAILED".to_owned();
            transfer.failure = Some((
                "InternalServerError".to_owned(),
                "The program ended while it was at work.".to_owned(),
            ));
        }
        transfer
    }

    /// Begins to write a table to S3.
    ///
    /// Errors: `TableNotFoundException`, `PointInTimeRecoveryUnavailableException`, `InvalidExportTimeException`,
    /// `ExportConflictException` for another request under the same token.
    pub async fn export_table_to_point_in_time(
        &self,
        cx: &Context,
        input: ExportTableToPointInTimeInput,
    ) -> Result<ExportTableToPointInTimeOutput> {
        if input.export_format.as_deref() == Some("ION") {
            return Err(Error::not_implemented_part("dynamodb:ExportTableToPointInTime ExportFormat ION"));
        }
        if input.export_type.as_deref() == Some("INCREMENTAL_EXPORT") || input.filter_specification.is_some()
        {
            return Err(Error::not_implemented_part(
                "dynamodb:ExportTableToPointInTime INCREMENTAL_EXPORT and FilterSpecification",
            ));
        }
        let table = self.backed_up(cx, &input.table_arn)?;
        let Some(history) = &table.history else {
            return Err(PointInTimeRecoveryUnavailableException::error(format!(
                "Point in time recovery is not enabled for table '{}'",
                table.name
            )));
        };
        let now = cx.millis();
        let at = input.export_time.as_ref().and_then(|at| at.to_millis().ok()).unwrap_or(now);
        let earliest = history.since.max(now - i64::from(history.days) * crate::describe::DAY);
        if at < earliest - earliest.rem_euclid(1000) || at > now {
            return Err(InvalidExportTimeException::error(
                "Export time must be between EarliestRestorableDateTime and LatestRestorableDateTime",
            ));
        }
        let asked = asked_of(&input, at);
        if let Some(token) = &input.client_token
            && let Some(known) = self.export_under(&table, token)?
        {
            if known.asked != asked && input.export_time.is_some() {
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
        };
        let key = transfer_key(&table.account, &table.region, "export", &transfer.id);
        self.store.transact(|tx| Ok::<_, Failure>(tx.put(&key, &transfer)?)).await?;
        let target = Target {
            cx: cx.clone(),
            bucket: input.s3_bucket.clone(),
            prefix: match input.s3_prefix.as_deref() {
                None | Some("") => String::new(),
                Some(prefix) => format!("{}/", prefix.trim_end_matches('/')),
            },
            sse: input
                .s3_sse_algorithm
                .as_ref()
                .map(|sse| if sse == "KMS" { "aws:kms".to_owned() } else { sse.clone() }),
            kms: input.s3_sse_kms_key_id.clone(),
        };
        let (store, handle, from) = (self.store.clone(), Handle::current(), From::Then(table.number, at));
        let job = transfer.clone();
        tokio::spawn(async move {
            let (writer, clock) = (store.clone(), target.cx.clone());
            let work = tokio::task::spawn_blocking(move || write_all(&writer, &handle, &target, from, &job));
            let done = work.await.unwrap_or_else(|error| Err(Error::internal(error)));
            end(&store, &key, |transfer| {
                transfer.ended = Some(clock.millis());
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
        let description = shown(transfer);
        Ok(ExportTableToPointInTimeOutput { export_description: Some(description), ..Default::default() })
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
        let summary = |transfer: Transfer| ExportSummary {
            export_arn: Some(export_arn(&transfer.table, &transfer.id)),
            export_status: Some(transfer.status),
            export_type: Some("FULL_EXPORT".to_owned()),
            ..Default::default()
        };
        Ok(ListExportsOutput {
            export_summaries: Some(page.items.into_iter().map(summary).collect()),
            next_token: page.next,
            ..Default::default()
        })
    }
}

fn asked_of(input: &ExportTableToPointInTimeInput, at: i64) -> BTreeMap<String, String> {
    let given = [
        ("ExportTime", Some(at.to_string())),
        ("ClientToken", input.client_token.clone()),
        ("S3Bucket", Some(input.s3_bucket.clone())),
        ("S3BucketOwner", input.s3_bucket_owner.clone()),
        ("S3Prefix", input.s3_prefix.clone()),
        ("S3SseAlgorithm", input.s3_sse_algorithm.clone()),
        ("S3SseKmsKeyId", input.s3_sse_kms_key_id.clone()),
    ];
    given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn shown(transfer: Transfer) -> ExportDescription {
    let text = |name: &str| transfer.asked.get(name).cloned();
    let done = transfer.status == "COMPLETED";
    ExportDescription {
        export_arn: Some(export_arn(&transfer.table, &transfer.id)),
        start_time: Some(crate::describe::time(transfer.started)),
        end_time: transfer.ended.map(crate::describe::time),
        export_manifest: transfer.manifest.clone(),
        table_arn: Some(transfer.table.clone()),
        table_id: Some(transfer.table_id.clone()),
        export_time: text("ExportTime").and_then(|at| at.parse().ok()).map(crate::describe::time),
        client_token: text("ClientToken"),
        s3_bucket: text("S3Bucket"),
        s3_bucket_owner: text("S3BucketOwner"),
        s3_prefix: text("S3Prefix"),
        s3_sse_algorithm: Some(text("S3SseAlgorithm").unwrap_or_else(|| "AES256".to_owned())),
        s3_sse_kms_key_id: text("S3SseKmsKeyId"),
        failure_code: transfer.failure.as_ref().map(|(code, _)| code.clone()),
        failure_message: transfer.failure.as_ref().map(|(_, message)| message.clone()),
        export_format: Some("DYNAMODB_JSON".to_owned()),
        billed_size_bytes: done.then_some(transfer.bytes),
        item_count: done.then_some(transfer.items),
        export_type: Some("FULL_EXPORT".to_owned()),
        export_status: Some(transfer.status),
        ..Default::default()
    }
}

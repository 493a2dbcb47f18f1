//! Tables written to S3, as they were at a time or as they changed between two, in DynamoDB JSON.
//! Source: Developer Guide, "Exporting DynamoDB table data to Amazon S3", "table export output format".

use crate::errors::{Failure, Result, invalid, stored};
use crate::operations::backups::{From, each_item};
use crate::state::{Caller, Stored, Table, Transfer, Undo, place_key};
use crate::value::{Item, size};
use crate::{DynamoDb, json, keys, names};
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

/// What is exported.
#[derive(Clone, Copy)]
enum Span {
    /// All items as they were at a time.
    Full(i64),
    /// What has become of the items that changed between two times.
    Between { from: i64, to: i64, old: bool },
}

impl Span {
    fn of(transfer: &Transfer) -> Self {
        let time = |name: &str| transfer.asked.get(name).and_then(|at| at.parse().ok());
        match (time("ExportFromTime"), time("ExportToTime")) {
            (Some(from), Some(to)) => {
                let old = transfer.asked.get("ExportViewType").map(String::as_str) != Some("NEW_IMAGE");
                Self::Between { from, to, old }
            }
            _ => Self::Full(time("ExportTime").unwrap_or(transfer.started)),
        }
    }
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
    fn of(cx: Context, transfer: &Transfer) -> Self {
        let text = |name: &str| transfer.asked.get(name).cloned();
        Self {
            cx,
            bucket: text("S3Bucket").unwrap_or_default(),
            prefix: match text("S3Prefix").as_deref() {
                None | Some("") => String::new(),
                Some(prefix) => format!("{}/", prefix.trim_end_matches('/')),
            },
            sse: text("S3SseAlgorithm").map(|sse| if sse == "KMS" { "aws:kms".to_owned() } else { sse }),
            kms: text("S3SseKmsKeyId"),
        }
    }

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
    transfer: &Transfer,
) -> Result<(i64, i64, String)> {
    let span = Span::of(transfer);
    let root = format!("{}AWSDynamoDB/{}", target.prefix, transfer.id);
    // The files of all incremental exports lie in one folder.
    let data = match span {
        Span::Full(_) => format!("{root}/data"),
        Span::Between { .. } => format!("{}AWSDynamoDB/data", target.prefix),
    };
    target.put(handle, &format!("{root}/_started"), Vec::new())?;
    let mut files: Vec<File> = Vec::new();
    let (mut items, mut bytes) = (0, 0);
    let broken = |error: std::io::Error| Failure(Error::internal(error));
    let close = |writing: Writing, files: &mut Vec<File>| -> Result<(), Failure> {
        if writing.items == 0 {
            return Ok(());
        }
        let body = writing.encoder.finish().map_err(broken)?;
        // Made of what it is, so that an export that begins anew after a restart leaves nothing behind.
        let name = file_name(&transfer.id, files.len());
        let file = File { key: format!("{data}/{name}.json.gz"), items: writing.items, md5: digest(&body) };
        target.put(handle, &file.key, body)?;
        files.push(file);
        Ok(())
    };
    let mut writing = Writing::new();
    let mut line = |line: serde_json::Value, size: usize| -> Result<(), Failure> {
        let line = line.to_string();
        writing.encoder.write_all(line.as_bytes()).map_err(broken)?;
        writing.encoder.write_all(b"\n").map_err(broken)?;
        writing.items += 1;
        writing.bytes += line.len();
        items += 1;
        bytes += i64::try_from(size).unwrap_or(0);
        if writing.bytes >= FILE_BYTES {
            close(std::mem::replace(&mut writing, Writing::new()), &mut files)?;
        }
        Ok(())
    };
    match span {
        Span::Full(at) => each_item(store, From::Then(transfer.space, at), |_, item| {
            line(json!({ "Item": json::write(&item.0) }), size::item(&item.0))
        })?,
        Span::Between { from, to, old } => each_change(store, transfer.space, (from, to), |change| {
            let images = [change.old.as_ref(), change.new.as_ref()];
            let bytes = images.into_iter().flatten().map(size::item).sum();
            line(change.line(transfer, old), bytes)
        })?,
    }
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
    let when = |name: &str| text(name).and_then(|at| at.parse().ok()).map(iso);
    let increment = matches!(span, Span::Between { .. });
    let mut summary = json!({
        "version": if increment { "2023-08-01" } else { "2020-06-30" },
        "exportArn": export_arn(&transfer.table, &transfer.id),
        "startTime": iso(transfer.started),
        "endTime": iso(target.cx.millis()),
        "tableArn": transfer.table,
        "tableId": transfer.table_id,
        "exportTime": when("ExportTime"),
        "exportFromTime": when("ExportFromTime"),
        "exportToTime": when("ExportToTime"),
        "s3Bucket": target.bucket,
        "s3Prefix": text("S3Prefix"),
        "s3SseAlgorithm": target.sse.as_deref().unwrap_or("AES256"),
        "s3SseKmsKeyId": target.kms,
        "manifestFilesS3Key": listed_key,
        "billedSizeBytes": bytes,
        "itemCount": items,
        "outputFormat": "DYNAMODB_JSON",
        "outputView": text("ExportViewType"),
        "exportType": export_type(transfer),
    });
    // Only what belongs to this type of export is said.
    if let Some(said) = summary.as_object_mut() {
        let other =
            if increment { &["exportTime"][..] } else { &["exportFromTime", "exportToTime", "outputView"] };
        said.retain(|name, _| !other.contains(&name.as_str()));
    }
    let summary = summary.to_string();
    let summary_key = format!("{root}/manifest-summary.json");
    target.put(
        handle,
        &format!("{root}/manifest-summary.md5"),
        base64(&digest(summary.as_bytes())).into_bytes(),
    )?;
    target.put(handle, &summary_key, summary.into_bytes())?;
    Ok((items, bytes, summary_key))
}

/// A name of 26 letters and digits, as AWS's files have.
fn file_name(id: &str, number: usize) -> String {
    const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut rest = xxhash_rust::xxh3::xxh3_128(format!("{id}/{number}").as_bytes());
    let mut name = String::with_capacity(26);
    for _ in 0..26 {
        let at = usize::try_from(rest % 36).unwrap_or(0);
        name.push(LETTERS.get(at).copied().map_or('a', char::from));
        // A number of 128 bits has 25 such digits; the last one comes of what is left.
        rest = rest / 36 + u128::from(rest < 36);
    }
    name
}

fn export_type(transfer: &Transfer) -> &'static str {
    if transfer.asked.contains_key("ExportFromTime") { "INCREMENTAL_EXPORT" } else { "FULL_EXPORT" }
}

/// An item that changed between two times: what it was before and what it was then.
pub(crate) struct Changed {
    /// When it changed last, in milliseconds.
    pub at: i64,
    /// The item in some state: its keys are what counts.
    pub any: Item,
    pub old: Option<Item>,
    pub new: Option<Item>,
}

impl Changed {
    fn line(&self, transfer: &Transfer, old: bool) -> serde_json::Value {
        let keys: Vec<&str> =
            transfer.asked.get("Keys").map(|keys| keys.split('\u{1}').collect()).unwrap_or_default();
        let keys: Item = keys
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), self.any.get(name)?.clone())))
            .collect();
        let mut line = json!({
            "Metadata": { "WriteTimestampMicros": { "N": (self.at * 1000).to_string() } },
            "Keys": json::write(&keys),
        });
        if let Some(new) = &self.new {
            line["NewImage"] = json::write(new);
        }
        if let (Some(image), true) = (&self.old, old) {
            line["OldImage"] = json::write(image);
        }
        line
    }
}

/// Shows every item that changed at or after the one time and before the other, once.
pub(crate) fn each_change(
    store: &Store,
    space: u64,
    (from, to): (i64, i64),
    mut show: impl FnMut(Changed) -> Result<(), Failure>,
) -> Result<(), Failure> {
    /// What is known of an item: what it was, in any state, when it changed last, and what it became if that is history.
    struct Seen {
        old: Option<Item>,
        any: Option<Item>,
        at: i64,
        new: Option<Option<Item>>,
    }
    store.read(|snapshot| {
        let mut seen: BTreeMap<Vec<u8>, Seen> = BTreeMap::new();
        let start = Key::new().number(space).number(from.max(0).unsigned_abs());
        for row in snapshot.scan::<Undo>(keys::space(space).from(&start), false) {
            let (key, undo) = row?;
            let mut parts = key.parts();
            let at = parts.number().and_then(|_| parts.number()).and_then(|at| i64::try_from(at).ok());
            let at = at.unwrap_or(i64::MAX);
            if at < to {
                let any = undo.old.clone();
                let known = seen.entry(undo.key).or_insert(Seen { old: undo.old, any: None, at, new: None });
                known.at = at;
                known.any = any.or(known.any.take());
            } else if let Some(known) = seen.get_mut(&undo.key)
                && known.new.is_none()
            {
                known.new = Some(undo.old);
            }
        }
        for (key, known) in seen {
            let new = match known.new {
                Some(new) => new,
                None => snapshot.get::<Stored>(&Key::from_bytes(key))?.map(|item| item.0),
            };
            let any = new.clone().or_else(|| known.old.clone()).or(known.any);
            if let Some(any) = any {
                show(Changed { at: known.at, any, old: known.old, new })?;
            }
        }
        Ok(())
    })
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

    /// Goes on with the exports and imports that the last run of the program has not ended.
    pub(crate) async fn resume_transfers(&self) -> Result<()> {
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
        export_format: Some("DYNAMODB_JSON".to_owned()),
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

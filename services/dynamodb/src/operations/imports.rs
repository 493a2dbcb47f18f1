//! Tables made of objects in S3: DynamoDB JSON or CSV, plain or compressed by GZIP or Zstandard.
//! Source: Developer Guide, "DynamoDB data import from Amazon S3: how it works", "import formats".

use crate::change::{Attempt, Cause, Change};
use crate::describe::{definitions, key_schema, on_demand, projection, time};
use crate::errors::{Failure, Result, in_use, invalid, stored};
use crate::live::Live;
use crate::operations::exports::{end, transfer_id, transfer_key};
use crate::operations::tables::new_table;
use crate::state::{Caller, KeyKind, Stored, Table, Transfer};
use crate::value::{Item, Value, size};
use crate::{DynamoDb, json, keys, names};
use base64::Engine;
use cloudlet_api_dynamodb::*;
use cloudlet_api_logs::operations::{CreateLogGroup, CreateLogStream, PutLogEvents};
use cloudlet_api_logs::{CreateLogGroupInput, CreateLogStreamInput, InputLogEvent, PutLogEventsInput};
use cloudlet_api_s3::operations::{GetObject, ListObjectsV2};
use cloudlet_api_s3::{GetObjectInput, ListObjectsV2Input};
use cloudlet_service::pages;
use cloudlet_store::{Key, Store};
use flate2::read::MultiGzDecoder;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;

/// How many items one transaction takes.
const BATCH: usize = 200;
/// Ours: the largest object and the longest line, and how many objects one import reads. AWS: 50,000 objects.
const MOST_BYTES: usize = 1 << 30;
const MOST_LINE: u64 = 8 << 20;
const MOST_OBJECTS: usize = 50_000;
const PAGE: usize = 25;
/// AWS: how many of the items that could not be imported are logged, and where.
const MOST_LOGGED: usize = 10_000;
const LOG_GROUP: &str = "/aws-dynamodb/imports";
/// How many events one call logs.
const LOG_BATCH: usize = 500;
/// AWS: how long a client token is remembered, in milliseconds.
const TOKEN_AGE: i64 = 8 * 60 * 60 * 1000;

/// What is read, and how.
#[derive(Clone)]
struct Source {
    cx: Context,
    bucket: String,
    prefix: String,
    owner: Option<String>,
    csv: Option<Csv>,
    packing: Packing,
}

#[derive(Clone, Copy)]
enum Packing {
    None,
    Gzip,
    Zstd,
}

#[derive(Clone)]
struct Csv {
    delimiter: char,
    header: Option<Vec<String>>,
}

/// How far an import has come.
#[derive(Default, Clone, Copy)]
struct Progress {
    bytes: i64,
    processed: i64,
    imported: i64,
    errors: i64,
}

/// The place that a new table's items are written to, before anybody sees it.
struct Sink {
    store: Store,
    live: Arc<Live>,
    table: Table,
    waiting: Vec<(Key, Stored)>,
    /// The import's ARN.
    import: String,
    /// What is wrong with items, for the log.
    wrong: Vec<String>,
}

/// Where an item comes from.
#[derive(Clone, Copy)]
struct Origin<'a> {
    bucket: &'a str,
    key: &'a str,
    at: usize,
}

impl Sink {
    async fn take(&mut self, item: Option<Item>, origin: Origin<'_>, progress: &mut Progress) -> Result<()> {
        progress.processed += 1;
        let placed = match item {
            None => Err("Error in parsing S3 data: the item is not in the format of the import".to_owned()),
            Some(item) if size::item(&item) > size::MAX_ITEM => {
                Err("Item size has exceeded the maximum allowed size".to_owned())
            }
            Some(item) => match keys::of_item(&self.table, &item) {
                Ok(key) => Ok((key, Stored(item))),
                Err(error) => Err(error.message().to_owned()),
            },
        };
        match placed {
            Ok(placed) => self.waiting.push(placed),
            Err(why) => {
                progress.errors += 1;
                self.note(origin, &why);
            }
        }
        if self.waiting.len() >= BATCH { self.flush(progress).await } else { Ok(()) }
    }

    fn note(&mut self, origin: Origin<'_>, why: &str) {
        if self.wrong.len() < MOST_LOGGED {
            let entry = serde_json::json!({
                "itemS3Pointer": { "bucket": origin.bucket, "key": origin.key, "itemIndex": origin.at },
                "importArn": self.import,
                "errorMessages": [why],
            });
            self.wrong.push(entry.to_string());
        }
    }

    async fn flush(&mut self, progress: &mut Progress) -> Result<()> {
        let full = std::mem::take(&mut self.waiting);
        let mut attempt = Attempt::new(&self.store, &self.live, self.table.created);
        let written = self.store.transact(|tx| {
            attempt.begin();
            for (key, item) in &full {
                let old = tx.get::<Stored>(key)?;
                let change = Change {
                    table: &self.table,
                    key,
                    old: old.as_ref(),
                    new: Some(item),
                    cause: Cause::Call,
                };
                attempt.write(tx, change)?;
            }
            Ok::<_, Failure>(())
        });
        written.await?;
        attempt.committed();
        progress.imported += i64::try_from(full.len()).unwrap_or(0);
        Ok(())
    }
}

impl Source {
    fn of(cx: Context, transfer: &Transfer) -> Self {
        let text = |name: &str| transfer.asked.get(name).cloned();
        Self {
            cx,
            bucket: text("S3Bucket").unwrap_or_default(),
            prefix: text("S3KeyPrefix").unwrap_or_default(),
            owner: text("S3BucketOwner"),
            csv: (text("InputFormat").as_deref() == Some("CSV")).then(|| Csv {
                delimiter: text("Delimiter").and_then(|text| text.chars().next()).unwrap_or(','),
                header: text("HeaderList").map(|list| list.split('\u{1}').map(str::to_owned).collect()),
            }),
            packing: match text("InputCompressionType").as_deref() {
                Some("GZIP") => Packing::Gzip,
                Some("ZSTD") => Packing::Zstd,
                _ => Packing::None,
            },
        }
    }

    async fn objects(&self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let mut token = None;
        loop {
            let input = ListObjectsV2Input {
                bucket: self.bucket.clone(),
                prefix: Some(self.prefix.clone()),
                continuation_token: token.take(),
                expected_bucket_owner: self.owner.clone(),
                ..Default::default()
            };
            let page = self.cx.cloud.call::<ListObjectsV2>(&self.cx, input).await?;
            for object in page.contents.unwrap_or_default() {
                // Exports have their own papers beside the data.
                let name = object.key.unwrap_or_default();
                let paper = name.contains("/manifest-") || name.ends_with("/_started") || name.ends_with('/');
                if !paper {
                    found.push(name);
                }
            }
            if found.len() > MOST_OBJECTS {
                return Err(invalid(format!("The number of objects exceeds the limit of {MOST_OBJECTS}")));
            }
            token = page.next_continuation_token;
            if token.is_none() {
                return Ok(found);
            }
        }
    }

    async fn object(&self, key: &str, sink: &mut Sink, progress: &mut Progress) -> Result<()> {
        let input = GetObjectInput { bucket: self.bucket.clone(), key: key.to_owned(), ..Default::default() };
        let output = self.cx.cloud.call::<GetObject>(&self.cx, input).await?;
        let body = output.body.collect(MOST_BYTES).await?;
        progress.bytes += i64::try_from(body.len()).unwrap_or(0);
        let body = std::io::Cursor::new(body);
        let plain: Box<dyn Read + Send> = match self.packing {
            Packing::None => Box::new(body),
            Packing::Gzip => Box::new(MultiGzDecoder::new(body)),
            Packing::Zstd => match ruzstd::decoding::StreamingDecoder::new(body) {
                Ok(plain) => Box::new(plain),
                Err(why) => {
                    progress.errors += 1;
                    let origin = Origin { bucket: &self.bucket, key, at: 0 };
                    sink.note(origin, &format!("Error in parsing S3 data: {why}"));
                    return Ok(());
                }
            },
        };
        let mut lines = BufReader::new(plain);
        let mut header = self.csv.as_ref().and_then(|csv| csv.header.clone());
        let mut at = 0;
        loop {
            let origin = Origin { bucket: &self.bucket, key, at };
            let line = match line(&mut lines, self.csv.is_some()) {
                Ok(Some(line)) => line,
                Ok(None) => return Ok(()),
                Err(why) => {
                    progress.errors += 1;
                    sink.note(origin, &format!("Error in parsing S3 data: {why}"));
                    return Ok(());
                }
            };
            if line.trim().is_empty() {
                continue;
            }
            let Some(csv) = &self.csv else {
                let item = serde_json::from_str::<serde_json::Value>(&line).ok();
                let item = item.and_then(|line| json::read(line.get("Item")?));
                sink.take(item, origin, progress).await?;
                at += 1;
                continue;
            };
            let fields = fields(&line, csv.delimiter);
            match &header {
                None => header = Some(fields),
                Some(names) => {
                    let item = row(&sink.table, names, &fields);
                    sink.take(item, origin, progress).await?;
                    at += 1;
                }
            }
        }
    }
}

/// The next line, or of CSV the next row: a line break may stand in quotes there.
fn line(lines: &mut impl BufRead, quoted: bool) -> std::io::Result<Option<String>> {
    let mut out = Vec::new();
    loop {
        let before = out.len();
        let left = MOST_LINE.saturating_sub(before as u64);
        if left == 0 {
            return Err(std::io::Error::other("a line is too long"));
        }
        let read = lines.by_ref().take(left).read_until(b'\n', &mut out)?;
        if read == 0 {
            break;
        }
        if !quoted || out.iter().filter(|byte| **byte == b'"').count() % 2 == 0 {
            break;
        }
    }
    if out.is_empty() {
        return Ok(None);
    }
    let text = String::from_utf8(out).map_err(std::io::Error::other)?;
    Ok(Some(text.trim_end_matches(['\n', '\r']).to_owned()))
}

/// The fields of a row. Source: RFC 4180.
fn fields(line: &str, delimiter: char) -> Vec<String> {
    let mut out = Vec::new();
    let mut field = String::new();
    let (mut chars, mut quoted) = (line.chars().peekable(), false);
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                field.push('"');
                chars.next();
            }
            '"' if quoted || field.is_empty() => quoted = !quoted,
            c if c == delimiter && !quoted => out.push(std::mem::take(&mut field)),
            c => field.push(c),
        }
    }
    out.push(field);
    out
}

/// An item out of a row: keys have their types, everything else is text. Empty fields are no attributes.
fn row(table: &Table, names: &[String], fields: &[String]) -> Option<Item> {
    let mut item = Item::new();
    for (name, field) in names.iter().zip(fields).filter(|(_, field)| !field.is_empty()) {
        let value = match table.kind_of(name) {
            Some(KeyKind::N) => Value::N(field.trim().parse().ok()?),
            Some(KeyKind::B) => {
                Value::B(base64::engine::general_purpose::STANDARD.decode(field).ok()?.into())
            }
            _ => Value::S(field.clone()),
        };
        item.insert(name.clone(), value);
    }
    Some(item)
}

fn import_arn(transfer: &Transfer) -> String {
    format!("{}/import/{}", transfer.table, transfer.id)
}

impl DynamoDb {
    /// Begins to make a table of objects in S3.
    ///
    /// Errors: `ResourceInUseException`, `ValidationException`.
    pub async fn import_table(&self, cx: &Context, input: ImportTableInput) -> Result<ImportTableOutput> {
        for (unknown, what) in [
            (input.input_format == "ION", "InputFormat ION"),
            (input.table_creation_parameters.vector_indexes.is_some(), "VectorIndexes"),
        ] {
            if unknown {
                return Err(Error::not_implemented_part(format_args!("dynamodb:ImportTable {what}")));
            }
        }
        let wanted = &input.table_creation_parameters;
        let mut table = new_table(
            cx,
            &CreateTableInput {
                table_name: wanted.table_name.clone(),
                attribute_definitions: Some(wanted.attribute_definitions.clone()),
                key_schema: Some(wanted.key_schema.clone()),
                billing_mode: wanted.billing_mode.clone(),
                provisioned_throughput: wanted.provisioned_throughput.clone(),
                on_demand_throughput: wanted.on_demand_throughput.clone(),
                sse_specification: wanted.sse_specification.clone(),
                global_secondary_indexes: wanted.global_secondary_indexes.clone(),
                ..Default::default()
            },
        )?;
        table.account = cx.account.to_string();
        table.region = cx.region.to_string();
        table.name.clone_from(&wanted.table_name);
        if let Some(known) = self.import_under(cx, &input)? {
            let description = self.import_shown(known)?;
            return Ok(ImportTableOutput { import_table_description: description, ..Default::default() });
        }
        let there = || in_use(format!("Table already exists: {}", wanted.table_name));
        let place = names::locate(cx, &wanted.table_name)?;
        if self.table_at(&place)?.is_some() {
            return Err(there());
        }
        table.number = self.new_number().await?;
        for index in table.locals.iter_mut().chain(&mut table.globals) {
            index.number = self.new_number().await?;
        }
        let transfer = Transfer {
            id: transfer_id(cx),
            table: table.arn(),
            table_id: table.id.clone(),
            started: cx.millis(),
            ended: None,
            status: "IN_PROGRESS".to_owned(),
            failure: None,
            items: 0,
            errors: 0,
            bytes: 0,
            manifest: None,
            asked: asked_of(&input),
            run: self.run.to_string(),
            caller: Caller::of(cx),
            space: 0,
            into: Some(Box::new(table.clone())),
        };
        let key = transfer_key(&table.account, &table.region, "import", &transfer.id);
        self.store.transact(|tx| Ok::<_, Failure>(tx.put(&key, &transfer)?)).await?;
        self.begin_import(cx.clone(), key, transfer.clone());
        let description = self.import_shown(transfer)?;
        Ok(ImportTableOutput { import_table_description: description, ..Default::default() })
    }

    /// The import that was begun under the same client token.
    ///
    /// Errors: `ImportConflictException` for one of something else.
    fn import_under(&self, cx: &Context, input: &ImportTableInput) -> Result<Option<Transfer>> {
        let Some(token) = &input.client_token else { return Ok(None) };
        let all = self.transfers(cx, "import", None)?;
        let known = all.into_iter().rev().find(|transfer| {
            transfer.asked.get("ClientToken") == Some(token) && cx.millis() - transfer.started < TOKEN_AGE
        });
        let Some(known) = known else { return Ok(None) };
        let table = names::of_arn(&known.table).map(|place| place.name);
        if known.asked != asked_of(input)
            || table.as_deref() != Some(input.table_creation_parameters.table_name.as_str())
        {
            return Err(ImportConflictException::error(
                "A different import request was already made under this client token",
            ));
        }
        Ok(Some(known))
    }

    /// Does the work of an import. What an earlier run of the program has put in already is put in again.
    pub(crate) fn begin_import(&self, cx: Context, key: Key, transfer: Transfer) {
        let (source, import_arn) = (Source::of(cx, &transfer), import_arn(&transfer));
        if let Some(table) = transfer.into {
            let sink = Sink {
                store: self.store.clone(),
                live: self.live.clone(),
                table: *table,
                waiting: Vec::new(),
                import: import_arn,
                wrong: Vec::new(),
            };
            tokio::spawn(import(source, sink, key));
        }
    }

    /// Shows an import.
    ///
    /// Errors: `ImportNotFoundException`.
    pub async fn describe_import(
        &self,
        _: &Context,
        input: DescribeImportInput,
    ) -> Result<DescribeImportOutput> {
        let missing = || ImportNotFoundException::error(format!("Import not found: {}", input.import_arn));
        let place = names::of_arn(&input.import_arn).ok_or_else(missing)?;
        let (_, id) = place.name.split_once("/import/").ok_or_else(missing)?;
        let key = transfer_key(&place.account, &place.region, "import", id);
        let found = self.store.table::<Transfer>().get(&key).map_err(stored)?.ok_or_else(missing)?;
        let description = self.import_shown(found)?;
        Ok(DescribeImportOutput { import_table_description: description, ..Default::default() })
    }

    /// Lists imports, the latest first.
    ///
    /// Errors: `ValidationException`.
    pub async fn list_imports(&self, cx: &Context, input: ListImportsInput) -> Result<ListImportsOutput> {
        let all = self.transfers(cx, "import", input.table_arn.as_deref())?;
        let limit = usize::try_from(input.page_size.unwrap_or(0)).ok().filter(|n| *n > 0).unwrap_or(PAGE);
        let page = pages::page(
            all.into_iter(),
            limit,
            input.next_token.as_deref(),
            |transfer| transfer.id.as_bytes().to_vec(),
            || invalid("Invalid NextToken"),
        )?;
        let summary = |transfer: Transfer| ImportSummary {
            import_arn: Some(import_arn(&transfer)),
            table_arn: Some(transfer.table.clone()),
            s3_bucket_source: Some(bucket_of(&transfer)),
            input_format: transfer.asked.get("InputFormat").cloned(),
            start_time: Some(time(transfer.started)),
            end_time: transfer.ended.map(time),
            import_status: Some(transfer.status),
            ..Default::default()
        };
        Ok(ListImportsOutput {
            import_summary_list: Some(page.items.into_iter().map(summary).collect()),
            next_token: page.next,
            ..Default::default()
        })
    }

    fn import_shown(&self, transfer: Transfer) -> Result<ImportTableDescription> {
        let transfer = self.seen(transfer);
        let text = |name: &str| transfer.asked.get(name).cloned();
        let made = names::of_arn(&transfer.table).map(|place| self.table_at(&place)).transpose()?.flatten();
        let made = made.filter(|table| table.id == transfer.table_id);
        let csv = (text("InputFormat").as_deref() == Some("CSV")).then(|| InputFormatOptions {
            csv: Some(CsvOptions {
                delimiter: text("Delimiter"),
                header_list: text("HeaderList").map(|list| list.split('\u{1}').map(str::to_owned).collect()),
                ..Default::default()
            }),
            ..Default::default()
        });
        Ok(ImportTableDescription {
            import_arn: Some(import_arn(&transfer)),
            table_arn: Some(transfer.table.clone()),
            table_id: Some(transfer.table_id.clone()),
            client_token: text("ClientToken"),
            s3_bucket_source: Some(bucket_of(&transfer)),
            cloud_watch_log_group_arn: names::of_arn(&transfer.table).map(|place| {
                let partition = names::partition(&place.region);
                format!("arn:{partition}:logs:{}:{}:log-group:{LOG_GROUP}:*", place.region, place.account)
            }),
            error_count: Some(transfer.errors),
            input_format: text("InputFormat"),
            input_format_options: csv,
            input_compression_type: Some(text("InputCompressionType").unwrap_or_else(|| "NONE".to_owned())),
            table_creation_parameters: made.map(|table| parameters(&table)),
            start_time: Some(time(transfer.started)),
            end_time: transfer.ended.map(time),
            processed_size_bytes: Some(transfer.bytes),
            processed_item_count: Some(transfer.items + transfer.errors),
            imported_item_count: Some(transfer.items),
            failure_code: transfer.failure.as_ref().map(|(code, _)| code.clone()),
            failure_message: transfer.failure.as_ref().map(|(_, message)| message.clone()),
            import_status: Some(transfer.status),
            ..Default::default()
        })
    }
}

/// Reads all objects, then shows the table.
async fn import(source: Source, mut sink: Sink, key: Key) {
    let mut progress = Progress::default();
    let done = fill(&source, &mut sink, &mut progress).await;
    let table = &sink.table;
    let made = match done {
        Ok(()) => {
            let at = table.key();
            let made = sink.store.transact(|tx| {
                if let Some(there) = tx.get::<Table>(&at)? {
                    // Shown already, by a run of the program that ended before it could say so.
                    if there.number == table.number {
                        return Ok(());
                    }
                    return Err(Failure(in_use(format!("Table already exists: {}", table.name))));
                }
                Ok(tx.put(&at, table)?)
            });
            made.await.map_err(Error::from)
        }
        Err(error) => Err(error),
    };
    if let Err(error) = log(&source.cx, &sink).await {
        tracing::debug!(%error, "what is wrong with an import's items could not be logged");
    }
    end(&sink.store, &key, |transfer| {
        transfer.ended = Some(source.cx.millis());
        transfer.items = progress.imported;
        transfer.errors = progress.errors;
        transfer.bytes = progress.bytes;
        match &made {
            Ok(()) => transfer.status = "COMPLETED".to_owned(),
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
}

/// Logs what is wrong with items, as the caller: AWS asks for the permission to do that as well.
async fn log(cx: &Context, sink: &Sink) -> Result<()> {
    let there = |error: Error| if error.is("ResourceAlreadyExistsException") { Ok(()) } else { Err(error) };
    let group = CreateLogGroupInput { log_group_name: LOG_GROUP.to_owned(), ..Default::default() };
    cx.cloud.call::<CreateLogGroup>(cx, group).await.map(drop).or_else(there)?;
    if sink.wrong.is_empty() {
        return Ok(());
    }
    let id = sink.import.rsplit('/').next().unwrap_or_default();
    let stream = CreateLogStreamInput {
        log_group_name: LOG_GROUP.to_owned(),
        log_stream_name: id.to_owned(),
        ..Default::default()
    };
    cx.cloud.call::<CreateLogStream>(cx, stream).await.map(drop).or_else(there)?;
    for batch in sink.wrong.chunks(LOG_BATCH) {
        let event = |message: &String| InputLogEvent {
            timestamp: cx.millis(),
            message: message.clone(),
            ..Default::default()
        };
        let events = PutLogEventsInput {
            log_group_name: LOG_GROUP.to_owned(),
            log_stream_name: id.to_owned(),
            log_events: batch.iter().map(event).collect(),
            ..Default::default()
        };
        cx.cloud.call::<PutLogEvents>(cx, events).await?;
    }
    Ok(())
}

async fn fill(source: &Source, sink: &mut Sink, progress: &mut Progress) -> Result<()> {
    for object in source.objects().await? {
        source.object(&object, sink, progress).await?;
    }
    sink.flush(progress).await
}

fn bucket_of(transfer: &Transfer) -> S3BucketSource {
    let text = |name: &str| transfer.asked.get(name).cloned();
    S3BucketSource {
        s3_bucket: text("S3Bucket").unwrap_or_default(),
        s3_bucket_owner: text("S3BucketOwner"),
        s3_key_prefix: text("S3KeyPrefix"),
        ..Default::default()
    }
}

fn asked_of(input: &ImportTableInput) -> BTreeMap<String, String> {
    let csv = input.input_format_options.as_ref().and_then(|options| options.csv.as_ref());
    let given = [
        ("ClientToken", input.client_token.clone()),
        ("S3Bucket", Some(input.s3_bucket_source.s3_bucket.clone())),
        ("S3BucketOwner", input.s3_bucket_source.s3_bucket_owner.clone()),
        ("S3KeyPrefix", input.s3_bucket_source.s3_key_prefix.clone()),
        ("InputFormat", Some(input.input_format.clone())),
        ("InputCompressionType", input.input_compression_type.clone()),
        ("Delimiter", csv.and_then(|csv| csv.delimiter.clone())),
        ("HeaderList", csv.and_then(|csv| csv.header_list.as_ref()).map(|list| list.join("\u{1}"))),
    ];
    given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn parameters(table: &Table) -> TableCreationParameters {
    let units = |throughput: &crate::state::Throughput| ProvisionedThroughput {
        read_capacity_units: throughput.read,
        write_capacity_units: throughput.write,
        ..Default::default()
    };
    let globals: Vec<_> = table
        .globals
        .iter()
        .map(|index| GlobalSecondaryIndex {
            index_name: index.name.clone(),
            key_schema: key_schema(&index.keys),
            projection: projection(&index.projection),
            provisioned_throughput: (!table.billing.on_demand).then(|| units(&index.throughput)),
            ..Default::default()
        })
        .collect();
    TableCreationParameters {
        table_name: table.name.clone(),
        attribute_definitions: definitions(&table.attributes),
        key_schema: key_schema(&table.keys),
        billing_mode: Some(
            if table.billing.on_demand { "PAY_PER_REQUEST" } else { "PROVISIONED" }.to_owned(),
        ),
        provisioned_throughput: (!table.billing.on_demand).then(|| units(&table.billing.throughput)),
        on_demand_throughput: on_demand(table.on_demand),
        global_secondary_indexes: (!globals.is_empty()).then_some(globals),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_csv() {
        assert_eq!(fields(r#"a,"b,""c""",,d"#, ','), ["a", "b,\"c\"", "", "d"]);
        assert_eq!(fields("a|b", '|'), ["a", "b"]);
        let mut lines = std::io::Cursor::new("a,\"b\nc\"\nd\r\n");
        assert_eq!(line(&mut lines, true).unwrap().as_deref(), Some("a,\"b\nc\""));
        assert_eq!(line(&mut lines, true).unwrap().as_deref(), Some("d"));
        assert_eq!(line(&mut lines, true).unwrap(), None);
    }
}

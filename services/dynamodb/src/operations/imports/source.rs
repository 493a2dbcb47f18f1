//! What an import reads: objects of DynamoDB JSON, Amazon Ion or CSV, packed or not, line by line into the table.

use crate::change::{Attempt, Cause, Change};
use crate::errors::{Failure, Result, in_use, invalid};
use crate::live::Live;
use crate::operations::transfers::end;
use crate::state::{Coming, KeyKind, Stored, Table, Transfer};
use crate::value::{Item, Value, size};
use crate::{ion, json, keys};
use base64::Engine;
use cloudlet_api_dynamodb::*;
use cloudlet_api_logs::operations::{CreateLogGroup, CreateLogStream, PutLogEvents};
use cloudlet_api_logs::{CreateLogGroupInput, CreateLogStreamInput, InputLogEvent, PutLogEventsInput};
use cloudlet_api_s3::operations::{GetObject, ListObjectsV2};
use cloudlet_api_s3::{GetObjectInput, ListObjectsV2Input};
use cloudlet_store::{Key, Store};
use flate2::read::MultiGzDecoder;
use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;

/// How many items one transaction takes.
const BATCH: usize = 200;
/// Ours: the largest object and the longest line, and how many objects one import reads. AWS: 50,000 objects.
const MOST_BYTES: usize = 1 << 30;
const MOST_LINE: u64 = 8 << 20;
const MOST_OBJECTS: usize = 50_000;
/// AWS: how many of the items that could not be imported are logged, and where.
const MOST_LOGGED: usize = 10_000;
pub(super) const LOG_GROUP: &str = "/aws-dynamodb/imports";
/// How many events one call logs.
const LOG_BATCH: usize = 500;

/// What is read, and how.
#[derive(Clone)]
pub(super) struct Source {
    cx: Context,
    bucket: String,
    prefix: String,
    owner: Option<String>,
    format: Format,
    packing: Packing,
}

#[derive(Clone, Copy)]
enum Packing {
    None,
    Gzip,
    Zstd,
}

/// How an item is written down.
#[derive(Clone)]
enum Format {
    DynamoDbJson,
    Ion,
    Csv(Csv),
}

impl Format {
    /// The item of a line of anything but CSV.
    fn item(&self, line: &str) -> Option<Item> {
        match self {
            Self::Ion => ion::read(line),
            _ => json::read(serde_json::from_str::<serde_json::Value>(line).ok()?.get("Item")?),
        }
    }
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
pub(super) struct Sink {
    pub(super) store: Store,
    pub(super) live: Arc<Live>,
    pub(super) table: Table,
    pub(super) waiting: Vec<(Key, Stored)>,
    /// The import's ARN.
    pub(super) import: String,
    /// What is wrong with items, for the log.
    pub(super) wrong: Vec<String>,
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
    pub(super) fn of(cx: Context, transfer: &Transfer) -> Self {
        let text = |name: &str| transfer.asked.get(name).cloned();
        Self {
            cx,
            bucket: text("S3Bucket").unwrap_or_default(),
            prefix: text("S3KeyPrefix").unwrap_or_default(),
            owner: text("S3BucketOwner"),
            format: match text("InputFormat").as_deref() {
                Some("CSV") => Format::Csv(Csv {
                    delimiter: text("Delimiter").and_then(|text| text.chars().next()).unwrap_or(','),
                    header: text("HeaderList").map(|list| list.split('\u{1}').map(str::to_owned).collect()),
                }),
                Some("ION") => Format::Ion,
                _ => Format::DynamoDbJson,
            },
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
            Packing::Zstd => match unpacked(body) {
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
        let csv = match &self.format {
            Format::Csv(csv) => Some(csv),
            _ => None,
        };
        let mut header = csv.and_then(|csv| csv.header.clone());
        let mut at = 0;
        loop {
            let origin = Origin { bucket: &self.bucket, key, at };
            let line = match line(&mut lines, csv.is_some()) {
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
            let Some(csv) = csv else {
                sink.take(self.format.item(&line), origin, progress).await?;
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

/// What a Zstandard frame holds. The decoder (0.8) looks at how large a window a frame wants only from its second frame
/// on, so an empty one comes first.
fn unpacked<R: Read>(body: R) -> Result<impl Read, ruzstd::decoding::errors::FrameDecoderError> {
    let mut decoder = ruzstd::decoding::FrameDecoder::new();
    decoder.reset(&[0x28, 0xb5, 0x2f, 0xfd, 0x20, 0, 1, 0, 0][..])?;
    ruzstd::decoding::StreamingDecoder::new_with_decoder(body, decoder)
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

/// Reads all objects, then shows the table.
pub(super) async fn import(source: Source, mut sink: Sink, key: Key) {
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
                tx.delete::<Coming>(&at)?;
                Ok(tx.put(&at, table)?)
            });
            made.await.map_err(Error::from)
        }
        Err(error) => Err(error),
    };
    if made.is_err() {
        let at = table.key();
        let forgotten = sink.store.transact(|tx| Ok::<_, Failure>(tx.delete::<Coming>(&at)?));
        if let Err(Failure(error)) = forgotten.await {
            tracing::warn!(%error, "an import that failed could not be forgotten");
        }
    }
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

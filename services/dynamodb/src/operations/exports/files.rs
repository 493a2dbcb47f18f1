//! The files of an export: the items, and the manifests that list them.

use crate::errors::{Failure, Result};
use crate::operations::backups::{From, each_item};
use crate::state::Transfer;
use crate::value::size;
use base64::Engine;
use bytes::Bytes;
use cloudlet_api_dynamodb::*;
use cloudlet_api_s3::{PutObjectInput, operations::PutObject};
use cloudlet_service::ByteStream;
use cloudlet_store::Store;
use flate2::{Compression, write::GzEncoder};
use md5::{Digest, Md5};
use serde_json::json;
use std::io::Write;
use tokio::runtime::Handle;

use super::changes::each_change;
use super::format::Format;
use super::{export_arn, export_type};

/// How much of items one file holds, before it is compressed.
const FILE_BYTES: usize = 64 << 20;

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
pub(super) struct Target {
    cx: Context,
    bucket: String,
    prefix: String,
    sse: Option<String>,
    kms: Option<String>,
}

impl Target {
    pub(super) fn of(cx: Context, transfer: &Transfer) -> Self {
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
pub(super) fn write_all(
    store: &Store,
    handle: &Handle,
    target: &Target,
    transfer: &Transfer,
) -> Result<(i64, i64, String)> {
    let (span, format) = (Span::of(transfer), Format::of(transfer));
    let keys =
        transfer.asked.get("Keys").map(|keys| keys.split('\u{1}').collect::<Vec<_>>()).unwrap_or_default();
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
        let file = File {
            key: format!("{data}/{name}.{}.gz", format.extension()),
            items: writing.items,
            md5: digest(&body),
        };
        target.put(handle, &file.key, body)?;
        files.push(file);
        Ok(())
    };
    let mut writing = Writing::new();
    let mut line = |line: String, size: usize| -> Result<(), Failure> {
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
            line(format.item(&item.0), size::item(&item.0))
        })?,
        Span::Between { from, to, old } => each_change(store, transfer.space, (from, to), |change| {
            let images = [change.old.as_ref(), change.new.as_ref()];
            let bytes = images.into_iter().flatten().map(size::item).sum();
            line(format.change(&change, &keys, old), bytes)
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
        "outputFormat": format.name(),
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

fn iso(millis: i64) -> String {
    let at = time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).ok();
    let format = time::macros::format_description!(
        "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
    );
    at.and_then(|at| at.format(&format).ok()).unwrap_or_default()
}

//! ListParts and ListMultipartUploads.

use crate::S3;
use crate::access::charged;
use crate::acl;
use crate::checksums::show_checksum;
use crate::errors::{Fail, Result, invalid_argument};
use crate::listing::{Entry, Query, Rows, most, url_encoding, walk};
use crate::names::{canonical_id, url_encode};
use crate::operations::multipart::{UploadRef, shown_checksum};
use crate::state::{Bucket, Part, Upload};
use crate::versions::number_of;
use aws_smithy_types::DateTime;
use cloudlet_api_s3::{
    self as api, CommonPrefix, Initiator, ListMultipartUploadsInput, ListMultipartUploadsOutput,
    ListPartsInput, ListPartsOutput, MultipartUpload,
};
use cloudlet_service::{Context, Error};
use cloudlet_store::{Key, KeyRange, Store};

/// The uploads of a bucket by key, then by when they were begun.
struct Uploads<'a> {
    store: &'a Store,
    bucket: u64,
    /// The upload that a page begins after, among those of the marker's own key.
    after: Option<u64>,
}

impl Rows for Uploads<'_> {
    type Value = Upload;

    fn start(&self, name: &str) -> Key {
        // Without the component's end, so that it is a prefix.
        let whole = Key::new().number(self.bucket).text(name);
        Key::from_bytes(&whole.as_bytes()[..whole.as_bytes().len() - 2])
    }

    fn beyond(&self, range: KeyRange, name: &str) -> KeyRange {
        match self.after {
            Some(seq) => range.after(&Upload::key(self.bucket, name, seq)),
            None => range.past(&Key::new().number(self.bucket).text(name)),
        }
    }

    fn rows<'a>(
        &'a self,
        range: KeyRange,
    ) -> Box<dyn Iterator<Item = Result<(Key, String, Option<Upload>), Fail>> + Send + 'a> {
        let rows = self.store.table::<Upload>().scan(range, false);
        Box::new(rows.map(|row| {
            let (key, upload) = row?;
            let name = Upload::name(&key).map(|(name, _)| name).unwrap_or_default();
            Ok((key, name, Some(upload)))
        }))
    }
}

impl S3 {
    /// The uploads under way. Errors: `NoSuchBucket`, `InvalidArgument`.
    pub async fn list_multipart_uploads(
        &self,
        cx: &Context,
        input: ListMultipartUploadsInput,
    ) -> Result<ListMultipartUploadsOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        let encode = url_encoding(input.encoding_type.as_deref())?;
        let show = |name: &str| if encode { url_encode(name) } else { name.to_owned() };
        let limit = most(input.max_uploads, "max-uploads")?;
        let key_marker = input.key_marker.as_deref().unwrap_or_default();
        let id_marker = input.upload_id_marker.as_deref().filter(|m| !m.is_empty() && !key_marker.is_empty());
        let after = match id_marker {
            None => None,
            Some(id) => Some(
                number_of(id)
                    .ok_or_else(|| invalid_argument("Invalid uploadId marker", "upload-id-marker", id))?,
            ),
        };
        let query = Query {
            prefix: input.prefix.as_deref().unwrap_or_default(),
            delimiter: input.delimiter.as_deref().unwrap_or_default(),
            after: key_marker,
            marker: true,
            most: limit,
        };
        let page = walk(&Uploads { store: &self.store, bucket: bucket.id, after }, &query).await?;
        let (mut uploads, mut prefixes) = (Vec::new(), Vec::new());
        let (mut last_id, mut last_upload) = (None, None);
        for entry in page.entries {
            match entry {
                Entry::Prefix(prefix) => {
                    last_id = None;
                    prefixes.push(CommonPrefix { prefix: Some(show(&prefix)) });
                }
                Entry::Item(name, upload) => {
                    last_id = Some(upload.id.clone());
                    last_upload = Some((name.clone(), upload.id.clone()));
                    uploads.push(entry_of(&bucket, show(&name), upload));
                }
            }
        }
        let truncated = page.next.is_some();
        // Where nothing follows, S3 still names the last upload that it shows.
        let (next_key, next_id) = match page.next {
            Some(next) => (next, last_id.unwrap_or_default()),
            None => last_upload.unwrap_or_default(),
        };
        Ok(ListMultipartUploadsOutput {
            bucket: Some(bucket.name.clone()),
            key_marker: Some(show(key_marker)),
            upload_id_marker: Some(id_marker.unwrap_or_default().to_owned()),
            next_key_marker: Some(show(&next_key)),
            prefix: Some(show(query.prefix)),
            delimiter: input.delimiter.as_deref().filter(|d| !d.is_empty()).map(show),
            next_upload_id_marker: Some(next_id),
            max_uploads: Some(limit as i32),
            is_truncated: Some(truncated),
            uploads: (!uploads.is_empty()).then_some(uploads),
            common_prefixes: (!prefixes.is_empty()).then_some(prefixes),
            encoding_type: encode.then(|| "url".to_owned()),
            request_charged: charged(cx, &bucket),
        })
    }

    /// The parts of an upload by number. Errors: `NoSuchUpload`, `InvalidArgument`.
    pub async fn list_parts(&self, cx: &Context, input: ListPartsInput) -> Result<ListPartsOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        let limit = most(input.max_parts, "max-parts")?;
        let marker = input.part_number_marker.unwrap_or(0);
        let after = u32::try_from(marker).map_err(|_| {
            let message = "Argument part-number-marker must be an integer between 0 and 2147483647";
            invalid_argument(message, "part-number-marker", marker.to_string())
        })?;
        let upload =
            UploadRef { bucket: bucket.id, key: &input.key, id: &input.upload_id }.find(&self.store)?;
        let range = Part::prefix(upload.seq).prefix_range().after(&Part::key(upload.seq, after));
        let mut rows = self.store.table::<Part>().scan(range, false);
        let mut parts = Vec::new();
        for row in rows.by_ref().take(limit) {
            let (key, part) = row.map_err(Fail::from)?;
            let mut shown = api::Part {
                part_number: Some(Part::number(&key) as i32),
                last_modified: Some(DateTime::from_secs(part.modified.div_euclid(1000))),
                e_tag: Some(format!("\"{}\"", part.etag)),
                size: Some(part.size as i64),
                ..Default::default()
            };
            if let Some(checksum) = shown_checksum(&part) {
                show_checksum!(shown, checksum.algorithm, checksum.value);
            }
            parts.push(shown);
        }
        let truncated = limit > 0 && rows.next().is_some();
        let next = parts.last().and_then(|p| p.part_number).unwrap_or(0);
        let ends = self.aborted_by(&bucket, &input.key, &upload)?;
        Ok(ListPartsOutput {
            abort_date: ends.as_ref().map(|(at, _)| DateTime::from_millis(*at)),
            abort_rule_id: ends.map(|(_, rule)| rule),
            bucket: Some(bucket.name.clone()),
            key: Some(input.key),
            upload_id: Some(upload.id.clone()),
            part_number_marker: Some(marker),
            next_part_number_marker: Some(next),
            max_parts: Some(limit as i32),
            is_truncated: Some(truncated),
            parts: (!parts.is_empty()).then_some(parts),
            initiator: Some(initiator(&upload)),
            owner: Some(acl::owner(upload.draft.owner.as_deref().unwrap_or(&bucket.owner))),
            storage_class: Some(upload.draft.class.clone().unwrap_or_else(|| "STANDARD".to_owned())),
            checksum_algorithm: upload.algorithm.map(|a| a.name().to_owned()),
            checksum_type: upload.kind.map(|k| k.name().to_owned()),
            request_charged: charged(cx, &bucket),
            ..Default::default()
        })
    }
}

/// Root users are known by their canonical id, all others by their ARN.
fn initiator(upload: &Upload) -> Initiator {
    let root = upload.initiator.ends_with(":root") || upload.initiator == "anonymous";
    let id = if root { canonical_id(&upload.initiator_account) } else { upload.initiator.clone() };
    Initiator { id: Some(id), display_name: None }
}

fn entry_of(bucket: &Bucket, key: String, upload: Upload) -> MultipartUpload {
    MultipartUpload {
        upload_id: Some(upload.id.clone()),
        key: Some(key),
        initiated: Some(DateTime::from_secs(upload.initiated.div_euclid(1000))),
        storage_class: Some(upload.draft.class.clone().unwrap_or_else(|| "STANDARD".to_owned())),
        owner: Some(acl::owner(upload.draft.owner.as_deref().unwrap_or(&bucket.owner))),
        initiator: Some(initiator(&upload)),
        checksum_algorithm: upload.algorithm.map(|a| a.name().to_owned()),
        checksum_type: upload.kind.map(|k| k.name().to_owned()),
        version_id: None,
    }
}

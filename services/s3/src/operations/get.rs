//! GetObject, HeadObject, GetObjectAttributes.

use crate::S3;
use crate::access::charged;
use crate::checksums::{Kind, show_checksum};
use crate::condition_keys::header;
use crate::conditions::{ReadConditions, Wanted, http_date, range};
use crate::content;
use crate::encryption::{Cipher, KeyHeaders, customer_key, unlock};
use crate::errors::{Result, invalid_argument, invalid_request, method_not_allowed};
use crate::kms::show_encryption;
use crate::names::check_key;
use crate::state::{Body, Bucket, Layout, Object, Version};
use crate::versions::{self, Found, Which};
use aws_smithy_types::DateTime;
use cloudlet_api_s3::{
    self as api, GetObjectAttributesInput, GetObjectAttributesOutput, GetObjectInput, GetObjectOutput,
    HeadObjectInput, HeadObjectOutput,
};
use cloudlet_service::{Context, Error, Principal};
use std::sync::Arc;

/// What of an object is to be given.
struct Slice {
    start: u64,
    end: u64,
    /// Whether it is an answer to a range or a part number: 206.
    partial: bool,
    /// The part that was asked for, and its checksum.
    part: Option<(u32, Option<String>)>,
}

/// The members that GetObject and HeadObject share.
macro_rules! read_conditions {
    ($input:expr) => {
        ReadConditions {
            if_match: $input.if_match.as_deref(),
            if_none_match: $input.if_none_match.as_deref(),
            if_modified_since: $input.if_modified_since.as_ref(),
            if_unmodified_since: $input.if_unmodified_since.as_ref(),
            prefix: "",
        }
    };
}

/// `response-*` parameters are for signed requests. Errors: `InvalidRequest`.
macro_rules! check_overrides {
    ($cx:expr, $input:expr) => {
        let any = $input.response_cache_control.is_some()
            || $input.response_content_disposition.is_some()
            || $input.response_content_encoding.is_some()
            || $input.response_content_language.is_some()
            || $input.response_content_type.is_some()
            || $input.response_expires.is_some();
        if any && matches!($cx.principal, Principal::Anonymous) {
            return Err(invalid_request(
                "Request specific response headers cannot be used for anonymous GET requests.",
            ));
        }
    };
}

/// Fills what both answers say of an object.
macro_rules! describe {
    ($self:expr, $cx:expr, $bucket:expr, $input:expr, $output:expr, $found:expr, $slice:expr) => {{
        let version: &Version = &$found;
        let slice: &Slice = &$slice;
        let headers = &version.headers;
        $output.accept_ranges = Some("bytes".to_owned());
        $output.last_modified = Some(DateTime::from_secs(version.modified.div_euclid(1000)));
        $output.content_length = Some((slice.end - slice.start) as i64);
        $output.e_tag = Some(version.quoted_etag());
        $output.version_id = shown_version(&$bucket, version);
        $output.content_type = $input.response_content_type.take().or_else(|| {
            Some(headers.content_type.clone().unwrap_or_else(|| "binary/octet-stream".to_owned()))
        });
        $output.cache_control =
            $input.response_cache_control.take().or_else(|| headers.cache_control.clone());
        $output.content_disposition =
            $input.response_content_disposition.take().or_else(|| headers.content_disposition.clone());
        $output.content_encoding =
            $input.response_content_encoding.take().or_else(|| headers.content_encoding.clone());
        $output.content_language =
            $input.response_content_language.take().or_else(|| headers.content_language.clone());
        // Whatever it says is given back, be it a date or not.
        $output.expires = $input.response_expires.take().or_else(|| headers.expires.clone());
        $output.website_redirect_location = headers.redirect.clone();
        $output.metadata = (!version.metadata.is_empty()).then(|| version.metadata.clone());
        $output.storage_class = version.class.clone();
        let may = |action: &str| $self.may($cx, &$bucket, &$input.key, $input.version_id.as_deref(), action);
        $output.tag_count =
            (!version.tags.is_empty() && may("s3:GetObjectTagging")).then(|| version.tags.len() as i32);
        if slice.partial {
            let last = slice.end.saturating_sub(1);
            $output.content_range = Some(format!("bytes {}-{last}/{}", slice.start, version.size));
        }
        if slice.part.is_some() && version.parts > 0 {
            $output.parts_count = Some(version.parts as i32);
        }
        show_encryption!($output, version);
        if $input.checksum_mode.as_deref().is_some_and(|mode| mode.eq_ignore_ascii_case("enabled"))
            && let Some(checksum) = &version.checksum
        {
            let value = match &slice.part {
                Some((_, part)) if version.parts > 0 => part.clone(),
                _ if slice.partial && (slice.start, slice.end) != (0, version.size) => None,
                _ => Some(checksum.value.clone()),
            };
            if let Some(value) = value {
                show_checksum!($output, checksum.algorithm, value);
                $output.checksum_type = Some(checksum.kind.name().to_owned());
            }
        }
        if let Some(retention) = version.retention.as_ref().filter(|_| may("s3:GetObjectRetention")) {
            $output.object_lock_mode = Some(retention.mode.clone());
            $output.object_lock_retain_until_date = Some(DateTime::from_millis(retention.until));
        }
        $output.object_lock_legal_hold_status = version
            .hold
            .filter(|_| may("s3:GetObjectLegalHold"))
            .map(|on| if on { "ON".to_owned() } else { "OFF".to_owned() });
        $output.replication_status = version.replication.clone();
        $output.request_charged = charged($cx, &$bucket);
        $output.restore = restore_header(version, $cx.millis());
        $output.expiration = $self.expiration_header(&$bucket, &$input.key, version)?;
    }};
}

/// What was found, without copying it where it is the current version.
enum Shown {
    Current(Arc<Object>),
    Other(Box<Version>),
}

impl std::ops::Deref for Shown {
    type Target = Version;

    fn deref(&self) -> &Version {
        match self {
            Self::Current(object) => &object.version,
            Self::Other(version) => version,
        }
    }
}

impl S3 {
    /// Gives an object's bytes, or a range or part of them.
    ///
    /// Errors: `NoSuchBucket`, `NoSuchKey`, `NoSuchVersion`, `MethodNotAllowed` for a delete marker,
    /// `PreconditionFailed`, 304, `InvalidRange`, `InvalidPartNumber`, `InvalidObjectState`.
    pub async fn get_object(
        &self,
        cx: &Context,
        mut input: GetObjectInput,
    ) -> Result<GetObjectOutput, Error> {
        check_overrides!(cx, input);
        check_encryption_header(cx)?;
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        // An object that is replaced just now is looked up again: its bytes may be gone before they are opened.
        for _ in 0..4 {
            let found = self.readable(cx, &bucket, &input.key, input.version_id.as_deref(), "GET")?;
            read_conditions!(input).check(&found, cx.millis())?;
            let mut cipher = unlocked(cx, &found, &customer_key!(input))?;
            if let Some(seal) = &found.kms {
                cipher = Some(self.open_seal(cx, seal).await?);
            }
            check_archived(&found, cx.millis())?;
            let slice = self.slice(&found, input.range.as_deref(), input.part_number)?;
            let Some(slice) = slice else { continue };
            let Some(body) =
                content::open(&self.store, &found.body, slice.start..slice.end, cipher.as_ref())?
            else {
                continue;
            };
            let mut output = GetObjectOutput::default();
            describe!(self, cx, bucket, input, output, found, slice);
            output.body = body;
            return Ok(output);
        }
        Err(crate::errors::conflicting_operation())
    }

    /// The same without the bytes.
    pub async fn head_object(
        &self,
        cx: &Context,
        mut input: HeadObjectInput,
    ) -> Result<HeadObjectOutput, Error> {
        check_overrides!(cx, input);
        check_encryption_header(cx)?;
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        for _ in 0..4 {
            let found = self.readable(cx, &bucket, &input.key, input.version_id.as_deref(), "HEAD")?;
            read_conditions!(input).check(&found, cx.millis())?;
            unlocked(cx, &found, &customer_key!(input))?;
            let Some(slice) = self.slice(&found, input.range.as_deref(), input.part_number)? else {
                continue;
            };
            let mut output = HeadObjectOutput::default();
            describe!(self, cx, bucket, input, output, found, slice);
            return Ok(output);
        }
        Err(crate::errors::conflicting_operation())
    }

    /// Whether the reader may also be told of what has a permission of its own: tags and locks.
    /// Source: S3 API Reference, GetObject, the response elements.
    fn may(&self, cx: &Context, bucket: &Bucket, key: &str, version: Option<&str>, action: &str) -> bool {
        self.trusted(cx, bucket) || self.allowed(cx, bucket, Some(key), version, action).is_ok()
    }

    /// Finds the version that a read means. Errors: as [`S3::get_object`].
    fn readable(
        &self,
        cx: &Context,
        bucket: &Bucket,
        key: &str,
        version: Option<&str>,
        method: &str,
    ) -> Result<Shown, Error> {
        check_key(key)?;
        let which = Which::parse(version)?;
        let found = match which {
            Which::Current => {
                let table = self.store.table::<Object>();
                table
                    .get_arc(&Object::key(bucket.id, key))
                    .map_err(crate::errors::Fail::from)?
                    .map(Shown::Current)
            }
            other => versions::find(&self.store, bucket.id, key, other)?
                .map(|found: Found| Shown::Other(Box::new(found.version))),
        };
        let Some(found) = found else {
            return Err(self.missing(cx, bucket, versions::missing(key, version)));
        };
        if !found.marker {
            return Ok(found);
        }
        let error = match version {
            None => self.missing(cx, bucket, crate::errors::no_such_key(key)),
            Some(_) => method_not_allowed(method, "DeleteMarker")
                .with_header("allow", "DELETE")
                .with_header("last-modified", http_date(found.modified)),
        };
        Err(error
            .with_header("x-amz-delete-marker", "true")
            .with_header("x-amz-version-id", found.shown_id()))
    }

    /// What of the object a range or a part number means. `None`: the object was replaced meanwhile.
    fn slice(
        &self,
        version: &Version,
        header: Option<&str>,
        part: Option<i32>,
    ) -> Result<Option<Slice>, Error> {
        let size = version.size;
        let Some(part) = part else {
            return match range(header, size) {
                Wanted::All => Ok(Some(Slice { start: 0, end: size, partial: false, part: None })),
                Wanted::Part(start, end) => Ok(Some(Slice { start, end, partial: true, part: None })),
                Wanted::Unsatisfiable => {
                    Err(Error::new("InvalidRange", 416, "The requested range is not satisfiable")
                        .with("RangeRequested", header.unwrap_or_default())
                        .with("ActualObjectSize", size.to_string())
                        .with_header("content-range", format!("bytes */{size}")))
                }
            };
        };
        if header.is_some() {
            return Err(invalid_request("Cannot specify both Range header and partNumber query parameter"));
        }
        let Some(number) = u32::try_from(part).ok().filter(|n| (1..=10_000).contains(n)) else {
            let message = "Part number must be an integer between 1 and 10000, inclusive";
            return Err(invalid_argument(message, "partNumber", part.to_string()));
        };
        if version.parts == 0 {
            return match number {
                1 => Ok(Some(Slice { start: 0, end: size, partial: size > 0, part: Some((1, None)) })),
                _ => Err(no_such_part(number, 1)),
            };
        }
        let Body::Many(id) = &version.body else {
            // One part, or only empty ones.
            return match number {
                1 => {
                    let checksum = version.checksum.as_ref().filter(|c| c.kind == Kind::FullObject);
                    let part = Some((1, checksum.map(|c| c.value.clone())));
                    Ok(Some(Slice { start: 0, end: size, partial: size > 0, part }))
                }
                _ => Err(no_such_part(number, version.parts)),
            };
        };
        let layout =
            self.store.table::<Layout>().get(&Layout::key(*id)).map_err(crate::errors::Fail::from)?;
        let Some(layout) = layout else { return Ok(None) };
        // Parts are read by their place: an upload of parts 3 and 7 has a first and a second one.
        let index = number as usize - 1;
        let Some(part) = layout.parts.get(index) else { return Err(no_such_part(number, version.parts)) };
        let start: u64 = layout.parts.iter().take(index).map(|p| p.size).sum();
        let part_of = Some((number, part.checksum.clone()));
        Ok(Some(Slice { start, end: start + part.size, partial: true, part: part_of }))
    }

    /// Chosen facts about an object, and its parts. Errors: as [`S3::get_object`]; `InvalidArgument`.
    pub async fn get_object_attributes(
        &self,
        cx: &Context,
        input: GetObjectAttributesInput,
    ) -> Result<GetObjectAttributesOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        let found = self.readable(cx, &bucket, &input.key, input.version_id.as_deref(), "GET")?;
        unlocked(cx, &found, &customer_key!(input))?;
        let wants = |name: &str| {
            input.object_attributes.iter().any(|list| list.split(',').any(|one| one.trim() == name))
        };
        let mut output = GetObjectAttributesOutput {
            last_modified: Some(DateTime::from_secs(found.modified.div_euclid(1000))),
            version_id: shown_version(&bucket, &found),
            ..Default::default()
        };
        output.request_charged = charged(cx, &bucket);
        if wants("ETag") {
            output.e_tag = Some(found.etag.clone());
        }
        if wants("ObjectSize") {
            output.object_size = Some(found.size as i64);
        }
        if wants("StorageClass") {
            output.storage_class = Some(found.class().to_owned());
        }
        if wants("Checksum")
            && let Some(checksum) = &found.checksum
        {
            let mut shown =
                api::Checksum { checksum_type: Some(checksum.kind.name().to_owned()), ..Default::default() };
            let value = checksum.value.split('-').next().unwrap_or_default().to_owned();
            show_checksum!(shown, checksum.algorithm, value);
            output.checksum = Some(shown);
        }
        if wants("ObjectParts") && found.parts > 0 {
            output.object_parts = Some(self.object_parts(&found, &input)?);
        }
        Ok(output)
    }

    fn object_parts(
        &self,
        version: &Version,
        input: &GetObjectAttributesInput,
    ) -> Result<api::GetObjectAttributesParts, Error> {
        // What is no number of parts is no wish.
        let most = crate::listing::most(input.max_parts.filter(|n| *n >= 0), "max-parts")?;
        let after = u32::try_from(input.part_number_marker.unwrap_or(0)).unwrap_or(0);
        let mut out = api::GetObjectAttributesParts {
            total_parts_count: Some(version.parts as i32),
            ..Default::default()
        };
        // Without additional checksums there is no list, only the count.
        let composite = version.checksum.as_ref().filter(|c| c.kind == Kind::Composite);
        let (Body::Many(id), Some(checksum)) = (&version.body, composite) else { return Ok(out) };
        let layout =
            self.store.table::<Layout>().get(&Layout::key(*id)).map_err(crate::errors::Fail::from)?;
        let parts = layout.map(|l| l.parts).unwrap_or_default();
        let mut rest = parts.iter().filter(|p| p.number > after);
        let mut shown = Vec::new();
        for part in rest.by_ref().take(most) {
            let mut one = api::ObjectPart {
                part_number: Some(part.number as i32),
                size: Some(part.size as i64),
                ..Default::default()
            };
            if let Some(value) = &part.checksum {
                show_checksum!(one, checksum.algorithm, value);
            }
            shown.push(one);
        }
        out.part_number_marker = Some(after as i32);
        out.max_parts = Some(most as i32);
        out.is_truncated = Some(rest.next().is_some());
        out.next_part_number_marker = Some(shown.last().and_then(|p| p.part_number).unwrap_or(0));
        out.parts = Some(shown);
        Ok(out)
    }
}

fn no_such_part(requested: u32, count: u32) -> Error {
    Error::new("InvalidPartNumber", 416, "The requested partnumber is not satisfiable")
        .with("PartNumberRequested", requested.to_string())
        .with("ActualPartCount", count.to_string())
}

/// How an object is encrypted is not the reader's to say. Errors: `InvalidArgument`.
/// Source: S3 API Reference, GetObject, "Encryption".
fn check_encryption_header(cx: &Context) -> Result<(), Error> {
    const NAME: &str = "x-amz-server-side-encryption";
    match header(cx, NAME) {
        None => Ok(()),
        Some(value) => {
            let message = format!("{NAME} header is not supported for this operation.");
            Err(invalid_argument(message, NAME, value))
        }
    }
}

/// The cipher for the request's key, if the object has one. Errors: see [`unlock`].
fn unlocked(cx: &Context, version: &Version, headers: &KeyHeaders<'_>) -> Result<Option<Cipher>, Error> {
    if version.customer_key.is_none() && headers.algorithm.is_none() && headers.key.is_none() {
        return Ok(None);
    }
    unlock(cx, version, headers.read()?.as_ref())
}

/// The version id in an answer: none in a bucket that never had versions.
pub(crate) fn shown_version(bucket: &Bucket, version: &Version) -> Option<String> {
    match bucket.versioning {
        crate::state::Versioning::Never => version.id.clone(),
        _ => Some(version.shown_id()),
    }
}

/// Archived objects are read after they have been restored. Errors: `InvalidObjectState`.
pub(crate) fn check_archived(version: &Version, now: i64) -> Result<(), Error> {
    if matches!(version.class(), "GLACIER" | "DEEP_ARCHIVE") && version.restored_until(now).is_none() {
        let message = "The operation is not valid for the object's storage class";
        return Err(Error::new("InvalidObjectState", 403, message).with("StorageClass", version.class()));
    }
    Ok(())
}

/// `x-amz-restore`.
fn restore_header(version: &Version, now: i64) -> Option<String> {
    if version.is_restoring(now) {
        return Some("ongoing-request=\"true\"".to_owned());
    }
    let until = version.restored_until(now)?;
    Some(format!("ongoing-request=\"false\", expiry-date=\"{}\"", http_date(until)))
}

//! Multipart uploads: begin, upload and copy parts, abort.
//! Source: S3 User Guide, "Uploading and copying objects using multipart upload".

use crate::S3;
use crate::access::charged;
use crate::acl::{self, object_acl};
use crate::checksums::{Algorithm, Checksum, Kind, given_checksums, show_checksum};
use crate::conditions::ReadConditions;
use crate::content::{self, Received};
use crate::draft::{self, headers, lock_request};
use crate::encryption::{KeyHeaders, customer_key, source_key, unlock_kept};
use crate::errors::{Result, invalid_argument, invalid_request, no_such_upload, not_implemented_header};
use crate::integrity::{Claim, computed};
use crate::kms::{asked_encryption, show_encryption};
use crate::names::{caller, check_key};
use crate::operations::copy::check_copied_size;
use crate::operations::put::{MOST_AT_ONCE, check_length, random_etag};
use crate::state::{Bucket, CustomerKey, Draft, Live, Part, Upload};
use crate::tags;
use crate::versions::{SEQUENCE, new_id, number_of};
use aws_smithy_types::DateTime;
use cloudlet_api_s3::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CopyPartResult, CreateMultipartUploadInput,
    CreateMultipartUploadOutput, UploadPartCopyInput, UploadPartCopyOutput, UploadPartInput,
    UploadPartOutput,
};
use cloudlet_service::{Context, Error};
use cloudlet_store::{Key, Store, Tx};

/// Names an upload under way.
pub(crate) struct UploadRef<'a> {
    pub(crate) bucket: u64,
    pub(crate) key: &'a str,
    pub(crate) id: &'a str,
}

impl UploadRef<'_> {
    fn at(&self) -> Option<Key> {
        number_of(self.id).map(|seq| Upload::key(self.bucket, self.key, seq))
    }

    /// The upload. Errors: `KeyTooLongError`, `NoSuchUpload`.
    pub(crate) fn find(&self, store: &Store) -> Result<Upload> {
        check_key(self.key)?;
        let found = match self.at() {
            Some(at) => store.table::<Upload>().get(&at)?,
            None => None,
        };
        Ok(found.filter(|u| u.id == self.id).ok_or_else(|| no_such_upload(self.id))?)
    }

    /// The same inside a transaction.
    pub(crate) fn find_in(&self, tx: &mut Tx<'_>) -> Result<Upload> {
        check_key(self.key)?;
        let found = match self.at() {
            Some(at) => tx.get::<Upload>(&at)?,
            None => None,
        };
        Ok(found.filter(|u| u.id == self.id).ok_or_else(|| no_such_upload(self.id))?)
    }
}

/// Deletes every part of an upload.
pub(crate) fn drop_parts(tx: &mut Tx<'_>, upload: u64) -> Result<()> {
    let parts: Vec<(Key, Part)> =
        tx.scan::<Part>(Part::prefix(upload).prefix_range(), false).collect::<std::result::Result<_, _>>()?;
    for (key, part) in parts {
        if let Some(piece) = &part.piece {
            content::release_piece(tx, piece)?;
        }
        tx.delete::<Part>(&key)?;
    }
    Ok(())
}

/// The algorithm and kind of checksum that an upload is begun with. Errors: `InvalidRequest`.
fn checksum_plan(
    algorithm: Option<&str>,
    kind: Option<&str>,
) -> Result<(Option<Algorithm>, Option<Kind>), Error> {
    let algorithm = match algorithm {
        None => None,
        Some(name) => Some(Algorithm::parse(name).ok_or_else(|| {
            invalid_request(
                "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, \
                 CRC32C, CRC64NVME, SHA1, SHA256]",
            )
        })?),
    };
    let kind = match kind {
        None => None,
        Some(name) => Some(
            Kind::parse(name)
                .ok_or_else(|| invalid_request("Value for x-amz-checksum-type header is invalid."))?,
        ),
    };
    let Some(algorithm) = algorithm else {
        return match kind {
            None => Ok((None, None)),
            Some(_) => {
                let message = "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.";
                Err(invalid_request(message))
            }
        };
    };
    let kind = kind.unwrap_or(algorithm.default_kind());
    if !algorithm.allows(kind) {
        let message = format!(
            "The {} checksum type cannot be used with the {} checksum algorithm.",
            kind.name(),
            algorithm.name().to_ascii_lowercase()
        );
        return Err(invalid_request(message));
    }
    Ok((Some(algorithm), Some(kind)))
}

impl S3 {
    /// Begins a multipart upload. Errors: as of PutObject.
    pub async fn create_multipart_upload(
        &self,
        cx: &Context,
        mut input: CreateMultipartUploadInput,
    ) -> Result<CreateMultipartUploadOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        check_key(&input.key)?;
        let (algorithm, kind) =
            checksum_plan(input.checksum_algorithm.as_deref(), input.checksum_type.as_deref())?;
        let sealing = self.sealing(cx, &bucket, &input.key, &asked_encryption!(input)).await?;
        let headers = headers!(input);
        draft::redirect(&headers)?;
        let (acl, owner) = acl::for_object(cx, &object_acl!(input), &bucket, &input.key)?;
        let (retention, hold) = lock_request!(input).resolve(cx, &bucket)?;
        let draft = Draft {
            headers,
            metadata: draft::metadata(input.metadata.take())?,
            tags: tags::from_header(input.tagging.as_deref())?,
            class: draft::class(input.storage_class.take())?,
            owner,
            acl,
            retention,
            hold,
            customer_key: sealing.customer_key(cx),
            kms: sealing.kms(),
        };
        let begun = Upload {
            seq: 0,
            id: String::new(),
            initiated: cx.millis(),
            initiator: cx.principal.arn(),
            initiator_account: caller(cx).to_owned(),
            draft,
            algorithm,
            kind,
        };
        let upload = self
            .store
            .transact(|tx| -> Result<Upload> {
                if !tx.exists::<Live>(&Live::key(bucket.id))? {
                    return Err(crate::errors::no_such_bucket(&bucket.name).into());
                }
                let seq = tx.sequence(SEQUENCE)?;
                let upload = Upload { seq, id: new_id(cx, seq), ..begun.clone() };
                tx.put(&Upload::key(bucket.id, &input.key, seq), &upload)?;
                Ok(upload)
            })
            .await?;
        let ends = self.aborted_by(&bucket, &input.key, &upload)?;
        let mut output = CreateMultipartUploadOutput {
            abort_date: ends.as_ref().map(|(at, _)| DateTime::from_millis(*at)),
            abort_rule_id: ends.map(|(_, rule)| rule),
            request_charged: charged(cx, &bucket),
            bucket: Some(bucket.name.clone()),
            key: Some(input.key),
            upload_id: Some(upload.id),
            checksum_algorithm: algorithm.map(|a| a.name().to_owned()),
            checksum_type: kind.map(|k| k.name().to_owned()),
            ..Default::default()
        };
        show_encryption!(output, upload.draft);
        output.ssekms_encryption_context = upload.draft.kms.as_ref().and_then(|seal| seal.given.clone());
        Ok(output)
    }

    /// Stores a part; one that is there under the same number is replaced.
    ///
    /// Errors: `NoSuchUpload`, `InvalidArgument`, `EntityTooLarge`, `BadDigest`, `InvalidRequest` for a checksum that
    /// is not the upload's.
    pub async fn upload_part(
        &self,
        cx: &Context,
        mut input: UploadPartInput,
    ) -> Result<UploadPartOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        let number = part_number(input.part_number)?;
        check_length(cx, &input.body)?;
        let upload_ref = UploadRef { bucket: bucket.id, key: &input.key, id: &input.upload_id };
        let upload = upload_ref.find(&self.store)?;
        let md5 = input.content_md5.as_deref();
        let claim = Claim::read(cx, md5, given_checksums!(input), input.checksum_algorithm.as_deref())?;
        if upload.draft.retention.is_some() || upload.draft.hold.is_some() {
            claim.check_locked(cx, "Put Part")?;
        }
        let (expected, actual) = (upload.algorithm, claim.algorithm());
        let missing = actual.is_none() && upload.kind == Some(Kind::Composite);
        if expected.is_some() && (missing || actual.is_some_and(|actual| expected != Some(actual))) {
            let name = |a: Option<Algorithm>| a.map_or("null".to_owned(), |a| a.name().to_ascii_lowercase());
            return Err(invalid_request(format!(
                "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
                name(expected),
                name(actual)
            )));
        }
        let key = self.part_key(cx, &upload.draft, &customer_key!(input)).await?;
        let shown = claim.algorithm().or(upload.algorithm);
        let mut received =
            content::receive(&self.store, &mut input.body, &algorithms(shown), key, MOST_AT_ONCE).await?;
        claim.check(&input.body, &received)?;
        let part = self.store_part(cx, &bucket, &upload_ref, number, &mut received, shown).await?;
        let mut output = UploadPartOutput { e_tag: Some(format!("\"{}\"", part.etag)), ..Default::default() };
        if let Some(checksum) = part.checksum.as_ref().or(part.crc64.as_ref()) {
            show_checksum!(output, checksum.algorithm, checksum.value);
        }
        show_encryption!(output, upload.draft);
        output.request_charged = charged(cx, &bucket);
        Ok(output)
    }

    /// Stores a part out of an object that is there, or a range of it.
    /// Errors: as of a read of the source and of [`S3::upload_part`]; `InvalidArgument` for a range beyond the source.
    pub async fn upload_part_copy(
        &self,
        cx: &Context,
        input: UploadPartCopyInput,
    ) -> Result<UploadPartCopyOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        let number = part_number(input.part_number)?;
        let upload_ref = UploadRef { bucket: bucket.id, key: &input.key, id: &input.upload_id };
        let upload = upload_ref.find(&self.store)?;
        let key = self.part_key(cx, &upload.draft, &customer_key!(input)).await?;
        let conditions = ReadConditions {
            if_match: input.copy_source_if_match.as_deref(),
            if_none_match: input.copy_source_if_none_match.as_deref(),
            if_modified_since: input.copy_source_if_modified_since.as_ref(),
            if_unmodified_since: input.copy_source_if_unmodified_since.as_ref(),
            prefix: "x-amz-copy-source-",
        };
        let from_key = source_key!(input).read()?;
        let owner = input.expected_source_bucket_owner.as_deref();
        let source = self.source(cx, &input.copy_source, owner, &conditions, from_key.as_ref()).await?;
        let (start, end) = copy_range(input.copy_source_range.as_deref(), source.version.size)?;
        check_copied_size(end - start)?;
        let mut body = self.open_source(&source, start, end)?;
        let mut received =
            content::receive(&self.store, &mut body, &algorithms(upload.algorithm), key, MOST_AT_ONCE)
                .await?;
        let part = self.store_part(cx, &bucket, &upload_ref, number, &mut received, upload.algorithm).await?;
        let mut result = CopyPartResult {
            e_tag: Some(format!("\"{}\"", part.etag)),
            last_modified: Some(DateTime::from_secs(part.modified.div_euclid(1000))),
            ..Default::default()
        };
        if let Some(checksum) = &part.checksum {
            show_checksum!(result, checksum.algorithm, checksum.value);
        }
        let mut output = UploadPartCopyOutput {
            copy_source_version_id: source.shown_version(),
            copy_part_result: Some(result),
            request_charged: charged(cx, &bucket),
            ..Default::default()
        };
        show_encryption!(output, upload.draft);
        Ok(output)
    }

    async fn store_part(
        &self,
        cx: &Context,
        bucket: &Bucket,
        upload: &UploadRef<'_>,
        number: u32,
        received: &mut Received,
        shown: Option<Algorithm>,
    ) -> Result<Part> {
        let draft = Part {
            size: received.size,
            etag: String::new(),
            modified: cx.millis(),
            piece: None,
            checksum: shown.and_then(|a| computed(received, a)),
            crc64: computed(received, Algorithm::Crc64Nvme),
        };
        let random = random_etag(cx);
        let part = {
            let received = &*received;
            self.store
                .transact(|tx| -> Result<Part> {
                    let found = upload.find_in(tx)?;
                    let at = Part::key(found.seq, number);
                    if let Some(old) = tx.get::<Part>(&at)?.and_then(|old| old.piece) {
                        content::release_piece(tx, &old)?;
                    }
                    let sealed = found.draft.customer_key.is_some() || found.draft.kms.is_some();
                    let etag = if sealed { random.clone() } else { hex::encode(received.md5) };
                    let part = Part { piece: received.piece(tx)?, etag, ..draft.clone() };
                    tx.put(&at, &part)?;
                    Ok(part)
                })
                .await?
        };
        received.keep();
        tracing::trace!(bucket = %bucket.name, number, "part stored");
        Ok(part)
    }

    /// Ends an upload and deletes its parts. Errors: `NoSuchUpload`.
    pub async fn abort_multipart_upload(
        &self,
        cx: &Context,
        input: AbortMultipartUploadInput,
    ) -> Result<AbortMultipartUploadOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        if input.if_match_initiated_time.is_some() {
            let why = "This header is for directory buckets";
            return Err(not_implemented_header("x-amz-if-match-initiated-time", why));
        }
        let upload = UploadRef { bucket: bucket.id, key: &input.key, id: &input.upload_id };
        self.store
            .transact(|tx| -> Result<()> {
                let found = upload.find_in(tx)?;
                drop_parts(tx, found.seq)?;
                tx.delete::<Upload>(&Upload::key(bucket.id, &input.key, found.seq))?;
                Ok(())
            })
            .await?;
        Ok(AbortMultipartUploadOutput { request_charged: charged(cx, &bucket), ..Default::default() })
    }
}

/// What is computed over a part: what it shows, and CRC64NVME for the whole object.
fn algorithms(shown: Option<Algorithm>) -> Vec<Algorithm> {
    match shown {
        None | Some(Algorithm::Crc64Nvme) => vec![Algorithm::Crc64Nvme],
        Some(other) => vec![other, Algorithm::Crc64Nvme],
    }
}

fn part_number(number: i32) -> Result<u32, Error> {
    u32::try_from(number).ok().filter(|n| (1..=10_000).contains(n)).ok_or_else(|| {
        let message = "Part number must be an integer between 1 and 10000, inclusive";
        invalid_argument(message, "partNumber", number.to_string())
    })
}

impl S3 {
    /// The cipher of a part: with the key that the upload was begun with, or none.
    /// Errors: `InvalidRequest`, KMS's own as `KMS.…`.
    async fn part_key(
        &self,
        cx: &Context,
        draft: &Draft,
        headers: &KeyHeaders<'_>,
    ) -> Result<Option<crate::encryption::Cipher>, Error> {
        let given = customers_part_key(cx, draft.customer_key.as_ref(), headers)?;
        match &draft.kms {
            Some(seal) => self.open_seal(cx, seal).await.map(Some),
            None => Ok(given),
        }
    }
}

/// The same where it is a customer's. Errors: `InvalidRequest`.
fn customers_part_key(
    cx: &Context,
    begun: Option<&CustomerKey>,
    headers: &KeyHeaders<'_>,
) -> Result<Option<crate::encryption::Cipher>, Error> {
    let given = headers.read()?;
    match (begun, &given) {
        (Some(_), None) => Err(invalid_request(
            "The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate \
             encryption parameters.",
        )),
        (None, Some(_)) => Err(invalid_request(
            "The multipart upload initiate did not request encryption. Please resend the request without sending \
             encryption parameters.",
        )),
        _ => unlock_kept(cx, begun, given.as_ref()).map_err(|_| {
            invalid_request("The provided encryption parameters did not match the ones used originally.")
        }),
    }
}

/// `x-amz-copy-source-range`: exactly `bytes=first-last`. Errors: `InvalidArgument`.
fn copy_range(header: Option<&str>, size: u64) -> Result<(u64, u64), Error> {
    let Some(text) = header else { return Ok((0, size)) };
    let parsed = text.strip_prefix("bytes=").and_then(|r| r.split_once('-')).and_then(|(first, last)| {
        let number = |t: &str| t.bytes().all(|b| b.is_ascii_digit()).then(|| t.parse::<u64>().ok()).flatten();
        Some((number(first)?, number(last)?))
    });
    let Some((first, last)) = parsed.filter(|(first, last)| first <= last) else {
        let message = "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are \
                       the zero-based offsets of the first and last bytes to copy";
        return Err(invalid_argument(message, "x-amz-copy-source-range", text));
    };
    if first >= size {
        return Err(invalid_request("The specified copy range is invalid for the source object size"));
    }
    if last >= size {
        let message = format!("Range specified is not valid for source object of size: {size}");
        return Err(invalid_argument(message, "x-amz-copy-source-range", text));
    }
    Ok((first, last + 1))
}

/// The checksum that a part shows.
pub(crate) fn shown_checksum(part: &Part) -> Option<&Checksum> {
    part.checksum.as_ref()
}

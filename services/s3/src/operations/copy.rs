//! CopyObject: by reference wherever the bytes need not change.

use crate::S3;
use crate::access::charged;
use crate::acl::{self, object_acl};
use crate::annotations;
use crate::checksums::{Algorithm, Checksum, Hasher, Kind, show_checksum};
use crate::conditions::{ReadConditions, WriteConditions};
use crate::content::{self, Received};
use crate::draft::{self, headers, lock_request};
use crate::encryption::{Cipher, Given, source_key, unlock};
use crate::errors::{Fail, Result, invalid_request};
use crate::kms::{Sealing, asked_encryption, show_encryption};
use crate::names::{CopySource, check_key};
use crate::operations::get::{check_archived, shown_version};
use crate::operations::put::{MOST_AT_ONCE, insert, random_etag};
use crate::state::{Body, Bucket, Draft, Version};
use crate::tags;
use crate::versions::{self, Which};
use aws_smithy_types::DateTime;
use cloudlet_api_s3::{CopyObjectInput, CopyObjectOutput, CopyObjectResult};
use cloudlet_service::{ByteStream, Context, Error};
use std::sync::Arc;

/// A version that is to be copied.
pub(crate) struct Source {
    pub(crate) bucket: Arc<Bucket>,
    pub(crate) at: CopySource,
    pub(crate) version: Version,
    pub(crate) latest: bool,
    pub(crate) cipher: Option<Cipher>,
}

impl Source {
    /// The id that answers show.
    pub(crate) fn shown_version(&self) -> Option<String> {
        shown_version(&self.bucket, &self.version)
    }
}

/// What the bytes of a copy turned out to be.
struct Copied {
    /// New bytes where they had to change; none where they are shared.
    received: Option<Received>,
    etag: String,
    checksum: Option<Checksum>,
}

impl S3 {
    /// Finds what `x-amz-copy-source` names, under its conditions and with its key.
    /// Errors: `NoSuchBucket`, `NoSuchKey`, `NoSuchVersion`, `PreconditionFailed`, `InvalidObjectState`, …
    pub(crate) async fn source(
        &self,
        cx: &Context,
        text: &str,
        owner: Option<&str>,
        conditions: &ReadConditions<'_>,
        key: Option<&Given>,
    ) -> Result<Source, Error> {
        let at = CopySource::parse(text)?;
        let bucket = self.expected(&at.bucket, owner)?;
        let which = Which::parse(at.version.as_deref())?;
        let found = versions::find(&self.store, bucket.id, &at.key, which)?;
        let missing = || self.missing(cx, &bucket, versions::missing(&at.key, at.version.as_deref()));
        let found = found.ok_or_else(missing)?;
        if found.version.marker {
            return Err(match at.version {
                None => missing(),
                Some(_) => invalid_request(
                    "The source of a copy request may not specifically refer to a delete marker by version id.",
                ),
            });
        }
        conditions.check(&found.version, cx.millis())?;
        let mut cipher = unlock(cx, &found.version, key)?;
        if let Some(seal) = &found.version.kms {
            cipher = Some(self.open_seal(cx, seal).await?);
        }
        check_archived(&found.version, cx.millis()).map_err(|_| {
            let message = "Operation is not valid for the source object's storage class";
            Error::new("InvalidObjectState", 403, message).with("StorageClass", found.version.class())
        })?;
        Ok(Source { bucket, at, version: found.version, latest: found.latest, cipher })
    }

    /// Opens the source's bytes. Errors: `OperationAborted` where it was replaced meanwhile.
    pub(crate) fn open_source(&self, source: &Source, start: u64, end: u64) -> Result<ByteStream> {
        let body = content::open(&self.store, &source.version.body, start..end, source.cipher.as_ref())?;
        body.ok_or_else(|| Fail(crate::errors::conflicting_operation()))
    }

    /// Copies an object. Its metadata and tags come along unless the directives say otherwise; its ACL, storage class
    /// and lock do not.
    ///
    /// Errors: as of a read of the source and a write of the destination; `InvalidRequest` for a copy onto itself
    /// that changes nothing.
    pub async fn copy_object(&self, cx: &Context, input: CopyObjectInput) -> Result<CopyObjectOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        check_key(&input.key)?;
        let conditions = WriteConditions {
            if_match: input.if_match.as_deref(),
            if_none_match: input.if_none_match.as_deref(),
        };
        conditions.supported()?;
        let algorithm = match input.checksum_algorithm.as_deref() {
            None => None,
            Some(name) => Some(
                Algorithm::parse(name)
                    .ok_or_else(|| invalid_request("Checksum algorithm provided is unsupported."))?,
            ),
        };
        let sealing = self.sealing(cx, &bucket, &input.key, &asked_encryption!(input)).await?;
        let from_key = source_key!(input).read()?;
        for _ in 0..4 {
            let read = ReadConditions {
                if_match: input.copy_source_if_match.as_deref(),
                if_none_match: input.copy_source_if_none_match.as_deref(),
                if_modified_since: input.copy_source_if_modified_since.as_ref(),
                if_unmodified_since: input.copy_source_if_unmodified_since.as_ref(),
                prefix: "x-amz-copy-source-",
            };
            let owner = input.expected_source_bucket_owner.as_deref();
            let source = self.source(cx, &input.copy_source, owner, &read, from_key.as_ref()).await?;
            check_copied_size(source.version.size)?;
            let draft = self.copy_draft(cx, &bucket, &input, &source, &sealing)?;
            let annotated = self.copies_annotations(cx, &bucket, &input, &source, &sealing)?;
            let copied = match self.copy_bytes(cx, &source, algorithm, &sealing).await {
                Err(fail) if fail.0.is("OperationAborted") => continue,
                other => other?,
            };
            let mut version = draft.version(cx.millis());
            version.size = source.version.size;
            version.etag = copied.etag;
            version.checksum = copied.checksum;
            let received = copied.received;
            let stored = self
                .store
                .transact(|tx| -> Result<Option<Version>> {
                    let body = match &received {
                        Some(received) => received.place(tx)?,
                        None => {
                            // What is shared must still be there.
                            let which = Which::parse(source.at.version.as_deref())?;
                            let now = versions::find_in(tx, source.bucket.id, &source.at.key, which)?;
                            if now.is_none_or(|now| now.version.seq != source.version.seq) {
                                return Ok(None);
                            }
                            content::share(tx, &source.version.body)?
                        }
                    };
                    let version = Version { body, ..version.clone() };
                    let from = match annotated {
                        true => annotations::gather(tx, source.bucket.id, &source.version)?,
                        false => Vec::new(),
                    };
                    let made = Version { annotations: from.len() as u32, ..version };
                    let made = insert(tx, cx, &bucket, &input.key, made, &conditions, "ObjectCreated:Copy")?;
                    annotations::give(tx, from, bucket.id, &made)?;
                    Ok(Some(made))
                })
                .await?;
            let Some(stored) = stored else { continue };
            if let Some(mut received) = received {
                received.keep();
            }
            let mut output = answer(cx, &bucket, &source, &stored);
            output.expiration = self.expiration_header(&bucket, &input.key, &stored)?;
            return Ok(output);
        }
        Err(crate::errors::conflicting_operation())
    }

    /// Whether the source's annotations come along: they do unless the request says otherwise, and objects under SSE-C
    /// have none. Errors: `AccessDenied`.
    fn copies_annotations(
        &self,
        cx: &Context,
        bucket: &Bucket,
        input: &CopyObjectInput,
        source: &Source,
        sealing: &Sealing,
    ) -> Result<bool, Error> {
        let wanted = input.annotation_directive.as_deref() != Some("EXCLUDE");
        if !wanted || source.version.annotations == 0 || sealing.customer_key(cx).is_some() {
            return Ok(false);
        }
        let from = source.at.version.as_deref();
        self.allowed(cx, &source.bucket, Some(&source.at.key), from, "s3:GetObjectAnnotation")?;
        self.allowed(cx, bucket, Some(&input.key), None, "s3:PutObjectAnnotation")?;
        Ok(true)
    }

    fn copy_draft(
        &self,
        cx: &Context,
        bucket: &Bucket,
        input: &CopyObjectInput,
        source: &Source,
        sealing: &Sealing,
    ) -> Result<Draft, Error> {
        let replace = input.metadata_directive.as_deref() == Some("REPLACE");
        let same = source.bucket.id == bucket.id && source.at.key == input.key && source.latest;
        let changes = replace
            || input.storage_class.is_some()
            || input.website_redirect_location.is_some()
            || input.server_side_encryption.is_some()
            || sealing.hides_md5()
            || bucket.has(crate::operations::ENCRYPTION.name)
            || source.version.customer_key.is_some()
            || source.version.restored.is_some()
            || bucket.has(super::settings::ENCRYPTION.name)
            || source.at.version.is_some();
        if same && !changes {
            return Err(invalid_request(
                "This copy request is illegal because it is trying to copy an object to itself without changing the \
                 object's metadata, storage class, website redirect location or encryption attributes.",
            ));
        }
        // Taken out of a copy, because another round may need them again.
        let mut again = input.clone();
        let mut headers = headers!(again);
        draft::redirect(&headers)?;
        let mut metadata = draft::metadata(input.metadata.clone())?;
        if !replace {
            let redirect = headers.redirect.take();
            headers = source.version.headers.clone();
            headers.redirect = redirect;
            metadata = source.version.metadata.clone();
        }
        let tags = match input.tagging_directive.as_deref() {
            Some("REPLACE") => tags::from_header(input.tagging.as_deref())?,
            _ => source.version.tags.clone(),
        };
        let (acl, owner) = acl::for_object(cx, &object_acl!(again), bucket, &again.key)?;
        let (retention, hold) = lock_request!(again).resolve(cx, bucket)?;
        Ok(Draft {
            headers,
            metadata,
            tags,
            class: draft::class(input.storage_class.clone())?,
            owner,
            acl,
            retention,
            hold,
            customer_key: sealing.customer_key(cx),
            kms: sealing.kms(),
        })
    }

    /// Decides whether bytes are shared, read or rewritten, and does what must be done before the transaction.
    async fn copy_bytes(
        &self,
        cx: &Context,
        source: &Source,
        algorithm: Option<Algorithm>,
        sealing: &Sealing,
    ) -> Result<Copied> {
        let version = &source.version;
        let kept = version.checksum.as_ref();
        let algorithm = algorithm.or(kept.map(|c| c.algorithm)).unwrap_or(Algorithm::Crc64Nvme);
        if sealing.hides_md5() || source.cipher.is_some() {
            let mut body = self.open_source(source, 0, version.size)?;
            let cipher = sealing.cipher(cx);
            let received =
                content::receive(&self.store, &mut body, &[algorithm], cipher, MOST_AT_ONCE).await?;
            let etag = if sealing.hides_md5() { random_etag(cx) } else { hex::encode(received.md5) };
            let checksum = crate::integrity::computed(&received, algorithm);
            return Ok(Copied { received: Some(received), etag, checksum });
        }
        let whole = kept.filter(|c| c.kind == Kind::FullObject && c.algorithm == algorithm);
        if let Some(checksum) = whole
            && version.parts == 0
            && !matches!(version.body, Body::Many(_))
        {
            return Ok(Copied {
                received: None,
                etag: version.etag.clone(),
                checksum: Some(checksum.clone()),
            });
        }
        // The bytes stay where they are, but a digest over all of them is new.
        let mut md5 = Hasher::new(Algorithm::Md5);
        let mut hasher = Hasher::new(algorithm);
        let mut body = self.open_source(source, 0, version.size)?;
        while let Some(chunk) = body.next().await {
            let chunk = chunk?;
            md5.update(&chunk);
            hasher.update(&chunk);
        }
        let checksum = Some(Checksum::full(algorithm, &hasher.finish()));
        Ok(Copied { received: None, etag: hex::encode(md5.finish()), checksum })
    }
}

/// How much is copied at once. Errors: `InvalidRequest`.
pub(crate) fn check_copied_size(size: u64) -> Result<(), Error> {
    if size <= MOST_AT_ONCE {
        return Ok(());
    }
    Err(invalid_request(format!(
        "The specified copy source is larger than the maximum allowable size for a copy source: {MOST_AT_ONCE}"
    )))
}

fn answer(cx: &Context, bucket: &Bucket, source: &Source, stored: &Version) -> CopyObjectOutput {
    let mut result = CopyObjectResult {
        e_tag: Some(stored.quoted_etag()),
        last_modified: Some(DateTime::from_secs(stored.modified.div_euclid(1000))),
        checksum_type: stored.checksum.as_ref().map(|c| c.kind.name().to_owned()),
        ..Default::default()
    };
    if let Some(checksum) = &stored.checksum {
        show_checksum!(result, checksum.algorithm, checksum.value);
    }
    let mut output = CopyObjectOutput {
        copy_object_result: Some(result),
        copy_source_version_id: source.shown_version(),
        version_id: stored.id.clone(),
        request_charged: charged(cx, bucket),
        ..Default::default()
    };
    show_encryption!(output, stored);
    output.ssekms_encryption_context = stored.kms.as_ref().and_then(|seal| seal.given.clone());
    output
}

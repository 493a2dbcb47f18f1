//! PutObject.

use crate::S3;
use crate::access::charged;
use crate::acl::{self, object_acl};
use crate::checksums::{Algorithm, given_checksums, show_checksum};
use crate::conditions::WriteConditions;
use crate::content;
use crate::draft::{self, headers, lock_request};
use crate::errors::{Result, conditional_conflict, not_implemented_header};
use crate::events::{self, Event};
use crate::integrity::{Claim, computed};
use crate::kms::{asked_encryption, show_encryption};
use crate::names::check_key;
use crate::replication::{self, What};
use crate::state::{Bucket, Draft, Live, Object, Version};
use crate::tags;
use crate::versions;
use cloudlet_api_s3::{PutObjectInput, PutObjectOutput};
use cloudlet_service::{ByteStream, Context, Error};
use cloudlet_store::Tx;

/// The most bytes of one upload. Source: S3 User Guide, "Uploading objects".
pub(crate) const MOST_AT_ONCE: u64 = 5 << 30;

impl S3 {
    /// Stores an object. Durable before it is acknowledged; nothing of it is visible before that.
    ///
    /// Errors: `NoSuchBucket`, `KeyTooLongError`, `EntityTooLarge`, `MissingContentLength`, `InvalidDigest`,
    /// `BadDigest`, `PreconditionFailed`, `InvalidStorageClass`, `InvalidTag`, `MetadataTooLarge` and more.
    pub async fn put_object(&self, cx: &Context, input: PutObjectInput) -> Result<PutObjectOutput, Error> {
        check_length(cx, &input.body)?;
        self.put_as(cx, input, "ObjectCreated:Put").await
    }

    /// The same, telling another event: how browser forms store.
    pub(crate) async fn put_as(
        &self,
        cx: &Context,
        mut input: PutObjectInput,
        event: &'static str,
    ) -> Result<PutObjectOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        check_key(&input.key)?;
        if input.write_offset_bytes.is_some() {
            let why = "Appending to objects is for directory buckets";
            return Err(not_implemented_header("x-amz-write-offset-bytes", why));
        }
        let conditions = WriteConditions {
            if_match: input.if_match.as_deref(),
            if_none_match: input.if_none_match.as_deref(),
        };
        conditions.supported()?;
        let md5 = input.content_md5.as_deref();
        let claim = Claim::read(cx, md5, given_checksums!(input), input.checksum_algorithm.as_deref())?;
        // Forms are signed in other ways, and have fields for it that no old page sends.
        let locks = input.object_lock_mode.is_some()
            || input.object_lock_retain_until_date.is_some()
            || input.object_lock_legal_hold_status.is_some()
            || (retains(&bucket) && !cx.origin.form);
        if locks {
            claim.check_locked(cx, "Put Object")?;
        }
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
        // Where the client chose none, S3 keeps CRC64NVME.
        let algorithm = claim.algorithm().unwrap_or(Algorithm::Crc64Nvme);
        let cipher = sealing.cipher(cx);
        let before = self.present(&bucket, &input.key, &conditions)?;
        let mut received =
            content::receive(&self.store, &mut input.body, &[algorithm], cipher, MOST_AT_ONCE).await?;
        claim.check(&input.body, &received)?;
        let mut version = draft.version(cx.millis());
        version.size = received.size;
        version.etag = if sealing.hides_md5() { random_etag(cx) } else { hex::encode(received.md5) };
        version.checksum = computed(&received, algorithm);
        let stored = self
            .store
            .transact(|tx| -> Result<Version> {
                check_conflict(tx, &bucket, &input.key, before)?;
                let version = Version { body: received.place(tx)?, ..version.clone() };
                insert(tx, cx, &bucket, &input.key, version, &conditions, event)
            })
            .await?;
        received.keep();
        let mut output = PutObjectOutput {
            e_tag: Some(stored.quoted_etag()),
            // None for the null version of a bucket whose versioning is suspended.
            version_id: stored.id.clone(),
            checksum_type: stored.checksum.as_ref().map(|c| c.kind.name().to_owned()),
            request_charged: charged(cx, &bucket),
            ..Default::default()
        };
        show_encryption!(output, stored);
        output.ssekms_encryption_context = stored.kms.as_ref().and_then(|seal| seal.given.clone());
        if let Some(checksum) = &stored.checksum {
            show_checksum!(output, checksum.algorithm, checksum.value);
        }
        output.expiration = self.expiration_header(&bucket, &input.key, &stored)?;
        Ok(output)
    }
}

impl S3 {
    /// Whether there is an object before the bytes of a write under `If-None-Match` arrive.
    fn present(&self, bucket: &Bucket, key: &str, conditions: &WriteConditions<'_>) -> Result<bool> {
        if conditions.if_none_match.is_none() {
            return Ok(false);
        }
        let current = self.store.table::<Object>().get_arc(&Object::key(bucket.id, key))?;
        Ok(current.is_some_and(|object| !object.version.marker))
    }
}

/// A write under `If-None-Match` conflicts with the deletion of the object that was there when it began.
/// Errors: `ConditionalRequestConflict`. Source: S3 User Guide, "How to prevent object overwrites with conditional writes".
fn check_conflict(tx: &mut Tx<'_>, bucket: &Bucket, key: &str, before: bool) -> Result<()> {
    let there = |object: Object| !object.version.marker;
    if before && !tx.get::<Object>(&Object::key(bucket.id, key))?.is_some_and(there) {
        return Err(conditional_conflict().into());
    }
    Ok(())
}

/// Bytes come with their length. Errors: `MissingContentLength`, `NotImplemented` for HTTP's own chunks.
pub(crate) fn check_length(cx: &Context, body: &ByteStream) -> Result<(), Error> {
    let has = |name: &str| cx.origin.headers.as_ref().is_none_or(|headers| headers.contains_key(name));
    if body.len().is_some_and(|len| len > 0 || has("content-length") || has("transfer-encoding")) {
        return Ok(());
    }
    if cx.origin.headers.is_some() && has("transfer-encoding") {
        return Err(not_implemented_header("Transfer-Encoding", "Send Content-Length"));
    }
    Err(Error::new("MissingContentLength", 411, "You must provide the Content-Length HTTP header."))
}

/// Whether the bucket retains every new object.
pub(crate) fn retains(bucket: &Bucket) -> bool {
    bucket.lock.as_ref().is_some_and(|lock| lock.default.is_some())
}

/// An entity tag that says nothing of the bytes, as encrypted objects have.
pub(crate) fn random_etag(cx: &Context) -> String {
    let mut bytes = [0u8; 16];
    cx.random().fill(&mut bytes);
    hex::encode(bytes)
}

/// Makes a version current and emits its event: the end of every operation that creates an object.
pub(crate) fn insert(
    tx: &mut Tx<'_>,
    cx: &Context,
    bucket: &Bucket,
    key: &str,
    mut version: Version,
    conditions: &WriteConditions<'_>,
    event: &'static str,
) -> Result<Version> {
    if !tx.exists::<Live>(&Live::key(bucket.id))? {
        return Err(crate::errors::no_such_bucket(&bucket.name).into());
    }
    let current = tx.get::<Object>(&Object::key(bucket.id, key))?;
    conditions.check(key, current.as_ref().map(|o| &o.version))?;
    replication::mark(tx, bucket, key, &mut version)?;
    let version = versions::add(tx, cx, bucket, key, current, version)?;
    replication::send(tx, cx, bucket, key, &version, What::Object)?;
    events::emit(tx, cx, bucket, &Event { name: event, key, version: &version })?;
    Ok(version)
}

//! PutObjectAnnotation, GetObjectAnnotation, DeleteObjectAnnotation, ListObjectAnnotations.

use crate::S3;
use crate::access::charged;
use crate::annotations::Annotation;
use crate::checksums::{Algorithm, given_checksums, show_checksum};
use crate::condition_keys::header;
use crate::content;
use crate::errors::{
    Fail, Result, conflicting_operation, invalid_argument, invalid_request, precondition_failed, too_large,
};
use crate::integrity::{Claim, computed};
use crate::operations::check_lock;
use crate::operations::get::shown_version;
use crate::operations::put::check_length;
use crate::replication;
use crate::state::{Body, KmsSeal, Version};
use crate::versions::{self, Which};
use aws_smithy_types::DateTime;
use cloudlet_api_s3 as api;
use cloudlet_service::{ByteStream, Context, Error, pages};

/// The most bytes of an annotation.
const LARGEST: u64 = 1 << 20;

/// The most annotations of a version.
const MOST: u32 = 1000;

/// The longest name, in bytes.
const LONGEST_NAME: usize = 512;

/// Errors: `InvalidAnnotationName`, `AnnotationNameTooLong`.
fn check_name(name: &str) -> Result<(), Error> {
    if name.len() > LONGEST_NAME {
        let message = "The annotation name exceeds 512 bytes.";
        return Err(Error::sender("AnnotationNameTooLong", message));
    }
    let lower = name.get(..3).unwrap_or(name).to_ascii_lowercase();
    if name.is_empty() || lower.starts_with("aws") || lower.starts_with("s3") {
        let message = "The annotation name you provided is invalid.";
        return Err(Error::sender("InvalidAnnotationName", message));
    }
    Ok(())
}

/// `x-amz-object-if-match`. Errors: `PreconditionFailed`.
fn check_object(version: &Version, wanted: Option<&str>) -> Result<(), Error> {
    match wanted {
        Some(wanted) if wanted != "*" && wanted.trim_matches('"') != version.etag => {
            Err(precondition_failed("x-amz-object-if-match"))
        }
        _ => Ok(()),
    }
}

fn algorithm_of(seal: Option<&KmsSeal>) -> String {
    seal.map_or("AES256", KmsSeal::algorithm).to_owned()
}

fn no_such_annotation() -> Error {
    Error::new("NoSuchAnnotation", 404, "The specified annotation does not exist on this object.")
}

impl S3 {
    /// Attaches a text to a version, or replaces the one of that name.
    ///
    /// Errors: `NoSuchKey`, `NoSuchVersion`, `MethodNotAllowed`, `InvalidAnnotationName`, `AnnotationNameTooLong`,
    /// `AnnotationLimitExceeded`, `UnsupportedMediaType`, `EntityTooLarge`, `EntityTooSmall`, `InvalidRequest` for objects
    /// under SSE-C, `PreconditionFailed`, `BadDigest`.
    pub async fn put_object_annotation(
        &self,
        cx: &Context,
        mut input: api::PutObjectAnnotationInput,
    ) -> Result<api::PutObjectAnnotationOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        check_name(&input.annotation_name)?;
        check_length(cx, &input.annotation_payload)?;
        let md5 = input.content_md5.as_deref();
        let claim = Claim::read(cx, md5, given_checksums!(input), input.checksum_algorithm.as_deref())?;
        let version = input.version_id.as_deref();
        let found = self.existing(cx, &bucket, &input.key, version, "PUT")?;
        if found.customer_key.is_some() {
            return Err(invalid_request(
                "Objects encrypted with server-side encryption with customer-provided keys cannot have annotations.",
            ));
        }
        check_object(&found, input.object_if_match.as_deref())?;
        let algorithm = claim.algorithm().unwrap_or(Algorithm::Crc64Nvme);
        let cipher = match &found.kms {
            Some(seal) => Some(self.open_seal(cx, seal).await?),
            None => None,
        };
        let text = read_text(&mut input.annotation_payload).await?;
        let mut received =
            content::receive(&self.store, &mut ByteStream::from(text), &[algorithm], cipher, LARGEST).await?;
        claim.check(&input.annotation_payload, &received)?;
        let which = Which::parse(version)?;
        let at = Annotation::key(bucket.id, found.seq, &input.annotation_name);
        let draft = Annotation {
            size: received.size,
            etag: hex::encode(received.md5),
            modified: cx.millis(),
            piece: None,
            checksum: computed(&received, algorithm),
            kms: found.kms.clone(),
            replication: None,
        };
        let stored = self
            .store
            .transact(|tx| -> Result<Annotation> {
                let now = versions::find_in(tx, bucket.id, &input.key, which)?;
                let Some(mut now) = now.filter(|now| now.version.seq == found.seq) else {
                    return Err(conflicting_operation().into());
                };
                match tx.get::<Annotation>(&at)? {
                    Some(old) => {
                        check_lock(cx, &now.version, bypass(cx))?;
                        if let Some(piece) = &old.piece {
                            content::release_piece(tx, piece)?;
                        }
                    }
                    None if now.version.annotations >= MOST => {
                        let message =
                            "The request would exceed the maximum number of annotations allowed per object.";
                        return Err(Error::sender("AnnotationLimitExceeded", message).into());
                    }
                    None => {
                        now.version.annotations += 1;
                        versions::rewrite(tx, bucket.id, &input.key, &now)?;
                    }
                }
                let sent = replication::annotated(tx, cx, &bucket, &input.key, &now.version)?;
                let status = sent.then(|| replication::PENDING.to_owned());
                let annotation =
                    Annotation { piece: received.piece(tx)?, replication: status, ..draft.clone() };
                tx.put(&at, &annotation)?;
                Ok(annotation)
            })
            .await?;
        received.keep();
        let mut output = api::PutObjectAnnotationOutput {
            key: Some(input.key),
            annotation_name: Some(input.annotation_name),
            object_version_id: shown_version(&bucket, &found),
            e_tag: Some(format!("\"{}\"", stored.etag)),
            checksum_type: stored.checksum.as_ref().map(|c| c.kind.name().to_owned()),
            server_side_encryption: Some(algorithm_of(stored.kms.as_ref())),
            request_charged: charged(cx, &bucket),
            ..Default::default()
        };
        if let Some(checksum) = &stored.checksum {
            show_checksum!(output, checksum.algorithm, checksum.value);
        }
        Ok(output)
    }

    /// Gives an annotation's text. Errors: `NoSuchKey`, `NoSuchVersion`, `MethodNotAllowed`, `NoSuchAnnotation`.
    pub async fn get_object_annotation(
        &self,
        cx: &Context,
        input: api::GetObjectAnnotationInput,
    ) -> Result<api::GetObjectAnnotationOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        let version = input.version_id.as_deref();
        // One that is replaced just now is looked up again.
        for _ in 0..4 {
            let found = self.existing(cx, &bucket, &input.key, version, "GET")?;
            let at = Annotation::key(bucket.id, found.seq, &input.annotation_name);
            let annotation = self.store.table::<Annotation>().get(&at).map_err(Fail::from)?;
            let annotation = annotation.ok_or_else(no_such_annotation)?;
            let cipher = match &annotation.kms {
                Some(seal) => Some(self.open_seal(cx, seal).await?),
                None => None,
            };
            let body = annotation.piece.clone().map_or(Body::Empty, Body::One);
            let payload = content::open(&self.store, &body, 0..annotation.size, cipher.as_ref())?;
            let Some(annotation_payload) = payload else { continue };
            let mut output = api::GetObjectAnnotationOutput {
                annotation_payload,
                object_version_id: shown_version(&bucket, &found),
                last_modified: Some(DateTime::from_secs(annotation.modified.div_euclid(1000))),
                content_length: Some(annotation.size as i64),
                e_tag: Some(format!("\"{}\"", annotation.etag)),
                server_side_encryption: Some(algorithm_of(annotation.kms.as_ref())),
                replication_status: annotation.replication.clone(),
                request_charged: charged(cx, &bucket),
                ..Default::default()
            };
            if input.checksum_mode.as_deref().is_some_and(|mode| mode.eq_ignore_ascii_case("enabled"))
                && let Some(checksum) = &annotation.checksum
            {
                show_checksum!(output, checksum.algorithm, checksum.value);
                output.checksum_type = Some(checksum.kind.name().to_owned());
            }
            return Ok(output);
        }
        Err(conflicting_operation())
    }

    /// Deletes an annotation for good. Deleting what is not there succeeds.
    /// Errors: `NoSuchKey`, `NoSuchVersion`, `MethodNotAllowed`, `AccessDenied` for locked versions, `PreconditionFailed`.
    pub async fn delete_object_annotation(
        &self,
        cx: &Context,
        input: api::DeleteObjectAnnotationInput,
    ) -> Result<api::DeleteObjectAnnotationOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        let version = input.version_id.as_deref();
        let found = self.existing(cx, &bucket, &input.key, version, "DELETE")?;
        check_object(&found, input.object_if_match.as_deref())?;
        let which = Which::parse(version)?;
        let at = Annotation::key(bucket.id, found.seq, &input.annotation_name);
        self.store
            .transact(|tx| -> Result<()> {
                let Some(old) = tx.get::<Annotation>(&at)? else { return Ok(()) };
                let now = versions::find_in(tx, bucket.id, &input.key, which)?;
                let Some(mut now) = now.filter(|now| now.version.seq == found.seq) else { return Ok(()) };
                check_lock(cx, &now.version, bypass(cx))?;
                if let Some(piece) = &old.piece {
                    content::release_piece(tx, piece)?;
                }
                tx.delete::<Annotation>(&at)?;
                replication::annotated(tx, cx, &bucket, &input.key, &now.version)?;
                now.version.annotations = now.version.annotations.saturating_sub(1);
                versions::rewrite(tx, bucket.id, &input.key, &now)
            })
            .await?;
        Ok(api::DeleteObjectAnnotationOutput {
            object_version_id: shown_version(&bucket, &found),
            request_charged: charged(cx, &bucket),
        })
    }

    /// A page of a version's annotations by name. Errors: `NoSuchKey`, `NoSuchVersion`, `MethodNotAllowed`,
    /// `InvalidPrefix`, `InvalidArgument`.
    pub async fn list_object_annotations(
        &self,
        cx: &Context,
        input: api::ListObjectAnnotationsInput,
    ) -> Result<api::ListObjectAnnotationsOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        let prefix = input.annotation_prefix.as_deref().unwrap_or_default();
        if prefix.len() > LONGEST_NAME {
            return Err(Error::sender("InvalidPrefix", "The annotation prefix you provided is invalid."));
        }
        let most =
            input.max_annotation_results.and_then(|n| usize::try_from(n).ok()).unwrap_or(MOST as usize);
        let found = self.existing(cx, &bucket, &input.key, input.version_id.as_deref(), "GET")?;
        let mut range = Annotation::key(bucket.id, found.seq, prefix).prefix_range();
        if let Some(token) = &input.continuation_token {
            let last = pages::position(token).and_then(|name| String::from_utf8(name).ok());
            let last = last.ok_or_else(|| {
                let message = "The continuation token provided is incorrect";
                invalid_argument(message, "continuation-token", token)
            })?;
            range = range.after(&Annotation::key(bucket.id, found.seq, &last));
        }
        let mut rows = self.store.table::<Annotation>().scan(range, false);
        let mut annotations = Vec::new();
        for row in rows.by_ref().take(most) {
            let (key, annotation) = row.map_err(Fail::from)?;
            annotations.push(api::AnnotationEntry {
                annotation_name: Annotation::name(&key),
                last_modified: Some(DateTime::from_secs(annotation.modified.div_euclid(1000))),
                e_tag: Some(format!("\"{}\"", annotation.etag)),
                checksum_algorithm: annotation.checksum.map(|c| vec![c.algorithm.name().to_owned()]),
                size: annotation.size as i64,
                replication_status: annotation.replication,
            });
        }
        let more = rows.next().is_some();
        Ok(api::ListObjectAnnotationsOutput {
            next_continuation_token: annotations
                .last()
                .filter(|_| more)
                .map(|last| pages::token(&last.annotation_name)),
            annotation_count: Some(annotations.len() as i32),
            annotations: (!annotations.is_empty()).then_some(annotations),
            bucket: Some(bucket.name.clone()),
            key: Some(input.key),
            object_version_id: shown_version(&bucket, &found),
            annotation_prefix: input.annotation_prefix,
            max_annotation_results: Some(most as i32),
            continuation_token: input.continuation_token,
            request_charged: charged(cx, &bucket),
        })
    }
}

/// The whole text. Errors: `EntityTooLarge`, `EntityTooSmall`, `UnsupportedMediaType`, what the stream says.
async fn read_text(body: &mut ByteStream) -> Result<bytes::Bytes, Error> {
    if let Some(len) = body.len().filter(|len| *len > LARGEST) {
        // Most clients listen only once they have sent everything, so that what is a little too long is taken first.
        let mut left = 4 * LARGEST;
        while left > 0
            && let Some(Ok(chunk)) = body.next().await
        {
            left = left.saturating_sub(chunk.len() as u64);
        }
        return Err(too_large(len, LARGEST));
    }
    let mut text = bytes::BytesMut::new();
    while let Some(chunk) = body.next().await {
        text.extend_from_slice(&chunk?);
        if text.len() as u64 > LARGEST {
            return Err(too_large(text.len() as u64, LARGEST));
        }
    }
    if text.is_empty() {
        let message = "Your proposed upload is smaller than the minimum allowed size";
        return Err(Error::sender("EntityTooSmall", message)
            .with("ProposedSize", "0")
            .with("MinSizeAllowed", "1"));
    }
    if std::str::from_utf8(&text).is_err() {
        let message = "The annotation payload is not valid UTF-8 encoded text.";
        return Err(Error::new("UnsupportedMediaType", 415, message));
    }
    Ok(text.freeze())
}

/// Whether the caller, who may, goes past a retention in governance mode.
fn bypass(cx: &Context) -> bool {
    header(cx, "x-amz-bypass-governance-retention").is_some_and(|v| v.eq_ignore_ascii_case("true"))
}

//! CompleteMultipartUpload: the parts become the object, without a byte being moved.

use crate::S3;
use crate::access::charged;
use crate::checksums::{Algorithm, Checksum, Hasher, Kind, given_checksums, show_checksum};
use crate::conditions::WriteConditions;
use crate::content;
use crate::encryption::{customer_key, unlock_kept};
use crate::errors::{Result, invalid_argument, invalid_request, malformed_xml};
use crate::operations::multipart::UploadRef;
use crate::operations::put::insert;
use crate::state::{Body, Bucket, Completed, Layout, LayoutPart, Part, Upload, Version};
use crate::versions::number_of;
use cloudlet_api_s3::{CompleteMultipartUploadInput, CompleteMultipartUploadOutput};
use cloudlet_service::{Context, Error};
use cloudlet_store::{Key, Tx};
use std::collections::BTreeMap;

/// The least size of every part but the last.
const LEAST: u64 = 5 << 20;

/// A part as the request names it.
struct Named {
    number: u32,
    etag: String,
    checksums: Vec<(Algorithm, String)>,
}

impl S3 {
    /// Makes the object out of the parts that are named. Doing it again answers the same.
    ///
    /// Errors: `NoSuchUpload`, `MalformedXML`, `InvalidPart`, `InvalidPartOrder`, `EntityTooSmall`, `BadDigest`,
    /// `InvalidRequest`, `PreconditionFailed`.
    pub async fn complete_multipart_upload(
        &self,
        cx: &Context,
        input: CompleteMultipartUploadInput,
    ) -> Result<CompleteMultipartUploadOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        let conditions = WriteConditions {
            if_match: input.if_match.as_deref(),
            if_none_match: input.if_none_match.as_deref(),
        };
        conditions.supported()?;
        let upload = UploadRef { bucket: bucket.id, key: &input.key, id: &input.upload_id };
        if let Some(size) = input.mpu_object_size.filter(|size| *size < 0) {
            let message = format!("Value for x-amz-mp-object-size header is less than zero: '{size}'");
            return Err(invalid_request(message));
        }
        let named = named(&input)?;
        let claimed = given_checksums!(input);
        if claimed.len() > 1 {
            let message =
                "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.";
            return Err(invalid_request(message));
        }
        for (algorithm, value) in &claimed {
            // Of a composite checksum the count of parts may come along.
            algorithm.decode(value.split('-').next().unwrap_or_default())?;
        }
        if let Some(done) = self.completed_before(&bucket, &upload, &named)? {
            return Ok(answer(cx, &bucket, &input.key, &done, None));
        }
        let given = customer_key!(input).read()?;
        let stored = self
            .store
            .transact(|tx| -> Result<(Version, Upload)> {
                let found = upload.find_in(tx)?;
                if let Some(given) = &given {
                    unlock_kept(cx, found.draft.customer_key.as_ref(), Some(given))?;
                }
                check_kind(&found, input.checksum_type.as_deref())?;
                let parts = take_parts(tx, &found, &named)?;
                let size: u64 = parts.iter().map(|(_, part)| part.size).sum();
                if input.mpu_object_size.is_some_and(|expected| expected as u64 != size) {
                    let expected = input.mpu_object_size.unwrap_or_default();
                    return Err(invalid_request(format!(
                        "The provided 'x-amz-mp-object-size' header value {expected} does not match what was computed: {size}"
                    ))
                    .into());
                }
                let checksum = checksum(&found, &parts)?;
                check_claim(&claimed, checksum.as_ref())?;
                // Such an object is as old as its upload. Source: S3 User Guide, "System-defined object metadata".
                let mut version = found.draft.clone().version(found.initiated);
                version.size = size;
                version.etag = etag(&parts);
                version.parts = parts.len() as u32;
                version.checksum = checksum;
                version.body = layout(tx, &found, &parts)?;
                let event = "ObjectCreated:CompleteMultipartUpload";
                let version = insert(tx, cx, &bucket, &input.key, version, &conditions, event)?;
                let done = Completed {
                    at: cx.millis(),
                    etag: version.etag.clone(),
                    version: version.id.clone(),
                    checksum: version.checksum.clone(),
                    parts: named.iter().map(|n| (n.number, n.etag.clone())).collect(),
                    kms: version.kms.clone(),
                };
                tx.put(&Completed::key(bucket.id, found.seq), &done)?;
                tx.delete::<Upload>(&Upload::key(bucket.id, &input.key, found.seq))?;
                Ok((version, found))
            })
            .await;
        let (version, _) = match stored {
            Ok(stored) => stored,
            Err(fail) if fail.0.is("NoSuchUpload") => {
                // Somebody else may have completed it just now.
                return match self.completed_before(&bucket, &upload, &named)? {
                    Some(done) => Ok(answer(cx, &bucket, &input.key, &done, None)),
                    None => Err(fail.into()),
                };
            }
            Err(fail) => return Err(fail.into()),
        };
        let done = Completed {
            at: version.modified,
            etag: version.etag.clone(),
            version: version.id.clone(),
            checksum: version.checksum.clone(),
            parts: Vec::new(),
            kms: version.kms.clone(),
        };
        let mut output = answer(cx, &bucket, &input.key, &done, Some(&version));
        output.expiration = self.expiration_header(&bucket, &input.key, &version)?;
        Ok(output)
    }

    /// What completing this upload answered before.
    fn completed_before(
        &self,
        bucket: &Bucket,
        upload: &UploadRef<'_>,
        named: &[Named],
    ) -> Result<Option<Completed>> {
        let Some(seq) = number_of(upload.id) else { return Ok(None) };
        let done = self.store.table::<Completed>().get(&Completed::key(bucket.id, seq))?;
        Ok(done.filter(|done| {
            let same = |(number, etag): &(u32, String), n: &Named| *number == n.number && *etag == n.etag;
            done.parts.len() == named.len() && done.parts.iter().zip(named).all(|(d, n)| same(d, n))
        }))
    }
}

/// The parts of the request. Errors: `MalformedXML`, `InvalidPartOrder`.
fn named(input: &CompleteMultipartUploadInput) -> Result<Vec<Named>, Error> {
    let upload = input.multipart_upload.as_ref().ok_or_else(malformed_xml)?;
    let parts = upload.parts.as_ref().filter(|parts| !parts.is_empty());
    let mut named: Vec<Named> = Vec::new();
    for part in parts.ok_or_else(|| invalid_request("You must specify at least one part"))? {
        let number = part.part_number.ok_or_else(malformed_xml)?;
        let number = u32::try_from(number)
            .ok()
            .filter(|n| *n > 0)
            .ok_or_else(|| invalid_argument("PartNumber must be >= 1", "PartNumber", number.to_string()))?;
        let etag = part.e_tag.as_deref().ok_or_else(malformed_xml)?.trim_matches('"').to_owned();
        if named.last().is_some_and(|last| last.number >= number) {
            return Err(Error::sender(
                "InvalidPartOrder",
                "The list of parts was not in ascending order. Parts must be ordered by part number.",
            )
            .with("UploadId", input.upload_id.clone()));
        }
        let checksums = given_checksums!(part);
        if checksums.len() > 1 || checksums.iter().any(|(algorithm, value)| algorithm.decode(value).is_err())
        {
            let message = "Invalid Base64 or multiple checksums present in request";
            return Err(Error::sender("InvalidArgument", message));
        }
        named.push(Named { number, etag, checksums });
    }
    Ok(named)
}

/// The kind of checksum that completing names must be the upload's. Errors: `InvalidRequest`.
fn check_kind(upload: &Upload, named: Option<&str>) -> Result<()> {
    let Some(named) = named else { return Ok(()) };
    // An upload that names no algorithm gets a checksum over all of its bytes.
    if named == upload.kind.unwrap_or(Kind::FullObject).name() {
        return Ok(());
    }
    Err(invalid_request(format!(
        "The upload was created using the {} checksum mode. The complete request must use the same checksum mode.",
        upload.kind.map_or("null", Kind::name)
    ))
    .into())
}

/// The parts that are named, taken out of the upload; the others are deleted.
/// Errors: `InvalidPart`, `EntityTooSmall`, `InvalidRequest`.
fn take_parts(tx: &mut Tx<'_>, upload: &Upload, named: &[Named]) -> Result<Vec<(u32, Part)>> {
    let stored: Vec<(Key, Part)> = tx
        .scan::<Part>(Part::prefix(upload.seq).prefix_range(), false)
        .collect::<std::result::Result<_, _>>()?;
    let mut there: BTreeMap<u32, Part> = BTreeMap::new();
    for (key, part) in stored {
        tx.delete::<Part>(&key)?;
        there.insert(Part::number(&key), part);
    }
    let mut parts = Vec::with_capacity(named.len());
    for (index, wanted) in named.iter().enumerate() {
        let part = there.remove(&wanted.number).filter(|part| part.etag == wanted.etag);
        let part = part.filter(|part| fits(part, &wanted.checksums));
        let Some(part) = part else {
            return Err(Error::sender(
                "InvalidPart",
                "One or more of the specified parts could not be found.  The part may not have been uploaded, or the \
                 specified entity tag may not match the part's entity tag.",
            )
            .with("UploadId", upload.id.clone())
            .with("PartNumber", wanted.number.to_string())
            .with("ETag", wanted.etag.clone())
            .into());
        };
        if upload.kind == Some(Kind::Composite)
            && let Some(algorithm) = upload.algorithm
            && wanted.checksums.is_empty()
        {
            return Err(invalid_request(format!(
                "The upload was created using a {} checksum. The complete request must include the checksum for each \
                 part. It was missing for part {} in the request.",
                algorithm.name().to_ascii_lowercase(),
                wanted.number
            ))
            .into());
        }
        if index + 1 < named.len() && part.size < LEAST {
            return Err(Error::sender(
                "EntityTooSmall",
                "Your proposed upload is smaller than the minimum allowed size",
            )
            .with("ProposedSize", part.size.to_string())
            .with("MinSizeAllowed", LEAST.to_string())
            .with("PartNumber", wanted.number.to_string())
            .with("ETag", wanted.etag.clone())
            .into());
        }
        parts.push((wanted.number, part));
    }
    for piece in there.into_values().filter_map(|part| part.piece) {
        content::release_piece(tx, &piece)?;
    }
    Ok(parts)
}

/// Whether the checksums that the request names for a part are the part's.
fn fits(part: &Part, named: &[(Algorithm, String)]) -> bool {
    named.iter().all(|(algorithm, value)| {
        let known = [part.checksum.as_ref(), part.crc64.as_ref()];
        known.into_iter().flatten().find(|c| c.algorithm == *algorithm).is_none_or(|c| c.value == *value)
    })
}

/// The MD5 over the MD5s of the parts, and how many there are.
fn etag(parts: &[(u32, Part)]) -> String {
    let mut md5 = Hasher::new(Algorithm::Md5);
    for (_, part) in parts {
        md5.update(&hex::decode(&part.etag).unwrap_or_default());
    }
    format!("{}-{}", hex::encode(md5.finish()), parts.len())
}

/// The object's checksum out of those of the parts.
fn checksum(upload: &Upload, parts: &[(u32, Part)]) -> Result<Option<Checksum>> {
    let algorithm = upload.algorithm.unwrap_or(Algorithm::Crc64Nvme);
    let of = |part: &Part| {
        let known = [part.checksum.as_ref(), part.crc64.as_ref()];
        known.into_iter().flatten().find(|c| c.algorithm == algorithm).map(|c| (c.bytes(), part.size))
    };
    let all: Option<Vec<(Vec<u8>, u64)>> = parts.iter().map(|(_, part)| of(part)).collect();
    let Some(all) = all else { return Ok(None) };
    Ok(match upload.kind.unwrap_or(Kind::FullObject) {
        Kind::FullObject => Checksum::combined(algorithm, &all),
        Kind::Composite => {
            let bytes: Vec<Vec<u8>> = all.into_iter().map(|(bytes, _)| bytes).collect();
            Some(Checksum::composite(algorithm, &bytes))
        }
    })
}

/// The checksum in the request's header must be the object's. Errors: `BadDigest`.
fn check_claim(claimed: &[(Algorithm, String)], computed: Option<&Checksum>) -> Result<()> {
    for (algorithm, value) in claimed {
        let Some(computed) = computed.filter(|c| c.algorithm == *algorithm) else { continue };
        let bare = computed.value.split('-').next().unwrap_or_default();
        if *value != computed.value && value != bare {
            let name = algorithm.name().to_ascii_lowercase();
            let message = format!("The {name} you specified did not match the calculated checksum.");
            return Err(Error::sender("BadDigest", message).into());
        }
    }
    Ok(())
}

fn layout(tx: &mut Tx<'_>, upload: &Upload, parts: &[(u32, Part)]) -> Result<Body> {
    let algorithm = upload.algorithm.unwrap_or(Algorithm::Crc64Nvme);
    let parts = parts.iter().map(|(number, part)| {
        let known = [part.checksum.as_ref(), part.crc64.as_ref()];
        let checksum =
            known.into_iter().flatten().find(|c| c.algorithm == algorithm).map(|c| c.value.clone());
        LayoutPart { number: *number, size: part.size, piece: part.piece.clone(), checksum }
    });
    let layout = Layout { parts: parts.collect() };
    Ok(Body::Many(content::put_layout(tx, &layout)?))
}

fn answer(
    cx: &Context,
    bucket: &Bucket,
    key: &str,
    done: &Completed,
    version: Option<&Version>,
) -> CompleteMultipartUploadOutput {
    let mut output = CompleteMultipartUploadOutput {
        location: Some(crate::names::location(cx, &bucket.name, key)),
        bucket: Some(bucket.name.clone()),
        key: Some(key.to_owned()),
        e_tag: Some(format!("\"{}\"", done.etag)),
        version_id: done.version.clone(),
        checksum_type: done.checksum.as_ref().map(|c| c.kind.name().to_owned()),
        request_charged: charged(cx, bucket),
        ..Default::default()
    };
    if let Some(seal) = &done.kms {
        output.server_side_encryption = Some(seal.algorithm().to_owned());
        output.ssekms_key_id = Some(seal.key.clone());
        output.bucket_key_enabled = seal.bucket_key.then_some(true);
    } else if version.is_none_or(|v| v.customer_key.is_none()) {
        output.server_side_encryption = Some("AES256".to_owned());
    }
    if let Some(checksum) = &done.checksum {
        show_checksum!(output, checksum.algorithm, checksum.value);
    }
    output
}

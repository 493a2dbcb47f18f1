//! S3's own condition keys: what of a request and of the object it means policies can look at.
//! Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3".

use crate::access::Asked;
use crate::state::Version;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use cloudlet_api_s3 as api;
use cloudlet_service::rules::text_member;
use cloudlet_service::{Context, Principal, Structure};

/// Condition keys and their values.
pub(crate) type Keys = Vec<(String, Vec<String>)>;

/// The headers that are condition keys by their own names.
const CONDITION_HEADERS: [&str; 18] = [
    "x-amz-acl",
    "x-amz-checksum-algorithm",
    "x-amz-object-ownership",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-bucket-key-enabled",
    "if-match",
    "x-amz-content-sha256",
    "x-amz-grant-full-control",
    "x-amz-grant-read",
    "x-amz-grant-read-acp",
    "x-amz-grant-write",
    "x-amz-grant-write-acp",
    "x-amz-metadata-directive",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-storage-class",
    "x-amz-website-redirect-location",
    "if-none-match",
];

/// The keys that the request and the object give.
pub(crate) fn of_request(cx: &Context, asked: &Asked<'_>, existing: Option<&Version>, keys: &mut Keys) {
    if let Some(version) = asked.version {
        keys.push(("s3:VersionId".to_owned(), vec![version.to_owned()]));
    }
    if asked.bucket.abac {
        for (key, value) in &asked.bucket.tags {
            keys.push((format!("aws:ResourceTag/{key}"), vec![value.clone()]));
            keys.push((format!("s3:BucketTag/{key}"), vec![value.clone()]));
        }
    }
    for (key, value) in existing.iter().flat_map(|v| v.tags.iter()) {
        keys.push((format!("s3:ExistingObjectTag/{key}"), vec![value.clone()]));
    }
    of_head(cx, keys);
}

/// Whether an operation that needs `s3:PutObject` makes an object; `None` for those that need it not.
pub(crate) fn creates_object(operation: &str) -> Option<bool> {
    match operation {
        "PutObject" | "CopyObject" | "CompleteMultipartUpload" => Some(true),
        "CreateMultipartUpload" | "UploadPart" | "UploadPartCopy" => Some(false),
        _ => None,
    }
}

/// The condition key that tells of it.
pub(crate) const CREATES: &str = "s3:ObjectCreationOperation";

/// The keys that the head of a request gives: how it was signed, over what connection it came, what headers it has.
pub(crate) fn of_head(cx: &Context, keys: &mut Keys) {
    if let Some(tls) = cx.origin.tls {
        keys.push(("s3:TlsVersion".to_owned(), vec![tls.version.to_owned()]));
    }
    if !matches!(cx.principal, Principal::Anonymous) {
        let kind = match (cx.origin.form, cx.origin.presigned) {
            (true, _) => "POST",
            (_, true) => "REST-QUERY-STRING",
            _ => "REST-HEADER",
        };
        keys.push(("s3:authType".to_owned(), vec![kind.to_owned()]));
        let version = cx.origin.signature.map(str::to_owned);
        keys.extend(version.map(|version| ("s3:signatureversion".to_owned(), vec![version])));
        let signed = header(cx, "x-amz-date").and_then(signed_at);
        keys.extend(
            signed.map(|at| ("s3:signatureAge".to_owned(), vec![(cx.millis() - at).max(0).to_string()])),
        );
    }
    let Some(headers) = &cx.origin.headers else { return };
    for (name, value) in headers.iter() {
        let name = name.as_str();
        let Ok(value) = value.to_str() else { continue };
        if name == "x-amz-copy-source" {
            // Policies write it without the slash that it may begin with.
            keys.push((format!("s3:{name}"), vec![value.strip_prefix('/').unwrap_or(value).to_owned()]));
        } else if CONDITION_HEADERS.contains(&name) {
            keys.push((format!("s3:{name}"), vec![value.to_owned()]));
        } else if let Some(lock) = name.strip_prefix("x-amz-object-lock-") {
            keys.push((format!("s3:object-lock-{lock}"), vec![value.to_owned()]));
            if lock == "retain-until-date" {
                let format = Format::DateTimeWithOffset;
                let until = DateTime::from_str(value, format);
                keys.extend(until.ok().map(|until| remaining_days(cx, &until)));
            }
        } else if name == "x-amz-tagging"
            && let Ok(tags) = crate::tags::from_header(Some(value))
        {
            keys.extend(tag_keys(tags));
        }
    }
}

/// The tags that a request brings, as condition keys.
fn tag_keys(tags: Vec<(String, String)>) -> Keys {
    let names = tags.iter().map(|(key, _)| key.clone()).collect();
    let mut keys = vec![("s3:RequestObjectTagKeys".to_owned(), names)];
    keys.extend(tags.into_iter().map(|(key, value)| (format!("s3:RequestObjectTag/{key}"), vec![value])));
    keys
}

/// The tags of a bucket that is about to be made.
pub(crate) fn of_bucket_tags(tags: &[api::Tag]) -> Keys {
    let mut keys: Keys =
        tags.iter().map(|tag| (format!("aws:RequestTag/{}", tag.key), vec![tag.value.clone()])).collect();
    if !tags.is_empty() {
        keys.push(("aws:TagKeys".to_owned(), tags.iter().map(|tag| tag.key.clone()).collect()));
    }
    keys
}

/// The condition keys that stand in a document: new tags, a legal hold, the fields of an inventory.
pub(crate) fn of_document(input: &dyn Structure) -> Keys {
    let input = input.as_any();
    if let Some(put) = input.downcast_ref::<api::PutObjectTaggingInput>() {
        let tags = put.tagging.tag_set.iter().map(|tag| (tag.key.clone(), tag.value.clone()));
        return tag_keys(tags.collect());
    }
    if let Some(put) = input.downcast_ref::<api::PutBucketInventoryConfigurationInput>() {
        let fields = put.inventory_configuration.optional_fields.clone().unwrap_or_default();
        let name = "s3:InventoryAccessibleOptionalFields".to_owned();
        return if fields.is_empty() { Vec::new() } else { vec![(name, fields)] };
    }
    let hold = input.downcast_ref::<api::PutObjectLegalHoldInput>().and_then(|put| put.legal_hold.as_ref());
    let status = hold.and_then(|hold| hold.status.clone());
    status.map(|status| ("s3:object-lock-legal-hold".to_owned(), vec![status])).into_iter().collect()
}

/// The condition keys of a new retention.
pub(crate) fn of_retention(cx: &Context, input: &dyn Structure) -> Keys {
    let put = input.as_any().downcast_ref::<api::PutObjectRetentionInput>();
    let Some(retention) = put.and_then(|put| put.retention.as_ref()) else { return Vec::new() };
    let mode = retention.mode.clone().map(|mode| ("s3:object-lock-mode".to_owned(), vec![mode]));
    let mut keys: Vec<_> = mode.into_iter().collect();
    if let Some(until) = &retention.retain_until_date {
        let text = until.fmt(Format::DateTime).unwrap_or_default();
        keys.push(("s3:object-lock-retain-until-date".to_owned(), vec![text]));
        keys.push(remaining_days(cx, until));
    }
    keys
}

fn remaining_days(cx: &Context, until: &DateTime) -> (String, Vec<String>) {
    let days = (crate::draft::millis(until) - cx.millis()).div_euclid(86_400_000).max(0);
    ("s3:object-lock-remaining-retention-days".to_owned(), vec![days.to_string()])
}

/// Milliseconds since 1970 of a signature's time, `20150830T123600Z`.
fn signed_at(text: &str) -> Option<i64> {
    let (day, time) = (text.get(..8)?, text.get(9..15)?);
    let spelled = format!(
        "{}-{}-{}T{}:{}:{}Z",
        day.get(..4)?,
        day.get(4..6)?,
        day.get(6..)?,
        time.get(..2)?,
        time.get(2..4)?,
        time.get(4..)?
    );
    let at = DateTime::from_str(&spelled, Format::DateTime).ok()?;
    at.to_millis().ok()
}

/// The keys that a listing gives.
pub(crate) fn of_list(input: &dyn Structure) -> Keys {
    let given = [
        ("s3:prefix", text_member(input, "Prefix")),
        ("s3:delimiter", text_member(input, "Delimiter")),
        ("s3:max-keys", max_keys(input).map(|n| n.to_string())),
    ];
    given.into_iter().filter_map(|(key, value)| Some((key.to_owned(), vec![value?]))).collect()
}

/// `max-keys` of a listing.
fn max_keys(input: &dyn Structure) -> Option<i32> {
    let input = input.as_any();
    if let Some(list) = input.downcast_ref::<api::ListObjectsV2Input>() {
        return list.max_keys;
    }
    if let Some(list) = input.downcast_ref::<api::ListObjectsInput>() {
        return list.max_keys;
    }
    input.downcast_ref::<api::ListObjectVersionsInput>().and_then(|list| list.max_keys)
}

/// A header of the request.
pub(crate) fn header<'a>(cx: &'a Context, name: &str) -> Option<&'a str> {
    cx.origin.headers.as_ref()?.get(name)?.to_str().ok()
}

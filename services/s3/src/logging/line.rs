//! One line of an access log. Source: S3 User Guide, "Amazon S3 server access log format".

use crate::names::{canonical_id, url_encode};
use crate::state::{Bucket, Version};
use cloudlet_service::{Answered, Principal};
use std::fmt::Write;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The longest path, referer or agent that a line repeats.
const LONGEST: usize = 2048;

/// Writes the line of a request, with its end.
pub(super) fn write(bucket: &Bucket, asked: &Answered) -> String {
    let header = |name: &str| asked.headers.get(name).and_then(|v| v.to_str().ok());
    let answer = |name: &str| asked.answer.get(name).and_then(|v| v.to_str().ok());
    let owner = canonical_id(&bucket.owner);
    let mut line = format!(
        "{owner} {} [{}] {} {} {} {} {} ",
        bucket.name,
        time(asked.at),
        asked.source_ip,
        requester(&asked.principal),
        or_dash(&asked.ids.0),
        operation(asked),
        or_dash(cut(&asked.path)),
    );
    let sent = if asked.sent == 0 { "-".to_owned() } else { asked.sent.to_string() };
    let _ = write!(
        line,
        "\"{} {} HTTP/1.1\" {} {} {sent} {} {} {} ",
        asked.method,
        cut(&asked.target),
        asked.status,
        or_dash(asked.error.as_deref().unwrap_or_default()),
        object_size(asked).map_or_else(|| "-".to_owned(), |n| n.to_string()),
        asked.total_ms,
        if asked.turnaround_ms == 0 { "-".to_owned() } else { asked.turnaround_ms.to_string() },
    );
    let quoted =
        |text: Option<&str>| format!("\"{}\"", or_dash(cut(text.unwrap_or_default())).replace('"', "%22"));
    let version =
        asked.query.split('&').find_map(|p| p.strip_prefix("versionId=")).or(answer("x-amz-version-id"));
    let authentication = match (asked.signature, asked.presigned) {
        _ if asked.form => "-",
        (None, _) => "-",
        (Some(_), true) => "QueryString",
        (Some(_), false) => "AuthHeader",
    };
    let _ = writeln!(
        line,
        "{} {} {} {} {} {} {authentication} {} {} - {}",
        quoted(header("referer")),
        quoted(header("user-agent")),
        or_dash(version.unwrap_or_default()),
        or_dash(&asked.ids.1),
        asked.signature.unwrap_or("-"),
        asked.tls.map_or("-", |tls| tls.cipher),
        or_dash(cut(header("host").unwrap_or_default())),
        asked.tls.map_or("-".to_owned(), |tls| format!("TLSv{}", tls.version)),
        if bucket.acls_disabled() { "-" } else { "Yes" },
    );
    line
}

/// Writes the line of something that S3 did by itself. Source: S3 User Guide, "S3 Lifecycle and logging".
pub(super) fn write_own(
    bucket: &Bucket,
    at: i64,
    request_id: &str,
    operation: &str,
    key: &str,
    version: Option<&Version>,
) -> String {
    let size = version.filter(|v| !v.marker).map_or_else(|| "-".to_owned(), |v| v.size.to_string());
    let id = version.and_then(|v| v.id.as_deref()).unwrap_or("-");
    format!(
        "{} {} [{}] - AmazonS3 {request_id} {operation} {} \"-\" - - - {size} - - \"-\" \"-\" {id} - - - - - - - -\n",
        canonical_id(&bucket.owner),
        bucket.name,
        time(at),
        or_dash(cut(&url_encode(key))),
    )
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// `06/Feb/2019:00:00:38 +0000`.
fn time(millis: i64) -> String {
    let Ok(t) = time::OffsetDateTime::from_unix_timestamp(millis.div_euclid(1000)) else {
        return "-".to_owned();
    };
    let month = MONTHS.get(usize::from(u8::from(t.month())) - 1).copied().unwrap_or_default();
    format!(
        "{:02}/{month}/{:04}:{:02}:{:02}:{:02} +0000",
        t.day(),
        t.year(),
        t.hour(),
        t.minute(),
        t.second()
    )
}

/// The canonical id of an account's root, the ARN of others, nothing for nobody.
fn requester(principal: &Principal) -> String {
    match principal {
        Principal::Anonymous => "-".to_owned(),
        Principal::Root { account } => canonical_id(account),
        Principal::Service { name, .. } => format!("svc:{name}"),
        other => other.arn(),
    }
}

/// `REST.GET.OBJECT`, `WEBSITE.GET.OBJECT`, `REST.PUT.ACL`.
fn operation(asked: &Answered) -> String {
    let Some(name) = asked.operation else {
        let what = if asked.path.is_empty() { "BUCKET" } else { "OBJECT" };
        return format!("{}.{}.{what}", asked.other, asked.method);
    };
    let what = match name {
        "CopyObject" => return "REST.COPY.OBJECT".to_owned(),
        "UploadPartCopy" => return "REST.COPY.PART".to_owned(),
        "DeleteObjects" => "MULTI_OBJECT_DELETE",
        "GetObject" | "HeadObject" | "PutObject" | "DeleteObject" | "GetObjectAttributes" => "OBJECT",
        "ListObjects" | "ListObjectsV2" | "HeadBucket" | "CreateBucket" | "DeleteBucket" => "BUCKET",
        "ListObjectVersions" => "BUCKETVERSIONS",
        "CreateMultipartUpload" | "ListMultipartUploads" => "UPLOADS",
        "CompleteMultipartUpload" | "AbortMultipartUpload" | "ListParts" => "UPLOAD",
        "UploadPart" => "PART",
        "RestoreObject" => "OBJECT",
        "SelectObjectContent" => "SELECT",
        "GetObjectTagging" | "PutObjectTagging" | "DeleteObjectTagging" => "OBJECT_TAGGING",
        "GetBucketAcl" | "PutBucketAcl" | "GetObjectAcl" | "PutObjectAcl" => "ACL",
        "GetBucketPolicy" | "PutBucketPolicy" | "DeleteBucketPolicy" => "BUCKETPOLICY",
        "GetBucketPolicyStatus" => "POLICY_STATUS",
        "GetBucketLogging" | "PutBucketLogging" => "LOGGING_STATUS",
        "GetBucketRequestPayment" | "PutBucketRequestPayment" => "REQUEST_PAYMENT",
        "GetBucketAccelerateConfiguration" | "PutBucketAccelerateConfiguration" => "ACCELERATE",
        "GetPublicAccessBlock" | "PutPublicAccessBlock" | "DeletePublicAccessBlock" => "PUBLIC_ACCESS_BLOCK",
        "GetBucketOwnershipControls" | "PutBucketOwnershipControls" | "DeleteBucketOwnershipControls" => {
            "OWNERSHIP_CONTROLS"
        }
        "GetObjectLockConfiguration" | "PutObjectLockConfiguration" => "OBJECT_LOCK_CONFIGURATION",
        "GetObjectRetention" | "PutObjectRetention" => "OBJECT_LOCK_RETENTION",
        "GetObjectLegalHold" | "PutObjectLegalHold" => "OBJECT_LOCK_LEGAL_HOLD",
        // The subresource itself: `?versioning`, `?cors`, `?lifecycle`.
        _ => {
            let subresource = asked.query.split(['&', '=']).next().unwrap_or_default().to_ascii_uppercase();
            let subresource = if subresource.is_empty() { "BUCKET".to_owned() } else { subresource };
            return format!("REST.{}.{}", asked.method, cut(&subresource.replace('-', "_")));
        }
    };
    format!("REST.{}.{what}", asked.method)
}

/// The size of the object that was asked for or sent.
fn object_size(asked: &Answered) -> Option<u64> {
    let number = |name: &str| asked.answer.get(name)?.to_str().ok()?.parse::<u64>().ok();
    match asked.operation {
        Some("PutObject" | "UploadPart") if asked.status < 300 => {
            let decoded = asked.headers.get("x-amz-decoded-content-length");
            decoded.and_then(|v| v.to_str().ok()?.parse().ok()).or(asked.received)
        }
        Some("GetObject" | "HeadObject") | None if asked.status < 300 => {
            let whole = asked.answer.get("content-range").and_then(|v| v.to_str().ok());
            match whole.and_then(|v| v.rsplit('/').next()) {
                Some(whole) => whole.parse().ok(),
                None => number("content-length").or(Some(asked.sent)),
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_servers_write_them() {
        assert_eq!(time(1_549_411_238_000), "06/Feb/2019:00:00:38 +0000");
    }
}

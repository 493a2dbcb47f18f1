//! What S3 alone does: root elements, its own errors, what contradicts itself.

use crate::codec;
use crate::head::{Head, Params};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloudlet_service::{Api, Error, Operation, Protocol};
use http::HeaderMap;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// The namespace of S3's documents. Source: S3 API Reference, every response syntax.
pub(crate) const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// The name that requests on directory buckets are signed under.
pub(crate) const EXPRESS: &str = "s3express";

/// The operation that such a request to `/` means.
pub(crate) const DIRECTORY_BUCKETS: &str = "ListDirectoryBuckets";

/// Whether the API is S3 itself.
pub(crate) fn is(api: &Api) -> bool {
    api.name == "s3" && api.protocols.contains(&Protocol::RestXml)
}

/// The root element of an answer, which botocore's model leaves out because its parser never looks at it; other
/// SDKs do. Source: S3 API Reference, the response syntax of each operation.
pub(crate) fn root(operation: &str) -> Option<&'static str> {
    Some(match operation {
        "CompleteMultipartUpload" => "CompleteMultipartUploadResult",
        "CreateMultipartUpload" => "InitiateMultipartUploadResult",
        "CreateSession" => "CreateSessionResult",
        "DeleteObjects" => "DeleteResult",
        "GetBucketAccelerateConfiguration" => "AccelerateConfiguration",
        "GetBucketAcl" | "GetObjectAcl" => "AccessControlPolicy",
        "GetBucketCors" => "CORSConfiguration",
        "GetBucketLifecycle" | "GetBucketLifecycleConfiguration" => "LifecycleConfiguration",
        "GetBucketLocation" => "LocationConstraint",
        "GetBucketLogging" => "BucketLoggingStatus",
        "GetBucketNotification" | "GetBucketNotificationConfiguration" => "NotificationConfiguration",
        "GetBucketRequestPayment" => "RequestPaymentConfiguration",
        "GetBucketTagging" | "GetObjectTagging" => "Tagging",
        "GetBucketVersioning" => "VersioningConfiguration",
        "GetBucketWebsite" => "WebsiteConfiguration",
        "GetObjectAttributes" => "GetObjectAttributesResponse",
        "ListBucketAnalyticsConfigurations" => "ListBucketAnalyticsConfigurationResult",
        "ListBucketInventoryConfigurations" => "ListInventoryConfigurationsResult",
        "ListBucketMetricsConfigurations" => "ListMetricsConfigurationsResult",
        "ListBuckets" => "ListAllMyBucketsResult",
        "ListDirectoryBuckets" => "ListAllMyDirectoryBucketsResult",
        "ListMultipartUploads" => "ListMultipartUploadsResult",
        "ListObjectVersions" => "ListVersionsResult",
        "ListObjects" | "ListObjectsV2" => "ListBucketResult",
        "ListObjectAnnotations" => "ListObjectAnnotationsResult",
        "ListParts" => "ListPartsResult",
        "PutObjectAnnotation" => "PutObjectAnnotationResult",
        _ => return None,
    })
}

/// Where the results of a restore go.
const RESTORED_TO: &str = "x-amz-restore-output-path";

/// Headers of GetObjectAttributes in which S3 overlooks what is no number.
pub(crate) const IGNORED: [&str; 2] = ["x-amz-max-parts", "x-amz-part-number-marker"];

/// A value that is no number, in S3's words. Errors: `InvalidRequest` for some headers, `InvalidArgument`.
pub(crate) fn bad_value(name: &str, value: String) -> Error {
    let message = match name {
        "x-amz-mp-object-size" => {
            let message = format!("Value for {name} header is invalid: '{value}'");
            return Error::sender("InvalidRequest", message);
        }
        "x-amz-object-lock-retain-until-date" => {
            "The retain until date must be provided in ISO 8601 format".to_owned()
        }
        "partNumber" => "Part number must be an integer between 1 and 10000, inclusive".to_owned(),
        _ => format!("Provided {name} not an integer or within integer range"),
    };
    argument(name, message).with("ArgumentValue", value)
}

/// The settings of block public access with their values in lower case: S3 takes them in any, and its own reference
/// writes `TRUE`. Source: S3 API Reference, PutPublicAccessBlock, sample request.
pub(crate) fn with_plain_booleans<'a>(operation: &Operation, xml: Cow<'a, [u8]>) -> Cow<'a, [u8]> {
    if operation.name != "PutPublicAccessBlock" {
        return xml;
    }
    let texts = xml.split_inclusive(|b| *b == b'>').map(|part| {
        let (text, tag) = part.split_at(part.iter().position(|b| *b == b'<').unwrap_or(part.len()));
        let plain = match text.trim_ascii() {
            given if given.eq_ignore_ascii_case(b"true") => &b"true"[..],
            given if given.eq_ignore_ascii_case(b"false") => &b"false"[..],
            _ => text,
        };
        [plain, tag].concat()
    });
    Cow::Owned(texts.collect::<Vec<_>>().concat())
}

/// How S3 refuses an unreadable document of this operation, where it has a code of its own.
pub(crate) fn bad_document(operation: &Operation, error: Error) -> Error {
    match operation.name {
        "PutBucketAcl" | "PutObjectAcl" => error.with_code("MalformedACLError"),
        // It is no XML at all.
        "PutBucketPolicy" => {
            Error::sender("MalformedPolicy", "Policies must be valid JSON and the first byte must be '{'")
        }
        _ => error,
    }
}

/// The roots of S3 Select's documents: the model's, and that of the reference's examples.
const SELECT: [&[u8]; 2] = [b"SelectObjectContentRequest", b"SelectRequest"];

/// The operations whose documents may hold these elements and no other. Source: S3 API Reference, their request syntax.
const STRICT: [(&str, &[&str]); 6] = [
    ("CompleteMultipartUpload", &["Part"]),
    ("DeleteObjects", &["Object", "Quiet"]),
    ("PutObjectLegalHold", &["Status"]),
    ("PutObjectRetention", &["Mode", "RetainUntilDate", "EventHold", "EventHoldDuration"]),
    ("PutObjectTagging", &["TagSet"]),
    (
        "RestoreObject",
        &[
            "Days",
            "GlacierJobParameters",
            "Type",
            "Tier",
            "Description",
            "SelectParameters",
            "OutputLocation",
        ],
    ),
];

/// Whether a document has the outer shape that the operation knows: its root, whatever the namespace, the elements
/// directly in it, and a bearable depth. What is no document at all is the codec's to refuse. What old clients send to
/// create a bucket is not looked at.
pub(crate) fn has_shape(operation: &Operation, body: &[u8]) -> bool {
    if operation.name == "CreateBucket" {
        return true;
    }
    if operation.name == "SelectObjectContent" {
        let Some(outline) = codec::outline(body) else { return false };
        return outline.first().is_none_or(|root| SELECT.contains(root));
    }
    let payload = operation.input.members().iter().find(|m| m.http_payload().is_some() && !m.streaming());
    let Some(payload) = payload.filter(|m| m.shape_type().is_aggregate()) else { return true };
    let wanted = payload.xml_name().map(|name| name.value()).or(payload.member_name());
    let Some(outline) = codec::outline(body) else { return false };
    let mut elements = outline.into_iter();
    let Some(root) = elements.next() else { return true };
    if wanted.is_some_and(|wanted| wanted.as_bytes() != root) {
        return false;
    }
    let known = STRICT.iter().find(|(name, _)| *name == operation.name).map(|(_, known)| *known);
    known.is_none_or(|known| elements.all(|e| known.iter().any(|name| name.as_bytes() == e)))
}

/// The status of success where botocore's model leaves it out, because its clients take any 2xx.
/// Source: S3 API Reference, the sample responses of these operations.
pub(crate) fn status(operation: &str, headers: &mut HeaderMap) -> Option<u16> {
    Some(match operation {
        // No status stands in the model; a path that is empty says that the copy was there already.
        "RestoreObject" if headers.get(RESTORED_TO).is_some_and(|path| path.is_empty()) => {
            headers.remove(RESTORED_TO);
            200
        }
        "PutBucketPolicy" | "PutBucketTagging" => 204,
        "RestoreObject" => 202,
        _ => return None,
    })
}

/// Refuses a query that contradicts itself or its path. Errors: `InvalidArgument`, `MethodNotAllowed`,
/// `NoLoggingStatusForKey`, `RequestTorrentOfBucketError`.
pub(crate) fn check(head: &Head<'_>, params: &Params<'_>) -> Result<(), Error> {
    for name in ["partNumber", "uploadId", "versionId", "max-keys", "list-type"] {
        if params.0.iter().filter(|(n, _)| n == name).count() > 1 {
            return Err(argument(name, format!("The {name} parameter must appear once.")));
        }
    }
    if head.method == "PUT" && params.has("partNumber") && !params.has("uploadId") {
        let message = "This operation does not accept partNumber without uploadId";
        return Err(argument("partNumber", message).with("ArgumentValue", "partNumber"));
    }
    if head.method == "PUT" && params.has("uploadId") && !params.has("partNumber") {
        return Err(method_not_allowed("PUT", "UPLOAD").with_header("allow", "DELETE, POST, GET"));
    }
    if head.method == "GET"
        && kind(head) == "BUCKET"
        && let Some(version) = params.get("list-type").filter(|version| *version != "2")
    {
        let message = "Invalid List Type specified in Request";
        return Err(argument("list-type", message).with("ArgumentValue", version));
    }
    let object = matches!(kind(head), "OBJECT");
    if object && params.has("logging") {
        let message = "There is no such thing as a logging status sub-resource for a key.";
        return Err(Error::sender("NoLoggingStatusForKey", message));
    }
    if !object && params.has("torrent") {
        let message = "Requesting the torrent file of a bucket is not permitted.";
        return Err(Error::sender("RequestTorrentOfBucketError", message));
    }
    Ok(())
}

/// What is written gets a version, and names none. Errors: `InvalidArgument`.
pub(crate) fn check_new_object(head: &Head<'_>, params: &Params<'_>) -> Result<(), Error> {
    match params.get("versionId") {
        Some(version) if head.method == "PUT" && kind(head) == "OBJECT" => {
            let message = "This operation does not accept a version-id.";
            Err(argument("versionId", message).with("ArgumentValue", version))
        }
        _ => Ok(()),
    }
}

/// A request is about one thing of a resource. Errors: `InvalidArgument`.
pub(crate) fn check_subresources(named: &BTreeSet<&'static str>) -> Result<(), Error> {
    let (Some(first), true) = (named.first(), named.len() > 1) else { return Ok(()) };
    let all: Vec<&str> = named.iter().copied().collect();
    let message = format!("Conflicting query string parameters: {}", all.join(", "));
    Err(argument("ResourceType", message).with("ArgumentValue", *first))
}

/// What a path means.
fn kind(head: &Head<'_>) -> &'static str {
    let path = head.path.trim_matches('/');
    match (head.bucket, path) {
        (None, "") => "SERVICE",
        (None, path) if path.contains('/') => "OBJECT",
        (None, _) | (Some(_), "") => "BUCKET",
        (Some(_), _) => "OBJECT",
    }
}

/// S3's `InvalidArgument` over one parameter.
pub(crate) fn argument(name: &str, message: impl Into<String>) -> Error {
    Error::sender("InvalidArgument", message).with("ArgumentName", name)
}

/// S3's answer to a method that the resource does not know.
pub(crate) fn method_not_allowed(method: &str, subresource: &'static str) -> Error {
    let kind = if subresource.is_empty() { "SERVICE" } else { subresource };
    Error::new("MethodNotAllowed", 405, "The specified method is not allowed against this resource.")
        .with("Method", method)
        .with("ResourceType", kind.to_ascii_uppercase())
}

/// A method that nothing at this path knows. A `POST` to a bucket is taken for a form's.
/// Source: S3 API Reference, "Error responses", `MethodNotAllowed`; "POST Object".
pub(crate) fn no_such_method(head: &Head<'_>, params: &Params<'_>) -> Error {
    let kind = kind(head);
    if head.method == "POST" && kind == "BUCKET" && params.0.is_empty() {
        let message = "At least one of the pre-conditions you specified did not hold";
        return Error::new("PreconditionFailed", 412, message)
            .with("Condition", "Bucket POST must be of the enclosure-type multipart/form-data");
    }
    method_not_allowed(head.method, kind)
}

/// S3's request ids: 16 characters of `0-9A-Z` and a longer one in base64, both made from ours.
/// Source: S3 User Guide, "Getting Amazon S3 request IDs".
pub(crate) fn request_ids(request_id: &str) -> (String, String) {
    let long = STANDARD.encode(request_id);
    if request_id.len() == 16 && request_id.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase()) {
        return (request_id.to_owned(), long);
    }
    let short: String = request_id
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(16)
        .map(|c| c.to_ascii_uppercase())
        .collect();
    (short, long)
}

/// A metadata value as S3 reads it: encoded words decoded, and bytes that are not ASCII as ISO 8859-1, even where they
/// would be UTF-8. Source: S3 User Guide, "Working with object metadata", the example of `x-amz-meta-nonascii`.
pub(crate) fn metadata_value<'a>(
    head: &Head<'a>,
    name: &http::HeaderName,
    value: Cow<'a, str>,
) -> Cow<'a, str> {
    let several = head.headers.get_all(name).iter().nth(1).is_some();
    if value.is_ascii() && !several {
        return decode_words(value);
    }
    let latin = |v: &http::HeaderValue| v.as_bytes().iter().map(|&b| char::from(b)).collect::<String>();
    let all: Vec<String> = head.headers.get_all(name).iter().map(latin).collect();
    // No space between the values of a header that came several times.
    Cow::Owned(decode_words(Cow::Owned(all.join(","))).into_owned())
}

/// Decodes the encoded words of RFC 2047 in a metadata value: `=?UTF-8?B?w6k=?=`. What is none stays as it is.
/// Source: S3 User Guide, "User-defined object metadata".
pub(crate) fn decode_words(text: Cow<'_, str>) -> Cow<'_, str> {
    if !text.contains("=?") {
        return text;
    }
    let mut out = String::new();
    for (i, word) in text.split(' ').enumerate() {
        match decode_word(word) {
            Some(decoded) => out.push_str(&decoded),
            None => {
                if i > 0 {
                    out.push(' ');
                }
                out.push_str(word);
            }
        }
    }
    Cow::Owned(out)
}

fn decode_word(word: &str) -> Option<String> {
    let inner = word.strip_prefix("=?")?.strip_suffix("?=")?;
    let mut parts = inner.splitn(3, '?');
    let (charset, encoding, data) = (parts.next()?, parts.next()?, parts.next()?);
    if !charset.eq_ignore_ascii_case("utf-8") {
        return None;
    }
    let bytes = match encoding {
        "B" | "b" => STANDARD.decode(data).ok()?,
        "Q" | "q" => {
            let spaced = data.replace('_', " ").replace('%', "%25").replace('=', "%");
            percent_encoding::percent_decode_str(&spaced).collect()
        }
        _ => return None,
    };
    String::from_utf8(bytes).ok()
}

/// Encodes a metadata value that is not ASCII as an encoded word.
pub(crate) fn encode_words(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("=?UTF-8?B?{}?=", STANDARD.encode(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_words() {
        assert_eq!(decode_words(encode_words("é ü")), "é ü");
        assert_eq!(decode_words(Cow::Borrowed("=?UTF-8?Q?caf=C3=A9_100%?=")), "café 100%");
        assert_eq!(decode_words(Cow::Borrowed("a =?b c")), "a =?b c");
    }

    #[test]
    fn ids_come_from_ours() {
        let (short, long) = request_ids("0a1b2c3d-4e5f-4a6b-8c7d-9e8f7a6b5c4d");
        assert_eq!(short, "0A1B2C3D4E5F4A6B");
        assert!(!long.is_empty());
    }
}

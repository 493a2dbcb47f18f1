//! What S3 alone does: root elements, its own errors, what contradicts itself.

use crate::head::{Head, Params};
use crate::router::Route;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloudlet_service::{Api, Error, Protocol};
use std::borrow::Cow;

/// The namespace of S3's documents. Source: S3 API Reference, every response syntax.
pub(crate) const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

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
        "ListParts" => "ListPartsResult",
        _ => return None,
    })
}

/// The status of an answer that the model leaves open. Source: S3 API Reference, RestoreObject, "Responses".
pub(crate) fn status(route: &Route) -> Option<u16> {
    (is(route.api) && route.operation().name == "RestoreObject").then_some(202)
}

/// Refuses a query that contradicts itself. Errors: `InvalidArgument`.
pub(crate) fn check(head: &Head<'_>, params: &Params<'_>) -> Result<(), Error> {
    for name in ["partNumber", "uploadId", "versionId", "max-keys", "list-type"] {
        if params.0.iter().filter(|(n, _)| n == name).count() > 1 {
            return Err(argument(name, format!("The {name} parameter must appear once.")));
        }
    }
    if head.method == "PUT" && params.has("partNumber") != params.has("uploadId") {
        let (given, missing) =
            if params.has("partNumber") { ("partNumber", "uploadId") } else { ("uploadId", "partNumber") };
        return Err(argument(given, format!("This operation does not accept {given} without {missing}.")));
    }
    Ok(())
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

/// S3's request ids: 16 characters of `0-9A-Z` and a longer one in base64, both made from ours.
/// Source: S3 User Guide, "Getting Amazon S3 request IDs".
pub(crate) fn request_ids(request_id: &str) -> (String, String) {
    let short: String = request_id
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(16)
        .map(|c| c.to_ascii_uppercase())
        .collect();
    let long = STANDARD.encode(request_id);
    (short, long)
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

//! S3's own words for inputs that break the model's constraints.

use crate::checksums::Algorithm;
use crate::errors::{invalid_argument, invalid_request, malformed_acl, malformed_xml};
use cloudlet_service::rules::{Violation, Violations};
use cloudlet_service::{Error, Operation};

/// What S3 takes although the model does not know it: other spellings of what some SDKs send in lower case, and canned
/// ACLs of buckets. Source: S3 User Guide, "Canned ACL"; the AWS SDK for C++.
pub(crate) fn lets_through(op: &'static Operation, violation: &Violation) -> bool {
    let value = violation.value.as_deref().unwrap_or_default();
    match violation.member.as_str() {
        // S3 Select has codes of its own for these.
        "ExpressionType" | "FileHeaderInfo" | "CompressionType" | "QuoteFields" | "Type"
            if op.name == "SelectObjectContent" && !violation.absent =>
        {
            return true;
        }
        "ChecksumMode" | "CopySource" | "RenameSource" | "RequestPayer" => return true,
        // Which regions there are, and what each endpoint takes, CreateBucket knows better; the other has its own words.
        "LocationConstraint" | "TransitionDefaultMinimumObjectSize" => return true,
        "ChecksumAlgorithm" if Algorithm::parse(value).is_some() => return true,
        _ => {}
    }
    // Notifications have words of their own for events and for the names of filters.
    if op.name == "PutBucketNotificationConfiguration" && !violation.absent {
        let path = violation.path.to_ascii_lowercase();
        return path.contains(".events.") || path.contains(".filterrules.");
    }
    if violation.member == "ACL" && value.is_empty() {
        // An empty header says nothing; old clients send one.
        return true;
    }
    let canned = ["log-delivery-write", "aws-exec-read", "bucket-owner-read", "bucket-owner-full-control"];
    violation.member == "ACL"
        && matches!(op.name, "CreateBucket" | "PutBucketAcl")
        && violation.value.as_deref().is_some_and(|value| canned.contains(&value))
}

fn is_payload(op: &'static Operation, member: &str) -> bool {
    op.input.members().iter().any(|m| m.member_name() == Some(member) && m.http_payload().is_some())
}

/// What the SDKs say of the checksum that they send; other operations have a header that chooses the object's.
const SDK_ALGORITHM: &str = "x-amz-sdk-checksum-algorithm";

fn is_header(op: &'static Operation, member: &str, header: &str) -> bool {
    let of = |m: &&aws_smithy_schema::Schema<'static>| m.member_name() == Some(member);
    let found = op.input.members().iter().copied().find(of).and_then(|m| m.http_header());
    found.is_some_and(|h| h.value().eq_ignore_ascii_case(header))
}

/// S3's words for an input that breaks the model's constraints.
pub(crate) fn invalid_input(op: &'static Operation, violations: &Violations) -> Error {
    let Some(first) = violations.0.first() else { return invalid_request("Invalid Request") };
    let value = first.value.clone().unwrap_or_default();
    if first.member == "Protocol" && op.name == "PutBucketWebsite" && !first.absent {
        return invalid_request(crate::website::PROTOCOL);
    }
    if op.name == "SelectObjectContent" && first.absent && !first.path.is_empty() {
        let message = "The SelectRequest entity is missing a required parameter. Check the service documentation and try \
                       again.";
        return Error::sender("MissingRequiredParameter", message);
    }
    if first.member == "KMSKeyArn" && op.name == "UpdateObjectEncryption" {
        return invalid_request(if first.absent {
            "Requests that modify an object's encryption type to SSE-KMS require an AWS KMS key Amazon Resource Name (ARN). \
             Modify the request to specify a KMS key ARN, and then try again."
        } else {
            "Requests that modify an object's encryption type to SSE-KMS require a valid AWS KMS key Amazon Resource Name \
             (ARN). Confirm that you have a correctly formatted KMS key ARN in your request, and then try again."
        });
    }
    // What lies inside a structure came in the body; a list may also be a header.
    let mut name = first.member.as_str();
    if let Some((root, _)) = first.path.split_once('.') {
        let bound = |m: &&&aws_smithy_schema::Schema<'static>| {
            m.member_name().is_some_and(|n| n.eq_ignore_ascii_case(root)) && m.http_header().is_some()
        };
        match op.input.members().iter().find(bound).and_then(|m| m.member_name()) {
            Some(header) => name = header,
            None if matches!(op.name, "PutBucketAcl" | "PutObjectAcl") => return malformed_acl(),
            None => return malformed_xml(),
        }
    }
    match name {
        "Policy" if first.absent => {
            Error::sender("MalformedPolicy", "Policies must be valid JSON and the first byte must be '{'")
        }
        _ if first.absent && is_payload(op, &first.member) => {
            Error::sender("MissingRequestBodyError", "Request Body is empty")
        }
        "Id" if op.name.ends_with("Configuration") => crate::operations::invalid_id(),
        "Key" => invalid_request("Missing required key 'Key' in request"),
        "StorageClass" => {
            Error::sender("InvalidStorageClass", "The storage class you specified is not valid")
                .with("StorageClassRequested", value)
        }
        "ACL" => invalid_argument("", "x-amz-acl", value),
        "ServerSideEncryption" => invalid_argument(
            "The encryption method specified is not supported",
            "x-amz-server-side-encryption",
            value,
        ),
        "MetadataDirective" => {
            invalid_argument("Unknown metadata directive.", "x-amz-metadata-directive", value)
        }
        "TaggingDirective" => {
            invalid_argument("Unknown tagging directive.", "x-amz-tagging-directive", value)
        }
        "EncodingType" => {
            invalid_argument("Invalid Encoding Method specified in Request", "encoding-type", value)
        }
        "ObjectLockMode" => invalid_argument("Unknown wormMode directive.", "x-amz-object-lock-mode", value),
        "ObjectLockLegalHoldStatus" => invalid_argument(
            "Legal Hold must be either of 'ON' or 'OFF'",
            "x-amz-object-lock-legal-hold",
            value,
        ),
        "ObjectOwnership" => invalid_argument(
            format!("Invalid x-amz-object-ownership header: {value}"),
            "x-amz-object-ownership",
            value,
        ),
        "ObjectAttributes" if first.absent || value.is_empty() => invalid_request(
            "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty",
        ),
        "ObjectAttributes" => {
            invalid_argument("Invalid attribute name specified.", "x-amz-object-attributes", value)
        }
        "OptionalObjectAttributes" => {
            invalid_argument("Invalid attribute name specified.", "x-amz-optional-object-attributes", value)
        }
        "ChecksumAlgorithm" if is_header(op, name, SDK_ALGORITHM) => {
            invalid_request(format!("Value for {SDK_ALGORITHM} header is invalid."))
        }
        "ChecksumAlgorithm" => invalid_request(
            "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, \
             CRC64NVME, SHA1, SHA256]",
        ),
        "ChecksumType" => invalid_request("Value for x-amz-checksum-type header is invalid."),
        "MaxBuckets" => invalid_argument(crate::operations::MAX_BUCKETS, "max-buckets", value),
        "PartNumber" => invalid_argument(
            "Part number must be an integer between 1 and 10000, inclusive",
            "partNumber",
            value,
        ),
        _ if first.absent && op.method != "GET" => malformed_xml(),
        member => invalid_argument(format!("Invalid value for {member}"), member, value),
    }
}

//! S3's own words for inputs that break the model's constraints.

use crate::errors::{invalid_argument, invalid_request, malformed_xml};
use cloudlet_service::rules::Violations;
use cloudlet_service::{Error, Operation};

/// S3's words for an input that breaks the model's constraints.
pub(crate) fn invalid_input(op: &'static Operation, violations: &Violations) -> Error {
    let Some(first) = violations.0.first() else { return invalid_request("Invalid Request") };
    let value = first.value.clone().unwrap_or_default();
    if first.member == "LocationConstraint" {
        return Error::sender("InvalidLocationConstraint", "The specified location-constraint is not valid")
            .with("LocationConstraint", value);
    }
    if first.member == "Protocol" && op.name == "PutBucketWebsite" && !first.absent {
        return invalid_request(crate::website::PROTOCOL);
    }
    // What lies inside a structure came in the body.
    if first.path.contains('.') {
        return malformed_xml();
    }
    match first.member.as_str() {
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
        "ObjectAttributes" => {
            invalid_argument("Invalid attribute name specified.", "x-amz-object-attributes", value)
        }
        "ChecksumAlgorithm" => invalid_request(
            "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, \
             CRC64NVME, SHA1, SHA256]",
        ),
        "ChecksumType" => invalid_request("Value for x-amz-checksum-type header is invalid."),
        "PartNumber" => invalid_argument(
            "Part number must be an integer between 1 and 10000, inclusive",
            "partNumber",
            value,
        ),
        _ if first.absent && op.method != "GET" => malformed_xml(),
        member => invalid_argument(format!("Invalid value for {member}"), member, value),
    }
}

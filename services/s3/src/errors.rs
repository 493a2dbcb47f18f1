//! S3's errors with their own elements. Source: S3 API Reference, "Error responses"; what AWS answers.

use cloudlet_service::{BodyError, Error};
use cloudlet_store::StoreError;

/// An error of S3 on its way out. It exists because a store transaction needs an error that a [`StoreError`] turns
/// into, with S3's own words for it.
#[derive(Debug)]
pub(crate) struct Fail(pub(crate) Error);

/// What S3's inner functions give.
pub(crate) type Result<T, E = Fail> = std::result::Result<T, E>;

impl From<Error> for Fail {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<Fail> for Error {
    fn from(fail: Fail) -> Self {
        fail.0
    }
}

impl From<BodyError> for Fail {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Storage(why) => Self(internal(why)),
            other => Self(other.into()),
        }
    }
}

impl From<StoreError> for Fail {
    fn from(error: StoreError) -> Self {
        Self(match error {
            StoreError::Conflict { .. } => conflicting_operation(),
            StoreError::NoSpace { .. } => {
                tracing::error!(%error, "S3 cannot write");
                Error::new("ServiceUnavailable", 503, format!("{error}"))
            }
            other => internal(other),
        })
    }
}

/// Something of ours failed; what it was goes to the log.
pub(crate) fn internal(why: impl std::fmt::Display) -> Error {
    tracing::error!(%why, "S3 internal error");
    Error::new("InternalError", 500, "We encountered an internal error. Please try again.")
}

pub(crate) fn no_such_bucket(bucket: &str) -> Error {
    Error::new("NoSuchBucket", 404, "The specified bucket does not exist").with("BucketName", bucket)
}

pub(crate) fn no_such_key(key: &str) -> Error {
    Error::new("NoSuchKey", 404, "The specified key does not exist.").with("Key", key)
}

pub(crate) fn no_such_version(key: &str, version: &str) -> Error {
    Error::new("NoSuchVersion", 404, "The specified version does not exist.")
        .with("Key", key)
        .with("VersionId", version)
}

pub(crate) fn no_such_upload(upload: &str) -> Error {
    let message = "The specified upload does not exist. The upload ID may be invalid, or the upload may have been \
                   aborted or completed.";
    Error::new("NoSuchUpload", 404, message).with("UploadId", upload)
}

/// A configuration that the bucket does not have: `code` and the message that goes with it.
pub(crate) fn no_such_configuration(code: &'static str, message: &'static str, bucket: &str) -> Error {
    Error::new(code, 404, message).with("BucketName", bucket)
}

/// `InvalidArgument` over a parameter; the name is AWS's own for it, which is not always the header's.
pub(crate) fn invalid_argument(message: impl Into<String>, name: &str, value: impl Into<String>) -> Error {
    Error::sender("InvalidArgument", message).with("ArgumentName", name).with("ArgumentValue", value)
}

pub(crate) fn invalid_request(message: impl Into<String>) -> Error {
    Error::sender("InvalidRequest", message)
}

pub(crate) fn malformed_xml() -> Error {
    Error::sender(
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema",
    )
}

/// The same of a document that is an ACL.
pub(crate) fn malformed_acl() -> Error {
    malformed_xml().with_code("MalformedACLError")
}

pub(crate) fn access_denied() -> Error {
    Error::new("AccessDenied", 403, "Access Denied")
}

pub(crate) fn precondition_failed(condition: &str) -> Error {
    Error::new("PreconditionFailed", 412, "At least one of the pre-conditions you specified did not hold")
        .with("Condition", condition)
}

pub(crate) fn conflicting_operation() -> Error {
    Error::new(
        "OperationAborted",
        409,
        "A conflicting conditional operation is currently in progress against this resource. Please try again.",
    )
}

pub(crate) fn conditional_conflict() -> Error {
    Error::new(
        "ConditionalRequestConflict",
        409,
        "The conditional request cannot succeed due to a conflicting operation against this resource.",
    )
}

pub(crate) fn not_implemented_header(header: &str, what: &str) -> Error {
    Error::new("NotImplemented", 501, "A header you provided implies functionality that is not implemented")
        .with("Header", header)
        .with("additionalMessage", what)
}

pub(crate) fn method_not_allowed(method: &str, resource: &str) -> Error {
    Error::new("MethodNotAllowed", 405, "The specified method is not allowed against this resource.")
        .with("Method", method)
        .with("ResourceType", resource)
}

pub(crate) fn too_large(proposed: u64, limit: u64) -> Error {
    Error::sender("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
        .with("ProposedSize", proposed.to_string())
        .with("MaxSizeAllowed", limit.to_string())
}

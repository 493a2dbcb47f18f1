//! Lambda's refusals, in its own words.

use cloudlet_api_lambda::{
    InvalidParameterValueException, PreconditionFailedException, ResourceConflictException,
    ResourceNotFoundException, ServiceException, TooManyRequestsException,
};
use cloudlet_service::Error;
use cloudlet_store::StoreError;

cloudlet_store::failure!(Error, stored);

/// What a caller is told when the store cannot.
pub(crate) fn stored(error: StoreError) -> Error {
    match error {
        StoreError::NoSpace { .. } => of_service(error.to_string()),
        StoreError::Conflict { .. } => {
            conflict("The resource is being changed by another request. Try the request again.")
        }
        other => Error::internal(other),
    }
}

pub(crate) fn of_service(message: impl Into<String>) -> Error {
    let detail = ServiceException { r#type: Some("Server".to_owned()), message: Some(message.into()) };
    detail.into()
}

pub(crate) fn invalid(message: impl Into<String>) -> Error {
    InvalidParameterValueException { r#type: Some("User".to_owned()), message: Some(message.into()) }.into()
}

pub(crate) fn conflict(message: impl Into<String>) -> Error {
    ResourceConflictException { r#type: Some("User".to_owned()), message: Some(message.into()) }.into()
}

pub(crate) fn not_found(message: impl Into<String>) -> Error {
    ResourceNotFoundException { r#type: Some("User".to_owned()), message: Some(message.into()) }.into()
}

pub(crate) fn no_function(arn: &str) -> Error {
    not_found(format!("Function not found: {arn}"))
}

/// `source` is the call that shows the revision: `GetFunction/GetAlias`, or `GetLayerPolicy`.
pub(crate) fn stale_revision(source: &str) -> Error {
    let message = format!(
        "The Revision Id provided does not match the latest Revision Id. Call the {source} API to retrieve the latest Revision Id"
    );
    PreconditionFailedException { r#type: Some("User".to_owned()), message: Some(message) }.into()
}

/// What most reads of a resource that is not there say.
pub(crate) fn no_resource() -> Error {
    not_found("The resource you requested does not exist.")
}

/// `reason` is one of AWS's `ThrottleReason`s.
pub(crate) fn throttled(reason: &str) -> Error {
    TooManyRequestsException {
        r#type: Some("User".to_owned()),
        message: Some("Rate Exceeded.".to_owned()),
        reason: Some(reason.to_owned()),
        ..Default::default()
    }
    .into()
}

pub(crate) fn too_large(message: impl Into<String>) -> Error {
    Error::new("RequestEntityTooLargeException", 413, message)
}

//! CloudWatch Logs' refusals, in its own words.

use cloudlet_api_logs::{
    InvalidParameterException, OperationAbortedException, ResourceAlreadyExistsException,
    ResourceNotFoundException, ServiceUnavailableException,
};
use cloudlet_service::Error;
use cloudlet_store::StoreError;

cloudlet_store::failure!(Error, stored);

/// What a caller is told when the store cannot.
pub(crate) fn stored(error: StoreError) -> Error {
    match error {
        StoreError::NoSpace { .. } => ServiceUnavailableException::error(error.to_string()),
        StoreError::Conflict { .. } => OperationAbortedException::error(
            "A conflicting operation is currently in progress against this resource. Please try again.",
        ),
        other => Error::internal(other),
    }
}

pub(crate) fn no_group() -> Error {
    ResourceNotFoundException::error("The specified log group does not exist.")
}

pub(crate) fn no_stream() -> Error {
    ResourceNotFoundException::error("The specified log stream does not exist.")
}

pub(crate) fn group_exists() -> Error {
    ResourceAlreadyExistsException::error("The specified log group already exists")
}

pub(crate) fn stream_exists() -> Error {
    ResourceAlreadyExistsException::error("The specified log stream already exists")
}

pub(crate) fn invalid(message: impl Into<String>) -> Error {
    InvalidParameterException::error(message)
}

pub(crate) fn bad_token() -> Error {
    invalid("The specified nextToken is invalid.")
}

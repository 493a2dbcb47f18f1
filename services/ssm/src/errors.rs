//! Parameter Store's refusals, in its own words.

use cloudlet_api_ssm::*;
use cloudlet_store::StoreError;

cloudlet_store::failure!(Error, stored);

/// What a caller is told when the store cannot.
pub(crate) fn stored(error: StoreError) -> Error {
    match error {
        StoreError::NoSpace { .. } => InternalServerError::error(error.to_string()),
        StoreError::Conflict { .. } => TooManyUpdates::error(
            "There are concurrent updates for a resource that supports one update at a time.",
        ),
        other => Error::internal(other).with_code("InternalServerError"),
    }
}

pub(crate) fn no_parameter(name: &str) -> Error {
    ParameterNotFound::error(format!("Parameter {name} not found."))
}

pub(crate) fn no_version(name: &str, selector: &str) -> Error {
    ParameterVersionNotFound::error(format!(
        "Systems Manager could not find version {selector} of {name}. Verify the version and try again."
    ))
}

pub(crate) fn validation(message: impl Into<String>) -> Error {
    Error::validation(message)
}

pub(crate) fn bad_token() -> Error {
    InvalidNextToken::error("The specified token is not valid.")
}

pub(crate) fn no_resource(id: &str) -> Error {
    Error::sender(
        "InvalidResourceId",
        format!("The resource ID \"{id}\" is not valid. Verify the ID and try again."),
    )
}

/// What KMS refused.
pub(crate) fn kms(error: &Error) -> Error {
    if error.is("AccessDeniedException") || error.status() >= 500 {
        return error.clone();
    }
    InvalidKeyId::error(format!(
        "{} (Service: AWSKMS; Status Code: 400; Error Code: {})",
        error.message(),
        error.code()
    ))
}

//! Secrets Manager's refusals, in its own words.

use cloudlet_api_secretsmanager::*;
use cloudlet_store::StoreError;

cloudlet_store::failure!(Error, stored);

/// What a caller is told when the store cannot.
pub(crate) fn stored(error: StoreError) -> Error {
    match error {
        StoreError::NoSpace { .. } => InternalServiceError::error(error.to_string()),
        StoreError::Conflict { .. } => InternalServiceError::error("An error occurred on the server side."),
        other => Error::internal(other).with_code("InternalServiceError"),
    }
}

pub(crate) fn no_secret() -> Error {
    ResourceNotFoundException::error("Secrets Manager can't find the specified secret.")
}

pub(crate) fn no_stage(stage: &str) -> Error {
    ResourceNotFoundException::error(format!(
        "Secrets Manager can't find the specified secret value for staging label: {stage}"
    ))
}

pub(crate) fn no_version(id: &str) -> Error {
    ResourceNotFoundException::error(format!(
        "Secrets Manager can't find the specified secret value for VersionId: {id}"
    ))
}

pub(crate) fn marked() -> Error {
    InvalidRequestException::error(
        "You can't perform this operation on the secret because it was marked for deletion.",
    )
}

pub(crate) fn exists(name: &str) -> Error {
    ResourceExistsException::error(format!("The operation failed because the secret {name} already exists."))
}

pub(crate) fn token_used(token: &str, arn: &str) -> Error {
    ResourceExistsException::error(format!(
        "You can't use ClientRequestToken {token} because that value is already in use for a version of secret {arn}."
    ))
}

pub(crate) fn invalid(message: impl Into<String>) -> Error {
    InvalidParameterException::error(message)
}

pub(crate) fn bad_request(message: impl Into<String>) -> Error {
    InvalidRequestException::error(message)
}

pub(crate) fn bad_token() -> Error {
    InvalidNextTokenException::error("Invalid nextToken.")
}

pub(crate) fn only_primary() -> Error {
    invalid("Operation not permitted on a replica secret. Call must be made in primary secret's region.")
}

/// What KMS refused while a value was to be encrypted.
pub(crate) fn encryption(error: &Error) -> Error {
    kms(error).unwrap_or_else(|| {
        EncryptionFailure::error(format!(
            "Secrets Manager can't encrypt the protected secret text using the provided KMS key: {}",
            error.message()
        ))
    })
}

/// What KMS refused while a value was to be decrypted.
pub(crate) fn decryption(error: &Error) -> Error {
    kms(error).unwrap_or_else(|| {
        DecryptionFailure::error(format!(
            "Secrets Manager can't decrypt the protected secret text using the provided KMS key: {}",
            error.message()
        ))
    })
}

fn kms(error: &Error) -> Option<Error> {
    if error.status() >= 500 {
        return Some(error.clone());
    }
    error
        .is("AccessDeniedException")
        .then(|| Error::sender("AccessDeniedException", "Access to KMS is not allowed"))
}

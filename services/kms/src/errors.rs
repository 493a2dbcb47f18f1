//! KMS's refusals, in its own words.

use crate::crypto::Broken;
use cloudlet_api_kms::*;
use cloudlet_store::StoreError;

cloudlet_store::failure!(Error, stored);

/// What a caller is told when the store cannot.
pub(crate) fn stored(error: StoreError) -> Error {
    match error {
        StoreError::NoSpace { .. } => Error::new("KMSInternalException", 500, error.to_string()),
        StoreError::Conflict { .. } => DependencyTimeoutException::error(
            "The system timed out while trying to fulfill the request. You can retry the request.",
        )
        .with_status(503),
        other => Error::internal(other).with_code("KMSInternalException"),
    }
}

/// Cryptography that fails where nothing of the caller's can be the reason.
pub(crate) fn internal(_: Broken) -> Error {
    Error::internal("key material does not do what it must").with_code("KMSInternalException")
}

pub(crate) fn validation(message: impl Into<String>) -> Error {
    Error::validation(message)
}

pub(crate) fn no_key(arn: &str) -> Error {
    NotFoundException::error(format!("Key '{arn}' does not exist"))
}

pub(crate) fn no_alias(arn: &str) -> Error {
    NotFoundException::error(format!("Alias {arn} is not found."))
}

pub(crate) fn bad_key_id(id: &str) -> Error {
    NotFoundException::error(format!("Invalid keyId '{id}'"))
}

pub(crate) fn bad_state(message: impl Into<String>) -> Error {
    KMSInvalidStateException::error(message)
}

pub(crate) fn bad_usage(message: impl Into<String>) -> Error {
    InvalidKeyUsageException::error(message)
}

pub(crate) fn unsupported(message: impl Into<String>) -> Error {
    UnsupportedOperationException::error(message)
}

/// AWS says no word more than the code.
pub(crate) fn bad_ciphertext() -> Error {
    Error::sender("InvalidCiphertextException", "")
}

/// The model leaves it optional, for dry runs alone.
pub(crate) fn no_ciphertext() -> Error {
    validation(
        "1 validation error detected: Value null at 'ciphertextBlob' failed to satisfy constraint: Member must not be \
         null",
    )
}

pub(crate) fn wrong_key() -> Error {
    IncorrectKeyException::error(
        "The key ID in the request does not identify a CMK that can perform this operation.",
    )
}

pub(crate) fn limit(message: impl Into<String>) -> Error {
    LimitExceededException::error(message)
}

pub(crate) fn bad_marker(marker: &str) -> Error {
    InvalidMarkerException::error(format!("Could not deserialize marker '{marker}'"))
}

pub(crate) fn bad_policy(message: impl Into<String>) -> Error {
    MalformedPolicyDocumentException::error(message)
}

/// The answer of a dry run that would have gone well.
pub(crate) fn dry_run(asked: Option<bool>) -> Result<(), Error> {
    if asked == Some(true) {
        return Err(DryRunOperationException::error(
            "The request would have succeeded, but the DryRun option is set.",
        )
        .with_status(412));
    }
    Ok(())
}

/// Refuses an answer for a Nitro enclave, whose attestation nobody here can make.
pub(crate) fn no_recipient(recipient: Option<&RecipientInfo>) -> Result<(), Error> {
    match recipient {
        Some(_) => Err(Error::not_implemented_part("kms Recipient: attested answers for Nitro enclaves")),
        None => Ok(()),
    }
}

//! DynamoDB's refusals, in its own words.

use cloudlet_api_dynamodb as api;
use cloudlet_service::Error;
use cloudlet_store::StoreError;

cloudlet_store::failure!(Error, stored);

/// What functions give that can be refused.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller is told when the store cannot.
pub(crate) fn stored(error: StoreError) -> Error {
    match error {
        StoreError::NoSpace { .. } => api::InternalServerError::error(error.to_string()),
        StoreError::Conflict { .. } => {
            api::TransactionConflictException::error("Transaction is ongoing for the item")
        }
        other => Error::internal(other),
    }
}

pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::validation(message)
}

/// The frame of most of DynamoDB's refusals.
pub(crate) fn parameters(message: impl std::fmt::Display) -> Error {
    Error::validation(format!("One or more parameter values were invalid: {message}"))
}

/// A data operation on a table that is not there.
pub(crate) fn no_resource() -> Error {
    api::ResourceNotFoundException::error("Requested resource not found")
}

/// A control operation on a table that is not there.
pub(crate) fn no_table(name: &str) -> Error {
    api::ResourceNotFoundException::error(format!("Requested resource not found: Table: {name} not found"))
}

pub(crate) fn not_found(message: impl Into<String>) -> Error {
    api::ResourceNotFoundException::error(message)
}

pub(crate) fn in_use(message: impl Into<String>) -> Error {
    api::ResourceInUseException::error(message)
}

pub(crate) fn limit(message: impl Into<String>) -> Error {
    api::LimitExceededException::error(message)
}

/// A condition that does not hold; `item` is what was there, where the caller wants to see it.
pub(crate) fn condition_failed(item: Option<crate::value::Item>) -> Error {
    api::ConditionalCheckFailedException {
        message: Some("The conditional request failed".to_owned()),
        item: item.map(crate::convert::item_out),
    }
    .into()
}

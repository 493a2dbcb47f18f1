//! Account Management's errors.

use cloudlet_api_account::*;

pub(crate) fn validation(reason: &str, message: impl Into<String>) -> Error {
    let (message, reason) = (message.into(), Some(reason.to_owned()));
    ValidationException { message, reason, ..Default::default() }.into()
}

pub(crate) fn denied(message: impl Into<String>) -> Error {
    AccessDeniedException::error(message)
}

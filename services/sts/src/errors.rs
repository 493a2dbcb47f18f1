//! STS's errors that its model does not name.

use cloudlet_service::Error;

/// An input that breaks a constraint; query services call it `ValidationError`.
pub(crate) fn validation(message: impl Into<String>) -> Error {
    Error::sender("ValidationError", message)
}

/// A refusal.
pub(crate) fn denied(message: impl Into<String>) -> Error {
    Error::new("AccessDenied", 403, message)
}

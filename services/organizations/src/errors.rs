//! Organizations' errors, in its own words.

use cloudlet_api_organizations::*;
use cloudlet_service::Error;
use cloudlet_service::rules::Violations;
use cloudlet_store::StoreError;

cloudlet_store::failure!(Error, stored);

/// What a caller is told when the store cannot.
fn stored(error: StoreError) -> Error {
    match error {
        StoreError::Conflict { .. } => ConcurrentModificationException::error(
            "The target of the operation is currently being modified by a different request. Try again later.",
        ),
        other => Error::internal(other),
    }
}

/// An input that breaks a constraint: Organizations tells a reason instead of the constraint.
pub(crate) fn invalid(violations: &Violations) -> Error {
    let constraint = violations.0.first().map(|v| v.constraint.as_str()).unwrap_or_default();
    let absent = violations.0.first().is_some_and(|v| v.absent);
    let reason = if absent {
        "INPUT_REQUIRED"
    } else if constraint.contains("enum value set") {
        "INVALID_ENUM"
    } else if constraint.contains("regular expression") {
        "INVALID_PATTERN"
    } else if constraint.contains("length less than") {
        "MAX_LENGTH_EXCEEDED"
    } else if constraint.contains("length greater than") {
        "MIN_LENGTH_EXCEEDED"
    } else if constraint.contains("value less than") {
        "MAX_VALUE_EXCEEDED"
    } else {
        "MIN_VALUE_EXCEEDED"
    };
    bad_input(reason, "You specified an invalid value.")
}

pub(crate) fn bad_input(reason: &str, message: &str) -> Error {
    InvalidInputException { message: Some(message.to_owned()), reason: Some(reason.to_owned()) }.into()
}

pub(crate) fn violates(reason: &str, message: &str) -> Error {
    ConstraintViolationException { message: Some(message.to_owned()), reason: Some(reason.to_owned()) }.into()
}

pub(crate) fn not_in_use() -> Error {
    AWSOrganizationsNotInUseException::error("Your account is not a member of an organization.")
}

pub(crate) fn denied() -> Error {
    AccessDeniedException::error("You don't have permissions to access this resource.")
}

pub(crate) fn no_account() -> Error {
    AccountNotFoundException::error("You specified an account that doesn't exist.")
}

pub(crate) fn no_unit() -> Error {
    OrganizationalUnitNotFoundException::error("You specified an organizational unit that doesn't exist.")
}

pub(crate) fn no_parent() -> Error {
    ParentNotFoundException::error("You specified parent that doesn't exist.")
}

pub(crate) fn no_policy() -> Error {
    PolicyNotFoundException::error("You specified a policy that doesn't exist.")
}

pub(crate) fn no_target() -> Error {
    TargetNotFoundException::error("You specified a target that doesn't exist.")
}

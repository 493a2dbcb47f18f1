//! IAM's errors, in its own words.

use cloudlet_api_iam as api;
use cloudlet_service::rules::Violations;
use cloudlet_service::{Arn, Error};
use cloudlet_store::StoreError;

cloudlet_store::failure!(Error, stored);

/// What a caller is told when the store cannot.
fn stored(error: StoreError) -> Error {
    match error {
        StoreError::Conflict { .. } => api::ConcurrentModificationException::error(
            "The request was rejected because multiple requests to change this object were submitted \
                 simultaneously. Wait a few minutes and submit your request again.",
        ),
        other => Error::internal(other),
    }
}

/// An input that breaks a constraint. Names have words of their own.
pub(crate) fn invalid(violations: &Violations) -> Error {
    if let [only] = violations.0.as_slice()
        && only.constraint.contains("regular expression")
        && (only.member.ends_with("Name") || only.member == "PolicyName")
    {
        return validation(format!(
            "The specified value for {} is invalid. It must contain only alphanumeric characters and/or the \
             following: +=,.@_-",
            only.path
        ));
    }
    if let [only] = violations.0.as_slice()
        && only.constraint.contains("regular expression")
        && matches!(only.member.as_str(), "Path" | "NewPath")
    {
        return bad_path(&only.path);
    }
    validation(violations.message())
}

/// A path that is none.
pub(crate) fn bad_path(member: &str) -> Error {
    validation(format!(
        "The specified value for {member} is invalid. It must begin and end with / and contain only alphanumeric \
         characters and/or / characters."
    ))
}

pub(crate) fn validation(message: impl Into<String>) -> Error {
    Error::sender("ValidationError", message)
}

pub(crate) fn no_such(message: impl Into<String>) -> Error {
    api::NoSuchEntityException::error(message)
}

pub(crate) fn exists(message: impl Into<String>) -> Error {
    api::EntityAlreadyExistsException::error(message)
}

pub(crate) fn conflict(message: impl Into<String>) -> Error {
    api::DeleteConflictException::error(message)
}

pub(crate) fn bad_input(message: impl Into<String>) -> Error {
    api::InvalidInputException::error(message)
}

/// Refuses what is not the ARN of a policy in this partition.
pub(crate) fn check_policy_arn(arn: &str) -> Result<(), Error> {
    let parsed = Arn::parse(arn).filter(|arn| {
        let account = arn.account == "aws" || arn.account.len() == 12;
        arn.service == "iam" && arn.region.is_empty() && account && arn.resource.starts_with("policy/")
    });
    match parsed {
        Some(arn) if arn.partition == "aws" => Ok(()),
        Some(_) => Err(validation("Invalid ARN partition")),
        None => Err(bad_input(format!("ARN {arn} is not valid."))),
    }
}

/// `Cannot exceed quota for RolesPerAccount: 1000`
pub(crate) fn quota(name: &str, limit: usize) -> Error {
    api::LimitExceededException::error(format!("Cannot exceed quota for {name}: {limit}"))
}

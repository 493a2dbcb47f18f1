//! What is wrong with a policy document, in AWS's words.

use std::fmt;

/// The sort of fault, for services that answer a bad document with words of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// Not JSON, or beyond the limits on size, depth or count.
    Json,
    /// JSON, but not of the policy grammar.
    Syntax,
    /// `Version` is missing or not one this kind of policy may have.
    Version,
    /// `Statement` is missing or empty.
    Statement,
    /// Two statements share a `Sid`, or a `Sid` has characters it may not have.
    Sid,
    /// `Effect` is missing or neither `Allow` nor `Deny`.
    Effect,
    /// `Principal` is missing, forbidden here, or malformed.
    Principal,
    /// `Action` is missing or malformed.
    Action,
    /// `Resource` is missing, forbidden here, or malformed.
    Resource,
    /// A condition operator, key or value is malformed.
    Condition,
}

/// A refused policy document. IAM answers it as `MalformedPolicyDocument`, S3 as `MalformedPolicy`.
///
/// `Display` is AWS's message, word for word where AWS's is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    fault: Fault,
    message: String,
}

impl PolicyError {
    pub(crate) fn new(fault: Fault, message: impl Into<String>) -> Self {
        Self { fault, message: message.into() }
    }

    /// The sort of fault.
    pub fn fault(&self) -> Fault {
        self.fault
    }

    /// AWS's message.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for PolicyError {}

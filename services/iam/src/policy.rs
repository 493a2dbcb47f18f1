//! Checks of policy documents beyond their grammar.

use crate::Iam;
use crate::{errors, parse};
use cloudlet_access::{PolicyKind, PrincipalKind};
use cloudlet_api_iam::{MalformedPolicyDocumentException, PolicyNotAttachableException};
use cloudlet_identity::managed;
use cloudlet_service::{Context, Error};

/// The longest trust policy, in characters without white space.
const TRUST_QUOTA: usize = 2_048;

impl Iam {
    /// Checks a trust policy: grammar, size, and that the users and roles it names exist.
    ///
    /// Errors: `MalformedPolicyDocument`, `LimitExceeded`.
    pub(crate) fn check_trust(&self, document: &str) -> Result<(), Error> {
        let policy = parse(document, PolicyKind::Trust)?;
        if policy.minified_len() > TRUST_QUOTA {
            return Err(errors::quota("ACLSizePerRole", TRUST_QUOTA));
        }
        for statement in policy.statements() {
            for (kind, principal) in statement.principals() {
                if kind == PrincipalKind::Aws && !self.identities.names_somebody(principal) {
                    return Err(MalformedPolicyDocumentException::error(format!(
                        "Invalid principal in policy: \"AWS\":\"{principal}\""
                    )));
                }
            }
        }
        Ok(())
    }

    /// Whether there is a managed policy with this ARN that may bound the account's users and roles.
    pub(crate) fn bounding(&self, cx: &Context, arn: &str) -> Result<(), Error> {
        errors::check_policy_arn(arn)?;
        if managed::by_arn(arn).is_some() || self.policy(cx, arn).is_ok() {
            return Ok(());
        }
        Err(errors::no_such(format!("Scope ARN: {arn} does not exist or is not attachable.")))
    }

    /// Whether there is a managed policy with this ARN that the account may attach.
    pub(crate) fn attachable(&self, cx: &Context, arn: &str) -> Result<(), Error> {
        if arn.starts_with("arn:aws:iam::aws:policy/aws-service-role/") {
            return Err(PolicyNotAttachableException::error(
                "Cannot attach a Service Role Policy to a Customer Role.",
            ));
        }
        errors::check_policy_arn(arn)?;
        if managed::by_arn(arn).is_some() || self.policy(cx, arn).is_ok() {
            return Ok(());
        }
        Err(errors::no_such(format!("Policy {arn} does not exist or is not attachable.")))
    }
}

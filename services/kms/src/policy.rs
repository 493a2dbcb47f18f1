//! Key policies: the default one, and the checks of those that callers bring.
//!
//! Source: AWS KMS Developer Guide, "Default key policy"; API Reference, `PutKeyPolicy`.

use crate::Kms;
use crate::errors::{bad_policy, limit};
use crate::state::KeyRecord;
use cloudlet_access::{Policy, PolicyKind, PrincipalKind};
use cloudlet_api_kms::API;
use cloudlet_service::api::{Access, AccessRequest};
use cloudlet_service::{Context, Error};

/// The largest key policy, in bytes.
const MOST: usize = 32 * 1024;

/// What a key gets where its maker brings no policy. The form is the one AWS prints.
pub(crate) fn default(account: &str, partition: &str) -> String {
    format!(
        "{{\n  \"Version\" : \"2012-10-17\",\n  \"Id\" : \"key-default-1\",\n  \"Statement\" : [ {{\n    \
         \"Sid\" : \"Enable IAM User Permissions\",\n    \"Effect\" : \"Allow\",\n    \"Principal\" : {{\n      \
         \"AWS\" : \"arn:{partition}:iam::{account}:root\"\n    }},\n    \"Action\" : \"kms:*\",\n    \
         \"Resource\" : \"*\"\n  }} ]\n}}"
    )
}

impl Kms {
    /// Checks the policy that a key is about to get.
    ///
    /// Errors: `MalformedPolicyDocumentException`, `LimitExceededException`.
    pub(crate) async fn check_policy(
        &self,
        cx: &Context,
        key: &KeyRecord,
        document: &str,
        bypass: bool,
    ) -> Result<(), Error> {
        if document.len() > MOST {
            return Err(limit(format!("The key policy exceeds the limit of {MOST} bytes.")));
        }
        let policy =
            Policy::parse(document, PolicyKind::Resource).map_err(|error| bad_policy(error.message()))?;
        for statement in policy.statements() {
            for (kind, principal) in statement.principals() {
                if kind == PrincipalKind::Aws && !cx.cloud.identity()?.principal_exists(principal) {
                    return Err(bad_policy(
                        "Policy contains a statement with one or more invalid principals.",
                    ));
                }
            }
        }
        if !bypass && !self.may_still_change(cx, key, &policy)? {
            return Err(bad_policy(
                "The new key policy will not allow you to update the key policy in the future.",
            ));
        }
        Ok(())
    }

    /// Whether the caller could change the policy again under this one: the lockout safety check.
    fn may_still_change(&self, cx: &Context, key: &KeyRecord, policy: &Policy) -> Result<bool, Error> {
        let Some(operation) = API.operations.iter().find(|op| op.name == "PutKeyPolicy") else {
            return Ok(true);
        };
        let mut access = Access::new("kms:PutKeyPolicy", key.arn());
        access.resource_policy = Some(policy.clone());
        access.resource_account = Some(key.account.clone());
        access.keys = crate::access::key_facts(cx, key);
        let request = AccessRequest { access: &access, operation, service: &API };
        match cx.cloud.identity()?.authorize(cx, &request) {
            Ok(()) => Ok(true),
            Err(denied) if denied.is("AccessDenied") => Ok(false),
            Err(other) => Err(other),
        }
    }
}

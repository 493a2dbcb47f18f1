//! PutResourcePolicy, GetResourcePolicies, DeleteResourcePolicy: parameters that other accounts may read.
//!
//! Source: API Reference, `PutResourcePolicy`; User Guide, "Working with shared parameters in Parameter Store".

use super::page;
use crate::Ssm;
use crate::errors::Failure;
use crate::kinds::ADVANCED_TIER;
use crate::names::Named;
use crate::state::{Parameter as Stored, Shared};
use crate::values::DEFAULT_KEY;
use cloudlet_access::{Policy, PolicyKind};
use cloudlet_api_ssm::*;
use sha2::{Digest, Sha256};

/// AWS: the largest policy, in bytes.
const LARGEST: usize = 1024;
/// The most policies of one parameter.
const MOST: usize = 10;

impl Ssm {
    /// Adds a policy, or changes the one that id and hash name.
    ///
    /// Errors: `ResourceNotFoundException`, `ResourcePolicyInvalidParameterException`,
    /// `MalformedResourcePolicyDocumentException`, `ResourcePolicyLimitExceededException`,
    /// `ResourcePolicyNotFoundException`, `ResourcePolicyConflictException`; 501 for what is no parameter.
    pub async fn put_resource_policy(
        &self,
        cx: &Context,
        input: PutResourcePolicyInput,
    ) -> Result<PutResourcePolicyOutput, Error> {
        let named = shared(cx, &input.resource_arn)?;
        check_document(&input.policy)?;
        let both = input.policy_id.is_some() == input.policy_hash.is_some();
        if !both {
            return Err(invalid("PolicyId and PolicyHash must be specified together to update a policy."));
        }
        let hash = hex::encode(Sha256::digest(&input.policy));
        let new_id = cx.random().uuid();
        let id = self
            .change(cx, &named, |_, parameter| {
                check_shareable(parameter)?;
                let new = Shared { id: new_id.clone(), hash: hash.clone(), text: input.policy.clone() };
                if let (Some(id), Some(old)) = (&input.policy_id, &input.policy_hash) {
                    let there = existing(parameter, id, old)?;
                    *there = Shared { id: id.clone(), ..new };
                    return Ok(id.clone());
                }
                if parameter.shared.len() >= MOST {
                    return Err(Failure(ResourcePolicyLimitExceededException::error(format!(
                        "A parameter can have no more than {MOST} resource policies."
                    ))));
                }
                parameter.shared.push(new);
                Ok(new_id.clone())
            })
            .await
            .map_err(|error| missing(error, &input.resource_arn))?;
        Ok(PutResourcePolicyOutput { policy_id: Some(id), policy_hash: Some(hash), ..Default::default() })
    }

    /// Errors: `ResourceNotFoundException`, `ResourcePolicyInvalidParameterException`.
    pub async fn get_resource_policies(
        &self,
        cx: &Context,
        input: GetResourcePoliciesInput,
    ) -> Result<GetResourcePoliciesOutput, Error> {
        let named = shared(cx, &input.resource_arn)?;
        let parameter = self.find(cx, &named).map_err(|error| missing(error, &input.resource_arn))?;
        let numbered: Vec<(usize, Shared)> = parameter.shared.iter().cloned().enumerate().collect();
        let (policies, next_token) =
            page(numbered, input.max_results, 50, input.next_token.as_deref(), |(at, _)| format!("{at:04}"))?;
        let entry = |(_, policy): (usize, Shared)| GetResourcePoliciesResponseEntry {
            policy_id: Some(policy.id),
            policy_hash: Some(policy.hash),
            policy: Some(policy.text),
            ..Default::default()
        };
        let policies = policies.into_iter().map(entry).collect();
        Ok(GetResourcePoliciesOutput { policies: Some(policies), next_token, ..Default::default() })
    }

    /// Errors: `ResourceNotFoundException`, `ResourcePolicyNotFoundException`, `ResourcePolicyConflictException`.
    pub async fn delete_resource_policy(
        &self,
        cx: &Context,
        input: DeleteResourcePolicyInput,
    ) -> Result<DeleteResourcePolicyOutput, Error> {
        let named = shared(cx, &input.resource_arn)?;
        self.change(cx, &named, |_, parameter| {
            existing(parameter, &input.policy_id, &input.policy_hash)?;
            parameter.shared.retain(|policy| policy.id != input.policy_id);
            Ok(())
        })
        .await
        .map_err(|error| missing(error, &input.resource_arn))?;
        Ok(DeleteResourcePolicyOutput::default())
    }
}

/// The parameter that a policy is about: one of the caller's own account and Region, by its ARN.
fn shared(cx: &Context, arn: &str) -> Result<Named, Error> {
    let parsed = cloudlet_service::Arn::parse(arn).filter(|arn| arn.service == "ssm");
    let parsed = parsed.ok_or_else(|| invalid("The ResourceArn is not valid."))?;
    if !parsed.resource.starts_with("parameter/") {
        return Err(Error::not_implemented_part("ssm resource policies of what is no parameter"));
    }
    let named = Named::read(cx, arn).map_err(|error| missing(error, arn))?;
    if named.selector.is_some() || *named.account != *cx.account || *named.region != *cx.region {
        return Err(invalid("The ResourceArn is not valid."));
    }
    Ok(named)
}

fn check_document(document: &str) -> Result<(), Error> {
    let malformed = |why: &str| {
        MalformedResourcePolicyDocumentException::error(format!("The policy document is malformed: {why}"))
    };
    if document.len() > LARGEST {
        return Err(ResourcePolicyLimitExceededException::error(format!(
            "A resource policy can't be greater than {LARGEST} bytes in size."
        )));
    }
    let policy = Policy::parse(document, PolicyKind::Resource).map_err(|error| malformed(error.message()))?;
    if policy.statements().iter().any(|statement| statement.principals().next().is_none()) {
        return Err(malformed("each statement needs a Principal"));
    }
    Ok(())
}

/// Advanced, and not under the key that AWS manages, which other accounts cannot use.
fn check_shareable(parameter: &Stored) -> Result<(), Failure> {
    if parameter.latest.tier != ADVANCED_TIER {
        return Err(Failure(invalid("To share a parameter, it must be in the advanced parameter tier.")));
    }
    let key = parameter.latest.key_id.as_deref().unwrap_or_default();
    if key == DEFAULT_KEY || key.ends_with(":alias/aws/ssm") {
        return Err(Failure(invalid(
            "To share a SecureString parameter, it must be encrypted with a customer managed key.",
        )));
    }
    Ok(())
}

fn existing<'a>(parameter: &'a mut Stored, id: &str, hash: &str) -> Result<&'a mut Shared, Failure> {
    let found = parameter.shared.iter_mut().find(|policy| policy.id == id);
    let found = found.ok_or_else(|| {
        ResourcePolicyNotFoundException::error(
            "No policies with the specified policy ID and hash could be found.",
        )
    })?;
    if found.hash != hash {
        return Err(Failure(ResourcePolicyConflictException::error(
            "The hash provided in the call doesn't match the stored hash. This exception is thrown when trying to \
             update an obsolete policy version or when multiple requests to update a policy are sent.",
        )));
    }
    Ok(found)
}

fn invalid(message: &str) -> Error {
    ResourcePolicyInvalidParameterException::error(message)
}

fn missing(error: Error, arn: &str) -> Error {
    if error.is("ParameterNotFound") {
        return ResourceNotFoundException::error(format!(
            "The specified parameter {arn} could not be found."
        ));
    }
    error
}

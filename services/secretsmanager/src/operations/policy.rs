//! Resource policies of secrets.

use crate::SecretsManager;
use crate::errors::invalid;
use cloudlet_access::{Effect, Policy, PolicyKind, PrincipalKind};
use cloudlet_api_secretsmanager::*;

/// The name of the policy that callers may change.
const DEFAULT: &str = "default";

impl SecretsManager {
    /// Errors: `MalformedPolicyDocumentException`, `PublicPolicyException`, `ResourceNotFoundException`.
    pub async fn put_resource_policy(
        &self,
        cx: &Context,
        input: PutResourcePolicyInput,
    ) -> Result<PutResourcePolicyOutput, Error> {
        if input.policy_name.as_deref().is_some_and(|name| name != DEFAULT) {
            return Err(invalid("You can only attach the default resource policy."));
        }
        let secret = self.primary(cx, &input.secret_id)?;
        let policy = parse(&input.resource_policy)?;
        if cx.cloud.identity()?.names_strangers(&policy) {
            return Err(MalformedPolicyDocumentException::error(
                "This resource policy contains an unsupported principal.",
            ));
        }
        if input.block_public_policy.unwrap_or(false) && is_public(&policy) {
            return Err(PublicPolicyException::error(
                "You can't attach a policy that grants public access to the secret. To allow it, turn off \
                 BlockPublicPolicy.",
            ));
        }
        self.change_all(cx, &secret, &[], &[], |_, secret| {
            secret.policy = Some(input.resource_policy.clone());
            Ok(())
        })
        .await?;
        Ok(PutResourcePolicyOutput {
            arn: Some(secret.arn()),
            name: Some(secret.name.clone()),
            ..Default::default()
        })
    }

    /// Errors: `ResourceNotFoundException`.
    pub async fn get_resource_policy(
        &self,
        cx: &Context,
        input: GetResourcePolicyInput,
    ) -> Result<GetResourcePolicyOutput, Error> {
        only_default(input.policy_name.as_deref())?;
        let secret = self.living(cx, &input.secret_id)?;
        Ok(GetResourcePolicyOutput {
            arn: Some(secret.arn()),
            name: Some(secret.name.clone()),
            resource_policy: secret.policy.clone(),
            ..Default::default()
        })
    }

    /// The names of the policies: there is the default one, or none.
    ///
    /// Errors: `ResourceNotFoundException`, `InvalidNextTokenException`.
    pub async fn list_resource_policies(
        &self,
        cx: &Context,
        input: ListResourcePoliciesInput,
    ) -> Result<ListResourcePoliciesOutput, Error> {
        let secret = self.living(cx, &input.secret_id)?;
        if input.next_token.is_some() {
            return Err(crate::errors::bad_token());
        }
        let default = ResourcePolicySummary { policy_name: Some(DEFAULT.to_owned()), ..Default::default() };
        let resource_policies = secret.policy.iter().map(|_| default.clone()).collect();
        Ok(ListResourcePoliciesOutput { resource_policies, ..Default::default() })
    }

    /// Errors: `ResourceNotFoundException`.
    pub async fn delete_resource_policy(
        &self,
        cx: &Context,
        input: DeleteResourcePolicyInput,
    ) -> Result<DeleteResourcePolicyOutput, Error> {
        only_default(input.policy_name.as_deref())?;
        let secret = self.primary(cx, &input.secret_id)?;
        self.change_all(cx, &secret, &[], &[], |_, secret| {
            secret.policy = None;
            Ok(())
        })
        .await?;
        Ok(DeleteResourcePolicyOutput {
            arn: Some(secret.arn()),
            name: Some(secret.name.clone()),
            ..Default::default()
        })
    }

    /// Errors: `MalformedPolicyDocumentException`, `ResourceNotFoundException`.
    pub async fn validate_resource_policy(
        &self,
        cx: &Context,
        input: ValidateResourcePolicyInput,
    ) -> Result<ValidateResourcePolicyOutput, Error> {
        let secret = match &input.secret_id {
            Some(id) => Some(self.living(cx, id)?),
            None => None,
        };
        let policy = parse(&input.resource_policy)?;
        let mut errors = Vec::new();
        if let Some(secret) = secret
            && self.may(
                cx,
                "PutResourcePolicy",
                "secretsmanager:PutResourcePolicy",
                &secret,
                secret.compiled(),
            )?
            && !self.may(
                cx,
                "PutResourcePolicy",
                "secretsmanager:PutResourcePolicy",
                &secret,
                Some(policy.clone()),
            )?
        {
            errors.push(ValidationErrorsEntry {
                check_name: Some("PreventLockout".to_owned()),
                error_message: Some(
                    "The resource policy will not allow you to change the resource policy in the future."
                        .to_owned(),
                ),
                ..Default::default()
            });
        }
        if is_public(&policy) {
            errors.push(ValidationErrorsEntry {
                check_name: Some("BlockPublicAccess".to_owned()),
                error_message: Some("The resource policy grants public access to the secret.".to_owned()),
                ..Default::default()
            });
        }
        Ok(ValidateResourcePolicyOutput {
            policy_validation_passed: Some(errors.is_empty()),
            validation_errors: Some(errors),
            ..Default::default()
        })
    }
}

fn parse(document: &str) -> Result<Policy, Error> {
    Policy::parse(document, PolicyKind::Resource).map_err(|error| {
        MalformedPolicyDocumentException::error(format!(
            "This resource policy contains a syntax error: {}",
            error.message()
        ))
    })
}

/// Whether a statement allows everybody without a condition.
fn is_public(policy: &Policy) -> bool {
    policy.statements().iter().any(|statement| {
        statement.effect() == Effect::Allow
            && statement.conditions().next().is_none()
            && statement.principals().any(|(kind, name)| kind == PrincipalKind::Aws && name == "*")
    })
}

/// A secret has one policy, which callers may change: the default one.
fn only_default(name: Option<&str>) -> Result<(), Error> {
    match name {
        None | Some(DEFAULT) => Ok(()),
        Some("") => Err(invalid("PolicyName must not be empty.")),
        Some(_) => Err(no_policy()),
    }
}

fn no_policy() -> Error {
    ResourceNotFoundException::error("Secrets Manager can't find the specified resource policy.")
}

//! Resource policies of secrets.

use crate::SecretsManager;
use crate::errors::invalid;
use cloudlet_access::{Effect, Policy, PolicyKind, PrincipalKind};
use cloudlet_api_secretsmanager::*;

impl SecretsManager {
    /// Errors: `MalformedPolicyDocumentException`, `PublicPolicyException`, `ResourceNotFoundException`.
    pub async fn put_resource_policy(
        &self,
        cx: &Context,
        input: PutResourcePolicyInput,
    ) -> Result<PutResourcePolicyOutput, Error> {
        only_default(input.policy_name.as_deref())?;
        let secret = self.primary(cx, &input.secret_id)?;
        let policy = parse(&input.resource_policy)?;
        if input.block_public_policy.unwrap_or(false) && is_public(&policy) {
            return Err(PublicPolicyException::error(
                "You can't attach a policy that grants public access to the secret. To allow it, turn off \
                 BlockPublicPolicy.",
            ));
        }
        let changed = self
            .change(&secret, |_, secret| {
                secret.policy = Some(input.resource_policy.clone());
                Ok(())
            })
            .await?;
        self.spread(cx, changed).await?;
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

    /// Errors: `ResourceNotFoundException`.
    pub async fn delete_resource_policy(
        &self,
        cx: &Context,
        input: DeleteResourcePolicyInput,
    ) -> Result<DeleteResourcePolicyOutput, Error> {
        only_default(input.policy_name.as_deref())?;
        let secret = self.primary(cx, &input.secret_id)?;
        let changed = self
            .change(&secret, |_, secret| {
                secret.policy = None;
                Ok(())
            })
            .await?;
        self.spread(cx, changed).await?;
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
        if let Some(id) = &input.secret_id {
            self.living(cx, id)?;
        }
        let policy = parse(&input.resource_policy)?;
        let mut errors = Vec::new();
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

fn only_default(name: Option<&str>) -> Result<(), Error> {
    match name {
        None => Ok(()),
        Some("") => Err(invalid("PolicyName must not be empty.")),
        Some(_) => Err(Error::not_implemented_part("secretsmanager PolicyName: further named policies")),
    }
}

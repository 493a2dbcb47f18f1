//! RotateSecret, CancelRotateSecret.

use super::create::token;
use crate::errors::{Failure, bad_request, invalid};
use crate::rotation::{Task, in_progress, order, pend, plan};
use crate::state::{CURRENT, PENDING, Rotation, Secret, Value};
use crate::{PRINCIPAL, SecretsManager, schedule};
use cloudlet_api_secretsmanager::*;

impl SecretsManager {
    /// Settles when and through what a secret is rotated, and begins a rotation, which goes on by itself.
    ///
    /// Errors: `ResourceNotFoundException`, `InvalidRequestException`, `InvalidParameterException`,
    /// `AccessDeniedException` where the function may not be invoked.
    pub async fn rotate_secret(
        &self,
        cx: &Context,
        input: RotateSecretInput,
    ) -> Result<RotateSecretOutput, Error> {
        let token = token(input.client_request_token)?;
        let secret = self.primary(cx, &input.secret_id)?;
        if input.external_secret_rotation_metadata.is_some()
            || input.external_secret_rotation_role_arn.is_some()
        {
            return Err(Error::not_implemented_part("secretsmanager:RotateSecret ExternalSecretRotation…"));
        }
        let rotation = wanted(&secret, input.rotation_lambda_arn, input.rotation_rules)?;
        let now = cx.millis();
        schedule::check(&rotation, now)?;
        if let Some(pending) = secret.staged(PENDING).filter(|_| in_progress(&secret)) {
            let token = pending.id.clone();
            self.change(&secret, |tx, secret| {
                tx.emit(order(secret, Task::Rotate { token: token.clone(), until: None }, now))?;
                Ok(())
            })
            .await?;
            return Err(unfinished());
        }
        let settled = Secret { rotation: Some(rotation.clone()), ..Secret::clone(&secret) };
        self.check_function(cx, &settled).await?;
        let immediately = input.rotate_immediately.unwrap_or(true);
        let trial = if immediately { None } else { self.trial(cx, &secret, &token).await };
        self.change(&secret, |tx, secret| {
            if in_progress(secret) {
                return Err(Failure(unfinished()));
            }
            secret.rotation = Some(rotation.clone());
            secret.changed = now;
            plan(tx, secret, now)?;
            pend(secret, &token, now);
            if let Some(value) = &trial {
                if let Some(version) = secret.versions.iter_mut().find(|version| version.id == token) {
                    version.empty = false;
                }
                tx.put(&secret.value_place(&token), value)?;
            }
            let task = if immediately {
                Task::Rotate { token: token.clone(), until: None }
            } else {
                Task::Test { token: token.clone() }
            };
            tx.emit(order(secret, task, now))?;
            Ok(())
        })
        .await?;
        Ok(RotateSecretOutput {
            arn: Some(secret.arn()),
            name: Some(secret.name.clone()),
            version_id: Some(token),
            ..Default::default()
        })
    }

    /// Errors: `ResourceNotFoundException`, `InvalidRequestException`.
    pub async fn cancel_rotate_secret(
        &self,
        cx: &Context,
        input: CancelRotateSecretInput,
    ) -> Result<CancelRotateSecretOutput, Error> {
        let secret = self.primary(cx, &input.secret_id)?;
        if secret.rotation.is_none() {
            return Err(bad_request(
                "You can't cancel rotation for a secret that does not have rotation enabled.",
            ));
        }
        let pending = secret.staged(PENDING).filter(|_| in_progress(&secret)).map(|v| v.id.clone());
        self.change(&secret, |_, secret| {
            if let Some(rotation) = &mut secret.rotation {
                rotation.enabled = false;
                rotation.next = None;
            }
            Ok(())
        })
        .await?;
        Ok(CancelRotateSecretOutput {
            arn: Some(secret.arn()),
            name: Some(secret.name.clone()),
            version_id: pending,
            ..Default::default()
        })
    }

    /// What a function is tested with where no rotation begins yet: the current value as the pending one. `None` where
    /// there is no value, or none that the caller may read.
    async fn trial(&self, cx: &Context, secret: &Secret, token: &str) -> Option<Value> {
        let current = secret.staged(CURRENT).filter(|version| !version.empty)?;
        let plain = self.open(cx, secret, &current.id).await.ok()?;
        self.seal(cx, secret, token, &plain).await.ok()
    }

    /// Whether the caller may invoke the function, and whether it is there and lets the service invoke it.
    async fn check_function(&self, cx: &Context, secret: &Secret) -> Result<(), Error> {
        let caller = cx.through(PRINCIPAL);
        match self.invoke(&caller, secret, "{}".to_owned(), Some("DryRun")).await {
            Err(error) if error.is("AccessDeniedException") => return Err(error),
            _ => {}
        }
        let service = cx.as_service(PRINCIPAL, Some(&secret.arn()));
        match self.invoke(&service, secret, "{}".to_owned(), Some("DryRun")).await {
            Ok(_) => Ok(()),
            Err(error) if error.status() >= 500 => Err(error),
            Err(_) => Err(Error::sender(
                "AccessDeniedException",
                "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants \
                 access to the principal secretsmanager.amazonaws.com.",
            )),
        }
    }
}

fn unfinished() -> Error {
    bad_request("A previous rotation isn't complete. That rotation will be reattempted.")
}

/// The rotation as the request would have it.
fn wanted(
    secret: &Secret,
    lambda: Option<String>,
    rules: Option<RotationRulesType>,
) -> Result<Rotation, Error> {
    let mut rotation = secret.rotation.clone().unwrap_or_default();
    rotation.enabled = true;
    if let Some(lambda) = lambda.filter(|lambda| !lambda.is_empty()) {
        rotation.lambda = lambda;
    }
    if rotation.lambda.is_empty() {
        return Err(bad_request("No Lambda rotation function ARN is associated with this secret."));
    }
    if let Some(rules) = rules {
        if rules.automatically_after_days.is_some() && rules.schedule_expression.is_some() {
            return Err(invalid(
                "You can't specify both AutomaticallyAfterDays and ScheduleExpression in RotationRules.",
            ));
        }
        rotation.days = rules.automatically_after_days;
        rotation.expression = rules.schedule_expression;
        rotation.duration = rules.duration;
    }
    Ok(rotation)
}

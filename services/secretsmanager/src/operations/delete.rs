//! DeleteSecret, RestoreSecret.

use crate::SecretsManager;
use crate::errors::{bad_request, invalid};
use crate::rotation::{Task, order};
use crate::shown::when;
use crate::state::{DAY, DETACHED};
use cloudlet_api_secretsmanager::*;

impl SecretsManager {
    /// Errors: `ResourceNotFoundException`, `InvalidParameterException`, `InvalidRequestException`.
    pub async fn delete_secret(
        &self,
        cx: &Context,
        input: DeleteSecretInput,
    ) -> Result<DeleteSecretOutput, Error> {
        let force = input.force_delete_without_recovery.unwrap_or(false);
        let days = input.recovery_window_in_days.unwrap_or(30);
        if !(7..=30).contains(&days) {
            return Err(invalid("RecoveryWindowInDays value must be between 7 and 30 days (inclusive)."));
        }
        if force && input.recovery_window_in_days.is_some() {
            return Err(invalid(
                "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.",
            ));
        }
        let now = cx.millis();
        let secret = match self.find(cx, &input.secret_id) {
            Ok(secret) => secret,
            // What shall be gone at once may be gone already.
            Err(error) if force && error.is("ResourceNotFoundException") => {
                let name = input.secret_id.rsplit(":secret:").next().unwrap_or_default().to_owned();
                let arn = if input.secret_id.starts_with("arn:") {
                    input.secret_id.clone()
                } else {
                    let end = cx.random().text(6, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
                    cx.arn("secretsmanager", format_args!("secret:{name}-{end}"))
                };
                return Ok(DeleteSecretOutput {
                    arn: Some(arn),
                    name: Some(name),
                    deletion_date: Some(when(now)),
                    ..Default::default()
                });
            }
            Err(error) => return Err(error),
        };
        if !secret.replicas.is_empty() {
            let regions: Vec<&str> = secret.replicas.iter().map(|r| r.region.as_str()).collect();
            return Err(invalid(format!(
                "You can't delete secret {} that still has replica regions [{}]",
                input.secret_id,
                regions.join(", ")
            )));
        }
        if secret.cross_replica.as_ref().is_some_and(|link| link.status != DETACHED) {
            return Err(bad_request(
                "You can't delete a primary secret that is associated with a cross-account replica secret.",
            ));
        }
        if secret.cross_primary.is_some() {
            return Err(bad_request(
                "You can't delete a cross-account replica secret without first stopping replication.",
            ));
        }
        if secret.primary.is_some() {
            return Err(crate::errors::only_primary());
        }
        let answer = |at: i64| DeleteSecretOutput {
            arn: Some(secret.arn()),
            name: Some(secret.name.clone()),
            deletion_date: Some(when(at)),
            ..Default::default()
        };
        if force {
            self.forget(&secret).await?;
            return Ok(answer(now));
        }
        if secret.deletion.is_some() {
            return Err(bad_request(
                "You can't perform this operation on the secret because it was already scheduled for deletion.",
            ));
        }
        let at = now + days * DAY;
        self.change(&secret, |tx, secret| {
            secret.deletion = Some(at);
            tx.emit(order(secret, Task::Delete { at }, at))?;
            Ok(())
        })
        .await?;
        Ok(answer(at))
    }

    /// Errors: `ResourceNotFoundException`.
    pub async fn restore_secret(
        &self,
        cx: &Context,
        input: RestoreSecretInput,
    ) -> Result<RestoreSecretOutput, Error> {
        let secret = self.find(cx, &input.secret_id)?;
        if secret.deletion.is_some() {
            self.change(&secret, |_, secret| {
                secret.deletion = None;
                Ok(())
            })
            .await?;
        }
        Ok(RestoreSecretOutput {
            arn: Some(secret.arn()),
            name: Some(secret.name.clone()),
            ..Default::default()
        })
    }
}

//! UpdateSecretVersionStage.

use crate::SecretsManager;
use crate::errors::{Failure, invalid};
use crate::state::{CURRENT, Secret};
use cloudlet_api_secretsmanager::*;

impl SecretsManager {
    /// Errors: `ResourceNotFoundException`, `InvalidParameterException`.
    pub async fn update_secret_version_stage(
        &self,
        cx: &Context,
        input: UpdateSecretVersionStageInput,
    ) -> Result<UpdateSecretVersionStageOutput, Error> {
        let secret = self.primary(cx, &input.secret_id)?;
        let now = cx.millis();
        let changed = self
            .change_all(cx, &secret, &[], &[], |_, secret| {
                check(secret, &input)?;
                let stage = &input.version_stage;
                match &input.move_to_version_id {
                    Some(to) => secret.attach(to, std::slice::from_ref(stage)),
                    None => secret.detach(stage),
                }
                secret.changed = now;
                Ok::<_, Failure>(())
            })
            .await?;
        Ok(UpdateSecretVersionStageOutput {
            arn: Some(changed.arn()),
            name: Some(changed.name),
            ..Default::default()
        })
    }
}

/// Source: API Reference, `UpdateSecretVersionStage`, its parameters.
fn check(secret: &Secret, input: &UpdateSecretVersionStageInput) -> Result<(), Error> {
    let stage = &input.version_stage;
    let (from, to) = (input.remove_from_version_id.as_deref(), input.move_to_version_id.as_deref());
    if from.is_none() && to.is_none() {
        return Err(invalid("You must specify at least one of RemoveFromVersionId and MoveToVersionId."));
    }
    for id in [from, to].into_iter().flatten() {
        if secret.version(id).is_none() {
            return Err(invalid(format!("Not a valid version: {id}")));
        }
    }
    if stage == CURRENT && to.is_none() {
        return Err(invalid(
            "You can only move staging label AWSCURRENT to a different secret version. It can’t be completely removed.",
        ));
    }
    let holder = secret.staged(stage).map(|version| version.id.as_str());
    match (from, holder) {
        (Some(from), holder) if holder != Some(from) => {
            Err(invalid(format!("Version stage {stage} not found in version {from}")))
        }
        (None, Some(holder)) if to.is_some_and(|to| to != holder) => Err(invalid(format!(
            "The parameter RemoveFromVersionId can't be empty. Staging label {stage} is currently attached to version \
             {holder}, so you must explicitly reference that version in RemoveFromVersionId."
        ))),
        _ => Ok(()),
    }
}

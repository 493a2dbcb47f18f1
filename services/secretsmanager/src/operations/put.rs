//! PutSecretValue, UpdateSecret: new versions, new settings.

use super::create::{both, own_key, token};
use crate::SecretsManager;
use crate::errors::{Failure, bad_request, invalid, token_used};
use crate::rotation;
use crate::state::{CURRENT, DAY, PENDING, PREVIOUS, Secret, Value, Version};
use crate::values::Plain;
use cloudlet_api_secretsmanager::*;
use cloudlet_store::Tx;

/// AWS keeps so many versions that have no staging label.
const KEPT: usize = 100;
/// And refuses further ones beyond so many.
const MOST: usize = 1000;

impl SecretsManager {
    /// Errors: `ResourceNotFoundException`, `ResourceExistsException`, `InvalidRequestException`,
    /// `InvalidParameterException`, `EncryptionFailure`, `LimitExceededException`.
    pub async fn put_secret_value(
        &self,
        cx: &Context,
        input: PutSecretValueInput,
    ) -> Result<PutSecretValueOutput, Error> {
        let token = token(input.client_request_token)?;
        let plain = Plain::of(input.secret_string, input.secret_binary, both)?;
        let plain =
            plain.ok_or_else(|| bad_request("You must provide either SecretString or SecretBinary."))?;
        let secret = self.primary(cx, &input.secret_id)?;
        let stages = input.version_stages.unwrap_or_else(|| vec![CURRENT.to_owned()]);
        let secret = self.add_version(cx, &secret, &token, &plain, &stages, |_| {}, &[]).await?;
        Ok(PutSecretValueOutput {
            arn: Some(secret.arn()),
            name: Some(secret.name.clone()),
            version_stages: secret.version(&token).map(|version| version.stages.clone()),
            version_id: Some(token),
            ..Default::default()
        })
    }

    /// Errors: as [`SecretsManager::put_secret_value`], and `DecryptionFailure` where a new key is to take over.
    pub async fn update_secret(
        &self,
        cx: &Context,
        input: UpdateSecretInput,
    ) -> Result<UpdateSecretOutput, Error> {
        let token = token(input.client_request_token)?;
        let secret = self.primary(cx, &input.secret_id)?;
        let plain = Plain::of(input.secret_string, input.secret_binary, both)?;
        let key = input.kms_key_id.map(|key| own_key(Some(key)));
        let mut described = Secret::clone(&secret);
        if let Some(key) = &key {
            described.kms_key.clone_from(key);
        }
        let (description, kind) = (input.description, input.r#type);
        let settle = |secret: &mut Secret| {
            if let Some(description) = &description {
                secret.description = Some(description.clone());
            }
            if let Some(key) = &key {
                secret.kms_key.clone_from(key);
            }
            if let Some(kind) = &kind {
                secret.kind = Some(kind.clone());
            }
        };
        let again = match &key {
            Some(key) if *key != secret.kms_key => self.reseal(cx, &secret, &described).await?,
            _ => Vec::new(),
        };
        let Some(plain) = plain else {
            let now = cx.millis();
            let changed = self
                .change_all(cx, &secret, &[], &[], |tx, secret| {
                    settle(secret);
                    secret.changed = now;
                    put_again(tx, secret, &again)
                })
                .await?;
            return Ok(UpdateSecretOutput {
                arn: Some(changed.arn()),
                name: Some(changed.name),
                ..Default::default()
            });
        };
        // Unlike PutSecretValue, this one makes a version or none.
        if secret.version(&token).is_some_and(|version| !version.empty) {
            return Err(token_used(&token, &secret.arn()));
        }
        let current = [CURRENT.to_owned()];
        let changed = self.add_version(cx, &described, &token, &plain, &current, settle, &again).await?;
        Ok(UpdateSecretOutput {
            arn: Some(changed.arn()),
            name: Some(changed.name),
            version_id: Some(token),
            ..Default::default()
        })
    }

    /// Adds a version, or finds that the very same one is there.
    #[allow(clippy::too_many_arguments)]
    async fn add_version(
        &self,
        cx: &Context,
        secret: &Secret,
        token: &str,
        plain: &Plain,
        stages: &[String],
        settle: impl Fn(&mut Secret) + Send + Sync,
        again: &[(String, Value)],
    ) -> Result<Secret, Error> {
        if secret.version(token).is_some_and(|version| !version.empty) {
            if self.open(cx, secret, token).await?.same(plain) {
                return Ok(secret.clone());
            }
            return Err(token_used(token, &secret.arn()));
        }
        let value = self.seal(cx, secret, token, plain).await?;
        let now = cx.millis();
        self.change_all(cx, secret, &[(token, plain)], &[], |tx, secret| {
            settle(secret);
            if secret.deletion.is_some() {
                return Err(Failure(crate::errors::marked()));
            }
            put_again(tx, secret, again)?;
            let first = !secret.versions.iter().any(|version| !version.empty);
            let key = secret.kms_key.clone();
            match secret.versions.iter_mut().find(|version| version.id == token) {
                Some(version) if !version.empty => {
                    return Err(Failure(token_used(token, &secret.arn())));
                }
                Some(version) => (version.empty, version.kms_key) = (false, key),
                None => secret.versions.push(Version {
                    id: token.to_owned(),
                    stages: Vec::new(),
                    created: now,
                    accessed: None,
                    kms_key: key,
                    empty: false,
                }),
            }
            secret.attach(token, stages);
            if first && secret.staged(CURRENT).is_none() {
                secret.attach(token, &[CURRENT.to_owned()]);
            }
            secret.changed = now;
            prune(tx, secret, now)?;
            // A value put by hand counts as a rotation where days are counted.
            if stages.iter().any(|stage| stage == CURRENT)
                && secret.rotation.as_ref().is_some_and(|r| r.enabled && r.days.is_some())
            {
                rotation::plan(tx, secret, now)?;
            }
            Ok(tx.put(&secret.value_place(token), &value)?)
        })
        .await
    }

    /// The versions with labels of AWS's again, sealed with another key; none where the caller may not use that.
    async fn reseal(&self, cx: &Context, old: &Secret, new: &Secret) -> Result<Vec<(String, Value)>, Error> {
        let mut out = Vec::new();
        let labelled = |version: &&Version| {
            version.stages.iter().any(|stage| [CURRENT, PREVIOUS, PENDING].contains(&stage.as_str()))
        };
        for version in old.versions.iter().filter(|version| !version.empty).filter(labelled) {
            let plain = match self.open(cx, old, &version.id).await {
                Err(error) if error.is("AccessDeniedException") => return Ok(Vec::new()),
                plain => plain?,
            };
            match self.seal(cx, new, &version.id, &plain).await {
                Err(error) if error.is("AccessDeniedException") => return Ok(Vec::new()),
                value => out.push((version.id.clone(), value?)),
            }
        }
        Ok(out)
    }
}

/// Puts values that were sealed with the secret's new key in the place of the old ones.
fn put_again(tx: &mut Tx<'_>, secret: &mut Secret, again: &[(String, Value)]) -> Result<(), Failure> {
    for (id, value) in again {
        tx.put(&secret.value_place(id), value)?;
        let key = secret.kms_key.clone();
        if let Some(version) = secret.versions.iter_mut().find(|version| version.id == *id) {
            version.kms_key = key;
        }
    }
    Ok(())
}

/// Forgets old versions that no label holds.
fn prune(tx: &mut Tx<'_>, secret: &mut Secret, now: i64) -> Result<(), Failure> {
    while secret.versions.len() > KEPT {
        let old = |version: &Version| version.stages.is_empty() && version.created < now - DAY;
        let Some(at) = secret.versions.iter().position(old) else { break };
        let version = secret.versions.remove(at);
        tx.delete::<Value>(&secret.value_place(&version.id))?;
    }
    if secret.versions.len() > MOST {
        return Err(Failure(LimitExceededException::error(format!(
            "You can't create more than {MOST} versions of a secret within 24 hours."
        ))));
    }
    if secret.versions.iter().any(|version| version.stages.len() > 20) {
        return Err(Failure(invalid("A version can have no more than 20 staging labels.")));
    }
    Ok(())
}

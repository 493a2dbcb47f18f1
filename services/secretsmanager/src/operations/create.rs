//! CreateSecret.

use super::cross_account::{accepting, other_account};
use super::tags;
use crate::SecretsManager;
use crate::errors::{Failure, exists, invalid, stored, token_used};
use crate::shown::replication;
use crate::state::{CURRENT, CrossLink, Secret, Version, secret_place};
use crate::values::Plain;
use cloudlet_api_secretsmanager::*;

/// What the random end of an ARN is made of.
const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

impl SecretsManager {
    /// Makes a secret, with its first version where a value comes along.
    ///
    /// Errors: `ResourceExistsException`, `InvalidRequestException`, `InvalidParameterException`,
    /// `EncryptionFailure`.
    pub async fn create_secret(
        &self,
        cx: &Context,
        input: CreateSecretInput,
    ) -> Result<CreateSecretOutput, Error> {
        let token = token(input.client_request_token.clone())?;
        check_name(&input.name)?;
        if let Some(primary) = &input.cross_account_primary_arn {
            check_replica(cx, &input, primary)?;
        }
        let primary = input.cross_account_primary_arn.clone();
        let plain = Plain::of(input.secret_string, input.secret_binary, both)?;
        let force = input.force_overwrite_replica_secret.unwrap_or(false);
        let regions = input.add_replica_regions.unwrap_or_default();
        let replicas = Self::wanted_replicas(cx, &cx.region, &regions, force)?;
        let at = secret_place(&cx.account, &cx.region, &input.name);
        let now = cx.millis();
        match self.store.table::<Secret>().get(&at).map_err(stored)? {
            // Its time is over, though nobody has come to take it away yet.
            Some(there) if there.deletion.is_some_and(|at| at <= now) => self.forget(&there).await?,
            Some(there) => return self.again(cx, there, &token, plain).await,
            None => {}
        }
        let mut secret = Secret {
            account: cx.account.to_string(),
            region: cx.region.to_string(),
            partition: cx.partition().to_owned(),
            name: input.name,
            suffix: cx.random().text(6, ALPHABET),
            tagged: false,
            description: input.description,
            kms_key: own_key(input.kms_key_id),
            tags: tags::checked(input.tags.unwrap_or_default())?,
            created: now,
            changed: now,
            accessed: None,
            deletion: None,
            versions: Vec::new(),
            policy: primary.as_deref().and_then(|primary| accepting(cx.partition(), primary)),
            rotation: None,
            rotated: None,
            primary: None,
            replicas: Vec::new(),
            kind: input.r#type,
            cross_primary: primary.map(|arn| CrossLink { arn, status: "Pending".to_owned(), message: None }),
            cross_replica: None,
        };
        let value = match &plain {
            Some(plain) => Some(self.seal(cx, &secret, &token, plain).await?),
            None => None,
        };
        if value.is_some() {
            secret.versions.push(Version {
                id: token.clone(),
                stages: vec![CURRENT.to_owned()],
                created: now,
                accessed: None,
                kms_key: secret.kms_key.clone(),
                empty: false,
            });
        }
        let fresh: Vec<(&str, &Plain)> = plain.iter().map(|plain| (token.as_str(), plain)).collect();
        let written = self.write_all(cx, &secret, &fresh, &replicas, |tx| {
            if tx.exists::<Secret>(&at)? {
                return Err(Failure(exists(&secret.name)));
            }
            if let Some(value) = &value {
                tx.put(&secret.value_place(&token), value)?;
            }
            Ok(Some(secret.clone()))
        });
        let secret = written.await?.ok_or_else(|| exists(&secret.name))?;
        Ok(CreateSecretOutput {
            arn: Some(secret.arn()),
            name: Some(secret.name.clone()),
            version_id: value.map(|_| token),
            replication_status: replication(&secret.replicas),
            ..Default::default()
        })
    }

    /// What happens to the second of two calls for the same name: the very same call gets the same answer.
    async fn again(
        &self,
        cx: &Context,
        there: Secret,
        token: &str,
        plain: Option<Plain>,
    ) -> Result<CreateSecretOutput, Error> {
        if there.deletion.is_some() {
            return Err(crate::errors::bad_request(
                "You can't create this secret because a secret with this name is already scheduled for deletion.",
            ));
        }
        if there.version(token).is_some_and(|version| !version.empty)
            && let Some(plain) = plain
        {
            if !self.open(cx, &there, token).await?.same(&plain) {
                return Err(token_used(token, &there.arn()));
            }
            return Ok(CreateSecretOutput {
                arn: Some(there.arn()),
                name: Some(there.name.clone()),
                version_id: Some(token.to_owned()),
                ..Default::default()
            });
        }
        Err(exists(&there.name))
    }
}

/// Source: API Reference, `CreateSecret`, `CrossAccountPrimaryARN`.
fn check_replica(cx: &Context, input: &CreateSecretInput, primary: &str) -> Result<(), Error> {
    other_account(&cx.account, &cx.region, cx.partition(), primary)?;
    if own_key(input.kms_key_id.clone()).is_none() {
        return Err(invalid("A cross-account replica needs a customer managed KMS key in KmsKeyId."));
    }
    if input.secret_string.is_some()
        || input.secret_binary.is_some()
        || input.description.is_some()
        || input.add_replica_regions.is_some()
        || input.r#type.is_some()
    {
        return Err(invalid(
            "You can't include SecretString, SecretBinary, Description, AddReplicaRegions, or Type with \
             CrossAccountPrimaryARN.",
        ));
    }
    Ok(())
}

pub(super) fn both() -> Error {
    invalid("You can't specify both a binary secret value and a string secret value in the same secret.")
}

/// The id of a new version. SDKs make one where their caller does not; others must.
///
/// Errors: `InvalidRequestException`.
pub(super) fn token(given: Option<String>) -> Result<String, Error> {
    given.ok_or_else(|| {
        crate::errors::bad_request(
            "You must provide a ClientRequestToken value. We recommend a UUID-type value.",
        )
    })
}

/// The key of a secret; AWS's own is the same as none.
pub(super) fn own_key(given: Option<String>) -> Option<String> {
    given.filter(|key| {
        !key.is_empty() && key != "alias/aws/secretsmanager" && !key.ends_with(":alias/aws/secretsmanager")
    })
}

/// Source: API Reference, `CreateSecret`, `Name`.
fn check_name(name: &str) -> Result<(), Error> {
    let fine = |b: u8| b.is_ascii_alphanumeric() || b"-/_+=.@!".contains(&b);
    if name.is_empty() || !name.bytes().all(fine) {
        return Err(Error::validation(
            "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!",
        ));
    }
    Ok(())
}

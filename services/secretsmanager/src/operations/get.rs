//! GetSecretValue, BatchGetSecretValue, DescribeSecret, ListSecretVersionIds.

use super::list::{check, matching, page};
use crate::SecretsManager;
use crate::errors::{bad_request, invalid, no_stage, no_version, stored};
use crate::shown::{self, when};
use crate::state::{CURRENT, DAY, Secret, Version, secret_place};
use crate::values::Plain;
use cloudlet_api_secretsmanager::*;

impl SecretsManager {
    /// Errors: `ResourceNotFoundException`, `InvalidRequestException`, `DecryptionFailure`.
    pub async fn get_secret_value(
        &self,
        cx: &Context,
        input: GetSecretValueInput,
    ) -> Result<GetSecretValueOutput, Error> {
        let secret = self.living(cx, &input.secret_id)?;
        let version = chosen(&secret, input.version_id.as_deref(), input.version_stage.as_deref())?;
        let plain = self.open(cx, &secret, &version.id).await?;
        self.note_access(cx, &secret, &version.id).await?;
        let (text, binary) = match plain {
            Plain::Text(text) => (Some(text), None),
            Plain::Binary(bytes) => (None, Some(Blob::new(bytes))),
        };
        Ok(GetSecretValueOutput {
            arn: Some(secret.arn()),
            name: Some(secret.name.clone()),
            version_id: Some(version.id.clone()),
            secret_binary: binary,
            secret_string: text,
            version_stages: (!version.stages.is_empty()).then(|| version.stages.clone()),
            created_date: Some(when(version.created)),
            ..Default::default()
        })
    }

    /// Errors: `InvalidParameterException`, `InvalidNextTokenException`; what single secrets refuse is in the answer.
    pub async fn batch_get_secret_value(
        &self,
        cx: &Context,
        input: BatchGetSecretValueInput,
    ) -> Result<BatchGetSecretValueOutput, Error> {
        let (ids, next_token) = match (input.secret_id_list, input.filters) {
            (Some(ids), None) => {
                if input.max_results.is_some() {
                    return Err(invalid(
                        "'Filters' not specified. 'Filters' must also be specified when 'MaxResults' is provided.",
                    ));
                }
                (ids, None)
            }
            (None, Some(filters)) => {
                check(&filters)?;
                let found = matching(self.all(cx, false)?, &filters);
                let (found, next) = page(found, input.max_results, 20, input.next_token.as_deref())?;
                (found.into_iter().map(|secret| secret.arn()).collect(), next)
            }
            _ => {
                return Err(invalid("Either 'SecretIdList' or 'Filters' must be provided, but not both."));
            }
        };
        let (mut values, mut errors) = (Vec::new(), Vec::new());
        for id in ids {
            let input = GetSecretValueInput { secret_id: id.clone(), ..Default::default() };
            match cx.cloud.call::<operations::GetSecretValue>(cx, input).await {
                Ok(got) => values.push(SecretValueEntry {
                    arn: got.arn,
                    name: got.name,
                    version_id: got.version_id,
                    secret_binary: got.secret_binary,
                    secret_string: got.secret_string,
                    version_stages: got.version_stages,
                    created_date: got.created_date,
                    ..Default::default()
                }),
                Err(error) => errors.push(APIErrorType {
                    secret_id: Some(id),
                    error_code: Some(error.code().to_owned()),
                    message: Some(error.message().to_owned()),
                    ..Default::default()
                }),
            }
        }
        Ok(BatchGetSecretValueOutput {
            secret_values: Some(values),
            errors: Some(errors),
            next_token,
            ..Default::default()
        })
    }

    /// Errors: `ResourceNotFoundException`.
    pub async fn describe_secret(
        &self,
        cx: &Context,
        input: DescribeSecretInput,
    ) -> Result<DescribeSecretOutput, Error> {
        let secret = self.find(cx, &input.secret_id)?;
        let shown = shown::entry(&secret);
        Ok(DescribeSecretOutput {
            arn: shown.arn,
            name: shown.name,
            r#type: shown.r#type,
            description: shown.description,
            kms_key_id: shown.kms_key_id,
            rotation_enabled: shown.rotation_enabled,
            rotation_lambda_arn: shown.rotation_lambda_arn,
            rotation_rules: shown.rotation_rules,
            last_rotated_date: shown.last_rotated_date,
            last_changed_date: shown.last_changed_date,
            last_accessed_date: shown.last_accessed_date,
            deleted_date: shown.deleted_date,
            next_rotation_date: shown.next_rotation_date,
            tags: shown.tags,
            version_ids_to_stages: shown.secret_versions_to_stages,
            created_date: shown.created_date,
            primary_region: shown.primary_region,
            replication_status: self.replication_of(&secret)?,
            cross_account_primary: secret.cross_primary.as_ref().map(shown::cross_primary),
            cross_account_replicas: secret
                .cross_replica
                .as_ref()
                .map(|link| vec![shown::cross_replica(link)]),
            ..Default::default()
        })
    }

    /// Errors: `ResourceNotFoundException`, `InvalidNextTokenException`.
    pub async fn list_secret_version_ids(
        &self,
        cx: &Context,
        input: ListSecretVersionIdsInput,
    ) -> Result<ListSecretVersionIdsOutput, Error> {
        let secret = self.find(cx, &input.secret_id)?;
        let all = input.include_deprecated.unwrap_or(false);
        let versions: Vec<(usize, SecretVersionsListEntry)> = secret
            .versions
            .iter()
            .enumerate()
            .filter(|(_, version)| !version.empty && (all || !version.stages.is_empty()))
            .map(|(at, version)| (at, shown::version(version)))
            .collect();
        let limit = input.max_results.and_then(|most| usize::try_from(most).ok()).unwrap_or(100);
        let page = cloudlet_service::pages::page(
            versions.into_iter(),
            limit,
            input.next_token.as_deref(),
            |(at, _)| format!("{at:010}").into_bytes(),
            crate::errors::bad_token,
        )?;
        Ok(ListSecretVersionIdsOutput {
            versions: Some(page.items.into_iter().map(|(_, version)| version).collect()),
            next_token: page.next,
            arn: Some(secret.arn()),
            name: Some(secret.name.clone()),
            ..Default::default()
        })
    }

    /// How the replicas are, and when each was last accessed.
    fn replication_of(&self, secret: &Secret) -> Result<Option<Vec<ReplicationStatusType>>, Error> {
        let mut shown = shown::replication(&secret.replicas);
        for status in shown.iter_mut().flatten().filter(|status| status.status.as_deref() == Some("InSync")) {
            let region = status.region.clone().unwrap_or_default();
            let at = secret_place(&secret.account, &region, &secret.name);
            let there = self.store.table::<Secret>().get_arc(&at).map_err(stored)?;
            let accessed =
                there.filter(|there| there.suffix == secret.suffix).and_then(|there| there.accessed);
            status.last_accessed_date = accessed.map(when);
        }
        Ok(shown)
    }

    /// Notes the day of an access, which is all that AWS tells.
    async fn note_access(&self, cx: &Context, secret: &Secret, version: &str) -> Result<(), Error> {
        let today = cx.millis() - cx.millis().rem_euclid(DAY);
        let known = secret.version(version).and_then(|version| version.accessed);
        if secret.accessed == Some(today) && known == Some(today) {
            return Ok(());
        }
        self.change(secret, |_, secret| {
            secret.accessed = Some(today);
            if let Some(version) = secret.versions.iter_mut().find(|there| there.id == version) {
                version.accessed = Some(today);
            }
            Ok(())
        })
        .await
        .map(drop)
    }
}

/// The version that a request means.
fn chosen<'a>(secret: &'a Secret, id: Option<&str>, stage: Option<&str>) -> Result<&'a Version, Error> {
    let found = match (id, stage) {
        (Some(id), stage) => {
            let version = secret.version(id).ok_or_else(|| no_version(id))?;
            if stage.is_some_and(|stage| !version.stages.iter().any(|there| there == stage)) {
                return Err(bad_request(
                    "You provided a VersionStage that is not associated to the provided VersionId.",
                ));
            }
            version
        }
        (None, stage) => {
            let stage = stage.unwrap_or(CURRENT);
            let version = secret.staged(stage).ok_or_else(|| no_stage(stage))?;
            if version.empty {
                return Err(no_stage(stage));
            }
            version
        }
    };
    if found.empty { Err(no_version(&found.id)) } else { Ok(found) }
}

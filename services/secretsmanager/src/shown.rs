//! Secrets as answers show them.

use crate::schedule;
use crate::state::{CrossLink, DAY, Replica, Rotation, Secret, Version};
use cloudlet_api_secretsmanager::*;

pub(crate) fn when(millis: i64) -> DateTime {
    DateTime::from_millis(millis)
}

pub(crate) fn tags(secret: &Secret) -> Option<Vec<Tag>> {
    let tag = |(key, value): &(String, String)| Tag {
        key: Some(key.clone()),
        value: Some(value.clone()),
        ..Default::default()
    };
    (secret.tagged || !secret.tags.is_empty()).then(|| secret.tags.iter().map(tag).collect())
}

pub(crate) fn stages(secret: &Secret) -> Option<BTreeMap<String, Vec<String>>> {
    let staged = secret.versions.iter().filter(|version| !version.stages.is_empty());
    let stages: BTreeMap<_, _> = staged.map(|version| (version.id.clone(), version.stages.clone())).collect();
    (!stages.is_empty()).then_some(stages)
}

/// The schedule; once a rotation has succeeded, an expression is told in days, too.
fn rules(rotation: &Rotation, rotated: Option<i64>) -> RotationRulesType {
    let between = |from: i64| {
        let next = schedule::next(rotation, from).ok().flatten()?;
        Some(((next - from).max(1) as u64).div_ceil(DAY as u64) as i64)
    };
    RotationRulesType {
        automatically_after_days: rotation.days.or_else(|| rotated.and_then(between)),
        duration: rotation.duration.clone(),
        schedule_expression: rotation.expression.clone(),
        ..Default::default()
    }
}

pub(crate) fn replication(replicas: &[Replica]) -> Option<Vec<ReplicationStatusType>> {
    let status = |replica: &Replica| ReplicationStatusType {
        region: Some(replica.region.clone()),
        kms_key_id: Some(replica.kms_key.clone().unwrap_or_else(|| "alias/aws/secretsmanager".to_owned())),
        status: Some(if replica.failed.is_some() { "Failed" } else { "InSync" }.to_owned()),
        status_message: Some(replica.failed.clone().unwrap_or_else(|| "Replication succeeded".to_owned())),
        ..Default::default()
    };
    (!replicas.is_empty()).then(|| replicas.iter().map(status).collect())
}

/// The region of the primary, where a secret has replicas or is one.
pub(crate) fn primary_region(secret: &Secret) -> Option<String> {
    secret.primary.clone().or_else(|| (!secret.replicas.is_empty()).then(|| secret.region.clone()))
}

pub(crate) fn cross_primary(link: &CrossLink) -> CrossAccountPrimaryType {
    CrossAccountPrimaryType {
        primary_secret_arn: Some(link.arn.clone()),
        replication_status: Some(link.status.clone()),
        status_message: link.message.clone(),
        ..Default::default()
    }
}

pub(crate) fn cross_replica(link: &CrossLink) -> CrossAccountReplicaEntry {
    CrossAccountReplicaEntry {
        replica_secret_arn: Some(link.arn.clone()),
        replication_status: Some(link.status.clone()),
        status_message: link.message.clone(),
        ..Default::default()
    }
}

/// One secret of `ListSecrets`.
pub(crate) fn entry(secret: &Secret) -> SecretListEntry {
    let rotation = secret.rotation.as_ref();
    SecretListEntry {
        arn: Some(secret.arn()),
        name: Some(secret.name.clone()),
        r#type: secret.kind.clone(),
        description: secret.description.clone(),
        kms_key_id: secret.kms_key.clone(),
        rotation_enabled: rotation.map(|rotation| rotation.enabled),
        rotation_lambda_arn: rotation.map(|rotation| rotation.lambda.clone()),
        rotation_rules: rotation.map(|rotation| rules(rotation, secret.rotated)),
        last_rotated_date: secret.rotated.filter(|_| rotation.is_none_or(|r| r.enabled)).map(when),
        last_changed_date: Some(when(secret.changed)),
        last_accessed_date: secret.accessed.map(when),
        deleted_date: secret.deletion.map(when),
        next_rotation_date: rotation.filter(|r| r.enabled).and_then(|r| r.next).map(when),
        tags: tags(secret),
        secret_versions_to_stages: stages(secret),
        created_date: Some(when(secret.created)),
        primary_region: primary_region(secret),
        ..Default::default()
    }
}

/// One version of `ListSecretVersionIds`.
pub(crate) fn version(version: &Version) -> SecretVersionsListEntry {
    let key = version.kms_key.clone().unwrap_or_else(|| "DefaultEncryptionKey".to_owned());
    SecretVersionsListEntry {
        version_id: Some(version.id.clone()),
        version_stages: (!version.stages.is_empty()).then(|| version.stages.clone()),
        last_accessed_date: version.accessed.map(when),
        created_date: Some(when(version.created)),
        kms_key_ids: (!version.empty).then(|| vec![key]),
        ..Default::default()
    }
}

//! What decides whether a caller may: the secret's policy and the service's condition keys.
//!
//! Source: Service Authorization Reference, "Actions, resources, and condition keys for AWS Secrets Manager".

use crate::SecretsManager;
use crate::state::Secret;
use cloudlet_access::Policy;
use cloudlet_api_secretsmanager::*;
use cloudlet_service::api::{Access, AccessRequest, Operation, default_access};
use cloudlet_service::rules::text_member;
use cloudlet_service::{ConditionKeys, Structure, condition_keys};

impl SecretsManager {
    pub(crate) fn needed(
        &self,
        op: &'static Operation,
        cx: &Context,
        input: &dyn Structure,
    ) -> Result<Vec<Access>, Error> {
        let mut accesses = default_access(op, cx, input);
        let id = text_member(input, "SecretId");
        for access in &mut accesses {
            if let Some(id) = &id {
                // One that is not there is nobody's; whether the caller may hear that, identity policies decide.
                if let Ok(secret) = self.find(cx, id) {
                    access.resource = secret.arn();
                    access.resource_account = Some(secret.account.clone());
                    access.resource_policy = secret.compiled();
                    facts(&secret, &mut access.keys);
                }
                access.keys.push(("secretsmanager:SecretId".to_owned(), vec![access.resource.clone()]));
            } else if op.name == "CreateSecret" {
                // The random end is not known yet; policies write six question marks for it.
                access.resource.push_str("-??????");
            }
            requested(input, &mut access.keys);
        }
        if op.name == "ValidateResourcePolicy" {
            if id.is_none() {
                accesses.iter_mut().for_each(|access| access.resource = "*".to_owned());
            }
            let put = accesses.first().map(|first| first.also("secretsmanager:PutResourcePolicy"));
            accesses.extend(put);
        }
        self.further(op, input, &mut accesses)?;
        if let Some(batch) = input.as_any().downcast_ref::<BatchGetSecretValueInput>()
            && batch.filters.is_some()
        {
            accesses.push(Access::new("secretsmanager:ListSecrets", "*"));
        }
        Ok(accesses)
    }
}

/// What a caller may lose by tags.
const LOST_BY_TAGS: &[(&str, &str)] = &[
    ("DescribeSecret", "secretsmanager:DescribeSecret"),
    ("GetSecretValue", "secretsmanager:GetSecretValue"),
    ("PutSecretValue", "secretsmanager:PutSecretValue"),
    ("UpdateSecret", "secretsmanager:UpdateSecret"),
    ("DeleteSecret", "secretsmanager:DeleteSecret"),
    ("TagResource", "secretsmanager:TagResource"),
    ("UntagResource", "secretsmanager:UntagResource"),
];

/// The condition keys that follow from a secret.
fn facts(secret: &Secret, keys: &mut ConditionKeys) {
    let tags = secret.tags.iter().map(|(name, value)| (name, value));
    condition_keys::resource_tags(keys, Some("secretsmanager:ResourceTag"), tags);
    let mut key = |name: &str, value: &str| keys.push((name.to_owned(), vec![value.to_owned()]));
    let primary = secret.primary.as_ref().unwrap_or(&secret.region);
    key("secretsmanager:SecretPrimaryRegion", primary);
    if let Some(rotation) = &secret.rotation {
        key("secretsmanager:resource/AllowRotationLambdaArn", &rotation.lambda);
    }
}

impl SecretsManager {
    /// Whether the caller may do something with a secret as it is given, under this resource policy.
    pub(crate) fn may(
        &self,
        cx: &Context,
        operation: &str,
        action: &'static str,
        secret: &Secret,
        policy: Option<Policy>,
    ) -> Result<bool, Error> {
        let Some(operation) = API.operations.iter().find(|op| op.name == operation) else { return Ok(true) };
        let mut access = Access::new(action, secret.arn());
        access.resource_policy = policy;
        access.resource_account = Some(secret.account.clone());
        facts(secret, &mut access.keys);
        access.keys.push(("secretsmanager:SecretId".to_owned(), vec![access.resource.clone()]));
        let request = AccessRequest { access: &access, operation, service: &API };
        cx.cloud.identity()?.would_allow(cx, &request)
    }

    /// Refuses a change of tags that would take permissions from the caller.
    ///
    /// Errors: `AccessDeniedException`.
    pub(crate) fn check_tags(&self, cx: &Context, before: &Secret, after: &Secret) -> Result<(), Error> {
        for (operation, action) in LOST_BY_TAGS {
            if self.may(cx, operation, action, before, before.compiled())?
                && !self.may(cx, operation, action, after, after.compiled())?
            {
                return Err(Error::sender(
                    "AccessDeniedException",
                    "You can't make this change because it would remove your permissions for this secret.",
                ));
            }
        }
        Ok(())
    }

    /// What an operation needs beside its own action: for tags, replicas and replication between accounts.
    fn further(
        &self,
        op: &'static Operation,
        input: &dyn Structure,
        accesses: &mut Vec<Access>,
    ) -> Result<(), Error> {
        let Some(first) = accesses.first().cloned() else { return Ok(()) };
        let mut also = |action: &'static str| accesses.push(first.also(action));
        match op.name {
            "CreateSecret" => {
                if text_member(input, "CrossAccountPrimaryARN").is_some() {
                    also("secretsmanager:PutResourcePolicy");
                }
                if let Some(input) = input.as_any().downcast_ref::<CreateSecretInput>() {
                    if input.tags.as_ref().is_some_and(|tags| !tags.is_empty()) {
                        also("secretsmanager:TagResource");
                    }
                    if input.add_replica_regions.as_ref().is_some_and(|regions| !regions.is_empty()) {
                        also("secretsmanager:ReplicateSecretToRegions");
                    }
                }
            }
            "StopReplicationToReplica"
                if self.by_arn(&first.resource)?.is_some_and(|secret| secret.cross_primary.is_some()) =>
            {
                also("secretsmanager:DeleteResourcePolicy");
            }
            "AssociateCrossAccountReplica" => {
                also("secretsmanager:GetSecretValue");
                let arn = text_member(input, "CrossAccountReplicaARN").unwrap_or_default();
                let mut accept = Access::new("secretsmanager:AcceptCrossAccountReplication", arn.clone());
                if let Some(there) = self.by_arn(&arn)? {
                    accept.resource_policy = there.compiled();
                    accept.resource_account = Some(there.account);
                }
                accesses.push(accept);
            }
            _ => {}
        }
        Ok(())
    }
}

/// The condition keys that copy what the request asks for.
fn requested(input: &dyn Structure, keys: &mut ConditionKeys) {
    let mut copy = |member: &str, key: &str| {
        if let Some(value) = text_member(input, member) {
            keys.push((key.to_owned(), vec![value]));
        }
    };
    copy("Name", "secretsmanager:Name");
    copy("Description", "secretsmanager:Description");
    copy("KmsKeyId", "secretsmanager:KmsKeyId");
    copy("VersionId", "secretsmanager:VersionId");
    copy("VersionStage", "secretsmanager:VersionStage");
    copy("RotationLambdaARN", "secretsmanager:RotationLambdaARN");
    let any = input.as_any();
    let mut set = |key: &str, values: Vec<String>| keys.push((key.to_owned(), values));
    let regions = |regions: &[ReplicaRegionType]| -> Vec<String> {
        regions.iter().filter_map(|region| region.region.clone()).collect()
    };
    if let Some(input) = any.downcast_ref::<DeleteSecretInput>() {
        let force = input.force_delete_without_recovery.unwrap_or(false);
        set("secretsmanager:ForceDeleteWithoutRecovery", vec![force.to_string()]);
        if let Some(days) = input.recovery_window_in_days {
            set("secretsmanager:RecoveryWindowInDays", vec![days.to_string()]);
        }
    } else if let Some(input) = any.downcast_ref::<PutResourcePolicyInput>() {
        let block = input.block_public_policy.unwrap_or(false);
        set("secretsmanager:BlockPublicPolicy", vec![block.to_string()]);
    } else if let Some(input) = any.downcast_ref::<RotateSecretInput>() {
        set("secretsmanager:RotateImmediately", vec![input.rotate_immediately.unwrap_or(true).to_string()]);
        set("secretsmanager:ModifyRotationRules", vec![input.rotation_rules.is_some().to_string()]);
    } else if let Some(input) = any.downcast_ref::<ReplicateSecretToRegionsInput>() {
        set("secretsmanager:AddReplicaRegions", regions(&input.add_replica_regions));
        let force = input.force_overwrite_replica_secret.unwrap_or(false);
        set("secretsmanager:ForceOverwriteReplicaSecret", vec![force.to_string()]);
    } else if let Some(input) = any.downcast_ref::<CreateSecretInput>() {
        if let Some(added) = &input.add_replica_regions {
            set("secretsmanager:AddReplicaRegions", regions(added));
        }
        tags(input.tags.as_deref().unwrap_or_default(), keys);
    } else if let Some(input) = any.downcast_ref::<TagResourceInput>() {
        tags(&input.tags, keys);
    } else if let Some(input) = any.downcast_ref::<UntagResourceInput>() {
        condition_keys::removed_tags(keys, &input.tag_keys);
    }
}

fn tags(tags: &[Tag], keys: &mut ConditionKeys) {
    let tags = tags.iter().filter_map(|tag| Some((tag.key.as_ref()?, tag.value.as_ref()?)));
    condition_keys::requested_tags(keys, tags);
}

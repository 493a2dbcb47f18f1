//! AssociateCrossAccountReplica, DisassociateCrossAccountReplica: a primary here, its replica in another account.
//!
//! The replica's account makes the replica first and so allows the primary's account to fill it; then the primary's
//! account associates it.
//!
//! Source: API Reference, both operations, and `CreateSecret`, `CrossAccountPrimaryARN`.

use crate::SecretsManager;
use crate::errors::{Failure, bad_request, invalid, no_secret, stored};
use crate::state::{CrossLink, DETACHED, IN_SYNC, Secret};
use cloudlet_api_organizations as organizations;
use cloudlet_api_secretsmanager::*;
use cloudlet_service::{Arn, Principal};

impl SecretsManager {
    /// Errors: `ResourceNotFoundException`, `InvalidParameterException`, `InvalidRequestException`,
    /// `LimitExceededException`; 501 for a replication role.
    pub async fn associate_cross_account_replica(
        &self,
        cx: &Context,
        input: AssociateCrossAccountReplicaInput,
    ) -> Result<AssociateCrossAccountReplicaOutput, Error> {
        let secret = self.primary(cx, &input.secret_id)?;
        if input.replication_role_arn.is_some() {
            return Err(Error::not_implemented_part(
                "secretsmanager:AssociateCrossAccountReplica ReplicationRoleARN",
            ));
        }
        let arn = input.cross_account_replica_arn;
        other_account(&secret.account, &secret.region, &secret.partition, &arn)?;
        let there = self.by_arn(&arn)?.ok_or_else(no_secret)?;
        if there.cross_primary.as_ref().is_none_or(|link| link.arn != secret.arn()) {
            return Err(bad_request(
                "The replica secret was not created as a cross-account replica of this primary secret.",
            ));
        }
        let other = secret.cross_replica.as_ref().filter(|link| link.arn != arn && link.status != DETACHED);
        if other.is_some() {
            return Err(LimitExceededException::error(
                "A primary secret can have at most one cross-account replica.",
            ));
        }
        let anywhere = input.replica_restriction.as_deref() == Some("NoRestriction");
        if !anywhere && !same_organization(cx, &secret.account, &there.account).await {
            return Err(bad_request(
                "The replica account is not in the same organization as the primary account.",
            ));
        }
        let link = CrossLink { arn: arn.clone(), status: IN_SYNC.to_owned(), message: None };
        // What fails now changes neither side.
        let ready = self.prepare_cross(cx, &secret, &link, &[]).await?;
        if let Some(why) = ready.link.message {
            return Err(bad_request(why));
        }
        let changed = self.link(cx, &secret, &link).await?;
        Ok(AssociateCrossAccountReplicaOutput {
            arn: Some(changed.arn()),
            cross_account_replica_arn: Some(arn),
            replication_status: changed.cross_replica.map(|link| link.status),
            ..Default::default()
        })
    }

    /// Errors: `ResourceNotFoundException`.
    pub async fn disassociate_cross_account_replica(
        &self,
        cx: &Context,
        input: DisassociateCrossAccountReplicaInput,
    ) -> Result<DisassociateCrossAccountReplicaOutput, Error> {
        let secret = self.primary(cx, &input.secret_id)?;
        let arn = input.cross_account_replica_arn;
        if secret.cross_replica.as_ref().is_none_or(|link| link.arn != arn) {
            return Err(no_secret());
        }
        let there = self.by_arn(&arn)?.map(|there| there.place());
        self.change(&secret, |tx, secret| {
            secret.cross_replica = None;
            if let Some(at) = &there
                && let Some(mut there) = tx.get::<Secret>(at)?
            {
                if let Some(link) = there.cross_primary.as_mut().filter(|link| link.arn == secret.arn()) {
                    DETACHED.clone_into(&mut link.status);
                }
                tx.put(at, &there)?;
            }
            Ok::<_, Failure>(())
        })
        .await?;
        Ok(DisassociateCrossAccountReplicaOutput {
            arn: Some(secret.arn()),
            cross_account_replica_arn: Some(arn),
            ..Default::default()
        })
    }

    /// Makes a cross-account replica a secret of its own; its primary hears of it.
    pub(super) async fn promote(&self, secret: &Secret, primary: &str) -> Result<Secret, Error> {
        let there = self.by_arn(primary)?.map(|there| there.place());
        self.change(secret, |tx, secret| {
            secret.cross_primary = None;
            secret.policy = None;
            if let Some(at) = &there
                && let Some(mut there) = tx.get::<Secret>(at)?
            {
                if let Some(link) = there.cross_replica.as_mut().filter(|link| link.arn == secret.arn()) {
                    DETACHED.clone_into(&mut link.status);
                }
                tx.put(at, &there)?;
            }
            Ok(())
        })
        .await
    }

    /// The secret of a whole ARN, whosesoever it is.
    pub(crate) fn by_arn(&self, arn: &str) -> Result<Option<Secret>, Error> {
        let Some(parsed) = Arn::parse(arn) else { return Ok(None) };
        let name =
            parsed.resource.strip_prefix("secret:").and_then(|name| name.get(..name.len().checked_sub(7)?));
        let Some(name) = name else { return Ok(None) };
        let at = crate::state::secret_place(parsed.account, parsed.region, name);
        let found = self.store.table::<Secret>().get(&at).map_err(stored)?;
        Ok(found.filter(|there| there.arn() == arn))
    }
}

/// Checks that an ARN names a secret of another account in the same Region and partition.
pub(super) fn other_account(account: &str, region: &str, partition: &str, arn: &str) -> Result<(), Error> {
    let parsed = Arn::parse(arn).filter(|arn| arn.service == "secretsmanager");
    let fits = parsed
        .is_some_and(|arn| arn.account != account && arn.region == region && arn.partition == partition);
    if fits {
        return Ok(());
    }
    Err(invalid("The secret must be in another account, and in the same Region and partition."))
}

/// The policy that lets the primary's account fill a replica.
pub(super) fn accepting(partition: &str, primary: &str) -> Option<String> {
    let account = Arn::parse(primary)?.account;
    let document = serde_json::json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": { "AWS": format!("arn:{partition}:iam::{account}:root") },
            "Action": "secretsmanager:AcceptCrossAccountReplication",
            "Resource": "*",
        }],
    });
    Some(document.to_string())
}

async fn same_organization(cx: &Context, one: &str, other: &str) -> bool {
    let id = async |account: &str| {
        let there = cx.cloud.context(Principal::Root { account: account.into() }, account, &cx.region);
        let input = organizations::DescribeOrganizationInput::default();
        let found = there.cloud.call::<organizations::operations::DescribeOrganization>(&there, input).await;
        found.ok().and_then(|found| found.organization).and_then(|organization| organization.id)
    };
    match (id(one).await, id(other).await) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    }
}

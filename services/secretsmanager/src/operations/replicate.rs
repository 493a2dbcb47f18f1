//! ReplicateSecretToRegions, RemoveRegionsFromReplication, StopReplicationToReplica.

use crate::SecretsManager;
use crate::errors::stored;
use crate::rotation::erase;
use crate::shown::replication;
use crate::state::{Secret, secret_place};
use cloudlet_api_secretsmanager::*;

impl SecretsManager {
    /// Errors: `ResourceNotFoundException`, `InvalidParameterException`.
    pub async fn replicate_secret_to_regions(
        &self,
        cx: &Context,
        input: ReplicateSecretToRegionsInput,
    ) -> Result<ReplicateSecretToRegionsOutput, Error> {
        let secret = self.primary(cx, &input.secret_id)?;
        let force = input.force_overwrite_replica_secret.unwrap_or(false);
        let added = Self::wanted_replicas(cx, &secret.region, &input.add_replica_regions, force)?;
        let secret = self.change_all(cx, &secret, &[], &added, |_, _| Ok(())).await?;
        Ok(ReplicateSecretToRegionsOutput {
            arn: Some(secret.arn()),
            replication_status: replication(&secret.replicas),
            ..Default::default()
        })
    }

    /// Deletes replicas. Errors: `ResourceNotFoundException`, `InvalidParameterException`.
    pub async fn remove_regions_from_replication(
        &self,
        cx: &Context,
        input: RemoveRegionsFromReplicationInput,
    ) -> Result<RemoveRegionsFromReplicationOutput, Error> {
        let secret = self.primary(cx, &input.secret_id)?;
        let mut gone = Vec::new();
        for region in &input.remove_replica_regions {
            gone.extend(self.replica(&secret, region)?);
        }
        let changed = self
            .change(&secret, |tx, secret| {
                for replica in &gone {
                    erase(tx, replica)?;
                }
                secret.replicas.retain(|r| !input.remove_replica_regions.contains(&r.region));
                Ok(())
            })
            .await?;
        Ok(RemoveRegionsFromReplicationOutput {
            arn: Some(changed.arn()),
            replication_status: Some(replication(&changed.replicas).unwrap_or_default()),
            ..Default::default()
        })
    }

    /// Makes a replica a secret of its own. Errors: `ResourceNotFoundException`, `InvalidRequestException`.
    pub async fn stop_replication_to_replica(
        &self,
        cx: &Context,
        input: StopReplicationToReplicaInput,
    ) -> Result<StopReplicationToReplicaOutput, Error> {
        let secret = self.living(cx, &input.secret_id)?;
        if let Some(link) = &secret.cross_primary {
            let promoted = self.promote(&secret, &link.arn).await?;
            return Ok(StopReplicationToReplicaOutput { arn: Some(promoted.arn()), ..Default::default() });
        }
        let Some(primary) = secret.primary.clone() else {
            return Err(crate::errors::bad_request("The secret is not a replica."));
        };
        let at = secret_place(&secret.account, &primary, &secret.name);
        self.change(&secret, |tx, secret| {
            secret.primary = None;
            if let Some(mut there) = tx.get::<Secret>(&at)?.filter(|p| p.suffix == secret.suffix) {
                there.replicas.retain(|replica| replica.region != secret.region);
                tx.put(&at, &there)?;
            }
            Ok(())
        })
        .await?;
        let now = self.store.table::<Secret>().get(&secret.place()).map_err(stored)?;
        Ok(StopReplicationToReplicaOutput { arn: now.map(|secret| secret.arn()), ..Default::default() })
    }
}

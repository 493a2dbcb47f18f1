//! Replicas: the same secret in other Regions, encrypted there, and kept the same by whatever changes the primary.
//!
//! Source: User Guide, "Replicate AWS Secrets Manager secrets across Regions".

use crate::SecretsManager;
use crate::errors::{Failure, invalid, stored};
use crate::state::{Replica, Secret, Value, secret_place};
use cloudlet_api_secretsmanager::*;

impl SecretsManager {
    /// Adds replicas; gives the primary as it is then. What cannot be replicated is told in its status.
    pub(crate) async fn add_replicas(
        &self,
        cx: &Context,
        secret: &Secret,
        regions: &[ReplicaRegionType],
        overwrite: bool,
    ) -> Result<Secret, Error> {
        check(cx, secret, regions)?;
        let mut added = Vec::new();
        for wanted in regions {
            let region = wanted.region.clone().unwrap_or_default();
            let at = secret_place(&secret.account, &region, &secret.name);
            let there = self.store.table::<Secret>().get(&at).map_err(stored)?;
            let taken = there.filter(|there| there.primary.as_ref() != Some(&secret.region));
            let mut replica = Replica { region, kms_key: wanted.kms_key_id.clone(), failed: None };
            match taken {
                Some(there) if overwrite => self.forget(&there).await?,
                Some(_) => {
                    replica.failed = Some(format!(
                        "Replication failed: Secret name {} already exists in region {}.",
                        secret.name, replica.region
                    ));
                }
                None => {}
            }
            added.push(replica);
        }
        let changed = self
            .change(secret, |_, secret| {
                for replica in &added {
                    secret.replicas.retain(|there| there.region != replica.region);
                    secret.replicas.push(replica.clone());
                }
                Ok(())
            })
            .await?;
        self.spread(cx, changed).await
    }

    /// Brings all replicas to what the primary is now; gives the primary with their status.
    pub(crate) async fn spread(&self, cx: &Context, secret: Secret) -> Result<Secret, Error> {
        if secret.replicas.is_empty() {
            return Ok(secret);
        }
        let mut replicas = secret.replicas.clone();
        for replica in &mut replicas {
            let name_taken = replica.failed.as_ref().is_some_and(|why| why.contains("already exists"));
            if !name_taken {
                let copied = self.copy(cx, &secret, replica).await;
                replica.failed = copied.err().map(|error| format!("Replication failed: {}", error.message()));
            }
        }
        if replicas == secret.replicas {
            return Ok(secret);
        }
        self.change(&secret, |_, secret| {
            secret.replicas.clone_from(&replicas);
            Ok(())
        })
        .await
    }

    /// Makes or renews one replica.
    async fn copy(&self, cx: &Context, secret: &Secret, replica: &Replica) -> Result<(), Error> {
        let at = secret_place(&secret.account, &replica.region, &secret.name);
        let old = self.store.table::<Secret>().get(&at).map_err(stored)?;
        let mut copy = Secret {
            region: replica.region.clone(),
            kms_key: replica.kms_key.clone(),
            primary: Some(secret.region.clone()),
            replicas: Vec::new(),
            accessed: old.as_ref().and_then(|old| old.accessed),
            rotation: None,
            ..secret.clone()
        };
        for version in &mut copy.versions {
            version.kms_key.clone_from(&replica.kms_key);
        }
        let mut values = Vec::new();
        for version in secret.versions.iter().filter(|version| !version.empty) {
            let place = copy.value_place(&version.id);
            if !self.store.table::<Value>().exists(&place).map_err(stored)? {
                let plain = self.open(cx, secret, &version.id).await?;
                values.push((place, self.seal(cx, &copy, &version.id, &plain).await?));
            }
        }
        let put = self.store.transact(|tx| {
            for (place, value) in &values {
                tx.put(place, value)?;
            }
            Ok::<_, Failure>(tx.put(&at, &copy)?)
        });
        Ok(put.await?)
    }

    /// The replica of a secret in a Region.
    pub(crate) fn replica(&self, secret: &Secret, region: &str) -> Result<Option<Secret>, Error> {
        let at = secret_place(&secret.account, region, &secret.name);
        let found = self.store.table::<Secret>().get(&at).map_err(stored)?;
        Ok(found.filter(|there| there.suffix == secret.suffix && there.primary.is_some()))
    }
}

fn check(cx: &Context, secret: &Secret, regions: &[ReplicaRegionType]) -> Result<(), Error> {
    for wanted in regions {
        let region = wanted.region.as_deref().unwrap_or_default();
        if region == secret.region || cx.located(&cx.account, region).partition() != cx.partition() {
            return Err(invalid("Invalid replica region."));
        }
    }
    Ok(())
}

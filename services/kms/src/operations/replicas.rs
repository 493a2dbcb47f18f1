//! Multi-Region keys: replicas and the change of the primary.
//!
//! Source: AWS KMS Developer Guide, "Multi-Region keys in AWS KMS".

use super::tags;
use crate::errors::{Failure, unsupported, validation};
use crate::state::{Family, KeyRecord, NewKey, State, key_place};
use crate::{Kms, policy, shown, usable};
use cloudlet_api_kms::*;
use cloudlet_service::regions;

impl Kms {
    /// Errors: `UnsupportedOperationException`, `AlreadyExistsException`, `MalformedPolicyDocumentException`,
    /// `TagException`, `DisabledException`, `KMSInvalidStateException`.
    pub async fn replicate_key(
        &self,
        cx: &Context,
        input: ReplicateKeyInput,
    ) -> Result<ReplicateKeyOutput, Error> {
        let key = self.own_key(cx, &input.key_id).await?;
        if key.family.is_none() {
            return Err(unsupported(format!("{} is not a multi-Region key.", key.arn())));
        }
        if key.is_replica() {
            return Err(unsupported(format!("{} is not a multi-Region primary key.", key.arn())));
        }
        usable(&key)?;
        let there = cx.located(&cx.account, &input.replica_region);
        if there.region == cx.region
            || there.partition() != cx.partition()
            || !regions::exists(&input.replica_region)
        {
            return Err(validation(format!(
                "The replica region {} must be another region of the same partition.",
                input.replica_region
            )));
        }
        let mut replica = KeyRecord::new(NewKey {
            account: &key.account,
            region: &input.replica_region,
            partition: &key.partition,
            id: key.id.clone(),
            created: cx.millis(),
            spec: &key.spec,
            usage: &key.usage,
            origin: &key.origin,
            policy: policy::default(&key.account, &key.partition),
        });
        replica.family.clone_from(&key.family);
        replica.description = input.description.unwrap_or_default();
        replica.tags = tags::checked(input.tags.unwrap_or_default())?;
        if let Some(document) = input.policy {
            let bypass = input.bypass_policy_lockout_safety_check.unwrap_or(false);
            self.check_policy(&there, &replica, &document, bypass).await?;
            replica.set_policy(document);
        }
        let place = replica.place();
        let family = self
            .change(&key, |tx, key| {
                usable(key)?;
                if tx.exists::<KeyRecord>(&place)? {
                    return Err(Failure(AlreadyExistsException::error(format!(
                        "A replica of {} already exists in {}",
                        key.arn(),
                        replica.region
                    ))));
                }
                let Some(family) = &mut key.family else { return Ok(None) };
                family.replicas.push(replica.region.clone());
                family.replicas.sort();
                let family = family.clone();
                spread(tx, key, &family)?;
                let mut replica = replica.clone();
                replica.family = Some(family.clone());
                tx.put(&place, &replica)?;
                Ok(Some(family))
            })
            .await?;
        replica.family = family;
        let mut metadata = shown::metadata(&replica, &*self.materials(&replica)?);
        if replica.state == State::Enabled {
            // What AWS answers; the replica is ready by the time it can be asked for again.
            metadata.key_state = Some("Creating".to_owned());
            metadata.enabled = Some(false);
        }
        Ok(ReplicateKeyOutput {
            replica_key_metadata: Some(metadata),
            replica_policy: Some(replica.policy.clone()),
            replica_tags: Some(tags::shown(&replica.tags)),
            ..Default::default()
        })
    }

    /// Errors: `UnsupportedOperationException`, `NotFoundException`, `DisabledException`,
    /// `KMSInvalidStateException`.
    pub async fn update_primary_region(
        &self,
        cx: &Context,
        input: UpdatePrimaryRegionInput,
    ) -> Result<UpdatePrimaryRegionOutput, Error> {
        let key = self.own_key(cx, &input.key_id).await?;
        let Some(family) = &key.family else {
            return Err(unsupported(format!("{} is not a multi-Region key.", key.arn())));
        };
        if key.is_replica() {
            return Err(unsupported(format!("{} is not a multi-Region primary key.", key.arn())));
        }
        usable(&key)?;
        if family.primary == input.primary_region {
            return Err(validation(format!(
                "{} is already the primary region of {}.",
                input.primary_region,
                key.arn()
            )));
        }
        if !family.replicas.contains(&input.primary_region) {
            return Err(NotFoundException::error(format!(
                "Key '{}' does not exist",
                key.arn_in(&input.primary_region)
            )));
        }
        let place = key_place(&key.account, &input.primary_region, &key.id);
        self.change(&key, |tx, key| {
            if let Some(there) = tx.get::<KeyRecord>(&place)? {
                usable(&there)?;
            }
            let Some(family) = &mut key.family else { return Ok(()) };
            let old = std::mem::replace(&mut family.primary, input.primary_region.clone());
            family.replicas.retain(|region| *region != input.primary_region);
            family.replicas.push(old);
            family.replicas.sort();
            let family = family.clone();
            spread(tx, key, &family)
        })
        .await?;
        Ok(UpdatePrimaryRegionOutput::default())
    }
}

/// Tells the other members what the family is now.
fn spread(tx: &mut cloudlet_store::Tx<'_>, key: &KeyRecord, family: &Family) -> Result<(), Failure> {
    for region in family.regions().filter(|region| **region != key.region) {
        let place = key_place(&key.account, region, &key.id);
        if let Some(mut member) = tx.get::<KeyRecord>(&place)? {
            member.family = Some(family.clone());
            tx.put(&place, &member)?;
        }
    }
    Ok(())
}

//! Keys: described, listed, enabled, disabled, deleted.

use super::page;
use crate::errors::{bad_state, stored};
use crate::shown::{metadata, when};
use crate::state::{DAY, KeyRecord, Materials, State, place};
use crate::{Kms, changeable, deadlines, living};
use cloudlet_api_kms::*;

impl Kms {
    /// Errors: `NotFoundException`, `InvalidArnException`.
    pub async fn describe_key(
        &self,
        cx: &Context,
        input: DescribeKeyInput,
    ) -> Result<DescribeKeyOutput, Error> {
        let key = self.key(cx, &input.key_id).await?;
        let shown = metadata(&key, &*self.materials(&key)?);
        Ok(DescribeKeyOutput { key_metadata: Some(shown), ..Default::default() })
    }

    /// Errors: `InvalidMarkerException`.
    pub async fn list_keys(&self, cx: &Context, input: ListKeysInput) -> Result<ListKeysOutput, Error> {
        let now = cx.millis();
        let mut keys = Vec::new();
        for row in self.store.table::<KeyRecord>().scan(place(&cx.account, &cx.region).prefix_range(), false)
        {
            let (_, key) = row.map_err(stored)?;
            if key.state != State::PendingDeletion || key.deletion.is_none_or(|at| at > now) {
                keys.push(KeyListEntry {
                    key_arn: Some(key.arn()),
                    key_id: Some(key.id),
                    ..Default::default()
                });
            }
        }
        // Nothing is shared here through RAM.
        let mine = input.resource_owners.is_none_or(|owners| owners.iter().any(|owner| owner == "SELF"));
        if !mine {
            keys.clear();
        }
        let id = |key: &KeyListEntry| key.key_id.clone().unwrap_or_default();
        let (keys, next_marker, truncated) =
            page(keys, input.limit, (100, 1000), input.marker.as_deref(), id)?;
        Ok(ListKeysOutput { keys: Some(keys), next_marker, truncated: Some(truncated), ..Default::default() })
    }

    /// Errors: `KMSInvalidStateException`, `LimitExceededException`.
    pub async fn enable_key(&self, cx: &Context, input: EnableKeyInput) -> Result<EnableKeyOutput, Error> {
        let key = self.own_key(cx, &input.key_id).await?;
        changeable(&key)?;
        self.change(&key, |_, key| {
            changeable(key)?;
            key.state = State::Enabled;
            Ok(())
        })
        .await?;
        // A rotation that fell due meanwhile is made up for.
        self.settle(&key.place(), cx.millis()).await?;
        Ok(EnableKeyOutput::default())
    }

    /// Errors: `KMSInvalidStateException`.
    pub async fn disable_key(&self, cx: &Context, input: DisableKeyInput) -> Result<DisableKeyOutput, Error> {
        let key = self.own_key(cx, &input.key_id).await?;
        changeable(&key)?;
        self.change(&key, |_, key| {
            changeable(key)?;
            key.state = State::Disabled;
            Ok(())
        })
        .await?;
        Ok(DisableKeyOutput::default())
    }

    /// Errors: `KMSInvalidStateException`.
    pub async fn update_key_description(
        &self,
        cx: &Context,
        input: UpdateKeyDescriptionInput,
    ) -> Result<UpdateKeyDescriptionOutput, Error> {
        let key = self.own_key(cx, &input.key_id).await?;
        living(&key)?;
        self.change(&key, |_, key| {
            living(key)?;
            key.description.clone_from(&input.description);
            Ok(())
        })
        .await?;
        Ok(UpdateKeyDescriptionOutput::default())
    }

    /// Lets the waiting period begin; of a primary with replicas, only when the last of them has gone.
    ///
    /// Errors: `KMSInvalidStateException`, `ValidationException`.
    pub async fn schedule_key_deletion(
        &self,
        cx: &Context,
        input: ScheduleKeyDeletionInput,
    ) -> Result<ScheduleKeyDeletionOutput, Error> {
        let days = input.pending_window_in_days.unwrap_or(30);
        if !(7..=30).contains(&days) {
            let (word, bound) =
                if days < 7 { ("greater than or equal to", 7) } else { ("less than or equal to", 30) };
            return Err(Error::validation(format!(
                "1 validation error detected: Value '{days}' at 'pendingWindowInDays' failed to satisfy constraint: \
                 Member must have value {word} {bound}"
            )));
        }
        let key = self.own_key(cx, &input.key_id).await?;
        living(&key)?;
        let due = cx.millis() + i64::from(days) * DAY;
        let (state, deletion) = self
            .change(&key, |tx, key| {
                living(key)?;
                key.window = Some(days);
                let waits = !key.is_replica()
                    && key.family.as_ref().is_some_and(|family| !family.replicas.is_empty());
                if waits {
                    key.state = State::PendingReplicaDeletion;
                } else {
                    key.state = State::PendingDeletion;
                    key.deletion = Some(due);
                    tx.emit(deadlines::at(key, due))?;
                }
                Ok((key.state, key.deletion))
            })
            .await?;
        Ok(ScheduleKeyDeletionOutput {
            key_id: Some(key.arn()),
            deletion_date: deletion.map(when),
            key_state: Some(state.name().to_owned()),
            pending_window_in_days: Some(days),
            ..Default::default()
        })
    }

    /// Errors: `KMSInvalidStateException`.
    pub async fn cancel_key_deletion(
        &self,
        cx: &Context,
        input: CancelKeyDeletionInput,
    ) -> Result<CancelKeyDeletionOutput, Error> {
        let key = self.own_key(cx, &input.key_id).await?;
        self.change(&key, |tx, key| {
            if living(key).is_ok() {
                return Err(bad_state(format!("{} is not pending deletion.", key.arn())).into());
            }
            let materials = tx.get::<Materials>(&key.material_place())?.unwrap_or_default();
            let there = materials.current().is_some_and(|material| !material.sealed.is_empty());
            key.state = if there { State::Disabled } else { State::PendingImport };
            key.deletion = None;
            key.window = None;
            Ok(())
        })
        .await?;
        Ok(CancelKeyDeletionOutput { key_id: Some(key.arn()), ..Default::default() })
    }

    /// Errors: `UnsupportedOperationException`, `InvalidKeyUsageException`, `DisabledException`.
    pub async fn get_public_key(
        &self,
        cx: &Context,
        input: GetPublicKeyInput,
    ) -> Result<GetPublicKeyOutput, Error> {
        let key = self.key(cx, &input.key_id).await?;
        if !crate::spec::is_asymmetric(&key.spec) {
            return Err(crate::errors::unsupported(format!(
                "{} key usage is {} which is not valid for GetPublicKey.",
                key.arn(),
                key.usage
            )));
        }
        crate::usable(&key)?;
        let (_, secret) = self.current(&key)?;
        let shown = metadata(&key, &*self.materials(&key)?);
        Ok(GetPublicKeyOutput {
            key_id: Some(key.arn()),
            public_key: Some(Blob::new(secret.public().map_err(crate::errors::internal)?)),
            customer_master_key_spec: shown.customer_master_key_spec,
            key_spec: shown.key_spec,
            key_usage: shown.key_usage,
            encryption_algorithms: shown.encryption_algorithms,
            signing_algorithms: shown.signing_algorithms,
            key_agreement_algorithms: shown.key_agreement_algorithms,
            encapsulation_algorithms: shown.encapsulation_algorithms,
            ..Default::default()
        })
    }
}

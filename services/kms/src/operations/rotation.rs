//! Rotation: new material for the same key, by the calendar or on demand. Old material stays to decrypt.
//!
//! Source: AWS KMS Developer Guide, "Rotate AWS KMS keys".

use super::page;
use crate::errors::{Failure, bad_state, limit, stored, unsupported, validation};
use crate::shown::{expiration_model, when};
use crate::state::{DAY, KeyRecord, Material, Materials, Rotation, State, key_place};
use crate::{Kms, deadlines, living, usable};
use cloudlet_api_kms::*;
use std::sync::Arc;

/// Days between two automatic rotations where nobody says otherwise.
const PERIOD: i32 = 365;
/// AWS: how often a key can be rotated on demand.
const MOST_ON_DEMAND: u32 = 25;

impl Kms {
    /// Errors: `UnsupportedOperationException`, `DisabledException`, `KMSInvalidStateException`.
    pub async fn enable_key_rotation(
        &self,
        cx: &Context,
        input: EnableKeyRotationInput,
    ) -> Result<EnableKeyRotationOutput, Error> {
        let key = self.own_key(cx, &input.key_id).await?;
        automatic(&key)?;
        usable(&key)?;
        let now = cx.millis();
        let place = key.material_place();
        self.change(&key, |tx, key| {
            let mut materials = tx.get::<Materials>(&place)?.unwrap_or_default();
            let before = materials.rotation.as_ref().map(|rotation| rotation.days);
            let days = input.rotation_period_in_days.or(before).unwrap_or(PERIOD);
            // Enabling what is enabled changes nothing; another period counts from today.
            if before != Some(days) {
                let next = now + i64::from(days) * DAY;
                materials.rotation = Some(Rotation { days, next });
                tx.emit(deadlines::at(key, next))?;
                tx.put(&place, &materials)?;
            }
            Ok(())
        })
        .await?;
        Ok(EnableKeyRotationOutput::default())
    }

    /// Errors: `UnsupportedOperationException`, `DisabledException`, `KMSInvalidStateException`.
    pub async fn disable_key_rotation(
        &self,
        cx: &Context,
        input: DisableKeyRotationInput,
    ) -> Result<DisableKeyRotationOutput, Error> {
        let key = self.own_key(cx, &input.key_id).await?;
        automatic(&key)?;
        usable(&key)?;
        let place = key.material_place();
        self.change(&key, |tx, _| {
            let mut materials = tx.get::<Materials>(&place)?.unwrap_or_default();
            materials.rotation = None;
            Ok(tx.put(&place, &materials)?)
        })
        .await?;
        Ok(DisableKeyRotationOutput::default())
    }

    /// Errors: `UnsupportedOperationException`.
    pub async fn get_key_rotation_status(
        &self,
        cx: &Context,
        input: GetKeyRotationStatusInput,
    ) -> Result<GetKeyRotationStatusOutput, Error> {
        let key = self.own_key(cx, &input.key_id).await?;
        if !key.is_symmetric() {
            return Err(unsupported(""));
        }
        let materials = self.materials(&key)?;
        // A key that waits for its end is not rotated; if it is kept, its rotation goes on.
        let rotation = materials.rotation.as_ref().filter(|_| living(&key).is_ok());
        Ok(GetKeyRotationStatusOutput {
            key_rotation_enabled: Some(rotation.is_some()),
            key_id: Some(key.id.clone()),
            rotation_period_in_days: rotation.map(|rotation| rotation.days),
            next_rotation_date: rotation.map(|rotation| when(rotation.next)),
            ..Default::default()
        })
    }

    /// Errors: `LimitExceededException`, `UnsupportedOperationException`, `DisabledException`,
    /// `KMSInvalidStateException`.
    pub async fn rotate_key_on_demand(
        &self,
        cx: &Context,
        input: RotateKeyOnDemandInput,
    ) -> Result<RotateKeyOnDemandOutput, Error> {
        let key = self.own_key(cx, &input.key_id).await?;
        usable(&key)?;
        if !key.is_symmetric() || key.is_replica() {
            return Err(unsupported(""));
        }
        let now = cx.millis();
        let fresh = if key.origin == "AWS_KMS" { self.fresh(&key, now)? } else { None };
        let place = key.material_place();
        self.change(&key, |tx, key| {
            let mut materials = tx.get::<Materials>(&place)?.unwrap_or_default();
            if materials.on_demand >= MOST_ON_DEMAND {
                return Err(Failure(limit(format!(
                    "The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations \
                     can be performed for this key: {}",
                    key.id
                ))));
            }
            let rotated = Some((now, "ON_DEMAND".to_owned()));
            if let Some(material) = fresh.clone() {
                materials.current.clone_from(&material.id);
                materials.all.push(Material { rotated: rotated.clone(), ..material });
            } else {
                let waiting = materials.all.iter_mut().find(|m| m.waiting && !m.sealed.is_empty());
                let Some(material) = waiting else {
                    return Err(Failure(bad_state(format!(
                        "No available key material pending rotation for the key: {}.",
                        key.arn()
                    ))));
                };
                material.waiting = false;
                material.rotated.clone_from(&rotated);
                let id = material.id.clone();
                materials.current.clone_from(&id);
                // Replicas are rotated with their primary, and all must have the material.
                for region in key.family.iter().flat_map(|family| &family.replicas) {
                    let place = key_place(&key.account, region, &key.id);
                    let mut theirs = tx.get::<Materials>(&place)?.unwrap_or_default();
                    let there = theirs.all.iter_mut().find(|m| m.id == id && !m.sealed.is_empty());
                    let Some(there) = there else {
                        return Err(Failure(bad_state(format!(
                            "No available key material pending rotation for the key: {}.",
                            key.arn_in(region)
                        ))));
                    };
                    there.waiting = false;
                    there.rotated.clone_from(&rotated);
                    theirs.current.clone_from(&id);
                    tx.put(&place, &theirs)?;
                }
            }
            materials.on_demand += 1;
            Ok(tx.put(&place, &materials)?)
        })
        .await?;
        Ok(RotateKeyOnDemandOutput { key_id: Some(key.id.clone()), ..Default::default() })
    }

    /// What the replicas of a primary key with imported material have of their own.
    fn materials_of_replicas(&self, key: &KeyRecord) -> Result<Vec<Arc<Materials>>, Error> {
        let family = key.family.as_ref().filter(|_| key.origin == "EXTERNAL" && !key.is_replica());
        let regions = family.iter().flat_map(|family| &family.replicas);
        let places = regions.map(|region| key_place(&key.account, region, &key.id));
        places
            .map(|place| {
                Ok(self.store.table::<Materials>().get_arc(&place).map_err(stored)?.unwrap_or_default())
            })
            .collect()
    }

    /// Errors: `UnsupportedOperationException`, `InvalidMarkerException`.
    pub async fn list_key_rotations(
        &self,
        cx: &Context,
        input: ListKeyRotationsInput,
    ) -> Result<ListKeyRotationsOutput, Error> {
        let key = self.own_key(cx, &input.key_id).await?;
        living(&key)?;
        if !key.is_symmetric() {
            return Err(unsupported(""));
        }
        let materials = self.materials(&key)?;
        let replicas = self.materials_of_replicas(&key)?;
        let all = input.include_key_material.as_deref() == Some("ALL_KEY_MATERIAL");
        let rotations: Vec<(String, RotationsListEntry)> = materials
            .all
            .iter()
            .enumerate()
            .filter(|(_, material)| all || material.rotated.is_some())
            .map(|(at, material)| (format!("{at:010}"), entry(&key, &materials, &replicas, material, all)))
            .collect();
        let (rotations, next_marker, truncated) =
            page(rotations, input.limit, (100, 1000), input.marker.as_deref(), |(at, _)| at.clone())?;
        Ok(ListKeyRotationsOutput {
            rotations: Some(rotations.into_iter().map(|(_, entry)| entry).collect()),
            next_marker,
            truncated: Some(truncated),
            ..Default::default()
        })
    }
}

fn entry(
    key: &KeyRecord,
    materials: &Materials,
    replicas: &[Arc<Materials>],
    material: &Material,
    all: bool,
) -> RotationsListEntry {
    let imported = key.origin == "EXTERNAL";
    let state = if material.id == materials.current {
        "CURRENT"
    } else if material.waiting {
        let there = |theirs: &Arc<Materials>| theirs.get(&material.id).is_some_and(|m| !m.sealed.is_empty());
        if replicas.iter().all(there) {
            "PENDING_ROTATION"
        } else {
            "PENDING_MULTI_REGION_IMPORT_AND_ROTATION"
        }
    } else {
        "NON_CURRENT"
    };
    RotationsListEntry {
        key_id: Some(key.id.clone()),
        key_material_id: Some(material.id.clone()),
        key_material_description: material.description.clone(),
        import_state: imported
            .then(|| if material.sealed.is_empty() { "PENDING_IMPORT" } else { "IMPORTED" }.to_owned()),
        key_material_state: (all || imported).then(|| state.to_owned()),
        expiration_model: (imported && !material.sealed.is_empty())
            .then(|| expiration_model(material.expires)),
        valid_to: material.expires.map(when),
        rotation_date: material.rotated.as_ref().map(|(at, _)| when(*at)),
        rotation_type: material.rotated.as_ref().map(|(_, kind)| kind.clone()),
        ..Default::default()
    }
}

/// Refuses a key that the calendar cannot rotate. One that is disabled or waits for its end hears that first; one that
/// waits for its material does not (the table in "Key states of AWS KMS keys").
fn automatic(key: &KeyRecord) -> Result<(), Error> {
    living(key)?;
    if key.state == State::Disabled {
        usable(key)?;
    }
    if !key.is_symmetric() {
        return Err(unsupported(""));
    }
    if key.origin != "AWS_KMS" {
        return Err(unsupported(format!(
            "{} origin is {} which is not valid for this operation.",
            key.arn(),
            key.origin
        )));
    }
    if key.is_replica() {
        return Err(unsupported(format!("{} is not a primary key.", key.arn())));
    }
    if key.managed_by.is_some() {
        return Err(validation("You cannot change the rotation of an AWS managed key."));
    }
    Ok(())
}

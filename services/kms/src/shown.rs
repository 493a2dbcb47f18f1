//! Keys as answers show them.

use crate::spec;
use crate::state::{KeyRecord, Materials, State};
use cloudlet_api_kms::*;

pub(crate) fn when(millis: i64) -> DateTime {
    DateTime::from_millis(millis)
}

fn list(values: &[&str]) -> Option<Vec<String>> {
    Some(values.iter().map(|value| (*value).to_owned()).collect())
}

/// `KeyMetadata`.
pub(crate) fn metadata(key: &KeyRecord, materials: &Materials) -> KeyMetadata {
    let algorithms = |usage: &str| {
        if key.usage == usage { list(spec::algorithms(&key.spec, usage)) } else { None }
    };
    let current = materials.current().filter(|material| !material.sealed.is_empty());
    // The first to expire of all that the key was ever used with.
    let used = materials.all.iter().filter(|material| !material.waiting && !material.sealed.is_empty());
    let expires = current.and(used.filter_map(|material| material.expires).min());
    let member = |region: &String| MultiRegionKey {
        arn: Some(key.arn_in(region)),
        region: Some(region.clone()),
        ..Default::default()
    };
    KeyMetadata {
        aws_account_id: Some(key.account.clone()),
        key_id: key.id.clone(),
        arn: Some(key.arn()),
        creation_date: Some(when(key.created)),
        enabled: Some(key.state == State::Enabled),
        description: Some(key.description.clone()),
        key_usage: Some(key.usage.clone()),
        key_state: Some(key.state.name().to_owned()),
        deletion_date: key.deletion.map(when),
        valid_to: expires.map(when),
        origin: Some(key.origin.clone()),
        expiration_model: (key.origin == "EXTERNAL" && current.is_some()).then(|| expiration_model(expires)),
        key_manager: Some(if key.managed_by.is_some() { "AWS" } else { "CUSTOMER" }.to_owned()),
        customer_master_key_spec: Some(key.spec.clone()),
        key_spec: Some(key.spec.clone()),
        encryption_algorithms: algorithms(spec::ENCRYPT),
        signing_algorithms: algorithms(spec::SIGN),
        key_agreement_algorithms: algorithms(spec::AGREE),
        encapsulation_algorithms: algorithms(spec::ENCAPSULATE),
        mac_algorithms: algorithms(spec::MAC),
        multi_region: Some(key.family.is_some()),
        multi_region_configuration: key.family.as_ref().map(|family| MultiRegionConfiguration {
            multi_region_key_type: Some(if key.is_replica() { "REPLICA" } else { "PRIMARY" }.to_owned()),
            primary_key: Some(member(&family.primary)),
            replica_keys: Some(family.replicas.iter().map(member).collect()),
            ..Default::default()
        }),
        pending_deletion_window_in_days: key.window.filter(|_| key.state == State::PendingReplicaDeletion),
        current_key_material_id: current.filter(|_| key.is_symmetric()).map(|m| m.id.clone()),
        ..Default::default()
    }
}

pub(crate) fn expiration_model(expires: Option<i64>) -> String {
    match expires {
        Some(_) => "KEY_MATERIAL_EXPIRES".to_owned(),
        None => "KEY_MATERIAL_DOES_NOT_EXPIRE".to_owned(),
    }
}

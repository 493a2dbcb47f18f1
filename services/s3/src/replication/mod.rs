//! Replication: new versions of a bucket are copied to other buckets, with their ids, metadata, tags and times.
//!
//! The transaction that makes a version marks it `PENDING` and emits a message; the delivery of the message assumes
//! the configuration's role, asks whether it may, and shares the bytes with the replica in one transaction that also
//! says `COMPLETED`. A version that cannot be replicated says `FAILED`, and an event tells why.
//! Source: S3 User Guide, "Replicating objects within and across Regions", "Replication status information".

mod annotations;
mod check;
mod deliver;

pub(crate) use check::check;
pub(crate) use deliver::{Deliverer, delivery};

use crate::configurations::{Kind, decode};
use crate::errors::Result;
use crate::state::{Bucket, Config, Version, Versioning};
use cloudlet_api_s3 as api;
use cloudlet_bus::Message;
use cloudlet_service::Context;
use cloudlet_store::Tx;
use serde::{Deserialize, Serialize};

pub(crate) const REPLICATION: Kind = Kind {
    name: "replication",
    missing: ("ReplicationConfigurationNotFoundError", "The replication configuration was not found"),
};

/// The queue that carries versions to other buckets.
pub(crate) const QUEUE: &str = "s3.replication";

/// The states of `x-amz-replication-status`.
pub(crate) const PENDING: &str = "PENDING";
pub(crate) const COMPLETED: &str = "COMPLETED";
pub(crate) const FAILED: &str = "FAILED";
pub(crate) const REPLICA: &str = "REPLICA";

/// What the deliverer is given.
#[derive(Debug, Serialize, Deserialize)]
struct Parcel {
    bucket: String,
    id: u64,
    key: String,
    version: String,
    at: i64,
    what: What,
}

/// What of a version is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum What {
    /// All of it.
    Object,
    /// Its tags, ACL, retention or legal hold.
    Metadata,
    /// Its annotations, whose way is not the version's own.
    Annotations,
}

/// The rules that mean a version: for each destination the one of the highest priority.
fn rules_for<'a>(
    configuration: &'a api::ReplicationConfiguration,
    key: &str,
    version: &Version,
) -> Vec<&'a api::ReplicationRule> {
    let mut meant: Vec<&api::ReplicationRule> =
        configuration.rules.iter().filter(|rule| means(rule, key, version)).collect();
    meant.sort_by_key(|rule| std::cmp::Reverse(rule.priority.unwrap_or(0)));
    let mut seen = std::collections::HashSet::new();
    meant.retain(|rule| seen.insert(rule.destination.bucket.as_str()));
    meant
}

fn means(rule: &api::ReplicationRule, key: &str, version: &Version) -> bool {
    if rule.status != "Enabled" {
        return false;
    }
    if version.marker {
        // Configurations of the first form, without filters, always replicate markers.
        let wanted = match (&rule.delete_marker_replication, &rule.filter) {
            (Some(markers), _) => markers.status.as_deref() == Some("Enabled"),
            (None, filter) => filter.is_none(),
        };
        return wanted && key.starts_with(prefix(rule));
    }
    let back = rule.source_selection_criteria.as_ref().and_then(|c| c.replica_modifications.as_ref());
    if version.replication.as_deref() == Some(REPLICA) && back.is_none_or(|m| m.status != "Enabled") {
        return false;
    }
    // What KMS keeps the key of is left alone unless the rule names it.
    let kms = rule.source_selection_criteria.as_ref().and_then(|c| c.sse_kms_encrypted_objects.as_ref());
    if version.kms.is_some() && kms.is_none_or(|k| k.status != "Enabled") {
        return false;
    }
    let tagged = |tag: &api::Tag| version.tags.iter().any(|(k, v)| *k == tag.key && *v == tag.value);
    let filter = rule.filter.as_ref();
    let one = filter.and_then(|f| f.tag.as_ref()).into_iter();
    let all = filter.and_then(|f| f.and.as_ref()).and_then(|a| a.tags.as_deref()).unwrap_or_default();
    key.starts_with(prefix(rule)) && one.chain(all).all(tagged)
}

fn prefix(rule: &api::ReplicationRule) -> &str {
    let filter = rule.filter.as_ref();
    let inside =
        filter.and_then(|f| f.prefix.as_deref().or(f.and.as_ref().and_then(|a| a.prefix.as_deref())));
    inside.or(rule.prefix.as_deref()).unwrap_or_default()
}

/// The configuration as the transaction sees it, where a version could be replicated at all.
fn configuration(tx: &mut Tx<'_>, bucket: &Bucket) -> Result<Option<api::ReplicationConfiguration>> {
    if !bucket.has(REPLICATION.name) || bucket.versioning != Versioning::Enabled {
        return Ok(None);
    }
    let stored = tx.get::<Config>(&Config::key(bucket.id, REPLICATION.name, ""))?;
    stored.map(|config| decode(&config.document)).transpose()
}

/// Marks a version that is about to be stored, where a rule means it.
pub(crate) fn mark(tx: &mut Tx<'_>, bucket: &Bucket, key: &str, version: &mut Version) -> Result<()> {
    if let Some(configuration) = configuration(tx, bucket)?
        && !rules_for(&configuration, key, version).is_empty()
    {
        version.replication = Some(PENDING.to_owned());
    }
    Ok(())
}

/// Sends a version that was marked on its way, in the transaction that stores it.
pub(crate) fn send(
    tx: &mut Tx<'_>,
    cx: &Context,
    bucket: &Bucket,
    key: &str,
    version: &Version,
    what: What,
) -> Result<()> {
    let Some(id) = version.id.clone().filter(|_| version.replication.as_deref() == Some(PENDING)) else {
        return Ok(());
    };
    let at = cx.millis();
    let parcel =
        Parcel { bucket: bucket.name.clone(), id: bucket.id, key: key.to_owned(), version: id, at, what };
    tx.emit(Message {
        queue: QUEUE.to_owned(),
        group: format!("{}/{key}", bucket.id),
        payload: serde_json::to_vec(&parcel).unwrap_or_default(),
        not_before: u64::try_from(at).unwrap_or_default(),
        expires: None,
        attempts: 0,
    })?;
    Ok(())
}

/// What was said of a version has changed: its replicas are to be told. Called before the version is written back.
pub(crate) fn changed(
    tx: &mut Tx<'_>,
    cx: &Context,
    bucket: &Bucket,
    key: &str,
    version: &mut Version,
) -> Result<()> {
    let Some(configuration) = configuration(tx, bucket)? else { return Ok(()) };
    if version.replication.is_none() || rules_for(&configuration, key, version).is_empty() {
        return Ok(());
    }
    if version.replication.as_deref() == Some(REPLICA) {
        // A replica stays one while its changes travel back.
        let pending = Version { replication: Some(PENDING.to_owned()), ..version.clone() };
        return send(tx, cx, bucket, key, &pending, What::Metadata);
    }
    version.replication = Some(PENDING.to_owned());
    send(tx, cx, bucket, key, version, What::Metadata)
}

/// The annotations of a version have changed: its replicas are to be told. Gives whether there are any.
pub(crate) fn annotated(
    tx: &mut Tx<'_>,
    cx: &Context,
    bucket: &Bucket,
    key: &str,
    version: &Version,
) -> Result<bool> {
    let Some(configuration) = configuration(tx, bucket)? else { return Ok(false) };
    if version.replication.is_none() || rules_for(&configuration, key, version).is_empty() {
        return Ok(false);
    }
    let pending = Version { replication: Some(PENDING.to_owned()), ..version.clone() };
    send(tx, cx, bucket, key, &pending, What::Annotations)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Draft;

    fn rule(destination: &str, priority: i32, filter: api::ReplicationRuleFilter) -> api::ReplicationRule {
        api::ReplicationRule {
            priority: Some(priority),
            status: "Enabled".into(),
            filter: Some(filter),
            destination: api::Destination { bucket: destination.into(), ..Default::default() },
            ..Default::default()
        }
    }

    #[test]
    fn the_highest_priority_decides_for_each_destination() {
        let tagged = api::ReplicationRuleFilter {
            tag: Some(api::Tag { key: "a".into(), value: "1".into(), ..Default::default() }),
            ..Default::default()
        };
        let under = |p: &str| api::ReplicationRuleFilter { prefix: Some(p.into()), ..Default::default() };
        let configuration = api::ReplicationConfiguration {
            rules: vec![rule("one", 1, under("")), rule("one", 2, under("x/")), rule("two", 3, tagged)],
            ..Default::default()
        };
        let mut version = Draft::default().version(0);
        let priorities = |version: &Version, key: &str| -> Vec<i32> {
            rules_for(&configuration, key, version).iter().filter_map(|r| r.priority).collect()
        };
        assert_eq!(priorities(&version, "x/k"), [2]);
        assert_eq!(priorities(&version, "k"), [1]);
        version.tags = vec![("a".into(), "1".into())];
        assert_eq!(priorities(&version, "k"), [3, 1]);
        version.marker = true;
        assert!(priorities(&version, "k").is_empty());
    }
}

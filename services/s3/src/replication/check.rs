//! What a replication configuration must be. Source: S3 User Guide, "Replication configuration file elements"; what
//! AWS answers.

use crate::S3;
use crate::errors::{Result, invalid_argument, invalid_request, malformed_xml};
use crate::state::{Bucket, Versioning};
use cloudlet_api_s3 as api;
use cloudlet_service::{Arn, Context, Error};
use std::collections::HashSet;

const MOST: usize = 1000;

const GUIDE: &str = "Please refer to S3 Developer Guide for more information.";

/// The bucket that a destination names.
pub(super) fn bucket_of(arn: &str) -> Option<&str> {
    let arn = Arn::parse(arn).filter(|a| a.service == "s3" && a.region.is_empty() && a.account.is_empty())?;
    Some(arn.resource).filter(|name| !name.is_empty() && !name.contains('/'))
}

/// Checks a configuration and gives ids to rules without one.
/// Errors: `InvalidRequest`, `InvalidArgument`, `MalformedXML`.
pub(crate) fn check(
    s3: &S3,
    cx: &Context,
    bucket: &Bucket,
    configuration: &mut api::ReplicationConfiguration,
) -> Result<(), Error> {
    if bucket.versioning != Versioning::Enabled {
        return Err(invalid_request(
            "Versioning must be 'Enabled' on the bucket to apply a replication configuration",
        ));
    }
    if configuration.rules.is_empty() || configuration.rules.len() > MOST {
        return Err(malformed_xml());
    }
    let role = Arn::parse(&configuration.role)
        .filter(|a| a.service == "iam" && a.resource.starts_with("role/") && a.account.len() == 12);
    if role.is_none() {
        return Err(invalid_argument("Invalid Role ARN", "Role", configuration.role.clone()));
    }
    let (mut ids, mut priorities) = (HashSet::new(), HashSet::new());
    for rule in &mut configuration.rules {
        let id = match rule.id.clone().filter(|id| !id.is_empty()) {
            Some(id) => id,
            None => cx.random().uuid(),
        };
        if id.chars().count() > 255 {
            return Err(invalid_argument("ID length should not exceed allowed limit of 255", "ID", id));
        }
        if !ids.insert(id.clone()) {
            let message = "Rule ID must be unique. Found same ID for more than one rule";
            return Err(invalid_argument(message, "ID", id));
        }
        rule.id = Some(id);
        if rule.filter.is_none() && rule.prefix.is_none() {
            return Err(malformed_xml());
        }
        if rule.filter.is_some() {
            second_form(rule)?;
            let priority = rule.priority.unwrap_or_default();
            if !priorities.insert(priority) {
                return Err(invalid_request(format!("Found duplicate priority {priority}. {GUIDE}")));
            }
        }
        destination(s3, bucket, rule)?;
    }
    first_form_overlaps(&configuration.rules)
}

/// What rules with filters must have. Errors: `InvalidRequest`, `MalformedXML`.
fn second_form(rule: &api::ReplicationRule) -> Result<(), Error> {
    let missing = |what: &str| {
        Err(invalid_request(format!(
            "{what} must be specified for this version of Cross Region Replication configuration schema. {GUIDE}"
        )))
    };
    if rule.prefix.is_some() {
        return Err(malformed_xml());
    }
    let Some(priority) = rule.priority else { return missing("Priority") };
    if priority < 0 {
        return Err(malformed_xml());
    }
    let Some(markers) = rule.delete_marker_replication.as_ref() else {
        return missing("DeleteMarkerReplication");
    };
    let Some(filter) = &rule.filter else { return Ok(()) };
    let given = usize::from(filter.prefix.is_some())
        + usize::from(filter.tag.is_some())
        + usize::from(filter.and.is_some());
    let and = filter.and.as_ref();
    let tags = and.and_then(|a| a.tags.as_deref()).unwrap_or_default();
    let too_few = and.is_some_and(|a| usize::from(a.prefix.is_some()) + tags.len() < 2);
    if given > 1 || too_few {
        return Err(malformed_xml());
    }
    let tagged = filter.tag.is_some() || !tags.is_empty();
    if tagged && markers.status.as_deref() == Some("Enabled") {
        return Err(invalid_request(format!(
            "Delete marker replication is not supported if any Tag filter is specified. {GUIDE}"
        )));
    }
    Ok(())
}

/// Errors: `InvalidRequest`, `InvalidArgument`.
fn destination(s3: &S3, bucket: &Bucket, rule: &api::ReplicationRule) -> Result<(), Error> {
    let to = &rule.destination;
    let Some(name) = bucket_of(&to.bucket) else {
        return Err(invalid_argument("Invalid bucket ARN", "Bucket", to.bucket.clone()));
    };
    if name == bucket.name {
        return Err(invalid_request("Source and destination buckets must be different."));
    }
    // AWS says the same of a bucket that is not there.
    let Some(target) = s3.bucket(name).ok().filter(|b| b.versioning == Versioning::Enabled) else {
        return Err(invalid_request("Destination bucket must have versioning enabled."));
    };
    if bucket.lock.is_some() && target.lock.is_none() {
        return Err(invalid_request(
            "Object Lock must be enabled on the destination bucket when it is enabled on the source bucket.",
        ));
    }
    if to.account.as_deref().is_some_and(|account| account != target.owner) {
        let account = to.account.clone().unwrap_or_default();
        return Err(invalid_argument(
            "The account is not the owner of the destination bucket",
            "Account",
            account,
        ));
    }
    if to.access_control_translation.is_some() && to.account.is_none() {
        return Err(invalid_request("Account must be specified when AccessControlTranslation is specified."));
    }
    if let Some(time) = &to.replication_time {
        if time.time.minutes != Some(15) {
            return Err(invalid_request("ReplicationTime must be 15 minutes."));
        }
        if to.metrics.as_ref().is_none_or(|m| m.status != "Enabled") {
            return Err(invalid_request("ReplicationTime requires Metrics to be enabled."));
        }
    }
    let kms = rule.source_selection_criteria.as_ref().and_then(|c| c.sse_kms_encrypted_objects.as_ref());
    let keyed = to.encryption_configuration.as_ref().is_some_and(|e| e.replica_kms_key_id.is_some());
    if kms.is_some_and(|k| k.status == "Enabled") && !keyed {
        return Err(invalid_request(
            "EncryptionConfiguration must be specified when SseKmsEncryptedObjects is enabled.",
        ));
    }
    Ok(())
}

/// Rules of the first form must not mean the same key twice. Errors: `InvalidRequest`.
fn first_form_overlaps(rules: &[api::ReplicationRule]) -> Result<(), Error> {
    let first: Vec<&str> =
        rules.iter().filter(|r| r.filter.is_none()).filter_map(|r| r.prefix.as_deref()).collect();
    for (index, one) in first.iter().enumerate() {
        if let Some(other) = first[..index].iter().find(|o| o.starts_with(one) || one.starts_with(**o)) {
            return Err(invalid_request(format!("Found overlapping prefixes '{other}' and '{one}'")));
        }
    }
    Ok(())
}

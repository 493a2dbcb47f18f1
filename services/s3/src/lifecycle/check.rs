//! What a lifecycle configuration must be.

use crate::errors::{Result, invalid_argument, invalid_request, malformed_xml};
use cloudlet_api_s3 as api;
use cloudlet_service::{Context, Error};
use std::collections::HashSet;

const MOST: usize = 1000;

/// Checks a configuration and gives ids to rules without one.
/// Errors: `MalformedXML`, `InvalidArgument`, `InvalidRequest`.
pub(crate) fn check(
    cx: &Context,
    configuration: &mut api::BucketLifecycleConfiguration,
) -> Result<(), Error> {
    if configuration.rules.is_empty() || configuration.rules.len() > MOST {
        return Err(malformed_xml());
    }
    let mut ids = HashSet::new();
    for rule in &mut configuration.rules {
        if rule.id.as_deref().unwrap_or_default().is_empty() {
            rule.id = Some(cx.random().uuid());
        }
        let id = rule.id.clone().unwrap_or_default();
        if id.chars().count() > 255 {
            return Err(invalid_argument("ID length should not exceed allowed limit of 255", "ID", id));
        }
        if !ids.insert(id.clone()) {
            return Err(invalid_argument(
                "Rule ID must be unique. Found same ID for more than one rule",
                "ID",
                id,
            ));
        }
        check_rule(rule)?;
    }
    Ok(())
}

fn check_rule(rule: &api::LifecycleRule) -> Result<(), Error> {
    if !matches!(rule.status.as_str(), "Enabled" | "Disabled") {
        return Err(malformed_xml());
    }
    if rule.prefix.is_some() == rule.filter.is_some() {
        return Err(malformed_xml());
    }
    if let Some(filter) = &rule.filter {
        check_filter(filter)?;
    }
    let none = rule.expiration.is_none()
        && rule.transitions.as_ref().is_none_or(Vec::is_empty)
        && rule.noncurrent_version_expiration.is_none()
        && rule.noncurrent_version_transitions.as_ref().is_none_or(Vec::is_empty)
        && rule.abort_incomplete_multipart_upload.is_none();
    if none {
        return Err(invalid_request("At least one action needs to be specified in a rule"));
    }
    if let Some(expiration) = &rule.expiration {
        let given = usize::from(expiration.days.is_some())
            + usize::from(expiration.date.is_some())
            + usize::from(expiration.expired_object_delete_marker.is_some());
        if given != 1 {
            return Err(malformed_xml());
        }
        positive(expiration.days, "'Days' for Expiration action must be a positive integer")?;
        midnight(expiration.date.as_ref())?;
        if expiration.expired_object_delete_marker.is_some() && has_tags(rule) {
            return Err(invalid_request("ExpiredObjectDeleteMarker cannot be specified with Tags."));
        }
    }
    for transition in rule.transitions.iter().flatten() {
        if transition.days.is_some() == transition.date.is_some() || transition.storage_class.is_none() {
            return Err(malformed_xml());
        }
        if transition.days.is_some_and(|d| d < 0) {
            let message = "'Days' in Transition action must be nonnegative";
            return Err(invalid_argument(message, "Days", ""));
        }
        midnight(transition.date.as_ref())?;
        let infrequent = matches!(transition.storage_class.as_deref(), Some("STANDARD_IA" | "ONEZONE_IA"));
        if infrequent && transition.days.is_some_and(|d| d < 30) {
            let class = transition.storage_class.clone().unwrap_or_default();
            let message = format!(
                "'Days' in Transition action must be greater than or equal to 30 for storageClass '{class}'"
            );
            return Err(invalid_argument(message, "Days", ""));
        }
        let expires = rule.expiration.as_ref().and_then(|e| e.days);
        if let (Some(expires), Some(days)) = (expires, transition.days)
            && expires <= days
        {
            let message =
                "'Days' in the Expiration action must be greater than 'Days' in the Transition action";
            return Err(invalid_argument(message, "Days", expires.to_string()));
        }
    }
    if let Some(expiration) = &rule.noncurrent_version_expiration {
        let message = "'NoncurrentDays' for NoncurrentVersionExpiration action must be a positive integer";
        if expiration.noncurrent_days.is_none() {
            return Err(malformed_xml());
        }
        positive(expiration.noncurrent_days, message)?;
        let message =
            "'NewerNoncurrentVersions' for NoncurrentVersionExpiration action must be a positive integer";
        positive(expiration.newer_noncurrent_versions, message)?;
    }
    if let Some(abort) = &rule.abort_incomplete_multipart_upload {
        let message =
            "'DaysAfterInitiation' for AbortIncompleteMultipartUpload action must be a positive integer";
        positive(Some(abort.days_after_initiation.ok_or_else(malformed_xml)?), message)?;
        if has_tags(rule) {
            return Err(invalid_request("AbortIncompleteMultipartUpload cannot be specified with Tags."));
        }
    }
    Ok(())
}

fn check_filter(filter: &api::LifecycleRuleFilter) -> Result<(), Error> {
    let given = usize::from(filter.prefix.is_some())
        + usize::from(filter.tag.is_some())
        + usize::from(filter.object_size_greater_than.is_some())
        + usize::from(filter.object_size_less_than.is_some())
        + usize::from(filter.and.is_some());
    if given > 1 {
        return Err(malformed_xml());
    }
    let Some(and) = &filter.and else { return Ok(()) };
    let tags = and.tags.as_deref().unwrap_or_default();
    let parts = usize::from(and.prefix.is_some())
        + tags.len()
        + usize::from(and.object_size_greater_than.is_some())
        + usize::from(and.object_size_less_than.is_some());
    if parts < 2 {
        return Err(malformed_xml());
    }
    let names: HashSet<&str> = tags.iter().map(|t| t.key.as_str()).collect();
    if names.len() != tags.len() {
        return Err(invalid_request("Duplicate Tag Keys are not allowed."));
    }
    if let (Some(larger), Some(smaller)) = (and.object_size_greater_than, and.object_size_less_than)
        && larger >= smaller
    {
        return Err(invalid_request(
            "'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'.",
        ));
    }
    Ok(())
}

fn has_tags(rule: &api::LifecycleRule) -> bool {
    let Some(filter) = &rule.filter else { return false };
    filter.tag.is_some()
        || filter.and.as_ref().is_some_and(|a| a.tags.as_ref().is_some_and(|t| !t.is_empty()))
}

fn positive(days: Option<i32>, message: &str) -> Result<(), Error> {
    match days {
        Some(days) if days < 1 => Err(invalid_argument(message, "Days", days.to_string())),
        _ => Ok(()),
    }
}

/// Dates of rules are days. Errors: `InvalidArgument`.
fn midnight(date: Option<&aws_smithy_types::DateTime>) -> Result<(), Error> {
    match date {
        Some(date) if date.secs().rem_euclid(86_400) != 0 || date.subsec_nanos() != 0 => {
            let shown = date.to_string().replace('Z', ".000Z");
            Err(invalid_argument("'Date' must be at midnight GMT", "Date", shown))
        }
        _ => Ok(()),
    }
}

//! What a lifecycle configuration must be. Source: S3 User Guide, "Lifecycle configuration elements"; what AWS answers.

use super::depth;
use crate::errors::{Result, invalid_argument, invalid_request, malformed_xml};
use aws_smithy_types::DateTime;
use cloudlet_api_s3 as api;
use cloudlet_service::{Context, Error};
use std::collections::HashSet;

const MOST: usize = 1000;

/// The largest size that a filter may name, in bytes: what AWS's own refusal says.
const LARGEST: i64 = 1_099_511_627_776_000;

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
            rule.id = Some(crate::configurations::made_id(cx));
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
    check_forms(&configuration.rules)
}

/// The older form has prefixes in its rules, the newer one filters; a configuration is of one of them.
/// Errors: `InvalidRequest`.
fn check_forms(rules: &[api::LifecycleRule]) -> Result<(), Error> {
    let older = |rule: &api::LifecycleRule| rule.filter.is_none();
    let Some(first) = rules.first().map(older) else { return Ok(()) };
    if rules.iter().any(|rule| older(rule) != first) {
        return Err(invalid_request(if first {
            "Filter element can only be used in Lifecycle V2."
        } else {
            "Base level prefix cannot be used in Lifecycle V2, prefixes are only supported in the Filter."
        }));
    }
    if !first {
        return Ok(());
    }
    let newer = |rule: &api::LifecycleRule| {
        let expiration = rule.noncurrent_version_expiration.as_ref();
        let mut transitions = rule.noncurrent_version_transitions.iter().flatten();
        expiration.is_some_and(|e| e.newer_noncurrent_versions.is_some())
            || transitions.any(|t| t.newer_noncurrent_versions.is_some())
    };
    if rules.iter().any(newer) {
        return Err(invalid_request("NewerNoncurrentVersions element can only be used in Lifecycle V2."));
    }
    for (index, rule) in rules.iter().enumerate() {
        for other in &rules[..index] {
            check_overlap(other, rule)?;
        }
    }
    Ok(())
}

/// Two rules of the older form may not do the same to the same keys. Errors: `InvalidRequest`.
fn check_overlap(one: &api::LifecycleRule, other: &api::LifecycleRule) -> Result<(), Error> {
    let (a, b) = (one.prefix.as_deref().unwrap_or_default(), other.prefix.as_deref().unwrap_or_default());
    if !a.starts_with(b) && !b.starts_with(a) {
        return Ok(());
    }
    let theirs = actions(other);
    match actions(one).into_iter().find(|action| theirs.contains(action)) {
        None => Ok(()),
        Some(action) => Err(invalid_request(format!(
            "Found overlapping prefixes '{a}' and '{b}' for same action type '{action}'"
        ))),
    }
}

/// What a rule does, by the names that AWS gives the actions.
fn actions(rule: &api::LifecycleRule) -> Vec<&'static str> {
    let some = |list: Option<usize>| list.is_some_and(|n| n > 0);
    [
        (rule.expiration.is_some(), "Expiration"),
        (some(rule.transitions.as_ref().map(Vec::len)), "Transition"),
        (rule.noncurrent_version_expiration.is_some(), "NoncurrentVersionExpiration"),
        (some(rule.noncurrent_version_transitions.as_ref().map(Vec::len)), "NoncurrentVersionTransition"),
        (rule.abort_incomplete_multipart_upload.is_some(), "AbortIncompleteMultipartUpload"),
    ]
    .into_iter()
    .filter_map(|(there, name)| there.then_some(name))
    .collect()
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
    if actions(rule).is_empty() {
        return Err(invalid_request("At least one action needs to be specified in a rule"));
    }
    if let Some(expiration) = &rule.expiration {
        let given = usize::from(expiration.days.is_some())
            + usize::from(expiration.date.is_some())
            + usize::from(expiration.expired_object_delete_marker.is_some());
        if given != 1 {
            return Err(malformed_xml());
        }
        positive(expiration.days, "Days", "Expiration")?;
        midnight(expiration.date.as_ref())?;
        if expiration.expired_object_delete_marker.is_some() {
            whole(rule, "ExpiredObjectDeleteMarker")?;
        }
    }
    check_transitions(rule)?;
    check_noncurrent(rule)?;
    if let Some(abort) = &rule.abort_incomplete_multipart_upload {
        let days = Some(abort.days_after_initiation.ok_or_else(malformed_xml)?);
        positive(days, "DaysAfterInitiation", "AbortIncompleteMultipartUpload")?;
        whole(rule, "AbortIncompleteMultipartUpload")?;
    }
    Ok(())
}

/// One step of a rule: its class, and when it is due.
struct Step<'a> {
    class: &'a str,
    days: Option<i32>,
    date: Option<&'a DateTime>,
}

fn check_transitions(rule: &api::LifecycleRule) -> Result<(), Error> {
    let mut steps: Vec<Step<'_>> = Vec::new();
    for transition in rule.transitions.iter().flatten() {
        if transition.days.is_some() == transition.date.is_some() {
            return Err(malformed_xml());
        }
        let class = transition.storage_class.as_deref().ok_or_else(malformed_xml)?;
        if transition.days.is_some_and(|d| d < 0) {
            let message = "'Days' in Transition action must be nonnegative";
            return Err(invalid_argument(message, "Days", shown(transition.days)));
        }
        midnight(transition.date.as_ref())?;
        thirty(class, transition.days, "Days", "Transition")?;
        steps.push(Step { class, days: transition.days, date: transition.date.as_ref() });
    }
    check_steps(rule, &steps, "Transition", "Days")?;
    let Some(expiration) = rule.expiration.as_ref().filter(|e| e.days.is_some() || e.date.is_some()) else {
        return Ok(());
    };
    let filter = described(rule);
    for step in &steps {
        if step.days.is_some() != expiration.days.is_some() {
            return Err(invalid_request(format!(
                "Found mixed 'Date' and 'Days' based Expiration and Transition actions in lifecycle rule for {filter}"
            )));
        }
        let (field, word, late) = match (expiration.days, step.days) {
            (Some(end), Some(days)) => ("Days", "greater", end > days),
            _ => (
                "Date",
                "later",
                expiration.date.as_ref().map(DateTime::secs) > step.date.map(DateTime::secs),
            ),
        };
        if !late {
            return Err(Error::sender(
                "InvalidArgument",
                format!(
                    "'{field}' in the Expiration action for {filter} must be {word} than '{field}' in the Transition \
                     action"
                ),
            )
            .with("ArgumentName", field)
            .with("ArgumentValue", expiration.days.map(|d| d.to_string()).unwrap_or_default()));
        }
    }
    Ok(())
}

/// The steps of one rule must lead from warmer classes to colder ones, each at a time of its own.
/// Errors: `InvalidRequest`, `InvalidArgument`.
fn check_steps(
    rule: &api::LifecycleRule,
    steps: &[Step<'_>],
    action: &str,
    field: &str,
) -> Result<(), Error> {
    let filter = described(rule);
    for (index, step) in steps.iter().enumerate() {
        for other in &steps[..index] {
            if other.class == step.class {
                return Err(invalid_request(format!(
                    "'StorageClass' must be different for '{action}' actions in same 'Rule' with {filter}"
                )));
            }
            if other.days.is_some() != step.days.is_some() {
                return Err(invalid_request(format!(
                    "Found mixed 'Date' and 'Days' based {action} actions in lifecycle rule for {filter}"
                )));
            }
            let (warm, cold) =
                if depth(other.class) <= depth(step.class) { (other, step) } else { (step, other) };
            let (name, later) = match (warm.days, cold.days) {
                (Some(first), Some(then)) => (field, then > first),
                _ => ("Date", cold.date.map(DateTime::secs) > warm.date.map(DateTime::secs)),
            };
            if !later {
                let message = format!(
                    "'{name}' in the '{action}' action for StorageClass '{}' for {filter} must be greater than \
                     '{name}' in the '{action}' action for StorageClass '{}' for {filter}",
                    cold.class, warm.class
                );
                return Err(invalid_argument(
                    message,
                    name,
                    cold.days.map(|d| d.to_string()).unwrap_or_default(),
                ));
            }
            if let (Some(first), Some(then)) = (warm.days, cold.days)
                && infrequent(warm.class)
                && depth(cold.class) >= depth("GLACIER_IR")
                && i64::from(then) < i64::from(first) + 30
            {
                let message = format!(
                    "'{field}' in the '{action}' action for StorageClass '{}' for {filter} must be 30 days more than \
                     '{field}' in the '{action}' action for StorageClass '{}' for {filter}",
                    cold.class, warm.class
                );
                return Err(invalid_argument(message, field, then.to_string()));
            }
        }
    }
    Ok(())
}

fn check_noncurrent(rule: &api::LifecycleRule) -> Result<(), Error> {
    let mut steps: Vec<Step<'_>> = Vec::new();
    for transition in rule.noncurrent_version_transitions.iter().flatten() {
        let class = transition.storage_class.as_deref().ok_or_else(malformed_xml)?;
        let days = transition.noncurrent_days.ok_or_else(malformed_xml)?;
        if days < 0 {
            let message = "'NoncurrentDays' in NoncurrentVersionTransition action must be nonnegative";
            return Err(invalid_argument(message, "NoncurrentDays", days.to_string()));
        }
        kept(transition.newer_noncurrent_versions, "NoncurrentVersionTransition")?;
        thirty(class, Some(days), "NoncurrentDays", "NoncurrentVersionTransition")?;
        steps.push(Step { class, days: Some(days), date: None });
    }
    check_steps(rule, &steps, "NoncurrentVersionTransition", "NoncurrentDays")?;
    let Some(expiration) = &rule.noncurrent_version_expiration else { return Ok(()) };
    let Some(end) = expiration.noncurrent_days else { return Err(malformed_xml()) };
    positive(Some(end), "NoncurrentDays", "NoncurrentVersionExpiration")?;
    kept(expiration.newer_noncurrent_versions, "NoncurrentVersionExpiration")?;
    if steps.iter().any(|step| step.days >= Some(end)) {
        let filter = described(rule);
        let message = format!(
            "'NoncurrentDays' in the NoncurrentVersionExpiration action for {filter} must be greater than \
             'NoncurrentDays' in the NoncurrentVersionTransition action"
        );
        return Err(invalid_argument(message, "NoncurrentDays", end.to_string()));
    }
    Ok(())
}

/// The classes that charge for 30 days at least: one rule does not take an object on before.
/// Source: S3 User Guide, "Transitioning objects using Amazon S3 Lifecycle", constraints.
fn infrequent(class: &str) -> bool {
    matches!(class, "STANDARD_IA" | "ONEZONE_IA")
}

/// The infrequently accessed classes take nothing that is younger than 30 days. Errors: `InvalidArgument`.
fn thirty(class: &str, days: Option<i32>, field: &str, action: &str) -> Result<(), Error> {
    if infrequent(class) && days.is_some_and(|d| d < 30) {
        let message = format!(
            "'{field}' in {action} action must be greater than or equal to 30 for storageClass '{class}'"
        );
        return Err(invalid_argument(message, field, shown(days)));
    }
    Ok(())
}

fn shown(days: Option<i32>) -> String {
    days.map(|days| days.to_string()).unwrap_or_default()
}

/// The objects that a rule is about, as errors describe them.
fn described(rule: &api::LifecycleRule) -> String {
    if let Some(prefix) = &rule.prefix {
        return format!("prefix '{prefix}'");
    }
    let mut parts = Vec::new();
    let mut tags: Vec<&api::Tag> = Vec::new();
    if let Some(filter) = &rule.filter {
        let and = filter.and.as_ref();
        let prefix = filter.prefix.as_ref().or_else(|| and.and_then(|a| a.prefix.as_ref()));
        parts.extend(prefix.map(|prefix| format!("prefix={prefix}")));
        tags.extend(&filter.tag);
        tags.extend(and.and_then(|a| a.tags.as_ref()).into_iter().flatten());
    }
    parts.extend(tags.iter().map(|tag| format!("tag: key={}, value={}", tag.key, tag.value)));
    format!("filter '({})'", parts.join(" and "))
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
    check_sizes(filter.object_size_greater_than, filter.object_size_less_than)?;
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
    check_sizes(and.object_size_greater_than, and.object_size_less_than)
}

/// Errors: `InvalidRequest`.
fn check_sizes(larger: Option<i64>, smaller: Option<i64>) -> Result<(), Error> {
    for (size, least, name) in [(larger, 0, "ObjectSizeGreaterThan"), (smaller, 1, "ObjectSizeLessThan")] {
        if size.is_some_and(|size| !(least..=LARGEST).contains(&size)) {
            return Err(invalid_request(format!("'{name}' should be between {least} and {LARGEST}.")));
        }
    }
    if let (Some(larger), Some(smaller)) = (larger, smaller)
        && larger >= smaller
    {
        return Err(invalid_request(
            "'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'.",
        ));
    }
    Ok(())
}

/// What is about whole keys takes no filter by tags or sizes. Errors: `InvalidRequest`.
fn whole(rule: &api::LifecycleRule, action: &str) -> Result<(), Error> {
    let Some(filter) = &rule.filter else { return Ok(()) };
    let and = filter.and.as_ref();
    let tagged = filter.tag.is_some() || and.is_some_and(|a| a.tags.as_ref().is_some_and(|t| !t.is_empty()));
    if tagged {
        return Err(invalid_request(format!("{action} cannot be specified with Tags.")));
    }
    let sized = filter.object_size_greater_than.is_some()
        || filter.object_size_less_than.is_some()
        || and.is_some_and(|a| a.object_size_greater_than.is_some() || a.object_size_less_than.is_some());
    if sized {
        return Err(invalid_request(format!("{action} cannot be specified with Object Size.")));
    }
    Ok(())
}

fn positive(number: Option<i32>, field: &str, action: &str) -> Result<(), Error> {
    match number {
        Some(number) if number < 1 => Err(invalid_argument(
            format!("'{field}' for {action} action must be a positive integer"),
            field,
            number.to_string(),
        )),
        _ => Ok(()),
    }
}

/// How many older versions a rule leaves alone: 1 to 100. Errors: `InvalidArgument`.
/// Source: S3 API Reference, NoncurrentVersionExpiration.
fn kept(number: Option<i32>, action: &str) -> Result<(), Error> {
    const FIELD: &str = "NewerNoncurrentVersions";
    positive(number, FIELD, action)?;
    match number {
        Some(number) if number > 100 => Err(invalid_argument(
            format!("'{FIELD}' for {action} action must be less than or equal to 100"),
            FIELD,
            number.to_string(),
        )),
        _ => Ok(()),
    }
}

/// Dates of rules are days. Errors: `InvalidArgument`.
fn midnight(date: Option<&DateTime>) -> Result<(), Error> {
    match date {
        Some(date) if date.secs().rem_euclid(86_400) != 0 || date.subsec_nanos() != 0 => {
            let shown = date.to_string().replace('Z', ".000Z");
            Err(invalid_argument("'Date' must be at midnight GMT", "Date", shown))
        }
        _ => Ok(()),
    }
}

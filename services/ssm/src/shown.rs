//! Parameters as answers show them.

use crate::state::{Parameter as Stored, Policy, Version};
use cloudlet_api_ssm::*;

pub(crate) fn when(millis: i64) -> DateTime {
    DateTime::from_millis(millis)
}

/// `Parameter`: what the getting operations give.
pub(crate) fn parameter(
    name: &str,
    arn: String,
    version: &Version,
    value: String,
    selector: Option<&str>,
) -> Parameter {
    Parameter {
        name: Some(name.to_owned()),
        r#type: Some(version.kind.clone()),
        value: Some(value),
        version: Some(version.number),
        selector: selector.map(|selector| format!(":{selector}")),
        last_modified_date: Some(when(version.modified)),
        arn: Some(arn),
        data_type: Some(version.data_type.clone()),
        ..Default::default()
    }
}

fn policies(version: &Version, expires: Option<i64>, now: i64) -> Option<Vec<ParameterInlinePolicy>> {
    let shown = |policy: &Policy| ParameterInlinePolicy {
        policy_text: Some(policy.text.clone()),
        policy_type: Some(policy.kind.clone()),
        policy_status: Some(
            if policy.kind == "Expiration" && expires.is_some_and(|at| at <= now) {
                "Finished"
            } else {
                "Pending"
            }
            .to_owned(),
        ),
        ..Default::default()
    };
    Some(version.policies.iter().map(shown).collect())
}

/// `ParameterMetadata`: what `DescribeParameters` gives.
pub(crate) fn metadata(parameter: &Stored, now: i64) -> ParameterMetadata {
    let latest = &parameter.latest;
    ParameterMetadata {
        name: Some(parameter.name.clone()),
        arn: Some(parameter.arn()),
        r#type: Some(latest.kind.clone()),
        key_id: latest.key_id.clone(),
        last_modified_date: Some(when(latest.modified)),
        last_modified_user: Some(latest.user.clone()),
        description: latest.description.clone(),
        allowed_pattern: latest.pattern.clone(),
        version: Some(latest.number),
        tier: Some(latest.tier.clone()),
        policies: policies(latest, parameter.expires, now),
        data_type: Some(latest.data_type.clone()),
        ..Default::default()
    }
}

/// `ParameterHistory`.
pub(crate) fn history(parameter: &Stored, version: &Version, value: String, now: i64) -> ParameterHistory {
    ParameterHistory {
        name: Some(parameter.name.clone()),
        r#type: Some(version.kind.clone()),
        key_id: version.key_id.clone(),
        last_modified_date: Some(when(version.modified)),
        last_modified_user: Some(version.user.clone()),
        description: version.description.clone(),
        value: Some(value),
        allowed_pattern: version.pattern.clone(),
        version: Some(version.number),
        labels: Some(parameter.labels_of(version.number)),
        tier: Some(version.tier.clone()),
        policies: policies(version, parameter.expires, now),
        data_type: Some(version.data_type.clone()),
        ..Default::default()
    }
}

//! The notification configuration of a bucket.

use crate::S3;
use crate::errors::{Result, invalid_argument, malformed_xml};
use crate::events::may_invoke;
use crate::state::{Bucket, Notification, Target};
use cloudlet_api_s3::{
    self as api, FilterRule, GetBucketNotificationConfigurationInput, NoMembers, NotificationConfiguration,
    NotificationConfigurationFilter, PutBucketNotificationConfigurationInput, S3KeyFilter,
};
use cloudlet_service::{Arn, Context, Error};
use std::collections::HashSet;

/// The most destinations of a bucket. Source: S3 User Guide, "Amazon S3 Event Notifications".
const MOST: usize = 100;

impl S3 {
    /// What the bucket tells to whom. Errors: `NoSuchBucket`.
    pub async fn get_bucket_notification_configuration(
        &self,
        _: &Context,
        input: GetBucketNotificationConfigurationInput,
    ) -> Result<NotificationConfiguration, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        let of = |target: Target| bucket.notifications.iter().filter(move |n| n.target == target);
        let lambdas: Vec<_> = of(Target::Lambda)
            .map(|n| api::LambdaFunctionConfiguration {
                id: Some(n.id.clone()),
                lambda_function_arn: n.arn.clone(),
                events: n.events.clone(),
                filter: filter(n),
                ..Default::default()
            })
            .collect();
        Ok(NotificationConfiguration {
            lambda_function_configurations: (!lambdas.is_empty()).then_some(lambdas),
            event_bridge_configuration: bucket.event_bridge.then(Default::default),
            ..Default::default()
        })
    }

    /// Replaces it, once every destination has been seen to accept the bucket's events.
    ///
    /// Errors: `InvalidArgument` for events, filters and destinations that cannot be, `MalformedXML`.
    pub async fn put_bucket_notification_configuration(
        &self,
        cx: &Context,
        input: PutBucketNotificationConfigurationInput,
    ) -> Result<NoMembers, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        let configuration = input.notification_configuration;
        let mut wanted = Vec::new();
        for one in configuration.lambda_function_configurations.unwrap_or_default() {
            let id = id_of(cx, one.id);
            wanted.push(read(id, Target::Lambda, one.lambda_function_arn, one.events, one.filter)?);
        }
        for one in configuration.queue_configurations.unwrap_or_default() {
            wanted.push(read(id_of(cx, one.id), Target::Queue, one.queue_arn, one.events, one.filter)?);
        }
        for one in configuration.topic_configurations.unwrap_or_default() {
            wanted.push(read(id_of(cx, one.id), Target::Topic, one.topic_arn, one.events, one.filter)?);
        }
        check(&bucket, &wanted)?;
        if input.skip_destination_validation != Some(true) {
            validate(cx, &bucket, &wanted).await?;
        }
        let event_bridge = configuration.event_bridge_configuration.is_some();
        // Every account has an event bus, so that AWS asks nobody. What arrives there and meets no rule is dropped;
        // without the EventBridge service there are no rules yet, and nothing that could be told.
        self.change(&input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
            bucket.notifications = wanted.clone();
            bucket.event_bridge = event_bridge;
            Ok(())
        })
        .await?;
        Ok(NoMembers)
    }
}

/// An id for a destination that was given none.
fn id_of(cx: &Context, given: Option<String>) -> String {
    given.filter(|id| !id.is_empty()).unwrap_or_else(|| crate::configurations::made_id(cx))
}

fn filter(notification: &Notification) -> Option<NotificationConfigurationFilter> {
    let rule = |(name, value): &(String, String)| FilterRule {
        name: Some(name.clone()),
        value: Some(value.clone()),
    };
    notification.filtered.then(|| NotificationConfigurationFilter {
        key: Some(S3KeyFilter { filter_rules: Some(notification.rules.iter().map(rule).collect()) }),
    })
}

/// One destination. Errors: `InvalidArgument`, `MalformedXML`.
fn read(
    id: String,
    target: Target,
    arn: String,
    events: Vec<String>,
    filter: Option<NotificationConfigurationFilter>,
) -> Result<Notification, Error> {
    if events.is_empty() {
        return Err(malformed_xml());
    }
    for event in &events {
        if !KNOWN.contains(&event.as_str()) {
            return Err(invalid_argument(
                "A specified event is not supported for notifications.",
                "Event",
                event,
            ));
        }
    }
    let (service, argument) = match target {
        Target::Lambda => ("lambda", "LambdaFunctionArn"),
        Target::Queue => ("sqs", "QueueArn"),
        Target::Topic => ("sns", "TopicArn"),
    };
    if Arn::parse(&arn).is_none_or(|a| a.service != service || a.region.is_empty()) {
        return Err(invalid_argument("The ARN could not be parsed", argument, arn));
    }
    let filtered = filter.is_some();
    let mut rules = Vec::new();
    for rule in filter.and_then(|f| f.key).and_then(|k| k.filter_rules).unwrap_or_default() {
        let name = rule.name.unwrap_or_default();
        if !name.eq_ignore_ascii_case("prefix") && !name.eq_ignore_ascii_case("suffix") {
            return Err(invalid_argument(
                "filter rule name must be either prefix or suffix",
                "FilterRule.Name",
                name,
            ));
        }
        let twice = rules.iter().any(|(known, _): &(String, String)| known.eq_ignore_ascii_case(&name));
        if twice {
            let message = "Cannot specify more than one prefix rule in a filter.";
            let message = if name.eq_ignore_ascii_case("suffix") {
                message.replace("prefix", "suffix")
            } else {
                message.to_owned()
            };
            return Err(invalid_argument(message, "FilterRule.Name", name));
        }
        // AWS gives the names back in this form, however they came.
        let name = if name.eq_ignore_ascii_case("prefix") { "Prefix" } else { "Suffix" }.to_owned();
        let value = rule.value.unwrap_or_default();
        if value.is_empty() {
            return Err(invalid_argument("filter value cannot be empty", "FilterRule.Value", value));
        }
        if value.len() > 1024 {
            return Err(invalid_argument(
                "Size of filter rule value cannot exceed 1024 bytes in UTF-8 representation",
                "FilterRule.Value",
                value,
            ));
        }
        rules.push((name, value));
    }
    Ok(Notification { id, target, arn, events, rules, filtered })
}

/// What destinations must be together. Errors: `InvalidArgument`, `TooManyConfigurations`.
fn check(bucket: &Bucket, wanted: &[Notification]) -> Result<(), Error> {
    if wanted.len() > MOST {
        let message = "You are trying to create more than 100 notification configurations for this bucket.";
        return Err(Error::sender("TooManyConfigurations", message));
    }
    let mut ids = HashSet::new();
    for one in wanted {
        if !ids.insert(one.id.as_str()) {
            return Err(invalid_argument(
                "Same ID used for multiple configurations. IDs must be unique",
                "Id",
                one.id.clone(),
            ));
        }
        if Arn::parse(&one.arn).is_some_and(|a| a.region != bucket.region) {
            let message =
                "The notification destination service region is not valid for the bucket location constraint";
            return Err(invalid_argument(message, "region", one.arn.clone()));
        }
    }
    for (index, one) in wanted.iter().enumerate() {
        for other in &wanted[..index] {
            if events_overlap(one, other) && filters_overlap(one, other) {
                let message = if one.filtered || other.filtered {
                    "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if the prefixes \
                     are overlapping for the same event type."
                } else {
                    "Configurations overlap. Configurations on the same bucket cannot share a common event type."
                };
                return Err(Error::sender("InvalidArgument", message));
            }
        }
    }
    Ok(())
}

fn events_overlap(a: &Notification, b: &Notification) -> bool {
    let covers = |a: &str, b: &str| a == b || a.strip_suffix('*').is_some_and(|family| b.starts_with(family));
    a.events.iter().any(|x| b.events.iter().any(|y| covers(x, y) || covers(y, x)))
}

/// Whether a key could pass both filters.
fn filters_overlap(a: &Notification, b: &Notification) -> bool {
    let of = |n: &Notification, name: &str| {
        let rule = n.rules.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        rule.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let (ap, bp) = (of(a, "prefix"), of(b, "prefix"));
    let (as_, bs) = (of(a, "suffix"), of(b, "suffix"));
    (ap.starts_with(&bp) || bp.starts_with(&ap)) && (as_.ends_with(&bs) || bs.ends_with(&as_))
}

/// Asks every destination. Errors: `InvalidArgument` with every destination that refuses.
async fn validate(cx: &Context, bucket: &Bucket, wanted: &[Notification]) -> Result<(), Error> {
    let mut refused: Vec<&Notification> = Vec::new();
    for one in wanted {
        let accepts = match one.target {
            Target::Lambda => may_invoke(cx, bucket, &one.arn).await,
            // There is no queue and no topic that could accept.
            Target::Queue | Target::Topic => false,
        };
        if !accepts {
            refused.push(one);
        }
    }
    if refused.is_empty() {
        return Ok(());
    }
    let why = |one: &Notification| match one.target {
        // A function has a second half to its name that is never there.
        Target::Lambda => {
            (format!("{}, null", one.arn), format!("Not authorized to invoke function [{}]", one.arn))
        }
        Target::Queue => (one.arn.clone(), "The destination queue does not exist".to_owned()),
        Target::Topic => (one.arn.clone(), "The destination topic does not exist".to_owned()),
    };
    let message = "Unable to validate the following destination configurations";
    let invalid = Error::sender("InvalidArgument", message);
    // Destinations are numbered, also a single one.
    Err(refused.into_iter().zip(NUMBERED).fold(invalid, |error, (one, (name, value))| {
        let (which, why) = why(one);
        error.with(name, which).with(value, why)
    }))
}

/// The elements that name destinations.
const NUMBERED: [(&str, &str); 5] = [
    ("ArgumentName1", "ArgumentValue1"),
    ("ArgumentName2", "ArgumentValue2"),
    ("ArgumentName3", "ArgumentValue3"),
    ("ArgumentName4", "ArgumentValue4"),
    ("ArgumentName5", "ArgumentValue5"),
];

/// The events that can be asked for. Source: S3 User Guide, "Supported event types for SQS, SNS, and Lambda".
const KNOWN: [&str; 31] = [
    "s3:ObjectCreated:*",
    "s3:ObjectCreated:Put",
    "s3:ObjectCreated:Post",
    "s3:ObjectCreated:Copy",
    "s3:ObjectCreated:CompleteMultipartUpload",
    "s3:ObjectRemoved:*",
    "s3:ObjectRemoved:Delete",
    "s3:ObjectRemoved:DeleteMarkerCreated",
    "s3:ObjectRestore:*",
    "s3:ObjectRestore:Post",
    "s3:ObjectRestore:Completed",
    "s3:ObjectRestore:Delete",
    "s3:ReducedRedundancyLostObject",
    "s3:Replication:*",
    "s3:Replication:OperationFailedReplication",
    "s3:Replication:OperationMissedThreshold",
    "s3:Replication:OperationReplicatedAfterThreshold",
    "s3:Replication:OperationNotTracked",
    "s3:LifecycleExpiration:*",
    "s3:LifecycleExpiration:Delete",
    "s3:LifecycleExpiration:DeleteMarkerCreated",
    "s3:LifecycleTransition",
    "s3:IntelligentTiering",
    "s3:ObjectTagging:*",
    "s3:ObjectTagging:Put",
    "s3:ObjectTagging:Delete",
    "s3:ObjectAcl:Put",
    "s3:ObjectRetention:Put",
    "s3:ObjectAnnotation:*",
    "s3:ObjectAnnotation:Put",
    "s3:ObjectAnnotation:Delete",
];

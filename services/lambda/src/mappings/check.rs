//! What AWS accepts of a mapping, and its words for what it does not.

use super::{Mapping, Pattern, Stream};
use crate::errors::invalid;
use cloudlet_api_lambda::*;
use cloudlet_service::Arn;

/// Lambda quotas: filters of a mapping.
const MOST_FILTERS: usize = 10;

/// What a mapping reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    DynamoDb,
    Kinesis,
    Sqs,
    SqsFifo,
    Kafka,
    Mq,
    DocumentDb,
}

impl Kind {
    /// Errors: `InvalidParameterValueException` for an ARN of something that is no source.
    pub(crate) fn of(arn: &str) -> Result<Self, Error> {
        let parsed = Arn::parse(arn).ok_or_else(unrecognized)?;
        Ok(match parsed.service {
            "dynamodb" if parsed.resource.contains("/stream/") => Self::DynamoDb,
            "kinesis" if parsed.resource.starts_with("stream/") => Self::Kinesis,
            "sqs" if parsed.resource.ends_with(".fifo") => Self::SqsFifo,
            "sqs" => Self::Sqs,
            "kafka" => Self::Kafka,
            "mq" => Self::Mq,
            "rds" => Self::DocumentDb,
            _ => return Err(unrecognized()),
        })
    }

    pub(crate) fn is_queue(self) -> bool {
        matches!(self, Self::Sqs | Self::SqsFifo)
    }

    pub(crate) fn is_stream(self) -> bool {
        matches!(self, Self::DynamoDb | Self::Kinesis)
    }

    /// The default and the greatest batch.
    fn batch_sizes(self) -> (i32, i32) {
        match self {
            Self::Sqs => (10, 10_000),
            Self::SqsFifo => (10, 10),
            _ => (100, 10_000),
        }
    }
}

fn unrecognized() -> Error {
    invalid("Unrecognized event source.")
}

fn unsupported(parameter: &str) -> Error {
    invalid(format!("Unsupported {parameter} parameter for given event source mapping type."))
}

/// A new mapping of the function with this ARN. Errors: `InvalidParameterValueException`, `ValidationException`.
pub(crate) fn check_create(
    input: &CreateEventSourceMappingInput,
    kind: Kind,
    function: &str,
) -> Result<Mapping, Error> {
    let source = input.event_source_arn.clone().unwrap_or_default();
    let (batch, _) = kind.batch_sizes();
    let mut mapping = Mapping {
        source,
        function: function.to_owned(),
        enabled: input.enabled.unwrap_or(true),
        batch_size: batch,
        reason: if kind.is_queue() { "USER_INITIATED" } else { "User action" }.to_owned(),
        tags: input.tags.clone().unwrap_or_default(),
        ..Mapping::default()
    };
    if kind.is_stream() {
        let Some(position) = input.starting_position.clone() else {
            return Err(invalid(
                "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not be null.",
            ));
        };
        if kind == Kind::DynamoDb && position == "AT_TIMESTAMP" {
            return Err(invalid(format!("Unsupported starting position for arn type: {}", mapping.source)));
        }
        let timestamp = input.starting_position_timestamp.as_ref().and_then(|t| t.to_millis().ok());
        if (position == "AT_TIMESTAMP") != timestamp.is_some() {
            return Err(invalid(
                "StartingPositionTimestamp must be given with the starting position AT_TIMESTAMP, and only with it.",
            ));
        }
        mapping.last_result = Some("No records processed".to_owned());
        mapping.stream = Some(Stream {
            position,
            timestamp,
            parallel: 1,
            max_age_seconds: -1,
            max_retries: -1,
            ..Stream::default()
        });
    } else if kind.is_queue() && input.starting_position.is_some() {
        return Err(invalid("StartingPosition is not valid for SQS event sources."));
    }
    let changes = UpdateEventSourceMappingInput {
        batch_size: input.batch_size,
        filter_criteria: input.filter_criteria.clone(),
        kms_key_arn: input.kms_key_arn.clone(),
        metrics_config: input.metrics_config.clone(),
        logging_config: input.logging_config.clone(),
        scaling_config: input.scaling_config.clone(),
        maximum_batching_window_in_seconds: input.maximum_batching_window_in_seconds,
        parallelization_factor: input.parallelization_factor,
        destination_config: input.destination_config.clone(),
        maximum_record_age_in_seconds: input.maximum_record_age_in_seconds,
        bisect_batch_on_function_error: input.bisect_batch_on_function_error,
        maximum_retry_attempts: input.maximum_retry_attempts,
        tumbling_window_in_seconds: input.tumbling_window_in_seconds,
        function_response_types: input.function_response_types.clone(),
        ..Default::default()
    };
    check_update(&mut mapping, &changes, kind)?;
    Ok(mapping)
}

/// Applies an update. Errors: `InvalidParameterValueException`.
pub(crate) fn check_update(
    mapping: &mut Mapping,
    input: &UpdateEventSourceMappingInput,
    kind: Kind,
) -> Result<(), Error> {
    if let Some(size) = input.batch_size {
        let (_, most) = kind.batch_sizes();
        if !(1..=most).contains(&size) {
            return Err(invalid(format!(
                "1 validation error detected: Value '{size}' at 'batchSize' failed to satisfy constraint: Member must have value less than \
                 or equal to {most}"
            )));
        }
        mapping.batch_size = size;
    }
    if let Some(seconds) = input.maximum_batching_window_in_seconds {
        if kind == Kind::SqsFifo && seconds > 0 {
            return Err(invalid("Batching window is not supported for FIFO queues"));
        }
        mapping.window_seconds = seconds;
    }
    if kind == Kind::Sqs && mapping.batch_size > 10 && mapping.window_seconds == 0 {
        return Err(invalid(
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10",
        ));
    }
    if let Some(criteria) = &input.filter_criteria {
        mapping.filters = filters(criteria)?;
    }
    if let Some(types) = &input.function_response_types {
        mapping.responses.clone_from(types);
    }
    if let Some(config) = &input.metrics_config {
        mapping.metrics.clone_from(&config.metrics);
    }
    if let Some(config) = &input.logging_config {
        mapping.log_level.clone_from(&config.system_log_level);
    }
    if input.kms_key_arn.is_some() {
        mapping.kms_key = input.kms_key_arn.clone().filter(|key| !key.is_empty());
    }
    if let Some(scaling) = &input.scaling_config {
        if !kind.is_queue() {
            return Err(unsupported("ScalingConfig"));
        }
        mapping.max_concurrency = scaling.maximum_concurrency;
    }
    if input.destination_config.as_ref().is_some_and(|d| d.on_success.is_some()) {
        return Err(unsupported("DestinationConfig"));
    }
    let Some(stream) = &mut mapping.stream else { return only_queues_have(input) };
    if let Some(destinations) = &input.destination_config {
        stream.on_failure = destination(destinations)?;
    }
    if let Some(age) = input.maximum_record_age_in_seconds {
        if age != -1 && age < 60 {
            return Err(invalid(format!(
                "1 validation error detected: Value '{age}' at 'maximumRecordAgeInSeconds' failed to satisfy constraint: Member must have \
                 value greater than or equal to 60"
            )));
        }
        stream.max_age_seconds = age;
    }
    set(&mut stream.parallel, input.parallelization_factor);
    set(&mut stream.bisect, input.bisect_batch_on_function_error);
    set(&mut stream.max_retries, input.maximum_retry_attempts);
    set(&mut stream.tumbling_seconds, input.tumbling_window_in_seconds);
    if stream.tumbling_seconds > 0 && stream.parallel > 1 {
        return Err(invalid("ParallelizationFactor must be 1 when TumblingWindowInSeconds is set."));
    }
    Ok(())
}

fn only_queues_have(input: &UpdateEventSourceMappingInput) -> Result<(), Error> {
    for (given, name) in [
        (input.destination_config.is_some(), "DestinationConfig"),
        (input.maximum_record_age_in_seconds.is_some(), "MaximumRecordAgeInSeconds"),
        (input.parallelization_factor.is_some(), "ParallelizationFactor"),
        (input.bisect_batch_on_function_error.is_some(), "BisectBatchOnFunctionError"),
        (input.maximum_retry_attempts.is_some(), "MaximumRetryAttempts"),
        (input.tumbling_window_in_seconds.is_some(), "TumblingWindowInSeconds"),
    ] {
        if given {
            return Err(unsupported(name));
        }
    }
    Ok(())
}

fn set<T: Copy>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn filters(criteria: &FilterCriteria) -> Result<Option<Vec<String>>, Error> {
    let list = criteria.filters.as_deref().unwrap_or_default();
    if list.len() > MOST_FILTERS {
        return Err(invalid(format!("Number of filters exceeds the limit of {MOST_FILTERS}.")));
    }
    let mut texts = Vec::new();
    for filter in list {
        let text = filter.pattern.clone().filter(|text| Pattern::parse(text).is_some());
        texts.push(text.ok_or_else(|| invalid("Invalid filter pattern definition."))?);
    }
    Ok(Some(texts).filter(|texts| !texts.is_empty()))
}

/// Where records go that are given up: a queue, a topic or a bucket.
fn destination(config: &DestinationConfig) -> Result<Option<String>, Error> {
    let arn = config.on_failure.as_ref().and_then(|d| d.destination.clone()).filter(|arn| !arn.is_empty());
    match arn.as_deref().map(|arn| Arn::parse(arn).map(|a| a.service)) {
        None | Some(Some("sqs" | "sns" | "s3")) => Ok(arn),
        Some(_) => Err(invalid(format!(
            "The provided destination config DestinationConfig(onSuccess=null, onFailure=OnFailure(destination={})) is invalid.",
            arn.unwrap_or_default()
        ))),
    }
}

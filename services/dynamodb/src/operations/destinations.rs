//! Kinesis data streams as destinations of a table's changes.
//!
//! There is no Kinesis in this cloud, so that every stream is one that does not exist, and enabling it fails in the way
//! in which AWS lets it fail: the call begins it, and the destination shows that it could not be done, and why.
//! Source: Developer Guide, "Using Kinesis Data Streams to capture changes to DynamoDB"; API Reference,
//! `KinesisDataStreamDestination`.

use crate::DynamoDb;
use crate::errors::{Result, invalid, limit, not_found};
use crate::state::Destination;
use cloudlet_api_dynamodb::*;
use cloudlet_service::Arn;

/// AWS: the most destinations of a table.
const MOST: usize = 2;
const FAILED: &str = "ENABLE_FAILED";

/// Errors: no ARN of a data stream.
fn check_stream(arn: &str) -> Result<()> {
    let known =
        Arn::parse(arn).is_some_and(|arn| arn.service == "kinesis" && arn.resource.starts_with("stream/"));
    if known { Ok(()) } else { Err(invalid(format!("Invalid StreamArn: {arn}"))) }
}

/// AWS: what must be so before a destination may be changed.
fn state(verb: &str, operation: &str, wanted: &str, action: &str) -> Error {
    invalid(format!(
        "Table is not in a valid state to {verb} Kinesis Streaming Destination: {operation} must be {wanted} to perform \
         {action} operation."
    ))
}

fn none(arn: &str) -> Error {
    not_found(format!("Requested resource not found: Kinesis streaming destination: {arn} not found"))
}

impl DynamoDb {
    /// Begins to send a table's changes to a data stream.
    ///
    /// Errors: `ResourceNotFoundException`, `LimitExceededException`, `ValidationException`.
    pub async fn enable_kinesis_streaming_destination(
        &self,
        cx: &Context,
        input: EnableKinesisStreamingDestinationInput,
    ) -> Result<EnableKinesisStreamingDestinationOutput> {
        let table = self.control_table(cx, &input.table_name)?;
        check_stream(&input.stream_arn)?;
        let given = input.enable_kinesis_streaming_configuration.as_ref();
        let precision = given.and_then(|given| given.approximate_creation_date_time_precision.clone());
        self.change_table(&table, |_, table| {
            let full = table.destinations.len() >= MOST;
            let to = Destination {
                stream: input.stream_arn.clone(),
                status: FAILED.to_owned(),
                why: Some(format!(
                    "The Kinesis data stream does not exist or cannot be accessed: {}",
                    input.stream_arn
                )),
                precision: precision.clone(),
            };
            match table.destinations.iter_mut().find(|known| known.stream == input.stream_arn) {
                Some(known) if !matches!(known.status.as_str(), "DISABLED" | FAILED) => {
                    return Err(state(
                        "enable",
                        "EnableKinesisStreamingDestination",
                        "DISABLED or ENABLE_FAILED",
                        "ENABLE",
                    )
                    .into());
                }
                Some(known) => *known = to,
                None if full => {
                    return Err(limit(format!(
                        "Subscriber limit exceeded: A table can have at most {MOST} Kinesis streaming destinations"
                    ))
                    .into());
                }
                None => table.destinations.push(to),
            }
            Ok(())
        })
        .await?;
        Ok(EnableKinesisStreamingDestinationOutput {
            table_name: Some(table.name.clone()),
            stream_arn: Some(input.stream_arn),
            destination_status: Some("ENABLING".to_owned()),
            enable_kinesis_streaming_configuration: input.enable_kinesis_streaming_configuration,
            ..Default::default()
        })
    }

    /// Ends it.
    ///
    /// Errors: `ResourceNotFoundException`, `ValidationException` for a destination that is not active.
    pub async fn disable_kinesis_streaming_destination(
        &self,
        cx: &Context,
        input: DisableKinesisStreamingDestinationInput,
    ) -> Result<DisableKinesisStreamingDestinationOutput> {
        let table = self.control_table(cx, &input.table_name)?;
        check_stream(&input.stream_arn)?;
        match table.destinations.iter().find(|to| to.stream == input.stream_arn) {
            // None can have become active.
            Some(_) => Err(state("disable", "DisableKinesisStreamingDestination", "ACTIVE", "DISABLE")),
            None => Err(none(&input.stream_arn)),
        }
    }

    /// Changes how precise the times in its records are.
    ///
    /// Errors: `ResourceNotFoundException`, `ValidationException` for a destination that is not active.
    pub async fn update_kinesis_streaming_destination(
        &self,
        cx: &Context,
        input: UpdateKinesisStreamingDestinationInput,
    ) -> Result<UpdateKinesisStreamingDestinationOutput> {
        let table = self.control_table(cx, &input.table_name)?;
        check_stream(&input.stream_arn)?;
        let wanted = input.update_kinesis_streaming_configuration.as_ref();
        if wanted.is_none_or(|wanted| wanted.approximate_creation_date_time_precision.is_none()) {
            return Err(invalid(
                "Streaming destination cannot be updated with given parameters: UpdateKinesisStreamingConfiguration cannot be null or contain only null values",
            ));
        }
        match table.destinations.iter().find(|to| to.stream == input.stream_arn) {
            Some(_) => Err(state("update", "UpdateKinesisStreamingDestination", "ACTIVE", "UPDATE")),
            None => Err(none(&input.stream_arn)),
        }
    }

    /// Shows where a table's changes go beside its stream.
    ///
    /// Errors: `ResourceNotFoundException`.
    pub async fn describe_kinesis_streaming_destination(
        &self,
        cx: &Context,
        input: DescribeKinesisStreamingDestinationInput,
    ) -> Result<DescribeKinesisStreamingDestinationOutput> {
        let table = self.control_table(cx, &input.table_name)?;
        let shown = table.destinations.iter().map(|to| KinesisDataStreamDestination {
            stream_arn: Some(to.stream.clone()),
            destination_status: Some(to.status.clone()),
            destination_status_description: to.why.clone(),
            approximate_creation_date_time_precision: to.precision.clone(),
            ..Default::default()
        });
        Ok(DescribeKinesisStreamingDestinationOutput {
            table_name: Some(table.name.clone()),
            kinesis_data_stream_destinations: Some(shown.collect()),
            ..Default::default()
        })
    }
}

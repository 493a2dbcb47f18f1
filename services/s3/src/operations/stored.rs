//! Configurations that are kept and given back: inventory, analytics, metrics, intelligent tiering. On one machine
//! they cause nothing; their rules are AWS's.

use crate::S3;
use crate::configurations::Kind;
use crate::errors::{Result, malformed_xml};
use cloudlet_api_s3::{self as api, NoMembers};
use cloudlet_service::{Arn, Context, Error};

const NO_SUCH: (&str, &str) = ("NoSuchConfiguration", "The specified configuration does not exist.");

/// The four operations of a kind.
macro_rules! family {
    (
        $kind:ident = $name:literal,
        $get:ident($get_in:ident) -> $get_out:ident,
        $put:ident($put_in:ident),
        $delete:ident($delete_in:ident),
        $list:ident($list_in:ident) -> $list_out:ident,
        $field:ident, $many:ident
    ) => {
        const $kind: Kind = Kind { name: $name, missing: NO_SUCH };

        impl S3 {
            /// The configuration of this id. Errors: `NoSuchConfiguration`.
            pub async fn $get(&self, _: &Context, input: api::$get_in) -> Result<api::$get_out, Error> {
                let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
                let stored = self.config(&bucket, &$kind, &input.id)?;
                let stored = stored.ok_or_else(|| $kind.missing(&bucket.name))?;
                Ok(api::$get_out { $field: Some(stored) })
            }

            /// Writes it. Errors: `IdMismatch` or `MalformedXML` where the ids differ, `TooManyConfigurations`.
            pub async fn $put(&self, _: &Context, input: api::$put_in) -> Result<NoMembers, Error> {
                input.$field.check(&input.id)?;
                let owner = input.expected_bucket_owner.as_deref();
                self.put_config(&input.bucket, owner, &$kind, &input.id, &input.$field).await?;
                Ok(NoMembers)
            }

            /// Removes it. Errors: `NoSuchConfiguration`.
            pub async fn $delete(&self, _: &Context, input: api::$delete_in) -> Result<NoMembers, Error> {
                let owner = input.expected_bucket_owner.as_deref();
                match self.delete_config(&input.bucket, owner, &$kind, &input.id).await? {
                    true => Ok(NoMembers),
                    false => Err($kind.missing(&input.bucket)),
                }
            }

            /// A page of all of them by id. Errors: `InvalidArgument`.
            pub async fn $list(&self, _: &Context, input: api::$list_in) -> Result<api::$list_out, Error> {
                let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
                let (found, next) = self.configs(&bucket, &$kind, input.continuation_token.as_deref())?;
                Ok(api::$list_out {
                    is_truncated: Some(next.is_some()),
                    continuation_token: input.continuation_token,
                    next_continuation_token: next,
                    $many: (!found.is_empty()).then_some(found),
                })
            }
        }
    };
}

family!(
    INVENTORY = "inventory",
    get_bucket_inventory_configuration(GetBucketInventoryConfigurationInput) -> GetBucketInventoryConfigurationOutput,
    put_bucket_inventory_configuration(PutBucketInventoryConfigurationInput),
    delete_bucket_inventory_configuration(DeleteBucketInventoryConfigurationInput),
    list_bucket_inventory_configurations(ListBucketInventoryConfigurationsInput)
        -> ListBucketInventoryConfigurationsOutput,
    inventory_configuration, inventory_configuration_list
);

family!(
    ANALYTICS = "analytics",
    get_bucket_analytics_configuration(GetBucketAnalyticsConfigurationInput) -> GetBucketAnalyticsConfigurationOutput,
    put_bucket_analytics_configuration(PutBucketAnalyticsConfigurationInput),
    delete_bucket_analytics_configuration(DeleteBucketAnalyticsConfigurationInput),
    list_bucket_analytics_configurations(ListBucketAnalyticsConfigurationsInput)
        -> ListBucketAnalyticsConfigurationsOutput,
    analytics_configuration, analytics_configuration_list
);

family!(
    METRICS = "metrics",
    get_bucket_metrics_configuration(GetBucketMetricsConfigurationInput) -> GetBucketMetricsConfigurationOutput,
    put_bucket_metrics_configuration(PutBucketMetricsConfigurationInput),
    delete_bucket_metrics_configuration(DeleteBucketMetricsConfigurationInput),
    list_bucket_metrics_configurations(ListBucketMetricsConfigurationsInput) -> ListBucketMetricsConfigurationsOutput,
    metrics_configuration, metrics_configuration_list
);

family!(
    TIERING = "intelligent-tiering",
    get_bucket_intelligent_tiering_configuration(GetBucketIntelligentTieringConfigurationInput)
        -> GetBucketIntelligentTieringConfigurationOutput,
    put_bucket_intelligent_tiering_configuration(PutBucketIntelligentTieringConfigurationInput),
    delete_bucket_intelligent_tiering_configuration(DeleteBucketIntelligentTieringConfigurationInput),
    list_bucket_intelligent_tiering_configurations(ListBucketIntelligentTieringConfigurationsInput)
        -> ListBucketIntelligentTieringConfigurationsOutput,
    intelligent_tiering_configuration, intelligent_tiering_configuration_list
);

/// What is checked of a configuration before it is kept, beyond its shape.
trait Checked {
    /// Errors: the kind's own.
    fn check(&self, id: &str) -> Result<(), Error>;
}

impl Checked for api::InventoryConfiguration {
    fn check(&self, id: &str) -> Result<(), Error> {
        if self.id != id {
            let message = "Document ID does not match the specified configuration ID.";
            return Err(Error::sender("IdMismatch", message));
        }
        check_id(id)?;
        let to = &self.destination.s3_bucket_destination;
        check_destination(&to.bucket)?;
        let both = to.encryption.as_ref().is_some_and(|e| e.sses3.is_some() && e.ssekms.is_some());
        if both {
            return Err(malformed_xml());
        }
        Ok(())
    }
}

impl Checked for api::AnalyticsConfiguration {
    fn check(&self, id: &str) -> Result<(), Error> {
        same_id(id, &self.id)?;
        if let Some(filter) = &self.filter {
            let and = filter.and.as_ref();
            one_of([filter.prefix.is_some(), filter.tag.is_some(), and.is_some(), false])?;
            at_least_two(and.map(|a| usize::from(a.prefix.is_some()) + a.tags.as_ref().map_or(0, Vec::len)))?;
        }
        match &self.storage_class_analysis.data_export {
            Some(export) => check_destination(&export.destination.s3_bucket_destination.bucket),
            None => Ok(()),
        }
    }
}

impl Checked for api::MetricsConfiguration {
    fn check(&self, id: &str) -> Result<(), Error> {
        same_id(id, &self.id)?;
        let Some(filter) = &self.filter else { return Ok(()) };
        let and = filter.and.as_ref();
        let access_point = filter.access_point_arn.is_some();
        one_of([filter.prefix.is_some(), filter.tag.is_some(), and.is_some(), access_point])?;
        at_least_two(and.map(|a| {
            usize::from(a.prefix.is_some())
                + usize::from(a.access_point_arn.is_some())
                + a.tags.as_ref().map_or(0, Vec::len)
        }))
    }
}

impl Checked for api::IntelligentTieringConfiguration {
    fn check(&self, id: &str) -> Result<(), Error> {
        same_id(id, &self.id)?;
        if let Some(filter) = &self.filter {
            let and = filter.and.as_ref();
            one_of([filter.prefix.is_some(), filter.tag.is_some(), and.is_some(), false])?;
            at_least_two(and.map(|a| usize::from(a.prefix.is_some()) + a.tags.as_ref().map_or(0, Vec::len)))?;
        }
        let mut seen = Vec::new();
        for tier in &self.tierings {
            let least = if tier.access_tier == "DEEP_ARCHIVE_ACCESS" { 180 } else { 90 };
            if !(least..=730).contains(&tier.days) || seen.contains(&&tier.access_tier) {
                return Err(malformed_xml());
            }
            seen.push(&tier.access_tier);
        }
        if seen.is_empty() { Err(malformed_xml()) } else { Ok(()) }
    }
}

/// Errors: `MalformedXML`.
fn same_id(asked: &str, inside: &str) -> Result<(), Error> {
    if asked == inside { check_id(asked) } else { Err(malformed_xml()) }
}

/// A filter is one thing. Errors: `MalformedXML`.
fn one_of(given: [bool; 4]) -> Result<(), Error> {
    if given.into_iter().filter(|g| *g).count() > 1 { Err(malformed_xml()) } else { Ok(()) }
}

/// An `And` joins two things at least. Errors: `MalformedXML`.
fn at_least_two(parts: Option<usize>) -> Result<(), Error> {
    if parts.is_some_and(|n| n < 2) { Err(malformed_xml()) } else { Ok(()) }
}

/// The bucket that reports go to. Errors: `InvalidS3DestinationBucket`.
fn check_destination(arn: &str) -> Result<(), Error> {
    let bucket = Arn::parse(arn).is_some_and(|a| a.service == "s3" && !a.resource.is_empty());
    if bucket { Ok(()) } else { Err(Error::sender("InvalidS3DestinationBucket", "Invalid bucket ARN.")) }
}

/// Errors: `InvalidConfigurationId`.
fn check_id(id: &str) -> Result<(), Error> {
    if id.is_empty() || id.len() > 64 || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    {
        return Err(invalid_id());
    }
    Ok(())
}

/// An id of a configuration that is none, or is missing.
pub(crate) fn invalid_id() -> Error {
    Error::sender("InvalidConfigurationId", "The specified configuration id is invalid.")
}

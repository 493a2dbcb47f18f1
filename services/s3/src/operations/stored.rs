//! Configurations that are kept and given back: inventory, analytics, metrics, intelligent tiering. On one machine
//! they cause nothing; their rules are AWS's.

use crate::S3;
use crate::configurations::Kind;
use crate::errors::{Result, invalid_argument};
use cloudlet_api_s3::{self as api, NoMembers};
use cloudlet_service::{Context, Error};

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

            /// Writes it. Errors: `InvalidArgument` where the ids differ, `TooManyConfigurations`.
            pub async fn $put(&self, _: &Context, input: api::$put_in) -> Result<NoMembers, Error> {
                check_id(&input.id, &input.$field.id)?;
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

/// Errors: `InvalidArgument`.
fn check_id(asked: &str, inside: &str) -> Result<(), Error> {
    if asked != inside {
        return Err(invalid_argument(
            "Id in the request parameter does not match the one in the configuration",
            "id",
            asked,
        ));
    }
    if asked.is_empty()
        || asked.len() > 64
        || !asked.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    {
        return Err(invalid_argument("The specified id is not valid.", "id", asked));
    }
    Ok(())
}

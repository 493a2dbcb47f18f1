//! The lifecycle configuration of a bucket.

use crate::S3;
use crate::errors::{Result, malformed_xml};
use crate::lifecycle::{LIFECYCLE, check};
use cloudlet_api_s3::{self as api, NoMembers};
use cloudlet_service::{Context, Error};

const DEFAULT_MINIMUM: &str = "all_storage_classes_128K";

impl S3 {
    /// The rules. Errors: `NoSuchLifecycleConfiguration`.
    pub async fn get_bucket_lifecycle_configuration(
        &self,
        _: &Context,
        input: api::GetBucketLifecycleConfigurationInput,
    ) -> Result<api::GetBucketLifecycleConfigurationOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        let stored = self.config::<api::BucketLifecycleConfiguration>(&bucket, &LIFECYCLE, "")?;
        let stored = stored.ok_or_else(|| LIFECYCLE.missing(&bucket.name))?;
        Ok(api::GetBucketLifecycleConfigurationOutput {
            rules: Some(stored.rules),
            transition_default_minimum_object_size: Some(DEFAULT_MINIMUM.to_owned()),
        })
    }

    /// Replaces them. Errors: `MalformedXML`, `InvalidArgument`, `InvalidRequest`.
    pub async fn put_bucket_lifecycle_configuration(
        &self,
        cx: &Context,
        input: api::PutBucketLifecycleConfigurationInput,
    ) -> Result<api::PutBucketLifecycleConfigurationOutput, Error> {
        let mut configuration = input.lifecycle_configuration.ok_or_else(malformed_xml)?;
        check(cx, &mut configuration)?;
        let owner = input.expected_bucket_owner.as_deref();
        self.put_config(&input.bucket, owner, &LIFECYCLE, "", &configuration).await?;
        Ok(api::PutBucketLifecycleConfigurationOutput {
            transition_default_minimum_object_size: input
                .transition_default_minimum_object_size
                .or(Some(DEFAULT_MINIMUM.to_owned())),
        })
    }

    /// Removes them. Errors: `NoSuchBucket`.
    pub async fn delete_bucket_lifecycle(
        &self,
        _: &Context,
        input: api::DeleteBucketLifecycleInput,
    ) -> Result<NoMembers, Error> {
        self.delete_config(&input.bucket, input.expected_bucket_owner.as_deref(), &LIFECYCLE, "").await?;
        Ok(NoMembers)
    }
}

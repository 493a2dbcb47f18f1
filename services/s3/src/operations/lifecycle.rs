//! The lifecycle configuration of a bucket.

use crate::S3;
use crate::errors::{Result, invalid_request, malformed_xml};
use crate::lifecycle::{LIFECYCLE, SMALL_TRANSITIONS, check};
use cloudlet_api_s3::{self as api, NoMembers};
use cloudlet_service::{Context, Error};

const DEFAULT_MINIMUM: &str = "all_storage_classes_128K";
const VARIES: &str = "varies_by_storage_class";

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
        let minimum = if bucket.has(SMALL_TRANSITIONS) { VARIES } else { DEFAULT_MINIMUM };
        Ok(api::GetBucketLifecycleConfigurationOutput {
            rules: Some(stored.rules),
            transition_default_minimum_object_size: Some(minimum.to_owned()),
        })
    }

    /// Replaces them. Errors: `MalformedXML`, `InvalidArgument`, `InvalidRequest`.
    pub async fn put_bucket_lifecycle_configuration(
        &self,
        cx: &Context,
        input: api::PutBucketLifecycleConfigurationInput,
    ) -> Result<api::PutBucketLifecycleConfigurationOutput, Error> {
        let mut configuration = input.lifecycle_configuration.ok_or_else(malformed_xml)?;
        let minimum =
            input.transition_default_minimum_object_size.unwrap_or_else(|| DEFAULT_MINIMUM.to_owned());
        if minimum != DEFAULT_MINIMUM && minimum != VARIES {
            let message = format!(
                "Invalid TransitionDefaultMinimumObjectSize found: {minimum}, valid values are: [{VARIES}, \
                 {DEFAULT_MINIMUM}]"
            );
            return Err(invalid_request(message));
        }
        check(cx, &mut configuration)?;
        let owner = input.expected_bucket_owner.as_deref();
        self.put_config(&input.bucket, owner, &LIFECYCLE, "", &configuration).await?;
        let varies = minimum == VARIES;
        if self.bucket(&input.bucket)?.has(SMALL_TRANSITIONS) != varies {
            self.change(&input.bucket, owner, |bucket| {
                bucket.has.retain(|name| name != SMALL_TRANSITIONS);
                if varies {
                    bucket.has.push(SMALL_TRANSITIONS.to_owned());
                }
                Ok(())
            })
            .await?;
        }
        Ok(api::PutBucketLifecycleConfigurationOutput {
            transition_default_minimum_object_size: Some(minimum),
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

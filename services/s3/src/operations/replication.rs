//! The replication configuration of a bucket. What it does stands in `replication`.

use crate::S3;
use crate::errors::Result;
use crate::replication::{REPLICATION, check};
use cloudlet_api_s3::{self as api, NoMembers};
use cloudlet_service::{Context, Error};

impl S3 {
    /// Replaces the replication rules. Objects that are there already stay where they are.
    /// Errors: `InvalidRequest`, `InvalidArgument`, `MalformedXML`.
    pub async fn put_bucket_replication(
        &self,
        cx: &Context,
        input: api::PutBucketReplicationInput,
    ) -> Result<NoMembers, Error> {
        let owner = input.expected_bucket_owner.as_deref();
        let bucket = self.expected(&input.bucket, owner)?;
        let mut configuration = input.replication_configuration;
        check(self, cx, &bucket, &mut configuration)?;
        self.put_config(&input.bucket, owner, &REPLICATION, "", &configuration).await?;
        Ok(NoMembers)
    }

    /// The replication rules. Errors: `ReplicationConfigurationNotFoundError`.
    pub async fn get_bucket_replication(
        &self,
        _: &Context,
        input: api::GetBucketReplicationInput,
    ) -> Result<api::GetBucketReplicationOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        let stored = self.config::<api::ReplicationConfiguration>(&bucket, &REPLICATION, "")?;
        let stored = stored.ok_or_else(|| REPLICATION.missing(&bucket.name))?;
        Ok(api::GetBucketReplicationOutput { replication_configuration: Some(stored) })
    }

    /// Removes them. Errors: `NoSuchBucket`.
    pub async fn delete_bucket_replication(
        &self,
        _: &Context,
        input: api::DeleteBucketReplicationInput,
    ) -> Result<NoMembers, Error> {
        self.delete_config(&input.bucket, input.expected_bucket_owner.as_deref(), &REPLICATION, "").await?;
        Ok(NoMembers)
    }
}

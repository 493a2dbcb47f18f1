//! What only directory buckets (S3 Express One Zone) have. There are none here, as in an account that never made one, and
//! general purpose buckets refuse it. Source: S3 API Reference, ListDirectoryBuckets, CreateSession, RenameObject.

use crate::S3;
use crate::errors::method_not_allowed;
use cloudlet_api_s3 as api;
use cloudlet_service::{Context, Error};

impl S3 {
    /// The directory buckets of the account: none.
    pub async fn list_directory_buckets(
        &self,
        _: &Context,
        _: api::ListDirectoryBucketsInput,
    ) -> Result<api::ListDirectoryBucketsOutput, Error> {
        Ok(api::ListDirectoryBucketsOutput { buckets: Some(Vec::new()), ..Default::default() })
    }

    /// Refused: sessions are for directory buckets. Errors: `NoSuchBucket`, `MethodNotAllowed`.
    pub async fn create_session(
        &self,
        _: &Context,
        input: api::CreateSessionInput,
    ) -> Result<api::CreateSessionOutput, Error> {
        self.bucket(&input.bucket)?;
        Err(method_not_allowed("GET", "SESSION"))
    }

    /// Refused: objects of general purpose buckets are copied and deleted. Errors: `NoSuchBucket`, `MethodNotAllowed`.
    pub async fn rename_object(
        &self,
        _: &Context,
        input: api::RenameObjectInput,
    ) -> Result<api::RenameObjectOutput, Error> {
        self.bucket(&input.bucket)?;
        Err(method_not_allowed("PUT", "RENAMEOBJECT"))
    }
}

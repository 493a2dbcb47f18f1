//! Settings of a bucket: versioning, tags, request payment, acceleration, encryption, logging.

use crate::S3;
use crate::configurations::Kind;
use crate::errors::{Result, invalid_request, malformed_xml, no_such_configuration};
use crate::logging;
use crate::state::{Bucket, Versioning};
use crate::tags::{self, BUCKET_TAGS};
use cloudlet_api_s3 as api;
use cloudlet_api_s3::NoMembers;
use cloudlet_service::{Context, Error, Principal};

pub(crate) const ENCRYPTION: Kind = Kind {
    name: "encryption",
    missing: (
        "ServerSideEncryptionConfigurationNotFoundError",
        "The server side encryption configuration was not found",
    ),
};
pub(crate) const LOGGING: Kind = Kind { name: "logging", missing: ("", "") };
const ACCELERATION: Kind = Kind { name: "accelerate", missing: ("", "") };

impl S3 {
    /// Whether a request to the names of transfer acceleration is one for this bucket. Errors: `InvalidRequest`.
    /// Source: S3 API Reference, "Error responses"; S3 User Guide, "Configuring fast, secure file transfers".
    pub(crate) fn check_accelerated(&self, cx: &Context, bucket: &Bucket) -> Result<()> {
        let host = &cx.origin.host;
        if host.starts_with("s3-accelerate.") {
            let message = "S3 Transfer Acceleration endpoint supports only virtual style requests";
            return Err(invalid_request(message).into());
        }
        let rest = host.strip_prefix(bucket.name.as_str());
        if !rest.is_some_and(|rest| rest.starts_with(".s3-accelerate.")) {
            return Ok(());
        }
        let stored = self.config::<api::AccelerateConfiguration>(bucket, &ACCELERATION, "")?;
        match stored.and_then(|c| c.status).as_deref() {
            Some("Enabled") => Ok(()),
            Some(_) => Err(invalid_request("S3 Transfer Acceleration is disabled on this bucket").into()),
            None => Err(invalid_request("S3 Transfer Acceleration is not configured on this bucket").into()),
        }
    }
}

impl S3 {
    /// Whether the bucket keeps versions. Errors: `NoSuchBucket`.
    pub async fn get_bucket_versioning(
        &self,
        _: &Context,
        input: api::GetBucketVersioningInput,
    ) -> Result<api::GetBucketVersioningOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        let status = match bucket.versioning {
            Versioning::Never => None,
            Versioning::Enabled => Some("Enabled".to_owned()),
            Versioning::Suspended => Some("Suspended".to_owned()),
        };
        let mfa_delete = bucket.mfa_delete.map(|on| if on { "Enabled" } else { "Disabled" }.to_owned());
        Ok(api::GetBucketVersioningOutput { status, mfa_delete })
    }

    /// Begins or suspends versioning, and the demand for a one-time password on deletions.
    /// Errors: `MalformedXML`, `InvalidBucketState` under object lock, `AccessDenied` where a password is due.
    pub async fn put_bucket_versioning(
        &self,
        cx: &Context,
        input: api::PutBucketVersioningInput,
    ) -> Result<NoMembers, Error> {
        let configuration = input.versioning_configuration;
        let status = match configuration.status.as_deref() {
            Some("Enabled") => Versioning::Enabled,
            Some("Suspended") => Versioning::Suspended,
            _ => {
                let message = "The Versioning element must be specified";
                return Err(Error::sender("IllegalVersioningConfigurationException", message));
            }
        };
        let mfa_delete = configuration.mfa_delete.as_deref().map(|state| state == "Enabled");
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        let demanded = bucket.mfa_delete == Some(true);
        if demanded || mfa_delete == Some(true) {
            if mfa_delete.is_some_and(|on| on != demanded) && !is_root(cx, &bucket) {
                let message = "This operation may only be performed by the bucket owner";
                return Err(Error::new("AccessDenied", 403, message));
            }
            check_mfa(cx, input.mfa.as_deref()).await?;
        }
        self.change(&input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
            if bucket.lock.is_some() && status == Versioning::Suspended {
                let message = "An Object Lock configuration is present on this bucket, so the versioning state cannot be \
                               changed.";
                return Err(Error::new("InvalidBucketState", 409, message).into());
            }
            if status == Versioning::Suspended && bucket.has("replication") {
                let message = "A replication configuration is present on this bucket, so the versioning state cannot be \
                               changed.";
                return Err(Error::new("InvalidBucketState", 409, message).into());
            }
            bucket.versioning = status;
            bucket.mfa_delete = mfa_delete.or(bucket.mfa_delete);
            Ok(())
        })
        .await?;
        Ok(NoMembers)
    }

    /// The bucket's tags. Errors: `NoSuchTagSet`.
    pub async fn get_bucket_tagging(
        &self,
        _: &Context,
        input: api::GetBucketTaggingInput,
    ) -> Result<api::GetBucketTaggingOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        if bucket.tags.is_empty() {
            return Err(no_such_configuration("NoSuchTagSet", "The TagSet does not exist", &bucket.name));
        }
        Ok(api::GetBucketTaggingOutput { tag_set: tags::to_set(&bucket.tags) })
    }

    /// Replaces them. Errors: `InvalidTag`, `BadRequest`.
    pub async fn put_bucket_tagging(
        &self,
        _: &Context,
        input: api::PutBucketTaggingInput,
    ) -> Result<NoMembers, Error> {
        let tags = tags::from_set(input.tagging.tag_set, BUCKET_TAGS, "Bucket")?;
        self.change(&input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
            bucket.tags = tags.clone();
            Ok(())
        })
        .await?;
        Ok(NoMembers)
    }

    /// Removes them. Errors: `NoSuchBucket`.
    pub async fn delete_bucket_tagging(
        &self,
        _: &Context,
        input: api::DeleteBucketTaggingInput,
    ) -> Result<NoMembers, Error> {
        self.change(&input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
            bucket.tags.clear();
            Ok(())
        })
        .await?;
        Ok(NoMembers)
    }

    /// Who pays for requests. Errors: `NoSuchBucket`.
    pub async fn get_bucket_request_payment(
        &self,
        _: &Context,
        input: api::GetBucketRequestPaymentInput,
    ) -> Result<api::GetBucketRequestPaymentOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        let payer = if bucket.requester_pays { "Requester" } else { "BucketOwner" };
        Ok(api::GetBucketRequestPaymentOutput { payer: Some(payer.to_owned()) })
    }

    /// Says who pays. Errors: `MalformedXML`.
    pub async fn put_bucket_request_payment(
        &self,
        _: &Context,
        input: api::PutBucketRequestPaymentInput,
    ) -> Result<NoMembers, Error> {
        let requester = match input.request_payment_configuration.payer.as_str() {
            "Requester" => true,
            "BucketOwner" => false,
            _ => return Err(malformed_xml()),
        };
        self.change(&input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
            bucket.requester_pays = requester;
            Ok(())
        })
        .await?;
        Ok(NoMembers)
    }

    /// Whether acceleration is on; nothing where it never was. Errors: `NoSuchBucket`.
    pub async fn get_bucket_accelerate_configuration(
        &self,
        _: &Context,
        input: api::GetBucketAccelerateConfigurationInput,
    ) -> Result<api::GetBucketAccelerateConfigurationOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        let stored = self.config::<api::AccelerateConfiguration>(&bucket, &ACCELERATION, "")?;
        Ok(api::GetBucketAccelerateConfigurationOutput {
            status: stored.and_then(|c| c.status),
            request_charged: None,
        })
    }

    /// Turns it on or off; on one machine nothing is nearer for it. Errors: `InvalidRequest` for names with dots.
    pub async fn put_bucket_accelerate_configuration(
        &self,
        _: &Context,
        input: api::PutBucketAccelerateConfigurationInput,
    ) -> Result<NoMembers, Error> {
        if input.bucket.contains('.') {
            let message =
                "S3 Transfer Acceleration is not supported for buckets with periods (.) in their names";
            return Err(invalid_request(message));
        }
        if input.accelerate_configuration.status.is_none() {
            return Err(malformed_xml());
        }
        let owner = input.expected_bucket_owner.as_deref();
        self.put_config(&input.bucket, owner, &ACCELERATION, "", &input.accelerate_configuration).await?;
        Ok(NoMembers)
    }

    /// How new objects are encrypted where they do not say: every bucket has SSE-S3 at least. Errors: `NoSuchBucket`.
    pub async fn get_bucket_encryption(
        &self,
        _: &Context,
        input: api::GetBucketEncryptionInput,
    ) -> Result<api::GetBucketEncryptionOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        let stored = self.config::<api::ServerSideEncryptionConfiguration>(&bucket, &ENCRYPTION, "")?;
        Ok(api::GetBucketEncryptionOutput {
            server_side_encryption_configuration: Some(stored.unwrap_or_else(default_encryption)),
        })
    }

    /// Replaces the default. Whether a key of KMS is there shows when it is used. Errors: `MalformedXML`, `InvalidArgument`.
    pub async fn put_bucket_encryption(
        &self,
        _: &Context,
        input: api::PutBucketEncryptionInput,
    ) -> Result<NoMembers, Error> {
        let mut configuration = input.server_side_encryption_configuration;
        let [rule] = &mut configuration.rules[..] else { return Err(malformed_xml()) };
        // A rule that says nothing is none.
        if rule.apply_server_side_encryption_by_default.is_none()
            && rule.bucket_key_enabled.is_none()
            && rule.blocked_encryption_types.is_none()
        {
            return Err(malformed_xml());
        }
        if let Some(default) = &rule.apply_server_side_encryption_by_default {
            match default.sse_algorithm.as_str() {
                "AES256" if default.kms_master_key_id.is_some() => {
                    let message = "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse";
                    return Err(Error::sender("InvalidArgument", message)
                        .with("ArgumentName", "ApplyServerSideEncryptionByDefault"));
                }
                "AES256" | "aws:kms" | "aws:kms:dsse" => {}
                _ => return Err(malformed_xml()),
            }
        }
        if rule.apply_server_side_encryption_by_default.is_none() {
            rule.apply_server_side_encryption_by_default = Some(by_s3());
        }
        rule.bucket_key_enabled = Some(rule.bucket_key_enabled.unwrap_or(false));
        let owner = input.expected_bucket_owner.as_deref();
        self.put_config(&input.bucket, owner, &ENCRYPTION, "", &configuration).await?;
        Ok(NoMembers)
    }

    /// Goes back to SSE-S3. Errors: `NoSuchBucket`.
    pub async fn delete_bucket_encryption(
        &self,
        _: &Context,
        input: api::DeleteBucketEncryptionInput,
    ) -> Result<NoMembers, Error> {
        self.delete_config(&input.bucket, input.expected_bucket_owner.as_deref(), &ENCRYPTION, "").await?;
        Ok(NoMembers)
    }

    /// Where access logs go. Errors: `NoSuchBucket`.
    pub async fn get_bucket_logging(
        &self,
        _: &Context,
        input: api::GetBucketLoggingInput,
    ) -> Result<api::GetBucketLoggingOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        let stored = self.config::<api::BucketLoggingStatus>(&bucket, &LOGGING, "")?;
        Ok(api::GetBucketLoggingOutput { logging_enabled: stored.and_then(|s| s.logging_enabled) })
    }

    /// Says where they go; an empty document ends logging. Errors: `InvalidTargetBucketForLogging`, `MalformedXML`,
    /// `MalformedACLError` and `InvalidArgument` for grants that cannot be.
    pub async fn put_bucket_logging(
        &self,
        _: &Context,
        input: api::PutBucketLoggingInput,
    ) -> Result<NoMembers, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        let Some(enabled) = &input.bucket_logging_status.logging_enabled else {
            self.delete_config(&input.bucket, None, &LOGGING, "").await?;
            return Ok(NoMembers);
        };
        let target = self.bucket(&enabled.target_bucket).map_err(|_| {
            let message = "The target bucket for logging does not exist";
            Error::sender("InvalidTargetBucketForLogging", message)
                .with("TargetBucket", enabled.target_bucket.clone())
        })?;
        if target.owner != bucket.owner {
            let message = "The owner for the bucket to be logged and the target bucket must be the same.";
            return Err(Error::sender("InvalidTargetBucketForLogging", message)
                .with("TargetBucket", enabled.target_bucket.clone()));
        }
        if target.region != bucket.region {
            // The code is spelt so.
            let message = "Cross S3 location logging not allowed. ";
            let mut error = Error::new("CrossLocationLoggingProhibitted", 403, message);
            if bucket.region != "us-east-1" {
                error = error.with("SourceBucketLocation", bucket.region.clone());
            }
            return Err(error.with("TargetBucketLocation", target.region.clone()));
        }
        let format = enabled.target_object_key_format.as_ref();
        if format.is_some_and(|f| f.simple_prefix.is_some() == f.partitioned_prefix.is_some()) {
            return Err(malformed_xml());
        }
        logging::grants(&target, enabled)?;
        self.put_config(&input.bucket, None, &LOGGING, "", &input.bucket_logging_status).await?;
        Ok(NoMembers)
    }
}

/// `x-amz-mfa`, the serial of a device and what it shows: where a bucket demands it, it must be right.
/// Errors: `AccessDenied` without any, `NotDeviceOwnerError`, `DeviceNotActiveError`, `TokenCodeInvalidError`.
/// Source: S3 User Guide, "Configuring MFA delete"; S3 API Reference, "Error responses".
pub(crate) async fn check_mfa(cx: &Context, given: Option<&str>) -> Result<(), Error> {
    let denied = || Error::new("AccessDenied", 403, "Mfa Authentication must be used for this request");
    let (serial, code) = given.ok_or_else(denied)?.trim().rsplit_once(' ').ok_or_else(denied)?;
    cx.cloud.identity()?.check_mfa(cx, serial.trim(), code).await
}

/// Whether the caller is the root user of the bucket's account.
fn is_root(cx: &Context, bucket: &crate::state::Bucket) -> bool {
    matches!(&cx.principal, Principal::Root { account } if **account == *bucket.owner)
}

fn by_s3() -> api::ServerSideEncryptionByDefault {
    api::ServerSideEncryptionByDefault { sse_algorithm: "AES256".to_owned(), ..Default::default() }
}

fn default_encryption() -> api::ServerSideEncryptionConfiguration {
    api::ServerSideEncryptionConfiguration {
        rules: vec![api::ServerSideEncryptionRule {
            apply_server_side_encryption_by_default: Some(by_s3()),
            bucket_key_enabled: Some(false),
            ..Default::default()
        }],
        ..Default::default()
    }
}

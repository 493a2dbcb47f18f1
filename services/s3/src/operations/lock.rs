//! Object lock: the bucket's configuration, retention and legal hold of versions.
//! Source: S3 User Guide, "Locking objects with Object Lock".

use crate::S3;
use crate::draft::retention;
use crate::errors::{Result, invalid_request, malformed_xml, no_such_configuration};
use crate::state::{Bucket, DefaultRetention, ObjectLock, Retention, Versioning};
use aws_smithy_types::DateTime;
use cloudlet_api_s3 as api;
use cloudlet_service::{Context, Error};

impl S3 {
    /// Whether object lock is on, and its default. Errors: `ObjectLockConfigurationNotFoundError`.
    pub async fn get_object_lock_configuration(
        &self,
        _: &Context,
        input: api::GetObjectLockConfigurationInput,
    ) -> Result<api::GetObjectLockConfigurationOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        let Some(lock) = &bucket.lock else {
            return Err(no_such_configuration(
                "ObjectLockConfigurationNotFoundError",
                "Object Lock configuration does not exist for this bucket",
                &bucket.name,
            ));
        };
        let rule = lock.default.as_ref().map(|default| api::ObjectLockRule {
            default_retention: Some(api::DefaultRetention {
                mode: Some(default.mode.clone()),
                days: default.days,
                years: default.years,
                ..Default::default()
            }),
        });
        Ok(api::GetObjectLockConfigurationOutput {
            object_lock_configuration: Some(api::ObjectLockConfiguration {
                object_lock_enabled: Some("Enabled".to_owned()),
                rule,
            }),
        })
    }

    /// Turns object lock on, for good, or changes its default.
    /// Errors: `InvalidBucketState` without versioning, `MalformedXML`, `InvalidRetentionPeriod`.
    pub async fn put_object_lock_configuration(
        &self,
        _: &Context,
        input: api::PutObjectLockConfigurationInput,
    ) -> Result<api::PutObjectLockConfigurationOutput, Error> {
        let configuration = input.object_lock_configuration.ok_or_else(malformed_xml)?;
        if configuration.object_lock_enabled.as_deref() != Some("Enabled") {
            return Err(malformed_xml());
        }
        let default = match configuration.rule {
            None => None,
            Some(rule) => Some(default_retention(rule)?),
        };
        self.change(&input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
            if bucket.versioning != Versioning::Enabled {
                let message =
                    "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration";
                return Err(Error::new("InvalidBucketState", 409, message).into());
            }
            bucket.lock = Some(ObjectLock { default: default.clone() });
            Ok(())
        })
        .await?;
        Ok(api::PutObjectLockConfigurationOutput::default())
    }

    /// The retention of a version. Errors: `NoSuchObjectLockConfiguration`, `InvalidRequest`.
    pub async fn get_object_retention(
        &self,
        cx: &Context,
        input: api::GetObjectRetentionInput,
    ) -> Result<api::GetObjectRetentionOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        locked(&bucket)?;
        let version = self.existing(cx, &bucket, &input.key, input.version_id.as_deref(), "GET")?;
        let retention = version.retention.ok_or_else(|| none(&bucket))?;
        Ok(api::GetObjectRetentionOutput {
            retention: Some(api::ObjectLockRetention {
                mode: Some(retention.mode),
                retain_until_date: Some(DateTime::from_millis(retention.until)),
                ..Default::default()
            }),
        })
    }

    /// Sets, lengthens or, with the right to bypass it, shortens a retention. An empty document removes it.
    /// Errors: `AccessDenied` for what is protected, `InvalidRequest`, `InvalidArgument`, `MalformedXML`.
    pub async fn put_object_retention(
        &self,
        cx: &Context,
        input: api::PutObjectRetentionInput,
    ) -> Result<api::PutObjectRetentionOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        locked(&bucket)?;
        let wanted = match input.retention.map(|r| (r.mode, r.retain_until_date)) {
            None | Some((None, None)) => None,
            Some((Some(mode), Some(until))) => {
                if !matches!(mode.as_str(), "GOVERNANCE" | "COMPLIANCE") {
                    return Err(malformed_xml());
                }
                Some(retention(cx, mode, &until, "Mode")?)
            }
            Some(_) => return Err(malformed_xml()),
        };
        let bypass = input.bypass_governance_retention == Some(true);
        let (version, key) = (input.version_id.as_deref(), input.key.as_str());
        self.alter(cx, &bucket, key, version, "PUT", &["ObjectRetention:Put"], |version| {
            check_change(cx, version.retention.as_ref(), wanted.as_ref(), bypass)?;
            version.retention = wanted.clone();
            Ok(())
        })
        .await?;
        Ok(api::PutObjectRetentionOutput::default())
    }

    /// The legal hold of a version. Errors: `NoSuchObjectLockConfiguration`, `InvalidRequest`.
    pub async fn get_object_legal_hold(
        &self,
        cx: &Context,
        input: api::GetObjectLegalHoldInput,
    ) -> Result<api::GetObjectLegalHoldOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        locked(&bucket)?;
        let version = self.existing(cx, &bucket, &input.key, input.version_id.as_deref(), "GET")?;
        let hold = version.hold.ok_or_else(|| none(&bucket))?;
        let status = if hold { "ON" } else { "OFF" };
        Ok(api::GetObjectLegalHoldOutput {
            legal_hold: Some(api::ObjectLockLegalHold { status: Some(status.to_owned()) }),
        })
    }

    /// Places or lifts it. Errors: `MalformedXML`, `InvalidRequest`.
    pub async fn put_object_legal_hold(
        &self,
        cx: &Context,
        input: api::PutObjectLegalHoldInput,
    ) -> Result<api::PutObjectLegalHoldOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        locked(&bucket)?;
        let on = match input.legal_hold.and_then(|h| h.status).as_deref() {
            Some("ON") => true,
            Some("OFF") => false,
            _ => return Err(malformed_xml()),
        };
        self.alter(cx, &bucket, &input.key, input.version_id.as_deref(), "PUT", &[], |version| {
            version.hold = Some(on);
            Ok(())
        })
        .await?;
        Ok(api::PutObjectLegalHoldOutput::default())
    }
}

/// Errors: `InvalidRequest` for a bucket without object lock.
fn locked(bucket: &Bucket) -> Result<(), Error> {
    if bucket.lock.is_none() {
        return Err(invalid_request("Bucket is missing Object Lock Configuration"));
    }
    Ok(())
}

fn none(bucket: &Bucket) -> Error {
    no_such_configuration(
        "NoSuchObjectLockConfiguration",
        "The specified object does not have a ObjectLock configuration",
        &bucket.name,
    )
}

/// Errors: `MalformedXML`, `InvalidArgument`.
fn default_retention(rule: api::ObjectLockRule) -> Result<DefaultRetention, Error> {
    let default = rule.default_retention.ok_or_else(malformed_xml)?;
    let mode = default
        .mode
        .filter(|m| matches!(m.as_str(), "GOVERNANCE" | "COMPLIANCE"))
        .ok_or_else(malformed_xml)?;
    match (default.days, default.years) {
        (Some(_), Some(_)) | (None, None) => Err(malformed_xml()),
        (Some(n), None) | (None, Some(n)) if n <= 0 => Err(Error::sender(
            "InvalidArgument",
            "Default retention period must be a positive integer value.",
        )),
        (Some(days), None) if days > 36_500 => {
            Err(Error::sender("InvalidArgument", "Default retention period too large."))
        }
        (None, Some(years)) if years > 100 => {
            Err(Error::sender("InvalidArgument", "Default retention period too large."))
        }
        (days, years) => Ok(DefaultRetention { mode, days, years }),
    }
}

/// A retention may always become stricter. Errors: `AccessDenied`.
fn check_change(cx: &Context, old: Option<&Retention>, new: Option<&Retention>, bypass: bool) -> Result<()> {
    let Some(old) = old.filter(|old| old.until > cx.millis()) else { return Ok(()) };
    let stricter = new.is_some_and(|new| {
        let mode = old.mode == new.mode || (old.mode == "GOVERNANCE" && new.mode == "COMPLIANCE");
        mode && new.until >= old.until
    });
    let may = stricter && (old.mode == "COMPLIANCE" || new.is_some_and(|n| n.mode == old.mode) || bypass);
    if may || (bypass && old.mode == "GOVERNANCE") {
        return Ok(());
    }
    Err(Error::new("AccessDenied", 403, "Access Denied because object protected by object lock.").into())
}

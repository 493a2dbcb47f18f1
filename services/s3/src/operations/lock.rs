//! Object lock: the bucket's configuration, retention and legal hold of versions.
//! Source: S3 User Guide, "Locking objects with Object Lock".

use crate::S3;
use crate::access::charged;
use crate::draft::{event_hold, millis};
use crate::errors::{Result, invalid_argument, invalid_request, malformed_xml, no_such_configuration};
use crate::state::{Bucket, DefaultRetention, ObjectLock, Retention, Versioning};
use aws_smithy_types::DateTime;
use cloudlet_api_s3 as api;
use cloudlet_service::{Context, Error};
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime};

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
        cx: &Context,
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
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
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
        Ok(api::PutObjectLockConfigurationOutput { request_charged: charged(cx, &bucket) })
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
        let retention = version.retention.ok_or_else(|| none(&input.key))?;
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
        let event = input
            .retention
            .as_ref()
            .is_some_and(|r| r.event_hold.is_some() || r.event_hold_duration.is_some());
        if event {
            return Err(event_hold());
        }
        let wanted = match input.retention.map(|r| (r.mode, r.retain_until_date)) {
            None => return Err(malformed_xml()),
            Some((None, None)) => None,
            Some((Some(mode), Some(until))) => {
                if !matches!(mode.as_str(), "GOVERNANCE" | "COMPLIANCE") {
                    return Err(malformed_xml());
                }
                check_future(cx, &until)?;
                Some(Retention { mode, until: millis(&until) })
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
        Ok(api::PutObjectRetentionOutput { request_charged: charged(cx, &bucket) })
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
        let hold = version.hold.ok_or_else(|| none(&input.key))?;
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
        Ok(api::PutObjectLegalHoldOutput { request_charged: charged(cx, &bucket) })
    }
}

/// Errors: `InvalidArgument`. S3 shows the time as its servers' own, wherever the bucket is.
fn check_future(cx: &Context, until: &DateTime) -> Result<(), Error> {
    if millis(until) > cx.millis() {
        return Ok(());
    }
    let shown = pacific(until.secs()).unwrap_or_default();
    Err(invalid_argument("The retain until date must be in the future!", "RetainUntilDate", shown))
}

/// `Tue Dec 31 16:00:00 PST 2019`: the time in Seattle, where clocks are put forward from the second Sunday of March
/// to the first of November.
fn pacific(seconds: i64) -> Option<String> {
    let at = |hours: i64| OffsetDateTime::from_unix_timestamp(seconds.checked_add(hours * 3600)?).ok();
    let standard = at(-8)?;
    let sunday = |month: Month, which: u8| {
        let first = Date::from_calendar_date(standard.year(), month, 1).ok()?;
        let to_sunday = (7 - first.weekday().number_days_from_sunday()) % 7;
        Date::from_calendar_date(standard.year(), month, 1 + to_sunday + 7 * (which - 1)).ok()
    };
    let forward = sunday(Month::March, 2)?.with_hms(2, 0, 0).ok()?;
    let back = sunday(Month::November, 1)?.with_hms(1, 0, 0).ok()?;
    let clock = PrimitiveDateTime::new(standard.date(), standard.time());
    let (local, zone) = if clock >= forward && clock < back { (at(-7)?, "PDT") } else { (standard, "PST") };
    let (day, month) = (local.weekday().to_string(), local.month().to_string());
    Some(format!(
        "{} {} {:02} {:02}:{:02}:{:02} {zone} {}",
        day.get(..3)?,
        month.get(..3)?,
        local.day(),
        local.hour(),
        local.minute(),
        local.second(),
        local.year()
    ))
}

/// Errors: `InvalidRequest` for a bucket without object lock.
fn locked(bucket: &Bucket) -> Result<(), Error> {
    if bucket.lock.is_none() {
        return Err(invalid_request("Bucket is missing Object Lock Configuration"));
    }
    Ok(())
}

fn none(key: &str) -> Error {
    let message = "The specified object does not have a ObjectLock configuration";
    Error::new("NoSuchObjectLockConfiguration", 404, message).with("Key", key)
}

/// Errors: `MalformedXML`, `InvalidArgument`.
fn default_retention(rule: api::ObjectLockRule) -> Result<DefaultRetention, Error> {
    let default = rule.default_retention.ok_or_else(malformed_xml)?;
    if default.default_event_hold.is_some() {
        return Err(event_hold());
    }
    let mode = default
        .mode
        .filter(|m| matches!(m.as_str(), "GOVERNANCE" | "COMPLIANCE"))
        .ok_or_else(malformed_xml)?;
    match (default.days, default.years) {
        (Some(_), Some(_)) | (None, None) => Err(malformed_xml()),
        (Some(n), None) | (None, Some(n)) if n <= 0 => {
            Err(period("Default retention period must be a positive integer value.", default.days))
        }
        (Some(36_501..), None) | (None, Some(101..)) => {
            Err(period("Default retention period too large.", default.days))
        }
        (days, years) => Ok(DefaultRetention { mode, days, years }),
    }
}

/// A period that cannot be, in days where they are given, else in years.
fn period(message: &str, days: Option<i32>) -> Error {
    let name = if days.is_some() { "Days" } else { "Years" };
    Error::sender("InvalidArgument", message).with("ArgumentName", name)
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

#[cfg(test)]
mod tests {
    use super::pacific;

    #[test]
    fn times_in_seattle() {
        for (seconds, shown) in [
            (1_577_836_800, "Tue Dec 31 16:00:00 PST 2019"),
            (1_593_561_600, "Tue Jun 30 17:00:00 PDT 2020"),
            (1_583_661_599, "Sun Mar 08 01:59:59 PST 2020"),
            (1_583_661_600, "Sun Mar 08 03:00:00 PDT 2020"),
        ] {
            assert_eq!(pacific(seconds).unwrap(), shown);
        }
    }
}

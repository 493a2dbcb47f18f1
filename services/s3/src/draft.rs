//! What a request says of a new object beside its bytes: headers, metadata, tags, class, ACL, lock.

use crate::condition_keys::header;
use crate::errors::{Result, invalid_argument, invalid_request};
use crate::state::{Bucket, DefaultRetention, Draft, Headers, Retention, Version};
use aws_smithy_types::DateTime;
use cloudlet_service::{Context, Error};
use std::collections::BTreeMap;

/// The most bytes that user metadata can have, names and values together.
/// Source: S3 User Guide, "Working with object metadata".
const MAX_METADATA: usize = 2048;

/// The storage classes that an object can be put into.
const CLASSES: [&str; 9] = [
    "STANDARD",
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER",
    "DEEP_ARCHIVE",
    "GLACIER_IR",
    "EXPRESS_ONEZONE",
];

/// The system headers that an input carries.
macro_rules! headers {
    ($input:expr) => {
        $crate::state::Headers {
            content_type: $input.content_type.take().filter(|t| !t.is_empty()),
            cache_control: $input.cache_control.take(),
            content_disposition: $input.content_disposition.take(),
            content_encoding: $crate::draft::content_encoding($input.content_encoding.take()),
            content_language: $input.content_language.take(),
            expires: $input.expires.take(),
            redirect: $input.website_redirect_location.take(),
        }
    };
}
pub(crate) use headers;

/// What an input says of object lock.
macro_rules! lock_request {
    ($input:expr) => {
        $crate::draft::LockRequest {
            mode: $input.object_lock_mode.take(),
            until: $input.object_lock_retain_until_date.take(),
            hold: $input.object_lock_legal_hold_status.take(),
            event: $input.object_lock_event_hold.is_some()
                || $input.object_lock_event_hold_duration_days.is_some()
                || $input.object_lock_event_hold_duration_years.is_some(),
        }
    };
}
pub(crate) use lock_request;

/// `Content-Encoding` without `aws-chunked`, which was about the transfer.
pub(crate) fn content_encoding(header: Option<String>) -> Option<String> {
    let header = header?;
    if !header.contains("aws-chunked") {
        return Some(header);
    }
    let kept: Vec<&str> =
        header.split(',').map(str::trim).filter(|c| !c.is_empty() && *c != "aws-chunked").collect();
    (!kept.is_empty()).then(|| kept.join(","))
}

/// Checks user metadata. Errors: `MetadataTooLarge`.
pub(crate) fn metadata(given: Option<BTreeMap<String, String>>) -> Result<BTreeMap<String, String>, Error> {
    let metadata = given.unwrap_or_default();
    let size: usize = metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    if size > MAX_METADATA {
        return Err(Error::sender(
            "MetadataTooLarge",
            "Your metadata headers exceed the maximum allowed metadata size",
        )
        .with("Size", size.to_string())
        .with("MaxSizeAllowed", MAX_METADATA.to_string()));
    }
    // Header names have no case; what S3 gives back is lower case.
    if metadata.keys().any(|k| k.bytes().any(|b| b.is_ascii_uppercase())) {
        return Ok(metadata.into_iter().map(|(k, v)| (k.to_ascii_lowercase(), v)).collect());
    }
    Ok(metadata)
}

/// Checks a storage class; `None` is `STANDARD`. Errors: `InvalidStorageClass`.
pub(crate) fn class(given: Option<String>) -> Result<Option<String>, Error> {
    match given {
        Some(class) if !CLASSES.contains(&class.as_str()) => {
            Err(Error::sender("InvalidStorageClass", "The storage class you specified is not valid")
                .with("StorageClassRequested", class))
        }
        Some(class) if class == "EXPRESS_ONEZONE" => {
            Err(Error::sender("InvalidStorageClass", "The storage class you specified is not valid")
                .with("StorageClassRequested", class))
        }
        class => Ok(class.filter(|c| c != "STANDARD")),
    }
}

/// Checks `x-amz-website-redirect-location`. Errors: `InvalidRedirectLocation`.
pub(crate) fn redirect(headers: &Headers) -> Result<(), Error> {
    match &headers.redirect {
        Some(to)
            if !["/", "http://", "https://"].iter().any(|p| to.starts_with(p)) || to.len() > MAX_METADATA =>
        {
            Err(Error::sender(
                "InvalidRedirectLocation",
                "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.",
            ))
        }
        _ => Ok(()),
    }
}

/// The object lock headers of a request.
pub(crate) struct LockRequest {
    pub(crate) mode: Option<String>,
    pub(crate) until: Option<DateTime>,
    pub(crate) hold: Option<String>,
    /// Whether they ask for an event hold.
    pub(crate) event: bool,
}

impl LockRequest {
    /// What they, or else the bucket's default, make of a new version: its retention and legal hold.
    /// Errors: `InvalidRequest`, `InvalidArgument`.
    pub(crate) fn resolve(
        self,
        cx: &Context,
        bucket: &Bucket,
    ) -> Result<(Option<Retention>, Option<bool>), Error> {
        if self.event {
            return Err(event_hold());
        }
        let Some(lock) = &bucket.lock else {
            if self.mode.is_some() || self.until.is_some() || self.hold.is_some() {
                return Err(invalid_request("Bucket is missing Object Lock Configuration"));
            }
            return Ok((None, None));
        };
        let hold = match self.hold.as_deref() {
            None => None,
            Some("ON") => Some(true),
            Some("OFF") => Some(false),
            Some(other) => {
                let message = "Legal Hold must be either of 'ON' or 'OFF'";
                return Err(invalid_argument(message, "x-amz-object-lock-legal-hold", other));
            }
        };
        let retention = match (self.mode, self.until) {
            (None, None) => lock.default.as_ref().map(|default| default_retention(default, cx.millis())),
            (Some(mode), Some(until)) => Some(retention(cx, mode, &until)?),
            _ => {
                return Err(invalid_argument(
                    "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied",
                    "x-amz-object-lock-mode",
                    "",
                ));
            }
        };
        Ok((retention, hold))
    }
}

/// Event holds are not served.
pub(crate) fn event_hold() -> Error {
    Error::not_implemented_part("s3 object lock's event holds; use legal holds or retention")
}

/// A retention from the parts that headers gave. Errors: `InvalidArgument`.
pub(crate) fn retention(cx: &Context, mode: String, until: &DateTime) -> Result<Retention, Error> {
    if !matches!(mode.as_str(), "GOVERNANCE" | "COMPLIANCE") {
        return Err(invalid_argument("Unknown wormMode directive.", "x-amz-object-lock-mode", mode));
    }
    let until = millis(until);
    if until <= cx.millis() {
        const NAME: &str = "x-amz-object-lock-retain-until-date";
        let given = header(cx, NAME).unwrap_or_default();
        return Err(invalid_argument("The retain until date must be in the future!", NAME, given));
    }
    Ok(Retention { mode, until })
}

fn default_retention(default: &DefaultRetention, now: i64) -> Retention {
    const DAY: i64 = 86_400_000;
    let days = match (default.days, default.years) {
        (Some(days), _) => i64::from(days),
        (None, years) => i64::from(years.unwrap_or(0)) * 365,
    };
    Retention { mode: default.mode.clone(), until: now + days * DAY }
}

/// Milliseconds since 1970.
pub(crate) fn millis(time: &DateTime) -> i64 {
    time.to_millis().unwrap_or(i64::MAX)
}

impl Draft {
    /// A version out of the draft; its bytes, etag, number and id come later.
    pub(crate) fn version(self, now: i64) -> Version {
        Version {
            seq: 0,
            id: None,
            modified: now,
            marker: false,
            size: 0,
            etag: String::new(),
            body: crate::state::Body::Empty,
            checksum: None,
            headers: self.headers,
            metadata: self.metadata,
            tags: self.tags,
            class: self.class,
            owner: self.owner,
            acl: self.acl,
            parts: 0,
            retention: self.retention,
            hold: self.hold,
            customer_key: self.customer_key,
            kms: self.kms,
            restored: None,
            restoring: None,
            annotations: 0,
            replication: None,
        }
    }
}

/// A delete marker.
pub(crate) fn delete_marker(now: i64, owner: Option<String>) -> Version {
    Version { marker: true, owner, ..Draft::default().version(now) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aws_chunked_is_not_kept() {
        let of = |text: &str| content_encoding(Some(text.to_owned()));
        assert_eq!(of("aws-chunked"), None);
        assert_eq!(of("gzip, aws-chunked").as_deref(), Some("gzip"));
        assert_eq!(of("gzip").as_deref(), Some("gzip"));
    }

    #[test]
    fn metadata_has_a_limit() {
        let of = |n: usize| metadata(Some(BTreeMap::from([("Name".to_owned(), "v".repeat(n))])));
        assert_eq!(of(2044).unwrap().keys().next().unwrap(), "name");
        assert_eq!(of(2045).unwrap_err().code(), "MetadataTooLarge");
    }

    #[test]
    fn classes() {
        assert_eq!(class(Some("STANDARD".into())).unwrap(), None);
        assert_eq!(class(Some("GLACIER".into())).unwrap().as_deref(), Some("GLACIER"));
        assert_eq!(class(Some("FAST".into())).unwrap_err().code(), "InvalidStorageClass");
    }
}

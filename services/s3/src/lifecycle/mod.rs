//! Lifecycle rules: which of them mean an object, when they act, and the sweep that acts.
//! Source: S3 User Guide, "Managing the lifecycle of objects", "Lifecycle configuration elements".

mod check;
mod restored;
mod sweep;

pub(crate) use check::check;
pub(crate) use sweep::start;

use crate::S3;
use crate::conditions::http_date;
use crate::configurations::Kind;
use crate::errors::Result;
use crate::state::{Bucket, Upload, Version};
use cloudlet_api_s3 as api;

pub(crate) const LIFECYCLE: Kind = Kind {
    name: "lifecycle",
    missing: ("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist"),
};

/// Noted on the bucket where its rules move small objects to some classes: `varies_by_storage_class`.
pub(crate) const SMALL_TRANSITIONS: &str = "lifecycle-small-transitions";

/// Objects below this size are not moved, unless a rule's own filter is about sizes.
/// Source: S3 User Guide, "Transitioning objects using Amazon S3 Lifecycle", constraints.
const SMALL: u64 = 128 * 1024;

const DAY: i64 = 86_400_000;

/// When something that began at `from` is `days` old: at the midnight (UTC) after.
fn due(from: i64, days: i32) -> i64 {
    let at = from + i64::from(days) * DAY;
    (at + DAY - 1).div_euclid(DAY) * DAY
}

/// How the classes follow each other: from the first to any later one, never back.
/// Source: S3 User Guide, "Transitioning objects using Amazon S3 Lifecycle".
const ORDER: [&str; 6] =
    ["STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"];

/// How far down a class is; those that objects begin in are above all.
fn depth(class: &str) -> Option<usize> {
    ORDER.iter().position(|known| *known == class)
}

/// Of the classes that are due the coldest, where it is colder than the present one.
/// Source: S3 User Guide, "Examples of S3 Lifecycle configurations", "Overlapping filters, conflicting lifecycle actions".
fn coldest(due: impl Iterator<Item = String>, version: &Version) -> Option<String> {
    due.max_by_key(|class| depth(class)).filter(|class| depth(class) > depth(version.class()))
}

/// What a rule's filter asks of an object.
struct Filter<'a> {
    prefix: &'a str,
    tags: Vec<(&'a str, &'a str)>,
    larger: Option<i64>,
    smaller: Option<i64>,
}

impl<'a> Filter<'a> {
    fn of(rule: &'a api::LifecycleRule) -> Self {
        let mut out = Filter {
            prefix: rule.prefix.as_deref().unwrap_or_default(),
            tags: Vec::new(),
            larger: None,
            smaller: None,
        };
        let Some(filter) = &rule.filter else { return out };
        if let Some(prefix) = &filter.prefix {
            out.prefix = prefix;
        }
        out.tags.extend(filter.tag.iter().map(|t| (t.key.as_str(), t.value.as_str())));
        out.larger = filter.object_size_greater_than;
        out.smaller = filter.object_size_less_than;
        if let Some(and) = &filter.and {
            if let Some(prefix) = &and.prefix {
                out.prefix = prefix;
            }
            out.tags.extend(and.tags.iter().flatten().map(|t| (t.key.as_str(), t.value.as_str())));
            out.larger = out.larger.or(and.object_size_greater_than);
            out.smaller = out.smaller.or(and.object_size_less_than);
        }
        out
    }

    fn meets(&self, key: &str, version: &Version) -> bool {
        key.starts_with(self.prefix)
            && self.tags.iter().all(|(k, v)| version.tags.iter().any(|(key, value)| key == k && value == v))
            && self.larger.is_none_or(|n| version.size as i64 > n)
            && self.smaller.is_none_or(|n| (version.size as i64) < n)
    }
}

/// The rules of a bucket that are in force.
pub(crate) struct Rules {
    rules: Vec<api::LifecycleRule>,
    /// Whether small objects move to the archive classes too.
    small: bool,
}

impl Rules {
    fn new(configuration: api::BucketLifecycleConfiguration, small: bool) -> Self {
        Self {
            rules: configuration.rules.into_iter().filter(|rule| rule.status == "Enabled").collect(),
            small,
        }
    }

    /// Whether the object is large enough for a rule to move it to that class.
    fn moves(&self, rule: &api::LifecycleRule, version: &Version, class: &str) -> bool {
        let filter = Filter::of(rule);
        let own = filter.larger.is_some() || filter.smaller.is_some();
        own || version.size >= SMALL || (self.small && matches!(class, "GLACIER" | "DEEP_ARCHIVE"))
    }

    fn for_object<'a>(
        &'a self,
        key: &'a str,
        version: &'a Version,
    ) -> impl Iterator<Item = &'a api::LifecycleRule> {
        self.rules.iter().filter(move |rule| Filter::of(rule).meets(key, version))
    }

    /// When the current version expires, and by which rule: the earliest.
    fn expiration(&self, key: &str, version: &Version) -> Option<(i64, &str)> {
        let meant = self.rules.iter().filter(|rule| Filter::of(rule).meets(key, version));
        meant
            .filter_map(|rule| {
                let expiration = rule.expiration.as_ref()?;
                let at = match (expiration.days, &expiration.date) {
                    (Some(days), _) => due(version.modified, days),
                    (None, Some(date)) => crate::draft::millis(date),
                    (None, None) => return None,
                };
                Some((at, rule.id.as_deref().unwrap_or_default()))
            })
            // Of several for the same day, the first.
            .min_by_key(|(at, _)| *at)
    }

    /// The storage class that the current version should be in by now.
    fn transition(&self, key: &str, version: &Version, now: i64) -> Option<String> {
        let transitions = self
            .for_object(key, version)
            .flat_map(|rule| rule.transitions.iter().flatten().map(move |transition| (rule, transition)));
        let due = transitions
            .filter(|(rule, t)| self.moves(rule, version, t.storage_class.as_deref().unwrap_or_default()))
            .filter(|(_, transition)| {
                let at = match (transition.days, &transition.date) {
                    (Some(days), _) => due(version.modified, days),
                    (None, Some(date)) => crate::draft::millis(date),
                    (None, None) => return false,
                };
                at <= now
            })
            .filter_map(|(_, transition)| transition.storage_class.clone());
        coldest(due, version)
    }

    /// Whether a delete marker that hides nothing any more is to go.
    fn drops_marker(&self, key: &str, marker: &Version, now: i64) -> bool {
        self.for_object(key, marker).any(|rule| {
            rule.expiration.as_ref().is_some_and(|expiration| {
                expiration.expired_object_delete_marker == Some(true)
                    || expiration.days.is_some_and(|days| due(marker.modified, days) <= now)
            })
        })
    }

    /// Whether an older version is to go. `since` is when it was replaced, `newer` how many older versions are newer.
    fn drops_older(&self, key: &str, version: &Version, since: i64, newer: i32, now: i64) -> bool {
        self.for_object(key, version).any(|rule| {
            rule.noncurrent_version_expiration.as_ref().is_some_and(|expiration| {
                expiration.noncurrent_days.is_none_or(|days| due(since, days) <= now)
                    && newer >= expiration.newer_noncurrent_versions.unwrap_or(0)
            })
        })
    }

    /// The storage class that an older version should be in by now.
    fn older_transition(
        &self,
        key: &str,
        version: &Version,
        since: i64,
        newer: i32,
        now: i64,
    ) -> Option<String> {
        let transitions = self
            .for_object(key, version)
            .flat_map(|rule| rule.noncurrent_version_transitions.iter().flatten().map(move |t| (rule, t)));
        let due = transitions
            .filter(|(rule, t)| self.moves(rule, version, t.storage_class.as_deref().unwrap_or_default()))
            .map(|(_, t)| t)
            .filter(|t| newer >= t.newer_noncurrent_versions.unwrap_or(0))
            .filter(|t| due(since, t.noncurrent_days.unwrap_or(0)) <= now)
            .filter_map(|t| t.storage_class.clone());
        coldest(due, version)
    }

    /// When an upload that nobody completes is aborted, and by which rule.
    pub(crate) fn abort(&self, key: &str, upload: &Upload) -> Option<(i64, &str)> {
        self.rules
            .iter()
            .filter(|rule| key.starts_with(Filter::of(rule).prefix))
            .filter_map(|rule| {
                let days = rule.abort_incomplete_multipart_upload.as_ref()?.days_after_initiation?;
                Some((due(upload.initiated, days), rule.id.as_deref().unwrap_or_default()))
            })
            .min()
    }
}

impl S3 {
    /// The rules of a bucket, where it has any.
    pub(crate) fn rules(&self, bucket: &Bucket) -> Result<Option<Rules>> {
        let small = bucket.has(SMALL_TRANSITIONS);
        let stored = self.config::<api::BucketLifecycleConfiguration>(bucket, &LIFECYCLE, "")?;
        Ok(stored.map(|configuration| Rules::new(configuration, small)))
    }

    /// `x-amz-abort-date` and `x-amz-abort-rule-id` of an upload.
    pub(crate) fn aborted_by(
        &self,
        bucket: &Bucket,
        key: &str,
        upload: &Upload,
    ) -> Result<Option<(i64, String)>> {
        let Some(rules) = self.rules(bucket)? else { return Ok(None) };
        Ok(rules.abort(key, upload).map(|(at, rule)| (at, rule.to_owned())))
    }

    /// `x-amz-expiration` of a version: when a rule will expire it, and which.
    pub(crate) fn expiration_header(
        &self,
        bucket: &Bucket,
        key: &str,
        version: &Version,
    ) -> Result<Option<String>> {
        let Some(rules) = self.rules(bucket)? else { return Ok(None) };
        let expiration = rules.expiration(key, version);
        Ok(expiration.map(|(at, id)| {
            // The reference has it encoded; AWS encodes nothing that a header can carry.
            let plain = id.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
            let id = if plain { id.to_owned() } else { crate::names::url_encode(id) };
            format!("expiry-date=\"{}\", rule-id=\"{id}\"", http_date(at))
        }))
    }
}

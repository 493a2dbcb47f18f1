//! ListObjects, ListObjectsV2, ListObjectVersions.

use crate::S3;
use crate::access::charged;
use crate::acl;
use crate::errors::{Fail, Result, invalid_argument};
use crate::listing::{Entry, Query, Rows, most, url_encoding, walk};
use crate::names::url_encode;
use crate::state::{Bucket, Object, Version};
use crate::versions::number_of;
use aws_smithy_types::DateTime;
use cloudlet_api_s3::{
    self as api, CommonPrefix, ListObjectVersionsInput, ListObjectVersionsOutput, ListObjectsInput,
    ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output,
};
use cloudlet_service::{Context, Error, pages};
use cloudlet_store::{Key, KeyRange, Store};

/// The objects of a bucket by key; delete markers are passed over.
struct Objects<'a> {
    store: &'a Store,
    bucket: u64,
}

impl Rows for Objects<'_> {
    type Value = Version;

    fn start(&self, name: &str) -> Key {
        Object::key(self.bucket, name)
    }

    fn beyond(&self, range: KeyRange, name: &str) -> KeyRange {
        range.after(&self.start(name))
    }

    fn rows<'a>(
        &'a self,
        range: KeyRange,
    ) -> Box<dyn Iterator<Item = Result<(Key, String, Option<Version>), Fail>> + Send + 'a> {
        let rows = self.store.table::<Object>().scan(range, false);
        Box::new(rows.map(|row| {
            let (key, object) = row?;
            let name = Object::name(&key);
            Ok((key, name, Some(object.version).filter(|v| !v.marker)))
        }))
    }
}

/// Encodes names where the request asked for it.
struct Names(bool);

impl Names {
    fn show(&self, name: &str) -> String {
        if self.0 { url_encode(name) } else { name.to_owned() }
    }

    fn prefix(&self, prefix: &str) -> CommonPrefix {
        CommonPrefix { prefix: Some(self.show(prefix)) }
    }

    fn encoding(&self) -> Option<String> {
        self.0.then(|| "url".to_owned())
    }
}

impl S3 {
    /// A page of the bucket's objects, in the order of their keys' UTF-8 bytes.
    /// Errors: `NoSuchBucket`, `InvalidArgument`.
    pub async fn list_objects(
        &self,
        cx: &Context,
        input: ListObjectsInput,
    ) -> Result<ListObjectsOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        let names = Names(url_encoding(input.encoding_type.as_deref())?);
        let limit = most(input.max_keys, "maxKeys")?;
        let query = Query {
            prefix: input.prefix.as_deref().unwrap_or_default(),
            delimiter: input.delimiter.as_deref().unwrap_or_default(),
            after: input.marker.as_deref().unwrap_or_default(),
            marker: true,
            most: limit,
        };
        let page = walk(&Objects { store: &self.store, bucket: bucket.id }, &query).await?;
        let optional = input.optional_object_attributes.as_deref().unwrap_or_default();
        let (mut contents, mut prefixes) = (Vec::new(), Vec::new());
        for entry in page.entries {
            match entry {
                Entry::Item(name, version) => {
                    contents.push(object(&names, &bucket, &name, version, true, optional, cx.millis()))
                }
                Entry::Prefix(prefix) => prefixes.push(names.prefix(&prefix)),
            }
        }
        Ok(ListObjectsOutput {
            is_truncated: Some(page.next.is_some()),
            marker: Some(names.show(query.after)),
            // Without a delimiter the last key itself is where to go on.
            next_marker: page.next.filter(|_| !query.delimiter.is_empty()).map(|n| names.show(&n)),
            contents: (!contents.is_empty()).then_some(contents),
            name: Some(bucket.name.clone()),
            prefix: Some(names.show(query.prefix)),
            delimiter: input.delimiter.as_deref().filter(|d| !d.is_empty()).map(|d| names.show(d)),
            max_keys: Some(limit as i32),
            common_prefixes: (!prefixes.is_empty()).then_some(prefixes),
            encoding_type: names.encoding(),
            request_charged: charged(cx, &bucket),
        })
    }

    /// The same with tokens in the place of markers. Errors: `NoSuchBucket`, `InvalidArgument`.
    pub async fn list_objects_v2(
        &self,
        cx: &Context,
        input: ListObjectsV2Input,
    ) -> Result<ListObjectsV2Output, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        let names = Names(url_encoding(input.encoding_type.as_deref())?);
        let limit = most(input.max_keys, "maxKeys")?;
        let position = match &input.continuation_token {
            None => None,
            Some(token) => Some(continuation(token)?),
        };
        let start = input.start_after.as_deref().unwrap_or_default();
        let query = Query {
            prefix: input.prefix.as_deref().unwrap_or_default(),
            delimiter: input.delimiter.as_deref().unwrap_or_default(),
            after: position.as_deref().unwrap_or(start),
            marker: position.is_some(),
            most: limit,
        };
        let page = walk(&Objects { store: &self.store, bucket: bucket.id }, &query).await?;
        let with_owner = input.fetch_owner == Some(true);
        let optional = input.optional_object_attributes.unwrap_or_default();
        let (mut contents, mut prefixes) = (Vec::new(), Vec::new());
        for entry in page.entries {
            match entry {
                Entry::Item(name, version) => {
                    contents.push(object(
                        &names,
                        &bucket,
                        &name,
                        version,
                        with_owner,
                        &optional,
                        cx.millis(),
                    ));
                }
                Entry::Prefix(prefix) => prefixes.push(names.prefix(&prefix)),
            }
        }
        Ok(ListObjectsV2Output {
            is_truncated: Some(page.next.is_some()),
            key_count: Some((contents.len() + prefixes.len()) as i32),
            contents: (!contents.is_empty()).then_some(contents),
            name: Some(bucket.name.clone()),
            prefix: Some(names.show(query.prefix)),
            delimiter: input.delimiter.as_deref().filter(|d| !d.is_empty()).map(|d| names.show(d)),
            max_keys: Some(limit as i32),
            common_prefixes: (!prefixes.is_empty()).then_some(prefixes),
            encoding_type: names.encoding(),
            continuation_token: input.continuation_token,
            next_continuation_token: page.next.map(pages::token),
            start_after: input.start_after.as_deref().map(|s| names.show(s)),
            request_charged: charged(cx, &bucket),
        })
    }

    /// A page of all versions and delete markers, by key, the newest of each key first.
    /// Errors: `NoSuchBucket`, `InvalidArgument`.
    pub async fn list_object_versions(
        &self,
        cx: &Context,
        input: ListObjectVersionsInput,
    ) -> Result<ListObjectVersionsOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        let names = Names(url_encoding(input.encoding_type.as_deref())?);
        if let Some(negative) = input.max_keys.filter(|n| *n < 0) {
            return Err(invalid_argument("max-keys cannot be negative", "max-keys", negative.to_string()));
        }
        let limit = most(input.max_keys, "maxKeys")?;
        let key_marker = input.key_marker.as_deref().unwrap_or_default();
        let version_marker = input.version_id_marker.as_deref().filter(|m| !m.is_empty());
        if version_marker.is_some() && key_marker.is_empty() {
            let message = "A version-id marker cannot be specified without a key marker.";
            return Err(invalid_argument(message, "version-id-marker", version_marker.unwrap_or_default()));
        }
        let query = Query {
            prefix: input.prefix.as_deref().unwrap_or_default(),
            delimiter: input.delimiter.as_deref().unwrap_or_default(),
            after: key_marker,
            marker: true,
            most: limit,
        };
        let mut page = VersionPage { limit, entries: Vec::new(), truncated: false };
        if limit > 0 {
            self.walk_versions(&bucket, &query, version_marker, &mut page).await?;
        }
        let restored = wants_restored(input.optional_object_attributes.as_deref().unwrap_or_default())
            .then(|| cx.millis());
        let (mut versions, mut markers, mut prefixes) = (Vec::new(), Vec::new(), Vec::new());
        let mut last = None;
        for entry in page.entries {
            match entry {
                Entry::Prefix(prefix) => {
                    prefixes.push(names.prefix(&prefix));
                    last = Some((prefix, None));
                }
                Entry::Item(name, (version, latest)) => {
                    last = Some((name.clone(), Some(version.shown_id())));
                    if version.marker {
                        markers.push(marker_entry(&names, &bucket, &name, &version, latest));
                    } else {
                        versions.push(version_entry(&names, &bucket, &name, &version, latest, restored));
                    }
                }
            }
        }
        let next = last.filter(|_| page.truncated);
        Ok(ListObjectVersionsOutput {
            is_truncated: Some(page.truncated),
            key_marker: Some(names.show(key_marker)),
            version_id_marker: Some(version_marker.unwrap_or_default().to_owned()),
            next_key_marker: next.as_ref().map(|(key, _)| names.show(key)),
            next_version_id_marker: next.and_then(|(_, version)| version),
            versions: (!versions.is_empty()).then_some(versions),
            delete_markers: (!markers.is_empty()).then_some(markers),
            name: Some(bucket.name.clone()),
            prefix: Some(names.show(query.prefix)),
            delimiter: input.delimiter.as_deref().filter(|d| !d.is_empty()).map(|d| names.show(d)),
            max_keys: Some(limit as i32),
            common_prefixes: (!prefixes.is_empty()).then_some(prefixes),
            encoding_type: names.encoding(),
            request_charged: charged(cx, &bucket),
        })
    }

    async fn walk_versions(
        &self,
        bucket: &Bucket,
        query: &Query<'_>,
        version_marker: Option<&str>,
        page: &mut VersionPage,
    ) -> Result<()> {
        let mut range = Object::key(bucket.id, query.prefix).prefix_range();
        if !query.after.is_empty() {
            let at = Object::key(bucket.id, query.after);
            let inside = query.common_prefix(query.after).filter(|_| query.after.starts_with(query.prefix));
            range = match inside {
                Some(prefix) => range.past(&Object::key(bucket.id, prefix)),
                None => range.after(&at),
            };
            if inside.is_none()
                && let Some(marker) = version_marker
                && !self.rest_of_key(bucket, query, marker, page)?
            {
                return Ok(());
            }
        }
        loop {
            let mut seek = None;
            for row in self.store.table::<Object>().scan(range.clone(), false) {
                let (stored, object) = row?;
                let name = Object::name(&stored);
                if let Some(prefix) = query.common_prefix(&name) {
                    if !page.push(Entry::Prefix(prefix.to_owned())) {
                        return Ok(());
                    }
                    seek = Some(range.clone().past(&Object::key(bucket.id, prefix)));
                    break;
                }
                let older = object.older;
                if !page.push(Entry::Item(name.clone(), (object.version, true))) {
                    return Ok(());
                }
                if older > 0 && !self.older_versions(bucket, &name, None, page)? {
                    return Ok(());
                }
            }
            match seek {
                Some(next) => range = next,
                None => return Ok(()),
            }
            tokio::task::consume_budget().await;
        }
    }

    /// What follows the version marker among the versions of the marker's own key. `false`: the page is full.
    fn rest_of_key(
        &self,
        bucket: &Bucket,
        query: &Query<'_>,
        marker: &str,
        page: &mut VersionPage,
    ) -> Result<bool> {
        let object = self.store.table::<Object>().get(&Object::key(bucket.id, query.after))?;
        let Some(object) = object else { return Ok(true) };
        let seq = match marker {
            "null" if object.version.id.is_none() => Some(object.version.seq),
            "null" => object.null,
            id => number_of(id),
        };
        let Some(seq) = seq else {
            return Err(invalid_argument("Invalid version id specified", "version-id-marker", marker).into());
        };
        if object.version.seq < seq && !page.push(Entry::Item(query.after.to_owned(), (object.version, true)))
        {
            return Ok(false);
        }
        self.older_versions(bucket, query.after, Some(seq), page)
    }

    /// The older versions of a key, those after `after` only. `false`: the page is full.
    fn older_versions(
        &self,
        bucket: &Bucket,
        name: &str,
        after: Option<u64>,
        page: &mut VersionPage,
    ) -> Result<bool> {
        let mut range = Version::prefix(bucket.id, name).prefix_range();
        if let Some(seq) = after {
            range = range.after(&Version::key(bucket.id, name, seq));
        }
        for row in self.store.table::<Version>().scan(range, false) {
            let (_, version) = row?;
            if !page.push(Entry::Item(name.to_owned(), (version, false))) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// A page of versions as it fills.
struct VersionPage {
    limit: usize,
    entries: Vec<Entry<(Version, bool)>>,
    truncated: bool,
}

impl VersionPage {
    /// `false`: the page was full, and there is more.
    fn push(&mut self, entry: Entry<(Version, bool)>) -> bool {
        if self.entries.len() == self.limit {
            self.truncated = true;
            return false;
        }
        self.entries.push(entry);
        true
    }
}

/// The key in a continuation token. Errors: `InvalidArgument`.
fn continuation(token: &str) -> Result<String, Error> {
    let position = Some(token).filter(|t| !t.is_empty()).and_then(pages::position);
    let position = position.and_then(|p| String::from_utf8(p).ok());
    position.ok_or_else(|| {
        invalid_argument("The continuation token provided is incorrect", "continuation-token", token)
    })
}

fn object(
    names: &Names,
    bucket: &Bucket,
    name: &str,
    version: Version,
    with_owner: bool,
    optional: &[String],
    now: i64,
) -> api::Object {
    let restored = restore_status(&version, wants_restored(optional), now);
    api::Object {
        key: Some(names.show(name)),
        last_modified: Some(DateTime::from_secs(version.modified.div_euclid(1000))),
        e_tag: Some(version.quoted_etag()),
        checksum_algorithm: version.checksum.as_ref().map(|c| vec![c.algorithm.name().to_owned()]),
        checksum_type: version.checksum.as_ref().map(|c| c.kind.name().to_owned()),
        size: Some(version.size as i64),
        storage_class: Some(version.class().to_owned()),
        owner: with_owner.then(|| acl::owner(version.owner.as_deref().unwrap_or(&bucket.owner))),
        restore_status: restored,
    }
}

/// Whether `x-amz-optional-object-attributes` asks for the state of restored copies.
fn wants_restored(optional: &[String]) -> bool {
    optional.iter().any(|o| o.split(',').any(|o| o.trim() == "RestoreStatus"))
}

fn restore_status(version: &Version, wanted: bool, now: i64) -> Option<api::RestoreStatus> {
    if !wanted {
        return None;
    }
    if version.is_restoring(now) {
        return Some(api::RestoreStatus { is_restore_in_progress: Some(true), restore_expiry_date: None });
    }
    version.restored_until(now).map(|until| api::RestoreStatus {
        is_restore_in_progress: Some(false),
        restore_expiry_date: Some(DateTime::from_millis(until)),
    })
}

fn version_entry(
    names: &Names,
    bucket: &Bucket,
    name: &str,
    version: &Version,
    latest: bool,
    restored: Option<i64>,
) -> api::ObjectVersion {
    api::ObjectVersion {
        e_tag: Some(version.quoted_etag()),
        checksum_algorithm: version.checksum.as_ref().map(|c| vec![c.algorithm.name().to_owned()]),
        checksum_type: version.checksum.as_ref().map(|c| c.kind.name().to_owned()),
        size: Some(version.size as i64),
        storage_class: Some(version.class().to_owned()),
        key: Some(names.show(name)),
        version_id: Some(version.shown_id()),
        is_latest: Some(latest),
        last_modified: Some(DateTime::from_secs(version.modified.div_euclid(1000))),
        owner: Some(acl::owner(version.owner.as_deref().unwrap_or(&bucket.owner))),
        restore_status: restored.and_then(|now| restore_status(version, true, now)),
    }
}

fn marker_entry(
    names: &Names,
    bucket: &Bucket,
    name: &str,
    version: &Version,
    latest: bool,
) -> api::DeleteMarkerEntry {
    api::DeleteMarkerEntry {
        owner: Some(acl::owner(version.owner.as_deref().unwrap_or(&bucket.owner))),
        key: Some(names.show(name)),
        version_id: Some(version.shown_id()),
        is_latest: Some(latest),
        last_modified: Some(DateTime::from_secs(version.modified.div_euclid(1000))),
    }
}

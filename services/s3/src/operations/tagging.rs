//! Tags of objects.

use crate::S3;
use crate::errors::{Result, method_not_allowed};
use crate::events::{self, Event};
use crate::names::check_key;
use crate::operations::get::shown_version;
use crate::replication;
use crate::state::{Bucket, Version};
use crate::tags::{self, OBJECT_TAGS};
use crate::versions::{self, Which};
use cloudlet_api_s3::{
    DeleteObjectTaggingInput, DeleteObjectTaggingOutput, GetObjectTaggingInput, GetObjectTaggingOutput,
    PutObjectTaggingInput, PutObjectTaggingOutput,
};
use cloudlet_service::{Context, Error};
use cloudlet_store::Tx;
use serde_json::json;

impl S3 {
    /// The tags of an object or a version. Errors: `NoSuchKey`, `NoSuchVersion`, `MethodNotAllowed`.
    pub async fn get_object_tagging(
        &self,
        cx: &Context,
        input: GetObjectTaggingInput,
    ) -> Result<GetObjectTaggingOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        let version = self
            .existing(cx, &bucket, &input.key, input.version_id.as_deref(), "GET")
            .map_err(unread_marker)?;
        Ok(GetObjectTaggingOutput {
            version_id: shown_version(&bucket, &version),
            tag_set: tags::to_set(&version.tags),
        })
    }

    /// Replaces the tags. Errors: also `InvalidTag`, `BadRequest`.
    pub async fn put_object_tagging(
        &self,
        cx: &Context,
        input: PutObjectTaggingInput,
    ) -> Result<PutObjectTaggingOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        let tags = tags::from_set(input.tagging.tag_set, OBJECT_TAGS, "Object")?;
        let version = input.version_id.as_deref();
        let changed = self
            .alter(cx, &bucket, &input.key, version, "PUT", &["ObjectTagging:Put"], |v| {
                v.tags = tags.clone();
                Ok(())
            })
            .await?;
        Ok(PutObjectTaggingOutput { version_id: shown_version(&bucket, &changed) })
    }

    /// Removes all tags. Errors: as [`S3::get_object_tagging`].
    pub async fn delete_object_tagging(
        &self,
        cx: &Context,
        input: DeleteObjectTaggingInput,
    ) -> Result<DeleteObjectTaggingOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        let version = input.version_id.as_deref();
        let changed = self
            .alter(cx, &bucket, &input.key, version, "DELETE", &["ObjectTagging:Delete"], |v| {
                v.tags.clear();
                Ok(())
            })
            .await?;
        Ok(DeleteObjectTaggingOutput { version_id: shown_version(&bucket, &changed) })
    }

    /// A version that is no delete marker. Errors: `KeyTooLongError`, `NoSuchKey`, `NoSuchVersion`, `MethodNotAllowed`.
    pub(crate) fn existing(
        &self,
        cx: &Context,
        bucket: &Bucket,
        key: &str,
        version: Option<&str>,
        method: &str,
    ) -> Result<Version, Error> {
        check_key(key)?;
        let found = versions::find(&self.store, bucket.id, key, Which::parse(version)?)?;
        match found {
            None => Err(self.missing(cx, bucket, versions::missing(key, version))),
            Some(found) if found.version.marker => Err(on_marker(key, version, method, &found.version)),
            Some(found) => Ok(found.version),
        }
    }

    /// Changes what is said of a version, not its bytes, in one transaction. Errors: as [`S3::existing`].
    #[allow(clippy::too_many_arguments)]
    pub(crate) async fn alter(
        &self,
        cx: &Context,
        bucket: &Bucket,
        key: &str,
        version: Option<&str>,
        method: &str,
        events: &[&'static str],
        mut change: impl FnMut(&mut Version) -> Result<()> + Send,
    ) -> Result<Version, Error> {
        self.existing(cx, bucket, key, version, method)?;
        let which = Which::parse(version)?;
        let changed = self
            .store
            .transact(|tx| -> Result<Version> {
                let Some(mut found) = versions::find_in(tx, bucket.id, key, which)? else {
                    return Err(versions::missing(key, version).into());
                };
                if found.version.marker {
                    return Err(on_marker(key, version, method, &found.version).into());
                }
                change(&mut found.version)?;
                replication::changed(tx, cx, bucket, key, &mut found.version)?;
                versions::rewrite(tx, bucket.id, key, &found)?;
                for name in events {
                    tell(tx, cx, bucket, &Event { name, key, version: &found.version })?;
                }
                Ok(found.version)
            })
            .await?;
        Ok(changed)
    }
}

/// An event over what is said of a version; that of a restored copy says until when it is there.
pub(crate) fn tell(tx: &mut Tx<'_>, cx: &Context, bucket: &Bucket, event: &Event<'_>) -> Result<()> {
    let restored = event.version.restored.filter(|_| event.name == "ObjectRestore:Completed");
    let more = restored.map(|until| {
        let data = json!({
            "lifecycleRestorationExpiryTime": events::iso(until),
            "lifecycleRestoreStorageClass": event.version.class(),
        });
        ("glacierEventData", json!({ "restoreEventData": data }))
    });
    events::emit_with(tx, cx, bucket, event, more)
}

fn on_marker(key: &str, version: Option<&str>, method: &str, marker: &Version) -> Error {
    match version {
        None => crate::errors::no_such_key(key),
        Some(_) => method_not_allowed(method, "DeleteMarker").with_header("allow", "DELETE"),
    }
    .with_header("x-amz-delete-marker", "true")
    .with_header("x-amz-version-id", marker.shown_id())
}

/// Reading the tags of a key whose current version is a delete marker is refused as if the marker had been named.
fn unread_marker(error: Error) -> Error {
    let id = error.headers().iter().find(|(name, _)| *name == "x-amz-version-id").map(|(_, id)| id.clone());
    match id {
        Some(id) if error.is("NoSuchKey") => method_not_allowed("GET", "DeleteMarker")
            .with_header("allow", "DELETE")
            .with_header("x-amz-delete-marker", "true")
            .with_header("x-amz-version-id", id),
        _ => error,
    }
}

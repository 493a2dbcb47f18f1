//! DeleteObject and DeleteObjects.

use crate::S3;
use crate::access::charged;
use crate::draft::{delete_marker, millis};
use crate::errors::{Result, malformed_xml, precondition_failed};
use crate::events::{self, Event};
use crate::names::{caller, check_key};
use crate::operations::check_mfa;
use crate::replication::{self, What};
use crate::state::{Bucket, Live, Object, Version, Versioning};
use crate::versions::{self, Which};
use cloudlet_api_s3::{
    self as api, DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, ErrorShape,
};
use cloudlet_service::{Context, Error};
use cloudlet_store::Tx;

/// The most keys of one batch.
const MOST: usize = 1000;

/// One deletion.
#[derive(Default, Clone)]
struct Wanted<'a> {
    key: &'a str,
    version: Option<&'a str>,
    etag: Option<&'a str>,
    modified: Option<i64>,
    size: Option<i64>,
    bypass: bool,
}

/// What a deletion did.
#[derive(Default)]
struct Done {
    /// The version that is gone, or the delete marker that was made.
    version: Option<String>,
    marker: bool,
}

impl S3 {
    /// Deletes an object: with a version id that version for good, else the object, which in a bucket with versions
    /// means a delete marker. Deleting what is not there succeeds.
    ///
    /// Errors: `NoSuchBucket`, `AccessDenied` for locked versions, `PreconditionFailed`, `InvalidArgument`.
    pub async fn delete_object(
        &self,
        cx: &Context,
        input: DeleteObjectInput,
    ) -> Result<DeleteObjectOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        check_key(&input.key)?;
        let wanted = Wanted {
            key: &input.key,
            version: input.version_id.as_deref(),
            etag: input.if_match.as_deref(),
            modified: input.if_match_last_modified_time.as_ref().map(millis),
            size: input.if_match_size,
            bypass: input.bypass_governance_retention == Some(true),
        };
        check_bypass(&bucket, input.bypass_governance_retention)?;
        Which::parse(wanted.version)?;
        if wanted.version.is_some() && bucket.mfa_delete == Some(true) {
            check_mfa(cx, input.mfa.as_deref()).await?;
        }
        let done = self.store.transact(|tx| -> Result<Done> { delete(tx, cx, &bucket, &wanted) }).await?;
        Ok(DeleteObjectOutput {
            delete_marker: done.marker.then_some(true),
            version_id: done.version,
            request_charged: charged(cx, &bucket),
        })
    }

    /// Deletes up to 1,000 objects; each succeeds or fails by itself. Errors: `MalformedXML`, `NoSuchBucket`.
    pub async fn delete_objects(
        &self,
        cx: &Context,
        input: DeleteObjectsInput,
    ) -> Result<DeleteObjectsOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        let objects = input.delete.objects;
        if objects.is_empty() || objects.len() > MOST {
            return Err(malformed_xml());
        }
        check_bypass(&bucket, input.bypass_governance_retention)?;
        let quiet = input.delete.quiet == Some(true);
        let bypass = input.bypass_governance_retention == Some(true);
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        let mut allowed = Vec::with_capacity(objects.len());
        let passed = match bucket.mfa_delete == Some(true) && objects.iter().any(|o| o.version_id.is_some()) {
            true => check_mfa(cx, input.mfa.as_deref()).await,
            false => Ok(()),
        };
        for object in &objects {
            let wanted = Wanted {
                key: &object.key,
                version: object.version_id.as_deref(),
                etag: object.e_tag.as_deref(),
                modified: object.last_modified_time.as_ref().map(millis),
                size: object.size,
                bypass,
            };
            let may = match &passed {
                Err(why) if wanted.version.is_some() => Err(why.clone()),
                _ => self.may_delete(cx, &bucket, &wanted),
            };
            match may {
                Ok(()) => allowed.push(wanted),
                Err(error) => errors.push(failed(&wanted, &error)),
            }
        }
        // One commit for all of them is the quick way; where one is refused, each goes alone.
        let all = self
            .store
            .transact(|tx| -> Result<Vec<Done>> {
                allowed.iter().map(|w| delete(tx, cx, &bucket, w)).collect()
            })
            .await;
        let results: Vec<Result<Done>> = match all {
            Ok(done) => done.into_iter().map(Ok).collect(),
            Err(_) => {
                let mut results = Vec::new();
                for wanted in &allowed {
                    results.push(self.store.transact(|tx| delete(tx, cx, &bucket, wanted)).await);
                }
                results
            }
        };
        for (wanted, result) in allowed.iter().zip(results) {
            match result {
                Ok(done) if !quiet => deleted.push(shown(wanted, done)),
                Ok(_) => {}
                Err(error) => errors.push(failed(wanted, &error.0)),
            }
        }
        Ok(DeleteObjectsOutput {
            deleted: (!deleted.is_empty()).then_some(deleted),
            errors: (!errors.is_empty()).then_some(errors),
            request_charged: charged(cx, &bucket),
        })
    }

    fn may_delete(&self, cx: &Context, bucket: &Bucket, wanted: &Wanted<'_>) -> Result<(), Error> {
        check_key(wanted.key)?;
        if let Some(version) = wanted.version.filter(|_| Which::parse(wanted.version).is_err()) {
            return Err(crate::errors::no_such_version(wanted.key, version));
        }
        if self.trusted(cx, bucket) {
            return Ok(());
        }
        self.allowed(cx, bucket, Some(wanted.key), wanted.version, "s3:DeleteObject")?;
        if wanted.etag.is_some_and(|etag| etag != "*") {
            self.allowed(cx, bucket, Some(wanted.key), wanted.version, "s3:GetObject")?;
        }
        if wanted.bypass {
            self.allowed(cx, bucket, Some(wanted.key), wanted.version, "s3:BypassGovernanceRetention")?;
        }
        Ok(())
    }
}

/// The right to bypass a retention means nothing where there is none. Errors: `InvalidArgument`.
fn check_bypass(bucket: &Bucket, given: Option<bool>) -> Result<(), Error> {
    const NAME: &str = "x-amz-bypass-governance-retention";
    if given.is_none() || bucket.lock.is_some() {
        return Ok(());
    }
    Err(Error::sender(
        "InvalidArgument",
        format!("{NAME} is only applicable to Object Lock enabled buckets."),
    )
    .with("ArgumentName", NAME))
}

fn failed(wanted: &Wanted<'_>, error: &Error) -> ErrorShape {
    ErrorShape {
        key: Some(wanted.key.to_owned()),
        version_id: wanted.version.map(str::to_owned),
        code: Some(error.code().to_owned()),
        message: Some(error.message().to_owned()),
    }
}

fn shown(wanted: &Wanted<'_>, done: Done) -> api::DeletedObject {
    let mut out = api::DeletedObject { key: Some(wanted.key.to_owned()), ..Default::default() };
    out.version_id = wanted.version.map(str::to_owned);
    if done.marker {
        out.delete_marker = Some(true);
        out.delete_marker_version_id = done.version;
    }
    out
}

/// One deletion in a transaction.
fn delete(tx: &mut Tx<'_>, cx: &Context, bucket: &Bucket, wanted: &Wanted<'_>) -> Result<Done> {
    if !tx.exists::<Live>(&Live::key(bucket.id))? {
        return Err(crate::errors::no_such_bucket(&bucket.name).into());
    }
    let which = Which::parse(wanted.version)?;
    if wanted.etag.is_some() || wanted.modified.is_some() || wanted.size.is_some() {
        let found = versions::find_in(tx, bucket.id, wanted.key, which)?;
        check(wanted, found.as_ref().map(|f| &f.version))?;
    }
    if wanted.version.is_some() {
        return delete_version(tx, cx, bucket, wanted, which);
    }
    if bucket.versioning == Versioning::Never {
        if let Some(gone) = versions::remove(tx, bucket.id, wanted.key, which)? {
            let gone = Version { seq: tx.sequence(versions::SEQUENCE)?, ..gone };
            events::emit(
                tx,
                cx,
                bucket,
                &Event { name: "ObjectRemoved:Delete", key: wanted.key, version: &gone },
            )?;
        }
        return Ok(Done::default());
    }
    let current = tx.get::<Object>(&Object::key(bucket.id, wanted.key))?;
    let owner = Some(caller(cx)).filter(|c| !c.is_empty() && *c != bucket.owner).map(str::to_owned);
    let mut marker = delete_marker(cx.millis(), owner);
    replication::mark(tx, bucket, wanted.key, &mut marker)?;
    let marker = versions::add(tx, cx, bucket, wanted.key, current, marker)?;
    replication::send(tx, cx, bucket, wanted.key, &marker, What::Object)?;
    let name = "ObjectRemoved:DeleteMarkerCreated";
    events::emit(tx, cx, bucket, &Event { name, key: wanted.key, version: &marker })?;
    Ok(Done { version: Some(marker.shown_id()), marker: true })
}

fn delete_version(
    tx: &mut Tx<'_>,
    cx: &Context,
    bucket: &Bucket,
    wanted: &Wanted<'_>,
    which: Which<'_>,
) -> Result<Done> {
    let Some(found) = versions::find_in(tx, bucket.id, wanted.key, which)? else {
        return Ok(Done { version: wanted.version.map(str::to_owned), ..Done::default() });
    };
    check_lock(cx, &found.version, wanted.bypass)?;
    versions::remove(tx, bucket.id, wanted.key, which)?;
    let gone = Version { seq: tx.sequence(versions::SEQUENCE)?, ..found.version };
    events::emit(tx, cx, bucket, &Event { name: "ObjectRemoved:Delete", key: wanted.key, version: &gone })?;
    Ok(Done { version: Some(gone.shown_id()), marker: gone.marker })
}

/// Versions under a legal hold or a retention stay. Errors: `AccessDenied`.
/// Source: S3 User Guide, "Locking objects with Object Lock".
pub(crate) fn check_lock(cx: &Context, version: &Version, bypass: bool) -> Result<(), Error> {
    let retained = version
        .retention
        .as_ref()
        .is_some_and(|r| r.until > cx.millis() && !(bypass && r.mode == "GOVERNANCE"));
    if version.hold == Some(true) || retained {
        return Err(Error::new(
            "AccessDenied",
            403,
            "Access Denied because object protected by object lock.",
        ));
    }
    Ok(())
}

/// The conditions of a deletion. Errors: `PreconditionFailed`, `NoSuchKey`.
fn check(wanted: &Wanted<'_>, found: Option<&Version>) -> Result<()> {
    let Some(version) = found.filter(|v| !v.marker) else {
        return match wanted.etag {
            // Deleting what is not there under `*` finds nothing to match.
            Some(_) => Err(crate::errors::no_such_key(wanted.key).into()),
            None => Ok(()),
        };
    };
    let etag = wanted.etag.is_none_or(|e| e == "*" || e.trim_matches('"') == version.etag);
    let modified = wanted.modified.is_none_or(|m| m.div_euclid(1000) == version.modified.div_euclid(1000));
    let size = wanted.size.is_none_or(|s| s == version.size as i64);
    for (met, name) in
        [(etag, "If-Match"), (modified, "x-amz-if-match-last-modified-time"), (size, "x-amz-if-match-size")]
    {
        if !met {
            return Err(precondition_failed(name).into());
        }
    }
    Ok(())
}

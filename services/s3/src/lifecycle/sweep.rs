//! The sweep: once a day of the cloud's clock, every rule of every bucket acts on what is due.
//!
//! It walks with small transactions, each of which looks again at what it changes, so that a request in between wins.

use super::Rules;
use crate::S3;
use crate::draft::delete_marker;
use crate::errors::Result;
use crate::events::{self, Event};
use crate::logging::acted;
use crate::operations::{check_lock, drop_parts};
use crate::state::{Bucket, Completed, Object, Upload, Version, Versioning};
use crate::versions::{self, Which};
use cloudlet_service::{Cloud, Context, Principal};
use cloudlet_store::{Key, KeyRange};
use serde_json::json;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How often the clock is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// How long a completed upload is remembered.
const REMEMBERED: i64 = 7 * super::DAY;

/// How access logs call the end of an object.
const EXPIRED: &str = "S3.EXPIRE.OBJECT";

/// How they call its way into a class.
fn transition(class: &str) -> &'static str {
    match class {
        "STANDARD_IA" => "S3.TRANSITION_SIA.OBJECT",
        "ONEZONE_IA" => "S3.TRANSITION_ZIA.OBJECT",
        "INTELLIGENT_TIERING" => "S3.TRANSITION_INT.OBJECT",
        "GLACIER_IR" => "S3.TRANSITION_GIR.OBJECT",
        "DEEP_ARCHIVE" => "S3.TRANSITION_GDA.OBJECT",
        _ => "S3.TRANSITION.OBJECT",
    }
}

/// Sweeps for as long as the service lives, whenever a day has passed.
pub(crate) fn start(s3: Weak<S3>, cloud: Weak<Cloud>) {
    tokio::spawn(async move {
        let mut swept = None;
        loop {
            tokio::time::sleep(LOOK).await;
            let (Some(s3), Some(cloud)) = (s3.upgrade(), cloud.upgrade()) else { return };
            if cloud.is_closing() {
                return;
            }
            if let Err(why) = s3.complete_restores(&cloud).await {
                tracing::warn!(error = %why.0, "restores could not be completed; they will be");
            }
            let today = cloud.clock().millis().div_euclid(super::DAY);
            if swept == Some(today) {
                continue;
            }
            swept = Some(today);
            if let Err(why) = s3.sweep(&cloud).await {
                tracing::warn!(error = %why.0, "the lifecycle sweep did not end; the next one goes on");
            }
        }
    });
}

impl S3 {
    /// Does what is due now.
    pub(crate) async fn sweep(&self, cloud: &Arc<Cloud>) -> Result<()> {
        self.end_restored(cloud).await?;
        let mut range = KeyRange::all();
        while let Some((key, bucket)) =
            self.store.table::<Bucket>().scan(range.clone(), false).next().transpose()?
        {
            range = range.after(&key);
            self.forget_completed(cloud, &bucket).await?;
            let Some(rules) = self.rules(&bucket)? else { continue };
            let principal = Principal::Service {
                name: "lifecycle.s3.amazonaws.com".into(),
                source_arn: Some(bucket.arn().into()),
                source_account: Some(bucket.owner.as_str().into()),
            };
            let cx = cloud.context(principal, &bucket.owner, &bucket.region);
            self.sweep_objects(&cx, &bucket, &rules).await?;
            self.sweep_uploads(&cx, &bucket, &rules).await?;
        }
        Ok(())
    }

    async fn sweep_objects(&self, cx: &Context, bucket: &Bucket, rules: &Rules) -> Result<()> {
        let now = cx.millis();
        let mut range = Key::new().number(bucket.id).prefix_range();
        while let Some((stored, object)) =
            self.store.table::<Object>().scan(range.clone(), false).next().transpose()?
        {
            range = range.after(&stored);
            let name = Object::name(&stored);
            if object.older > 0 {
                self.sweep_older(cx, bucket, rules, &name, &object).await?;
            }
            let current = &object.version;
            if current.marker {
                if rules.drops_marker(&name, current, now) {
                    self.drop_marker(cx, bucket, &name, current.seq).await?;
                }
            } else {
                let over = rules.expiration(&name, current).is_some_and(|(at, _)| at <= now);
                // Being deleted for good comes before a new class, a delete marker after it.
                let stays = !over || bucket.versioning != Versioning::Never;
                if stays && let Some(class) = rules.transition(&name, current, now) {
                    self.move_to(cx, bucket, &name, Which::Current, current.seq, &class).await?;
                }
                if over {
                    self.expire(cx, bucket, &name, current.seq).await?;
                }
            }
            tokio::task::consume_budget().await;
        }
        Ok(())
    }

    async fn sweep_older(
        &self,
        cx: &Context,
        bucket: &Bucket,
        rules: &Rules,
        name: &str,
        object: &Object,
    ) -> Result<()> {
        let now = cx.millis();
        let mut since = object.version.modified;
        let mut newer = 0;
        let mut range = Version::prefix(bucket.id, name).prefix_range();
        while let Some((stored, version)) =
            self.store.table::<Version>().scan(range.clone(), false).next().transpose()?
        {
            range = range.after(&stored);
            let id = version.shown_id();
            let which = Which::parse(Some(&id))?;
            if rules.drops_older(name, &version, since, newer, now) && check_lock(cx, &version, false).is_ok()
            {
                self.store
                    .transact(|tx| -> Result<()> {
                        if let Some(gone) = versions::remove(tx, bucket.id, name, which)? {
                            acted(tx, cx, bucket, EXPIRED, name, Some(&gone))?;
                            let name_of = "LifecycleExpiration:Delete";
                            events::emit(
                                tx,
                                cx,
                                bucket,
                                &Event { name: name_of, key: name, version: &gone },
                            )?;
                        }
                        Ok(())
                    })
                    .await?;
            } else if let Some(class) = rules.older_transition(name, &version, since, newer, now) {
                self.move_to(cx, bucket, name, which, version.seq, &class).await?;
            }
            since = version.modified;
            newer += 1;
        }
        Ok(())
    }

    /// The end of a current version: a delete marker where the bucket keeps versions.
    async fn expire(&self, cx: &Context, bucket: &Bucket, name: &str, seq: u64) -> Result<()> {
        self.store
            .transact(|tx| -> Result<()> {
                let current = tx.get::<Object>(&Object::key(bucket.id, name))?;
                let Some(object) = current.filter(|o| o.version.seq == seq) else { return Ok(()) };
                if bucket.versioning == Versioning::Never {
                    let gone = object.version.clone();
                    versions::remove(tx, bucket.id, name, Which::Current)?;
                    acted(tx, cx, bucket, EXPIRED, name, Some(&gone))?;
                    return events::emit(
                        tx,
                        cx,
                        bucket,
                        &Event { name: "LifecycleExpiration:Delete", key: name, version: &gone },
                    );
                }
                let marker =
                    versions::add(tx, cx, bucket, name, Some(object), delete_marker(cx.millis(), None))?;
                acted(tx, cx, bucket, "S3.CREATE.DELETEMARKER", name, Some(&marker))?;
                let event = "LifecycleExpiration:DeleteMarkerCreated";
                events::emit(tx, cx, bucket, &Event { name: event, key: name, version: &marker })
            })
            .await
    }

    /// A delete marker that hides nothing goes.
    async fn drop_marker(&self, cx: &Context, bucket: &Bucket, name: &str, seq: u64) -> Result<()> {
        self.store
            .transact(|tx| -> Result<()> {
                let current = tx.get::<Object>(&Object::key(bucket.id, name))?;
                if current.is_none_or(|o| o.version.seq != seq || o.older > 0) {
                    return Ok(());
                }
                if let Some(gone) = versions::remove(tx, bucket.id, name, Which::Current)? {
                    acted(tx, cx, bucket, EXPIRED, name, Some(&gone))?;
                    let event = "LifecycleExpiration:Delete";
                    events::emit(tx, cx, bucket, &Event { name: event, key: name, version: &gone })?;
                }
                Ok(())
            })
            .await
    }

    async fn move_to(
        &self,
        cx: &Context,
        bucket: &Bucket,
        name: &str,
        which: Which<'_>,
        seq: u64,
        class: &str,
    ) -> Result<()> {
        self.store
            .transact(|tx| -> Result<()> {
                let found = versions::find_in(tx, bucket.id, name, which)?;
                let Some(mut found) = found.filter(|f| f.version.seq == seq && f.version.class() != class)
                else {
                    return Ok(());
                };
                found.version.class = Some(class.to_owned());
                versions::rewrite(tx, bucket.id, name, &found)?;
                acted(tx, cx, bucket, transition(class), name, Some(&found.version))?;
                let event = Event { name: "LifecycleTransition", key: name, version: &found.version };
                let data = json!({ "transitionEventData": { "destinationStorageClass": class } });
                events::emit_with(tx, cx, bucket, &event, Some(("lifecycleEventData", data)))
            })
            .await
    }

    async fn sweep_uploads(&self, cx: &Context, bucket: &Bucket, rules: &Rules) -> Result<()> {
        let mut range = Key::new().number(bucket.id).prefix_range();
        while let Some((stored, upload)) =
            self.store.table::<Upload>().scan(range.clone(), false).next().transpose()?
        {
            range = range.after(&stored);
            let Some((name, _)) = Upload::name(&stored) else { continue };
            if rules.abort(&name, &upload).is_none_or(|(at, _)| at > cx.millis()) {
                continue;
            }
            self.store
                .transact(|tx| -> Result<()> {
                    if tx.exists::<Upload>(&stored)? {
                        drop_parts(tx, upload.seq)?;
                        tx.delete::<Upload>(&stored)?;
                        acted(tx, cx, bucket, "S3.DELETE.UPLOAD", &name, None)?;
                    }
                    Ok(())
                })
                .await?;
        }
        Ok(())
    }

    /// Uploads that were completed long ago need no answer any more.
    async fn forget_completed(&self, cloud: &Arc<Cloud>, bucket: &Bucket) -> Result<()> {
        let old = cloud.clock().millis() - REMEMBERED;
        let mut range = Key::new().number(bucket.id).prefix_range();
        loop {
            let rows = self.store.table::<Completed>().scan(range.clone(), false).take(500);
            let rows = rows.collect::<std::result::Result<Vec<_>, _>>()?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            range = range.after(last);
            let gone: Vec<&Key> = rows.iter().filter(|(_, done)| done.at < old).map(|(key, _)| key).collect();
            if !gone.is_empty() {
                self.store
                    .transact(|tx| -> Result<()> {
                        gone.iter().try_for_each(|key| Ok(tx.delete::<Completed>(key)?))
                    })
                    .await?;
            }
        }
    }
}

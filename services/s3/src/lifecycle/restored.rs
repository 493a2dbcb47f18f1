//! Restored copies of archived objects: when they are there, and their end.

use crate::S3;
use crate::errors::Result;
use crate::events::{self, Event};
use crate::operations::tell;
use crate::state::{Bucket, Version};
use crate::versions::{self, Found, Which};
use cloudlet_service::{Cloud, Context, Principal};
use cloudlet_store::{Key, KeyRange, Record, Tx};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A restored copy, under the time of its end. One whose time was moved is found too early and then left alone.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Restored {
    bucket: String,
    key: String,
    version: String,
}

impl Record for Restored {
    const TABLE: &'static str = "s3.restored";
}

/// A restore under way, under the time at which the copy will be there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Restoring(Restored);

impl Record for Restoring {
    const TABLE: &'static str = "s3.restoring";
}

impl S3 {
    /// Notes when the copy ends and, where it is under way, when it will be there.
    pub(crate) async fn remember_restored(
        &self,
        bucket: &Bucket,
        key: &str,
        version: &Version,
    ) -> Result<()> {
        let Some(until) = version.restored.and_then(|until| u64::try_from(until).ok()) else { return Ok(()) };
        let at = |time: u64| Key::new().number(time).number(bucket.id).number(version.seq);
        let ready = version.restoring.and_then(|ready| u64::try_from(ready).ok());
        let restored =
            Restored { bucket: bucket.name.clone(), key: key.to_owned(), version: version.shown_id() };
        self.store
            .transact(|tx| -> Result<()> {
                if let Some(ready) = ready {
                    tx.put(&at(ready), &Restoring(restored.clone()))?;
                }
                Ok(tx.put(&at(until), &restored)?)
            })
            .await
    }

    /// Tells of the copies that are there by now.
    pub(super) async fn complete_restores(&self, cloud: &Arc<Cloud>) -> Result<()> {
        let now = cloud.clock().millis();
        let range = due(now);
        while let Some((at, one)) =
            self.store.table::<Restoring>().scan(range.clone(), false).next().transpose()?
        {
            self.store
                .transact(|tx| -> Result<()> {
                    tx.delete::<Restoring>(&at)?;
                    let Some((bucket, mut found)) = self.of(tx, &one.0)? else { return Ok(()) };
                    if found.version.restoring.is_none_or(|ready| ready > now) {
                        return Ok(());
                    }
                    found.version.restoring = None;
                    versions::rewrite(tx, bucket.id, &one.0.key, &found)?;
                    let event =
                        Event { name: "ObjectRestore:Completed", key: &one.0.key, version: &found.version };
                    tell(tx, &itself(cloud, &bucket), &bucket, &event)
                })
                .await?;
        }
        Ok(())
    }

    /// The bucket and the version of a record, where they are still there.
    fn of(&self, tx: &mut Tx<'_>, one: &Restored) -> Result<Option<(Arc<Bucket>, Found)>> {
        let Ok(bucket) = self.bucket(&one.bucket) else { return Ok(None) };
        let which = Which::parse(Some(&one.version))?;
        Ok(versions::find_in(tx, bucket.id, &one.key, which)?.map(|found| (bucket, found)))
    }

    /// Ends the copies whose time has come.
    pub(super) async fn end_restored(&self, cloud: &Arc<Cloud>) -> Result<()> {
        let now = cloud.clock().millis();
        let range = due(now);
        while let Some((at, one)) =
            self.store.table::<Restored>().scan(range.clone(), false).next().transpose()?
        {
            self.store
                .transact(|tx| -> Result<()> {
                    tx.delete::<Restored>(&at)?;
                    let Some((bucket, mut found)) = self.of(tx, &one)? else { return Ok(()) };
                    if found.version.restored.is_none_or(|until| until > now) {
                        return Ok(());
                    }
                    found.version.restored = None;
                    versions::rewrite(tx, bucket.id, &one.key, &found)?;
                    let event =
                        Event { name: "ObjectRestore:Delete", key: &one.key, version: &found.version };
                    events::emit(tx, &itself(cloud, &bucket), &bucket, &event)
                })
                .await?;
        }
        Ok(())
    }
}

/// What stands under a time that has come.
fn due(now: i64) -> KeyRange {
    let beyond = u64::try_from(now).unwrap_or_default().saturating_add(1);
    KeyRange::all().until(&Key::new().number(beyond))
}

/// S3 at work for a bucket's owner.
fn itself(cloud: &Arc<Cloud>, bucket: &Bucket) -> Context {
    let principal = Principal::Service {
        name: "s3.amazonaws.com".into(),
        source_arn: Some(bucket.arn().into()),
        source_account: Some(bucket.owner.as_str().into()),
    };
    cloud.context(principal, &bucket.owner, &bucket.region)
}

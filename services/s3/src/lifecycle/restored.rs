//! Restored copies of archived objects: which are there, and their end.

use crate::S3;
use crate::errors::Result;
use crate::events::{self, Event};
use crate::state::{Bucket, Version};
use crate::versions::{self, Which};
use cloudlet_service::{Cloud, Principal};
use cloudlet_store::{Key, KeyRange, Record};
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

impl S3 {
    /// Notes when the copy ends.
    pub(crate) async fn remember_restored(
        &self,
        bucket: &Bucket,
        key: &str,
        version: &Version,
    ) -> Result<()> {
        let Some(until) = version.restored.and_then(|until| u64::try_from(until).ok()) else { return Ok(()) };
        let at = Key::new().number(until).number(bucket.id).number(version.seq);
        let restored =
            Restored { bucket: bucket.name.clone(), key: key.to_owned(), version: version.shown_id() };
        self.store.transact(|tx| -> Result<()> { Ok(tx.put(&at, &restored)?) }).await
    }

    /// Ends the copies whose time has come.
    pub(super) async fn end_restored(&self, cloud: &Arc<Cloud>) -> Result<()> {
        let now = cloud.clock().millis();
        let due = Key::new().number(u64::try_from(now).unwrap_or_default().saturating_add(1));
        let range = KeyRange::all().until(&due);
        while let Some((at, one)) =
            self.store.table::<Restored>().scan(range.clone(), false).next().transpose()?
        {
            let bucket = self.bucket(&one.bucket).ok();
            self.store
                .transact(|tx| -> Result<()> {
                    tx.delete::<Restored>(&at)?;
                    let Some(bucket) = &bucket else { return Ok(()) };
                    let which = Which::parse(Some(&one.version))?;
                    let found = versions::find_in(tx, bucket.id, &one.key, which)?;
                    let Some(mut found) =
                        found.filter(|f| f.version.restored.is_some_and(|until| until <= now))
                    else {
                        return Ok(());
                    };
                    let principal = Principal::Service {
                        name: "s3.amazonaws.com".into(),
                        source_arn: Some(bucket.arn().into()),
                        source_account: Some(bucket.owner.as_str().into()),
                    };
                    let cx = cloud.context(principal, &bucket.owner, &bucket.region);
                    found.version.restored = None;
                    versions::rewrite(tx, bucket.id, &one.key, &found)?;
                    let event =
                        Event { name: "ObjectRestore:Delete", key: &one.key, version: &found.version };
                    events::emit(tx, &cx, bucket, &event)
                })
                .await?;
        }
        Ok(())
    }
}

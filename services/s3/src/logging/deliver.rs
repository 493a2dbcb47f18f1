//! Delivery: lines become objects of the target bucket.

use super::Line;
use crate::S3;
use crate::checksums::Algorithm;
use crate::conditions::WriteConditions;
use crate::content;
use crate::errors::Result;
use crate::integrity::computed;
use crate::names::LOG_DELIVERY;
use crate::operations::{LOGGING, insert};
use crate::state::{Acl, Bucket, Draft, Grantee, Headers};
use cloudlet_api_s3 as api;
use cloudlet_service::{ByteStream, Cloud, Context, Error, Principal};
use cloudlet_store::{Key, KeyRange};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How old the first line of a batch is when it is delivered, in milliseconds of the cloud's clock.
const WAIT: i64 = 5_000;

/// The most lines, and bytes, of one object.
const LINES: usize = 5_000;
const BYTES: usize = 4 << 20;

/// The principal that bucket policies name. Source: S3 User Guide, "Permissions for log delivery".
const DELIVERER: &str = "logging.s3.amazonaws.com";

impl S3 {
    /// Delivers what is due.
    pub(crate) async fn deliver_logs(&self, cloud: &Arc<Cloud>) -> Result<()> {
        let mut range = KeyRange::all();
        while let Some((key, _)) = self.store.table::<Line>().scan(range.clone(), false).next().transpose()? {
            let Some(bucket) = key.parts().number() else { return Ok(()) };
            range = range.past(&Line::of(bucket));
            while self.deliver_batch(cloud, bucket).await? {}
        }
        Ok(())
    }

    /// One object out of the lines of a bucket. `false`: nothing more is due.
    async fn deliver_batch(&self, cloud: &Arc<Cloud>, bucket: u64) -> Result<bool> {
        let now = cloud.clock().millis();
        let mut keys: Vec<Key> = Vec::new();
        let mut text = String::new();
        let mut first = None;
        for row in self.store.table::<Line>().scan(Line::of(bucket).prefix_range(), false) {
            let (key, line) = row?;
            if keys.len() == LINES || text.len() > BYTES {
                break;
            }
            first.get_or_insert(line.at);
            text.push_str(&line.text);
            keys.push(key);
        }
        let Some(first) = first else { return Ok(false) };
        if first > now - WAIT && keys.len() < LINES {
            return Ok(false);
        }
        let source = text.split(' ').nth(1).unwrap_or_default();
        let source = self.store.table::<Bucket>().get_arc(&Bucket::key(source))?.filter(|b| b.id == bucket);
        let stored = match source {
            Some(source) => self.store_log(cloud, &source, first, &text, &keys).await?,
            None => false,
        };
        if !stored {
            // The bucket is gone, is no longer logged, or its target does not take the log: so AWS drops it.
            self.store.transact(|tx| -> Result<()> { forget(tx, &keys) }).await?;
        }
        Ok(true)
    }

    async fn store_log(
        &self,
        cloud: &Arc<Cloud>,
        source: &Bucket,
        first: i64,
        text: &str,
        keys: &[Key],
    ) -> Result<bool> {
        let status = self.config::<api::BucketLoggingStatus>(source, &LOGGING, "")?;
        let Some(enabled) = status.and_then(|s| s.logging_enabled) else { return Ok(false) };
        let Ok(target) = self.bucket(&enabled.target_bucket) else { return Ok(false) };
        let principal = Principal::Service {
            name: DELIVERER.into(),
            source_arn: Some(source.arn().into()),
            source_account: Some(source.owner.as_str().into()),
        };
        let cx = cloud.context(principal, &target.owner, &target.region);
        let key = object_key(&cx, source, &enabled, first);
        if target.owner != source.owner || !self.takes_logs(&cx, &target, &key) {
            tracing::info!(
                bucket = source.name,
                target = target.name,
                "the target does not take access logs"
            );
            return Ok(false);
        }
        let mut body = ByteStream::from(bytes::Bytes::copy_from_slice(text.as_bytes()));
        let algorithm = Algorithm::Crc64Nvme;
        let mut received = content::receive(&self.store, &mut body, &[algorithm], None, u64::MAX).await?;
        let headers = Headers { content_type: Some("text/plain".to_owned()), ..Headers::default() };
        let acl = grants(&target, &enabled).ok().flatten().filter(|_| !target.acls_disabled());
        let mut version =
            Draft { headers, metadata: BTreeMap::new(), acl, ..Draft::default() }.version(cx.millis());
        version.size = received.size;
        version.etag = hex::encode(received.md5);
        version.checksum = computed(&received, algorithm);
        let conditions = WriteConditions { if_match: None, if_none_match: None };
        self.store
            .transact(|tx| -> Result<()> {
                let version = crate::state::Version { body: received.place(tx)?, ..version.clone() };
                insert(tx, &cx, &target, &key, version, &conditions, "ObjectCreated:Put")?;
                forget(tx, keys)
            })
            .await?;
        received.keep();
        Ok(true)
    }

    /// Whether the target's policy, or its ACL, lets the log delivery in.
    fn takes_logs(&self, cx: &Context, target: &Bucket, key: &str) -> bool {
        let group = |to: &Grantee| matches!(to, Grantee::Group(uri) if uri == LOG_DELIVERY);
        let by_acl = !target.acls_disabled()
            && target.acl.as_ref().is_some_and(|acl| {
                let writes = |p: &str| matches!(p, "WRITE" | "FULL_CONTROL");
                acl.grants.iter().any(|g| group(&g.to) && writes(&g.permission))
            });
        by_acl || self.allowed(cx, target, Some(key), None, "s3:PutObject").is_ok()
    }
}

fn forget(tx: &mut cloudlet_store::Tx<'_>, keys: &[Key]) -> Result<()> {
    keys.iter().try_for_each(|key| Ok(tx.delete::<Line>(key)?))
}

/// `PREFIX` and the time of delivery, or the partitioned form. Source: S3 User Guide, "Log object key format".
fn object_key(cx: &Context, source: &Bucket, enabled: &api::LoggingEnabled, first: i64) -> String {
    let mut random = [0u8; 8];
    cx.random().fill(&mut random);
    let unique = hex::encode_upper(random);
    let stamp = |millis: i64| {
        let iso = crate::events::iso(millis);
        iso.get(..19).unwrap_or_default().replace(['T', ':'], "-")
    };
    let prefix = &enabled.target_prefix;
    let partitioned = enabled.target_object_key_format.as_ref().and_then(|f| f.partitioned_prefix.as_ref());
    let Some(partitioned) = partitioned else { return format!("{prefix}{}-{unique}", stamp(cx.millis())) };
    let by_event = partitioned.partition_date_source.as_deref() == Some("EventTime");
    let day = stamp(if by_event { first } else { cx.millis() });
    let name = if by_event { format!("{}-00-00-00", day.get(..10).unwrap_or_default()) } else { day.clone() };
    let folder = day.get(..10).unwrap_or_default().replace('-', "/");
    format!("{prefix}{}/{}/{}/{folder}/{name}-{unique}", source.owner, source.region, source.name)
}

/// The list that target grants make of a log's. Errors: those of an ACL's document.
pub(crate) fn grants(target: &Bucket, enabled: &api::LoggingEnabled) -> Result<Option<Acl>, Error> {
    let Some(grants) = enabled.target_grants.as_deref().filter(|g| !g.is_empty()) else { return Ok(None) };
    let own = crate::acl::to_grants(None, &target.owner);
    let given =
        grants.iter().map(|g| api::Grant { grantee: g.grantee.clone(), permission: g.permission.clone() });
    let document = api::AccessControlPolicy {
        owner: Some(crate::acl::owner(&target.owner)),
        grants: Some(own.into_iter().chain(given).collect()),
    };
    crate::acl::from_document(document, &target.owner).map(Some)
}

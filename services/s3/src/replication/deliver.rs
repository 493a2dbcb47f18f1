//! Delivery: one version to all buckets that the rules name.

use super::check::bucket_of;
use super::{COMPLETED, FAILED, Parcel, REPLICA, REPLICATION, What, rules_for};
use crate::S3;
use crate::content;
use crate::errors::Result;
use crate::events::{self, Event};
use crate::kms::{Sealing, Wish};
use crate::state::{Bucket, KmsSeal, Live, Version, Versioning};
use crate::versions::{self, Which};
use cloudlet_api_s3 as api;
use cloudlet_api_sts::{AssumeRoleInput, operations::AssumeRole};
use cloudlet_bus::{Delivery, Handler, Message, MessageId, Outcome};
use cloudlet_service::{BoxFuture, Cloud, Context, Error, Principal};
use serde_json::json;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How versions travel: those of one key in turn.
pub(crate) fn delivery() -> Delivery {
    Delivery { concurrency: 16, per_group: 1, max_delay: Duration::from_secs(60), ..Delivery::default() }
}

/// Hands versions to other buckets.
pub(crate) struct Deliverer {
    pub(crate) s3: Weak<S3>,
    pub(crate) cloud: Arc<Cloud>,
}

impl Handler for Deliverer {
    fn deliver<'a>(&'a self, _: &'a MessageId, message: &'a Message) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let Some(s3) = self.s3.upgrade() else {
                return Outcome::Postpone { after: Duration::from_secs(1), why: "S3 has ended".to_owned() };
            };
            let parcel: Parcel = match serde_json::from_slice(&message.payload) {
                Ok(parcel) => parcel,
                Err(why) => return Outcome::Dead { why: format!("the message is none of ours: {why}") },
            };
            match s3.replicate(&self.cloud, &parcel).await {
                Ok(()) => Outcome::Done,
                Err(fail) if fail.0.status() >= 500 || fail.0.status() == 429 => {
                    Outcome::Retry { after: None, why: fail.0.to_string() }
                }
                Err(fail) => Outcome::Dead { why: fail.0.to_string() },
            }
        })
    }
}

/// A version on its way: out of which bucket, by which rule, under which name of the operation.
pub(super) struct Journey<'a> {
    pub(super) cx: Context,
    pub(super) source: &'a Bucket,
    pub(super) parcel: &'a Parcel,
    rule: &'a api::ReplicationRule,
}

/// Bytes that were encrypted anew for their destination.
struct Resealed {
    received: content::Received,
    kms: Option<KmsSeal>,
}

impl S3 {
    /// Brings a version to every destination. Errors: what is worth another try; other failures are told by status
    /// and event.
    async fn replicate(&self, cloud: &Arc<Cloud>, parcel: &Parcel) -> Result<()> {
        let Ok(source) = self.bucket(&parcel.bucket) else { return Ok(()) };
        if source.id != parcel.id {
            return Ok(());
        }
        let configuration = self.config::<api::ReplicationConfiguration>(&source, &REPLICATION, "")?;
        let Some(configuration) = configuration else { return Ok(()) };
        let which = Which::parse(Some(&parcel.version))?;
        let Some(found) = versions::find(&self.store, source.id, &parcel.key, which)? else { return Ok(()) };
        let role = role(cloud, &source, &configuration.role).await;
        let role = match role {
            Err(error) if error.status() >= 500 || error.status() == 429 => return Err(error.into()),
            other => other,
        };
        let mut failed = false;
        for rule in rules_for(&configuration, &parcel.key, &found.version) {
            let cx = role.as_ref().map_or_else(|_| service(cloud, &source), Context::clone);
            let journey = Journey { cx, source: &source, parcel, rule };
            let reached = match &role {
                Ok(_) => self.reach(&journey, &found.version).await,
                Err(_) => Err("AssumeRoleNotPermitted"),
            };
            match reached {
                Ok(Ok(())) => {}
                Ok(Err(fail)) => return Err(fail),
                Err(why) => {
                    failed = true;
                    self.tell_failure(&journey, &found.version, why).await?;
                }
            }
        }
        self.conclude(&source, parcel, if failed { FAILED } else { COMPLETED }).await
    }

    /// One destination. The outer error is AWS's reason for a failure that stays one; the inner is worth another try.
    async fn reach(&self, journey: &Journey<'_>, version: &Version) -> Result<Result<()>, &'static str> {
        let Journey { cx, source, parcel, rule } = journey;
        let name = bucket_of(&rule.destination.bucket).ok_or("DstBucketNotFound")?;
        let target = self.bucket(name).map_err(|_| "DstBucketNotFound")?;
        if target.versioning != Versioning::Enabled {
            return Err("DstBucketUnversioned");
        }
        let (key, id) = (Some(parcel.key.as_str()), Some(parcel.version.as_str()));
        if !version.marker {
            self.allowed(cx, source, key, id, "s3:GetObjectVersionForReplication")
                .map_err(|_| "SrcGetObjectNotPermitted")?;
        }
        let mut needed = vec![match version.marker {
            true => ("s3:ReplicateDelete", "DstDeleteObjNotPermitted"),
            false => ("s3:ReplicateObject", "DstPutObjectNotPermitted"),
        }];
        if !version.tags.is_empty() {
            self.allowed(cx, source, key, id, "s3:GetObjectVersionTagging")
                .map_err(|_| "SrcGetObjectTaggingNotPermitted")?;
            needed.push(("s3:ReplicateTags", "DstPutTagsNotPermitted"));
        }
        let translated = rule.destination.access_control_translation.is_some();
        if translated {
            needed.push(("s3:ObjectOwnerOverrideToBucketOwner", "DstObjectHardDeleted"));
        }
        for (action, reason) in needed {
            self.allowed(cx, &target, key, None, action).map_err(|_| reason)?;
        }
        if version.customer_key.is_some() && self.blocks_customer_keys(&target).unwrap_or(true) {
            return Err("DstPutObjectNotPermitted");
        }
        let resealed = match &version.kms {
            None => None,
            Some(_) => {
                Some(self.reseal(journey, &target, version).await.map_err(|_| "SrcKmsKeyNotAccessible")?)
            }
        };
        if let Err(fail) = self.write_replica(journey, &target, translated, resealed).await {
            return Ok(Err(fail));
        }
        match self.bring_annotations(journey, &target, version).await {
            Err(fail) if fail.0.status() < 500 => Err("SrcKmsKeyNotAccessible"),
            brought => Ok(brought),
        }
    }

    /// The bytes of an object that KMS keeps the key of, decrypted and encrypted anew by the role's rights.
    async fn reseal(&self, journey: &Journey<'_>, target: &Bucket, version: &Version) -> Result<Resealed> {
        let cx = &journey.cx;
        let Some(seal) = &version.kms else { return Err(crate::errors::access_denied().into()) };
        let cipher = self.open_seal(cx, seal).await?;
        let body = content::open(&self.store, &version.body, 0..version.size, Some(&cipher))?;
        let mut body = body.ok_or_else(crate::errors::conflicting_operation)?;
        let sealing = self.seal_for(journey, target, seal).await?;
        let received = content::receive(&self.store, &mut body, &[], sealing.cipher(cx), u64::MAX).await?;
        Ok(Resealed { received, kms: sealing.kms() })
    }

    /// A new data key under the destination's key of KMS, for what was sealed so.
    pub(super) async fn seal_for(
        &self,
        journey: &Journey<'_>,
        target: &Bucket,
        seal: &KmsSeal,
    ) -> Result<Sealing> {
        let Journey { cx, parcel, rule, .. } = journey;
        let key = rule.destination.encryption_configuration.as_ref();
        let key = key.and_then(|e| e.replica_kms_key_id.as_deref()).unwrap_or_default();
        let wish = Wish { key, dual: seal.dual, context: seal.given.as_deref(), bucket_key: seal.bucket_key };
        Ok(self.seal(cx, target, &parcel.key, &wish).await?)
    }

    async fn write_replica(
        &self,
        journey: &Journey<'_>,
        target: &Bucket,
        translated: bool,
        mut resealed: Option<Resealed>,
    ) -> Result<()> {
        let Journey { cx, source, parcel, rule } = journey;
        let which = Which::parse(Some(&parcel.version))?;
        let mut used = false;
        self.store
            .transact(|tx| -> Result<()> {
                used = false;
                let Some(found) = versions::find_in(tx, source.id, &parcel.key, which)? else {
                    return Ok(());
                };
                if !tx.exists::<Live>(&Live::key(target.id))? {
                    return Ok(());
                }
                let version = found.version;
                let owner = version.owner.clone().unwrap_or_else(|| source.owner.clone());
                // In a bucket without ACLs everything is the bucket owner's.
                let translated = translated || target.acls_disabled();
                let owner = if translated { target.owner.clone() } else { owner };
                let class = rule.destination.storage_class.clone().or_else(|| version.class.clone());
                let locked = target.lock.is_some();
                let draft = Version {
                    replication: Some(REPLICA.to_owned()),
                    owner: Some(owner).filter(|o| *o != target.owner),
                    acl: version.acl.clone().filter(|_| !translated),
                    class: class.filter(|c| c != "STANDARD"),
                    retention: version.retention.clone().filter(|_| locked),
                    hold: version.hold.filter(|_| locked),
                    restored: None,
                    restoring: None,
                    annotations: 0,
                    ..version.clone()
                };
                if let Some(mut there) = versions::find_in(tx, target.id, &parcel.key, which)? {
                    // It came before: what can change of it is brought up to date.
                    there.version.tags = draft.tags;
                    there.version.acl = draft.acl;
                    there.version.retention = draft.retention;
                    there.version.hold = draft.hold;
                    return versions::rewrite(tx, target.id, &parcel.key, &there);
                }
                if parcel.what != What::Object && version.replication.as_deref() == Some(REPLICA) {
                    return Ok(());
                }
                let replica = match &resealed {
                    None => Version { body: content::share(tx, &version.body)?, ..draft },
                    // It is one piece now, whatever it was uploaded in.
                    Some(new) => Version { body: new.received.place(tx)?, kms: new.kms.clone(), ..draft },
                };
                used = true;
                versions::add_replica(tx, target, &parcel.key, &replica)?;
                let name =
                    if replica.marker { "ObjectRemoved:DeleteMarkerCreated" } else { "ObjectCreated:Put" };
                events::emit(tx, cx, target, &Event { name, key: &parcel.key, version: &replica })
            })
            .await?;
        if let Some(resealed) = resealed.as_mut().filter(|_| used) {
            resealed.received.keep();
        }
        Ok(())
    }

    /// Says of the source how it went.
    async fn conclude(&self, source: &Bucket, parcel: &Parcel, status: &str) -> Result<()> {
        self.conclude_annotations(source, parcel, status).await?;
        if parcel.what == What::Annotations {
            return Ok(());
        }
        let which = Which::parse(Some(&parcel.version))?;
        self.store
            .transact(|tx| -> Result<()> {
                let Some(mut found) = versions::find_in(tx, source.id, &parcel.key, which)? else {
                    return Ok(());
                };
                if found.version.replication.as_deref() == Some(REPLICA) {
                    return Ok(());
                }
                found.version.replication = Some(status.to_owned());
                versions::rewrite(tx, source.id, &parcel.key, &found)
            })
            .await
    }

    /// `Replication:OperationFailedReplication`. Source: S3 User Guide, "Receiving replication failure events".
    async fn tell_failure(&self, journey: &Journey<'_>, version: &Version, why: &str) -> Result<()> {
        let Journey { cx, source, parcel, rule } = journey;
        tracing::info!(bucket = source.name, why, "a version could not be replicated");
        let operation = match (parcel.what, version.marker) {
            (What::Metadata, _) => "OBJECT_PUT_TAGGING",
            (What::Annotations, _) => "OBJECT_PUT_ANNOTATION",
            (What::Object, true) => "OBJECT_DELETE",
            (What::Object, false) => "OBJECT_PUT",
        };
        let more = json!({
            "replicationRuleId": rule.id,
            "destinationBucket": rule.destination.bucket,
            "s3Operation": operation,
            "requestTime": events::iso(parcel.at),
            "failureReason": why,
        });
        let event = Event { name: "Replication:OperationFailedReplication", key: &parcel.key, version };
        self.store
            .transact(|tx| -> Result<()> {
                events::emit_with(tx, cx, source, &event, Some(("replicationEventData", more.clone())))
            })
            .await
    }
}

fn service(cloud: &Arc<Cloud>, source: &Bucket) -> Context {
    let principal = Principal::Service {
        name: "s3.amazonaws.com".into(),
        source_arn: Some(source.arn().into()),
        source_account: Some(source.owner.as_str().into()),
    };
    cloud.context(principal, &source.owner, &source.region)
}

/// The configuration's role, assumed by S3. Errors: those of AssumeRole.
async fn role(cloud: &Arc<Cloud>, source: &Bucket, role: &str) -> Result<Context, Error> {
    let cx = service(cloud, source);
    let input = AssumeRoleInput {
        role_arn: role.to_owned(),
        role_session_name: "s3-replication".to_owned(),
        ..Default::default()
    };
    let output = cloud.call::<AssumeRole>(&cx, input).await?;
    let given =
        output.credentials.ok_or_else(|| crate::errors::internal("AssumeRole gave no credentials"))?;
    let resolved = cloud.identity()?.resolve(&given.access_key_id, Some(&given.session_token))?;
    let mut cx = cloud.context(resolved.principal, &source.owner, &source.region);
    cx.session = resolved.session;
    Ok(cx)
}

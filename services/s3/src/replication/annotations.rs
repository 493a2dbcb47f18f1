//! Annotations travel too: each change of one is brought to the replicas of its version by itself, and what was copied
//! with an object follows it. Source: S3 User Guide, "What does Amazon S3 replicate?".

use super::deliver::Journey;
use super::{Parcel, REPLICA};
use crate::S3;
use crate::annotations::{self, Annotation};
use crate::content;
use crate::errors::Result;
use crate::state::{Body, Bucket, KmsSeal, Version};
use crate::versions::{self, Which};
use std::collections::HashMap;

/// Annotations whose bytes were encrypted anew, by their names.
type Resealed = HashMap<String, Anew>;

struct Anew {
    /// The tag of what it was made from.
    etag: String,
    received: content::Received,
    kms: Option<KmsSeal>,
}

impl S3 {
    /// Makes the annotations of a replica those of its version. Errors: those of KMS, where it keeps the keys.
    pub(super) async fn bring_annotations(
        &self,
        journey: &Journey<'_>,
        target: &Bucket,
        version: &Version,
    ) -> Result<()> {
        let Journey { source, parcel, .. } = journey;
        let which = Which::parse(Some(&parcel.version))?;
        let Some(replica) = versions::find(&self.store, target.id, &parcel.key, which)? else {
            return Ok(());
        };
        if version.annotations == 0 && replica.version.annotations == 0 {
            return Ok(());
        }
        let mut resealed = match replica.version.kms.is_some() {
            true => self.reseal_annotations(journey, target, version).await?,
            false => Resealed::new(),
        };
        let mut used = Vec::new();
        self.store
            .transact(|tx| -> Result<()> {
                used.clear();
                let Some(from) = versions::find_in(tx, source.id, &parcel.key, which)? else { return Ok(()) };
                let Some(mut to) = versions::find_in(tx, target.id, &parcel.key, which)? else {
                    return Ok(());
                };
                let mut there: HashMap<String, Annotation> =
                    annotations::of(tx, target.id, &to.version)?.into_iter().collect();
                let mut count = 0;
                for (name, wanted) in annotations::of(tx, source.id, &from.version)? {
                    let at = Annotation::key(target.id, to.version.seq, &name);
                    let old = there.remove(&name);
                    if old
                        .as_ref()
                        .is_some_and(|old| old.etag == wanted.etag && old.modified == wanted.modified)
                    {
                        count += 1;
                        continue;
                    }
                    let anew = resealed.get(&name).filter(|anew| anew.etag == wanted.etag);
                    let (piece, kms) = match (&to.version.kms, anew, &wanted.piece) {
                        (None, _, None) => (None, None),
                        (None, _, Some(piece)) => (Some(content::share_piece(tx, piece)?), None),
                        (Some(_), Some(anew), _) => (anew.received.piece(tx)?, anew.kms.clone()),
                        // It was replaced meanwhile, which has sent a message of its own.
                        (Some(_), None, _) => {
                            count += u32::from(old.is_some());
                            continue;
                        }
                    };
                    if let Some(piece) = old.and_then(|old| old.piece) {
                        content::release_piece(tx, &piece)?;
                    }
                    tx.put(&at, &Annotation { piece, kms, replication: Some(REPLICA.to_owned()), ..wanted })?;
                    used.push(name);
                    count += 1;
                }
                for (name, gone) in there {
                    if let Some(piece) = &gone.piece {
                        content::release_piece(tx, piece)?;
                    }
                    tx.delete::<Annotation>(&Annotation::key(target.id, to.version.seq, &name))?;
                }
                to.version.annotations = count;
                versions::rewrite(tx, target.id, &parcel.key, &to)
            })
            .await?;
        for name in &used {
            if let Some(anew) = resealed.get_mut(name) {
                anew.received.keep();
            }
        }
        Ok(())
    }

    /// The texts of an object that KMS keeps the key of, by the role's rights, under the replica's key.
    async fn reseal_annotations(
        &self,
        journey: &Journey<'_>,
        target: &Bucket,
        version: &Version,
    ) -> Result<Resealed> {
        let Journey { cx, source, .. } = journey;
        let mut out = Resealed::new();
        let range = Annotation::key(source.id, version.seq, "").prefix_range();
        for row in self.store.table::<Annotation>().scan(range, false) {
            let (key, annotation) = row?;
            let Some(seal) = annotation.kms.as_ref().or(version.kms.as_ref()) else { continue };
            let opened = match &annotation.kms {
                Some(seal) => Some(self.open_seal(cx, seal).await?),
                None => None,
            };
            let body = annotation.piece.clone().map_or(Body::Empty, Body::One);
            let Some(mut text) = content::open(&self.store, &body, 0..annotation.size, opened.as_ref())?
            else {
                continue;
            };
            let sealing = self.seal_for(journey, target, seal).await?;
            let received =
                content::receive(&self.store, &mut text, &[], sealing.cipher(cx), u64::MAX).await?;
            let anew = Anew { etag: annotation.etag, received, kms: sealing.kms() };
            out.insert(Annotation::name(&key), anew);
        }
        Ok(out)
    }

    /// Says of the annotations that were on their way how it went.
    pub(super) async fn conclude_annotations(
        &self,
        source: &Bucket,
        parcel: &Parcel,
        status: &str,
    ) -> Result<()> {
        let which = Which::parse(Some(&parcel.version))?;
        self.store
            .transact(|tx| -> Result<()> {
                let Some(found) = versions::find_in(tx, source.id, &parcel.key, which)? else {
                    return Ok(());
                };
                for (name, annotation) in annotations::of(tx, source.id, &found.version)? {
                    // What came later has a message of its own.
                    let waits = annotation.replication.as_deref() == Some(super::PENDING);
                    if waits && annotation.modified <= parcel.at {
                        let at = Annotation::key(source.id, found.version.seq, &name);
                        tx.put(&at, &Annotation { replication: Some(status.to_owned()), ..annotation })?;
                    }
                }
                Ok(())
            })
            .await
    }
}

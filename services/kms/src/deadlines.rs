//! What happens to keys by the clock: deletion, rotation, the expiry of imported material.
//!
//! Whoever looks at a key settles what is due first, so that the clock is right to the millisecond; the bus comes by
//! for keys that nobody looks at.

use crate::Kms;
use crate::crypto::Rng;
use crate::errors::{Failure, stored};
use crate::state::{
    Alias, DAY, Grant, ImportOffer, KeyRecord, Material, Materials, State, Usage, key_place, place,
};
use cloudlet_bus::{Handler, Message, MessageId, Outcome};
use cloudlet_service::{BoxFuture, Error};
use cloudlet_store::{Key, Tx};
use std::sync::Arc;
use std::time::Duration;

/// The queue of keys to look at.
pub(crate) const QUEUE: &str = "kms.deadlines";

/// Asks for a look at a key at this time.
pub(crate) fn at(key: &KeyRecord, due: i64) -> Message {
    Message {
        queue: QUEUE.to_owned(),
        payload: key.place().as_bytes().to_vec(),
        not_before: u64::try_from(due).unwrap_or(0),
        ..Message::default()
    }
}

pub(crate) struct Deadlines(pub(crate) Arc<Kms>);

impl Handler for Deadlines {
    fn deliver<'a>(&'a self, id: &'a MessageId, message: &'a Message) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let key = Key::from_bytes(message.payload.clone());
            let now = i64::try_from(id.due()).unwrap_or(i64::MAX);
            match self.0.settle(&key, now).await {
                Ok(()) => Outcome::Done,
                Err(error) => Outcome::Retry { after: Some(Duration::from_secs(60)), why: error.to_string() },
            }
        })
    }
}

impl Kms {
    /// Whether something is to be done with the key at this time.
    pub(crate) fn is_due(&self, key: &KeyRecord, now: i64) -> Result<bool, Error> {
        if key.state == State::PendingDeletion && key.deletion.is_some_and(|at| at <= now) {
            return Ok(true);
        }
        let materials = self.materials(key)?;
        Ok(rotates(key, &materials, now) || expired(&materials, now))
    }

    /// Does what is due.
    pub(crate) async fn settle(&self, at: &Key, now: i64) -> Result<(), Error> {
        let Some(key) = self.store.table::<KeyRecord>().get(at).map_err(stored)? else { return Ok(()) };
        // Made before, because a transaction may run twice.
        let fresh = self.fresh(&key, now)?;
        let settled = self.store.transact(|tx| {
            let Some(mut key) = tx.get::<KeyRecord>(at)? else { return Ok(()) };
            if key.state == State::PendingDeletion && key.deletion.is_some_and(|at| at <= now) {
                return erase(tx, &key, now);
            }
            let place = key.material_place();
            let Some(mut materials) = tx.get::<Materials>(&place)? else { return Ok(()) };
            if expired(&materials, now) {
                expire(&mut key, &mut materials, now);
                tx.put(&place, &materials)?;
                tx.put(at, &key)?;
            }
            if rotates(&key, &materials, now)
                && let Some(mut material) = fresh.clone()
            {
                material.rotated = Some((now, "AUTOMATIC".to_owned()));
                materials.current.clone_from(&material.id);
                materials.all.push(material);
                if let Some(rotation) = &mut materials.rotation {
                    rotation.next = now + i64::from(rotation.days) * DAY;
                    tx.emit(self::at(&key, rotation.next))?;
                }
                tx.put(&place, &materials)?;
            }
            Ok::<_, Failure>(())
        });
        Ok(settled.await?)
    }

    /// Material for the next generation of a symmetric key.
    pub(crate) fn fresh(&self, key: &KeyRecord, now: i64) -> Result<Option<Material>, Error> {
        let Some(cloud) = self.cloud.upgrade().filter(|_| key.is_symmetric()) else { return Ok(None) };
        let rng = Rng(cloud.random());
        let id = hex::encode(rng.bytes::<32>());
        self.sealed(&cloud, key, id, &rng.bytes::<32>(), now).map(Some)
    }
}

fn rotates(key: &KeyRecord, materials: &Materials, now: i64) -> bool {
    key.state == State::Enabled && materials.rotation.as_ref().is_some_and(|rotation| rotation.next <= now)
}

fn expired(materials: &Materials, now: i64) -> bool {
    materials.all.iter().any(|m| !m.sealed.is_empty() && m.expires.is_some_and(|at| at <= now))
}

fn expire(key: &mut KeyRecord, materials: &mut Materials, now: i64) {
    for material in &mut materials.all {
        if material.expires.is_some_and(|at| at <= now) {
            material.sealed.clear();
        }
    }
    if key.state == State::Enabled || key.state == State::Disabled {
        key.state = State::PendingImport;
    }
}

/// Forgets the wrapping keys of a key that have expired by this time; gives how many are left.
pub(crate) fn forget_offers(tx: &mut Tx<'_>, key: &Key, now: i64) -> Result<usize, Failure> {
    let offers: Vec<(Key, ImportOffer)> =
        tx.scan::<ImportOffer>(key.prefix_range(), false).collect::<Result<_, _>>()?;
    let mut left = 0;
    for (at, offer) in offers {
        if offer.expires <= now {
            tx.delete::<ImportOffer>(&at)?;
        } else {
            left += 1;
        }
    }
    Ok(left)
}

/// Takes a key away, and all that hangs on it.
fn erase(tx: &mut Tx<'_>, key: &KeyRecord, now: i64) -> Result<(), Failure> {
    let at = key.place();
    for name in &key.aliases {
        tx.delete::<Alias>(&place(&key.account, &key.region).text(name))?;
    }
    let grants: Vec<Key> = tx
        .scan::<Grant>(at.prefix_range(), false)
        .map(|row| row.map(|(key, _)| key))
        .collect::<Result<_, _>>()?;
    for grant in grants {
        tx.delete::<Grant>(&grant)?;
    }
    forget_offers(tx, &at, i64::MAX)?;
    tx.delete::<Usage>(&at)?;
    tx.delete::<KeyRecord>(&at)?;
    let Some(family) = &key.family else {
        tx.delete::<Materials>(&key.material_place())?;
        return Ok(());
    };
    let mut left = false;
    for region in family.regions().filter(|region| **region != key.region) {
        let place = key_place(&key.account, region, &key.id);
        let Some(mut member) = tx.get::<KeyRecord>(&place)? else { continue };
        left = true;
        if let Some(family) = &mut member.family {
            family.replicas.retain(|replica| *replica != key.region);
            // The primary's own waiting period begins when its last replica has gone.
            if member.state == State::PendingReplicaDeletion && family.replicas.is_empty() {
                member.state = State::PendingDeletion;
                let due = now + i64::from(member.window.unwrap_or(30)) * DAY;
                member.deletion = Some(due);
                tx.emit(self::at(&member, due))?;
            }
        }
        tx.put(&place, &member)?;
    }
    if !left || key.origin != "AWS_KMS" {
        tx.delete::<Materials>(&key.material_place())?;
    }
    Ok(())
}

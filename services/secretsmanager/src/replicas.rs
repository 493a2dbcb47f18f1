//! Replicas: the same secret in other Regions, encrypted there, and changed in one transaction with the primary, so that
//! no crash can come between them.
//!
//! Source: User Guide, "Replicate AWS Secrets Manager secrets across Regions".

use crate::SecretsManager;
use crate::errors::{Failure, invalid, no_secret, stored};
use crate::rotation::erase;
use crate::state::{CrossLink, DETACHED, IN_SYNC, Replica, Secret, Value, Version, secret_place};
use crate::values::Plain;
use cloudlet_api_secretsmanager::*;
use cloudlet_service::regions;
use cloudlet_store::{Key, Tx};

/// How often a change begins again because another came between.
const ATTEMPTS: usize = 16;

/// New values of a change, by the id of their version.
pub(crate) type Fresh<'a> = &'a [(&'a str, &'a Plain)];

/// A replica that a call asks for.
pub(crate) struct Wanted {
    region: String,
    kms_key: Option<String>,
    /// Whether it may take the place of another secret of its name.
    overwrite: bool,
}

/// What a replica needs before it can be written: the values that it lacks, or why they cannot be had.
struct Ready {
    replica: Replica,
    overwrite: bool,
    values: Vec<(String, Value)>,
}

/// The same for the replica in another account.
pub(crate) struct ReadyCross {
    pub(crate) link: CrossLink,
    place: Option<Key>,
    values: Vec<(String, Value)>,
}

impl SecretsManager {
    /// The replicas that a call asks for. Errors: `InvalidParameterException`.
    pub(crate) fn wanted_replicas(
        cx: &Context,
        region_of_primary: &str,
        regions: &[ReplicaRegionType],
        overwrite: bool,
    ) -> Result<Vec<Wanted>, Error> {
        let mut out: Vec<Wanted> = Vec::new();
        for wanted in regions {
            let region = wanted.region.clone().unwrap_or_default();
            let elsewhere = region != region_of_primary && regions::exists(&region);
            if !elsewhere || regions::partition(&region) != cx.partition() {
                return Err(invalid("Invalid replica region."));
            }
            if out.iter().any(|there| there.region == region) {
                return Err(invalid(format!("Duplicate replica region {region}.")));
            }
            out.push(Wanted { region, kms_key: wanted.kms_key_id.clone(), overwrite });
        }
        Ok(out)
    }

    /// Changes a secret and all its replicas at once; gives the primary as it is then, with their status.
    pub(crate) async fn change_all(
        &self,
        cx: &Context,
        secret: &Secret,
        fresh: Fresh<'_>,
        added: &[Wanted],
        mut f: impl FnMut(&mut Tx<'_>, &mut Secret) -> Result<(), Failure> + Send,
    ) -> Result<Secret, Error> {
        let at = secret.place();
        for _ in 0..ATTEMPTS {
            let base = self.store.table::<Secret>().get(&at).map_err(stored)?;
            let base = base.filter(|there| there.suffix == secret.suffix).ok_or_else(no_secret)?;
            if base.replicas.is_empty() && added.is_empty() && base.cross_replica.is_none() {
                return self.change(secret, f).await;
            }
            let outcome = self.write_all(cx, &base, fresh, added, |tx| {
                let found = tx.get::<Secret>(&at)?.filter(|found| found.suffix == secret.suffix);
                let mut record = found.ok_or_else(no_secret)?;
                if !same_values(&record, &base) || record.cross_replica != base.cross_replica {
                    return Ok(None);
                }
                f(tx, &mut record)?;
                Ok(Some(record))
            });
            if let Some(changed) = outcome.await? {
                return Ok(changed);
            }
        }
        Err(InternalServiceError::error("An error occurred on the server side."))
    }

    /// Writes what `f` makes of a secret, and its replicas, in one transaction; `None` where `f` wants to begin again.
    /// What cannot be replicated is told in the replica's status.
    pub(crate) async fn write_all(
        &self,
        cx: &Context,
        base: &Secret,
        fresh: Fresh<'_>,
        added: &[Wanted],
        mut f: impl FnMut(&mut Tx<'_>) -> Result<Option<Secret>, Failure> + Send,
    ) -> Result<Option<Secret>, Error> {
        let mut ready = Vec::new();
        for replica in &base.replicas {
            if !added.iter().any(|wanted| wanted.region == replica.region) {
                ready.push(self.prepare(cx, base, replica.clone(), false, fresh).await?);
            }
        }
        for wanted in added {
            let replica =
                Replica { region: wanted.region.clone(), kms_key: wanted.kms_key.clone(), failed: None };
            ready.push(self.prepare(cx, base, replica, wanted.overwrite, fresh).await?);
        }
        let cross = match base.cross_replica.as_ref().filter(|link| link.status != DETACHED) {
            Some(link) => Some(self.prepare_cross(cx, base, link, fresh).await?),
            None => None,
        };
        let written = self.store.transact(|tx| {
            let Some(mut secret) = f(tx)? else { return Ok(None) };
            let mut replicas = Vec::with_capacity(ready.len());
            for ready in &ready {
                replicas.push(put(tx, &secret, ready)?);
            }
            secret.replicas = replicas;
            if let Some(ready) = &cross {
                secret.cross_replica = Some(put_cross(tx, &secret, ready)?);
            }
            tx.put(&secret.place(), &secret)?;
            Ok::<_, Failure>(Some(secret))
        });
        Ok(written.await?)
    }

    /// Seals in the replica's Region what it has not yet.
    async fn prepare(
        &self,
        cx: &Context,
        secret: &Secret,
        replica: Replica,
        overwrite: bool,
        fresh: Fresh<'_>,
    ) -> Result<Ready, Error> {
        let mut ready = Ready { replica, overwrite, values: Vec::new() };
        // A name that is taken stays taken until somebody asks for the replica again.
        if ready.name_taken() {
            return Ok(ready);
        }
        let copy = copy_of(secret, &ready.replica);
        let there = self.store.table::<Secret>().get(&copy.place()).map_err(stored)?;
        // What another secret has there, or what is under another key, is of no use.
        let useless = there.is_some_and(|there| !is_replica(&there, secret) || there.kms_key != copy.kms_key);
        ready.replica.failed = None;
        match self.lacking(cx, secret, &copy, useless, fresh).await? {
            Ok(values) => ready.values = values,
            Err(why) => ready.replica.failed = Some(why),
        }
        Ok(ready)
    }

    /// Links a secret with its replica in another account, and fills that.
    pub(crate) async fn link(
        &self,
        cx: &Context,
        secret: &Secret,
        link: &CrossLink,
    ) -> Result<Secret, Error> {
        let at = secret.place();
        for _ in 0..ATTEMPTS {
            let base = self.store.table::<Secret>().get(&at).map_err(stored)?;
            let base = base.filter(|there| there.suffix == secret.suffix).ok_or_else(no_secret)?;
            let linked = Secret { cross_replica: Some(link.clone()), ..base.clone() };
            let outcome = self.write_all(cx, &linked, &[], &[], |tx| {
                let found = tx.get::<Secret>(&at)?.filter(|found| found.suffix == secret.suffix);
                let record = found.ok_or_else(no_secret)?;
                Ok(same_values(&record, &base).then_some(record))
            });
            if let Some(changed) = outcome.await? {
                return Ok(changed);
            }
        }
        Err(InternalServiceError::error("An error occurred on the server side."))
    }

    /// What the replica in another account needs before it can be written.
    pub(crate) async fn prepare_cross(
        &self,
        cx: &Context,
        secret: &Secret,
        link: &CrossLink,
        fresh: Fresh<'_>,
    ) -> Result<ReadyCross, Error> {
        let link = CrossLink { status: IN_SYNC.to_owned(), message: None, ..link.clone() };
        let mut ready = ReadyCross { link, place: None, values: Vec::new() };
        let arn = secret.arn();
        let there = self.by_arn(&ready.link.arn)?;
        let there = there.filter(|there| there.cross_primary.as_ref().is_some_and(|link| link.arn == arn));
        let why = match there {
            None => Some("Replication failed: the replica secret does not exist.".to_owned()),
            Some(there) => {
                ready.place = Some(there.place());
                match self.lacking(cx, secret, &there, false, fresh).await? {
                    Ok(values) => {
                        ready.values = values;
                        None
                    }
                    Err(why) => Some(why),
                }
            }
        };
        if why.is_some() {
            "Failed".clone_into(&mut ready.link.status);
            ready.link.message = why;
        }
        Ok(ready)
    }

    /// The values that a copy of a secret has not yet, sealed for it; or why they cannot be had.
    async fn lacking(
        &self,
        cx: &Context,
        secret: &Secret,
        copy: &Secret,
        useless: bool,
        fresh: Fresh<'_>,
    ) -> Result<Result<Vec<(String, Value)>, String>, Error> {
        let mut values = Vec::new();
        let old = secret.versions.iter().filter(|version| !version.empty);
        let old = old.filter(|version| !fresh.iter().any(|(id, _)| *id == version.id));
        for id in old.map(|version| version.id.as_str()).chain(fresh.iter().map(|(id, _)| *id)) {
            let new = fresh.iter().find(|(fresh, _)| *fresh == id).map(|(_, plain)| *plain);
            let known = self.store.table::<Value>().exists(&copy.value_place(id)).map_err(stored)?;
            if known && !useless {
                continue;
            }
            let sealed = match new {
                Some(plain) => self.seal(cx, copy, id, plain).await,
                None => match self.open(cx, secret, id).await {
                    Ok(plain) => self.seal(cx, copy, id, &plain).await,
                    Err(error) => Err(error),
                },
            };
            match sealed {
                Ok(value) => values.push((id.to_owned(), value)),
                Err(error) => return Ok(Err(format!("Replication failed: {}", error.message()))),
            }
        }
        Ok(Ok(values))
    }

    /// The replica of a secret in a Region.
    pub(crate) fn replica(&self, secret: &Secret, region: &str) -> Result<Option<Secret>, Error> {
        let at = secret_place(&secret.account, region, &secret.name);
        let found = self.store.table::<Secret>().get(&at).map_err(stored)?;
        Ok(found.filter(|there| there.suffix == secret.suffix && there.primary.is_some()))
    }
}

impl Ready {
    fn name_taken(&self) -> bool {
        self.replica.failed.as_ref().is_some_and(|why| why.contains("already exists"))
    }
}

/// Whether a secret still has the versions and the replicas that were prepared for.
fn same_values(now: &Secret, base: &Secret) -> bool {
    let filled = |secret: &Secret| -> Vec<String> {
        let filled = secret.versions.iter().filter(|version| !version.empty);
        filled.map(|version| version.id.clone()).collect()
    };
    now.replicas == base.replicas && filled(now) == filled(base)
}

fn is_replica(there: &Secret, secret: &Secret) -> bool {
    there.primary.as_ref() == Some(&secret.region) && there.suffix == secret.suffix
}

/// Tells the replicas in other Regions when their secret was rotated.
pub(crate) fn note_rotated(tx: &mut Tx<'_>, secret: &Secret) -> Result<(), Failure> {
    for replica in &secret.replicas {
        let at = secret_place(&secret.account, &replica.region, &secret.name);
        let found = tx.get::<Secret>(&at)?;
        if let Some(mut there) = found.filter(|there| is_replica(there, secret)) {
            there.rotated = secret.rotated;
            tx.put(&at, &there)?;
        }
    }
    Ok(())
}

/// The secret as its replica has it.
fn copy_of(secret: &Secret, replica: &Replica) -> Secret {
    let mut copy = Secret {
        region: replica.region.clone(),
        kms_key: replica.kms_key.clone(),
        primary: Some(secret.region.clone()),
        replicas: Vec::new(),
        cross_primary: None,
        cross_replica: None,
        accessed: None,
        rotation: None,
        ..secret.clone()
    };
    for version in &mut copy.versions {
        version.kms_key.clone_from(&replica.kms_key);
        version.accessed = None;
    }
    copy
}

/// Writes one replica; gives it with its status.
fn put(tx: &mut Tx<'_>, secret: &Secret, ready: &Ready) -> Result<Replica, Failure> {
    let mut replica = ready.replica.clone();
    if replica.failed.is_some() {
        return Ok(replica);
    }
    let mut copy = copy_of(secret, &replica);
    let at = copy.place();
    let mut old = tx.get::<Secret>(&at)?;
    if old.as_ref().is_some_and(|old| !is_replica(old, secret)) {
        if !ready.overwrite {
            replica.failed = Some(format!(
                "Replication failed: Secret name {} already exists in region {}.",
                secret.name, replica.region
            ));
            return Ok(replica);
        }
        if let Some(other) = old.take() {
            erase(tx, &other)?;
        }
    }
    if let Some(old) = &old {
        copy.accessed = old.accessed;
        let kept = |version: &Version| old.version(&version.id).and_then(|version| version.accessed);
        for version in &mut copy.versions {
            version.accessed = kept(version);
        }
        for gone in old.versions.iter().filter(|version| copy.version(&version.id).is_none()) {
            tx.delete::<Value>(&copy.value_place(&gone.id))?;
        }
    }
    for (id, value) in ready.values.iter().filter(|(id, _)| copy.version(id).is_some()) {
        tx.put(&copy.value_place(id), value)?;
    }
    tx.put(&at, &copy)?;
    Ok(replica)
}

/// Writes the replica in another account: versions and values, not what its own account says of it.
fn put_cross(tx: &mut Tx<'_>, secret: &Secret, ready: &ReadyCross) -> Result<CrossLink, Failure> {
    let mut link = ready.link.clone();
    let found = match &ready.place {
        Some(at) => tx.get::<Secret>(at)?.filter(|there| there.arn() == link.arn),
        None => None,
    };
    let Some(mut there) = found.filter(|there| there.cross_primary.is_some()) else {
        DETACHED.clone_into(&mut link.status);
        return Ok(link);
    };
    if link.message.is_none() {
        for gone in there.versions.iter().filter(|version| secret.version(&version.id).is_none()) {
            tx.delete::<Value>(&there.value_place(&gone.id))?;
        }
        let mut versions = secret.versions.clone();
        for version in &mut versions {
            version.kms_key.clone_from(&there.kms_key);
            version.accessed = there.version(&version.id).and_then(|version| version.accessed);
        }
        there.versions = versions;
        there.changed = secret.changed;
        for (id, value) in ready.values.iter().filter(|(id, _)| there.version(id).is_some()) {
            tx.put(&there.value_place(id), value)?;
        }
    }
    let told = CrossLink { arn: secret.arn(), ..link.clone() };
    there.cross_primary = Some(told);
    tx.put(&there.place(), &there)?;
    Ok(link)
}

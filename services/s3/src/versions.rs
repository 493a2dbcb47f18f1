//! The versions of a key: which is current, how one is added, how one is removed.
//! Source: S3 User Guide, "How S3 Versioning works".

use crate::annotations;
use crate::content;
use crate::errors::{Result, invalid_argument, no_such_version};
use crate::state::{Bucket, Object, Version, Versioning};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloudlet_service::Context;
use cloudlet_store::{Store, Tx};
use sha2::{Digest, Sha256};

/// The sequence that versions and uploads are numbered by.
pub(crate) const SEQUENCE: &str = "s3.versions";

/// Makes an id out of a number: 32 characters that look random, out of which [`number_of`] reads the number.
pub(crate) fn new_id(cx: &Context, seq: u64) -> String {
    let mut random = [0u8; 16];
    cx.random().fill(&mut random);
    let mut bytes = [0u8; 24];
    bytes[..8].copy_from_slice(&masked(seq, &random).to_be_bytes());
    bytes[8..].copy_from_slice(&random);
    URL_SAFE_NO_PAD.encode(bytes).replace('-', ".")
}

fn masked(seq: u64, random: &[u8]) -> u64 {
    let hash = Sha256::digest(random);
    let mut mask = [0u8; 8];
    mask.copy_from_slice(&hash[..8]);
    seq ^ u64::from_be_bytes(mask)
}

/// The number in an id; `None` where it is not of our making.
pub(crate) fn number_of(id: &str) -> Option<u64> {
    let bytes: [u8; 24] = URL_SAFE_NO_PAD.decode(id.replace('.', "-")).ok()?.try_into().ok()?;
    let mut seq = [0u8; 8];
    seq.copy_from_slice(&bytes[..8]);
    Some(masked(u64::from_be_bytes(seq), &bytes[8..]))
}

/// Which version a request means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which<'a> {
    Current,
    Null,
    Number(u64, &'a str),
}

impl<'a> Which<'a> {
    /// Reads `versionId`. Errors: `InvalidArgument` for what cannot be one.
    pub(crate) fn parse(version: Option<&'a str>) -> Result<Self> {
        match version {
            None => Ok(Self::Current),
            Some("null") => Ok(Self::Null),
            Some("") => {
                Err(invalid_argument("Version id cannot be the empty string", "versionId", "").into())
            }
            Some(id) => match number_of(id) {
                Some(seq) => Ok(Self::Number(seq, id)),
                None => Err(invalid_argument("Invalid version id specified", "versionId", id).into()),
            },
        }
    }

    /// Whether the object's current version is meant.
    fn is_current(self, object: &Object) -> bool {
        match self {
            Self::Current => true,
            Self::Null => object.version.id.is_none(),
            Self::Number(_, id) => object.version.id.as_deref() == Some(id),
        }
    }

    /// The number of the older version that is meant.
    fn older(self, object: &Object) -> Option<u64> {
        match self {
            Self::Current => None,
            Self::Null => object.null,
            Self::Number(seq, _) => Some(seq).filter(|_| object.older > 0),
        }
    }
}

/// A version that was found, and whether it is the current one.
pub(crate) struct Found {
    pub(crate) version: Version,
    pub(crate) latest: bool,
}

/// Finds a version outside a transaction. `None`: no such object or version.
pub(crate) fn find(store: &Store, bucket: u64, key: &str, which: Which<'_>) -> Result<Option<Found>> {
    let Some(object) = store.table::<Object>().get_arc(&Object::key(bucket, key))? else { return Ok(None) };
    if which.is_current(&object) {
        return Ok(Some(Found { version: object.version.clone(), latest: true }));
    }
    let Some(seq) = which.older(&object) else { return Ok(None) };
    let version = store.table::<Version>().get(&Version::key(bucket, key, seq))?;
    Ok(version.filter(|v| matches(which, v)).map(|version| Found { version, latest: false }))
}

/// Finds a version inside a transaction.
pub(crate) fn find_in(tx: &mut Tx<'_>, bucket: u64, key: &str, which: Which<'_>) -> Result<Option<Found>> {
    let Some(object) = tx.get::<Object>(&Object::key(bucket, key))? else { return Ok(None) };
    if which.is_current(&object) {
        return Ok(Some(Found { version: object.version, latest: true }));
    }
    let Some(seq) = which.older(&object) else { return Ok(None) };
    let version = tx.get::<Version>(&Version::key(bucket, key, seq))?;
    Ok(version.filter(|v| matches(which, v)).map(|version| Found { version, latest: false }))
}

fn matches(which: Which<'_>, version: &Version) -> bool {
    match which {
        Which::Current => false,
        Which::Null => version.id.is_none(),
        Which::Number(_, id) => version.id.as_deref() == Some(id),
    }
}

/// Writes a version back that was changed in place (tags, ACL, retention).
pub(crate) fn rewrite(tx: &mut Tx<'_>, bucket: u64, key: &str, found: &Found) -> Result<()> {
    if found.latest {
        let at = Object::key(bucket, key);
        if let Some(mut object) = tx.get::<Object>(&at)? {
            object.version = found.version.clone();
            tx.put(&at, &object)?;
        }
    } else {
        tx.put(&Version::key(bucket, key, found.version.seq), &found.version)?;
    }
    Ok(())
}

/// Makes `version` the current one. `current` is what [`Tx::get`] gave for the key. The version gets its number and,
/// where the bucket has versions, its id; what it replaces for good is released. Gives the version as it was stored.
pub(crate) fn add(
    tx: &mut Tx<'_>,
    cx: &Context,
    bucket: &Bucket,
    key: &str,
    current: Option<Object>,
    mut version: Version,
) -> Result<Version> {
    version.seq = tx.sequence(SEQUENCE)?;
    version.id = (bucket.versioning == Versioning::Enabled).then(|| new_id(cx, version.seq));
    let mut object = Object { version, older: 0, null: None };
    if let Some(old) = current {
        object.older = old.older;
        object.null = old.null;
        let null = object.version.id.is_none();
        if null && old.version.id.is_none() {
            annotations::drop_all(tx, bucket.id, &old.version)?;
            content::release(tx, &old.version.body)?;
        } else {
            if old.version.id.is_none() {
                object.null = Some(old.version.seq);
            }
            object.older += 1;
            tx.put(&Version::key(bucket.id, key, old.version.seq), &old.version)?;
        }
        if null && let Some(seq) = object.null.take() {
            let at = Version::key(bucket.id, key, seq);
            if let Some(replaced) = tx.get::<Version>(&at)? {
                annotations::drop_all(tx, bucket.id, &replaced)?;
                content::release(tx, &replaced.body)?;
                tx.delete::<Version>(&at)?;
                object.older = object.older.saturating_sub(1);
            }
        }
    }
    tx.put(&Object::key(bucket.id, key), &object)?;
    Ok(object.version)
}

/// Stores a replica, which keeps the id and the number of its original and so takes its place among the versions.
pub(crate) fn add_replica(tx: &mut Tx<'_>, bucket: &Bucket, key: &str, version: &Version) -> Result<()> {
    let at = Object::key(bucket.id, key);
    let object = match tx.get::<Object>(&at)? {
        None => Object { version: version.clone(), older: 0, null: None },
        Some(old) if old.version.seq > version.seq => {
            tx.put(&Version::key(bucket.id, key, version.seq), version)?;
            Object { older: old.older + 1, ..old }
        }
        Some(old) => {
            tx.put(&Version::key(bucket.id, key, old.version.seq), &old.version)?;
            let null = if old.version.id.is_none() { Some(old.version.seq) } else { old.null };
            Object { version: version.clone(), older: old.older + 1, null }
        }
    };
    tx.put(&at, &object)?;
    Ok(())
}

/// Removes a version for good; the newest of the older ones becomes current where the current one goes. Gives what
/// was removed, `None` where there was none.
pub(crate) fn remove(tx: &mut Tx<'_>, bucket: u64, key: &str, which: Which<'_>) -> Result<Option<Version>> {
    let at = Object::key(bucket, key);
    let Some(mut object) = tx.get::<Object>(&at)? else { return Ok(None) };
    if which.is_current(&object) {
        let gone = object.version;
        annotations::drop_all(tx, bucket, &gone)?;
        content::release(tx, &gone.body)?;
        let next = match object.older {
            0 => None,
            _ => tx.scan::<Version>(Version::prefix(bucket, key).prefix_range(), false).next().transpose()?,
        };
        match next {
            Some((stored, version)) => {
                tx.delete::<Version>(&stored)?;
                let null = object.null.filter(|_| version.id.is_some());
                tx.put(&at, &Object { version, older: object.older - 1, null })?;
            }
            None => tx.delete::<Object>(&at)?,
        }
        return Ok(Some(gone));
    }
    let Some(seq) = which.older(&object) else { return Ok(None) };
    let stored = Version::key(bucket, key, seq);
    let Some(gone) = tx.get::<Version>(&stored)?.filter(|v| matches(which, v)) else { return Ok(None) };
    annotations::drop_all(tx, bucket, &gone)?;
    content::release(tx, &gone.body)?;
    tx.delete::<Version>(&stored)?;
    object.older = object.older.saturating_sub(1);
    object.null = object.null.filter(|null| *null != seq);
    tx.put(&at, &object)?;
    Ok(Some(gone))
}

/// The error where a named version is not there.
pub(crate) fn missing(key: &str, version: Option<&str>) -> cloudlet_service::Error {
    match version {
        Some(version) => no_such_version(key, version),
        None => crate::errors::no_such_key(key),
    }
}

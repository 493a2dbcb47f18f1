//! Annotations: named texts beside a version of an object. They stand under the version's number, come along when it is
//! copied and go when it goes. Source: S3 API Reference, PutObjectAnnotation.

use crate::checksums::Checksum;
use crate::content;
use crate::errors::Result;
use crate::state::{KmsSeal, Piece, Version};
use cloudlet_store::{Key, Record, Tx};
use serde::{Deserialize, Serialize};

/// One annotation of a version.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Annotation {
    pub(crate) size: u64,
    /// Without quotes.
    pub(crate) etag: String,
    pub(crate) modified: i64,
    pub(crate) piece: Option<Piece>,
    #[serde(default)]
    pub(crate) checksum: Option<Checksum>,
    /// How its bytes are encrypted: as its object was when it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kms: Option<KmsSeal>,
    /// How far its way to other buckets is, where a rule sends it there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) replication: Option<String>,
}

impl Record for Annotation {
    const TABLE: &'static str = "s3.annotations";
}

impl Annotation {
    /// Where it stands; with part of a name, what all that begin so begin with.
    pub(crate) fn key(bucket: u64, version: u64, name: &str) -> Key {
        Key::new().number(bucket).number(version).raw_tail(name.as_bytes())
    }

    /// The name out of the stored key.
    pub(crate) fn name(key: &Key) -> String {
        let mut parts = key.parts();
        parts.number();
        parts.number();
        String::from_utf8_lossy(parts.rest()).into_owned()
    }
}

/// The annotations of a version by name.
pub(crate) fn of(tx: &mut Tx<'_>, bucket: u64, version: &Version) -> Result<Vec<(String, Annotation)>> {
    if version.annotations == 0 {
        return Ok(Vec::new());
    }
    let range = Annotation::key(bucket, version.seq, "").prefix_range();
    let rows: Vec<_> = tx.scan::<Annotation>(range, false).collect::<std::result::Result<_, _>>()?;
    Ok(rows.into_iter().map(|(key, annotation)| (Annotation::name(&key), annotation)).collect())
}

/// Deletes the annotations of a version that goes.
pub(crate) fn drop_all(tx: &mut Tx<'_>, bucket: u64, version: &Version) -> Result<()> {
    for (name, annotation) in of(tx, bucket, version)? {
        if let Some(piece) = &annotation.piece {
            content::release_piece(tx, piece)?;
        }
        tx.delete::<Annotation>(&Annotation::key(bucket, version.seq, &name))?;
    }
    Ok(())
}

/// The annotations of a copy's source, shared: taken before the copy is stored, which may replace its source.
pub(crate) fn gather(tx: &mut Tx<'_>, bucket: u64, version: &Version) -> Result<Vec<(String, Annotation)>> {
    let mut gathered = Vec::new();
    for (name, annotation) in of(tx, bucket, version)? {
        let piece = match &annotation.piece {
            Some(piece) => Some(content::share_piece(tx, piece)?),
            None => None,
        };
        gathered.push((name, Annotation { piece, replication: None, ..annotation }));
    }
    Ok(gathered)
}

/// Gives the copy what was gathered.
pub(crate) fn give(
    tx: &mut Tx<'_>,
    gathered: Vec<(String, Annotation)>,
    bucket: u64,
    version: &Version,
) -> Result<()> {
    for (name, annotation) in gathered {
        tx.put(&Annotation::key(bucket, version.seq, &name), &annotation)?;
    }
    Ok(())
}

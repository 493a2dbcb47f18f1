//! Checks stored bytes against the checksums that were kept when they came, a batch at a time: what
//! `cloudlet doctor --verify` does. Versions, their annotations, and the parts of uploads under way.

use crate::annotations::Annotation;
use crate::checksums::{Algorithm, Checksum, Hasher, Kind};
use crate::content;
use crate::errors::Result;
use crate::state::{Body, Bucket, Layout, Object, Part, Piece, Upload, Version};
use cloudlet_service::ByteStream;
use cloudlet_store::{Key, KeyRange, Store};
use std::collections::HashMap;

/// How many versions, and about how many bytes, one batch checks.
const AT_ONCE: usize = 1_000;
const BYTES: u64 = 256 << 20;

/// What a batch found.
#[derive(Debug, Default)]
pub struct Verified {
    /// Versions that were looked at.
    pub checked: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those that are encrypted and were stored before a sum of the encrypted bytes was kept: only their length was checked.
    pub sealed: u64,
    /// What is wrong, as the object and why.
    pub damaged: Vec<(String, String)>,
    /// Where the next batch begins; `None` at the end.
    pub next: Option<String>,
}

/// Checks the versions that follow `after`, the `next` of the batch before.
///
/// Errors: what reading the store says, in words.
pub async fn verify(store: &Store, after: Option<&str>) -> Result<Verified, String> {
    batch(store, after).await.map_err(|fail| fail.0.to_string())
}

async fn batch(store: &Store, after: Option<&str>) -> Result<Verified> {
    let mut found = Verified::default();
    let mut names = Names::default();
    // Current versions first (`c`), then older ones (`o`), then uploads under way (`u`); the place is the stored key.
    let (stage, place) = after.and_then(|a| a.split_once(':')).unwrap_or(("c", ""));
    let place = Key::from_bytes(hex::decode(place).unwrap_or_default());
    let range = if place.as_bytes().is_empty() { KeyRange::all() } else { KeyRange::all().after(&place) };
    if stage == "c" {
        let mut rows = range;
        while let Some((key, object)) =
            store.table::<Object>().scan(rows.clone(), false).next().transpose()?
        {
            rows = rows.after(&key);
            let mut parts = key.parts();
            let bucket = parts.number().unwrap_or_default();
            let name = names.show(store, bucket, &Object::name(&key), &object.version)?;
            let there = || current(store, &key, object.version.seq);
            look(store, bucket, &name, &object.version, &mut found, there).await?;
            if found.checked as usize >= AT_ONCE || found.bytes >= BYTES {
                found.next = Some(format!("c:{}", hex::encode(key.as_bytes())));
                return Ok(found);
            }
        }
        found.next = Some("o:".to_owned());
        return Ok(found);
    }
    if stage == "o" {
        let mut rows = range;
        while let Some((key, version)) =
            store.table::<Version>().scan(rows.clone(), false).next().transpose()?
        {
            rows = rows.after(&key);
            let mut parts = key.parts();
            let (bucket, name) = (parts.number().unwrap_or_default(), parts.text().unwrap_or_default());
            let name = names.show(store, bucket, &name, &version)?;
            let there = || Ok(store.table::<Version>().exists(&key)?);
            look(store, bucket, &name, &version, &mut found, there).await?;
            if found.checked as usize >= AT_ONCE || found.bytes >= BYTES {
                found.next = Some(format!("o:{}", hex::encode(key.as_bytes())));
                return Ok(found);
            }
        }
        found.next = Some("u:".to_owned());
        return Ok(found);
    }
    let mut rows = range;
    let mut uploads = 0;
    while let Some((key, upload)) = store.table::<Upload>().scan(rows.clone(), false).next().transpose()? {
        rows = rows.after(&key);
        let bucket = key.parts().number().unwrap_or_default();
        let Some((name, _)) = Upload::name(&key) else { continue };
        let name = format!("{}/{name}?uploadId={}", names.bucket(store, bucket)?, upload.id);
        parts(store, &name, &upload, &mut found).await?;
        uploads += 1;
        if uploads >= AT_ONCE || found.bytes >= BYTES {
            found.next = Some(format!("u:{}", hex::encode(key.as_bytes())));
            return Ok(found);
        }
    }
    Ok(found)
}

fn current(store: &Store, key: &Key, seq: u64) -> Result<bool> {
    Ok(store.table::<Object>().get(key)?.is_some_and(|o| o.version.seq == seq))
}

/// Names of buckets by their numbers.
#[derive(Default)]
struct Names(Option<HashMap<u64, String>>);

impl Names {
    fn bucket(&mut self, store: &Store, bucket: u64) -> Result<&str> {
        if self.0.is_none() {
            let mut names = HashMap::new();
            for row in store.table::<Bucket>().scan(KeyRange::all(), false) {
                let (_, bucket) = row?;
                names.insert(bucket.id, bucket.name);
            }
            self.0 = Some(names);
        }
        Ok(self.0.as_ref().and_then(|n| n.get(&bucket)).map_or("?", String::as_str))
    }

    fn show(&mut self, store: &Store, bucket: u64, key: &str, version: &Version) -> Result<String> {
        let bucket = self.bucket(store, bucket)?;
        Ok(match &version.id {
            Some(id) => format!("{bucket}/{key}?versionId={id}"),
            None => format!("{bucket}/{key}"),
        })
    }
}

/// Checks one version with its annotations. `there` tells, where it seems damaged, whether it was not just replaced.
async fn look(
    store: &Store,
    bucket: u64,
    name: &str,
    version: &Version,
    found: &mut Verified,
    there: impl Fn() -> Result<bool>,
) -> Result<()> {
    if version.marker {
        return Ok(());
    }
    found.checked += 1;
    found.bytes += version.size;
    let sealed = version.customer_key.is_some() || version.kms.is_some();
    let flaw = match pieces(store, version, sealed)? {
        Some(pieces) => sealed_flaw(store, &pieces, version.size, &mut found.sealed).await?,
        None => flaw(store, version).await?,
    };
    if let Some(why) = flaw
        && there()?
    {
        found.damaged.push((name.to_owned(), why));
    }
    if version.annotations > 0 {
        annotations(store, bucket, name, version, found).await?;
    }
    Ok(())
}

/// The pieces of an encrypted body with their sizes; `None` where it is not encrypted or not there.
fn pieces(store: &Store, version: &Version, sealed: bool) -> Result<Option<Vec<(Piece, u64)>>> {
    Ok(match &version.body {
        Body::One(piece) if sealed => Some(vec![(piece.clone(), version.size)]),
        Body::Many(id) if sealed => store.table::<Layout>().get(&Layout::key(*id))?.map(|layout| {
            layout.parts.into_iter().filter_map(|part| Some((part.piece?, part.size))).collect()
        }),
        _ => None,
    })
}

/// What is wrong with encrypted bytes: each piece keeps a sum of its own. Those of older records do not, and of them only
/// the length is known.
async fn sealed_flaw(
    store: &Store,
    pieces: &[(Piece, u64)],
    size: u64,
    unknown: &mut u64,
) -> Result<Option<String>> {
    let mut all = 0;
    let mut known = true;
    for (piece, size) in pieces {
        all += size;
        match content::is_whole(store, piece, *size).await {
            Ok(Some(true)) => {}
            Ok(Some(false)) => return Ok(Some("its encrypted bytes are not what they were".to_owned())),
            Ok(None) => {
                known = false;
                let body = content::open(store, &Body::One(piece.clone()), 0..*size, None)?;
                let Some(body) = body else { return Ok(Some("its bytes are not there".to_owned())) };
                match digest(body, Algorithm::Crc32).await {
                    Ok((read, _)) if read == *size => {}
                    Ok((read, _)) => return Ok(Some(format!("it has {read} bytes of {size}"))),
                    Err(why) => return Ok(Some(why)),
                }
            }
            Err(why) => return Ok(Some(why)),
        }
    }
    *unknown += u64::from(!known);
    Ok((all != size).then(|| format!("its parts have {all} bytes of {size}")))
}

/// Checks the annotations of a version.
async fn annotations(
    store: &Store,
    bucket: u64,
    name: &str,
    version: &Version,
    found: &mut Verified,
) -> Result<()> {
    let mut rows = Annotation::key(bucket, version.seq, "").prefix_range();
    while let Some((key, kept)) = store.table::<Annotation>().scan(rows.clone(), false).next().transpose()? {
        rows = rows.after(&key);
        found.bytes += kept.size;
        let flaw = lone_flaw(store, &Lone::from(&kept), &mut found.sealed).await?;
        let there = || -> Result<bool> {
            Ok(store.table::<Annotation>().get(&key)?.is_some_and(|now| now.piece == kept.piece))
        };
        if let Some(why) = flaw
            && there()?
        {
            found.damaged.push((format!("{name} annotation {}", Annotation::name(&key)), why));
        }
    }
    Ok(())
}

/// Checks the parts of an upload under way.
async fn parts(store: &Store, name: &str, upload: &Upload, found: &mut Verified) -> Result<()> {
    let sealed = upload.draft.customer_key.is_some() || upload.draft.kms.is_some();
    let mut rows = Part::prefix(upload.seq).prefix_range();
    while let Some((key, part)) = store.table::<Part>().scan(rows.clone(), false).next().transpose()? {
        rows = rows.after(&key);
        found.bytes += part.size;
        let flaw = lone_flaw(store, &Lone::of_part(&part, sealed), &mut found.sealed).await?;
        let there = || -> Result<bool> {
            Ok(store.table::<Part>().get(&key)?.is_some_and(|now| now.piece == part.piece))
        };
        if let Some(why) = flaw
            && there()?
        {
            found.damaged.push((format!("{name} part {}", Part::number(&key)), why));
        }
    }
    Ok(())
}

/// Bytes in one piece with what is known of them.
struct Lone<'a> {
    piece: Option<&'a Piece>,
    size: u64,
    etag: &'a str,
    checksum: Option<&'a Checksum>,
    sealed: bool,
}

impl<'a> From<&'a Annotation> for Lone<'a> {
    fn from(kept: &'a Annotation) -> Self {
        let checksum = kept.checksum.as_ref();
        let sealed = kept.kms.is_some();
        Self { piece: kept.piece.as_ref(), size: kept.size, etag: &kept.etag, checksum, sealed }
    }
}

impl<'a> Lone<'a> {
    fn of_part(part: &'a Part, sealed: bool) -> Self {
        let checksum = part.checksum.as_ref().or(part.crc64.as_ref());
        Self { piece: part.piece.as_ref(), size: part.size, etag: &part.etag, checksum, sealed }
    }
}

async fn lone_flaw(store: &Store, lone: &Lone<'_>, unknown: &mut u64) -> Result<Option<String>> {
    let Some(piece) = lone.piece else {
        return Ok((lone.size > 0).then(|| "its bytes are not there".to_owned()));
    };
    if lone.sealed {
        return sealed_flaw(store, &[(piece.clone(), lone.size)], lone.size, unknown).await;
    }
    let body = content::open(store, &Body::One(piece.clone()), 0..lone.size, None)?;
    let Some(body) = body else { return Ok(Some("its bytes are not there".to_owned())) };
    let algorithm = lone.checksum.map_or(Algorithm::Md5, |c| c.algorithm);
    let (size, digest) = match digest(body, algorithm).await {
        Ok(read) => read,
        Err(why) => return Ok(Some(why)),
    };
    if size != lone.size {
        return Ok(Some(format!("it has {size} bytes of {}", lone.size)));
    }
    let right = lone.checksum.map_or(lone.etag == hex::encode(&digest), |c| is(&c.value, &digest));
    Ok((!right).then(|| format!("it is not what its {} says", algorithm.name())))
}

/// What is wrong with the bytes of a version that are stored as they came.
async fn flaw(store: &Store, version: &Version) -> Result<Option<String>> {
    let gone = || Ok(Some("its bytes are not there".to_owned()));
    let composite = version.checksum.as_ref().filter(|c| c.kind == Kind::Composite);
    if let (Some(checksum), Body::Many(id)) = (composite, &version.body) {
        // The kept checksum is over those of the parts: each part is checked against its own.
        let Some(layout) = store.table::<Layout>().get(&Layout::key(*id))? else { return gone() };
        let mut at = 0;
        for part in layout.parts {
            let Some(body) = content::open(store, &version.body, at..at + part.size, None)? else {
                return gone();
            };
            at += part.size;
            let digest = match digest(body, checksum.algorithm).await {
                Ok((size, digest)) if size == part.size => digest,
                Ok((size, _)) => {
                    return Ok(Some(format!("part {} has {size} bytes of {}", part.number, part.size)));
                }
                Err(why) => return Ok(Some(format!("part {}: {why}", part.number))),
            };
            if part.checksum.is_some_and(|kept| !is(&kept, &digest)) {
                let name = checksum.algorithm.name();
                return Ok(Some(format!("part {} is not what its {name} says", part.number)));
            }
        }
        return Ok((at != version.size).then(|| format!("its parts have {at} bytes of {}", version.size)));
    }
    let Some(body) = content::open(store, &version.body, 0..version.size, None)? else { return gone() };
    let whole = version.checksum.as_ref().filter(|c| c.kind == Kind::FullObject);
    let algorithm = whole.map_or(Algorithm::Md5, |c| c.algorithm);
    let (size, digest) = match digest(body, algorithm).await {
        Ok(read) => read,
        Err(why) => return Ok(Some(why)),
    };
    if size != version.size {
        return Ok(Some(format!("it has {size} bytes of {}", version.size)));
    }
    let right = match whole {
        Some(checksum) => is(&checksum.value, &digest),
        None => version.parts > 0 || version.etag == hex::encode(&digest),
    };
    Ok((!right).then(|| format!("it is not what its {} says", algorithm.name())))
}

fn is(kept: &str, digest: &[u8]) -> bool {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(digest) == kept
}

/// The length and the digest of a body; in words why it cannot be read.
async fn digest(mut body: ByteStream, algorithm: Algorithm) -> Result<(u64, Vec<u8>), String> {
    let mut hasher = Hasher::new(algorithm);
    let mut size = 0;
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|why| format!("it cannot be read: {why:?}"))?;
        size += chunk.len() as u64;
        hasher.update(&chunk);
    }
    Ok((size, hasher.finish()))
}

//! Checks stored bytes against the checksums that were kept when they came, a batch at a time: what
//! `cloudlet doctor --verify` does.

use crate::checksums::{Algorithm, Hasher, Kind};
use crate::content;
use crate::errors::Result;
use crate::state::{Body, Bucket, Layout, Object, Version};
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
    /// Versions whose bytes only the key of their customer or of KMS could check: of them only the length was.
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
    // Current versions first (`c`), then older ones (`o`); the place is the stored key.
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
            look(store, &name, &object.version, &mut found, || current(store, &key, object.version.seq))
                .await?;
            if found.checked as usize >= AT_ONCE || found.bytes >= BYTES {
                found.next = Some(format!("c:{}", hex::encode(key.as_bytes())));
                return Ok(found);
            }
        }
        found.next = Some("o:".to_owned());
        return Ok(found);
    }
    let mut rows = range;
    while let Some((key, version)) = store.table::<Version>().scan(rows.clone(), false).next().transpose()? {
        rows = rows.after(&key);
        let mut parts = key.parts();
        let (bucket, name) = (parts.number().unwrap_or_default(), parts.text().unwrap_or_default());
        let name = names.show(store, bucket, &name, &version)?;
        look(store, &name, &version, &mut found, || Ok(store.table::<Version>().exists(&key)?)).await?;
        if found.checked as usize >= AT_ONCE || found.bytes >= BYTES {
            found.next = Some(format!("o:{}", hex::encode(key.as_bytes())));
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
    fn show(&mut self, store: &Store, bucket: u64, key: &str, version: &Version) -> Result<String> {
        if self.0.is_none() {
            let mut names = HashMap::new();
            for row in store.table::<Bucket>().scan(KeyRange::all(), false) {
                let (_, bucket) = row?;
                names.insert(bucket.id, bucket.name);
            }
            self.0 = Some(names);
        }
        let bucket = self.0.as_ref().and_then(|n| n.get(&bucket)).map_or("?", String::as_str);
        Ok(match &version.id {
            Some(id) => format!("{bucket}/{key}?versionId={id}"),
            None => format!("{bucket}/{key}"),
        })
    }
}

/// Checks one version. `there` tells, where it seems damaged, whether it was not just replaced.
async fn look(
    store: &Store,
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
    found.sealed += u64::from(version.customer_key.is_some() || version.kms.is_some());
    if let Some(why) = flaw(store, version).await?
        && there()?
    {
        found.damaged.push((name.to_owned(), why));
    }
    Ok(())
}

/// What is wrong with a version's bytes.
async fn flaw(store: &Store, version: &Version) -> Result<Option<String>> {
    let gone = || Ok(Some("its bytes are not there".to_owned()));
    let sealed = version.customer_key.is_some() || version.kms.is_some();
    let composite = version.checksum.as_ref().filter(|c| c.kind == Kind::Composite);
    if let (Some(checksum), Body::Many(id), false) = (composite, &version.body, sealed) {
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
        _ if sealed => true,
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

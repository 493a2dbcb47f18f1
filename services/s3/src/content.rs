//! Object bytes: receiving them in constant memory, giving them back by range, sharing and releasing them.
//!
//! Up to [`INLINE`] they stand in the object's record, up to [`SMALL`] in a record beside it, else in a file.

use crate::checksums::{Algorithm, Checksum, Hasher};
use crate::encryption::Cipher;
use crate::errors::{Fail, Result, internal, too_large};
use crate::state::{Body, Layout, Piece, Place, Small};
use bytes::Bytes;
use cloudlet_service::{BodyError, ByteStream};
use cloudlet_store::{BlobId, BlobReader, Store, StoreError, Tx};
use futures_util::stream::{self, StreamExt};
use std::collections::VecDeque;
use std::ops::Range;

/// The most bytes that stand in the record of their object, which listings read.
pub(crate) const INLINE: usize = 4 << 10;

/// The most bytes that stand in a record at all.
pub(crate) const SMALL: usize = 32 << 10;

/// How many files a download opens ahead, so that replacing the object meanwhile does not cut it off.
const OPEN_AHEAD: usize = 128;

/// The sequence that places are numbered by.
const SEQUENCE: &str = "s3.places";

/// Bytes that have arrived and belong to nothing yet. Dropping it discards them.
pub(crate) struct Received {
    bytes: Held,
    nonce: Option<[u8; 16]>,
    /// Of the bytes as they are stored, where those are encrypted.
    sum: Option<u64>,
    pub(crate) size: u64,
    pub(crate) md5: [u8; 16],
    /// One for each algorithm asked for, in that order.
    pub(crate) checksums: Vec<Checksum>,
}

enum Held {
    Memory(Vec<u8>),
    File { store: Store, id: BlobId, kept: bool },
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Self::File { store, id, kept: false } = self {
            store.discard_blob(*id);
        }
    }
}

/// Reads a body to its end, hashing and storing it as it comes.
///
/// Errors: what the stream says; `EntityTooLarge` beyond `limit`; the store's.
pub(crate) async fn receive(
    store: &Store,
    body: &mut ByteStream,
    algorithms: &[Algorithm],
    mut cipher: Option<Cipher>,
    limit: u64,
) -> Result<Received> {
    if let Some(len) = body.len().filter(|len| *len > limit) {
        return Err(too_large(len, limit).into());
    }
    let declared = body.len();
    let mut md5 = Hasher::new(Algorithm::Md5);
    let mut hashers: Vec<(Algorithm, Hasher)> = algorithms.iter().map(|a| (*a, Hasher::new(*a))).collect();
    let nonce = cipher.as_ref().map(Cipher::nonce);
    let mut sum = cipher.as_ref().map(|_| Hasher::new(Algorithm::Crc64Nvme));
    let mut memory = Vec::with_capacity(declared.unwrap_or(0).min(SMALL as u64) as usize);
    let mut writer = None;
    let mut size = 0u64;
    while let Some(chunk) = body.next().await {
        let mut chunk = chunk?;
        size += chunk.len() as u64;
        if size > limit {
            return Err(too_large(size, limit).into());
        }
        md5.update(&chunk);
        hashers.iter_mut().for_each(|(_, hasher)| hasher.update(&chunk));
        if let Some(cipher) = &mut cipher {
            chunk = cipher.apply(chunk);
        }
        if let Some(sum) = &mut sum {
            sum.update(&chunk);
        }
        if writer.is_none() && memory.len() + chunk.len() <= SMALL {
            memory.extend_from_slice(&chunk);
            continue;
        }
        let writer = match &mut writer {
            Some(writer) => writer,
            empty => {
                let mut created = store.blobs().create()?;
                created.write(Bytes::from(std::mem::take(&mut memory))).await?;
                empty.insert(created)
            }
        };
        writer.write(chunk).await?;
    }
    if declared.is_some_and(|len| len != size) {
        return Err(BodyError::Incomplete.into());
    }
    let bytes = match writer {
        None => Held::Memory(memory),
        Some(writer) => {
            let blob = writer.finish().await?;
            Held::File { store: store.clone(), id: blob.id, kept: false }
        }
    };
    let checksums = hashers.into_iter().map(|(a, hasher)| Checksum::full(a, &hasher.finish())).collect();
    let mut digest = [0u8; 16];
    digest.copy_from_slice(&md5.finish());
    let sum = sum.map(stored_sum);
    Ok(Received { bytes, nonce, sum, size, md5: digest, checksums })
}

/// What a piece keeps of a hash over its stored bytes.
fn stored_sum(hasher: Hasher) -> u64 {
    hasher.finish().iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

impl Received {
    /// Gives the bytes a place for good, in the transaction that makes them an object's. May run again.
    pub(crate) fn place(&self, tx: &mut Tx<'_>) -> Result<Body> {
        match &self.bytes {
            Held::Memory(bytes) if bytes.len() <= INLINE && self.nonce.is_none() => {
                Ok(if bytes.is_empty() { Body::Empty } else { Body::Inline(bytes.clone()) })
            }
            _ => Ok(self.piece(tx)?.map_or(Body::Empty, Body::One)),
        }
    }

    /// The same for bytes that will be a part.
    pub(crate) fn piece(&self, tx: &mut Tx<'_>) -> Result<Option<Piece>> {
        let at = match &self.bytes {
            Held::Memory(bytes) if bytes.is_empty() => return Ok(None),
            Held::Memory(bytes) => {
                let id = tx.sequence(SEQUENCE)?;
                tx.put(&Small::key(id), &Small { bytes: bytes.clone() })?;
                Place::Small(id)
            }
            Held::File { id, .. } => {
                tx.adopt_blob(*id)?;
                Place::Blob(*id)
            }
        };
        Ok(Some(Piece { at, nonce: self.nonce, sum: self.sum }))
    }

    /// Called once the transaction has committed: the bytes are somebody's.
    pub(crate) fn keep(&mut self) {
        if let Held::File { kept, .. } = &mut self.bytes {
            *kept = true;
        }
    }
}

/// Shares a body with another object. A file is not copied.
pub(crate) fn share(tx: &mut Tx<'_>, body: &Body) -> Result<Body> {
    Ok(match body {
        Body::Empty | Body::Inline(_) => body.clone(),
        Body::One(piece) => Body::One(share_piece(tx, piece)?),
        Body::Many(id) => {
            let Some(mut layout) = tx.get::<Layout>(&Layout::key(*id))? else { return Err(lost(*id)) };
            for piece in layout.parts.iter_mut().filter_map(|p| p.piece.as_mut()) {
                *piece = share_piece(tx, piece)?;
            }
            Body::Many(put_layout(tx, &layout)?)
        }
    })
}

pub(crate) fn share_piece(tx: &mut Tx<'_>, piece: &Piece) -> Result<Piece> {
    let at = match piece.at {
        Place::Blob(id) => {
            tx.adopt_blob(id)?;
            Place::Blob(id)
        }
        Place::Small(id) => {
            let Some(small) = tx.get::<Small>(&Small::key(id))? else { return Err(lost(id)) };
            let copy = tx.sequence(SEQUENCE)?;
            tx.put(&Small::key(copy), &small)?;
            Place::Small(copy)
        }
    };
    Ok(Piece { at, nonce: piece.nonce, sum: piece.sum })
}

/// Stores the layout of an object in parts.
pub(crate) fn put_layout(tx: &mut Tx<'_>, layout: &Layout) -> Result<u64> {
    let id = tx.sequence(SEQUENCE)?;
    tx.put(&Layout::key(id), layout)?;
    Ok(id)
}

/// Gives up a body: what nobody else shares is deleted.
pub(crate) fn release(tx: &mut Tx<'_>, body: &Body) -> Result<()> {
    match body {
        Body::Empty | Body::Inline(_) => {}
        Body::One(piece) => release_piece(tx, piece)?,
        Body::Many(id) => {
            if let Some(layout) = tx.get::<Layout>(&Layout::key(*id))? {
                for piece in layout.parts.iter().filter_map(|p| p.piece.as_ref()) {
                    release_piece(tx, piece)?;
                }
            }
            tx.delete::<Layout>(&Layout::key(*id))?;
        }
    }
    Ok(())
}

pub(crate) fn release_piece(tx: &mut Tx<'_>, piece: &Piece) -> Result<()> {
    match piece.at {
        Place::Small(id) => tx.delete::<Small>(&Small::key(id))?,
        Place::Blob(id) => tx.release_blob(id)?,
    }
    Ok(())
}

fn lost(id: u64) -> Fail {
    Fail(internal(format!("the bytes of place {id} are gone while their object is there")))
}

/// Opens a range of a body. `None`: the object was replaced between reading its record and this call; read it again.
pub(crate) fn open(
    store: &Store,
    body: &Body,
    range: Range<u64>,
    cipher: Option<&Cipher>,
) -> Result<Option<ByteStream>> {
    let len = range.end.saturating_sub(range.start);
    match body {
        Body::Empty => Ok(Some(ByteStream::default())),
        Body::Inline(bytes) => Ok(Some(ByteStream::from(slice(bytes, &range)))),
        Body::One(piece) => {
            let Some(source) = Source::open(store, piece)? else { return Ok(None) };
            Ok(Some(source.stream(range, cipher.map(|c| c.with(piece.nonce))).sized(len)))
        }
        Body::Many(id) => {
            let Some(layout) = store.table::<Layout>().get(&Layout::key(*id))? else { return Ok(None) };
            many(store, layout, range, cipher)
        }
    }
}

/// Whether the stored bytes of an encrypted piece are those that were stored. `None`: it has none, or no sum of them.
/// Errors: in words why they cannot be read.
pub(crate) async fn is_whole(store: &Store, piece: &Piece, size: u64) -> Result<Option<bool>, String> {
    let Some(kept) = piece.sum else { return Ok(None) };
    let body = Body::One(piece.clone());
    let opened = open(store, &body, 0..size, None).map_err(|fail| fail.0.to_string())?;
    let Some(mut body) = opened else { return Err("its bytes are not there".to_owned()) };
    let mut hasher = Hasher::new(Algorithm::Crc64Nvme);
    while let Some(chunk) = body.next().await {
        hasher.update(&chunk.map_err(|why| format!("it cannot be read: {why:?}"))?);
    }
    Ok(Some(stored_sum(hasher) == kept))
}

fn slice(bytes: &[u8], range: &Range<u64>) -> Bytes {
    let end = (range.end as usize).min(bytes.len());
    let start = (range.start as usize).min(end);
    Bytes::copy_from_slice(&bytes[start..end])
}

/// An opened place.
enum Source {
    Memory(Vec<u8>),
    File(BlobReader),
}

impl Source {
    fn open(store: &Store, piece: &Piece) -> Result<Option<Self>> {
        match piece.at {
            Place::Small(id) => {
                Ok(store.table::<Small>().get(&Small::key(id))?.map(|s| Self::Memory(s.bytes)))
            }
            Place::Blob(id) => match store.blobs().open(id) {
                Ok(reader) => Ok(Some(Self::File(reader))),
                Err(StoreError::NoBlob { .. }) => Ok(None),
                Err(other) => Err(other.into()),
            },
        }
    }

    fn stream(self, range: Range<u64>, cipher: Option<Cipher>) -> Chunks {
        let at = range.start;
        let plain = match self {
            Self::Memory(bytes) => stream::iter([Ok(slice(&bytes, &range))]).boxed(),
            Self::File(reader) => {
                reader.stream(range).map(|c| c.map_err(|e| BodyError::Storage(e.to_string()))).boxed()
            }
        };
        match cipher {
            None => Chunks(plain),
            Some(mut cipher) => {
                cipher.seek(at);
                Chunks(plain.map(move |chunk| chunk.map(|bytes| cipher.apply(bytes))).boxed())
            }
        }
    }
}

struct Chunks(stream::BoxStream<'static, Result<Bytes, BodyError>>);

impl Chunks {
    fn sized(self, len: u64) -> ByteStream {
        ByteStream::new(self.0, Some(len))
    }
}

/// One part's share of a range.
struct Cut {
    piece: Piece,
    range: Range<u64>,
    source: Option<Source>,
}

fn many(
    store: &Store,
    layout: Layout,
    range: Range<u64>,
    cipher: Option<&Cipher>,
) -> Result<Option<ByteStream>> {
    let mut cuts = VecDeque::new();
    let mut at = 0u64;
    for part in layout.parts {
        let (start, end) = (at, at + part.size);
        at = end;
        if let Some(piece) = part.piece
            && start < range.end
            && range.start < end
        {
            let inside = range.start.max(start) - start..range.end.min(end) - start;
            let source = match cuts.len() {
                0..OPEN_AHEAD => match Source::open(store, &piece)? {
                    Some(source) => Some(source),
                    None => return Ok(None),
                },
                _ => None,
            };
            cuts.push_back(Cut { piece, range: inside, source });
        }
    }
    let len = range.end - range.start;
    let (store, cipher) = (store.clone(), cipher.cloned());
    let parts = stream::iter(cuts).flat_map(move |cut| {
        let source = match cut.source {
            Some(source) => Ok(Some(source)),
            None => Source::open(&store, &cut.piece),
        };
        match source {
            Ok(Some(source)) => source.stream(cut.range, cipher.as_ref().map(|c| c.with(cut.piece.nonce))).0,
            _ => {
                let gone = BodyError::Storage("the object was replaced while it was being read".into());
                stream::iter([Err(gone)]).boxed()
            }
        }
    });
    Ok(Some(ByteStream::new(parts, Some(len))))
}

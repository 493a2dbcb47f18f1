//! Copies of the whole state: saving, restoring, beginning anew.
//!
//! A saved copy is a directory: `rows` has every row of one instant, and `blobs/` the files they refer to (hard links
//! where the file system allows it, since blobs never change). It is written under another name first, so a directory
//! with its final name is complete.

use crate::{
    BlobId, Store, StoreError, dir,
    engine::{Commit, Engine, Outcome, Space, View, Write as Put},
    key::{KeyRange, MAX_KEY, successor, table_prefix},
    record::MAX_VALUE,
    secrets,
};
use bytes::Bytes;
use crc32fast::Hasher;
use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Write},
    path::Path,
};

/// The first bytes of `rows`; the number is the format.
const MAGIC: &[u8] = b"cloudlet snapshot 1\n";

/// Marks the end of the rows; the spaces are 0 and 1.
const END: u8 = 0xFF;

/// How much is written to the new engine at once, in bytes.
const BATCH: u64 = 1 << 20;

impl Store {
    /// Saves one instant of the whole state into a new directory, while the store stays in use.
    ///
    /// Errors: [`StoreError::Snapshot`] when the directory exists; [`StoreError::NoSpace`], [`StoreError::Io`].
    pub fn snapshot_to(&self, target: &Path) -> Result<(), StoreError> {
        if target.exists() {
            let what = format!("{} exists already; choose another name or remove it first", target.display());
            return Err(StoreError::Snapshot { what });
        }
        let partial = target.with_extension("partial");
        let _ = fs::remove_dir_all(&partial);
        dir::make(&partial)?;
        // First no file may go, then the instant is chosen: every blob it refers to is there.
        let still = self.inner.janitor.pause();
        let view = self.inner.engine()?.view();
        let saved = write_rows(&*view, &partial.join("rows"))
            .and_then(|()| self.link_blobs(&*view, &partial))
            .and_then(|()| secrets::copy(self.dir(), &partial))
            .and_then(|()| {
                let renamed = fs::rename(&partial, target)
                    .and_then(|()| dir::sync_dir(target.parent().unwrap_or(Path::new("."))));
                renamed.map_err(|error| StoreError::io("write", target, error))
            });
        drop(still);
        if saved.is_err() {
            let _ = fs::remove_dir_all(&partial);
        }
        saved
    }

    /// Replaces the whole state by a saved one, in one step: after an error or a crash it is still the state before.
    ///
    /// Errors: [`StoreError::Snapshot`] when there is none, [`StoreError::Corrupt`] when it is damaged.
    pub fn restore_from(&self, source: &Path) -> Result<(), StoreError> {
        let rows = source.join("rows");
        if !rows.is_file() {
            let what = format!(
                "{} holds no saved state; `cloudlet snapshot list` shows what there is",
                source.display()
            );
            return Err(StoreError::Snapshot { what });
        }
        read_rows(&rows, |_, _, _| Ok(()))?;
        let still = self.inner.janitor.pause();
        self.link_back(source)?;
        let mut gone = Vec::new();
        self.inner.exchange(|old, fresh| {
            gone = blob_ids(&*old.view()).collect::<Result<_, _>>()?;
            let mut filling = Filling::new(fresh);
            read_rows(&rows, |space, key, value| filling.add(space, key, value))?;
            filling.end()
        })?;
        secrets::copy(source, self.dir())?;
        drop(still);
        self.inner.janitor.delete(&self.inner, gone);
        Ok(())
    }

    /// Forgets everything, in one step.
    pub fn clear(&self) -> Result<(), StoreError> {
        let mut gone = Vec::new();
        self.inner.exchange(|old, _| {
            gone = blob_ids(&*old.view()).collect::<Result<_, _>>()?;
            Ok(())
        })?;
        self.inner.janitor.delete(&self.inner, gone);
        Ok(())
    }

    fn link_blobs(&self, view: &dyn View, target: &Path) -> Result<(), StoreError> {
        for id in blob_ids(view) {
            let id = id?;
            let folder = target.join("blobs").join(id.folder());
            dir::make(&folder)?;
            link(&self.inner.blobs.path(id), &folder.join(id.to_string()))?;
        }
        Ok(())
    }

    fn link_back(&self, source: &Path) -> Result<(), StoreError> {
        let blobs = source.join("blobs");
        if !blobs.exists() {
            return Ok(());
        }
        for folder in dir::list(&blobs)? {
            for file in dir::list(&folder.path())? {
                let Some(id) = file.file_name().to_str().and_then(|name| name.parse::<BlobId>().ok()) else {
                    continue;
                };
                let target = self.inner.blobs.path(id);
                if !target.exists() {
                    dir::make(target.parent().unwrap_or(self.inner.blobs.root()))?;
                    link(&file.path(), &target)?;
                }
            }
        }
        Ok(())
    }
}

/// The blobs that an instant refers to.
fn blob_ids(view: &dyn View) -> impl Iterator<Item = Result<BlobId, StoreError>> + use<> {
    let prefix = table_prefix("blob");
    let range = KeyRange { end: successor(&prefix), start: prefix.clone() };
    view.range(Space::System, &range, false).map(move |row| {
        let (key, _) = row?;
        let id = key.get(prefix.len()..).and_then(|id| id.try_into().ok()).map(BlobId::from_bytes);
        id.ok_or_else(|| StoreError::corrupt("the references of blobs", "a key that cannot be read"))
    })
}

fn link(from: &Path, to: &Path) -> Result<(), StoreError> {
    match fs::hard_link(from, to) {
        Ok(()) => Ok(()),
        // Another file system, or one without hard links.
        Err(_) => {
            let partial = to.with_extension("partial");
            let copied = fs::copy(from, &partial)
                .and_then(|_| File::open(&partial)?.sync_all())
                .and_then(|()| fs::rename(&partial, to));
            copied.map_err(|error| StoreError::io("copy", from, error))
        }
    }
}

fn write_rows(view: &dyn View, path: &Path) -> Result<(), StoreError> {
    let fail = |error| StoreError::io("write", path, error);
    let mut out = Summed { inner: BufWriter::new(File::create(path).map_err(fail)?), sum: Hasher::new() };
    out.write_all(MAGIC).map_err(fail)?;
    for space in [Space::Records, Space::System] {
        for row in view.range(space, &KeyRange::all(), false) {
            let (key, value) = row?;
            let written = out.write_all(&[space as u8]).and_then(|()| {
                for part in [&key, &value] {
                    out.write_all(&(part.len() as u32).to_be_bytes())?;
                    out.write_all(part)?;
                }
                Ok(())
            });
            written.map_err(fail)?;
        }
    }
    out.write_all(&[END]).map_err(fail)?;
    let sum = out.sum.clone().finalize();
    let ended = out.inner.write_all(&sum.to_be_bytes()).and_then(|()| out.inner.flush());
    ended.and_then(|()| out.inner.get_ref().sync_all()).map_err(fail)
}

/// Reads all rows, checking their form and, at the end, their sum.
fn read_rows(
    path: &Path,
    mut each: impl FnMut(Space, Bytes, Bytes) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let fail = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => StoreError::corrupt(path.display().to_string(), "it ends too early"),
        _ => StoreError::io("read", path, error),
    };
    let damaged = |detail: &str| StoreError::corrupt(path.display().to_string(), detail);
    let file = File::open(path).map_err(fail)?;
    let mut input = Summed { inner: BufReader::new(file), sum: Hasher::new() };
    let mut magic = [0; MAGIC.len()];
    input.read_exact(&mut magic).map_err(fail)?;
    if magic != MAGIC {
        return Err(damaged(
            "it is not a snapshot that this program knows; use the newer cloudlet that saved it",
        ));
    }
    loop {
        let mut space = [0];
        input.read_exact(&mut space).map_err(fail)?;
        let space = match space[0] {
            0 => Space::Records,
            1 => Space::System,
            END => break,
            _ => return Err(damaged("a row of an unknown kind")),
        };
        let mut part = |limit: usize| {
            let mut len = [0; 4];
            input.read_exact(&mut len).map_err(fail)?;
            let len = u32::from_be_bytes(len) as usize;
            if len > limit {
                return Err(damaged("a row that is too long"));
            }
            let mut bytes = Vec::new();
            input.by_ref().take(len as u64).read_to_end(&mut bytes).map_err(fail)?;
            if bytes.len() < len { Err(damaged("it ends too early")) } else { Ok(Bytes::from(bytes)) }
        };
        let (key, value) = (part(MAX_KEY)?, part(MAX_VALUE)?);
        each(space, key, value)?;
    }
    let sum = input.sum.clone().finalize();
    let mut stored = [0; 4];
    input.inner.read_exact(&mut stored).map_err(fail)?;
    if u32::from_be_bytes(stored) != sum { Err(damaged("its checksum does not match")) } else { Ok(()) }
}

/// Writes rows to an engine in pieces of bounded size.
struct Filling<'a> {
    engine: &'a dyn Engine,
    commit: Commit,
    bytes: u64,
}

impl<'a> Filling<'a> {
    fn new(engine: &'a dyn Engine) -> Filling<'a> {
        Filling { engine, commit: Commit::default(), bytes: 0 }
    }

    fn add(&mut self, space: Space, key: Bytes, value: Bytes) -> Result<(), StoreError> {
        if key.is_empty() {
            return Err(StoreError::corrupt("the snapshot", "a row without a key"));
        }
        self.bytes += (key.len() + value.len()) as u64;
        self.commit.writes.push(Put { space, key: key.to_vec(), value: Some(value) });
        if self.bytes >= BATCH { self.end() } else { Ok(()) }
    }

    fn end(&mut self) -> Result<(), StoreError> {
        self.bytes = 0;
        match self.engine.commit(&std::mem::take(&mut self.commit))? {
            Outcome::Committed => Ok(()),
            Outcome::Conflict => Err(StoreError::Conflict { attempts: 1 }),
        }
    }
}

/// Sums what passes through.
struct Summed<T> {
    inner: T,
    sum: Hasher,
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.sum.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.sum.update(&buffer[..read]);
        Ok(read)
    }
}

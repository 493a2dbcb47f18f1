//! Writing a blob.

use super::{Blob, BlobId, Shared};
use crate::{Durability, StoreError, dir, space::Want};
use bytes::Bytes;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, IoSlice, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

/// What is gathered before it goes to the disk in one piece, in bytes.
const GATHER: usize = 512 << 10;

/// Up to this length a blob is written where the caller runs: handing it to another thread would cost more.
const SMALL: usize = 64 << 10;

/// A blob under way. Dropping it before [`BlobWriter::finish`] leaves nothing behind.
pub struct BlobWriter {
    shared: Arc<Shared>,
    id: BlobId,
    path: PathBuf,
    file: Option<Arc<File>>,
    gathered: Vec<Bytes>,
    gathered_bytes: usize,
    len: u64,
    finished: bool,
}

impl BlobWriter {
    pub(crate) fn new(shared: Arc<Shared>) -> BlobWriter {
        let id = BlobId::random();
        let path = shared.path(id);
        BlobWriter {
            shared,
            id,
            path,
            file: None,
            gathered: Vec::new(),
            gathered_bytes: 0,
            len: 0,
            finished: false,
        }
    }

    /// How many bytes were written so far.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing was written yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends bytes. After an error, or when the call was not awaited to its end, drop the writer.
    ///
    /// Errors: [`StoreError::NoSpace`], [`StoreError::Io`].
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.len += bytes.len() as u64;
        self.gathered_bytes += bytes.len();
        self.gathered.push(bytes);
        if self.gathered_bytes < GATHER {
            return Ok(());
        }
        let file = self.file()?;
        let (path, gathered) = (self.path.clone(), self.take()?);
        apart(&self.path, move || write_all(&file, &gathered, &path)).await
    }

    /// Ends the blob. Its file is complete, and with [`Durability::Disk`] on the disk, when this
    /// resolves. Then adopt it in a transaction.
    ///
    /// Errors: [`StoreError::NoSpace`], [`StoreError::Io`].
    pub async fn finish(mut self) -> Result<Blob, StoreError> {
        let file = self.file()?;
        let blob = Blob { id: self.id, len: self.len };
        let small = self.len <= SMALL as u64 && self.shared.durability == Durability::Process;
        let (path, gathered, shared) = (self.path.clone(), self.take()?, Arc::clone(&self.shared));
        let end = move || {
            write_all(&file, &gathered, &path)?;
            shared.complete(&file, &path)
        };
        if small { end() } else { apart(&self.path, end).await }?;
        self.finished = true;
        Ok(blob)
    }

    fn file(&mut self) -> Result<Arc<File>, StoreError> {
        if let Some(file) = &self.file {
            return Ok(Arc::clone(file));
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = match options.open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.shared.make_folder(self.id)?;
                options.open(&self.path)
            }
            opened => opened,
        };
        let file = file.map_err(|error| StoreError::io("create", &self.path, error))?;
        Ok(Arc::clone(self.file.insert(Arc::new(file))))
    }

    fn take(&mut self) -> Result<Vec<Bytes>, StoreError> {
        self.shared.space.check(Want::Blob, self.gathered_bytes as u64)?;
        self.gathered_bytes = 0;
        Ok(std::mem::take(&mut self.gathered))
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        if !self.finished && self.file.is_some() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Shared {
    /// The first blob of a folder makes it.
    fn make_folder(&self, id: BlobId) -> Result<(), StoreError> {
        dir::make(&self.folder(id))?;
        match self.durability {
            Durability::Process => Ok(()),
            Durability::Disk => {
                dir::sync_dir(&self.root).map_err(|error| StoreError::io("write", &self.root, error))
            }
        }
    }

    fn complete(&self, file: &File, path: &Path) -> Result<(), StoreError> {
        if self.durability == Durability::Process {
            return Ok(());
        }
        let synced = file.sync_all().and_then(|()| dir::sync_dir(path.parent().unwrap_or(&self.root)));
        synced.map_err(|error| StoreError::io("write", path, error))
    }
}

fn write_all(mut file: &File, gathered: &[Bytes], path: &Path) -> Result<(), StoreError> {
    let mut slices: Vec<IoSlice<'_>> = gathered.iter().map(|bytes| IoSlice::new(bytes)).collect();
    let mut left = &mut slices[..];
    while !left.is_empty() {
        match file.write_vectored(left) {
            Ok(0) => return Err(StoreError::io("write", path, io::ErrorKind::WriteZero.into())),
            Ok(written) => IoSlice::advance_slices(&mut left, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(StoreError::io("write", path, error)),
        }
    }
    Ok(())
}

/// Runs what may wait for the disk on a thread that may wait.
async fn apart<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(StoreError::io("write", path, io::Error::other(error))),
    }
}

//! Object bytes: files that are written once, wholly, and never changed.
//!
//! A blob belongs to the state from the commit that adopts it ([`crate::Tx::adopt_blob`]) to the one that releases its
//! last reference. That commit is also what makes it visible, and its id is only known once it is complete, so a
//! half-written file needs no other name and no move. A file that no commit refers to is swept at the next start.

mod id;
mod reader;
mod writer;

pub use id::BlobId;
pub use reader::{BlobReader, BlobStream};
pub use writer::BlobWriter;

use crate::{Durability, StoreError, dir, space::Space};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A finished blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blob {
    /// Its name.
    pub id: BlobId,
    /// Its length in bytes.
    pub len: u64,
}

/// All blobs of a store. Cheap to clone.
#[derive(Clone)]
pub struct Blobs {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    root: PathBuf,
    durability: Durability,
    space: Arc<Space>,
}

impl Blobs {
    pub(crate) fn open_all(
        dir: &Path,
        durability: Durability,
        space: Arc<Space>,
    ) -> Result<Blobs, StoreError> {
        let root = dir.join("blobs");
        dir::make(&root)?;
        Ok(Blobs { shared: Arc::new(Shared { root, durability, space }) })
    }

    /// Begins a blob. Nothing of it is visible before it is finished and adopted.
    pub fn create(&self) -> Result<BlobWriter, StoreError> {
        Ok(BlobWriter::new(Arc::clone(&self.shared)))
    }

    /// Opens a blob for reading. The reader keeps the bytes even if the blob is released meanwhile.
    ///
    /// Errors: [`StoreError::NoBlob`] when it has been released already: whoever read its id in a record reads that
    /// record again.
    pub fn open(&self, id: BlobId) -> Result<BlobReader, StoreError> {
        let path = self.shared.path(id);
        let file = File::open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => StoreError::NoBlob { id },
            _ => StoreError::io("open", &path, error),
        })?;
        let len = file.metadata().map_err(|error| StoreError::io("read", &path, error))?.len();
        Ok(BlobReader::new(file, len))
    }

    /// The file that holds a blob, for whoever must hand a path to another program. It is only ever read.
    #[must_use]
    pub fn path(&self, id: BlobId) -> PathBuf {
        self.shared.path(id)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.shared.root
    }

    /// Every blob file there is, one directory after another.
    pub(crate) fn files(&self) -> impl Iterator<Item = BlobId> + use<> {
        let folders = fs::read_dir(&self.shared.root).into_iter().flatten().flatten();
        let files = folders.flat_map(|folder| fs::read_dir(folder.path()).into_iter().flatten().flatten());
        files.filter_map(|file| file.file_name().to_str()?.parse().ok())
    }
}

impl Shared {
    fn folder(&self, id: BlobId) -> PathBuf {
        self.root.join(id.folder())
    }

    fn path(&self, id: BlobId) -> PathBuf {
        self.folder(id).join(id.to_string())
    }
}

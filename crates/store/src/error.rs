//! What can go wrong with the data directory, in words that say what to do next.

use std::{io, path::PathBuf, sync::Arc};

/// An error of the store. Cheap to clone, because one failed sync is reported to every commit that shared it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process has the directory open. `pid` is 0 when it did not say who it is.
    #[error(
        "the data directory {} is in use by process {pid}; stop that process (`cloudlet stop`) or choose \
         another directory with --data", .dir.display()
    )]
    Locked {
        /// The process that holds the lock.
        pid: u32,
        /// The data directory.
        dir: PathBuf,
    },
    /// The directory was written by a newer program.
    #[error(
        "the data directory {} has format {found}, but this program knows formats up to {known}; start it with \
         the newer cloudlet that wrote it, or choose another directory with --data", .dir.display()
    )]
    NewerFormat {
        /// The data directory.
        dir: PathBuf,
        /// The format found there.
        found: u32,
        /// The newest format that this program reads.
        known: u32,
    },
    /// A record was written by a newer program, or in a version that nobody upgrades any more.
    #[error(
        "a record of {table} has version {found}, but this program reads version {known}; use the newer cloudlet \
         that wrote it"
    )]
    RecordVersion {
        /// The table.
        table: &'static str,
        /// The version found.
        found: u16,
        /// The version this program reads.
        known: u16,
    },
    /// Bytes that cannot be what was written.
    #[error(
        "damaged data in {what}: {detail}; restore a snapshot with `cloudlet snapshot load`, or `cloudlet reset`"
    )]
    Corrupt {
        /// The table or the file.
        what: String,
        /// What did not fit.
        detail: String,
    },
    /// The disk is full. Nothing of the refused change was kept, and reading still works.
    #[error("no space left on the disk that holds {}; free some space and repeat the call", .dir.display())]
    NoSpace {
        /// The data directory.
        dir: PathBuf,
    },
    /// A transaction met other writers every time it was tried.
    #[error("the transaction met other writers {attempts} times; repeat the call")]
    Conflict {
        /// How often it was tried.
        attempts: u32,
    },
    /// A key or a value that is larger than the store accepts.
    #[error("a {what} of {len} bytes is larger than the limit of {limit} bytes; make it smaller")]
    TooLarge {
        /// Key or value.
        what: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A record that cannot be written.
    #[error("a record of {table} cannot be encoded: {detail}; this is a bug in cloudlet, please report it")]
    Encode {
        /// The table.
        table: &'static str,
        /// What the encoder said.
        detail: String,
    },
    /// There is no such blob.
    #[error("blob {id} does not exist; its object was replaced or deleted, read the object's record again")]
    NoBlob {
        /// The blob.
        id: crate::BlobId,
    },
    /// There is no snapshot to restore, or the target of a save is taken.
    #[error("{what}")]
    Snapshot {
        /// What is wrong and what to do.
        what: String,
    },
    /// [`crate::Store::close`] was called.
    #[error("the store is closed because the program is shutting down; start it again")]
    Closed,
    /// The engine refuses to go on after a failed write.
    #[error(
        "the storage engine stopped after a failed write ({detail}); check the disk, then start cloudlet again"
    )]
    Engine {
        /// What the engine said.
        detail: String,
    },
    /// The operating system refused.
    #[error("cannot {doing} {}: {source}; check the disk and the permissions", .path.display())]
    Io {
        /// What was attempted.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the operating system said.
        source: Arc<io::Error>,
    },
}

impl StoreError {
    /// An operating system error with its context; a full disk becomes [`StoreError::NoSpace`].
    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>, source: io::Error) -> StoreError {
        if is_full(&source) {
            return StoreError::NoSpace { dir: path.into() };
        }
        StoreError::Io { doing, path: path.into(), source: Arc::new(source) }
    }

    pub(crate) fn corrupt(what: impl Into<String>, detail: impl Into<String>) -> StoreError {
        StoreError::Corrupt { what: what.into(), detail: detail.into() }
    }
}

/// Whether the operating system says that the disk (or the user's share of it) is full.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl From<StoreError> for io::Error {
    fn from(error: StoreError) -> io::Error {
        let kind = match &error {
            StoreError::NoSpace { .. } => io::ErrorKind::StorageFull,
            StoreError::NoBlob { .. } => io::ErrorKind::NotFound,
            StoreError::Io { source, .. } => source.kind(),
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

/// Declares `Failure`, the error that a service's transactions give: the service's own error, or the store's in the
/// words that `$stored` finds for it.
#[macro_export]
macro_rules! failure {
    ($error:ty, $stored:path) => {
        /// An error inside a transaction: ours or the store's.
        pub(crate) struct Failure(pub(crate) $error);

        impl From<$crate::StoreError> for Failure {
            fn from(error: $crate::StoreError) -> Self {
                Self($stored(error))
            }
        }

        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self(error)
            }
        }

        impl From<Failure> for $error {
            fn from(failure: Failure) -> Self {
                failure.0
            }
        }
    };
}

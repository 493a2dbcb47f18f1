//! Unpacked code, by content: one folder per package, read-only, shared by all sandboxes that run it.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use crate::archive::{self, UnpackLimits, unpack_zip};
use crate::{ArchiveError, CodeRef, ComputeError};

/// The folder `code` of the state directory.
pub(crate) struct CodeCache {
    root: PathBuf,
    /// One at a time per package; different packages unpack side by side.
    busy: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl CodeCache {
    pub(crate) fn open(root: PathBuf) -> Result<Self, ComputeError> {
        fs::create_dir_all(&root).map_err(ComputeError::io(format!("cannot make {}", root.display())))?;
        // What a crash left half-way.
        for entry in fs::read_dir(&root).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with('.') {
                let _ = archive::remove_tree(&entry.path());
            }
        }
        Ok(Self { root, busy: Mutex::default() })
    }

    /// The folder to show at /var/task.
    pub(crate) async fn code(&self, code: &CodeRef) -> Result<PathBuf, ComputeError> {
        if code.path.is_dir() {
            return Ok(code.path.clone());
        }
        self.folder(std::slice::from_ref(code)).await
    }

    /// The folder to show at /opt: all layers in order, later ones over earlier ones.
    pub(crate) async fn layers(&self, layers: &[CodeRef]) -> Result<Option<PathBuf>, ComputeError> {
        match layers {
            [] => Ok(None),
            [one] => self.code(one).await.map(Some),
            many => self.folder(many).await.map(Some),
        }
    }

    async fn folder(&self, parts: &[CodeRef]) -> Result<PathBuf, ComputeError> {
        let key = key(parts);
        let folder = self.root.join(&key);
        if folder.is_dir() {
            return Ok(folder);
        }
        let turn = self.busy.lock().entry(key.clone()).or_default().clone();
        let _turn = turn.lock().await;
        if folder.is_dir() {
            return Ok(folder);
        }
        let temporary = self.root.join(format!(".{key}-{}", uuid::Uuid::new_v4().simple()));
        let (parts, to) = (parts.to_vec(), folder.clone());
        let result = tokio::task::spawn_blocking(move || {
            let made = build(&parts, &temporary, &to);
            if made.is_err() {
                let _ = archive::remove_tree(&temporary);
            }
            made
        })
        .await
        .map_err(|error| ComputeError::Sandbox(format!("unpacking stopped: {error}")))?;
        self.busy.lock().remove(&key);
        result.map(|()| folder)
    }
}

fn key(parts: &[CodeRef]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.sha256.as_bytes());
        hash.update([0]);
    }
    hex::encode(hash.finalize())
}

fn build(parts: &[CodeRef], temporary: &Path, to: &Path) -> Result<(), ComputeError> {
    fs::create_dir(temporary).map_err(ArchiveError::Io)?;
    let mut left = UnpackLimits::default();
    for part in parts {
        if part.path.is_dir() {
            copy_folder(&part.path, temporary).map_err(ArchiveError::Io)?;
            continue;
        }
        let zip = fs::File::open(&part.path)
            .map_err(ComputeError::io(format!("cannot open the code package {}", part.path.display())))?;
        let done = unpack_zip(std::io::BufReader::new(zip), temporary, left)?;
        left.bytes -= done.bytes;
        left.entries = left.entries.saturating_sub(done.entries);
    }
    archive::seal(temporary).map_err(ArchiveError::Io)?;
    // Sealed folders can be renamed within one parent.
    fs::rename(temporary, to).map_err(ArchiveError::Io)?;
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            if fs::symlink_metadata(&target).is_ok() {
                fs::remove_file(&target)?;
            }
            if kind.is_symlink() {
                std::os::unix::fs::symlink(fs::read_link(entry.path())?, target)?;
            } else {
                fs::copy(entry.path(), target)?;
            }
        }
    }
    Ok(())
}

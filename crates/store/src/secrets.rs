//! Secrets of the data directory: small files that only their owner can read, such as the key that wraps other keys.
//!
//! They lie in `secrets/`, a file each, and go along with a saved copy, which is worth nothing without them.

use crate::{Store, StoreError, dir};
use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Read, Write},
    path::Path,
};

/// The largest secret, in bytes.
const MOST: u64 = 4096;

impl Store {
    /// The secret of this name; `make` gives one where there is none yet.
    ///
    /// Errors: [`StoreError::Io`], [`StoreError::Corrupt`] for a name that is no plain file name.
    pub fn secret(&self, name: &str, make: impl FnOnce() -> Vec<u8>) -> Result<Vec<u8>, StoreError> {
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err(StoreError::corrupt(name, "not a name for a secret"));
        }
        let folder = self.dir().join("secrets");
        let path = folder.join(name);
        match read(&path) {
            Ok(found) => return Ok(found),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(StoreError::io("read", &path, error)),
        }
        private_dir(&folder)?;
        let secret = make();
        write(&path, &secret)?;
        Ok(secret)
    }
}

/// Copies the secrets of one directory into another, over those that are there.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    let source = from.join("secrets");
    if !source.is_dir() {
        return Ok(());
    }
    let target = to.join("secrets");
    private_dir(&target)?;
    for entry in dir::list(&source)? {
        let path = entry.path();
        let secret = read(&path).map_err(|error| StoreError::io("read", &path, error))?;
        write(&target.join(entry.file_name()), &secret)?;
    }
    Ok(())
}

fn private_dir(path: &Path) -> Result<(), StoreError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| StoreError::io("create", path, error))
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::new();
    fs::File::open(path)?.take(MOST).read_to_end(&mut out)?;
    Ok(out)
}

/// Writes a file so that it is there wholly or not at all, and never readable by others.
fn write(path: &Path, secret: &[u8]) -> Result<(), StoreError> {
    let next = path.with_extension("next");
    let _ = fs::remove_file(&next);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&next).and_then(|mut file| {
        file.write_all(secret)?;
        file.sync_all()?;
        fs::rename(&next, path)?;
        dir::sync_dir(path.parent().unwrap_or(Path::new(".")))
    });
    written.map_err(|error| StoreError::io("write", path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_stays_and_is_its_owners_alone() {
        let store = Store::ephemeral().unwrap();
        assert_eq!(store.secret("kms", || vec![7; 32]).unwrap(), [7; 32]);
        assert_eq!(store.secret("kms", || vec![8; 32]).unwrap(), [7; 32]);
        assert!(store.secret("../kms", Vec::new).is_err());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode =
                |path: &str| fs::metadata(store.dir().join(path)).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode("secrets"), mode("secrets/kms")), (0o700, 0o600));
        }
    }

    #[test]
    fn a_saved_copy_brings_its_secrets_along() {
        let (old, new) = (Store::ephemeral().unwrap(), Store::ephemeral().unwrap());
        old.secret("kms", || vec![1; 32]).unwrap();
        new.secret("kms", || vec![2; 32]).unwrap();
        let saved = old.dir().join("saved");
        old.snapshot_to(&saved).unwrap();
        new.restore_from(&saved).unwrap();
        assert_eq!(new.secret("kms", Vec::new).unwrap(), [1; 32]);
    }
}

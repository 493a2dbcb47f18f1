//! Where sandboxes find what they read: unpacked code and images, our bootstraps, the SDKs.
//!
//! Mostly that is the state folder. Where nothing can be mounted and we are root, functions run as somebody who has no right
//! to enter root's home, which is where the state folder often is (think of a plain container): they get a folder that
//! everybody may enter, for as long as the program runs.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::archive::remove_tree;
use crate::cache::CodeCache;
use crate::runtimes::image::Images;
use crate::{ComputeError, Config};

/// Where root keeps SDKs that functions may read.
const SHARED_SDKS: &str = "/var/cache/cloudlet/sdk";
const NAME: &str = "cloudlet-functions-";

pub(crate) struct Home {
    /// The configuration with the folders that are used.
    pub(crate) config: Config,
    pub(crate) cache: CodeCache,
    pub(crate) images: Images,
    /// Removed with this.
    temporary: Option<PathBuf>,
}

impl Home {
    /// `strangers`: functions run as somebody else and see the host's folders as they are.
    pub(crate) fn open(mut config: Config, strangers: bool) -> Result<Self, ComputeError> {
        let mut temporary = None;
        if strangers && !may_enter(&config.state_dir) {
            let folder = make_open_folder()?;
            config.state_dir.clone_from(&folder);
            temporary = Some(folder);
        }
        if strangers && config.sdk && !may_enter(&config.sdk_dir) {
            config.sdk_dir = PathBuf::from(SHARED_SDKS);
        }
        let state = &config.state_dir;
        Ok(Self {
            cache: CodeCache::open(state.join("code"))?,
            images: Images::open(state.join("images"))?,
            config,
            temporary,
        })
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Some(folder) = &self.temporary {
            let _ = remove_tree(folder);
        }
    }
}

/// Whether everybody may go there. What does not exist yet is made like what is above it.
fn may_enter(folder: &Path) -> bool {
    folder.ancestors().all(|at| fs::metadata(at).map_or(true, |meta| meta.mode() & 0o001 != 0))
}

fn make_open_folder() -> Result<PathBuf, ComputeError> {
    let above = std::env::temp_dir();
    // Those of programs that were killed.
    for entry in fs::read_dir(&above).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(NAME)?.split('-').next());
        let ours = entry.metadata().is_ok_and(|meta| meta.is_dir() && meta.uid() == 0);
        if let Some(pid) = pid.filter(|_| ours)
            && !Path::new("/proc").join(pid).exists()
        {
            let _ = remove_tree(&entry.path());
        }
    }
    let folder = above.join(format!("{NAME}{}-{}", std::process::id(), uuid::Uuid::new_v4().simple()));
    let made = fs::DirBuilder::new()
        .mode(0o711)
        .create(&folder)
        .and_then(|()| fs::set_permissions(&folder, fs::Permissions::from_mode(0o711)));
    made.map_err(ComputeError::io(format!("cannot make {}", folder.display())))?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_folder_closes_what_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let set = |mode| fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
        set(0o755);
        assert!(may_enter(&folder.path().join("not/yet/there")));
        set(0o700);
        assert!(!may_enter(&folder.path().join("not/yet/there")));
    }
}

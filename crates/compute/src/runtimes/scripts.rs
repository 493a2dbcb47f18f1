//! Our bootstraps, put where sandboxes can be shown them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::ComputeError;

/// Writes the scripts of one language, unless they are there already, and gives their folder.
pub(crate) fn write(state: &Path, language: &str, scripts: &[(&str, &str)]) -> Result<PathBuf, ComputeError> {
    let folder = state.join("runtimes").join(language);
    fs::create_dir_all(&folder)
        .and_then(|()| fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)))
        .map_err(ComputeError::io(format!("cannot make {}", folder.display())))?;
    for (name, script) in scripts {
        let path = folder.join(name);
        if fs::read_to_string(&path).is_ok_and(|text| text == *script) {
            continue;
        }
        let temporary = folder.join(format!(".{}", uuid::Uuid::new_v4().simple()));
        fs::write(&temporary, script)
            .and_then(|()| fs::set_permissions(&temporary, fs::Permissions::from_mode(0o644)))
            .and_then(|()| fs::rename(&temporary, &path))
            .map_err(ComputeError::io(format!("cannot write {}", path.display())))?;
    }
    Ok(folder)
}

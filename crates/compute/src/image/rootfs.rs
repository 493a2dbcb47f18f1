//! The folder that becomes a sandbox's root: paths in it are an image's own, so links in it mean what they mean inside.

use std::collections::VecDeque;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use super::{ImageError, failed};

/// What to do where the last part of a path is a link.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Last {
    /// Go where it points.
    Follow,
    /// It is meant itself.
    Keep,
}

/// More links on one way than any system follows.
const MOST_LINKS: usize = 40;

/// Where `path` leads when `root` is the root: links are followed within it and never out of it.
pub(crate) fn resolve(root: &Path, path: &Path, last: Last) -> Result<PathBuf, ImageError> {
    let mut parts: VecDeque<_> = path.components().map(|part| part.as_os_str().to_owned()).collect();
    let mut at = root.to_owned();
    let mut links = 0;
    while let Some(part) = parts.pop_front() {
        match Path::new(&part).components().next() {
            Some(Component::Normal(_)) => {}
            Some(Component::ParentDir) => {
                // Above the root is the root.
                if at != root {
                    at.pop();
                }
                continue;
            }
            Some(Component::RootDir) => {
                at = root.to_owned();
                continue;
            }
            _ => continue,
        }
        let next = at.join(&part);
        let is_link = fs::symlink_metadata(&next).is_ok_and(|meta| meta.is_symlink());
        if !is_link || (parts.is_empty() && last == Last::Keep) {
            at = next;
            continue;
        }
        links += 1;
        if links > MOST_LINKS {
            return Err(ImageError::Outside(path.display().to_string()));
        }
        let target = fs::read_link(&next).map_err(failed("cannot read a link of the image"))?;
        for part in target.components().rev() {
            parts.push_front(part.as_os_str().to_owned());
        }
    }
    Ok(at)
}

/// Makes the places that a sandbox mounts something on, and lets everybody in everywhere.
pub(super) fn furnish(root: &Path) -> Result<(), ImageError> {
    for folder in ["proc", "dev", "tmp", "etc", "var/task", "opt"] {
        // Real ones: what is mounted here must not land where a link leads.
        let mut at = root.to_owned();
        for part in folder.split('/') {
            at.push(part);
            if fs::symlink_metadata(&at).is_ok_and(|meta| !meta.is_dir()) {
                fs::remove_file(&at).map_err(failed(format!("cannot make /{folder} of the image")))?;
            }
        }
        if !at.is_dir() {
            fs::create_dir_all(&at).map_err(failed(format!("cannot make /{folder} of the image")))?;
        }
    }
    for file in ["etc/hosts", "etc/resolv.conf"] {
        let at = root.join(file);
        // Files of the sandbox's own are shown here.
        let _ = crate::archive::remove_tree(&at);
        fs::write(&at, "").map_err(failed(format!("cannot make /{file} of the image")))?;
    }
    open_folders(root)
}

fn open_folders(at: &Path) -> Result<(), ImageError> {
    let mut folders = vec![at.to_owned()];
    while let Some(folder) = folders.pop() {
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))
            .map_err(failed(format!("cannot open {}", folder.display())))?;
        for entry in fs::read_dir(&folder).map_err(failed(format!("cannot read {}", folder.display())))? {
            let entry = entry.map_err(failed("cannot read a folder of the image"))?;
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            }
        }
    }
    Ok(())
}

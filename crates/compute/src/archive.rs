//! Unpacks code packages that anybody may have made.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Seek};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use zip::ZipArchive;
use zip::result::ZipError;

use crate::ArchiveError;

/// How much a package may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnpackLimits {
    /// All files together, in bytes. Lambda: 262,144,000 (250 MB), layers included.
    pub bytes: u64,
    /// Files, folders and links.
    pub entries: usize,
    /// Unpacked to packed size, for entries above [`Self::RATIO_FROM`].
    pub ratio: u64,
}

impl UnpackLimits {
    /// Smaller entries may compress as well as they like.
    pub const RATIO_FROM: u64 = 16 << 20;
}

impl Default for UnpackLimits {
    fn default() -> Self {
        Self { bytes: 262_144_000, entries: 100_000, ratio: 500 }
    }
}

/// What was unpacked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// Bytes of all files.
    pub bytes: u64,
    /// Files, folders and links.
    pub entries: usize,
}

/// Unpacks a zip into `dest`, which must exist, over what is there already (as layers are). Files become
/// readable by everybody and writable by nobody, and keep their right to be executed.
///
/// Refuses paths that leave `dest`, links that lead out of it, special files, and whatever exceeds `limits`. What
/// had been written before a refusal stays in `dest`: unpack into a folder that can be thrown away.
pub fn unpack_zip(
    zip: impl Read + Seek,
    dest: &Path,
    limits: UnpackLimits,
) -> Result<Unpacked, ArchiveError> {
    let mut archive = ZipArchive::new(zip).map_err(unreadable)?;
    if archive.len() > limits.entries {
        return Err(ArchiveError::TooManyEntries { limit: limits.entries });
    }
    let mut done = Unpacked::default();
    let mut links = BTreeMap::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(unreadable)?;
        let name = entry.name().map_err(unreadable)?.into_owned();
        let path = inside(&name)?;
        if path.as_os_str().is_empty() {
            continue;
        }
        done.entries += 1;
        let mode = entry.unix_mode().unwrap_or(0o644);
        match mode & 0o170_000 {
            0 | 0o100_000 | 0o040_000 | 0o120_000 => {}
            _ => return Err(ArchiveError::Kind(name)),
        }
        if entry.is_dir() {
            make_folder(dest, &path, &name)?;
        } else if entry.is_symlink() {
            let mut target = String::new();
            entry
                .by_ref()
                .take(4096)
                .read_to_string(&mut target)
                .map_err(|e| ArchiveError::NotAZip(e.to_string()))?;
            links.insert(path, (name, target));
        } else {
            let packed = entry.compressed_size().max(1);
            let left = limits.bytes - done.bytes;
            let allowed = left.min(packed.saturating_mul(limits.ratio).max(UnpackLimits::RATIO_FROM));
            let written = write_file(dest, &path, &name, mode & 0o111 != 0, &mut entry, allowed)?;
            if written > allowed {
                return Err(match allowed == left {
                    true => ArchiveError::TooLarge { limit: limits.bytes },
                    false => ArchiveError::Bomb { name, ratio: limits.ratio },
                });
            }
            done.bytes += written;
        }
    }
    // Links come last, so that no entry is ever written through one.
    make_links(dest, &links)?;
    Ok(done)
}

fn unreadable(error: ZipError) -> ArchiveError {
    match error {
        ZipError::Io(error) if error.kind() != io::ErrorKind::UnexpectedEof => match error.raw_os_error() {
            Some(_) => ArchiveError::Io(error),
            None => ArchiveError::NotAZip(error.to_string()),
        },
        other => ArchiveError::NotAZip(other.to_string()),
    }
}

/// The entry's path below the destination, or a refusal. Backslashes are separators, as some zip tools write them.
fn inside(name: &str) -> Result<PathBuf, ArchiveError> {
    let outside = || ArchiveError::Outside(name.chars().take(200).collect());
    if name.contains('\0') || name.len() > 4096 {
        return Err(outside());
    }
    let name = name.replace('\\', "/");
    let mut path = PathBuf::new();
    for part in Path::new(&name).components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return Err(outside()),
        }
    }
    Ok(path)
}

/// Makes `dest/path` and what is above it out of real folders: a link or a file on the way is a refusal.
fn make_folder(dest: &Path, path: &Path, name: &str) -> Result<(), ArchiveError> {
    let mut at = dest.to_owned();
    for part in path.components() {
        at.push(part);
        match fs::symlink_metadata(&at) {
            Ok(meta) if meta.is_dir() => {}
            Ok(_) => return Err(ArchiveError::Outside(name.to_owned())),
            Err(_) => fs::create_dir(&at)?,
        }
    }
    Ok(())
}

fn write_file(
    dest: &Path,
    path: &Path,
    name: &str,
    executable: bool,
    from: &mut impl Read,
    allowed: u64,
) -> Result<u64, ArchiveError> {
    if let Some(parent) = path.parent() {
        make_folder(dest, parent, name)?;
    }
    let path = dest.join(path);
    match fs::symlink_metadata(&path) {
        Ok(meta) if meta.is_dir() => return Err(ArchiveError::Outside(name.to_owned())),
        // A later layer, or a duplicate: the last one counts, as with every unzip.
        Ok(_) => fs::remove_file(&path)?,
        Err(_) => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
    let mut from = from.take(allowed.saturating_add(1));
    let written = copy(&mut from, &mut file)?;
    file.set_permissions(fs::Permissions::from_mode(if executable { 0o555 } else { 0o444 }))?;
    Ok(written)
}

/// Copies, telling a damaged package from a full disk.
fn copy(from: &mut impl Read, to: &mut fs::File) -> Result<u64, ArchiveError> {
    let mut buffer = vec![0; 64 << 10];
    let mut total = 0;
    loop {
        let n = from.read(&mut buffer).map_err(|e| ArchiveError::NotAZip(e.to_string()))?;
        if n == 0 {
            return Ok(total);
        }
        io::Write::write_all(to, &buffer[..n])?;
        total += n as u64;
    }
}

fn make_links(dest: &Path, links: &BTreeMap<PathBuf, (String, String)>) -> Result<(), ArchiveError> {
    let escaping =
        |name: &str, target: &str| ArchiveError::EscapingLink { name: name.into(), target: target.into() };
    for (path, (name, target)) in links {
        let parent = path.parent().unwrap_or(Path::new(""));
        let mut depth = parent.components().count();
        for part in Path::new(target).components() {
            match part {
                Component::Normal(_) => depth += 1,
                Component::CurDir => {}
                Component::ParentDir if depth > 0 => depth -= 1,
                _ => return Err(escaping(name, target)),
            }
        }
        make_folder(dest, parent, name)?;
        let at = dest.join(path);
        if fs::symlink_metadata(&at).is_ok_and(|meta| !meta.is_dir()) {
            fs::remove_file(&at)?;
        }
        if target.is_empty() || target.contains('\0') {
            return Err(escaping(name, target));
        }
        symlink(target, at)?;
    }
    // Links that go through other links can still leave; only the file system knows.
    let root = dest.canonicalize()?;
    for (path, (name, target)) in links {
        match dest.join(path).canonicalize() {
            Ok(real) if real.starts_with(&root) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            _ => {
                fs::remove_file(dest.join(path))?;
                return Err(escaping(name, target));
            }
        }
    }
    Ok(())
}

/// Removes a tree whose folders may be read-only.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    let Ok(meta) = fs::symlink_metadata(path) else { return Ok(()) };
    if !meta.is_dir() {
        return fs::remove_file(path);
    }
    let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(path)? {
        remove_tree(&entry?.path())?;
    }
    fs::remove_dir(path)
}

/// Takes the right to write away from every folder of a tree.
pub(crate) fn seal(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            seal(&entry.path())?;
        }
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o555))
}

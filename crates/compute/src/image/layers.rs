//! Layers are tar files that anybody may have made: one over the other, with marks for what a layer takes away.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use flate2::read::MultiGzDecoder;
use tar::{Archive, EntryType};

use super::rootfs::{Last, resolve};
use super::{ImageError, failed, not_an_image, zstd};
use crate::archive::remove_tree;

/// How much an image may hold. Lambda quotas: 10 GB unpacked, layers included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageLimits {
    /// All files together, in bytes.
    pub bytes: u64,
    /// Files, folders and links of all layers.
    pub entries: u64,
}

impl Default for ImageLimits {
    fn default() -> Self {
        Self { bytes: 10 << 30, entries: 1_000_000 }
    }
}

impl ImageLimits {
    fn take(&mut self, bytes: u64, all: Self) -> Result<(), ImageError> {
        self.entries = self.entries.checked_sub(1).ok_or(ImageError::TooManyEntries(all.entries))?;
        self.bytes = self.bytes.checked_sub(bytes).ok_or(ImageError::TooLarge(all.bytes))?;
        Ok(())
    }
}

/// The names that take away: what the layers below have of this name, or all that they have in this folder.
const GONE: &[u8] = b".wh.";
const ALL_GONE: &[u8] = b".wh..wh..opq";

/// A layer's tar, whatever it is packed with.
fn open(path: &Path) -> Result<Archive<Box<dyn Read>>, ImageError> {
    let file = File::open(path).map_err(failed(format!("cannot open {}", path.display())))?;
    let mut file = BufReader::with_capacity(1 << 16, file);
    let head = io::BufRead::fill_buf(&mut file).map_err(failed(format!("cannot read {}", path.display())))?;
    let reader: Box<dyn Read> = match head {
        [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(file)),
        head if head.starts_with(&zstd::MAGIC) => {
            Box::new(zstd::Frames::new(file).map_err(failed(format!("cannot read {}", path.display())))?)
        }
        _ => Box::new(file),
    };
    let mut archive = Archive::new(reader);
    archive.set_ignore_zeros(false);
    Ok(archive)
}

/// Takes the archive of a saved image apart. It holds plain files and links among them.
pub(super) fn take_apart(path: &Path, folder: &Path, limits: ImageLimits) -> Result<(), ImageError> {
    let mut left = limits;
    let mut seen = 0;
    let mut archive = open(path)?;
    for entry in archive.entries().map_err(unreadable)? {
        let mut entry = entry.map_err(unreadable)?;
        let name = name_of(&entry)?;
        left.take(entry.size(), limits)?;
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous => {
                let at = resolve(folder, &name, Last::Keep)?;
                make_parent(&at)?;
                seen += 1;
                write_file(&mut entry, &at, false)?;
            }
            EntryType::Symlink => {
                let target = link_of(&entry)?;
                let at = resolve(folder, &name, Last::Keep)?;
                make_parent(&at)?;
                let _ = fs::remove_file(&at);
                symlink(target, &at).map_err(failed("cannot make a link of the image"))?;
            }
            _ => {}
        }
    }
    if seen == 0 {
        return Err(not_an_image(format!("{} is not an archive of an image", path.display())));
    }
    Ok(())
}

/// Unpacks one layer over what is in `root`.
pub(super) fn apply(
    layer: &Path,
    root: &Path,
    left: &mut ImageLimits,
    all: ImageLimits,
) -> Result<(), ImageError> {
    let mut archive = open(layer)?;
    // What this very layer has brought is not taken away by its own marks.
    let mut own: std::collections::HashSet<PathBuf> = std::collections::HashSet::new();
    for entry in archive.entries().map_err(unreadable)? {
        let mut entry = entry.map_err(unreadable)?;
        let name = name_of(&entry)?;
        left.take(entry.size(), all)?;
        let Some(last) = name.file_name().map(|last| last.as_bytes().to_vec()) else { continue };
        if last == ALL_GONE {
            let folder = resolve(root, name.parent().unwrap_or(Path::new("")), Last::Follow)?;
            for child in fs::read_dir(&folder).into_iter().flatten().flatten() {
                if !own.contains(&child.path()) {
                    remove_tree(&child.path()).map_err(failed("cannot take a layer's files away"))?;
                }
            }
            continue;
        }
        if let Some(gone) = last.strip_prefix(GONE) {
            let gone = name.with_file_name(std::ffi::OsStr::from_bytes(gone));
            let at = resolve(root, &gone, Last::Keep)?;
            if !own.contains(&at) && at != root {
                remove_tree(&at).map_err(failed("cannot take a layer's file away"))?;
            }
            continue;
        }
        let at = resolve(root, &name, Last::Keep)?;
        if at == root {
            continue;
        }
        own.extend(at.ancestors().take_while(|above| *above != root).map(Path::to_owned));
        put(&mut entry, root, &at)?;
    }
    Ok(())
}

/// Puts one entry in place of whatever is there.
fn put(entry: &mut tar::Entry<'_, Box<dyn Read>>, root: &Path, at: &Path) -> Result<(), ImageError> {
    let kind = entry.header().entry_type();
    let there = fs::symlink_metadata(at).ok();
    if kind == EntryType::Directory {
        if there.is_none_or(|meta| !meta.is_dir()) {
            let _ = fs::remove_file(at);
            fs::create_dir_all(at).map_err(failed("cannot make a folder of the image"))?;
        }
        return Ok(());
    }
    if there.is_some() {
        remove_tree(at).map_err(failed("cannot replace a file of the image"))?;
    }
    make_parent(at)?;
    match kind {
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            let executable = entry.header().mode().is_ok_and(|mode| mode & 0o111 != 0);
            write_file(entry, at, executable)
        }
        EntryType::Symlink => symlink(link_of(entry)?, at).map_err(failed("cannot make a link of the image")),
        EntryType::Link => {
            let target = resolve(root, &relative(&link_of(entry)?)?, Last::Keep)?;
            fs::hard_link(&target, at)
                .or_else(|_| fs::copy(&target, at).map(drop))
                .map_err(failed(format!("cannot link to {} of the image", target.display())))
        }
        // Devices and pipes: a sandbox has its own.
        _ => Ok(()),
    }
}

fn make_parent(at: &Path) -> Result<(), ImageError> {
    match at.parent() {
        Some(parent) => fs::create_dir_all(parent).map_err(failed("cannot make a folder of the image")),
        None => Ok(()),
    }
}

/// Everybody may read it and nobody write it: functions run as nobody in particular.
fn write_file(entry: &mut impl Read, at: &Path, executable: bool) -> Result<(), ImageError> {
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .open(at)
        .map_err(failed(format!("cannot write {}", at.display())))?;
    io::copy(entry, &mut file).map_err(failed(format!("cannot unpack {}", at.display())))?;
    let mode = if executable { 0o555 } else { 0o444 };
    file.set_permissions(fs::Permissions::from_mode(mode)).map_err(failed("cannot set a file's rights"))
}

fn name_of(entry: &tar::Entry<'_, Box<dyn Read>>) -> Result<PathBuf, ImageError> {
    relative(&entry.path().map_err(unreadable)?)
}

fn link_of(entry: &tar::Entry<'_, Box<dyn Read>>) -> Result<PathBuf, ImageError> {
    let target = entry.link_name().map_err(unreadable)?;
    target.map(|target| target.into_owned()).ok_or_else(|| not_an_image("a link without a target"))
}

/// A name of the tar, without the root in front. One that climbs is refused.
fn relative(name: &Path) -> Result<PathBuf, ImageError> {
    let mut path = PathBuf::new();
    for part in name.components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                return Err(ImageError::Outside(name.display().to_string()));
            }
        }
    }
    Ok(path)
}

fn unreadable(error: io::Error) -> ImageError {
    not_an_image(format!("a layer cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn layer(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn tar(files: &[(&str, usize)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, size) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(*size as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, &vec![0; *size][..]).unwrap();
        }
        tar.into_inner().unwrap()
    }

    #[test]
    fn bombs_do_not_go_off() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir(&root).unwrap();
        let limits = ImageLimits { bytes: 1 << 20, entries: 8 };
        let apply = |bytes: &[u8], mut left: ImageLimits| {
            super::apply(&layer(folder.path(), "layer", bytes), &root, &mut left, limits)
        };
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packed.write_all(&tar(&[("zeros", 4 << 20)])).unwrap();
        let packed = packed.finish().unwrap();
        assert!(packed.len() < 16 << 10);
        assert!(matches!(apply(&packed, limits), Err(ImageError::TooLarge(_))));
        assert!(!root.join("zeros").exists());
        let many: Vec<String> = (0..9).map(|n| n.to_string()).collect();
        let many: Vec<_> = many.iter().map(|name| (name.as_str(), 0)).collect();
        assert!(matches!(apply(&tar(&many), limits), Err(ImageError::TooManyEntries(8))));
        // The limit is the image's, not each layer's.
        let mut left = limits;
        let half = layer(folder.path(), "half", &tar(&[("half", 600 << 10)]));
        super::apply(&half, &root, &mut left, limits).unwrap();
        assert!(matches!(super::apply(&half, &root, &mut left, limits), Err(ImageError::TooLarge(_))));
        let zeros = ruzstd::encoding::compress_to_vec(
            &tar(&[("zeros", 4 << 20)])[..],
            ruzstd::encoding::CompressionLevel::Fastest,
        );
        assert!(zeros.len() < 64 << 10);
        assert!(matches!(apply(&zeros, limits), Err(ImageError::TooLarge(_))));
        let some = ruzstd::encoding::compress_to_vec(
            &tar(&[("some", 100)])[..],
            ruzstd::encoding::CompressionLevel::Fastest,
        );
        apply(&some, limits).unwrap();
        assert_eq!(fs::read(root.join("some")).unwrap(), [0; 100]);
        assert!(apply(&some[..some.len() / 2], limits).is_err());
    }
}

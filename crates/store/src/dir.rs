//! The data directory: who holds it, which format it has, which engine directory is in use.

use crate::StoreError;
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

/// The format that this program writes. Raised when an older program could not read the directory any more.
const FORMAT: u32 = 1;

/// How long the lock of a process that is just ending is waited for.
const PATIENCE: Duration = Duration::from_millis(300);

const EPHEMERAL: &str = "cloudlet-ephemeral-";

/// Held while this process uses the directory.
pub(crate) struct DirLock {
    /// The lock ends with the file handle, also when the process is killed.
    file: File,
}

impl Drop for DirLock {
    fn drop(&mut self) {
        // Not left to closing the handle: a child that is just being started still has a copy of it.
        let _ = self.file.unlock();
    }
}

impl DirLock {
    pub(crate) fn take(dir: &Path) -> Result<DirLock, StoreError> {
        DirLock::take_within(dir, PATIENCE)
    }

    fn take_within(dir: &Path, patience: Duration) -> Result<DirLock, StoreError> {
        let path = dir.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| StoreError::io("open", &path, error))?;
        let waited = Instant::now();
        let locked = loop {
            match file.try_lock() {
                Err(TryLockError::WouldBlock) if waited.elapsed() < patience => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                result => break result,
            }
        };
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let _ = Read::by_ref(&mut file).take(20).read_to_string(&mut pid);
                return Err(StoreError::Locked { pid: pid.trim().parse().unwrap_or(0), dir: dir.to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(StoreError::io("lock", &path, error)),
        }
        let written = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(format!("{}\n", std::process::id()).as_bytes()));
        written.map_err(|error| StoreError::io("write", &path, error))?;
        Ok(DirLock { file })
    }
}

/// Checks the format, writing it into a new directory and upgrading an older one.
pub(crate) fn check_format(dir: &Path) -> Result<(), StoreError> {
    let path = dir.join("format");
    match fs::read_to_string(&path) {
        Ok(text) => {
            let found = text.strip_prefix("cloudlet ").and_then(|rest| rest.trim().parse::<u32>().ok());
            match found {
                Some(FORMAT) => Ok(()),
                Some(found) if found > FORMAT => {
                    Err(StoreError::NewerFormat { dir: dir.to_owned(), found, known: FORMAT })
                }
                // Format 1 is the first: there is nothing older to upgrade from.
                _ => Err(StoreError::corrupt(
                    path.display().to_string(),
                    "not a format that cloudlet has written",
                )),
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if dir.join("current").exists() {
                return Err(StoreError::corrupt(path.display().to_string(), "the file is missing"));
            }
            write_atomically(&path, &format!("cloudlet {FORMAT}\n"))
        }
        Err(error) => Err(StoreError::io("read", &path, error)),
    }
}

/// The engine directory in use; the first one of a new directory. Removes what an interrupted change left behind.
pub(crate) fn current_engine(dir: &Path) -> Result<PathBuf, StoreError> {
    let path = dir.join("current");
    let name = match fs::read_to_string(&path) {
        Ok(name) => name.trim().to_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let name = "tables-1".to_owned();
            write_atomically(&path, &name)?;
            name
        }
        Err(error) => return Err(StoreError::io("read", &path, error)),
    };
    if engine_number(&name).is_none() {
        return Err(StoreError::corrupt(path.display().to_string(), "it does not name an engine directory"));
    }
    for entry in list(dir)? {
        let other = entry.file_name();
        let Some(other) = other.to_str() else { continue };
        if other != name && engine_number(other).is_some() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(dir.join(name))
}

/// A name for the engine directory after `current`.
pub(crate) fn next_engine(current: &Path) -> PathBuf {
    let number = current.file_name().and_then(|name| name.to_str()).and_then(engine_number).unwrap_or(0);
    current.with_file_name(format!("tables-{}", number + 1))
}

/// Makes `engine` the one in use, in one step.
pub(crate) fn switch_engine(dir: &Path, engine: &Path) -> Result<(), StoreError> {
    let name = engine.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    write_atomically(&dir.join("current"), name)
}

fn engine_number(name: &str) -> Option<u64> {
    name.strip_prefix("tables-")?.parse().ok()
}

pub(crate) fn list(dir: &Path) -> Result<Vec<fs::DirEntry>, StoreError> {
    let entries = fs::read_dir(dir).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    entries.map_err(|error| StoreError::io("list", dir, error))
}

pub(crate) fn make(dir: &Path) -> Result<(), StoreError> {
    fs::create_dir_all(dir).map_err(|error| StoreError::io("create", dir, error))
}

/// Writes a small file so that it is there wholly or not at all, also after a loss of power.
pub(crate) fn write_atomically(path: &Path, text: &str) -> Result<(), StoreError> {
    let next = path.with_extension("next");
    let written = File::create(&next).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&next, path)?;
        sync_dir(path.parent().unwrap_or(Path::new(".")))
    });
    written.map_err(|error| StoreError::io("write", path, error))
}

pub(crate) fn sync_dir(dir: &Path) -> std::io::Result<()> {
    File::open(dir)?.sync_all()
}

/// A directory of its own for a store that shall not outlive its process. Only the user may look into it.
pub(crate) fn new_ephemeral() -> Result<PathBuf, StoreError> {
    let base = std::env::temp_dir();
    let swept = base.clone();
    // Not waited for: there may be much to delete. What this one does not get to, the next one does.
    let _ = std::thread::Builder::new().name("store-sweep".into()).spawn(move || sweep_ephemeral(&swept));
    for attempt in 0..100 {
        let unique = crate::blobs::BlobId::random();
        let dir = base.join(format!("{EPHEMERAL}{}-{unique}", std::process::id()));
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        match builder.create(&dir) {
            Ok(()) => return Ok(dir),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && attempt < 99 => {}
            Err(error) => return Err(StoreError::io("create", dir, error)),
        }
    }
    Err(StoreError::io("create a directory in", base, std::io::ErrorKind::AlreadyExists.into()))
}

/// Removes the directories of processes that were killed: nobody holds their lock.
fn sweep_ephemeral(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if !name.to_str().is_some_and(|name| name.starts_with(EPHEMERAL)) {
            continue;
        }
        // A directory this young may be another process's that has not come to lock it yet.
        let age =
            entry.metadata().and_then(|meta| meta.modified()).map(|at| SystemTime::now().duration_since(at));
        if !matches!(age, Ok(Ok(age)) if age > Duration::from_secs(60)) {
            continue;
        }
        if entry.path().join("lock").exists() && DirLock::take_within(&entry.path(), Duration::ZERO).is_ok() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

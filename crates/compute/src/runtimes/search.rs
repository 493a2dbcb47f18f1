//! Looking for interpreters on this machine, the same for every family.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::environment::library_path;
use crate::warden::protocol::Program;
use crate::{ComputeError, Config};

/// The interpreter that the configuration names for a runtime, if it names one. `ask` hears what a program is.
/// Errors: what it names does not run.
pub(super) fn configured<T>(
    runtime: &str,
    config: &Config,
    ask: impl Fn(&Path) -> Option<T>,
) -> Result<Option<T>, ComputeError> {
    let Some(path) = config.interpreters.get(runtime) else { return Ok(None) };
    ask(path).map(Some).ok_or_else(|| {
        ComputeError::Runtime(format!(
            "the configured interpreter {} for {runtime} does not run; correct its path",
            path.display()
        ))
    })
}

/// The folders of PATH. Version managers' shims are scripts that may refuse; what they manage is looked at by itself.
pub(super) fn on_path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).filter(|p| p.is_absolute() && !p.ends_with("shims")).collect()
}

/// The home folder of whoever runs us.
pub(super) fn home() -> Option<PathBuf> {
    std::env::var_os("HOME").map(PathBuf::from)
}

/// What a version manager has, the newest first: each entry's `inside`, such as `bin`.
pub(super) fn versions(collection: &Path, inside: &str) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(collection).into_iter().flatten().flatten();
    let mut versions: Vec<PathBuf> = entries.map(|entry| entry.path().join(inside)).collect();
    versions.sort();
    versions.into_iter().rev()
}

/// What the programs turn out to be, one by one as they are asked for, each real one once.
pub(super) fn asked<T>(programs: Vec<PathBuf>, ask: impl Fn(&Path) -> Option<T>) -> impl Iterator<Item = T> {
    let mut known = BTreeSet::new();
    programs.into_iter().filter_map(move |path| {
        let real = path.canonicalize().ok()?;
        known.insert(real.clone()).then(|| ask(&real))?
    })
}

/// The first that is wanted exactly, else the nearest; `None` where there is none at all.
pub(super) fn nearest<T, D: Ord>(
    installed: impl Iterator<Item = T>,
    exact: impl Fn(&T) -> bool,
    distance: impl Fn(&T) -> D,
) -> Option<T> {
    let mut others = Vec::new();
    for found in installed {
        if exact(&found) {
            return Some(found);
        }
        others.push(found);
    }
    others.into_iter().min_by_key(distance)
}

/// A program with what every interpreter's environment has, and `more`.
pub(super) fn program(argv: Vec<String>, more: &[(&str, &str)]) -> Program {
    let mut env = BTreeMap::from([
        ("LANG".to_owned(), "en_US.UTF-8".to_owned()),
        ("LD_LIBRARY_PATH".to_owned(), library_path("/var/task", "/opt", "/var/runtime")),
        ("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned()),
    ]);
    env.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Program { argv, env, directory: None }
}

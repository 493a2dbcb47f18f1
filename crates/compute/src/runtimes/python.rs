//! `python3.*`: an interpreter of the host, with our bootstrap and AWS's SDK.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::{Runtime, Start, scripts, sdk, search};
use crate::warden::protocol::Program;
use crate::{ComputeError, Config};

const SCRIPTS: [(&str, &str); 2] =
    [("bootstrap.py", include_str!("python/bootstrap.py")), ("zygote.py", include_str!("python/zygote.py"))];
/// Where the sandbox sees the bootstrap and the SDK. AWS keeps boto3 in /var/runtime.
const SCRIPTS_INSIDE: &str = "/var/rapid";
const SDK_INSIDE: &str = "/var/runtime";

/// An interpreter and where it lives.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Interpreter {
    pub(crate) executable: PathBuf,
    /// Minor version of Python 3.
    pub(crate) minor: u32,
    pub(crate) version: String,
    pub(crate) prefixes: Vec<PathBuf>,
}

/// Finds the interpreter for a runtime such as `python3.12` and makes everything around it ready.
pub(crate) fn find(runtime: &str, config: &Config) -> Result<Runtime, ComputeError> {
    let wanted: u32 =
        runtime.strip_prefix("python3.").and_then(|minor| minor.parse().ok()).ok_or_else(|| {
            ComputeError::Runtime(format!("{runtime:?} is not a Python runtime; use such as python3.12"))
        })?;
    let mut warnings = Vec::new();
    let interpreter = match search::configured(runtime, config, ask)? {
        Some(found) => found,
        None => choose(wanted)?,
    };
    if interpreter.minor != wanted {
        warnings.push(format!(
            "WARNING: {runtime} is not installed here; running on Python {} ({}) instead. Install Python 3.{wanted} or \
             set its path in the configuration.",
            interpreter.version,
            interpreter.executable.display()
        ));
    }
    let scripts = scripts::write(&config.state_dir, "python", &SCRIPTS)?;
    let mut shown = vec![(PathBuf::from(SCRIPTS_INSIDE), scripts.clone())];
    for prefix in &interpreter.prefixes {
        if !super::is_shown(prefix) && prefix.is_dir() {
            shown.push((prefix.clone(), prefix.clone()));
        }
    }
    let mut provisional = false;
    let sdk = if config.sdk {
        match sdk::python(&interpreter, &config.sdk_dir, &*config.progress) {
            Ok(folder) => Some(folder),
            Err(error) => {
                provisional = true;
                warnings.push(format!("WARNING: boto3 is not available to functions: {error}"));
                None
            }
        }
    } else {
        None
    };
    if let Some(sdk) = &sdk {
        shown.push((PathBuf::from(SDK_INSIDE), sdk.clone()));
    }
    let inside = |script: &str| {
        let sdk = sdk.as_ref().map(|_| Path::new(SDK_INSIDE));
        program(&interpreter, &Path::new(SCRIPTS_INSIDE).join(script), sdk)
    };
    let jailed = inside("bootstrap.py");
    // gc.freeze came with 3.7.
    let zygote = (config.pool_size > 0 && interpreter.minor >= 7).then(|| inside("zygote.py"));
    let plain = program(&interpreter, &scripts.join("bootstrap.py"), sdk.as_deref());
    Ok(Runtime {
        key: format!("{runtime}:{}", interpreter.executable.display()),
        shown,
        start: Start::Ahead { jailed, plain, zygote },
        warnings,
        provisional,
        root: None,
        address_space: true,
        read_at_start: &[],
    })
}

fn program(interpreter: &Interpreter, bootstrap: &Path, sdk: Option<&Path>) -> Program {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut argv = vec![text(&interpreter.executable)];
    // No user site, no environment, no site-packages of the host: the function sees the standard library and its own.
    argv.extend(["-I", "-S", "-X", "utf8"].map(str::to_owned));
    argv.push(text(bootstrap));
    argv.extend(sdk.map(text));
    search::program(argv, &[])
}

/// The exact version, else the nearest, else words.
fn choose(wanted: u32) -> Result<Interpreter, ComputeError> {
    let mut candidates = candidates();
    // Those that carry the version in their name first: mostly one look is enough.
    candidates.sort_by_key(|path| named_minor(path) != Some(wanted));
    let mut others: Vec<Interpreter> = Vec::new();
    let mut asked = BTreeSet::new();
    for path in candidates {
        if named_minor(&path).is_some_and(|minor| others.iter().any(|other| other.minor == minor)) {
            continue;
        }
        let real = path.canonicalize().unwrap_or_else(|_| path.clone());
        if !asked.insert(real) {
            continue;
        }
        match ask(&path) {
            Some(interpreter) if interpreter.minor == wanted => return Ok(interpreter),
            Some(interpreter) => others.push(interpreter),
            None => {}
        }
    }
    others.into_iter().min_by_key(|other| (other.minor.abs_diff(wanted), other.minor < wanted)).ok_or_else(|| {
        ComputeError::Runtime(format!(
            "no Python 3 was found on this machine; install python3.{wanted}, or give the path of one in the \
             configuration: [runtimes] \"python3.{wanted}\" = \"/path/to/python3\""
        ))
    })
}

/// 12 of `…/python3.12`.
fn named_minor(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.strip_prefix("python3.")?.parse().ok()
}

/// All installed interpreters that people usually have, without asking any of them. For `cloudlet doctor`.
pub(crate) fn candidates() -> Vec<PathBuf> {
    let mut folders = search::on_path();
    folders.extend(["/usr/local/bin", "/usr/bin", "/bin"].map(PathBuf::from));
    let home = search::home();
    let pyenv = std::env::var_os("PYENV_ROOT").map(PathBuf::from).or(home.as_ref().map(|h| h.join(".pyenv")));
    let collections = [pyenv.map(|p| p.join("versions")), home.map(|h| h.join(".local/share/uv/python"))];
    for collection in collections.into_iter().flatten() {
        folders.extend(search::versions(&collection, "bin"));
    }
    let mut found = Vec::new();
    for folder in folders {
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        let mut names: Vec<PathBuf> = entries
            .map(|e| e.path())
            .filter(|p| named_minor(p).is_some() || p.file_name().is_some_and(|n| n == "python3"))
            .collect();
        names.sort();
        found.extend(names.into_iter().rev());
    }
    let mut seen = BTreeSet::new();
    found.retain(|path| seen.insert(path.clone()));
    found
}

/// Runs an interpreter to hear what it is.
pub(crate) fn ask(path: &Path) -> Option<Interpreter> {
    const QUESTION: &str = "import sys, os, json
print(json.dumps({'executable': os.path.realpath(sys.executable), 'minor': sys.version_info[1] if sys.version_info[0] == 3 else 0,
'version': '.'.join(map(str, sys.version_info[:3])), 'prefixes': sorted({os.path.realpath(sys.base_prefix), os.path.realpath(sys.base_exec_prefix)})}))";
    let output = Command::new(path)
        .args(["-I", "-S", "-c", QUESTION])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .env_remove("PYTHONHOME")
        .output()
        .ok()?;
    let interpreter: Interpreter = serde_json::from_slice(&output.stdout).ok()?;
    (output.status.success() && interpreter.minor >= 6).then_some(interpreter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_versions() {
        assert_eq!(named_minor(Path::new("/usr/bin/python3.12")), Some(12));
        assert_eq!(named_minor(Path::new("/usr/bin/python3")), None);
        assert_eq!(named_minor(Path::new("/usr/bin/python3.12-config")), None);
    }

    #[test]
    fn a_missing_version_is_answered_by_the_nearest() {
        // Whatever this machine has: 3.99 exists nowhere, so the newest of all is the nearest.
        let nearest = choose(99).unwrap();
        let newest = candidates().iter().filter_map(|p| ask(p)).map(|i| i.minor).max().unwrap();
        assert_eq!(nearest.minor, newest);
    }
}

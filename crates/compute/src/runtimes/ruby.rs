//! `ruby*`: an interpreter of the host, with our bootstrap and AWS's SDK for Ruby.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::{Runtime, Start, scripts, sdk, search};
use crate::warden::protocol::Program;
use crate::{ComputeError, Config};

const SCRIPTS: [(&str, &str); 1] = [("bootstrap.rb", include_str!("ruby/bootstrap.rb"))];
const SCRIPTS_INSIDE: &str = "/var/rapid";
/// AWS keeps its gems below /var/runtime as well.
const SDK_INSIDE: &str = "/var/runtime/gems";

/// An interpreter and where it lives.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Interpreter {
    pub(crate) executable: PathBuf,
    pub(crate) version: String,
    /// The version of its binary interface, which names folders of gems: `3.3.0`.
    pub(crate) abi: String,
    prefix: PathBuf,
}

impl Interpreter {
    /// (3, 3) of `3.3.6`.
    pub(crate) fn minor(&self) -> (u32, u32) {
        minor(&self.version).unwrap_or((0, 0))
    }
}

fn minor(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}

/// Finds the interpreter for a runtime such as `ruby3.3` and makes everything around it ready.
pub(crate) fn find(runtime: &str, config: &Config) -> Result<Runtime, ComputeError> {
    let wanted = runtime.strip_prefix("ruby").and_then(minor).ok_or_else(|| {
        ComputeError::Runtime(format!("{runtime:?} is not a Ruby runtime; use such as ruby3.4"))
    })?;
    let mut warnings = Vec::new();
    let interpreter = match search::configured(runtime, config, ask)? {
        Some(found) => found,
        None => choose(wanted)?,
    };
    if interpreter.minor() != wanted {
        warnings.push(format!(
            "WARNING: {runtime} is not installed here; running on Ruby {} ({}) instead. Install Ruby {}.{} or set its path \
             in the configuration.",
            interpreter.version,
            interpreter.executable.display(),
            wanted.0,
            wanted.1
        ));
    }
    let folder = scripts::write(&config.state_dir, "ruby", &SCRIPTS)?;
    let mut shown = vec![(PathBuf::from(SCRIPTS_INSIDE), folder.clone())];
    if !super::is_shown(&interpreter.prefix) && interpreter.prefix != Path::new("/") {
        shown.push((interpreter.prefix.clone(), interpreter.prefix.clone()));
    }
    // Debian's own gems.
    let vendor = PathBuf::from("/var/lib/gems");
    if interpreter.prefix == Path::new("/usr") && vendor.is_dir() {
        shown.push((vendor.clone(), vendor));
    }
    let mut provisional = false;
    let mut gems = None;
    if config.sdk {
        match sdk::ruby(&interpreter, &config.sdk_dir, &*config.progress) {
            Ok(sdk) => {
                shown.push((PathBuf::from(SDK_INSIDE), sdk.clone()));
                gems = Some(sdk);
            }
            Err(error) => {
                provisional = true;
                warnings.push(format!("WARNING: the AWS SDK is not available to functions: {error}"));
            }
        }
    }
    let inside = gems.as_ref().map(|_| Path::new(SDK_INSIDE));
    Ok(Runtime {
        key: format!("{runtime}:{}", interpreter.executable.display()),
        shown,
        start: Start::Ahead {
            jailed: program(&interpreter, &Path::new(SCRIPTS_INSIDE).join("bootstrap.rb"), inside),
            plain: program(&interpreter, &folder.join("bootstrap.rb"), gems.as_deref()),
            zygote: None,
        },
        warnings,
        provisional,
        root: None,
        address_space: true,
        read_at_start: &["RUBYOPT"],
    })
}

fn program(interpreter: &Interpreter, bootstrap: &Path, gems: Option<&Path>) -> Program {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut argv = vec![text(&interpreter.executable), text(bootstrap)];
    argv.extend(gems.map(text));
    search::program(argv, &[("RUBYOPT", "-Eutf-8"), ("TZ", ":UTC")])
}

/// The exact version, else the nearest, newer ones first, else words.
fn choose(wanted: (u32, u32)) -> Result<Interpreter, ComputeError> {
    let number = |(major, minor): (u32, u32)| major * 100 + minor;
    let nearest = search::nearest(
        installed(),
        |found| found.minor() == wanted,
        |other| (number(other.minor()).abs_diff(number(wanted)), other.minor() < wanted),
    );
    nearest.ok_or_else(|| {
        let (major, minor) = wanted;
        ComputeError::Runtime(format!(
            "no Ruby was found on this machine; install Ruby {major}.{minor}, or give the path of one in the \
                 configuration: [runtimes] \"ruby{major}.{minor}\" = \"/path/to/ruby\""
        ))
    })
}

/// All interpreters that people usually have, one by one as they are asked for.
pub(crate) fn installed() -> impl Iterator<Item = Interpreter> {
    search::asked(candidates(), ask)
}

fn candidates() -> Vec<PathBuf> {
    let mut folders = search::on_path();
    folders.extend(["/usr/local/bin", "/usr/bin"].map(PathBuf::from));
    let home = search::home();
    let below = |rest: &str| home.as_ref().map(|home| home.join(rest));
    // rbenv, rvm, chruby, asdf, mise.
    let collections = [
        below(".rbenv/versions"),
        below(".rvm/rubies"),
        below(".rubies"),
        Some(PathBuf::from("/opt/rubies")),
        below(".asdf/installs/ruby"),
        below(".local/share/mise/installs/ruby"),
    ];
    for collection in collections.into_iter().flatten() {
        folders.extend(search::versions(&collection, "bin"));
    }
    let mut found = Vec::new();
    for folder in folders {
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        // ruby, ruby3.2
        let named =
            |name: &str| name == "ruby" || name.strip_prefix("ruby").is_some_and(|v| minor(v).is_some());
        let mut names: Vec<PathBuf> =
            entries.filter(|e| e.file_name().to_str().is_some_and(named)).map(|e| e.path()).collect();
        names.sort();
        found.extend(names);
    }
    found
}

/// Runs an interpreter to hear what it is.
fn ask(path: &Path) -> Option<Interpreter> {
    const QUESTION: &str = "require 'json'; require 'rbconfig'; puts JSON.generate(executable: File.realpath(RbConfig.ruby), \
                            version: RUBY_VERSION, abi: RbConfig::CONFIG['ruby_version'], prefix: RbConfig::CONFIG['prefix'])";
    let output = Command::new(path)
        .args(["-e", QUESTION])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .env_remove("RUBYOPT")
        .output()
        .ok()?;
    let interpreter: Interpreter = serde_json::from_slice(&output.stdout).ok()?;
    (output.status.success() && interpreter.minor() >= (2, 7)).then_some(interpreter)
}

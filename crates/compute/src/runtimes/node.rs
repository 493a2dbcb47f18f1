//! `nodejs*`: an interpreter of the host, with our bootstrap and AWS's SDK for JavaScript.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::{Runtime, Start, scripts, sdk, search};
use crate::warden::protocol::Program;
use crate::{ComputeError, Config};

const SCRIPTS: [(&str, &str); 1] = [("bootstrap.cjs", include_str!("node/bootstrap.cjs"))];
/// Where the sandbox sees the bootstrap and the SDK. AWS keeps it in /var/runtime/node_modules. `import` does not look
/// at NODE_PATH, but at every node_modules on the way from /var/task to the root.
const SCRIPTS_INSIDE: &str = "/var/rapid";
const SDK_INSIDE: [&str; 2] = ["/var/runtime/node_modules", "/node_modules"];

/// An interpreter and where it lives.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Interpreter {
    pub(crate) executable: PathBuf,
    pub(crate) version: String,
}

impl Interpreter {
    /// 20 of `20.11.1`.
    pub(crate) fn major(&self) -> u32 {
        self.version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0)
    }
}

/// Finds the interpreter for a runtime such as `nodejs20.x` and makes everything around it ready.
pub(crate) fn find(runtime: &str, config: &Config) -> Result<Runtime, ComputeError> {
    let wanted: u32 = runtime
        .strip_prefix("nodejs")
        .and_then(|version| version.trim_end_matches(".x").parse().ok())
        .ok_or_else(|| {
            ComputeError::Runtime(format!("{runtime:?} is not a Node.js runtime; use such as nodejs22.x"))
        })?;
    let mut warnings = Vec::new();
    let interpreter = match search::configured(runtime, config, ask)? {
        Some(found) => found,
        None => choose(wanted)?,
    };
    if interpreter.major() != wanted {
        warnings.push(format!(
            "WARNING: {runtime} is not installed here; running on Node.js {} ({}) instead. Install Node.js {wanted} or set \
             its path in the configuration.",
            interpreter.version,
            interpreter.executable.display()
        ));
    }
    let folder = scripts::write(&config.state_dir, "node", &SCRIPTS)?;
    let mut shown = vec![(PathBuf::from(SCRIPTS_INSIDE), folder.clone())];
    // bin/node and whatever lies beside bin.
    let prefix = interpreter.executable.parent().and_then(Path::parent);
    if let Some(prefix) = prefix.filter(|prefix| !super::is_shown(prefix) && *prefix != Path::new("/")) {
        shown.push((prefix.to_owned(), prefix.to_owned()));
    }
    let mut provisional = false;
    if config.sdk {
        match sdk::node(&interpreter, wanted, &config.sdk_dir, &*config.progress) {
            Ok(sdk) => shown.extend(SDK_INSIDE.map(|inside| (PathBuf::from(inside), sdk.clone()))),
            Err(error) => {
                provisional = true;
                warnings.push(format!("WARNING: the AWS SDK is not available to functions: {error}"));
            }
        }
    }
    Ok(Runtime {
        key: format!("{runtime}:{}", interpreter.executable.display()),
        shown,
        start: Start::Ahead {
            jailed: program(&interpreter, &Path::new(SCRIPTS_INSIDE).join("bootstrap.cjs")),
            plain: program(&interpreter, &folder.join("bootstrap.cjs")),
            zygote: None,
        },
        warnings,
        provisional,
        root: None,
        // V8 reserves far more address space than it uses.
        address_space: false,
        read_at_start: &["NODE_OPTIONS", "NODE_EXTRA_CA_CERTS", "NODE_ICU_DATA", "NODE_V8_COVERAGE"],
    })
}

fn program(interpreter: &Interpreter, bootstrap: &Path) -> Program {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let argv = vec![text(&interpreter.executable), text(bootstrap)];
    search::program(argv, &[("TZ", ":UTC")])
}

/// The exact version, else the nearest, newer ones first, else words.
fn choose(wanted: u32) -> Result<Interpreter, ComputeError> {
    let nearest = search::nearest(
        installed(),
        |found| found.major() == wanted,
        |other| (other.major().abs_diff(wanted), other.major() < wanted),
    );
    nearest.ok_or_else(|| {
        ComputeError::Runtime(format!(
            "no Node.js was found on this machine; install Node.js {wanted}, or give the path of one in the \
                 configuration: [runtimes] \"nodejs{wanted}.x\" = \"/path/to/node\""
        ))
    })
}

/// All interpreters that people usually have, one by one as they are asked for.
pub(crate) fn installed() -> impl Iterator<Item = Interpreter> {
    search::asked(candidates(), ask)
}

fn candidates() -> Vec<PathBuf> {
    let mut folders = search::on_path();
    folders.extend(["/usr/local/bin", "/usr/bin", "/opt/homebrew/bin"].map(PathBuf::from));
    let home = search::home();
    let below = |variable: &str, usual: &str, rest: &str| {
        let root =
            std::env::var_os(variable).map(PathBuf::from).or_else(|| home.as_ref().map(|h| h.join(usual)));
        root.map(|root| root.join(rest))
    };
    // Version managers: nvm, fnm, volta, asdf, mise, n.
    let collections = [
        (below("NVM_DIR", ".nvm", "versions/node"), "bin"),
        (below("FNM_DIR", ".local/share/fnm", "node-versions"), "installation/bin"),
        (below("VOLTA_HOME", ".volta", "tools/image/node"), "bin"),
        (below("ASDF_DATA_DIR", ".asdf", "installs/nodejs"), "bin"),
        (below("MISE_DATA_DIR", ".local/share/mise", "installs/node"), "bin"),
        (below("N_PREFIX", "n", "n/versions/node"), "bin"),
        (Some(PathBuf::from("/usr/local/n/versions/node")), "bin"),
    ];
    for (collection, bin) in collections {
        let Some(collection) = collection else { continue };
        folders.extend(search::versions(&collection, bin));
    }
    let mut found: Vec<PathBuf> = Vec::new();
    for folder in folders {
        for name in ["node", "nodejs"] {
            let path = folder.join(name);
            if path.is_file() && !found.contains(&path) {
                found.push(path);
            }
        }
    }
    found
}

/// Runs an interpreter to hear what it is.
pub(crate) fn ask(path: &Path) -> Option<Interpreter> {
    const QUESTION: &str = "JSON.stringify({executable: require('fs').realpathSync(process.execPath), version: process.versions.node})";
    let output = Command::new(path)
        .args(["-p", QUESTION])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .env_remove("NODE_OPTIONS")
        .output()
        .ok()?;
    let interpreter: Interpreter = serde_json::from_slice(&output.stdout).ok()?;
    (output.status.success() && interpreter.major() >= 16).then_some(interpreter)
}

//! What each Lambda runtime needs on this machine. One file per family.

mod dotnet;
pub(crate) mod environment;
pub(crate) mod image;
pub(crate) mod java;
pub(crate) mod node;
pub(crate) mod provided;
pub(crate) mod python;
pub(crate) mod ruby;
mod scripts;
pub(crate) mod sdk;
mod search;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::image::RunConfig;
use crate::warden::protocol::Program;
use crate::{ComputeError, Config};

/// A runtime, found and ready to start sandboxes.
#[derive(Debug)]
pub(crate) struct Runtime {
    /// Sandboxes of equal keys are alike until they get their code.
    pub(crate) key: String,
    /// Folders of the host to show: (inside, outside).
    pub(crate) shown: Vec<(PathBuf, PathBuf)>,
    pub(crate) start: Start,
    /// For the log of every new sandbox: a near match instead of an exact one, a missing SDK.
    pub(crate) warnings: Vec<String>,
    /// Worth looking at again: something was missing that may come (no network for the SDK).
    pub(crate) provisional: bool,
    /// A container image's root, instead of the host's programs.
    pub(crate) root: Option<PathBuf>,
    /// Its programs live within an address space of about the function's memory, so that a limit on it is a backstop.
    pub(crate) address_space: bool,
    /// Environment variables that its interpreter reads when it starts: a function that sets one cannot have an
    /// interpreter that was started ahead.
    pub(crate) read_at_start: &'static [&'static str],
}

/// Runs the interpreter with a script of the user's in front, for every managed runtime. Source: Developer Guide, "Modifying
/// the runtime environment", wrapper scripts.
pub(crate) const WRAPPER: &str = "AWS_LAMBDA_EXEC_WRAPPER";

impl Runtime {
    /// Whether a function with these variables needs an interpreter that starts with them.
    pub(crate) fn starts_late(&self, env: &BTreeMap<String, String>) -> bool {
        env.contains_key(WRAPPER) || self.read_at_start.iter().any(|name| env.contains_key(*name))
    }
}

/// Whether every sandbox sees this folder of the host anyway.
fn is_shown(folder: &Path) -> bool {
    ["/usr", "/lib", "/lib64", "/bin"].iter().any(|shown| folder.starts_with(shown))
}

/// How a runtime comes to life.
#[derive(Debug)]
pub(crate) enum Start {
    /// An interpreter with our bootstrap, which can wait for code. The programs inside of namespaces and without.
    Ahead {
        jailed: Program,
        plain: Program,
        /// Imports everything once and forks into sandboxes, where that is possible.
        zygote: Option<Program>,
    },
    /// A Java with AWS's own client of the public Runtime API.
    Java(java::Launch),
    /// The function's own `bootstrap`, over the public Runtime API.
    Bootstrap,
    /// A container image's own program, over the same.
    Image(RunConfig),
}

/// Finds runtimes once and remembers them. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Runtimes(Arc<Known>);

#[derive(Default)]
struct Known {
    found: Mutex<HashMap<String, Found>>,
    turn: tokio::sync::Mutex<()>,
}

struct Found {
    runtime: Arc<Runtime>,
    since: Instant,
    /// Somebody looks for what was missing.
    looking: bool,
}

/// How often something that was missing is looked for again.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

impl Runtimes {
    /// The runtime of this name, or an error that says what to install or configure.
    pub(crate) async fn get(&self, name: &str, config: &Config) -> Result<Arc<Runtime>, ComputeError> {
        if let Some(runtime) = self.remembered(name, config) {
            return Ok(runtime);
        }
        let _turn = self.0.turn.lock().await;
        if let Some(runtime) = self.remembered(name, config) {
            return Ok(runtime);
        }
        self.find(name, config).await
    }

    async fn find(&self, name: &str, config: &Config) -> Result<Arc<Runtime>, ComputeError> {
        let find = match name {
            _ if name.starts_with("python3.") => python::find,
            _ if name.starts_with("nodejs") => node::find,
            _ if name.starts_with("java") => java::find,
            _ if name.starts_with("ruby") => ruby::find,
            _ if name.starts_with("dotnet") => dotnet::find,
            _ if name.starts_with("provided") => |name: &str, _: &Config| Ok(provided::runtime(name)),
            _ => {
                return Err(ComputeError::Runtime(format!(
                    "the runtime {name:?} is not served; use python3.9 to python3.14, nodejs16.x to nodejs24.x, \
                     ruby3.2 to ruby3.4, java8.al2 to java25, or provided.al2023 with an executable named bootstrap"
                )));
            }
        };
        let (wanted, config) = (name.to_owned(), config.clone());
        let runtime =
            tokio::task::spawn_blocking(move || find(&wanted, &config)).await.map_err(|error| {
                ComputeError::Runtime(format!("the search for an interpreter stopped: {error}"))
            })??;
        let runtime = Arc::new(runtime);
        let found = Found { runtime: runtime.clone(), since: Instant::now(), looking: false };
        self.0.found.lock().insert(name.to_owned(), found);
        Ok(runtime)
    }

    /// What is known. Where something was missing it is looked for again meanwhile: nobody waits for that.
    fn remembered(&self, name: &str, config: &Config) -> Option<Arc<Runtime>> {
        let mut found = self.0.found.lock();
        let known = found.get_mut(name)?;
        if known.runtime.provisional && known.since.elapsed() > LOOK_AGAIN && !known.looking {
            known.looking = true;
            let (this, name, config) = (self.clone(), name.to_owned(), config.clone());
            tokio::spawn(async move { this.find(&name, &config).await.map(drop) });
        }
        Some(known.runtime.clone())
    }
}

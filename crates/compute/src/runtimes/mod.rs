//! What each Lambda runtime needs on this machine. One file per family.

pub(crate) mod environment;
pub(crate) mod provided;
pub(crate) mod python;
pub(crate) mod sdk;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

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
    /// The function's own `bootstrap`, over the public Runtime API.
    Bootstrap,
}

/// Finds runtimes once and remembers them.
#[derive(Default)]
pub(crate) struct Runtimes {
    found: Mutex<HashMap<String, (Arc<Runtime>, Instant)>>,
    turn: tokio::sync::Mutex<()>,
}

impl Runtimes {
    /// The runtime of this name, or an error that says what to install or configure.
    pub(crate) async fn get(&self, name: &str, config: &Config) -> Result<Arc<Runtime>, ComputeError> {
        if let Some(runtime) = self.remembered(name) {
            return Ok(runtime);
        }
        let _turn = self.turn.lock().await;
        if let Some(runtime) = self.remembered(name) {
            return Ok(runtime);
        }
        let runtime = if name.starts_with("python3.") {
            let (name, config) = (name.to_owned(), config.clone());
            tokio::task::spawn_blocking(move || python::find(&name, &config)).await.map_err(|error| {
                ComputeError::Runtime(format!("the search for an interpreter stopped: {error}"))
            })??
        } else if name.starts_with("provided") {
            provided::runtime(name)
        } else {
            return Err(ComputeError::Runtime(format!(
                "the runtime {name:?} is not served; use python3.9 to python3.14, or provided.al2023 with an \
                 executable named bootstrap"
            )));
        };
        let runtime = Arc::new(runtime);
        self.found.lock().insert(name.to_owned(), (runtime.clone(), Instant::now()));
        Ok(runtime)
    }

    fn remembered(&self, name: &str) -> Option<Arc<Runtime>> {
        let found = self.found.lock();
        let (runtime, since) = found.get(name)?;
        (!runtime.provisional || since.elapsed() < Duration::from_secs(60)).then(|| runtime.clone())
    }
}

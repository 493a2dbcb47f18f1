//! `provided.al2`, `provided.al2023`: the package brings its own program.

use std::path::{Path, PathBuf};

use super::{Runtime, Start};

pub(crate) fn runtime(name: &str) -> Runtime {
    Runtime {
        key: name.to_owned(),
        shown: vec![],
        start: Start::Bootstrap,
        warnings: vec![],
        provisional: false,
        root: None,
        // Go and others reserve far more address space than they use.
        address_space: false,
        read_at_start: &[],
    }
}

/// Where Lambda looks for the program: in the package, then in the layers.
pub(crate) fn bootstrap(task: &Path, opt: Option<&Path>) -> Option<Place> {
    let found = |folder: &Path| std::fs::metadata(folder.join("bootstrap")).is_ok_and(|meta| meta.is_file());
    if found(task) {
        return Some(Place { outside: task.join("bootstrap"), inside: "/var/task/bootstrap" });
    }
    let opt = opt.filter(|opt| found(opt))?;
    Some(Place { outside: opt.join("bootstrap"), inside: "/opt/bootstrap" })
}

/// One file, on the host and in the sandbox.
pub(crate) struct Place {
    pub(crate) outside: PathBuf,
    pub(crate) inside: &'static str,
}

//! The walls of a sandbox, each in a short file of its own.

pub(crate) mod cgroup;
pub(crate) mod init;
pub(crate) mod privileges;
pub(crate) mod processes;
pub(crate) mod root;
pub(crate) mod seccomp;
pub(crate) mod sys;

use nix::libc;
use serde::{Deserialize, Serialize};

/// How sandboxes are built on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Level {
    /// Own namespaces, made by the real root: each sandbox is an unprivileged user of its own.
    Root,
    /// Own namespaces below a user namespace of ours.
    User,
    /// Plain child processes.
    Plain,
}

/// The namespaces of a sandbox.
pub(crate) fn namespaces(level: Level, host_network: bool) -> libc::c_int {
    let base = libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
    let network = if host_network { 0 } else { libc::CLONE_NEWNET };
    match level {
        Level::Root => base | network,
        Level::User => base | network | libc::CLONE_NEWUSER,
        Level::Plain => 0,
    }
}

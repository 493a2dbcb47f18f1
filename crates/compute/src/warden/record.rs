//! What the warden keeps about each sandbox.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::protocol::{ForkInto, Status};
use crate::jail::cgroup::Group;

/// A sandbox, as the warden knows it.
pub(super) struct Sandbox {
    pub(super) pid: i32,
    pub(super) control: OwnedFd,
    pub(super) group: Group,
    pub(super) memory_mb: u32,
    pub(super) watched: bool,
    pub(super) status: Option<Status>,
    /// What a zygote needs to fork into it, until it is asked to.
    pub(super) pending: Option<Pending>,
    /// Its main process, if a zygote forked it.
    pub(super) main: Option<i32>,
    pub(super) failed: Option<String>,
    pub(super) oom: bool,
    pub(super) peak: u64,
    pub(super) ending: Option<Instant>,
    /// Removed at the end.
    pub(super) scratch: PathBuf,
}

/// What is kept until a zygote has forked into a sandbox.
pub(super) struct Pending {
    pub(super) zygote: String,
    pub(super) order: ForkInto,
    pub(super) output: OwnedFd,
    pub(super) channel: OwnedFd,
    /// Listeners of the sandbox, to go to the cloud when all is done.
    pub(super) listeners: Vec<OwnedFd>,
}

/// Whether its init has said something that was not read yet.
pub(super) fn has_more(sandbox: &Sandbox) -> bool {
    let mut fds = [PollFd::new(sandbox.control.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).is_ok_and(|n| n > 0)
}

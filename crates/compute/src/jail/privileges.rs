//! Giving up every right that a function does not need.

use std::io;

use nix::libc;
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use seccompiler::BpfProgram;

use super::sys;

/// The user that a function sees itself as, as on AWS (`sbx_user1051`).
pub(crate) const SANDBOX_ID: u32 = 993;

/// Who the function's processes are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Identity {
    /// Take this unprivileged id of the host (we are root). Then, where possible, a user namespace in which it is 993.
    Become(u32),
    /// Already the sandbox's own user: inside of a user namespace, or a plain child of an unprivileged program.
    Stay,
}

/// The steps in the only order in which each is still allowed. `own_namespace` adds a user namespace after
/// [`Identity::Become`], which everything that runs a user's code gets.
pub(crate) fn drop_all(identity: Identity, own_namespace: bool, filters: &[BpfProgram]) -> io::Result<()> {
    drop_bounding_set();
    if let Identity::Become(id) = identity {
        setgroups(&[])?;
        setresgid(Gid::from_raw(id), Gid::from_raw(id), Gid::from_raw(id))?;
        setresuid(Uid::from_raw(id), Uid::from_raw(id), Uid::from_raw(id))?;
        if own_namespace {
            own_user_namespace(id);
            // The new namespace came with all of them.
            drop_bounding_set();
        }
    }
    sys::clear_capabilities()?;
    sys::prctl(libc::PR_SET_NO_NEW_PRIVS, 1)?;
    for filter in filters {
        seccompiler::apply_filter(filter).map_err(io::Error::other)?;
    }
    Ok(())
}

fn drop_bounding_set() {
    // Ends at the first number that this kernel does not know, and where we never had CAP_SETPCAP.
    for capability in 0..64 {
        if sys::prctl(libc::PR_CAPBSET_DROP, capability).is_err() {
            return;
        }
    }
}

/// A further wall where the kernel allows it: in here no other id of the host even has a name.
fn own_user_namespace(id: u32) {
    // Changing ids made us undumpable, and /proc/self belongs to root then.
    let _ = sys::prctl(libc::PR_SET_DUMPABLE, 1);
    if nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUSER).is_ok() {
        let _ = map_self(id, id);
    }
}

/// Writes the maps of a user namespace that this process has just entered: 993 inside is `uid` and `gid` outside.
pub(crate) fn map_self(uid: u32, gid: u32) -> io::Result<()> {
    std::fs::write("/proc/self/uid_map", format!("{SANDBOX_ID} {uid} 1"))?;
    // Kernels since 3.19 want this before an unprivileged gid_map.
    let _ = std::fs::write("/proc/self/setgroups", "deny");
    std::fs::write("/proc/self/gid_map", format!("{SANDBOX_ID} {gid} 1"))
}

/// Limits per process that need no cgroup. AWS: 1,024 file descriptors, 1,024 processes and threads.
pub(crate) fn limit_self(count_processes: bool) -> io::Result<()> {
    let set = |resource: libc::__rlimit_resource_t, value| sys::set_limit(0, resource, value);
    set(libc::RLIMIT_CORE, 0)?;
    set(libc::RLIMIT_NOFILE, 1024)?;
    set(libc::RLIMIT_MEMLOCK, 64 << 10)?;
    set(libc::RLIMIT_MSGQUEUE, 0)?;
    if count_processes {
        set(libc::RLIMIT_NPROC, 1024)?;
    }
    Ok(())
}

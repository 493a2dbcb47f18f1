//! What the warden finds out about this machine before it does anything.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::jail::privileges::Identity;
use crate::jail::sys::{self, Forked};
use crate::jail::{Level, namespaces};

/// The strongest walls that this machine lets us build. Enters the warden's own namespaces on the way.
pub(crate) fn choose_level(outer: (u32, u32), missing: &mut Vec<String>) -> Level {
    use nix::mount::{MsFlags, mount};
    use nix::sched::{CloneFlags, unshare};
    let private =
        || mount(None::<&str>, "/", None::<&str>, MsFlags::MS_PRIVATE | MsFlags::MS_REC, None::<&str>);
    if outer.0 == 0
        && unshare(CloneFlags::CLONE_NEWNS).is_ok()
        && private().is_ok()
        && try_sandbox(Level::Root)
    {
        return Level::Root;
    }
    let made = unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS);
    if made.is_ok() {
        let maps = std::fs::write("/proc/self/uid_map", format!("0 {} 1", outer.0))
            .and_then(|()| std::fs::write("/proc/self/setgroups", "deny"))
            .and_then(|()| std::fs::write("/proc/self/gid_map", format!("0 {} 1", outer.1)));
        if maps.is_ok() && private().is_ok() && try_sandbox(Level::User) {
            return Level::User;
        }
    }
    missing.push(
        "namespaces: functions run as plain processes and can see the host's files and processes; allow \
         unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1, \
         kernel.apparmor_restrict_unprivileged_userns=0), or give the container CAP_SYS_ADMIN"
            .to_owned(),
    );
    Level::Plain
}

/// The only test that tells the truth: make one.
fn try_sandbox(level: Level) -> bool {
    match sys::fork_into(namespaces(level, false)) {
        Ok(Forked::Child) => {
            let proc = nix::mount::mount(
                Some("none"),
                "/proc",
                Some("tmpfs"),
                nix::mount::MsFlags::empty(),
                None::<&str>,
            );
            sys::exit(i32::from(proc.is_err()))
        }
        Ok(Forked::Parent(pid)) => {
            matches!(waitpid(Pid::from_raw(pid), None), Ok(WaitStatus::Exited(_, 0)))
        }
        Err(_) => false,
    }
}

/// Whether detached mount trees are to be had.
pub(crate) fn can_attach(state: &Path) -> bool {
    sys::open_tree(state).and_then(|tree| sys::make_read_only(tree.as_fd())).is_ok()
}

/// The private folder of a plain sandbox.
pub(super) fn make_scratch(scratch: &Path, identity: Identity) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let tmp = scratch.join("tmp");
    std::fs::create_dir_all(&tmp)?;
    std::fs::set_permissions(&tmp, std::fs::Permissions::from_mode(0o700))?;
    if let Identity::Become(id) = identity {
        std::os::unix::fs::chown(&tmp, Some(id), Some(id))?;
    }
    Ok(())
}

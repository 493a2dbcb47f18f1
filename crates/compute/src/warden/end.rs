//! How sandboxes end: killed, watched over their memory, buried.

use std::io;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::protocol::{Exit, FromWarden, SandboxId, Status};
use super::record::has_more;
use super::server::{WATCH_EVERY, Warden};
use super::socket;
use crate::jail::Level;
use crate::jail::processes::{self, Table};

/// A zygote that nobody has needed for so long goes, and gives its memory back.
const ZYGOTE_REST: Duration = Duration::from_secs(600);

impl Warden {
    /// Begins to end a sandbox. Its burial comes with SIGCHLD.
    pub(super) fn end(&mut self, id: SandboxId) {
        let level = self.level;
        let Some(sandbox) = self.sandboxes.get_mut(&id) else { return };
        if sandbox.ending.is_some() {
            return;
        }
        sandbox.ending = Some(Instant::now());
        if level == Level::Plain {
            // Its init ends what is below it when the socket closes.
            let _ = nix::sys::socket::shutdown(sandbox.control.as_raw_fd(), nix::sys::socket::Shutdown::Both);
        } else {
            let _ = kill(Pid::from_raw(sandbox.pid), Signal::SIGKILL);
        }
    }

    /// Ends by force what did not end by itself.
    pub(super) fn hurry(&mut self) {
        for sandbox in self.sandboxes.values() {
            if sandbox.ending.is_some_and(|since| since.elapsed() > Duration::from_secs(25)) {
                sandbox.group.kill();
                let _ = kill(Pid::from_raw(sandbox.pid), Signal::SIGKILL);
            }
        }
        self.leftovers.retain(|group| !group.remove());
        if self.sandboxes.is_empty() {
            self.zygotes.retain(|_, z| z.as_ref().is_none_or(|z| z.last_use.elapsed() < ZYGOTE_REST));
        }
    }

    pub(super) fn bury(&mut self) -> io::Result<()> {
        loop {
            let (pid, status) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid.as_raw(), Status::Code(code)),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid.as_raw(), Status::Signal(signal as i32)),
                Ok(WaitStatus::StillAlive) | Err(nix::Error::ECHILD) => return Ok(()),
                Ok(_) | Err(nix::Error::EINTR) => continue,
                Err(error) => return Err(error.into()),
            };
            // Its zygote would have told us, had it not ended first.
            self.main_ended(pid, status);
            // Others are zygotes, and orphans of plain sandboxes.
            let Some(id) = self.by_pid.remove(&pid) else { continue };
            let mut buffer = vec![0; socket::MAX_MESSAGE];
            while self
                .sandboxes
                .get(&id)
                .is_some_and(|s| s.status.is_none() && s.failed.is_none() && has_more(s))
            {
                self.hear_init(id, &mut buffer);
                if self.sandboxes.get(&id).is_some_and(|s| s.ending.is_some()) {
                    break;
                }
            }
            let Some(sandbox) = self.sandboxes.remove(&id) else { continue };
            if let Some(main) = sandbox.main {
                self.by_main.remove(&main);
            }
            let oom = sandbox.oom || sandbox.group.memory().is_some_and(|m| m.oom);
            let exit = Exit { status: sandbox.status, oom, peak_kb: sandbox.peak / 1024 };
            let message = match sandbox.failed {
                Some(error) => FromWarden::Failed { id, error },
                None => FromWarden::Exited { id, exit },
            };
            if self.level == Level::Plain {
                let _ = std::fs::remove_dir_all(&sandbox.scratch);
            }
            if !sandbox.group.remove() {
                self.leftovers.push(sandbox.group);
            }
            // If the cloud is gone, the loop learns it from its socket.
            let _ = self.tell(&message, &[]);
        }
    }

    /// Holds every busy sandbox to its `MemorySize`.
    pub(super) fn watch(&mut self) {
        if self.last_watch.elapsed() < WATCH_EVERY {
            return;
        }
        self.last_watch = Instant::now();
        let mut table = None;
        let mut over = Vec::new();
        for (&id, sandbox) in self.sandboxes.iter_mut().filter(|(_, s)| s.watched) {
            let anonymous = match sandbox.group.memory() {
                Some(memory) => {
                    sandbox.oom |= memory.oom;
                    memory.anonymous
                }
                None => {
                    // What a zygote forked is not below the sandbox's init; its orphans are.
                    let table = table.get_or_insert_with(Table::read);
                    let main = sandbox.main.map_or(0, |main| table.memory_from(main));
                    main + table.memory_from(sandbox.pid)
                }
            };
            sandbox.peak = sandbox.peak.max(anonymous);
            if anonymous > u64::from(sandbox.memory_mb) << 20 || sandbox.oom {
                sandbox.oom = true;
                over.push(id);
            }
        }
        for id in over {
            self.end(id);
        }
    }

    pub(super) fn end_everything(&mut self) {
        let ids: Vec<_> = self.sandboxes.keys().copied().collect();
        for id in ids {
            self.end(id);
        }
        let deadline = Instant::now() + Duration::from_secs(30);
        while !self.sandboxes.is_empty() && Instant::now() < deadline {
            // Nobody listens any more; burying goes on regardless.
            let _ = self.bury();
            self.hurry();
            std::thread::sleep(Duration::from_millis(2));
        }
        // Orphans of plain sandboxes whose init could not finish.
        processes::end_all_below_self();
        self.leftovers.retain(|group| !group.remove());
        self.cgroups.remove();
    }
}

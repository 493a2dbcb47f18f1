//! The warden's own loop.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use seccompiler::BpfProgram;

use super::protocol::{FromInit, FromWarden, FromZygote, SandboxId, Status, ToInit, ToWarden};
use super::record::Sandbox;
use super::setup::{can_attach, choose_level};
use super::socket;
use super::zygote::Zygote;
use crate::jail::cgroup::{Cgroups, Group};
use crate::jail::sys;
use crate::jail::{Level, seccomp};

/// How often memory of busy sandboxes is looked at.
pub(super) const WATCH_EVERY: Duration = Duration::from_millis(50);
/// What the warden found on this machine, told to the cloud in its first message.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Hello {
    pub(crate) level: Level,
    /// A running interpreter can be given its code later.
    pub(crate) attach: bool,
    /// What is missing, in words.
    pub(crate) missing: Vec<String>,
}

pub(super) struct Warden {
    pub(super) cloud: OwnedFd,
    pub(super) level: Level,
    pub(super) attach: bool,
    pub(super) state: PathBuf,
    pub(super) cgroups: Cgroups,
    pub(super) filters: Vec<BpfProgram>,
    /// Ids outside of our own user namespace are not known inside; these are ours as seen from in here.
    pub(super) own_ids: (u32, u32),
    pub(super) templates: BTreeMap<String, PathBuf>,
    pub(super) sandboxes: BTreeMap<SandboxId, Sandbox>,
    pub(super) by_pid: BTreeMap<i32, SandboxId>,
    /// Main processes that a zygote forked.
    pub(super) by_main: BTreeMap<i32, SandboxId>,
    /// By template and program; `None` for those that do not work here.
    pub(super) zygotes: BTreeMap<String, Option<Zygote>>,
    /// Groups whose processes were still dying.
    pub(super) leftovers: Vec<Group>,
    pub(super) last_watch: Instant,
}

enum Ready {
    Cloud,
    Child,
    Init(SandboxId),
    Zygote(String),
}

/// `__compute warden STATE auto|plain`, with the socket to the cloud as standard input.
pub(crate) fn main(state: PathBuf, plain: bool) -> ! {
    let code = match Warden::start(state, plain).and_then(|mut warden| {
        let result = warden.serve();
        warden.end_everything();
        result
    }) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("cloudlet: the warden of the sandboxes stops: {error}");
            1
        }
    };
    sys::exit(code)
}

impl Warden {
    fn start(state: PathBuf, plain: bool) -> io::Result<Self> {
        // The terminal's Ctrl-C is for the cloud, which ends us when it is ready to.
        let _ = nix::unistd::setsid();
        let cloud = sys::dup_above(sys::inherited(0).as_fd(), 10)?;
        // The line came as standard input, whose number must not fall to something else now.
        let nothing = std::fs::File::open("/dev/null")?;
        if nothing.as_raw_fd() == 0 {
            std::mem::forget(nothing);
        } else {
            sys::dup_to(nothing.as_raw_fd(), 0)?;
        }
        let mask = SigSet::from_iter([Signal::SIGCHLD, Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]);
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&mask), None)?;
        sys::prctl(nix::libc::PR_SET_CHILD_SUBREAPER, 1)?;

        let mut missing = Vec::new();
        let outer = (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw());
        let cgroups = Cgroups::find(&format!("cloudlet-{}", std::process::id()));
        let level = if plain { Level::Plain } else { choose_level(outer, &mut missing) };
        let attach = level == Level::Plain || can_attach(&state);
        if !attach {
            missing.push(
                "mount_setattr (Linux 5.12): interpreters cannot be started ahead of their code".into(),
            );
        }
        missing.extend(cgroups.complaint.clone());
        let protected: Vec<i32> = match level {
            Level::Plain => vec![std::process::id() as i32, nix::unistd::getppid().as_raw()],
            _ => vec![],
        };
        let filters = seccomp::compile(&protected).unwrap_or_else(|error| {
            missing.push(format!("seccomp: {error}"));
            vec![]
        });
        let own_ids = match level {
            Level::User => (0, 0),
            _ => outer,
        };
        let warden = Self {
            cloud,
            level,
            attach,
            state,
            cgroups,
            filters,
            own_ids,
            templates: BTreeMap::new(),
            sandboxes: BTreeMap::new(),
            by_pid: BTreeMap::new(),
            by_main: BTreeMap::new(),
            zygotes: BTreeMap::new(),
            leftovers: Vec::new(),
            last_watch: Instant::now(),
        };
        socket::send(warden.cloud.as_fd(), &Hello { level, attach, missing }, &[])?;
        Ok(warden)
    }

    fn serve(&mut self) -> io::Result<()> {
        let mask = SigSet::from_iter([Signal::SIGCHLD]);
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let mut buffer = vec![0; socket::MAX_MESSAGE];
        loop {
            let ready = self.wait(&signals)?;
            // Messages first: an init says how its program ended just before it ends itself.
            for source in &ready {
                match source {
                    Ready::Init(id) => self.hear_init(*id, &mut buffer),
                    Ready::Zygote(key) => self.hear_zygote(key, &mut buffer),
                    Ready::Cloud | Ready::Child => {}
                }
            }
            if ready.iter().any(|source| matches!(source, Ready::Child)) {
                while let Ok(Some(_)) = signals.read_signal() {}
                self.bury()?;
            }
            if ready.iter().any(|source| matches!(source, Ready::Cloud)) {
                match socket::receive::<ToWarden>(self.cloud.as_fd(), &mut buffer)? {
                    None => return Ok(()),
                    Some((message, fds)) => self.obey(message, fds)?,
                }
            }
            self.watch();
            self.hurry();
        }
    }

    fn wait(&self, signals: &SignalFd) -> io::Result<Vec<Ready>> {
        let busy =
            self.sandboxes.values().any(|s| s.watched || s.ending.is_some()) || !self.leftovers.is_empty();
        let timeout = match busy {
            true => PollTimeout::from(WATCH_EVERY.as_millis() as u16),
            false if !self.zygotes.is_empty() => PollTimeout::from(30_000u16),
            false => PollTimeout::NONE,
        };
        let mut sources = vec![(self.cloud.as_fd(), Ready::Cloud), (signals.as_fd(), Ready::Child)];
        for (&id, sandbox) in self.sandboxes.iter().filter(|(_, s)| s.status.is_none() && s.failed.is_none())
        {
            sources.push((sandbox.control.as_fd(), Ready::Init(id)));
        }
        for (key, zygote) in &self.zygotes {
            sources.extend(zygote.iter().map(|zygote| (zygote.line.as_fd(), Ready::Zygote(key.clone()))));
        }
        let mut fds: Vec<_> = sources.iter().map(|(fd, _)| PollFd::new(*fd, PollFlags::POLLIN)).collect();
        match poll(&mut fds, timeout) {
            Err(nix::Error::EINTR) => return Ok(vec![]),
            other => other?,
        };
        let is_ready: Vec<bool> = fds.iter().map(|fd| fd.revents().is_some_and(|r| !r.is_empty())).collect();
        Ok(sources
            .into_iter()
            .zip(is_ready)
            .filter(|(_, ready)| *ready)
            .map(|((_, source), _)| source)
            .collect())
    }

    fn obey(&mut self, message: ToWarden, fds: Vec<OwnedFd>) -> io::Result<()> {
        match message {
            ToWarden::Spawn(spawn) => {
                let id = spawn.id;
                if let Err(error) = self.spawn(&spawn, fds) {
                    self.tell(&FromWarden::Failed { id, error: error.to_string() }, &[])?;
                }
            }
            ToWarden::Assign(assign) => {
                let id = assign.id;
                if let Err(error) = self.assign(*assign, fds) {
                    self.fail(id, error.to_string());
                }
            }
            ToWarden::Connect { id, port } => {
                let asked = self.sandboxes.get(&id).is_some_and(|sandbox| {
                    socket::send(sandbox.control.as_fd(), &ToInit::Connect { port }, &[]).is_ok()
                });
                if !asked {
                    self.tell(&FromWarden::Connected { id, port }, &[])?;
                }
            }
            ToWarden::Kill { id } => self.end(id),
            ToWarden::Loaded { id } => {
                if let Some(sandbox) = self.sandboxes.get(&id) {
                    sandbox.group.weigh(sandbox.memory_mb);
                }
            }
            ToWarden::Watch { id, on } => {
                if let Some(sandbox) = self.sandboxes.get_mut(&id) {
                    sandbox.watched = on;
                }
            }
        }
        Ok(())
    }

    fn hear_zygote(&mut self, key: &str, buffer: &mut [u8]) {
        let Some(Some(zygote)) = self.zygotes.get_mut(key) else { return };
        match zygote.hear(buffer) {
            Ok(Some(FromZygote::Ready)) => {}
            Ok(Some(FromZygote::Forked { id, pid })) => {
                let Some(sandbox) = self.sandboxes.get_mut(&id) else { return };
                sandbox.main = Some(pid);
                self.by_main.insert(pid, id);
                let listeners = sandbox.pending.take().map(|pending| pending.listeners).unwrap_or_default();
                let fds: Vec<BorrowedFd<'_>> = listeners.iter().map(AsFd::as_fd).collect();
                let _ = self.tell(&FromWarden::Up { id, main: Some(pid) }, &fds);
            }
            Ok(Some(FromZygote::Failed { id, error })) => self.fail(id, error),
            Ok(Some(FromZygote::Ended { pid, status })) => self.main_ended(pid, status),
            Ok(None) | Err(_) => {
                // One that never came up is not tried again; one that was lost is.
                let waiting: Vec<_> = zygote.waiting().collect();
                if zygote.was_ready() {
                    self.zygotes.remove(key);
                } else {
                    self.zygotes.insert(key.to_owned(), None);
                }
                for id in waiting {
                    self.fail(id, "the interpreter that was to fork into it ended".to_owned());
                }
            }
        }
    }

    pub(super) fn fail(&mut self, id: SandboxId, error: String) {
        if let Some(sandbox) = self.sandboxes.get_mut(&id) {
            sandbox.failed = Some(error);
            self.end(id);
        }
    }

    pub(super) fn main_ended(&mut self, pid: i32, status: Status) {
        let Some(id) = self.by_main.remove(&pid) else { return };
        if let Some(sandbox) = self.sandboxes.get_mut(&id) {
            sandbox.status = Some(status);
            self.end(id);
        }
    }

    pub(super) fn hear_init(&mut self, id: SandboxId, buffer: &mut [u8]) {
        let Some(sandbox) = self.sandboxes.get_mut(&id) else { return };
        match socket::receive::<FromInit>(sandbox.control.as_fd(), buffer) {
            Ok(Some((FromInit::Up, fds))) if sandbox.pending.is_some() => {
                if let Err(error) = self.populate(id, fds) {
                    self.fail(id, error.to_string());
                }
            }
            Ok(Some((FromInit::Up, fds))) => {
                let fds: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
                let _ = self.tell(&FromWarden::Up { id, main: None }, &fds);
            }
            Ok(Some((FromInit::Attached, _))) => {
                let _ = self.tell(&FromWarden::Attached { id }, &[]);
            }
            Ok(Some((FromInit::Connected { port }, fds))) => {
                let fds: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
                let _ = self.tell(&FromWarden::Connected { id, port }, &fds);
            }
            Ok(Some((FromInit::Extension { name, status }, _))) => {
                let _ = self.tell(&FromWarden::Extension { id, name, status }, &[]);
            }
            Ok(Some((FromInit::Failed { error }, _))) => sandbox.failed = Some(error),
            Ok(Some((FromInit::Exited { status }, _))) => sandbox.status = Some(status),
            Ok(None) | Err(_) => self.end(id),
        }
    }

    pub(super) fn tell(&self, message: &FromWarden, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        socket::send(self.cloud.as_fd(), message, fds)
    }
}

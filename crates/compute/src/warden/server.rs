//! The warden's own loop.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use seccompiler::BpfProgram;

use super::protocol::{
    Assign, Exit, ForkInto, FromInit, FromWarden, FromZygote, Program, SandboxId, Spawn, Status, ToInit,
    ToWarden,
};
use super::record::{Pending, Sandbox, has_more};
use super::setup::{can_attach, choose_level, make_scratch};
use super::socket;
use super::zygote::Zygote;
use crate::jail::cgroup::{Cgroups, Group};
use crate::jail::init::{self, Plan};
use crate::jail::privileges::Identity;
use crate::jail::processes::{self, Table};
use crate::jail::sys::{self, Forked};
use crate::jail::{Level, namespaces, root, seccomp};

/// How often memory of busy sandboxes is looked at.
const WATCH_EVERY: Duration = Duration::from_millis(50);
/// A zygote that nobody has needed for so long goes, and gives its memory back.
const ZYGOTE_REST: Duration = Duration::from_secs(600);
/// First of the host ids that sandboxes run as when we are root: above every range that distributions use.
const FIRST_ID: u32 = 1_900_000_000;
/// Sandboxes of one warden before an id comes round again, and wardens that are kept apart.
const IDS: u32 = 16_384;
const WARDENS: u32 = 4096;

/// What the warden found on this machine, told to the cloud in its first message.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Hello {
    pub(crate) level: Level,
    /// A running interpreter can be given its code later.
    pub(crate) attach: bool,
    /// What is missing, in words.
    pub(crate) missing: Vec<String>,
}

struct Warden {
    cloud: OwnedFd,
    level: Level,
    attach: bool,
    state: PathBuf,
    cgroups: Cgroups,
    filters: Vec<BpfProgram>,
    /// Ids outside of our own user namespace are not known inside; these are ours as seen from in here.
    own_ids: (u32, u32),
    templates: BTreeMap<String, PathBuf>,
    sandboxes: BTreeMap<SandboxId, Sandbox>,
    by_pid: BTreeMap<i32, SandboxId>,
    /// Main processes that a zygote forked.
    by_main: BTreeMap<i32, SandboxId>,
    /// By template and program; `None` for those that do not work here.
    zygotes: BTreeMap<String, Option<Zygote>>,
    /// Groups whose processes were still dying.
    leftovers: Vec<Group>,
    last_watch: Instant,
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
                if let Err(error) = self.assign(*assign) {
                    self.fail(id, error.to_string());
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

    fn spawn(&mut self, spawn: &Spawn, fds: Vec<OwnedFd>) -> io::Result<()> {
        let mut fds = fds.into_iter();
        let output =
            fds.next().ok_or_else(|| io::Error::other("no output descriptor came with the order"))?;
        let channel = fds.next().filter(|_| spawn.channel);
        let identity = match self.level {
            Level::User => Identity::Stay,
            _ if self.own_ids.0 == 0 => {
                let block = std::process::id() % WARDENS;
                Identity::Become(FIRST_ID + block * IDS + (spawn.id % u64::from(IDS)) as u32)
            }
            _ => Identity::Stay,
        };
        if self.level == Level::Plain && spawn.root.is_some() {
            return Err(io::Error::other(
                "container images need namespaces, which this machine does not give; `cloudlet doctor` says more",
            ));
        }
        let template = match self.level {
            Level::Plain => PathBuf::new(),
            _ => self.template(spawn)?,
        };
        if self.level == Level::Plain {
            make_scratch(&spawn.scratch, identity)?;
        }
        let zygote = match (&spawn.zygote, self.attach && self.level != Level::Plain) {
            (Some(program), true) => self.zygote(program, &template),
            _ => None,
        };
        let group = self.cgroups.create(&format!("s{}", spawn.id));
        let (ours, theirs) = socket::pair()?;
        let place = self.state.join("place");
        let plan = Plan {
            level: self.level,
            spawn,
            template: &template,
            place: &place,
            group: &group,
            filters: &self.filters,
            identity,
            attach: self.attach,
            forked_by_zygote: zygote.is_some() && channel.is_some(),
            pids_limited: self.cgroups.limits_pids(),
            memory_limited: self.cgroups.limits_memory(),
            outer_ids: self.own_ids,
        };
        match sys::fork_into(namespaces(self.level, spawn.host_network)) {
            Ok(Forked::Child) => {
                drop(ours);
                init::run(&plan, theirs, output, channel)
            }
            Ok(Forked::Parent(pid)) => {
                let pending = zygote.zip(channel).map(|(zygote, channel)| Pending {
                    zygote,
                    order: ForkInto {
                        id: spawn.id,
                        user: match identity {
                            Identity::Become(user) => Some(user),
                            Identity::Stay => None,
                        },
                        namespaces: namespaces(self.level, spawn.host_network) & !nix::libc::CLONE_NEWPID,
                        count_processes: matches!(identity, Identity::Become(_))
                            || !self.cgroups.limits_pids(),
                        required_groups: 0,
                    },
                    output,
                    channel,
                    listeners: Vec::new(),
                });
                let sandbox = Sandbox {
                    pid,
                    pending,
                    main: None,
                    control: ours,
                    group,
                    memory_mb: 0,
                    watched: false,
                    status: None,
                    failed: None,
                    oom: false,
                    peak: 0,
                    ending: None,
                    scratch: spawn.scratch.clone(),
                };
                self.by_pid.insert(pid, spawn.id);
                self.sandboxes.insert(spawn.id, sandbox);
                Ok(())
            }
            Err(error) => {
                group.remove();
                Err(io::Error::new(error.kind(), format!("cannot fork a sandbox: {error}")))
            }
        }
    }

    /// The key of a zygote for this program, started now if need be. `None` where zygotes do not work.
    fn zygote(&mut self, program: &Program, template: &Path) -> Option<String> {
        let key = format!("{} {}", template.display(), program.argv.join(" "));
        if !self.zygotes.contains_key(&key) {
            let place = self.state.join("place");
            let started = Zygote::start(program, template, &place, &self.filters);
            if let Err(error) = &started {
                eprintln!(
                    "cloudlet: functions start more slowly, because {} cannot wait ahead: {error}",
                    program.argv.join(" ")
                );
            }
            self.zygotes.insert(key.clone(), started.ok());
        }
        self.zygotes.get(&key)?.is_some().then_some(key)
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

    fn fail(&mut self, id: SandboxId, error: String) {
        if let Some(sandbox) = self.sandboxes.get_mut(&id) {
            sandbox.failed = Some(error);
            self.end(id);
        }
    }

    fn main_ended(&mut self, pid: i32, status: Status) {
        let Some(id) = self.by_main.remove(&pid) else { return };
        if let Some(sandbox) = self.sandboxes.get_mut(&id) {
            sandbox.status = Some(status);
            self.end(id);
        }
    }

    /// Has the zygote fork into a sandbox that stands.
    fn populate(&mut self, id: SandboxId, listeners: Vec<OwnedFd>) -> io::Result<()> {
        let Some(sandbox) = self.sandboxes.get_mut(&id) else { return Ok(()) };
        let Some(pending) = &mut sandbox.pending else { return Ok(()) };
        pending.listeners = listeners;
        let (doors, required_groups) = sandbox.group.doors()?;
        let order = ForkInto { required_groups, ..pending.order };
        let mut fds =
            vec![sys::pidfd_open(sandbox.pid)?, pending.output.try_clone()?, pending.channel.try_clone()?];
        fds.extend(doors.into_iter().map(OwnedFd::from));
        match self.zygotes.get_mut(&pending.zygote) {
            Some(Some(zygote)) => zygote.fork(order, fds),
            _ => Err(io::Error::other("the interpreter that was to fork into it is gone")),
        }
    }

    /// The read-only root for this set of shown folders; built once.
    fn template(&mut self, spawn: &Spawn) -> io::Result<PathBuf> {
        let key = format!("{:?}{:?}{}", spawn.root, spawn.shown, spawn.host_network);
        if let Some(path) = self.templates.get(&key) {
            return Ok(path.clone());
        }
        let path = self.state.join("root").join(self.templates.len().to_string());
        std::fs::create_dir_all(self.state.join("place"))?;
        match &spawn.root {
            Some(image) => root::build_from_image(&path, image, spawn.host_network)?,
            None => root::build_template(&path, &spawn.shown, spawn.host_network)?,
        }
        self.templates.insert(key, path.clone());
        Ok(path)
    }

    fn assign(&mut self, assign: Assign) -> io::Result<()> {
        let Some(sandbox) = self.sandboxes.get_mut(&assign.id) else { return Ok(()) };
        sandbox.memory_mb = assign.memory_mb;
        sandbox.group.limit_memory(assign.memory_mb, assign.ephemeral_mb);
        let mut trees = Vec::new();
        if self.level != Level::Plain && self.attach {
            for path in assign.task.iter().chain(&assign.opt) {
                let tree = sys::open_tree(path)?;
                sys::make_read_only(tree.as_fd())?;
                trees.push(tree);
            }
        }
        let order = ToInit::Assign {
            ephemeral_mb: assign.ephemeral_mb,
            memory_mb: assign.memory_mb,
            limit_address_space: assign.limit_address_space,
            paths: assign.task.map(|task| (task, assign.opt)),
            program: assign.program,
        };
        let backstop = assign.limit_address_space && !self.cgroups.limits_memory();
        if let Some(main) = sandbox.main.filter(|_| backstop) {
            let _ = sys::set_limit(main, nix::libc::RLIMIT_AS, init::address_space(assign.memory_mb));
        }
        let fds: Vec<BorrowedFd<'_>> = trees.iter().map(AsFd::as_fd).collect();
        socket::send(sandbox.control.as_fd(), &order, &fds)
    }

    fn hear_init(&mut self, id: SandboxId, buffer: &mut [u8]) {
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
            Ok(Some((FromInit::Failed { error }, _))) => sandbox.failed = Some(error),
            Ok(Some((FromInit::Exited { status }, _))) => sandbox.status = Some(status),
            Ok(None) | Err(_) => self.end(id),
        }
    }

    /// Begins to end a sandbox. Its burial comes with SIGCHLD.
    fn end(&mut self, id: SandboxId) {
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
    fn hurry(&mut self) {
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

    fn bury(&mut self) -> io::Result<()> {
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
    fn watch(&mut self) {
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

    fn tell(&self, message: &FromWarden, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        socket::send(self.cloud.as_fd(), message, fds)
    }

    fn end_everything(&mut self) {
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

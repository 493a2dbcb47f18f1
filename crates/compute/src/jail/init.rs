//! The first process of a sandbox: builds it from the inside, starts the program, reaps orphans, reports the end.
//!
//! It is a fork of the single-threaded warden, so nothing has to be loaded. It keeps its rights only until the
//! code has been put in place; before that moment nothing of the user's has run.

use std::ffi::CString;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{AddressFamily, SockFlag, SockType};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use seccompiler::BpfProgram;

use super::cgroup::Group;
use super::privileges::{self, Identity};
use super::sys::{self, Forked};
use super::{Level, processes, root};
use crate::warden::protocol::{FromInit, Program, Spawn, Status, ToInit};
use crate::warden::socket;

const CHANNEL: i32 = 3;
const CONTROL: i32 = 4;

/// Everything that the warden knows when it forks a sandbox.
pub(crate) struct Plan<'a> {
    pub(crate) level: Level,
    pub(crate) spawn: &'a Spawn,
    pub(crate) template: &'a Path,
    /// An empty folder to build the root on.
    pub(crate) place: &'a Path,
    pub(crate) group: &'a Group,
    pub(crate) filters: &'a [BpfProgram],
    pub(crate) identity: Identity,
    /// Code can be put into a running sandbox.
    pub(crate) attach: bool,
    /// The program is not ours to start: a zygote forks into this sandbox.
    pub(crate) forked_by_zygote: bool,
    /// The group limits the number of processes.
    pub(crate) pids_limited: bool,
    /// The group limits memory.
    pub(crate) memory_limited: bool,
    /// Outer ids for the user namespace of [`Level::User`].
    pub(crate) outer_ids: (u32, u32),
}

/// Runs in the forked child. Never returns.
pub(crate) fn run(plan: &Plan<'_>, control: OwnedFd, output: OwnedFd, channel: Option<OwnedFd>) -> ! {
    let Ok(control) = arrange(control, output, channel) else { sys::exit(1) };
    match Init::set_up(plan, &control).and_then(|mut init| init.serve()) {
        Ok(()) => sys::exit(0),
        Err(error) => {
            let _ = socket::send(control.as_fd(), &FromInit::Failed { error: error.to_string() }, &[]);
            sys::exit(1)
        }
    }
}

struct Init<'a> {
    plan: &'a Plan<'a>,
    control: &'a OwnedFd,
    main: Option<i32>,
    /// Processes of extensions, by name.
    extensions: Vec<(i32, String)>,
    signals: SignalFd,
    assigned: bool,
}

impl<'a> Init<'a> {
    fn set_up(plan: &'a Plan<'a>, control: &'a OwnedFd) -> io::Result<Self> {
        if !plan.forked_by_zygote {
            // Otherwise only what the zygote forks is to be limited: this process runs nothing else.
            plan.group.enter().map_err(|e| said("limit the sandbox", e))?;
        }
        if plan.level == Level::User {
            privileges::map_self(plan.outer_ids.0, plan.outer_ids.1)
                .map_err(|e| said("map the sandbox's user", e))?;
        }
        sys::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong)?;
        let mask = SigSet::from_iter([Signal::SIGCHLD]);
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&mask), None)?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        if plan.level == Level::Plain {
            nix::unistd::setsid()?;
            sys::prctl(libc::PR_SET_CHILD_SUBREAPER, 1)?;
        } else {
            nix::unistd::sethostname("localhost")?;
            if plan.attach || plan.spawn.root.is_some() {
                root::enter(plan.template, plan.place, None)
                    .map_err(|e| said("build the sandbox's files", e))?;
            }
        }
        let mut listeners = Vec::new();
        if plan.level != Level::Plain && !plan.spawn.host_network {
            sys::loopback_up().map_err(|e| said("bring up the sandbox's network", e))?;
            for &port in &plan.spawn.listen {
                listeners.push(
                    TcpListener::bind(("127.0.0.1", port)).map_err(|e| said("listen in the sandbox", e))?,
                );
            }
        }
        let mut init = Self { plan, control, main: None, extensions: Vec::new(), signals, assigned: false };
        match &plan.spawn.program {
            Some(program) if !plan.forked_by_zygote => init.start(program)?,
            _ => {}
        }
        let fds: Vec<BorrowedFd<'_>> = listeners.iter().map(AsFd::as_fd).collect();
        socket::send(init.control.as_fd(), &FromInit::Up, &fds)?;
        Ok(init)
    }

    /// Waits for code and for ends, until the main program has ended or the warden is gone.
    fn serve(&mut self) -> io::Result<()> {
        loop {
            let (control, child) = {
                let mut fds = [
                    PollFd::new(self.control.as_fd(), PollFlags::POLLIN),
                    PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
                ];
                match poll(&mut fds, PollTimeout::NONE) {
                    Err(nix::Error::EINTR) => continue,
                    other => other?,
                };
                let ready = |fd: &PollFd<'_>| fd.revents().is_some_and(|r| !r.is_empty());
                (ready(&fds[0]), ready(&fds[1]))
            };
            if child {
                while let Ok(Some(_)) = self.signals.read_signal() {}
                if let Some(status) = self.reap() {
                    self.end_rest();
                    return socket::send(self.control.as_fd(), &FromInit::Exited { status }, &[]);
                }
            }
            if control {
                match receive(self.control.as_fd()) {
                    Ok((ToInit::Assign { .. }, _)) if self.assigned => {}
                    Ok((ToInit::Connect { port }, _)) => self.connect(port)?,
                    Ok((assign, more)) => self.assign(assign, &more)?,
                    Err(_) => {
                        self.end_rest();
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Connects on behalf of the cloud, which is not in this network. Nobody waits for a listener that is slow: the
    /// kernel finishes what does not finish at once.
    fn connect(&self, port: u16) -> io::Result<()> {
        let address = nix::sys::socket::SockaddrIn::new(127, 0, 0, 1, port);
        let connected = (|| -> nix::Result<OwnedFd> {
            let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
            let socket = nix::sys::socket::socket(AddressFamily::Inet, SockType::Stream, flags, None)?;
            match nix::sys::socket::connect(socket.as_raw_fd(), &address) {
                Ok(()) | Err(nix::Error::EINPROGRESS) => Ok(socket),
                Err(error) => Err(error),
            }
        })();
        let fds: Vec<BorrowedFd<'_>> = connected.iter().map(AsFd::as_fd).collect();
        socket::send(self.control.as_fd(), &FromInit::Connected { port }, &fds)
    }

    fn assign(&mut self, assign: ToInit, more: &[OwnedFd]) -> io::Result<()> {
        let ToInit::Assign {
            ephemeral_mb, memory_mb, limit_address_space, paths, program, extensions, ..
        } = assign
        else {
            return Ok(());
        };
        if self.plan.level != Level::Plain {
            if !self.plan.attach && self.plan.spawn.root.is_none() {
                let (task, opt) =
                    paths.ok_or_else(|| io::Error::other("no code came with the assignment"))?;
                root::enter(self.plan.template, self.plan.place, Some((&task, opt.as_deref())))
                    .map_err(|e| said("build the sandbox's files", e))?;
            }
            root::size_tmp(ephemeral_mb).map_err(|e| said("size /tmp", e))?;
        }
        for (name, program) in extensions {
            let (output, doors) =
                more.split_first().ok_or_else(|| io::Error::other("no output came for extensions"))?;
            let pid = self.fork_program(&program, Some((output, doors)))?;
            self.extensions.push((pid, name));
        }
        if let Some(program) = &program {
            self.start(program)?;
        }
        if !self.plan.memory_limited
            && limit_address_space
            && let Some(pid) = self.main
        {
            let _ = sys::set_limit(pid, libc::RLIMIT_AS, address_space(memory_mb));
        }
        if self.plan.level == Level::Plain
            && let Some(pid) = self.main
        {
            let _ = sys::set_limit(pid, libc::RLIMIT_FSIZE, u64::from(ephemeral_mb) << 20);
        }
        if self.plan.level != Level::Plain {
            privileges::drop_all(self.plan.identity, false, self.plan.filters)
                .map_err(|e| said("give up rights", e))?;
        }
        self.assigned = true;
        // Changing ids forgot about this one.
        sys::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong)?;
        // Nothing of the function's may look into this process, which is a copy of the warden.
        sys::prctl(libc::PR_SET_DUMPABLE, 0)?;
        socket::send(self.control.as_fd(), &FromInit::Attached, &[])
    }

    /// Forks and runs the program without any right.
    fn start(&mut self, program: &Program) -> io::Result<()> {
        self.main = Some(self.fork_program(program, None)?);
        // The program holds the only copy now, so that its end is seen at the other side.
        let _ = nix::unistd::close(CHANNEL);
        Ok(())
    }

    /// The same for any program. One beside the main one has an output of its own, and the doors of the control groups
    /// that it is to enter.
    fn fork_program(&self, program: &Program, beside: Option<(&OwnedFd, &[OwnedFd])>) -> io::Result<i32> {
        let argv = c_strings(program.argv.iter().cloned())?;
        let env = c_strings(program.env.iter().map(|(k, v)| format!("{k}={v}")))?;
        let Some(path) = argv.first() else { return Err(io::Error::other("the program has no name")) };
        match sys::fork_into(0)? {
            Forked::Parent(pid) => Ok(pid),
            Forked::Child => {
                if let Some((output, doors)) = beside {
                    for door in doors {
                        let _ = nix::unistd::write(door, b"0");
                    }
                    let _ =
                        sys::dup_to(output.as_raw_fd(), 1).and_then(|()| sys::dup_to(output.as_raw_fd(), 2));
                    let _ = nix::unistd::close(CHANNEL);
                }
                let directory = program.directory.as_deref().unwrap_or("/var/task");
                let error = self.become_program(path, &argv, &env, directory);
                eprintln!("cannot run {}: {error}", path.to_string_lossy());
                sys::exit(127)
            }
        }
    }

    fn become_program(
        &self,
        path: &CString,
        argv: &[CString],
        env: &[CString],
        directory: &str,
    ) -> io::Error {
        let result = (|| -> io::Result<()> {
            nix::unistd::setsid()?;
            sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
            let _ = std::env::set_current_dir(directory);
            privileges::limit_self(
                matches!(self.plan.identity, Identity::Become(_)) || !self.plan.pids_limited,
            )?;
            sys::close_from(CONTROL);
            privileges::drop_all(self.plan.identity, true, self.plan.filters)?;
            nix::unistd::execve(path, argv, env)?;
            Ok(())
        })();
        result.err().unwrap_or_else(|| io::Error::other("it returned"))
    }

    /// Collects everything that has ended; the status of the main program if it is among them.
    fn reap(&mut self) -> Option<Status> {
        let mut ended = None;
        loop {
            let (pid, status) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, Status::Code(code)),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, Status::Signal(signal as i32)),
                Ok(WaitStatus::StillAlive) | Err(_) => return ended,
                Ok(_) => continue,
            };
            if self.main.map(Pid::from_raw) == Some(pid) {
                ended = Some(status);
            }
            if let Some(at) = self.extensions.iter().position(|(extension, _)| *extension == pid.as_raw()) {
                let (_, name) = self.extensions.remove(at);
                let _ = socket::send(self.control.as_fd(), &FromInit::Extension { name, status }, &[]);
            }
        }
    }

    /// With a pid namespace the kernel does this when we leave.
    fn end_rest(&self) {
        if self.plan.level == Level::Plain {
            if let Identity::Become(user) = self.plan.identity {
                processes::end_all_of(user);
            }
            processes::end_all_below_self();
        }
    }
}

/// A backstop where no cgroup limits memory, behind the warden's watching. Address space is always far larger than
/// memory in use.
pub(crate) fn address_space(memory_mb: u32) -> u64 {
    (u64::from(memory_mb) << 20) + (4 << 30)
}

/// Gives the descriptors their numbers: nothing to read, output, the channel, the warden. Closes all others.
fn arrange(control: OwnedFd, output: OwnedFd, channel: Option<OwnedFd>) -> io::Result<OwnedFd> {
    let null = OwnedFd::from(std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?);
    // Out of the way first: they may lie on the numbers that others are to get. None of these is ever dropped,
    // because all are closed by number below.
    let high = |fd: OwnedFd| {
        let fd = std::mem::ManuallyDrop::new(fd);
        sys::dup_above(fd.as_fd(), 100).map(std::mem::ManuallyDrop::new)
    };
    let (control, output, nothing) = (high(control)?, high(output)?, high(null)?);
    let channel = channel.map(high).transpose()?;
    sys::dup_to(nothing.as_raw_fd(), 0)?;
    sys::dup_to(output.as_raw_fd(), 1)?;
    sys::dup_to(output.as_raw_fd(), 2)?;
    sys::dup_to(channel.as_ref().unwrap_or(&nothing).as_raw_fd(), CHANNEL)?;
    sys::dup_to(control.as_raw_fd(), CONTROL)?;
    sys::close_from(CONTROL + 1);
    Ok(sys::inherited(CONTROL))
}

/// The next order; trees that came with it are in place, other descriptors are given.
fn receive(control: BorrowedFd<'_>) -> io::Result<(ToInit, Vec<OwnedFd>)> {
    let mut buffer = vec![0; socket::MAX_MESSAGE];
    let (message, mut fds) = socket::receive::<ToInit>(control, &mut buffer)?
        .ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
    if let ToInit::Assign { trees, .. } = &message {
        for (tree, place) in fds.drain(..(*trees).min(fds.len())).zip(["/var/task", "/opt"]) {
            sys::move_mount(tree.as_fd(), Path::new(place)).map_err(|e| said("put the code in place", e))?;
        }
    }
    Ok((message, fds))
}

pub(crate) fn c_strings(strings: impl Iterator<Item = String>) -> io::Result<Vec<CString>> {
    strings.map(|s| CString::new(s).map_err(|_| io::Error::other("a zero byte in an argument"))).collect()
}

fn said(what: &str, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {what}: {error}"))
}

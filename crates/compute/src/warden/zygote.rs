//! Interpreters that fork into sandboxes: one per runtime in use, started by the warden, trusted, and never
//! touched by a user's code. See runtimes/python/zygote.py for the far end.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::time::Instant;

use nix::libc;
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};

use super::protocol::{ForkInto, FromZygote, Program, SandboxId, ZygoteSetup};
use super::socket;
use crate::jail::init::c_strings;
use crate::jail::root;
use crate::jail::sys::{self, Forked};

/// A running zygote. Dropping it closes its line, upon which it leaves.
pub(crate) struct Zygote {
    pub(crate) line: OwnedFd,
    ready: bool,
    /// Orders that came before it was ready.
    waiting: Vec<(ForkInto, Vec<OwnedFd>)>,
    pub(crate) last_use: Instant,
}

impl Zygote {
    /// Starts one behind the same walls of files as the sandboxes of its runtime, so that everything it has
    /// imported is where they find it too.
    pub(crate) fn start(
        program: &Program,
        template: &Path,
        place: &Path,
        filters: &[seccompiler::BpfProgram],
    ) -> io::Result<Self> {
        let (line, theirs) = socket::pair()?;
        let argv = c_strings(program.argv.iter().cloned())?;
        let env = c_strings(program.env.iter().map(|(k, v)| format!("{k}={v}")))?;
        let walls = libc::CLONE_NEWNS | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS | libc::CLONE_NEWNET;
        if let Forked::Child = sys::fork_into(walls)? {
            let failed = (|| -> io::Result<()> {
                sys::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong)?;
                sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
                root::enter(template, place, None)?;
                sys::dup_to(theirs.as_raw_fd(), 3)?;
                sys::close_from(4);
                let path = argv.first().ok_or_else(|| io::Error::other("it has no name"))?;
                nix::unistd::execve(path, &argv, &env)?;
                Ok(())
            })();
            eprintln!("cloudlet: cannot run {}: {failed:?}", program.argv.join(" "));
            sys::exit(127);
        }
        let setup = ZygoteSetup { filters: filters.iter().map(in_hex).collect() };
        socket::send(line.as_fd(), &setup, &[])?;
        Ok(Self { line, ready: false, waiting: Vec::new(), last_use: Instant::now() })
    }

    /// Orders a fork, now or as soon as it is ready.
    pub(crate) fn fork(&mut self, order: ForkInto, fds: Vec<OwnedFd>) -> io::Result<()> {
        self.last_use = Instant::now();
        if !self.ready {
            self.waiting.push((order, fds));
            return Ok(());
        }
        let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        socket::send(self.line.as_fd(), &order, &fds)
    }

    /// Its next word; `None` when it is gone.
    pub(crate) fn hear(&mut self, buffer: &mut [u8]) -> io::Result<Option<FromZygote>> {
        let Some((message, _)) = socket::receive::<FromZygote>(self.line.as_fd(), buffer)? else {
            return Ok(None);
        };
        if matches!(message, FromZygote::Ready) {
            self.ready = true;
            for (order, fds) in std::mem::take(&mut self.waiting) {
                self.fork(order, fds)?;
            }
        }
        Ok(Some(message))
    }

    /// Whether it ever came up.
    pub(crate) fn was_ready(&self) -> bool {
        self.ready
    }

    /// Sandboxes that still wait for it.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = SandboxId> {
        self.waiting.iter().map(|(order, _)| order.id)
    }
}

/// The kernel's own layout of an instruction: code, jt, jf, k.
fn in_hex(filter: &seccompiler::BpfProgram) -> String {
    let mut bytes = Vec::with_capacity(filter.len() * 8);
    for instruction in filter {
        bytes.extend(instruction.code.to_ne_bytes());
        bytes.extend([instruction.jt, instruction.jf]);
        bytes.extend(instruction.k.to_ne_bytes());
    }
    hex::encode(bytes)
}

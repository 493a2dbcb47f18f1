//! How the warden makes a sandbox and gives it its code.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::protocol::{Assign, ForkInto, Program, SandboxId, Spawn, ToInit};
use super::record::{Pending, Sandbox};
use super::server::Warden;
use super::setup::make_scratch;
use super::socket;
use super::zygote::Zygote;
use crate::jail::init::{self, Plan};
use crate::jail::privileges::Identity;
use crate::jail::sys::{self, Forked};
use crate::jail::{Level, namespaces, root};

/// First of the host ids that sandboxes run as when we are root: above every range that distributions use.
const FIRST_ID: u32 = 1_900_000_000;
/// Sandboxes of one warden before an id comes round again, and wardens that are kept apart.
const IDS: u32 = 16_384;
const WARDENS: u32 = 4096;

impl Warden {
    pub(super) fn spawn(&mut self, spawn: &Spawn, fds: Vec<OwnedFd>) -> io::Result<()> {
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
    pub(super) fn zygote(&mut self, program: &Program, template: &Path) -> Option<String> {
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

    /// Has the zygote fork into a sandbox that stands.
    pub(super) fn populate(&mut self, id: SandboxId, listeners: Vec<OwnedFd>) -> io::Result<()> {
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
    pub(super) fn template(&mut self, spawn: &Spawn) -> io::Result<PathBuf> {
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

    pub(super) fn assign(&mut self, assign: Assign, fds: Vec<OwnedFd>) -> io::Result<()> {
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
            trees: trees.len(),
            ephemeral_mb: assign.ephemeral_mb,
            memory_mb: assign.memory_mb,
            limit_address_space: assign.limit_address_space,
            paths: assign.task.map(|task| (task, assign.opt)),
            program: assign.program,
            extensions: assign.extensions,
        };
        let backstop = assign.limit_address_space && !self.cgroups.limits_memory();
        if let Some(main) = sandbox.main.filter(|_| backstop) {
            let _ = sys::set_limit(main, nix::libc::RLIMIT_AS, init::address_space(assign.memory_mb));
        }
        // The output of extensions, and the way into the groups that a zygote's sandbox is limited by.
        let beside: Vec<OwnedFd> = fds.into_iter().take(1).collect();
        let doors = match sandbox.main.is_some() && !beside.is_empty() {
            true => sandbox.group.doors()?.0,
            false => vec![],
        };
        let fds = trees.iter().chain(&beside).map(AsFd::as_fd).chain(doors.iter().map(AsFd::as_fd));
        socket::send(sandbox.control.as_fd(), &order, &fds.collect::<Vec<_>>())
    }
}

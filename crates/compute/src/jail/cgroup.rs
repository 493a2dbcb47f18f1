//! Memory, process and CPU limits for a whole sandbox, by cgroup v1 or v2, wherever one may be written.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Memory beyond `MemorySize` for the sandbox's own init and kernel structures.
const OVERHEAD: u64 = 16 << 20;
/// AWS: 1,024 processes and threads; ours adds its own init.
const MAX_PIDS: u64 = 1024 + 8;

/// Where sandboxes' groups are made. Found once, by trying.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cgroups {
    memory: Option<Hierarchy>,
    pids: Option<Hierarchy>,
    cpu: Option<Hierarchy>,
    /// Why something is missing.
    pub(crate) complaint: Option<String>,
}

#[derive(Debug, Clone)]
struct Hierarchy {
    base: PathBuf,
    version: Version,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

/// One sandbox's group in every hierarchy in use. Removed with [`Group::remove`] once its processes are gone.
#[derive(Debug)]
pub(crate) struct Group {
    memory: Option<(PathBuf, Version)>,
    pids: Option<(PathBuf, Version)>,
    cpu: Option<(PathBuf, Version)>,
}

/// What a sandbox used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct MemoryUse {
    /// Anonymous memory now, in bytes: what counts against `MemorySize`. (Files in /tmp do not, as on AWS.)
    pub(crate) anonymous: u64,
    /// The kernel killed something for want of memory.
    pub(crate) oom: bool,
}

impl Cgroups {
    /// Tries every place where this process might make groups. `tag` names the parent group of all sandboxes.
    pub(crate) fn find(tag: &str) -> Self {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let mut found = Self::default();
        for controller in ["memory", "pids", "cpu"] {
            let hierarchy = v1(controller, &own, &mounts, tag).or_else(|| v2(controller, &own, &mounts, tag));
            match controller {
                "memory" => found.memory = hierarchy,
                "pids" => found.pids = hierarchy,
                _ => found.cpu = hierarchy,
            }
        }
        found.weigh();
        if found.memory.is_none() || found.pids.is_none() {
            found.complaint = Some(
                "no writable cgroup: memory and processes are limited by watching and by rlimits; run as root, or \
                 under `systemd-run --user --scope -p Delegate=yes`, for limits held by the kernel"
                    .to_owned(),
            );
        }
        found
    }

    /// All sandboxes together weigh twice as much as one busy thread on every processor: enough to work on a machine that
    /// has other things to do, not so much that the cloud itself could not get through.
    fn weigh(&self) {
        let Some(Hierarchy { base, version }) = &self.cpu else { return };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let _ = match version {
            Version::V1 => fs::write(base.join("cpu.shares"), (cores * 2048).to_string()),
            Version::V2 => fs::write(base.join("cpu.weight"), (cores * 200).min(10_000).to_string()),
        };
    }

    pub(crate) fn weighs_processors(&self) -> bool {
        self.cpu.is_some()
    }

    pub(crate) fn limits_memory(&self) -> bool {
        self.memory.is_some()
    }

    pub(crate) fn limits_pids(&self) -> bool {
        self.pids.is_some()
    }

    /// Makes the group of one sandbox.
    pub(crate) fn create(&self, name: &str) -> Group {
        let make = |hierarchy: &Option<Hierarchy>| {
            let hierarchy = hierarchy.as_ref()?;
            let path = hierarchy.base.join(name);
            (fs::create_dir(&path).is_ok() || path.is_dir()).then_some((path, hierarchy.version))
        };
        let group = Group { memory: make(&self.memory), pids: make(&self.pids), cpu: make(&self.cpu) };
        if let Some((pids, _)) = &group.pids {
            let _ = fs::write(pids.join("pids.max"), MAX_PIDS.to_string());
        }
        group
    }

    /// Removes the parents. Whatever still runs in them keeps them alive, and a later start sweeps them.
    pub(crate) fn remove(&self) {
        for hierarchy in [&self.memory, &self.pids, &self.cpu].into_iter().flatten() {
            remove_tree(&hierarchy.base);
        }
    }
}

impl Group {
    /// Moves the calling process in. Its children follow.
    pub(crate) fn enter(&self) -> io::Result<()> {
        let (doors, required) = self.doors()?;
        for (n, mut door) in doors.into_iter().enumerate() {
            let entered = door.write_all(b"0");
            if n < required {
                entered?;
            }
        }
        Ok(())
    }

    /// Files to which a process writes "0" to move itself in, and how many of the first of them matter. (The
    /// processor's share is a courtesy; realtime processes, for one, are refused it.)
    ///
    /// Only a thread that moves itself, by v1's `tasks`, is spared the lock that stops every fork on the machine for
    /// as long as the kernel takes to find all processors quiet: ten milliseconds and more.
    pub(crate) fn doors(&self) -> io::Result<(Vec<fs::File>, usize)> {
        let open = |path: &PathBuf, version| {
            let name = if version == Version::V1 { "tasks" } else { "cgroup.procs" };
            fs::OpenOptions::new().write(true).open(path.join(name))
        };
        let mut doors = Vec::new();
        for (path, version) in self.memory.iter().chain(&self.pids) {
            doors.push(open(path, *version)?);
        }
        let required = doors.len();
        doors.extend(self.cpu.iter().filter_map(|(path, version)| open(path, *version).ok()));
        Ok((doors, required))
    }

    /// Sets the limit of a function's memory. /tmp lives in memory and is charged here, so the kernel's line lies above
    /// both; `MemorySize` alone is held by the warden, which watches [`MemoryUse::anonymous`].
    pub(crate) fn limit_memory(&self, memory_mb: u32, ephemeral_mb: u32) {
        let bytes = (u64::from(memory_mb) + u64::from(ephemeral_mb)) * (1 << 20) + OVERHEAD;
        match &self.memory {
            Some((path, Version::V1)) => {
                let _ = fs::write(path.join("memory.limit_in_bytes"), bytes.to_string());
                let _ = fs::write(path.join("memory.memsw.limit_in_bytes"), bytes.to_string());
            }
            Some((path, Version::V2)) => {
                let _ = fs::write(path.join("memory.max"), bytes.to_string());
                let _ = fs::write(path.join("memory.swap.max"), "0");
                let _ = fs::write(path.join("memory.oom.group"), "1");
            }
            None => {}
        }
    }

    /// Gives a function its part of the processors by its memory, as on AWS, where 1,769 MB buy one. To be called once
    /// its handler is loaded: on AWS, too, that part runs as fast as it can.
    ///
    /// Against others it weighs what its memory buys. The cap is as on AWS above one processor and never below: a small
    /// function may use an idle machine's processor, but the threads of one do not take the machine.
    pub(crate) fn weigh(&self, memory_mb: u32) {
        const PERIOD: u64 = 100_000;
        let quota = (u64::from(memory_mb) * PERIOD / 1769).max(PERIOD);
        match &self.cpu {
            Some((path, Version::V1)) => {
                let shares = (u64::from(memory_mb) * 1024 / 1769).max(32);
                let _ = fs::write(path.join("cpu.shares"), shares.to_string());
                let _ = fs::write(path.join("cpu.cfs_quota_us"), quota.to_string());
            }
            Some((path, Version::V2)) => {
                let weight = (u64::from(memory_mb) * 100 / 1769).clamp(3, 10_000);
                let _ = fs::write(path.join("cpu.weight"), weight.to_string());
                let _ = fs::write(path.join("cpu.max"), format!("{quota} {PERIOD}"));
            }
            None => {}
        }
    }

    /// Reads the meters. `None` without a memory group.
    pub(crate) fn memory(&self) -> Option<MemoryUse> {
        let (path, version) = self.memory.as_ref()?;
        let (anonymous, events) = match version {
            Version::V1 => ("total_rss ", "memory.oom_control"),
            Version::V2 => ("anon ", "memory.events"),
        };
        let stat = fs::read_to_string(path.join("memory.stat")).ok()?;
        let events = fs::read_to_string(path.join(events)).unwrap_or_default();
        Some(MemoryUse {
            anonymous: field(&stat, anonymous).unwrap_or(0),
            oom: field(&events, "oom_kill ").unwrap_or(0) > 0,
        })
    }

    /// Kills what is in the group, where the kernel has a switch for it (v2, Linux 5.14).
    pub(crate) fn kill(&self) {
        for path in self.paths() {
            let _ = fs::write(path.join("cgroup.kill"), "1");
        }
    }

    /// Removes the group; false while processes are still dying in it.
    pub(crate) fn remove(&self) -> bool {
        self.paths().map(|path| remove_dir(path)).fold(true, |all, one| all & one)
    }

    fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        // With v2 the three are one directory; doing things twice is harmless.
        [&self.memory, &self.pids, &self.cpu].into_iter().flatten().map(|(path, _)| path)
    }
}

fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
}

fn remove_dir(path: &Path) -> bool {
    match fs::remove_dir(path) {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

fn remove_tree(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_dir(&entry.path());
        }
    }
    remove_dir(base);
}

/// `cloudlet-<pid>` groups whose program is gone.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix("cloudlet-"));
        if let Some(pid) = pid.and_then(|pid| pid.parse::<u32>().ok())
            && !Path::new(&format!("/proc/{pid}")).exists()
        {
            remove_tree(&entry.path());
        }
    }
}

fn v1(controller: &str, own: &str, mounts: &str, tag: &str) -> Option<Hierarchy> {
    let mount = mounts.lines().find_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (at, kind, options) = (words.next()?, words.next()?, words.next()?);
        (kind == "cgroup" && options.split(',').any(|o| o == controller)).then(|| PathBuf::from(at))
    })?;
    let inside = own.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        controllers.split(',').any(|c| c == controller).then_some(path)
    })?;
    // In a container the path is the host's and does not exist below the mount; its own group is the mount then.
    let nested = mount.join(inside.trim_start_matches('/'));
    [nested, mount].into_iter().find_map(|parent| {
        sweep(&parent);
        let base = parent.join(tag);
        fs::create_dir(&base).ok().or_else(|| base.is_dir().then_some(()))?;
        let _ = fs::write(base.join("memory.use_hierarchy"), "1");
        usable(Hierarchy { base, version: Version::V1 })
    })
}

fn v2(controller: &str, own: &str, mounts: &str, tag: &str) -> Option<Hierarchy> {
    let mount = mounts.lines().find_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (at, kind) = (words.next()?, words.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(at))
    })?;
    let inside = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    let nested = mount.join(inside.trim_start_matches('/'));
    [nested, mount].into_iter().find_map(|parent| {
        sweep(&parent);
        let enable = |at: &Path| {
            let switch = at.join("cgroup.subtree_control");
            let _ = fs::write(&switch, format!("+{controller}"));
            fs::read_to_string(&switch).is_ok_and(|on| on.split_whitespace().any(|c| c == controller))
        };
        if !enable(&parent) {
            return None;
        }
        let base = parent.join(tag);
        fs::create_dir(&base).ok().or_else(|| base.is_dir().then_some(()))?;
        if !enable(&base) {
            remove_dir(&base);
            return None;
        }
        usable(Hierarchy { base, version: Version::V2 })
    })
}

/// Writing a limit into a fresh group is the only test that tells the truth.
fn usable(hierarchy: Hierarchy) -> Option<Hierarchy> {
    let probe = hierarchy.base.join("probe");
    let _ = fs::create_dir(&probe);
    let works = fs::OpenOptions::new().write(true).open(probe.join("cgroup.procs")).is_ok();
    remove_dir(&probe);
    if !works {
        remove_dir(&hierarchy.base);
        return None;
    }
    Some(hierarchy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_exact_name() {
        let stat = "rss 1\nrss_huge 5\ntotal_rss 4096\ntotal_rss_huge 9\n";
        assert_eq!(field(stat, "total_rss "), Some(4096));
        assert_eq!(field("low 0\noom 3\noom_kill 2\n", "oom_kill "), Some(2));
        assert_eq!(field("", "anon "), None);
    }
}

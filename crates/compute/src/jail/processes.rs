//! Counting and ending processes where there is neither a pid namespace nor a cgroup to do it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, Uid, setresuid};

use super::sys::{self, Forked};

/// Parents of all visible processes.
pub(crate) struct Table {
    children: BTreeMap<i32, Vec<i32>>,
}

impl Table {
    pub(crate) fn read() -> Self {
        let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
            // The name in parentheses may hold anything; the parent is the second word after its last one.
            let parent =
                stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
            if let Some(parent) = parent {
                children.entry(parent).or_default().push(pid);
            }
        }
        Self { children }
    }

    /// Everything below `pid`, without itself.
    pub(crate) fn below(&self, pid: i32) -> Vec<i32> {
        let mut found = Vec::new();
        let mut seen = BTreeSet::from([pid]);
        let mut open = vec![pid];
        while let Some(next) = open.pop() {
            for &child in self.children.get(&next).into_iter().flatten() {
                // Numbers may have been used again while we read; never go in circles.
                if seen.insert(child) {
                    found.push(child);
                    open.push(child);
                }
            }
        }
        found
    }

    /// Anonymous memory of `pid` and everything below it, in bytes.
    pub(crate) fn memory_from(&self, pid: i32) -> u64 {
        self.below(pid).into_iter().chain([pid]).filter_map(anonymous).sum()
    }
}

fn anonymous(pid: i32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
}

/// Ends everything below this process, which must be a child subreaper, and reaps it.
///
/// First all are stopped, round after round, until nobody is left who could fork: the stopped still count against the
/// limit on processes, so a fork bomb runs out of room. Killing at once would make room for it instead.
pub(crate) fn end_all_below_self() {
    let own = std::process::id() as i32;
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        let mut stopped = BTreeSet::new();
        loop {
            let running: Vec<_> =
                Table::read().below(own).into_iter().filter(|pid| !stopped.contains(pid)).collect();
            if running.is_empty() || Instant::now() > deadline {
                break;
            }
            for pid in running {
                let _ = kill(Pid::from_raw(pid), Signal::SIGSTOP);
                stopped.insert(pid);
            }
        }
        for &pid in &stopped {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) | Err(nix::Error::EINTR) => break,
                Err(_) => return,
                Ok(_) => {}
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Ends every process of an unprivileged user: one call that no fork can outrun. Only root may ask for it.
pub(crate) fn end_all_of(user: u32) {
    for _ in 0..100 {
        let Ok(forked) = sys::fork_into(0) else { return };
        match forked {
            Forked::Child => {
                let id = Uid::from_raw(user);
                let ended = setresuid(id, id, id).is_ok() && kill(Pid::from_raw(-1), Signal::SIGKILL).is_ok();
                // "No such process": nobody is left.
                sys::exit(i32::from(!ended))
            }
            Forked::Parent(pid) => match waitpid(Pid::from_raw(pid), None) {
                Ok(WaitStatus::Exited(_, 0)) => {}
                _ => return,
            },
        }
    }
}

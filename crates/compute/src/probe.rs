//! What this machine lets us use, in words, for `cloudlet doctor` and the start-up line.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::libc;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::CHILD_ARGUMENT;
use crate::jail::cgroup::Cgroups;
use crate::jail::sys::{self, Forked};
use crate::jail::{Level, seccomp};
use crate::runtimes::{java, node, python, ruby};
use crate::warden::setup;

/// One protection or tool, and whether it is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capability {
    /// Such as `pid namespace`.
    pub name: String,
    /// Whether it can be used here.
    pub available: bool,
    /// What it gives, or why it is missing and how to get it.
    pub detail: String,
}

impl Capability {
    fn new(name: &str, available: bool, yes: &str, no: &str) -> Self {
        Self { name: name.to_owned(), available, detail: if available { yes } else { no }.to_owned() }
    }
}

/// What this machine lets us use. Each thing is tried, in a process of its own: `child` is the program that calls
/// [`child_main`](crate::child_main), normally `/proc/self/exe`. Takes some tens of milliseconds; blocks.
pub fn probe(child: &Path) -> Vec<Capability> {
    let output = Command::new(child)
        .args([CHILD_ARGUMENT, "probe"])
        .env_clear()
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .map_err(|error| error.to_string());
    let walls =
        output.and_then(|output| serde_json::from_slice(&output.stdout).map_err(|error| error.to_string()));
    let mut found: Vec<Capability> = walls.unwrap_or_else(|error| {
        let detail = format!("cannot be found out: {} did not answer ({error})", child.display());
        vec![Capability { name: "sandboxes".to_owned(), available: false, detail }]
    });
    found.push(interpreters());
    found.push(installed("node", "Node.js", node::installed().map(|i| (i.version, i.executable))));
    found
}

/// The languages that fewer functions are written in, for `cloudlet doctor`. Blocks; each interpreter is asked.
pub fn probe_languages() -> Vec<Capability> {
    vec![
        installed("java", "Java", java::installed().map(|j| (j.version, j.home))),
        installed("ruby", "Ruby", ruby::installed().map(|i| (i.version, i.executable))),
    ]
}

/// Interpreters of a language, by version.
fn installed(
    name: &str,
    language: &str,
    found: impl Iterator<Item = (String, std::path::PathBuf)>,
) -> Capability {
    let found: BTreeMap<_, _> = found.collect();
    let list: Vec<_> = found.iter().map(|(version, at)| format!("{version} ({})", at.display())).collect();
    let missing =
        format!("no {language} was found; install one, or name it in the configuration under [runtimes]");
    Capability::new(name, !list.is_empty(), &list.join(", "), &missing)
}

fn interpreters() -> Capability {
    let mut found = BTreeMap::new();
    for path in python::candidates() {
        if let Some(interpreter) = python::ask(&path) {
            found.entry(interpreter.minor).or_insert(interpreter);
        }
    }
    let list: Vec<_> =
        found.values().map(|i| format!("{} ({})", i.version, i.executable.display())).collect();
    Capability::new(
        "python",
        !list.is_empty(),
        &list.join(", "),
        "no Python 3 was found; install one, or name it in the configuration under [runtimes]",
    )
}

/// Lets this process open as many files as it may: every sandbox takes some, and so does every connection. To be called
/// when the program starts. Gives how many that is.
pub fn raise_file_limit() -> u64 {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    /// More than any use, and not so many that those who walk over all numbers take long.
    const ENOUGH: u64 = 1 << 20;
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 0 };
    let wanted = hard.min(ENOUGH).max(soft);
    if setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).is_ok() { wanted } else { soft }
}

/// `__compute probe`: tries everything and prints it as JSON. Single-threaded.
pub(crate) fn main() -> ! {
    let found = tried();
    let _ = serde_json::to_writer(std::io::stdout(), &found);
    std::process::exit(0)
}

fn tried() -> Vec<Capability> {
    let root = nix::unistd::geteuid().is_root();
    let base = if root { 0 } else { libc::CLONE_NEWUSER };
    let hint = "not allowed here; allow unprivileged user namespaces (kernel.unprivileged_userns_clone=1, \
                kernel.apparmor_restrict_unprivileged_userns=0), or give the container CAP_SYS_ADMIN";
    let mut found = Vec::new();
    for (name, flag, gives) in [
        ("user namespace", libc::CLONE_NEWUSER, "no id of the host has a name in a sandbox"),
        ("mount namespace", libc::CLONE_NEWNS | base, "a function sees its own files only"),
        ("pid namespace", libc::CLONE_NEWPID | base, "a function sees its own processes only"),
        ("network namespace", libc::CLONE_NEWNET | base, "a function reaches the cloud only"),
        ("ipc namespace", libc::CLONE_NEWIPC | base, "shared memory and queues are a function's own"),
        ("uts namespace", libc::CLONE_NEWUTS | base, "the host's name is not told"),
    ] {
        found.push(Capability::new(name, in_child(flag, || true), gives, hint));
    }
    let filters = seccomp::compile(&[]).unwrap_or_default();
    let filtered = !filters.is_empty()
        && in_child(0, || {
            sys::prctl(libc::PR_SET_NO_NEW_PRIVS, 1).is_ok()
                && filters.iter().all(|filter| seccompiler::apply_filter(filter).is_ok())
        });
    let kernel = "the kernel's administration is out of reach";
    found.push(Capability::new("seccomp", filtered, kernel, "this kernel has no CONFIG_SECCOMP_FILTER"));

    let cgroups = Cgroups::find(&format!("cloudlet-{}", std::process::id()));
    let missing = "no writable cgroup; run as root, or under `systemd-run --user --scope -p Delegate=yes`";
    let limits = [
        ("memory limit", cgroups.limits_memory(), "held by the kernel", "watched every 50 ms instead"),
        ("process limit", cgroups.limits_pids(), "held by the kernel", "by rlimit instead"),
    ];
    for (name, available, yes, otherwise) in limits {
        found.push(Capability::new(name, available, yes, &format!("{otherwise}: {missing}")));
    }
    found.push(Capability::new(
        "processor shares",
        cgroups.weighs_processors(),
        "by MemorySize: 1,769 MB buy one processor, held by the kernel",
        &format!("a busy function slows others down: {missing}"),
    ));
    cgroups.remove();

    let ids = (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw());
    let level = setup::choose_level(ids, &mut Vec::new());
    let words = match level {
        Level::Root => "namespaces, each sandbox an unprivileged user of its own",
        Level::User => "namespaces below a user namespace of this user",
        Level::Plain => "plain processes: functions can read what this user can read. ",
    };
    found.push(Capability::new("sandboxes", level != Level::Plain, words, &format!("{words}{hint}")));
    let attach = level != Level::Plain && setup::can_attach(&std::env::temp_dir());
    let ahead = "interpreters are started ahead of their code and share memory";
    found.push(Capability::new("fast cold starts", attach, ahead, "needs namespaces and Linux 5.12"));
    found
}

/// Whether `works` holds in a child in new namespaces.
fn in_child(namespaces: libc::c_int, works: impl FnOnce() -> bool) -> bool {
    match sys::fork_into(namespaces) {
        Ok(Forked::Child) => sys::exit(i32::from(!works())),
        Ok(Forked::Parent(pid)) => matches!(waitpid(Pid::from_raw(pid), None), Ok(WaitStatus::Exited(_, 0))),
        Err(_) => false,
    }
}

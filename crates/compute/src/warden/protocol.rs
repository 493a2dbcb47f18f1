//! What the cloud, the warden and a sandbox's init say to each other.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One sandbox, for the life of the warden.
pub(crate) type SandboxId = u64;

/// The cloud to the warden.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToWarden {
    /// Build a sandbox. Descriptors: the function's standard output and, with `channel`, its line to the cloud.
    Spawn(Box<Spawn>),
    /// Give it its code.
    Assign(Box<Assign>),
    /// Its handler is loaded: from now on it has its share of the processors.
    Loaded { id: SandboxId },
    /// Connect to a port of the sandbox's own network.
    Connect { id: SandboxId, port: u16 },
    /// End it, with everything in it.
    Kill { id: SandboxId },
    /// Add up memory of this sandbox now and then, and end it when it passes its `MemorySize`.
    Watch { id: SandboxId, on: bool },
}

/// The warden to the cloud.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromWarden {
    /// The sandbox stands and waits for code. Descriptors: its listeners, in the order of `Spawn::listen`.
    Up { id: SandboxId, main: Option<i32> },
    /// Its code is in place, its privileges are gone.
    Attached { id: SandboxId },
    /// It could not be built; nothing of it is left.
    Failed { id: SandboxId, error: String },
    /// What [`ToWarden::Connect`] asked for. Descriptor: the connection, if somebody listens there.
    Connected { id: SandboxId, port: u16 },
    /// The process of an extension has ended.
    Extension { id: SandboxId, name: String, status: Status },
    /// It is over.
    Exited { id: SandboxId, exit: Exit },
}

/// How a sandbox ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Exit {
    /// How its main process ended; `None` when the whole sandbox was killed.
    pub(crate) status: Option<Status>,
    /// For want of memory.
    pub(crate) oom: bool,
    /// The most memory seen, in KiB; 0 when nothing was measured.
    pub(crate) peak_kb: u64,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Status {
    /// It left with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

/// How to build a sandbox.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Spawn {
    pub(crate) id: SandboxId,
    /// Share the host's network.
    pub(crate) host_network: bool,
    /// Ports on the sandbox's own 127.0.0.1 to listen on; the listeners go to the cloud.
    pub(crate) listen: Vec<u16>,
    /// Folders of the host to show read-only, at (inside) from (outside).
    pub(crate) shown: Vec<(PathBuf, PathBuf)>,
    /// Start this program at once, to wait for code. Without it the program comes with `Assign`.
    pub(crate) program: Option<Program>,
    /// Rather than starting `program`, have this one, which waits for such orders, fork into the sandbox.
    pub(crate) zygote: Option<Program>,
    /// A second descriptor came along: the program's number 3.
    pub(crate) channel: bool,
    /// A container image's root, instead of the host's programs.
    pub(crate) root: Option<PathBuf>,
    /// Scratch folder of this sandbox on the host.
    pub(crate) scratch: PathBuf,
}

/// A program to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Program {
    pub(crate) argv: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    /// Where it starts; /var/task without.
    #[serde(default)]
    pub(crate) directory: Option<String>,
}

/// The code and limits of the function that a sandbox becomes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Assign {
    pub(crate) id: SandboxId,
    /// /var/task, unless it is an image's own.
    pub(crate) task: Option<PathBuf>,
    /// /opt
    pub(crate) opt: Option<PathBuf>,
    pub(crate) memory_mb: u32,
    pub(crate) ephemeral_mb: u32,
    /// Where no control group limits memory, a limit on address space is a backstop.
    pub(crate) limit_address_space: bool,
    pub(crate) program: Option<Program>,
    /// Extensions by name. With any, a descriptor came along: their standard output.
    pub(crate) extensions: Vec<(String, Program)>,
}

/// The warden to a sandbox's init.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToInit {
    /// Put these trees (descriptors: /var/task, then /opt if any) in place and give up all rights. With extensions, more
    /// descriptors follow: their output, and the doors of the sandbox's control groups if init is not in them itself.
    Assign {
        trees: usize,
        extensions: Vec<(String, Program)>,
        ephemeral_mb: u32,
        memory_mb: u32,
        limit_address_space: bool,
        /// Without the new mount interface: bind these paths instead.
        paths: Option<(PathBuf, Option<PathBuf>)>,
        program: Option<Program>,
    },
    /// Connect to this port of 127.0.0.1.
    Connect { port: u16 },
}

/// A sandbox's init to the warden.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromInit {
    /// Descriptors: the listeners.
    Up,
    Attached,
    Failed {
        error: String,
    },
    /// Descriptor: the connection, if there is one.
    Connected {
        port: u16,
    },
    Extension {
        name: String,
        status: Status,
    },
    Exited {
        status: Status,
    },
}

/// The warden to a zygote: its first message.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ZygoteSetup {
    /// seccomp programs, in hex.
    pub(crate) filters: Vec<String>,
}

/// The warden to a zygote: fork into a sandbox. Descriptors: its init, its output, its channel, and the doors of its
/// control groups.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ForkInto {
    pub(crate) id: SandboxId,
    /// The host's id to become, where we are root.
    pub(crate) user: Option<u32>,
    /// `CLONE_NEW*` flags of what is to be entered besides the pid namespace.
    pub(crate) namespaces: i32,
    pub(crate) count_processes: bool,
    /// So many of the groups must be entered; the others may be.
    pub(crate) required_groups: usize,
}

/// A zygote to the warden.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromZygote {
    Ready,
    Forked { id: SandboxId, pid: i32 },
    Failed { id: SandboxId, error: String },
    Ended { pid: i32, status: Status },
}

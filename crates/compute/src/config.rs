//! How the machine is configured: once, by the program.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Everything [`Compute`](crate::Compute) needs to know. Start from [`Config::new`].
#[derive(Clone)]
pub struct Config {
    /// Scratch space and the cache of unpacked code. Owned by this crate alone; made if missing.
    pub state_dir: PathBuf,
    /// Where language SDKs (boto3) are installed once per version, shared by all data directories.
    /// Default: `cloudlet/sdk` in the user's cache folder.
    pub sdk_dir: PathBuf,
    /// The program that is run again as a sandbox child. It must call [`child_main`](crate::child_main)
    /// first thing when `argv[1]` is `__compute`. Default: the running executable.
    pub child: PathBuf,
    /// Where a sandbox's calls to the cloud go.
    pub edge: EdgeRoute,
    /// The port that functions find the cloud on: `AWS_ENDPOINT_URL=http://127.0.0.1:<port>`.
    pub endpoint_port: u16,
    /// What a function may reach over the network.
    pub network: Network,
    /// How hard to isolate.
    pub isolation: Isolation,
    /// Interpreters by runtime name, before any search: `"python3.12" -> "/opt/py312/bin/python3"`.
    pub interpreters: BTreeMap<String, PathBuf>,
    /// Give functions boto3 as on AWS (installed by pip on first use).
    pub sdk: bool,
    /// The most sandboxes that exist at any time, busy and idle together.
    pub max_concurrency: usize,
    /// The most invocations that wait for a sandbox before [`ComputeError::AtCapacity`](crate::ComputeError).
    pub max_waiting: usize,
    /// Pre-started interpreters kept ready per runtime in use. None before a runtime's first function.
    pub pool_size: usize,
    /// An idle sandbox lives this long.
    pub idle_timeout: Duration,
    /// Idle sandboxes together may be sized for this much memory (sum of `memory_mb`) before the oldest go.
    pub idle_memory_mb: u64,
    /// Output accepted of one invocation; what is beyond is dropped, with a notice in the log.
    pub max_log_bytes: u64,
    /// Slow one-time work reports here (installing boto3). Default: nobody listens.
    pub progress: Arc<dyn Fn(Progress) + Send + Sync>,
}

impl Config {
    /// The defaults for a cloud that listens on `edge` and keeps its compute state in `state_dir`.
    pub fn new(state_dir: impl Into<PathBuf>, edge: EdgeRoute) -> Self {
        Self {
            state_dir: state_dir.into(),
            sdk_dir: default_sdk_dir(),
            child: PathBuf::from("/proc/self/exe"),
            edge,
            endpoint_port: 4566,
            network: Network::Cloud,
            isolation: Isolation::Auto,
            interpreters: BTreeMap::new(),
            sdk: true,
            max_concurrency: memory_for_sandboxes().clamp(32, 1000),
            max_waiting: 10_000,
            pool_size: 2,
            idle_timeout: Duration::from_secs(300),
            idle_memory_mb: 4096,
            max_log_bytes: 16 << 20,
            progress: Arc::new(|_| {}),
        }
    }
}

/// How many sandboxes this machine's memory holds. An interpreter at work takes some tens of megabytes.
fn memory_for_sandboxes() -> usize {
    const EACH_KB: usize = 64 << 10;
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let available = info.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kb = available.and_then(|text| text.trim().trim_end_matches(" kB").parse::<usize>().ok());
    kb.unwrap_or(0) / EACH_KB
}

fn default_sdk_dir() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|p| p.is_absolute())
        .or_else(|| std::env::var_os("HOME").map(|h| PathBuf::from(h).join(".cache")))
        .unwrap_or_else(std::env::temp_dir);
    cache.join("cloudlet").join("sdk")
}

/// How bytes that a function sends to `127.0.0.1:<endpoint_port>` reach the cloud.
#[derive(Clone)]
pub enum EdgeRoute {
    /// There is no cloud to reach (tests, tools).
    None,
    /// Copy to this address, where the edge listens.
    Address(SocketAddr),
    /// Hand the accepted connection straight to the edge: no copy, no second socket.
    Accept(Arc<dyn Fn(tokio::net::TcpStream) + Send + Sync>),
}

/// What a function may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// The cloud's own port and nothing else. The default.
    Cloud,
    /// Everything the host reaches.
    Host,
}

/// How hard to isolate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Everything that this machine lets us use; [`probe`](crate::probe) says what is missing.
    Auto,
    /// Plain child processes with resource limits and a private temporary folder, even where more is possible.
    Plain,
}

/// A step of slow one-time work, for the eyes of the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being made ready, such as `boto3 for python3.12`.
    pub what: String,
    /// The step in words.
    pub step: String,
    /// The last step of this work.
    pub done: bool,
}

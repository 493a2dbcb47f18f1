//! Runs other people's code: sandboxes, limits, warm pools, logs, and the public Lambda Runtime API.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use cloudlet_compute::*;
//! # async fn example(spec: Arc<FunctionSpec>) -> Result<(), ComputeError> {
//! let config = Config::new("/var/lib/cloudlet/compute", EdgeRoute::Address(([127, 0, 0, 1], 4566).into()));
//! let compute = Compute::new(config, Arc::new(NoLogs))?;
//! let call = Invocation::new("8f5a…", spec.arn.clone(), &b"{}"[..]);
//! let answer = compute.invoke(spec, call).await?;
//! # Ok(()) }
//! ```
//!
//! # Map
//!
//! - [`Compute`] (`compute.rs`) is the handle; `pool.rs` decides who runs where; `machine.rs` makes sandboxes;
//!   `sandbox.rs` is one of them and runs its calls.
//! - `warden/` is the one process that forks: the same executable, run again (see [`child_main`]).
//! - `jail/` holds the walls, each in a short file: namespaces and files, ids and capabilities, seccomp, cgroups.
//! - `runtimes/` knows interpreters and SDKs; `frames.rs` is the fast line to our own bootstraps, `runtime_api.rs`
//!   the public one for everybody else's.
//! - `extensions/` tells the programs beside a runtime about its life, and what it says.
//! - `image/` unpacks container images, which become a sandbox's root.
//! - `capture.rs`, `output.rs`, `report.rs` make CloudWatch Logs events out of what a function prints.
//!
//! # What holds
//!
//! - A sandbox serves one function version; its processes, files and memory are gone when it ends.
//! - Nothing of the user's runs before the sandbox's rights are gone.
//! - Whatever a function does, the cloud's memory for it is bounded: lines, answers and frames have limits.
//! - When the cloud dies, by whatever signal, every sandbox dies with it.

mod archive;
mod cache;
mod capture;
mod child;
mod compute;
mod config;
mod edge;
mod error;
mod extensions;
mod frames;
mod function;
mod home;
mod image;
mod jail;
mod logs;
mod machine;
mod output;
mod pool;
mod probe;
mod report;
mod runtime_api;
mod runtimes;
mod sandbox;
mod warden;

pub use archive::{UnpackLimits, Unpacked, unpack_zip};
pub use child::{CHILD_ARGUMENT, child_main};
pub use compute::{Compute, Usage};
pub use config::{Config, EdgeRoute, Isolation, Network, Progress};
pub use error::{ArchiveError, ComputeError};
pub use function::{
    BoxFuture, CodeRef, Credentials, CredentialsProvider, FunctionError, FunctionSpec, ImageSpec, Invocation,
    InvokeResult, LogFormat, Phases, StreamPart,
};
pub use image::{ImageError, ImageLimits, image_digest};
pub use logs::{LogLine, LogSink, LogStream, MAX_EVENT_BYTES, NoLogs};
pub use probe::{Capability, probe, probe_languages, raise_file_limit};

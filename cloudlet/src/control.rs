//! The owner's commands to a running cloud: a line of JSON on a Unix socket that only the owner can open.

use crate::instance::{Instance, Target, alive, socket};
use crate::workbench::Bench;
use crate::{Failure, style};
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// What an owner may ask of a running cloud.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub(crate) enum Ask {
    /// What it holds and does.
    Status,
    /// Delete everything.
    Reset,
    /// Copy the state into this directory.
    Save { dir: String },
    /// Replace the state by the copy in this directory.
    Load { dir: String },
    /// Why a request was refused; without an id, the latest refusals.
    WhyDenied { request: Option<String> },
    /// The least policy that covers what a role or user did since then, in milliseconds since the epoch.
    LeastPolicy { account: String, name: String, since: i64 },
    /// Check a batch of stored objects against their checksums, the one after `after`.
    Verify { after: Option<String> },
    /// The events of a log group, oldest first.
    Logs { account: String, region: String, group: String, since: i64, token: Option<String> },
    /// The invocations of a function that ended after this time.
    Traces { account: String, region: String, function: String, after: i64 },
    /// Run a folder as a function for as long as this connection lasts.
    Run { bench: Bench },
    /// The folder that runs has changed.
    Reload,
    /// Call the function that runs.
    Invoke { payload: String },
}

/// What it answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub(crate) enum Answer {
    /// It is done.
    Done,
    /// It could not be done.
    Failed { why: String },
    /// Name and value, to be shown.
    Status { rows: Vec<(String, String)> },
    /// A text to be shown.
    Text { text: String },
    /// What checking a batch found: how many objects, how many bytes, how many that only their customer could check,
    /// what is damaged and why, where to go on.
    Verified { checked: u64, bytes: u64, sealed: u64, damaged: Vec<(String, String)>, next: Option<String> },
    /// Log events as (milliseconds since the epoch, message) and where to go on.
    Logs { events: Vec<(i64, String)>, next: Option<String> },
    /// When invocations ended, and a line about each.
    Traces { lines: Vec<(i64, String)> },
    /// The function that runs, and its address.
    Running { arn: String, url: String },
    /// What it answered.
    Invoked { failed: bool, payload: String },
}

/// A line to a running cloud, on which one question follows another.
pub(crate) struct Line(BufReader<UnixStream>);

impl Line {
    pub(crate) fn open(instance: &Instance) -> Result<Self, Failure> {
        let stream = UnixStream::connect(socket(instance.port))
            .map_err(|e| format!("the cloud on port {} does not listen to commands ({e})", instance.port))?;
        Ok(Self(BufReader::new(stream)))
    }

    pub(crate) fn ask(&mut self, ask: &Ask) -> Result<Answer, Failure> {
        writeln!(self.0.get_mut(), "{}", serde_json::to_string(ask)?)?;
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Err("the cloud has ended".into());
        }
        match serde_json::from_str(&line)? {
            Answer::Failed { why } => Err(why.into()),
            answer => Ok(answer),
        }
    }
}

/// Asks a running cloud one thing.
pub(crate) fn ask(instance: &Instance, ask: &Ask) -> Result<Answer, Failure> {
    Line::open(instance)?.ask(ask)
}

/// `cloudlet stop`: asks it to end and waits until it has.
pub(crate) fn stop(target: &Target) -> Result<ExitCode, Failure> {
    let instance = target.running()?;
    let pid = nix::unistd::Pid::from_raw(instance.pid);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
    let begun = Instant::now();
    while alive(instance.pid) {
        if begun.elapsed() > Duration::from_secs(60) {
            return Err(format!(
                "the cloud (process {}) has not ended after a minute; if it must, kill -9 {} loses nothing that was acknowledged",
                instance.pid, instance.pid
            )
            .into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    println!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// `cloudlet status`: exit code 1 where no cloud runs.
pub(crate) fn status(target: &Target) -> Result<ExitCode, Failure> {
    let instance = match target.running() {
        Ok(instance) => instance,
        Err(why) => {
            println!("{}", style::warning(&why.to_string()));
            return Ok(ExitCode::FAILURE);
        }
    };
    println!("{}", style::good(&format!("running on {}", instance.endpoint)));
    println!("{:<22}{}", "process", instance.pid);
    println!("{:<22}{}", "version", instance.version);
    println!("{:<22}{}", "state", instance.data);
    println!("{:<22}{}", "region", instance.region);
    if let Answer::Status { rows } = ask(&instance, &Ask::Status)? {
        for (name, value) in rows {
            println!("{name:<22}{value}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// `cloudlet reset`.
pub(crate) fn reset(target: &Target) -> Result<ExitCode, Failure> {
    ask(&target.running()?, &Ask::Reset)?;
    println!("everything is deleted");
    Ok(ExitCode::SUCCESS)
}

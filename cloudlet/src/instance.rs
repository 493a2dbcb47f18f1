//! What a running cloud says of itself, for the commands that mean it: a file a port, readable by its owner only.

use crate::{Failure, paths};
use serde::{Deserialize, Serialize};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;

/// A running cloud.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Instance {
    pub(crate) pid: i32,
    pub(crate) port: u16,
    /// The base URL, such as `http://localhost:4566`.
    pub(crate) endpoint: String,
    /// Where its state is.
    pub(crate) data: String,
    pub(crate) region: String,
    /// The keys to use.
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
    pub(crate) version: String,
    /// Seconds since the epoch.
    pub(crate) started: i64,
}

/// The cloud that a command means.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) port: u16,
}

impl Target {
    pub(crate) fn at(port: u16) -> Result<Self, Failure> {
        Ok(Self { port })
    }

    /// The running cloud. Errors: none runs there.
    pub(crate) fn running(&self) -> Result<Instance, Failure> {
        let none = || {
            let others: Vec<String> = all().iter().map(|i| i.port.to_string()).collect();
            let hint = match others.as_slice() {
                [] => "start one with: cloudlet start".to_owned(),
                ports => format!("clouds run on port {}; name one with --port", ports.join(", ")),
            };
            format!("no cloud of yours runs on port {}; {hint}", self.port)
        };
        let text = std::fs::read_to_string(file(self.port)).map_err(|_| none())?;
        let instance: Instance = serde_json::from_str(&text)?;
        if alive(instance.pid) { Ok(instance) } else { Err(none().into()) }
    }
}

fn file(port: u16) -> PathBuf {
    paths::runtime().join(format!("{port}.json"))
}

/// The socket on which a running cloud takes its owner's commands.
pub(crate) fn socket(port: u16) -> PathBuf {
    paths::runtime().join(format!("{port}.sock"))
}

/// Whether a process lives.
pub(crate) fn alive(pid: i32) -> bool {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None).is_ok()
}

/// All clouds of this user that run.
pub(crate) fn all() -> Vec<Instance> {
    let entries = std::fs::read_dir(paths::runtime()).into_iter().flatten().flatten();
    let jsons = entries.filter(|e| e.path().extension().is_some_and(|x| x == "json"));
    let read = jsons.filter_map(|e| serde_json::from_str(&std::fs::read_to_string(e.path()).ok()?).ok());
    read.filter(|i: &Instance| alive(i.pid)).collect()
}

/// Makes the folder of running clouds, for this user alone.
pub(crate) fn prepare() -> Result<(), Failure> {
    let dir = paths::runtime();
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(|e| {
        format!("cannot make {}: {e}; set XDG_RUNTIME_DIR to a folder of yours", dir.display())
    })?;
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700)).map_err(|e| {
        format!("{} is not yours ({e}); set XDG_RUNTIME_DIR to a folder of yours", dir.display()).into()
    })
}

/// Says that a cloud runs; the file goes with the returned guard.
pub(crate) fn announce(instance: &Instance) -> Result<Announced, Failure> {
    use std::io::Write;
    let path = file(instance.port);
    let _ = std::fs::remove_file(&path);
    let mut out = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    out.write_all(serde_json::to_string_pretty(instance)?.as_bytes())?;
    Ok(Announced(path))
}

/// Removes the announcement when the cloud ends.
pub(crate) struct Announced(PathBuf);

impl Drop for Announced {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Prints shell commands that point AWS tools at the cloud, which need not run yet.
pub(crate) fn print_env(target: &Target) {
    let running = target.running().ok();
    let (endpoint, region, key, secret) = match &running {
        Some(i) => {
            (i.endpoint.clone(), i.region.clone(), i.access_key_id.clone(), i.secret_access_key.clone())
        }
        None => {
            (format!("http://localhost:{}", target.port), "us-east-1".into(), "test".into(), "test".into())
        }
    };
    for (name, value) in [
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ACCESS_KEY_ID", key),
        ("AWS_SECRET_ACCESS_KEY", secret),
        ("AWS_DEFAULT_REGION", region.clone()),
        ("AWS_REGION", region),
    ] {
        println!("export {name}={value}");
    }
    println!("unset AWS_PROFILE AWS_SESSION_TOKEN");
    if running.is_none() {
        eprintln!("# no cloud runs on port {} yet: cloudlet start", target.port);
    }
}

//! `cloudlet start --detach`: the same program again, in the background, and back when it answers.

use crate::config::{Config, Place};
use crate::instance::Target;
use crate::{Failure, paths};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

pub(crate) fn run(config: &Config) -> Result<ExitCode, Failure> {
    if config.port == 0 {
        return Err("--detach needs a port by which to find the cloud again; name one with --port".into());
    }
    let target = Target::at(config.port)?;
    if let Ok(instance) = target.running() {
        return Err(format!(
            "a cloud of yours (process {}) runs on port {}; stop it with: cloudlet stop",
            instance.pid, config.port
        )
        .into());
    }
    std::fs::create_dir_all(paths::cache())?;
    let log = paths::cache().join(format!("cloudlet-{}.log", config.port));
    let out = std::fs::File::create(&log)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(std::env::args_os().skip(1).filter(|a| !a.to_string_lossy().starts_with("--detach")));
    command.env("CLOUDLET_DETACH", "false");
    if matches!(config.place, Place::Ephemeral) {
        command.env("CLOUDLET_EPHEMERAL", "true");
    }
    // A group of its own: the terminal's Ctrl-C is not meant for it.
    let mut child =
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).process_group(0).spawn()?;
    let begun = Instant::now();
    loop {
        if let Ok(instance) = target.running() {
            println!(
                "running on {} (process {}); stop it with: cloudlet stop",
                instance.endpoint, instance.pid
            );
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(status) = child.try_wait()? {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            return Err(format!("the cloud ended at once ({status}): {}", text.trim()).into());
        }
        if begun.elapsed() > Duration::from_secs(30) {
            return Err(format!(
                "the cloud has not answered within 30 seconds; its log is {}",
                log.display()
            )
            .into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

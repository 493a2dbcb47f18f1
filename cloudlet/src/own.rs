//! A cloud that a command starts for itself.

use crate::Failure;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A cloud that this command started.
pub(crate) struct OwnCloud {
    child: Option<Child>,
    pub(crate) endpoint: String,
    pub(crate) port: u16,
}

impl OwnCloud {
    /// Starts one on a free port and waits until it says that it is ready.
    pub(crate) fn start() -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["start", "--ephemeral", "--listen", "127.0.0.1", "--port", "0"]);
        for name in ["CLOUDLET_DATA", "CLOUDLET_DETACH", "CLOUDLET_SERVICES", "SERVICES"] {
            command.env_remove(name);
        }
        // A group of its own, so that a kept cloud outlives the terminal's Ctrl-C.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().ok_or("the cloud has no output")?;
        let pid = i32::try_from(child.id())?;
        let mut lines = BufReader::new(stdout).lines();
        let ready = lines.by_ref().map_while(Result::ok).any(|line| line.contains("Ready."));
        // Further output must go somewhere for as long as the cloud runs.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        let mine = crate::instance::all().into_iter().find(|i| i.pid == pid);
        match mine {
            Some(i) if ready => Ok(Self { child: Some(child), endpoint: i.endpoint, port: i.port }),
            _ => {
                let _ = child.kill();
                Err("the command's own cloud did not start; cloudlet doctor may say why".into())
            }
        }
    }

    pub(crate) fn keep(mut self) {
        self.child = None;
    }

    pub(crate) fn end(&mut self) {
        if let Some(mut child) = self.child.take() {
            let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap_or(0));
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
            let _ = child.wait();
        }
    }
}

impl Drop for OwnCloud {
    fn drop(&mut self) {
        self.end();
    }
}

//! `cloudlet doctor`: what works on this machine, what is missing, what to do about it.

use crate::config::{Config, Place};
use crate::{Failure, style};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, ExitCode};

/// Checks this machine. Exit code 1 where the cloud would not start.
pub(crate) fn run(config: Config) -> Result<ExitCode, Failure> {
    let mut fatal = false;
    let address = SocketAddr::new(config.listen, config.port);
    match TcpListener::bind(address) {
        Ok(_) => good(&format!("port {}", config.port), "is free"),
        Err(_) => {
            let holder = holder(config.port);
            let mine = crate::instance::all().iter().any(|i| i.port == config.port);
            if mine {
                good(&format!("port {}", config.port), "is a running cloud of yours");
            } else {
                fatal = true;
                bad(
                    &format!("port {}", config.port),
                    &format!("is taken{holder}; choose another with --port"),
                );
            }
        }
    }
    match &config.place {
        Place::Ephemeral => good("state", "is kept in a temporary folder and forgotten at the end"),
        Place::Data(dir) => match writable(dir) {
            Ok(()) => good("state", &format!("{} can be written", dir.display())),
            Err(why) => {
                fatal = true;
                bad(
                    "state",
                    &format!("{} cannot be written ({why}); choose another with --data", dir.display()),
                );
            }
        },
    }
    for capability in capabilities().into_iter().chain(cloudlet_compute::probe_languages()) {
        if capability.available {
            good(&capability.name, &capability.detail);
        } else {
            missing(&capability.name, &capability.detail);
        }
    }
    for tool in ["aws", "cdk", "sam", "terraform"] {
        let version = Command::new(tool).arg("--version").output();
        match version {
            Ok(out) if out.status.success() => {
                let text = String::from_utf8_lossy(&out.stdout).lines().next().unwrap_or_default().to_owned();
                good(tool, &text);
            }
            _ => println!("  {:<26}not installed (not needed by the cloud itself)", tool),
        }
    }
    Ok(if fatal { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What sandboxes can use here; see [`cloudlet_compute::probe`].
pub(crate) fn capabilities() -> Vec<cloudlet_compute::Capability> {
    cloudlet_compute::probe(std::path::Path::new("/proc/self/exe"))
}

fn good(name: &str, detail: &str) {
    println!("{} {name:<26}{detail}", style::good("✓"));
}

fn missing(name: &str, detail: &str) {
    println!("{} {name:<26}{detail}", style::warning("!"));
}

fn bad(name: &str, detail: &str) {
    println!("{} {name:<26}{detail}", style::error("✗"));
}

fn writable(dir: &std::path::Path) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    let probe = dir.join(format!(".writable-{}", std::process::id()));
    std::fs::write(&probe, b"")?;
    std::fs::remove_file(probe)
}

/// Who listens on a port of this machine, as ` by NAME (process N)`, where it can be seen.
pub(crate) fn holder(port: u16) -> String {
    fn find(port: u16) -> Option<String> {
        let wanted = format!(":{port:04X}");
        let tables =
            ["/proc/net/tcp", "/proc/net/tcp6"].map(|t| std::fs::read_to_string(t).unwrap_or_default());
        let rows = tables.iter().flat_map(|t| t.lines()).map(|l| l.split_whitespace().collect::<Vec<_>>());
        // Columns: number, local address, remote address, state (0A listens), …, inode tenth.
        let inode = rows
            .into_iter()
            .find(|c| c.len() > 9 && c[1].ends_with(&wanted) && c[3] == "0A")
            .map(|c| format!("socket:[{}]", c[9]))?;
        for process in std::fs::read_dir("/proc").ok()?.flatten() {
            // Beside numbers, /proc has `self` and others.
            if !process.file_name().to_string_lossy().bytes().all(|b| b.is_ascii_digit()) {
                continue;
            }
            let Ok(fds) = std::fs::read_dir(process.path().join("fd")) else { continue };
            let holds = |fd: std::fs::DirEntry| {
                std::fs::read_link(fd.path()).is_ok_and(|link| link.as_os_str() == inode.as_str())
            };
            if fds.flatten().any(holds) {
                let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
                return Some(format!(
                    " by {} (process {})",
                    name.trim(),
                    process.file_name().to_string_lossy()
                ));
            }
        }
        None
    }
    find(port).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_who_holds_a_port() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let holder = super::holder(port);
        assert!(holder.contains(&format!("process {}", std::process::id())), "{holder}");
    }
}

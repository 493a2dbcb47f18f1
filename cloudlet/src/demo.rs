//! `cloudlet demo`: the best-known example of serverless, for real. It starts a cloud of its own, makes the Python
//! environment it needs, and lets unmodified boto3 do the rest (`demo/demo.py`).

use crate::cli::DemoOptions;
use crate::{Failure, paths, style};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

const SCRIPT: &str = include_str!("../demo/demo.py");
const FUNCTION: &str = include_str!("../demo/thumbnail.py");

/// What the demo's own Python environment needs; the function's Pillow is packaged apart, the way a user would.
const PACKAGES: &[&str] = &["boto3", "pillow"];

pub(crate) fn run(options: &DemoOptions) -> Result<ExitCode, Failure> {
    println!("{}", style::strong("Cloudlet demo: photos in, thumbnails out"));
    let python = environment()?;
    let work = paths::cache().join("demo");
    std::fs::write(work.join("demo.py"), SCRIPT)?;
    std::fs::create_dir_all(work.join("function"))?;
    std::fs::write(work.join("function/thumbnail.py"), FUNCTION)?;
    let mut cloud = OwnCloud::start()?;
    println!("a cloud that forgets runs on {}", cloud.endpoint);
    let out = std::path::absolute(&options.out)?;
    let status = Command::new(&python)
        .arg(work.join("demo.py"))
        .arg("--endpoint")
        .arg(&cloud.endpoint)
        .arg("--work")
        .arg(&work)
        .arg("--out")
        .arg(&out)
        .arg("--photos")
        .arg(options.photos.to_string())
        .env_remove("AWS_PROFILE")
        .env_remove("AWS_SESSION_TOKEN")
        .env_remove("PYTHONPATH")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .status()?;
    if !status.success() {
        cloud.end();
        return Err("the demo did not come to its end; what it printed above says where".into());
    }
    if options.keep {
        println!("the cloud stays on {}; stop it with: cloudlet stop --port {}", cloud.endpoint, cloud.port);
        println!("point this shell at it with: eval \"$(cloudlet env --port {})\"", cloud.port);
        cloud.keep();
    } else {
        cloud.end();
    }
    Ok(ExitCode::SUCCESS)
}

/// A cloud that this command started.
struct OwnCloud {
    child: Option<Child>,
    endpoint: String,
    port: u16,
}

impl OwnCloud {
    /// Starts one on a free port and waits until it says that it is ready.
    fn start() -> Result<Self, Failure> {
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
        let ready = lines.by_ref().map_while(Result::ok).any(|line| line.contains("Ready in"));
        // Further output must go somewhere for as long as the cloud runs.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        let mine = crate::instance::all().into_iter().find(|i| i.pid == pid);
        match mine {
            Some(i) if ready => Ok(Self { child: Some(child), endpoint: i.endpoint, port: i.port }),
            _ => {
                let _ = child.kill();
                Err("the demo's cloud did not start; cloudlet doctor may say why".into())
            }
        }
    }

    fn keep(mut self) {
        self.child = None;
    }

    fn end(&mut self) {
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

/// The Python of the demo's own virtual environment, made on first use.
fn environment() -> Result<PathBuf, Failure> {
    let work = paths::cache().join("demo");
    let venv = work.join("venv");
    let python = venv.join("bin/python");
    let marker = venv.join("complete");
    if marker.exists() && works(&python) {
        return Ok(python);
    }
    std::fs::create_dir_all(&work)?;
    println!("making a Python environment in {} (once) …", venv.display());
    let made = Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv).status();
    if !made.is_ok_and(|s| s.success()) {
        return Err(
            "the demo needs python3 with its venv module; on Debian: apt-get install python3 python3-venv"
                .into(),
        );
    }
    println!("installing {} with pip …", PACKAGES.join(" and "));
    let status = Command::new(&python)
        .args(["-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off", "--quiet"])
        .args(PACKAGES)
        .status()?;
    if !status.success() {
        return Err(
            "pip could not install what the demo needs; is the Python package index reachable?".into()
        );
    }
    std::fs::write(marker, b"")?;
    Ok(python)
}

fn works(python: &Path) -> bool {
    let check = Command::new(python).args(["-c", "import boto3, PIL"]).stderr(Stdio::null()).status();
    check.is_ok_and(|s| s.success())
}

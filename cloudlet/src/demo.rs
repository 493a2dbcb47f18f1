//! `cloudlet demo`: the best-known example of serverless, for real. It starts a cloud of its own, makes the Python
//! environment it needs, and lets unmodified boto3 do the rest (`demo/demo.py`).

use crate::cli::DemoOptions;
use crate::own::OwnCloud;
use crate::{Failure, paths, style};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

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

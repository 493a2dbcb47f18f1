//! `cargo xtask test`: everything that must hold, in the order in which failures are cheapest to find.

use crate::{Outcome, root};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// A part of the tests: its name and its work.
type Part = (&'static str, fn() -> Outcome);

/// Runs all tests; `only` names parts to run instead.
pub(crate) fn run(only: &[String]) -> Outcome {
    let parts: &[Part] = &[
        ("lint", lint),
        ("clippy", clippy),
        ("unit", unit),
        ("build", build),
        ("acceptance", acceptance),
        ("roundtrip", || pytest("roundtrip")),
        ("fuzz", || crate::fuzz::run(&["--seconds".to_owned(), "2".to_owned()])),
    ];
    if let Some(unknown) = only.iter().find(|o| parts.iter().all(|(name, _)| name != o)) {
        let names: Vec<&str> = parts.iter().map(|(name, _)| *name).collect();
        return Err(format!("there is no part named {unknown}; the parts are {}", names.join(", ")).into());
    }
    let wanted = |name: &str| only.is_empty() || only.iter().any(|o| o == name);
    for (name, part) in parts.iter().filter(|(name, _)| wanted(name)) {
        println!("\n== {name}");
        let begun = Instant::now();
        part()?;
        println!("== {name}: {:.0} s", begun.elapsed().as_secs_f32());
    }
    Ok(())
}

fn lint() -> Outcome {
    cargo(&["fmt", "--all", "--check"])?;
    crate::deny::run()
}

fn clippy() -> Outcome {
    cargo(&["clippy", "--quiet", "--workspace", "--all-targets", "--", "--deny", "warnings"])
}

fn unit() -> Outcome {
    cargo(&["test", "--quiet", "--workspace"])
}

fn build() -> Outcome {
    cargo(&["build", "--quiet", "--release", "--workspace", "--bins"])
}

fn acceptance() -> Outcome {
    programs();
    made("s3fs-venv", "tests/requirements-s3fs.txt")?;
    pytest("acceptance")
}

/// Clients that the acceptance tests drive and the Python package index lacks: where Debian puts each, and its package.
const PROGRAMS: [(&str, &str); 2] = [("/usr/bin/aws", "awscli"), ("/usr/bin/rclone", "rclone")];

/// Installs the programs that are missing, where that may be done. Without them their tests are skipped and say so.
fn programs() {
    let missing: Vec<&str> =
        PROGRAMS.iter().filter(|(path, _)| !Path::new(path).exists()).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return;
    }
    println!("installing Debian's {} …", missing.join(" and "));
    if let Err(why) = debian(&missing) {
        println!("their tests will be skipped: {why}");
    }
}

/// Tests in Python: the real clients against the release binary, or botocore's own serializers against ours. One folder
/// at a time, because each has fixtures of its own.
fn pytest(folder: &str) -> Outcome {
    let python = environment()?;
    let workers = std::thread::available_parallelism().map_or(2, usize::from).to_string();
    run_in(&root().join("tests"), Command::new(python).args(["-m", "pytest", "-q", "-n", &workers, folder]))
}

/// A Python environment of the tests' own, renewed when their needs change.
pub(crate) fn environment() -> Result<PathBuf, Box<dyn std::error::Error>> {
    made("test-venv", "tests/requirements.txt")
}

/// A Python environment of this name with what a file of requirements names.
fn made(name: &str, requirements: &str) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let needs = root().join(requirements);
    let venv = target().join(name);
    let (python, marker) = (venv.join("bin/python"), venv.join("requirements.txt"));
    let wanted = std::fs::read(&needs)?;
    if std::fs::read(&marker).is_ok_and(|have| have == wanted) {
        return Ok(python);
    }
    println!("making a Python environment in {} …", venv.display());
    let made = Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv).status();
    if !made.is_ok_and(|s| s.success()) {
        println!("python3 lacks its venv module: installing Debian's python3-venv …");
        debian(&["python3", "python3-venv", "python3-pip"])?;
        run_in(&root(), Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    }
    println!("installing what {requirements} names with pip …");
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(&needs);
    run_in(&root(), &mut pip)?;
    std::fs::write(marker, wanted)?;
    Ok(python)
}

/// Installs Debian packages; needs root.
fn debian(packages: &[&str]) -> Outcome {
    run_in(&root(), Command::new("apt-get").args(["update", "-qq"]))?;
    run_in(
        &root(),
        Command::new("apt-get").args(["install", "-y", "-qq", "--no-install-recommends"]).args(packages),
    )
    .map_err(|e| format!("{e}; as root, or by hand: apt-get install {}", packages.join(" ")).into())
}

/// Cargo's output directory.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

pub(crate) fn cargo(args: &[&str]) -> Outcome {
    run_in(&root(), Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())).args(args))
}

pub(crate) fn run_in(dir: &Path, command: &mut Command) -> Outcome {
    let status = command.current_dir(dir).status().map_err(|e| format!("cannot run {command:?}: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} failed ({status})").into()) }
}

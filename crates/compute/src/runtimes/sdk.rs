//! AWS's SDK for functions: installed once per language version, by the language's own installer.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::python::Interpreter;
use crate::Progress;

/// An installation takes seconds; a network that swallows packets must not hold a function for ever.
const PATIENCE: Duration = Duration::from_secs(180);

/// The folder with boto3 for this interpreter, made on first use. Safe against others doing the same.
pub(crate) fn python(
    interpreter: &Interpreter,
    sdk: &Path,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<PathBuf, String> {
    let name = format!("python3.{}", interpreter.minor);
    let folder = sdk.join(&name);
    if folder.join("boto3").is_dir() {
        return Ok(folder);
    }
    fs::create_dir_all(sdk).map_err(|e| format!("cannot make {}: {e}", sdk.display()))?;
    let _lock = lock(&sdk.join(format!(".{name}.lock")))
        .map_err(|e| format!("cannot lock {}: {e}", sdk.display()))?;
    if folder.join("boto3").is_dir() {
        return Ok(folder);
    }
    let what = format!("boto3 for {name}");
    let say = |step: &str, done| progress(Progress { what: what.clone(), step: step.to_owned(), done });
    say("installing with pip (first use only)", false);
    let temporary = sdk.join(format!(".{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&temporary);
    let result = install(interpreter, &temporary, &|line| say(line, false)).and_then(|()| {
        let _ = fs::remove_dir_all(&folder);
        fs::rename(&temporary, &folder).map_err(|e| format!("cannot put {} in place: {e}", folder.display()))
    });
    match result {
        Ok(()) => {
            say("ready", true);
            Ok(folder)
        }
        Err(error) => {
            let _ = fs::remove_dir_all(&temporary);
            say(&format!("failed: {error}"), true);
            Err(error)
        }
    }
}

fn install(interpreter: &Interpreter, target: &Path, line: &dyn Fn(&str)) -> Result<(), String> {
    let mut pip = Command::new(&interpreter.executable)
        .args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--target"])
        .arg(target)
        .arg("boto3")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("cannot run {}: {e}", interpreter.executable.display()))?;
    let errors = pip.stderr.take();
    // Read aside, so that neither pipe fills up while the other is waited for.
    let errors = std::thread::spawn(move || errors.map(|e| io::read_to_string(e).unwrap_or_default()));
    let output = pip.stdout.take();
    let (lines, said) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for text in
            output.map(io::BufReader::new).into_iter().flat_map(io::BufRead::lines).map_while(Result::ok)
        {
            let _ = lines.send(text);
        }
    });
    let deadline = Instant::now() + PATIENCE;
    loop {
        match said.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(text) => line(text.trim()),
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                let _ = pip.kill();
                let _ = pip.wait();
                return Err(format!(
                    "pip did not finish within {} seconds; check the network",
                    PATIENCE.as_secs()
                ));
            }
        }
    }
    let status = pip.wait().map_err(|e| format!("pip: {e}"))?;
    if status.success() {
        return Ok(());
    }
    let errors = errors.join().ok().flatten().unwrap_or_default();
    let last = errors.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("no message").trim().to_owned();
    Err(format!(
        "`{} -m pip install boto3` failed: {last}; run it by hand to see why, or package boto3 with the function",
        interpreter.executable.display()
    ))
}

/// Held until dropped, across processes.
fn lock(path: &Path) -> io::Result<fs::File> {
    let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    file.lock()?;
    Ok(file)
}

//! Throws broken input at every parser that meets outside bytes.
//!
//! `fuzz [--seconds N] [--seed N] [TARGET...]` runs each target in a process of its own, because a stack that overflows
//! or an allocation that fails takes its process along. `fuzz --input FILE TARGET` tries one input again.
//!
//! Map: [`targets`] has a file for each target; `child` runs one; `mutate` breaks inputs; `guard` measures them; `slot`
//! keeps the input of a process that dies; `skeleton` makes valid requests of every operation out of the models.

mod child;
mod guard;
mod mutate;
mod request;
mod rng;
mod skeleton;
mod slot;
mod targets;

use child::Finding;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use targets::{ALL, Target};

#[global_allocator]
static ALLOCATOR: guard::Counting = guard::Counting;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// How long one input may take before its process is ended.
const HANGS: Duration = Duration::from_secs(30);
/// The exit code of a child that has a finding.
const FOUND: u8 = 70;

#[derive(Default)]
struct Options {
    seconds: u64,
    seed: u64,
    input: Option<PathBuf>,
    /// This process is a child and writes here what it works on.
    slot: Option<PathBuf>,
    artifacts: PathBuf,
    targets: Vec<&'static Target>,
}

fn options() -> Outcome<Options> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
    let mut options =
        Options { seconds: 60, seed: now as u64, artifacts: "fuzz/artifacts".into(), ..Options::default() };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--seconds" => options.seconds = value()?.parse()?,
            "--seed" => options.seed = value()?.parse()?,
            "--input" => options.input = Some(value()?.into()),
            "--slot" => options.slot = Some(value()?.into()),
            "--artifacts" => options.artifacts = value()?.into(),
            name => match ALL.iter().find(|t| t.name == name) {
                Some(target) => options.targets.push(target),
                None => {
                    let names: Vec<&str> = ALL.iter().map(|t| t.name).collect();
                    return Err(
                        format!("there is no target {name}; the targets are {}", names.join(", ")).into()
                    );
                }
            },
        }
    }
    if options.targets.is_empty() {
        options.targets.extend(ALL);
    }
    Ok(options)
}

fn main() -> ExitCode {
    let run = || -> Outcome<ExitCode> {
        let options = options()?;
        match (&options.input, &options.slot) {
            (Some(input), _) => again(&options, input),
            (None, Some(slot)) => work(&options, slot),
            (None, None) => all(&options),
        }
    };
    run().unwrap_or_else(|why| {
        eprintln!("fuzz: {why}");
        ExitCode::FAILURE
    })
}

/// Tries one saved input on every named target.
fn again(options: &Options, input: &Path) -> Outcome<ExitCode> {
    for target in &options.targets {
        if let Some(Finding { why, .. }) = child::replay(target, std::fs::read(input)?)? {
            println!("{}: {why}", target.name);
            return Ok(ExitCode::FAILURE);
        }
        println!("{}: nothing wrong", target.name);
    }
    Ok(ExitCode::SUCCESS)
}

/// The child: one target.
fn work(options: &Options, slot: &Path) -> Outcome<ExitCode> {
    let target = options.targets.first().ok_or("a child needs a target")?;
    let tally = child::run(target, options.seed, Duration::from_secs(options.seconds), Some(slot))?;
    println!("{} {}", tally.tried, tally.kept);
    match tally.finding {
        None => Ok(ExitCode::SUCCESS),
        Some(Finding { why, input }) => {
            slot::Slot::open(slot)?.begin(tally.tried, &input)?;
            println!("{why}");
            Ok(ExitCode::from(FOUND))
        }
    }
}

fn all(options: &Options) -> Outcome<ExitCode> {
    println!("seed {} ({} s a target)", options.seed, options.seconds);
    let mut findings = 0;
    for target in &options.targets {
        match supervise(options, target)? {
            Ok(said) => println!("{:<16} {said}", target.name),
            Err((why, input)) => {
                findings += 1;
                std::fs::create_dir_all(&options.artifacts)?;
                let path = options.artifacts.join(format!("{}-{:016x}", target.name, targets::seen(&input)));
                std::fs::write(&path, &input)?;
                println!("{:<16} FAILED after seed {}: {why}", target.name, options.seed);
                println!("  {} bytes in {}", input.len(), path.display());
                println!("  again: cargo xtask fuzz --input {} {}", path.display(), target.name);
            }
        }
    }
    if findings > 0 {
        return Err(format!("{findings} of {} targets failed", options.targets.len()).into());
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs a target in a child. Inner error: the reason of a failure and its input.
fn supervise(options: &Options, target: &Target) -> Outcome<Result<String, (String, Vec<u8>)>> {
    let folder = tempfile::tempdir()?;
    let slot = folder.path().join("slot");
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--seconds", &options.seconds.to_string(), "--seed", &options.seed.to_string(), "--slot"])
        .arg(&slot)
        .arg(target.name)
        // What the target leaves behind when its process is ended goes with this folder.
        .env("TMPDIR", folder.path())
        .stdout(Stdio::piped())
        .spawn()?;
    let hung = watch(&mut child, &slot)?;
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines = said.splitn(2, '\n');
    let numbers = lines.next().unwrap_or_default();
    let rest = lines.next().unwrap_or_default().trim_end();
    let (tried, kept) = numbers.split_once(' ').unwrap_or((numbers, "0"));
    if output.status.success() {
        return Ok(Ok(format!("{tried:>9} inputs, {kept:>4} of them new in kind")));
    }
    let Some((count, input)) = slot::read(&slot) else {
        return Err(
            format!("{} ended before its first input ({}): {said}", target.name, output.status).into()
        );
    };
    let why = match output.status.code() {
        _ if hung => format!("no end after {} s (input number {count})", HANGS.as_secs()),
        Some(code) if code == i32::from(FOUND) => rest.to_owned(),
        _ => format!("its process died: {} (input number {count}; see what it printed above)", output.status),
    };
    Ok(Err((why, input)))
}

/// Waits for the child to end; ends it where one input takes too long, and says so.
fn watch(child: &mut Child, slot: &Path) -> Outcome<bool> {
    let mut last = (None, Instant::now());
    while child.try_wait()?.is_none() {
        std::thread::sleep(Duration::from_millis(50));
        let count = slot::read(slot).map(|(count, _)| count);
        if count != last.0 {
            last = (count, Instant::now());
        } else if last.1.elapsed() > HANGS {
            child.kill()?;
            return Ok(true);
        }
    }
    Ok(false)
}

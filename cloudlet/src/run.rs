//! `cloudlet lambda run`: a folder as a function, in whatever state it is.

use crate::cli::RunOptions;
use crate::config::File;
use crate::control::{Answer, Ask, Line};
use crate::instance::Instance;
use crate::own::OwnCloud;
use crate::workbench::Bench;
use crate::{Failure, style};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::signal::unix::{SignalKind, signal};

/// How often the folder and the log are looked at.
const LOOK: Duration = Duration::from_millis(300);
/// How many files a look at a folder takes in.
const MOST_FILES: usize = 50_000;
/// Folders whose changes mean nothing, and that are large.
const PASSED_OVER: &[&str] =
    &[".git", "node_modules", "__pycache__", ".venv", "venv", "target", ".idea", ".vscode"];

pub(crate) fn run(options: &RunOptions, file: &File) -> Result<ExitCode, Failure> {
    let folder = options
        .folder
        .canonicalize()
        .map_err(|why| format!("cannot use {}: {why}", options.folder.display()))?;
    if !folder.is_dir() {
        return Err(format!("{} is not a folder", folder.display()).into());
    }
    let (instance, own) = match options.target.resolve(file)?.running() {
        Ok(instance) => (instance, None),
        Err(_) => {
            let own = OwnCloud::start()?;
            println!("no cloud runs yet; one that forgets has started on {}", own.endpoint);
            let mine = crate::instance::all().into_iter().find(|i| i.port == own.port);
            (mine.ok_or("the command's own cloud is gone")?, Some(own))
        }
    };
    let bench = bench(options, &folder, &instance)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let worked = runtime.block_on(async {
        // Listened to from the beginning: what was made is to be taken back whenever it ends.
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            worked = work(options, &instance, bench) => worked,
            _ = interrupt.recv() => {
                println!();
                Ok(())
            }
            _ = terminate.recv() => Ok(()),
        }
    });
    drop(own);
    worked.map(|()| ExitCode::SUCCESS)
}

fn bench(options: &RunOptions, folder: &Path, instance: &Instance) -> Result<Bench, Failure> {
    let runtime = match &options.runtime {
        Some(runtime) => runtime.clone(),
        None => runtime_of(folder)?,
    };
    let mut environment = BTreeMap::new();
    for pair in &options.environment {
        let (name, value) = pair.split_once('=').ok_or_else(|| format!("'{pair}' is not NAME=VALUE"))?;
        environment.insert(name.to_owned(), value.to_owned());
    }
    let base = folder.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' };
    let name = options.name.clone().unwrap_or_else(|| base.chars().map(plain).take(64).collect());
    Ok(Bench {
        account: options.account.clone(),
        region: options.region.clone().unwrap_or_else(|| instance.region.clone()),
        name: if name.is_empty() { "function".to_owned() } else { name },
        handler: handler_of(folder, &runtime, &options.handler),
        runtime,
        folder: folder.to_owned(),
        timeout: options.timeout,
        memory: options.memory,
        environment,
        policies: options.policy.clone(),
    })
}

/// The runtime of the folder's language, in the version that is installed.
fn runtime_of(folder: &Path) -> Result<String, Failure> {
    let endings: Vec<String> = std::fs::read_dir(folder)?
        .flatten()
        .filter_map(|e| Some(e.path().extension()?.to_string_lossy().into_owned()))
        .collect();
    let has = |wanted: &[&str]| endings.iter().any(|ending| wanted.contains(&ending.as_str()));
    if folder.join("bootstrap").is_file() {
        return Ok("provided.al2023".to_owned());
    }
    if has(&["py"]) {
        let minor = installed("python3", |text| text.rsplit(' ').next()?.split('.').nth(1)?.parse().ok());
        return Ok(format!("python3.{}", minor.unwrap_or(13).clamp(9, 14)));
    }
    if has(&["js", "mjs", "cjs"]) {
        let major = installed("node", |text| text.trim_start_matches('v').split('.').next()?.parse().ok());
        // AWS has the even versions.
        let major = major.map_or(22, |major: u32| (major & !1).clamp(18, 24));
        return Ok(format!("nodejs{major}.x"));
    }
    Err(format!(
        "{} holds neither Python nor JavaScript nor a bootstrap; say what it is with --runtime",
        folder.display()
    )
    .into())
}

fn installed(program: &str, read: impl Fn(&str) -> Option<u32>) -> Option<u32> {
    let output = Command::new(program).arg("--version").output().ok()?;
    read(String::from_utf8_lossy(&output.stdout).trim())
}

/// `handler` alone means that function of the folder's main file.
fn handler_of(folder: &Path, runtime: &str, handler: &str) -> String {
    if handler.contains('.') || runtime.starts_with("provided") {
        return handler.to_owned();
    }
    let names = ["index", "main", "app", "handler", "lambda_function"];
    let endings: &[&str] = if runtime.starts_with("python") { &["py"] } else { &["js", "mjs", "cjs"] };
    let there = |name: &&str| endings.iter().any(|ending| folder.join(format!("{name}.{ending}")).is_file());
    format!("{}.{handler}", names.iter().copied().find(|name| there(name)).unwrap_or("index"))
}

async fn work(options: &RunOptions, instance: &Instance, bench: Bench) -> Result<(), Failure> {
    let mut line = Line::open(instance)?;
    let mut log = Log::new(&bench);
    let Answer::Running { arn, url } = line.ask(&Ask::Run { bench: bench.clone() })? else {
        return Err("the cloud gave another answer than the function".into());
    };
    println!(
        "{}",
        style::strong(&format!("{} runs {} of {}", bench.runtime, bench.handler, bench.folder.display()))
    );
    println!("{:<10}{arn}", "function");
    println!("{:<10}{url}", "address");
    println!(
        "{:<10}aws --endpoint-url {} lambda invoke --function-name {} out.json",
        "call it", instance.endpoint, bench.name
    );
    call(options, &mut line)?;
    let mut seen = fingerprint(&bench.folder);
    loop {
        log.print(instance)?;
        tokio::time::sleep(LOOK).await;
        let now = fingerprint(&bench.folder);
        if now != seen {
            seen = now;
            line.ask(&Ask::Reload)?;
            println!("{}", style::good("changed: the next call runs what is there now"));
            call(options, &mut line)?;
        }
    }
}

/// Calls the function with the event that was given, if one was.
fn call(options: &RunOptions, line: &mut Line) -> Result<(), Failure> {
    let Some(event) = &options.event else { return Ok(()) };
    let payload = match event.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path).map_err(|why| format!("cannot read {path}: {why}"))?,
        None => event.clone(),
    };
    match line.ask(&Ask::Invoke { payload }) {
        Ok(Answer::Invoked { failed: false, payload }) => println!("{payload}"),
        Ok(Answer::Invoked { payload, .. }) => println!("{}", style::error(&traceback(&payload))),
        Ok(_) => return Err("the cloud gave another answer than the function's".into()),
        Err(why) => println!("{}", style::error(&why.to_string())),
    }
    Ok(())
}

/// An error object as its language prints it.
fn traceback(payload: &str) -> String {
    let Ok(error) = serde_json::from_str::<serde_json::Value>(payload) else { return payload.to_owned() };
    let text = |name: &str| error.get(name).and_then(serde_json::Value::as_str);
    let mut out = String::new();
    for name in ["stackTrace", "trace"] {
        for line in error.get(name).and_then(serde_json::Value::as_array).into_iter().flatten() {
            out.push_str(line.as_str().unwrap_or_default().trim_end_matches('\n'));
            out.push('\n');
        }
    }
    match (text("errorType"), text("errorMessage")) {
        (Some(kind), Some(message)) => format!("{out}{kind}: {message}"),
        (None, Some(message)) => format!("{out}{message}"),
        _ => payload.to_owned(),
    }
}

/// Changes whenever a file of the folder does: how many there are, their sizes and the time of the last change.
fn fingerprint(folder: &Path) -> (usize, u64, Option<SystemTime>) {
    let (mut files, mut bytes, mut last) = (0, 0, None);
    let mut open: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if files >= MOST_FILES
                || PASSED_OVER.iter().any(|passed| name.as_encoded_bytes() == passed.as_bytes())
            {
                continue;
            }
            let Ok(data) = entry.metadata() else { continue };
            if data.is_dir() {
                open.push(entry.path());
            } else {
                files += 1;
                bytes += data.len();
                last = last.max(data.modified().ok());
            }
        }
    }
    (files, bytes, last)
}

/// The function's log, printed as it grows.
struct Log {
    query: (String, String, String),
    since: i64,
    printed: Vec<String>,
}

impl Log {
    fn new(bench: &Bench) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            query: (bench.account.clone(), bench.region.clone(), format!("/aws/lambda/{}", bench.name)),
            since: i64::try_from(now.as_millis()).unwrap_or(0),
            printed: Vec::new(),
        }
    }

    fn print(&mut self, instance: &Instance) -> Result<(), Failure> {
        let (account, region, group) = self.query.clone();
        let query = Ask::Logs { account, region, group, since: self.since, token: None };
        // Until the function's first word there is no log.
        let Ok(Answer::Logs { events, .. }) = crate::control::ask(instance, &query) else {
            return if crate::instance::alive(instance.pid) {
                Ok(())
            } else {
                Err("the cloud has ended".into())
            };
        };
        for (at, message) in events {
            // Events of one millisecond may come in several looks.
            if at > self.since {
                self.since = at;
                self.printed.clear();
            } else if self.printed.contains(&message) {
                continue;
            }
            println!("{}", message.trim_end_matches('\n'));
            self.printed.push(message);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_read_as_their_language_prints_them() {
        let python = r#"{"errorMessage": "no", "errorType": "ValueError", "stackTrace": ["  File \"a.py\", line 1\n"]}"#;
        assert_eq!(traceback(python), "  File \"a.py\", line 1\nValueError: no");
        assert_eq!(traceback("what"), "what");
    }
}

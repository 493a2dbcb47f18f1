//! AWS's SDK for functions: installed once per language version, by the language's own installer.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{node, python};
use crate::Progress;

/// An installation takes seconds; a network that swallows packets must not hold a function for ever.
const PATIENCE: Duration = Duration::from_secs(180);

/// Packages of the AWS SDK for JavaScript, version 3, that functions find. AWS brings every client; these are the ones
/// that functions use, and a function brings any other one in its own package.
const CLIENTS: &str = "acm api-gateway apigatewaymanagementapi appconfigdata athena bedrock-runtime cloudformation \
                       cloudfront cloudwatch cloudwatch-logs cognito-identity cognito-identity-provider dynamodb \
                       dynamodb-streams ec2 ecr ecs eventbridge firehose glue iam kinesis kms lambda pipes rds-data \
                       rekognition route-53 s3 scheduler secrets-manager ses sesv2 sfn sns sqs ssm sts textract xray";
const LIBRARIES: [&str; 9] = [
    "@aws-sdk/lib-dynamodb",
    "@aws-sdk/lib-storage",
    "@aws-sdk/s3-request-presigner",
    "@aws-sdk/s3-presigned-post",
    "@aws-sdk/util-dynamodb",
    "@aws-sdk/credential-providers",
    "@aws-sdk/signature-v4-multi-region",
    "@smithy/signature-v4",
    "@aws-crypto/sha256-js",
];

type Report<'a> = &'a (dyn Fn(Progress) + Send + Sync);

/// The folder with boto3 for this interpreter, made on first use.
pub(crate) fn python(
    interpreter: &python::Interpreter,
    sdk: &Path,
    progress: Report<'_>,
) -> Result<PathBuf, String> {
    let name = format!("python3.{}", interpreter.minor);
    let what = format!("boto3 for {name}");
    once(sdk, &name, "boto3", &what, "pip", progress, |target, line| {
        let mut pip = Command::new(&interpreter.executable);
        pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--target"]);
        pip.arg(target).arg("boto3");
        install(pip, line).map_err(|why| {
            format!(
                "`{} -m pip install boto3` failed: {why}; run it by hand to see why, or package boto3 with the function",
                interpreter.executable.display()
            )
        })
    })
}

/// The `node_modules` with the AWS SDK for JavaScript, made on first use. Nothing in it depends on the version of Node.
pub(crate) fn node(
    interpreter: &node::Interpreter,
    sdk: &Path,
    progress: Report<'_>,
) -> Result<PathBuf, String> {
    let name = "nodejs-sdk-v3";
    let folder =
        once(sdk, name, "node_modules", "the AWS SDK for JavaScript", "npm", progress, |target, line| {
            fs::create_dir_all(target).map_err(|e| format!("cannot make {}: {e}", target.display()))?;
            let mut npm = npm(interpreter);
            npm.args([
                "install",
                "--no-audit",
                "--no-fund",
                "--no-package-lock",
                "--ignore-scripts",
                "--no-save",
            ]);
            npm.args(["--no-update-notifier", "--fetch-retries=1", "--fetch-timeout=30000", "--prefix"]);
            npm.arg(target);
            npm.args(CLIENTS.split_whitespace().map(|client| format!("@aws-sdk/client-{client}")));
            npm.args(LIBRARIES);
            install(npm, line).map_err(|why| {
                format!(
                    "npm could not install it: {why}; package @aws-sdk with the function, or go online once"
                )
            })
        })?;
    Ok(folder.join("node_modules"))
}

/// npm as it came with the interpreter, else the one on the PATH, run by this interpreter.
fn npm(interpreter: &node::Interpreter) -> Command {
    let bin = interpreter.executable.parent().unwrap_or(Path::new("/"));
    let script = bin.join("npm").canonicalize().ok().filter(|path| path.is_file());
    let mut command = match script {
        Some(script) => {
            let mut command = Command::new(&interpreter.executable);
            command.arg(script);
            command
        }
        None => Command::new("npm"),
    };
    command.env_remove("NODE_OPTIONS");
    command
}

/// Makes `sdk/name` unless `proof` is in there already. Safe against others doing the same.
fn once(
    sdk: &Path,
    name: &str,
    proof: &str,
    what: &str,
    tool: &str,
    progress: Report<'_>,
    make: impl FnOnce(&Path, &dyn Fn(&str)) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let folder = sdk.join(name);
    if folder.join(proof).is_dir() {
        return Ok(folder);
    }
    fs::create_dir_all(sdk).map_err(|e| format!("cannot make {}: {e}", sdk.display()))?;
    let _lock = lock(&sdk.join(format!(".{name}.lock")))
        .map_err(|e| format!("cannot lock {}: {e}", sdk.display()))?;
    if folder.join(proof).is_dir() {
        return Ok(folder);
    }
    let say = |step: &str, done| progress(Progress { what: what.to_owned(), step: step.to_owned(), done });
    say(&format!("installing with {tool} (first use only)"), false);
    let temporary = sdk.join(format!(".{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&temporary);
    let result = make(&temporary, &|line| say(line, false)).and_then(|()| {
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

/// Runs an installer to its end; what it prints is progress.
fn install(mut installer: Command, line: &dyn Fn(&str)) -> Result<(), String> {
    let name = installer.get_program().to_string_lossy().into_owned();
    let mut installer = installer
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("cannot run {name}: {e}"))?;
    let errors = installer.stderr.take();
    // Read aside, so that neither pipe fills up while the other is waited for.
    let errors = std::thread::spawn(move || errors.map(|e| io::read_to_string(e).unwrap_or_default()));
    let output = installer.stdout.take();
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
            Ok(text) if text.trim().is_empty() => {}
            Ok(text) => line(text.trim()),
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                let _ = installer.kill();
                let _ = installer.wait();
                return Err(format!(
                    "it did not finish within {} seconds; check the network",
                    PATIENCE.as_secs()
                ));
            }
        }
    }
    let status = installer.wait().map_err(|e| e.to_string())?;
    if status.success() {
        return Ok(());
    }
    let errors = errors.join().ok().flatten().unwrap_or_default();
    let last =
        |errors: &str| errors.lines().rev().find(|l| !l.trim().is_empty()).map(|l| l.trim().to_owned());
    // npm ends with the place of its log; the reason comes before.
    let reason =
        errors.lines().find(|l| l.starts_with("npm error") && l.contains("network")).map(str::to_owned);
    Err(reason.or_else(|| last(&errors)).unwrap_or_else(|| "no message".to_owned()))
}

/// Held until dropped, across processes.
fn lock(path: &Path) -> io::Result<fs::File> {
    let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    file.lock()?;
    Ok(file)
}

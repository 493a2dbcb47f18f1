//! AWS's SDK for functions: installed once per language version, by the language's own installer. And AWS's client of the
//! Runtime API for Java, which has none: its jars are known by their hashes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::{node, python, ruby};
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

/// Clients of the AWS SDK for Ruby that functions find. AWS brings every one.
const GEMS: &str = "apigatewaymanagementapi cloudwatch cloudwatchlogs dynamodb dynamodbstreams eventbridge firehose iam kinesis \
                    kms lambda s3 scheduler secretsmanager ses sesv2 sns sqs ssm states";

/// What runs Java functions: repository path and SHA-256 of each jar.
const JARS: [(&str, &str); 4] = [
    (
        "com/amazonaws/aws-lambda-java-runtime-interface-client/2.10.1/aws-lambda-java-runtime-interface-client-2.10.1.jar",
        "b0dd01f45b7258da0e32ade0bff950b12d0cf279ccebf416ad8c3795af21f1db",
    ),
    (
        "com/amazonaws/aws-lambda-java-core/1.4.0/aws-lambda-java-core-1.4.0.jar",
        "575c24393cc1ad645e83e618956eabd89ffe8cc09efae2cb62bc6589154d68ed",
    ),
    (
        "com/amazonaws/aws-lambda-java-serialization/1.2.0/aws-lambda-java-serialization-1.2.0.jar",
        "1513c1f945a3213f916a4b2de1760c97b51d84d110f82bbbcf9cfac53d5651e7",
    ),
    (
        "software/amazon/awssdk/utils-lite/2.34.0/utils-lite-2.34.0.jar",
        "efaf784f07ae526f0b5c89d71ef21cf16636131c47d44616e3df9bedc3f4f89a",
    ),
];
const MAVEN_CENTRAL: &str = "https://repo1.maven.org/maven2";

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

/// The `node_modules` with the AWS SDK for JavaScript, made on first use: version 3, and version 2 for runtimes up to
/// `nodejs16.x`, as on AWS. Nothing in it depends on the version of Node.
pub(crate) fn node(
    interpreter: &node::Interpreter,
    wanted: u32,
    sdk: &Path,
    progress: Report<'_>,
) -> Result<PathBuf, String> {
    let (name, what, packages) = match wanted {
        ..=16 => ("nodejs-sdk-v2", "the AWS SDK for JavaScript, version 2", vec!["aws-sdk@2".to_owned()]),
        _ => {
            let clients = CLIENTS.split_whitespace().map(|client| format!("@aws-sdk/client-{client}"));
            let packages = clients.chain(LIBRARIES.map(str::to_owned)).collect();
            ("nodejs-sdk-v3", "the AWS SDK for JavaScript", packages)
        }
    };
    let folder = once(sdk, name, "node_modules", what, "npm", progress, |target, line| {
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
        npm.arg(target).args(packages);
        install(npm, line).map_err(|why| {
            format!("npm could not install it: {why}; package it with the function, or go online once")
        })
    })?;
    Ok(folder.join("node_modules"))
}

/// The folder of gems with the AWS SDK for Ruby, made on first use.
pub(crate) fn ruby(
    interpreter: &ruby::Interpreter,
    sdk: &Path,
    progress: Report<'_>,
) -> Result<PathBuf, String> {
    let name = format!("ruby{}", interpreter.abi);
    once(sdk, &name, "gems", "the AWS SDK for Ruby", "gem", progress, |target, line| {
        // The one that came with the interpreter, run by it.
        let mut gem = Command::new(&interpreter.executable);
        gem.args(["-S", "gem", "install", "--no-document", "--install-dir"]).arg(target);
        gem.args(GEMS.split_whitespace().map(|client| format!("aws-sdk-{client}")));
        gem.env_remove("RUBYOPT");
        install(gem, line).map_err(|why| {
            format!("gem could not install it: {why}; package the gems with the function, or go online once")
        })
    })
}

/// The folder with AWS's runtime interface client for Java, fetched on first use.
pub(crate) fn java(sdk: &Path, progress: Report<'_>) -> Result<PathBuf, String> {
    let what = "AWS's runtime interface client for Java";
    let folder = once(sdk, "java-client-2.10.1", "lib", what, "Maven Central", progress, |target, line| {
        let lib = target.join("lib");
        fs::create_dir_all(&lib).map_err(|e| format!("cannot make {}: {e}", lib.display()))?;
        for (path, sha256) in JARS {
            let to = lib.join(path.rsplit('/').next().unwrap_or(path));
            line(path);
            fetch(path, &to)?;
            let bytes = fs::read(&to).map_err(|e| format!("cannot read {}: {e}", to.display()))?;
            if hex::encode(Sha256::digest(&bytes)) != sha256 {
                return Err(format!("{MAVEN_CENTRAL}/{path} is not the file that is known by this name"));
            }
        }
        Ok(())
    })?;
    Ok(folder.join("lib"))
}

/// A file of Maven Central: from the user's own cache, else from the net, by what every machine has for that.
fn fetch(path: &str, to: &Path) -> Result<(), String> {
    let cached = std::env::var_os("HOME").map(|home| Path::new(&home).join(".m2/repository").join(path));
    if cached.is_some_and(|cached| fs::copy(cached, to).is_ok()) {
        return Ok(());
    }
    let url = format!("{MAVEN_CENTRAL}/{path}");
    let mut curl = Command::new("curl");
    curl.args(["--fail", "--silent", "--show-error", "--location", "--retry", "2", "--output"])
        .arg(to)
        .arg(&url);
    let mut wget = Command::new("wget");
    wget.args(["--quiet", "--tries=3", "--timeout=30", "--output-document"]).arg(to).arg(&url);
    let quiet = |_: &str| {};
    install(curl, &quiet).or_else(|why| install(wget, &quiet).map_err(|_| why)).map_err(|why| {
        format!(
            "{url} could not be fetched: {why}; go online once, or put the file into ~/.m2/repository/{path}"
        )
    })
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

//! `java*`: a Java of the host with AWS's own runtime interface client, which speaks the public Runtime API.
//!
//! Why not a client of ours: it is what runs on AWS. How events become objects, which handlers are found in which jars, and
//! how failures are worded are thousands of lines that functions rely on, and they are published for exactly this use.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::environment::Places;
use super::{Runtime, Start, sdk, search};
use crate::warden::protocol::Program;
use crate::{ComputeError, Config, FunctionSpec};

/// Where sandboxes see the client.
const CLIENT_INSIDE: &str = "/var/runtime/lib";
/// Its native part, in the same folder.
const LIBRARY: &str = "libaws-lambda-jni.so";
const MAIN: &str = "com.amazonaws.services.lambda.runtime.api.client.AWSLambda";

/// A Java and where it lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Java {
    pub(crate) home: PathBuf,
    /// 17 of `17.0.15`, and 8 of `1.8.0_402`.
    pub(crate) major: u32,
    pub(crate) version: String,
}

/// What starts a function of this runtime.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    java: Java,
    /// The folder of AWS's jars, on the host.
    client: PathBuf,
}

/// Finds the Java for a runtime such as `java21` and makes everything around it ready.
pub(crate) fn find(runtime: &str, config: &Config) -> Result<Runtime, ComputeError> {
    let wanted: u32 = runtime
        .strip_prefix("java")
        .and_then(|version| version.trim_end_matches(".al2").parse().ok())
        .ok_or_else(|| {
            ComputeError::Runtime(format!("{runtime:?} is not a Java runtime; use such as java21"))
        })?;
    let mut warnings = Vec::new();
    let java = match search::configured(runtime, config, ask)? {
        Some(found) => found,
        None => choose(wanted)?,
    };
    if java.major != wanted {
        warnings.push(format!(
            "WARNING: {runtime} is not installed here; running on Java {} ({}) instead. Install Java {wanted} or set the path \
             of its `java` in the configuration.",
            java.version,
            java.home.display()
        ));
    }
    // Without it nothing runs, unlike an SDK.
    let client = sdk::java(&config.sdk_dir, &*config.progress).map_err(|why| {
        ComputeError::Runtime(format!("AWS's runtime interface client for Java is not available: {why}"))
    })?;
    let client = placed(&client, &config.state_dir.join("runtimes").join("java"))?;
    let mut shown = vec![(PathBuf::from(CLIENT_INSIDE), client.clone())];
    if !super::is_shown(&java.home) {
        shown.push((java.home.clone(), java.home.clone()));
    }
    // Distributions keep its configuration elsewhere and link to it.
    shown.extend(linked_to(&java.home).into_iter().map(|folder| (folder.clone(), folder)));
    Ok(Runtime {
        key: format!("{runtime}:{}", java.home.display()),
        shown,
        start: Start::Java(Launch { java, client }),
        warnings,
        provisional: false,
        root: None,
        // The virtual machine reserves far more address space than it uses.
        address_space: false,
        read_at_start: &[],
    })
}

/// The client beside our own bootstraps: where nothing can be mounted, a function runs as somebody who may not enter the
/// home folder that the cache is in.
fn placed(from: &Path, to: &Path) -> Result<PathBuf, ComputeError> {
    let put = || -> std::io::Result<()> {
        fs::create_dir_all(to)?;
        fs::set_permissions(to, fs::Permissions::from_mode(0o755))?;
        for jar in fs::read_dir(from)?.flatten() {
            let target = to.join(jar.file_name());
            if !target.is_file() {
                let temporary = to.join(format!(".{}", uuid::Uuid::new_v4().simple()));
                fs::copy(jar.path(), &temporary)?;
                fs::rename(&temporary, &target)?;
            }
            if jar.file_name().to_string_lossy().starts_with("aws-lambda-java-runtime-interface-client") {
                library(&target, &to.join(LIBRARY))?;
            }
        }
        Ok(())
    };
    put().map_err(ComputeError::io(format!("cannot put the Java client into {}", to.display())))?;
    Ok(to.to_owned())
}

/// Takes the client's native part out of its jar. It would do so itself, into one file of /tmp for everybody.
fn library(jar: &Path, to: &Path) -> std::io::Result<()> {
    if to.is_file() {
        return Ok(());
    }
    let system = if Path::new("/etc/alpine-release").exists() { "linux_musl" } else { "linux" };
    let machine = if cfg!(target_arch = "aarch64") { "aarch_64" } else { "x86_64" };
    let mut jar = zip::ZipArchive::new(fs::File::open(jar)?)?;
    let mut entry = jar.by_name(&format!("jni/libaws-lambda-jni.{system}-{machine}.so"))?;
    let temporary = to.with_file_name(format!(".{}", uuid::Uuid::new_v4().simple()));
    std::io::copy(&mut entry, &mut fs::File::create(&temporary)?)?;
    fs::set_permissions(&temporary, fs::Permissions::from_mode(0o755))?;
    fs::rename(temporary, to)
}

/// Folders of /etc that files of this Java are links into.
fn linked_to(home: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut open = vec![home.join("conf"), home.join("lib"), home.join("jre/lib")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                open.push(entry.path());
            }
            let Ok(real) = entry.path().canonicalize() else { continue };
            // /etc/java-17-openjdk, not what all programs see anyway.
            let mut parts = real.strip_prefix("/etc").into_iter().flat_map(|rest| rest.iter());
            if let Some(first) =
                parts.next().filter(|name| kind.is_symlink() && *name != "ssl" && *name != "pki")
            {
                found.insert(Path::new("/etc").join(first));
            }
        }
    }
    found
}

impl Launch {
    /// The program for a function of this size, with these variables.
    pub(crate) fn program(
        &self,
        spec: &FunctionSpec,
        env: &BTreeMap<String, String>,
        places: &Places<'_>,
        plain: bool,
    ) -> Program {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let client = if plain { self.client.as_path() } else { Path::new(CLIENT_INSIDE) };
        // As on AWS: without it the heap would be sized by the machine's memory. One thread collects, and the first
        // compiler is enough: functions live shortly.
        let heap = u64::from(spec.memory_mb) * 1024 * 85 / 100;
        let mut argv = vec![text(&self.java.home.join("bin/java"))];
        argv.extend([
            format!("-Xmx{heap}k"),
            "-XX:+UseSerialGC".to_owned(),
            "-XX:TieredStopAtLevel=1".to_owned(),
        ]);
        argv.extend(["-Xshare:auto".to_owned(), "-XX:-UsePerfData".to_owned()]);
        if let Some(tmp) = env.get("TMPDIR") {
            argv.push(format!("-Djava.io.tmpdir={tmp}"));
        }
        argv.push(format!(
            "-Dcom.amazonaws.services.lambda.runtime.api.client.runtimeapi.NativeClient.JNI={}",
            text(&client.join(LIBRARY))
        ));
        if self.java.major >= 9 {
            // The client opens its log by the number of a descriptor.
            argv.push("--add-opens=java.base/java.io=ALL-UNNAMED".to_owned());
        }
        if self.java.major >= 24 {
            argv.push("--enable-native-access=ALL-UNNAMED".to_owned());
        }
        // The client knows /opt/java/lib by itself, and takes the folder that it starts in for the function's.
        let layers = if plain { format!(":{}/java/lib/*", places.opt) } else { String::new() };
        argv.extend(["-cp".to_owned(), format!("{}/*{layers}", text(client)), MAIN.to_owned()]);
        argv.push(spec.handler.clone());
        let mut env = env.clone();
        env.insert("JAVA_HOME".to_owned(), text(&self.java.home));
        // Records with newlines stay one event: see capture.rs.
        env.insert("_LAMBDA_TELEMETRY_LOG_FD".to_owned(), "1".to_owned());
        Program { argv, env, directory: Some(places.task.to_owned()) }
    }
}

/// The exact version, else the nearest newer one, else the nearest, else words.
fn choose(wanted: u32) -> Result<Java, ComputeError> {
    // Classes of an older version run on a newer one and not the other way round.
    let nearest = search::nearest(
        installed(),
        |found| found.major == wanted,
        |other| (other.major < wanted, other.major.abs_diff(wanted)),
    );
    nearest.ok_or_else(|| {
        ComputeError::Runtime(format!(
            "no Java was found on this machine; install a JDK or JRE {wanted}, or give the path of one in the configuration: \
             [runtimes] \"java{wanted}\" = \"/path/to/bin/java\""
        ))
    })
}

/// All that people usually have, one by one as they are asked for.
pub(crate) fn installed() -> impl Iterator<Item = Java> {
    search::asked(candidates(), ask)
}

fn candidates() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    found.extend(std::env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin/java")));
    found.extend(search::on_path().into_iter().map(|folder| folder.join("java")));
    let home = search::home();
    // Distributions, SDKMAN, asdf, mise, IDEs.
    let collections = [
        Some(PathBuf::from("/usr/lib/jvm")),
        home.as_ref().map(|h| h.join(".sdkman/candidates/java")),
        home.as_ref().map(|h| h.join(".asdf/installs/java")),
        home.as_ref().map(|h| h.join(".local/share/mise/installs/java")),
        home.map(|h| h.join(".jdks")),
    ];
    for collection in collections.into_iter().flatten() {
        found.extend(search::versions(&collection, "bin/java"));
    }
    found.retain(|path| path.is_file());
    found
}

/// Runs a Java to hear what it is.
fn ask(path: &Path) -> Option<Java> {
    let output = Command::new(path)
        .args(["-XshowSettings:properties", "-version"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .env_remove("JAVA_TOOL_OPTIONS")
        .env_remove("_JAVA_OPTIONS")
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let value = |name: &str| {
        let line = said.lines().find_map(|line| line.trim().strip_prefix(name)?.trim().strip_prefix('='))?;
        Some(line.trim().to_owned())
    };
    let version = value("java.version")?;
    let home = PathBuf::from(value("java.home")?);
    let major =
        version.strip_prefix("1.").unwrap_or(&version).split(['.', '-', '+', '_']).next()?.parse().ok()?;
    (output.status.success() && major >= 8).then_some(Java { home, major, version })
}

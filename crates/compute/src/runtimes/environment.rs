//! The environment variables of a function.
//!
//! Source: "Using Lambda environment variables", section "Defined runtime environment variables".

use std::collections::BTreeMap;

use crate::warden::protocol::Program;
use crate::{Credentials, FunctionSpec, LogFormat};

/// Where things are, as the function sees them.
pub(crate) struct Places<'a> {
    pub(crate) task: &'a str,
    pub(crate) opt: &'a str,
    pub(crate) runtime: &'a str,
    /// The interpreter's own `bin`, if there is one.
    pub(crate) bin: Option<&'a str>,
    /// A private temporary folder that is not /tmp.
    pub(crate) tmp: Option<&'a str>,
    pub(crate) endpoint: Option<String>,
    /// `host:port` of the Runtime API, for runtimes that speak it.
    pub(crate) runtime_api: Option<String>,
}

/// What the function finds in its environment. Reserved names win over the user's, all others lose.
pub(crate) fn of_function(
    spec: &FunctionSpec,
    log_stream: &str,
    places: &Places<'_>,
    credentials: Option<&Credentials>,
) -> BTreeMap<String, String> {
    let Places { task, opt, runtime, .. } = places;
    let mut env = BTreeMap::new();
    let bin = places.bin.map(|bin| format!("{bin}:")).unwrap_or_default();
    // Not reserved: the user may set them.
    env.insert("LANG", "en_US.UTF-8".to_owned());
    env.insert("PATH", format!("{bin}/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:{opt}/bin"));
    env.insert("LD_LIBRARY_PATH", library_path(task, opt, runtime));
    env.insert("TZ", ":UTC".to_owned());
    if spec.runtime.starts_with("python") {
        env.insert("PYTHONPATH", (*runtime).to_owned());
    }
    if let Some(version) = spec.runtime.strip_prefix("nodejs") {
        let major = version.trim_end_matches(".x");
        env.insert(
            "NODE_PATH",
            format!(
                "{opt}/nodejs/node{major}/node_modules:{opt}/nodejs/node_modules:{runtime}/node_modules:{runtime}:{task}"
            ),
        );
    }
    if spec.runtime.starts_with("ruby") {
        env.insert("RUBYLIB", format!("{task}:{runtime}/lib:{opt}/ruby/lib"));
    }
    if let Some(tmp) = places.tmp {
        env.insert("TMPDIR", tmp.to_owned());
        env.insert("HOME", tmp.to_owned());
    }
    if let Some(endpoint) = &places.endpoint {
        env.insert("AWS_ENDPOINT_URL", endpoint.clone());
    }
    let mut env: BTreeMap<String, String> = env.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
    env.extend(spec.env.iter().map(|(k, v)| (k.clone(), v.clone())));

    let mut reserved = |name: &str, value: &str| env.insert(name.to_owned(), value.to_owned());
    reserved("_HANDLER", &spec.handler);
    reserved("AWS_REGION", &spec.region);
    reserved("AWS_DEFAULT_REGION", &spec.region);
    // Not defined for the OS-only runtimes.
    if !spec.runtime.starts_with("provided") {
        reserved("AWS_EXECUTION_ENV", &format!("AWS_Lambda_{}", spec.runtime));
    }
    reserved("AWS_LAMBDA_FUNCTION_NAME", &spec.name);
    reserved("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &spec.memory_mb.to_string());
    reserved("AWS_LAMBDA_FUNCTION_VERSION", &spec.version);
    reserved("AWS_LAMBDA_INITIALIZATION_TYPE", &spec.initialization_type);
    reserved("AWS_LAMBDA_LOG_GROUP_NAME", &spec.log_group);
    reserved("AWS_LAMBDA_LOG_STREAM_NAME", log_stream);
    reserved("AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR");
    reserved("AWS_XRAY_DAEMON_ADDRESS", "169.254.79.129:2000");
    reserved("_AWS_XRAY_DAEMON_ADDRESS", "169.254.79.129");
    reserved("_AWS_XRAY_DAEMON_PORT", "2000");
    reserved("LAMBDA_TASK_ROOT", task);
    reserved("LAMBDA_RUNTIME_DIR", runtime);
    match &spec.log_format {
        LogFormat::Text => {
            reserved("AWS_LAMBDA_LOG_FORMAT", "Text");
        }
        LogFormat::Json { application_level, .. } => {
            reserved("AWS_LAMBDA_LOG_FORMAT", "JSON");
            reserved("AWS_LAMBDA_LOG_LEVEL", application_level);
        }
    }
    if let Some(api) = &places.runtime_api {
        reserved("AWS_LAMBDA_RUNTIME_API", api);
    }
    if let Some(credentials) = credentials {
        reserved("AWS_ACCESS_KEY_ID", &credentials.access_key_id);
        reserved("AWS_SECRET_ACCESS_KEY", &credentials.secret_access_key);
        reserved("AWS_SESSION_TOKEN", &credentials.session_token);
    }
    env
}

/// The program of an extension, with what AWS lets extensions see of the environment.
///
/// Source: "Using the Lambda Extensions API", section on environment variables.
pub(crate) fn of_extension(name: &str, env: &BTreeMap<String, String>, places: &Places<'_>) -> Program {
    const HIDDEN: [&str; 9] = [
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_XRAY_CONTEXT_MISSING",
        "AWS_XRAY_DAEMON_ADDRESS",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
        "_AWS_XRAY_DAEMON_ADDRESS",
        "_AWS_XRAY_DAEMON_PORT",
    ];
    let shown = |name: &str| !HIDDEN.contains(&name) && name != "_HANDLER";
    Program {
        argv: vec![format!("{}/extensions/{name}", places.opt)],
        env: env.iter().filter(|(name, _)| shown(name)).map(|(k, v)| (k.clone(), v.clone())).collect(),
        directory: Some("/".to_owned()),
    }
}

/// As on AWS. Libraries of a package (`lib/`) are found by the loader without further ado.
pub(crate) fn library_path(task: &str, opt: &str, runtime: &str) -> String {
    format!("/var/lang/lib:/lib64:/usr/lib64:{runtime}:{runtime}/lib:{task}:{task}/lib:{opt}/lib")
}

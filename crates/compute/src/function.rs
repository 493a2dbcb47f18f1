//! What goes in and what comes out of an invocation.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::mpsc;

/// A boxed future, for the few places that take one from a caller.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Gives the credentials of a function's execution role. Called once per sandbox, at its start.
pub type CredentialsProvider = Arc<dyn Fn() -> BoxFuture<'static, Result<Credentials, String>> + Send + Sync>;

/// Temporary credentials of the execution role, as STS gives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// `AWS_ACCESS_KEY_ID`
    pub access_key_id: String,
    /// `AWS_SECRET_ACCESS_KEY`
    pub secret_access_key: String,
    /// `AWS_SESSION_TOKEN`
    pub session_token: String,
    /// The sandbox is retired before this moment.
    pub expiration: SystemTime,
}

/// A code package: a zip file or a folder on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeRef {
    /// Hex SHA-256 of the zip: the key of the cache of unpacked code. For a folder: anything that changes
    /// when its contents do (only used to tell layers apart).
    pub sha256: String,
    /// The zip file, or a folder that is used where it lies (read-only to the function).
    pub path: PathBuf,
}

/// A function packaged as a container image.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ImageSpec {
    /// The folder of an OCI image layout, or an archive as `docker save` writes it.
    pub path: PathBuf,
    /// Which image of several: a tag, a name or a digest.
    pub tag: Option<String>,
    /// `ImageConfig.EntryPoint`, instead of the image's own.
    pub entry_point: Option<Vec<String>>,
    /// `ImageConfig.Command`, instead of the image's own.
    pub command: Option<Vec<String>>,
    /// `ImageConfig.WorkingDirectory`, instead of the image's own.
    pub working_directory: Option<String>,
}

/// One published or unpublished version of a function, as far as running it is concerned.
///
/// Two specs with the same `arn`, `version` and `revision` share warm sandboxes, so `revision` must change
/// whenever anything else in here does (Lambda's `RevisionId` fits).
#[derive(Clone)]
pub struct FunctionSpec {
    /// The unqualified ARN.
    pub arn: String,
    /// The function's name.
    pub name: String,
    /// `$LATEST` or a number.
    pub version: String,
    /// Changes with every change of code or configuration.
    pub revision: String,
    /// `python3.12`, `provided.al2023`, …
    pub runtime: String,
    /// `module.function` for Python.
    pub handler: String,
    /// The package. Of no meaning where there is an image.
    pub code: CodeRef,
    /// The function is a container image: it brings its own programs and talks to the Runtime API.
    pub image: Option<ImageSpec>,
    /// Layers in merge order: later ones win.
    pub layers: Vec<CodeRef>,
    /// The user's environment variables.
    pub env: BTreeMap<String, String>,
    /// `MemorySize` in MB.
    pub memory_mb: u32,
    /// `Timeout`.
    pub timeout: Duration,
    /// `EphemeralStorage.Size`, the size of /tmp in MB.
    pub ephemeral_mb: u32,
    /// The region the function lives in.
    pub region: String,
    /// The account it belongs to.
    pub account: String,
    /// `/aws/lambda/NAME` or `LoggingConfig.LogGroup`.
    pub log_group: String,
    /// Text or JSON, `LoggingConfig`.
    pub log_format: LogFormat,
    /// The tenant that the sandbox works for, and for no other. `None`: the function does not keep tenants apart.
    pub tenant: Option<String>,
    /// `on-demand`, `provisioned-concurrency` or `snap-start`.
    pub initialization_type: String,
    /// The execution role's credentials. `None`: the function gets no credentials.
    pub credentials: Option<CredentialsProvider>,
}

/// `LoggingConfig.LogFormat` with its levels.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// Lines as they come; START, END and REPORT lines.
    #[default]
    Text,
    /// One JSON object per record; `platform.*` events instead of START, END and REPORT.
    Json {
        /// `ApplicationLogLevel`, such as `INFO`.
        application_level: String,
        /// `SystemLogLevel`, such as `INFO`.
        system_level: String,
    },
}

/// A part of a response that a function streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamPart {
    /// It begins, with this content type. `application/vnd.awslambda.http-integration-response` says that the bytes
    /// are a JSON object (status, headers, cookies), eight zero bytes, and the body.
    Begin {
        /// Such as `application/octet-stream`.
        content_type: String,
    },
    /// The next bytes.
    Chunk(Bytes),
}

/// One call of a function.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The request id that the caller of `Invoke` sees.
    pub request_id: String,
    /// The ARN as it was called, with the qualifier if there was one: `context.invoked_function_arn`.
    pub invoked_arn: String,
    /// The event, JSON.
    pub payload: Bytes,
    /// `X-Amz-Client-Context`, decoded from base64, JSON.
    pub client_context: Option<String>,
    /// Cognito identity, JSON with `cognitoIdentityId` and `cognitoIdentityPoolId`.
    pub cognito_identity: Option<String>,
    /// `X-Amzn-Trace-Id`.
    pub trace_id: Option<String>,
    /// `X-Amz-Tenant-Id`, the tenant that the call is for.
    pub tenant_id: Option<String>,
    /// Takes the response while the function streams it; the result's payload is empty then. A function that does not
    /// stream answers in the result. Without it, what is streamed is collected. A slow taker slows the function down.
    pub stream: Option<mpsc::Sender<StreamPart>>,
}

impl Invocation {
    /// A call with `payload` and nothing else.
    pub fn new(request_id: impl Into<String>, arn: impl Into<String>, payload: impl Into<Bytes>) -> Self {
        Self {
            request_id: request_id.into(),
            invoked_arn: arn.into(),
            payload: payload.into(),
            client_context: None,
            cognito_identity: None,
            trace_id: None,
            tenant_id: None,
            stream: None,
        }
    }
}

/// What `X-Amz-Function-Error` says. AWS sends `Unhandled` for everything a runtime reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunctionError {
    /// A value kept by the API for history.
    Handled,
    /// An exception, a crash, a timeout.
    Unhandled,
}

impl FunctionError {
    /// The header's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Handled => "Handled",
            Self::Unhandled => "Unhandled",
        }
    }
}

/// How the time of one invocation was spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    /// In line for a sandbox.
    pub queue: Duration,
    /// Getting a sandbox with the code in it. Zero when warm.
    pub sandbox: Duration,
    /// Loading the runtime and the handler's module. Zero when warm.
    pub import: Duration,
    /// The handler.
    pub handler: Duration,
}

/// What an invocation gave.
#[derive(Clone, Debug, Default)]
pub struct InvokeResult {
    /// The answer, or the error object when `function_error` is set.
    pub payload: Bytes,
    /// Set when the function failed.
    pub function_error: Option<FunctionError>,
    /// The `errorType` of the failure, such as `Runtime.ExitError`, when known.
    pub error_type: Option<String>,
    /// The last 4 KiB of this invocation's log, for `LogType=Tail`.
    pub log_tail: Vec<u8>,
    /// Time in the handler, as in the REPORT line.
    pub duration: Duration,
    /// `duration` rounded up to the millisecond (with the init time, as AWS bills it since August 2025).
    pub billed: Duration,
    /// The init phase, when this invocation had one.
    pub init: Option<Duration>,
    /// Peak memory of the sandbox in MB.
    pub max_memory_mb: u32,
    /// Where the time went.
    pub phases: Phases,
    /// The sandbox that served it.
    pub sandbox: String,
    /// The log stream that holds its lines.
    pub log_stream: String,
}

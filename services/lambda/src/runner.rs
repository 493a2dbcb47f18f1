//! Runs a version: finds it, keeps within the limits on concurrency, gives compute what it needs to know.

use crate::errors::{conflict, no_function, of_service, stored, throttled};
use crate::names::{LATEST, Named, version_number};
use crate::state::{Alias, Code, Function, Version, alias_key, named_key, version_key};
use crate::{Lambda, lineage};
use bytes::Bytes;
use cloudlet_api_lambda::{InvalidRuntimeException, InvalidZipFileException, RecursiveInvocationException};
use cloudlet_compute::{
    CodeRef, ComputeError, Credentials, CredentialsProvider, FunctionSpec, Invocation, InvokeResult,
    LogFormat, StreamPart,
};
use cloudlet_service::{Context, Error};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How many specifications are remembered.
const MOST_SPECS: usize = 4096;

/// A version as a call found it.
pub(crate) struct Target {
    pub named: Named,
    pub function: Arc<Function>,
    pub version: Arc<Version>,
}

/// One invocation of a target.
pub(crate) struct Call {
    pub request_id: String,
    pub payload: Bytes,
    pub client_context: Option<String>,
    pub trace_id: Option<String>,
    pub tenant: Option<String>,
}

impl Call {
    /// A call with an empty object.
    pub(crate) fn new(request_id: String) -> Self {
        Self {
            request_id,
            payload: Bytes::from_static(b"{}"),
            client_context: None,
            trace_id: None,
            tenant: None,
        }
    }
}

/// Executions under way, by account and region and by function.
#[derive(Default)]
pub(crate) struct Gate {
    running: Mutex<HashMap<String, i32>>,
    /// Of those, by function, what the bus delivers.
    events: Mutex<HashMap<String, i32>>,
}

/// One event on its way through the gate.
pub(crate) struct Counted<'a> {
    gate: &'a Gate,
    arn: String,
}

/// One execution under way.
pub(crate) struct Permit<'a> {
    gate: &'a Gate,
    names: [String; 2],
}

impl Gate {
    /// Counts an event of the function until the result is dropped.
    pub(crate) fn event(&self, arn: String) -> Counted<'_> {
        *self.events.lock().entry(arn.clone()).or_default() += 1;
        Counted { gate: self, arn }
    }

    /// Executions of the function that somebody waits for.
    fn direct(&self, arn: &str) -> i32 {
        let running = self.running.lock().get(arn).copied().unwrap_or(0);
        (running - self.events.lock().get(arn).copied().unwrap_or(0)).max(0)
    }

    /// Errors: `TooManyRequestsException`.
    fn enter(&self, target: &Target, unreserved_limit: i32) -> Result<Permit<'_>, Error> {
        let cx = &target.named.cx;
        let unreserved = format!("{}:{}", cx.account, cx.region);
        let arn = target.named.arn();
        let mut running = self.running.lock();
        let limit = match target.function.reserved_concurrency {
            Some(reserved) => {
                if running.get(&arn).copied().unwrap_or(0) >= reserved {
                    return Err(throttled("ReservedFunctionConcurrentInvocationLimitExceeded"));
                }
                None
            }
            None => Some(unreserved_limit),
        };
        if limit.is_some_and(|limit| running.get(&unreserved).copied().unwrap_or(0) >= limit) {
            return Err(throttled("ConcurrentInvocationLimitExceeded"));
        }
        // What is reserved for a function does not count against the others.
        let names = [arn, if limit.is_some() { unreserved } else { String::new() }];
        for name in names.iter().filter(|n| !n.is_empty()) {
            *running.entry(name.clone()).or_default() += 1;
        }
        Ok(Permit { gate: self, names })
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let mut events = self.gate.events.lock();
        if let Some(count) = events.get_mut(&self.arn) {
            *count -= 1;
            if *count <= 0 {
                events.remove(&self.arn);
            }
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut running = self.gate.running.lock();
        for name in self.names.iter().filter(|n| !n.is_empty()) {
            if let Some(count) = running.get_mut(name) {
                *count -= 1;
                if *count <= 0 {
                    running.remove(name);
                }
            }
        }
    }
}

impl Lambda {
    /// The function's own record. Errors: `ResourceNotFoundException`.
    pub(crate) fn function(&self, named: &Named) -> Result<Arc<Function>, Error> {
        let key = named_key(&named.cx, &named.name);
        self.store.table::<Function>().get_arc(&key).map_err(stored)?.ok_or_else(|| named.missing())
    }

    pub(crate) fn version(&self, named: &Named, number: u64) -> Result<Arc<Version>, Error> {
        let key = version_key(&named.cx, &named.name, number);
        self.store.table::<Version>().get_arc(&key).map_err(stored)?.ok_or_else(|| named.missing())
    }

    pub(crate) fn alias(&self, named: &Named, name: &str) -> Result<Option<Arc<Alias>>, Error> {
        self.store.table::<Alias>().get_arc(&alias_key(&named.cx, &named.name, name)).map_err(stored)
    }

    /// The version that a call means; an alias with weights draws one.
    ///
    /// Errors: `ResourceNotFoundException`.
    pub(crate) fn target(&self, named: Named) -> Result<Target, Error> {
        let function = self.function(&named)?;
        let qualifier = named.qualifier.as_deref().unwrap_or(LATEST);
        let number = match version_number(qualifier) {
            Some(number) => number,
            None => {
                let alias = self.alias(&named, qualifier)?.ok_or_else(|| named.missing())?;
                let name = draw(&named.cx, &alias);
                version_number(&name).ok_or_else(|| named.missing())?
            }
        };
        let version = self.version(&named, number)?;
        Ok(Target { named, function, version })
    }

    /// Runs the function once. What a handler does wrong is in the result; the error is for what keeps it from running.
    ///
    /// Errors: `TooManyRequestsException`, `ResourceConflictException`, `InvalidRuntimeException`, `ServiceException`.
    pub(crate) async fn run(&self, target: &Target, call: Call) -> Result<InvokeResult, Error> {
        self.run_into(target, call, None).await
    }

    /// The same; what the function streams goes to `parts`.
    pub(crate) async fn run_into(
        &self,
        target: &Target,
        call: Call,
        parts: Option<mpsc::Sender<StreamPart>>,
    ) -> Result<InvokeResult, Error> {
        target.check_tenant(call.tenant.as_deref())?;
        let version = self.ready(target).await?;
        let (trace, times) = lineage::step(&target.named.cx, call.trace_id.as_deref(), &target.named.arn());
        if times > lineage::MOST && target.function.recursive_loop.as_deref() != Some("Allow") {
            return Err(recursive());
        }
        let reserved = if target.function.reserved_concurrency.is_some() {
            0
        } else {
            self.reserved_in_all(&target.named.cx)?
        };
        let _permit = self.gate.enter(target, self.limits.read().concurrency - reserved)?;
        let spec = crate::tenants::own(self.spec(&target.named, &version), call.tenant.as_deref());
        // A role that is gone or no longer trusts Lambda is told to the caller.
        let cx = &target.named.cx;
        let session =
            self.sink.roles().session(&cx.account, &cx.region, &version.settings.role, &target.named.name);
        let session =
            session.await.map_err(|_| cannot_assume().with_code("AccessDeniedException").with_status(403))?;
        self.unseal(&session.cx, &target.named, &version).await?;
        let invocation = Invocation {
            client_context: call.client_context,
            trace_id: Some(trace),
            tenant_id: call.tenant,
            stream: parts,
            ..Invocation::new(call.request_id.clone(), target.named.qualified_arn(), call.payload)
        };
        let result = self.compute.invoke(spec, invocation).await.map_err(failed)?;
        self.trace(target, &call.request_id, &result);
        Ok(result)
    }

    /// How many events of a function may be under way now: they wait in the queue for its reserved concurrency, rather
    /// than being throttled by it and coming back later and later.
    pub(crate) fn room(&self, arn: &str) -> usize {
        let place = cloudlet_service::Arn::parse(arn)
            .and_then(|a| Some((a.account, a.region, a.resource.strip_prefix("function:")?)));
        let Some((account, region, name)) = place else { return usize::MAX };
        let key = cloudlet_store::Key::new().text(account).text(region).text(name);
        match self.store.table::<Function>().get_arc(&key).ok().flatten().and_then(|f| f.reserved_concurrency)
        {
            // None at all: whoever delivers is told so.
            None | Some(0) => usize::MAX,
            Some(reserved) => usize::try_from(reserved - self.gate.direct(arn)).unwrap_or(0),
        }
    }

    /// The version once nothing is under way on it: creation and updates take milliseconds here.
    async fn ready(&self, target: &Target) -> Result<Arc<Version>, Error> {
        let version = self.settled(&target.named, target.version.number).await?;
        match version.state.as_str() {
            "Active" | "Inactive" => Ok(version),
            state => Err(conflict(format!(
                "The operation cannot be performed at this time. The function is currently in the following state: {state}"
            ))),
        }
    }

    /// Waits, for some seconds at most, until neither creation nor update is under way.
    pub(crate) async fn settled(&self, named: &Named, number: u64) -> Result<Arc<Version>, Error> {
        let mut version = self.version(named, number)?;
        for _ in 0..600 {
            if version.settled() {
                break;
            }
            let change = self.changes.notified();
            let _ = tokio::time::timeout(Duration::from_millis(50), change).await;
            version = self.version(named, number)?;
        }
        Ok(version)
    }

    /// What all functions of the account and region have reserved together.
    pub(crate) fn reserved_in_all(&self, cx: &Context) -> Result<i32, Error> {
        let key = (cx.account.to_string(), cx.region.to_string());
        if let Some(sum) = self.reserved.lock().get(&key) {
            return Ok(*sum);
        }
        let mut sum = 0;
        for row in self.store.table::<Function>().scan(crate::state::place(cx).prefix_range(), false) {
            let function = row.map_err(stored)?.1;
            // What is provisioned comes out of what is reserved, where something is.
            let provisioned = || function.provisioned.values().map(|p| p.requested).sum();
            sum += function.reserved_concurrency.unwrap_or_else(provisioned);
        }
        self.reserved.lock().insert(key, sum);
        Ok(sum)
    }

    pub(crate) fn spec(&self, named: &Named, version: &Version) -> Arc<FunctionSpec> {
        let key = (named.arn(), version.number);
        if let Some(spec) = self.specs.lock().get(&key)
            && spec.revision == version.run()
        {
            return spec.clone();
        }
        let s = &version.settings;
        let cx = &named.cx;
        let log_group = s.log_group(&named.name);
        self.sink.writes(&cx.account, &cx.region, &log_group, &named.name, &s.role);
        let log_format = match s.log_format.as_str() {
            "JSON" => LogFormat::Json {
                application_level: s.application_log_level.clone().unwrap_or_else(|| "INFO".to_owned()),
                system_level: s.system_log_level.clone().unwrap_or_else(|| "INFO".to_owned()),
            },
            _ => LogFormat::Text,
        };
        let spec = Arc::new(FunctionSpec {
            arn: named.arn(),
            name: named.name.clone(),
            version: version.name(),
            revision: version.run().to_owned(),
            runtime: s.runtime.clone(),
            handler: s.handler.clone(),
            code: self.folder(&named.arn()).unwrap_or_else(|| self.code_ref(&version.code)),
            // One that this machine cannot have was refused when it was given.
            image: s.image.as_ref().and_then(|image| crate::images::spec(image).ok()),
            layers: s.layers.iter().map(|layer| self.code_ref(&layer.code)).collect(),
            env: s.environment.clone().unwrap_or_default(),
            memory_mb: u32::try_from(s.memory).unwrap_or(128),
            timeout: Duration::from_secs(u64::try_from(s.timeout).unwrap_or(3)),
            ephemeral_mb: u32::try_from(s.ephemeral).unwrap_or(512),
            region: cx.region.to_string(),
            account: cx.account.to_string(),
            log_group,
            log_format,
            tenant: None,
            initialization_type: self.initialization(named, version).to_owned(),
            credentials: Some(self.credentials(cx, &s.role, &named.name)),
        });
        let mut specs = self.specs.lock();
        if specs.len() >= MOST_SPECS {
            specs.clear();
        }
        specs.insert(key, spec.clone());
        spec
    }

    /// `AWS_LAMBDA_INITIALIZATION_TYPE`.
    fn initialization(&self, named: &Named, version: &Version) -> &'static str {
        if self.provisioned_versions(named).is_ok_and(|versions| versions.contains_key(&version.number)) {
            "provisioned-concurrency"
        } else if version.number > 0 && version.settings.snap_start == "PublishedVersions" {
            "snap-start"
        } else {
            "on-demand"
        }
    }

    fn folder(&self, arn: &str) -> Option<CodeRef> {
        let path = self.folders.lock().get(arn)?.clone();
        Some(CodeRef { sha256: format!("folder {}", path.display()), path })
    }

    /// Serves a folder of the host as the function's code, in whatever state it is when a sandbox starts; with `None`,
    /// the package again. Called again for the same folder after it changed, it lets go of sandboxes that run what was.
    pub fn serve_folder(&self, arn: &str, folder: Option<PathBuf>) {
        match folder {
            Some(folder) => self.folders.lock().insert(arn.to_owned(), folder),
            None => self.folders.lock().remove(arn),
        };
        self.specs.lock().retain(|(known, _), _| known != arn);
        self.compute.forget(arn);
    }

    fn code_ref(&self, code: &Code) -> CodeRef {
        CodeRef { sha256: code.sha256.clone(), path: self.store.blobs().path(code.blob) }
    }

    fn credentials(&self, cx: &Context, role: &str, function: &str) -> CredentialsProvider {
        let sink = self.sink.clone();
        let (account, region) = (cx.account.clone(), cx.region.clone());
        let (role, function) = (role.to_owned(), function.to_owned());
        Arc::new(move || {
            let (sink, account, region) = (sink.clone(), account.clone(), region.clone());
            let (role, function) = (role.clone(), function.clone());
            Box::pin(async move {
                let session = sink.roles().session(&account, &region, &role, &function).await;
                session
                    .map(|session| -> Credentials { session.credentials.clone() })
                    .map_err(|error| error.to_string())
            })
        })
    }
}

fn recursive() -> Error {
    let message = "Lambda has detected this function is being invoked in a recursive loop with other AWS resources and has stopped \
                   the invocation.";
    RecursiveInvocationException { r#type: Some("User".to_owned()), message: Some(message.to_owned()) }.into()
}

/// Lambda's words for a role that STS refuses it.
pub(crate) fn cannot_assume() -> Error {
    crate::errors::invalid("The role defined for the function cannot be assumed by Lambda.")
}

/// What a caller is told of a failure of the machine.
pub(crate) fn failed(error: ComputeError) -> Error {
    match error {
        ComputeError::AtCapacity { .. } => throttled("ConcurrentInvocationLimitExceeded"),
        ComputeError::Runtime(why) => {
            InvalidRuntimeException { r#type: Some("User".to_owned()), message: Some(why) }.into()
        }
        ComputeError::Archive(why) => {
            InvalidZipFileException { r#type: Some("User".to_owned()), message: Some(why.to_string()) }.into()
        }
        ComputeError::Image(why) => crate::errors::invalid(why.to_string()),
        ComputeError::Gone => no_function("it was deleted while the call waited"),
        other => of_service(other.to_string()),
    }
}

/// The version that this call of an alias goes to.
fn draw(cx: &Context, alias: &Alias) -> String {
    if alias.weights.is_empty() {
        return alias.version.clone();
    }
    let mut bytes = [0; 8];
    cx.random().fill(&mut bytes);
    // 53 bits are what an f64 holds exactly.
    let mut point = (u64::from_be_bytes(bytes) >> 11) as f64 / (1u64 << 53) as f64;
    for (version, weight) in &alias.weights {
        if point < *weight {
            return version.clone();
        }
        point -= weight;
    }
    alias.version.clone()
}

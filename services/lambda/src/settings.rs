//! A version's settings: out of a call, checked against what AWS accepts, and back into AWS's words.

use crate::Lambda;
use crate::code::MAX_UNZIPPED;
use crate::errors::{invalid, stored};
use crate::names::{Named, function_arn};
use crate::state::{Code, LayerRef, LayerVersion, Settings, Version, version_key};
use base64::Engine;
use cloudlet_api_lambda::*;
use cloudlet_service::Arn;
use sha2::{Digest, Sha256};

/// Lambda quotas: all environment variables together, in bytes of JSON.
const MAX_ENVIRONMENT: usize = 4096;
/// Lambda quotas: layers of a function.
const MAX_LAYERS: usize = 5;
/// Set by Lambda itself. Source: Developer Guide, "Defined runtime environment variables", the reserved ones.
const RESERVED: &[&str] = &[
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
];
/// The runtimes that functions may still be made with, in the order in which AWS lists them when one is refused.
pub(crate) const RUNTIMES: &str = "[nodejs20.x, python3.14, provided.al2023, python3.12, python3.13, nodejs24.x, nodejs22.x, java17, nodejs16.x, \
                        java25, dotnet8, python3.10, java11, python3.11, dotnet6, java21, nodejs18.x, provided.al2, ruby3.3, ruby3.4, \
                        java8.al2, ruby3.2, python3.8, python3.9]";
/// Of the model's runtimes, those newer than that list.
const NEWER: &[&str] = &["dotnet10", "ruby4.0", "nodejs26.x", "python3.15"];
/// Source: Developer Guide, "Improving startup performance with Lambda SnapStart", supported runtimes.
const SNAP_START: &[&str] = &[
    "java11",
    "java17",
    "java21",
    "java25",
    "python3.12",
    "python3.13",
    "python3.14",
    "dotnet8",
    "dotnet10",
];

/// The members that CreateFunction and UpdateFunctionConfiguration have in common; `None` leaves a setting alone.
#[derive(Default)]
pub(crate) struct Changes {
    pub runtime: Option<String>,
    pub handler: Option<String>,
    pub role: Option<String>,
    pub description: Option<String>,
    pub timeout: Option<i32>,
    pub memory: Option<i32>,
    pub environment: Option<Environment>,
    pub layers: Option<Vec<String>>,
    pub ephemeral: Option<EphemeralStorage>,
    pub tracing: Option<TracingConfig>,
    pub dead_letter: Option<DeadLetterConfig>,
    pub kms_key: Option<String>,
    pub snap_start: Option<SnapStart>,
    pub logging: Option<LoggingConfig>,
    pub vpc: Option<VpcConfig>,
}

impl Settings {
    /// What CreateFunction has where the call says nothing.
    pub(crate) fn fresh(runtime: String, handler: String, role: String, architectures: Vec<String>) -> Self {
        Self {
            runtime,
            handler,
            role,
            description: String::new(),
            timeout: 3,
            memory: 128,
            environment: None,
            layers: Vec::new(),
            architectures,
            ephemeral: 512,
            tracing: "PassThrough".to_owned(),
            dead_letter: None,
            kms_key: None,
            kms_proof: None,
            snap_start: "None".to_owned(),
            log_format: "Text".to_owned(),
            application_log_level: None,
            system_log_level: None,
            log_group: None,
            vpc: None,
            image: None,
            durable: None,
            tenancy: None,
        }
    }

    pub(crate) fn log_group(&self, name: &str) -> String {
        self.log_group.clone().unwrap_or_else(|| format!("/aws/lambda/{name}"))
    }
}

impl Lambda {
    /// Applies a call's members to the settings.
    ///
    /// Errors: `InvalidParameterValueException`.
    pub(crate) fn apply(&self, cx: &Context, settings: &mut Settings, changes: Changes) -> Result<(), Error> {
        if let Some(runtime) = changes.runtime {
            check_runtime(&runtime)?;
            settings.runtime = runtime;
        }
        set(&mut settings.handler, changes.handler);
        set(&mut settings.role, changes.role);
        set(&mut settings.description, changes.description);
        set(&mut settings.timeout, changes.timeout);
        set(&mut settings.memory, changes.memory);
        set(&mut settings.ephemeral, changes.ephemeral.map(|e| e.size));
        set(&mut settings.tracing, changes.tracing.and_then(|t| t.mode));
        if let Some(snap_start) = changes.snap_start {
            if !SNAP_START.contains(&settings.runtime.as_str()) {
                return Err(invalid(format!(
                    "{} is not supported for SnapStart enabled functions.",
                    settings.runtime
                )));
            }
            set(&mut settings.snap_start, snap_start.apply_on);
            if settings.snap_start == "PublishedVersions" {
                crate::tenants::refuse(settings, "SnapStart")?;
            }
        }
        if let Some(environment) = changes.environment {
            let variables = environment.variables.unwrap_or_default();
            check_environment(&variables)?;
            settings.environment = Some(variables);
        }
        if let Some(target) = changes.dead_letter {
            settings.dead_letter = target.target_arn.filter(|arn| !arn.is_empty());
        }
        if let Some(key) = changes.kms_key {
            settings.kms_key = Some(key).filter(|key| !key.is_empty());
        }
        if let Some(logging) = changes.logging {
            set(&mut settings.log_format, logging.log_format);
            if settings.log_format == "Text" {
                if logging.application_log_level.is_some() || logging.system_log_level.is_some() {
                    return Err(invalid(
                        "LogLevel is not supported when LogFormat is set to \"Text\". Remove LogLevel from your request or change the LogFormat to \"JSON\" and try again.",
                    ));
                }
                settings.application_log_level = None;
                settings.system_log_level = None;
            } else {
                let level = |new: Option<String>, old: &Option<String>| {
                    new.or_else(|| old.clone()).or_else(|| Some("INFO".to_owned()))
                };
                settings.application_log_level =
                    level(logging.application_log_level, &settings.application_log_level);
                settings.system_log_level = level(logging.system_log_level, &settings.system_log_level);
            }
            if logging.log_group.is_some() {
                settings.log_group = logging.log_group;
            }
        }
        if let Some(vpc) = changes.vpc {
            let subnets = vpc.subnet_ids.unwrap_or_default();
            let groups = vpc.security_group_ids.unwrap_or_default();
            if let Some(subnet) = subnets.first() {
                // The check that AWS makes through EC2, which has no subnets here.
                return Err(invalid(format!(
                    "Error occurred while DescribeSubnets. EC2 Error Code: InvalidSubnetID.NotFound. EC2 Error Message: The \
                     subnet ID '{subnet}' does not exist"
                )));
            }
            settings.vpc = Some((subnets, groups, vpc.ipv6_allowed_for_dual_stack.unwrap_or(false)));
        }
        if let Some(layers) = changes.layers {
            settings.layers = self.resolve_layers(cx, &layers)?;
        }
        Ok(())
    }

    fn resolve_layers(&self, cx: &Context, arns: &[String]) -> Result<Vec<LayerRef>, Error> {
        if arns.len() > MAX_LAYERS {
            return Err(invalid(format!("Cannot reference more than {MAX_LAYERS} layers.")));
        }
        let mut layers: Vec<LayerRef> = Vec::new();
        for text in arns {
            let (there, name, number) = layer_arn(cx, text).ok_or_else(|| self.no_layer_here(cx, text))?;
            let gone = || {
                // Another account's layer that is not there looks like one that is not shared.
                if there.account == cx.account {
                    invalid(format!("Layer version {text} does not exist."))
                } else {
                    layer_denied(cx, text)
                }
            };
            let found = self
                .store
                .table::<LayerVersion>()
                .get_arc(&version_key(&there, &name, number))
                .map_err(stored)?;
            let layer = found.ok_or_else(gone)?;
            if there.account != cx.account && layer.policy.statements.is_empty() {
                return Err(layer_denied(cx, text));
            }
            let base = text.rsplit_once(':').map_or(text.as_str(), |(base, _)| base);
            if let Some(twin) = layers.iter().find(|l| l.arn.rsplit_once(':').is_some_and(|(b, _)| b == base))
            {
                return Err(invalid(format!(
                    "Two different versions of the same layer are not allowed to be referenced in the same function. {} and \
                     {text} are versions of the same layer.",
                    twin.arn
                )));
            }
            layers.push(LayerRef { arn: text.clone(), code: layer.code.clone() });
        }
        Ok(layers)
    }

    /// The refusal for a text that is no layer version's ARN of this region.
    fn no_layer_here(&self, cx: &Context, text: &str) -> Error {
        match Arn::parse(text) {
            Some(arn) if *arn.region != *cx.region && *arn.account == *cx.account => invalid(format!(
                "Layers are not in the same region as the function. Layers are expected to be in region {}.",
                cx.region
            )),
            Some(arn) if *arn.region != *cx.region => layer_denied(cx, text),
            _ => Error::validation(format!(
                "1 validation error detected: Value '[{text}]' at 'layers' failed to satisfy constraint: Member must satisfy \
                 constraint: [Member must have length less than or equal to 140, Member must have length greater than or equal to 1, \
                 Member must satisfy regular expression pattern: (arn:[a-zA-Z0-9-]+:lambda:[a-z]{{2}}((-gov)|(-iso(b?)))?-[a-z]+-\\d{{1}}:\\d{{12}}:layer:[a-zA-Z0-9-_]+:[0-9]+)|(arn:[a-zA-Z0-9-]+:lambda:::awslayer:[a-zA-Z0-9-_]+), \
                 Member must not be null]"
            )),
        }
    }
}

fn layer_denied(cx: &Context, text: &str) -> Error {
    let who = cx.principal.arn();
    Error::new(
        "AccessDeniedException",
        403,
        format!(
            "User: {who} is not authorized to perform: lambda:GetLayerVersion on resource: {text} because no resource-based policy \
             allows the lambda:GetLayerVersion action"
        ),
    )
}

/// Errors: `InvalidParameterValueException`, for runtimes that AWS has retired as well.
fn check_runtime(runtime: &str) -> Result<(), Error> {
    let mut known = RUNTIMES.trim_matches(['[', ']']).split(", ").chain(NEWER.iter().copied());
    if known.any(|name| name == runtime) { Ok(()) } else { Err(unknown_runtime(runtime)) }
}

/// Lambda checks runtimes itself, in other words than the model's.
pub(crate) fn unknown_runtime(runtime: &str) -> Error {
    invalid(format!(
        "Value {runtime} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: {RUNTIMES} or be a valid ARN"
    ))
}

/// The unpacked sizes of a package and its layers count together.
pub(crate) fn check_size(code: &Code, layers: &[LayerRef]) -> Result<(), Error> {
    let of_layers = layers.iter().map(|layer| layer.code.unpacked).sum::<u64>();
    if of_layers > MAX_UNZIPPED {
        return Err(invalid(format!("Layers consume more than the available size of {MAX_UNZIPPED} bytes")));
    }
    let size = code.unpacked + of_layers;
    if size <= MAX_UNZIPPED {
        return Ok(());
    }
    Err(invalid(format!(
        "Function code combined with layers exceeds the maximum allowed size of {MAX_UNZIPPED} bytes. The actual size is {size} bytes."
    )))
}

/// The parts of a layer version's ARN. `None` where it is none of this region.
pub(crate) fn layer_arn(cx: &Context, text: &str) -> Option<(Context, String, u64)> {
    let arn = Arn::parse(text).filter(|arn| arn.service == "lambda" && *arn.region == *cx.region)?;
    let (name, number) = arn.resource.strip_prefix("layer:")?.split_once(':')?;
    Some((cx.located(arn.account, arn.region), name.to_owned(), number.parse().ok()?))
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn check_environment(variables: &BTreeMap<String, String>) -> Result<(), Error> {
    let reserved: Vec<&str> = variables.keys().map(String::as_str).filter(|k| RESERVED.contains(k)).collect();
    if !reserved.is_empty() {
        return Err(invalid(format!(
            "Lambda was unable to configure your environment variables because the environment variables you have provided \
             contains reserved keys that are currently not supported for modification. Reserved keys used in this request: {}",
            reserved.join(", ")
        )));
    }
    let measured = serde_json::to_string(variables).unwrap_or_default();
    if measured.len() > MAX_ENVIRONMENT {
        return Err(invalid(format!(
            "Lambda was unable to configure your environment variables because the environment variables you have provided \
             exceeded the 4KB limit. String measured: {measured}"
        )));
    }
    Ok(())
}

/// A version as every answer shows it. `qualified` adds the version to the ARN.
pub(crate) fn describe(named: &Named, version: &Version, qualified: bool) -> FunctionConfiguration {
    let s = &version.settings;
    let arn = function_arn(&named.cx, &named.name);
    let text = |text: &str| Some(text.to_owned());
    let reason = |pair: &Option<(String, String)>| {
        let (words, code) = pair.clone().unzip();
        (words, code)
    };
    let (state_reason, state_reason_code) = reason(&version.state_reason);
    let (last_update_status_reason, last_update_status_reason_code) = reason(&version.update_reason);
    let environment = s.environment.clone().map(|v| EnvironmentResponse { variables: Some(v), error: None });
    let layers = s.layers.iter().map(|l| Layer {
        arn: text(&l.arn),
        code_size: Some(l.code.size),
        ..Default::default()
    });
    let vpc_config = s.vpc.clone().map(|(subnets, groups, ipv6)| VpcConfigResponse {
        subnet_ids: Some(subnets),
        security_group_ids: Some(groups),
        vpc_id: Some(String::new()),
        ipv6_allowed_for_dual_stack: Some(ipv6),
    });
    FunctionConfiguration {
        function_name: text(&named.name),
        function_arn: Some(if qualified { format!("{arn}:{}", version.name()) } else { arn }),
        runtime: text(&s.runtime).filter(|_| s.image.is_none()),
        role: text(&s.role),
        handler: text(&s.handler).filter(|_| s.image.is_none()),
        code_size: Some(version.code.size),
        description: text(&s.description),
        timeout: Some(s.timeout),
        memory_size: Some(s.memory),
        last_modified: text(&version.modified),
        // An image's is its digest as registries write it.
        code_sha256: Some(match &s.image {
            Some(_) => version.code.sha256.clone(),
            None => code_sha256(&version.code.sha256),
        }),
        image_config_response: s.image.as_ref().and_then(crate::images::shown),
        version: Some(version.name()),
        vpc_config,
        dead_letter_config: s.dead_letter.as_deref().map(|arn| DeadLetterConfig { target_arn: text(arn) }),
        environment,
        kms_key_arn: s.kms_key.clone(),
        tracing_config: Some(TracingConfigResponse { mode: text(&s.tracing) }),
        revision_id: text(&version.revision),
        layers: (!s.layers.is_empty()).then(|| layers.collect()),
        state: text(&version.state),
        state_reason,
        state_reason_code,
        last_update_status: version.update_status.clone(),
        last_update_status_reason,
        last_update_status_reason_code,
        durable_config: s.durable.as_ref().map(|d| DurableConfig {
            kms_key_arn: d.kms_key.clone(),
            retention_period_in_days: d.retention_days,
            execution_timeout: d.timeout,
        }),
        tenancy_config: s
            .tenancy
            .as_deref()
            .map(|mode| TenancyConfig { tenant_isolation_mode: mode.to_owned(), ..Default::default() }),
        package_type: text(if s.image.is_some() { "Image" } else { "Zip" }),
        architectures: Some(s.architectures.clone()),
        ephemeral_storage: Some(EphemeralStorage { size: s.ephemeral, ..Default::default() }),
        snap_start: Some(SnapStartResponse {
            apply_on: text(&s.snap_start),
            optimization_status: text(if s.snap_start == "PublishedVersions" && version.number > 0 {
                "On"
            } else {
                "Off"
            }),
        }),
        runtime_version_config: s.image.is_none().then(|| RuntimeVersionConfig {
            runtime_version_arn: Some(runtime_arn(&named.cx, &s.runtime)),
            error: None,
        }),
        logging_config: Some(LoggingConfig {
            log_format: text(&s.log_format),
            application_log_level: s.application_log_level.clone(),
            system_log_level: s.system_log_level.clone(),
            log_group: Some(s.log_group(&named.name)),
        }),
        ..Default::default()
    }
}

/// Base64, as Lambda shows it.
pub(crate) fn code_sha256(hexadecimal: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(hex::decode(hexadecimal).unwrap_or_default())
}

/// Names the runtime as AWS does its versions: by a hash.
pub(crate) fn runtime_arn(cx: &Context, runtime: &str) -> String {
    let hash = hex::encode(Sha256::digest(runtime.as_bytes()));
    format!("arn:{}:lambda:{}::runtime:{hash}", cx.partition(), cx.region)
}

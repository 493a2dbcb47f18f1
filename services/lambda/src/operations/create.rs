//! CreateFunction.

use crate::code::{Source, discard};
use crate::durable::Durable;
use crate::errors::{Failure, conflict, invalid, stored};
use crate::names::Named;
use crate::prepare::{Task, creating};
use crate::runner::cannot_assume;
use crate::settings::{Changes, check_size, describe};
use crate::state::{Code, Function, Settings, Version, named_key, version_key, written_time};
use crate::{Lambda, images};
use cloudlet_api_lambda::*;

/// The most characters of a function's own name.
const MAX_NAME: usize = 64;

impl Lambda {
    /// Makes a function. It is `Pending` until its package is unpacked and its runtime found.
    ///
    /// Errors: `ResourceConflictException`, `InvalidParameterValueException`, `RequestEntityTooLargeException`.
    pub async fn create_function(
        &self,
        cx: &Context,
        input: CreateFunctionInput,
    ) -> Result<CreateFunctionOutput, Error> {
        let named = Named::read(cx, &input.function_name, None)?;
        unserved(&input)?;
        check_file_systems(input.file_system_configs.as_deref())?;
        if named.qualifier.is_some() {
            let name = &input.function_name;
            return Err(Error::validation(format!(
                "1 validation error detected: Value '{name}' at 'functionName' failed to satisfy constraint: Member must satisfy \
                 regular expression pattern: (arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{{2}}((-gov)|(-iso([a-z]?)))?-[a-z]+-\\d{{1}}:)?(\\d{{12}}:)?(function:)?([a-zA-Z0-9-_]+)"
            )));
        }
        if named.name.len() > MAX_NAME {
            return Err(invalid(format!(
                "1 validation error detected: Value '{}' at 'functionName' failed to satisfy constraint: Member must have length less \
                 than or equal to {MAX_NAME}",
                named.name
            )));
        }
        let image = images::wanted(&input)?;
        let (runtime, handler) = match (input.runtime.clone(), input.handler.clone()) {
            (Some(runtime), Some(handler)) => (runtime, handler),
            _ if image.is_some() => (String::new(), String::new()),
            _ => {
                return Err(invalid(
                    "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
                ));
            }
        };
        let key = named_key(&named.cx, &named.name);
        if self.store.table::<Function>().exists(&key).map_err(stored)? {
            return Err(exists(&named));
        }
        let architectures = input.architectures.clone().unwrap_or_else(|| vec!["x86_64".to_owned()]);
        check_architectures(&architectures)?;
        let mut settings = Settings::fresh(runtime.clone(), handler, input.role.clone(), architectures);
        settings.durable = input.durable_config.map(durable);
        settings.tenancy = input.tenancy_config.map(|config| config.tenant_isolation_mode);
        let changes = Changes {
            runtime: Some(runtime).filter(|_| image.is_none()),
            description: input.description,
            timeout: input.timeout,
            memory: input.memory_size,
            environment: input.environment,
            layers: input.layers,
            ephemeral: input.ephemeral_storage,
            tracing: input.tracing_config,
            dead_letter: input.dead_letter_config,
            kms_key: input.kms_key_arn,
            snap_start: input.snap_start,
            logging: input.logging_config,
            vpc: input.vpc_config,
            ..Changes::default()
        };
        self.apply(&named.cx, &mut settings, changes)?;
        let tags = input.tags.unwrap_or_default();
        super::tags::check(&tags)?;
        if let Some(arn) = &input.code_signing_config_arn {
            self.code_signing(cx, arn)?;
        }
        self.check_role(&named, &settings.role).await?;
        if let Some(target) = &settings.dead_letter {
            self.check_dead_letter(&named, &settings.role, target).await?;
        }
        let c = &input.code;
        let code = match &image {
            Some(image) => images::accept(image, &self.store).await?,
            None => {
                let source = Source::of(
                    c.zip_file.as_ref().map(AsRef::as_ref),
                    c.s3_bucket.as_ref(),
                    c.s3_key.as_ref(),
                    c.s3_object_version.as_ref(),
                )?;
                source.accept(cx, &self.store, "CreateFunction").await?
            }
        };
        settings.image = image;
        let mut refused = check_size(&code, &settings.layers)
            .and_then(|()| {
                self.check_room(&named.cx, code.size * (1 + i64::from(input.publish == Some(true))))
            })
            .and_then(|()| self.check_signature(cx, input.code_signing_config_arn.as_deref()));
        if refused.is_ok() {
            refused = self.seal(cx, &named, &mut settings).await;
        }
        if let Err(error) = refused {
            discard(&self.store, &code);
            return Err(error);
        }
        let now = cx.millis();
        let latest = self.fresh_version(&named, code.clone(), settings, now);
        let publish = input.publish.unwrap_or(false);
        let created = self
            .store
            .transact(|tx| {
                if tx.exists::<Function>(&key)? {
                    return Err(Failure(exists(&named)));
                }
                let function = Function {
                    name: named.name.clone(),
                    created: now,
                    last_version: u64::from(publish),
                    tags: tags.clone(),
                    reserved_concurrency: None,
                    recursive_loop: None,
                    policies: BTreeMap::new(),
                    event_configs: BTreeMap::new(),
                    urls: BTreeMap::new(),
                    provisioned: BTreeMap::new(),
                    code_signing: input.code_signing_config_arn.clone(),
                };
                tx.put(&key, &function)?;
                let mut shown = latest.clone();
                for number in 0..=u64::from(publish) {
                    let (revision, run) = (cx.random().uuid(), cx.random().uuid());
                    let origin = if number > 0 { shown.run.clone() } else { String::new() };
                    let version = Version { number, revision, run, origin, ..latest.clone() };
                    tx.adopt_blob(version.code.blob)?;
                    for layer in &version.settings.layers {
                        tx.adopt_blob(layer.code.blob)?;
                    }
                    tx.put(&version_key(&named.cx, &named.name, number), &version)?;
                    tx.emit(Task::message(&named, &version))?;
                    shown = version;
                }
                Ok(shown)
            })
            .await;
        match created {
            Ok(version) => Ok(describe(&named, &version, false)),
            Err(Failure(error)) => {
                discard(&self.store, &code);
                Err(error)
            }
        }
    }

    pub(crate) fn fresh_version(&self, named: &Named, code: Code, settings: Settings, now: i64) -> Version {
        Version {
            number: 0,
            code,
            settings,
            revision: named.cx.random().uuid(),
            run: named.cx.random().uuid(),
            origin: String::new(),
            modified: written_time(now),
            state: "Pending".to_owned(),
            state_reason: creating(),
            update_status: None,
            update_reason: None,
            runtime_updates: None,
        }
    }

    /// Whether the role is there and trusts Lambda.
    pub(crate) async fn check_role(&self, named: &Named, role: &str) -> Result<(), Error> {
        self.sink.roles().check(&named.cx, role, &named.name).await.map_err(|error| match error.status() {
            501 | 500.. => error,
            _ => {
                tracing::debug!(role, %error, "STS refused the execution role");
                cannot_assume()
            }
        })
    }
}

pub(super) fn durable(config: DurableConfig) -> Durable {
    Durable {
        timeout: config.execution_timeout,
        retention_days: config.retention_period_in_days,
        kms_key: config.kms_key_arn.filter(|key| !key.is_empty()),
    }
}

/// A function is for one architecture, though the member is a list.
pub(super) fn check_architectures(list: &[String]) -> Result<(), Error> {
    if list.len() == 1 {
        return Ok(());
    }
    let (length, bound) = if list.is_empty() { ("greater", "1") } else { ("less", "1") };
    Err(Error::validation(format!(
        "1 validation error detected: Value '[{}]' at 'architectures' failed to satisfy constraint: Member must have length {length} \
         than or equal to {bound}",
        list.join(", ")
    )))
}

/// File systems are reached through a VPC, which no function here has: what AWS says to a function without one.
pub(super) fn check_file_systems(configs: Option<&[FileSystemConfig]>) -> Result<(), Error> {
    match configs.unwrap_or_default().first() {
        Some(first) => Err(invalid(format!(
            "Function must be configured to execute in a VPC to reference access point {}",
            first.arn
        ))),
        None => Ok(()),
    }
}

fn exists(named: &Named) -> Error {
    conflict(format!("Function already exist: {}", named.name))
}

/// What CreateFunction has on AWS and not here yet.
fn unserved(input: &CreateFunctionInput) -> Result<(), Error> {
    let part = if input.tenancy_config.is_some() && input.durable_config.is_some() {
        "TenancyConfig of a durable function"
    } else if input.capacity_provider_config.is_some() || input.publish_to.is_some() {
        "CapacityProviderConfig"
    } else if input.accelerator_config.is_some() {
        "AcceleratorConfig"
    } else if input.runtime_config.is_some() {
        "RuntimeConfig"
    } else if input.code.source_kms_key_arn.is_some() {
        "Code.SourceKMSKeyArn"
    } else {
        return Ok(());
    };
    Err(Error::not_implemented_part(format_args!("lambda:CreateFunction {part}")))
}

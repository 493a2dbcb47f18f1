//! UpdateFunctionCode and UpdateFunctionConfiguration.

use crate::code::{Source, discard};
use crate::errors::{Failure, conflict, invalid, stale_revision};
use crate::names::Named;
use crate::prepare::{Task, creating, latest};
use crate::settings::{Changes, check_size, describe};
use crate::state::{Version, version_key, written_time};
use crate::{Lambda, images};
use cloudlet_api_lambda::*;

impl Lambda {
    /// `$LATEST` as an update begins with it, once nothing else is under way.
    pub(crate) async fn updatable(&self, named: &Named, revision: Option<&str>) -> Result<Version, Error> {
        if !latest(named) {
            return Err(invalid(
                "Only $LATEST can be changed: leave the qualifier out of the function's name.",
            ));
        }
        self.function(named)?;
        let version = self.settled(named, 0).await?;
        if !version.settled() {
            return Err(conflict(format!(
                "The operation cannot be performed at this time. An update is in progress for resource: {}",
                named.arn()
            )));
        }
        if revision.is_some_and(|revision| revision != version.revision) {
            return Err(stale_revision("GetFunction/GetAlias"));
        }
        Ok((*version).clone())
    }

    /// Gives `$LATEST` another package.
    ///
    /// Errors: `ResourceNotFoundException`, `InvalidParameterValueException`, `PreconditionFailedException`,
    /// `ResourceConflictException`, `RequestEntityTooLargeException`.
    pub async fn update_function_code(
        &self,
        cx: &Context,
        input: UpdateFunctionCodeInput,
    ) -> Result<UpdateFunctionCodeOutput, Error> {
        let named = Named::read(cx, &input.function_name, None)?;
        let old = self.updatable(&named, input.revision_id.as_deref()).await?;
        let mut image = old.settings.image.clone();
        match (&mut image, input.image_uri.clone().filter(|uri| !uri.is_empty())) {
            (Some(image), Some(uri)) => image.uri = uri,
            (Some(_), None) => {
                return Err(invalid(
                    "Please provide ImageUri when updating a function with packageType Image.",
                ));
            }
            (None, Some(_)) => {
                return Err(invalid(
                    "Please don't provide ImageUri when updating a function with packageType Zip.",
                ));
            }
            (None, None) => {}
        }
        if input.source_kms_key_arn.is_some() || input.publish_to.is_some() {
            return Err(Error::not_implemented_part("lambda:UpdateFunctionCode SourceKMSKeyArn, PublishTo"));
        }
        if let Some(architectures) = &input.architectures {
            super::create::check_architectures(architectures)?;
        }
        let zip = input.zip_file.as_ref().map(AsRef::as_ref);
        let code = match &image {
            Some(image) => images::accept(image, &self.store).await?,
            None => {
                let source = Source::of(
                    zip,
                    input.s3_bucket.as_ref(),
                    input.s3_key.as_ref(),
                    input.s3_object_version.as_ref(),
                )?;
                source.accept(cx, &self.store, "UpdateFunctionCode").await?
            }
        };
        let signing = self.function(&named)?.code_signing.clone();
        let refused = check_size(&code, &old.settings.layers)
            .and_then(|()| self.check_room(&named.cx, code.size - old.code.size))
            .and_then(|()| self.check_signature(cx, signing.as_deref()));
        if let Err(error) = refused {
            discard(&self.store, &code);
            return Err(error);
        }
        let mut new = self.updated(&named, &old, cx.millis());
        new.code = code.clone();
        new.settings.image = image;
        if let Some(architectures) = input.architectures {
            new.settings.architectures = architectures;
        }
        if input.dry_run.unwrap_or(false) {
            discard(&self.store, &code);
            // Nothing is under way, and nothing has changed.
            let kept = Version { code: new.code, settings: new.settings, ..old };
            return Ok(describe(&named, &kept, false));
        }
        if let Err(error) = self.commit(&named, &old, &new).await {
            discard(&self.store, &code);
            return Err(error);
        }
        if input.publish.unwrap_or(false) {
            self.settled(&named, 0).await?;
            return self.publish(&named, None, None, None).await;
        }
        Ok(describe(&named, &new, false))
    }

    /// Changes the settings of `$LATEST`.
    ///
    /// Errors: `ResourceNotFoundException`, `InvalidParameterValueException`, `PreconditionFailedException`,
    /// `ResourceConflictException`.
    pub async fn update_function_configuration(
        &self,
        cx: &Context,
        input: UpdateFunctionConfigurationInput,
    ) -> Result<UpdateFunctionConfigurationOutput, Error> {
        let named = Named::read(cx, &input.function_name, None)?;
        let old = self.updatable(&named, input.revision_id.as_deref()).await?;
        super::create::check_file_systems(input.file_system_configs.as_deref())?;
        let unserved = input.capacity_provider_config.is_some()
            || input.runtime_config.is_some()
            || input.accelerator_config.is_some();
        if unserved {
            return Err(Error::not_implemented_part(
                "lambda:UpdateFunctionConfiguration CapacityProviderConfig, RuntimeConfig, \
                 AcceleratorConfig",
            ));
        }
        let mut new = self.updated(&named, &old, cx.millis());
        if let Some(config) = input.durable_config {
            if old.settings.durable.is_none() {
                return Err(invalid("You cannot add DurableConfig to an existing function."));
            }
            new.settings.durable = Some(super::create::durable(config));
        }
        match (&mut new.settings.image, &input.image_config) {
            (Some(image), Some(config)) => images::configure(image, config),
            (None, Some(_)) => {
                return Err(invalid(
                    "Please don't provide ImageConfig when the intended function PackageType is Zip.",
                ));
            }
            (_, None) => {}
        }
        let role = input.role.clone();
        let changes = Changes {
            runtime: input.runtime,
            handler: input.handler,
            role: input.role,
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
        };
        self.apply(&named.cx, &mut new.settings, changes)?;
        check_size(&new.code, &new.settings.layers)?;
        if let Some(role) = role {
            self.check_role(&named, &role).await?;
        }
        let (before, after) = (&old.settings, &new.settings);
        if let Some(target) = &after.dead_letter
            && (&before.dead_letter, &before.role) != (&after.dead_letter, &after.role)
        {
            self.check_dead_letter(&named, &after.role, target).await?;
        }
        if (&before.kms_key, &before.role) != (&after.kms_key, &after.role) {
            self.seal(cx, &named, &mut new.settings).await?;
        }
        self.commit(&named, &old, &new).await?;
        Ok(describe(&named, &new, false))
    }

    fn updated(&self, named: &Named, old: &Version, now: i64) -> Version {
        Version {
            revision: named.cx.random().uuid(),
            run: named.cx.random().uuid(),
            modified: written_time(now),
            update_status: Some("InProgress".to_owned()),
            update_reason: creating(),
            ..old.clone()
        }
    }

    /// Replaces `$LATEST`, if it is still the one that the update began with.
    async fn commit(&self, named: &Named, old: &Version, new: &Version) -> Result<(), Error> {
        let key = version_key(&named.cx, &named.name, 0);
        self.store
            .transact(|tx| {
                let there = tx.get::<Version>(&key)?.ok_or_else(|| named.missing())?;
                if there.run() != old.run() {
                    return Err(Failure(conflict(format!(
                        "The operation cannot be performed at this time. An update is in progress for resource: {}",
                        named.arn()
                    ))));
                }
                if new.code.blob != there.code.blob {
                    tx.adopt_blob(new.code.blob)?;
                    tx.release_blob(there.code.blob)?;
                }
                if new.settings.layers != there.settings.layers {
                    for layer in &new.settings.layers {
                        tx.adopt_blob(layer.code.blob)?;
                    }
                    for layer in &there.settings.layers {
                        tx.release_blob(layer.code.blob)?;
                    }
                }
                tx.put(&key, new)?;
                tx.emit(Task::message(named, new))?;
                Ok(())
            })
            .await?;
        self.compute.forget(&named.arn());
        Ok(())
    }
}

//! Code signing configurations: whose signatures a function's code must bear.
//!
//! AWS Signer is not served, so that no package here bears a signature: a configuration that enforces refuses every
//! package, as AWS does with unsigned ones, and one that warns lets it in.

use super::get::PAGE;
use crate::Lambda;
use crate::errors::{Failure, conflict, invalid, not_found, stored};
use crate::names::Named;
use crate::state::{CodeSigning, Function, named_key, place, written_time};
use cloudlet_api_lambda::*;
use cloudlet_service::{Arn, pages};
use std::sync::Arc;

/// Lambda quotas: the most profiles of a configuration.
const MOST_PUBLISHERS: usize = 20;

impl Lambda {
    /// Makes a configuration. Errors: `InvalidParameterValueException`.
    pub async fn create_code_signing_config(
        &self,
        cx: &Context,
        input: CreateCodeSigningConfigInput,
    ) -> Result<CreateCodeSigningConfigOutput, Error> {
        let tags = input.tags.unwrap_or_default();
        super::tags::check(&tags)?;
        let config = CodeSigning {
            id: format!("csc-{}", cx.random().text(17, b"0123456789abcdef")),
            description: input.description,
            publishers: publishers(input.allowed_publishers)?,
            policy: policy(input.code_signing_policies).unwrap_or_else(|| "Warn".to_owned()),
            modified: written_time(cx.millis()),
            tags,
        };
        let key = named_key(cx, &config.id);
        self.store.transact(|tx| Ok::<_, Failure>(tx.put(&key, &config)?)).await?;
        Ok(CreateCodeSigningConfigOutput { code_signing_config: describe(cx, &config), ..Default::default() })
    }

    /// Shows one. Errors: `ResourceNotFoundException`.
    pub async fn get_code_signing_config(
        &self,
        cx: &Context,
        input: GetCodeSigningConfigInput,
    ) -> Result<GetCodeSigningConfigOutput, Error> {
        let config = self.read_signing(cx, &input.code_signing_config_arn)?;
        Ok(GetCodeSigningConfigOutput { code_signing_config: describe(cx, &config), ..Default::default() })
    }

    /// Changes one. Errors: `ResourceNotFoundException`, `InvalidParameterValueException`.
    pub async fn update_code_signing_config(
        &self,
        cx: &Context,
        input: UpdateCodeSigningConfigInput,
    ) -> Result<UpdateCodeSigningConfigOutput, Error> {
        let arn = &input.code_signing_config_arn;
        let key = signing_key(cx, arn).ok_or_else(|| missing(arn))?;
        let publishers = input.allowed_publishers.map(publishers).transpose()?;
        let policy = policy(input.code_signing_policies);
        let config = self
            .store
            .transact(|tx| {
                let mut config = tx.get::<CodeSigning>(&key)?.ok_or_else(|| missing(arn))?;
                if input.description.is_some() {
                    config.description.clone_from(&input.description);
                }
                if let Some(publishers) = &publishers {
                    config.publishers.clone_from(publishers);
                }
                if let Some(policy) = &policy {
                    config.policy.clone_from(policy);
                }
                config.modified = written_time(cx.millis());
                tx.put(&key, &config)?;
                Ok::<_, Failure>(config)
            })
            .await?;
        Ok(UpdateCodeSigningConfigOutput { code_signing_config: describe(cx, &config), ..Default::default() })
    }

    /// Deletes one that no function uses. Errors: `ResourceNotFoundException`, `ResourceConflictException`.
    pub async fn delete_code_signing_config(
        &self,
        cx: &Context,
        input: DeleteCodeSigningConfigInput,
    ) -> Result<DeleteCodeSigningConfigOutput, Error> {
        let arn = &input.code_signing_config_arn;
        let key = signing_key(cx, arn).ok_or_else(|| missing(arn))?;
        let functions = place(cx);
        self.store
            .transact(|tx| {
                tx.get::<CodeSigning>(&key)?.ok_or_else(|| missing(arn))?;
                for row in tx.scan::<Function>(functions.prefix_range(), false) {
                    if row?.1.code_signing.as_ref() == Some(arn) {
                        return Err(Failure(conflict(format!(
                            "The code signing configuration {arn} is in use by a function and cannot be deleted."
                        ))));
                    }
                }
                Ok(tx.delete::<CodeSigning>(&key)?)
            })
            .await?;
        Ok(DeleteCodeSigningConfigOutput::default())
    }

    /// Lists them. Errors: `InvalidParameterValueException` for a marker that is none of ours.
    pub async fn list_code_signing_configs(
        &self,
        cx: &Context,
        input: ListCodeSigningConfigsInput,
    ) -> Result<ListCodeSigningConfigsOutput, Error> {
        let rows = self.store.table::<CodeSigning>().scan(place(cx).prefix_range(), false);
        let all: Vec<CodeSigning> =
            rows.map(|row| row.map(|(_, c)| c)).collect::<Result<_, _>>().map_err(stored)?;
        let limit = input.max_items.and_then(|n| usize::try_from(n).ok()).unwrap_or(PAGE).clamp(1, PAGE);
        let key = |config: &CodeSigning| config.id.clone().into_bytes();
        let bad = || invalid("The marker is not one that ListCodeSigningConfigs gave.");
        let page = pages::page(all.into_iter(), limit, input.marker.as_deref(), key, bad)?;
        let configs = page.items.iter().map(|config| describe(cx, config)).collect();
        Ok(ListCodeSigningConfigsOutput { next_marker: page.next, code_signing_configs: Some(configs) })
    }

    /// Lists the functions that use one. Errors: `ResourceNotFoundException`.
    pub async fn list_functions_by_code_signing_config(
        &self,
        cx: &Context,
        input: ListFunctionsByCodeSigningConfigInput,
    ) -> Result<ListFunctionsByCodeSigningConfigOutput, Error> {
        let arn = &input.code_signing_config_arn;
        self.read_signing(cx, arn)?;
        let mut users = Vec::new();
        for row in self.store.table::<Function>().scan(place(cx).prefix_range(), false) {
            let (_, function) = row.map_err(stored)?;
            if function.code_signing.as_ref() == Some(arn) {
                users.push(crate::names::function_arn(cx, &function.name));
            }
        }
        let limit = input.max_items.and_then(|n| usize::try_from(n).ok()).unwrap_or(PAGE).clamp(1, PAGE);
        let key = |arn: &String| arn.clone().into_bytes();
        let bad = || invalid("The marker is not one that ListFunctionsByCodeSigningConfig gave.");
        let page = pages::page(users.into_iter(), limit, input.marker.as_deref(), key, bad)?;
        Ok(ListFunctionsByCodeSigningConfigOutput { next_marker: page.next, function_arns: Some(page.items) })
    }

    /// Says which configuration holds for a function's next code.
    ///
    /// Errors: `CodeSigningConfigNotFoundException`, `ResourceNotFoundException`.
    pub async fn put_function_code_signing_config(
        &self,
        cx: &Context,
        input: PutFunctionCodeSigningConfigInput,
    ) -> Result<PutFunctionCodeSigningConfigOutput, Error> {
        let named = Named::read(cx, &input.function_name, None)?;
        self.code_signing(cx, &input.code_signing_config_arn)?;
        self.change_signing(&named, Some(&input.code_signing_config_arn)).await?;
        Ok(PutFunctionCodeSigningConfigOutput {
            code_signing_config_arn: input.code_signing_config_arn,
            function_name: named.name,
            ..Default::default()
        })
    }

    /// Shows it; nothing where the function has none. Errors: `ResourceNotFoundException`.
    pub async fn get_function_code_signing_config(
        &self,
        cx: &Context,
        input: GetFunctionCodeSigningConfigInput,
    ) -> Result<GetFunctionCodeSigningConfigOutput, Error> {
        let named = Named::read(cx, &input.function_name, None)?;
        Ok(match &self.function(&named)?.code_signing {
            Some(arn) => GetFunctionCodeSigningConfigOutput {
                code_signing_config_arn: Some(arn.clone()),
                function_name: Some(named.name),
            },
            // The model demands both members, and AWS gives neither.
            None => GetFunctionCodeSigningConfigOutput::default(),
        })
    }

    /// Frees the function of it. Errors: `ResourceNotFoundException`.
    pub async fn delete_function_code_signing_config(
        &self,
        cx: &Context,
        input: DeleteFunctionCodeSigningConfigInput,
    ) -> Result<DeleteFunctionCodeSigningConfigOutput, Error> {
        self.change_signing(&Named::read(cx, &input.function_name, None)?, None).await?;
        Ok(DeleteFunctionCodeSigningConfigOutput::default())
    }

    async fn change_signing(&self, named: &Named, arn: Option<&str>) -> Result<(), Error> {
        let key = named_key(&named.cx, &named.name);
        self.store
            .transact(|tx| {
                let mut function = tx.get::<Function>(&key)?.ok_or_else(|| named.missing())?;
                function.code_signing = arn.map(str::to_owned);
                Ok::<_, Failure>(tx.put(&key, &function)?)
            })
            .await?;
        Ok(())
    }

    fn read_signing(&self, cx: &Context, arn: &str) -> Result<Arc<CodeSigning>, Error> {
        let key = signing_key(cx, arn).ok_or_else(|| missing(arn))?;
        self.store.table::<CodeSigning>().get_arc(&key).map_err(stored)?.ok_or_else(|| missing(arn))
    }

    /// The configuration that a function is to use. Errors: `CodeSigningConfigNotFoundException`.
    pub(crate) fn code_signing(&self, cx: &Context, arn: &str) -> Result<Arc<CodeSigning>, Error> {
        self.read_signing(cx, arn).map_err(|_| {
            let message = format!(
                "The code signing configuration cannot be found. Check that the provided configuration is not deleted: {arn}."
            );
            CodeSigningConfigNotFoundException { r#type: Some("User".to_owned()), message: Some(message) }.into()
        })
    }

    /// Whether unsigned code may be deployed. Errors: `CodeVerificationFailedException`.
    pub(crate) fn check_signature(&self, cx: &Context, arn: Option<&str>) -> Result<(), Error> {
        let Some(arn) = arn else { return Ok(()) };
        if self.code_signing(cx, arn)?.policy != "Enforce" {
            return Ok(());
        }
        let message = "Lambda cannot deploy the function. The function or layer might be signed using a signature that the client is \
                       not configured to accept. Check the provided signature for unsigned.";
        let detail = CodeVerificationFailedException {
            r#type: Some("User".to_owned()),
            message: Some(message.to_owned()),
        };
        Err(detail.into())
    }
}

/// The key of the configuration with this ARN; `None` for another account's or region's.
pub(super) fn signing_key(cx: &Context, arn: &str) -> Option<cloudlet_store::Key> {
    let arn = Arn::parse(arn).filter(|arn| *arn.region == *cx.region && *arn.account == *cx.account)?;
    Some(named_key(cx, arn.resource.strip_prefix("code-signing-config:")?))
}

fn missing(arn: &str) -> Error {
    not_found(format!("The Lambda code signing configuration {arn} can not be found."))
}

fn publishers(allowed: AllowedPublishers) -> Result<Vec<String>, Error> {
    let arns = allowed.signing_profile_version_arns;
    if arns.len() > MOST_PUBLISHERS {
        return Err(invalid(format!(
            "A code signing configuration has at most {MOST_PUBLISHERS} signing profile versions."
        )));
    }
    Ok(arns)
}

fn policy(policies: Option<CodeSigningPolicies>) -> Option<String> {
    policies?.untrusted_artifact_on_deployment
}

fn describe(cx: &Context, config: &CodeSigning) -> CodeSigningConfig {
    CodeSigningConfig {
        code_signing_config_id: config.id.clone(),
        code_signing_config_arn: cx.arn("lambda", format_args!("code-signing-config:{}", config.id)),
        description: config.description.clone(),
        allowed_publishers: AllowedPublishers {
            signing_profile_version_arns: config.publishers.clone(),
            ..Default::default()
        },
        code_signing_policies: CodeSigningPolicies {
            untrusted_artifact_on_deployment: Some(config.policy.clone()),
        },
        last_modified: config.modified.clone(),
        ..Default::default()
    }
}

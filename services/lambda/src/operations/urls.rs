//! Function URLs: their configuration. What a request to one does is in `urls/`.

use super::get::PAGE;
use crate::Lambda;
use crate::errors::{Failure, conflict, invalid, no_resource, not_found};
use crate::names::{LATEST, Named};
use crate::state::{Alias, Function, UrlConfig, UrlCors, UrlId, alias_key, named_key, url_key, written_time};
use cloudlet_api_lambda::*;
use cloudlet_service::pages;

impl Lambda {
    /// Gives a function or an alias an URL.
    ///
    /// Errors: `ResourceNotFoundException`, `ResourceConflictException`, `InvalidParameterValueException`.
    pub async fn create_function_url_config(
        &self,
        cx: &Context,
        input: CreateFunctionUrlConfigInput,
    ) -> Result<CreateFunctionUrlConfigOutput, Error> {
        let named = named(cx, &input.function_name, input.qualifier.as_deref())?;
        self.refuse_tenants(&named, "A function URL")?;
        let alias = named.qualifier.clone().unwrap_or_default();
        let now = written_time(cx.millis());
        let config = UrlConfig {
            id: cx.random().text(32, b"abcdefghijklmnopqrstuvwxyz0123456789"),
            auth: input.auth_type,
            cors: input.cors.map(cors).transpose()?,
            mode: input.invoke_mode.unwrap_or_else(|| "BUFFERED".to_owned()),
            created: now.clone(),
            modified: now,
        };
        let key = named_key(&named.cx, &named.name);
        let owner = UrlId {
            account: named.cx.account.to_string(),
            region: named.cx.region.to_string(),
            function: named.name.clone(),
            alias: alias.clone(),
        };
        self.store
            .transact(|tx| {
                let mut function = tx.get::<Function>(&key)?.ok_or_else(no_function)?;
                if function.urls.contains_key(&alias) {
                    return Err(Failure(conflict(format!(
                        "Failed to create function url config for [functionArn = {}]. Error message:  FunctionUrlConfig exists for this \
                         Lambda function",
                        named.qualified_arn()
                    ))));
                }
                if !alias.is_empty() && !tx.exists::<Alias>(&alias_key(&named.cx, &named.name, &alias))? {
                    return Err(Failure(no_function()));
                }
                function.urls.insert(alias.clone(), config.clone());
                tx.put(&url_key(&config.id), &owner)?;
                Ok(tx.put(&key, &function)?)
            })
            .await?;
        let shown = self.shown_url(cx, &named, &config).await;
        Ok(CreateFunctionUrlConfigOutput {
            function_url: shown.function_url,
            function_arn: shown.function_arn,
            auth_type: shown.auth_type,
            cors: shown.cors,
            creation_time: shown.creation_time,
            invoke_mode: shown.invoke_mode,
            ..Default::default()
        })
    }

    /// Shows an URL. Errors: `ResourceNotFoundException`.
    pub async fn get_function_url_config(
        &self,
        cx: &Context,
        input: GetFunctionUrlConfigInput,
    ) -> Result<GetFunctionUrlConfigOutput, Error> {
        let named = named(cx, &input.function_name, input.qualifier.as_deref())?;
        let function = self.function(&named).map_err(|_| no_resource())?;
        let config =
            function.urls.get(named.qualifier.as_deref().unwrap_or_default()).ok_or_else(no_resource)?;
        let shown = self.shown_url(cx, &named, config).await;
        Ok(GetFunctionUrlConfigOutput {
            function_url: shown.function_url,
            function_arn: shown.function_arn,
            auth_type: shown.auth_type,
            cors: shown.cors,
            creation_time: shown.creation_time,
            last_modified_time: shown.last_modified_time,
            invoke_mode: shown.invoke_mode,
            ..Default::default()
        })
    }

    /// Changes an URL. Errors: `ResourceNotFoundException`, `InvalidParameterValueException`.
    pub async fn update_function_url_config(
        &self,
        cx: &Context,
        input: UpdateFunctionUrlConfigInput,
    ) -> Result<UpdateFunctionUrlConfigOutput, Error> {
        let named = named(cx, &input.function_name, input.qualifier.as_deref())?;
        let alias = named.qualifier.clone().unwrap_or_default();
        let cors = input.cors.map(cors).transpose()?;
        let key = named_key(&named.cx, &named.name);
        let config = self
            .store
            .transact(|tx| {
                let mut function = tx.get::<Function>(&key)?.ok_or_else(no_function)?;
                if !alias.is_empty() && !tx.exists::<Alias>(&alias_key(&named.cx, &named.name, &alias))? {
                    return Err(Failure(no_function()));
                }
                let config = function.urls.get_mut(&alias).ok_or_else(no_resource)?;
                if let Some(auth) = &input.auth_type {
                    config.auth.clone_from(auth);
                }
                if cors.is_some() {
                    config.cors.clone_from(&cors);
                }
                if let Some(mode) = &input.invoke_mode {
                    config.mode.clone_from(mode);
                }
                config.modified = written_time(cx.millis());
                let changed = config.clone();
                tx.put(&key, &function)?;
                Ok(changed)
            })
            .await?;
        let shown = self.shown_url(cx, &named, &config).await;
        Ok(UpdateFunctionUrlConfigOutput {
            function_url: shown.function_url,
            function_arn: shown.function_arn,
            auth_type: shown.auth_type,
            cors: shown.cors,
            creation_time: shown.creation_time,
            last_modified_time: shown.last_modified_time,
            invoke_mode: shown.invoke_mode,
            ..Default::default()
        })
    }

    /// Takes the URL away; its address is never given again. Errors: `ResourceNotFoundException`.
    pub async fn delete_function_url_config(
        &self,
        cx: &Context,
        input: DeleteFunctionUrlConfigInput,
    ) -> Result<DeleteFunctionUrlConfigOutput, Error> {
        let named = named(cx, &input.function_name, input.qualifier.as_deref())?;
        let key = named_key(&named.cx, &named.name);
        self.store
            .transact(|tx| {
                let mut function = tx.get::<Function>(&key)?.ok_or_else(no_resource)?;
                let alias = named.qualifier.as_deref().unwrap_or_default();
                let config = function.urls.remove(alias).ok_or_else(no_resource)?;
                tx.delete::<UrlId>(&url_key(&config.id))?;
                Ok::<_, Failure>(tx.put(&key, &function)?)
            })
            .await?;
        Ok(DeleteFunctionUrlConfigOutput::default())
    }

    /// Lists the URLs of a function and its aliases. Errors: `ResourceNotFoundException`.
    pub async fn list_function_url_configs(
        &self,
        cx: &Context,
        input: ListFunctionUrlConfigsInput,
    ) -> Result<ListFunctionUrlConfigsOutput, Error> {
        let named = Named::read(cx, &input.function_name, None)?;
        let function = self.function(&named).map_err(|_| no_function())?;
        let limit = input.max_items.and_then(|n| usize::try_from(n).ok()).unwrap_or(PAGE).clamp(1, PAGE);
        // A key of its own for the function's own URL, which has no alias: a page must be able to end after it.
        let key = |(alias, _): &(&String, &UrlConfig)| format!(":{alias}").into_bytes();
        let bad = || invalid("The marker is not one that ListFunctionUrlConfigs gave.");
        let page = pages::page(function.urls.iter(), limit, input.marker.as_deref(), key, bad)?;
        let mut configs = Vec::new();
        for (alias, config) in page.items {
            let qualifier = Some(alias.clone()).filter(|a| !a.is_empty());
            configs.push(self.shown_url(cx, &Named { qualifier, ..named.clone() }, config).await);
        }
        Ok(ListFunctionUrlConfigsOutput {
            function_url_configs: configs,
            next_marker: page.next,
            ..Default::default()
        })
    }

    async fn shown_url(&self, cx: &Context, named: &Named, config: &UrlConfig) -> FunctionUrlConfig {
        FunctionUrlConfig {
            function_url: self.addresses.of(cx, &config.id).await,
            function_arn: named.qualified_arn(),
            creation_time: config.created.clone(),
            last_modified_time: config.modified.clone(),
            cors: config.cors.clone().map(|c| Cors {
                allow_credentials: c.credentials,
                allow_headers: c.headers,
                allow_methods: c.methods,
                allow_origins: c.origins,
                expose_headers: c.expose,
                max_age: c.max_age,
            }),
            auth_type: config.auth.clone(),
            invoke_mode: Some(config.mode.clone()),
            ..Default::default()
        }
    }
}

fn no_function() -> Error {
    not_found("Function does not exist")
}

/// A function or an alias of it; versions and `$LATEST` have no URLs.
fn named(cx: &Context, function: &str, qualifier: Option<&str>) -> Result<Named, Error> {
    let named = Named::read(cx, function, qualifier)?;
    match named.qualifier.as_deref() {
        Some(q) if q == LATEST || q.bytes().all(|b| b.is_ascii_digit()) => Err(Error::validation(format!(
            "1 validation error detected: Value '{q}' at 'qualifier' failed to satisfy constraint: Member must satisfy regular \
             expression pattern: ((?!^\\d+$)^[0-9a-zA-Z-_]+$)"
        ))),
        _ => Ok(named),
    }
}

fn cors(given: Cors) -> Result<UrlCors, Error> {
    let origins = given.allow_origins.as_deref().unwrap_or_default();
    if given.allow_credentials == Some(true) && origins.iter().any(|origin| origin == "*") {
        return Err(invalid(
            "AllowCredentials cannot be true when AllowOrigins contains the wildcard character (*).",
        ));
    }
    Ok(UrlCors {
        credentials: given.allow_credentials,
        headers: given.allow_headers,
        methods: given.allow_methods,
        origins: given.allow_origins,
        expose: given.expose_headers,
        max_age: given.max_age,
    })
}

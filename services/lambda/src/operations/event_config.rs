//! How asynchronous events are treated: retries, age, destinations.

use super::get::PAGE;
use crate::Lambda;
use crate::errors::{Failure, invalid, not_found};
use crate::names::{LATEST, Named, version_number};
use crate::state::{EventConfig, Function, named_key};
use cloudlet_api_lambda::*;
use cloudlet_service::{Arn, pages};

impl Lambda {
    /// Sets the whole configuration. Errors: `ResourceNotFoundException`, `InvalidParameterValueException`.
    pub async fn put_function_event_invoke_config(
        &self,
        cx: &Context,
        input: PutFunctionEventInvokeConfigInput,
    ) -> Result<PutFunctionEventInvokeConfigOutput, Error> {
        let named = Named::read(cx, &input.function_name, input.qualifier.as_deref())?;
        something(
            input.maximum_retry_attempts,
            input.maximum_event_age_in_seconds,
            input.destination_config.as_ref(),
        )?;
        self.check_exists(&named)?;
        let (on_success, on_failure) = self.destinations(&named, input.destination_config).await?;
        let config = EventConfig {
            modified: cx.millis(),
            max_retries: input.maximum_retry_attempts,
            max_age_seconds: input.maximum_event_age_in_seconds,
            on_success,
            on_failure,
        };
        self.change_events(&named, |_| Ok(config.clone())).await
    }

    /// Changes parts of it. Errors: `ResourceNotFoundException`, `InvalidParameterValueException`.
    pub async fn update_function_event_invoke_config(
        &self,
        cx: &Context,
        input: UpdateFunctionEventInvokeConfigInput,
    ) -> Result<UpdateFunctionEventInvokeConfigOutput, Error> {
        let named = Named::read(cx, &input.function_name, input.qualifier.as_deref())?;
        something(
            input.maximum_retry_attempts,
            input.maximum_event_age_in_seconds,
            input.destination_config.as_ref(),
        )?;
        self.check_exists(&named)?;
        let replaced = input.destination_config.is_some();
        let (on_success, on_failure) = self.destinations(&named, input.destination_config).await?;
        self.change_events(&named, |old| {
            let mut config = old.cloned().ok_or_else(|| no_config(&named))?;
            config.modified = cx.millis();
            config.max_retries = input.maximum_retry_attempts.or(config.max_retries);
            config.max_age_seconds = input.maximum_event_age_in_seconds.or(config.max_age_seconds);
            if replaced {
                config.on_success.clone_from(&on_success);
                config.on_failure.clone_from(&on_failure);
            }
            Ok(config)
        })
        .await
    }

    /// Shows it. Errors: `ResourceNotFoundException`.
    pub async fn get_function_event_invoke_config(
        &self,
        cx: &Context,
        input: GetFunctionEventInvokeConfigInput,
    ) -> Result<GetFunctionEventInvokeConfigOutput, Error> {
        let named = Named::read(cx, &input.function_name, input.qualifier.as_deref())?;
        let function = self.function(&named).map_err(|_| no_config(&named))?;
        let config = function.event_configs.get(qualifier(&named)).ok_or_else(|| no_config(&named))?;
        Ok(describe(&named, qualifier(&named), config))
    }

    /// Lists those of all qualifiers. Errors: `ResourceNotFoundException`.
    pub async fn list_function_event_invoke_configs(
        &self,
        cx: &Context,
        input: ListFunctionEventInvokeConfigsInput,
    ) -> Result<ListFunctionEventInvokeConfigsOutput, Error> {
        let named = Named::read(cx, &input.function_name, None)?;
        let function = self.function(&named).map_err(|_| not_found("The function doesn't exist."))?;
        let limit = input.max_items.and_then(|n| usize::try_from(n).ok()).unwrap_or(PAGE).clamp(1, PAGE);
        let key = |(qualifier, _): &(&String, &EventConfig)| qualifier.as_bytes().to_vec();
        let bad = || invalid("The marker is not one that ListFunctionEventInvokeConfigs gave.");
        let page = pages::page(function.event_configs.iter(), limit, input.marker.as_deref(), key, bad)?;
        let configs =
            page.items.into_iter().map(|(qualifier, config)| describe(&named, qualifier, config)).collect();
        Ok(ListFunctionEventInvokeConfigsOutput {
            function_event_invoke_configs: Some(configs),
            next_marker: page.next,
        })
    }

    /// Deletes it. Errors: `ResourceNotFoundException`.
    pub async fn delete_function_event_invoke_config(
        &self,
        cx: &Context,
        input: DeleteFunctionEventInvokeConfigInput,
    ) -> Result<DeleteFunctionEventInvokeConfigOutput, Error> {
        let named = Named::read(cx, &input.function_name, input.qualifier.as_deref())?;
        let key = named_key(&named.cx, &named.name);
        self.store
            .transact(|tx| {
                let mut function = tx.get::<Function>(&key)?.ok_or_else(|| no_config(&named))?;
                function.event_configs.remove(qualifier(&named)).ok_or_else(|| no_config(&named))?;
                Ok::<_, Failure>(tx.put(&key, &function)?)
            })
            .await?;
        Ok(DeleteFunctionEventInvokeConfigOutput::default())
    }

    fn check_exists(&self, named: &Named) -> Result<(), Error> {
        let qualifier = qualifier(named);
        match version_number(qualifier) {
            Some(number) => self.version(named, number).map(|_| ()),
            None => self.alias(named, qualifier)?.map(|_| ()).ok_or_else(|| named.missing()),
        }
        .map_err(|_| not_found("The function doesn't exist."))
    }

    async fn destinations(
        &self,
        named: &Named,
        config: Option<DestinationConfig>,
    ) -> Result<Destinations, Error> {
        let config = config.unwrap_or_default();
        let on_success = config.on_success.and_then(|d| d.destination).filter(|d| !d.is_empty());
        let on_failure = config.on_failure.and_then(|d| d.destination).filter(|d| !d.is_empty());
        let mut good = true;
        for (arn, failure) in
            on_failure.iter().map(|arn| (arn, true)).chain(on_success.iter().map(|arn| (arn, false)))
        {
            match Arn::parse(arn).map(|a| a.service) {
                Some("lambda") => {
                    let target = Named::read(&named.cx, arn, None)
                        .map_err(|_| invalid(format!("The destination ARN {arn} is invalid.")))?;
                    if target.arn() == named.arn() {
                        return Err(invalid("You can't specify the function as a destination for itself."));
                    }
                    if *target.cx.account == *named.cx.account && self.function(&target).is_err() {
                        return Err(invalid(format!("The destination ARN {arn} is invalid.")));
                    }
                }
                // Objects are written for failures alone.
                Some("s3") => good &= failure,
                Some("sqs" | "sns" | "events") => {}
                _ => good = false,
            }
        }
        if good {
            let version = self.shown_version(named)?;
            for arn in on_success.iter().chain(&on_failure) {
                self.check_destination(named, &version.settings.role, arn).await?;
            }
            return Ok((on_success, on_failure));
        }
        let part = |name: &str, arn: &Option<String>| match arn {
            Some(arn) => format!("{name}(destination={arn})"),
            None => "null".to_owned(),
        };
        Err(invalid(format!(
            "The provided destination config DestinationConfig(onSuccess={}, onFailure={}) is invalid.",
            part("OnSuccess", &on_success),
            part("OnFailure", &on_failure)
        )))
    }

    async fn change_events(
        &self,
        named: &Named,
        change: impl Fn(Option<&EventConfig>) -> Result<EventConfig, Error> + Send + Sync,
    ) -> Result<FunctionEventInvokeConfig, Error> {
        let qualifier = qualifier(named);
        let key = named_key(&named.cx, &named.name);
        let config = self
            .store
            .transact(|tx| {
                let mut function =
                    tx.get::<Function>(&key)?.ok_or_else(|| not_found("The function doesn't exist."))?;
                let config = change(function.event_configs.get(qualifier))?;
                function.event_configs.insert(qualifier.to_owned(), config.clone());
                tx.put(&key, &function)?;
                Ok::<_, Failure>(config)
            })
            .await?;
        Ok(describe(named, qualifier, &config))
    }
}

/// A configuration says something.
fn something(
    retries: Option<i32>,
    age: Option<i32>,
    destinations: Option<&DestinationConfig>,
) -> Result<(), Error> {
    if retries.is_none() && age.is_none() && destinations.is_none() {
        return Err(invalid("You must specify at least one of error handling or destination setting."));
    }
    Ok(())
}

fn qualifier(named: &Named) -> &str {
    named.qualifier.as_deref().unwrap_or(LATEST)
}

fn no_config(named: &Named) -> Error {
    not_found(format!("The function {}:{} doesn't have an EventInvokeConfig", named.arn(), qualifier(named)))
}

type Destinations = (Option<String>, Option<String>);

fn describe(named: &Named, qualifier: &str, config: &EventConfig) -> FunctionEventInvokeConfig {
    FunctionEventInvokeConfig {
        last_modified: Some(DateTime::from_millis(config.modified)),
        function_arn: Some(format!("{}:{qualifier}", named.arn())),
        maximum_retry_attempts: config.max_retries,
        maximum_event_age_in_seconds: config.max_age_seconds,
        destination_config: Some(DestinationConfig {
            on_success: Some(OnSuccess { destination: config.on_success.clone() }),
            on_failure: Some(OnFailure { destination: config.on_failure.clone(), ..Default::default() }),
        }),
    }
}

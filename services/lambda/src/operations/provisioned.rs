//! Provisioned concurrency: sandboxes that are started ahead and kept.

use super::get::PAGE;
use crate::Lambda;
use crate::errors::{Failure, conflict, invalid, no_function, not_found};
use crate::limits::Limits;
use crate::names::{LATEST, Named, version_number};
use crate::state::{Alias, Function, Provisioned, Version, alias_key, named_key, version_key, written_time};
use cloudlet_api_lambda::*;
use cloudlet_service::pages;
use cloudlet_store::Tx;

impl Lambda {
    /// Keeps sandboxes of a version ready.
    ///
    /// Errors: `ResourceNotFoundException`, `ResourceConflictException`, `InvalidParameterValueException`.
    pub async fn put_provisioned_concurrency_config(
        &self,
        cx: &Context,
        input: PutProvisionedConcurrencyConfigInput,
    ) -> Result<PutProvisionedConcurrencyConfigOutput, Error> {
        if input.qualifier == LATEST {
            return Err(invalid(
                "Provisioned Concurrency Configs cannot be applied to unpublished function versions.",
            ));
        }
        let named = Named::read(cx, &input.function_name, Some(&input.qualifier))?;
        self.refuse_tenants(&named, "Provisioned concurrency")?;
        let qualifier = input.qualifier;
        let wanted = input.provisioned_concurrent_executions;
        let limits = *self.limits.read();
        let reserved_in_all = self.reserved_in_all(&named.cx)?;
        let key = named_key(&named.cx, &named.name);
        let config = Provisioned { requested: wanted, modified: written_time(cx.millis()) };
        self.store
            .transact(|tx| {
                let number = resolve(tx, &named, &qualifier)?;
                let mut function = tx.get::<Function>(&key)?.ok_or_else(|| named.missing())?;
                let others: i32 = function
                    .provisioned
                    .iter()
                    .filter(|(q, _)| **q != qualifier)
                    .map(|(_, p)| p.requested)
                    .sum();
                check_limits(limits, &function, reserved_in_all, others, wanted)?;
                check_twice(tx, &named, &function, &qualifier, number)?;
                function.provisioned.insert(qualifier.clone(), config.clone());
                Ok::<_, Failure>(tx.put(&key, &function)?)
            })
            .await?;
        self.reserved.lock().remove(&(named.cx.account.to_string(), named.cx.region.to_string()));
        self.provision(&Named { qualifier: None, ..named })?;
        Ok(PutProvisionedConcurrencyConfigOutput {
            requested_provisioned_concurrent_executions: Some(wanted),
            available_provisioned_concurrent_executions: Some(0),
            allocated_provisioned_concurrent_executions: Some(0),
            status: Some("IN_PROGRESS".to_owned()),
            last_modified: Some(config.modified),
            ..Default::default()
        })
    }

    /// How far it has got.
    ///
    /// Errors: `ResourceNotFoundException`, `ProvisionedConcurrencyConfigNotFoundException`.
    pub async fn get_provisioned_concurrency_config(
        &self,
        cx: &Context,
        input: GetProvisionedConcurrencyConfigInput,
    ) -> Result<GetProvisionedConcurrencyConfigOutput, Error> {
        let (named, qualifier) = published(cx, &input.function_name, input.qualifier)?;
        let number = self.provisioned_version(&named, &qualifier)?;
        let function = self.function(&named)?;
        let config = function.provisioned.get(&qualifier).ok_or_else(|| {
            let message = "No Provisioned Concurrency Config found for this function";
            Error::from(ProvisionedConcurrencyConfigNotFoundException {
                r#type: Some("User".to_owned()),
                message: Some(message.to_owned()),
            })
        })?;
        let item = self.progress(&named, number, config)?;
        Ok(GetProvisionedConcurrencyConfigOutput {
            requested_provisioned_concurrent_executions: item.requested_provisioned_concurrent_executions,
            available_provisioned_concurrent_executions: item.available_provisioned_concurrent_executions,
            allocated_provisioned_concurrent_executions: item.allocated_provisioned_concurrent_executions,
            status: item.status,
            status_reason: item.status_reason,
            last_modified: item.last_modified,
        })
    }

    /// Lists those of all versions and aliases. Errors: `ResourceNotFoundException`.
    pub async fn list_provisioned_concurrency_configs(
        &self,
        cx: &Context,
        input: ListProvisionedConcurrencyConfigsInput,
    ) -> Result<ListProvisionedConcurrencyConfigsOutput, Error> {
        let named = Named::read(cx, &input.function_name, None)?;
        let function = self.function(&named)?;
        let limit = input.max_items.and_then(|n| usize::try_from(n).ok()).unwrap_or(PAGE).clamp(1, PAGE);
        let key = |(qualifier, _): &(&String, &Provisioned)| qualifier.as_bytes().to_vec();
        let bad = || invalid("The marker is not one that ListProvisionedConcurrencyConfigs gave.");
        let page = pages::page(function.provisioned.iter(), limit, input.marker.as_deref(), key, bad)?;
        let mut configs = Vec::new();
        for (qualifier, config) in page.items {
            let number = self.provisioned_version(&named, qualifier)?;
            let mut item = self.progress(&named, number, config)?;
            item.function_arn = Some(format!("{}:{qualifier}", named.arn()));
            configs.push(item);
        }
        Ok(ListProvisionedConcurrencyConfigsOutput {
            provisioned_concurrency_configs: Some(configs),
            next_marker: page.next,
        })
    }

    /// Keeps them no longer; what is not provisioned is no error. Errors: `ResourceNotFoundException`.
    pub async fn delete_provisioned_concurrency_config(
        &self,
        cx: &Context,
        input: DeleteProvisionedConcurrencyConfigInput,
    ) -> Result<DeleteProvisionedConcurrencyConfigOutput, Error> {
        let (named, qualifier) = published(cx, &input.function_name, input.qualifier)?;
        self.provisioned_version(&named, &qualifier)?;
        let key = named_key(&named.cx, &named.name);
        self.store
            .transact(|tx| {
                let mut function = tx.get::<Function>(&key)?.ok_or_else(|| named.missing())?;
                if function.provisioned.remove(&qualifier).is_some() {
                    tx.put(&key, &function)?;
                }
                Ok::<_, Failure>(())
            })
            .await?;
        self.reserved.lock().remove(&(named.cx.account.to_string(), named.cx.region.to_string()));
        self.provision(&Named { qualifier: None, ..named })?;
        Ok(DeleteProvisionedConcurrencyConfigOutput::default())
    }

    /// The version that a qualifier provisions. Errors: `ResourceNotFoundException`.
    fn provisioned_version(&self, named: &Named, qualifier: &str) -> Result<u64, Error> {
        match version_number(qualifier) {
            Some(number) => {
                self.version(named, number).map(|_| number).map_err(|_| no_version(named, qualifier))
            }
            None => {
                let alias = self.alias(named, qualifier)?.ok_or_else(|| no_alias(named, qualifier))?;
                version_number(&alias.version).ok_or_else(|| no_alias(named, qualifier))
            }
        }
    }

    fn progress(
        &self,
        named: &Named,
        number: u64,
        config: &Provisioned,
    ) -> Result<ProvisionedConcurrencyConfigListItem, Error> {
        let version = self.version(named, number)?;
        let ready = self.provisioned_ready(named, &version).min(config.requested);
        let failed = version.state == "Failed";
        let status = match ready == config.requested {
            _ if failed => "FAILED",
            true => "READY",
            false => "IN_PROGRESS",
        };
        Ok(ProvisionedConcurrencyConfigListItem {
            function_arn: None,
            requested_provisioned_concurrent_executions: Some(config.requested),
            available_provisioned_concurrent_executions: Some(ready),
            allocated_provisioned_concurrent_executions: Some(ready),
            status: Some(status.to_owned()),
            status_reason: failed.then(|| version.state_reason.clone().map(|(words, _)| words)).flatten(),
            last_modified: Some(config.modified.clone()),
        })
    }
}

fn no_version(named: &Named, qualifier: &str) -> Error {
    no_function(&format!("{}:{qualifier}", named.arn()))
}

fn no_alias(named: &Named, qualifier: &str) -> Error {
    not_found(format!("Cannot find alias arn: {}:{qualifier}", named.arn()))
}

fn published(cx: &Context, function: &str, qualifier: String) -> Result<(Named, String), Error> {
    if qualifier == LATEST {
        return Err(invalid("The function resource provided must be an alias or a published version."));
    }
    let mut named = Named::read(cx, function, Some(&qualifier))?;
    named.qualifier = None;
    Ok((named, qualifier))
}

fn resolve(tx: &mut Tx<'_>, named: &Named, qualifier: &str) -> Result<u64, Failure> {
    let number = match version_number(qualifier) {
        Some(number) => number,
        None => {
            let alias = tx.get::<Alias>(&alias_key(&named.cx, &named.name, qualifier))?;
            let alias = alias.ok_or_else(|| no_alias(named, qualifier))?;
            version_number(&alias.version).ok_or_else(|| no_alias(named, qualifier))?
        }
    };
    if !tx.exists::<Version>(&version_key(&named.cx, &named.name, number))? {
        return Err(Failure(no_version(named, qualifier)));
    }
    if number == 0 {
        return Err(Failure(invalid(
            "Provisioned Concurrency Configs cannot be applied to unpublished function versions.",
        )));
    }
    Ok(number)
}

/// What others have reserved, and this function for itself, bounds what can be provisioned.
fn check_limits(
    limits: Limits,
    function: &Function,
    reserved_in_all: i32,
    others: i32,
    wanted: i32,
) -> Result<(), Error> {
    if let Some(reserved) = function.reserved_concurrency {
        if reserved < others + wanted {
            return Err(invalid(
                "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function",
            ));
        }
        return Ok(());
    }
    let unreserved = limits.concurrency - reserved_in_all
        + function.provisioned.values().map(|p| p.requested).sum::<i32>();
    if wanted > unreserved {
        return Err(invalid(format!(
            "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [{unreserved}]."
        )));
    }
    let least = limits.least_unreserved();
    if unreserved - others - wanted < least {
        return Err(invalid(format!(
            "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of \
             [{least}]."
        )));
    }
    Ok(())
}

/// A version is provisioned directly or through one alias, not both.
fn check_twice(
    tx: &mut Tx<'_>,
    named: &Named,
    function: &Function,
    qualifier: &str,
    number: u64,
) -> Result<(), Failure> {
    for other in function.provisioned.keys().filter(|q| *q != qualifier) {
        match version_number(other) {
            Some(direct) if direct == number && version_number(qualifier).is_none() => {
                return Err(Failure(conflict(
                    "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version",
                )));
            }
            Some(_) => {}
            None => {
                let alias = tx.get::<Alias>(&alias_key(&named.cx, &named.name, other))?;
                if alias.is_some_and(|alias| version_number(&alias.version) == Some(number))
                    && version_number(qualifier).is_some()
                {
                    return Err(Failure(conflict("Version is pointed by a Provisioned Concurrency alias")));
                }
            }
        }
    }
    Ok(())
}

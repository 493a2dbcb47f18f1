//! Aliases: names for versions, with weights.

use super::get::PAGE;
use crate::Lambda;
use crate::errors::{Failure, conflict, invalid, not_found, stale_revision, stored};
use crate::names::{LATEST, Named, version_number};
use crate::state::{Alias, Function, Version, alias_key, named_key, version_key};
use cloudlet_api_lambda::*;
use cloudlet_service::pages;
use cloudlet_store::Tx;

impl Lambda {
    /// Makes an alias. Errors: `ResourceNotFoundException`, `ResourceConflictException`, `InvalidParameterValueException`.
    pub async fn create_alias(
        &self,
        cx: &Context,
        input: CreateAliasInput,
    ) -> Result<CreateAliasOutput, Error> {
        let named = Named::read(cx, &input.function_name, None)?;
        let key = alias_key(&named.cx, &named.name, &input.name);
        let alias = Alias {
            name: input.name.clone(),
            version: input.function_version,
            description: input.description.unwrap_or_default(),
            weights: weights(input.routing_config)?,
            revision: cx.random().uuid(),
        };
        self.store
            .transact(|tx| {
                check(tx, &named, &alias)?;
                if tx.exists::<Alias>(&key)? {
                    return Err(Failure(conflict(format!(
                        "Alias already exists: {}",
                        arn(&named, &alias.name)
                    ))));
                }
                Ok(tx.put(&key, &alias)?)
            })
            .await?;
        Ok(describe(&named, &alias))
    }

    /// Changes an alias. Errors: `ResourceNotFoundException`, `PreconditionFailedException`, `InvalidParameterValueException`.
    pub async fn update_alias(
        &self,
        cx: &Context,
        input: UpdateAliasInput,
    ) -> Result<UpdateAliasOutput, Error> {
        let named = Named::read(cx, &input.function_name, None)?;
        let key = alias_key(&named.cx, &named.name, &input.name);
        let routing = input.routing_config.clone().map(|routing| weights(Some(routing))).transpose()?;
        let alias = self
            .store
            .transact(|tx| {
                let gone = || not_found(format!("Alias not found: {}", arn(&named, &input.name)));
                let mut alias = tx.get::<Alias>(&key)?.ok_or_else(gone)?;
                if input.revision_id.as_ref().is_some_and(|revision| *revision != alias.revision) {
                    return Err(Failure(stale_revision("GetFunction/GetAlias")));
                }
                if let Some(version) = &input.function_version {
                    alias.version.clone_from(version);
                }
                if let Some(description) = &input.description {
                    alias.description.clone_from(description);
                }
                if let Some(weights) = &routing {
                    alias.weights.clone_from(weights);
                }
                check(tx, &named, &alias)?;
                alias.revision = cx.random().uuid();
                tx.put(&key, &alias)?;
                Ok(alias)
            })
            .await?;
        self.provision(&named)?;
        Ok(describe(&named, &alias))
    }

    /// Shows an alias. Errors: `ResourceNotFoundException`.
    pub async fn get_alias(&self, cx: &Context, input: GetAliasInput) -> Result<GetAliasOutput, Error> {
        let named = Named::read(cx, &input.function_name, None)?;
        self.function(&named)?;
        let alias = self.alias(&named, &input.name)?.ok_or_else(|| missing(&named, &input.name))?;
        Ok(describe(&named, &alias))
    }

    /// Lists aliases, all or those of one version. Errors: `ResourceNotFoundException`.
    pub async fn list_aliases(
        &self,
        cx: &Context,
        input: ListAliasesInput,
    ) -> Result<ListAliasesOutput, Error> {
        let named = Named::read(cx, &input.function_name, None)?;
        self.function(&named)?;
        let limit = input.max_items.and_then(|n| usize::try_from(n).ok()).unwrap_or(PAGE).clamp(1, PAGE);
        let rows = self.store.table::<Alias>().scan(named_key(&named.cx, &named.name).prefix_range(), false);
        let mut all: Vec<Alias> =
            rows.map(|row| row.map(|(_, alias)| alias)).collect::<Result<_, _>>().map_err(stored)?;
        if let Some(version) = &input.function_version {
            all.retain(|alias| alias.version == *version || alias.weights.contains_key(version));
        }
        let key = |alias: &Alias| alias.name.clone().into_bytes();
        let bad = || invalid("The marker is not one that ListAliases gave.");
        let page = pages::page(all.into_iter(), limit, input.marker.as_deref(), key, bad)?;
        let aliases = page.items.iter().map(|alias| describe(&named, alias)).collect();
        Ok(ListAliasesOutput { next_marker: page.next, aliases: Some(aliases) })
    }

    /// Deletes an alias with its policy and event configuration; one that is not there is no error. Its URL stays, and
    /// answers again once the alias and its permissions are back.
    ///
    /// Errors: `ResourceNotFoundException` for the function.
    pub async fn delete_alias(
        &self,
        cx: &Context,
        input: DeleteAliasInput,
    ) -> Result<DeleteAliasOutput, Error> {
        let named = Named::read(cx, &input.function_name, None)?;
        let key = named_key(&named.cx, &named.name);
        self.store
            .transact(|tx| {
                let mut function = tx.get::<Function>(&key)?.ok_or_else(|| named.missing())?;
                let policy = function.policies.remove(&input.name).is_some();
                let events = function.event_configs.remove(&input.name).is_some();
                let provisioned = function.provisioned.remove(&input.name).is_some();
                if policy || events || provisioned {
                    tx.put(&key, &function)?;
                }
                tx.delete::<Alias>(&alias_key(&named.cx, &named.name, &input.name))?;
                Ok::<_, Failure>(())
            })
            .await?;
        self.provision(&named)?;
        Ok(DeleteAliasOutput::default())
    }
}

fn arn(named: &Named, alias: &str) -> String {
    format!("{}:{alias}", named.arn())
}

fn missing(named: &Named, alias: &str) -> Error {
    not_found(format!("Cannot find alias arn: {}", arn(named, alias)))
}

fn check(tx: &mut Tx<'_>, named: &Named, alias: &Alias) -> Result<(), Failure> {
    tx.get::<Function>(&named_key(&named.cx, &named.name))?.ok_or_else(|| named.missing())?;
    let missing = |version: &str| Failure(crate::errors::no_function(&format!("{}:{version}", named.arn())));
    let mut exists = |version: &str| match version_number(version) {
        Some(number) if tx.exists::<Version>(&version_key(&named.cx, &named.name, number))? => Ok(()),
        _ => Err(missing(version)),
    };
    exists(&alias.version)?;
    if alias.weights.is_empty() {
        return Ok(());
    }
    if alias.version == LATEST || alias.weights.contains_key(LATEST) {
        return Err(Failure(invalid(
            "$LATEST is not supported for an alias pointing to more than 1 version",
        )));
    }
    if alias.weights.contains_key(&alias.version) {
        let version = &alias.version;
        return Err(Failure(invalid(format!(
            "Invalid function version {version}. Function version {version} is already included in routing configuration."
        ))));
    }
    if alias.weights.len() > 1 {
        return Err(Failure(invalid("Number of items in AdditionalVersionWeights cannot be greater than 1")));
    }
    for version in alias.weights.keys() {
        exists(version)?;
    }
    Ok(())
}

/// What the model says of weights, in the words that AWS has for maps.
fn weights(routing: Option<AliasRoutingConfiguration>) -> Result<BTreeMap<String, f64>, Error> {
    let weights = routing.and_then(|r| r.additional_version_weights).unwrap_or_default();
    for (version, weight) in &weights {
        // AWS's words allow 1.0, AWS itself does not.
        let broken = if version.is_empty() || !version.bytes().all(|b| b.is_ascii_digit()) {
            "Map keys must satisfy constraint: [Member must have length less than or equal to 1024, Member must have length greater \
             than or equal to 1, Member must satisfy regular expression pattern: [0-9]+, Member must not be null]"
        } else if !(0.0..1.0).contains(weight) {
            "Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must have value greater than \
             or equal to 0.0, Member must not be null]"
        } else {
            continue;
        };
        return Err(Error::validation(format!(
            "1 validation error detected: Value '{{{version}={weight:?}}}' at 'routingConfig.additionalVersionWeights' failed to satisfy \
             constraint: {broken}"
        )));
    }
    Ok(weights)
}

fn describe(named: &Named, alias: &Alias) -> AliasConfiguration {
    let weights = Some(alias.weights.clone()).filter(|w| !w.is_empty());
    AliasConfiguration {
        alias_arn: Some(arn(named, &alias.name)),
        name: Some(alias.name.clone()),
        function_version: Some(alias.version.clone()),
        description: Some(alias.description.clone()),
        routing_config: weights.map(|w| AliasRoutingConfiguration { additional_version_weights: Some(w) }),
        revision_id: Some(alias.revision.clone()),
    }
}

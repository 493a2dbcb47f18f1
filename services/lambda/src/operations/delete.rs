//! DeleteFunction.

use crate::Lambda;
use crate::durable::{Execution, ExecutionName, name_key};
use crate::errors::{Failure, conflict, invalid};
use crate::names::{Named, version_name, version_number};
use crate::state::{Alias, Function, UrlId, Version, named_key, url_key, version_key};
use cloudlet_api_lambda::*;
use cloudlet_store::Tx;

impl Lambda {
    /// Deletes a function with all its versions and aliases, or one published version. What runs ends its call.
    ///
    /// Errors: `ResourceNotFoundException`, `ResourceConflictException`, `InvalidParameterValueException`.
    pub async fn delete_function(
        &self,
        cx: &Context,
        input: DeleteFunctionInput,
    ) -> Result<DeleteFunctionOutput, Error> {
        let named = Named::read(cx, &input.function_name, input.qualifier.as_deref())?;
        let key = named_key(&named.cx, &named.name);
        let one = match named.qualifier.as_deref() {
            None => None,
            Some(qualifier) => match version_number(qualifier) {
                Some(0) => {
                    return Err(invalid("$LATEST version cannot be deleted without deleting the function."));
                }
                Some(number) => Some(number),
                None => return Err(invalid("Deletion of aliases is not currently supported.")),
            },
        };
        self.store
            .transact(|tx| {
                let mut function =
                    tx.get::<Function>(&key)?.ok_or_else(|| crate::errors::no_function(&named.arn()))?;
                let mut aliases = Vec::new();
                for row in tx.scan::<Alias>(key.prefix_range(), false) {
                    aliases.push(row?);
                }
                if let Some(number) = one {
                    let name = version_name(number);
                    let uses = |alias: &&Alias| alias.version == name || alias.weights.contains_key(&name);
                    let users: Vec<&str> =
                        aliases.iter().map(|(_, a)| a).filter(uses).map(|a| a.name.as_str()).collect();
                    if !users.is_empty() {
                        return Err(Failure(conflict(format!(
                            "Unable to delete version because the following aliases reference it: [{}]",
                            users.join(", ")
                        ))));
                    }
                    let key = version_key(&named.cx, &named.name, number);
                    if let Some(version) = tx.get::<Version>(&key)? {
                        release(tx, &version)?;
                        tx.delete::<Version>(&key)?;
                    }
                    // What was said of the version alone goes with it.
                    let provisioned = function.provisioned.remove(&name).is_some();
                    let events = function.event_configs.remove(&name).is_some();
                    if function.policies.remove(&name).is_some() || provisioned || events {
                        tx.put(&named_key(&named.cx, &named.name), &function)?;
                    }
                    return Ok(());
                }
                let mut versions = Vec::new();
                for row in tx.scan::<Version>(key.prefix_range(), false) {
                    versions.push(row?);
                }
                for (key, version) in versions {
                    release(tx, &version)?;
                    tx.delete::<Version>(&key)?;
                }
                for (key, _) in aliases {
                    tx.delete::<Alias>(&key)?;
                }
                // Executions end with their function.
                for row in tx.scan::<Execution>(key.prefix_range(), false).collect::<Result<Vec<_>, _>>()? {
                    tx.delete::<ExecutionName>(&name_key(&named.cx, &row.1))?;
                    tx.delete::<Execution>(&row.0)?;
                }
                for url in function.urls.values() {
                    tx.delete::<UrlId>(&url_key(&url.id))?;
                }
                tx.delete::<Function>(&key)?;
                Ok(())
            })
            .await?;
        self.provision(&Named { qualifier: None, ..named.clone() })?;
        self.compute.forget(&named.arn());
        self.reserved.lock().remove(&(named.cx.account.to_string(), named.cx.region.to_string()));
        let arn = named.arn();
        self.specs.lock().retain(|(known, _), _| *known != arn);
        Ok(DeleteFunctionOutput { status_code: Some(204) })
    }
}

fn release(tx: &mut Tx<'_>, version: &Version) -> Result<(), Failure> {
    tx.release_blob(version.code.blob)?;
    for layer in &version.settings.layers {
        tx.release_blob(layer.code.blob)?;
    }
    Ok(())
}

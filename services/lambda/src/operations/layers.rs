//! Layers and their policies.

use super::get::PAGE;
use crate::Lambda;
use crate::code::{Source, discard};
use crate::errors::{Failure, conflict, invalid, not_found, stale_revision, stored};
use crate::settings::{code_sha256, layer_arn};
use crate::state::{LayerName, LayerVersion, PolicyRecord, named_key, place, version_key, written_time};
use cloudlet_api_lambda::*;
use cloudlet_service::{Arn, pages};
use serde_json::json;
use std::sync::Arc;

impl Lambda {
    /// Keeps a package as the next version of a layer.
    ///
    /// Errors: `InvalidParameterValueException`, `RequestEntityTooLargeException`.
    pub async fn publish_layer_version(
        &self,
        cx: &Context,
        input: PublishLayerVersionInput,
    ) -> Result<PublishLayerVersionOutput, Error> {
        let (there, name) = named(cx, &input.layer_name)?;
        let c = &input.content;
        let zip = c.zip_file.as_ref().map(AsRef::as_ref);
        let source = Source::of(zip, c.s3_bucket.as_ref(), c.s3_key.as_ref(), c.s3_object_version.as_ref())?;
        let code = source.accept(cx, &self.store, "PublishLayerVersion").await?;
        if let Err(error) = self.check_room(&there, code.size) {
            discard(&self.store, &code);
            return Err(error);
        }
        let key = named_key(&there, &name);
        let published = self
            .store
            .transact(|tx| {
                let mut layer = tx.get::<LayerName>(&key)?.unwrap_or_default();
                layer.name.clone_from(&name);
                layer.last += 1;
                let version = LayerVersion {
                    name: name.clone(),
                    number: layer.last,
                    code: code.clone(),
                    description: input.description.clone().unwrap_or_default(),
                    created: written_time(cx.millis()),
                    architectures: input.compatible_architectures.clone().unwrap_or_default(),
                    runtimes: input.compatible_runtimes.clone().unwrap_or_default(),
                    license: input.license_info.clone(),
                    policy: PolicyRecord::default(),
                };
                tx.adopt_blob(code.blob)?;
                tx.put(&key, &layer)?;
                tx.put(&version_key(&there, &name, layer.last), &version)?;
                Ok::<_, Failure>(version)
            })
            .await;
        match published {
            Ok(version) => {
                let shown = self.shown(cx, &there, &version);
                Ok(PublishLayerVersionOutput {
                    content: shown.content,
                    layer_arn: shown.layer_arn,
                    layer_version_arn: shown.layer_version_arn,
                    description: shown.description,
                    created_date: shown.created_date,
                    version: shown.version,
                    compatible_architectures: shown.compatible_architectures,
                    compatible_runtimes: shown.compatible_runtimes,
                    license_info: shown.license_info,
                })
            }
            Err(Failure(error)) => {
                discard(&self.store, &code);
                Err(error)
            }
        }
    }

    /// Shows a layer version with the place of its package. Errors: `ResourceNotFoundException`.
    pub async fn get_layer_version(
        &self,
        cx: &Context,
        input: GetLayerVersionInput,
    ) -> Result<GetLayerVersionOutput, Error> {
        let (there, name) = named(cx, &input.layer_name)?;
        let version = self.layer(&there, &name, input.version_number)?;
        Ok(self.shown(cx, &there, &version))
    }

    /// The same by ARN. Errors: `ResourceNotFoundException`, `ValidationException`.
    pub async fn get_layer_version_by_arn(
        &self,
        cx: &Context,
        input: GetLayerVersionByArnInput,
    ) -> Result<GetLayerVersionByArnOutput, Error> {
        let (there, name, number) = layer_arn(cx, &input.arn).ok_or_else(no_layer)?;
        let version = self.layer(&there, &name, i64::try_from(number).unwrap_or(i64::MAX))?;
        Ok(self.shown(cx, &there, &version))
    }

    /// Lists a layer's versions, the newest first. Errors: `InvalidParameterValueException`.
    pub async fn list_layer_versions(
        &self,
        cx: &Context,
        input: ListLayerVersionsInput,
    ) -> Result<ListLayerVersionsOutput, Error> {
        let (there, name) = named(cx, &input.layer_name)?;
        let rows = self.store.table::<LayerVersion>().scan(named_key(&there, &name).prefix_range(), true);
        let mut all: Vec<LayerVersion> =
            rows.map(|row| row.map(|(_, v)| v)).collect::<Result<_, _>>().map_err(stored)?;
        all.retain(|v| {
            fits(v, input.compatible_runtime.as_deref(), input.compatible_architecture.as_deref())
        });
        let limit = input.max_items.and_then(|n| usize::try_from(n).ok()).unwrap_or(PAGE).clamp(1, PAGE);
        // The newest first: the key counts down.
        let key = |v: &LayerVersion| (u64::MAX - v.number).to_be_bytes().to_vec();
        let bad = || invalid("The marker is not one that ListLayerVersions gave.");
        let page = pages::page(all.into_iter(), limit, input.marker.as_deref(), key, bad)?;
        let layer_versions = page.items.iter().map(|v| item(&there, v)).collect();
        Ok(ListLayerVersionsOutput { next_marker: page.next, layer_versions: Some(layer_versions) })
    }

    /// Lists layers with their newest version that fits. Errors: `InvalidParameterValueException`.
    pub async fn list_layers(&self, cx: &Context, input: ListLayersInput) -> Result<ListLayersOutput, Error> {
        let mut all = Vec::new();
        for row in self.store.table::<LayerName>().scan(place(cx).prefix_range(), false) {
            let (key, layer) = row.map_err(stored)?;
            for row in self.store.table::<LayerVersion>().scan(key.prefix_range(), true) {
                let (_, version) = row.map_err(stored)?;
                if fits(
                    &version,
                    input.compatible_runtime.as_deref(),
                    input.compatible_architecture.as_deref(),
                ) {
                    all.push((layer.name, version));
                    break;
                }
            }
        }
        let limit = input.max_items.and_then(|n| usize::try_from(n).ok()).unwrap_or(PAGE).clamp(1, PAGE);
        let key = |(name, _): &(String, LayerVersion)| name.clone().into_bytes();
        let bad = || invalid("The marker is not one that ListLayers gave.");
        let page = pages::page(all.into_iter(), limit, input.marker.as_deref(), key, bad)?;
        let shown = |(name, version): (String, LayerVersion)| LayersListItem {
            layer_arn: Some(cx.arn("lambda", format_args!("layer:{name}"))),
            layer_name: Some(name),
            latest_matching_version: Some(item(cx, &version)),
        };
        Ok(ListLayersOutput {
            next_marker: page.next,
            layers: Some(page.items.into_iter().map(shown).collect()),
        })
    }

    /// Deletes a version; functions that use it keep it. One that is not there is no error.
    pub async fn delete_layer_version(
        &self,
        cx: &Context,
        input: DeleteLayerVersionInput,
    ) -> Result<DeleteLayerVersionOutput, Error> {
        let (there, name) = named(cx, &input.layer_name)?;
        let key = version_key(&there, &name, number(input.version_number)?);
        self.store
            .transact(|tx| {
                if let Some(version) = tx.get::<LayerVersion>(&key)? {
                    tx.release_blob(version.code.blob)?;
                    tx.delete::<LayerVersion>(&key)?;
                }
                Ok::<_, Failure>(())
            })
            .await?;
        Ok(DeleteLayerVersionOutput::default())
    }

    /// Lets others use a layer version. Errors: `ResourceNotFoundException`, `ResourceConflictException`.
    pub async fn add_layer_version_permission(
        &self,
        cx: &Context,
        input: AddLayerVersionPermissionInput,
    ) -> Result<AddLayerVersionPermissionOutput, Error> {
        let (there, name) = named(cx, &input.layer_name)?;
        if input.action != "lambda:GetLayerVersion" {
            let action = &input.action;
            return Err(Error::validation(format!(
                "1 validation error detected: Value '{action}' at 'action' failed to satisfy constraint: Member must satisfy regular \
                 expression pattern: lambda:GetLayerVersion"
            )));
        }
        let arn = version_arn(&there, &name, number(input.version_number)?);
        let principal = if input.principal == "*" {
            json!("*")
        } else if input.principal.starts_with("arn:") {
            json!({ "AWS": input.principal })
        } else {
            json!({ "AWS": format!("arn:{}:iam::{}:root", cx.partition(), input.principal) })
        };
        let mut statement = json!({
            "Sid": input.statement_id, "Effect": "Allow", "Principal": principal, "Action": input.action, "Resource": arn,
        });
        if let Some(organization) = &input.organization_id {
            statement["Condition"] = json!({ "StringEquals": { "aws:PrincipalOrgID": organization } });
        }
        let text = statement.to_string();
        let revision = self
            .change_layer_policy(&there, &name, input.version_number, input.revision_id.as_deref(), |policy| {
                if policy.statements.iter().any(|(id, _)| *id == input.statement_id) {
                    let id = &input.statement_id;
                    return Err(conflict(format!("The statement id ({id}) provided already exists. Please provide a new statement id, or remove the existing statement.")));
                }
                policy.statements.push((input.statement_id.clone(), text.clone()));
                Ok(())
            })
            .await?;
        Ok(AddLayerVersionPermissionOutput { statement: Some(text), revision_id: Some(revision) })
    }

    /// Takes it back. Errors: `ResourceNotFoundException`, `PreconditionFailedException`.
    pub async fn remove_layer_version_permission(
        &self,
        cx: &Context,
        input: RemoveLayerVersionPermissionInput,
    ) -> Result<RemoveLayerVersionPermissionOutput, Error> {
        let (there, name) = named(cx, &input.layer_name)?;
        self.change_layer_policy(
            &there,
            &name,
            input.version_number,
            input.revision_id.as_deref(),
            |policy| {
                let before = policy.statements.len();
                policy.statements.retain(|(id, _)| *id != input.statement_id);
                if policy.statements.len() == before {
                    return Err(not_found(format!(
                        "Statement {} is not found in resource policy.",
                        input.statement_id
                    )));
                }
                Ok(())
            },
        )
        .await?;
        Ok(RemoveLayerVersionPermissionOutput::default())
    }

    /// Shows the policy. Errors: `ResourceNotFoundException`.
    pub async fn get_layer_version_policy(
        &self,
        cx: &Context,
        input: GetLayerVersionPolicyInput,
    ) -> Result<GetLayerVersionPolicyOutput, Error> {
        let (there, name) = named(cx, &input.layer_name)?;
        let arn = version_arn(&there, &name, number(input.version_number)?);
        let missing = |_| not_found(format!("Layer version {arn} does not exist."));
        let version = self.layer(&there, &name, input.version_number).map_err(missing)?;
        if version.policy.statements.is_empty() {
            return Err(not_found("No policy is associated with the given resource."));
        }
        Ok(GetLayerVersionPolicyOutput {
            policy: Some(version.policy.document()),
            revision_id: Some(version.policy.revision.clone()),
        })
    }

    async fn change_layer_policy(
        &self,
        there: &Context,
        name: &str,
        version: i64,
        revision: Option<&str>,
        change: impl Fn(&mut PolicyRecord) -> Result<(), Error> + Send + Sync,
    ) -> Result<String, Error> {
        let key = version_key(there, name, number(version)?);
        let arn = version_arn(there, name, number(version)?);
        let changed = self.store.transact(|tx| {
            let missing = || not_found(format!("Layer version {arn} does not exist."));
            let mut layer = tx.get::<LayerVersion>(&key)?.ok_or_else(missing)?;
            if revision.is_some_and(|revision| revision != layer.policy.revision) {
                return Err(Failure(stale_revision("GetLayerPolicy")));
            }
            change(&mut layer.policy)?;
            layer.policy.revision = there.random().uuid();
            tx.put(&key, &layer)?;
            Ok(layer.policy.revision)
        });
        Ok(changed.await?)
    }

    fn layer(&self, there: &Context, name: &str, version: i64) -> Result<Arc<LayerVersion>, Error> {
        let key = version_key(there, name, number(version)?);
        self.store.table::<LayerVersion>().get_arc(&key).map_err(stored)?.ok_or_else(no_layer)
    }

    fn shown(&self, cx: &Context, there: &Context, version: &LayerVersion) -> GetLayerVersionOutput {
        let short = item(there, version);
        GetLayerVersionOutput {
            content: Some(LayerVersionContentOutput {
                location: Some(self.code_url(cx, &version.code)),
                code_sha256: Some(code_sha256(&version.code.sha256)),
                code_size: Some(version.code.size),
                ..Default::default()
            }),
            layer_arn: Some(there.arn("lambda", format_args!("layer:{}", version.name))),
            layer_version_arn: short.layer_version_arn,
            description: short.description,
            created_date: short.created_date,
            version: short.version,
            compatible_architectures: short.compatible_architectures,
            compatible_runtimes: short.compatible_runtimes,
            license_info: short.license_info,
        }
    }
}

/// A layer by its name or its ARN.
fn named(cx: &Context, text: &str) -> Result<(Context, String), Error> {
    if !text.starts_with("arn:") {
        return Ok((cx.clone(), text.to_owned()));
    }
    let arn = Arn::parse(text).filter(|arn| arn.service == "lambda");
    let name = arn.and_then(|arn| arn.resource.strip_prefix("layer:")).filter(|name| !name.contains(':'));
    match (arn, name) {
        (Some(arn), Some(name)) => Ok((cx.located(arn.account, arn.region), name.to_owned())),
        _ => Err(invalid(format!("Invalid layer name or ARN: {text}"))),
    }
}

fn number(version: i64) -> Result<u64, Error> {
    u64::try_from(version)
        .ok()
        .filter(|n| *n > 0)
        .ok_or_else(|| invalid("Layer Version Cannot be less than 1"))
}

fn no_layer() -> Error {
    not_found("The resource you requested does not exist.")
}

fn version_arn(cx: &Context, name: &str, number: u64) -> String {
    cx.arn("lambda", format_args!("layer:{name}:{number}"))
}

fn fits(version: &LayerVersion, runtime: Option<&str>, architecture: Option<&str>) -> bool {
    let has = |list: &[String], wanted: Option<&str>| {
        wanted.is_none_or(|wanted| list.iter().any(|item| item == wanted))
    };
    has(&version.runtimes, runtime) && has(&version.architectures, architecture)
}

fn item(there: &Context, version: &LayerVersion) -> LayerVersionsListItem {
    let list = |list: &Vec<String>| Some(list.clone()).filter(|l| !l.is_empty());
    LayerVersionsListItem {
        layer_version_arn: Some(version_arn(there, &version.name, version.number)),
        version: i64::try_from(version.number).ok(),
        description: Some(version.description.clone()),
        created_date: Some(version.created.clone()),
        compatible_architectures: list(&version.architectures),
        compatible_runtimes: list(&version.runtimes),
        license_info: version.license.clone(),
    }
}

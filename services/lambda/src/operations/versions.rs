//! Published versions.

use super::get::{PAGE, in_list};
use crate::Lambda;
use crate::errors::{Failure, invalid, stale_revision, stored};
use crate::names::Named;
use crate::prepare::Task;
use crate::settings::{code_sha256, describe};
use crate::state::{Function, Version, named_key, version_key};
use cloudlet_api_lambda::*;
use cloudlet_service::pages;

impl Lambda {
    /// Keeps `$LATEST` under the next number. Where nothing has changed since the last one, that is the answer.
    ///
    /// Errors: `ResourceNotFoundException`, `InvalidParameterValueException`, `PreconditionFailedException`.
    pub async fn publish_version(
        &self,
        cx: &Context,
        input: PublishVersionInput,
    ) -> Result<PublishVersionOutput, Error> {
        if input.publish_to.is_some() {
            return Err(Error::not_implemented_part("lambda:PublishVersion PublishTo"));
        }
        let named = Named::read(cx, &input.function_name, None)?;
        let latest = self.updatable(&named, None).await?;
        self.check_room(&named.cx, latest.code.size)?;
        self.publish(&named, input.description, input.code_sha256.as_deref(), input.revision_id.as_deref())
            .await
    }

    pub(crate) async fn publish(
        &self,
        named: &Named,
        description: Option<String>,
        sha256: Option<&str>,
        revision: Option<&str>,
    ) -> Result<FunctionConfiguration, Error> {
        let key = named_key(&named.cx, &named.name);
        let published = self
            .store
            .transact(|tx| {
                let mut function = tx.get::<Function>(&key)?.ok_or_else(|| named.missing())?;
                let latest = tx.get::<Version>(&version_key(&named.cx, &named.name, 0))?.ok_or_else(|| named.missing())?;
                if revision.is_some_and(|revision| revision != latest.revision) {
                    return Err(Failure(stale_revision("GetFunction/GetAlias")));
                }
                let there = code_sha256(&latest.code.sha256);
                if let Some(given) = sha256.filter(|given| *given != there) {
                    return Err(Failure(invalid(format!(
                        "CodeSHA256 ({given}) is different from current CodeSHA256 in $LATEST ({there}). Please try again with the \
                         CodeSHA256 in $LATEST."
                    ))));
                }
                let last = tx.get::<Version>(&version_key(&named.cx, &named.name, function.last_version))?;
                if let Some(last) = last.filter(|last| last.number > 0 && unchanged(last, &latest)) {
                    return Ok(last);
                }
                function.last_version += 1;
                let mut version = Version {
                    number: function.last_version,
                    revision: named.cx.random().uuid(),
                    run: named.cx.random().uuid(),
                    origin: latest.run().to_owned(),
                    update_status: None,
                    update_reason: None,
                    ..latest.clone()
                };
                if let Some(description) = description.clone() {
                    version.settings.description = description;
                }
                version.state = "Pending".to_owned();
                version.state_reason = crate::prepare::creating();
                tx.adopt_blob(version.code.blob)?;
                for layer in &version.settings.layers {
                    tx.adopt_blob(layer.code.blob)?;
                }
                let mut latest = latest;
                latest.revise(&named.cx);
                tx.put(&key, &function)?;
                tx.put(&version_key(&named.cx, &named.name, 0), &latest)?;
                tx.put(&version_key(&named.cx, &named.name, version.number), &version)?;
                tx.emit(Task::message(named, &version))?;
                Ok(version)
            })
            .await?;
        Ok(describe(named, &published, true))
    }

    /// Lists `$LATEST` and the published versions. Errors: `ResourceNotFoundException`.
    pub async fn list_versions_by_function(
        &self,
        cx: &Context,
        input: ListVersionsByFunctionInput,
    ) -> Result<ListVersionsByFunctionOutput, Error> {
        let named = Named::read(cx, &input.function_name, None)?;
        self.function(&named)?;
        let limit = input.max_items.and_then(|n| usize::try_from(n).ok()).unwrap_or(PAGE).clamp(1, PAGE);
        let rows =
            self.store.table::<Version>().scan(named_key(&named.cx, &named.name).prefix_range(), false);
        let rows: Vec<_> =
            rows.map(|row| row.map(|(_, version)| version)).collect::<Result<_, _>>().map_err(stored)?;
        let key = |version: &Version| version.number.to_be_bytes().to_vec();
        let bad = || invalid("The marker is not one that ListVersionsByFunction gave.");
        let page = pages::page(rows.into_iter(), limit, input.marker.as_deref(), key, bad)?;
        let shown = page.items.iter().map(|version| in_list(describe(&named, version, true)));
        Ok(ListVersionsByFunctionOutput { next_marker: page.next, versions: Some(shown.collect()) })
    }
}

/// Whether publishing would only repeat the last version.
fn unchanged(last: &Version, latest: &Version) -> bool {
    // The description may have been given to PublishVersion alone, so that settings that differ in it may still be the same.
    last.origin == latest.run()
        || (last.code.sha256 == latest.code.sha256 && last.settings == latest.settings)
}

//! Reading functions: GetFunction, GetFunctionConfiguration, ListFunctions.

use crate::Lambda;
use crate::errors::{invalid, stored};
use crate::names::{LATEST, Named, version_number};
use crate::settings::describe;
use crate::state::{Function, Version, named_key, place, version_key};
use cloudlet_api_lambda::*;
use cloudlet_service::pages;
use std::sync::Arc;

/// AWS: how many items a page of functions has at most.
pub(crate) const PAGE: usize = 50;

impl Lambda {
    /// The version that a qualifier names for reading: an alias means its own version, weights aside.
    pub(crate) fn shown_version(&self, named: &Named) -> Result<Arc<Version>, Error> {
        self.function(named)?;
        let qualifier = named.qualifier.as_deref().unwrap_or(LATEST);
        let number = match version_number(qualifier) {
            Some(number) => number,
            None => {
                let alias = self.alias(named, qualifier)?.ok_or_else(|| named.missing())?;
                version_number(&alias.version).ok_or_else(|| named.missing())?
            }
        };
        self.version(named, number)
    }

    fn configuration(&self, named: &Named) -> Result<FunctionConfiguration, Error> {
        let version = self.shown_version(named)?;
        let mut shown = describe(named, &version, false);
        shown.function_arn = Some(named.qualified_arn());
        Ok(shown)
    }

    /// A function with the place of its code.
    ///
    /// Errors: `ResourceNotFoundException`.
    pub async fn get_function(
        &self,
        cx: &Context,
        input: GetFunctionInput,
    ) -> Result<GetFunctionOutput, Error> {
        let named = Named::read(cx, &input.function_name, input.qualifier.as_deref())?;
        let function = self.function(&named)?;
        let version = self.shown_version(&named)?;
        let reserved = function.reserved_concurrency;
        Ok(GetFunctionOutput {
            configuration: Some(self.configuration(&named)?),
            code: Some(match &version.settings.image {
                Some(image) => FunctionCodeLocation {
                    repository_type: Some("ECR".to_owned()),
                    image_uri: Some(image.uri.clone()),
                    resolved_image_uri: Some(format!("{}@sha256:{}", image.uri, version.code.sha256)),
                    ..Default::default()
                },
                None => FunctionCodeLocation {
                    repository_type: Some("S3".to_owned()),
                    location: Some(self.code_url(cx, &version.code)),
                    ..Default::default()
                },
            }),
            tags: Some(function.tags.clone()).filter(|tags| !tags.is_empty()),
            concurrency: reserved.map(|n| Concurrency { reserved_concurrent_executions: Some(n) }),
            ..Default::default()
        })
    }

    /// A function's configuration. Errors: `ResourceNotFoundException`.
    pub async fn get_function_configuration(
        &self,
        cx: &Context,
        input: GetFunctionConfigurationInput,
    ) -> Result<GetFunctionConfigurationOutput, Error> {
        self.configuration(&Named::read(cx, &input.function_name, input.qualifier.as_deref())?)
    }

    /// Lists functions, by their `$LATEST` or with all their versions.
    ///
    /// Errors: `InvalidParameterValueException` for a marker that is none of ours.
    pub async fn list_functions(
        &self,
        cx: &Context,
        input: ListFunctionsInput,
    ) -> Result<ListFunctionsOutput, Error> {
        let limit = input.max_items.and_then(|n| usize::try_from(n).ok()).unwrap_or(PAGE).clamp(1, PAGE);
        let bad = || invalid("The marker is not one that ListFunctions gave.");
        let mut functions = Vec::new();
        let mut next = None;
        if input.function_version.as_deref() == Some("ALL") {
            let range = place(cx).prefix_range();
            let rows = self.store.table::<Version>().scan(range, false);
            let key = |row: &(cloudlet_store::Key, Version)| row.0.as_bytes().to_vec();
            let rows: Vec<_> = rows.collect::<Result<_, _>>().map_err(stored)?;
            let page = pages::page(rows.into_iter(), limit, input.marker.as_deref(), key, bad)?;
            for (key, version) in page.items {
                let mut parts = key.parts();
                let (_, _, name) = (parts.text(), parts.text(), parts.text().unwrap_or_default());
                functions.push(in_list(describe(
                    &Named { cx: cx.clone(), name, qualifier: None },
                    &version,
                    true,
                )));
            }
            next = page.next;
        } else {
            let mut range = place(cx).prefix_range();
            if let Some(marker) = input.marker.as_deref() {
                let last = pages::position(marker).and_then(|p| String::from_utf8(p).ok()).ok_or_else(bad)?;
                range = range.after(&named_key(cx, &last));
            }
            for row in self.store.table::<Function>().scan(range, false) {
                let (_, function) = row.map_err(stored)?;
                if functions.len() == limit {
                    next = functions
                        .last()
                        .and_then(|f: &FunctionConfiguration| f.function_name.as_ref())
                        .map(pages::token);
                    break;
                }
                let named = Named { cx: cx.clone(), name: function.name, qualifier: None };
                let latest = self
                    .store
                    .table::<Version>()
                    .get_arc(&version_key(cx, &named.name, 0))
                    .map_err(stored)?;
                functions.extend(latest.map(|latest| in_list(describe(&named, &latest, false))));
            }
        }
        Ok(ListFunctionsOutput { next_marker: next, functions: Some(functions) })
    }
}

/// Lists do not say how creation and updates are getting on. Source: API Reference, ListFunctions.
pub(crate) fn in_list(mut shown: FunctionConfiguration) -> FunctionConfiguration {
    shown.state = None;
    shown.state_reason = None;
    shown.state_reason_code = None;
    shown.last_update_status = None;
    shown.last_update_status_reason = None;
    shown.last_update_status_reason_code = None;
    shown.runtime_version_config = None;
    shown
}

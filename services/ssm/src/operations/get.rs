//! GetParameter, GetParameters, GetParametersByPath.

use super::page;
use crate::errors::{no_parameter, stored};
use crate::filters::{self, Use};
use crate::names::{self, Named};
use crate::state::{Parameter as Stored, arn, place};
use crate::{Ssm, public, reference, shown};
use cloudlet_api_ssm::*;

impl Ssm {
    /// Errors: `ParameterNotFound`, `ParameterVersionNotFound`, `InvalidKeyId`.
    pub async fn get_parameter(
        &self,
        cx: &Context,
        input: GetParameterInput,
    ) -> Result<GetParameterOutput, Error> {
        names::check_asked(&input.name)?;
        let found = self.one(cx, &input.name, input.with_decryption.unwrap_or(false)).await?;
        Ok(GetParameterOutput { parameter: Some(found), ..Default::default() })
    }

    /// Errors: `InvalidKeyId`; names that are not there are in the answer.
    pub async fn get_parameters(
        &self,
        cx: &Context,
        input: GetParametersInput,
    ) -> Result<GetParametersOutput, Error> {
        let decrypt = input.with_decryption.unwrap_or(false);
        let (mut found, mut invalid) = (Vec::new(), Vec::new());
        let mut asked: Vec<&String> = input.names.iter().collect();
        asked.sort();
        asked.dedup();
        for name in &asked {
            names::check_asked(name)?;
        }
        for name in asked {
            match self.one(cx, name, decrypt).await {
                Ok(parameter) => found.push(parameter),
                Err(error) if error.is("ParameterNotFound") || error.is("ParameterVersionNotFound") => {
                    invalid.push(name.clone());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(GetParametersOutput {
            parameters: Some(found),
            invalid_parameters: Some(invalid),
            ..Default::default()
        })
    }

    /// Errors: `ValidationException`, `InvalidFilterKey`, `InvalidFilterOption`, `InvalidFilterValue`,
    /// `InvalidNextToken`, `InvalidKeyId`.
    pub async fn get_parameters_by_path(
        &self,
        cx: &Context,
        input: GetParametersByPathInput,
    ) -> Result<GetParametersByPathOutput, Error> {
        names::check_path(&input.path)?;
        let filters = input.parameter_filters.unwrap_or_default();
        filters::check(&filters, Use::ByPath)?;
        let (recursive, decrypt) = (input.recursive.unwrap_or(false), input.with_decryption.unwrap_or(false));
        let token = input.next_token.as_deref();
        if public::is_public(&format!("{}/", input.path.trim_end_matches('/'))) {
            let all = public::under(cx, &input.path, recursive);
            let (names, next_token) = page(all, input.max_results, 10, token, Clone::clone)?;
            let found = names.iter().filter_map(|name| public_parameter(cx, name, None)).collect();
            return Ok(GetParametersByPathOutput {
                parameters: Some(found),
                next_token,
                ..Default::default()
            });
        }
        let label = filters.iter().find(|filter| filter.key == "Label");
        let label = label.and_then(|filter| filter.values.as_ref()?.first().cloned());
        let mut all = self.all(cx)?;
        all.retain(|parameter| {
            names::under(&parameter.name, &input.path, recursive) && filters::meets(parameter, &filters)
        });
        let (page, next_token) = page(all, input.max_results, 10, token, |parameter| parameter.name.clone())?;
        let mut found = Vec::with_capacity(page.len());
        for parameter in page {
            let version = self.version(&parameter, label.as_deref())?;
            let value = self.shown_value(cx, &parameter.arn(), &version, decrypt).await?;
            found.push(shown::parameter(&parameter.name, parameter.arn(), &version, value, label.as_deref()));
        }
        Ok(GetParametersByPathOutput { parameters: Some(found), next_token, ..Default::default() })
    }

    async fn one(&self, cx: &Context, text: &str, decrypt: bool) -> Result<Parameter, Error> {
        let named = Named::read(cx, text)?;
        if public::is_public(&named.name) {
            let found = public_parameter(cx, &named.name, named.selector.as_deref());
            return found.ok_or_else(|| no_parameter(text));
        }
        if let Some(secret) = text.strip_prefix(reference::PREFIX) {
            return self.secret(cx, secret, decrypt).await;
        }
        let (named, parameter) = self.look_up(cx, text)?;
        let selector = named.selector.as_deref();
        let version = self.version(&parameter, selector)?;
        let value = self.shown_value(cx, &parameter.arn(), &version, decrypt).await?;
        Ok(shown::parameter(&parameter.name, parameter.arn(), &version, value, selector))
    }

    /// All parameters of the account and Region, by name.
    pub(super) fn all(&self, cx: &Context) -> Result<Vec<Stored>, Error> {
        let now = cx.millis();
        let mut out = Vec::new();
        for row in self.store.table::<Stored>().scan(place(cx).prefix_range(), false) {
            let (_, parameter) = row.map_err(stored)?;
            if parameter.expires.is_none_or(|at| at > now) {
                out.push(parameter);
            }
        }
        out.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(out)
    }
}

fn public_parameter(cx: &Context, name: &str, selector: Option<&str>) -> Option<Parameter> {
    let value = public::get(cx, name)?;
    let version = public::version(name, value.clone());
    let arn = arn(cx.partition(), &cx.region, "", name);
    selector
        .is_none_or(|selector| selector == "1")
        .then(|| shown::parameter(name, arn, &version, value, selector))
}

//! The account's limits and a function's smaller settings.

use crate::Lambda;
use crate::code::{MAX_UNZIPPED, MAX_ZIPPED};
use crate::errors::{Failure, invalid};
use crate::names::Named;
use crate::settings::runtime_arn;
use crate::state::{Function, Version, named_key, version_key};
use cloudlet_api_lambda::*;

impl Lambda {
    /// Limits and usage of the account in the region.
    pub async fn get_account_settings(
        &self,
        cx: &Context,
        _: GetAccountSettingsInput,
    ) -> Result<GetAccountSettingsOutput, Error> {
        let (functions, size) = self.usage(cx)?;
        let limits = *self.limits.read();
        Ok(GetAccountSettingsOutput {
            account_limit: Some(AccountLimit {
                total_code_size: Some(limits.code_storage),
                code_size_unzipped: Some(MAX_UNZIPPED as i64),
                code_size_zipped: Some(MAX_ZIPPED as i64),
                concurrent_executions: Some(limits.concurrency),
                unreserved_concurrent_executions: Some(limits.concurrency - self.reserved_in_all(cx)?),
            }),
            account_usage: Some(AccountUsage {
                total_code_size: Some(size),
                function_count: Some(functions),
            }),
        })
    }

    /// When the runtime is updated. Errors: `ResourceNotFoundException`.
    pub async fn get_runtime_management_config(
        &self,
        cx: &Context,
        input: GetRuntimeManagementConfigInput,
    ) -> Result<GetRuntimeManagementConfigOutput, Error> {
        let named = Named::read(cx, &input.function_name, input.qualifier.as_deref())?;
        let version = self.shown_version(&named)?;
        let (mode, arn) = version.runtime_updates.clone().unwrap_or_else(|| ("Auto".to_owned(), None));
        let function_arn = Some(format!("{}:{}", named.arn(), version.name()));
        Ok(GetRuntimeManagementConfigOutput {
            update_runtime_on: Some(mode),
            function_arn,
            runtime_version_arn: arn,
        })
    }

    /// Says when the runtime is updated. Runtimes are those of the host, which this changes nothing about.
    ///
    /// Errors: `ResourceNotFoundException`, `InvalidParameterValueException`.
    pub async fn put_runtime_management_config(
        &self,
        cx: &Context,
        input: PutRuntimeManagementConfigInput,
    ) -> Result<PutRuntimeManagementConfigOutput, Error> {
        let named = Named::read(cx, &input.function_name, input.qualifier.as_deref())?;
        let version = self.shown_version(&named)?;
        let manual = input.update_runtime_on == "Manual";
        if manual != input.runtime_version_arn.is_some() {
            return Err(invalid(
                "RuntimeVersionArn must be given with UpdateRuntimeOn Manual, and only with it.",
            ));
        }
        if input
            .runtime_version_arn
            .as_ref()
            .is_some_and(|arn| *arn != runtime_arn(&named.cx, &version.settings.runtime))
        {
            return Err(invalid(
                "Runtime version could not be found; use the RuntimeVersionArn that GetFunctionConfiguration shows.",
            ));
        }
        let key = version_key(&named.cx, &named.name, version.number);
        self.store
            .transact(|tx| {
                let mut version = tx.get::<Version>(&key)?.ok_or_else(|| named.missing())?;
                version.runtime_updates =
                    Some((input.update_runtime_on.clone(), input.runtime_version_arn.clone()));
                Ok::<_, Failure>(tx.put(&key, &version)?)
            })
            .await?;
        Ok(PutRuntimeManagementConfigOutput {
            update_runtime_on: input.update_runtime_on,
            function_arn: format!("{}:{}", named.arn(), version.name()),
            runtime_version_arn: input.runtime_version_arn,
            ..Default::default()
        })
    }

    /// Whether loops through the function are broken. Errors: `ResourceNotFoundException`.
    pub async fn get_function_recursion_config(
        &self,
        cx: &Context,
        input: GetFunctionRecursionConfigInput,
    ) -> Result<GetFunctionRecursionConfigOutput, Error> {
        let function = self.function(&Named::read(cx, &input.function_name, None)?)?;
        let mode = function.recursive_loop.clone().unwrap_or_else(|| "Terminate".to_owned());
        Ok(GetFunctionRecursionConfigOutput { recursive_loop: Some(mode) })
    }

    /// Says so. Errors: `ResourceNotFoundException`.
    pub async fn put_function_recursion_config(
        &self,
        cx: &Context,
        input: PutFunctionRecursionConfigInput,
    ) -> Result<PutFunctionRecursionConfigOutput, Error> {
        let named = Named::read(cx, &input.function_name, None)?;
        let key = named_key(&named.cx, &named.name);
        self.store
            .transact(|tx| {
                let mut function = tx.get::<Function>(&key)?.ok_or_else(|| named.missing())?;
                function.recursive_loop = Some(input.recursive_loop.clone());
                Ok::<_, Failure>(tx.put(&key, &function)?)
            })
            .await?;
        Ok(PutFunctionRecursionConfigOutput { recursive_loop: Some(input.recursive_loop) })
    }
}

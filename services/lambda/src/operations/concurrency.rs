//! Reserved concurrency.

use crate::Lambda;
use crate::errors::{Failure, invalid, no_function};
use crate::names::{LATEST, Named};
use crate::state::{Function, named_key};
use cloudlet_api_lambda::*;

impl Lambda {
    /// Reserves concurrency for a function, which is its limit as well.
    ///
    /// Errors: `ResourceNotFoundException`, `InvalidParameterValueException`.
    pub async fn put_function_concurrency(
        &self,
        cx: &Context,
        input: PutFunctionConcurrencyInput,
    ) -> Result<PutFunctionConcurrencyOutput, Error> {
        let named = unqualified(cx, &input.function_name)?;
        let wanted = input.reserved_concurrent_executions;
        let missing = |_| no_function(&format!("{}:{LATEST}", named.arn()));
        let function = self.function(&named).map_err(missing)?;
        let own = function.reserved_concurrency.unwrap_or(0);
        let limits = *self.limits.read();
        let least = limits.least_unreserved();
        if self.reserved_in_all(&named.cx)? - own + wanted > limits.concurrency - least {
            return Err(invalid(format!(
                "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its \
                 minimum value of [{least}]."
            )));
        }
        let provisioned: i32 = function.provisioned.values().map(|p| p.requested).sum();
        if provisioned > wanted {
            return Err(invalid(format!(
                " ReservedConcurrentExecutions  {wanted} should not be lower than function's total provisioned concurrency \
                 [{provisioned}]."
            )));
        }
        self.reserve(&named, Some(wanted)).await?;
        Ok(PutFunctionConcurrencyOutput { reserved_concurrent_executions: Some(wanted) })
    }

    /// Shows the reservation. Errors: `ResourceNotFoundException`.
    pub async fn get_function_concurrency(
        &self,
        cx: &Context,
        input: GetFunctionConcurrencyInput,
    ) -> Result<GetFunctionConcurrencyOutput, Error> {
        let named = unqualified(cx, &input.function_name)?;
        Ok(GetFunctionConcurrencyOutput {
            reserved_concurrent_executions: self.function(&named)?.reserved_concurrency,
        })
    }

    /// Ends the reservation. Errors: `ResourceNotFoundException`.
    pub async fn delete_function_concurrency(
        &self,
        cx: &Context,
        input: DeleteFunctionConcurrencyInput,
    ) -> Result<DeleteFunctionConcurrencyOutput, Error> {
        self.reserve(&unqualified(cx, &input.function_name)?, None).await?;
        Ok(DeleteFunctionConcurrencyOutput::default())
    }

    async fn reserve(&self, named: &Named, reserved: Option<i32>) -> Result<(), Error> {
        let key = named_key(&named.cx, &named.name);
        self.store
            .transact(|tx| {
                let mut function = tx.get::<Function>(&key)?.ok_or_else(|| named.missing())?;
                function.reserved_concurrency = reserved;
                Ok::<_, Failure>(tx.put(&key, &function)?)
            })
            .await?;
        self.reserved.lock().remove(&(named.cx.account.to_string(), named.cx.region.to_string()));
        Ok(())
    }
}

pub(crate) fn unqualified(cx: &Context, name: &str) -> Result<Named, Error> {
    let named = Named::read(cx, name, None)?;
    match &named.qualifier {
        None => Ok(named),
        Some(_) => Err(invalid(
            "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. Please specify either a function name or an unqualified function ARN.",
        )),
    }
}

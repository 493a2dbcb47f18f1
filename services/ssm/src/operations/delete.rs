//! DeleteParameter, DeleteParameters.

use crate::errors::{Failure, no_parameter};
use crate::names::Named;
use crate::state::{Parameter as Stored, parameter_place};
use crate::{Ssm, expiry};
use cloudlet_api_ssm::*;

impl Ssm {
    /// Errors: `ParameterNotFound`.
    pub async fn delete_parameter(
        &self,
        cx: &Context,
        input: DeleteParameterInput,
    ) -> Result<DeleteParameterOutput, Error> {
        if self.delete(cx, &input.name).await? {
            Ok(DeleteParameterOutput::default())
        } else {
            Err(no_parameter(&input.name))
        }
    }

    /// Names that are not there are in the answer.
    pub async fn delete_parameters(
        &self,
        cx: &Context,
        input: DeleteParametersInput,
    ) -> Result<DeleteParametersOutput, Error> {
        let (mut deleted, mut invalid) = (Vec::new(), Vec::new());
        for name in input.names {
            if self.delete(cx, &name).await? { deleted.push(name) } else { invalid.push(name) }
        }
        Ok(DeleteParametersOutput {
            deleted_parameters: Some(deleted),
            invalid_parameters: Some(invalid),
            ..Default::default()
        })
    }

    async fn delete(&self, cx: &Context, name: &str) -> Result<bool, Error> {
        let Ok(named) = Named::read(cx, name) else { return Ok(false) };
        if named.selector.is_some() || self.find(cx, &named).is_err() {
            return Ok(false);
        }
        let at = parameter_place(&named.account, &named.region, &named.name);
        let deleted = self.store.transact(|tx| {
            let there = tx.exists::<Stored>(&at)?;
            expiry::erase(tx, &at)?;
            Ok::<_, Failure>(there)
        });
        Ok(deleted.await?)
    }
}

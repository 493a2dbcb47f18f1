//! Durable functions called by those that know nothing of executions: function URLs and event source mappings.
//!
//! Source: Developer Guide, "Event source mappings with durable functions".

use crate::Lambda;
use crate::runner::{Call, Target};
use bytes::Bytes;
use cloudlet_api_lambda::Blob;
use cloudlet_compute::{FunctionError, InvokeResult};
use cloudlet_service::Error;

impl Lambda {
    /// Runs a function once, or a durable one to the end of an execution of its own.
    ///
    /// Errors: as [`Lambda::run`], and `InvalidParameterValueException` for a durable function that may take too long or is
    /// named without a version.
    pub(crate) async fn run_to_end(&self, target: &Target, call: Call) -> Result<InvokeResult, Error> {
        let Some(durable) = &target.version.settings.durable else { return self.run(target, call).await };
        let output = self.invoke_for_long(target, durable, None, call, "RequestResponse").await?;
        Ok(InvokeResult {
            payload: output.payload.map(Blob::into_inner).map(Bytes::from).unwrap_or_default(),
            function_error: output.function_error.map(|_| FunctionError::Unhandled),
            ..InvokeResult::default()
        })
    }
}

//! GetParameterHistory.

use super::page;
use crate::errors::stored;
use crate::state::Version;
use crate::{Ssm, names, shown};
use cloudlet_api_ssm::*;

impl Ssm {
    /// Errors: `ParameterNotFound`, `InvalidNextToken`, `InvalidKeyId`.
    pub async fn get_parameter_history(
        &self,
        cx: &Context,
        input: GetParameterHistoryInput,
    ) -> Result<GetParameterHistoryOutput, Error> {
        names::check_asked(&input.name)?;
        let (_, parameter) = self.look_up(cx, &input.name)?;
        let rows = self.store.table::<Version>().scan(parameter.place().prefix_range(), false);
        let versions: Vec<Version> =
            rows.map(|row| row.map(|(_, version)| version)).collect::<Result<_, _>>().map_err(stored)?;
        let number = |version: &Version| format!("{:010}", version.number);
        let (versions, next_token) =
            page(versions, input.max_results, 50, input.next_token.as_deref(), number)?;
        let decrypt = input.with_decryption.unwrap_or(false);
        let mut out = Vec::with_capacity(versions.len());
        for version in &versions {
            let value = self.shown_value(cx, &parameter.arn(), version, decrypt).await?;
            out.push(shown::history(&parameter, version, value, cx.millis()));
        }
        Ok(GetParameterHistoryOutput { parameters: Some(out), next_token, ..Default::default() })
    }
}

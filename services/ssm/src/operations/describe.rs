//! DescribeParameters.

use super::page;
use crate::filters::{self, Use};
use crate::{Ssm, shown};
use cloudlet_api_ssm::*;

impl Ssm {
    /// Errors: `InvalidFilterKey`, `InvalidFilterOption`, `InvalidFilterValue`, `ValidationException`,
    /// `InvalidNextToken`.
    pub async fn describe_parameters(
        &self,
        cx: &Context,
        input: DescribeParametersInput,
    ) -> Result<DescribeParametersOutput, Error> {
        let filters = filters::either(input.filters, input.parameter_filters)?;
        filters::check(&filters, Use::Describe)?;
        // Nothing is shared here through RAM.
        let mut all = if input.shared.unwrap_or(false) { Vec::new() } else { self.all(cx)? };
        all.retain(|parameter| filters::meets(parameter, &filters));
        let (page, next_token) =
            page(all, input.max_results, 10, input.next_token.as_deref(), |p| p.name.clone())?;
        let shown = page.iter().map(|parameter| shown::metadata(parameter, cx.millis())).collect();
        Ok(DescribeParametersOutput { parameters: Some(shown), next_token, ..Default::default() })
    }
}

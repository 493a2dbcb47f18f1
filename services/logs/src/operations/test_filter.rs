//! TestMetricFilter.

use crate::Logs;
use crate::errors::invalid;
use crate::pattern::Pattern;
use cloudlet_api_logs::{
    Context, Error, MetricFilterMatchRecord, TestMetricFilterInput, TestMetricFilterOutput,
};

impl Logs {
    /// Shows which of the messages a pattern finds, and the values that it names.
    ///
    /// Errors: `InvalidParameterException`.
    pub async fn test_metric_filter(
        &self,
        _: &Context,
        input: TestMetricFilterInput,
    ) -> Result<TestMetricFilterOutput, Error> {
        let pattern = Pattern::parse(&input.filter_pattern).map_err(|e| invalid(e.0))?;
        let found =
            input.log_event_messages.into_iter().enumerate().filter(|(_, message)| pattern.matches(message));
        let matches = found.map(|(i, message)| MetricFilterMatchRecord {
            event_number: Some(i as i64 + 1),
            extracted_values: Some(pattern.extract(&message)),
            event_message: Some(message),
        });
        Ok(TestMetricFilterOutput { matches: Some(matches.collect()) })
    }
}

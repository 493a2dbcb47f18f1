//! How long events are kept.

use crate::Logs;
use crate::errors::{Failure, invalid, no_group};
use crate::purge::expire_later;
use crate::state::{Group, group_key};
use cloudlet_api_logs::*;

/// The periods that AWS knows, in days.
const PERIODS: [i32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

impl Logs {
    /// Events older than this are no longer found from now on, and forgotten within a day.
    ///
    /// Errors: `ResourceNotFoundException`, `InvalidParameterException`.
    pub async fn put_retention_policy(
        &self,
        cx: &Context,
        input: PutRetentionPolicyInput,
    ) -> Result<PutRetentionPolicyOutput, Error> {
        let days = input.retention_in_days;
        if !PERIODS.contains(&days) {
            let known: Vec<String> = PERIODS.iter().map(i32::to_string).collect();
            return Err(invalid(format!(
                "1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: Member \
                 must satisfy enum value set: [{}]",
                known.join(", ")
            )));
        }
        let key = group_key(cx, &input.log_group_name);
        self.store
            .transact(|tx| {
                let mut group = tx.get::<Group>(&key)?.ok_or_else(no_group)?;
                // The daily look goes on until it finds no retention.
                if group.retention_days.is_none() {
                    tx.emit(expire_later(cx, &group))?;
                }
                group.retention_days = Some(days);
                tx.put(&key, &group)?;
                Ok::<_, Failure>(())
            })
            .await?;
        Ok(PutRetentionPolicyOutput::default())
    }

    /// Events are kept for ever again.
    ///
    /// Errors: `ResourceNotFoundException`.
    pub async fn delete_retention_policy(
        &self,
        cx: &Context,
        input: DeleteRetentionPolicyInput,
    ) -> Result<DeleteRetentionPolicyOutput, Error> {
        self.change_group(&group_key(cx, &input.log_group_name), |group| group.retention_days = None).await?;
        Ok(DeleteRetentionPolicyOutput::default())
    }
}

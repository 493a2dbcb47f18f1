//! GetKeyLastUsage, and the notes that it reads.
//!
//! Each successful use is noted in memory, and written down at most once a minute for each key, so that encrypting stays
//! free of writes; after a crash the answer may be older by that minute.

use crate::Kms;
use crate::errors::{Failure, stored};
use crate::shown::when;
use crate::state::{KeyRecord, Usage};
use cloudlet_api_kms::*;

/// How long a use may go unwritten, in milliseconds.
const UNWRITTEN: i64 = 60_000;
/// Keys whose last use is kept in memory.
const MOST: usize = 10_000;

impl Kms {
    /// Errors: `NotFoundException`, `InvalidArnException`.
    pub async fn get_key_last_usage(
        &self,
        cx: &Context,
        input: GetKeyLastUsageInput,
    ) -> Result<GetKeyLastUsageOutput, Error> {
        let key = self.own_key(cx, &input.key_id).await?;
        let at = key.place();
        let noted = self.used.lock().get(at.as_bytes()).map(|(usage, _)| usage.clone());
        let usage = match noted {
            Some(usage) => Some(usage),
            None => self.store.table::<Usage>().get(&at).map_err(stored)?,
        };
        let shown = usage.map_or_else(KeyLastUsageData::default, |usage| KeyLastUsageData {
            operation: Some(usage.operation),
            timestamp: Some(when(usage.at)),
            kms_request_id: Some(usage.request),
            ..Default::default()
        });
        Ok(GetKeyLastUsageOutput {
            key_id: Some(key.id.clone()),
            key_last_usage: Some(shown),
            // Uses have been noted for as long as there have been keys.
            tracking_start_date: Some(when(key.created)),
            key_creation_date: Some(when(key.created)),
            ..Default::default()
        })
    }

    /// Notes a successful use of a key.
    pub(super) async fn note_use(&self, cx: &Context, key: &KeyRecord, operation: &'static str) {
        let (at, now) = (key.place(), cx.millis());
        let usage = Usage { operation: operation.to_owned(), at: now, request: cx.request_id.to_string() };
        {
            let mut used = self.used.lock();
            match used.get_mut(at.as_bytes()) {
                Some((there, written)) => {
                    *there = usage.clone();
                    if (*written..*written + UNWRITTEN).contains(&now) {
                        return;
                    }
                    *written = now;
                }
                None => {
                    // What is forgotten here was written within the minute.
                    if used.len() >= MOST {
                        used.clear();
                    }
                    used.insert(at.as_bytes().to_vec(), (usage.clone(), now));
                }
            }
        }
        // What was asked for is done, whether or not it can be noted.
        let noted = self.store.transact(|tx| Ok::<_, Failure>(tx.put(&at, &usage)?)).await;
        if let Err(Failure(error)) = noted {
            tracing::warn!(key = key.id, why = error.message(), "the use of a key could not be noted");
        }
    }
}

//! SelectObjectContent.

use crate::S3;
use crate::condition_keys::header;
use crate::encryption::customer_key;
use crate::errors::Result;
use crate::select::{Plan, Told};
use cloudlet_api_s3::{self as api, SelectObjectContentEventStream as Event};
use cloudlet_service::{Context, Error, EventStream, Principal};
use futures_util::stream;
use std::time::Duration;

/// After so long without another event one is sent that says no more than that the query is still at work.
const QUIET: Duration = Duration::from_secs(5);

/// The classes whose objects cannot be asked. Source: S3 User Guide, "Querying data in place", "Requirements and limits".
const UNASKED: [&str; 3] = ["GLACIER", "DEEP_ARCHIVE", "REDUCED_REDUNDANCY"];

impl S3 {
    /// Answers a query over an object's records.
    ///
    /// Errors: those of GetObject; S3 Select's own, before the stream begins or as its last event.
    pub async fn select_object_content(
        &self,
        cx: &Context,
        input: api::SelectObjectContentInput,
    ) -> Result<api::SelectObjectContentOutput, Error> {
        let key = customer_key!(input);
        let wanted = api::GetObjectInput {
            bucket: input.bucket.clone(),
            key: input.key.clone(),
            expected_bucket_owner: input.expected_bucket_owner.clone(),
            sse_customer_algorithm: key.algorithm.map(str::to_owned),
            sse_customer_key: key.key.map(str::to_owned),
            sse_customer_key_md5: key.md5.map(str::to_owned),
            ..Default::default()
        };
        if header(cx, "range").is_some() {
            let message = "Range header is not supported for this operation.";
            return Err(Error::sender("UnsupportedRangeHeader", message));
        }
        if matches!(cx.principal, Principal::Anonymous) {
            let message = "You are not authorized to perform this operation";
            return Err(Error::new("UnauthorizedAccess", 401, message));
        }
        let object = match self.get_object(cx, wanted).await {
            Err(archived) if archived.code() == "InvalidObjectState" => return Err(unsupported_class()),
            other => other?,
        };
        if object.storage_class.as_deref().is_some_and(|class| UNASKED.contains(&class)) {
            return Err(unsupported_class());
        }
        let size = u64::try_from(object.content_length.unwrap_or_default()).unwrap_or_default();
        let plan = Plan::read(&input, size)?;
        let told = plan.run(object.body, cx.millis());
        let events = stream::unfold((Some(told), None), |(told, last)| async move {
            if let Some(last) = last {
                return Some((Ok(last), (None, None)));
            }
            let mut told = told?;
            let Ok(next) = tokio::time::timeout(QUIET, told.recv()).await else {
                return Some((Ok(Event::Cont(api::ContinuationEvent::default())), (Some(told), None)));
            };
            match next? {
                Told::Records(bytes) => {
                    let payload = Some(api::Blob::new(bytes.to_vec()));
                    Some((Ok(Event::Records(api::RecordsEvent { payload })), (Some(told), None)))
                }
                Told::Progress(scanned, processed, returned) => {
                    let details = Some(api::Progress {
                        bytes_scanned: Some(scanned as i64),
                        bytes_processed: Some(processed as i64),
                        bytes_returned: Some(returned as i64),
                    });
                    Some((Ok(Event::Progress(api::ProgressEvent { details })), (Some(told), None)))
                }
                Told::End(scanned, processed, returned) => {
                    let details = Some(api::Stats {
                        bytes_scanned: Some(scanned as i64),
                        bytes_processed: Some(processed as i64),
                        bytes_returned: Some(returned as i64),
                    });
                    let end = Event::End(api::EndEvent::default());
                    Some((Ok(Event::Stats(api::StatsEvent { details })), (None, Some(end))))
                }
                Told::Failed(refused) => Some((Err(Error::from(refused)), (None, None))),
            }
        });
        Ok(api::SelectObjectContentOutput { payload: EventStream::new(events) })
    }
}

fn unsupported_class() -> Error {
    let message = "Encountered an unsupported storage class. Only STANDARD, STANDARD_IA, and ONEZONE_IA storage classes are \
                   supported.";
    Error::sender("UnsupportedStorageClass", message)
}

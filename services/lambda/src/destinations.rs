//! Where records of invocations and of batches go, with the rights of the function's own role.

use crate::{Lambda, lineage};
use bytes::Bytes;
use cloudlet_api_lambda::{Blob, InvocationRequest, operations::Invoke};
use cloudlet_api_s3::{PutObjectInput, operations::PutObject};
use cloudlet_service::{Arn, Context, Error};
use std::sync::Arc;

impl Lambda {
    /// Sends a record as the role of `role`. `key` names the object where the destination is a bucket;
    /// `trace_id` is the chain of requests that the record comes from.
    ///
    /// Errors: those of the destination; not implemented where its service is not served.
    pub(crate) async fn send_record(
        &self,
        role: &Context,
        destination: &str,
        key: String,
        record: &serde_json::Value,
        trace_id: Option<&str>,
    ) -> Result<(), Error> {
        let body = Bytes::from(record.to_string());
        let arn = Arn::parse(destination)
            .ok_or_else(|| Error::internal(format!("the destination {destination} is no ARN")))?;
        match arn.service {
            "lambda" => {
                let input = InvocationRequest {
                    function_name: destination.to_owned(),
                    invocation_type: Some("Event".to_owned()),
                    payload: Some(Blob::new(body)),
                    ..Default::default()
                };
                // The chain goes on, so that functions which tell each other in a circle are stopped.
                let mut role = role.clone();
                Arc::make_mut(&mut role.origin).headers = trace_id.and_then(lineage::headers).map(Arc::new);
                self.cloud.call::<Invoke>(&role, input).await.map(|_| ())
            }
            "s3" => {
                let bucket = arn.resource.to_owned();
                let input = PutObjectInput { bucket, key, body: body.into(), ..Default::default() };
                self.cloud.call::<PutObject>(role, input).await.map(|_| ())
            }
            service => Err(Error::not_implemented(service, "destinations of Lambda")),
        }
    }
}

/// `2026/11/25/2026-11-25T07.10.30-UUID`: how objects of records are named behind their prefix.
pub(crate) fn object_name(cx: &Context) -> String {
    let now = crate::state::written_time(cx.millis());
    let (date, clock) = now.split_once('T').unwrap_or((&now, ""));
    let clock = clock.get(..8).unwrap_or_default().replace(':', ".");
    format!("{}/{date}T{clock}-{}", date.replace('-', "/"), cx.random().uuid())
}

//! From `Pending` to `Active`: unpacks a new package and checks its runtime, after the answer and before the first call.

use crate::errors::Failure;
use crate::names::Named;
use crate::runner::failed;
use crate::state::{Version, version_key};
use crate::tasks::at_work;
use crate::{Lambda, names};
use cloudlet_bus::{Handler, Message, MessageId, Outcome};
use cloudlet_compute::ComputeError;
use cloudlet_service::{BoxFuture, Error, Principal};
use serde::{Deserialize, Serialize};
use std::sync::Weak;

/// The queue of versions to make ready.
pub(crate) const QUEUE: &str = "lambda.prepare";

#[derive(Serialize, Deserialize)]
pub(crate) struct Task {
    pub account: String,
    pub region: String,
    pub name: String,
    pub number: u64,
    /// The version's `run`.
    pub revision: String,
}

impl Task {
    pub(crate) fn message(named: &Named, version: &Version) -> Message {
        let task = Self {
            account: named.cx.account.to_string(),
            region: named.cx.region.to_string(),
            name: named.name.clone(),
            number: version.number,
            revision: version.run().to_owned(),
        };
        Message {
            queue: QUEUE.to_owned(),
            group: named.arn(),
            payload: serde_json::to_vec(&task).unwrap_or_default(),
            not_before: u64::try_from(named.cx.millis()).unwrap_or(0),
            ..Message::default()
        }
    }
}

pub(crate) struct Preparer(pub(crate) Weak<Lambda>);

impl Handler for Preparer {
    fn deliver<'a>(&'a self, _: &'a MessageId, message: &'a Message) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let (lambda, task) = match at_work::<Task>(&self.0, message) {
                Ok(found) => found,
                Err(outcome) => return outcome,
            };
            match lambda.make_ready(task).await {
                Ok(()) => Outcome::Done,
                Err(error) => Outcome::Retry { after: None, why: error.to_string() },
            }
        })
    }
}

impl Lambda {
    async fn make_ready(&self, task: Task) -> Result<(), Error> {
        let principal = Principal::Service {
            name: "lambda.amazonaws.com".into(),
            source_arn: None,
            source_account: None,
        };
        let cx = self.cloud.context(principal, &task.account, &task.region);
        let named = Named { cx, name: task.name, qualifier: None };
        let key = version_key(&named.cx, &named.name, task.number);
        let read = self.store.table::<Version>().get(&key).map_err(crate::errors::stored)?;
        let Some(version) = read.filter(|v| v.run() == task.revision) else { return Ok(()) };
        let prepared = self.compute.prepare(self.spec(&named, &version)).await;
        let problem = match prepared {
            Ok(()) => None,
            // Nothing that the function's owner could mend: try again later.
            Err(error @ (ComputeError::Gone | ComputeError::AtCapacity { .. })) => return Err(failed(error)),
            Err(error) => {
                let code = match &error {
                    ComputeError::Runtime(_) => "InvalidRuntime",
                    ComputeError::Archive(_) => "InvalidZipFileException",
                    ComputeError::Image(_) => "InvalidImage",
                    _ => "InternalError",
                };
                Some((error.to_string(), code.to_owned()))
            }
        };
        self.store
            .transact(|tx| {
                let Some(mut version) = tx.get::<Version>(&key)? else { return Ok(()) };
                if version.run() != task.revision {
                    return Ok(());
                }
                let created = version.state == "Pending";
                match &problem {
                    None => {
                        version.state = "Active".to_owned();
                        version.state_reason = None;
                        version.update_status = Some("Successful".to_owned());
                        version.update_reason = None;
                    }
                    Some(reason) => {
                        if created {
                            version.state = "Failed".to_owned();
                            version.state_reason = Some(reason.clone());
                        }
                        version.update_status = Some("Failed".to_owned());
                        version.update_reason = Some(reason.clone());
                    }
                }
                // AWS gives another revision when the state changes; nothing that runs changes with it.
                version.revise(&named.cx);
                tx.put(&key, &version)?;
                Ok::<_, Failure>(())
            })
            .await?;
        self.changes.notify_waiters();
        self.provision(&named)
    }
}

/// `Pending` as a new version shows it.
pub(crate) fn creating() -> Option<(String, String)> {
    Some(("The function is being created.".to_owned(), "Creating".to_owned()))
}

/// A qualifier that may be published or `$LATEST`.
pub(crate) fn latest(named: &Named) -> bool {
    named.qualifier.as_deref().is_none_or(|q| q == names::LATEST)
}

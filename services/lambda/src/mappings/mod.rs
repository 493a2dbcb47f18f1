//! Event source mappings: what reads a stream or a queue and calls a function with what it finds.
//!
//! `check` knows what AWS accepts of a mapping, `pattern` its filters, `source` where records come from, `poller` who
//! reads them, `batch` how a batch is tried until it is done with.
//!
//! Source: Developer Guide, "How Lambda processes records from stream and queue-based event sources".

mod batch;
mod check;
mod pattern;
mod poller;
mod source;
mod tell;

pub(crate) use check::{Kind, check_create, check_update};
pub(crate) use pattern::Pattern;
pub(crate) use poller::Pollers;
pub(crate) use source::probe;

use crate::Lambda;
use crate::errors::{Failure, stored};
use crate::state::named_key;
use crate::tasks::at_work;
use cloudlet_bus::{Handler, Message, MessageId, Outcome};
use cloudlet_service::{BoxFuture, Context, Error, Principal};
use cloudlet_store::{Key, Record};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Weak;

/// The queue of mappings whose state is to change.
pub(crate) const QUEUE: &str = "lambda.mappings";

/// A mapping. Key: account, region, UUID.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub(crate) struct Mapping {
    pub uuid: String,
    pub source: String,
    /// The function's ARN, with a qualifier if one was given.
    pub function: String,
    pub enabled: bool,
    pub state: String,
    pub reason: String,
    pub last_result: Option<String>,
    /// Milliseconds since 1970.
    pub created: i64,
    pub modified: i64,
    pub batch_size: i32,
    pub window_seconds: i32,
    pub filters: Option<Vec<String>>,
    pub responses: Vec<String>,
    pub tags: BTreeMap<String, String>,
    pub kms_key: Option<String>,
    /// Something encrypted with the key, which whoever is to see the filters must be able to decrypt.
    #[serde(default)]
    pub kms_proof: Option<Vec<u8>>,
    pub metrics: Option<Vec<String>>,
    pub log_level: Option<String>,
    pub max_concurrency: Option<i32>,
    /// What only streams have.
    pub stream: Option<Stream>,
}

/// What only the mapping of a stream has.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub(crate) struct Stream {
    pub position: String,
    /// Milliseconds since 1970.
    pub timestamp: Option<i64>,
    pub parallel: i32,
    pub max_age_seconds: i32,
    pub max_retries: i32,
    pub bisect: bool,
    pub tumbling_seconds: i32,
    pub on_failure: Option<String>,
}

impl Record for Mapping {
    const TABLE: &'static str = "lambda.mappings";
}

/// How far a shard has been read. Key: account, region, UUID, shard.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub(crate) struct Checkpoint {
    /// The last record that is done with.
    pub sequence: Option<String>,
    /// Where reading began, for a shard of which nothing was read yet.
    pub iterator: Option<String>,
    /// Everything of the shard is done with.
    pub done: bool,
    /// The tumbling window under way: when it began in milliseconds, and its state as JSON.
    pub window: Option<(i64, String)>,
}

impl Record for Checkpoint {
    const TABLE: &'static str = "lambda.checkpoints";
}

pub(crate) fn mapping_key(cx: &Context, uuid: &str) -> Key {
    named_key(cx, &uuid.to_ascii_lowercase())
}

fn checkpoint_key(cx: &Context, uuid: &str, shard: &str) -> Key {
    mapping_key(cx, uuid).text(shard)
}

impl Mapping {
    pub(crate) fn arn(&self, cx: &Context) -> String {
        cx.arn("lambda", format_args!("event-source-mapping:{}", self.uuid))
    }

    /// The compiled filters; records that none of them lets through are passed over.
    fn patterns(&self) -> Vec<Pattern> {
        self.filters.iter().flatten().filter_map(|text| Pattern::parse(text)).collect()
    }
}

/// A change of a mapping's state that is to be completed.
#[derive(Serialize, Deserialize)]
struct Task {
    account: String,
    region: String,
    uuid: String,
}

/// The message that completes a change.
pub(crate) fn message(cx: &Context, uuid: &str) -> Message {
    let task = Task { account: cx.account.to_string(), region: cx.region.to_string(), uuid: uuid.to_owned() };
    Message {
        queue: QUEUE.to_owned(),
        group: uuid.to_owned(),
        payload: serde_json::to_vec(&task).unwrap_or_default(),
        not_before: u64::try_from(cx.millis()).unwrap_or(0),
        ..Message::default()
    }
}

pub(crate) struct Settler(pub(crate) Weak<Lambda>);

impl Handler for Settler {
    fn deliver<'a>(&'a self, _: &'a MessageId, message: &'a Message) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let (lambda, task) = match at_work::<Task>(&self.0, message) {
                Ok(found) => found,
                Err(outcome) => return outcome,
            };
            let cx = lambda.own_context(&task.account, &task.region);
            match lambda.settle_mapping(&cx, &task.uuid).await {
                Ok(()) => Outcome::Done,
                Err(error) => Outcome::Retry { after: None, why: error.to_string() },
            }
        })
    }
}

impl Lambda {
    /// A context of Lambda at work for itself.
    pub(crate) fn own_context(&self, account: &str, region: &str) -> Context {
        let principal = Principal::Service {
            name: "lambda.amazonaws.com".into(),
            source_arn: None,
            source_account: None,
        };
        self.cloud.context(principal, account, region)
    }

    /// Completes what an operation began: `Creating` becomes `Enabled`, `Deleting` becomes nothing.
    async fn settle_mapping(&self, cx: &Context, uuid: &str) -> Result<(), Error> {
        let key = mapping_key(cx, uuid);
        let left = self
            .store
            .transact(|tx| {
                let Some(mut mapping) = tx.get::<Mapping>(&key)? else { return Ok(None) };
                if mapping.state == "Deleting" {
                    let mut shards = Vec::new();
                    for row in tx.scan::<Checkpoint>(key.prefix_range(), false) {
                        shards.push(row?.0);
                    }
                    for shard in shards {
                        tx.delete::<Checkpoint>(&shard)?;
                    }
                    tx.delete::<Mapping>(&key)?;
                    return Ok(None);
                }
                mapping.state = if mapping.enabled { "Enabled" } else { "Disabled" }.to_owned();
                tx.put(&key, &mapping)?;
                Ok::<_, Failure>(Some(mapping))
            })
            .await?;
        match left {
            Some(mapping) if mapping.enabled => self.pollers.start(self, cx.clone(), &mapping.uuid),
            _ => self.pollers.stop(uuid),
        }
        Ok(())
    }

    pub(crate) fn mapping(&self, cx: &Context, uuid: &str) -> Result<Option<std::sync::Arc<Mapping>>, Error> {
        self.store.table::<Mapping>().get_arc(&mapping_key(cx, uuid)).map_err(stored)
    }

    /// Reads on where the last run of the program ended.
    pub(crate) fn resume_mappings(&self) -> Result<(), Error> {
        for row in self.store.table::<Mapping>().scan(Key::new().prefix_range(), false) {
            let (key, mapping) = row.map_err(stored)?;
            let mut parts = key.parts();
            let (Some(account), Some(region)) = (parts.text(), parts.text()) else { continue };
            if mapping.enabled && mapping.state == "Enabled" {
                self.pollers.start(self, self.own_context(&account, &region), &mapping.uuid);
            }
        }
        Ok(())
    }
}

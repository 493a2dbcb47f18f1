//! Server access logs: a line for every request to a bucket that is logged, delivered in batches as objects of the
//! target bucket.
//!
//! A line is written down soon after its answer has left, in one transaction with the others that came meanwhile; the
//! object that holds it is stored in the transaction that forgets it, so that a line is delivered once. What was not
//! written down when the process dies is lost: AWS delivers these logs on a best-effort basis as well.
//! Source: S3 User Guide, "Logging requests with server access logging", "Amazon S3 server access log format".

mod deliver;
mod line;

pub(crate) use deliver::grants;

use crate::S3;
use crate::errors::Result;
use crate::operations::LOGGING;
use crate::state::{Bucket, Version};
use cloudlet_service::{Answered, Cloud, Context};
use cloudlet_store::{Key, Record, Tx};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::mpsc;

/// How many answers may wait to be written down. Beyond them they are lost rather than that requests wait.
const WAITING: usize = 16 << 10;

/// How many are written down at once.
const AT_ONCE: usize = 512;

/// How often lines are looked at that may be due for delivery.
const LOOK: Duration = Duration::from_secs(2);

/// The sequence that lines are numbered by.
const SEQUENCE: &str = "s3.access-lines";

/// A line that waits for its delivery, under the number of the bucket that it tells of and its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Line {
    /// When the request came.
    pub(crate) at: i64,
    pub(crate) text: String,
}

impl Record for Line {
    const TABLE: &'static str = "s3.access-lines";
}

impl Line {
    fn key(bucket: u64, seq: u64) -> Key {
        Key::new().number(bucket).number(seq)
    }

    fn of(bucket: u64) -> Key {
        Key::new().number(bucket)
    }
}

/// The end of the service at which answers come in.
pub(crate) type Notes = mpsc::Sender<Answered>;

/// The way from answers to lines; `start` gets the second half.
pub(crate) fn notes() -> (Notes, mpsc::Receiver<Answered>) {
    mpsc::channel(WAITING)
}

/// Writes down what comes and delivers what is due, for as long as the service lives.
pub(crate) fn start(s3: Weak<S3>, cloud: Weak<Cloud>, mut notes: mpsc::Receiver<Answered>) {
    let writer = s3.clone();
    tokio::spawn(async move {
        let mut answers = Vec::with_capacity(AT_ONCE);
        while notes.recv_many(&mut answers, AT_ONCE).await > 0 {
            let Some(s3) = writer.upgrade() else { return };
            if let Err(why) = s3.write_down(std::mem::take(&mut answers)).await {
                tracing::warn!(error = %why.0, "lines of access logs are lost");
            }
        }
    });
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(LOOK).await;
            let (Some(s3), Some(cloud)) = (s3.upgrade(), cloud.upgrade()) else { return };
            if cloud.is_closing() {
                return;
            }
            if let Err(why) = s3.deliver_logs(&cloud).await {
                tracing::warn!(error = %why.0, "access logs could not be delivered; they will be tried again");
            }
        }
    });
}

/// Writes down what S3 does by itself, where the bucket is logged, in the transaction that does it.
pub(crate) fn acted(
    tx: &mut Tx<'_>,
    cx: &Context,
    bucket: &Bucket,
    operation: &str,
    key: &str,
    version: Option<&Version>,
) -> Result<()> {
    if !bucket.has(LOGGING.name) {
        return Ok(());
    }
    let mut id = [0u8; 8];
    cx.random().fill(&mut id);
    let text = line::write_own(bucket, cx.millis(), &hex::encode_upper(id), operation, key, version);
    let seq = tx.sequence(SEQUENCE)?;
    Ok(tx.put(&Line::key(bucket.id, seq), &Line { at: cx.millis(), text })?)
}

impl S3 {
    /// Whether the bucket is logged.
    pub(crate) fn has_log(&self, bucket: &str) -> bool {
        let found = self.store.table::<Bucket>().get_arc(&Bucket::key(bucket));
        matches!(found, Ok(Some(bucket)) if bucket.has(LOGGING.name))
    }

    /// Takes an answered request for the log of its bucket.
    pub(crate) fn note(&self, request: Answered) {
        let _ = self.notes.try_send(request);
    }

    async fn write_down(&self, answers: Vec<Answered>) -> Result<()> {
        let mut lines = Vec::with_capacity(answers.len());
        for answered in &answers {
            let found: Option<Arc<Bucket>> =
                self.store.table::<Bucket>().get_arc(&Bucket::key(&answered.bucket))?;
            if let Some(bucket) = found.filter(|b| b.has(LOGGING.name)) {
                lines.push((bucket.id, Line { at: answered.at, text: line::write(&bucket, answered) }));
            }
        }
        self.store
            .transact(|tx| {
                for (bucket, line) in &lines {
                    let seq = tx.sequence(SEQUENCE)?;
                    tx.put(&Line::key(*bucket, seq), line)?;
                }
                Ok(())
            })
            .await
    }
}

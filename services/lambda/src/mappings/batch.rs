//! A batch, tried until it is done with: retries, halves, partial answers, age.

use super::source::Found;
use super::tell::Condition;
use super::{Checkpoint, Mapping, checkpoint_key, mapping_key};
use crate::errors::Failure;
use crate::names::Named;
use crate::roles::Session;
use crate::runner::Call;
use crate::{Lambda, errors::stored};
use bytes::Bytes;
use cloudlet_compute::InvokeResult;
use cloudlet_service::{Context, Error};
use serde_json::{Map, Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Pauses after failures grow from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Lambda quotas: the most bytes of a call, less what surrounds the records.
pub(super) const MOST_BYTES: usize = 6 * 1024 * 1024 - 64 * 1024;
/// Lambda quotas: the most bytes of a tumbling window's state.
const MOST_STATE: usize = 1024 * 1024;

/// Reads one shard for one mapping.
pub(super) struct Worker {
    pub lambda: Weak<Lambda>,
    pub cx: Context,
    pub uuid: String,
    pub shard: String,
}

/// A tumbling window as one call sees it.
#[derive(Clone)]
pub(super) struct Window {
    pub start: i64,
    pub end: i64,
    pub state: String,
    /// Its time is over.
    pub last: bool,
    /// It ends before its time because its state has become too large.
    pub early: bool,
}

impl Window {
    fn is_final(&self) -> bool {
        self.last || self.early
    }
}

/// The state that a window begins with.
const EMPTY_STATE: &str = "{}";

/// How a call ended.
enum Called {
    /// All records are done with; the state that a window is left with.
    Done(Option<String>),
    /// Records from this one on are to be tried again, which may be the first.
    Failed { from: usize, result: Box<(String, String, InvokeResult)> },
    /// Nothing ran: the function is throttled, gone or not ready.
    Refused(Error),
}

/// The mapping is gone or off, or the program stops.
pub(super) struct Stopped;

impl Worker {
    /// The mapping as it is now, as long as it reads.
    pub(super) fn mapping(&self) -> Result<(Arc<Lambda>, Arc<Mapping>), Stopped> {
        let lambda = self.lambda.upgrade().ok_or(Stopped)?;
        let found = lambda.mapping(&self.cx, &self.uuid).map_err(|_| Stopped)?;
        let mapping = found.filter(|m| m.enabled && m.state != "Deleting").ok_or(Stopped)?;
        Ok((lambda, mapping))
    }

    /// A session of the function's role.
    pub(super) async fn session(&self) -> Result<Arc<Session>, Error> {
        let (lambda, mapping) = self.mapping().map_err(|Stopped| Error::internal("the mapping is off"))?;
        let named = Named::read(&self.cx, &mapping.function, None)?;
        let version = lambda.target(named.clone())?.version;
        let cx = &named.cx;
        lambda.sink.roles().session(&cx.account, &cx.region, &version.settings.role, &named.name).await
    }

    /// Brings records to their end, in order. With `checkpoints`, each that is done with is remembered at once.
    pub(super) async fn process(
        &self,
        records: Vec<Found>,
        mut window: Option<Window>,
        checkpoints: bool,
    ) -> Result<Option<String>, Stopped> {
        let mut line = VecDeque::from([(records, 0)]);
        let mut refusals = 0;
        while let Some((mut batch, attempts)) = line.pop_front() {
            let (lambda, mapping) = self.mapping()?;
            let Some(stream) = mapping.stream.clone() else { return Err(Stopped) };
            let end = batch.last().map(|r| r.sequence.clone());
            self.drop_old(&mapping, &mut batch, stream.max_age_seconds, attempts).await;
            if batch.is_empty() && checkpoints && end.is_some() {
                self.remember(&lambda, end.clone(), None).await?;
            }
            if batch.is_empty() && window.as_ref().is_none_or(|w| !w.is_final()) {
                continue;
            }
            match self.call(&lambda, &mapping, &batch, window.as_ref()).await {
                Called::Done(state) => {
                    refusals = 0;
                    if let (Some(window), Some(state)) = (&mut window, state) {
                        window.state = if window.early { EMPTY_STATE.to_owned() } else { state };
                        // What has grown too large is handed over at once, and counting begins anew.
                        window.early = !window.is_final() && window.state.len() > MOST_STATE;
                        if window.early {
                            line.push_front((Vec::new(), 0));
                        }
                    }
                    self.remember(&lambda, end.filter(|_| checkpoints), window.as_ref()).await?;
                    self.note(&lambda, &mapping, "OK").await;
                }
                Called::Failed { from, result } => {
                    self.note(&lambda, &mapping, "PROBLEM: Function call failed").await;
                    let rest = batch.split_off(from.min(batch.len()));
                    if let Some(done) = batch.last().filter(|_| checkpoints) {
                        self.remember(&lambda, Some(done.sequence.clone()), window.as_ref()).await?;
                    }
                    let mut batch = rest;
                    if stream.max_retries >= 0
                        && attempts >= stream.max_retries
                        && (!stream.bisect || batch.len() < 2)
                    {
                        let why = Condition::RetryAttemptsExhausted;
                        self.give_up(&mapping, &batch, why, attempts + 1, Some(&result)).await;
                        self.remember(&lambda, end.filter(|_| checkpoints), window.as_ref()).await?;
                        continue;
                    }
                    if stream.bisect && batch.len() > 1 {
                        // Halving is no attempt: it ends by itself.
                        let second = batch.split_off(batch.len() / 2);
                        line.push_front((second, attempts));
                        line.push_front((batch, attempts));
                    } else {
                        pause(attempts).await;
                        line.push_front((batch, attempts.saturating_add(1)));
                    }
                }
                Called::Refused(error) => {
                    tracing::debug!(%error, mapping = self.uuid, "a batch waits for its function");
                    self.note(&lambda, &mapping, &format!("PROBLEM: {}", error.message())).await;
                    pause(refusals).await;
                    refusals = refusals.saturating_add(1);
                    line.push_front((batch, attempts));
                }
            }
        }
        Ok(window.map(|w| w.state))
    }

    /// Gives up records that are older than the mapping allows.
    async fn drop_old(&self, mapping: &Mapping, batch: &mut Vec<Found>, max_age: i32, attempts: i32) {
        if max_age < 0 {
            return;
        }
        let at = too_old(batch, max_age, self.cx.millis());
        if at > 0 {
            let rest = batch.split_off(at);
            let old = std::mem::replace(batch, rest);
            self.give_up(mapping, &old, Condition::RecordAgeExceeded, attempts, None).await;
        }
    }

    async fn call(
        &self,
        lambda: &Arc<Lambda>,
        mapping: &Mapping,
        batch: &[Found],
        window: Option<&Window>,
    ) -> Called {
        let target =
            match Named::read(&self.cx, &mapping.function, None).and_then(|named| lambda.target(named)) {
                Ok(target) => target,
                Err(error) => return Called::Refused(error),
            };
        let events: Vec<&Value> = batch.iter().map(|r| &r.event).collect();
        let mut payload = Map::new();
        payload.insert("Records".to_owned(), json!(events));
        if let Some(window) = window {
            let time = |millis: i64| crate::state::written_time(millis).replace(".000+0000", "Z");
            payload
                .insert("window".to_owned(), json!({ "start": time(window.start), "end": time(window.end) }));
            let state = serde_json::from_str(&window.state).unwrap_or_else(|_| json!({}));
            payload.insert("state".to_owned(), state);
            payload.insert("shardId".to_owned(), json!(self.shard));
            payload.insert("eventSourceARN".to_owned(), json!(mapping.source));
            payload.insert("isFinalInvokeForWindow".to_owned(), json!(window.is_final()));
            payload.insert("isWindowTerminatedEarly".to_owned(), json!(window.early));
        }
        let request_id = self.cx.random().uuid();
        let payload = Bytes::from(Value::Object(payload).to_string());
        let call = Call { payload, ..Call::new(request_id.clone()) };
        let result = match lambda.run_to_end(&target, call).await {
            Ok(result) => result,
            Err(error) => return Called::Refused(error),
        };
        let whole = |result| Called::Failed {
            from: 0,
            result: Box::new((request_id.clone(), target.version.name(), result)),
        };
        if result.function_error.is_some() {
            return whole(result);
        }
        let answer = serde_json::from_slice::<Value>(&result.payload).unwrap_or(Value::Null);
        let state = match window {
            Some(_) => {
                let state = answer.get("state").filter(|s| s.is_object()).map(Value::to_string);
                Some(state.unwrap_or_else(|| EMPTY_STATE.to_owned()))
            }
            None => None,
        };
        if mapping.responses.iter().any(|r| r == "ReportBatchItemFailures") {
            match first_failure(&answer, batch) {
                None => {}
                Some(from) => {
                    return Called::Failed {
                        from,
                        result: Box::new((request_id.clone(), target.version.name(), result)),
                    };
                }
            }
        }
        Called::Done(state)
    }

    /// Remembers how far the shard is done with, and the window under way.
    pub(super) async fn remember(
        &self,
        lambda: &Lambda,
        sequence: Option<String>,
        window: Option<&Window>,
    ) -> Result<(), Stopped> {
        if sequence.is_none() && window.is_none() {
            return Ok(());
        }
        let window = window.map(|w| (!w.last).then(|| (w.start, w.state.clone())));
        self.change(lambda, |checkpoint| {
            if sequence.is_some() {
                checkpoint.sequence.clone_from(&sequence);
                checkpoint.iterator = None;
            }
            if let Some(window) = &window {
                checkpoint.window.clone_from(window);
            }
        })
        .await
    }

    pub(super) fn checkpoint(&self, lambda: &Lambda) -> Result<Checkpoint, Error> {
        let key = checkpoint_key(&self.cx, &self.uuid, &self.shard);
        Ok(lambda.store.table::<Checkpoint>().get(&key).map_err(stored)?.unwrap_or_default())
    }

    /// Changes the shard's checkpoint, unless the mapping is gone.
    pub(super) async fn change(
        &self,
        lambda: &Lambda,
        change: impl Fn(&mut Checkpoint) + Send + Sync,
    ) -> Result<(), Stopped> {
        let key = checkpoint_key(&self.cx, &self.uuid, &self.shard);
        let of = mapping_key(&self.cx, &self.uuid);
        let changed = lambda
            .store
            .transact(|tx| {
                if !tx.exists::<Mapping>(&of)? {
                    return Ok(false);
                }
                let mut checkpoint = tx.get::<Checkpoint>(&key)?.unwrap_or_default();
                change(&mut checkpoint);
                tx.put(&key, &checkpoint)?;
                Ok::<_, Failure>(true)
            })
            .await;
        match changed {
            Ok(true) => Ok(()),
            Ok(false) => Err(Stopped),
            Err(Failure(error)) => {
                tracing::warn!(%error, mapping = self.uuid, "a checkpoint was not written; its records come again");
                Ok(())
            }
        }
    }

    /// Says in the mapping how the last batch went.
    pub(super) async fn note(&self, lambda: &Lambda, mapping: &Mapping, result: &str) {
        if mapping.last_result.as_deref() == Some(result) {
            return;
        }
        let key = mapping_key(&self.cx, &self.uuid);
        let noted = lambda
            .store
            .transact(|tx| {
                if let Some(mut mapping) = tx.get::<Mapping>(&key)? {
                    mapping.last_result = Some(result.to_owned());
                    tx.put(&key, &mapping)?;
                }
                Ok::<_, Failure>(())
            })
            .await;
        if let Err(Failure(error)) = noted {
            tracing::debug!(%error, "a mapping's last result was not written");
        }
    }
}

/// How many records at the front are older than so many seconds.
fn too_old(batch: &[Found], max_age: i32, now: i64) -> usize {
    let oldest = now - i64::from(max_age) * 1000;
    batch.iter().position(|r| r.arrived >= oldest).unwrap_or(batch.len())
}

/// The first record that a partial answer says failed. An answer that names none, or none that is there, is for the
/// whole batch: done, or failed. Source: Developer Guide, "Configuring partial batch response".
fn first_failure(answer: &Value, batch: &[Found]) -> Option<usize> {
    let failures = match answer.get("batchItemFailures") {
        None | Some(Value::Null) => return None,
        Some(Value::Array(list)) if list.is_empty() => return None,
        Some(Value::Array(list)) => list,
        Some(_) => return Some(0),
    };
    let place = |failure: &Value| {
        let id = failure.get("itemIdentifier")?.as_str()?;
        batch.iter().position(|r| r.sequence == id)
    };
    Some(
        failures
            .iter()
            .map(place)
            .collect::<Option<Vec<_>>>()
            .and_then(|all| all.into_iter().min())
            .unwrap_or(0),
    )
}

async fn pause(failures: i32) {
    let doublings = u32::try_from(failures.clamp(0, 16)).unwrap_or(0);
    tokio::time::sleep(FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_records_are_given_up() {
        let record =
            |arrived: i64| Found { sequence: String::new(), arrived, key: 0, event: Value::Null, size: 0 };
        let batch = [record(0), record(1_000), record(61_000)];
        assert_eq!(too_old(&batch, 60, 60_000), 0);
        assert_eq!(too_old(&batch, 60, 60_001), 1);
        assert_eq!(too_old(&batch, 60, 61_001), 2);
        assert_eq!(too_old(&batch, 60, 200_000), 3);
        assert_eq!(too_old(&[], 60, 200_000), 0);
    }

    #[test]
    fn partial_answers_name_the_first_failure() {
        let record = |sequence: &str| Found {
            sequence: sequence.to_owned(),
            arrived: 0,
            key: 0,
            event: Value::Null,
            size: 0,
        };
        let batch = [record("1"), record("2"), record("3")];
        for (answer, expected) in [
            (json!(null), None),
            (json!({}), None),
            (json!("text"), None),
            (json!({"batchItemFailures": null}), None),
            (json!({"batchItemFailures": []}), None),
            (json!({"batchItemFailures": [{"itemIdentifier": "3"}, {"itemIdentifier": "2"}]}), Some(1)),
            (json!({"batchItemFailures": [{"itemIdentifier": ""}]}), Some(0)),
            (json!({"batchItemFailures": [{"itemIdentifier": null}]}), Some(0)),
            (json!({"batchItemFailures": [{"wrong": "3"}]}), Some(0)),
            (json!({"batchItemFailures": [{"itemIdentifier": "9"}]}), Some(0)),
            (json!({"batchItemFailures": "no"}), Some(0)),
        ] {
            assert_eq!(first_failure(&answer, &batch), expected, "{answer}");
        }
    }
}

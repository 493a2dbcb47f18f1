//! Who reads: one task for each mapping, and one in it for each shard.

use super::batch::{MOST_BYTES, Stopped, Window, Worker};
use super::source::{Found, Shard, Source, Start};
use super::{Checkpoint, Mapping, checkpoint_key};
use crate::{Lambda, errors::stored};
use cloudlet_service::{Context, Error};
use futures_util::future::join_all;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::task::JoinSet;

/// How often an idle shard is looked at. AWS: four times a second.
const IDLE: Duration = Duration::from_millis(200);
/// How often a stream's shards are listed.
const SHARDS: Duration = Duration::from_secs(2);
/// The pause after a source could not be read.
const TROUBLE: Duration = Duration::from_secs(1);

/// The mappings that are read now, by UUID.
#[derive(Default)]
pub(crate) struct Pollers(Arc<Mutex<HashSet<String>>>);

impl Pollers {
    /// Reads for this mapping from now on, until it is off or gone.
    pub(crate) fn start(&self, lambda: &Lambda, cx: Context, uuid: &str) {
        if !self.0.lock().insert(uuid.to_owned()) {
            return;
        }
        let poller =
            Poller { lambda: lambda.this.clone(), cx, uuid: uuid.to_owned(), running: self.0.clone() };
        tokio::spawn(poller.run());
    }

    /// A mapping that is off or gone ends its reading by itself.
    pub(crate) fn stop(&self, uuid: &str) {
        tracing::debug!(uuid, "a mapping reads no longer");
    }
}

struct Poller {
    lambda: Weak<Lambda>,
    cx: Context,
    uuid: String,
    running: Arc<Mutex<HashSet<String>>>,
}

impl Poller {
    async fn run(self) {
        let mut shards = JoinSet::new();
        let mut read: HashMap<String, tokio::task::AbortHandle> = HashMap::new();
        let mut first = true;
        loop {
            let worker = self.worker("");
            let reading = match worker.mapping() {
                Ok((lambda, mapping)) => Some((lambda, mapping)),
                Err(Stopped) => {
                    // What is under way comes to its end, so that it is not done twice.
                    while shards.join_next().await.is_some() {}
                    read.clear();
                    // Whoever turns the mapping on again looks here under the same lock.
                    let mut running = self.running.lock();
                    if worker.mapping().is_err() {
                        running.remove(&self.uuid);
                        return;
                    }
                    None
                }
            };
            let Some((lambda, mapping)) = reading else { continue };
            read.retain(|_, task| !task.is_finished());
            match self.due(&lambda, &mapping, first).await {
                Ok(due) => {
                    first = false;
                    for (shard, start) in due {
                        let worker = self.worker(&shard);
                        read.entry(shard).or_insert_with(|| shards.spawn(worker.run(start)));
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, mapping = self.uuid, "a mapping's source cannot be read");
                    worker.note(&lambda, &mapping, &format!("PROBLEM: {}", error.message())).await;
                }
            }
            drop(lambda);
            tokio::time::sleep(IDLE).await;
            // An ended shard lets its children begin.
            let _ = tokio::time::timeout(SHARDS, async {
                if shards.join_next().await.is_none() {
                    std::future::pending::<()>().await;
                }
            })
            .await;
        }
    }

    fn worker(&self, shard: &str) -> Worker {
        Worker {
            lambda: self.lambda.clone(),
            cx: self.cx.clone(),
            uuid: self.uuid.clone(),
            shard: shard.to_owned(),
        }
    }

    /// The shards to read now: those that are not done with and whose parents are.
    async fn due(
        &self,
        lambda: &Arc<Lambda>,
        mapping: &Mapping,
        first: bool,
    ) -> Result<Vec<(String, Begin)>, Error> {
        let source = Source::of(&mapping.source)?;
        let session = self.worker("").session().await?;
        let shards = source.shards(&session.cx).await?;
        let known: HashSet<&str> = shards.iter().map(|s| s.id.as_str()).collect();
        let checkpoint = |shard: &str| -> Result<Option<Checkpoint>, Error> {
            let key = checkpoint_key(&self.cx, &self.uuid, shard);
            lambda.store.table::<Checkpoint>().get(&key).map_err(stored)
        };
        // At its very first look a mapping that begins at the end skips what is there.
        let fresh = first && shards.iter().all(|s| matches!(checkpoint(&s.id), Ok(None)));
        let newest = mapping.stream.as_ref().is_some_and(|s| s.position == "LATEST") && fresh;
        let mut due = Vec::new();
        for Shard { id, parent } in &shards {
            let at = checkpoint(id)?;
            if at.as_ref().is_some_and(|c| c.done) {
                continue;
            }
            let parent = parent.as_deref().filter(|p| known.contains(p) && !newest);
            if let Some(parent) = parent
                && !checkpoint(parent)?.is_some_and(|c| c.done)
            {
                continue;
            }
            due.push((id.clone(), if newest { Begin::Newest } else { Begin::Oldest }));
        }
        Ok(due)
    }
}

/// Where a shard begins that was never read.
#[derive(Clone, Copy)]
pub(super) enum Begin {
    Oldest,
    Newest,
}

/// Records that were read and not given to the function yet.
#[derive(Default)]
struct Buffer {
    records: VecDeque<Found>,
    bytes: usize,
    /// When the first came, by the cloud's clock.
    since: i64,
    /// The last record that was read, and let through by no filter.
    passed: Option<String>,
}

impl Worker {
    async fn run(self, begin: Begin) {
        // Stopped, or the end of the shard.
        let _ = self.read_shard(begin).await;
    }

    async fn read_shard(&self, begin: Begin) -> Result<(), Stopped> {
        let mut iterator: Option<String> = None;
        let mut ended = false;
        let mut buffer = Buffer::default();
        loop {
            let (lambda, mapping) = self.mapping()?;
            let Some(stream) = mapping.stream.clone() else { return Ok(()) };
            let parallel = usize::try_from(stream.parallel).unwrap_or(1).max(1);
            let size = usize::try_from(mapping.batch_size).unwrap_or(1).max(1);
            let wanted = (size * parallel).saturating_sub(buffer.records.len());
            let mut came = 0;
            if !ended && wanted > 0 {
                match self.read_on(&lambda, &mapping, &mut iterator, begin, wanted, &mut buffer).await {
                    Ok((read, over)) => (came, ended) = (read, over),
                    Err(error) => {
                        tracing::debug!(%error, mapping = self.uuid, "a shard cannot be read");
                        self.note(&lambda, &mapping, &format!("PROBLEM: {}", error.message())).await;
                        self.forget_place(&lambda, &error).await?;
                        // The iterator may be too old; the checkpoint knows where to go on.
                        iterator = None;
                        buffer = Buffer::default();
                        tokio::time::sleep(TROUBLE).await;
                        continue;
                    }
                }
            }
            if buffer.records.is_empty() {
                if let Some(passed) = buffer.passed.take() {
                    self.remember(&lambda, Some(passed), None).await?;
                }
                self.close_window(&lambda, stream.tumbling_seconds, ended).await?;
                if ended {
                    return self.change(&lambda, |checkpoint| checkpoint.done = true).await;
                }
            } else if self.is_due(&mapping, &buffer, size, ended) {
                let taken = take(&mut buffer, size * parallel);
                let last = taken.last().map(|r| r.sequence.clone());
                if stream.tumbling_seconds > 0 {
                    self.process_windows(&lambda, taken, stream.tumbling_seconds).await?;
                } else if parallel > 1 {
                    self.process_lanes(taken, parallel, size).await?;
                    self.remember(&lambda, last, None).await?;
                } else {
                    self.process(taken, None, true).await?;
                }
                continue;
            }
            if came == 0 && !ended {
                drop(lambda);
                tokio::time::sleep(IDLE).await;
            }
        }
    }

    /// A place that the source no longer has is not asked for again.
    async fn forget_place(&self, lambda: &Lambda, error: &Error) -> Result<(), Stopped> {
        let (expired, trimmed) =
            (error.is("ExpiredIteratorException"), error.is("TrimmedDataAccessException"));
        if !expired && !trimmed {
            return Ok(());
        }
        self.change(lambda, |checkpoint| {
            checkpoint.iterator = None;
            if trimmed {
                checkpoint.sequence = None;
            }
        })
        .await
    }

    /// Whether what is buffered is a batch: enough records or bytes, waited long enough, or no more will come.
    fn is_due(&self, mapping: &Mapping, buffer: &Buffer, size: usize, ended: bool) -> bool {
        let waited = self.cx.millis() - buffer.since >= i64::from(mapping.window_seconds) * 1000;
        ended || buffer.records.len() >= size || buffer.bytes >= MOST_BYTES || waited
    }

    async fn read_on(
        &self,
        lambda: &Arc<Lambda>,
        mapping: &Mapping,
        iterator: &mut Option<String>,
        begin: Begin,
        wanted: usize,
        buffer: &mut Buffer,
    ) -> Result<(usize, bool), Error> {
        let source = Source::of(&mapping.source)?;
        let session = self.session().await?;
        if iterator.is_none() {
            let at = self.checkpoint(lambda)?;
            *iterator = match (at.sequence, at.iterator, begin) {
                (Some(sequence), _, _) => {
                    source.begin(&session.cx, &self.shard, Start::After(sequence)).await?
                }
                (None, Some(kept), _) => Some(kept),
                (None, None, Begin::Oldest) => source.begin(&session.cx, &self.shard, Start::Oldest).await?,
                (None, None, Begin::Newest) => source.begin(&session.cx, &self.shard, Start::Newest).await?,
            };
            if let (Begin::Newest, Some(kept)) = (begin, iterator.clone()) {
                // So that what comes while the program is down is not skipped.
                let kept = move |checkpoint: &mut Checkpoint| {
                    if checkpoint.sequence.is_none() && checkpoint.iterator.is_none() {
                        checkpoint.iterator = Some(kept.clone());
                    }
                };
                let _ = self.change(lambda, kept).await;
            }
        }
        let Some(from) = iterator.clone() else { return Ok((0, true)) };
        let read = source.read(&session.cx, &from, wanted).await?;
        let came = read.records.len();
        let patterns = mapping.patterns();
        for record in read.records {
            if patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(&record.event)) {
                if buffer.records.is_empty() {
                    buffer.since = self.cx.millis();
                }
                buffer.bytes += record.size;
                buffer.records.push_back(record);
                buffer.passed = None;
            } else {
                buffer.passed = Some(record.sequence);
            }
        }
        let over = read.next.is_none();
        *iterator = read.next;
        Ok((came, over))
    }

    /// Records of one key go one after the other, those of different keys side by side.
    async fn process_lanes(&self, records: Vec<Found>, parallel: usize, size: usize) -> Result<(), Stopped> {
        let mut lanes: Vec<Vec<Found>> = (0..parallel).map(|_| Vec::new()).collect();
        for record in records {
            let lane = usize::try_from(record.key % parallel as u64).unwrap_or(0);
            if let Some(lane) = lanes.get_mut(lane) {
                lane.push(record);
            }
        }
        let work = lanes.into_iter().filter(|lane| !lane.is_empty()).map(|mut lane| async move {
            while !lane.is_empty() {
                let rest = lane.split_off(size.min(lane.len()));
                self.process(std::mem::replace(&mut lane, rest), None, false).await?;
            }
            Ok(())
        });
        join_all(work).await.into_iter().collect()
    }

    /// Each record belongs to the window of its time; a later one ends the one before.
    async fn process_windows(
        &self,
        lambda: &Arc<Lambda>,
        records: Vec<Found>,
        seconds: i32,
    ) -> Result<(), Stopped> {
        let length = i64::from(seconds) * 1000;
        let mut rest: VecDeque<Found> = records.into();
        while let Some(start) = rest.front().map(|r| r.arrived.div_euclid(length) * length) {
            let mut own = Vec::new();
            while rest.front().is_some_and(|r| r.arrived.div_euclid(length) * length <= start) {
                own.extend(rest.pop_front());
            }
            let open = self.checkpoint(lambda).map_err(|_| Stopped)?.window;
            let state = match open {
                Some((at, state)) if at == start => state,
                Some((at, state)) => {
                    self.end_window(at, length, state).await?;
                    "{}".to_owned()
                }
                None => "{}".to_owned(),
            };
            let window = Window { start, end: start + length, state, last: false, early: false };
            self.process(own, Some(window), true).await?;
        }
        Ok(())
    }

    /// Ends the open window once its time is over, or the shard is.
    async fn close_window(&self, lambda: &Arc<Lambda>, seconds: i32, ended: bool) -> Result<(), Stopped> {
        if seconds <= 0 {
            return Ok(());
        }
        let length = i64::from(seconds) * 1000;
        match self.checkpoint(lambda).map_err(|_| Stopped)?.window {
            Some((at, state)) if ended || self.cx.millis() >= at + length => {
                self.end_window(at, length, state).await
            }
            _ => Ok(()),
        }
    }

    async fn end_window(&self, start: i64, length: i64, state: String) -> Result<(), Stopped> {
        let window = Window { start, end: start + length, state, last: true, early: false };
        self.process(Vec::new(), Some(window), true).await.map(|_| ())
    }
}

/// Takes as many records as fit a call; at least one.
fn take(buffer: &mut Buffer, most: usize) -> Vec<Found> {
    let mut taken = Vec::new();
    let mut bytes = 0;
    while let Some(next) = buffer.records.front() {
        if !taken.is_empty() && (taken.len() >= most || bytes + next.size > MOST_BYTES) {
            break;
        }
        bytes += next.size;
        buffer.bytes = buffer.bytes.saturating_sub(next.size);
        taken.extend(buffer.records.pop_front());
    }
    taken
}

//! Who runs where: warm sandboxes, those being started, and the line in front of them.

mod blanks;
mod reap;
mod state;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use self::state::{KEEP_PAUSE, Kept, Key, LOOK, Line, State, Waiter, key};
use crate::compute::Usage;
use crate::machine::Machine;
use crate::sandbox::Sandbox;
use crate::{ComputeError, FunctionSpec};

/// The scheduler. All decisions are made under one short lock; all waiting happens outside of it.
pub(crate) struct Pool {
    machine: Arc<Machine>,
    state: Mutex<State>,
    cores: usize,
    /// Sandboxes of one function started at the same time: enough to use the machine, few enough that none of them
    /// starves.
    starts: usize,
}

impl Pool {
    pub(crate) fn new(machine: Arc<Machine>) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self { machine, state: Mutex::default(), cores, starts: (cores * 2).max(4) }
    }

    /// A sandbox of this function: warm, or new, or the first to come free.
    pub(crate) async fn acquire(
        self: &Arc<Self>,
        spec: &Arc<FunctionSpec>,
        wait: bool,
    ) -> Result<Sandbox, ComputeError> {
        let key = key(spec);
        let turn = {
            let mut state = self.state.lock();
            if state.closed {
                return Err(ComputeError::Gone);
            }
            if let Some(sandbox) = state.take_idle(&key) {
                state.work(&key, &sandbox);
                return Ok(sandbox);
            }
            let full = state.busy_count() + state.starting_count() >= self.machine.config.max_concurrency;
            let waiting = state.waiting_count();
            if waiting >= self.machine.config.max_waiting || (full && !wait) {
                let max_concurrency = self.machine.config.max_concurrency;
                return Err(ComputeError::AtCapacity { max_concurrency, waiting });
            }
            let (turn, mine) = oneshot::channel();
            let line = state.lines.entry(key);
            let line = line.or_insert_with(|| Line { spec: spec.clone(), waiters: VecDeque::new() });
            line.waiters.push_back(Waiter { since: Instant::now(), turn });
            mine
        };
        self.pump();
        turn.await.unwrap_or(Err(ComputeError::Gone))
    }

    /// Gives a sandbox back after a call.
    pub(crate) fn release(self: &Arc<Self>, mut sandbox: Sandbox, reusable: bool) {
        let old = {
            let mut state = self.state.lock();
            state.rest(&key(&sandbox.spec), sandbox.id());
            let current = sandbox.generation == state.generation(&sandbox.spec.arn) && !state.closed;
            if reusable && current && sandbox.is_fit() {
                state.place(sandbox, self.machine.config.max_concurrency);
                None
            } else {
                Some(sandbox)
            }
        };
        // Ended outside of the lock.
        drop(old);
        self.pump();
    }

    /// Starts what the line calls for, as far as the limits allow.
    fn pump(self: &Arc<Self>) {
        let mut ended = Vec::new();
        let mut starts = Vec::new();
        {
            let mut state = self.state.lock();
            state.tidy();
            let mut held = false;
            let mut open: Vec<Key> = state.lines.keys().cloned().collect();
            // Who holds least comes first; of those, whose turn was longest ago, and who has waited for longest.
            while let Some(key) = open
                .iter()
                .min_by_key(|key| {
                    let waits = state.lines[*key].waiters.front().map(|w| w.since);
                    (state.holds(key), state.turns.get(*key).copied(), waits)
                })
                .cloned()
            {
                if state.closed || state.starting_count() >= self.starts * 4 {
                    break;
                }
                let (spec, count) = (state.lines[&key].spec.clone(), state.lines[&key].waiters.len());
                let enough = state.starting_of(&key) >= count.min(self.starts);
                let saturated = !enough && state.is_saturated(&key, self.cores);
                held |= saturated;
                let places = self.machine.config.max_concurrency;
                if enough || saturated {
                    open.retain(|other| *other != key);
                    continue;
                }
                if state.total() >= places {
                    let Some(oldest) = state.make_room(&key, places) else {
                        open.retain(|other| *other != key);
                        continue;
                    };
                    ended.push(oldest);
                }
                *state.starting.entry(key.clone()).or_default() += 1;
                state.turns.insert(key.clone(), Instant::now());
                starts.push((key, spec));
            }
            let now = Instant::now();
            let short: Vec<_> = state
                .kept
                .iter()
                .filter(|(_, kept)| kept.not_before <= now)
                .map(|(key, kept)| (key.clone(), kept.spec.clone(), kept.count))
                .collect();
            for (key, spec, count) in short {
                while !state.closed
                    && state.holds(&key) < count
                    && state.starting_of(&key) < self.starts
                    && state.total() < self.machine.config.max_concurrency
                {
                    *state.starting.entry(key.clone()).or_default() += 1;
                    starts.push((key.clone(), spec.clone()));
                }
            }
            if held && !std::mem::replace(&mut state.looking, true) {
                let pool = self.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(LOOK).await;
                    pool.state.lock().looking = false;
                    pool.pump();
                });
            }
        }
        drop(ended);
        for (key, spec) in starts {
            let pool = self.clone();
            tokio::spawn(async move { pool.start(key, spec).await });
        }
    }

    async fn start(self: Arc<Self>, key: Key, spec: Arc<FunctionSpec>) {
        let generation = self.state.lock().generation(&spec.arn);
        let made = self.make(spec.clone()).await;
        {
            let mut state = self.state.lock();
            state.started(&key);
            match made {
                Ok(mut sandbox) => {
                    sandbox.generation = generation;
                    if !state.closed {
                        state.place(sandbox, self.machine.config.max_concurrency);
                    }
                }
                Err(error) => {
                    if let Some(kept) = state.kept.get_mut(&key) {
                        kept.not_before = Instant::now() + KEEP_PAUSE;
                    }
                    if let Some(waiter) = state.next_waiter(&key) {
                        let _ = waiter.turn.send(Err(error));
                    }
                }
            }
        }
        self.pump();
    }

    /// Keeps as many sandboxes of each of these versions of a function ready, and of its others none.
    pub(crate) fn keep(self: &Arc<Self>, arn: &str, versions: Vec<(Arc<FunctionSpec>, usize)>) {
        {
            let mut state = self.state.lock();
            state.kept.retain(|_, kept| kept.spec.arn != arn);
            for (spec, count) in versions {
                state.kept.insert(key(&spec), Kept { spec, count, not_before: Instant::now() });
            }
        }
        self.pump();
    }

    /// How many sandboxes of this version are ready or at work.
    pub(crate) fn ready(&self, spec: &FunctionSpec) -> usize {
        self.state.lock().have(&key(spec))
    }

    async fn make(self: &Arc<Self>, spec: Arc<FunctionSpec>) -> Result<Sandbox, ComputeError> {
        let runtime = self.machine.runtime(&spec).await?;
        if runtime.starts_late(&spec.env) || !self.keeps_blanks(&runtime).await {
            return self.machine.start(spec, runtime, None).await;
        }
        let blank = self.take_blank(&runtime);
        // The successor of the last one is urgent; of others, it would only slow this one down.
        if self.state.lock().blanks.get(&runtime.key).is_none_or(|blanks| blanks.ready.is_empty()) {
            self.refill(&runtime);
        }
        let made = self.machine.start(spec, runtime.clone(), blank).await;
        self.refill(&runtime);
        made
    }

    pub(crate) fn forget(self: &Arc<Self>, arn: &str) {
        let gone = {
            let mut state = self.state.lock();
            *state.generations.entry(arn.to_owned()).or_default() += 1;
            let (gone, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut state.idle)
                .into_iter()
                .partition(|(_, list)| list.first().is_some_and(|sandbox| sandbox.spec.arn == arn));
            state.idle = kept.into_iter().collect();
            gone
        };
        drop(gone);
        self.pump();
    }

    pub(crate) fn usage(&self) -> Usage {
        let state = self.state.lock();
        Usage {
            busy: state.busy_count(),
            idle: state.idle_count(),
            starting: state.starting_count(),
            waiting: state.waiting_count(),
            pooled: state.blanks.values().map(|blanks| blanks.ready.len()).sum(),
        }
    }

    /// No more calls; everything idle ends.
    pub(crate) fn close(&self) {
        let (idle, lines, blanks) = {
            let mut state = self.state.lock();
            state.closed = true;
            (
                std::mem::take(&mut state.idle),
                std::mem::take(&mut state.lines),
                std::mem::take(&mut state.blanks),
            )
        };
        drop((idle, blanks));
        for waiter in lines.into_values().flat_map(|line| line.waiters) {
            let _ = waiter.turn.send(Err(ComputeError::Gone));
        }
    }
}

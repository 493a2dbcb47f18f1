//! Who runs where: warm sandboxes, those being started, and the line in front of them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::compute::Usage;
use crate::machine::{Blank, Machine};
use crate::runtimes::Runtime;
use crate::sandbox::Sandbox;
use crate::warden::protocol::SandboxId;
use crate::{ComputeError, FunctionSpec};

/// While a function keeps all processors busy, one more sandbox is started for it after this long for each that it has:
/// it might be waiting for itself.
const GROW: Duration = Duration::from_millis(250);
/// How long a look at which sandboxes want a processor holds, and when a line that was held up is looked at again.
const LOOK: Duration = Duration::from_millis(25);
/// Interpreters kept ready beyond the configured number, while many are taken.
const MOST_EXTRA: usize = 6;
/// How long a taken interpreter counts as demand.
const DEMAND: Duration = Duration::from_secs(2);

/// A caller of another function may be passed by this long for the sake of a warm match further back.
const PASSED_BY: Duration = Duration::from_millis(250);

/// Function, version and revision: sandboxes of equal keys are interchangeable.
pub(crate) type Key = Arc<str>;

pub(crate) fn key(spec: &FunctionSpec) -> Key {
    format!("{}\n{}\n{}", spec.arn, spec.version, spec.revision).into()
}

/// The scheduler. All decisions are made under one short lock; all waiting happens outside of it.
pub(crate) struct Pool {
    machine: Arc<Machine>,
    state: Mutex<State>,
    cores: usize,
    /// Sandboxes of one function started at the same time: enough to use the machine, few enough that none of them
    /// starves.
    starts: usize,
}

#[derive(Default)]
struct State {
    idle: HashMap<Key, Vec<Sandbox>>,
    waiting: VecDeque<Waiter>,
    /// Being started, by key.
    starting: HashMap<Key, usize>,
    /// Those that serve a call.
    busy: HashMap<SandboxId, Busy>,
    /// How many sandboxes of a function wanted a processor when last looked.
    looks: HashMap<Key, (Instant, usize)>,
    /// When a function's last sandbox was started against the odds.
    grown: HashMap<Key, Instant>,
    /// Somebody will look at the line again soon.
    looking: bool,
    /// Interpreters without code, by runtime.
    blanks: HashMap<String, Blanks>,
    /// Raised when a function is forgotten: sandboxes of an older generation are not used again.
    generations: HashMap<String, u64>,
    /// Functions that are kept ready: provisioned concurrency.
    kept: HashMap<Key, Kept>,
    closed: bool,
}

/// A function that is kept ready.
struct Kept {
    spec: Arc<FunctionSpec>,
    /// How many sandboxes there are to be, busy ones included.
    count: usize,
    /// After one could not be started.
    not_before: Instant,
}

/// How long a function that cannot be kept ready is left alone.
const KEEP_PAUSE: Duration = Duration::from_secs(20);

/// A sandbox at work.
struct Busy {
    key: Key,
    /// Its main process, where the host knows it.
    main: Option<i32>,
}

struct Blanks {
    ready: Vec<Blank>,
    coming: usize,
    last_use: Instant,
    /// When interpreters were taken lately.
    taken: VecDeque<Instant>,
}

impl Blanks {
    fn new() -> Self {
        Self { ready: Vec::new(), coming: 0, last_use: Instant::now(), taken: VecDeque::new() }
    }

    /// How many to keep ready: the more, the more have been taken lately.
    fn wanted(&mut self, configured: usize) -> usize {
        while self.taken.front().is_some_and(|at| at.elapsed() > DEMAND) {
            self.taken.pop_front();
        }
        configured + (self.taken.len() / 4).min(MOST_EXTRA)
    }
}

struct Waiter {
    key: Key,
    spec: Arc<FunctionSpec>,
    since: Instant,
    turn: oneshot::Sender<Result<Sandbox, ComputeError>>,
}

impl State {
    fn idle_count(&self) -> usize {
        self.idle.values().map(Vec::len).sum()
    }

    fn starting_count(&self) -> usize {
        self.starting.values().sum()
    }

    fn total(&self) -> usize {
        self.busy.len() + self.idle_count() + self.starting_count()
    }

    fn work(&mut self, key: &Key, sandbox: &Sandbox) {
        self.busy.insert(sandbox.id(), Busy { key: key.clone(), main: sandbox.main() });
    }

    /// Whether another sandbox of this function would only take processors from those it has.
    fn is_saturated(&mut self, key: &Key, cores: usize) -> bool {
        let starting = self.starting.get(key).copied().unwrap_or(0);
        let have = starting + self.busy.values().filter(|busy| busy.key == *key).count();
        if have < cores {
            return false;
        }
        let running = match self.looks.get(key) {
            Some((at, running)) if at.elapsed() < LOOK => *running,
            _ => {
                let mains = self.busy.values().filter(|busy| busy.key == *key).filter_map(|busy| busy.main);
                let running = mains.filter(|main| wants_processor(*main)).count();
                self.looks.insert(key.clone(), (Instant::now(), running));
                running
            }
        };
        if running + starting < cores * 2 {
            return false;
        }
        let patience = GROW * u32::try_from(have).unwrap_or(u32::MAX);
        let last = *self.grown.entry(key.clone()).or_insert_with(Instant::now);
        if last.elapsed() < patience {
            return true;
        }
        self.grown.insert(key.clone(), Instant::now());
        false
    }

    /// Sandboxes of a function that are ready or at work.
    fn have(&self, key: &Key) -> usize {
        self.idle.get(key).map_or(0, Vec::len) + self.busy.values().filter(|busy| busy.key == *key).count()
    }

    /// How many idle sandboxes of a function may be ended.
    fn spare(&self, key: &Key) -> usize {
        match self.kept.get(key) {
            Some(kept) => self.have(key).saturating_sub(kept.count),
            None => usize::MAX,
        }
    }

    fn generation(&self, arn: &str) -> u64 {
        self.generations.get(arn).copied().unwrap_or(0)
    }

    fn take_idle(&mut self, key: &Key) -> Option<Sandbox> {
        let list = self.idle.get_mut(key)?;
        // The last one used has the warmest caches; the others can grow old and go.
        while let Some(mut sandbox) = list.pop() {
            if sandbox.is_fit() {
                return Some(sandbox);
            }
        }
        self.idle.remove(key);
        None
    }

    fn take_oldest_idle(&mut self) -> Option<Sandbox> {
        let key = self
            .idle
            .iter()
            .filter(|(key, _)| self.spare(key) > 0)
            .filter_map(|(key, list)| Some((list.first()?.idle_since, key.clone())))
            .min_by_key(|(since, _)| *since)?
            .1;
        let list = self.idle.get_mut(&key)?;
        let sandbox = list.remove(0);
        if list.is_empty() {
            self.idle.remove(&key);
        }
        Some(sandbox)
    }
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
            let full = state.busy.len() + state.starting_count() >= self.machine.config.max_concurrency;
            if state.waiting.len() >= self.machine.config.max_waiting || (full && !wait) {
                return Err(ComputeError::AtCapacity {
                    max_concurrency: self.machine.config.max_concurrency,
                    waiting: state.waiting.len(),
                });
            }
            let (turn, mine) = oneshot::channel();
            state.waiting.push_back(Waiter { key, spec: spec.clone(), since: Instant::now(), turn });
            mine
        };
        self.pump();
        turn.await.unwrap_or(Err(ComputeError::Gone))
    }

    /// Gives a sandbox back after a call.
    pub(crate) fn release(self: &Arc<Self>, mut sandbox: Sandbox, reusable: bool) {
        let old = {
            let mut state = self.state.lock();
            state.busy.remove(&sandbox.id());
            let current = sandbox.generation == state.generation(&sandbox.spec.arn) && !state.closed;
            if reusable && current && sandbox.is_fit() {
                place(&mut state, sandbox);
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
            state.waiting.retain(|waiter| !waiter.turn.is_closed());
            let mut wanted: Vec<(Key, Arc<FunctionSpec>, usize)> = Vec::new();
            for waiter in &state.waiting {
                match wanted.iter_mut().find(|(key, ..)| *key == waiter.key) {
                    Some((.., count)) => *count += 1,
                    None => wanted.push((waiter.key.clone(), waiter.spec.clone(), 1)),
                }
            }
            let mut held = false;
            'all: for (key, spec, count) in wanted {
                loop {
                    let starting = state.starting.get(&key).copied().unwrap_or(0);
                    if state.closed || state.starting_count() >= self.starts * 4 {
                        break 'all;
                    }
                    if starting >= count.min(self.starts) {
                        break;
                    }
                    if state.is_saturated(&key, self.cores) {
                        held = true;
                        break;
                    }
                    if state.total() >= self.machine.config.max_concurrency {
                        let Some(oldest) = state.take_oldest_idle() else { break 'all };
                        ended.push(oldest);
                    }
                    *state.starting.entry(key.clone()).or_default() += 1;
                    starts.push((key.clone(), spec.clone()));
                }
            }
            let now = Instant::now();
            let short: Vec<_> = state
                .kept
                .iter()
                .filter(|(_, kept)| kept.not_before <= now)
                .map(|(key, kept)| (key.clone(), kept.spec.clone(), kept.count))
                .collect();
            for (key, spec, count) in short {
                let starting = |state: &State| state.starting.get(&key).copied().unwrap_or(0);
                while !state.closed
                    && state.have(&key) + starting(&state) < count
                    && starting(&state) < self.starts
                    && state.total() < self.machine.config.max_concurrency
                {
                    *state.starting.entry(key.clone()).or_default() += 1;
                    starts.push((key.clone(), spec.clone()));
                }
            }
            if state.waiting.is_empty() {
                state.grown.clear();
                state.looks.clear();
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
            if let Some(count) = state.starting.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    state.starting.remove(&key);
                }
            }
            match made {
                Ok(mut sandbox) => {
                    sandbox.generation = generation;
                    if !state.closed {
                        place(&mut state, sandbox);
                    }
                }
                Err(error) => {
                    if let Some(kept) = state.kept.get_mut(&key) {
                        kept.not_before = Instant::now() + KEEP_PAUSE;
                    }
                    if let Some(at) = state.waiting.iter().position(|waiter| waiter.key == key)
                        && let Some(waiter) = state.waiting.remove(at)
                    {
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

    /// Makes sure that interpreters of this runtime are on their way.
    pub(crate) async fn warm(self: &Arc<Self>, runtime: &Arc<Runtime>) {
        if self.keeps_blanks(runtime).await {
            self.refill(runtime);
        }
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

    async fn keeps_blanks(&self, runtime: &Runtime) -> bool {
        self.machine.config.pool_size > 0 && self.machine.can_start_ahead(runtime).await
    }

    /// A waiting interpreter, if there is one.
    fn take_blank(&self, runtime: &Runtime) -> Option<Blank> {
        let mut state = self.state.lock();
        let blanks = state.blanks.entry(runtime.key.clone()).or_insert_with(Blanks::new);
        blanks.last_use = Instant::now();
        blanks.taken.push_back(blanks.last_use);
        while let Some(mut candidate) = blanks.ready.pop() {
            if candidate.events.try_recv().is_err() {
                return Some(candidate);
            }
        }
        None
    }

    /// Orders as many interpreters as are missing.
    fn refill(self: &Arc<Self>, runtime: &Arc<Runtime>) {
        let missing = {
            let mut state = self.state.lock();
            if state.closed {
                return;
            }
            let blanks = state.blanks.entry(runtime.key.clone()).or_insert_with(Blanks::new);
            let have = blanks.ready.len() + blanks.coming;
            let missing = blanks.wanted(self.machine.config.pool_size).saturating_sub(have);
            blanks.coming += missing;
            missing
        };
        for _ in 0..missing {
            let (pool, runtime) = (self.clone(), runtime.clone());
            tokio::spawn(async move {
                let raised = pool.machine.raise(&runtime, true).await;
                let mut state = pool.state.lock();
                let closed = state.closed;
                if let Some(blanks) = state.blanks.get_mut(&runtime.key) {
                    blanks.coming = blanks.coming.saturating_sub(1);
                    match raised {
                        Ok(blank) if !closed => blanks.ready.push(blank),
                        Ok(blank) => {
                            drop(state);
                            drop(blank);
                        }
                        Err(error) => tracing::warn!(%error, "an interpreter could not be started ahead"),
                    }
                }
            });
        }
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

    /// Lets go of what has been idle for long. Called now and then.
    pub(crate) fn reap(self: &Arc<Self>) {
        let config = &self.machine.config;
        let mut gone = Vec::new();
        let mut blanks_gone = Vec::new();
        {
            let mut state = self.state.lock();
            let now = Instant::now();
            let spare: HashMap<Key, usize> =
                state.idle.keys().map(|key| (key.clone(), state.spare(key))).collect();
            for (key, list) in &mut state.idle {
                let mut spare = spare.get(key).copied().unwrap_or(usize::MAX);
                let is_kept = spare < usize::MAX;
                let mut stay = Vec::with_capacity(list.len());
                for mut sandbox in list.drain(..) {
                    // What is kept ready is replaced once it is of no more use.
                    let unfit = is_kept && !sandbox.is_fit();
                    let old = now.duration_since(sandbox.idle_since) > config.idle_timeout && spare > 0;
                    spare -= usize::from(old && is_kept);
                    if unfit || old { gone.push(sandbox) } else { stay.push(sandbox) }
                }
                *list = stay;
            }
            state.idle.retain(|_, list| !list.is_empty());
            let size = |state: &State| -> u64 {
                state.idle.values().flatten().map(|sandbox| u64::from(sandbox.spec.memory_mb)).sum()
            };
            while size(&state) > config.idle_memory_mb
                && let Some(oldest) = state.take_oldest_idle()
            {
                gone.push(oldest);
            }
            // Runtimes that nobody has started anything on for a while.
            for blanks in state.blanks.values_mut() {
                if now.duration_since(blanks.last_use) > config.idle_timeout {
                    blanks_gone.append(&mut blanks.ready);
                }
                let wanted = blanks.wanted(config.pool_size);
                blanks_gone.extend(blanks.ready.drain(wanted.min(blanks.ready.len())..));
            }
        }
        drop(gone);
        drop(blanks_gone);
        let keeps = !self.state.lock().kept.is_empty();
        if keeps {
            self.pump();
        }
    }

    pub(crate) fn usage(&self) -> Usage {
        let state = self.state.lock();
        Usage {
            busy: state.busy.len(),
            idle: state.idle_count(),
            starting: state.starting_count(),
            waiting: state.waiting.len(),
            pooled: state.blanks.values().map(|blanks| blanks.ready.len()).sum(),
        }
    }

    /// No more calls; everything idle ends.
    pub(crate) fn close(&self) {
        let (idle, waiting, blanks) = {
            let mut state = self.state.lock();
            state.closed = true;
            (
                std::mem::take(&mut state.idle),
                std::mem::take(&mut state.waiting),
                std::mem::take(&mut state.blanks),
            )
        };
        drop((idle, blanks));
        for waiter in waiting {
            let _ = waiter.turn.send(Err(ComputeError::Gone));
        }
    }
}

/// Whether a process runs or would if it got a processor.
fn wants_processor(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in parentheses may hold anything; the state is the first word after its last one.
    stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('R'))
}

/// Gives a free sandbox to who waits for it, or lets it be idle.
fn place(state: &mut State, mut sandbox: Sandbox) {
    let key = key(&sandbox.spec);
    loop {
        let front = state.waiting.front();
        // Someone else's turn, for too long already: end this one, its place is theirs.
        if front.is_some_and(|waiter| waiter.key != key && waiter.since.elapsed() > PASSED_BY)
            && sandbox.init_duration.is_none()
        {
            return;
        }
        let Some(at) = state.waiting.iter().position(|waiter| waiter.key == key) else { break };
        let Some(waiter) = state.waiting.remove(at) else { break };
        let (id, main) = (sandbox.id(), sandbox.main());
        match waiter.turn.send(Ok(sandbox)) {
            Ok(()) => {
                state.busy.insert(id, Busy { key, main });
                return;
            }
            // That caller went away.
            Err(Ok(back)) => sandbox = back,
            Err(Err(_)) => return,
        }
    }
    if sandbox.init_failure.is_some() {
        if let Some(kept) = state.kept.get_mut(&key) {
            kept.not_before = Instant::now() + KEEP_PAUSE;
        }
        return;
    }
    sandbox.idle_since = Instant::now();
    state.idle.entry(key).or_default().push(sandbox);
}

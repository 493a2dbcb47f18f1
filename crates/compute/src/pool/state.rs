//! What the scheduler knows, and the rules by which it decides. No waiting and no starting happens in here.
//!
//! Sandboxes are shared out max-min fairly: a function that waits and holds less than its share of the places comes
//! before one that holds more, and nobody loses a sandbox to one that holds as many.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::blanks::Blanks;
use crate::sandbox::Sandbox;
use crate::warden::protocol::SandboxId;
use crate::{ComputeError, FunctionSpec};

/// While a function keeps all processors busy, one more sandbox is started for it after this long for each that it has:
/// it might be waiting for itself.
const GROW: Duration = Duration::from_millis(250);
/// How long a look at which sandboxes want a processor holds, and when a line that was held up is looked at again.
pub(super) const LOOK: Duration = Duration::from_millis(25);
/// A caller of another function may wait this long for the sake of a warm sandbox that somebody else can use at once.
const PASSED_BY: Duration = Duration::from_millis(250);
/// A sandbox that has been idle for less is still in use as far as functions are concerned that have their share.
const IN_USE: Duration = Duration::from_secs(1);
/// How long a function that cannot be kept ready is left alone.
pub(super) const KEEP_PAUSE: Duration = Duration::from_secs(20);

/// Function, version, revision and tenant: sandboxes of equal keys are interchangeable.
pub(crate) type Key = Arc<str>;

pub(crate) fn key(spec: &FunctionSpec) -> Key {
    let tenant = spec.tenant.as_deref().unwrap_or_default();
    format!("{}\n{}\n{}\n{tenant}", spec.arn, spec.version, spec.revision).into()
}

#[derive(Default)]
pub(super) struct State {
    pub(super) idle: HashMap<Key, Vec<Sandbox>>,
    /// Callers, by the function that they want.
    pub(super) lines: HashMap<Key, Line>,
    /// Being started, by key.
    pub(super) starting: HashMap<Key, usize>,
    /// Those that serve a call, with their main process where the host knows it.
    pub(super) busy: HashMap<Key, HashMap<SandboxId, Option<i32>>>,
    /// How many sandboxes of a function wanted a processor when last looked.
    looks: HashMap<Key, (Instant, usize)>,
    /// When functions that wait last had a sandbox started: of those that hold equally many it is the turn of whose that was
    /// longest ago, so that places go round where there are more functions than places.
    pub(super) turns: HashMap<Key, Instant>,
    /// When a function's last sandbox was started against the odds.
    grown: HashMap<Key, Instant>,
    /// Somebody will look at the lines again soon.
    pub(super) looking: bool,
    /// Interpreters without code, by runtime.
    pub(super) blanks: HashMap<String, Blanks>,
    /// Raised when a function is forgotten: sandboxes of an older generation are not used again.
    pub(super) generations: HashMap<String, u64>,
    /// Functions that are kept ready: provisioned concurrency.
    pub(super) kept: HashMap<Key, Kept>,
    pub(super) closed: bool,
}

/// A function that is kept ready.
pub(super) struct Kept {
    pub(super) spec: Arc<FunctionSpec>,
    /// How many sandboxes there are to be, busy ones included.
    pub(super) count: usize,
    /// After one could not be started.
    pub(super) not_before: Instant,
}

/// Callers of one function, in the order in which they came.
pub(super) struct Line {
    pub(super) spec: Arc<FunctionSpec>,
    pub(super) waiters: VecDeque<Waiter>,
}

pub(super) struct Waiter {
    pub(super) since: Instant,
    pub(super) turn: oneshot::Sender<Result<Sandbox, ComputeError>>,
}

impl State {
    pub(super) fn idle_count(&self) -> usize {
        self.idle.values().map(Vec::len).sum()
    }

    pub(super) fn busy_count(&self) -> usize {
        self.busy.values().map(HashMap::len).sum()
    }

    pub(super) fn starting_count(&self) -> usize {
        self.starting.values().sum()
    }

    pub(super) fn waiting_count(&self) -> usize {
        self.lines.values().map(|line| line.waiters.len()).sum()
    }

    pub(super) fn total(&self) -> usize {
        self.busy_count() + self.idle_count() + self.starting_count()
    }

    pub(super) fn starting_of(&self, key: &Key) -> usize {
        self.starting.get(key).copied().unwrap_or(0)
    }

    fn busy_of(&self, key: &Key) -> usize {
        self.busy.get(key).map_or(0, HashMap::len)
    }

    /// Sandboxes of a function that are ready or at work.
    pub(super) fn have(&self, key: &Key) -> usize {
        self.idle.get(key).map_or(0, Vec::len) + self.busy_of(key)
    }

    /// The same with those on their way.
    pub(super) fn holds(&self, key: &Key) -> usize {
        self.have(key) + self.starting_of(key)
    }

    /// How many places each function may hold that wants some, when `places` are all there are.
    fn share(&self, places: usize) -> usize {
        let mut active = self.lines.len();
        active += self.busy.keys().filter(|key| !self.lines.contains_key(*key)).count();
        let starting = |key: &&Key| !self.lines.contains_key(*key) && !self.busy.contains_key(*key);
        active += self.starting.keys().filter(starting).count();
        (places / active.max(1)).max(1)
    }

    pub(super) fn work(&mut self, key: &Key, sandbox: &Sandbox) {
        self.busy.entry(key.clone()).or_default().insert(sandbox.id(), sandbox.main());
    }

    pub(super) fn rest(&mut self, key: &Key, id: SandboxId) {
        if let Some(busy) = self.busy.get_mut(key) {
            busy.remove(&id);
            if busy.is_empty() {
                self.busy.remove(key);
            }
        }
    }

    pub(super) fn started(&mut self, key: &Key) {
        if let Some(count) = self.starting.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                self.starting.remove(key);
            }
        }
    }

    /// The first caller in line for a function who is still there.
    pub(super) fn next_waiter(&mut self, key: &Key) -> Option<Waiter> {
        let line = self.lines.get_mut(key)?;
        let mut found = None;
        while let Some(waiter) = line.waiters.pop_front() {
            if !waiter.turn.is_closed() {
                found = Some(waiter);
                break;
            }
        }
        if line.waiters.is_empty() {
            self.lines.remove(key);
        }
        found
    }

    /// Forgets callers who went away and what was only known for the sake of a line that is gone.
    pub(super) fn tidy(&mut self) {
        self.lines.retain(|_, line| {
            while line.waiters.front().is_some_and(|waiter| waiter.turn.is_closed()) {
                line.waiters.pop_front();
            }
            !line.waiters.is_empty()
        });
        self.turns.retain(|key, _| self.lines.contains_key(key));
        if self.lines.is_empty() {
            self.grown.clear();
            self.looks.clear();
        }
    }

    /// Whether another sandbox of this function would only take processors from those it has.
    pub(super) fn is_saturated(&mut self, key: &Key, cores: usize) -> bool {
        let starting = self.starting_of(key);
        let have = starting + self.busy_of(key);
        if have < cores {
            return false;
        }
        let running = match self.looks.get(key) {
            Some((at, running)) if at.elapsed() < LOOK => *running,
            _ => {
                let mains = self.busy.get(key).into_iter().flatten().filter_map(|(_, main)| *main);
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

    /// How many idle sandboxes of a function may be ended.
    pub(super) fn spare(&self, key: &Key) -> usize {
        match self.kept.get(key) {
            Some(kept) => self.have(key).saturating_sub(kept.count),
            None => usize::MAX,
        }
    }

    pub(super) fn generation(&self, arn: &str) -> u64 {
        self.generations.get(arn).copied().unwrap_or(0)
    }

    pub(super) fn take_idle(&mut self, key: &Key) -> Option<Sandbox> {
        let list = self.idle.get_mut(key)?;
        // The last one used has the warmest caches; the others can grow old and go.
        let mut found = None;
        while let Some(mut sandbox) = list.pop() {
            if sandbox.is_fit() {
                found = Some(sandbox);
                break;
            }
        }
        if list.is_empty() {
            self.idle.remove(key);
        }
        found
    }

    /// The sandbox that has been idle for longest, of those that may be ended.
    pub(super) fn take_oldest_idle(&mut self) -> Option<Sandbox> {
        self.take_oldest(|_, _, _| true)
    }

    /// The same for the sake of a function that wants one more of all `places`.
    pub(super) fn make_room(&mut self, wanting: &Key, places: usize) -> Option<Sandbox> {
        let share = self.share(places);
        let poor = self.holds(wanting) < share;
        self.take_oldest(|state, key, since| {
            poor || key == wanting || since.elapsed() > IN_USE || state.holds(key) > share
        })
    }

    fn take_oldest(&mut self, may_go: impl Fn(&Self, &Key, Instant) -> bool) -> Option<Sandbox> {
        let key = self
            .idle
            .iter()
            .filter(|(key, _)| self.spare(key) > 0)
            .filter_map(|(key, list)| Some((list.first()?.idle_since, key)))
            .filter(|(since, key)| may_go(self, key, *since))
            .min_by_key(|(since, _)| *since)?
            .1
            .clone();
        let list = self.idle.get_mut(&key)?;
        let sandbox = list.remove(0);
        if list.is_empty() {
            self.idle.remove(&key);
        }
        Some(sandbox)
    }

    /// Whether a sandbox of this function that comes free is to make room: all places are taken, and somebody has waited
    /// for too long already who holds less than is theirs while this function holds more, or who holds nothing.
    fn gives_way(&self, key: &Key, places: usize) -> bool {
        if self.total() + 1 < places {
            return false;
        }
        let share = self.share(places);
        let rich = self.holds(key) + 1 > share;
        self.lines.iter().filter(|(other, _)| *other != key).any(|(other, line)| {
            let holds = self.holds(other);
            let waits = line.waiters.front().is_some_and(|waiter| waiter.since.elapsed() > PASSED_BY);
            waits && (holds == 0 || (rich && holds < share))
        })
    }

    /// Gives a free sandbox to who waits for it, or lets it be idle. One that is dropped here leaves its place to others.
    pub(super) fn place(&mut self, mut sandbox: Sandbox, places: usize) {
        let key = key(&sandbox.spec);
        // One that is new has a call to its name yet.
        if sandbox.init_duration.is_none() && self.gives_way(&key, places) {
            return;
        }
        while let Some(waiter) = self.next_waiter(&key) {
            let (id, main) = (sandbox.id(), sandbox.main());
            match waiter.turn.send(Ok(sandbox)) {
                Ok(()) => {
                    self.busy.entry(key).or_default().insert(id, main);
                    return;
                }
                // That caller went away.
                Err(Ok(back)) => sandbox = back,
                Err(Err(_)) => return,
            }
        }
        if sandbox.init_failure.is_some() {
            if let Some(kept) = self.kept.get_mut(&key) {
                kept.not_before = Instant::now() + KEEP_PAUSE;
            }
            return;
        }
        sandbox.idle_since = Instant::now();
        self.idle.entry(key).or_default().push(sandbox);
    }
}

/// Whether a process runs or would if it got a processor.
fn wants_processor(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in parentheses may hold anything; the state is the first word after its last one.
    stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('R'))
}

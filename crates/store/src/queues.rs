//! What memory knows of the outbox: who waits, where a queue begins, how long it is. Bounded by the number of queues.

use crate::{MessageId, StoreError};
use parking_lot::{ArcRwLockReadGuard, Mutex, RawRwLock, RwLock};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};
use tokio::sync::Notify;

#[derive(Default)]
pub(crate) struct Queues {
    queues: RwLock<HashMap<String, Arc<Queue>>>,
}

/// A place in a queue: when a message is due, and its number.
pub(crate) type Place = (u64, u64);

/// What a transaction does to a queue.
pub(crate) struct Touched {
    queue: String,
    place: Place,
    added: bool,
}

impl Touched {
    pub(crate) fn added(id: &MessageId) -> Touched {
        Touched { queue: id.queue().to_owned(), place: (id.due(), id.number()), added: true }
    }

    pub(crate) fn removed(id: &MessageId) -> Touched {
        Touched { queue: id.queue().to_owned(), place: (id.due(), id.number()), added: false }
    }
}

pub(crate) struct Queue {
    pub arrivals: Arc<Notify>,
    state: Mutex<State>,
    /// Held shared while a commit changes the queue, alone while the counting of its length begins.
    still: Arc<RwLock<()>>,
    counting: Mutex<()>,
}

struct State {
    /// No message is before this place: everything before it is done, so that a scan need not walk over what was
    /// deleted there.
    floor: Place,
    /// Where the messages of commits under way belong.
    arriving: BTreeMap<Place, usize>,
    /// The earliest message that arrived since the scan began that may raise the floor.
    arrived: Option<Place>,
    /// The earliest message that was committed since a consumer asked.
    news: Option<Place>,
    /// How many such scans are under way.
    walks: usize,
    /// The length when it was counted, and what was added and removed since.
    counted: Option<u64>,
    since: i64,
}

impl Queues {
    pub(crate) fn get(&self, name: &str) -> Arc<Queue> {
        if let Some(queue) = self.queues.read().get(name) {
            return Arc::clone(queue);
        }
        Arc::clone(self.queues.write().entry(name.to_owned()).or_default())
    }

    /// Announces a commit. Dropping the result without [`Arriving::committed`] takes it back.
    pub(crate) fn begin(&self, touched: &[Touched]) -> Arriving {
        let mut queues: BTreeMap<&str, (Vec<Place>, i64)> = BTreeMap::new();
        for change in touched {
            let (places, difference) = queues.entry(&change.queue).or_default();
            *difference += if change.added { 1 } else { -1 };
            if change.added {
                places.push(change.place);
            }
        }
        let hold = |(name, (places, difference)): (&str, (Vec<Place>, i64))| {
            let queue = self.get(name);
            let held = queue.still.read_arc();
            queue.state.lock().announce(&places);
            (queue, held, places, difference)
        };
        Arriving { queues: queues.into_iter().map(hold).collect(), committed: false }
    }

    /// The whole state was replaced: nothing that was known holds, and everybody should look again.
    pub(crate) fn forget(&self) {
        for queue in self.queues.read().values() {
            let _one = queue.counting.lock();
            let mut state = queue.state.lock();
            state.floor = (0, 0);
            state.arrived = Some((0, 0));
            state.news = Some((0, 0));
            state.counted = None;
            queue.arrivals.notify_one();
        }
    }
}

type Held = (Arc<Queue>, ArcRwLockReadGuard<RawRwLock, ()>, Vec<Place>, i64);

/// Queues that a commit under way changes.
pub(crate) struct Arriving {
    queues: Vec<Held>,
    committed: bool,
}

impl Arriving {
    pub(crate) fn committed(mut self) {
        self.committed = true;
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        for (queue, _held, places, difference) in &self.queues {
            {
                let mut state = queue.state.lock();
                state.settle(places);
                if self.committed {
                    state.since += difference;
                    state.news = state.news.into_iter().chain(places.iter().copied()).min();
                }
            }
            if self.committed && !places.is_empty() {
                queue.arrivals.notify_one();
            }
        }
    }
}

impl Default for Queue {
    fn default() -> Queue {
        let state = State {
            floor: (0, 0),
            arriving: BTreeMap::new(),
            arrived: None,
            news: None,
            walks: 0,
            counted: None,
            since: 0,
        };
        Queue {
            arrivals: Arc::default(),
            state: Mutex::new(state),
            still: Arc::default(),
            counting: Mutex::new(()),
        }
    }
}

impl Queue {
    /// Begins a scan from the beginning.
    pub(crate) fn walk(&self) -> Walk<'_> {
        let mut state = self.state.lock();
        if state.walks == 0 {
            state.arrived = None;
        }
        state.walks += 1;
        Walk { queue: self, start: state.floor }
    }

    /// The earliest message that was committed since this was last asked.
    pub(crate) fn take_news(&self) -> Option<Place> {
        self.state.lock().news.take()
    }

    /// How many messages there are; counted once by `count` and kept up to date from then on. `count` is given what
    /// `instant` made while no commit was changing the queue.
    pub(crate) fn len<V>(
        &self,
        instant: impl FnOnce() -> Result<V, StoreError>,
        count: impl FnOnce(V) -> Result<u64, StoreError>,
    ) -> Result<u64, StoreError> {
        let _one = self.counting.lock();
        if self.state.lock().counted.is_none() {
            let view = {
                let _still = self.still.write();
                let view = instant()?;
                self.state.lock().since = 0;
                view
            };
            let counted = count(view)?;
            self.state.lock().counted = Some(counted);
        }
        let state = self.state.lock();
        Ok(state.counted.unwrap_or(0).saturating_add_signed(state.since))
    }
}

/// A scan from the beginning of a queue.
pub(crate) struct Walk<'a> {
    queue: &'a Queue,
    /// Where it may begin.
    pub start: Place,
}

impl Walk<'_> {
    /// It met its first message at `place`, or none before.
    pub(crate) fn found(self, place: Place) {
        let mut state = self.queue.state.lock();
        // A commit that was under way meanwhile may bring an earlier message, or has just done so.
        let earliest = [Some(place), state.arrived, state.arriving.keys().next().copied()];
        let floor = earliest.into_iter().flatten().min().unwrap_or_default();
        state.floor = state.floor.max(floor);
    }
}

impl Drop for Walk<'_> {
    fn drop(&mut self) {
        self.queue.state.lock().walks -= 1;
    }
}

impl State {
    fn announce(&mut self, places: &[Place]) {
        for place in places {
            *self.arriving.entry(*place).or_default() += 1;
        }
        self.lower(places);
    }

    fn settle(&mut self, places: &[Place]) {
        for place in places {
            if let Some(count) = self.arriving.get_mut(place) {
                *count -= 1;
                if *count == 0 {
                    self.arriving.remove(place);
                }
            }
        }
        self.lower(places);
    }

    fn lower(&mut self, places: &[Place]) {
        if let Some(first) = places.iter().min() {
            self.floor = self.floor.min(*first);
            self.arrived = Some(self.arrived.map_or(*first, |arrived| arrived.min(*first)));
        }
    }
}

//! Deliveries end as the handler says, in bounded numbers, and none is lost.
#![allow(clippy::unwrap_used, clippy::panic)]

use cloudlet_bus::{Bus, Delivery, Handler, Message, MessageId, Outcome};
use cloudlet_service::{BoxFuture, Clock, ManualClock};
use cloudlet_store::{Store, StoreError};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Script = Box<dyn Fn(&Message, usize) -> Outcome + Send + Sync>;

/// Answers by a script, and notes what it saw.
struct Recorder {
    script: Script,
    tries: Mutex<HashMap<Vec<u8>, usize>>,
    dead: Mutex<Vec<String>>,
    now: AtomicUsize,
    most: AtomicUsize,
    pause: Duration,
}

impl Recorder {
    fn new(script: impl Fn(&Message, usize) -> Outcome + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            script: Box::new(script),
            tries: Mutex::default(),
            dead: Mutex::default(),
            now: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            pause: Duration::from_millis(1),
        })
    }
}

impl Handler for Recorder {
    fn deliver<'a>(&'a self, _: &'a MessageId, message: &'a Message) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            tokio::time::sleep(self.pause).await;
            self.now.fetch_sub(1, Ordering::SeqCst);
            let tries = {
                let mut tries = self.tries.lock().unwrap();
                let tries = tries.entry(message.payload.clone()).or_default();
                *tries += 1;
                *tries
            };
            (self.script)(message, tries)
        })
    }

    fn dead<'a>(&'a self, _: &'a MessageId, _: &'a Message, why: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move { self.dead.lock().unwrap().push(why.to_owned()) })
    }
}

async fn emit(store: &Store, clock: &ManualClock, group: &str, payloads: std::ops::Range<usize>) {
    let now = clock.millis() as u64;
    store
        .transact(|tx| -> Result<(), StoreError> {
            for i in payloads.clone() {
                let payload = format!("{group}-{i}").into_bytes();
                let (queue, group) = ("q".to_owned(), group.to_owned());
                tx.emit(Message {
                    queue,
                    group,
                    payload,
                    not_before: now,
                    expires: Some(now + 60_000),
                    attempts: 0,
                })?;
            }
            Ok(())
        })
        .await
        .unwrap();
}

/// Waits, within bounds, for a condition that other tasks bring about.
async fn until(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..4000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never: {what}");
}

fn world() -> (Store, Arc<ManualClock>, Arc<Bus>) {
    let store = Store::ephemeral().unwrap();
    let clock = Arc::new(ManualClock::at(1_000_000));
    let bus = Bus::new(store.clone(), clock.clone());
    (store, clock, bus)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_delivered_within_the_limits() {
    let (store, clock, bus) = world();
    let recorder = Recorder::new(|_, _| Outcome::Done);
    emit(&store, &clock, "before", 0..300).await;
    let delivery = Delivery { concurrency: 8, per_group: 4, ..Delivery::default() };
    bus.subscribe("q", delivery, recorder.clone());
    emit(&store, &clock, "after", 0..300).await;
    until("all 600 delivered", || store.outbox().len("q").unwrap() == 0).await;
    let tries = recorder.tries.lock().unwrap();
    assert_eq!(tries.len(), 600);
    assert!(tries.values().all(|n| *n == 1), "none is delivered twice without a crash");
    assert!(recorder.most.load(Ordering::SeqCst) <= 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_group_does_not_hide_another() {
    let (store, clock, bus) = world();
    let recorder = Recorder::new(|message, _| {
        if message.group == "slow" {
            Outcome::Postpone { after: Duration::from_secs(3600), why: "busy".into() }
        } else {
            Outcome::Done
        }
    });
    emit(&store, &clock, "slow", 0..500).await;
    emit(&store, &clock, "quick", 0..5).await;
    bus.subscribe("q", Delivery { concurrency: 4, per_group: 1, ..Delivery::default() }, recorder.clone());
    let quick = |r: &Recorder| r.tries.lock().unwrap().keys().filter(|k| k.starts_with(b"quick")).count();
    until("the quick group", || quick(&recorder) == 5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_are_retried_later_then_given_up() {
    let (store, clock, bus) = world();
    let recorder = Recorder::new(|_, tries| {
        if tries == 2 {
            panic!("a panic is one failed attempt");
        }
        Outcome::Retry { after: None, why: "it failed".into() }
    });
    let delivery = Delivery {
        first_delay: Duration::from_secs(10),
        max_delay: Duration::from_secs(10),
        max_attempts: Some(3),
        ..Delivery::default()
    };
    bus.subscribe("q", delivery, recorder.clone());
    emit(&store, &clock, "g", 0..1).await;
    let tries = |r: &Recorder| r.tries.lock().unwrap().values().sum::<usize>();
    until("the first attempt", || tries(&recorder) == 1).await;
    until("it waits", || store.outbox().next_due("q", None).unwrap() == Some(1_010_000)).await;
    assert_eq!(tries(&recorder), 1, "not before its time");
    for n in 2..=3 {
        clock.advance(Duration::from_secs(10));
        bus.wake();
        until("the next attempt", || tries(&recorder) == n).await;
    }
    until("given up", || store.outbox().dead_letters("q", None, 10).unwrap().len() == 1).await;
    assert_eq!(store.outbox().dead_letters("q", None, 10).unwrap()[0].reason, "it failed");
    assert_eq!(*recorder.dead.lock().unwrap(), ["it failed"]);
    assert_eq!(store.outbox().len("q").unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_old_is_given_up_undelivered() {
    let (store, clock, bus) = world();
    let recorder = Recorder::new(|_, _| Outcome::Done);
    emit(&store, &clock, "g", 0..1).await;
    clock.advance(Duration::from_secs(61));
    bus.subscribe("q", Delivery::default(), recorder.clone());
    until("given up", || store.outbox().dead_letters("q", None, 10).unwrap().len() == 1).await;
    assert!(recorder.tries.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_under_way_at_a_stop_is_delivered_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(1_000_000));
    let store = Store::open(dir.path(), cloudlet_store::Options::default()).unwrap();
    emit(&store, &clock, "g", 0..20).await;
    let bus = Bus::new(store.clone(), clock.clone());
    let stuck = Recorder::new(|_, _| Outcome::Postpone { after: Duration::ZERO, why: "not yet".into() });
    bus.subscribe("q", Delivery { concurrency: 3, ..Delivery::default() }, stuck.clone());
    until("something is under way", || !stuck.tries.lock().unwrap().is_empty()).await;
    bus.stop(Duration::from_secs(5)).await;
    drop(bus);
    store.close();
    drop(store);
    let store = Store::open(dir.path(), cloudlet_store::Options::default()).unwrap();
    let bus = Bus::new(store.clone(), clock.clone());
    let recorder = Recorder::new(|_, _| Outcome::Done);
    bus.subscribe("q", Delivery::default(), recorder.clone());
    until("all delivered", || store.outbox().len("q").unwrap() == 0).await;
    assert_eq!(recorder.tries.lock().unwrap().len(), 20);
}

/// Has room for so many, and notes what it delivered.
struct Narrow {
    room: AtomicUsize,
    now: AtomicUsize,
    most: AtomicUsize,
    seen: Mutex<Vec<Vec<u8>>>,
}

impl Handler for Narrow {
    fn deliver<'a>(&'a self, _: &'a MessageId, message: &'a Message) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            tokio::task::yield_now().await;
            self.now.fetch_sub(1, Ordering::SeqCst);
            self.seen.lock().unwrap().push(message.payload.clone());
            Outcome::Done
        })
    }

    fn room(&self, group: &str) -> usize {
        if group == "narrow" { self.room.load(Ordering::SeqCst) } else { usize::MAX }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_line_waits_for_room_without_loss_and_hides_nobody() {
    let (store, clock, bus) = world();
    let narrow = Arc::new(Narrow {
        room: AtomicUsize::new(0),
        now: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
        seen: Mutex::default(),
    });
    emit(&store, &clock, "narrow", 0..3000).await;
    emit(&store, &clock, "wide", 0..10).await;
    bus.subscribe("q", Delivery { concurrency: 4, per_group: 4, ..Delivery::default() }, narrow.clone());
    until("the others", || narrow.seen.lock().unwrap().len() == 10).await;
    assert!(narrow.seen.lock().unwrap().iter().all(|p| p.starts_with(b"wide")), "there was no room yet");
    // Nobody tells the bus of it.
    narrow.room.store(2, Ordering::SeqCst);
    emit(&store, &clock, "wide", 10..20).await;
    until("all of them", || store.outbox().len("q").unwrap() == 0).await;
    let mut seen = narrow.seen.lock().unwrap().clone();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 3020);
    assert_eq!(narrow.seen.lock().unwrap().len(), 3020, "and each of them once");
    assert!(narrow.most.load(Ordering::SeqCst) <= 4);
}

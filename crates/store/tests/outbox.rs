//! The outbox, as the bus uses it.

#![allow(clippy::unwrap_used, clippy::panic)] // a test fails by panicking, also in its helpers

use cloudlet_store::{Message, Options, Store, StoreError};
use std::time::Duration;

fn message(payload: &str, not_before: u64) -> Message {
    Message {
        queue: "s3.notifications".into(),
        group: "arn:aws:lambda:eu-west-1:000000000000:function:resize".into(),
        payload: payload.into(),
        not_before,
        expires: Some(not_before + 1000),
        attempts: 0,
    }
}

async fn emit(store: &Store, payload: &str, not_before: u64) {
    store.transact::<_, StoreError>(|tx| tx.emit(message(payload, not_before)).map(drop)).await.unwrap();
}

fn payloads(store: &Store, now: u64) -> Vec<String> {
    let pending = store.outbox().pending("s3.notifications", None, 100, now).unwrap();
    pending.into_iter().map(|(_, message)| String::from_utf8(message.payload).unwrap()).collect()
}

#[tokio::test]
async fn messages_come_in_the_order_in_which_they_are_due() {
    let store = Store::ephemeral().unwrap();
    for (payload, due) in [("later", 30), ("first", 10), ("second", 10), ("third", 20)] {
        emit(&store, payload, due).await;
    }
    emit(&store, "earlier", 5).await;
    assert_eq!(payloads(&store, 4), [""; 0]);
    assert_eq!(payloads(&store, 20), ["earlier", "first", "second", "third"]);
    assert_eq!(payloads(&store, u64::MAX), ["earlier", "first", "second", "third", "later"]);
    let page = store.outbox().pending("s3.notifications", None, 2, 100).unwrap();
    let rest = store.outbox().pending("s3.notifications", Some(&page[1].0), 100, 20).unwrap();
    assert_eq!(rest.len(), 2);
    assert_eq!(rest[0].1, message("second", 10));
    assert_eq!(store.outbox().next_due("s3.notifications", Some(&rest[1].0)).unwrap(), Some(30));
    assert_eq!(store.outbox().next_due("s3.notifications", None).unwrap(), Some(5));
    assert_eq!(store.outbox().len("s3.notifications").unwrap(), 5);
    assert_eq!(store.outbox().queues().unwrap(), ["s3.notifications"]);
    assert!(store.outbox().is_empty("other").unwrap());
}

#[tokio::test]
async fn a_message_is_completed_retried_or_given_up_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Options::default()).unwrap();
    let outbox = store.outbox();
    for payload in ["a", "b", "c"] {
        emit(&store, payload, 1).await;
    }
    let ids: Vec<_> =
        outbox.pending("s3.notifications", None, 9, 9).unwrap().into_iter().map(|(id, _)| id).collect();
    assert!(outbox.complete(&ids[0]).await.unwrap());
    assert!(!outbox.complete(&ids[0]).await.unwrap());
    let again = outbox.retry(&ids[1], 50, 1).await.unwrap().unwrap();
    assert_eq!(outbox.retry(&ids[1], 60, 2).await.unwrap(), None);
    assert_eq!(again.number(), ids[1].number());
    assert!(outbox.dead_letter(&ids[2], "the function is gone").await.unwrap());
    assert!(!outbox.dead_letter(&ids[2], "twice").await.unwrap());
    assert_eq!(payloads(&store, 49), [""; 0]);
    let pending = outbox.pending("s3.notifications", None, 9, 50).unwrap();
    assert_eq!(pending, [(again.clone(), Message { attempts: 1, not_before: 50, ..message("b", 1) })]);
    assert_eq!(outbox.len("s3.notifications").unwrap(), 1);
    store.close();

    let store = Store::open(dir.path(), Options::default()).unwrap();
    assert_eq!(payloads(&store, 50), ["b"]);
    let dead = store.outbox().dead_letters("s3.notifications", None, 10).unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!(
        (dead[0].message.payload.as_slice(), dead[0].reason.as_str()),
        (&b"c"[..], "the function is gone")
    );
    store.outbox().forget_dead(&dead[0].id).await.unwrap();
    assert!(store.outbox().dead_letters("s3.notifications", None, 10).unwrap().is_empty());
    emit(&store, "d", 1).await;
    let new = store.outbox().pending("s3.notifications", None, 1, 9).unwrap();
    assert!(new[0].0.number() > again.number(), "numbers are not given again after a restart");
    store.outbox().complete_all(&[new[0].0.clone(), again]).await.unwrap();
    assert_eq!(store.outbox().len("s3.notifications").unwrap(), 0);
}

#[tokio::test]
async fn a_consumer_wakes_for_what_is_committed() {
    let store = Store::ephemeral().unwrap();
    let arrivals = store.outbox().arrivals("s3.notifications");
    let limit = Duration::from_secs(10);
    emit(&store, "before anybody waits", 1).await;
    tokio::time::timeout(limit, arrivals.notified()).await.unwrap();
    let waiting = tokio::spawn({
        let arrivals = store.outbox().arrivals("s3.notifications");
        async move { arrivals.notified().await }
    });
    tokio::task::yield_now().await;
    emit(&store, "while somebody waits", 1).await;
    tokio::time::timeout(limit, waiting).await.unwrap().unwrap();
    let failed: Result<(), StoreError> = store
        .transact(|tx| {
            tx.emit(message("never", 1))?;
            Err(StoreError::Closed)
        })
        .await;
    assert!(failed.is_err());
    assert!(tokio::time::timeout(Duration::from_millis(20), arrivals.notified()).await.is_err());
    assert_eq!(payloads(&store, 9), ["before anybody waits", "while somebody waits"]);
}

/// Many emit, with times in the past and in the future, while one delivers: everything comes exactly once, although
/// the consumer always starts from the beginning and the beginning moves.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_overlooked_while_the_beginning_moves() {
    const EMITTERS: u64 = 4;
    const EACH: u64 = 500;
    let store = Store::ephemeral().unwrap();
    let emitters: Vec<_> = (0..EMITTERS)
        .map(|emitter| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in 0..EACH {
                    let due = 1000 + (n * 7919 + emitter * 13) % 1000;
                    emit(&store, &format!("{emitter}-{n}"), due).await;
                }
            })
        })
        .collect();
    let mut seen = std::collections::HashSet::new();
    let arrivals = store.outbox().arrivals("s3.notifications");
    while seen.len() < (EMITTERS * EACH) as usize {
        let pending = store.outbox().pending("s3.notifications", None, 50, u64::MAX).unwrap();
        if pending.is_empty() {
            let waited = tokio::time::timeout(Duration::from_secs(10), arrivals.notified()).await;
            assert!(waited.is_ok(), "{} of {} came", seen.len(), EMITTERS * EACH);
        }
        for (id, message) in &pending {
            assert!(seen.insert(message.payload.clone()), "twice");
            assert!(store.outbox().complete(id).await.unwrap());
        }
        let _ = store.outbox().len("s3.notifications").unwrap();
    }
    for emitter in emitters {
        emitter.await.unwrap();
    }
    assert_eq!(store.outbox().len("s3.notifications").unwrap(), 0);
    assert!(store.outbox().is_empty("s3.notifications").unwrap());
}

/// What a transaction does in place of a delivery counts as the delivery.
#[tokio::test]
async fn a_message_is_completed_with_its_effect() {
    let store = Store::ephemeral().unwrap();
    emit(&store, "work", 1).await;
    let (id, _) = store.outbox().pending("s3.notifications", None, 1, 1).unwrap().remove(0);
    let done = |store: Store, id: cloudlet_store::MessageId| async move {
        store
            .transact::<_, StoreError>(|tx| {
                let first = tx.complete(&id)?;
                if first {
                    tx.emit(Message { queue: "next".into(), ..Message::default() })?;
                }
                Ok(first)
            })
            .await
            .unwrap()
    };
    assert!(done(store.clone(), id.clone()).await);
    assert!(!done(store.clone(), id).await);
    assert_eq!(store.outbox().len("next").unwrap(), 1);
    assert_eq!(store.outbox().len("s3.notifications").unwrap(), 0);
}

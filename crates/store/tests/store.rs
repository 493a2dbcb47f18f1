//! Tables and transactions, as a service uses them.

#![allow(clippy::unwrap_used, clippy::panic)] // a test fails by panicking, also in its helpers

use cloudlet_store::{Durability, Key, KeyRange, Options, Record, Store, StoreError};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::Path, sync::Arc};

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Item {
    value: u64,
    text: String,
}

impl Record for Item {
    const TABLE: &'static str = "test.items";
}

/// Another table, to see that they are apart.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Owner {
    name: String,
}

impl Record for Owner {
    const TABLE: &'static str = "test.item";
}

fn item(value: u64) -> Item {
    Item { value, text: format!("item {value}") }
}

fn key(name: &str) -> Key {
    Key::new().text("000000000000").text(name)
}

fn open(dir: &Path) -> Store {
    Store::open(dir, Options::default()).unwrap()
}

async fn put(store: &Store, name: &str, value: u64) {
    store.transact::<_, StoreError>(|tx| tx.put(&key(name), &item(value))).await.unwrap();
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    for durability in [Durability::Process, Durability::Disk] {
        let store = Store::open(dir.path(), Options { durability, ..Options::default() }).unwrap();
        put(&store, &format!("{durability:?}"), 1).await;
        store.close();
        assert!(matches!(store.table::<Item>().get(&key("x")), Err(StoreError::Closed)));
    }
    let store = open(dir.path());
    for durability in ["Process", "Disk"] {
        assert_eq!(store.table::<Item>().get(&key(durability)).unwrap(), Some(item(1)));
    }
    assert_eq!(store.table::<Owner>().scan(KeyRange::all(), false).count(), 0);
}

#[tokio::test]
async fn a_failed_closure_leaves_nothing() {
    let store = Store::ephemeral().unwrap();
    let failed = store
        .transact::<(), StoreError>(|tx| {
            tx.put(&key("a"), &item(1))?;
            tx.emit(cloudlet_store::Message { queue: "q".into(), ..Default::default() })?;
            Err(StoreError::Closed)
        })
        .await;
    assert!(failed.is_err());
    assert!(!store.table::<Item>().exists(&key("a")).unwrap());
    assert_eq!(store.outbox().len("q").unwrap(), 0);
}

#[tokio::test]
async fn a_transaction_sees_its_own_writes_in_scans() {
    let store = Store::ephemeral().unwrap();
    for (name, value) in [("b", 2), ("d", 4), ("f", 6)] {
        put(&store, name, value).await;
    }
    store
        .transact::<_, StoreError>(|tx| {
            tx.put(&key("a"), &item(1))?;
            tx.put(&key("d"), &item(40))?;
            tx.delete::<Item>(&key("f"))?;
            tx.put(&key("g"), &item(7))?;
            let values = |reverse, tx: &mut cloudlet_store::Tx<'_>| -> Result<Vec<u64>, StoreError> {
                tx.scan::<Item>(KeyRange::all(), reverse).map(|row| Ok(row?.1.value)).collect()
            };
            assert_eq!(values(false, tx)?, [1, 2, 40, 7]);
            assert_eq!(values(true, tx)?, [7, 40, 2, 1]);
            assert_eq!(tx.get::<Item>(&key("d"))?, Some(item(40)));
            assert_eq!(tx.get::<Item>(&key("f"))?, None);
            Ok(())
        })
        .await
        .unwrap();
    let after = KeyRange::all().after(&key("a")).until(&key("g"));
    let left: Vec<u64> = store.table::<Item>().scan(after, false).map(|row| row.unwrap().1.value).collect();
    assert_eq!(left, [2, 40]);
}

/// Every increment reads what it changes, so none may be lost, however many meet.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn counters_lose_no_increment() {
    let store = Store::ephemeral().unwrap();
    let tasks: Vec<_> = (0..16)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in 0..100u64 {
                    let name = ["shared", "other"][(n % 2) as usize];
                    store
                        .transact::<_, StoreError>(|tx| {
                            let mut item = tx.get::<Item>(&key(name))?.unwrap_or(item(0));
                            item.value += 1;
                            tx.put(&key(name), &item)?;
                            tx.put(&key(&format!("{task}-{n}")), &item)
                        })
                        .await
                        .unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let value = |name| store.table::<Item>().get(&key(name)).unwrap().unwrap().value;
    assert_eq!((value("shared"), value("other")), (800, 800));
    assert_eq!(store.table::<Item>().get_arc(&key("shared")).unwrap().unwrap().value, 800);
}

/// The bucket may only go while it is empty, and an object may only come while there is a bucket: whichever commits
/// first, the other must notice, also when the one has only seen that there is nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_empty_range_that_fills_up_is_a_conflict() {
    let store = Store::ephemeral().unwrap();
    for round in 0..200u64 {
        let bucket = Key::new().text("bucket").number(round);
        let object = Key::new().text("object").number(round).text("photo");
        store.transact::<_, StoreError>(|tx| tx.put(&bucket, &Owner { name: "ada".into() })).await.unwrap();
        let create = {
            let (store, bucket, object) = (store.clone(), bucket.clone(), object.clone());
            tokio::spawn(async move {
                store
                    .transact::<_, StoreError>(|tx| {
                        if tx.exists::<Owner>(&bucket)? {
                            tx.put(&object, &item(round))?;
                        }
                        Ok(())
                    })
                    .await
            })
        };
        let delete = {
            let (store, bucket) = (store.clone(), bucket.clone());
            tokio::spawn(async move {
                store
                    .transact::<_, StoreError>(|tx| {
                        let objects = Key::new().text("object").number(round).prefix_range();
                        if tx.scan::<Item>(objects, false).next().is_none() {
                            tx.delete::<Owner>(&bucket)?;
                        }
                        Ok(())
                    })
                    .await
            })
        };
        create.await.unwrap().unwrap();
        delete.await.unwrap().unwrap();
        let (has_bucket, has_object) = store.read(|snapshot| {
            (snapshot.exists::<Owner>(&bucket).unwrap(), snapshot.exists::<Item>(&object).unwrap())
        });
        assert_eq!(has_bucket, has_object, "round {round}: an object without its bucket, or the reverse");
    }
}

/// Money moves between accounts while others add it all up: every sum must be the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_reader_sees_one_instant() {
    let store = Store::ephemeral().unwrap();
    let account = |n: u64| Key::new().text("account").number(n);
    for n in 0..10 {
        store.transact::<_, StoreError>(|tx| tx.put(&account(n), &item(100))).await.unwrap();
    }
    let movers: Vec<_> = (0..4u64)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in 0..100u64 {
                    let (from, to) = ((task + n) % 10, (task * 3 + n * 7 + 1) % 10);
                    store
                        .transact::<_, StoreError>(|tx| {
                            let sum: u64 = tx
                                .scan::<Item>(Key::new().text("account").prefix_range(), false)
                                .map(|row| row.map(|row| row.1.value))
                                .sum::<Result<u64, StoreError>>()?;
                            assert_eq!(sum, 1000);
                            let mut source = tx.get::<Item>(&account(from))?.unwrap();
                            source.value -= 1;
                            tx.put(&account(from), &source)?;
                            let mut target = tx.get::<Item>(&account(to))?.unwrap();
                            target.value += 1;
                            tx.put(&account(to), &target)
                        })
                        .await
                        .unwrap();
                }
            })
        })
        .collect();
    for _ in 0..200 {
        let sum: u64 = store.read(|snapshot| {
            snapshot.scan::<Item>(KeyRange::all(), true).map(|row| row.unwrap().1.value).sum()
        });
        assert_eq!(sum, 1000);
        tokio::task::yield_now().await;
    }
    for mover in movers {
        mover.await.unwrap();
    }
}

#[tokio::test]
async fn the_cache_never_shows_what_was_replaced() {
    let store = Store::ephemeral().unwrap();
    let table = store.table::<Item>();
    for value in 0..100 {
        put(&store, "hot", value).await;
        let first = table.get_arc(&key("hot")).unwrap().unwrap();
        assert_eq!(first.value, value);
        assert!(Arc::ptr_eq(&first, &table.get_arc(&key("hot")).unwrap().unwrap()));
    }
    store.transact::<_, StoreError>(|tx| tx.delete::<Item>(&key("hot"))).await.unwrap();
    assert!(table.get_arc(&key("hot")).unwrap().is_none());
}

#[tokio::test]
async fn sequences_rise_and_never_repeat() {
    let dir = tempfile::tempdir().unwrap();
    let mut last = 0;
    for _ in 0..3 {
        let store = open(dir.path());
        for _ in 0..1500 {
            let next = store.transact::<_, StoreError>(|tx| tx.sequence("versions")).await.unwrap();
            assert!(next > last, "{next} after {last}");
            last = next;
        }
        store.close();
    }
    assert!(last < 10_000, "few numbers are left out: {last}");
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let store = Store::ephemeral().unwrap();
    let long = Key::new().raw_tail(&vec![b'x'; cloudlet_store::MAX_KEY]);
    let refused = store.transact::<_, StoreError>(|tx| tx.put(&long, &item(1))).await;
    assert!(matches!(refused, Err(StoreError::TooLarge { what: "key", .. })));
    assert!(store.table::<Item>().get(&long).unwrap().is_none(), "what cannot be is not there");
    let big = Item { value: 1, text: "x".repeat(cloudlet_store::MAX_VALUE) };
    let refused = store.transact::<_, StoreError>(|tx| tx.put(&key("big"), &big)).await;
    assert!(matches!(refused, Err(StoreError::TooLarge { what: "record", .. })));
    put(&store, "empty", 1).await;
    assert_eq!(store.table::<Item>().get(&Key::new()).unwrap(), None);
}

#[test]
fn a_directory_has_one_user() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let error = Store::open(dir.path(), Options::default()).err().unwrap();
    let StoreError::Locked { pid, .. } = &error else { panic!("{error}") };
    assert_eq!(*pid, std::process::id());
    assert!(error.to_string().contains("in use by process"), "{error}");
    drop(store);
    open(dir.path());
}

#[test]
fn a_newer_format_is_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).close();
    std::fs::write(dir.path().join("format"), "cloudlet 2\n").unwrap();
    let error = Store::open(dir.path(), Options::default()).err().unwrap();
    assert!(matches!(error, StoreError::NewerFormat { found: 2, known: 1, .. }));
    assert!(error.to_string().contains("newer cloudlet"), "{error}");
    for damaged in ["", "cloudlet\n", "hello"] {
        std::fs::write(dir.path().join("format"), damaged).unwrap();
        assert!(matches!(Store::open(dir.path(), Options::default()), Err(StoreError::Corrupt { .. })));
    }
    std::fs::remove_file(dir.path().join("format")).unwrap();
    assert!(matches!(Store::open(dir.path(), Options::default()), Err(StoreError::Corrupt { .. })));
}

#[tokio::test]
async fn a_record_of_another_shape_is_an_error() {
    #[derive(Serialize, Deserialize, Clone, Debug)]
    struct Other {
        value: Vec<String>,
    }
    impl Record for Other {
        const TABLE: &'static str = "test.items";
    }
    let store = Store::ephemeral().unwrap();
    store
        .transact::<_, StoreError>(|tx| tx.put(&key("a"), &Other { value: vec!["x".into()] }))
        .await
        .unwrap();
    let table = store.table::<Item>();
    assert!(matches!(table.get(&key("a")), Err(StoreError::Corrupt { .. })));
    assert!(matches!(table.get_arc(&key("a")), Err(StoreError::Corrupt { .. })));
    assert!(matches!(table.scan(KeyRange::all(), false).next(), Some(Err(StoreError::Corrupt { .. }))));
    let read = store.transact::<_, StoreError>(|tx| tx.get::<Item>(&key("a"))).await;
    assert!(matches!(read, Err(StoreError::Corrupt { .. })));
}

/// Flips bytes in the files that hold records: opening and reading give errors or the truth, never a panic.
#[tokio::test]
async fn damaged_files_are_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let good = dir.path().join("good");
    let store = open(&good);
    for n in 0..200 {
        put(&store, &format!("{n:04}"), n).await;
    }
    store.close();
    drop(store);
    let files = files(&good);
    let in_table = |path: &Path| path.parent().is_some_and(|parent| parent.ends_with("tables"));
    let in_journal = |path: &Path| path.extension().is_some_and(|end| end == "jnl");
    assert!(
        files.iter().any(|path| in_table(path)) && files.iter().any(|path| in_journal(path)),
        "{files:?}"
    );
    let mut refused = 0;
    for path in files.iter().filter(|path| in_table(path) || in_journal(path)) {
        let bytes = std::fs::read(path).unwrap();
        for at in (0..bytes.len().min(100_000)).step_by((bytes.len().min(100_000) / 12).max(1)) {
            let bad = dir.path().join("bad");
            for file in &files {
                let copy = bad.join(file.strip_prefix(&good).unwrap());
                std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
                std::fs::copy(file, copy).unwrap();
            }
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x55;
            std::fs::write(bad.join(path.strip_prefix(&good).unwrap()), damaged).unwrap();
            match Store::open(&bad, Options::default()) {
                Err(_) => refused += 1,
                Ok(store) => {
                    for row in store.table::<Item>().scan(KeyRange::all(), false) {
                        let Ok((_, found)) = row else {
                            refused += 1;
                            break;
                        };
                        assert_eq!(found, item(found.value));
                    }
                    for n in 0..200 {
                        if let Ok(Some(found)) = store.table::<Item>().get(&key(&format!("{n:04}"))) {
                            assert_eq!(found, item(n));
                        }
                    }
                }
            }
            std::fs::remove_dir_all(bad).unwrap();
        }
    }
    assert!(refused > 0, "some damage is noticed");
}

fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[derive(Debug, Clone)]
enum Op {
    Put(u8, u64),
    Delete(u8),
    Batch(Vec<(u8, Option<u64>)>),
    Scan { from: u8, to: u8, reverse: bool },
    Reopen,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        6 => (any::<u8>(), any::<u64>()).prop_map(|(k, v)| Op::Put(k, v)),
        3 => any::<u8>().prop_map(Op::Delete),
        2 => prop::collection::vec((any::<u8>(), any::<Option<u64>>()), 0..8).prop_map(Op::Batch),
        3 => (any::<u8>(), any::<u8>(), any::<bool>()).prop_map(|(from, to, reverse)| Op::Scan { from, to, reverse }),
        1 => Just(Op::Reopen),
    ];
    prop::collection::vec(op, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Whatever is done, the table holds what a `BTreeMap` holds.
    #[test]
    fn a_table_is_a_map(ops in ops()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path());
        let mut model = BTreeMap::<u8, u64>::new();
        let name = |k: u8| Key::new().bytes(&[0, k]).text("x");
        for op in ops {
            match op {
                Op::Put(k, v) => {
                    runtime.block_on(store.transact::<_, StoreError>(|tx| tx.put(&name(k), &item(v)))).unwrap();
                    model.insert(k, v);
                }
                Op::Delete(k) => {
                    runtime.block_on(store.transact::<_, StoreError>(|tx| tx.delete::<Item>(&name(k)))).unwrap();
                    model.remove(&k);
                }
                Op::Batch(changes) => {
                    let write = |tx: &mut cloudlet_store::Tx<'_>| changes.iter().try_for_each(|(k, v)| match v {
                        Some(v) => tx.put(&name(*k), &item(*v)),
                        None => tx.delete::<Item>(&name(*k)),
                    });
                    runtime.block_on(store.transact::<_, StoreError>(write)).unwrap();
                    for (k, v) in &changes {
                        match v {
                            Some(v) => drop(model.insert(*k, *v)),
                            None => drop(model.remove(k)),
                        }
                    }
                }
                Op::Scan { from, to, reverse } => {
                    let range = KeyRange::between(&name(from), &name(to));
                    let found: Vec<u64> =
                        store.table::<Item>().scan(range, reverse).map(|row| row.unwrap().1.value).collect();
                    let mut expected: Vec<u64> =
                        model.iter().filter(|(k, _)| **k >= from && **k < to).map(|(_, v)| *v).collect();
                    if reverse {
                        expected.reverse();
                    }
                    prop_assert_eq!(found, expected);
                }
                Op::Reopen => {
                    store.close();
                    store = open(dir.path());
                }
            }
        }
        let found: Vec<(Key, u64)> = store
            .table::<Item>()
            .scan(KeyRange::all(), false)
            .map(|row| row.map(|(k, v)| (k, v.value)).unwrap())
            .collect();
        prop_assert_eq!(found, model.iter().map(|(k, v)| (name(*k), *v)).collect::<Vec<_>>());
        for k in 0..=255u8 {
            let found = store.table::<Item>().get_arc(&name(k)).unwrap().map(|found| found.value);
            prop_assert_eq!(found, model.get(&k).copied());
        }
    }
}

/// What the files of a directory take, without the journals, which are of a fixed size.
fn taken(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => taken(&entry.path()),
            Ok(meta) if entry.path().extension().is_none_or(|e| e != "jnl") => meta.len(),
            _ => 0,
        })
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_that_is_gone_gives_its_space_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let of = |space: u64, n: u64| Key::new().number(space).number(n);
    let mut noise = 1u64;
    for n in 0..300 {
        // Nothing that compression could make small.
        let text: String = (0..10_000)
            .map(|_| {
                noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                format!("{:08x}", noise >> 32)
            })
            .collect();
        let large = Item { value: n, text };
        store.transact::<_, StoreError>(|tx| tx.put(&of(1, n), &large)).await.unwrap();
    }
    store.transact::<_, StoreError>(|tx| tx.put(&of(2, 0), &item(7))).await.unwrap();
    let before = taken(dir.path());
    assert!(before > 10 << 20, "{before}");
    let range = Key::new().number(1).prefix_range();
    let table = store.table::<Item>();
    table.drop_files(&range).unwrap();
    let left: Vec<Key> = table.scan(range.clone(), false).map(|row| row.unwrap().0).collect();
    store
        .transact::<_, StoreError>(|tx| {
            for key in &left {
                tx.delete::<Item>(key)?;
            }
            Ok(())
        })
        .await
        .unwrap();
    table.compact(24 << 20).unwrap();
    let after = taken(dir.path());
    assert!(after < 4 << 20, "{before} became {after}, {} were left", left.len());
    assert_eq!(table.get(&of(2, 0)).unwrap(), Some(item(7)));
    assert_eq!(table.scan(range, false).count(), 0);
}

/// Writes the same value to `a`, to `z` and to twenty records between them, again and again, so often that memory is
/// written out in between.
fn writes_many_at_once(store: &Store) -> tokio::task::JoinHandle<()> {
    let writer = store.clone();
    tokio::spawn(async move {
        for value in 0..3000 {
            let written = writer.transact::<_, StoreError>(|tx| {
                tx.put(&key("a"), &item(value))?;
                for n in 0..20 {
                    tx.put(&key(&format!("between {n}")), &item(value))?;
                }
                tx.put(&key("z"), &item(value))
            });
            written.await.unwrap();
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_half_a_transaction() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let writing = writes_many_at_once(&store);
    let table = store.table::<Item>();
    let value = |name: &str| table.get(&key(name)).unwrap().map_or(0, |item| item.value);
    while !writing.is_finished() {
        let (first, last) = (value("a"), value("z"));
        assert!(last >= first, "{first} was there, and then {last}");
        let (last, first) = (value("z"), value("a"));
        assert!(first >= last, "{last} was there, and then {first}");
    }
    writing.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instant_lies_between_two_transactions() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let writing = writes_many_at_once(&store);
    let table = store.table::<Item>();
    while !writing.is_finished() {
        let (first, last) = store.read(|now| {
            let value = |name: &str| now.get::<Item>(&key(name)).unwrap().map_or(0, |item| item.value);
            (value("a"), value("z"))
        });
        assert_eq!(first, last);
        let all: Vec<u64> = table.scan(KeyRange::all(), false).map(|row| row.unwrap().1.value).collect();
        assert!(all.iter().all(|value| Some(value) == all.first()), "{all:?}");
    }
    writing.await.unwrap();
}

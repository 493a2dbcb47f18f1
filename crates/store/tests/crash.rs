//! Kills a writer with SIGKILL in the middle of its work and looks for everything that it had acknowledged.

#![allow(clippy::unwrap_used, clippy::panic)] // a test fails by panicking, also in its helpers

use cloudlet_store::{Durability, Key, KeyRange, Message, Options, Record, Store, StoreError};
use serde::{Deserialize, Serialize};
use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const ROUNDS: u64 = 10;
const WRITERS: u64 = 8;

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Row {
    blob: cloudlet_store::BlobId,
    text: String,
}

impl Record for Row {
    const TABLE: &'static str = "crash.rows";
}

#[derive(Serialize, Deserialize, Clone, Debug)]
struct Counter {
    value: u64,
}

impl Record for Counter {
    const TABLE: &'static str = "crash.counters";
}

fn options(durability: &str) -> Options {
    let durability = if durability == "disk" { Durability::Disk } else { Durability::Process };
    Options { durability, ..Options::default() }
}

/// What the killed process runs: writers that print a line for every commit that was acknowledged.
#[test]
#[ignore = "the other half of the crash tests, which start it themselves"]
fn child() {
    let dir = std::env::var("STORE_CRASH_DIR").unwrap();
    let durability = std::env::var("STORE_CRASH_DURABILITY").unwrap();
    let round: u64 = std::env::var("STORE_CRASH_ROUND").unwrap().parse().unwrap();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_time().build().unwrap();
    let store = Store::open(Path::new(&dir), options(&durability)).unwrap();
    runtime.block_on(async {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let store = store.clone();
                tokio::spawn(async move {
                    for n in 0.. {
                        write(&store, round, writer, n).await.unwrap();
                        // One call, one line: what was not wholly written was not acknowledged.
                        std::io::stdout()
                            .write_all(format!("\nack {round} {writer} {n}\n").as_bytes())
                            .unwrap();
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
    });
}

async fn write(store: &Store, round: u64, writer: u64, n: u64) -> Result<(), StoreError> {
    let text = text(round, writer, n);
    let mut blob = store.blobs().create()?;
    blob.write(text.clone().into()).await?;
    let blob = blob.finish().await?.id;
    store
        .transact(|tx| {
            tx.adopt_blob(blob)?;
            tx.put(&Key::new().number(round).number(writer).number(n), &Row { blob, text: text.clone() })?;
            tx.emit(Message {
                queue: "crash".into(),
                payload: text.clone().into_bytes(),
                ..Message::default()
            })?;
            let counter = Key::new().text("commits");
            let value = tx.get::<Counter>(&counter)?.map_or(0, |counter| counter.value) + 1;
            tx.put(&counter, &Counter { value })
        })
        .await
}

/// Some records are larger than the journal's buffer, so that a kill also meets half-written ones.
fn text(round: u64, writer: u64, n: u64) -> String {
    format!("{round}/{writer}/{n} ").repeat(if n.is_multiple_of(7) { 3000 } else { 5 })
}

fn crash(durability: &str) {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--ignored", "--nocapture", "--test-threads=1"])
            .env("STORE_CRASH_DIR", dir.path())
            .env("STORE_CRASH_DURABILITY", durability)
            .env("STORE_CRASH_ROUND", round.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // The moment differs from round to round: after so many acknowledgements, wherever the others are then.
        let enough = 20 + round * 37;
        let mut seen = 0;
        let began = Instant::now();
        for line in lines {
            let line = line.unwrap();
            let Some(ack) = line.strip_prefix("ack ") else { continue };
            let numbers: Vec<u64> = ack.split(' ').map(|number| number.parse().unwrap()).collect();
            acknowledged.push((numbers[0], numbers[1], numbers[2]));
            seen += 1;
            if seen == enough {
                child.kill().unwrap();
            }
            assert!(began.elapsed() < Duration::from_secs(60), "{seen} acknowledgements in a minute");
        }
        assert!(seen >= enough, "the child ended by itself after {seen}");
        child.wait().unwrap();
        check(dir.path(), durability, &acknowledged);
    }
}

fn check(dir: &Path, durability: &str, acknowledged: &[(u64, u64, u64)]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let store = Store::open(dir, options(durability)).unwrap();
    let table = store.table::<Row>();
    for (round, writer, n) in acknowledged {
        let row = table.get(&Key::new().number(*round).number(*writer).number(*n)).unwrap();
        assert!(row.is_some(), "lost {round} {writer} {n}");
    }
    // What was not acknowledged may be there, but then wholly: its row, its message, its bytes, its count.
    let mut rows = 0;
    for row in table.scan(KeyRange::all(), false) {
        let (key, row) = row.unwrap();
        let mut parts = key.parts();
        let expected = text(parts.number().unwrap(), parts.number().unwrap(), parts.number().unwrap());
        assert_eq!(row.text, expected);
        let bytes = runtime.block_on(store.blobs().open(row.blob).unwrap().read(0..u64::MAX)).unwrap();
        assert_eq!(bytes, expected);
        rows += 1;
    }
    assert_eq!(store.outbox().len("crash").unwrap(), rows);
    let counter = store.table::<Counter>().get(&Key::new().text("commits")).unwrap().unwrap();
    assert_eq!(counter.value, rows);
    let numbers: std::collections::HashSet<u64> = store
        .outbox()
        .pending("crash", None, usize::MAX, u64::MAX)
        .unwrap()
        .into_iter()
        .map(|(id, _)| id.number())
        .collect();
    assert_eq!(numbers.len() as u64, rows);
}

#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    crash("process");
}

#[test]
fn nothing_acknowledged_is_lost_when_commits_wait_for_the_disk() {
    crash("disk");
}

#[test]
fn a_second_process_is_told_who_holds_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--nocapture", "--test-threads=1"])
        .env("STORE_CRASH_DIR", dir.path())
        .env("STORE_CRASH_DURABILITY", "process")
        .env("STORE_CRASH_ROUND", "0")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().starts_with("ack ")));
    let error = Store::open(dir.path(), Options::default()).err().unwrap();
    child.kill().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    assert!(matches!(error, StoreError::Locked { pid: holder, .. } if holder == pid), "{error}");
    Store::open(dir.path(), Options::default()).unwrap();
}

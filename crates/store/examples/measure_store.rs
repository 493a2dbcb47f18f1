//! What the store costs, beside what plain fjall costs: `cargo run --release -p cloudlet-store --example measure_store`.

use cloudlet_store::{Durability, Key, KeyRange, Message, Options, Record, Store, StoreError};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use std::{
    future::Future,
    time::{Duration, Instant},
};

#[derive(Serialize, Deserialize, Clone)]
struct Object {
    name: String,
    size: u64,
    etag: String,
    content_type: String,
    modified: u64,
    #[serde(with = "cloudlet_store::as_bytes")]
    inline: Vec<u8>,
}

impl Record for Object {
    const TABLE: &'static str = "measure.objects";
}

fn object(n: u64) -> Object {
    Object {
        name: format!("photos/{n:08}.jpg"),
        size: 1024,
        etag: "d41d8cd98f00b204e9800998ecf8427e".into(),
        content_type: "image/jpeg".into(),
        modified: 1_700_000_000_000,
        inline: vec![7; 120],
    }
}

fn key(n: u64) -> Key {
    Key::new()
        .text("000000000000")
        .text("eu-west-1")
        .text("photos")
        .raw_tail(format!("photos/{n:08}.jpg").as_bytes())
}

fn show(what: &str, count: u64, took: Duration) {
    let each = took.as_nanos() as f64 / count as f64;
    println!("{what:<58} {:>10.2} µs {:>12.0}/s", each / 1000.0, 1e9 / each);
}

fn rss() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
    line.split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse::<u64>().ok())
        .map_or("?".into(), |kib| format!("{:.1} MiB", kib as f64 / 1024.0))
}

fn plain_fjall() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let db = fjall::Database::builder(dir.path()).open()?;
    let space = db.keyspace("plain", fjall::KeyspaceCreateOptions::default)?;
    let value = vec![7u8; 300];
    let count = 100_000;
    let began = Instant::now();
    for n in 0..count {
        let mut batch = db.batch().durability(Some(fjall::PersistMode::Buffer));
        batch.insert(&space, key(n).as_bytes(), value.as_slice());
        batch.commit()?;
    }
    show("plain fjall: batch of one, to the operating system", count, began.elapsed());
    let began = Instant::now();
    for n in 0..count {
        space.get(key(n * 7919 % count).as_bytes())?.ok_or("missing")?;
    }
    show("plain fjall: get", count, began.elapsed());
    let began = Instant::now();
    for _ in 0..count {
        std::hint::black_box(db.snapshot());
    }
    show("plain fjall: snapshot", count, began.elapsed());
    let began = Instant::now();
    for n in 0..500 {
        let mut batch = db.batch().durability(Some(fjall::PersistMode::SyncData));
        batch.insert(&space, key(n).as_bytes(), value.as_slice());
        batch.commit()?;
    }
    show("plain fjall: batch of one, to the disk", 500, began.elapsed());
    Ok(())
}

async fn many<F: Future<Output = Result<(), StoreError>> + Send + 'static>(
    tasks: u64,
    each: u64,
    work: impl Fn(u64, u64) -> F + Send + Sync + Clone + 'static,
) -> Result<Duration, Box<dyn std::error::Error>> {
    let began = Instant::now();
    let tasks: Vec<_> = (0..tasks)
        .map(|task| {
            let work = work.clone();
            tokio::spawn(async move {
                for n in 0..each {
                    work(task, n).await?;
                }
                Ok::<_, StoreError>(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(began.elapsed())
}

async fn records(durability: Durability, count: u64) -> Result<(), Box<dyn std::error::Error>> {
    println!("-- {durability:?}");
    let dir = tempfile::tempdir()?;
    let store = Store::open(dir.path(), Options { durability, ..Options::default() })?;
    println!("resident memory, store open: {}", rss());
    let began = Instant::now();
    for n in 0..count {
        store.transact::<_, StoreError>(|tx| tx.put(&key(n), &object(n))).await?;
    }
    show("put", count, began.elapsed());
    let began = Instant::now();
    for n in 0..count {
        store
            .transact::<_, StoreError>(|tx| {
                let mut object = tx.get::<Object>(&key(n))?.unwrap_or_else(|| object(n));
                object.size += 1;
                tx.put(&key(n), &object)?;
                tx.emit(Message { queue: "q".into(), payload: vec![1; 200], ..Message::default() })?;
                Ok(())
            })
            .await?;
    }
    show("get, put, emit", count, began.elapsed());
    for tasks in [4, 32] {
        let shared = store.clone();
        let took = many(tasks, count * 4 / tasks, move |task, n| {
            let store = shared.clone();
            async move {
                let n = task << 32 | n;
                store.transact(|tx| tx.put(&key(n), &object(n))).await
            }
        })
        .await?;
        show(&format!("put, {tasks} at once"), count * 4 / tasks * tasks, took);
    }
    let shared = store.clone();
    let took = many(8, count / 20, move |_, _| {
        let store = shared.clone();
        async move {
            store
                .transact(|tx| {
                    let mut object = tx.get::<Object>(&key(0))?.unwrap_or_else(|| object(0));
                    object.size += 1;
                    tx.put(&key(0), &object)
                })
                .await
        }
    })
    .await?;
    show("increment of one record, 8 at once", count / 20 * 8, took);
    let table = store.table::<Object>();
    let began = Instant::now();
    for n in 0..count {
        table.get(&key(n * 7919 % count))?.ok_or("missing")?;
    }
    show("get", count, began.elapsed());
    table.get_arc(&key(1))?.ok_or("missing")?;
    let began = Instant::now();
    for _ in 0..1_000_000 {
        std::hint::black_box(table.get_arc(&key(1))?);
    }
    show("get_arc, hot", 1_000_000, began.elapsed());
    let began = Instant::now();
    let rows = table.scan(KeyRange::all(), false).try_fold(0u64, |rows, row| row.map(|_| rows + 1))?;
    show("scan, per record", rows, began.elapsed());
    println!("resident memory: {}", rss());
    if let Ok(keep) = std::env::var("MEASURE_KEEP") {
        println!(
            "copied as it is to {keep}: {}",
            std::process::Command::new("cp").arg("-a").arg(dir.path()).arg(&keep).status()?
        );
    }
    store.close();
    let began = Instant::now();
    let store = Store::open(dir.path(), Options { durability, ..Options::default() })?;
    println!("open again: {:?}; resident memory: {}", began.elapsed(), rss());
    drop(store);
    Ok(())
}

async fn outbox() -> Result<(), Box<dyn std::error::Error>> {
    let store = Store::ephemeral()?;
    let count = 50_000;
    for _ in 0..count {
        store
            .transact::<_, StoreError>(|tx| {
                tx.emit(Message { queue: "q".into(), payload: vec![1; 200], ..Message::default() })
            })
            .await?;
    }
    let began = Instant::now();
    let mut done = 0;
    while done < count {
        let pending = store.outbox().pending("q", None, 100, 1)?;
        done += pending.len() as u64;
        for (id, _) in pending {
            store.outbox().complete(&id).await?;
        }
    }
    show("outbox: take and complete", count, began.elapsed());
    Ok(())
}

async fn blobs() -> Result<(), Box<dyn std::error::Error>> {
    let store = Store::ephemeral()?;
    for (len, count) in [(1 << 10, 20_000), (1 << 20, 1000)] {
        let bytes = bytes::Bytes::from(vec![7u8; len]);
        let mut ids = Vec::new();
        let began = Instant::now();
        for _ in 0..count {
            let mut writer = store.blobs().create()?;
            writer.write(bytes.clone()).await?;
            ids.push(writer.finish().await?.id);
        }
        show(&format!("blob of {} KiB: write", len >> 10), count, began.elapsed());
        let began = Instant::now();
        for id in &ids {
            let mut stream = store.blobs().open(*id)?.stream(0..u64::MAX);
            while let Some(piece) = stream.next().await {
                std::hint::black_box(piece?);
            }
        }
        show(&format!("blob of {} KiB: read", len >> 10), count, began.elapsed());
    }
    let began = Instant::now();
    let mut writer = store.blobs().create()?;
    let bytes = bytes::Bytes::from(vec![7u8; 64 << 10]);
    for _ in 0..(2u64 << 30) / (64 << 10) {
        writer.write(bytes.clone()).await?;
    }
    let blob = writer.finish().await?;
    show("blob of 2 GiB: write, per MiB", 2048, began.elapsed());
    let began = Instant::now();
    let mut stream = store.blobs().open(blob.id)?.stream(0..u64::MAX);
    while let Some(piece) = stream.next().await {
        std::hint::black_box(piece?);
    }
    show("blob of 2 GiB: read, per MiB", 2048, began.elapsed());
    println!("resident memory: {}", rss());
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("resident memory at the start: {}", rss());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build()?;
    // `measure_store DIR`: what opening a directory costs a process that has done nothing before.
    if let Some(dir) = std::env::args().nth(1) {
        let began = Instant::now();
        let store = Store::open(dir.as_ref(), Options::default())?;
        let took = began.elapsed();
        std::thread::sleep(Duration::from_secs(2));
        println!("open: {took:?}; resident memory when idle: {}", rss());
        let rows = store.table::<Object>().scan(KeyRange::all(), false).count();
        println!("{rows} records; resident memory: {}", rss());
        // As if killed: whoever opens it next finds a full journal.
        std::process::exit(0);
    }
    runtime.block_on(records(Durability::Process, 100_000))?;
    runtime.block_on(records(Durability::Disk, 1000))?;
    runtime.block_on(outbox())?;
    runtime.block_on(blobs())?;
    println!("-- plain fjall");
    plain_fjall()
}

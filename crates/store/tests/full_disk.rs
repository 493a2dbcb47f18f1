//! A disk that is really full: a small file system in memory, mounted in a namespace of its own.

#![allow(clippy::unwrap_used, clippy::panic)] // a test fails by panicking, also in its helpers

use cloudlet_store::{BlobId, Key, KeyRange, Options, Record, Store, StoreError};
use serde::{Deserialize, Serialize};
use std::{path::Path, process::Command};

#[derive(Serialize, Deserialize, Clone)]
struct Row {
    blob: Option<BlobId>,
    #[serde(with = "cloudlet_store::as_bytes")]
    bytes: Vec<u8>,
}

impl Record for Row {
    const TABLE: &'static str = "full.rows";
}

/// Runs this file's other half where it may mount. Where a user may not make namespaces there is nothing to run it in,
/// and the refusal itself is tested with a pretended file system beside `space.rs`.
#[test]
fn a_full_disk_refuses_and_recovers() {
    let dir = tempfile::tempdir().unwrap();
    let mount = "mount -t tmpfs -o size=100m none \"$STORE_FULL_DIR\"";
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]);
        command.env("STORE_FULL_DIR", dir.path()).env("STORE_FULL_TEST", std::env::current_exe().unwrap());
        command
    };
    if !unshare(mount).output().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this user may not mount a file system of their own");
        return;
    }
    let script = format!("{mount} && exec \"$STORE_FULL_TEST\" --exact child --ignored --nocapture");
    let output = unshare(&script).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
}

async fn put(store: &Store, n: u64, blob: Option<BlobId>, len: usize) -> Result<(), StoreError> {
    store
        .transact(|tx| {
            if let Some(blob) = blob {
                tx.adopt_blob(blob)?;
            }
            tx.put(&Key::new().number(n), &Row { blob, bytes: vec![7; len] })
        })
        .await
}

async fn delete(store: &Store, n: u64) -> Result<(), StoreError> {
    let key = Key::new().number(n);
    store
        .transact(|tx| {
            if let Some(Row { blob: Some(blob), .. }) = tx.get::<Row>(&key)? {
                tx.release_blob(blob)?;
            }
            tx.delete::<Row>(&key)
        })
        .await
}

async fn put_blob(store: &Store, n: u64) -> Result<(), StoreError> {
    let mut writer = store.blobs().create()?;
    for _ in 0..16 {
        writer.write(vec![7; 64 << 10].into()).await?;
    }
    let blob = writer.finish().await?;
    put(store, n, Some(blob.id), 10).await
}

fn is_full<T>(result: &Result<T, StoreError>) -> bool {
    match result {
        Ok(_) => false,
        Err(StoreError::NoSpace { .. }) => true,
        Err(error) => panic!("{error}"),
    }
}

fn rows(store: &Store) -> u64 {
    store.table::<Row>().scan(KeyRange::all(), false).map(|row| drop(row.unwrap())).count() as u64
}

#[tokio::test]
#[ignore = "the other half of a_full_disk_refuses_and_recovers, which starts it itself"]
async fn child() {
    let dir = std::env::var("STORE_FULL_DIR").unwrap();
    let dir = Path::new(&dir);
    let store = Store::open(&dir.join("data"), Options::default()).unwrap();

    // Blobs are refused first, and leave room for records.
    let mut blobs = 0;
    while !is_full(&put_blob(&store, blobs).await) {
        blobs += 1;
        assert!(blobs < 100);
    }
    assert!(blobs > 10, "{blobs}");
    put(&store, 1000, None, 1000).await.unwrap();
    assert_eq!(rows(&store), blobs + 1);

    // Records are refused next. Everything is still there, and deleting makes room.
    let mut records = 1001;
    while !is_full(&put(&store, records, None, 100_000).await) {
        records += 1;
        assert!(records < 2000);
    }
    assert_eq!(rows(&store), blobs + records - 1000);
    for n in 0..blobs {
        delete(&store, n).await.unwrap();
    }
    let mut waits = 0;
    while is_full(&put(&store, records, None, 10).await) {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        waits += 1;
        assert!(waits < 500, "the files of released blobs are deleted soon");
    }
    assert_eq!(rows(&store), records - 999);

    // Somebody else fills the disk to the last byte, faster than the store looks: the engine's own write fails.
    let mut failed = 0;
    let mut acknowledged = records + 1;
    for _ in 0..3 {
        put(&store, acknowledged, None, 10).await.unwrap();
        acknowledged += 1;
        let mut filler = std::fs::File::create(dir.join("filler")).unwrap();
        // In small pieces, so that not a page is left.
        while std::io::Write::write(&mut filler, &[0; 4096]).is_ok_and(|written| written == 4096) {}
        drop(filler);
        for _ in 0..20 {
            let result = put(&store, acknowledged, None, 3000).await;
            match is_full(&result) {
                false => acknowledged += 1,
                true => failed += 1,
            }
        }
        assert_eq!(store.table::<Row>().get(&Key::new().number(records)).unwrap().unwrap().bytes.len(), 10);
        std::fs::remove_file(dir.join("filler")).unwrap();
        let mut waits = 0;
        while is_full(&put(&store, acknowledged, None, 10).await) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            waits += 1;
            assert!(waits < 500, "the store works again once there is room");
        }
        acknowledged += 1;
    }
    assert!(failed > 0);
    let held = rows(&store);
    assert_eq!(held, acknowledged - 1000);
    store.close();
    let store = Store::open(&dir.join("data"), Options::default()).unwrap();
    assert_eq!(rows(&store), held);
}

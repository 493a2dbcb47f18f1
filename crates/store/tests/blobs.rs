//! Object bytes, and copies of the whole state.

#![allow(clippy::unwrap_used, clippy::panic)] // a test fails by panicking, also in its helpers

use bytes::Bytes;
use cloudlet_store::{Blob, BlobId, Durability, Key, KeyRange, Message, Options, Record, Store, StoreError};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use std::{path::Path, time::Duration};

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Object {
    blob: BlobId,
}

impl Record for Object {
    const TABLE: &'static str = "test.objects";
}

fn pattern(len: usize) -> Bytes {
    (0..len).map(|n| (n * 31 % 251) as u8).collect::<Vec<_>>().into()
}

async fn write(store: &Store, bytes: &Bytes) -> Blob {
    let mut writer = store.blobs().create().unwrap();
    for piece in bytes.chunks(100_000) {
        writer.write(bytes.slice_ref(piece)).await.unwrap();
    }
    writer.finish().await.unwrap()
}

async fn put(store: &Store, name: &str, bytes: &Bytes) -> BlobId {
    let blob = write(store, bytes).await;
    assert_eq!(blob.len, bytes.len() as u64);
    let key = Key::new().text(name);
    store
        .transact::<_, StoreError>(|tx| {
            if let Some(old) = tx.get::<Object>(&key)? {
                tx.release_blob(old.blob)?;
            }
            tx.adopt_blob(blob.id)?;
            tx.put(&key, &Object { blob: blob.id })
        })
        .await
        .unwrap();
    blob.id
}

async fn read(store: &Store, id: BlobId) -> Vec<u8> {
    let reader = store.blobs().open(id).unwrap();
    let mut stream = reader.stream(0..u64::MAX);
    let mut all = Vec::new();
    while let Some(piece) = stream.next().await {
        let piece = piece.unwrap();
        assert!(piece.len() <= 256 << 10);
        all.extend_from_slice(&piece);
    }
    all
}

fn count(dir: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries.map(|entry| entry.unwrap().path()).map(|path| if path.is_dir() { count(&path) } else { 1 }).sum()
}

/// Waits for the janitor, which works on its own time.
async fn files_become(store: &Store, expected: usize) {
    let dir = store.dir().join("blobs");
    for _ in 0..1000 {
        if count(&dir) == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(count(&dir), expected, "files in {}", dir.display());
}

#[tokio::test]
async fn what_is_written_is_read() {
    for durability in [Durability::Process, Durability::Disk] {
        let store = Store::ephemeral_with(Options { durability, ..Options::default() }).unwrap();
        for len in [0, 1, 1000, 256 << 10, (256 << 10) + 1, 3_000_000] {
            let bytes = pattern(len);
            let id = put(&store, &format!("{len}"), &bytes).await;
            assert_eq!(read(&store, id).await, bytes);
            let reader = store.blobs().open(id).unwrap();
            assert_eq!(reader.len(), len as u64);
            let (from, to) = (len / 3, len / 2);
            assert_eq!(reader.read(from as u64..to as u64).await.unwrap(), bytes[from..to]);
            assert_eq!(reader.read(len as u64..u64::MAX).await.unwrap(), b""[..]);
            assert_eq!(reader.read(u64::MAX - 1..u64::MAX).await.unwrap(), b""[..]);
            let tail: Vec<_> = reader.stream(from as u64..u64::MAX).collect().await;
            let tail: Vec<u8> = tail.into_iter().flat_map(|piece| piece.unwrap()).collect();
            assert_eq!(tail, bytes[from..]);
        }
    }
}

/// A receiver that keeps every piece must not see them change when buffers are used again.
#[tokio::test]
async fn pieces_that_are_held_stay_as_they_are() {
    let store = Store::ephemeral().unwrap();
    let bytes = pattern(5_000_000);
    let id = put(&store, "a", &bytes).await;
    let pieces: Vec<_> = store.blobs().open(id).unwrap().stream(0..u64::MAX).collect().await;
    let all: Vec<u8> = pieces.into_iter().flat_map(|piece| piece.unwrap()).collect();
    assert!(all == bytes);
}

#[tokio::test]
async fn an_unfinished_blob_leaves_nothing() {
    let store = Store::ephemeral().unwrap();
    let mut writer = store.blobs().create().unwrap();
    writer.write(pattern(2_000_000)).await.unwrap();
    assert_eq!(count(&store.dir().join("blobs")), 1);
    drop(writer);
    assert_eq!(count(&store.dir().join("blobs")), 0);
    let blob = write(&store, &pattern(10)).await;
    store.discard_blob(blob.id);
    files_become(&store, 0).await;
    assert!(matches!(store.blobs().open(blob.id), Err(StoreError::NoBlob { .. })));
}

/// Who gave a transaction up does not know whether it has committed.
#[tokio::test]
async fn what_is_adopted_is_not_discarded() {
    let store = Store::ephemeral().unwrap();
    let kept = put(&store, "a", &pattern(10)).await;
    let other = write(&store, &pattern(20)).await;
    store.discard_blob(kept);
    store.discard_blob(other.id);
    files_become(&store, 1).await;
    assert_eq!(read(&store, kept).await, pattern(10));
}

#[tokio::test]
async fn the_last_release_deletes_the_file() {
    let store = Store::ephemeral().unwrap();
    let first = put(&store, "a", &pattern(10)).await;
    let open = store.blobs().open(first).unwrap();
    store.transact::<_, StoreError>(|tx| tx.adopt_blob(first)).await.unwrap();
    let second = put(&store, "a", &pattern(20)).await;
    assert_eq!(read(&store, first).await, pattern(10), "one reference is left");
    store.transact::<_, StoreError>(|tx| tx.release_blob(first)).await.unwrap();
    files_become(&store, 1).await;
    assert!(matches!(store.blobs().open(first), Err(StoreError::NoBlob { id }) if id == first));
    assert_eq!(open.read(0..10).await.unwrap(), pattern(10), "who has it open reads on");
    assert_eq!(read(&store, second).await, pattern(20));
}

/// A start sweeps what a crash left: files that no commit adopted, whether complete or not, and
/// released ones that were not deleted any more. It keeps everything else.
#[tokio::test]
async fn a_start_sweeps_what_nobody_refers_to() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Options::default()).unwrap();
    let kept = put(&store, "kept", &pattern(1000)).await;
    // Another process's files: this one's own are never swept while it lives.
    let orphan = dir.path().join("blobs/ab/ab000000000000000000000000000000");
    std::fs::create_dir_all(orphan.parent().unwrap()).unwrap();
    std::fs::write(&orphan, "released, or never adopted").unwrap();
    let adopted: BlobId = "cd000000000000000000000000000000".parse().unwrap();
    std::fs::create_dir_all(dir.path().join("blobs/cd")).unwrap();
    std::fs::write(dir.path().join("blobs/cd").join(adopted.to_string()), "adopted").unwrap();
    store.transact::<_, StoreError>(|tx| tx.adopt_blob(adopted)).await.unwrap();
    store.close();
    let store = Store::open(dir.path(), Options::default()).unwrap();
    files_become(&store, 2).await;
    assert!(!orphan.exists());
    assert_eq!(read(&store, adopted).await, b"adopted");
    assert_eq!(read(&store, kept).await, pattern(1000));
}

#[tokio::test]
async fn a_saved_state_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("data"), Options::default()).unwrap();
    let saved = dir.path().join("saved");
    let (one, two) = (pattern(100_000), pattern(70));
    let first = put(&store, "first", &one).await;
    put(&store, "second", &two).await;
    store
        .transact::<_, StoreError>(|tx| {
            tx.emit(Message { queue: "q".into(), payload: b"hello".to_vec(), ..Message::default() })
        })
        .await
        .unwrap();
    assert_eq!(store.outbox().len("q").unwrap(), 1);
    store.snapshot_to(&saved).unwrap();
    assert!(matches!(store.snapshot_to(&saved), Err(StoreError::Snapshot { .. })));

    store.clear().unwrap();
    assert_eq!(store.table::<Object>().scan(KeyRange::all(), false).count(), 0);
    assert_eq!(store.outbox().len("q").unwrap(), 0);
    files_become(&store, 0).await;
    put(&store, "third", &pattern(5)).await;

    store.restore_from(&saved).unwrap();
    let names = |store: &Store| -> Vec<String> {
        store
            .table::<Object>()
            .scan(KeyRange::all(), false)
            .map(|row| row.unwrap().0.parts().text().unwrap())
            .collect()
    };
    assert_eq!(names(&store), ["first", "second"]);
    assert_eq!(read(&store, first).await, one);
    assert_eq!(store.outbox().pending("q", None, 9, 9).unwrap()[0].1.payload, b"hello");
    files_become(&store, 2).await;
    store.close();

    // The same in another directory, and after a restart there.
    let other = Store::open(&dir.path().join("other"), Options::default()).unwrap();
    other.restore_from(&saved).unwrap();
    other.close();
    let other = Store::open(&dir.path().join("other"), Options::default()).unwrap();
    assert_eq!(names(&other), ["first", "second"]);
    assert_eq!(read(&other, first).await, one);
    files_become(&other, 2).await;
}

#[tokio::test]
async fn a_damaged_snapshot_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::ephemeral().unwrap();
    put(&store, "a", &pattern(10)).await;
    let saved = dir.path().join("saved");
    store.snapshot_to(&saved).unwrap();
    put(&store, "b", &pattern(10)).await;
    let good = std::fs::read(saved.join("rows")).unwrap();
    let intact = |store: &Store| store.table::<Object>().scan(KeyRange::all(), false).count() == 2;
    for len in 0..good.len() {
        std::fs::write(saved.join("rows"), &good[..len]).unwrap();
        assert!(store.restore_from(&saved).is_err(), "cut at {len}");
    }
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x41;
        std::fs::write(saved.join("rows"), bad).unwrap();
        assert!(store.restore_from(&saved).is_err(), "damaged at {at}");
    }
    assert!(intact(&store));
    assert!(matches!(store.restore_from(dir.path()), Err(StoreError::Snapshot { .. })));
    std::fs::write(saved.join("rows"), good).unwrap();
    store.restore_from(&saved).unwrap();
    assert!(!intact(&store));
}

/// Saving while others replace objects all the time gives a state in which every object has its bytes.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_state_saved_under_load_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::ephemeral().unwrap();
    let writers: Vec<_> = (0..3)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in 0..100usize {
                    put(&store, &format!("{writer}-{}", n % 5), &pattern(n)).await;
                }
            })
        })
        .collect();
    for round in 0..5 {
        let saved = dir.path().join(format!("saved-{round}"));
        let saver = store.clone();
        let target = saved.clone();
        tokio::task::spawn_blocking(move || saver.snapshot_to(&target)).await.unwrap().unwrap();
        let copy = Store::ephemeral().unwrap();
        copy.restore_from(&saved).unwrap();
        for row in copy.table::<Object>().scan(KeyRange::all(), false) {
            let bytes = read(&copy, row.unwrap().1.blob).await;
            assert_eq!(bytes, pattern(bytes.len()));
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    files_become(&store, 15).await;
}

#[tokio::test]
async fn an_ephemeral_store_goes_away() {
    let store = Store::ephemeral().unwrap();
    let dir = store.dir().to_owned();
    put(&store, "a", &pattern(10)).await;
    assert!(dir.exists());
    drop(store);
    for _ in 0..500 {
        if !dir.exists() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} is still there", dir.display());
}

//! Cloudlet's durable state: the only part of the program that touches a data file.
//!
//! - [`Table`]s hold typed [`Record`]s under composite [`Key`]s.
//! - [`Store::transact`] changes any of them together, or none, and emits the [`Message`]s that the change causes in
//!   the same commit. The [`Outbox`] keeps those until they are delivered.
//! - [`Blobs`] are object bytes: files written once, referenced from records and counted in the same commit.
//! - [`Store::snapshot_to`] and [`Store::restore_from`] copy the whole state, consistently, while it is in use.
//!
//! The way of a change: the closure reads one instant of the store and buffers its writes; the engine commits them if
//! nothing that was read has changed meanwhile, otherwise the closure runs again; the cache forgets what was written;
//! with [`Durability::Disk`] the commit then waits for the next `fdatasync`, which it shares with all who wait.
//!
//! Layout of the data directory:
//!
//! ```text
//! lock           held (flock) while a process uses the directory; its process id
//! format         the version of this layout
//! current        which engine directory is in use
//! tables-N/      the engine's files
//! blobs/ab/…     one file per blob, by its id
//! secrets/…      one file per secret, for the owner's eyes only
//! ```

pub mod as_bytes;
mod blobs;
mod cache;
mod commit;
mod dir;
mod engine;
mod error;
mod group;
mod janitor;
mod key;
mod outbox;
mod queues;
mod record;
mod save;
mod secrets;
mod space;
mod store;
mod table;
mod tx;

pub use blobs::{Blob, BlobId, BlobReader, BlobStream, BlobWriter, Blobs};
pub use error::StoreError;
pub use key::{Key, KeyParts, KeyRange, MAX_KEY};
pub use outbox::{DeadLetter, Message, MessageId, Outbox};
pub use record::{MAX_VALUE, Record, decode_body};
pub use store::{Durability, Options, Store};
pub use table::{Scan, Snapshot, Table};
pub use tx::Tx;

//! The one process that makes processes.
//!
//! The cloud is a many-threaded program and must not fork. The warden is the same executable run again, with one
//! thread, no secrets and almost no memory; it forks sandboxes, holds their limits, and buries them. When the
//! cloud goes, by whatever end, the warden's socket closes and it takes every sandbox along.

pub(crate) mod client;
mod end;
mod make;
pub(crate) mod protocol;
mod record;
pub(crate) mod server;
pub(crate) mod setup;
pub(crate) mod socket;
mod zygote;

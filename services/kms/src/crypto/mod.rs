//! The cryptography: key material as it is in memory, and what it does. Nothing here knows of AWS's requests.

mod agree;
pub(crate) mod envelope;
mod keys;
mod mac;
mod rng;
mod rsa;
pub(crate) mod seal;
mod sign;
pub(crate) mod wrap;

pub(crate) use keys::Secret;
pub(crate) use rng::Rng;
pub(crate) use sign::Message;

/// What went wrong. It says no more, so that it cannot say too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken;

/// Any library's error means the same to us.
pub(crate) fn broken<E>(_: E) -> Broken {
    Broken
}

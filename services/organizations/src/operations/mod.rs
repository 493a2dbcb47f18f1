//! The operations, one file per family.

mod accounts;
mod delegation;
mod handshakes;
mod organization;
mod policies;
mod tags;
mod units;

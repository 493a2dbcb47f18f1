//! The operations, one file per family.

mod accounts;
mod delegation;
mod effective;
mod handshakes;
mod organization;
mod policies;
mod tags;
mod units;

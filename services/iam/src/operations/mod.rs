//! The operations, one file per family.

mod access_keys;
mod account;
mod attached;
mod groups;
mod inline;
pub(crate) mod instance_profiles;
mod linked_roles;
mod login;
mod mfa;
pub(crate) mod policies;
mod report;
mod roles;
mod simulate;
pub(crate) mod tags;
mod users;

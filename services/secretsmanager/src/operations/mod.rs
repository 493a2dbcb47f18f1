//! The operations, one file per family.

mod create;
mod cross_account;
mod delete;
mod get;
mod list;
mod password;
mod policy;
mod put;
mod replicate;
mod rotate;
mod stages;
mod tags;

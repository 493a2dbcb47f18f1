//! The operations, one file per family.

mod account;
mod aliases;
mod concurrency;
mod create;
mod delete;
pub(crate) mod durable;
mod durable_control;
mod event_config;
mod get;
mod invoke;
mod layers;
mod mappings;
mod permissions;
mod provisioned;
mod resource_policy;
mod signing;
pub(crate) mod tags;
mod update;
mod urls;
mod versions;

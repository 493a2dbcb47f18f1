//! The operations, a file for each family.

pub(crate) mod backups;
pub(crate) mod batch;
pub(crate) mod destinations;
pub(crate) mod exports;
pub(crate) mod global_tables;
mod imports;
mod insights;
pub(crate) mod items;
pub(crate) mod partiql;
mod policies;
pub(crate) mod query;
mod restores;
pub(crate) mod scan;
pub(crate) mod settings;
pub(crate) mod tables;
pub(crate) mod transact;
pub(crate) mod transfers;
mod under_way;
pub(crate) mod update_table;

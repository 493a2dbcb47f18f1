//! The operations, one file per family.

mod contacts;
mod regions;

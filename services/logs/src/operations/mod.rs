//! The operations, one file per family.

mod filter;
mod get;
mod groups;
mod policies;
mod put;
mod retention;
mod streams;
mod tags;
mod tail;
mod test_filter;

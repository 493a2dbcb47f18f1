//! The operations, one file per family.

mod assume;
mod tell;
mod token;

//! Generated from AWS's description of the service; what is served stands in `operations.txt`.

#![allow(non_upper_case_globals, missing_docs, clippy::all, clippy::pedantic)]

pub use cloudlet_service::generated::*;

include!(concat!(env!("OUT_DIR"), "/api.rs"));

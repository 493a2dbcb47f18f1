//! Reads AWS's description of a service (`models/*.json`, in botocore's form) and writes, at build time, the Rust
//! that an API crate is made of: plain structs, a static schema for each, both directions of serialization, the
//! constraints, the operation table and the glue between that table and the methods of a service.
//!
//! Only what the operations named in `apis/<service>/operations.txt` reach is generated, so that an API costs
//! what it serves. Start reading at [`build`].
//!
//! This crate runs in build scripts only, on input from this repository: it panics with a message where a model
//! is not what it expects.

mod model;
mod names;
mod operations;
mod reach;
mod rules;
mod schemas;
mod served;
mod types;

use std::path::{Path, PathBuf};

/// The whole build script of an API crate: generates `$OUT_DIR/api.rs` for `models/<name>.json`.
pub fn build(name: &str) {
    let here = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let models = here.join("../../models");
    let sources = Sources {
        model: models.join(format!("{name}.json")),
        overrides: here.join("overrides.json"),
        operations: here.join("operations.txt"),
    };
    // The crate's whole folder: cargo takes a file that is not there, as most overrides are, for one that has changed.
    for path in [sources.model.as_path(), here.as_path()] {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    let text = generate(name, &sources);
    std::fs::write(out.join("api.rs"), text).expect("OUT_DIR can be written");
}

/// Where the parts of an API's description lie.
pub struct Sources {
    /// AWS's description, in the form of botocore's `service-2.json`.
    pub model: PathBuf,
    /// A JSON document merged over it where AWS's wire differs from the description; may be absent.
    pub overrides: PathBuf,
    /// What is served; see [`served`].
    pub operations: PathBuf,
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("cannot read {}: {e}", path.display()))
}

/// Generates the source text of an API crate.
pub fn generate(name: &str, sources: &Sources) -> String {
    let overrides = sources.overrides.exists().then(|| read(&sources.overrides));
    let model = model::Model::parse(&read(&sources.model), overrides.as_deref());
    let served = served::parse(&read(&sources.operations), &model);
    let reached = reach::Reached::from(&model, &served);
    let mut out = String::new();
    types::write(&mut out, &model, &reached);
    schemas::write(&mut out, name, &model, &reached);
    operations::write(&mut out, name, &model, &served);
    out
}

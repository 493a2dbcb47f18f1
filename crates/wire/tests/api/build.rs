//! Each test API is `models/<protocol>.json` over the shapes that all of them share in `models/shapes.json`.

// A build script may say what is wrong and stop.
#![allow(clippy::expect_used)]

use serde_json::Value;
use std::path::{Path, PathBuf};

const PROTOCOLS: [&str; 6] = ["json", "rest_json", "rest_xml", "query", "ec2", "cbor"];

fn read(path: &Path) -> Value {
    println!("cargo::rerun-if-changed={}", path.display());
    let text = std::fs::read_to_string(path).expect("a model can be read");
    serde_json::from_str(&text).expect("a model is JSON")
}

fn main() {
    let models = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("models");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    let shared = read(&models.join("shapes.json"));
    for protocol in PROTOCOLS {
        let mut model = read(&models.join(format!("{protocol}.json")));
        let shapes = model["shapes"].as_object_mut().expect("a model has shapes");
        for (name, shape) in shared.as_object().expect("shapes.json is an object") {
            shapes.entry(name.clone()).or_insert_with(|| shape.clone());
        }
        let operations: Vec<String> =
            model["operations"].as_object().expect("a model has operations").keys().cloned().collect();
        let served: Vec<&String> = operations.iter().filter(|name| !name.starts_with("Unserved")).collect();
        let listing: String = served.iter().map(|name| format!("{name}\n")).collect();
        let sources = cloudlet_model::Sources {
            model: out.join(format!("{protocol}.json")),
            overrides: out.join("none.json"),
            operations: out.join(format!("{protocol}.txt")),
        };
        std::fs::write(&sources.model, model.to_string()).expect("OUT_DIR can be written");
        std::fs::write(&sources.operations, listing).expect("OUT_DIR can be written");
        let text = cloudlet_model::generate(&format!("test_{protocol}"), &sources);
        // An exported macro belongs to the crate, so that two APIs in one crate cannot both have it.
        let text = text.replace("macro_rules! operations", &format!("macro_rules! operations_{protocol}"));
        std::fs::write(out.join(format!("{protocol}.rs")), text).expect("OUT_DIR can be written");
    }
}

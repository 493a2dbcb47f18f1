//! A function written in Rust with AWS's own `lambda_runtime`, as a custom runtime.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use cloudlet_compute::*;
use common::*;

/// Builds the function once; later runs find it built.
fn built() -> Vec<u8> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/rust-function");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rust-function");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--manifest-path"])
        .arg(here.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        // What cargo says to the tests of a workspace is not for another one.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET")
        .status()
        .unwrap();
    assert!(built.success());
    std::fs::read(target.join("debug/rust-function")).unwrap()
}

#[tokio::test]
async fn a_rust_function_runs_as_a_custom_runtime() {
    let program = tokio::task::spawn_blocking(built).await.unwrap();
    for lab in both_labs() {
        let spec = Arc::new(lab.package("provided.al2023", "ignored", &[("bootstrap", &program, 0o755)]));
        let first = lab.call(&spec, r#"{"a": "ü"}"#).await;
        assert_eq!(first.function_error, None, "{} {:?}", text(&first), lab.logs.all());
        let seen = json(&first);
        assert_eq!((&seen["got"]["a"], &seen["function"]), (&"ü".into(), &spec.name.clone().into()));
        assert_eq!((&seen["arn"], &seen["memory"]), (&spec.arn.clone().into(), &128.into()));
        assert!(lab.logs.has("saw {\"a\":\"ü\"}"), "{:?}", lab.logs.all());
        let failed = lab.call(&spec, "\"fail\"").await;
        assert_eq!(failed.function_error, Some(FunctionError::Unhandled));
        assert_eq!(json(&failed)["errorMessage"], "not today");
        assert_eq!(failed.sandbox, first.sandbox);
        let panicked = lab.call(&spec, "\"panic\"").await;
        assert!(text(&panicked).contains("at the disco"), "{}", text(&panicked));
        assert_eq!(json(&lab.call(&spec, "1").await)["got"], 1);
        lab.compute.shutdown().await;
    }
}

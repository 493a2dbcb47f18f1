//! `cargo xtask fuzz`: broken input for every parser that meets outside bytes. The program is `fuzz/`, built as the released
//! one is, because what is slow or deep without optimization tells nothing.

use crate::test::{cargo, run_in, target};
use crate::{Outcome, root};
use std::process::Command;

/// Builds the fuzzer and hands it the arguments.
pub(crate) fn run(args: &[String]) -> Outcome {
    cargo(&["build", "--quiet", "--release", "--package", "fuzz"])?;
    run_in(&root(), Command::new(target().join("release/fuzz")).args(args))
}

//! Which licences come with our dependencies. A crate that asks for more than Apache-2.0 gives stops the build.
//!
//! Advisories are a database fetched from a code host, which a test must not need; run `cargo deny check advisories`
//! where that can be reached.

use crate::{Outcome, root};
use serde_json::Value;
use std::process::Command;

/// Licences that put no demand on users beyond attribution.
const FINE: &[&str] = &[
    "Apache-2.0",
    "MIT",
    "MIT-0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Unicode-3.0",
    "Zlib",
    "0BSD",
    "CC0-1.0",
    "Unlicense",
    "BSL-1.0",
    "Apache-2.0 WITH LLVM-exception",
    "CDLA-Permissive-2.0",
    "bzip2-1.0.6",
    "BlueOak-1.0.0",
];

/// Checks every package that is built into something of ours.
pub(crate) fn run() -> Outcome {
    let out = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root())
        .output()?;
    if !out.status.success() {
        return Err(String::from_utf8_lossy(&out.stderr).into_owned().into());
    }
    let metadata: Value = serde_json::from_slice(&out.stdout)?;
    let packages = metadata["packages"].as_array().ok_or("cargo metadata lists no packages")?;
    let mut bad = Vec::new();
    for package in packages {
        let text = |key: &str| package[key].as_str().unwrap_or_default();
        if !acceptable(text("license")) {
            bad.push(format!("{} {}: '{}'", text("name"), text("version"), text("license")));
        }
    }
    println!("{} packages, licences checked", packages.len());
    if bad.is_empty() { Ok(()) } else { Err(format!("licences to look at: {}", bad.join("; ")).into()) }
}

/// Whether an SPDX expression can be met with fine licences alone: any side of an OR, every side of an AND.
fn acceptable(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    let flat = expression.replace(['(', ')'], "");
    // Without nesting beyond one level, which no dependency has: OR of ANDs or AND of ORs in parentheses.
    if expression.contains('(') && expression.contains(" AND ") {
        let groups = expression.split(" AND ");
        return groups.map(|g| g.replace(['(', ')'], "")).all(|g| g.split(" OR ").any(fine));
    }
    flat.split(" OR ").any(|side| side.split(" AND ").all(fine))
}

fn fine(licence: &str) -> bool {
    FINE.contains(&licence.trim())
}

#[cfg(test)]
mod tests {
    use super::acceptable;

    #[test]
    fn expressions() {
        for yes in [
            "MIT",
            "MIT OR GPL-3.0",
            "MIT/Apache-2.0",
            "(MIT OR GPL-2.0) AND Unicode-3.0",
            "Apache-2.0 AND MIT",
        ] {
            assert!(acceptable(yes), "{yes}");
        }
        for no in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR GPL-2.0) AND AGPL-3.0"] {
            assert!(!acceptable(no), "{no}");
        }
    }
}

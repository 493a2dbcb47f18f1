//! What a bucket policy must be, beyond the grammar of policies: its actions, resources, conditions and principals are
//! S3's. Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3"; what AWS
//! answers to PutBucketPolicy.

use crate::names::account_of;
use crate::state::Bucket;
use cloudlet_access::{Policy, PolicyKind, PrincipalKind, Statement, wildcard_match};
use cloudlet_api_s3 as api;
use cloudlet_service::{Context, Error};
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};
use std::sync::LazyLock;

/// The longest policy in bytes, white space aside. Source: S3 User Guide, "Bucket policies".
const MOST: usize = 20 * 1024;

/// One action of the reference.
#[derive(Deserialize)]
struct Action {
    /// What it is about, such as `bucket*` or `object`.
    resources: BTreeMap<String, serde_json::Value>,
    /// The condition keys that it knows beside the global ones.
    keys: Vec<String>,
}

impl Action {
    fn is_about(&self, kind: &str) -> bool {
        self.resources.keys().any(|name| name.trim_end_matches('*') == kind)
    }
}

#[derive(Deserialize, Default)]
struct Reference {
    actions: BTreeMap<String, Action>,
}

/// AWS's reference of S3's actions, and those that its operations need although the reference does not list them yet.
static REFERENCE: LazyLock<Reference> = LazyLock::new(|| {
    let text = include_str!("../../../models/access/s3.json");
    let mut reference: Reference = serde_json::from_str(text).unwrap_or_else(|error| {
        tracing::error!(%error, "the reference of S3's actions cannot be read");
        Reference::default()
    });
    for rule in api::API.operations.iter().flat_map(|operation| operation.access) {
        let Some(name) = rule.action.strip_prefix("s3:") else { continue };
        if reference.actions.contains_key(name) || !rule.resource.contains("{Key}") {
            continue;
        }
        // An action on objects has a sister on versions.
        let versions = name.replace("Object", "ObjectVersion");
        for (name, like) in [(name.to_owned(), "GetObject"), (versions, "GetObjectVersion")] {
            let keys = reference.actions.get(like).map(|action| action.keys.clone()).unwrap_or_default();
            let resources = BTreeMap::from([("object".to_owned(), serde_json::Value::Null)]);
            reference.actions.insert(name, Action { resources, keys });
        }
    }
    reference
});

/// All condition keys of S3, in lower case and without what varies in their names.
static KEYS: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let own = REFERENCE.actions.values().flat_map(|action| action.keys.iter());
    // Keys that conditions may ask for although the reference lists them with no action.
    let more = ["s3:inventoryaccessibleoptionalfields", "s3:bucketnamespace", "s3:buckettag"];
    own.map(|key| stem(key)).chain(more.map(str::to_owned)).collect()
});

/// A condition key in lower case, without the tag that it may name.
fn stem(key: &str) -> String {
    key.split('/').next().unwrap_or_default().to_ascii_lowercase()
}

/// Checks a policy that the bucket is about to get. Errors: `MalformedPolicy`.
pub(crate) fn check(cx: &Context, bucket: &Bucket, text: &str) -> Result<(), Error> {
    let policy = Policy::parse(text, PolicyKind::Resource).map_err(|why| malformed(why.to_string()))?;
    if text.bytes().filter(|b| !b.is_ascii_whitespace()).count() > MOST {
        return Err(malformed(format!(
            "Normalized policy document exceeds the maximum allowed size of {MOST} bytes"
        )));
    }
    for statement in policy.statements() {
        check_principals(cx, statement)?;
        let actions = actions(statement)?;
        let reach = reach(&bucket.arn(), statement)?;
        if !statement.is_not_action() && !statement.is_not_resource() {
            check_reach(statement, &reach)?;
        }
        check_conditions(statement, &actions)?;
    }
    Ok(())
}

fn malformed(message: impl Into<String>) -> Error {
    Error::sender("MalformedPolicy", message)
}

/// Whoever a policy names must be there. Errors: `MalformedPolicy`.
fn check_principals(cx: &Context, statement: &Statement) -> Result<(), Error> {
    for (kind, name) in statement.principals() {
        let there = match kind {
            PrincipalKind::Aws => cx.cloud.identity()?.principal_exists(name),
            PrincipalKind::CanonicalUser => account_of(name).is_some(),
            _ => true,
        };
        if !there {
            let detail = format!("\"{}\" : \"{name}\"", kind.name());
            return Err(malformed("Invalid principal in policy").with("Detail", detail));
        }
    }
    Ok(())
}

/// The actions of S3 that a pattern means.
fn meant(pattern: &str) -> impl Iterator<Item = &'static Action> {
    let wanted = pattern.to_ascii_lowercase();
    REFERENCE
        .actions
        .iter()
        .filter(move |(name, _)| wildcard_match(&wanted, &format!("s3:{}", name.to_ascii_lowercase())))
        .map(|(_, action)| action)
}

/// The actions that a statement names. Errors: `MalformedPolicy` for one that S3 does not have.
fn actions(statement: &Statement) -> Result<Vec<&'static Action>, Error> {
    let mut all = Vec::new();
    for pattern in statement.actions() {
        let before = all.len();
        all.extend(meant(pattern));
        let ours = pattern == "*" || pattern.to_ascii_lowercase().starts_with("s3:");
        if !ours || (all.len() == before && !REFERENCE.actions.is_empty()) {
            return Err(malformed("Policy has invalid action").with("Detail", pattern.to_owned()));
        }
    }
    Ok(all)
}

/// Whether the resources of a statement mean the bucket, and what is in it.
struct Reach {
    bucket: bool,
    objects: bool,
}

/// Errors: `MalformedPolicy` for a resource that is neither the bucket nor inside it.
fn reach(arn: &str, statement: &Statement) -> Result<Reach, Error> {
    let mut reach = Reach { bucket: false, objects: false };
    for resource in statement.resources() {
        // The name of the bucket is no pattern: what varies may only follow it.
        let rest = resource.strip_prefix(arn);
        let bucket = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('*'));
        let objects = rest.is_some_and(|rest| rest.starts_with(['/', '*', '?']));
        if !bucket && !objects {
            return Err(malformed("Policy has invalid resource").with("Detail", resource.to_owned()));
        }
        reach.bucket |= bucket;
        reach.objects |= objects;
    }
    Ok(reach)
}

/// Every action needs a resource that it can be about. Errors: `MalformedPolicy`.
fn check_reach(statement: &Statement, reach: &Reach) -> Result<(), Error> {
    for pattern in statement.actions() {
        let mut known = meant(pattern).peekable();
        let applies = known.peek().is_none()
            || known.any(|action| {
                (reach.bucket && action.is_about("bucket")) || (reach.objects && action.is_about("object"))
            });
        if !applies {
            return Err(malformed("Action does not apply to any resource(s) in statement"));
        }
    }
    Ok(())
}

/// Conditions must ask for keys that are there, and that the actions can have. Errors: `MalformedPolicy`.
fn check_conditions(statement: &Statement, actions: &[&'static Action]) -> Result<(), Error> {
    for (_, key, _) in statement.conditions() {
        let key = stem(key);
        if !key.starts_with("s3:") {
            // Whose keys these are shows in their prefix: `aws:`, or that of an identity provider.
            if key.contains(':') {
                continue;
            }
            return Err(malformed("Policy has an invalid condition key"));
        }
        if !KEYS.contains(&key) {
            return Err(malformed("Policy has an invalid condition key"));
        }
        let knows = |action: &&&Action| action.keys.iter().any(|known| stem(known) == key);
        let everywhere = key == "s3:buckettag" || key == "s3:inventoryaccessibleoptionalfields";
        if !statement.is_not_action() && !everywhere && !actions.iter().any(|action| knows(&action)) {
            return Err(malformed(
                "Conditions do not apply to combination of actions and resources in statement",
            ));
        }
    }
    Ok(())
}

//! Identity-like policies: no principals, and but for inline ones version 2012-10-17 only.
//!
//! The checks run one after the other over the whole document, in the order in which IAM reports them: syntax,
//! version, "legacy parsing", statement ids, actions, resources, then the forms of resources and actions.

use super::{
    Draft, DraftDocument, conditions, dates_are_valid, fault, read_object, repeated_sid, statement_list,
    strings,
};
use crate::document::Version;
use crate::error::{Fault, PolicyError};
use crate::json::{Json, Node};

const SYNTAX: &str = "Syntax errors in policy.";
const VERSION: &str = "Policy document must be version 2012-10-17 or greater.";
const LEGACY: &str = "The policy failed legacy parsing";
const UNIQUE_SID: &str = "Statement IDs (SID) in a single policy must be unique.";
const SID_FORM: &str = "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*";
const PRINCIPAL: &str = "Policy document should not specify a principal.";
const ACTIONS: &str = "Policy statement must contain actions.";
const RESOURCES: &str = "Policy statement must contain resources.";
const VENDOR_MISSING: &str = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.";
const ONE_COLON: &str = "Actions/Condition can contain only one colon.";
const RESOURCE_VENDOR: &str = "Resource vendor must be fully qualified and cannot contain regexes.";

/// What an IAM resource may begin with, as the message lists it. AWS's own policies name role templates as well.
const IAM_PATHS: [&str; 13] = [
    "user/",
    "federated-user/",
    "role/",
    "group/",
    "instance-profile/",
    "mfa/",
    "server-certificate/",
    "policy/",
    "sms-mfa/",
    "saml-provider/",
    "oidc-provider/",
    "report/",
    "access-report/",
];

const PARTITIONS: [&str; 8] =
    ["aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc"];

/// A statement as far as syntax goes; absent and empty lists are still told apart.
struct Rough {
    effect: String,
    draft: Draft,
    has_action: bool,
}

pub(super) fn check(text: &str, old: bool) -> Result<DraftDocument, PolicyError> {
    let Some(members) = read_object(text) else { return fault(Fault::Json, SYNTAX) };
    let Some(rough) = document(members)? else { return fault(Fault::Syntax, SYNTAX) };
    let (version, id, statements) = rough;
    let version = match version.as_deref() {
        Some("2012-10-17") => Version::V2012,
        _ if old => Version::V2008,
        _ => return fault(Fault::Version, VERSION),
    };
    for statement in &statements {
        if !matches!(statement.effect.as_str(), "Allow" | "Deny")
            || !dates_are_valid(&statement.draft.conditions)
        {
            return fault(Fault::Syntax, LEGACY);
        }
    }
    let wrong_resource = check_resources(&statements)?;
    let has_action: Vec<bool> = statements.iter().map(|statement| statement.has_action).collect();
    let statements: Vec<Draft> = statements.into_iter().map(|statement| statement.draft).collect();
    if repeated_sid(&statements) {
        return fault(Fault::Sid, UNIQUE_SID);
    }
    let alphanumeric = |sid: &String| sid.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !statements.iter().filter_map(|statement| statement.sid.as_ref()).all(alphanumeric) {
        return fault(Fault::Sid, SID_FORM);
    }
    if has_action.contains(&false) || statements.iter().any(|statement| statement.actions.1.is_empty()) {
        return fault(Fault::Action, ACTIONS);
    }
    let bad_action =
        statements.iter().flat_map(|statement| &statement.actions.1).find_map(|action| bad_action(action));
    let without_resource =
        |statement: &Draft| statement.resources.as_ref().is_none_or(|(_, resources)| resources.is_empty());
    if statements.iter().any(without_resource) {
        // IAM complains of the action first where the resource is missing, and last where it is malformed.
        return match bad_action {
            Some(message) => fault(Fault::Action, message),
            None => fault(Fault::Resource, RESOURCES),
        };
    }
    match (wrong_resource, bad_action) {
        (Some(message), _) => fault(Fault::Resource, message),
        (None, Some(message)) => fault(Fault::Action, message),
        (None, None) => Ok(DraftDocument { version, id, statements }),
    }
}

type RoughDocument = (Option<String>, Option<String>, Vec<Rough>);

/// Reads the syntax; `Ok(None)` if it is wrong.
fn document(members: Vec<(String, Node)>) -> Result<Option<RoughDocument>, PolicyError> {
    let (mut version, mut id, mut list) = (None, None, None);
    for (name, node) in members {
        match (name.as_str(), node.value) {
            ("Version", Json::String(text)) if matches!(text.as_str(), "2008-10-17" | "2012-10-17") => {
                version = Some(text);
            }
            ("Id", Json::String(text)) => id = Some(text),
            ("Statement", value) => list = statement_list(Node { value, span: node.span }),
            _ => return Ok(None),
        }
    }
    let Some(list) = list.filter(|list| !list.is_empty()) else { return Ok(None) };
    let mut statements = Vec::with_capacity(list.len());
    for node in list {
        match statement(node)? {
            Some(rough) => statements.push(rough),
            None => return Ok(None),
        }
    }
    Ok(Some((version, id, statements)))
}

fn statement(node: Node) -> Result<Option<Rough>, PolicyError> {
    let span = node.span;
    let Json::Object(members) = node.value else { return Ok(None) };
    let mut effect = None;
    let mut has_action = false;
    let mut draft = Draft {
        sid: None,
        allow: false,
        principal: None,
        actions: (false, Vec::new()),
        resources: None,
        conditions: Vec::new(),
        span,
    };
    for (name, node) in members {
        match name.as_str() {
            "Sid" => match node.value {
                Json::String(text) => draft.sid = Some(text),
                _ => return Ok(None),
            },
            "Effect" => match node.value {
                Json::String(text)
                    if text.eq_ignore_ascii_case("Allow") || text.eq_ignore_ascii_case("Deny") =>
                {
                    effect = Some(text);
                }
                _ => return Ok(None),
            },
            "Action" | "NotAction" => {
                let Some(actions) = strings(node) else { return Ok(None) };
                if std::mem::replace(&mut has_action, true) {
                    return Ok(None);
                }
                draft.actions = (name == "NotAction", actions);
            }
            "Resource" | "NotResource" => {
                let Some(resources) = strings(node) else { return Ok(None) };
                if draft.resources.replace((name == "NotResource", resources)).is_some() {
                    return Ok(None);
                }
            }
            "Condition" => match conditions(node) {
                Ok(conditions) => draft.conditions = conditions,
                Err(_) => return Ok(None),
            },
            "Principal" | "NotPrincipal" => return fault(Fault::Principal, PRINCIPAL),
            _ => return Ok(None),
        }
    }
    let Some(effect) = effect else { return Ok(None) };
    draft.allow = effect == "Allow";
    Ok(Some(Rough { effect, draft, has_action }))
}

/// Looks at the form of every resource. What the old parser cannot read is an error at once; other faults are
/// handed back, since faults of other elements come before them.
fn check_resources(statements: &[Rough]) -> Result<Option<String>, PolicyError> {
    let mut wrong = None;
    for statement in statements {
        let Some((_, resources)) = &statement.draft.resources else { continue };
        let mut sorted: Vec<&String> = resources.iter().collect();
        sorted.sort();
        if let Some(message) = sorted.into_iter().find_map(|resource| bad_resource(resource)) {
            wrong = Some(message);
        }
        if wrong.is_none() && !resources.iter().all(|resource| legacy_resource(resource)) {
            return fault(Fault::Resource, LEGACY);
        }
    }
    Ok(wrong)
}

/// Whether IAM's old parser reads this resource: a shortened ARN must not have empty parts.
fn legacy_resource(resource: &str) -> bool {
    if resource == "*" {
        return true;
    }
    let colons = resource.bytes().filter(|byte| *byte == b':').count();
    (colons >= 5 || !resource.contains("::"))
        && resource.split(':').nth(2).is_some_and(|vendor| !vendor.is_empty())
}

fn bad_resource(resource: &str) -> Option<String> {
    if resource == "*" {
        return None;
    }
    let parts: Vec<&str> = resource.splitn(6, ':').collect();
    if parts.len() < 2 {
        return Some(format!("Resource {resource} must be in ARN format or \"*\"."));
    }
    let partition = parts[1];
    if !PARTITIONS.contains(&partition) && partition != "*" && !partition.contains("${") {
        let part = |index: usize| match parts.get(index) {
            Some(text) if !text.is_empty() || parts.len() > 3 => *text,
            _ => "*",
        };
        return Some(format!(
            "Partition \"{partition}\" is not valid for resource \"arn:{partition}:{}:{}:{}:{}\".",
            part(2),
            part(3),
            part(4),
            part(5),
        ));
    }
    let Some(vendor) = parts.get(2) else { return Some(RESOURCE_VENDOR.to_owned()) };
    if vendor.contains(['*', '?']) {
        return Some(RESOURCE_VENDOR.to_owned());
    }
    let region = parts.get(3).copied().unwrap_or_default();
    let account = parts.get(4).copied().unwrap_or_default();
    match *vendor {
        "iam" => {
            if !region.is_empty() {
                return Some(format!("IAM resource {resource} cannot contain region information."));
            }
            let path = parts.get(5).copied().unwrap_or("*");
            let known = path == "root"
                || path.starts_with("role-template/")
                || path.starts_with('*')
                || path.starts_with("${")
                || IAM_PATHS.iter().any(|at| path.starts_with(at));
            (!known).then(|| {
                format!("IAM resource path must either be \"*\" or start with {}.", IAM_PATHS.join(", "))
            })
        }
        // Access points have a region, and an account with it; buckets and objects have neither.
        "s3" if !region.is_empty() && account.is_empty() && parts.len() == 6 => {
            Some(format!("Resource {resource} can not contain region information."))
        }
        _ => None,
    }
}

fn bad_action(action: &str) -> Option<String> {
    if action == "*" {
        return None;
    }
    let Some((vendor, name)) = action.split_once(':') else { return Some(VENDOR_MISSING.to_owned()) };
    if name.contains(':') {
        return Some(ONE_COLON.to_owned());
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    if vendor != "*" && (vendor.is_empty() || !vendor.bytes().all(plain)) {
        return Some(format!("Vendor {vendor} is not valid"));
    }
    None
}

//! Policies that name principals: resource policies and the trust policies of roles.

use super::{
    BadCondition, Draft, DraftDocument, conditions, dates_are_valid, fault, read_object, repeated_sid,
    statement_list, strings,
};
use crate::document::{PolicyKind, Version};
use crate::error::{Fault, PolicyError};
use crate::json::{Json, Node};
use crate::principal::{PrincipalKind, root_account};

const JSON: &str = "This policy contains invalid Json";
const FIRST_BYTE: &str = "Policies must be valid JSON and the first byte must be '{'";
const SYNTAX: &str = "Syntax errors in policy.";
const VERSION: &str = "The policy must contain a valid version string";
const UNIQUE_SID: &str = "The Statement Ids in the policy are not unique";
const EMPTY: &str = "Could not parse the policy: Statement is empty!";

pub(super) fn check(text: &str, kind: PolicyKind) -> Result<DraftDocument, PolicyError> {
    if kind == PolicyKind::Resource && !text.starts_with('{') {
        return fault(Fault::Json, FIRST_BYTE);
    }
    let Some(members) = read_object(text) else { return fault(Fault::Json, JSON) };
    let (mut version, mut id, mut list) = (Version::V2008, None, None);
    for (name, node) in members {
        match (name.as_str(), node.value) {
            ("Version", Json::String(text)) if text == "2012-10-17" => version = Version::V2012,
            ("Version", Json::String(text)) if text == "2008-10-17" => version = Version::V2008,
            ("Version", _) => return fault(Fault::Version, VERSION),
            ("Id", Json::String(text)) => id = Some(text),
            ("Id", _) => return fault(Fault::Syntax, SYNTAX),
            ("Statement", value) => match statement_list(Node { value, span: node.span }) {
                Some(statements) => list = Some(statements),
                None => return fault(Fault::Statement, SYNTAX),
            },
            _ => return fault(Fault::Syntax, format!("Unknown field {name}")),
        }
    }
    let Some(list) = list else { return fault(Fault::Statement, "Missing required field Statement") };
    if list.is_empty() {
        return fault(Fault::Statement, EMPTY);
    }
    let statements: Vec<Draft> =
        list.into_iter().map(|node| statement(node, kind)).collect::<Result<_, _>>()?;
    if repeated_sid(&statements) {
        return fault(Fault::Sid, UNIQUE_SID);
    }
    Ok(DraftDocument { version, id, statements })
}

fn statement(node: Node, kind: PolicyKind) -> Result<Draft, PolicyError> {
    let trust = kind == PolicyKind::Trust;
    let span = node.span;
    let Json::Object(members) = node.value else { return fault(Fault::Statement, SYNTAX) };
    let mut sid = None;
    let mut effect = None;
    let mut principal: Option<(bool, Node)> = None;
    let mut actions: Option<(bool, Vec<String>)> = None;
    let mut resources: Option<(bool, Vec<String>)> = None;
    let mut condition = Vec::new();
    for (name, node) in members {
        match name.as_str() {
            "Sid" => match node.value {
                Json::String(text) => sid = Some(text),
                _ => return fault(Fault::Sid, SYNTAX),
            },
            "Effect" => match node.value {
                Json::String(text) => effect = Some(text),
                _ => return fault(Fault::Effect, SYNTAX),
            },
            "Principal" | "NotPrincipal" => {
                if principal.replace((name == "NotPrincipal", node)).is_some() {
                    return fault(Fault::Principal, SYNTAX);
                }
            }
            "Action" | "NotAction" => {
                let Some(values) = strings(node) else { return fault(Fault::Action, SYNTAX) };
                if actions.replace((name == "NotAction", values)).is_some() {
                    return fault(Fault::Action, SYNTAX);
                }
            }
            "Resource" if trust => return fault(Fault::Resource, "Has prohibited field Resource"),
            "NotResource" if trust => return fault(Fault::Resource, "Has prohibited field NotResource"),
            "Resource" | "NotResource" => {
                let Some(values) = strings(node) else { return fault(Fault::Resource, SYNTAX) };
                if resources.replace((name == "NotResource", values)).is_some() {
                    return fault(Fault::Resource, SYNTAX);
                }
            }
            "Condition" => match conditions(node) {
                Ok(conditions) => condition = conditions,
                Err(BadCondition::Operator(name)) if !trust => {
                    return fault(Fault::Condition, format!("Invalid Condition type : {name}"));
                }
                Err(_) => return fault(Fault::Condition, SYNTAX),
            },
            _ => return fault(Fault::Syntax, format!("Unknown field {name}")),
        }
    }
    let allow = match effect.as_deref() {
        Some("Allow") => true,
        Some("Deny") => false,
        Some(other) => return fault(Fault::Effect, format!("Invalid effect: {other}")),
        None => return fault(Fault::Effect, "Missing required field Effect"),
    };
    let principal = read_principal(principal, allow, kind)?;
    let actions = read_actions(actions, trust)?;
    check_resources(resources.as_ref(), kind)?;
    if !dates_are_valid(&condition) {
        return fault(Fault::Condition, SYNTAX);
    }
    Ok(Draft { sid, allow, principal: Some(principal), actions, resources, conditions: condition, span })
}

type Principals = (bool, Vec<(PrincipalKind, String)>);

fn read_principal(
    found: Option<(bool, Node)>,
    allow: bool,
    kind: PolicyKind,
) -> Result<Principals, PolicyError> {
    let trust = kind == PolicyKind::Trust;
    let Some((negated, node)) = found else {
        return fault(Fault::Principal, "Missing required field Principal");
    };
    if negated && allow {
        return fault(Fault::Principal, "Allow with NotPrincipal is not allowed.");
    }
    if negated && trust {
        return fault(Fault::Principal, "AssumeRole policy must not contain NotPrincipal field.");
    }
    let members = match node.value {
        Json::String(_) if trust => return fault(Fault::Principal, "Principal must be a JSON object."),
        Json::String(text) if text == "*" => return Ok((negated, vec![(PrincipalKind::Everyone, text)])),
        Json::String(_) => return fault(Fault::Principal, "Invalid principal in policy"),
        Json::Object(members) => members,
        _ => return fault(Fault::Principal, SYNTAX),
    };
    let mut entries = Vec::new();
    for (name, node) in members {
        let member = match name.as_str() {
            "AWS" => PrincipalKind::Aws,
            "Service" => PrincipalKind::Service,
            "Federated" => PrincipalKind::Federated,
            "CanonicalUser" if !trust => PrincipalKind::CanonicalUser,
            _ => return fault(Fault::Principal, invalid_principal(trust, &name, None)),
        };
        let Some(values) = strings(node) else { return fault(Fault::Principal, SYNTAX) };
        for value in values {
            if !plausible(member, &value) {
                return fault(Fault::Principal, invalid_principal(trust, &name, Some(&value)));
            }
            entries.push((member, value));
        }
    }
    if entries.is_empty() {
        return fault(Fault::Principal, "Missing required field Principal cannot be empty!");
    }
    Ok((negated, entries))
}

/// IAM names the culprit, S3 does not.
fn invalid_principal(trust: bool, member: &str, value: Option<&str>) -> String {
    match (trust, value) {
        (false, _) => "Invalid principal in policy".to_owned(),
        (true, None) => format!("Invalid principal in policy: \"{member}\""),
        (true, Some(value)) if member == "Service" => {
            format!("Invalid principal in policy: \"SERVICE\":\"{value}\"")
        }
        (true, Some(value)) => format!("Invalid principal in policy: \"{member}\":\"{value}\""),
    }
}

/// Whether a principal can exist by its form; whether it does exist is for IAM to look up.
fn plausible(kind: PrincipalKind, value: &str) -> bool {
    let no_space = !value.is_empty() && !value.contains(char::is_whitespace);
    match kind {
        PrincipalKind::Everyone => true,
        PrincipalKind::Aws if value == "*" || root_account(value).is_some() => true,
        PrincipalKind::Aws => match value.strip_prefix("arn:") {
            Some(arn) => no_space && plausible_arn(arn),
            // The unique id that stands in for a user or role that was deleted.
            None => value.len() >= 16 && value.starts_with('A') && value.bytes().all(unique_id_byte),
        },
        PrincipalKind::Service => value.contains('.') && value.bytes().all(host_byte),
        PrincipalKind::Federated => no_space && !value.contains('*'),
        PrincipalKind::CanonicalUser => {
            (64..=128).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_hexdigit())
        }
    }
}

fn unique_id_byte(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

fn host_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-')
}

/// `partition:iam::account:user/…` and its like; no wildcard may stand for part of a name.
fn plausible_arn(rest: &str) -> bool {
    let parts: Vec<&str> = rest.splitn(5, ':').collect();
    let [partition, service, "", account, resource] = parts.as_slice() else { return false };
    let prefixes: &[&str] = match *service {
        "iam" => &["user/", "role/"],
        "sts" => &["assumed-role/", "federated-user/"],
        _ => return false,
    };
    let account_is_known =
        *account == "cloudfront" || (account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()));
    !partition.is_empty()
        && account_is_known
        && !resource.contains(['*', '?'])
        && prefixes.iter().any(|prefix| resource.len() > prefix.len() && resource.starts_with(prefix))
}

fn read_actions(found: Option<(bool, Vec<String>)>, trust: bool) -> Result<(bool, Vec<String>), PolicyError> {
    let Some((negated, actions)) = found.filter(|(_, actions)| !actions.is_empty()) else {
        return fault(Fault::Action, "Missing required field Action");
    };
    for action in &actions {
        let lower = action.to_ascii_lowercase();
        if trust && !lower.starts_with("sts:") {
            return fault(Fault::Action, "AssumeRole policy may only specify STS AssumeRole actions.");
        }
        let well_formed = match lower.split_once(':') {
            Some((vendor, name)) => {
                !vendor.is_empty() && !name.contains(':') && !lower.contains(char::is_whitespace)
            }
            None => lower == "*",
        };
        if !well_formed {
            return fault(Fault::Action, "Policy has invalid action");
        }
    }
    Ok((negated, actions))
}

fn check_resources(resources: Option<&(bool, Vec<String>)>, kind: PolicyKind) -> Result<(), PolicyError> {
    let Some((_, resources)) = resources.filter(|(_, resources)| !resources.is_empty()) else {
        return match kind {
            PolicyKind::Trust | PolicyKind::ResourceImplied => Ok(()),
            _ => fault(Fault::Resource, "Missing required field Resource"),
        };
    };
    // Some services name resources by a path of their own here (API Gateway: `execute-api:/stage/GET/path`).
    let plausible = |text: &String| text == "*" || text.contains(':') || kind == PolicyKind::ResourceImplied;
    if resources.iter().all(plausible) {
        Ok(())
    } else {
        fault(Fault::Resource, "Policy has invalid resource")
    }
}

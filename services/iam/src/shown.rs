//! Records as the API shows them, pages of them, and the texts that go both ways.

use crate::errors;
use crate::state::InstanceProfile;
use cloudlet_api_iam as api;
use cloudlet_identity::records::{Group, LastUse, ManagedPolicy, Role, Tag, User};
use cloudlet_service::Error;
use cloudlet_service::pages::{self, Page};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but what RFC 3986 calls unreserved.
const ESCAPED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A policy document as IAM returns it: URL-encoded after RFC 3986.
pub(crate) fn document(text: &str) -> String {
    utf8_percent_encode(text, &ESCAPED).to_string()
}

pub(crate) fn date(millis: i64) -> Option<api::DateTime> {
    // IAM's dates have whole seconds.
    Some(api::DateTime::from_secs(millis.div_euclid(1000)))
}

pub(crate) fn tags(tags: &[Tag]) -> Vec<api::Tag> {
    tags.iter()
        .map(|tag| api::Tag { key: tag.key.clone(), value: tag.value.clone(), ..Default::default() })
        .collect()
}

/// Tags where there are any: entities without answer without the element.
pub(crate) fn some_tags(from: &[Tag]) -> Option<Vec<api::Tag>> {
    (!from.is_empty()).then(|| tags(from))
}

fn boundary(arn: Option<&String>) -> Option<api::AttachedPermissionsBoundary> {
    arn.map(|arn| api::AttachedPermissionsBoundary {
        permissions_boundary_type: Some("Policy".to_owned()),
        permissions_boundary_arn: Some(arn.clone()),
    })
}

/// A role as listings show it: without tags, boundary and last use.
pub(crate) fn role_listed(role: &Role) -> api::Role {
    api::Role {
        path: role.path.clone(),
        role_name: role.name.clone(),
        role_id: role.id.clone(),
        arn: role.arn(),
        create_date: date(role.created),
        assume_role_policy_document: Some(document(&role.trust)),
        description: role.description.clone(),
        max_session_duration: Some(role.max_session),
        ..Default::default()
    }
}

/// A role as the answer to its creation, and instance profiles, show it: without description and limit.
pub(crate) fn role_created(own: &Role) -> api::Role {
    api::Role { description: None, max_session_duration: None, role_last_used: None, ..role(own, None) }
}

/// A role in full.
pub(crate) fn role(role: &Role, used: Option<&LastUse>) -> api::Role {
    api::Role {
        permissions_boundary: boundary(role.permissions.boundary.as_ref()),
        tags: some_tags(&role.tags),
        role_last_used: Some(api::RoleLastUsed {
            last_used_date: used.and_then(|used| date(used.at)),
            region: used.map(|used| used.region.clone()),
        }),
        ..role_listed(role)
    }
}

/// A user as listings show it: without tags and boundary.
pub(crate) fn user_listed(user: &User) -> api::User {
    api::User {
        path: Some(user.path.clone()),
        user_name: Some(user.name.clone()),
        user_id: user.id.clone(),
        arn: user.arn(),
        create_date: date(user.created),
        ..Default::default()
    }
}

/// A user in full.
pub(crate) fn user(user: &User) -> api::User {
    api::User {
        permissions_boundary: boundary(user.permissions.boundary.as_ref()),
        tags: some_tags(&user.tags),
        ..user_listed(user)
    }
}

pub(crate) fn group(group: &Group) -> api::Group {
    api::Group {
        path: group.path.clone(),
        group_name: group.name.clone(),
        group_id: group.id.clone(),
        arn: group.arn(),
        create_date: date(group.created),
    }
}

/// A managed policy; how many entities it is attached to and bounds is counted by the caller.
pub(crate) fn policy(policy: &ManagedPolicy, (attached, bounding): (i32, i32)) -> api::Policy {
    api::Policy {
        policy_name: Some(policy.name.clone()),
        policy_id: Some(policy.id.clone()),
        arn: Some(policy.arn()),
        path: Some(policy.path.clone()),
        default_version_id: Some(format!("v{}", policy.default_version)),
        attachment_count: Some(attached),
        permissions_boundary_usage_count: Some(bounding),
        is_attachable: Some(true),
        description: None,
        create_date: date(policy.created),
        update_date: date(policy.updated),
        tags: None,
    }
}

pub(crate) fn instance_profile(profile: &InstanceProfile, role: Option<&Role>) -> api::InstanceProfile {
    api::InstanceProfile {
        path: profile.path.clone(),
        instance_profile_name: profile.name.clone(),
        instance_profile_id: profile.id.clone(),
        arn: profile.arn(),
        create_date: date(profile.created),
        roles: role
            .map(|role| api::Role { description: None, max_session_duration: None, ..role_listed(role) })
            .into_iter()
            .collect(),
        tags: some_tags(&profile.tags),
    }
}

/// One page of a sorted list: IAM's `Marker` and `MaxItems`, 100 where none is given.
pub(crate) fn page<T>(
    items: impl IntoIterator<Item = T>,
    marker: Option<&str>,
    max_items: Option<i32>,
    key: impl Fn(&T) -> String,
) -> Result<Page<T>, Error> {
    let limit = max_items.and_then(|n| usize::try_from(n).ok()).unwrap_or(100).clamp(1, 1000);
    let invalid = || errors::validation("Invalid Marker");
    // A marker is good for lists of what it was given for: one of users does not continue a list of roles.
    let kind = format!("{}\0", std::any::type_name::<T>());
    if let Some(marker) = marker {
        pages::position(marker).filter(|at| at.starts_with(kind.as_bytes())).ok_or_else(invalid)?;
    }
    // Lists come in the order of their keys, which are names in lower case.
    let key = |item: &T| format!("{kind}{}", key(item).to_ascii_lowercase()).into_bytes();
    pages::page(items.into_iter(), limit, marker, key, invalid)
}

/// The path of a new entity.
///
/// Errors: `ValidationError` in IAM's words for paths.
pub(crate) fn path(given: Option<String>) -> Result<String, Error> {
    let path = given.unwrap_or_else(|| "/".to_owned());
    if path.starts_with('/') && path.ends_with('/') && !path.contains("//") {
        return Ok(path);
    }
    Err(errors::bad_path("path"))
}

/// Tags as given, checked.
///
/// Errors: `InvalidInput`, `LimitExceeded`.
pub(crate) fn given_tags(given: Option<Vec<api::Tag>>) -> Result<Vec<Tag>, Error> {
    let mut tags = Vec::new();
    for tag in given.into_iter().flatten() {
        if tags.iter().any(|t: &Tag| t.key.eq_ignore_ascii_case(&tag.key)) {
            return Err(errors::bad_input(
                "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
            ));
        }
        if tag.key.to_ascii_lowercase().starts_with("aws:") {
            return Err(errors::bad_input("aws: prefixed tag key names are not allowed for external use."));
        }
        tags.push(Tag { key: tag.key, value: tag.value });
    }
    merge_tags(&mut Vec::new(), &tags)?;
    Ok(tags)
}

/// Adds tags to those that are there: an equal key is replaced.
pub(crate) fn merge_tags(tags: &mut Vec<Tag>, new: &[Tag]) -> Result<(), Error> {
    for tag in new {
        match tags.iter_mut().find(|t| t.key.eq_ignore_ascii_case(&tag.key)) {
            Some(known) => known.clone_from(tag),
            None => tags.push(tag.clone()),
        }
    }
    if tags.len() > 50 {
        return Err(api::LimitExceededException::error("The number of tags has reached the maximum limit."));
    }
    Ok(())
}

/// Takes tags away; keys that are not there are nothing to complain about.
pub(crate) fn remove_tags(tags: &mut Vec<Tag>, keys: &[String]) {
    tags.retain(|tag| !keys.iter().any(|key| tag.key.eq_ignore_ascii_case(key)));
}

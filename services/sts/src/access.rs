//! What operations need beyond their templates: the condition keys of tokens and of root users' sessions.
//!
//! Source: Service Authorization Reference, "Actions, resources, and condition keys for AWS Security Token Service".

use crate::errors;
use crate::operations::root;
use cloudlet_api_sts as api;
use cloudlet_service::api::{Access, Operation, default_access};
use cloudlet_service::shape::Structure;
use cloudlet_service::{Context, Error, Principal};

/// The accesses of an operation.
pub(crate) fn needed(
    op: &'static Operation,
    cx: &Context,
    input: &dyn Structure,
) -> Result<Vec<Access>, Error> {
    let any = input.as_any();
    if let Some(input) = any.downcast_ref::<api::AssumeRootInput>() {
        let account = root::target(&input.target_principal)?;
        let mut access = Access::new("sts:AssumeRoot", format!("arn:aws:iam::{account}:root"));
        access.keys.extend(input.task_policy_arn.arn.clone().map(|arn| key("sts:TaskPolicyArn", arn)));
        access.keys.push(key("aws:ResourceAccount", account));
        return Ok(vec![access]);
    }
    let mut needed = default_access(op, cx, input);
    if let Some(input) = any.downcast_ref::<api::GetWebIdentityTokenInput>() {
        let mut keys = vec![
            ("sts:IdentityTokenAudience".to_owned(), input.audience.clone()),
            key("sts:SigningAlgorithm", input.signing_algorithm.clone()),
            key("sts:DurationSeconds", input.duration_seconds.unwrap_or(300).to_string()),
        ];
        keys.extend(tagged(input.tags.as_deref()));
        // Tags in a token need a permission of their own.
        if input.tags.as_ref().is_some_and(|tags| !tags.is_empty()) {
            needed.push(Access::new("sts:TagGetWebIdentityToken", "*"));
        }
        needed.iter_mut().for_each(|access| access.keys.extend(keys.iter().cloned()));
    }
    if let Some(input) = any.downcast_ref::<api::GetFederationTokenInput>() {
        // What its policies say does not matter then.
        if matches!(cx.principal, Principal::AssumedRole { .. } | Principal::Federated { .. }) {
            return Err(errors::denied("Cannot call GetFederationToken with session credentials"));
        }
        let keys: Vec<_> = tagged(input.tags.as_deref()).collect();
        if !keys.is_empty() {
            let resource = needed.first().map(|access| access.resource.clone()).unwrap_or_default();
            needed.push(Access::new("sts:TagSession", resource));
        }
        needed.iter_mut().for_each(|access| access.keys.extend(keys.iter().cloned()));
    }
    Ok(needed)
}

fn key(name: &str, value: String) -> (String, Vec<String>) {
    (name.to_owned(), vec![value])
}

/// `aws:TagKeys` and `aws:RequestTag/…`.
fn tagged(tags: Option<&[api::Tag]>) -> impl Iterator<Item = (String, Vec<String>)> {
    let tags = tags.unwrap_or_default();
    let keys = ("aws:TagKeys".to_owned(), tags.iter().map(|tag| tag.key.clone()).collect::<Vec<_>>());
    let each = tags.iter().map(|tag| (format!("aws:RequestTag/{}", tag.key), vec![tag.value.clone()]));
    (!tags.is_empty()).then_some(keys).into_iter().chain(each)
}

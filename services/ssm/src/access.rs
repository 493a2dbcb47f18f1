//! What decides whether a caller may: the parameters' ARNs, their tags, and the service's condition keys.
//!
//! Source: Service Authorization Reference, "Actions, resources, and condition keys for AWS Systems Manager".

use crate::Ssm;
use crate::names::Named;
use crate::{public, state};
use cloudlet_api_ssm::*;
use cloudlet_service::api::{Access, Operation, default_access};
use cloudlet_service::rules::text_member;
use cloudlet_service::{ConditionKeys, Structure, condition_keys};

impl Ssm {
    pub(crate) fn needed(&self, op: &'static Operation, cx: &Context, input: &dyn Structure) -> Vec<Access> {
        let any = input.as_any();
        let action = op.access.first().map_or("", |rule| rule.action);
        let names: Vec<String> = if let Some(input) = any.downcast_ref::<GetParametersInput>() {
            input.names.clone()
        } else if let Some(input) = any.downcast_ref::<DeleteParametersInput>() {
            input.names.clone()
        } else {
            let name = ["Name", "Path", "ResourceId", "ResourceArn"]
                .into_iter()
                .find_map(|member| text_member(input, member));
            match name {
                Some(name) => vec![name],
                None => return default_access(op, cx, input),
            }
        };
        let mut all: Vec<Access> = names.iter().map(|name| self.on(cx, action, name, input)).collect();
        // Tags on a new parameter need the permission to tag.
        let put = any.downcast_ref::<PutParameterInput>();
        if put.and_then(|put| put.tags.as_ref()).is_some_and(|tags| !tags.is_empty()) {
            let tagging = all.first().map(|put| put.also("ssm:AddTagsToResource"));
            all.extend(tagging);
        }
        all
    }

    fn on(&self, cx: &Context, action: &'static str, name: &str, input: &dyn Structure) -> Access {
        let named = Named::read(cx, name).unwrap_or_else(|_| Named {
            account: cx.account.to_string(),
            region: cx.region.to_string(),
            name: name.to_owned(),
            selector: None,
        });
        let account = if public::is_public(&named.name) { "" } else { &named.account };
        let arn = state::arn(cx.partition(), &named.region, account, &named.name);
        let mut access = Access::new(action, arn);
        if !public::is_public(&named.name) {
            access.resource_account = Some(named.account.clone());
        }
        if let Ok((_, parameter)) = self.look_up(cx, name) {
            access.resource_policy = parameter.resource_policy();
            condition_keys::resource_tags(&mut access.keys, Some("ssm:resourceTag"), &parameter.tags);
        }
        requested(input, &mut access.keys);
        access
    }
}

/// The condition keys that copy what the request asks for.
fn requested(input: &dyn Structure, keys: &mut ConditionKeys) {
    let any = input.as_any();
    let mut set = |key: &str, values: Vec<String>| keys.push((key.to_owned(), values));
    let tags: &[Tag] = if let Some(input) = any.downcast_ref::<PutParameterInput>() {
        set("ssm:Overwrite", vec![input.overwrite.unwrap_or(false).to_string()]);
        if let Some(policies) = &input.policies {
            set("ssm:Policies", vec![policies.clone()]);
        }
        input.tags.as_deref().unwrap_or_default()
    } else if let Some(input) = any.downcast_ref::<AddTagsToResourceInput>() {
        &input.tags
    } else if let Some(input) = any.downcast_ref::<RemoveTagsFromResourceInput>() {
        condition_keys::removed_tags(keys, &input.tag_keys);
        &[]
    } else if let Some(input) = any.downcast_ref::<GetParametersByPathInput>() {
        set("ssm:Recursive", vec![input.recursive.unwrap_or(false).to_string()]);
        &[]
    } else {
        &[]
    };
    condition_keys::requested_tags(keys, tags.iter().map(|tag| (&tag.key, &tag.value)));
}

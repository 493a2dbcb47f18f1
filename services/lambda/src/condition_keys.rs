//! What conditions of policies can ask about a call: the function a mapping or an URL belongs to, layers, networks, the
//! principal of a permission, tags.
//! Source: Service Authorization Reference, "Condition keys for AWS Lambda".

use crate::Lambda;
use crate::mappings::Mapping;
use crate::names::Named;
use crate::operations::tags::Tagged;
use cloudlet_api_lambda as api;
use cloudlet_service::rules::text_member;
use cloudlet_service::{ConditionKeys, Context, Operation, Structure, condition_keys};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Lambda {
    /// The condition keys of an operation. What is not there has none: the operation itself says that it is missing.
    pub(crate) fn keys_of(&self, op: &Operation, cx: &Context, input: &dyn Structure) -> ConditionKeys {
        let mut keys = of_input(input);
        if let Some(tags) = self.tags_of_resource(cx, input) {
            condition_keys::resource_tags(&mut keys, None, &tags);
        }
        let mut key = |name: &str, value: String| keys.push((format!("lambda:{name}"), vec![value]));
        if op.name.contains("EventSourceMapping") || op.name.contains("FunctionUrlConfig") {
            let function = text_member(input, "FunctionName");
            let named = function.and_then(|function| Named::read(cx, &function, None).ok());
            let mapping = self.mapping_named(cx, input).map(|mapping| mapping.function.clone());
            if let Some(arn) = mapping.or_else(|| named.map(|named| named.qualified_arn())) {
                key("FunctionArn", arn);
            }
        }
        let auth = text_member(input, "AuthType").or_else(|| text_member(input, "FunctionUrlAuthType"));
        if let Some(auth) = auth.or_else(|| self.auth_of_url(op, cx, input)) {
            key("FunctionUrlAuthType", auth);
        }
        keys
    }

    /// The tags of the function, mapping or code signing configuration that a call is about.
    fn tags_of_resource(&self, cx: &Context, input: &dyn Structure) -> Option<BTreeMap<String, String>> {
        if let Some(arn) =
            text_member(input, "Resource").or_else(|| text_member(input, "CodeSigningConfigArn"))
        {
            return Tagged::read(cx, &arn).ok()?.stored(&self.store);
        }
        if let Some(mapping) = self.mapping_named(cx, input) {
            return Some(mapping.tags.clone());
        }
        let named = Named::read(cx, &text_member(input, "FunctionName")?, None).ok()?;
        Some(self.function(&named).ok()?.tags.clone())
    }

    /// The mapping whose UUID a call names.
    fn mapping_named(&self, cx: &Context, input: &dyn Structure) -> Option<Arc<Mapping>> {
        self.mapping(cx, &text_member(input, "UUID")?).ok()?
    }

    /// What an URL that is there asks of its callers.
    fn auth_of_url(&self, op: &Operation, cx: &Context, input: &dyn Structure) -> Option<String> {
        if !op.name.contains("FunctionUrlConfig") {
            return None;
        }
        let qualifier = text_member(input, "Qualifier");
        let named = Named::read(cx, &text_member(input, "FunctionName")?, qualifier.as_deref()).ok()?;
        let function = self.function(&named).ok()?;
        Some(function.urls.get(named.qualifier.as_deref().unwrap_or_default())?.auth.clone())
    }
}

/// The keys that copy what the request asks for.
fn of_input(input: &dyn Structure) -> ConditionKeys {
    let mut keys = ConditionKeys::new();
    let any = input.as_any();
    let mut layers = None;
    let mut network = None;
    let mut tags = None;
    if let Some(input) = any.downcast_ref::<api::CreateFunctionInput>() {
        (layers, network, tags) = (input.layers.as_ref(), input.vpc_config.as_ref(), input.tags.as_ref());
    } else if let Some(input) = any.downcast_ref::<api::UpdateFunctionConfigurationInput>() {
        (layers, network) = (input.layers.as_ref(), input.vpc_config.as_ref());
    } else if let Some(input) = any.downcast_ref::<api::CreateEventSourceMappingInput>() {
        tags = input.tags.as_ref();
    } else if let Some(input) = any.downcast_ref::<api::CreateCodeSigningConfigInput>() {
        tags = input.tags.as_ref();
    } else if let Some(input) = any.downcast_ref::<api::TagResourceInput>() {
        tags = Some(&input.tags);
    } else if let Some(input) = any.downcast_ref::<api::UntagResourceInput>() {
        condition_keys::removed_tags(&mut keys, &input.tag_keys);
    }
    condition_keys::requested_tags(&mut keys, tags.into_iter().flatten());
    let mut all = |name: &str, values: Option<&Vec<String>>| {
        keys.extend(values.map(|values| (format!("lambda:{name}"), values.clone())));
    };
    all("Layer", layers);
    all("SubnetIds", network.and_then(|network| network.subnet_ids.as_ref()));
    all("SecurityGroupIds", network.and_then(|network| network.security_group_ids.as_ref()));
    for member in ["Principal", "EventSourceToken", "CodeSigningConfigArn"] {
        keys.extend(text_member(input, member).map(|value| (format!("lambda:{member}"), vec![value])));
    }
    keys
}

//! CloudWatch Logs: groups, streams, events, and the filter patterns that find events.
//!
//! Start with [`Logs`]; `operations/` has the story of each call, `pattern/` the grammar of filter patterns, `read`
//! the walk over the events of many streams in the order of their time, `purge` what is forgotten.
//!
//! Source: Amazon CloudWatch Logs API Reference and User Guide.

mod errors;
mod live;
mod operations;
mod pattern;
mod purge;
mod read;
mod state;
#[cfg(test)]
mod tests;

use cloudlet_access::Policy;
use cloudlet_api_logs as api;
use cloudlet_bus::{Bus, Delivery};
use cloudlet_service::api::{AccessRequest, default_access};
use cloudlet_service::rules::{Violations, text_member};
use cloudlet_service::{
    Access, Arn, BoxFuture, Cloud, ConditionKeys, Context, Error, Operation, Service, Structure,
    condition_keys,
};
use cloudlet_store::Store;
use errors::{invalid, no_group, stored};
use state::{Group, group_key};
use std::sync::Arc;

pub use pattern::{Pattern, PatternError};

/// The service.
pub struct Logs {
    pub(crate) store: Store,
    pub(crate) live: Arc<live::Live>,
}

impl Logs {
    /// The service over this store. Must be called within a tokio runtime, because the bus starts its deliveries.
    pub fn new(store: Store, _cloud: Arc<Cloud>, bus: &Bus) -> Arc<Self> {
        let logs = Arc::new(Self { store: store.clone(), live: Arc::default() });
        let one = Delivery { concurrency: 1, per_group: 1, ..Delivery::default() };
        bus.subscribe(purge::QUEUE, one, Arc::new(purge::Purge { store }));
        logs
    }

    /// The group of this name in the caller's account and region.
    pub(crate) fn group(&self, cx: &Context, name: &str) -> Result<Arc<Group>, Error> {
        self.store.table::<Group>().get_arc(&group_key(cx, name)).map_err(stored)?.ok_or_else(no_group)
    }

    /// The group that a call names either by `logGroupName` or by `logGroupIdentifier`, exactly one of them.
    pub(crate) fn named_group(
        &self,
        cx: &Context,
        name: Option<&str>,
        identifier: Option<&str>,
    ) -> Result<Arc<Group>, Error> {
        match (name, identifier) {
            (Some(_), Some(_)) => {
                Err(invalid("LogGroup name and LogGroup ARN are mutually exclusive parameters."))
            }
            (None, None) => {
                Err(invalid("At least one of logGroupName or logGroupIdentifier must be provided"))
            }
            (Some(name), None) => self.group(cx, name),
            (None, Some(identifier)) => {
                let (there, name) = locate(cx, identifier)?;
                self.group(&there, &name)
            }
        }
    }
}

/// The account, region and name of a group given by its name or its ARN.
pub(crate) fn locate(cx: &Context, identifier: &str) -> Result<(Context, String), Error> {
    if !identifier.starts_with("arn:") {
        return Ok((cx.clone(), identifier.to_owned()));
    }
    let arn = Arn::parse(identifier).filter(|arn| arn.service == "logs");
    let name = arn.and_then(|arn| arn.resource.strip_prefix("log-group:"));
    let (Some(arn), Some(name)) = (arn, name) else {
        return Err(invalid(format!("Invalid log group ARN: {identifier}")));
    };
    if arn.region != &*cx.region {
        return Err(invalid(format!(
            "The ARN {identifier} is not of region {}; call the endpoint of its own region.",
            cx.region
        )));
    }
    let name = name.strip_suffix(":*").unwrap_or(name);
    Ok((cx.located(arn.account, arn.region), name.to_owned()))
}

impl Service for Logs {
    cloudlet_api_logs::operations!();

    fn access<'a>(
        &'a self,
        op: &'static Operation,
        cx: &'a Context,
        input: &'a dyn Structure,
    ) -> BoxFuture<'a, Result<Vec<Access>, Error>> {
        Box::pin(async move {
            let mut accesses = default_access(op, cx, input);
            let identifiers = identifiers(input);
            if !identifiers.is_empty() {
                accesses.clear();
                let rule =
                    op.access.first().ok_or_else(|| Error::internal("an operation without an action"))?;
                for identifier in identifiers {
                    let (there, name) = locate(cx, &identifier)?;
                    let stream = input
                        .as_any()
                        .downcast_ref::<api::GetLogEventsInput>()
                        .map(|i| i.log_stream_name.as_str());
                    let resource = there.arn(
                        "logs",
                        format_args!("log-group:{name}:log-stream:{}", stream.unwrap_or_default()),
                    );
                    let mut access = Access::new(rule.action, resource);
                    access.resource_account = Some(there.account.to_string());
                    accesses.push(access);
                }
            }
            if cx.asks_keys() {
                let keys = self.keys_of(cx, input);
                accesses.iter_mut().for_each(|access| access.keys.clone_from(&keys));
            }
            let services = matches!(cx.principal, cloudlet_service::Principal::Service { .. });
            for access in &mut accesses {
                // Tagging calls name the group by its ARN without the trailing part.
                if services {
                    access.resource_policy = self.resource_policy(cx)?;
                }
            }
            // Source: API Reference, `CreateLogGroup`, `tags`.
            let create = input.as_any().downcast_ref::<api::CreateLogGroupInput>();
            if create.and_then(|create| create.tags.as_ref()).is_some_and(|tags| !tags.is_empty())
                && let Some(first) = accesses.first()
            {
                // Either of the two will do.
                let (older, newer) = (first.also("logs:TagLogGroup"), first.also("logs:TagResource"));
                let request = AccessRequest { access: &older, operation: op, service: &api::API };
                let may = cx.cloud.identity()?.authorize(cx, &request).is_ok();
                accesses.push(if may { older } else { newer });
            }
            Ok(accesses)
        })
    }

    fn invalid_input(&self, _op: &'static Operation, violations: Violations) -> Error {
        invalid(violations.message())
    }
}

/// The condition keys that copy what the request asks for.
fn requested(input: &dyn Structure) -> ConditionKeys {
    let mut keys = ConditionKeys::new();
    let any = input.as_any();
    let tags = if let Some(input) = any.downcast_ref::<api::CreateLogGroupInput>() {
        input.tags.as_ref()
    } else if let Some(input) = any.downcast_ref::<api::TagResourceInput>() {
        Some(&input.tags)
    } else if let Some(input) = any.downcast_ref::<api::TagLogGroupInput>() {
        Some(&input.tags)
    } else {
        if let Some(input) = any.downcast_ref::<api::UntagResourceInput>() {
            condition_keys::removed_tags(&mut keys, &input.tag_keys);
        } else if let Some(input) = any.downcast_ref::<api::UntagLogGroupInput>() {
            condition_keys::removed_tags(&mut keys, &input.tags);
        }
        None
    };
    condition_keys::requested_tags(&mut keys, tags.into_iter().flatten());
    keys
}

/// The groups that the input names by `logGroupIdentifier`.
fn identifiers(input: &dyn Structure) -> Vec<String> {
    let any = input.as_any();
    let one = if let Some(input) = any.downcast_ref::<api::GetLogEventsInput>() {
        input.log_group_identifier.clone()
    } else if let Some(input) = any.downcast_ref::<api::FilterLogEventsInput>() {
        input.log_group_identifier.clone()
    } else if let Some(input) = any.downcast_ref::<api::DescribeLogStreamsInput>() {
        input.log_group_identifier.clone()
    } else if let Some(input) = any.downcast_ref::<api::PutLogGroupDeletionProtectionInput>() {
        Some(input.log_group_identifier.clone())
    } else if let Some(input) = any.downcast_ref::<api::StartLiveTailInput>() {
        return input.log_group_identifiers.clone();
    } else {
        None
    };
    one.into_iter().collect()
}

impl Logs {
    /// What conditions can ask about a call: the tags that it brings, and those of its group.
    fn keys_of(&self, cx: &Context, input: &dyn Structure) -> ConditionKeys {
        let mut keys = requested(input);
        let named = text_member(input, "logGroupName").or_else(|| text_member(input, "resourceArn"));
        for named in named.into_iter().chain(identifiers(input)) {
            if let Ok((there, name)) = locate(cx, named.strip_suffix(":*").unwrap_or(&named))
                && let Ok(group) = self.group(&there, &name)
            {
                condition_keys::resource_tags(&mut keys, None, &group.tags);
            }
        }
        keys
    }

    /// All resource policies of the account and region as one document, as far as there are any.
    fn resource_policy(&self, cx: &Context) -> Result<Option<Policy>, Error> {
        let mut statements = Vec::new();
        for row in
            self.store.table::<state::ResourcePolicyRecord>().scan(state::place(cx).prefix_range(), false)
        {
            let (_, policy) = row.map_err(stored)?;
            if let Ok(serde_json::Value::Object(mut document)) = serde_json::from_str(&policy.document) {
                match document.remove("Statement") {
                    Some(serde_json::Value::Array(list)) => statements.extend(list),
                    Some(one) => statements.push(one),
                    None => {}
                }
            }
        }
        if statements.is_empty() {
            return Ok(None);
        }
        let document = serde_json::json!({ "Version": "2012-10-17", "Statement": statements });
        Ok(Policy::parse(&document.to_string(), cloudlet_access::PolicyKind::Resource).ok())
    }
}

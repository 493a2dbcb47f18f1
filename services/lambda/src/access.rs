//! What IAM is asked: the function or layer that a call means, with its own policy.

use crate::Lambda;
use crate::names::Named;
use crate::state::{LayerVersion, PolicyRecord, version_key};
use cloudlet_access::{Policy, PolicyKind};
use cloudlet_api_lambda as api;
use cloudlet_service::api::default_access;
use cloudlet_service::rules::text_member;
use cloudlet_service::{Access, Context, Error, Operation, Structure};
use parking_lot::Mutex;
use std::collections::HashMap;

/// Compiled policies by their revision, which is never used twice.
#[derive(Default)]
pub(crate) struct Policies(Mutex<HashMap<String, Option<Policy>>>);

/// How many compiled policies are remembered.
const MOST: usize = 4096;

impl Policies {
    pub(crate) fn compiled(&self, record: &PolicyRecord) -> Option<Policy> {
        if record.statements.is_empty() {
            return None;
        }
        if let Some(policy) = self.0.lock().get(&record.revision) {
            return policy.clone();
        }
        let policy = Policy::parse(&record.document(), PolicyKind::Resource).ok();
        let mut known = self.0.lock();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(record.revision.clone(), policy.clone());
        policy
    }
}

impl Lambda {
    pub(crate) fn accesses(
        &self,
        op: &'static Operation,
        cx: &Context,
        input: &dyn Structure,
    ) -> Result<Vec<Access>, Error> {
        let mut accesses = default_access(op, cx, input);
        if let Some(function) = text_member(input, "FunctionName").filter(|_| !of_mapping(op)) {
            let qualifier = text_member(input, "Qualifier");
            let named = Named::read(cx, &function, qualifier.as_deref())?;
            for access in &mut accesses {
                access.resource = named.qualified_arn();
                access.resource_account = Some(named.cx.account.to_string());
                access.resource_policy = self.policy_of(&named);
            }
        } else if let Some(layer) = text_member(input, "LayerName").or_else(|| text_member(input, "Arn")) {
            self.layer_access(cx, input, &layer, &mut accesses);
        }
        // Executions are resources of the account that their ARN names; a callback's id says which it belongs to.
        if let Some(arn) = text_member(input, "DurableExecutionArn") {
            for access in &mut accesses {
                access.resource_account = cloudlet_service::Arn::parse(&arn).map(|a| a.account.to_owned());
            }
        } else if let Some(callback) = text_member(input, "CallbackId") {
            let execution = self.execution_of(cx, &callback);
            for access in &mut accesses {
                access.resource = execution.clone().unwrap_or_else(|| "*".to_owned());
            }
        }
        if let Some(arn) = text_member(input, "ResourceArn") {
            let named = Named::read(cx, &arn, None)?;
            for access in &mut accesses {
                access.resource_account = Some(named.cx.account.to_string());
            }
        }
        let asked = |access: &Access| {
            access.resource_policy.is_some() || access.resource_account.as_deref() != Some(&*cx.account)
        };
        if cx.asks_keys() || accesses.iter().any(asked) {
            let keys = self.keys_of(op, cx, input);
            accesses.iter_mut().for_each(|access| access.keys.clone_from(&keys));
        }
        // Source: API Reference, `CreateFunction`, `Tags`.
        let create = input.as_any().downcast_ref::<api::CreateFunctionInput>();
        if create.and_then(|create| create.tags.as_ref()).is_some_and(|tags| !tags.is_empty()) {
            let tagging = accesses.first().map(|create| create.also("lambda:TagResource"));
            accesses.extend(tagging);
        }
        // Whoever gives a function a layer must be allowed to read it.
        let layers = match input.as_any() {
            any if any.is::<api::CreateFunctionInput>() => {
                any.downcast_ref().and_then(|i: &api::CreateFunctionInput| i.layers.clone())
            }
            any => any.downcast_ref().and_then(|i: &api::UpdateFunctionConfigurationInput| i.layers.clone()),
        };
        for arn in layers.unwrap_or_default() {
            let mut access = [Access::new("lambda:GetLayerVersion", arn.clone())];
            self.shared_layer(cx, arn, &mut access);
            // One of another region, or none at all, is refused in the operation's own words.
            if access[0].resource_account.is_some() {
                accesses.extend(access);
            }
        }
        // Whoever gives a function a role must be allowed to pass it.
        let role = match input.as_any() {
            any if any.is::<api::CreateFunctionInput>() => {
                any.downcast_ref().map(|i: &api::CreateFunctionInput| i.role.clone())
            }
            any => any.downcast_ref().and_then(|i: &api::UpdateFunctionConfigurationInput| i.role.clone()),
        };
        if let Some(role) = role {
            let mut pass = Access::new("iam:PassRole", role);
            pass.keys.push(("iam:PassedToService".to_owned(), vec!["lambda.amazonaws.com".to_owned()]));
            let function = accesses.first().map(|access| access.resource.clone());
            pass.keys.extend(function.map(|arn| ("iam:AssociatedResourceArn".to_owned(), vec![arn])));
            accesses.push(pass);
        }
        Ok(accesses)
    }

    /// The ARN of the execution that a callback belongs to.
    fn execution_of(&self, cx: &Context, callback: &str) -> Option<String> {
        let [account, region, function, id, _] = crate::operations::durable::callback_parts(callback)?;
        let there = cx.located(&account, &region);
        let key = crate::durable::execution_key(&there, &function, &id);
        let found = self.store.table::<crate::durable::Execution>().get_arc(&key).ok()??;
        Some(found.arn(&there))
    }

    /// The policy of what a name means, compiled.
    pub(crate) fn policy_of(&self, named: &Named) -> Option<Policy> {
        let function = self.function(named).ok()?;
        let qualifier = named.qualifier.as_deref().filter(|q| *q != crate::names::LATEST).unwrap_or_default();
        self.policies.compiled(function.policies.get(qualifier)?)
    }

    fn layer_access(&self, cx: &Context, input: &dyn Structure, layer: &str, accesses: &mut [Access]) {
        let number = match input.as_any() {
            any if any.is::<api::GetLayerVersionInput>() => {
                any.downcast_ref().map(|i: &api::GetLayerVersionInput| i.version_number)
            }
            any => any.downcast_ref().map(|i: &api::DeleteLayerVersionInput| i.version_number),
        };
        let text = match number {
            Some(number) if layer.starts_with("arn:") => format!("{layer}:{number}"),
            Some(number) => cx.arn("lambda", format_args!("layer:{layer}:{number}")),
            None => layer.to_owned(),
        };
        self.shared_layer(cx, text, accesses);
    }

    fn shared_layer(&self, cx: &Context, text: String, accesses: &mut [Access]) {
        let Some((there, name, number)) = crate::settings::layer_arn(cx, &text) else { return };
        let found =
            self.store.table::<LayerVersion>().get_arc(&version_key(&there, &name, number)).ok().flatten();
        for access in accesses {
            access.resource = text.clone();
            access.resource_account = Some(there.account.to_string());
            access.resource_policy = found.as_ref().and_then(|l| self.policies.compiled(&l.policy));
        }
    }
}

/// Mappings name the function that they call, but are resources of their own.
fn of_mapping(op: &Operation) -> bool {
    op.name.contains("EventSourceMapping")
}

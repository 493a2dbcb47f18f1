//! The policy simulator: the evaluator that decides live calls, asked what it would say.
//!
//! Source: IAM User Guide, "IAM policy testing with the IAM policy simulator".

use crate::{Iam, errors, parse, shown};
use cloudlet_access::{
    Attached, ConditionContext, Decision, Effect, Layer, Policy, PolicyKind, PolicySet, PrincipalRef,
    Request, ResourcePolicy, ResourceTrust, StatementRef, evaluate, matching_statements,
};
use cloudlet_api_iam::*;
use cloudlet_identity::records::{Group, Permissions, Role, User, named};
use cloudlet_identity::{Named, who};
use cloudlet_service::{Arn, Context, Principal};

/// The most action and resource pairs that one request may ask about.
const MOST: usize = 10_000;

/// What both simulations are asked, in one form.
#[derive(Default)]
struct Question {
    policies: Vec<Named>,
    boundary: Vec<Named>,
    /// Service control policies by level, where an organization's are taken into account.
    control: Option<Vec<Vec<Named>>>,
    caller: Option<PrincipalRef>,
    actions: Vec<String>,
    resources: Vec<String>,
    resource_policy: Option<Policy>,
    resource_owner: Option<String>,
    context: Vec<ContextEntry>,
    marker: Option<String>,
    max_items: Option<i32>,
}

impl Iam {
    /// Decides actions on resources by the policies given.
    ///
    /// Errors: `InvalidInput`, `PolicyEvaluation`.
    pub async fn simulate_custom_policy(
        &self,
        cx: &Context,
        input: SimulateCustomPolicyInput,
    ) -> Result<SimulateCustomPolicyOutput, Error> {
        let levels = input.ordered_organization_policy_input_list.filter(|levels| !levels.is_empty());
        let control = levels.map(|levels| {
            let level = |(i, level): (usize, OrderedOrganizationPolicyType)| {
                let name = format!("OrderedOrganizationPolicyInputList.{}", i + 1);
                let policies = level.service_control_policy_input_list.unwrap_or_default();
                given(&policies, &name, PolicyKind::ServiceControl)
            };
            levels.into_iter().enumerate().map(level).collect::<Result<Vec<_>, Error>>()
        });
        simulate(
            cx,
            Question {
                policies: given(&input.policy_input_list, "PolicyInputList", PolicyKind::Inline)?,
                boundary: given(
                    input.permissions_boundary_policy_input_list.as_deref().unwrap_or_default(),
                    "PermissionsBoundaryPolicyInputList",
                    PolicyKind::Boundary,
                )?,
                control: control.transpose()?,
                caller: input.caller_arn.as_deref().map(|arn| self.caller_named(arn)).transpose()?,
                actions: input.action_names,
                resources: input.resource_arns.unwrap_or_default(),
                resource_policy: resource_policy(input.resource_policy.as_deref())?,
                resource_owner: input.resource_owner,
                context: input.context_entries.unwrap_or_default(),
                marker: input.marker,
                max_items: input.max_items,
            },
        )
    }

    /// Decides actions on resources by the policies of a user, group or role, and any given beside them.
    ///
    /// Errors: `NoSuchEntity`, `InvalidInput`, `PolicyEvaluation`.
    pub async fn simulate_principal_policy(
        &self,
        cx: &Context,
        input: SimulatePrincipalPolicyInput,
    ) -> Result<SimulatePrincipalPolicyOutput, Error> {
        let (mut policies, mut boundary, own) = self.source(cx, &input.policy_source_arn)?;
        let above = self.identities.above(&cx.account).map_err(Error::internal)?;
        let mut control =
            above.map(|above| above.service_control.clone()).filter(|levels| !levels.is_empty());
        for excluded in input.policy_exclusion_list.unwrap_or_default() {
            exclude(&excluded, &mut policies, &mut boundary, &mut control)?;
        }
        policies.extend(given(
            input.policy_input_list.as_deref().unwrap_or_default(),
            "PolicyInputList",
            PolicyKind::Inline,
        )?);
        let replaced = given(
            input.permissions_boundary_policy_input_list.as_deref().unwrap_or_default(),
            "PermissionsBoundaryPolicyInputList",
            PolicyKind::Boundary,
        )?;
        if !replaced.is_empty() {
            boundary = replaced;
        }
        let caller = match input.caller_arn.as_deref() {
            Some(arn) => Some(self.caller_named(arn)?),
            None => own,
        };
        simulate(
            cx,
            Question {
                policies,
                boundary,
                control,
                caller,
                actions: input.action_names,
                resources: input.resource_arns.unwrap_or_default(),
                resource_policy: resource_policy(input.resource_policy.as_deref())?,
                resource_owner: input.resource_owner,
                context: input.context_entries.unwrap_or_default(),
                marker: input.marker,
                max_items: input.max_items,
            },
        )
    }

    /// Lists the condition keys and variables that policies ask for.
    ///
    /// Errors: `InvalidInput`.
    pub async fn get_context_keys_for_custom_policy(
        &self,
        _: &Context,
        input: GetContextKeysForCustomPolicyInput,
    ) -> Result<GetContextKeysForCustomPolicyOutput, Error> {
        let policies = given(&input.policy_input_list, "PolicyInputList", PolicyKind::Inline)?;
        Ok(GetContextKeysForCustomPolicyOutput { context_key_names: Some(keys(&policies)) })
    }

    /// The same for the policies of a user, group or role.
    ///
    /// Errors: `NoSuchEntity`, `InvalidInput`.
    pub async fn get_context_keys_for_principal_policy(
        &self,
        cx: &Context,
        input: GetContextKeysForPrincipalPolicyInput,
    ) -> Result<GetContextKeysForPrincipalPolicyOutput, Error> {
        let (mut policies, boundary, _) = self.source(cx, &input.policy_source_arn)?;
        policies.extend(boundary);
        let more = input.policy_input_list.unwrap_or_default();
        policies.extend(given(&more, "PolicyInputList", PolicyKind::Inline)?);
        Ok(GetContextKeysForPrincipalPolicyOutput { context_key_names: Some(keys(&policies)) })
    }

    /// The policies and the boundary of a user, group or role, and who that is.
    #[allow(clippy::type_complexity)]
    fn source(
        &self,
        cx: &Context,
        arn: &str,
    ) -> Result<(Vec<Named>, Vec<Named>, Option<PrincipalRef>), Error> {
        let parsed = Arn::parse(arn).filter(|arn| arn.service == "iam" && *arn.account == *cx.account);
        let parsed = parsed.ok_or_else(|| errors::bad_input(format!("Invalid Entity Arn: {arn}")))?;
        let kind = parsed.resource.split('/').next().unwrap_or_default();
        let name = arn.rsplit('/').next().unwrap_or_default();
        let of = |permissions: &Permissions| {
            self.identities.policies_in(&cx.account, permissions).map_err(Error::internal)
        };
        if kind == "group" {
            let group = self.entity::<Group>(cx, name)?;
            return Ok((named_by("group", &group.name, of(&group.permissions)?.identity), Vec::new(), None));
        }
        let principal = self.principal_of(&cx.account, kind, name)?.ok_or_else(|| match kind {
            "role" => crate::state::missing::<Role>(name),
            _ => crate::state::missing::<User>(name),
        })?;
        let mut policies = Vec::new();
        let boundary = if kind == "role" {
            let role = self.entity::<Role>(cx, name)?;
            let own = of(&role.permissions)?;
            policies.extend(named_by("role", &role.name, own.identity));
            own.boundary
        } else {
            let user = self.entity::<User>(cx, name)?;
            let own = of(&user.permissions)?;
            policies.extend(named_by("user", &user.name, own.identity));
            for group in &user.groups {
                if let Some(group) = self.find::<Group>(cx, group)? {
                    policies.extend(named_by("group", &group.name, of(&group.permissions)?.identity));
                }
            }
            own.boundary
        };
        Ok((policies, boundary.into_iter().collect(), Some(who(&principal))))
    }

    fn principal_of(&self, account: &str, kind: &str, name: &str) -> Result<Option<Principal>, Error> {
        let key = named(account, name);
        Ok(match kind {
            "user" => {
                self.store().table::<User>().get(&key).map_err(Error::internal)?.map(|user| Principal::User {
                    account: account.into(),
                    path: user.path.into(),
                    name: user.name.into(),
                    id: user.id.into(),
                })
            }
            "role" => self.store().table::<Role>().get(&key).map_err(Error::internal)?.map(|role| {
                Principal::AssumedRole {
                    account: account.into(),
                    path: role.path.into(),
                    role: role.name.into(),
                    role_id: role.id.into(),
                    session: "simulation".into(),
                }
            }),
            _ => None,
        })
    }

    /// The caller that `CallerArn` names: a user.
    fn caller_named(&self, arn: &str) -> Result<PrincipalRef, Error> {
        let bad =
            || errors::bad_input(format!("Invalid caller Arn: {arn}. It must be the ARN of an IAM user."));
        let parsed = Arn::parse(arn).filter(|arn| arn.service == "iam").ok_or_else(bad)?;
        if parsed.resource == "root" {
            return Ok(PrincipalRef::root(parsed.account));
        }
        let kind = parsed.resource.split('/').next().unwrap_or_default();
        let name = arn.rsplit('/').next().unwrap_or_default();
        Ok(who(&self.principal_of(parsed.account, kind, name)?.ok_or_else(bad)?))
    }
}

fn given(documents: &[String], list: &str, kind: PolicyKind) -> Result<Vec<Named>, Error> {
    let named = |(i, document): (usize, &String)| {
        let policy = Policy::parse(document, kind).map_err(|error| errors::bad_input(error.to_string()))?;
        Ok(Named { policy, id: format!("{list}.{}", i + 1).into() })
    };
    documents.iter().enumerate().map(named).collect()
}

/// Inline policies by the names that the simulator gives them: `user_ann_policy`.
fn named_by(kind: &str, entity: &str, policies: Vec<Named>) -> Vec<Named> {
    let name = |named: Named| match named.id.starts_with("arn:") {
        true => named,
        false => Named { id: format!("{kind}_{entity}_{}", named.id).into(), ..named },
    };
    policies.into_iter().map(name).collect()
}

/// Leaves policies out, as if they were not attached.
fn exclude(
    what: &PolicyIdentifier,
    policies: &mut Vec<Named>,
    boundary: &mut Vec<Named>,
    control: &mut Option<Vec<Vec<Named>>>,
) -> Result<(), Error> {
    let aws = |named: &Named| named.id.starts_with("arn:aws:iam::aws:");
    match what {
        PolicyIdentifier::InlinePolicyIdentifier(inline) => {
            let id = format!("{}_{}_{}", inline.attachment_type, inline.attachment_name, inline.policy_name);
            policies.retain(|named| *named.id != *id);
        }
        PolicyIdentifier::PolicyArn(arn) => {
            if Arn::parse(arn).is_none() {
                return Err(errors::bad_input(format!("Invalid policy identifier: {arn}")));
            }
            policies.retain(|named| *named.id != **arn);
            boundary.retain(|named| *named.id != **arn);
            for level in control.iter_mut().flatten() {
                level.retain(|named| *named.id != **arn);
            }
        }
        PolicyIdentifier::PolicyType(kind) => match kind.as_str() {
            "inline" => policies.retain(|named| named.id.starts_with("arn:")),
            "aws-managed" => policies.retain(|named| !aws(named)),
            "user-managed" => policies.retain(|named| !named.id.starts_with("arn:") || aws(named)),
            "permission-boundary" => boundary.clear(),
            "scp" => *control = None,
            _ => {}
        },
        _ => {}
    }
    Ok(())
}

fn resource_policy(document: Option<&str>) -> Result<Option<Policy>, Error> {
    document.map(|document| parse(document, PolicyKind::Resource)).transpose()
}

fn keys(policies: &[Named]) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    for key in policies.iter().flat_map(|named| named.policy.context_keys()) {
        if !keys.iter().any(|known| known.eq_ignore_ascii_case(&key)) {
            keys.push(key);
        }
    }
    keys
}

fn simulate(cx: &Context, question: Question) -> Result<SimulatePolicyResponse, Error> {
    let caller =
        question.caller.unwrap_or_else(|| PrincipalRef::user(&cx.account, "/", "simulated", "AIDASIMULATED"));
    let mut context = ConditionContext::for_principal(&caller);
    for entry in &question.context {
        let (Some(name), Some(values)) = (&entry.context_key_name, &entry.context_key_values) else {
            continue;
        };
        context.set_all(name.clone(), values.iter().cloned());
    }
    let listed = question.resources.iter().any(|resource| resource != "*");
    let resources = if question.resources.is_empty() { vec!["*".to_owned()] } else { question.resources };
    if question.actions.len().saturating_mul(resources.len()) > MOST {
        return Err(errors::bad_input(format!(
            "At most {MOST} combinations of action and resource can be simulated."
        )));
    }
    for action in &question.actions {
        if action.split_once(':').is_none_or(|(service, name)| service.is_empty() || name.is_empty()) {
            return Err(errors::bad_input(format!("Invalid action name: {action}")));
        }
    }
    let identity: Vec<Attached<'_>> =
        question.policies.iter().map(|n| Attached::new(&n.policy, &n.id)).collect();
    let owner = question
        .resource_owner
        .as_deref()
        .map(|owner| Arn::parse(owner).map_or_else(|| owner.to_owned(), |arn| arn.account.to_owned()));
    let control: Vec<Vec<Attached<'_>>> = question
        .control
        .iter()
        .flatten()
        .map(|level| level.iter().map(|n| Attached::new(&n.policy, &n.id)).collect())
        .collect();
    let control: Vec<&[Attached<'_>]> = control.iter().map(Vec::as_slice).collect();
    let set = PolicySet {
        identity: &identity,
        service_control: &control,
        boundary: question.boundary.first().map(|n| Attached::new(&n.policy, &n.id)),
        resource: ResourcePolicy {
            policy: question.resource_policy.as_ref().map(|policy| Attached::new(policy, "ResourcePolicy")),
            account: owner.as_deref(),
            trust: ResourceTrust::Either,
        },
        ..PolicySet::default()
    };
    let all: Vec<Named> = question.policies.iter().chain(&question.boundary).cloned().collect();
    let wanted = keys(&all);
    let missing: Vec<String> = wanted.into_iter().filter(|key| !context.contains(key)).collect();
    let mut results = Vec::new();
    for action in &question.actions {
        for resource in &resources {
            let request = Request::new(action, resource, &caller, &context);
            let decision = evaluate(&request, &set);
            let mut matched = matching_statements(&request, &set);
            let effect = if decision.explicit_deny() { Effect::Deny } else { Effect::Allow };
            // What an organization says is told apart.
            matched.retain(|s| s.effect == effect && s.layer != Layer::ServiceControl);
            let mut result = result(action, resource, &decision, &matched, &missing, &all, &set, &request);
            if question.control.is_some() {
                let alone = PolicySet { service_control: &[], ..set };
                let by_others = evaluate(&request, &alone);
                let allowed = decision.allowed || !by_others.allowed && control_allows(&request, &control);
                result.organizations_decision_detail =
                    Some(OrganizationsDecisionDetail { allowed_by_organizations: Some(allowed) });
            }
            if listed {
                result.resource_specific_results = Some(vec![ResourceSpecificResult {
                    eval_resource_name: resource.clone(),
                    eval_resource_decision: result.eval_decision.clone(),
                    matched_statements: result.matched_statements.clone(),
                    missing_context_values: result.missing_context_values.replace(Vec::new()),
                    permissions_boundary_decision_detail: result.permissions_boundary_decision_detail.clone(),
                    ..Default::default()
                }]);
            }
            results.push(result);
        }
    }
    let numbered = results.into_iter().enumerate();
    let page =
        shown::page(numbered, question.marker.as_deref(), question.max_items, |(i, _)| format!("{i:08}"))?;
    Ok(SimulatePolicyResponse {
        evaluation_results: Some(page.items.into_iter().map(|(_, result)| result).collect()),
        is_truncated: Some(page.next.is_some()),
        marker: page.next,
    })
}

/// Whether every level of an organization allows a request.
fn control_allows(request: &Request<'_>, control: &[&[Attached<'_>]]) -> bool {
    let root = PrincipalRef::root(request.principal.account().unwrap_or_default());
    let as_root = Request { principal: &root, ..*request };
    evaluate(&as_root, &PolicySet { service_control: control, ..PolicySet::default() }).allowed
}

#[allow(clippy::too_many_arguments)]
fn result(
    action: &str,
    resource: &str,
    decision: &Decision<'_>,
    matched: &[StatementRef<'_>],
    missing: &[String],
    policies: &[Named],
    set: &PolicySet<'_>,
    request: &Request<'_>,
) -> EvaluationResult {
    let bounded = set.boundary.map(|boundary| {
        let alone = [boundary];
        let allowed = evaluate(request, &PolicySet::identity(&alone)).allowed;
        PermissionsBoundaryDecisionDetail { allowed_by_permissions_boundary: Some(allowed) }
    });
    let shown = matched.iter().map(|statement| {
        let text = match statement.layer {
            Layer::Resource => set.resource.policy.map_or("", |attached| attached.policy.text()),
            _ => policies
                .iter()
                .find(|named| *named.id == *statement.policy)
                .map_or("", |named| named.policy.text()),
        };
        Statement {
            source_policy_id: Some(statement.policy.rsplit('/').next().unwrap_or_default().to_owned()),
            source_policy_type: Some(statement.layer.simulator_name().to_owned()),
            start_position: Some(position(text, begin(text, statement.span.0))),
            end_position: Some(position(text, statement.span.1)),
        }
    });
    EvaluationResult {
        eval_action_name: action.to_owned(),
        eval_resource_name: Some(resource.to_owned()),
        eval_decision: decision.simulator_decision().to_owned(),
        matched_statements: Some(shown.collect()),
        missing_context_values: Some(missing.to_vec()),
        permissions_boundary_decision_detail: bounded,
        ..Default::default()
    }
}

/// Where IAM's parser stands when it comes to a statement: behind the bracket or the statement before it, or inside a
/// statement that stands alone.
fn begin(text: &str, at: usize) -> usize {
    let before = text.get(..at).unwrap_or_default().trim_end();
    match before.strip_suffix(',') {
        Some(rest) => rest.trim_end().len(),
        None if before.ends_with('[') => before.len(),
        None => at + 1,
    }
}

/// Line and column, both from 1.
fn position(text: &str, at: usize) -> Position {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Position { line: i32::try_from(line).ok(), column: i32::try_from(column).ok() }
}

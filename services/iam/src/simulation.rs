//! What the simulator answers: each action on each resource by the evaluator, and one result for each action.
//!
//! Source: IAM API Reference, `EvaluationResult` and `ResourceSpecificResult`.

use crate::{errors, shown};
use cloudlet_access::{
    Attached, ConditionContext, Decision, Effect, Layer, Policy, PolicySet, PrincipalRef, Request,
    ResourcePolicy, ResourceTrust, evaluate, matching_statements,
};
use cloudlet_api_iam::*;
use cloudlet_identity::Named;
use cloudlet_service::{Arn, Context};
use std::collections::BTreeMap;

/// The most action and resource pairs that one request may ask about.
const MOST: usize = 10_000;

/// What both simulations are asked, in one form.
#[derive(Default)]
pub(crate) struct Question {
    pub(crate) policies: Vec<Named>,
    pub(crate) boundary: Vec<Named>,
    /// Service control policies by level, where an organization's are taken into account.
    pub(crate) control: Option<Vec<Vec<Named>>>,
    pub(crate) caller: Option<PrincipalRef>,
    pub(crate) actions: Vec<String>,
    pub(crate) resources: Vec<String>,
    pub(crate) resource_policy: Option<Policy>,
    pub(crate) resource_owner: Option<String>,
    pub(crate) context: Vec<ContextEntry>,
    pub(crate) marker: Option<String>,
    pub(crate) max_items: Option<i32>,
}

/// The condition keys and variables that policies ask for.
pub(crate) fn keys(policies: &[Named]) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    for key in policies.iter().flat_map(|named| named.policy.context_keys()) {
        if !keys.iter().any(|known| known.eq_ignore_ascii_case(&key)) {
            keys.push(key);
        }
    }
    keys
}

/// Decisions by kind of policy, as cross-account simulations show them.
type Details = BTreeMap<String, String>;

/// What was decided of one action on one resource.
struct Verdict {
    decision: &'static str,
    matched: Vec<Statement>,
    details: Option<Details>,
    bounded: Option<bool>,
    by_organizations: Option<bool>,
}

pub(crate) fn simulate(cx: &Context, question: Question) -> Result<SimulatePolicyResponse, Error> {
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
        let well_formed = action
            .split_once(':')
            .is_some_and(|(service, name)| !service.is_empty() && !name.is_empty() && !action.contains('*'));
        if !well_formed {
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
    let all: Vec<Named> = question.policies.iter().chain(&question.boundary).cloned().collect();
    let wanted = keys(&all);
    let missing: Vec<String> = wanted.into_iter().filter(|key| !context.contains(key)).collect();
    let mut results = Vec::with_capacity(question.actions.len());
    for action in &question.actions {
        let mut verdicts = Vec::with_capacity(resources.len());
        for resource in &resources {
            // An ARN that names an account names the owner; whose the resource is matters to its policy only.
            let named = Arn::parse(resource).map(|arn| arn.account).filter(|account| {
                account.len() == 12 && (question.resource_policy.is_some() || owner.is_some())
            });
            let set = PolicySet {
                identity: &identity,
                service_control: &control,
                boundary: question.boundary.first().map(|n| Attached::new(&n.policy, &n.id)),
                resource: ResourcePolicy {
                    policy: question
                        .resource_policy
                        .as_ref()
                        .map(|policy| Attached::new(policy, "ResourcePolicy")),
                    account: named.or(owner.as_deref()),
                    trust: ResourceTrust::Either,
                },
                ..PolicySet::default()
            };
            let request = Request::new(action, resource, &caller, &context);
            verdicts.push(verdict(&request, &set, &all, question.control.is_some()));
        }
        results.push(together(action, &resources, listed, &missing, verdicts));
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

fn verdict(request: &Request<'_>, set: &PolicySet<'_>, policies: &[Named], organized: bool) -> Verdict {
    let decision = evaluate(request, set);
    let by_organizations = organized.then(|| {
        let by_others = evaluate(request, &PolicySet { service_control: &[], ..*set });
        decision.allowed || !by_others.allowed && control_allows(request, set.service_control)
    });
    let bounded = set.boundary.map(|boundary| {
        let alone = [boundary];
        evaluate(request, &PolicySet::identity(&alone)).allowed
    });
    Verdict {
        decision: decision.simulator_decision(),
        matched: matched(request, set, &decision, policies),
        // Where an organization refuses, the simulation ends.
        details: details(request, set).filter(|_| by_organizations != Some(false)),
        bounded,
        by_organizations,
    }
}

/// How each kind of policy decides by itself, where the caller's account is not the resource's.
fn details(request: &Request<'_>, set: &PolicySet<'_>) -> Option<Details> {
    let owner = set.resource.account?;
    if request.principal.account() == Some(owner) {
        return None;
    }
    let mut found = Details::new();
    let mut say = |kind: &str, decision: Decision<'_>| {
        found.insert(kind.to_owned(), decision.simulator_decision().to_owned());
    };
    say("IAM Policy", evaluate(request, &PolicySet::identity(set.identity)));
    let resource = ResourcePolicy { account: request.principal.account(), ..set.resource };
    say("Resource Policy", evaluate(request, &PolicySet { resource, ..PolicySet::default() }));
    if let Some(boundary) = set.boundary {
        let alone = [boundary];
        say("Permissions Boundary Policy", evaluate(request, &PolicySet::identity(&alone)));
    }
    Some(found)
}

/// The statements that decided, and where they stand.
fn matched(
    request: &Request<'_>,
    set: &PolicySet<'_>,
    decision: &Decision<'_>,
    policies: &[Named],
) -> Vec<Statement> {
    let effect = if decision.explicit_deny() { Effect::Deny } else { Effect::Allow };
    // What an organization says is told apart.
    let decided = matching_statements(request, set)
        .into_iter()
        .filter(|statement| statement.effect == effect && statement.layer != Layer::ServiceControl);
    let shown = decided.map(|statement| {
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
    shown.collect()
}

fn same(one: &Statement, other: &Statement) -> bool {
    let place = |at: &Option<Position>| at.as_ref().map(|at| (at.line, at.column));
    one.source_policy_id == other.source_policy_id
        && one.source_policy_type == other.source_policy_type
        && place(&one.start_position) == place(&other.start_position)
}

/// One result for an action: the most restrictive decision over all resources, and each resource's own where
/// resources were named.
fn together(
    action: &str,
    resources: &[String],
    listed: bool,
    missing: &[String],
    verdicts: Vec<Verdict>,
) -> EvaluationResult {
    let boundary =
        |allowed| PermissionsBoundaryDecisionDetail { allowed_by_permissions_boundary: Some(allowed) };
    let strictest = |decisions: &[&str]| {
        let order = ["explicitDeny", "implicitDeny", "allowed"];
        let found = order.into_iter().find(|decision| decisions.contains(decision));
        found.unwrap_or("implicitDeny").to_owned()
    };
    let decisions: Vec<&str> = verdicts.iter().map(|verdict| verdict.decision).collect();
    let decision = strictest(&decisions);
    let mut union: Vec<Statement> = Vec::new();
    for verdict in verdicts.iter().filter(|verdict| verdict.decision == decision) {
        for statement in &verdict.matched {
            if !union.iter().any(|known| same(known, statement)) {
                union.push(statement.clone());
            }
        }
    }
    let all = |values: &dyn Fn(&Verdict) -> Option<bool>| {
        let found: Vec<bool> = verdicts.iter().filter_map(values).collect();
        (!found.is_empty()).then(|| found.into_iter().all(|allowed| allowed))
    };
    let organizations = all(&|verdict| verdict.by_organizations);
    let mut kinds = Details::new();
    for (kind, decision) in verdicts.iter().filter_map(|verdict| verdict.details.as_ref()).flatten() {
        let known = kinds.get(kind).map_or("allowed", String::as_str);
        let stricter = strictest(&[known, decision]);
        kinds.insert(kind.clone(), stricter);
    }
    let own = |(resource, verdict): (&String, &Verdict)| ResourceSpecificResult {
        eval_resource_name: resource.clone(),
        eval_resource_decision: verdict.decision.to_owned(),
        matched_statements: Some(verdict.matched.clone()),
        missing_context_values: Some(missing.to_vec()),
        eval_decision_details: verdict.details.clone(),
        permissions_boundary_decision_detail: verdict.bounded.map(boundary),
    };
    EvaluationResult {
        eval_action_name: action.to_owned(),
        // AWS names the kind of resource where there are several.
        eval_resource_name: Some(match resources {
            [only] => only.clone(),
            _ => "*".to_owned(),
        }),
        eval_decision: decision,
        matched_statements: Some(union),
        missing_context_values: Some(missing.to_vec()),
        eval_decision_details: (listed && organizations != Some(false)).then_some(kinds),
        organizations_decision_detail: organizations
            .map(|allowed| OrganizationsDecisionDetail { allowed_by_organizations: Some(allowed) }),
        permissions_boundary_decision_detail: all(&|verdict| verdict.bounded).map(boundary),
        resource_specific_results: listed.then(|| resources.iter().zip(&verdicts).map(own).collect()),
    }
}

/// Whether every level of an organization allows a request.
fn control_allows(request: &Request<'_>, control: &[&[Attached<'_>]]) -> bool {
    let root = PrincipalRef::root(request.principal.account().unwrap_or_default());
    let as_root = Request { principal: &root, ..*request };
    evaluate(&as_root, &PolicySet { service_control: control, ..PolicySet::default() }).allowed
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

//! The order in which policies decide.
//!
//! 1. A matching `Deny` anywhere refuses.
//! 2. Service control policies: some policy of every level must allow. Likewise resource control policies, and
//!    the policy of the VPC endpoint.
//! 3. Within one account, a resource policy that names the user, the session or the service allows by itself. One
//!    that names the role behind a session stands in for the identity policies, but the boundary and the session
//!    policies still limit. One that names the account only delegates to the account's identity policies.
//! 4. Else the identity policies must allow, and the boundary, and the session policies.
//! 5. Across accounts both sides must allow: the resource policy, and all of 4.
//!
//! The root user needs no identity policy, but session policies limit its sessions too. Callers without an account (services, bearers of tokens, anonymous)
//! are allowed by resource policies alone.
//!
//! Source: IAM User Guide, "How AWS enforcement code logic evaluates requests", "Policy evaluation for requests
//! within a single account", "Cross-account policy evaluation logic".

use crate::arn::{Arn, account_of};
use crate::context::ConditionContext;
use crate::decision::{Decision, Layer, StatementRef};
use crate::document::Policy;
use crate::gate::Shown;
use crate::principal::{PrincipalRef, Reach};
use crate::statement::{ActionName, Effect, Statement, lower_case};

/// One call to decide on.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// `service:Action`; case does not matter.
    pub action: &'a str,
    /// The resource's ARN, or `*` for actions that have none.
    pub resource: &'a str,
    /// Who calls.
    pub principal: &'a PrincipalRef,
    /// The condition keys of the request.
    pub context: &'a ConditionContext,
    /// The canonical user id of the caller's account, where `CanonicalUser` principals matter (S3).
    pub canonical_user: Option<&'a str>,
}

impl<'a> Request<'a> {
    /// A request without a canonical user id.
    pub fn new(
        action: &'a str,
        resource: &'a str,
        principal: &'a PrincipalRef,
        context: &'a ConditionContext,
    ) -> Self {
        Self { action, resource, principal, context, canonical_user: None }
    }
}

/// A policy and the name it goes by in decisions: the ARN of a managed policy, the name of an inline one.
#[derive(Clone, Copy, Debug)]
pub struct Attached<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// Its ARN or name.
    pub id: &'a str,
}

impl<'a> Attached<'a> {
    /// Names a policy.
    pub fn new(policy: &'a Policy, id: &'a str) -> Self {
        Self { policy, id }
    }
}

/// What a resource policy is to its resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResourceTrust {
    /// Within the account, identity policies suffice: nearly every service.
    #[default]
    Either,
    /// Identity policies count only if the resource policy delegates to the account: KMS keys, role trust. Even
    /// the root user needs it.
    Required,
}

/// A resource policy, whose resource it is on, and how it counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResourcePolicy<'a> {
    /// The policy, if the resource has one.
    pub policy: Option<Attached<'a>>,
    /// The account that owns the resource; `None` if that is the caller's.
    pub account: Option<&'a str>,
    /// How the policy counts beside identity policies.
    pub trust: ResourceTrust,
}

/// Every policy that applies to one request.
#[derive(Clone, Copy, Debug, Default)]
pub struct PolicySet<'a> {
    /// Managed and inline policies of the user and its groups, or of the role.
    pub identity: &'a [Attached<'a>],
    /// The permissions boundary of the user or role.
    pub boundary: Option<Attached<'a>>,
    /// Session policies: `None` if the session was made without, which limits nothing. For a federated user
    /// that means no permission beyond resource policies.
    pub session: Option<&'a [Attached<'a>]>,
    /// The resource's side.
    pub resource: ResourcePolicy<'a>,
    /// Service control policies on the caller's account: one list per level, from the root to the account.
    /// Leave empty for the management account and for service-linked roles, which they do not bind.
    pub service_control: &'a [&'a [Attached<'a>]],
    /// Resource control policies on the resource's account, by level likewise.
    pub resource_control: &'a [&'a [Attached<'a>]],
    /// The policy of the VPC endpoint the request came through.
    pub vpc_endpoint: Option<Attached<'a>>,
}

impl<'a> PolicySet<'a> {
    /// Identity policies and nothing else.
    pub fn identity(identity: &'a [Attached<'a>]) -> Self {
        Self { identity, ..Self::default() }
    }

    /// Adds the policy of the resource and the account that owns it.
    pub fn with_resource(mut self, policy: Option<Attached<'a>>, account: &'a str) -> Self {
        self.resource = ResourcePolicy { policy, account: Some(account), trust: self.resource.trust };
        self
    }

    /// Adds a permissions boundary.
    pub fn with_boundary(mut self, boundary: Option<Attached<'a>>) -> Self {
        self.boundary = boundary;
        self
    }

    /// Adds session policies.
    pub fn with_session(mut self, session: Option<&'a [Attached<'a>]>) -> Self {
        self.session = session;
        self
    }
}

/// Decides one request.
pub fn evaluate<'a>(request: &Request<'_>, set: &PolicySet<'a>) -> Decision<'a> {
    decide(request, set, Layer::Resource)
}

/// Decides whether the caller may assume a role: `request.action` is `sts:AssumeRole` or one of its kin,
/// `request.resource` the role's ARN, `trust` the role's trust policy. What `set` holds is the caller's side; its
/// `resource` is not looked at.
///
/// That root users may not assume roles at all is for STS to say.
pub fn evaluate_trust<'a>(request: &Request<'_>, trust: Attached<'a>, set: &PolicySet<'a>) -> Decision<'a> {
    // Comparing with the caller's account is all the owner is for, so that the answer need not borrow it.
    let same = request.principal.account() == account_of(request.resource);
    let resource = ResourcePolicy {
        policy: Some(trust),
        account: if same { None } else { Some("") },
        trust: ResourceTrust::Required,
    };
    decide(request, &PolicySet { resource, ..*set }, Layer::Trust)
}

/// Every statement that matches the request, whatever it says and whether or not it decided, in the order of
/// evaluation: for explanations and the policy simulator.
pub fn matching_statements<'a>(request: &Request<'_>, set: &PolicySet<'a>) -> Vec<StatementRef<'a>> {
    let mut buffer = [0; 128];
    let lower = lower_case(request.action, &mut buffer);
    let matcher = Matcher::new(request, &lower);
    let single = |policy: &Option<Attached<'a>>| policy.iter().copied().collect::<Vec<_>>();
    let flat = |levels: &[&[Attached<'a>]]| {
        levels.iter().flat_map(|level| level.iter().copied()).collect::<Vec<_>>()
    };
    let layers = [
        (Layer::ServiceControl, flat(set.service_control)),
        (Layer::ResourceControl, flat(set.resource_control)),
        (Layer::VpcEndpoint, single(&set.vpc_endpoint)),
        (Layer::Resource, single(&set.resource.policy)),
        (Layer::Identity, set.identity.to_vec()),
        (Layer::Boundary, single(&set.boundary)),
        (Layer::Session, set.session.unwrap_or_default().to_vec()),
    ];
    let mut found = Vec::new();
    for (layer, policies) in layers {
        for attached in policies {
            for (index, statement) in attached.policy.statements().iter().enumerate() {
                if matcher.applies(statement) && matcher.reach(statement, layer) != Reach::No {
                    found.push(refer(layer, attached, index, statement));
                }
            }
        }
    }
    found
}

fn decide<'a>(request: &Request<'_>, set: &PolicySet<'a>, resource_layer: Layer) -> Decision<'a> {
    let mut buffer = [0; 128];
    let lower = lower_case(request.action, &mut buffer);
    let matcher = Matcher::new(request, &lower);
    match judge(&matcher, set, resource_layer) {
        Ok(decision) | Err(decision) => decision,
    }
}

/// What a list of policies says: the first allow. A deny ends the evaluation.
type Said<'a> = Result<Option<StatementRef<'a>>, Decision<'a>>;

fn judge<'a>(
    matcher: &Matcher<'_, '_>,
    set: &PolicySet<'a>,
    resource_layer: Layer,
) -> Result<Decision<'a>, Decision<'a>> {
    // Every layer is asked before any allow counts, since each may deny.
    let mut gate = None;
    let mut close = |missing: Layer, open: bool| {
        if !open {
            gate.get_or_insert(missing);
        }
    };
    for level in set.service_control {
        let allow = matcher.ask(level.iter(), Layer::ServiceControl)?;
        close(Layer::ServiceControl, allow.is_some());
    }
    for level in set.resource_control {
        let allow = matcher.ask(level.iter(), Layer::ResourceControl)?;
        close(Layer::ResourceControl, allow.is_some());
    }
    if let Some(policy) = &set.vpc_endpoint {
        let allow = matcher.ask(std::iter::once(policy), Layer::VpcEndpoint)?;
        close(Layer::VpcEndpoint, allow.is_some());
    }
    let granted = matcher.ask_resource(&set.resource, resource_layer)?;
    let identity = matcher.ask(set.identity.iter(), Layer::Identity)?;
    let boundary = matcher.ask(set.boundary.iter(), Layer::Boundary)?;
    let session = matcher.ask(set.session.unwrap_or_default().iter(), Layer::Session)?;

    if let Some(missing) = gate {
        return Ok(Decision::lacks(missing));
    }
    let caller = matcher.request.principal;
    let reach = granted.map_or(Reach::No, |(reach, _)| reach);
    let Some(account) = caller.account() else {
        return Ok(match granted {
            Some((Reach::Direct | Reach::Limited, statement)) => Decision::allow(statement),
            _ => Decision::lacks(resource_layer),
        });
    };

    // What still limits a caller whom identity policies need not allow.
    let limits = || {
        let federated = matches!(caller, PrincipalRef::FederatedUser { .. });
        if set.boundary.is_some() && boundary.is_none() {
            Some(Layer::Boundary)
        } else if (set.session.is_some() || federated) && session.is_none() {
            Some(Layer::Session)
        } else {
            None
        }
    };
    let by_identity = || match (identity, caller) {
        (_, PrincipalRef::Root { .. }) => limits().map_or_else(Decision::allow_root, Decision::lacks),
        (None, PrincipalRef::FederatedUser { issuer_arn, .. }) if issuer_arn.ends_with(":root") => {
            limits().map_or_else(Decision::allow_root, Decision::lacks)
        }
        (None, _) => Decision::lacks(Layer::Identity),
        (Some(statement), _) => limits().map_or_else(|| Decision::allow(statement), Decision::lacks),
    };

    let own = set.resource.account.is_none_or(|owner| owner == account);
    Ok(match granted {
        Some((Reach::Direct, statement)) if own && !caller.is_root() => Decision::allow(statement),
        Some((Reach::Limited, statement)) if own => {
            limits().map_or_else(|| Decision::allow(statement), Decision::lacks)
        }
        _ if own && (reach != Reach::No || set.resource.trust == ResourceTrust::Either) => by_identity(),
        _ if own => Decision::lacks(resource_layer),
        granted => {
            let decision = by_identity();
            if decision.allowed && granted.is_none() { Decision::lacks(resource_layer) } else { decision }
        }
    })
}

/// A request made ready for matching.
struct Matcher<'r, 'b> {
    request: &'r Request<'r>,
    action: ActionName<'b>,
    resource: Arn<'r>,
    shown: Shown,
}

impl<'r, 'b> Matcher<'r, 'b> {
    /// `lower` is the action in lower case.
    fn new(request: &'r Request<'r>, lower: &'b str) -> Self {
        let action = ActionName::new(lower);
        let shown = Shown::new(&action, request.resource);
        Self { request, action, resource: Arn::new(request.resource), shown }
    }
}

impl Matcher<'_, '_> {
    fn applies(&self, statement: &Statement) -> bool {
        statement.applies(&self.action, &self.resource, self.request.context)
    }

    /// How a statement names the caller. Policies without principals speak of whoever they are attached to.
    fn reach(&self, statement: &Statement, layer: Layer) -> Reach {
        let Some(principal) = &statement.principal else { return Reach::Direct };
        // A resource control policy's principal can only be everyone.
        if layer == Layer::ResourceControl {
            return Reach::Direct;
        }
        let (caller, canonical_user) = (self.request.principal, self.request.canonical_user);
        match statement.effect {
            Effect::Allow => principal.reach_for_allow(caller, canonical_user),
            Effect::Deny if principal.denies(caller, canonical_user) => Reach::Direct,
            Effect::Deny => Reach::No,
        }
    }

    /// Asks policies that stand side by side: `Err` if one denies, else the first that allows.
    fn ask<'a: 'p, 'p>(&self, policies: impl Iterator<Item = &'p Attached<'a>>, layer: Layer) -> Said<'a> {
        let mut allow = None;
        for attached in policies {
            if !attached.policy.concerns(self.action.bit) {
                continue;
            }
            for (index, statement) in attached.policy.candidates(&self.shown) {
                // An allow after the first adds nothing.
                let wanted = allow.is_none() || statement.effect == Effect::Deny;
                if !wanted || !self.applies(statement) || self.reach(statement, layer) == Reach::No {
                    continue;
                }
                let found = refer(layer, *attached, index, statement);
                match statement.effect {
                    Effect::Deny => return Err(Decision::deny(found)),
                    Effect::Allow => allow = Some(found),
                }
            }
        }
        Ok(allow)
    }

    /// Asks the resource policy: the allow that names the caller most directly.
    fn ask_resource<'a>(
        &self,
        resource: &ResourcePolicy<'a>,
        layer: Layer,
    ) -> Result<Option<(Reach, StatementRef<'a>)>, Decision<'a>> {
        let Some(attached) = resource.policy.filter(|attached| attached.policy.concerns(self.action.bit))
        else {
            return Ok(None);
        };
        let mut best: Option<(Reach, StatementRef<'a>)> = None;
        for (index, statement) in attached.policy.candidates(&self.shown) {
            let reach = self.reach(statement, layer);
            if reach == Reach::No || !self.applies(statement) {
                continue;
            }
            let found = refer(layer, attached, index, statement);
            match statement.effect {
                Effect::Deny => return Err(Decision::deny(found)),
                Effect::Allow if best.is_none_or(|(known, _)| known < reach) => best = Some((reach, found)),
                Effect::Allow => {}
            }
        }
        Ok(best)
    }
}

fn refer<'a>(
    layer: Layer,
    attached: Attached<'a>,
    index: usize,
    statement: &'a Statement,
) -> StatementRef<'a> {
    StatementRef {
        layer,
        policy: attached.id,
        sid: statement.sid(),
        index,
        effect: statement.effect,
        span: statement.span(),
    }
}

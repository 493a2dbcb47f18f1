//! Decides accesses: gathers policies and condition keys, asks the evaluator, words the refusal.

use crate::caller::{Bundle, Caller, Named};
use crate::explain::{Considered, Denial};
use crate::identities::Identities;
use crate::keys;
use crate::mfa::Shown;
use crate::organization::{Above, levels};
use crate::records::{LastUse, Role};
use crate::token::Holder;
use cloudlet_access::{
    Attached, ConditionContext, Decision, Effect, Policy, PolicyKind, PolicySet, PrincipalRef, Reason,
    Request, ResourcePolicy, ResourceText, ResourceTrust, evaluate, evaluate_trust, matching_statements,
};
use cloudlet_service::{AccessRequest, BoxFuture, Context, Error, Identity, Principal, Resolved};
use std::sync::Arc;

impl Identity for Identities {
    /// Errors: `InvalidClientTokenId` (403) for a key or token that is not ours, `ExpiredToken` (403). The front
    /// door translates both into the words of the service's family.
    fn resolve(&self, access_key_id: &str, session_token: Option<&str>) -> Result<Resolved, Error> {
        self.find(access_key_id, session_token)
    }

    fn principal_exists(&self, principal: &str) -> bool {
        self.names_somebody(principal)
    }

    fn authorize(&self, cx: &Context, request: &AccessRequest<'_>) -> Result<(), Error> {
        let access = request.access;
        let own = access.resource_account.as_deref().is_none_or(|account| account == cx.principal.account());
        let above = self.above_principal(&cx.principal)?;
        let controlled = above.as_ref().is_some_and(|above| !above.service_control.is_empty());
        if let Principal::Root { .. } = cx.principal
            && own
            && !controlled
            && access.resource_policy.is_none()
            && cx.session_claims().is_none()
        {
            self.note_use(cx, request.service.signing_name);
            return Ok(());
        }
        if let Principal::Service { name, .. } = &cx.principal
            && name.strip_suffix(".amazonaws.com").is_some_and(|s| s == request.service.signing_name)
        {
            return Ok(());
        }
        let caller = self.caller(cx);
        refuse_session(&caller, request)?;
        let bundle = self.bundle(&caller).map_err(Error::internal)?;
        let owner = access.resource_account.as_deref().unwrap_or(&cx.account);
        // Nothing but the caller's own policies decides, by action and resource alone.
        let plain = owner == cx.principal.account()
            && above.is_none()
            && access.resource_policy.is_none()
            && !bundle.asks_keys;
        if plain && bundle.recent.allowed(cx, request) {
            return Ok(());
        }
        self.note_use(cx, request.service.signing_name);
        if bundle.gone {
            return Err(Error::new(
                "InvalidClientTokenId",
                403,
                "The security token included in the request is invalid.",
            ));
        }
        let above_owner = match &above {
            Some(above) if own => Some(above.clone()),
            _ => self.above(owner).map_err(Error::internal)?,
        };
        let above_asks = above.iter().chain(&above_owner).any(|above| above.asks_keys);
        let context = if bundle.asks_keys || access.resource_policy.is_some() || above_asks {
            keys::of_request(cx, &caller, &bundle, access, above.as_deref(), above_owner.as_deref())
        } else {
            ConditionContext::new()
        };
        let context = self.with_source(cx, context)?;
        let asked = Request::new(&access.action, &access.resource, &caller.who, &context);
        let resource = ResourcePolicy {
            policy: access.resource_policy.as_ref().map(|policy| Attached::new(policy, &access.resource)),
            account: access
                .resource_account
                .as_deref()
                .or_else(|| (*cx.account != *cx.principal.account()).then_some(&cx.account)),
            // A key's policy is the only source of permission to the key.
            trust: if request.service.signing_name == "kms" && access.resource_policy.is_some() {
                ResourceTrust::Required
            } else {
                ResourceTrust::Either
            },
        };
        let control = levels(above.as_ref().map_or(&[], |above| &above.service_control));
        let resource_control = match &above_owner {
            Some(above) if above.controls(request.service.signing_name) => levels(&above.resource_control),
            _ => Vec::new(),
        };
        let denied = with_set(&bundle, resource, |set| {
            let control: Vec<_> = control.iter().map(Vec::as_slice).collect();
            let resource_control: Vec<_> = resource_control.iter().map(Vec::as_slice).collect();
            let set = PolicySet { service_control: &control, resource_control: &resource_control, ..*set };
            refused_by(&bundle, &set, |set| {
                let decision = evaluate(&asked, set);
                (!decision.allowed).then(|| (refusal(cx, request, &decision), considered(&asked, set)))
            })
        });
        let Some(((message, statement), considered)) = denied else {
            self.note_action(cx, &access.action, &access.resource, request.service.signing_name);
            if plain {
                bundle.recent.note(cx, request);
            }
            return Ok(());
        };
        self.denials.note(Denial {
            request_id: cx.request_id.clone(),
            at: cx.millis(),
            principal: caller.who.arn().to_owned(),
            action: access.action.to_string(),
            resource: access.resource.clone(),
            message: message.clone(),
            statement,
            considered,
        });
        Err(Error::new("AccessDenied", 403, self.shown(cx, request, message)))
    }

    fn asks_keys(&self, cx: &Context) -> bool {
        let asks = || {
            let principals = self.above_principal(&cx.principal)?;
            let owners = self.above(&cx.account).map_err(Error::internal)?;
            let bundle = self.bundle(&self.caller(cx)).map_err(Error::internal)?;
            Ok::<_, Error>(bundle.asks_keys || principals.iter().chain(&owners).any(|above| above.asks_keys))
        };
        // What cannot be read is refused when the access is decided.
        asks().unwrap_or(true)
    }

    fn check_mfa<'a>(
        &'a self,
        cx: &'a Context,
        serial: &'a str,
        code: &'a str,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let user = match &cx.principal {
                Principal::User { name, .. } => Some(&**name),
                _ => None,
            };
            // In S3's words, which alone asks here. Source: S3 API Reference, "Error responses".
            let (code, message) = match self.try_mfa(cx.principal.account(), user, serial, code).await? {
                Shown::Right => return Ok(()),
                Shown::NotOwned => (
                    "NotDeviceOwnerError",
                    "The device that generated the token is not owned by the authenticated user.",
                ),
                Shown::Inactive => ("DeviceNotActiveError", "The device is not currently active."),
                Shown::Wrong => (
                    "TokenCodeInvalidError",
                    "The serial number and/or token code you provided is not valid.",
                ),
            };
            Err(Error::sender(code, message))
        })
    }
}

impl Identities {
    /// Why a request was refused, as long as it is remembered; a request may have been refused several things.
    pub fn why_denied(&self, request_id: &str) -> Vec<Denial> {
        self.denials.of(request_id)
    }

    /// The latest refusals, the last one first.
    pub fn latest_denials(&self, count: usize) -> Vec<Denial> {
        self.denials.latest(count)
    }

    /// The caller of a context.
    pub fn caller(&self, cx: &Context) -> Arc<Caller> {
        if let Some(session) = &cx.session
            && let Ok(caller) = session.clone().downcast::<Caller>()
            && caller.principal == cx.principal
        {
            return caller;
        }
        Arc::new(Caller::of(&cx.principal))
    }

    /// Whether the context's principal may take on a role: its trust policy together with the caller's own
    /// policies. `more` are the condition keys of the call, such as `sts:ExternalId`.
    ///
    /// Errors: `AccessDenied` in the words of STS.
    pub fn may_assume(
        &self,
        cx: &Context,
        action: &str,
        role: &Role,
        more: &[(String, Vec<String>)],
    ) -> Result<(), Error> {
        let caller = self.caller(cx);
        self.may_assume_as(cx, &caller, &caller.who, action, role, more)
    }

    /// The same for the bearer of an identity provider's token, who is nobody before.
    pub fn may_assume_as(
        &self,
        cx: &Context,
        caller: &Caller,
        who: &PrincipalRef,
        action: &str,
        role: &Role,
        more: &[(String, Vec<String>)],
    ) -> Result<(), Error> {
        let arn = role.arn();
        let bundle = self.bundle(caller).map_err(Error::internal)?;
        let trust = Policy::parse(&role.trust, PolicyKind::Trust).map_err(Error::internal)?;
        let above = match who.account() {
            Some(_) => self.above_principal(&cx.principal)?,
            None => None,
        };
        let above_owner = self.above(&role.account).map_err(Error::internal)?;
        let mut context = keys::of_call(cx, caller, &bundle, above.as_deref());
        keys::of_resource_owner(&mut context, above_owner.as_deref());
        context.set("aws:ResourceAccount", role.account.clone());
        for tag in &role.tags {
            context.set(format!("aws:ResourceTag/{}", tag.key), tag.value.clone());
            context.set(format!("iam:ResourceTag/{}", tag.key), tag.value.clone());
        }
        for (key, values) in more {
            context.set_all(key.clone(), values.iter().cloned());
        }
        let asked = Request::new(action, &arn, who, &context);
        let trust = Attached::new(&trust, &arn);
        let control = levels(above.as_ref().map_or(&[], |above| &above.service_control));
        let resource_control = levels(above_owner.as_ref().map_or(&[], |above| &above.resource_control));
        let outcome = with_set(&bundle, ResourcePolicy::default(), |set| {
            let control: Vec<_> = control.iter().map(Vec::as_slice).collect();
            let resource_control: Vec<_> = resource_control.iter().map(Vec::as_slice).collect();
            let set = PolicySet { service_control: &control, resource_control: &resource_control, ..*set };
            refused_by(&bundle, &set, |set| {
                let decision = evaluate_trust(&asked, trust, set);
                let seen = PolicySet {
                    resource: ResourcePolicy { policy: Some(trust), ..ResourcePolicy::default() },
                    ..*set
                };
                (!decision.allowed).then(|| (statement(&decision), considered(&asked, &seen)))
            })
        });
        let Some((statement, considered)) = outcome else {
            self.note_use(cx, "sts");
            self.note_action(cx, action, &arn, "sts");
            return Ok(());
        };
        let message = match who {
            PrincipalRef::WebIdentity { .. } | PrincipalRef::Saml { .. } => {
                format!("Not authorized to perform {action}")
            }
            who => format!("User: {} is not authorized to perform: {action} on resource: {arn}", who.arn()),
        };
        self.denials.note(Denial {
            request_id: cx.request_id.clone(),
            at: cx.millis(),
            principal: who.arn().to_owned(),
            action: action.to_owned(),
            resource: arn.clone(),
            message: message.clone(),
            statement,
            considered,
        });
        Err(Error::new("AccessDenied", 403, message))
    }

    /// What the caller is shown of a refusal: S3 tells strangers nothing.
    fn shown(&self, cx: &Context, request: &AccessRequest<'_>, message: String) -> String {
        if request.service.signing_name != "s3" {
            return message;
        }
        let owner = request.access.resource_account.as_deref().unwrap_or(&cx.account);
        if owner == cx.principal.account() { message } else { "Access Denied".to_owned() }
    }

    /// What stands above the caller's account. Service-linked roles are not bound by it.
    fn above_principal(&self, principal: &Principal) -> Result<Option<Arc<Above>>, Error> {
        match principal {
            Principal::Anonymous | Principal::Service { .. } => Ok(None),
            Principal::AssumedRole { path, .. } if path.starts_with("/aws-service-role/") => Ok(None),
            principal => self.above(principal.account()).map_err(Error::internal),
        }
    }

    /// Adds the organization of the account that a service acts for (`aws:SourceOrgID`).
    fn with_source(&self, cx: &Context, mut context: ConditionContext) -> Result<ConditionContext, Error> {
        if let Principal::Service { source_account: Some(account), .. } = &cx.principal
            && let Some(above) = self.above(account).map_err(Error::internal)?
        {
            context.set("aws:SourceOrgID", above.organization.clone());
            context.set_all("aws:SourceOrgPaths", [above.path.clone()]);
        }
        Ok(context)
    }

    fn note_action(&self, cx: &Context, action: &str, resource: &str, service: &str) {
        let id = match &cx.principal {
            Principal::User { id, .. } => id,
            Principal::AssumedRole { role_id, .. } => role_id,
            _ => return,
        };
        let at = cx.millis();
        let last = || LastUse { at, region: cx.region.to_string(), service: service.to_owned() };
        self.uses.note_action(self.store(), id, action, resource, last, at);
    }

    fn note_use(&self, cx: &Context, service: &str) {
        let at = cx.millis();
        if let Some(key) = &cx.origin.access_key_id {
            self.uses.note(self.store(), key, at, &cx.region, service);
        }
        let id = match &cx.principal {
            Principal::User { id, .. } => id,
            Principal::AssumedRole { role_id, .. } => role_id,
            _ => return,
        };
        self.uses.note(self.store(), id, at, &cx.region, service);
        let mut name = String::with_capacity(id.len() + 1 + service.len());
        name.push_str(id);
        name.push('/');
        name.push_str(service);
        self.uses.note(self.store(), &name, at, &cx.region, service);
    }

    /// The last use of an access key, or of a user or role by its unique id.
    pub fn last_use(&self, id: &str) -> Option<crate::records::LastUse> {
        self.uses.get(id)
    }

    /// What the user or role with this unique id did, by action.
    pub fn actions_used(&self, id: &str) -> std::collections::BTreeMap<String, crate::uses::ActionUse> {
        self.uses.actions(id)
    }

    /// The last use of each service by the user or role with this unique id.
    pub fn services_used(&self, id: &str) -> Vec<(String, crate::records::LastUse)> {
        self.uses.beginning(&format!("{id}/"))
    }
}

trait SessionClaims {
    fn session_claims(&self) -> Option<()>;
}

impl SessionClaims for Context {
    /// Whether the caller came with a session token.
    fn session_claims(&self) -> Option<()> {
        self.session.as_ref()?.downcast_ref::<Caller>()?.claims.as_ref().map(|_| ())
    }
}

/// What temporary credentials may not do whatever their policies say. Source: IAM User Guide, "Compare AWS STS
/// credentials".
fn refuse_session(caller: &Caller, request: &AccessRequest<'_>) -> Result<(), Error> {
    let Some(claims) = &caller.claims else { return Ok(()) };
    let iam = request.service.signing_name == "iam" || request.service.name == "iam";
    let refused = match claims.holder {
        Holder::Role { .. } => false,
        Holder::Federated { .. } => iam,
        Holder::Root if claims.task => false,
        Holder::Root | Holder::User { .. } => iam && claims.mfa.is_none(),
    };
    if refused {
        return Err(Error::new(
            "InvalidClientTokenId",
            403,
            "The security token included in the request is invalid",
        ));
    }
    Ok(())
}

/// Lends the bundle's policies to an evaluation.
pub(crate) fn with_set<T>(
    bundle: &Bundle,
    resource: ResourcePolicy<'_>,
    f: impl FnOnce(&PolicySet<'_>) -> T,
) -> T {
    let identity: Vec<Attached<'_>> = bundle.identity.iter().map(Named::attached).collect();
    let session: Option<Vec<Attached<'_>>> =
        bundle.session.as_ref().map(|policies| policies.iter().map(Named::attached).collect());
    f(&PolicySet {
        identity: &identity,
        boundary: bundle.boundary.as_ref().map(Named::attached),
        session: session.as_deref(),
        resource,
        ..PolicySet::default()
    })
}

/// The first refusal: by the policies of a session, and then by each of those that narrowed it afterwards.
fn refused_by<T>(
    bundle: &Bundle,
    set: &PolicySet<'_>,
    refused: impl Fn(&PolicySet<'_>) -> Option<T>,
) -> Option<T> {
    refused(set).or_else(|| {
        bundle.scopes.iter().find_map(|scope| {
            let only = [scope.attached()];
            refused(&PolicySet { session: Some(&only), ..*set })
        })
    })
}

/// The message of a refusal, and the statement that denied.
type Refused = (String, Option<(String, String)>);

fn refusal(cx: &Context, request: &AccessRequest<'_>, decision: &Decision<'_>) -> Refused {
    let (access, service) = (request.access, request.service.signing_name);
    // Services differ in how they name what has no resource, and S3 in how it names what has.
    let resource = match (service, access.resource.as_str()) {
        ("s3" | "ec2" | "secretsmanager", "*") => ResourceText::Omitted,
        ("s3", arn) => ResourceText::Quoted(arn),
        (_, arn) => ResourceText::Plain(arn),
    };
    (decision.denied_message(&cx.principal.arn(), &access.action, resource), statement(decision))
}

/// Every statement that spoke about the request: its policy, its place, and what it says.
fn considered(asked: &Request<'_>, set: &PolicySet<'_>) -> Vec<Considered> {
    let found = matching_statements(asked, set).into_iter().map(|found| Considered {
        layer: found.layer.name(),
        policy: found.policy.to_owned(),
        place: place(found.index, found.sid),
        effect: match found.effect {
            Effect::Allow => "Allow",
            Effect::Deny => "Deny",
        },
    });
    found.collect()
}

fn place(index: usize, sid: Option<&str>) -> String {
    match sid {
        Some(sid) => format!("statement {} (Sid {sid})", index + 1),
        None => format!("statement {}", index + 1),
    }
}

/// The policy and the place of the statement that denied.
fn statement(decision: &Decision<'_>) -> Option<(String, String)> {
    match decision.reason {
        Reason::ExplicitDeny(found) => Some((found.policy.to_owned(), place(found.index, found.sid))),
        _ => None,
    }
}

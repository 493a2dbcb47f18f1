//! The caller of a request with everything its decisions need, found once and reused.

use crate::recent::Recent;
use crate::records::Tag;
use crate::token::{Claims, Holder};
use arc_swap::ArcSwapOption;
use cloudlet_access::{Attached, Policy, PrincipalRef};
use cloudlet_service::Principal;
use std::sync::Arc;

/// A parsed policy and the ARN or name it goes by.
#[derive(Debug, Clone)]
pub struct Named {
    /// The policy.
    pub policy: Policy,
    /// Its ARN, or the name of an inline policy.
    pub id: Box<str>,
}

impl Named {
    pub(crate) fn attached(&self) -> Attached<'_> {
        Attached::new(&self.policy, &self.id)
    }
}

/// The policies that speak about one caller, as of one generation of the identity records.
#[derive(Debug, Default)]
pub struct Bundle {
    pub(crate) generation: u64,
    /// Managed and inline policies of the user and its groups, or of the role.
    pub identity: Vec<Named>,
    /// The permissions boundary.
    pub boundary: Option<Named>,
    /// Session policies; `None` where the session was made without.
    pub session: Option<Vec<Named>>,
    /// Policies that narrowed the session afterwards: each by itself must allow.
    pub(crate) scopes: Vec<Named>,
    /// `aws:PrincipalTag/…`: tags of the user or role, overlaid by session tags.
    pub tags: Vec<Tag>,
    /// Whether any of these policies asks for a condition key or a variable.
    pub(crate) asks_keys: bool,
    /// What they allowed a moment ago.
    pub(crate) recent: Recent,
    /// Whether the user or role still exists.
    pub(crate) gone: bool,
}

/// What [`cloudlet_service::Resolved::session`] and [`cloudlet_service::Context::session`] hold.
#[derive(Debug)]
pub struct Caller {
    /// The caller as services know it.
    pub principal: Principal,
    /// The caller as the policy language knows it.
    pub who: PrincipalRef,
    /// What the session token says; `None` for long-term keys.
    pub claims: Option<Claims>,
    pub(crate) bundle: ArcSwapOption<Bundle>,
}

impl Caller {
    pub(crate) fn new(principal: Principal, who: PrincipalRef, claims: Option<Claims>) -> Self {
        Self { principal, who, claims, bundle: ArcSwapOption::empty() }
    }

    /// A caller without a session token.
    pub(crate) fn of(principal: &Principal) -> Self {
        Self::new(principal.clone(), who(principal), None)
    }

    /// The role's unique id, where the caller is a session of a role.
    pub fn role_id(&self) -> Option<&str> {
        match &self.principal {
            Principal::AssumedRole { role_id, .. } => Some(role_id),
            _ => None,
        }
    }
}

/// A principal as the policy language knows it.
pub fn who(principal: &Principal) -> PrincipalRef {
    match principal {
        Principal::Anonymous => PrincipalRef::Anonymous,
        Principal::Root { account } => PrincipalRef::root(account),
        Principal::User { account, path, name, id } => PrincipalRef::user(account, path, name, id),
        Principal::AssumedRole { account, path, role, role_id, session } => {
            PrincipalRef::assumed_role(account, path, role, role_id, session)
        }
        Principal::Federated { account, name } => PrincipalRef::FederatedUser {
            arn: principal.arn(),
            issuer_arn: format!("arn:aws:iam::{account}:root"),
            account: account.to_string(),
            user_id: format!("{account}:{name}"),
        },
        Principal::Service { name, .. } => PrincipalRef::service(name),
    }
}

/// The caller behind a session token, given the path of its user or role.
pub(crate) fn of_session(claims: Claims, path: &str) -> Caller {
    let account: Arc<str> = claims.account.as_str().into();
    let (principal, who) = match &claims.holder {
        Holder::Root => {
            let principal = Principal::Root { account };
            let who = who(&principal);
            (principal, who)
        }
        Holder::User { name, id } => {
            let principal = Principal::User {
                account,
                path: path.into(),
                name: name.as_str().into(),
                id: id.as_str().into(),
            };
            let who = who(&principal);
            (principal, who)
        }
        Holder::Role { name, id, session } => {
            let principal = Principal::AssumedRole {
                account,
                path: path.into(),
                role: name.as_str().into(),
                role_id: id.as_str().into(),
                session: session.as_str().into(),
            };
            let who = who(&principal);
            (principal, who)
        }
        Holder::Federated { name, issuer } => {
            let issuer_arn = match issuer {
                Some((user, _)) => format!("arn:aws:iam::{account}:user{path}{user}"),
                None => format!("arn:aws:iam::{account}:root"),
            };
            let principal = Principal::Federated { account: account.clone(), name: name.as_str().into() };
            let who = PrincipalRef::FederatedUser {
                arn: principal.arn(),
                issuer_arn,
                account: account.to_string(),
                user_id: principal.user_id(),
            };
            (principal, who)
        }
    };
    Caller::new(principal, who, Some(claims))
}

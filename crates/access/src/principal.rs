//! Who calls, and whom a policy means.

use crate::arn::account_of;
use crate::context::ConditionContext;

/// The caller of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PrincipalRef {
    /// Nobody signed.
    Anonymous,
    /// The root user of an account.
    Root {
        /// `arn:aws:iam::ACCOUNT:root`
        arn: String,
        /// Twelve digits.
        account: String,
    },
    /// An IAM user, also with temporary credentials of GetSessionToken.
    User {
        /// `arn:aws:iam::ACCOUNT:user/PATH/NAME`
        arn: String,
        /// Twelve digits.
        account: String,
        /// `AIDA…`
        user_id: String,
        /// The name without the path.
        name: String,
    },
    /// A session of a role.
    AssumedRole {
        /// `arn:aws:iam::ACCOUNT:role/PATH/NAME`
        role_arn: String,
        /// `arn:aws:sts::ACCOUNT:assumed-role/NAME/SESSION`
        session_arn: String,
        /// Twelve digits.
        account: String,
        /// `AROA…:SESSION`
        user_id: String,
    },
    /// A session of GetFederationToken.
    FederatedUser {
        /// `arn:aws:sts::ACCOUNT:federated-user/NAME`
        arn: String,
        /// The user that asked for the token, or the root ARN.
        issuer_arn: String,
        /// Twelve digits.
        account: String,
        /// `ACCOUNT:NAME`
        user_id: String,
    },
    /// A bearer of a web identity token, who calls AssumeRoleWithWebIdentity.
    WebIdentity {
        /// The OIDC provider's ARN, or the domain of a built-in one such as `cognito-identity.amazonaws.com`.
        provider: String,
    },
    /// A bearer of a SAML assertion, who calls AssumeRoleWithSAML.
    Saml {
        /// The SAML provider's ARN.
        provider_arn: String,
    },
    /// An AWS service that acts for itself.
    Service {
        /// `lambda.amazonaws.com`
        name: String,
    },
}

impl PrincipalRef {
    /// The root user of `account`, in partition `aws`.
    pub fn root(account: &str) -> Self {
        PrincipalRef::Root { arn: format!("arn:aws:iam::{account}:root"), account: account.to_owned() }
    }

    /// An IAM user; `path` begins and ends with `/`.
    pub fn user(account: &str, path: &str, name: &str, user_id: &str) -> Self {
        PrincipalRef::User {
            arn: format!("arn:aws:iam::{account}:user{path}{name}"),
            account: account.to_owned(),
            user_id: user_id.to_owned(),
            name: name.to_owned(),
        }
    }

    /// A session of a role; `path` begins and ends with `/`, `role_id` is `AROA…`.
    pub fn assumed_role(account: &str, path: &str, role: &str, role_id: &str, session: &str) -> Self {
        PrincipalRef::AssumedRole {
            role_arn: format!("arn:aws:iam::{account}:role{path}{role}"),
            session_arn: format!("arn:aws:sts::{account}:assumed-role/{role}/{session}"),
            account: account.to_owned(),
            user_id: format!("{role_id}:{session}"),
        }
    }

    /// An AWS service, by its service principal name.
    pub fn service(name: &str) -> Self {
        PrincipalRef::Service { name: name.to_owned() }
    }

    /// The caller's ARN, as GetCallerIdentity and denial messages show it. A service shows its name, a bearer
    /// of a token its provider, and nobody `anonymous`.
    pub fn arn(&self) -> &str {
        match self {
            PrincipalRef::Anonymous => "anonymous",
            PrincipalRef::Root { arn, .. }
            | PrincipalRef::User { arn, .. }
            | PrincipalRef::FederatedUser { arn, .. } => arn,
            PrincipalRef::AssumedRole { session_arn, .. } => session_arn,
            PrincipalRef::WebIdentity { provider } => provider,
            PrincipalRef::Saml { provider_arn } => provider_arn,
            PrincipalRef::Service { name } => name,
        }
    }

    /// The account whose identity policies govern the caller, if any account's do.
    pub fn account(&self) -> Option<&str> {
        match self {
            PrincipalRef::Root { account, .. }
            | PrincipalRef::User { account, .. }
            | PrincipalRef::AssumedRole { account, .. }
            | PrincipalRef::FederatedUser { account, .. } => Some(account),
            PrincipalRef::Anonymous
            | PrincipalRef::WebIdentity { .. }
            | PrincipalRef::Saml { .. }
            | PrincipalRef::Service { .. } => None,
        }
    }

    /// The caller's unique id, as `aws:userid` and GetCallerIdentity's `UserId` show it.
    pub fn user_id(&self) -> Option<&str> {
        match self {
            PrincipalRef::Root { account, .. } => Some(account),
            PrincipalRef::User { user_id, .. }
            | PrincipalRef::AssumedRole { user_id, .. }
            | PrincipalRef::FederatedUser { user_id, .. } => Some(user_id),
            PrincipalRef::Anonymous => Some("anonymous"),
            PrincipalRef::WebIdentity { .. } | PrincipalRef::Saml { .. } | PrincipalRef::Service { .. } => {
                None
            }
        }
    }

    /// True for the root user of an account.
    pub fn is_root(&self) -> bool {
        matches!(self, PrincipalRef::Root { .. })
    }

    /// Sets the condition keys that follow from the caller.
    pub(crate) fn describe(&self, context: &mut ConditionContext) {
        let kind = match self {
            PrincipalRef::Anonymous => Some("Anonymous"),
            PrincipalRef::Root { .. } => Some("Account"),
            PrincipalRef::User { .. } => Some("User"),
            PrincipalRef::AssumedRole { .. } => Some("AssumedRole"),
            PrincipalRef::FederatedUser { .. } => Some("FederatedUser"),
            PrincipalRef::WebIdentity { .. } | PrincipalRef::Saml { .. } | PrincipalRef::Service { .. } => {
                None
            }
        };
        context.set_some("aws:PrincipalType", kind);
        context.set_some("aws:userid", self.user_id().map(str::to_owned));
        if let Some(account) = self.account() {
            // A role's sessions all show the role, not the session.
            let arn = match self {
                PrincipalRef::AssumedRole { role_arn, .. } => role_arn,
                other => other.arn(),
            };
            context.set("aws:PrincipalArn", arn.to_owned());
            context.set("aws:PrincipalAccount", account.to_owned());
        }
        if let PrincipalRef::User { name, .. } = self {
            context.set("aws:username", name.clone());
        }
        let service = match self {
            PrincipalRef::Service { name } => Some(name.clone()),
            _ => None,
        };
        context.set("aws:PrincipalIsAWSService", if service.is_some() { "true" } else { "false" });
        context.set_some("aws:PrincipalServiceName", service);
    }
}

/// The kinds of principal a policy's `Principal` element tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PrincipalKind {
    /// `"*"`, written without a kind.
    Everyone,
    /// `AWS`
    Aws,
    /// `Service`
    Service,
    /// `Federated`
    Federated,
    /// `CanonicalUser`
    CanonicalUser,
}

impl PrincipalKind {
    /// The name of the element's member.
    pub fn name(self) -> &'static str {
        match self {
            PrincipalKind::Everyone => "*",
            PrincipalKind::Aws => "AWS",
            PrincipalKind::Service => "Service",
            PrincipalKind::Federated => "Federated",
            PrincipalKind::CanonicalUser => "CanonicalUser",
        }
    }
}

/// How directly a statement names a caller. The order matters: later is more direct.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// Not at all.
    No,
    /// Through the account: its own policies must allow too.
    Account,
    /// Through what the session came from (the role, the federated user's issuer): a boundary or session policy
    /// still limits.
    Limited,
    /// The caller itself: nothing but an explicit deny limits.
    Direct,
}

/// One entry of a `Principal` element, compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PrincipalPattern {
    Everyone,
    AnyAws,
    Account(Box<str>),
    Arn(Box<str>),
    UniqueId(Box<str>),
    Service(Box<str>),
    Federated(Box<str>),
    CanonicalUser(Box<str>),
}

impl PrincipalPattern {
    /// Compiles one value. The grammar was checked before.
    pub(crate) fn new(kind: PrincipalKind, value: &str) -> Self {
        match kind {
            PrincipalKind::Everyone => PrincipalPattern::Everyone,
            PrincipalKind::Service => PrincipalPattern::Service(value.into()),
            PrincipalKind::Federated => PrincipalPattern::Federated(value.into()),
            PrincipalKind::CanonicalUser => PrincipalPattern::CanonicalUser(value.into()),
            PrincipalKind::Aws if value == "*" => PrincipalPattern::AnyAws,
            PrincipalKind::Aws => match root_account(value) {
                Some(account) => PrincipalPattern::Account(account.into()),
                None if value.starts_with("arn:") => PrincipalPattern::Arn(value.into()),
                None => PrincipalPattern::UniqueId(value.into()),
            },
        }
    }

    /// How this entry names the caller. `canonical_user` is the canonical id of the caller's account.
    pub(crate) fn reach(&self, caller: &PrincipalRef, canonical_user: Option<&str>) -> Reach {
        use PrincipalRef as P;
        let exact = |same: bool| if same { Reach::Direct } else { Reach::No };
        match self {
            PrincipalPattern::Everyone | PrincipalPattern::AnyAws => match caller {
                P::AssumedRole { .. } | P::FederatedUser { .. } => Reach::Limited,
                // Bearers of tokens come in only where `Federated` names their provider.
                P::WebIdentity { .. } | P::Saml { .. } => Reach::No,
                P::Anonymous | P::Root { .. } | P::User { .. } | P::Service { .. } => Reach::Direct,
            },
            PrincipalPattern::Account(account) => match caller.account() {
                Some(own) if *own == **account => {
                    if caller.is_root() {
                        Reach::Direct
                    } else {
                        Reach::Account
                    }
                }
                _ => Reach::No,
            },
            PrincipalPattern::Arn(arn) => match caller {
                P::AssumedRole { role_arn, .. } if **arn == **role_arn => Reach::Limited,
                P::FederatedUser { issuer_arn, .. } if **arn == **issuer_arn => Reach::Limited,
                P::WebIdentity { .. } | P::Saml { .. } | P::Service { .. } | P::Anonymous => Reach::No,
                other => exact(**arn == *other.arn()),
            },
            PrincipalPattern::UniqueId(id) => match caller {
                P::AssumedRole { user_id, .. } => {
                    let role_id = user_id.split(':').next().unwrap_or_default();
                    if **id == *role_id { Reach::Limited } else { exact(**id == **user_id) }
                }
                P::User { user_id, .. } => exact(**id == **user_id),
                _ => Reach::No,
            },
            PrincipalPattern::Service(name) => {
                exact(matches!(caller, P::Service { name: own } if **name == **own))
            }
            PrincipalPattern::Federated(provider) => exact(match caller {
                P::WebIdentity { provider: own } => **provider == **own,
                P::Saml { provider_arn } => **provider == **provider_arn,
                _ => false,
            }),
            PrincipalPattern::CanonicalUser(id) => match (canonical_user, caller.is_root()) {
                (Some(own), true) if **id == *own => Reach::Direct,
                (Some(own), false) if **id == *own => Reach::Account,
                _ => Reach::No,
            },
        }
    }
}

/// If `value` names a whole account, as twelve digits or as its root ARN: the twelve digits.
pub(crate) fn root_account(value: &str) -> Option<&str> {
    let account = if value.starts_with("arn:") {
        if !value.ends_with(":root") || value.split(':').nth(2) != Some("iam") {
            return None;
        }
        account_of(value)?
    } else {
        value
    };
    (account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit())).then_some(account)
}

/// A `Principal` or `NotPrincipal` element, compiled.
#[derive(Clone, Debug)]
pub(crate) struct PrincipalClause {
    pub(crate) negated: bool,
    pub(crate) entries: Box<[PrincipalPattern]>,
}

impl PrincipalClause {
    /// How an allow statement with this element names the caller.
    pub(crate) fn reach_for_allow(&self, caller: &PrincipalRef, canonical_user: Option<&str>) -> Reach {
        if self.negated {
            // Everybody but the listed, and so no more direct than `*`.
            if self.lists(caller, canonical_user) {
                return Reach::No;
            }
            return PrincipalPattern::Everyone.reach(caller, canonical_user);
        }
        self.best(caller, canonical_user)
    }

    /// Whether a deny statement with this element concerns the caller.
    pub(crate) fn denies(&self, caller: &PrincipalRef, canonical_user: Option<&str>) -> bool {
        if self.negated {
            return !self.lists(caller, canonical_user);
        }
        self.entries.contains(&PrincipalPattern::Everyone)
            || self.entries.contains(&PrincipalPattern::AnyAws)
            || self.best(caller, canonical_user) != Reach::No
    }

    fn best(&self, caller: &PrincipalRef, canonical_user: Option<&str>) -> Reach {
        self.entries.iter().map(|entry| entry.reach(caller, canonical_user)).max().unwrap_or(Reach::No)
    }

    /// Whether `NotPrincipal` exempts the caller: the account, and for sessions the role, must be listed as well
    /// as the caller itself.
    ///
    /// Source: IAM User Guide, "NotPrincipal": AWS may check the account first, then the role, then the session.
    fn lists(&self, caller: &PrincipalRef, canonical_user: Option<&str>) -> bool {
        let reaches = |wanted: Reach| {
            self.entries.iter().any(|entry| {
                matches!(entry, PrincipalPattern::Everyone | PrincipalPattern::AnyAws)
                    || entry.reach(caller, canonical_user) == wanted
            })
        };
        match caller {
            PrincipalRef::User { .. } => reaches(Reach::Direct) && reaches(Reach::Account),
            PrincipalRef::AssumedRole { .. } | PrincipalRef::FederatedUser { .. } => {
                reaches(Reach::Direct) && reaches(Reach::Limited) && reaches(Reach::Account)
            }
            _ => reaches(Reach::Direct),
        }
    }
}

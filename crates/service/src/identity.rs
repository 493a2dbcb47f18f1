//! Who calls, and the trait through which the front door asks IAM about it.

use crate::BoxFuture;
use crate::api::AccessRequest;
use crate::context::Context;
use crate::error::Error;
use cloudlet_access::{Policy, PrincipalKind, Statement};
use std::fmt;
use std::sync::Arc;

/// The part of a key pair that only its owner and we know. It never prints.
#[derive(Clone)]
pub struct SecretKey(Arc<str>);

impl SecretKey {
    /// Wraps the secret.
    pub fn new(secret: impl Into<Arc<str>>) -> Self {
        Self(secret.into())
    }

    /// The secret itself, for deriving a signing key or handing it to its owner.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(hidden)")
    }
}

/// Who makes a request. Source: IAM User Guide, "Principal" elements and `GetCallerIdentity`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// Nobody: an unsigned request.
    Anonymous,
    /// The root user of an account.
    Root { account: Arc<str> },
    /// An IAM user; `path` begins and ends with `/`.
    User { account: Arc<str>, path: Arc<str>, name: Arc<str>, id: Arc<str> },
    /// A session of a role. `role_id` is the role's unique id (`AROA…`), `path` the role's path.
    AssumedRole { account: Arc<str>, path: Arc<str>, role: Arc<str>, role_id: Arc<str>, session: Arc<str> },
    /// A session made by `GetFederationToken`.
    Federated { account: Arc<str>, name: Arc<str> },
    /// One of our services acting for itself, such as `s3.amazonaws.com` delivering a notification.
    /// `source_arn` and `source_account` are the resource on whose behalf it acts.
    Service { name: Arc<str>, source_arn: Option<Arc<str>>, source_account: Option<Arc<str>> },
}

impl Principal {
    /// The account the principal belongs to; empty for services and for nobody.
    pub fn account(&self) -> &str {
        match self {
            Self::Anonymous | Self::Service { .. } => "",
            Self::Root { account }
            | Self::User { account, .. }
            | Self::AssumedRole { account, .. }
            | Self::Federated { account, .. } => account,
        }
    }

    /// The ARN as `GetCallerIdentity` and error messages print it.
    pub fn arn(&self) -> String {
        match self {
            Self::Anonymous => "anonymous".to_owned(),
            Self::Root { account } => format!("arn:aws:iam::{account}:root"),
            Self::User { account, path, name, .. } => format!("arn:aws:iam::{account}:user{path}{name}"),
            Self::AssumedRole { account, role, session, .. } => {
                format!("arn:aws:sts::{account}:assumed-role/{role}/{session}")
            }
            Self::Federated { account, name } => format!("arn:aws:sts::{account}:federated-user/{name}"),
            Self::Service { name, .. } => name.to_string(),
        }
    }

    /// The ARN of the role behind a session.
    pub fn role_arn(&self) -> Option<String> {
        match self {
            Self::AssumedRole { account, path, role, .. } => {
                Some(format!("arn:aws:iam::{account}:role{path}{role}"))
            }
            _ => None,
        }
    }

    /// `aws:userid`, which is also `GetCallerIdentity`'s UserId.
    pub fn user_id(&self) -> String {
        match self {
            Self::Anonymous => "anonymous".to_owned(),
            Self::Root { account } => account.to_string(),
            Self::User { id, .. } => id.to_string(),
            Self::AssumedRole { role_id, session, .. } => format!("{role_id}:{session}"),
            Self::Federated { account, name } => format!("{account}:{name}"),
            Self::Service { name, .. } => name.to_string(),
        }
    }
}

/// What an access key turned out to be.
#[derive(Clone)]
pub struct Resolved {
    /// Whose key it is.
    pub principal: Principal,
    /// What signatures are checked against.
    pub secret: SecretKey,
    /// What a session carries beyond its principal: session policies, tags. Opaque to the front door.
    pub session: Option<Arc<dyn std::any::Any + Send + Sync>>,
}

/// What the front door needs of IAM. The `iam` service provides it.
pub trait Identity: Send + Sync + 'static {
    /// Finds the key pair. Errors: `InvalidAccessKeyId`/`InvalidClientTokenId` for a key that does not exist or is
    /// inactive, `ExpiredToken`, `InvalidToken` for a session token that is not ours or not this key's.
    fn resolve(&self, access_key_id: &str, session_token: Option<&str>) -> Result<Resolved, Error>;

    /// Decides one access by AWS's evaluation order over all policies that apply to the context's principal, the
    /// request's resource policy and the condition keys. Errors: `AccessDenied` with AWS's reason.
    fn authorize(&self, cx: &Context, request: &AccessRequest<'_>) -> Result<(), Error>;

    /// Whether [`Self::authorize`] would allow it: how a change is looked at before it is made, so that nobody locks
    /// themselves out. Errors: any but a refusal.
    fn would_allow(&self, cx: &Context, request: &AccessRequest<'_>) -> Result<bool, Error> {
        match self.authorize(cx, request) {
            Ok(()) => Ok(true),
            Err(denied) if denied.is("AccessDenied") => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// Whether any policy of the context's principal, or of the organizations of the principal's and the context's
    /// account, asks for a condition key.
    fn asks_keys(&self, _cx: &Context) -> bool {
        true
    }

    /// Whether the user or role that an ARN in a policy names is there. Anything else that a policy may name is.
    fn principal_exists(&self, _principal: &str) -> bool {
        true
    }

    /// Whether a policy names a user or role that is not there.
    fn names_strangers(&self, policy: &Policy) -> bool {
        let mut principals = policy.statements().iter().flat_map(Statement::principals);
        principals.any(|(kind, name)| kind == PrincipalKind::Aws && !self.principal_exists(name))
    }

    /// Checks a one-time password of a device of the context's principal and uses it up: what S3's MFA delete asks.
    /// Errors: `NotDeviceOwnerError`, `DeviceNotActiveError`, `TokenCodeInvalidError`.
    fn check_mfa<'a>(
        &'a self,
        _cx: &'a Context,
        _serial: &'a str,
        _code: &'a str,
    ) -> BoxFuture<'a, Result<(), Error>> {
        let message = "The device that generated the token is not owned by the authenticated user.";
        Box::pin(async move { Err(Error::sender("NotDeviceOwnerError", message)) })
    }
}

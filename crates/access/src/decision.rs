//! The outcome of an evaluation, and AWS's sentences for it.

use std::fmt::Write as _;

use crate::statement::Effect;

/// The kinds of policy that take part in a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Layer {
    /// Policies of the user, its groups, or the role.
    Identity,
    /// The permissions boundary of the user or role.
    Boundary,
    /// Policies passed when the session was made.
    Session,
    /// The policy on the resource.
    Resource,
    /// The trust policy of a role.
    Trust,
    /// Service control policies of an organization.
    ServiceControl,
    /// Resource control policies of an organization.
    ResourceControl,
    /// The policy of the VPC endpoint the request came through.
    VpcEndpoint,
}

impl Layer {
    /// AWS's name for this kind of policy, as its denial messages write it.
    pub fn name(self) -> &'static str {
        match self {
            Layer::Identity => "identity-based policy",
            Layer::Boundary => "permissions boundary",
            Layer::Session => "session policy",
            Layer::Resource => "resource-based policy",
            Layer::Trust => "role trust policy",
            Layer::ServiceControl => "service control policy",
            Layer::ResourceControl => "resource control policy",
            Layer::VpcEndpoint => "VPC endpoint policy",
        }
    }

    /// The `SourcePolicyType` of the IAM policy simulator's answers.
    pub fn simulator_name(self) -> &'static str {
        match self {
            Layer::Boundary | Layer::Identity | Layer::Session => "IAM Policy",
            Layer::Resource | Layer::Trust => "Resource Policy",
            Layer::ServiceControl | Layer::ResourceControl | Layer::VpcEndpoint => "None",
        }
    }
}

/// One statement of one policy, as the thing that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatementRef<'a> {
    /// Which kind of policy it stands in.
    pub layer: Layer,
    /// The name or ARN the policy was attached under.
    pub policy: &'a str,
    /// `Sid`, if the statement has one.
    pub sid: Option<&'a str>,
    /// Position in the document, from 0.
    pub index: usize,
    /// What the statement says.
    pub effect: Effect,
    /// Byte range of the statement in the policy's text.
    pub span: (usize, usize),
}

/// Why a request is allowed or denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason<'a> {
    /// Allowed by this statement (the last one that was needed).
    Allowed(StatementRef<'a>),
    /// Allowed because the caller is the root user of the account and nothing denies it.
    AllowedRoot,
    /// Denied by this statement.
    ExplicitDeny(StatementRef<'a>),
    /// Denied because no policy of this kind allows it.
    ImplicitDeny {
        /// The kind of policy that lacks an allow.
        missing: Layer,
    },
}

/// How a denial names the resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceText<'a> {
    /// `on resource: arn…`, as most services write it.
    Plain(&'a str),
    /// `on resource: "arn…"`, as S3 writes it.
    Quoted(&'a str),
    /// Not named, as services write it for actions without resources.
    Omitted,
}

impl<'a> From<&'a str> for ResourceText<'a> {
    fn from(arn: &'a str) -> Self {
        ResourceText::Plain(arn)
    }
}

/// The decision on one request. Borrows from the policies that were evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision<'a> {
    /// Whether the request may proceed.
    pub allowed: bool,
    /// Why.
    pub reason: Reason<'a>,
}

impl<'a> Decision<'a> {
    pub(crate) fn allow(statement: StatementRef<'a>) -> Self {
        Self { allowed: true, reason: Reason::Allowed(statement) }
    }

    pub(crate) fn allow_root() -> Self {
        Self { allowed: true, reason: Reason::AllowedRoot }
    }

    pub(crate) fn deny(statement: StatementRef<'a>) -> Self {
        Self { allowed: false, reason: Reason::ExplicitDeny(statement) }
    }

    pub(crate) fn lacks(missing: Layer) -> Self {
        Self { allowed: false, reason: Reason::ImplicitDeny { missing } }
    }

    /// True if a `Deny` statement decided.
    pub fn explicit_deny(&self) -> bool {
        matches!(self.reason, Reason::ExplicitDeny(_))
    }

    /// The simulator's word: `allowed`, `explicitDeny` or `implicitDeny`.
    pub fn simulator_decision(&self) -> &'static str {
        match self.reason {
            Reason::Allowed(_) | Reason::AllowedRoot => "allowed",
            Reason::ExplicitDeny(_) => "explicitDeny",
            Reason::ImplicitDeny { .. } => "implicitDeny",
        }
    }

    /// AWS's sentence for a denied request, with the cause:
    /// `User: ARN is not authorized to perform: ACTION on resource: ARN because no identity-based policy allows
    /// the ACTION action`. An explicit deny of a policy that has an ARN names it. `principal` is the ARN that
    /// GetCallerIdentity would show. The text is empty of context if the request was allowed.
    ///
    /// Source: IAM User Guide, "Troubleshoot access denied error messages"; AWS Security Blog, "Enhanced access
    /// denied error messages with policy ARNs".
    pub fn denied_message<'r>(
        &self,
        principal: &str,
        action: &str,
        resource: impl Into<ResourceText<'r>>,
    ) -> String {
        let mut text = denied_head(principal, action, resource.into());
        match self.reason {
            Reason::ImplicitDeny { missing } => {
                let _ = write!(text, " because no {} allows the {action} action", missing.name());
            }
            Reason::ExplicitDeny(statement) => {
                let article = match statement.layer {
                    Layer::Identity => "an",
                    Layer::Trust => "the",
                    _ => "a",
                };
                let _ = write!(text, " with an explicit deny in {article} {}", statement.layer.name());
                // Only IAM's and Organizations' own policies are named, and only where they have an ARN.
                if statement.policy.starts_with("arn:") && statement.layer != Layer::Resource {
                    let _ = write!(text, ": {}", statement.policy);
                }
            }
            Reason::Allowed(_) | Reason::AllowedRoot => {}
        }
        text
    }

    /// The short form without a cause, as services answer callers of other accounts:
    /// `User: ARN is not authorized to perform: ACTION on resource: ARN`.
    pub fn denied_message_short<'r>(
        &self,
        principal: &str,
        action: &str,
        resource: impl Into<ResourceText<'r>>,
    ) -> String {
        denied_head(principal, action, resource.into())
    }
}

fn denied_head(principal: &str, action: &str, resource: ResourceText<'_>) -> String {
    let mut text = format!("User: {principal} is not authorized to perform: {action}");
    let _ = match resource {
        ResourceText::Plain(arn) => write!(text, " on resource: {arn}"),
        ResourceText::Quoted(arn) => write!(text, " on resource: \"{arn}\""),
        ResourceText::Omitted => Ok(()),
    };
    text
}

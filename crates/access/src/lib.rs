//! The IAM policy language: parse a document once, decide many requests.
//!
//! Pure: no I/O, no clock, no globals. A caller brings a [`Request`] (action, resource, principal and a
//! [`ConditionContext`]) and the [`PolicySet`] that applies to it; [`evaluate`] answers with a [`Decision`] that
//! names the statement that decided.
//!
//! ```
//! use cloudlet_access::{Attached, ConditionContext, Policy, PolicyKind, PolicySet, PrincipalRef, Request, evaluate};
//!
//! let policy = Policy::parse(
//!     r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/*"}}"#,
//!     PolicyKind::Identity,
//! )?;
//! let alice = PrincipalRef::user("000000000000", "/", "alice", "AIDAEXAMPLE");
//! let context = ConditionContext::for_principal(&alice);
//! let attached = [Attached::new(&policy, "arn:aws:iam::000000000000:policy/photos")];
//! let request = Request::new("s3:GetObject", "arn:aws:s3:::photos/cat.jpg", &alice, &context);
//! let decision = evaluate(&request, &PolicySet::identity(&attached));
//! assert!(decision.allowed);
//! # Ok::<(), cloudlet_access::PolicyError>(())
//! ```
//!
//! Map: `json` reads the text with limits, `grammar` checks it in AWS's words, `document` compiles statements,
//! `pattern` and `arn` match wildcards, `condition` holds the operators, `principal` says who is meant,
//! `gate` keeps statements apart that are about something else, `evaluate` combines policies in AWS's order, `decision` puts the outcome into AWS's sentences.
//!
//! Source: IAM User Guide, "IAM JSON policy reference" and "Policy evaluation logic".

mod arn;
mod condition;
mod context;
mod decision;
mod document;
mod error;
mod evaluate;
mod gate;
mod grammar;
mod json;
mod pattern;
mod principal;
mod statement;
mod value;

pub use context::ConditionContext;
pub use decision::{Decision, Layer, Reason, ResourceText, StatementRef};
pub use document::{MAX_POLICY_BYTES, Policy, PolicyKind};
pub use error::{Fault, PolicyError};
pub use evaluate::{
    Attached, PolicySet, Request, ResourcePolicy, ResourceTrust, evaluate, evaluate_trust,
    matching_statements,
};
pub use principal::{PrincipalKind, PrincipalRef};
pub use statement::{Effect, Statement};

/// True if `value` matches `pattern`, where `*` stands for any run of characters and `?` for exactly one, as in
/// a policy's `StringLike`. Case-sensitive, linear in `value`.
pub fn wildcard_match(pattern: &str, value: &str) -> bool {
    pattern::Glob::new(pattern).matches(value)
}

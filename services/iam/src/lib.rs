//! AWS Identity and Access Management: users, groups, roles, policies and the credentials of users.
//!
//! The records are those of `cloudlet_identity`, which decides live calls by them; this crate changes them under IAM's
//! rules and quotas. IAM is global: state belongs to an account and to no region. Source: IAM API Reference; IAM User
//! Guide, "IAM and AWS STS quotas".

mod access;
mod credentials;
mod details;
mod errors;
mod operations;
mod policy;
mod qr;
mod shown;
mod simulation;
mod state;

use cloudlet_access::Policy;
use cloudlet_identity::Identities;
use cloudlet_service::api::{Access, Operation};
use cloudlet_service::rules::Violations;
use cloudlet_service::shape::Structure;
use cloudlet_service::{BoxFuture, Context, Error, Service};
use cloudlet_store::{Store, Tx};
use errors::Failure;
use std::sync::Arc;

/// The service.
pub struct Iam {
    identities: Arc<Identities>,
}

impl Iam {
    /// IAM over these identities.
    pub fn new(identities: Arc<Identities>) -> Arc<Self> {
        Arc::new(Self { identities })
    }

    fn store(&self) -> &Store {
        self.identities.store()
    }

    /// Runs one change of identity records; whoever decides by them sees it from then on.
    async fn change<T>(&self, f: impl FnMut(&mut Tx<'_>) -> Result<T, Failure> + Send) -> Result<T, Error> {
        let outcome = self.store().transact(f).await;
        self.identities.changed();
        outcome.map_err(Error::from)
    }
}

impl Service for Iam {
    cloudlet_api_iam::operations!();

    fn access<'a>(
        &'a self,
        op: &'static Operation,
        cx: &'a Context,
        input: &'a dyn Structure,
    ) -> BoxFuture<'a, Result<Vec<Access>, Error>> {
        Box::pin(async move { self.needed(op, cx, input) })
    }

    fn invalid_input(&self, _op: &'static Operation, violations: Violations) -> Error {
        errors::invalid(&violations)
    }
}

/// Parses a document, in IAM's words where it cannot.
fn parse(document: &str, kind: cloudlet_access::PolicyKind) -> Result<Policy, Error> {
    Policy::parse(document, kind)
        .map_err(|error| cloudlet_api_iam::MalformedPolicyDocumentException::error(error.to_string()))
}

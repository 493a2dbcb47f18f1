//! AWS Organizations: accounts in a tree of units, and the policies above them.
//!
//! The records that decisions need stand in `cloudlet_identity::organization`, which puts service and resource control
//! policies into the evaluation of every call; this crate changes them under Organizations' rules. Source: AWS
//! Organizations API Reference and User Guide.

mod access;
mod effective;
mod errors;
mod operations;
mod shown;
mod state;

use cloudlet_identity::Identities;
use cloudlet_service::api::{Access, Operation};
use cloudlet_service::rules::Violations;
use cloudlet_service::shape::Structure;
use cloudlet_service::{BoxFuture, Context, Error, Service};
use cloudlet_store::{Store, Tx};
use errors::Failure;
use std::sync::Arc;

/// The service.
pub struct Organizations {
    identities: Arc<Identities>,
}

impl Organizations {
    /// Organizations over these identities.
    pub fn new(identities: Arc<Identities>) -> Arc<Self> {
        Arc::new(Self { identities })
    }

    fn store(&self) -> &Store {
        self.identities.store()
    }

    /// Runs one change; whoever decides by the records sees it from then on.
    async fn change<T>(&self, f: impl FnMut(&mut Tx<'_>) -> Result<T, Failure> + Send) -> Result<T, Error> {
        let outcome = self.store().transact(f).await;
        self.identities.changed();
        outcome.map_err(Error::from)
    }
}

impl Service for Organizations {
    cloudlet_api_organizations::operations!();

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

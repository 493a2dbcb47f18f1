//! AWS Security Token Service: who am I, and temporary credentials.
//!
//! What a session is and how a token carries it stands in `cloudlet_identity`; this crate holds the rules under which
//! STS makes one. Source: AWS STS API Reference; IAM User Guide, "Temporary security credentials in IAM".
//!
//! One rule differs on purpose: AWS lets no root user assume a role. Here the root of an account is who works at the
//! machine, and may assume what the role's trust policy lets the account assume.

mod access;
mod errors;
mod issuer;
mod keysets;
mod operations;
mod request;

use cloudlet_identity::Identities;
use cloudlet_service::api::{Access, Operation};
use cloudlet_service::rules::Violations;
use cloudlet_service::shape::Structure;
use cloudlet_service::{BoxFuture, Context, Error, Service, Site};
use std::sync::Arc;

/// The service.
pub struct Sts {
    identities: Arc<Identities>,
    keysets: keysets::Keysets,
}

impl Sts {
    /// STS over these identities.
    pub fn new(identities: Arc<Identities>) -> Arc<Self> {
        Arc::new(Self { identities, keysets: keysets::Keysets::default() })
    }

    /// Refuses to make credentials of an account in a region that the account has switched off.
    ///
    /// Errors: `RegionDisabledException`.
    fn check_region(&self, cx: &Context, account: &str) -> Result<(), Error> {
        if self.identities.region_disabled(account, &cx.region)? {
            return Err(cloudlet_api_sts::RegionDisabledException::error(format!(
                "STS is not activated in this region for account:{account}. Your account administrator can activate STS \
                 in this region using the IAM Console."
            )));
        }
        Ok(())
    }
}

impl Service for Sts {
    cloudlet_api_sts::operations!();

    fn invalid_input(&self, _op: &'static Operation, violations: Violations) -> Error {
        errors::validation(violations.message())
    }

    fn access<'a>(
        &'a self,
        op: &'static Operation,
        cx: &'a Context,
        input: &'a dyn Structure,
    ) -> BoxFuture<'a, Result<Vec<Access>, Error>> {
        Box::pin(async move { access::needed(op, cx, input) })
    }

    fn site(&self) -> Option<&dyn Site> {
        Some(self)
    }
}

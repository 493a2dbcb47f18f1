//! AWS Account Management: contacts, the account's name, and which regions it has opted into.
//!
//! Every region answers here whether or not it is on: what an account has opted into is remembered and told, as SDKs and
//! tools ask for it, and STS makes no credentials in a region that was switched off. Source: AWS Account Management API Reference and Reference Guide.

mod errors;
mod operations;
mod state;

use cloudlet_identity::Identities;
use cloudlet_identity::organization::{Membership, Organization};
use cloudlet_service::api::{Access, Operation, default_access};
use cloudlet_service::rules::{Violations, text_member};
use cloudlet_service::shape::Structure;
use cloudlet_service::{BoxFuture, Context, Error, Service};
use cloudlet_store::{Key, Store};
use std::sync::Arc;

/// The service.
pub struct Account {
    identities: Arc<Identities>,
}

impl Account {
    /// Account Management over these identities.
    pub fn new(identities: Arc<Identities>) -> Arc<Self> {
        Arc::new(Self { identities })
    }

    fn store(&self) -> &Store {
        self.identities.store()
    }

    /// The account that a request is about: the caller's, or a member of the organization that the caller's manages.
    ///
    /// Errors: `AccessDeniedException`.
    fn meant(&self, cx: &Context, given: Option<&str>) -> Result<String, Error> {
        let Some(account) = given else { return Ok(cx.account.to_string()) };
        self.managed(cx, account)?.map(|_| account.to_owned()).ok_or_else(|| {
            errors::denied(format!(
                "User: {} is not authorized to perform this operation on account {account}",
                cx.principal.arn()
            ))
        })
    }

    /// The organization, where the caller's account manages the one that an account is in.
    fn managed(&self, cx: &Context, account: &str) -> Result<Option<Organization>, Error> {
        let store = self.store();
        let member = store.table::<Membership>().get(&Key::new().text(account)).map_err(Error::internal)?;
        let Some(member) = member else { return Ok(None) };
        let key = Key::new().text(&member.organization);
        let organization = store.table::<Organization>().get(&key).map_err(Error::internal)?;
        Ok(organization.filter(|o| *o.management == *cx.account && account != o.management))
    }
}

impl Service for Account {
    cloudlet_api_account::operations!();

    fn access<'a>(
        &'a self,
        op: &'static Operation,
        cx: &'a Context,
        input: &'a dyn Structure,
    ) -> BoxFuture<'a, Result<Vec<Access>, Error>> {
        Box::pin(async move {
            let mut accesses = default_access(op, cx, input);
            let key = |name: &str, member: &str| {
                text_member(input, member).map(|value| (name.to_owned(), vec![value]))
            };
            for access in &mut accesses {
                access.keys.extend(key("account:AlternateContactTypes", "AlternateContactType"));
                access.keys.extend(key("account:TargetRegion", "RegionName"));
            }
            if let Some(account) = text_member(input, "AccountId")
                && let Some(organization) = self.managed(cx, &account)?
            {
                for access in &mut accesses {
                    access.resource =
                        format!("arn:aws:account::{}:account/{}/{account}", cx.account, organization.id);
                }
            }
            Ok(accesses)
        })
    }

    fn invalid_input(&self, _op: &'static Operation, violations: Violations) -> Error {
        errors::validation("fieldValidationFailed", violations.message())
    }
}

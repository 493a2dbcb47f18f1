//! Tenants: a function that keeps them apart runs each one's calls in sandboxes that no other tenant's calls ever enter.
//!
//! Source: Developer Guide, "Tenant isolation".

use crate::Lambda;
use crate::errors::invalid;
use crate::names::Named;
use crate::runner::Target;
use crate::state::Settings;
use cloudlet_compute::FunctionSpec;
use cloudlet_service::Error;
use std::sync::Arc;

impl Target {
    /// A function that keeps tenants apart is told whose call it is, and no other is.
    ///
    /// Errors: `InvalidParameterValueException`.
    pub(crate) fn check_tenant(&self, tenant: Option<&str>) -> Result<(), Error> {
        match (self.version.settings.tenancy.is_some(), tenant.is_some()) {
            (true, false) => Err(invalid(
                "The invoked function is enabled with tenancy configuration. Add a valid tenant ID in your request and try again.",
            )),
            (false, true) => Err(invalid(
                "The invoked function is not enabled with tenancy configuration. Remove the tenant ID from your request and try \
                 again.",
            )),
            _ => Ok(()),
        }
    }
}

impl Lambda {
    /// Errors: `InvalidParameterValueException` for a function that keeps tenants apart. One that is missing is told by
    /// the operation itself.
    pub(crate) fn refuse_tenants(&self, named: &Named, what: &str) -> Result<(), Error> {
        match self.target(Named { qualifier: None, ..named.clone() }) {
            Ok(target) => refuse(&target.version.settings, what),
            Err(_) => Ok(()),
        }
    }
}

/// What calls a function without saying for which tenant, or begins sandboxes before a tenant is known, does not go
/// together with tenants.
///
/// Errors: `InvalidParameterValueException`.
pub(crate) fn refuse(settings: &Settings, what: &str) -> Result<(), Error> {
    match settings.tenancy {
        Some(_) => {
            Err(invalid(format!("{what} is not supported for functions with tenant isolation mode enabled.")))
        }
        None => Ok(()),
    }
}

/// The specification of a tenant's own sandboxes.
pub(crate) fn own(spec: Arc<FunctionSpec>, tenant: Option<&str>) -> Arc<FunctionSpec> {
    match tenant {
        Some(tenant) => Arc::new(FunctionSpec { tenant: Some(tenant.to_owned()), ..(*spec).clone() }),
        None => spec,
    }
}

//! Systems Manager: Parameter Store.
//!
//! Start with [`Ssm`]; `operations/` has the story of each call. `names` reads and checks names, `kinds` what values
//! may be, `values` seals SecureStrings through KMS, `public` holds AWS's own parameters, `filters` finds parameters.
//!
//! Source: AWS Systems Manager API Reference and User Guide, "AWS Systems Manager Parameter Store".

mod access;
mod counts;
mod errors;
mod expiry;
mod filters;
mod images;
mod kinds;
mod names;
mod operations;
mod public;
mod reference;
mod shown;
mod state;
#[cfg(test)]
mod tests;
mod values;

use cloudlet_bus::{Bus, Delivery};
use cloudlet_service::rules::Violations;
use cloudlet_service::{Access, BoxFuture, Context, Error, Operation, Service, Structure};
use cloudlet_store::{Store, Tx};
use errors::{Failure, no_parameter, no_version, stored};
use names::Named;
use state::{Parameter, Version, parameter_place};
use std::sync::Arc;

/// The service.
pub struct Ssm {
    pub(crate) store: Store,
}

impl Ssm {
    /// The service over this store. Must be called within a tokio runtime, because the bus starts its deliveries.
    pub fn new(store: Store, bus: &Bus) -> Arc<Self> {
        let one = Delivery { concurrency: 1, per_group: 1, ..Delivery::default() };
        bus.subscribe(expiry::QUEUE, one, Arc::new(expiry::Expiry(store.clone())));
        Arc::new(Self { store })
    }

    /// The parameter that a request names. Errors: `ParameterNotFound`.
    pub(crate) fn find(&self, cx: &Context, named: &Named) -> Result<Arc<Parameter>, Error> {
        let get = |named: &Named| {
            let at = parameter_place(&named.account, &named.region, &named.name);
            self.store.table::<Parameter>().get_arc(&at).map_err(stored)
        };
        let alive = |parameter: &Arc<Parameter>| parameter.expires.is_none_or(|at| at > cx.millis());
        let missing = || no_parameter(&named.text());
        let odd = named.selector.as_ref().is_some_and(|selector| selector.contains(':'));
        if *named.region != *cx.region || odd {
            return Err(missing());
        }
        get(named)?.filter(alive).ok_or_else(missing)
    }

    /// The parameter of a name, and the name as it was read.
    pub(crate) fn look_up(&self, cx: &Context, text: &str) -> Result<(Named, Arc<Parameter>), Error> {
        let named = Named::read(cx, text)?;
        self.find(cx, &named).map(|parameter| (named, parameter))
    }

    /// The version that a selector means; the latest without one.
    ///
    /// Errors: `ParameterVersionNotFound`.
    pub(crate) fn version(&self, parameter: &Parameter, selector: Option<&str>) -> Result<Version, Error> {
        let Some(selector) = selector else { return Ok(parameter.latest.clone()) };
        let missing = || no_version(&parameter.name, selector);
        let number = match selector.parse::<i64>() {
            Ok(number) => number,
            Err(_) => *parameter.labels.get(selector).ok_or_else(missing)?,
        };
        if number == parameter.latest.number {
            return Ok(parameter.latest.clone());
        }
        let found = self.store.table::<Version>().get(&parameter.version_place(number)).map_err(stored)?;
        found.ok_or_else(missing)
    }

    /// Changes a parameter that is there.
    pub(crate) async fn change<T: Send>(
        &self,
        cx: &Context,
        named: &Named,
        mut f: impl FnMut(&mut Tx<'_>, &mut Parameter) -> Result<T, Failure> + Send,
    ) -> Result<T, Error> {
        let at = parameter_place(&named.account, &named.region, &named.name);
        let now = cx.millis();
        let changed = self.store.transact(|tx| {
            let found = tx.get::<Parameter>(&at)?.filter(|p| p.expires.is_none_or(|at| at > now));
            let mut parameter = found.ok_or_else(|| no_parameter(&named.name))?;
            let outcome = f(tx, &mut parameter)?;
            tx.put(&at, &parameter)?;
            Ok::<_, Failure>(outcome)
        });
        Ok(changed.await?)
    }
}

impl Service for Ssm {
    cloudlet_api_ssm::operations!();

    fn access<'a>(
        &'a self,
        op: &'static Operation,
        cx: &'a Context,
        input: &'a dyn Structure,
    ) -> BoxFuture<'a, Result<Vec<Access>, Error>> {
        Box::pin(async move { Ok(self.needed(op, cx, input)) })
    }

    fn invalid_input(&self, _op: &'static Operation, violations: Violations) -> Error {
        Error::validation(violations.with_whole_lists().message())
    }
}

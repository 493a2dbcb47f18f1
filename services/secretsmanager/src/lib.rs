//! Secrets Manager: secrets, their versions, their rotation and their replicas.
//!
//! Start with [`SecretsManager`]; `operations/` has the story of each call. `values` seals values with data keys that
//! KMS gives to the caller, `access` gathers what decides whether a caller may, `rotation` runs the rotation function
//! through its four steps, `schedule` says when, `replicas` carries a secret to other Regions.
//!
//! Source: AWS Secrets Manager API Reference and User Guide.

mod access;
mod errors;
mod operations;
mod replicas;
mod rotation;
mod schedule;
mod shown;
mod state;
#[cfg(test)]
mod tests;
mod values;

use cloudlet_bus::{Bus, Delivery};
use cloudlet_service::rules::Violations;
use cloudlet_service::{Access, Arn, BoxFuture, Cloud, Context, Error, Operation, Service, Structure};
use cloudlet_store::{Store, Tx};
use errors::{Failure, marked, no_secret, stored};
use state::{Secret, secret_place};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// The service's principal.
pub(crate) const PRINCIPAL: &str = "secretsmanager.amazonaws.com";

/// The service.
pub struct SecretsManager {
    pub(crate) store: Store,
    pub(crate) cloud: Weak<Cloud>,
}

impl SecretsManager {
    /// The service over this store. Must be called within a tokio runtime, because the bus starts its deliveries.
    pub fn new(store: Store, cloud: &Arc<Cloud>, bus: &Bus) -> Arc<Self> {
        let service = Arc::new(Self { store, cloud: Arc::downgrade(cloud) });
        // A rotation that fails is tried again as a whole, a few times.
        let delivery = Delivery {
            concurrency: 16,
            per_group: 1,
            first_delay: Duration::from_secs(60),
            max_attempts: Some(5),
            ..Delivery::default()
        };
        bus.subscribe(rotation::QUEUE, delivery, Arc::new(rotation::Tasks(service.clone())));
        service
    }

    /// The secret that a `SecretId` names: its name, its ARN, or its ARN without the random end.
    /// Source: User Guide, "Finding a secret from a partial ARN".
    ///
    /// Errors: `ResourceNotFoundException`.
    pub(crate) fn find(&self, cx: &Context, id: &str) -> Result<Arc<Secret>, Error> {
        let table = self.store.table::<Secret>();
        let alive = |secret: &Arc<Secret>| secret.deletion.is_none_or(|at| at > cx.millis());
        if !id.starts_with("arn:") {
            let found = table.get_arc(&secret_place(&cx.account, &cx.region, id)).map_err(stored)?;
            return found.filter(alive).ok_or_else(no_secret);
        }
        let arn = Arn::parse(id).filter(|arn| arn.service == "secretsmanager" && arn.region == &*cx.region);
        let arn = arn.ok_or_else(no_secret)?;
        let name = arn.resource.strip_prefix("secret:").ok_or_else(no_secret)?;
        // The name without the end that ours have, then the whole of it, for part of an ARN.
        let cut = name.len().checked_sub(7).and_then(|at| name.split_at_checked(at));
        if let Some((name, _)) = cut.filter(|(_, end)| end.starts_with('-')) {
            let found = table.get_arc(&secret_place(arn.account, arn.region, name)).map_err(stored)?;
            if let Some(secret) = found.filter(|secret| secret.arn() == id).filter(alive) {
                return Ok(secret);
            }
        }
        let found = table.get_arc(&secret_place(arn.account, arn.region, name)).map_err(stored)?;
        // Another account's secret goes by its whole ARN alone.
        found.filter(alive).filter(|secret| secret.account == *cx.account).ok_or_else(no_secret)
    }

    /// The same, if it is not about to be deleted. Errors: `InvalidRequestException` too.
    pub(crate) fn living(&self, cx: &Context, id: &str) -> Result<Arc<Secret>, Error> {
        let secret = self.find(cx, id)?;
        if secret.deletion.is_some() { Err(marked()) } else { Ok(secret) }
    }

    /// The same, if it is no replica.
    pub(crate) fn primary(&self, cx: &Context, id: &str) -> Result<Arc<Secret>, Error> {
        let secret = self.living(cx, id)?;
        if secret.primary.is_some() || secret.cross_primary.is_some() {
            return Err(errors::only_primary());
        }
        Ok(secret)
    }

    /// Changes a secret that is there; gives what it is now.
    pub(crate) async fn change(
        &self,
        secret: &Secret,
        mut f: impl FnMut(&mut Tx<'_>, &mut Secret) -> Result<(), Failure> + Send,
    ) -> Result<Secret, Error> {
        let at = secret.place();
        let changed = self.store.transact(|tx| {
            let found = tx.get::<Secret>(&at)?.filter(|found| found.suffix == secret.suffix);
            let mut record = found.ok_or_else(no_secret)?;
            f(tx, &mut record)?;
            tx.put(&at, &record)?;
            Ok::<_, Failure>(record)
        });
        Ok(changed.await?)
    }
}

impl Service for SecretsManager {
    cloudlet_api_secretsmanager::operations!();

    fn access<'a>(
        &'a self,
        op: &'static Operation,
        cx: &'a Context,
        input: &'a dyn Structure,
    ) -> BoxFuture<'a, Result<Vec<Access>, Error>> {
        Box::pin(async move { self.needed(op, cx, input) })
    }

    fn invalid_input(&self, _op: &'static Operation, violations: Violations) -> Error {
        Error::validation(violations.with_whole_lists().message())
    }
}

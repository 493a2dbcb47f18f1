//! DynamoDB: tables of items, the expressions that read and change them, and PartiQL.
//!
//! `value/` is what an attribute can hold: numbers, sets, documents, their order and their size. `expression/` reads
//! AWS's condition, filter, key condition, projection and update expressions (and the parameters that came before
//! them) and evaluates them. `partiql/` turns statements into the same trees. None of the three knows the store.
//!
//! Start with [`DynamoDb`]; `operations/` has the story of each call, `keys` where an item lies, `change` what happens
//! when one changes: its indexes, its stream, its history, all in one commit. [`Streams`] is the second API, over the
//! same tables.
//!
//! Source: Amazon DynamoDB API Reference and Developer Guide.

mod access;
mod capacity;
mod change;
mod convert;
mod describe;
mod errors;
pub mod expression;
mod fine;
mod group;
pub mod ion;
mod json;
mod keys;
mod live;
mod names;
mod operations;
pub mod partiql;
mod purge;
mod reading;
mod replicas;
mod request;
mod schema;
mod state;
mod streams;
mod strong;
#[cfg(test)]
mod tests;
mod throughput;
pub mod value;
mod violations;
mod write;

use cloudlet_bus::{Bus, Delivery};
use cloudlet_service::rules::Violations;
use cloudlet_service::{Access, BoxFuture, Cloud, Context, Error, Operation, Service, Structure};
use cloudlet_store::Store;
use errors::{Result, in_use, no_resource, no_table, stored};
use live::Live;
use names::Place;
use state::{Coming, Table, Volume, table_key};
use std::sync::{Arc, Weak};

pub use streams::Streams;

/// The sequence that numbers tables, indexes, streams and backups.
pub(crate) const SEQUENCE: &str = "dynamodb";

/// The service.
pub struct DynamoDb {
    pub(crate) store: Store,
    pub(crate) cloud: Arc<Cloud>,
    pub(crate) live: Arc<Live>,
    policies: access::Policies,
    /// For work that goes on after the call that began it.
    pub(crate) itself: Weak<Self>,
    /// Names this run of the program.
    pub(crate) run: Arc<str>,
    /// Whether throughput is enforced, not only counted.
    pub(crate) enforced: std::sync::atomic::AtomicBool,
}

impl DynamoDb {
    /// The service over this store. Must be called within a tokio runtime, because the bus starts its deliveries.
    pub fn new(store: Store, cloud: Arc<Cloud>, bus: &Bus) -> Arc<Self> {
        let service = Arc::new_cyclic(|itself| Self {
            store,
            itself: itself.clone(),
            live: Arc::default(),
            policies: access::Policies::default(),
            run: cloud.random().uuid().into(),
            enforced: false.into(),
            cloud,
        });
        let few = Delivery { concurrency: 4, per_group: 1, ..Delivery::default() };
        bus.subscribe(purge::QUEUE, few, Arc::new(purge::Purge(service.clone())));
        bus.subscribe(replicas::QUEUE, Delivery::default(), Arc::new(replicas::Replicator(service.clone())));
        purge::start(&service);
        service
    }

    /// The table's record, out of memory when it was read before.
    pub(crate) fn table_at(&self, place: &Place) -> Result<Option<Arc<Table>>> {
        let key = table_key(&place.account, &place.region, &place.name);
        self.store.table::<Table>().get_arc(&key).map_err(stored)
    }

    /// The table that a call on items means.
    ///
    /// Errors: `ResourceNotFoundException`.
    pub(crate) fn table(&self, cx: &Context, name: &str) -> Result<Arc<Table>> {
        self.table_at(&names::locate(cx, name)?)?.ok_or_else(no_resource)
    }

    /// The table that a call on tables means.
    ///
    /// Errors: `ResourceNotFoundException` with the table's name.
    pub(crate) fn control_table(&self, cx: &Context, name: &str) -> Result<Arc<Table>> {
        let place = names::locate(cx, name)?;
        if let Some(table) = self.table_at(&place)? {
            return Ok(table);
        }
        Err(match self.coming(&place)? {
            Some(_) => in_use(format!(
                "Attempt to change a resource which is still in use: Table is being created: {}",
                place.name
            )),
            None => no_table(&place.name),
        })
    }

    /// The table of this name that is still being filled.
    pub(crate) fn coming(&self, place: &Place) -> Result<Option<Table>> {
        let key = table_key(&place.account, &place.region, &place.name);
        Ok(self.store.table::<Coming>().get(&key).map_err(stored)?.map(|coming| coming.table))
    }

    /// What a space held when it was last counted.
    pub(crate) fn volumes(&self, number: u64) -> Result<Volume> {
        let key = cloudlet_store::Key::new().number(number);
        Ok(self.store.table::<Volume>().get(&key).map_err(stored)?.unwrap_or_default())
    }
}

impl Service for DynamoDb {
    cloudlet_api_dynamodb::operations!();

    fn access<'a>(
        &'a self,
        op: &'static Operation,
        cx: &'a Context,
        input: &'a dyn Structure,
    ) -> BoxFuture<'a, Result<Vec<Access>, Error>> {
        Box::pin(async move { self.accesses(op, cx, input) })
    }

    fn invalid_input(&self, op: &'static Operation, violations: Violations) -> Error {
        violations::error(op, violations)
    }
}

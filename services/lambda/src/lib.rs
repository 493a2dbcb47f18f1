//! AWS Lambda: functions, versions, aliases, layers, permissions, and invocations that run in `cloudlet-compute`.
//!
//! Start with [`Lambda`]; `operations/` has the story of each call. `runner` finds a version and runs it, `events` is
//! asynchronous invocation, `urls` function URLs, `mappings` event sources, `durable` executions that outlive invocations, `prepare` the way from `Pending` to `Active`, `roles` the sessions of execution roles, `sink`
//! where output goes.
//!
//! Source: AWS Lambda API Reference and Developer Guide.

mod access;
mod code;
mod condition_keys;
mod destinations;
mod durable;
mod errors;
mod events;
mod images;
mod keys;
mod limits;
mod lineage;
mod mappings;
mod names;
mod operations;
mod payload;
mod prepare;
mod provision;
mod reach;
mod roles;
mod runner;
mod settings;
mod sink;
mod state;
mod stream;
mod tasks;
mod tenants;
#[cfg(test)]
mod tests;
mod trace;
mod urls;
mod words;

use cloudlet_bus::{Bus, Delivery};
use cloudlet_compute::{Compute, FunctionSpec};
use cloudlet_service::rules::Violations;
use cloudlet_service::{Access, BoxFuture, Cloud, Context, Error, Operation, Service, Site, Structure};
use cloudlet_store::Store;
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::Notify;

pub use code::PACKAGE_PATH;
pub use limits::Limits;
pub use sink::Sink;
pub use trace::Trace;

/// The service.
pub struct Lambda {
    pub(crate) this: Weak<Self>,
    pub(crate) store: Store,
    pub(crate) cloud: Arc<Cloud>,
    pub(crate) compute: Arc<Compute>,
    pub(crate) sink: Sink,
    pub(crate) gate: runner::Gate,
    /// What compute was told of versions, by ARN and number.
    pub(crate) specs: Mutex<HashMap<(String, u64), Arc<FunctionSpec>>>,
    /// Reserved concurrency by account and region.
    pub(crate) reserved: Mutex<HashMap<(String, String), i32>>,
    pub(crate) policies: access::Policies,
    /// Where the time of the last invocations went.
    pub(crate) traces: trace::Traces,
    /// Folders that are served as functions' code, by ARN.
    pub(crate) folders: Mutex<HashMap<String, PathBuf>>,
    /// Who reads the sources of mappings.
    pub(crate) pollers: mappings::Pollers,
    /// How function URLs are told.
    pub(crate) addresses: urls::Addresses,
    /// Signs the locations of packages; another one at every start.
    pub(crate) location_key: [u8; 32],
    /// Some version's state has changed.
    pub(crate) changes: Notify,
    /// What may be set otherwise than on AWS.
    pub(crate) limits: RwLock<Limits>,
}

impl Lambda {
    /// Starts the service; `bus` delivers its events from now on. `compute` writes to `sink`.
    pub fn new(store: Store, cloud: Arc<Cloud>, bus: &Bus, compute: Arc<Compute>, sink: &Sink) -> Arc<Self> {
        let mut location_key = [0; 32];
        cloud.random().fill(&mut location_key);
        let lambda = Arc::new_cyclic(|this| Self {
            this: this.clone(),
            location_key,
            store,
            cloud,
            compute,
            sink: sink.clone(),
            gate: runner::Gate::default(),
            specs: Mutex::default(),
            reserved: Mutex::default(),
            policies: access::Policies::default(),
            traces: trace::Traces::default(),
            folders: Mutex::default(),
            pollers: mappings::Pollers::default(),
            addresses: urls::Addresses::default(),
            changes: Notify::new(),
            limits: RwLock::default(),
        });
        let ready = Delivery { concurrency: 4, per_group: 1, ..Delivery::default() };
        bus.subscribe(prepare::QUEUE, ready, Arc::new(prepare::Preparer(Arc::downgrade(&lambda))));
        bus.subscribe(
            events::QUEUE,
            events::delivery(),
            Arc::new(events::Deliverer(Arc::downgrade(&lambda))),
        );
        let advance = Delivery { concurrency: 64, per_group: 1, ..Delivery::default() };
        bus.subscribe(durable::QUEUE, advance, Arc::new(durable::Advancer(Arc::downgrade(&lambda))));
        let settle = Delivery { concurrency: 16, per_group: 1, ..Delivery::default() };
        bus.subscribe(mappings::QUEUE, settle, Arc::new(mappings::Settler(Arc::downgrade(&lambda))));
        tokio::spawn(resume(Arc::downgrade(&lambda)));
        lambda
    }
}

impl Lambda {
    /// The store holds something else now: everything was deleted, or a snapshot was loaded.
    ///
    /// Errors: those of the store.
    pub fn restored(&self) -> Result<(), Error> {
        self.reserved.lock().clear();
        let known: Vec<String> = self.specs.lock().drain().map(|((arn, _), _)| arn).collect();
        for arn in known {
            self.compute.keep(&arn, Vec::new());
            self.compute.forget(&arn);
        }
        self.resume_mappings()?;
        self.resume_provisioned()
    }
}

/// Takes up what the last run of the program was doing, once the cloud is open.
async fn resume(lambda: Weak<Lambda>) {
    loop {
        let Some(lambda) = lambda.upgrade().filter(|lambda| !lambda.cloud.is_closing()) else { return };
        if lambda.cloud.identity().is_ok() {
            if let Err(error) = lambda.resume_mappings().and_then(|()| lambda.resume_provisioned()) {
                tracing::error!(%error, "event source mappings and provisioned concurrency could not be read");
            }
            return;
        }
        drop(lambda);
        tokio::time::sleep(STARTING).await;
    }
}

/// How often it is looked whether the cloud is open.
const STARTING: Duration = Duration::from_millis(20);

impl Service for Lambda {
    cloudlet_api_lambda::operations!();

    fn access<'a>(
        &'a self,
        op: &'static Operation,
        cx: &'a Context,
        input: &'a dyn Structure,
    ) -> BoxFuture<'a, Result<Vec<Access>, Error>> {
        Box::pin(async move { self.accesses(op, cx, input) })
    }

    fn invalid_input(&self, _: &'static Operation, violations: Violations) -> Error {
        // Lambda checks runtimes itself, in other words than the model's.
        if let [only] = &violations.0[..]
            && only.member == "Runtime"
            && let Some(value) = &only.value
        {
            return settings::unknown_runtime(value);
        }
        Error::validation(words::of(violations).message())
    }

    fn site(&self) -> Option<&dyn Site> {
        Some(self)
    }
}

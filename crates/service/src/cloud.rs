//! The services that run together, and the one way from a decoded request to an operation.

use crate::api::{AccessRequest, Service, TypedOperation};
use crate::context::{Context, Origin};
use crate::error::Error;
use crate::identity::{Identity, Principal};
use crate::rules;
use crate::shape::Structure;
use crate::sources::{Clock, Randomness};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// A running cloud: its services by name, its clock, its randomness and its identity service.
pub struct Cloud {
    clock: Arc<dyn Clock>,
    random: Arc<dyn Randomness>,
    endpoint: String,
    real_endpoint: OnceLock<String>,
    services: OnceLock<HashMap<&'static str, Arc<dyn Service>>>,
    identity: OnceLock<Arc<dyn Identity>>,
    closing: AtomicBool,
}

impl Cloud {
    /// A cloud without services; `endpoint` is the base URL that answers name where no request gives one.
    pub fn new(clock: Arc<dyn Clock>, random: Arc<dyn Randomness>, endpoint: String) -> Arc<Self> {
        Arc::new(Self {
            clock,
            random,
            endpoint,
            real_endpoint: OnceLock::new(),
            services: OnceLock::new(),
            identity: OnceLock::new(),
            closing: AtomicBool::new(false),
        })
    }

    /// Opens the cloud: from now on its services answer. Called once; a second call changes nothing.
    pub fn open(&self, services: Vec<Arc<dyn Service>>, identity: Arc<dyn Identity>) {
        let _ = self.services.set(services.into_iter().map(|s| (s.api().name, s)).collect());
        let _ = self.identity.set(identity);
    }

    /// Tells what services do by themselves, at intervals, that it must not begin anything more.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    /// Whether the cloud is about to end.
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// The clock.
    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// The randomness.
    pub fn random(&self) -> &dyn Randomness {
        &*self.random
    }

    /// The base URL of the cloud.
    pub fn endpoint(&self) -> &str {
        self.real_endpoint.get().unwrap_or(&self.endpoint)
    }

    /// Says the base URL once the port is known. A second call changes nothing.
    pub fn set_endpoint(&self, endpoint: String) {
        let _ = self.real_endpoint.set(endpoint);
    }

    /// The service of this name (`s3`, `lambda` …), where it is served.
    pub fn service(&self, name: &str) -> Option<&Arc<dyn Service>> {
        self.services.get()?.get(name)
    }

    /// All services, in no order.
    pub fn services(&self) -> impl Iterator<Item = &Arc<dyn Service>> {
        self.services.get().into_iter().flat_map(HashMap::values)
    }

    /// The identity service. Errors: 503 while the cloud is still starting.
    pub fn identity(&self) -> Result<&Arc<dyn Identity>, Error> {
        self.identity
            .get()
            .ok_or_else(|| Error::new("ServiceUnavailable", 503, "The cloud is starting; try again."))
    }

    /// A context for a call that begins inside, such as a delivery from the bus.
    pub fn context(self: &Arc<Self>, principal: Principal, account: &str, region: &str) -> Context {
        Context {
            request_id: self.random().uuid().into(),
            account: account.into(),
            region: region.into(),
            principal,
            session: None,
            origin: Arc::new(Origin::default()),
            cloud: self.clone(),
        }
    }

    /// Calls an operation of another service in process, as the context's principal; IAM decides as it does at
    /// the front door.
    pub async fn call<O: TypedOperation>(&self, cx: &Context, input: O::Input) -> Result<O::Output, Error> {
        let service = self.service(O::SERVICE).ok_or_else(|| Error::not_implemented(O::SERVICE, O::NAME))?;
        let output = self.dispatch(service, O::INDEX, cx, Box::new(input)).await?;
        match output.into_any().downcast::<O::Output>() {
            Ok(output) => Ok(*output),
            Err(_) => Err(Error::internal(format!("{}:{} answered another shape", O::SERVICE, O::NAME))),
        }
    }

    /// Checks the constraints, asks IAM, runs the operation: the one way into a service.
    pub async fn dispatch(
        &self,
        service: &Arc<dyn Service>,
        operation: usize,
        cx: &Context,
        input: Box<dyn Structure>,
    ) -> Result<Box<dyn Structure>, Error> {
        let op =
            service.api().operations.get(operation).ok_or_else(|| {
                Error::internal(format!("{} has no operation {operation}", service.api().name))
            })?;
        if let Err(mut violations) = rules::check(&*input) {
            violations.0.retain(|violation| !service.lets_through(op, violation));
            if !violations.0.is_empty() {
                return Err(service.invalid_input(op, violations));
            }
        }
        self.authorize(service, operation, cx, &*input).await?;
        service.invoke(operation, cx, input).await
    }

    /// Asks IAM for every access that the operation needs. A service principal that calls its own service is
    /// that service at work, and is trusted.
    async fn authorize(
        &self,
        service: &Arc<dyn Service>,
        operation: usize,
        cx: &Context,
        input: &dyn Structure,
    ) -> Result<(), Error> {
        let op = &service.api().operations[operation];
        if op.public {
            return Ok(());
        }
        let identity = self.identity()?;
        let accesses = service.access(op, cx, input).await?;
        for access in &accesses {
            let request = AccessRequest { access, operation: op, service: service.api() };
            if let Err(denied) = identity.authorize(cx, &request) {
                return Err(service.access_denied(op, denied));
            }
        }
        Ok(())
    }
}

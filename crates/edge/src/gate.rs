//! What all requests share.

use crate::body::Memory;
use crate::config::EdgeConfig;
use crate::cors::Cors;
use crate::hosts::Hosts;
use crate::own::OwnEndpoints;
use cloudlet_service::{Api, Cloud};
use cloudlet_wire::Router;
use hyper_util::rt::TokioExecutor;
use hyper_util::server::conn::auto;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

pub(crate) struct Gate {
    pub(crate) config: EdgeConfig,
    pub(crate) cloud: Arc<Cloud>,
    pub(crate) hosts: Arc<Hosts>,
    pub(crate) cors: Cors,
    pub(crate) own: Arc<dyn OwnEndpoints>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) tls: Option<tokio_rustls::TlsAcceptor>,
    pub(crate) http: auto::Builder<TokioExecutor>,
    pub(crate) default_region: Arc<str>,
    pub(crate) default_account: Arc<str>,
    /// When the front door opened, in milliseconds since the epoch, and the id of this run.
    pub(crate) opened: i64,
    pub(crate) run: String,
    routes: OnceLock<Routes>,
}

/// The services' tables, built when the cloud has opened.
pub(crate) struct Routes {
    pub(crate) router: Router,
    /// Signing names by endpoint prefix and by our own names.
    signing_names: HashMap<&'static str, &'static str>,
}

impl Gate {
    pub(crate) fn new(
        config: EdgeConfig,
        cloud: Arc<Cloud>,
        hosts: Arc<Hosts>,
        own: Arc<dyn OwnEndpoints>,
        tls: Option<tokio_rustls::TlsAcceptor>,
    ) -> Self {
        Self {
            cors: Cors::new(&config.origins),
            memory: Memory::new(config.limits.body_bytes_in_all),
            http: crate::connection::builder(&config.limits),
            default_region: config.default_region.as_str().into(),
            default_account: config.default_account.as_str().into(),
            opened: cloud.clock().millis(),
            run: cloud.random().uuid(),
            hosts,
            own,
            cloud,
            tls,
            config,
            routes: OnceLock::new(),
        }
    }

    /// Whether the service is one that answers here.
    pub(crate) fn serves(&self, name: &str) -> bool {
        self.config.services.as_ref().is_none_or(|names| names.iter().any(|n| n == name))
    }

    /// The tables; `None` while the cloud is starting.
    pub(crate) fn routes(&self) -> Option<&Routes> {
        if let Some(routes) = self.routes.get() {
            return Some(routes);
        }
        self.cloud.identity().ok()?;
        Some(self.routes.get_or_init(|| {
            let mut apis: Vec<&'static Api> =
                self.cloud.services().map(|s| s.api()).filter(|api| self.serves(api.name)).collect();
            // In one order at every start, so that the same request always means the same.
            apis.sort_by_key(|api| api.name);
            let mut signing_names = HashMap::new();
            for api in &apis {
                signing_names.insert(api.name, api.signing_name);
                signing_names.insert(api.endpoint_prefix, api.signing_name);
            }
            Routes { router: Router::new(&apis), signing_names }
        }))
    }
}

impl Routes {
    /// The signing name of the service with this endpoint prefix.
    pub(crate) fn signing_name(&self, prefix: &str) -> Option<&'static str> {
        self.signing_names.get(prefix).copied()
    }
}

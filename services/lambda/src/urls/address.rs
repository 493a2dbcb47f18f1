//! The addresses that function URLs are told under: names that lead here.

use cloudlet_service::{Context, SITE_PATH};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, ToSocketAddrs};
use std::time::Duration;

/// A domain of public name servers that leads to loopback with all names below it.
const PUBLIC: &str = "localhost.localstack.cloud";
/// How long a resolver may take before its domain counts as unknown.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many domains are remembered.
const MOST: usize = 64;

/// Which domains have names below them that this machine finds.
#[derive(Default)]
pub(crate) struct Addresses {
    known: Mutex<HashMap<String, bool>>,
}

impl Addresses {
    /// The URL of an id: below the name that the caller used, if names below it lead somewhere here; below a public
    /// name for loopback; else a path of the cloud's own.
    pub(crate) async fn of(&self, cx: &Context, id: &str) -> String {
        let endpoint = cx.endpoint();
        let (scheme, authority) = endpoint.split_once("://").unwrap_or(("http", &endpoint));
        let (name, port) = match authority.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (name, format!(":{port}")),
            _ => (authority, String::new()),
        };
        let bare = name.trim_matches(['[', ']']);
        let ip = bare.parse::<IpAddr>().ok();
        let own = match ip {
            Some(ip) if ip.is_loopback() => Some("localhost"),
            Some(_) => None,
            None => Some(name),
        };
        let loopback = own.is_some_and(|name| name == "localhost" || name.ends_with(".localhost"));
        for domain in own.into_iter().chain(loopback.then_some(PUBLIC)) {
            if self.leads_somewhere(domain).await {
                return format!("{scheme}://{id}.lambda-url.{}.{domain}{port}/", cx.region);
            }
        }
        format!("{scheme}://{authority}{SITE_PATH}{id}/")
    }

    async fn leads_somewhere(&self, domain: &str) -> bool {
        if let Some(known) = self.known.lock().get(domain) {
            return *known;
        }
        let probe = format!("probe.lambda-url.{domain}");
        let lookup = tokio::task::spawn_blocking(move || {
            (probe.as_str(), 80).to_socket_addrs().is_ok_and(|mut found| found.next().is_some())
        });
        let found = matches!(tokio::time::timeout(PATIENCE, lookup).await, Ok(Ok(true)));
        let mut known = self.known.lock();
        if known.len() < MOST {
            known.insert(domain.to_owned(), found);
        }
        found
    }
}

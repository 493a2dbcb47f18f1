//! The published keys of identity providers, remembered for a while.

use cloudlet_identity::fetch::{Unfetched, fetch};
use cloudlet_identity::jwt::Token;
use cloudlet_identity::records::OidcProvider;
use cloudlet_service::Context;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How long keys are remembered, in milliseconds.
const REMEMBERED: i64 = 300_000;
/// How many providers' keys are.
const PROVIDERS: usize = 256;

/// What a token's signature turned out to be.
pub(crate) enum Lookup {
    /// One of the provider's.
    Signed,
    /// Not by the key that the token names.
    Unsigned,
    /// By a key that the provider does not publish.
    NoKey,
}

/// When they were fetched, and the keys.
type Known = (i64, Arc<Value>);

#[derive(Default)]
pub(crate) struct Keysets(Mutex<HashMap<String, Known>>);

impl Keysets {
    /// Checks a token with its provider's keys; fetches them where they are not known, are old, or lack the one that
    /// the token names.
    pub(crate) async fn check(
        &self,
        cx: &Context,
        provider: &OidcProvider,
        token: &Token,
    ) -> Result<Lookup, Unfetched> {
        let name = provider.arn();
        let known = {
            let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.get(&name).filter(|(at, _)| cx.millis() - at < REMEMBERED).map(|(_, keys)| keys.clone())
        };
        let keys = match known.filter(|keys| token.has_key(keys)) {
            Some(keys) => keys,
            None => {
                let keys = Arc::new(fetch_keys(provider).await?);
                let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                if all.len() >= PROVIDERS {
                    all.clear();
                }
                all.insert(name, (cx.millis(), keys.clone()));
                keys
            }
        };
        Ok(match (token.has_key(&keys), token.signed_by(&keys)) {
            (_, true) => Lookup::Signed,
            (true, false) => Lookup::Unsigned,
            (false, false) => Lookup::NoKey,
        })
    }
}

/// Source: OpenID Connect Discovery 1.0, section 4.
async fn fetch_keys(provider: &OidcProvider) -> Result<Value, Unfetched> {
    let scheme = if provider.plain { "http" } else { "https" };
    let url = format!("{scheme}://{}/.well-known/openid-configuration", provider.url);
    let read = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).map_err(|_| Unfetched::Unreachable);
    let configuration = read(&fetch(&url, &provider.thumbprints).await?)?;
    let keys = configuration.get("jwks_uri").and_then(Value::as_str).ok_or(Unfetched::Unreachable)?;
    read(&fetch(keys, &provider.thumbprints).await?)
}

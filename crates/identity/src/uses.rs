//! When keys and roles were last used. Kept in memory; IAM writes it down when asked.

use crate::records::LastUse;
use parking_lot::RwLock;
use std::collections::HashMap;

/// As fine as AWS reports it: a later use within this time changes nothing, in milliseconds.
const GRAIN: i64 = 60_000;

/// How many are remembered.
const REMEMBERED: usize = 16 * 1024;

/// The last use by name: an access key id, a role's or user's unique id, or one of those and a service.
#[derive(Default)]
pub(crate) struct Uses {
    by_name: RwLock<HashMap<Box<str>, LastUse>>,
}

impl Uses {
    /// Notes a use.
    pub(crate) fn note(&self, name: &str, at: i64, region: &str, service: &str) {
        if let Some(known) = self.by_name.read().get(name)
            && at - known.at < GRAIN
            && known.service == service
            && known.region == region
        {
            return;
        }
        let mut all = self.by_name.write();
        if all.len() >= REMEMBERED && !all.contains_key(name) {
            return;
        }
        all.insert(name.into(), LastUse { at, region: region.to_owned(), service: service.to_owned() });
    }

    pub(crate) fn get(&self, name: &str) -> Option<LastUse> {
        self.by_name.read().get(name).cloned()
    }

    /// All whose name begins so, with what follows.
    pub(crate) fn beginning(&self, prefix: &str) -> Vec<(String, LastUse)> {
        let all = self.by_name.read();
        let found =
            all.iter().filter_map(|(name, at)| Some((name.strip_prefix(prefix)?.to_owned(), at.clone())));
        found.collect()
    }
}

//! The regions that an account has switched off, as STS needs them: Account Management writes them down.

use crate::identities::Identities;
use cloudlet_service::Error;
use cloudlet_store::{Key, Record};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The regions that an account disabled, by account. One that it never spoke of answers here, though AWS asks to be
/// told first.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub struct DisabledRegions {
    /// Their names.
    pub names: BTreeSet<String>,
}

impl Record for DisabledRegions {
    const TABLE: &'static str = "identity.disabled_regions";
}

impl DisabledRegions {
    /// The key of the record.
    pub fn key(account: &str) -> Key {
        Key::new().text(account)
    }
}

impl Identities {
    /// Whether an account has switched a region off.
    pub fn region_disabled(&self, account: &str, region: &str) -> Result<bool, Error> {
        let key = DisabledRegions::key(account);
        let found = self.store().table::<DisabledRegions>().get_arc(&key).map_err(Error::internal)?;
        Ok(found.is_some_and(|disabled| disabled.names.contains(region)))
    }
}

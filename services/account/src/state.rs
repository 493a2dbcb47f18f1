//! What is remembered about an account.

use cloudlet_store::Record;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An account, by its id.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub(crate) struct Settings {
    /// When it was first seen.
    pub(crate) created: i64,
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// The regions that are not as they are by default: whether they are on.
    #[serde(default)]
    pub(crate) regions: BTreeMap<String, bool>,
    #[serde(default)]
    pub(crate) contact: Option<Contact>,
    /// Alternate contacts by type.
    #[serde(default)]
    pub(crate) alternates: BTreeMap<String, Alternate>,
}

impl Record for Settings {
    const TABLE: &'static str = "account.settings";
}

/// The primary contact: the members of the API's shape in its order.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub(crate) struct Contact {
    pub(crate) full_name: String,
    pub(crate) address_line1: String,
    pub(crate) address_line2: Option<String>,
    pub(crate) address_line3: Option<String>,
    pub(crate) city: String,
    pub(crate) state_or_region: Option<String>,
    pub(crate) district_or_county: Option<String>,
    pub(crate) postal_code: String,
    pub(crate) country_code: String,
    pub(crate) phone_number: String,
    pub(crate) company_name: Option<String>,
    pub(crate) website_url: Option<String>,
}

/// A contact for billing, operations or security.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub(crate) struct Alternate {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) email: String,
    pub(crate) phone: String,
}

//! What is stored: keys with their policy, the material that keys use, aliases, grants.
//!
//! Keys of one multi-Region family are a record each, by Region, and share one record of material.

use crate::crypto::Secret;
use crate::spec;
use cloudlet_access::Policy;
use cloudlet_store::{Key, Record};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

/// Milliseconds.
pub(crate) const DAY: i64 = 24 * 60 * 60 * 1000;

/// The life of a key. Source: AWS KMS Developer Guide, "Key states of AWS KMS keys".
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Enabled,
    Disabled,
    PendingDeletion,
    PendingImport,
    PendingReplicaDeletion,
}

impl State {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Enabled => "Enabled",
            Self::Disabled => "Disabled",
            Self::PendingDeletion => "PendingDeletion",
            Self::PendingImport => "PendingImport",
            Self::PendingReplicaDeletion => "PendingReplicaDeletion",
        }
    }
}

/// The family of a multi-Region key, as each member knows it.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Family {
    pub(crate) primary: String,
    pub(crate) replicas: Vec<String>,
}

impl Family {
    pub(crate) fn regions(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.primary).chain(&self.replicas)
    }
}

/// A KMS key. Key: account, region, id.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct KeyRecord {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) partition: String,
    pub(crate) id: String,
    /// Milliseconds since 1970, as all times here.
    pub(crate) created: i64,
    pub(crate) description: String,
    pub(crate) spec: String,
    pub(crate) usage: String,
    pub(crate) origin: String,
    pub(crate) state: State,
    /// The service whose key this is (`s3`); `None` for the customers' own.
    pub(crate) managed_by: Option<String>,
    pub(crate) policy: String,
    pub(crate) tags: BTreeMap<String, String>,
    /// When it is deleted.
    pub(crate) deletion: Option<i64>,
    /// The waiting period, in days.
    pub(crate) window: Option<i32>,
    pub(crate) family: Option<Family>,
    /// How many grants there are, so that a key without any costs no look for them.
    #[serde(default)]
    pub(crate) grants: u32,
    /// The names of its aliases, sorted.
    #[serde(default)]
    pub(crate) aliases: Vec<String>,
    #[serde(skip)]
    compiled: Compiled,
    #[serde(skip)]
    pub(crate) granted: Granted,
}

/// What follows from a key's grants, worked out at first use. Every grant changes the key's record too, and what was
/// worked out goes with the record as it was.
#[derive(Clone, Default)]
pub(crate) struct Granted {
    pub(crate) all: OnceLock<Arc<[Grant]>>,
    /// The key policy with a grant's statement, by principal and action.
    pub(crate) merged: Arc<Mutex<HashMap<(String, String), Policy>>>,
}

impl std::fmt::Debug for Granted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Granted")
    }
}

/// The policy as it is evaluated, made at first use.
#[derive(Clone, Default)]
struct Compiled(OnceLock<Option<Policy>>);

impl std::fmt::Debug for Compiled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Compiled")
    }
}

impl Record for KeyRecord {
    const TABLE: &'static str = "kms.keys";
}

/// What a new key is made of.
pub(crate) struct NewKey<'a> {
    pub(crate) account: &'a str,
    pub(crate) region: &'a str,
    pub(crate) partition: &'a str,
    pub(crate) id: String,
    pub(crate) created: i64,
    pub(crate) spec: &'a str,
    pub(crate) usage: &'a str,
    pub(crate) origin: &'a str,
    pub(crate) policy: String,
}

impl KeyRecord {
    pub(crate) fn new(new: NewKey<'_>) -> Self {
        Self {
            account: new.account.to_owned(),
            region: new.region.to_owned(),
            partition: new.partition.to_owned(),
            id: new.id,
            created: new.created,
            description: String::new(),
            spec: new.spec.to_owned(),
            usage: new.usage.to_owned(),
            origin: new.origin.to_owned(),
            state: if new.origin == "EXTERNAL" { State::PendingImport } else { State::Enabled },
            managed_by: None,
            policy: new.policy,
            tags: BTreeMap::new(),
            deletion: None,
            window: None,
            family: None,
            grants: 0,
            aliases: Vec::new(),
            compiled: Compiled::default(),
            granted: Granted::default(),
        }
    }

    pub(crate) fn arn(&self) -> String {
        self.arn_in(&self.region)
    }

    /// The ARN of the family's member in another Region.
    pub(crate) fn arn_in(&self, region: &str) -> String {
        format!("arn:{}:kms:{region}:{}:key/{}", self.partition, self.account, self.id)
    }

    pub(crate) fn place(&self) -> Key {
        key_place(&self.account, &self.region, &self.id)
    }

    /// Where its material is: shared by a family whose material we made, a Region's own where it is imported.
    pub(crate) fn material_place(&self) -> Key {
        let shared = self.family.is_some() && self.origin == "AWS_KMS";
        key_place(&self.account, if shared { "*" } else { &self.region }, &self.id)
    }

    /// The name under which its material is sealed.
    pub(crate) fn seal_name(&self, material: &str) -> String {
        format!("{}/{}/{material}", self.account, self.id)
    }

    /// The key policy. `None` where a stored one no longer parses, which then allows nothing.
    pub(crate) fn compiled(&self) -> Option<&Policy> {
        self.compiled.0.get_or_init(|| crate::policy::effective(&self.policy).ok().flatten()).as_ref()
    }

    pub(crate) fn set_policy(&mut self, policy: String) {
        self.policy = policy;
        self.compiled = Compiled::default();
    }

    pub(crate) fn is_symmetric(&self) -> bool {
        self.spec == spec::SYMMETRIC
    }

    pub(crate) fn is_replica(&self) -> bool {
        self.family.as_ref().is_some_and(|family| family.primary != self.region)
    }
}

/// One generation of key material.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Material {
    /// 64 hexadecimal digits.
    pub(crate) id: String,
    /// Sealed with the master key; empty where imported material has been deleted or has expired.
    #[serde(with = "cloudlet_store::as_bytes")]
    pub(crate) sealed: Vec<u8>,
    pub(crate) created: i64,
    /// When it became the current one by a rotation, and by which kind.
    pub(crate) rotated: Option<(i64, String)>,
    #[serde(default)]
    pub(crate) description: Option<String>,
    /// When imported material expires.
    #[serde(default)]
    pub(crate) expires: Option<i64>,
    /// Imported, but never used yet: it waits for a rotation.
    #[serde(default)]
    pub(crate) waiting: bool,
}

/// The automatic rotation of a key.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rotation {
    pub(crate) days: i32,
    pub(crate) next: i64,
}

/// All material of a key or of a family. Key: as [`KeyRecord::material_place`] says.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub(crate) struct Materials {
    /// The oldest first.
    pub(crate) all: Vec<Material>,
    /// The id of what encrypts now; empty before the first import.
    pub(crate) current: String,
    pub(crate) rotation: Option<Rotation>,
    /// How often it was rotated on demand.
    pub(crate) on_demand: u32,
    #[serde(skip)]
    pub(crate) opened: Opened,
}

impl Record for Materials {
    const TABLE: &'static str = "kms.materials";
}

impl Materials {
    pub(crate) fn get(&self, id: &str) -> Option<&Material> {
        self.all.iter().find(|material| material.id == id)
    }

    pub(crate) fn current(&self) -> Option<&Material> {
        self.get(&self.current)
    }
}

/// What has been unsealed already. Gone when the record changes.
#[derive(Clone, Default)]
pub(crate) struct Opened(pub(crate) Arc<Mutex<HashMap<String, Arc<Secret>>>>);

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Opened(hidden)")
    }
}

/// An alias. Key: account, region, name (`alias/…`).
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Alias {
    pub(crate) name: String,
    pub(crate) target: String,
    pub(crate) created: i64,
    pub(crate) updated: i64,
}

impl Record for Alias {
    const TABLE: &'static str = "kms.aliases";
}

/// A grant. Key: account, region, the key's id, the grant's id.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) id: String,
    pub(crate) token: String,
    pub(crate) name: Option<String>,
    pub(crate) created: i64,
    /// An ARN, or a service's name.
    pub(crate) grantee: String,
    pub(crate) grantee_is_service: bool,
    pub(crate) retiring: Option<String>,
    pub(crate) retiring_is_service: bool,
    /// The root of the account under which it was made.
    pub(crate) issuer: String,
    pub(crate) operations: Vec<String>,
    pub(crate) subset: Option<BTreeMap<String, String>>,
    pub(crate) equals: Option<BTreeMap<String, String>>,
    pub(crate) source_arn: Option<String>,
}

impl Record for Grant {
    const TABLE: &'static str = "kms.grants";
}

/// A wrapping key of `GetParametersForImport`. Key: account, region, the key's id, the token's digest.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct ImportOffer {
    pub(crate) algorithm: String,
    pub(crate) spec: String,
    #[serde(with = "cloudlet_store::as_bytes")]
    pub(crate) sealed: Vec<u8>,
    pub(crate) expires: i64,
}

impl Record for ImportOffer {
    const TABLE: &'static str = "kms.offers";
}

/// The last use of a key. Key: account, region, the key's id.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Usage {
    pub(crate) operation: String,
    pub(crate) at: i64,
    pub(crate) request: String,
}

impl Record for Usage {
    const TABLE: &'static str = "kms.usage";
}

pub(crate) fn place(account: &str, region: &str) -> Key {
    Key::new().text(account).text(region)
}

pub(crate) fn key_place(account: &str, region: &str, id: &str) -> Key {
    place(account, region).text(id)
}

pub(crate) fn offer_place(key: &KeyRecord, token: &[u8]) -> Key {
    key.place().text(&hex::encode(Sha256::digest(token)))
}

pub(crate) fn grant_place(key: &KeyRecord, grant: &str) -> Key {
    key.place().text(grant)
}

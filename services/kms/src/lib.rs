//! KMS: keys, what they encrypt and sign, and who may use them.
//!
//! Start with [`Kms`]; `operations/` has the story of each call. `spec` says what each kind of key can do, `crypto/`
//! does it, `names` reads how requests name keys, `access` gathers what decides whether a caller may, `grants` is the
//! other way to be allowed, `deadlines` is what happens by the clock, `managed` are the keys that AWS's services make.
//!
//! Key material leaves this crate only as AWS lets it leave: as data keys, and as public keys. At rest it is sealed
//! with the master key (`crypto/seal.rs`); in memory it is kept ready beside the record it belongs to.
//!
//! Source: AWS KMS API Reference and Developer Guide.

mod access;
mod crypto;
mod deadlines;
mod errors;
mod grants;
mod managed;
mod names;
mod operations;
mod policy;
mod shown;
mod spec;
mod state;
#[cfg(test)]
mod tests;

pub use crypto::seal::MasterKey;

use cloudlet_api_kms::DisabledException;
use cloudlet_bus::{Bus, Delivery};
use cloudlet_service::rules::Violations;
use cloudlet_service::{Access, BoxFuture, Cloud, Context, Error, Operation, Service, Structure};
use cloudlet_store::{Store, StoreError, Tx};
use crypto::seal::Sealer;
use crypto::{Rng, Secret};
use errors::{Failure, bad_state, internal, no_alias, no_key, stored};
use names::Named;
use parking_lot::Mutex;
use state::{Alias, KeyRecord, Material, Materials, State, Usage, key_place, place};
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// The secret of the data directory that wraps all key material.
const MASTER: &str = "kms-master-key";

/// The service.
pub struct Kms {
    pub(crate) store: Store,
    pub(crate) sealer: Sealer,
    /// The master key is the operator's and not in the data directory.
    given: bool,
    pub(crate) cloud: Weak<Cloud>,
    /// The last use of keys, by their place, and when it was last written down.
    pub(crate) used: Mutex<HashMap<Vec<u8>, (Usage, i64)>>,
}

impl Kms {
    /// The service over this store. `master` is the operator's own master key; without one, the data directory has
    /// its own. Must be called within a tokio runtime, because the bus starts its deliveries.
    ///
    /// Errors: where the data directory's master key can be neither read nor made.
    pub fn new(
        store: Store,
        cloud: &Arc<Cloud>,
        bus: &Bus,
        master: Option<MasterKey>,
    ) -> Result<Arc<Self>, StoreError> {
        let given = master.is_some();
        let master = match master {
            Some(master) => master,
            None => own_master(&store, cloud)?,
        };
        let sealer = Sealer::new(&master)
            .map_err(|_| StoreError::Corrupt { what: MASTER.into(), detail: "not a key".into() })?;
        let kms =
            Arc::new(Self { store, sealer, given, cloud: Arc::downgrade(cloud), used: Mutex::default() });
        let one = Delivery { concurrency: 1, per_group: 1, ..Delivery::default() };
        bus.subscribe(deadlines::QUEUE, one, Arc::new(deadlines::Deadlines(kms.clone())));
        Ok(kms)
    }

    /// The key that a request names. Errors: `NotFoundException`.
    pub(crate) async fn find(&self, cx: &Context, named: &Named) -> Result<Arc<KeyRecord>, Error> {
        let missing = || no_key(&named.arn(cx.partition()));
        match named {
            Named::Key { account, region, id } => {
                self.load(cx.millis(), account, region, id).await?.ok_or_else(missing)
            }
            Named::Alias { account, region, name } => {
                let at = place(account, region).text(name);
                let alias = self.store.table::<Alias>().get_arc(&at).map_err(stored)?;
                let alias = alias.ok_or_else(|| no_alias(&named.arn(cx.partition())))?;
                self.load(cx.millis(), account, region, &alias.target).await?.ok_or_else(missing)
            }
        }
    }

    /// The key of a `KeyId` that may be an alias.
    pub(crate) async fn key(&self, cx: &Context, key_id: &str) -> Result<Arc<KeyRecord>, Error> {
        self.find(cx, &Named::parse(cx, key_id)?).await
    }

    /// The key of a `KeyId` that may be no alias.
    pub(crate) async fn own_key(&self, cx: &Context, key_id: &str) -> Result<Arc<KeyRecord>, Error> {
        self.find(cx, &Named::parse_key(cx, key_id)?).await
    }

    /// The key as it is at this time: what the clock has done to it is done first.
    pub(crate) async fn load(
        &self,
        now: i64,
        account: &str,
        region: &str,
        id: &str,
    ) -> Result<Option<Arc<KeyRecord>>, Error> {
        let at = key_place(account, region, id);
        let table = self.store.table::<KeyRecord>();
        let Some(key) = table.get_arc(&at).map_err(stored)? else { return Ok(None) };
        if !self.is_due(&key, now)? {
            return Ok(Some(key));
        }
        self.settle(&at, now).await?;
        table.get_arc(&at).map_err(stored)
    }

    /// All material of a key.
    pub(crate) fn materials(&self, key: &KeyRecord) -> Result<Arc<Materials>, Error> {
        let found = self.store.table::<Materials>().get_arc(&key.material_place()).map_err(stored)?;
        Ok(found.unwrap_or_default())
    }

    /// The material that encrypts and signs now, ready for use. The key is [`usable`].
    pub(crate) fn current(&self, key: &KeyRecord) -> Result<(String, Arc<Secret>), Error> {
        let materials = self.materials(key)?;
        let material = materials.current().ok_or_else(|| pending_import(key))?;
        Ok((material.id.clone(), self.open(key, &materials, material)?))
    }

    /// One generation of material, ready for use.
    pub(crate) fn open(
        &self,
        key: &KeyRecord,
        materials: &Materials,
        material: &Material,
    ) -> Result<Arc<Secret>, Error> {
        if let Some(secret) = materials.opened.0.lock().get(&material.id) {
            return Ok(secret.clone());
        }
        if material.sealed.is_empty() {
            return Err(pending_import(key));
        }
        let plain = self.unseal(&key.seal_name(&material.id), &material.sealed)?;
        let secret = Arc::new(Secret::read(&key.spec, &plain).map_err(internal)?);
        materials.opened.0.lock().insert(material.id.clone(), secret.clone());
        Ok(secret)
    }

    /// Opens what was sealed with the master key. A data directory restored from a copy has the copy's key.
    pub(crate) fn unseal(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        if !self.sealer.knows(sealed) && !self.given {
            let bytes = self.store.secret(MASTER, Vec::new).map_err(stored)?;
            if let Some(master) = MasterKey::from_bytes(&bytes) {
                self.sealer.replace(&master).map_err(internal)?;
            }
        }
        if !self.sealer.knows(sealed) {
            return Err(Error::internal(
                "key material is sealed with another master key than the present one",
            )
            .with_code("KMSInternalException"));
        }
        self.sealer.open(name, sealed).map_err(internal)
    }

    /// New material of a key, sealed.
    pub(crate) fn sealed(
        &self,
        cx: &Cloud,
        key: &KeyRecord,
        id: String,
        secret: &[u8],
        now: i64,
    ) -> Result<Material, Error> {
        let rng = Rng(cx.random());
        let sealed = self.sealer.seal(&key.seal_name(&id), secret, &rng).map_err(internal)?;
        Ok(Material {
            id,
            sealed,
            created: now,
            rotated: None,
            description: None,
            expires: None,
            waiting: false,
        })
    }

    /// Changes a key that is there.
    pub(crate) async fn change<T: Send>(
        &self,
        key: &KeyRecord,
        mut f: impl FnMut(&mut Tx<'_>, &mut KeyRecord) -> Result<T, Failure> + Send,
    ) -> Result<T, Error> {
        let at = key.place();
        let changed = self.store.transact(|tx| {
            let mut record = tx.get::<KeyRecord>(&at)?.ok_or_else(|| no_key(&key.arn()))?;
            let outcome = f(tx, &mut record)?;
            tx.put(&at, &record)?;
            Ok::<_, Failure>(outcome)
        });
        Ok(changed.await?)
    }
}

fn own_master(store: &Store, cloud: &Cloud) -> Result<MasterKey, StoreError> {
    let bytes = store.secret(MASTER, || Rng(cloud.random()).vec(32))?;
    MasterKey::from_bytes(&bytes)
        .ok_or_else(|| StoreError::Corrupt { what: MASTER.into(), detail: "not 256 bits".into() })
}

fn pending_import(key: &KeyRecord) -> Error {
    bad_state(format!("{} is pending import.", key.arn()))
}

/// Refuses a key that cannot work at present. Source: AWS KMS Developer Guide, "Key states", the table.
pub(crate) fn usable(key: &KeyRecord) -> Result<(), Error> {
    match key.state {
        State::Enabled => Ok(()),
        State::Disabled => Err(DisabledException::error(format!("{} is disabled.", key.arn()))),
        _ => changeable(key),
    }
}

/// Refuses a key that is not even to be changed at present.
pub(crate) fn changeable(key: &KeyRecord) -> Result<(), Error> {
    match key.state {
        State::PendingImport => Err(pending_import(key)),
        _ => living(key),
    }
}

/// Refuses a key that waits for its end.
pub(crate) fn living(key: &KeyRecord) -> Result<(), Error> {
    match key.state {
        State::PendingDeletion => Err(bad_state(format!("{} is pending deletion.", key.arn()))),
        State::PendingReplicaDeletion => {
            Err(bad_state(format!("{} is pending replica deletion.", key.arn())))
        }
        _ => Ok(()),
    }
}

impl Service for Kms {
    cloudlet_api_kms::operations!();

    fn access<'a>(
        &'a self,
        op: &'static Operation,
        cx: &'a Context,
        input: &'a dyn Structure,
    ) -> BoxFuture<'a, Result<Vec<Access>, Error>> {
        Box::pin(self.needed(op, cx, input))
    }

    fn invalid_input(&self, _op: &'static Operation, violations: Violations) -> Error {
        Error::validation(violations.with_whole_lists().message())
    }
}

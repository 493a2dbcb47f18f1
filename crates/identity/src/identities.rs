//! From an access key to its owner, and the keys themselves.

use crate::caller::{self, Caller};
use crate::explain::Denials;
use crate::records::{AccessKey, Role, RootKey, SealingKey, User, named};
use crate::token::{Claims, Holder, Purpose, Sealer};
use arc_swap::ArcSwap;
use cloudlet_service::{Cloud, Error, Principal, Resolved, SecretKey};
use cloudlet_store::{Key, Store, StoreError};
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How identities are set up.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Whether `test`/`test` is the root of account 000000000000 and a 12-digit access key with secret `test` the
    /// root of that account. Only for a listener on loopback.
    pub well_known_keys: bool,
}

/// A root key pair, to be shown to its owner.
#[derive(Debug, Clone)]
pub struct RootKeyPair {
    /// `AKIA…`
    pub access_key_id: String,
    /// The secret.
    pub secret: SecretKey,
    /// Whether it was made just now.
    pub created: bool,
}

/// Everybody who may call, and what they may do. One per cloud; implements [`cloudlet_service::Identity`].
pub struct Identities {
    store: Store,
    pub(crate) cloud: Arc<Cloud>,
    settings: Settings,
    sealer: ArcSwap<Sealer>,
    generation: AtomicU64,
    known: RwLock<HashMap<Box<str>, Known>>,
    pub(crate) above: RwLock<(u64, HashMap<Box<str>, MaybeAbove>)>,
    pub(crate) denials: Denials,
    pub(crate) uses: Arc<crate::uses::Uses>,
}

type MaybeAbove = Option<Arc<crate::organization::Above>>;

/// What a key or a token turned out to be.
struct Known {
    generation: u64,
    access_key: Box<str>,
    /// Seconds since the epoch.
    expires: Option<i64>,
    resolved: Resolved,
}

/// How many callers are remembered; beyond it all are forgotten and found anew.
const REMEMBERED: usize = 8192;

impl Identities {
    /// Opens the identities of a store; makes its sealing key on first use.
    pub async fn open(store: Store, cloud: Arc<Cloud>, settings: Settings) -> Result<Arc<Self>, StoreError> {
        let sealer = sealer(&store, &cloud, None).await?;
        let uses = Arc::new(crate::uses::Uses::default());
        uses.read(&store)?;
        Ok(Arc::new(Self {
            store,
            cloud,
            settings,
            sealer: ArcSwap::from_pointee(sealer),
            generation: AtomicU64::new(1),
            known: RwLock::default(),
            above: RwLock::default(),
            denials: Denials::default(),
            uses,
        }))
    }

    /// The store that holds the records.
    pub fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(crate) fn sealer(&self) -> Arc<Sealer> {
        self.sealer.load_full()
    }

    /// To be called after every committed change of a record of [`crate::records`]: what was remembered is looked up
    /// again.
    pub fn changed(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// To be called after the store was emptied or restored from a snapshot: nothing that was remembered holds.
    /// Sessions of before live on only where the snapshot brings what they were made for, and their sealing key.
    pub async fn restored(&self) -> Result<(), StoreError> {
        self.sealer.store(Arc::new(sealer(&self.store, &self.cloud, Some(&self.sealer())).await?));
        self.uses.read(&self.store)?;
        self.changed();
        Ok(())
    }

    /// To be called before the store is closed: what is in memory alone is written down.
    pub async fn write_down(&self) -> Result<(), StoreError> {
        self.uses.write(&self.store).await
    }

    /// Puts the root key of an account back, where the store was emptied under it.
    pub async fn keep_root_key(&self, account: &str, id: &str, secret: &str) -> Result<(), StoreError> {
        let key = AccessKey {
            id: id.to_owned(),
            account: account.to_owned(),
            user: None,
            secret: secret.to_owned(),
            active: true,
            created: self.cloud.clock().millis(),
        };
        let root = RootKey { access_key: id.to_owned() };
        let kept = self.store.transact(|tx| {
            tx.put(&AccessKey::key(id), &key)?;
            tx.put(&Key::new().text(account), &root)
        });
        kept.await?;
        self.changed();
        Ok(())
    }

    /// The root key pair of an account; made on the first call.
    pub async fn root_key_pair(&self, account: &str) -> Result<RootKeyPair, StoreError> {
        let (id, secret) = self.new_key_pair("AKIA");
        let now = self.cloud.clock().millis();
        let at = Key::new().text(account);
        let (key, created) = self
            .store
            .transact(|tx| {
                if let Some(root) = tx.get::<RootKey>(&at)?
                    && let Some(key) = tx.get::<AccessKey>(&AccessKey::key(&root.access_key))?
                {
                    return Ok::<_, StoreError>((key, false));
                }
                let key = AccessKey {
                    id: id.clone(),
                    account: account.to_owned(),
                    user: None,
                    secret: secret.clone(),
                    active: true,
                    created: now,
                };
                tx.put(&AccessKey::key(&id), &key)?;
                tx.put(&at, &RootKey { access_key: id.clone() })?;
                Ok((key, true))
            })
            .await?;
        Ok(RootKeyPair { access_key_id: key.id, secret: SecretKey::new(key.secret), created })
    }

    /// A new access key id with this prefix (`AKIA`, `ASIA`), and a secret of 40 characters.
    pub fn new_key_pair(&self, prefix: &str) -> (String, String) {
        let random = self.cloud.random();
        let id = format!("{prefix}{}", random.text(16, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"));
        let secret = random.text(40, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
        (id, secret)
    }

    pub(crate) fn find(&self, access_key_id: &str, session_token: Option<&str>) -> Result<Resolved, Error> {
        let generation = self.generation();
        let name = session_token.filter(|t| !t.is_empty()).unwrap_or(access_key_id);
        if let Some(known) = self.known.read().get(name)
            && known.generation == generation
            && *known.access_key == *access_key_id
        {
            return match known.expires {
                Some(end) if end <= self.cloud.clock().seconds() => Err(expired()),
                _ => Ok(known.resolved.clone()),
            };
        }
        let (resolved, expires) = self.look_up(access_key_id, session_token)?;
        let known =
            Known { generation, access_key: access_key_id.into(), expires, resolved: resolved.clone() };
        let mut all = self.known.write();
        if all.len() >= REMEMBERED {
            all.clear();
        }
        all.insert(name.into(), known);
        Ok(resolved)
    }

    fn look_up(&self, id: &str, session_token: Option<&str>) -> Result<(Resolved, Option<i64>), Error> {
        if self.settings.well_known_keys
            && let Some(account) = well_known_account(id)
        {
            // Tools that want a session token with every key get away with any.
            let caller = Caller::of(&Principal::Root { account: account.into() });
            return Ok((resolved(caller, "test"), None));
        }
        match session_token.filter(|t| !t.is_empty()) {
            Some(token) => self.look_up_session(id, token),
            None => Ok((self.look_up_key(id)?, None)),
        }
    }

    fn look_up_key(&self, id: &str) -> Result<Resolved, Error> {
        let key = self.store.table::<AccessKey>().get(&AccessKey::key(id)).map_err(Error::internal)?;
        let Some(key) = key.filter(|k| k.active) else { return Err(unknown()) };
        let account: Arc<str> = key.account.as_str().into();
        let principal = match &key.user {
            None => Principal::Root { account },
            Some(name) => {
                let user = self.store.table::<User>().get(&named(&account, name)).map_err(Error::internal)?;
                let Some(user) = user else { return Err(unknown()) };
                Principal::User {
                    account,
                    path: user.path.into(),
                    name: user.name.into(),
                    id: user.id.into(),
                }
            }
        };
        Ok(resolved(Caller::of(&principal), &key.secret))
    }

    fn look_up_session(&self, id: &str, token: &str) -> Result<(Resolved, Option<i64>), Error> {
        let claims: Claims = self.sealer().open(Purpose::Session, token).ok_or_else(bad_token)?;
        if claims.access_key != id {
            return Err(bad_token());
        }
        if claims.expires <= self.cloud.clock().seconds() {
            return Err(expired());
        }
        // A session ends with what it was made for, also where that was made again under the same name.
        let path = match &claims.holder {
            Holder::Root | Holder::Federated { issuer: None, .. } => "/".to_owned(),
            Holder::User { name, id } | Holder::Federated { issuer: Some((name, id)), .. } => {
                let user =
                    self.store.table::<User>().get(&named(&claims.account, name)).map_err(Error::internal)?;
                user.filter(|u| u.id == *id).ok_or_else(unknown)?.path
            }
            Holder::Role { name, id, .. } => {
                let role =
                    self.store.table::<Role>().get(&named(&claims.account, name)).map_err(Error::internal)?;
                role.filter(|r| r.id == *id).ok_or_else(unknown)?.path
            }
        };
        let (secret, expires) = (claims.secret.clone(), claims.expires);
        Ok((resolved(caller::of_session(claims, &path), &secret), Some(expires)))
    }

    /// The account that an access key id belongs to, for `GetAccessKeyInfo`; `None` for a key that is not ours.
    pub fn account_of_key(&self, id: &str) -> Result<Option<String>, Error> {
        if self.settings.well_known_keys
            && let Some(account) = well_known_account(id)
        {
            return Ok(Some(account.to_owned()));
        }
        let key = self.store.table::<AccessKey>().get(&AccessKey::key(id)).map_err(Error::internal)?;
        if let Some(key) = key {
            return Ok(Some(key.account));
        }
        let known = self.known.read();
        let session = known.values().find(|known| *known.access_key == *id);
        Ok(session.map(|known| known.resolved.principal.account().to_owned()))
    }
}

/// The account whose root a well-known key is.
fn well_known_account(id: &str) -> Option<&str> {
    match id {
        "test" => Some("000000000000"),
        digits if digits.len() == 12 && digits.bytes().all(|b| b.is_ascii_digit()) => Some(digits),
        _ => None,
    }
}

fn resolved(caller: Caller, secret: &str) -> Resolved {
    Resolved {
        principal: caller.principal.clone(),
        secret: SecretKey::new(secret),
        session: Some(Arc::new(caller)),
    }
}

/// A key or token that is not ours. The front door puts it into the words of the service's protocol.
fn unknown() -> Error {
    Error::new("InvalidClientTokenId", 403, "The security token included in the request is invalid.")
}

/// A token that is none, or another key's: S3 alone tells it from a key that is not there.
fn bad_token() -> Error {
    unknown().with_code("InvalidToken")
}

fn expired() -> Error {
    Error::new("ExpiredToken", 403, "The security token included in the request is expired")
}

/// The sealer of a store: by the key it holds, else by the one in use, else by a new one, which the store then holds.
async fn sealer(store: &Store, cloud: &Cloud, current: Option<&Sealer>) -> Result<Sealer, StoreError> {
    let mut fresh = [0u8; 32];
    match current {
        Some(current) => fresh = current.secret(),
        None => cloud.random().fill(&mut fresh),
    }
    let sealing = store
        .transact(|tx| {
            if let Some(known) = tx.get::<SealingKey>(&Key::new())? {
                return Ok::<_, StoreError>(known);
            }
            let made = SealingKey { key: fresh.to_vec() };
            tx.put(&Key::new(), &made)?;
            Ok(made)
        })
        .await?;
    Sealer::new(&sealing.key).ok_or_else(|| StoreError::Corrupt {
        what: "the key of session tokens".to_owned(),
        detail: "it has not 32 bytes".to_owned(),
    })
}

//! Records of a user's further credentials: SSH public keys, signing certificates, service-specific passwords.
//!
//! They hang on the user's unique id, so that a new name changes nothing.

use crate::{Iam, errors};
use cloudlet_identity::records::{Tag, User, of_account};
use cloudlet_service::{Context, Error};
use cloudlet_store::{Key, Record};
use serde::{Deserialize, Serialize};

/// A certificate with which a user signs SOAP requests and the like.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct SigningCertificate {
    pub(crate) account: String,
    pub(crate) id: String,
    pub(crate) user_id: String,
    pub(crate) body: String,
    pub(crate) active: bool,
    pub(crate) uploaded: i64,
}

impl Record for SigningCertificate {
    const TABLE: &'static str = "iam.signing_certificates";
}

/// An SSH public key.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct SshKey {
    pub(crate) account: String,
    pub(crate) id: String,
    pub(crate) user_id: String,
    /// As `ssh-rsa …`, whatever it came in.
    pub(crate) body: String,
    pub(crate) fingerprint: String,
    pub(crate) active: bool,
    pub(crate) uploaded: i64,
}

impl Record for SshKey {
    const TABLE: &'static str = "iam.ssh_public_keys";
}

/// A user name and password (or an API key) for one service. The secret is shown when it is made and not kept: no
/// service here asks for it.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct ServiceCredential {
    pub(crate) account: String,
    pub(crate) id: String,
    pub(crate) user_id: String,
    pub(crate) service: String,
    /// The user name, or the alias of an API key.
    pub(crate) name: String,
    pub(crate) active: bool,
    pub(crate) created: i64,
    pub(crate) expires: Option<i64>,
}

impl Record for ServiceCredential {
    const TABLE: &'static str = "iam.service_credentials";
}

/// A certificate for servers, with its private key.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct ServerCertificate {
    pub(crate) account: String,
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) id: String,
    pub(crate) body: String,
    pub(crate) chain: Option<String>,
    pub(crate) private_key: String,
    pub(crate) uploaded: i64,
    pub(crate) expires: i64,
    #[serde(default)]
    pub(crate) tags: Vec<Tag>,
}

impl Record for ServerCertificate {
    const TABLE: &'static str = "iam.server_certificates";
}

impl ServerCertificate {
    pub(crate) fn arn(&self) -> String {
        format!("arn:aws:iam::{}:server-certificate{}{}", self.account, self.path, self.name)
    }
}

/// What hangs on a user.
pub(crate) trait OfUser: Record {
    fn user_id(&self) -> &str;
    fn id(&self) -> &str;
    fn set_active(&mut self, active: bool);
    /// The error of one that is not there.
    fn missing(id: &str) -> Error;
}

macro_rules! of_user {
    ($($record:ty: $missing:literal),*) => {
        $(impl OfUser for $record {
            fn user_id(&self) -> &str {
                &self.user_id
            }

            fn id(&self) -> &str {
                &self.id
            }

            fn set_active(&mut self, active: bool) {
                self.active = active;
            }

            fn missing(id: &str) -> Error {
                errors::no_such(format!($missing, id = id))
            }
        })*
    };
}

of_user!(
    SigningCertificate: "The Certificate with id {id} cannot be found.",
    SshKey: "The Public Key with id {id} cannot be found.",
    ServiceCredential: "No such credential {id} exists"
);

/// The key of one of them.
pub(crate) fn by_id(cx: &Context, id: &str) -> Key {
    Key::new().text(&cx.account).text(id)
}

impl Iam {
    /// The service that a service-specific credential is for.
    pub(crate) fn credential_service(&self, cx: &Context, id: &str) -> Result<Option<String>, Error> {
        let found = self.store().table::<ServiceCredential>().get(&by_id(cx, id)).map_err(Error::internal)?;
        Ok(found.map(|credential| credential.service))
    }

    /// All of one kind that a user has, by id.
    pub(crate) fn of_user<R: OfUser>(&self, cx: &Context, user: &User) -> Result<Vec<R>, Error> {
        let rows = self.store().table::<R>().scan(of_account(&cx.account).prefix_range(), false);
        let all: Result<Vec<R>, _> = rows.map(|row| row.map(|(_, record)| record)).collect();
        Ok(all.map_err(Error::internal)?.into_iter().filter(|r| r.user_id() == user.id).collect())
    }

    /// Switches one of them on or off. Without a name the caller's own is meant.
    ///
    /// Errors: `NoSuchEntity`, `ValidationError`.
    pub(crate) async fn switch_of_user<R: OfUser>(
        &self,
        cx: &Context,
        user_name: Option<String>,
        id: &str,
        status: &str,
    ) -> Result<(), Error> {
        let name = self.user_name(cx, user_name)?;
        let user = self.entity::<User>(cx, &name)?;
        let active = wanted_status(status)?;
        let key = by_id(cx, id);
        self.change(|tx| {
            let found = tx.get::<R>(&key)?.filter(|record| record.user_id() == user.id && record.id() == id);
            let mut record = found.ok_or_else(|| R::missing(id))?;
            record.set_active(active);
            Ok(tx.put(&key, &record)?)
        })
        .await
    }

    /// Deletes one of them.
    ///
    /// Errors: `NoSuchEntity`.
    pub(crate) async fn delete_of_user<R: OfUser>(
        &self,
        cx: &Context,
        user_name: Option<String>,
        id: &str,
    ) -> Result<(), Error> {
        let name = self.user_name(cx, user_name)?;
        let user = self.entity::<User>(cx, &name)?;
        let key = by_id(cx, id);
        self.change(|tx| {
            let found = tx.get::<R>(&key)?.filter(|record| record.user_id() == user.id && record.id() == id);
            found.ok_or_else(|| R::missing(id))?;
            Ok(tx.delete::<R>(&key)?)
        })
        .await
    }
}

/// `Active` or `Inactive`.
///
/// Errors: `ValidationError` for `Expired`, which only time sets.
pub(crate) fn wanted_status(status: &str) -> Result<bool, Error> {
    match status {
        "Active" => Ok(true),
        "Inactive" => Ok(false),
        other => Err(errors::validation(format!(
            "1 validation error detected: Value '{other}' at 'status' failed to satisfy constraint: Member must satisfy enum value set: [Active, Inactive]"
        ))),
    }
}

pub(crate) fn shown_status(active: bool) -> String {
    if active { "Active" } else { "Inactive" }.to_owned()
}

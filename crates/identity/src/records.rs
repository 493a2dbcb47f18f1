//! What is remembered about identities: the records that IAM writes and that every request is decided by.
//!
//! Names are unique per account without regard to case, so keys carry them in lower case and records as written.
//! Times are milliseconds since the Unix epoch. Source: IAM User Guide, "IAM identifiers".

use cloudlet_store::{Key, Record};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The key of a record that an account names.
pub fn named(account: &str, name: &str) -> Key {
    Key::new().text(account).text(&name.to_ascii_lowercase())
}

/// All keys of an account.
pub fn of_account(account: &str) -> Key {
    Key::new().text(account)
}

/// One tag.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Unique per resource without regard to case.
    pub key: String,
    /// May be empty.
    pub value: String,
}

/// What a user, group or role may do, and what bounds it.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub struct Permissions {
    /// Inline policies: documents by name.
    #[serde(default)]
    pub inline: BTreeMap<String, String>,
    /// The ARNs of the attached managed policies.
    #[serde(default)]
    pub attached: Vec<String>,
    /// The ARN of the managed policy that is the permissions boundary. Groups have none.
    #[serde(default)]
    pub boundary: Option<String>,
}

/// When and where something was last used.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct LastUse {
    /// When.
    pub at: i64,
    /// The region.
    pub region: String,
    /// The service's namespace, such as `s3`.
    pub service: String,
}

/// A role.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub struct Role {
    /// Its account.
    pub account: String,
    /// Its name.
    pub name: String,
    /// Begins and ends with `/`.
    pub path: String,
    /// `AROA…`
    pub id: String,
    /// When it was created.
    pub created: i64,
    /// The trust policy.
    pub trust: String,
    /// Free text.
    pub description: Option<String>,
    /// The longest session, in seconds.
    pub max_session: i32,
    /// Its policies.
    pub permissions: Permissions,
    /// Its tags.
    #[serde(default)]
    pub tags: Vec<Tag>,
    /// For a service-linked role: the service principal it belongs to.
    #[serde(default)]
    pub linked_to: Option<String>,
}

impl Record for Role {
    const TABLE: &'static str = "iam.roles";
}

impl Role {
    /// `arn:aws:iam::ACCOUNT:role/PATH/NAME`
    pub fn arn(&self) -> String {
        format!("arn:aws:iam::{}:role{}{}", self.account, self.path, self.name)
    }
}

/// The password with which a user signs in to a console.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct LoginProfile {
    /// When it was created.
    pub created: i64,
    /// When the password was last set.
    pub changed: i64,
    /// Whether the user must choose another at the next sign-in.
    pub reset_required: bool,
    /// Salted and stretched (PBKDF2-HMAC-SHA256), never the password: salt and hash.
    pub verifier: (Vec<u8>, Vec<u8>),
    /// The verifiers of earlier passwords, the latest first, for reuse prevention.
    #[serde(default)]
    pub earlier: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A user.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub struct User {
    /// Its account.
    pub account: String,
    /// Its name.
    pub name: String,
    /// Begins and ends with `/`.
    pub path: String,
    /// `AIDA…`
    pub id: String,
    /// When it was created.
    pub created: i64,
    /// Its own policies; those of its groups come on top.
    pub permissions: Permissions,
    /// The names of its groups, as written.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Its tags.
    #[serde(default)]
    pub tags: Vec<Tag>,
    /// Its console password.
    #[serde(default)]
    pub login: Option<LoginProfile>,
    /// The ids of its access keys, the oldest first.
    #[serde(default)]
    pub access_keys: Vec<String>,
    /// The serial numbers of its MFA devices.
    #[serde(default)]
    pub mfa_devices: Vec<String>,
}

impl Record for User {
    const TABLE: &'static str = "iam.users";
}

impl User {
    /// `arn:aws:iam::ACCOUNT:user/PATH/NAME`
    pub fn arn(&self) -> String {
        format!("arn:aws:iam::{}:user{}{}", self.account, self.path, self.name)
    }
}

/// A group.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub struct Group {
    /// Its account.
    pub account: String,
    /// Its name.
    pub name: String,
    /// Begins and ends with `/`.
    pub path: String,
    /// `AGPA…`
    pub id: String,
    /// When it was created.
    pub created: i64,
    /// Its policies.
    pub permissions: Permissions,
    /// The names of its users, as written.
    #[serde(default)]
    pub members: BTreeSet<String>,
}

impl Record for Group {
    const TABLE: &'static str = "iam.groups";
}

impl Group {
    /// `arn:aws:iam::ACCOUNT:group/PATH/NAME`
    pub fn arn(&self) -> String {
        format!("arn:aws:iam::{}:group{}{}", self.account, self.path, self.name)
    }
}

/// One version of a managed policy.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct PolicyVersion {
    /// The number behind the `v`.
    pub number: u32,
    /// The policy.
    pub document: String,
    /// When it was created.
    pub created: i64,
}

/// A customer managed policy.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub struct ManagedPolicy {
    /// Its account.
    pub account: String,
    /// Its name, unique in the account whatever the path.
    pub name: String,
    /// Begins and ends with `/`.
    pub path: String,
    /// `ANPA…`
    pub id: String,
    /// Free text.
    pub description: Option<String>,
    /// When it was created.
    pub created: i64,
    /// When its default version last changed.
    pub updated: i64,
    /// At most five, the oldest first.
    pub versions: Vec<PolicyVersion>,
    /// The number of the version in force.
    pub default_version: u32,
    /// The number the next version gets; numbers are not used twice.
    pub next_version: u32,
    /// Its tags.
    #[serde(default)]
    pub tags: Vec<Tag>,
}

impl Record for ManagedPolicy {
    const TABLE: &'static str = "iam.policies";
}

impl ManagedPolicy {
    /// `arn:aws:iam::ACCOUNT:policy/PATH/NAME`
    pub fn arn(&self) -> String {
        format!("arn:aws:iam::{}:policy{}{}", self.account, self.path, self.name)
    }

    /// The version in force.
    pub fn in_force(&self) -> Option<&PolicyVersion> {
        self.versions.iter().find(|v| v.number == self.default_version)
    }
}

/// A long-term key pair of a user or of an account's root.
#[derive(Serialize, Deserialize, Clone)]
pub struct AccessKey {
    /// `AKIA…`
    pub id: String,
    /// Its account.
    pub account: String,
    /// Whose it is; `None` is the root user.
    pub user: Option<String>,
    /// The secret. Signatures cannot be checked without it.
    pub secret: String,
    /// Whether it may be used.
    pub active: bool,
    /// When it was created.
    pub created: i64,
}

impl Record for AccessKey {
    const TABLE: &'static str = "iam.access_keys";
}

impl AccessKey {
    /// The key of the record: access key ids are unique everywhere.
    pub fn key(id: &str) -> Key {
        Key::new().text(id)
    }
}

impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AccessKey({})", self.id)
    }
}

/// The key pair of an account's root, by account: which one it is.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct RootKey {
    /// The access key id.
    pub access_key: String,
}

impl Record for RootKey {
    const TABLE: &'static str = "iam.root_keys";
}

/// The key that session tokens are sealed with. There is one.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct SealingKey {
    pub(crate) key: Vec<u8>,
}

impl Record for SealingKey {
    const TABLE: &'static str = "iam.sealing_key";
}

/// A virtual MFA device (RFC 6238, SHA-1, six digits, 30 seconds).
#[derive(Serialize, Deserialize, Clone)]
pub struct MfaDevice {
    /// Its account.
    pub account: String,
    /// `arn:aws:iam::ACCOUNT:mfa/PATH/NAME`
    pub serial: String,
    /// The shared secret.
    pub seed: Vec<u8>,
    /// Whose it is, once enabled; the empty text is the root user.
    pub user: Option<String>,
    /// When it was enabled.
    pub enabled: Option<i64>,
    /// The last time step whose code was accepted: a code counts once.
    #[serde(default)]
    pub last_step: u64,
    /// How many steps the device's clock is ahead, found when it was enabled or resynchronized.
    #[serde(default)]
    pub drift: i64,
    /// Its tags.
    #[serde(default)]
    pub tags: Vec<Tag>,
}

impl Record for MfaDevice {
    const TABLE: &'static str = "iam.mfa_devices";
}

impl MfaDevice {
    /// The key of the record.
    pub fn key(account: &str, serial: &str) -> Key {
        Key::new().text(account).text(serial)
    }
}

/// An OpenID Connect provider that roles may trust.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct OidcProvider {
    /// Its account.
    pub account: String,
    /// The issuer without `https://`.
    pub url: String,
    /// The audiences.
    pub client_ids: Vec<String>,
    /// SHA-1 of the server's top certificate, hexadecimal.
    pub thumbprints: Vec<String>,
    /// Whether the issuer is one on this machine that speaks plain HTTP.
    #[serde(default)]
    pub plain: bool,
    /// When it was created.
    pub created: i64,
    /// Its tags.
    #[serde(default)]
    pub tags: Vec<Tag>,
}

impl Record for OidcProvider {
    const TABLE: &'static str = "iam.oidc_providers";
}

impl OidcProvider {
    /// `arn:aws:iam::ACCOUNT:oidc-provider/URL`
    pub fn arn(&self) -> String {
        format!("arn:aws:iam::{}:oidc-provider/{}", self.account, self.url)
    }
}

/// A SAML 2.0 provider that roles may trust.
#[derive(Serialize, Deserialize, Clone)]
pub struct SamlProvider {
    /// Its account.
    pub account: String,
    /// Its name.
    pub name: String,
    /// The provider's metadata document.
    pub metadata: String,
    /// When it was created.
    pub created: i64,
    /// When the metadata end.
    pub valid_until: Option<i64>,
    /// The unique id.
    #[serde(default)]
    pub uuid: String,
    /// `Required` or `Allowed`: whether assertions must be encrypted.
    #[serde(default)]
    pub encryption: Option<String>,
    /// The private keys for encrypted assertions: id, text, and when it was added.
    #[serde(default)]
    pub private_keys: Vec<(String, String, i64)>,
    /// Its tags.
    #[serde(default)]
    pub tags: Vec<Tag>,
}

impl Record for SamlProvider {
    const TABLE: &'static str = "iam.saml_providers";
}

impl SamlProvider {
    /// `arn:aws:iam::ACCOUNT:saml-provider/NAME`
    pub fn arn(&self) -> String {
        format!("arn:aws:iam::{}:saml-provider/{}", self.account, self.name)
    }
}

impl std::fmt::Debug for SamlProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SamlProvider({})", self.arn())
    }
}

//! Session tokens: everything a temporary credential stands for, sealed so that only we can read or make one.
//!
//! ChaCha20-Poly1305 (RFC 8439) under a key of this data directory. Nothing is stored per session: a token is valid
//! as long as it opens, has not expired, and what it was made for still exists.

use crate::records::Tag;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloudlet_service::Randomness;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The longest token that is looked at, in bytes.
pub const MAX_TOKEN: usize = 16 * 1024;

/// What a token is sealed for; one kind never opens as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Session,
    AuthorizationMessage,
}

impl Purpose {
    fn tag(self) -> &'static [u8] {
        match self {
            Purpose::Session => b"cloudlet session 1",
            Purpose::AuthorizationMessage => b"cloudlet authorization message 1",
        }
    }
}

/// Whose session it is.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// The root user, through `GetSessionToken`.
    Root,
    /// A user, through `GetSessionToken`.
    User {
        /// The name.
        name: String,
        /// `AIDA…`
        id: String,
    },
    /// A role, through the `AssumeRole` family.
    Role {
        /// The name.
        name: String,
        /// `AROA…`
        id: String,
        /// The session's name.
        session: String,
    },
    /// A federated user, through `GetFederationToken`.
    Federated {
        /// The federated name.
        name: String,
        /// The user that asked; `None` is the root user.
        issuer: Option<(String, String)>,
    },
}

/// What a session token carries.
#[derive(Serialize, Deserialize, Clone)]
pub struct Claims {
    /// The access key id that belongs to it.
    pub access_key: String,
    /// The secret that belongs to it.
    pub secret: String,
    /// The account.
    pub account: String,
    /// Whose session.
    pub holder: Holder,
    /// When it was made, in seconds since the epoch.
    pub issued: i64,
    /// When it ends, in seconds since the epoch.
    pub expires: i64,
    /// Inline session policies.
    pub policies: Vec<String>,
    /// Managed policies passed as session policies.
    pub policy_arns: Vec<String>,
    /// Session tags.
    pub tags: Vec<Tag>,
    /// The keys of those tags that follow into the next role.
    pub transitive: Vec<String>,
    /// `aws:SourceIdentity`.
    pub source_identity: Option<String>,
    /// When MFA was shown, in seconds since the epoch.
    pub mfa: Option<i64>,
    /// The identity provider, for sessions from web identities and SAML (`aws:FederatedProvider`).
    pub provider: Option<String>,
    /// Condition keys that came with the provider's token, such as `accounts.google.com:aud`.
    pub provider_keys: Vec<(String, String)>,
    /// Whether it is a root user's session for one task (`AssumeRoot`).
    #[serde(default)]
    pub task: bool,
    /// The policies that narrowed the session further, one after the other: each must allow what is asked.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// What makes the token as long as it was asked to be.
    #[serde(default)]
    pub padding: String,
}

impl std::fmt::Debug for Claims {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Claims({} of {:?})", self.access_key, self.holder)
    }
}

/// Seals and opens.
pub(crate) struct Sealer {
    key: LessSafeKey,
    secret: [u8; 32],
}

impl Sealer {
    /// `None` where the key has not 32 bytes.
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        let secret = key.try_into().ok()?;
        Some(Self { key: LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).ok()?), secret })
    }

    /// The key, to write it down again after the store was emptied.
    pub(crate) fn secret(&self) -> [u8; 32] {
        self.secret
    }

    /// Seals a value into text of the Base64 alphabet.
    pub(crate) fn seal<T: Serialize>(
        &self,
        purpose: Purpose,
        value: &T,
        random: &dyn Randomness,
    ) -> Option<String> {
        let mut nonce = [0u8; NONCE_LEN];
        random.fill(&mut nonce);
        let mut body = rmp_serde::to_vec(value).ok()?;
        let aad = Aad::from(purpose.tag());
        self.key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut body).ok()?;
        let mut out = Vec::with_capacity(NONCE_LEN + body.len());
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&body);
        Some(STANDARD.encode(out))
    }

    /// Opens what [`Self::seal`] made for the same purpose; `None` for anything else.
    pub(crate) fn open<T: DeserializeOwned>(&self, purpose: Purpose, text: &str) -> Option<T> {
        if text.len() > MAX_TOKEN {
            return None;
        }
        let mut bytes = STANDARD.decode(text).ok()?;
        let (nonce, body) = bytes.split_first_chunk_mut::<NONCE_LEN>()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = self.key.open_in_place(nonce, Aad::from(purpose.tag()), body).ok()?;
        rmp_serde::from_slice(plain).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cloudlet_service::Seeded;

    #[test]
    fn only_the_same_key_and_purpose_open_and_no_changed_byte_does() {
        let sealer = Sealer::new(&[7; 32]).unwrap();
        let other = Sealer::new(&[8; 32]).unwrap();
        let random = Seeded::new(1);
        let token = sealer.seal(Purpose::Session, &("alice", 5), &random).unwrap();
        assert_eq!(sealer.open::<(String, i64)>(Purpose::Session, &token), Some(("alice".into(), 5)));
        assert_eq!(sealer.open::<(String, i64)>(Purpose::AuthorizationMessage, &token), None);
        assert_eq!(other.open::<(String, i64)>(Purpose::Session, &token), None);
        let bytes = STANDARD.decode(&token).unwrap();
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert_eq!(
                sealer.open::<(String, i64)>(Purpose::Session, &STANDARD.encode(&bad)),
                None,
                "byte {at}"
            );
            let cut = STANDARD.encode(&bytes[..at]);
            assert_eq!(sealer.open::<(String, i64)>(Purpose::Session, &cut), None, "cut at {at}");
        }
        assert_eq!(sealer.open::<(String, i64)>(Purpose::Session, &"A".repeat(MAX_TOKEN + 4)), None);
    }
}

//! Makes temporary credentials.

use crate::identities::Identities;
use crate::records::Tag;
use crate::token::{Claims, Holder, Purpose};
use cloudlet_service::{Error, SecretKey};

/// What a session is to be.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// The account.
    pub account: String,
    /// Whose session.
    pub holder: Holder,
    /// For how long, in seconds.
    pub seconds: i64,
    /// Inline session policies, already checked.
    pub policies: Vec<String>,
    /// Managed session policies.
    pub policy_arns: Vec<String>,
    /// Session tags.
    pub tags: Vec<Tag>,
    /// The keys of the transitive ones.
    pub transitive: Vec<String>,
    /// `aws:SourceIdentity`.
    pub source_identity: Option<String>,
    /// When MFA was shown, in seconds since the epoch.
    pub mfa: Option<i64>,
    /// The identity provider, for federated sessions.
    pub provider: Option<String>,
    /// The condition keys of the provider's token.
    pub provider_keys: Vec<(String, String)>,
    /// Whether it is a root user's session for one task (`AssumeRoot`).
    pub task: bool,
}

impl NewSession {
    /// A session without policies, tags and the rest.
    pub fn new(account: impl Into<String>, holder: Holder, seconds: i64) -> Self {
        Self {
            account: account.into(),
            holder,
            seconds,
            policies: Vec::new(),
            policy_arns: Vec::new(),
            tags: Vec::new(),
            transitive: Vec::new(),
            source_identity: None,
            mfa: None,
            provider: None,
            provider_keys: Vec::new(),
            task: false,
        }
    }
}

/// Temporary credentials.
#[derive(Clone)]
pub struct Credentials {
    /// `ASIA…`
    pub access_key_id: String,
    /// The secret.
    pub secret: SecretKey,
    /// The sealed claims.
    pub session_token: String,
    /// When they end, in seconds since the epoch.
    pub expires: i64,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({})", self.access_key_id)
    }
}

impl Identities {
    /// Makes credentials for a session. Whether it may be made was decided before.
    pub fn mint(&self, session: NewSession) -> Result<Credentials, Error> {
        let (access_key_id, secret) = self.new_key_pair("ASIA");
        let issued = self.cloud.clock().seconds();
        let expires = issued + session.seconds;
        let claims = Claims {
            access_key: access_key_id,
            secret,
            account: session.account,
            holder: session.holder,
            issued,
            expires,
            policies: session.policies,
            policy_arns: session.policy_arns,
            tags: session.tags,
            transitive: session.transitive,
            source_identity: session.source_identity,
            mfa: session.mfa,
            provider: session.provider,
            provider_keys: session.provider_keys,
            task: session.task,
            scopes: Vec::new(),
            padding: String::new(),
        };
        self.sealed(&claims)
    }

    /// Makes credentials of the same session that may do less, or end earlier. `longer` is the least length of their
    /// token.
    pub fn narrow(
        &self,
        session: &Claims,
        scope: Option<String>,
        expires: i64,
        longer: usize,
    ) -> Result<Credentials, Error> {
        let (access_key, secret) = self.new_key_pair("ASIA");
        // When the session was made stays, so that what revokes it revokes this one too.
        let mut claims = Claims { access_key, secret, expires, padding: String::new(), ..session.clone() };
        claims.scopes.extend(scope);
        let made = self.sealed(&claims)?;
        let short = longer.min(crate::token::MAX_TOKEN / 2).saturating_sub(made.session_token.len());
        if short == 0 {
            return Ok(made);
        }
        claims.padding = "=".repeat(short);
        self.sealed(&claims)
    }

    fn sealed(&self, claims: &Claims) -> Result<Credentials, Error> {
        let session_token = self
            .sealer()
            .seal(Purpose::Session, claims, self.cloud.random())
            .ok_or_else(|| Error::internal("a session token could not be sealed"))?;
        Ok(Credentials {
            access_key_id: claims.access_key.clone(),
            secret: SecretKey::new(claims.secret.clone()),
            session_token,
            expires: claims.expires,
        })
    }

    /// Seals the explanation of a refusal, for services that hand it out encoded (EC2).
    pub fn encode_authorization_message(&self, message: &str) -> Result<String, Error> {
        self.sealer()
            .seal(Purpose::AuthorizationMessage, &message, self.cloud.random())
            .ok_or_else(|| Error::internal("an authorization message could not be sealed"))
    }

    /// Opens such an explanation; `None` for a text that is not one.
    pub fn decode_authorization_message(&self, encoded: &str) -> Option<String> {
        self.sealer().open(Purpose::AuthorizationMessage, encoded)
    }
}

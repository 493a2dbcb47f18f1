//! Tokens that an account issues about its own identities, for the world outside to check: outbound web identity
//! federation.
//!
//! Every account that turned it on is an issuer of its own, with two keys and an address that publishes their public
//! halves. AWS's issuers live below `tokens.sts.global.api.aws`; here they live below the cloud's own endpoint, so that
//! whoever gets a token can really fetch the keys.
//!
//! Source: IAM User Guide, "Federating AWS identities to external services"; OpenID Connect Discovery 1.0; RFC 7518.

use crate::identities::Identities;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloudlet_service::{Error, OIDC_PATH, Randomness};
use cloudlet_store::{Key, Record};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    RsaPublicKeyComponents,
};
use rsa::pkcs8::EncodePrivateKey;
use rsa::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The bits of an RSA key.
const BITS: usize = 2048;

/// An account's issuer.
#[derive(Serialize, Deserialize, Clone)]
pub struct Issuer {
    /// The account.
    pub account: String,
    /// What its address ends in. It stays when the feature is turned off and on.
    pub id: String,
    /// Whether it issues tokens.
    pub enabled: bool,
    /// The RSA key, PKCS #8.
    rsa: Vec<u8>,
    /// The P-384 key, PKCS #8.
    ec: Vec<u8>,
    /// Their ids.
    kids: [String; 2],
}

impl Record for Issuer {
    const TABLE: &'static str = "identity.issuers";
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Issuer({} of {})", self.id, self.account)
    }
}

/// Whose an issuer is, by its id.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct IssuerOf {
    /// The account.
    pub account: String,
}

impl Record for IssuerOf {
    const TABLE: &'static str = "identity.issuer_ids";
}

impl Issuer {
    /// A new one. It takes some time: call it where blocking is allowed.
    pub fn make(account: &str, random: &dyn Randomness) -> Result<Self, Error> {
        let mut seed = [0u8; 32];
        random.fill(&mut seed);
        let mut rng = rand::rngs::StdRng::from_seed(seed);
        let rsa = rsa::PrivateKey::new(&mut rng, BITS).map_err(Error::internal)?;
        let rsa = rsa.to_pkcs8_der().map_err(Error::internal)?;
        let ec = EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &SystemRandom::new())
            .map_err(|_| Error::internal("a key could not be made"))?;
        Ok(Self {
            account: account.to_owned(),
            id: random.uuid(),
            enabled: true,
            rsa: rsa.as_bytes().to_vec(),
            ec: ec.as_ref().to_vec(),
            kids: [format!("RSA_{}", random.uuid()), format!("EC384_{}", random.uuid())],
        })
    }

    /// Its address: the `iss` of its tokens.
    pub fn url(&self, endpoint: &str) -> String {
        format!("{endpoint}{OIDC_PATH}{}", self.id)
    }

    /// The public keys, as a set of JSON Web Keys.
    pub fn key_set(&self) -> Result<Value, Error> {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let rsa = self.rsa()?;
        let public = RsaPublicKeyComponents::<Vec<u8>>::from(rsa.public());
        let ec = self.ec()?;
        let point = ec.public_key().as_ref();
        // Uncompressed: 4, then the two coordinates.
        let (x, y) = point.get(1..).unwrap_or_default().split_at_checked(48).unwrap_or_default();
        let [rsa_kid, ec_kid] = &self.kids;
        Ok(json!({ "keys": [
            { "kty": "RSA", "use": "sig", "alg": "RS256", "kid": rsa_kid, "n": text(&public.n), "e": text(&public.e) },
            { "kty": "EC", "use": "sig", "alg": "ES384", "kid": ec_kid, "crv": "P-384", "x": text(x), "y": text(y) },
        ] }))
    }

    /// Signs claims with `RS256` or `ES384`; `None` for another algorithm.
    pub fn sign(&self, algorithm: &str, claims: &Value) -> Result<Option<String>, Error> {
        let [rsa_kid, ec_kid] = &self.kids;
        let kid = match algorithm {
            "RS256" => rsa_kid,
            "ES384" => ec_kid,
            _ => return Ok(None),
        };
        let header = json!({ "kid": kid, "typ": "JWT", "alg": algorithm });
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encode(&header), encode(claims));
        let failed = |_| Error::internal("a token could not be signed");
        let random = SystemRandom::new();
        let signature = if algorithm == "RS256" {
            let key = self.rsa()?;
            let mut signature = vec![0; key.public().modulus_len()];
            key.sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature).map_err(failed)?;
            signature
        } else {
            self.ec()?.sign(&random, message.as_bytes()).map_err(failed)?.as_ref().to_vec()
        };
        Ok(Some(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }

    fn rsa(&self) -> Result<RsaKeyPair, Error> {
        RsaKeyPair::from_pkcs8(&self.rsa).map_err(Error::internal)
    }

    fn ec(&self) -> Result<EcdsaKeyPair, Error> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &self.ec, &SystemRandom::new())
            .map_err(Error::internal)
    }
}

/// What an issuer says of itself.
pub fn discovery(url: &str) -> Value {
    json!({
        "issuer": url,
        "jwks_uri": format!("{url}/.well-known/jwks.json"),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "ES384"],
        "claims_supported": ["aud", "exp", "iat", "iss", "jti", "sub", "https://sts.amazonaws.com/"],
    })
}

impl Identities {
    /// An account's issuer, whether or not it is enabled.
    pub fn issuer(&self, account: &str) -> Result<Option<Issuer>, Error> {
        self.store().table::<Issuer>().get(&Key::new().text(account)).map_err(Error::internal)
    }

    /// The enabled issuer with this id.
    pub fn issuer_by_id(&self, id: &str) -> Result<Option<Issuer>, Error> {
        let of = self.store().table::<IssuerOf>().get(&Key::new().text(id)).map_err(Error::internal)?;
        match of {
            Some(of) => Ok(self.issuer(&of.account)?.filter(|issuer| issuer.enabled && issuer.id == id)),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwt::Token;
    use cloudlet_service::Seeded;

    #[test]
    fn tokens_are_signed_by_the_keys_that_are_published() {
        let issuer = Issuer::make("111122223333", &Seeded::new(3)).unwrap();
        let keys = issuer.key_set().unwrap();
        for algorithm in ["RS256", "ES384"] {
            let text = issuer.sign(algorithm, &json!({ "sub": "x" })).unwrap().unwrap();
            let token = Token::read(&text).unwrap();
            assert!(token.has_key(&keys) && token.signed_by(&keys), "{algorithm}");
            assert_eq!(token.text("sub"), Some("x"));
        }
        assert_eq!(issuer.sign("none", &json!({})).unwrap(), None);
        assert!(!format!("{issuer:?}").contains("rsa"));
    }
}

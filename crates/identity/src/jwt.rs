//! JSON Web Tokens of OpenID Connect providers: read, and checked with the provider's published keys.
//!
//! Source: RFC 7515 (JWS), RFC 7517 (JWK), RFC 7518, sections 3.3 and 3.4 (algorithms), RFC 7519 (JWT).

use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use p521::ecdsa::signature::Verifier;
use ring::signature;
use serde_json::{Map, Value};

/// A token that was read, not yet checked.
pub struct Token {
    /// `alg`
    pub algorithm: String,
    /// `kid`
    pub key_id: Option<String>,
    /// What it says.
    pub claims: Map<String, Value>,
    signed: String,
    signature: Vec<u8>,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token({})", self.algorithm)
    }
}

impl Token {
    /// Reads a token in its compact form.
    pub fn read(text: &str) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let object = |part: &str| match serde_json::from_slice(&decode(part)?).ok()? {
            Value::Object(object) => Some(object),
            _ => None,
        };
        let header = object(header)?;
        let text = |name: &str| header.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            algorithm: text("alg")?,
            key_id: text("kid"),
            claims: object(claims)?,
            signed: signed.to_owned(),
            signature: decode(signature)?,
        })
    }

    /// A claim that is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.claims.get(name).and_then(Value::as_str)
    }

    /// A claim that is a time, in seconds since the epoch.
    pub fn seconds(&self, name: &str) -> Option<i64> {
        let value = self.claims.get(name)?;
        value.as_i64().or_else(|| value.as_f64().map(|number| number as i64))
    }

    /// `aud`, which may be one text or several.
    pub fn audiences(&self) -> Vec<&str> {
        match self.claims.get("aud") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether a set of keys holds one that may have signed this token. Sets and tokens without key ids match.
    pub fn has_key(&self, keys: &Value) -> bool {
        self.candidates(keys).next().is_some()
    }

    /// Whether one of these keys signed the token.
    pub fn signed_by(&self, keys: &Value) -> bool {
        self.candidates(keys).any(|key| self.check(key).unwrap_or(false))
    }

    fn candidates<'a>(&'a self, keys: &'a Value) -> impl Iterator<Item = &'a Value> {
        let all = keys.get("keys").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        all.iter().filter(|key| {
            let id = key.get("kid").and_then(Value::as_str);
            let usable = key.get("use").and_then(Value::as_str).is_none_or(|used| used == "sig");
            usable && (self.key_id.is_none() || id.is_none() || id == self.key_id.as_deref())
        })
    }

    fn check(&self, key: &Value) -> Option<bool> {
        let text = |name: &str| key.get(name).and_then(Value::as_str);
        if text("alg").is_some_and(|algorithm| algorithm != self.algorithm) {
            return None;
        }
        let message = self.signed.as_bytes();
        let rsa = |algorithm: &'static signature::RsaParameters| {
            if text("kty") != Some("RSA") {
                return None;
            }
            let strip = |bytes: Vec<u8>| bytes.into_iter().skip_while(|b| *b == 0).collect::<Vec<u8>>();
            let key = signature::RsaPublicKeyComponents {
                n: strip(decode(text("n")?)?),
                e: strip(decode(text("e")?)?),
            };
            Some(key.verify(algorithm, message, &self.signature).is_ok())
        };
        let curve = |name: &str, algorithm: &'static dyn signature::VerificationAlgorithm| {
            if text("kty") != Some("EC") || text("crv") != Some(name) {
                return None;
            }
            let point = [vec![4], decode(text("x")?)?, decode(text("y")?)?].concat();
            Some(signature::UnparsedPublicKey::new(algorithm, point).verify(message, &self.signature).is_ok())
        };
        match self.algorithm.as_str() {
            "RS256" => rsa(&signature::RSA_PKCS1_2048_8192_SHA256),
            "RS384" => rsa(&signature::RSA_PKCS1_2048_8192_SHA384),
            "RS512" => rsa(&signature::RSA_PKCS1_2048_8192_SHA512),
            "ES256" => curve("P-256", &signature::ECDSA_P256_SHA256_FIXED),
            // RFC 7518, section 3.4: coordinates of 66 bytes each.
            "ES512" if text("kty") == Some("EC") && text("crv") == Some("P-521") => {
                let point = [vec![4], decode(text("x")?)?, decode(text("y")?)?].concat();
                let key = p521::ecdsa::VerifyingKey::from_sec1_bytes(&point).ok()?;
                let signed = p521::ecdsa::Signature::from_slice(&self.signature).ok()?;
                Some(key.verify(message, &signed).is_ok())
            }
            "ES384" => curve("P-384", &signature::ECDSA_P384_SHA384_FIXED),
            _ => None,
        }
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    if text.ends_with('=') { URL_SAFE.decode(text).ok() } else { URL_SAFE_NO_PAD.decode(text).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7515, appendix A.3 (ES256), with its key.
    #[test]
    fn the_token_of_the_standard() {
        let text = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
        let keys = serde_json::json!({"keys": [{
            "kty": "EC", "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        }]});
        let token = Token::read(text).unwrap();
        assert!(token.signed_by(&keys));
        assert_eq!((token.text("iss"), token.seconds("exp")), (Some("joe"), Some(1_300_819_380)));
        let changed = text.replace("eyJpc3MiOiJqb2UiLA", "eyJpc3MiOiJqb2YiLA");
        assert!(!Token::read(&changed).unwrap().signed_by(&keys));
        for broken in ["", "a.b", "..", "eyJhbGciOiJub25lIn0.e30.", "x.y.z"] {
            assert!(Token::read(broken).is_none_or(|token| !token.signed_by(&keys)), "{broken}");
        }
    }
}

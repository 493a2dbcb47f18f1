//! Shared secrets: ECDH (NIST SP 800-56A), the raw x-coordinate; ML-KEM (FIPS 203).

use super::{Broken, Rng, Secret, broken};
use ml_kem::{Decapsulate, Encapsulate};
use rsa::pkcs8::DecodePublicKey;

macro_rules! ecdh {
    ($curve:ident, $key:expr, $peer:expr) => {{
        let peer = $curve::PublicKey::from_public_key_der($peer).map_err(broken)?;
        $key.diffie_hellman(&peer).raw_secret_bytes().to_vec()
    }};
}

impl Secret {
    /// The secret shared with the owner of a public key (SubjectPublicKeyInfo in DER) on the same curve.
    pub(crate) fn agree(&self, peer: &[u8]) -> Result<Vec<u8>, Broken> {
        Ok(match self {
            Self::P256(key) => ecdh!(p256, key, peer),
            Self::P384(key) => ecdh!(p384, key, peer),
            Self::P521(key) => ecdh!(p521, key, peer),
            _ => return Err(Broken),
        })
    }

    /// A new shared secret, and the ciphertext that brings it to the key's owner.
    pub(crate) fn encapsulate(&self, rng: &mut Rng<'_>) -> Result<(Vec<u8>, Vec<u8>), Broken> {
        Ok(match self {
            Self::MlKem512(key) => {
                let (ciphertext, shared) = key.encapsulation_key().encapsulate_with_rng(rng);
                (ciphertext.to_vec(), shared.to_vec())
            }
            Self::MlKem768(key) => {
                let (ciphertext, shared) = key.encapsulation_key().encapsulate_with_rng(rng);
                (ciphertext.to_vec(), shared.to_vec())
            }
            Self::MlKem1024(key) => {
                let (ciphertext, shared) = key.encapsulation_key().encapsulate_with_rng(rng);
                (ciphertext.to_vec(), shared.to_vec())
            }
            _ => return Err(Broken),
        })
    }

    /// The shared secret in a ciphertext. By design a foreign one of the right length gives another secret.
    pub(crate) fn decapsulate(&self, ciphertext: &[u8]) -> Result<Vec<u8>, Broken> {
        Ok(match self {
            Self::MlKem512(key) => key.decapsulate(ciphertext.try_into().map_err(broken)?).to_vec(),
            Self::MlKem768(key) => key.decapsulate(ciphertext.try_into().map_err(broken)?).to_vec(),
            Self::MlKem1024(key) => key.decapsulate(ciphertext.try_into().map_err(broken)?).to_vec(),
            _ => return Err(Broken),
        })
    }
}

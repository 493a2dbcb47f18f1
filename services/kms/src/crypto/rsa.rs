//! RSA encryption: RSAES-OAEP (RFC 8017) with MGF1 over the same hash.

use super::{Broken, Rng, Secret, broken};
use rsa::traits::PublicKeyParts;
use sha1::Sha1;
use sha2::Sha256;

impl Secret {
    /// The most bytes that OAEP takes: the modulus without two hashes and two bytes.
    pub(crate) fn oaep_capacity(&self, algorithm: &str) -> Option<usize> {
        let Self::Rsa(key) = self else { return None };
        let hash = if algorithm == "RSAES_OAEP_SHA_1" { 20 } else { 32 };
        key.size().checked_sub(2 * hash + 2)
    }

    pub(crate) fn oaep_encrypt(
        &self,
        algorithm: &str,
        plaintext: &[u8],
        rng: &mut Rng<'_>,
    ) -> Result<Vec<u8>, Broken> {
        let Self::Rsa(key) = self else { return Err(Broken) };
        match algorithm {
            "RSAES_OAEP_SHA_1" => key.as_public_key().oaep_encrypt_with_rng::<Sha1, _>(rng, plaintext),
            "RSAES_OAEP_SHA_256" => key.as_public_key().oaep_encrypt_with_rng::<Sha256, _>(rng, plaintext),
            _ => return Err(Broken),
        }
        .map_err(broken)
    }

    pub(crate) fn oaep_decrypt(
        &self,
        algorithm: &str,
        ciphertext: &[u8],
        rng: &mut Rng<'_>,
    ) -> Result<Vec<u8>, Broken> {
        let Self::Rsa(key) = self else { return Err(Broken) };
        match algorithm {
            "RSAES_OAEP_SHA_1" => key.oaep_decrypt_with_rng::<Sha1, _>(rng, ciphertext),
            "RSAES_OAEP_SHA_256" => key.oaep_decrypt_with_rng::<Sha256, _>(rng, ciphertext),
            _ => return Err(Broken),
        }
        .map_err(broken)
    }
}

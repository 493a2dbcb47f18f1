//! Message authentication codes: HMAC (RFC 2104) over the SHA-2 family.

use super::{Broken, Secret, broken};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha224, Sha256, Sha384, Sha512};

impl Secret {
    /// The code of a message.
    pub(crate) fn mac(&self, algorithm: &str, message: &[u8]) -> Result<Vec<u8>, Broken> {
        let Self::Hmac(key) = self else { return Err(Broken) };
        Ok(match algorithm {
            "HMAC_SHA_224" => Hmac::<Sha224>::new_from_slice(key)
                .map_err(broken)?
                .chain_update(message)
                .finalize()
                .into_bytes()
                .to_vec(),
            "HMAC_SHA_256" => Hmac::<Sha256>::new_from_slice(key)
                .map_err(broken)?
                .chain_update(message)
                .finalize()
                .into_bytes()
                .to_vec(),
            "HMAC_SHA_384" => Hmac::<Sha384>::new_from_slice(key)
                .map_err(broken)?
                .chain_update(message)
                .finalize()
                .into_bytes()
                .to_vec(),
            "HMAC_SHA_512" => Hmac::<Sha512>::new_from_slice(key)
                .map_err(broken)?
                .chain_update(message)
                .finalize()
                .into_bytes()
                .to_vec(),
            _ => return Err(Broken),
        })
    }

    /// Checks a code, in constant time.
    pub(crate) fn verify_mac(&self, algorithm: &str, message: &[u8], mac: &[u8]) -> Result<(), Broken> {
        let right = self.mac(algorithm, message)?;
        if bool::from(subtle::ConstantTimeEq::ct_eq(right.as_slice(), mac)) { Ok(()) } else { Err(Broken) }
    }
}

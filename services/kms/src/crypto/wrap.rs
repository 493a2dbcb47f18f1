//! Unwrapping what `ImportKeyMaterial` brings: RSAES-OAEP directly, or an AES key under OAEP and the material under
//! that AES key (RFC 5649). Source: AWS KMS Developer Guide, "Select a wrapping algorithm".

use super::{Broken, Rng, Secret, broken};
use aes_kw::{KeyInit, KwpAes128, KwpAes192, KwpAes256};
use rsa::traits::PublicKeyParts;

/// Opens the material with the private half of the wrapping key.
pub(crate) fn unwrap(
    key: &Secret,
    algorithm: &str,
    wrapped: &[u8],
    rng: &mut Rng<'_>,
) -> Result<Vec<u8>, Broken> {
    let oaep = match algorithm {
        "RSAES_OAEP_SHA_1" | "RSA_AES_KEY_WRAP_SHA_1" => "RSAES_OAEP_SHA_1",
        "RSAES_OAEP_SHA_256" | "RSA_AES_KEY_WRAP_SHA_256" => "RSAES_OAEP_SHA_256",
        _ => return Err(Broken),
    };
    if algorithm == oaep {
        return key.oaep_decrypt(oaep, wrapped, rng);
    }
    let Secret::Rsa(rsa) = key else { return Err(Broken) };
    let (outer, inner) = wrapped.split_at_checked(rsa.size()).ok_or(Broken)?;
    let aes = key.oaep_decrypt(oaep, outer, rng)?;
    let mut out = vec![0; inner.len()];
    let opened = match aes.len() {
        16 => KwpAes128::new_from_slice(&aes).map_err(broken)?.unwrap_key(inner, &mut out).map_err(broken)?,
        24 => KwpAes192::new_from_slice(&aes).map_err(broken)?.unwrap_key(inner, &mut out).map_err(broken)?,
        32 => KwpAes256::new_from_slice(&aes).map_err(broken)?.unwrap_key(inner, &mut out).map_err(broken)?,
        _ => return Err(Broken),
    };
    Ok(opened.to_vec())
}

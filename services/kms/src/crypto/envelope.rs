//! The ciphertext of a symmetric key: a head that names the key and its material, and AES-256-GCM under a key derived
//! for this message alone. The head and the encryption context are authenticated.
//!
//! ```text
//! 01 02 02 00 78  as AWS's begin      5
//! format                              1
//! account, as a number                6
//! flags: 1 = multi-Region             1
//! key id                             16
//! material id                        32
//! salt of the message's key          16
//! nonce                              12
//! ciphertext and tag
//! ```

use super::{Broken, Rng, broken};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hmac;
use std::collections::BTreeMap;

const MAGIC: [u8; 6] = [1, 2, 2, 0, 0x78, 1];
const HEAD: usize = 6 + 6 + 1 + 16 + 32 + 16;
const NONCE: usize = 12;

/// The encryption context, in the order that authenticates it.
pub(crate) type EncryptionContext = BTreeMap<String, String>;

/// What the head of a ciphertext says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) account: String,
    /// A UUID, or `mrk-` and 32 digits.
    pub(crate) key_id: String,
    /// 64 hexadecimal digits.
    pub(crate) material_id: String,
}

/// Reads the head; `None` where it is none of ours.
pub(crate) fn head(ciphertext: &[u8]) -> Option<Head> {
    let rest = ciphertext.strip_prefix(&MAGIC)?;
    if ciphertext.len() < HEAD + NONCE + 16 {
        return None;
    }
    let mut account = [0; 8];
    account[2..].copy_from_slice(&rest[..6]);
    let id = hex::encode(&rest[7..23]);
    let key_id = if rest[6] & 1 == 1 {
        format!("mrk-{id}")
    } else {
        format!("{}-{}-{}-{}-{}", &id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..])
    };
    Some(Head {
        account: format!("{:012}", u64::from_be_bytes(account)),
        key_id,
        material_id: hex::encode(&rest[23..55]),
    })
}

/// Encrypts.
pub(crate) fn encrypt(
    head: &Head,
    key: &[u8; 32],
    context: &EncryptionContext,
    plaintext: &[u8],
    rng: &Rng<'_>,
) -> Result<Vec<u8>, Broken> {
    let mut out = Vec::with_capacity(HEAD + NONCE + plaintext.len() + 16);
    out.extend_from_slice(&MAGIC);
    let account: u64 = head.account.parse().map_err(broken)?;
    out.extend_from_slice(&account.to_be_bytes()[2..]);
    let multi = head.key_id.strip_prefix("mrk-");
    out.push(u8::from(multi.is_some()));
    let id = hex::decode(multi.unwrap_or(&head.key_id).replace('-', "")).map_err(broken)?;
    let material = hex::decode(&head.material_id).map_err(broken)?;
    if id.len() != 16 || material.len() != 32 {
        return Err(Broken);
    }
    out.extend_from_slice(&id);
    out.extend_from_slice(&material);
    out.extend_from_slice(&rng.bytes::<16>());
    let aad = aad(&out, context);
    let sealing = message_key(key, &out[HEAD - 16..])?;
    let nonce: [u8; NONCE] = rng.bytes();
    out.extend_from_slice(&nonce);
    let mut body = plaintext.to_vec();
    sealing
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(&aad), &mut body)
        .map_err(broken)?;
    out.extend_from_slice(&body);
    Ok(out)
}

/// Decrypts, with the key that the head names.
pub(crate) fn decrypt(
    key: &[u8; 32],
    context: &EncryptionContext,
    ciphertext: &[u8],
) -> Result<Vec<u8>, Broken> {
    let (front, rest) = ciphertext.split_at_checked(HEAD).ok_or(Broken)?;
    let (nonce, body) = rest.split_at_checked(NONCE).ok_or(Broken)?;
    let opening = message_key(key, &front[HEAD - 16..])?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(broken)?;
    let mut body = body.to_vec();
    let opened = opening.open_in_place(nonce, Aad::from(&aad(front, context)), &mut body).map_err(broken)?;
    Ok(opened.to_vec())
}

/// The key of one message: a pseudorandom function of the salt, so that nonces never wear a key out.
fn message_key(key: &[u8; 32], salt: &[u8]) -> Result<LessSafeKey, Broken> {
    let mut derive = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    derive.update(b"cloudlet kms message 1");
    derive.update(salt);
    let unbound = UnboundKey::new(&AES_256_GCM, derive.sign().as_ref()).map_err(broken)?;
    Ok(LessSafeKey::new(unbound))
}

fn aad(front: &[u8], context: &EncryptionContext) -> Vec<u8> {
    let mut out = front.to_vec();
    for text in context.iter().flat_map(|(key, value)| [key, value]) {
        out.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend_from_slice(text.as_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use cloudlet_service::Seeded;
    use proptest::prelude::*;

    fn sample(multi: bool) -> (Head, [u8; 32], EncryptionContext, Vec<u8>) {
        let id = if multi {
            "mrk-0123456789abcdef0123456789abcdef"
        } else {
            "01234567-89ab-cdef-0123-456789abcdef"
        };
        let head =
            Head { account: "000000000042".to_owned(), key_id: id.to_owned(), material_id: "ab".repeat(32) };
        let context = EncryptionContext::from([("a".to_owned(), "b".to_owned())]);
        let random = Seeded::new(7);
        let ciphertext = encrypt(&head, &[9; 32], &context, b"hello", &Rng(&random)).unwrap();
        (head, [9; 32], context, ciphertext)
    }

    #[test]
    fn what_goes_in_comes_out() {
        for multi in [false, true] {
            let (named, key, context, ciphertext) = sample(multi);
            assert_eq!(head(&ciphertext).unwrap(), named);
            assert_eq!(decrypt(&key, &context, &ciphertext).unwrap(), b"hello");
            assert_eq!(decrypt(&key, &EncryptionContext::new(), &ciphertext), Err(Broken));
            assert_eq!(decrypt(&[8; 32], &context, &ciphertext), Err(Broken));
        }
        // Moving a character between key and value is another context.
        let (_, key, _, ciphertext) = sample(false);
        let moved = EncryptionContext::from([("ab".to_owned(), String::new())]);
        assert_eq!(decrypt(&key, &moved, &ciphertext), Err(Broken));
    }

    #[test]
    fn every_changed_bit_is_noticed() {
        let (_, key, context, ciphertext) = sample(false);
        for at in 0..ciphertext.len() {
            let mut bad = ciphertext.clone();
            bad[at] ^= 1;
            assert!(head(&bad).is_none() || decrypt(&key, &context, &bad).is_err(), "byte {at}");
            let short = &ciphertext[..at];
            assert!(head(short).is_none() || decrypt(&key, &context, short).is_err(), "cut at {at}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = head(&bytes);
            let _ = decrypt(&[1; 32], &EncryptionContext::new(), &bytes);
        }
    }
}

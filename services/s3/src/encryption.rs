//! SSE-C: encryption with a key that the customer sends with every request and we never keep.
//!
//! AES-256 in counter mode under a random nonce per stored piece, so that any range can be read alone; integrity is the
//! checksum's business. What is kept of the key is a salted proof that the next request has the same one.
//! Source: S3 User Guide, "Using server-side encryption with customer-provided keys (SSE-C)".

use crate::errors::{Result, invalid_argument, invalid_request};
use crate::state::{CustomerKey, Version};
use aes::Aes256;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use cloudlet_service::{Context, Error};
use ctr::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
use hmac::{Hmac, KeyInit, Mac};
use md5::Digest;
use subtle::ConstantTimeEq;

type Aes = ctr::Ctr128BE<Aes256>;

/// A key under one nonce; with a second layer over it where there are two.
pub(crate) struct Cipher {
    key: [u8; 32],
    outer: Option<[u8; 32]>,
    nonce: [u8; 16],
    layers: Vec<Aes>,
}

impl Clone for Cipher {
    /// The same key and nonce, from the start.
    fn clone(&self) -> Self {
        self.with(Some(self.nonce))
    }
}

impl Cipher {
    /// A cipher with a fresh nonce, for new bytes.
    pub(crate) fn new(cx: &Context, key: [u8; 32]) -> Self {
        let mut nonce = [0u8; 16];
        cx.random().fill(&mut nonce);
        Self::under(key, None, nonce)
    }

    /// The same with a second layer under another key.
    pub(crate) fn twice(cx: &Context, key: [u8; 32], outer: [u8; 32]) -> Self {
        let Self { nonce, .. } = Self::new(cx, key);
        Self::under(key, Some(outer), nonce)
    }

    fn under(key: [u8; 32], outer: Option<[u8; 32]>, nonce: [u8; 16]) -> Self {
        let mut layers = vec![Aes::new(&key.into(), &nonce.into())];
        if let Some(outer) = outer {
            layers.push(Aes::new(&derived(&outer, &nonce).into(), &nonce.into()));
        }
        Self { key, outer, nonce, layers }
    }

    pub(crate) fn nonce(&self) -> [u8; 16] {
        self.nonce
    }

    /// The same key under another nonce, from the start.
    pub(crate) fn with(&self, nonce: Option<[u8; 16]>) -> Self {
        Self::under(self.key, self.outer, nonce.unwrap_or_default())
    }

    /// Goes to a byte position.
    pub(crate) fn seek(&mut self, at: u64) {
        self.layers.iter_mut().for_each(|layer| layer.seek(at));
    }

    /// Encrypts or decrypts what comes next.
    pub(crate) fn apply(&mut self, bytes: Bytes) -> Bytes {
        let mut buffer = bytes.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        self.layers.iter_mut().for_each(|layer| layer.apply_keystream(&mut buffer));
        buffer.freeze()
    }
}

/// The headers of a request that names a customer's key, or a copy's source key.
pub(crate) struct KeyHeaders<'a> {
    pub(crate) algorithm: Option<&'a str>,
    pub(crate) key: Option<&'a str>,
    pub(crate) md5: Option<&'a str>,
}

/// The three members of a request as [`KeyHeaders`].
macro_rules! customer_key {
    ($input:expr) => {
        $crate::encryption::KeyHeaders {
            algorithm: $input.sse_customer_algorithm.as_deref(),
            key: $input.sse_customer_key.as_deref(),
            md5: $input.sse_customer_key_md5.as_deref(),
        }
    };
}
pub(crate) use customer_key;

/// The members that name the key of a copy's source.
macro_rules! source_key {
    ($input:expr) => {
        $crate::encryption::KeyHeaders {
            algorithm: $input.copy_source_sse_customer_algorithm.as_deref(),
            key: $input.copy_source_sse_customer_key.as_deref(),
            md5: $input.copy_source_sse_customer_key_md5.as_deref(),
        }
    };
}
pub(crate) use source_key;

/// A key that a request brought.
#[derive(Clone)]
pub(crate) struct Given {
    key: [u8; 32],
    md5: String,
}

impl KeyHeaders<'_> {
    /// Reads and checks the headers; `None` where there are none. Errors: `InvalidArgument`, `InvalidRequest`.
    pub(crate) fn read(&self) -> Result<Option<Given>, Error> {
        let Some(algorithm) = self.algorithm else {
            return match (self.key, self.md5) {
                (None, None) => Ok(None),
                _ => Err(invalid_argument(
                    "Requests specifying Server Side Encryption with Customer provided keys must provide a valid \
                     encryption algorithm.",
                    "x-amz-server-side-encryption",
                    "null",
                )),
            };
        };
        if algorithm != "AES256" {
            let (header, code) = ("x-amz-server-side-encryption", "InvalidEncryptionAlgorithmError");
            let message = "The Encryption request you specified is not valid. Supported value: AES256.";
            return Err(Error::sender(code, message)
                .with("ArgumentName", header)
                .with("ArgumentValue", algorithm));
        }
        let Some(encoded) = self.key else {
            return Err(invalid_argument(
                "Requests specifying Server Side Encryption with Customer provided keys must provide an appropriate \
                 secret key.",
                "x-amz-server-side-encryption",
                "null",
            ));
        };
        let key: Option<[u8; 32]> = STANDARD.decode(encoded).ok().and_then(|k| k.try_into().ok());
        let Some(key) = key else {
            return Err(invalid_argument(
                "The secret key was invalid for the specified algorithm.",
                "x-amz-server-side-encryption",
                "null",
            ));
        };
        let Some(md5) = self.md5 else {
            return Err(invalid_argument(
                "Requests specifying Server Side Encryption with Customer provided keys must provide the client \
                 calculated MD5 of the secret key.",
                "x-amz-server-side-encryption",
                "null",
            ));
        };
        if STANDARD.encode(md5::Md5::digest(key)) != md5 {
            return Err(invalid_argument(
                "The calculated MD5 hash of the key did not match the hash that was provided.",
                "x-amz-server-side-encryption",
                "null",
            ));
        }
        Ok(Some(Given { key, md5: md5.to_owned() }))
    }
}

/// A key or a proof out of a key and a salt: their HMAC-SHA256.
fn derived(key: &[u8; 32], salt: &[u8]) -> [u8; 32] {
    let mut out = [0u8; 32];
    if let Ok(mut mac) = Hmac::<sha2::Sha256>::new_from_slice(key) {
        mac.update(salt);
        out.copy_from_slice(&mac.finalize().into_bytes());
    }
    out
}

impl Given {
    /// What is kept of the key.
    pub(crate) fn remember(&self, cx: &Context) -> CustomerKey {
        let mut salt = [0u8; 16];
        cx.random().fill(&mut salt);
        CustomerKey { md5: self.md5.clone(), salt, proof: self.proof(&salt) }
    }

    fn proof(&self, salt: &[u8]) -> [u8; 32] {
        derived(&self.key, salt)
    }

    /// A cipher for new bytes.
    pub(crate) fn cipher(&self, cx: &Context) -> Cipher {
        Cipher::new(cx, self.key)
    }
}

/// What encryption a version was stored with must be met by the request that reads it.
/// Errors: `InvalidRequest` where the key is missing or not wanted, `AccessDenied` where it is another one.
pub(crate) fn unlock(
    cx: &Context,
    version: &Version,
    given: Option<&Given>,
) -> Result<Option<Cipher>, Error> {
    if version.kms.is_some() && given.is_some() {
        return Err(invalid_request("The encryption parameters are not applicable to this object."));
    }
    unlock_kept(cx, version.customer_key.as_ref(), given)
}

/// The same for what was remembered of a key.
pub(crate) fn unlock_kept(
    cx: &Context,
    kept: Option<&CustomerKey>,
    given: Option<&Given>,
) -> Result<Option<Cipher>, Error> {
    match (kept, given) {
        (None, None) => Ok(None),
        (None, Some(_)) => {
            Err(invalid_request("The encryption parameters are not applicable to this object."))
        }
        (Some(_), None) => Err(invalid_request(
            "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to \
             retrieve the object.",
        )),
        (Some(kept), Some(given)) => {
            if bool::from(given.proof(&kept.salt).ct_eq(&kept.proof)) {
                return Ok(Some(given.cipher(cx)));
            }
            let message = "Requests specifying Server Side Encryption with Customer provided keys must provide the \
                           correct secret key.";
            Err(Error::new("AccessDenied", 403, message))
        }
    }
}

/// Checks what a write asks of encryption at rest. Errors: `InvalidArgument`.
pub(crate) fn check_server_side(
    asked: Option<&str>,
    kms_key: Option<&str>,
    customer: bool,
) -> Result<(), Error> {
    match asked {
        None if kms_key.is_some() => Err(invalid_argument(
            "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms",
            "x-amz-server-side-encryption",
            "null",
        )),
        None => Ok(()),
        Some(_) if customer => Err(invalid_argument(
            "Server Side Encryption with Customer provided key is incompatible with the encryption method specified",
            "x-amz-server-side-encryption",
            asked.unwrap_or_default(),
        )),
        Some("AES256") if kms_key.is_some() => Err(invalid_argument(
            "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms",
            "x-amz-server-side-encryption",
            "AES256",
        )),
        Some("AES256" | "aws:kms" | "aws:kms:dsse") => Ok(()),
        Some(other) => Err(invalid_argument(
            "The encryption method specified is not supported",
            "x-amz-server-side-encryption",
            other,
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_range_decrypts_alone() {
        let plain: Vec<u8> = (0..1000u32).map(|i| i as u8).collect();
        let nonce = [9u8; 16];
        let key = [7u8; 32];
        let once = Cipher::under(key, None, nonce).apply(Bytes::from(plain.clone()));
        for outer in [None, Some([8u8; 32])] {
            let start = Cipher::under(key, outer, nonce);
            let sealed = start.clone().apply(Bytes::from(plain.clone()));
            assert_ne!(sealed[..], plain[..]);
            assert_eq!(sealed == once, outer.is_none(), "the second layer is there");
            for at in [0usize, 1, 15, 16, 17, 999] {
                let mut cipher = start.with(Some(nonce));
                cipher.seek(at as u64);
                assert_eq!(cipher.apply(sealed.slice(at..))[..], plain[at..]);
            }
        }
    }

    #[test]
    fn key_headers_are_checked() {
        let key = STANDARD.encode([1u8; 32]);
        let md5 = STANDARD.encode(md5::Md5::digest([1u8; 32]));
        let read = |algorithm, key, md5| KeyHeaders { algorithm, key, md5 }.read();
        assert!(read(None, None, None).unwrap().is_none());
        assert!(read(Some("AES256"), Some(&key), Some(&md5)).unwrap().is_some());
        for (algorithm, key, md5) in [
            (Some("DES"), Some(key.as_str()), Some(md5.as_str())),
            (None, Some(&key), Some(&md5)),
            (Some("AES256"), None, Some(&md5)),
            (Some("AES256"), Some("AAAA"), Some(&md5)),
            (Some("AES256"), Some(&key), None),
            (Some("AES256"), Some(&key), Some("AAAA")),
        ] {
            assert!(read(algorithm, key, md5).is_err());
        }
    }
}

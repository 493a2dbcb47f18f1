//! Encrypted assertions: the key in which one came is opened with a provider's private key, and with it the assertion.
//!
//! Keys travel by RSA-OAEP only; PKCS #1 version 1.5, with its known oracles, is not taken. Whatever fails, fails alike.
//! Source: SAML Core (saml-core-2.0-os), section 2.3.4; XML Encryption Syntax and Processing 1.1, sections 5.2 and 5.5.

use crate::x509::pem;
use crate::xml::{At, Document};
use aes::{Aes128, Aes192, Aes256};
use cbc::Decryptor;
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};
use ring::aead;
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::pkcs8::DecodePrivateKey;
use rsa::{Oaep, PrivateKey};
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};

const ENCRYPTION: &str = "http://www.w3.org/2001/04/xmlenc#";
const ENCRYPTION_11: &str = "http://www.w3.org/2009/xmlenc11#";
const SIGNATURE: &str = "http://www.w3.org/2000/09/xmldsig#";

/// How many keys in one assertion are tried: one for each recipient.
const KEYS: usize = 8;

/// The RSA key in a PEM text, where that holds one: the only kind that opens assertions.
pub fn private_key(text: &str) -> Option<PrivateKey> {
    let blocks = pem(text, &["RSA PRIVATE KEY", "PRIVATE KEY"])?;
    let [der] = blocks.as_slice() else { return None };
    PrivateKey::from_pkcs8_der(der).ok().or_else(|| PrivateKey::from_pkcs1_der(der).ok())
}

/// What an `EncryptedAssertion` holds, if one of these keys opens it.
pub(crate) fn open(document: &Document, at: At, keys: &[String]) -> Option<String> {
    let data = document.child(at, ENCRYPTION, "EncryptedData")?;
    let method = document.child(data, ENCRYPTION, "EncryptionMethod")?;
    let algorithm = document.attribute(method, "Algorithm")?;
    let content = cipher_value(document, data)?;
    let private: Vec<PrivateKey> = keys.iter().filter_map(|text| private_key(text)).collect();
    // A key stands in the data's `KeyInfo` or beside the data.
    let wrapped = document.below(at).into_iter().filter(|at| document.is(*at, ENCRYPTION, "EncryptedKey"));
    for wrapped in wrapped.take(KEYS) {
        for key in &private {
            let opened = unwrap(document, wrapped, key)
                .and_then(|secret| decrypt(algorithm, &secret, &content))
                .and_then(|bytes| String::from_utf8(bytes).ok());
            if opened.is_some() {
                return opened;
            }
        }
    }
    None
}

fn cipher_value(document: &Document, at: At) -> Option<Vec<u8>> {
    let data = document.child(at, ENCRYPTION, "CipherData")?;
    crate::saml::decode(&document.text(document.child(data, ENCRYPTION, "CipherValue")?))
}

/// The secret key in an `EncryptedKey`.
fn unwrap(document: &Document, at: At, key: &PrivateKey) -> Option<Vec<u8>> {
    let method = document.child(at, ENCRYPTION, "EncryptionMethod")?;
    let algorithm = |at: At| document.attribute(at, "Algorithm");
    let digest = document
        .child(method, SIGNATURE, "DigestMethod")
        .and_then(algorithm)
        .unwrap_or("http://www.w3.org/2000/09/xmldsig#sha1");
    let mask = match algorithm(method)? {
        "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p" => "http://www.w3.org/2009/xmlenc11#mgf1sha1",
        "http://www.w3.org/2009/xmlenc11#rsa-oaep" => {
            let given = document.child(method, ENCRYPTION_11, "MGF").and_then(algorithm);
            given.unwrap_or("http://www.w3.org/2009/xmlenc11#mgf1sha1")
        }
        _ => return None,
    };
    let wrapped = cipher_value(document, at)?;
    let (digest, mask) = (digest.rsplit_once('#')?.1, mask.rsplit_once('#')?.1);
    let rng = &mut rand::rng();
    macro_rules! with {
        ($($digest:literal $D:ty, $mask:literal $M:ty;)*) => {
            match (digest, mask) {
                $(($digest, $mask) => key.decrypt_blinded(rng, Oaep::<$D, $M>::new_with_mgf_hash(), &wrapped).ok(),)*
                _ => None,
            }
        };
    }
    with!(
        "sha1" Sha1, "mgf1sha1" Sha1;
        "sha256" Sha256, "mgf1sha1" Sha1;
        "sha384" Sha384, "mgf1sha1" Sha1;
        "sha512" Sha512, "mgf1sha1" Sha1;
        "sha1" Sha1, "mgf1sha256" Sha256;
        "sha256" Sha256, "mgf1sha256" Sha256;
        "sha384" Sha384, "mgf1sha384" Sha384;
        "sha512" Sha512, "mgf1sha512" Sha512;
    )
}

/// Initialization vector first, as XML Encryption has it.
fn decrypt(algorithm: &str, key: &[u8], content: &[u8]) -> Option<Vec<u8>> {
    match algorithm {
        "http://www.w3.org/2001/04/xmlenc#aes128-cbc" => chained::<Decryptor<Aes128>>(key, content),
        "http://www.w3.org/2001/04/xmlenc#aes192-cbc" => chained::<Decryptor<Aes192>>(key, content),
        "http://www.w3.org/2001/04/xmlenc#aes256-cbc" => chained::<Decryptor<Aes256>>(key, content),
        "http://www.w3.org/2009/xmlenc11#aes128-gcm" => sealed(&aead::AES_128_GCM, key, content),
        "http://www.w3.org/2009/xmlenc11#aes256-gcm" => sealed(&aead::AES_256_GCM, key, content),
        _ => None,
    }
}

fn chained<D: KeyIvInit + BlockModeDecrypt>(key: &[u8], content: &[u8]) -> Option<Vec<u8>> {
    let (iv, body) = content.split_at_checked(16)?;
    let mut buffer = body.to_vec();
    let opened = D::new_from_slices(key, iv).ok()?.decrypt_padded::<NoPadding>(&mut buffer).ok()?;
    // The last byte counts the padding; what the others are does not matter.
    let padding = usize::from(*opened.last()?);
    let len = opened.len().checked_sub(padding).filter(|_| (1..=16).contains(&padding))?;
    opened.get(..len).map(<[u8]>::to_vec)
}

fn sealed(algorithm: &'static aead::Algorithm, key: &[u8], content: &[u8]) -> Option<Vec<u8>> {
    let (nonce, body) = content.split_at_checked(aead::NONCE_LEN)?;
    let key = aead::LessSafeKey::new(aead::UnboundKey::new(algorithm, key).ok()?);
    let nonce = aead::Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut buffer = body.to_vec();
    key.open_in_place(nonce, aead::Aad::empty(), &mut buffer).ok().map(|opened| opened.to_vec())
}

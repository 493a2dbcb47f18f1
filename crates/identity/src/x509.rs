//! Certificates and private keys, as far as IAM and STS look into them.
//!
//! The formats are read by RustCrypto's parsers, which take DER and nothing else, recurse nowhere here (extensions stay
//! unread), and borrow or copy no more than they are given.
//!
//! Source: RFC 5280 (certificates), RFC 8017 (RSA keys), RFC 5208 and RFC 5915 (private keys), RFC 7468 (PEM).

use p521::ecdsa::signature::Verifier;
use pem::{EncodeConfig, LineEnding, Pem};
use ring::signature;
use rsa::pkcs1::{RsaPrivateKey, RsaPublicKey, UintRef};
use rsa::pkcs8::PrivateKeyInfoRef;
use sec1::EcPrivateKey;
use x509_cert::Certificate as Read;
use x509_cert::der::asn1::{AnyRef, BitString, Null, ObjectIdentifier};
use x509_cert::der::{Decode, Encode, Reader, SliceReader};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

/// The longest text that is looked at, in bytes: what IAM takes for a chain.
const LONGEST: usize = 2 * 1024 * 1024;
/// The most certificates or keys in one text.
const BLOCKS: usize = 100;

const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const SHA1_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.5");
const SHA256_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const SHA384_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const SHA512_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const ECDSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey {
    /// RSA: modulus and exponent without leading zeros.
    Rsa {
        /// The modulus.
        n: Vec<u8>,
        /// The exponent.
        e: Vec<u8>,
    },
    /// An elliptic curve's point.
    Ec {
        /// The curve's object identifier.
        curve: ObjectIdentifier,
        /// The point, uncompressed.
        point: Vec<u8>,
    },
    /// Something else, compared as a whole.
    Other(Vec<u8>),
}

/// A certificate.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The whole certificate.
    pub der: Vec<u8>,
    /// The issuer's name, as DER.
    pub issuer: Vec<u8>,
    /// The subject's name, as DER.
    pub subject: Vec<u8>,
    /// Valid from, in seconds since the epoch.
    pub not_before: i64,
    /// Valid until, in seconds since the epoch.
    pub not_after: i64,
    /// Its key.
    pub key: PublicKey,
    tbs: Vec<u8>,
    algorithm: ObjectIdentifier,
    signature: Vec<u8>,
}

/// The contents of the PEM blocks, which must have one of these labels, in order. `None` where the text holds none,
/// another one, or a broken one.
pub fn pem(text: &str, labels: &[&str]) -> Option<Vec<Vec<u8>>> {
    if text.len() > LONGEST {
        return None;
    }
    let found = pem::parse_many(text).ok()?;
    let known = |block: &Pem| labels.contains(&block.tag()) && !block.contents().is_empty();
    // What is left over of a block that was cut off is not silently skipped.
    let whole = text.matches("-----BEGIN ").count() == found.len();
    let fine = whole && (1..=BLOCKS).contains(&found.len()) && found.iter().all(known);
    fine.then(|| found.into_iter().map(Pem::into_contents).collect())
}

impl Certificate {
    /// Reads the PEM text of one certificate.
    pub fn from_pem(text: &str) -> Option<Self> {
        match pem(text, &["CERTIFICATE"])?.as_slice() {
            [der] => Self::from_der(der),
            _ => None,
        }
    }

    /// Reads the PEM text of a chain.
    pub fn chain(text: &str) -> Option<Vec<Self>> {
        pem(text, &["CERTIFICATE"])?.iter().map(|der| Self::from_der(der)).collect()
    }

    /// Reads a certificate.
    pub fn from_der(bytes: &[u8]) -> Option<Self> {
        // What was signed are the bytes as they came.
        let outer = AnyRef::from_der(bytes).ok()?;
        let tbs = SliceReader::new(outer.value()).ok()?.tlv_bytes().ok()?.to_vec();
        let read = Read::from_der(bytes).ok()?;
        let fields = read.tbs_certificate();
        let validity = fields.validity();
        let seconds = |time: x509_cert::time::Time| i64::try_from(time.to_unix_duration().as_secs()).ok();
        Some(Self {
            der: bytes.to_vec(),
            issuer: fields.issuer().to_der().ok()?,
            subject: fields.subject().to_der().ok()?,
            not_before: seconds(validity.not_before)?,
            not_after: seconds(validity.not_after)?,
            key: PublicKey::read(fields.subject_public_key_info())?,
            tbs,
            algorithm: read.signature_algorithm().oid,
            signature: read.signature().as_bytes()?.to_vec(),
        })
    }

    /// Whether this certificate was signed with the key of that one.
    pub fn signed_by(&self, issuer: &Certificate) -> bool {
        self.issuer == issuer.subject
            && match self.algorithm {
                SHA1_RSA => issuer.key.verify(Digest::Sha1, &self.tbs, &self.signature),
                SHA256_RSA | ECDSA_SHA256 => issuer.key.verify(Digest::Sha256, &self.tbs, &self.signature),
                SHA384_RSA | ECDSA_SHA384 => issuer.key.verify(Digest::Sha384, &self.tbs, &self.signature),
                SHA512_RSA | ECDSA_SHA512 => issuer.key.verify(Digest::Sha512, &self.tbs, &self.signature),
                // What cannot be checked was not signed: a name alone vouches for nothing.
                _ => false,
            }
    }
}

/// The hash under a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// SHA-1, which old identity providers still sign with.
    Sha1,
    /// SHA-256
    Sha256,
    /// SHA-384
    Sha384,
    /// SHA-512
    Sha512,
}

impl PublicKey {
    fn read(info: &SubjectPublicKeyInfoOwned) -> Option<Self> {
        let bits = info.subject_public_key.as_bytes()?;
        Some(match info.algorithm.oid {
            RSA_ENCRYPTION => {
                let key = RsaPublicKey::<UintRef<'_>>::from_der(bits).ok()?;
                Self::rsa(&key.modulus, &key.public_exponent)
            }
            EC_PUBLIC_KEY => Self::Ec { curve: named_curve(info)?, point: bits.to_vec() },
            _ => Self::Other(info.to_der().ok()?),
        })
    }

    fn rsa(n: &UintRef<'_>, e: &UintRef<'_>) -> Self {
        Self::Rsa { n: n.as_bytes().to_vec(), e: e.as_bytes().to_vec() }
    }

    /// Checks a signature: PKCS #1 version 1.5 with RSA, ASN.1-encoded with elliptic curves.
    pub fn verify(&self, digest: Digest, message: &[u8], signature_bytes: &[u8]) -> bool {
        match self {
            PublicKey::Rsa { n, e } => {
                let algorithm = match digest {
                    Digest::Sha1 => &signature::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
                    Digest::Sha256 => &signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
                    Digest::Sha384 => &signature::RSA_PKCS1_2048_8192_SHA384,
                    Digest::Sha512 => &signature::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
                };
                let key = signature::RsaPublicKeyComponents { n, e };
                key.verify(algorithm, message, signature_bytes).is_ok()
            }
            PublicKey::Ec { curve, point } => {
                if (*curve, digest) == (P521, Digest::Sha512) {
                    let key = p521::ecdsa::VerifyingKey::from_sec1_bytes(point);
                    let signed = p521::ecdsa::DerSignature::try_from(signature_bytes);
                    return matches!((key, signed), (Ok(key), Ok(signed)) if key.verify(message, &signed).is_ok());
                }
                let algorithm: &dyn signature::VerificationAlgorithm = match (*curve, digest) {
                    (P256, Digest::Sha256) => &signature::ECDSA_P256_SHA256_ASN1,
                    (P256, Digest::Sha384) => &signature::ECDSA_P256_SHA384_ASN1,
                    (P384, Digest::Sha256) => &signature::ECDSA_P384_SHA256_ASN1,
                    (P384, Digest::Sha384) => &signature::ECDSA_P384_SHA384_ASN1,
                    _ => return false,
                };
                signature::UnparsedPublicKey::new(algorithm, point).verify(message, signature_bytes).is_ok()
            }
            PublicKey::Other(_) => false,
        }
    }

    /// How many bits an RSA key has.
    pub fn rsa_bits(&self) -> Option<usize> {
        match self {
            PublicKey::Rsa { n, .. } => {
                Some(n.len() * 8 - n.first().map_or(0, |byte| byte.leading_zeros() as usize))
            }
            _ => None,
        }
    }

    /// The public key that belongs to an unencrypted private key in PEM.
    pub fn of_private_pem(text: &str) -> Option<Self> {
        let labels = ["RSA PRIVATE KEY", "EC PRIVATE KEY", "PRIVATE KEY", "EC PARAMETERS"];
        let blocks = pem(text, &labels)?;
        let der = blocks.last()?;
        rsa_private(der).or_else(|| ec_private(der, None)).or_else(|| pkcs8(der))
    }
}

/// The curve that the parameters of an elliptic key name.
fn named_curve(info: &SubjectPublicKeyInfoOwned) -> Option<ObjectIdentifier> {
    info.algorithm.parameters.as_ref()?.decode_as().ok()
}

/// A `SubjectPublicKeyInfo`.
pub fn public_key(spki: &[u8]) -> Option<PublicKey> {
    PublicKey::read(&SubjectPublicKeyInfoOwned::from_der(spki).ok()?)
}

fn rsa_private(der: &[u8]) -> Option<PublicKey> {
    let key = RsaPrivateKey::<UintRef<'_>>::from_der(der).ok()?;
    Some(PublicKey::rsa(&key.modulus, &key.public_exponent))
}

fn ec_private(der: &[u8], curve: Option<ObjectIdentifier>) -> Option<PublicKey> {
    let key = EcPrivateKey::from_der(der).ok()?;
    let curve = key.parameters.and_then(|parameters| parameters.named_curve()).or(curve)?;
    Some(PublicKey::Ec { curve, point: key.public_key?.to_vec() })
}

fn pkcs8(der: &[u8]) -> Option<PublicKey> {
    let key = PrivateKeyInfoRef::from_der(der).ok()?;
    let inner = key.private_key.as_bytes();
    match key.algorithm.oid {
        RSA_ENCRYPTION => rsa_private(inner),
        EC_PUBLIC_KEY => ec_private(inner, key.algorithm.parameters_oid().ok()),
        _ => None,
    }
}

/// The `SubjectPublicKeyInfo` of an RSA key: how SSH keys are shown as PEM. `None` for numbers that are none.
pub fn rsa_spki(n: &[u8], e: &[u8]) -> Option<Vec<u8>> {
    let key = RsaPublicKey { modulus: UintRef::new(n).ok()?, public_exponent: UintRef::new(e).ok()? };
    let algorithm = AlgorithmIdentifierOwned { oid: RSA_ENCRYPTION, parameters: Some(Null.into()) };
    let subject_public_key = BitString::from_bytes(&key.to_der().ok()?).ok()?;
    SubjectPublicKeyInfoOwned { algorithm, subject_public_key }.to_der().ok()
}

/// PEM text of some DER.
pub fn to_pem(label: &str, der: &[u8]) -> String {
    pem::encode_config(&Pem::new(label, der), EncodeConfig::new().set_line_ending(LineEnding::LF))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_input_is_refused_and_never_worse() {
        let good = rsa_spki(&[0xd1; 256], &[1, 0, 1]).unwrap();
        assert_eq!(public_key(&good).and_then(|key| key.rsa_bits()), Some(2048));
        for cut in 0..good.len() {
            assert!(public_key(&good[..cut]).is_none(), "cut at {cut}");
        }
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                let _ = public_key(&bad);
                let _ = Certificate::from_der(&bad);
                let _ = PublicKey::of_private_pem(&to_pem("PRIVATE KEY", &bad));
            }
        }
        for text in [
            "",
            "x",
            "-----BEGIN CERTIFICATE-----",
            "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----",
            "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\nMAA",
        ] {
            assert!(Certificate::from_pem(text).is_none(), "{text}");
        }
        assert!(Certificate::from_der(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0]).is_none());
        // Sequences in sequences, as deep as they fit.
        let mut deep = Vec::new();
        for _ in 0..2000 {
            let len = u16::try_from(deep.len()).unwrap().to_be_bytes();
            deep.splice(0..0, [0x30, 0x82, len[0], len[1]]);
        }
        assert!(Certificate::from_der(&deep).is_none());
        assert!(pem(&"x".repeat(LONGEST + 1), &["CERTIFICATE"]).is_none());
        assert!(pem(&to_pem("CERTIFICATE", &[1]).repeat(BLOCKS + 1), &["CERTIFICATE"]).is_none());
    }
}

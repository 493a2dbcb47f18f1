//! Certificates and private keys, as far as IAM and STS look into them.
//!
//! Source: RFC 5280 (certificates), RFC 8017 (RSA keys), RFC 5208 and RFC 5915 (private keys), RFC 7468 (PEM).

use crate::der::{BIT_STRING, Der, GENERALIZED_TIME, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, UTC_TIME};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::signature;

/// The longest text that is looked at, in bytes: what IAM takes for a chain.
const LONGEST: usize = 2 * 1024 * 1024;

const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const SHA1_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05];
const SHA256_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
const SHA384_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c];
const SHA512_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d];
const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const ECDSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];

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
        /// The curve's object identifier, as DER holds it.
        curve: Vec<u8>,
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
    algorithm: Vec<u8>,
    signature: Vec<u8>,
}

/// The Base64 contents of the PEM blocks with one of these labels, in order. `None` where the text holds none, another
/// one, or a broken one.
pub fn pem(text: &str, labels: &[&str]) -> Option<Vec<Vec<u8>>> {
    if text.len() > LONGEST {
        return None;
    }
    let mut found = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (label, body) = rest.strip_prefix("-----BEGIN ")?.split_once("-----")?;
        if !labels.contains(&label) {
            return None;
        }
        let (body, after) = body.split_once(&format!("-----END {label}-----"))?;
        let data: String = body.chars().filter(|c| !c.is_whitespace()).collect();
        found.push(STANDARD.decode(data).ok().filter(|bytes| !bytes.is_empty())?);
        rest = after.trim();
    }
    (!found.is_empty()).then_some(found)
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
        let mut outer = Der::new(bytes);
        let mut certificate = outer.enter(SEQUENCE)?;
        if !outer.is_empty() {
            return None;
        }
        let tbs = certificate.expect(SEQUENCE)?;
        let algorithm = certificate.enter(SEQUENCE)?.expect(OBJECT_IDENTIFIER)?;
        let signature = certificate.bits()?;
        let mut fields = Der::new(tbs.content);
        // The version, absent in version 1.
        if fields.peek() == Some(0xa0) {
            fields.next()?;
        }
        let _serial = fields.next()?;
        let _algorithm = fields.expect(SEQUENCE)?;
        let issuer = fields.expect(SEQUENCE)?;
        let mut validity = fields.enter(SEQUENCE)?;
        let (not_before, not_after) = (time(&mut validity)?, time(&mut validity)?);
        let subject = fields.expect(SEQUENCE)?;
        let key = public_key(fields.expect(SEQUENCE)?.whole)?;
        Some(Self {
            der: bytes.to_vec(),
            issuer: issuer.whole.to_vec(),
            subject: subject.whole.to_vec(),
            not_before,
            not_after,
            key,
            tbs: tbs.whole.to_vec(),
            algorithm: algorithm.content.to_vec(),
            signature: signature.to_vec(),
        })
    }

    /// Whether this certificate was signed with the key of that one.
    pub fn signed_by(&self, issuer: &Certificate) -> bool {
        self.issuer == issuer.subject
            && match self.algorithm.as_slice() {
                SHA1_RSA => issuer.key.verify(Digest::Sha1, &self.tbs, &self.signature),
                SHA256_RSA | ECDSA_SHA256 => issuer.key.verify(Digest::Sha256, &self.tbs, &self.signature),
                SHA384_RSA | ECDSA_SHA384 => issuer.key.verify(Digest::Sha384, &self.tbs, &self.signature),
                SHA512_RSA => issuer.key.verify(Digest::Sha512, &self.tbs, &self.signature),
                // Algorithms that are not checked here are taken by their names.
                _ => true,
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
                let algorithm: &dyn signature::VerificationAlgorithm = match (curve.as_slice(), digest) {
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

/// A `SubjectPublicKeyInfo`.
pub fn public_key(spki: &[u8]) -> Option<PublicKey> {
    let mut fields = Der::new(spki).enter(SEQUENCE)?;
    let mut algorithm = fields.enter(SEQUENCE)?;
    let bits = fields.bits()?;
    Some(match algorithm.expect(OBJECT_IDENTIFIER)?.content {
        RSA_ENCRYPTION => {
            let mut key = Der::new(bits).enter(SEQUENCE)?;
            PublicKey::Rsa { n: key.unsigned()?.to_vec(), e: key.unsigned()?.to_vec() }
        }
        EC_PUBLIC_KEY => PublicKey::Ec {
            curve: algorithm.expect(OBJECT_IDENTIFIER)?.content.to_vec(),
            point: bits.to_vec(),
        },
        _ => PublicKey::Other(spki.to_vec()),
    })
}

/// `RSAPrivateKey`: version, modulus, exponent, and six secrets.
fn rsa_private(der: &[u8]) -> Option<PublicKey> {
    let mut key = Der::new(der).enter(SEQUENCE)?;
    let _version = key.unsigned()?;
    let (n, e) = (key.unsigned()?.to_vec(), key.unsigned()?.to_vec());
    for _ in 0..6 {
        key.unsigned()?;
    }
    Some(PublicKey::Rsa { n, e })
}

/// `ECPrivateKey`: version, secret, curve, point.
fn ec_private(der: &[u8], curve: Option<&[u8]>) -> Option<PublicKey> {
    let mut key = Der::new(der).enter(SEQUENCE)?;
    let _version = key.unsigned()?;
    let _secret = key.expect(OCTET_STRING)?;
    let mut curve = curve.map(<[u8]>::to_vec);
    if key.peek() == Some(0xa0) {
        curve = Some(key.enter(0xa0)?.expect(OBJECT_IDENTIFIER)?.content.to_vec());
    }
    let point = key.enter(0xa1)?.bits()?.to_vec();
    Some(PublicKey::Ec { curve: curve?, point })
}

/// `PrivateKeyInfo`: version, algorithm, and one of the two above.
fn pkcs8(der: &[u8]) -> Option<PublicKey> {
    let mut key = Der::new(der).enter(SEQUENCE)?;
    let _version = key.unsigned()?;
    let mut algorithm = key.enter(SEQUENCE)?;
    let inner = key.expect(OCTET_STRING)?.content;
    match algorithm.expect(OBJECT_IDENTIFIER)?.content {
        RSA_ENCRYPTION => rsa_private(inner),
        EC_PUBLIC_KEY => ec_private(inner, Some(algorithm.expect(OBJECT_IDENTIFIER)?.content)),
        _ => None,
    }
}

/// `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ`, in seconds since the epoch.
fn time(fields: &mut Der<'_>) -> Option<i64> {
    let element = fields.next()?;
    let text = std::str::from_utf8(element.content).ok()?.strip_suffix('Z')?;
    let (year, rest) = match element.tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i64 = year.parse().ok()?;
            // RFC 5280, section 4.1.2.5.1.
            (if year >= 50 { 1900 + year } else { 2000 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    if rest.len() != 10 || !rest.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let field = |at: usize| rest.get(at..at + 2).and_then(|digits| digits.parse::<i64>().ok());
    let (month, day) = (field(0)?, field(2)?);
    // Days since the epoch, with years that begin in March.
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some(days * 86_400 + field(4)? * 3_600 + field(6)? * 60 + field(8)?)
}

/// The DER of an RSA public key as PKCS #1 has it, and as `SubjectPublicKeyInfo`: how SSH keys are shown as PEM.
pub fn rsa_spki(n: &[u8], e: &[u8]) -> Vec<u8> {
    let key = element(SEQUENCE, &[integer(n), integer(e)].concat());
    let algorithm =
        element(SEQUENCE, &[element(OBJECT_IDENTIFIER, RSA_ENCRYPTION), vec![0x05, 0x00]].concat());
    element(SEQUENCE, &[algorithm, element(BIT_STRING, &[vec![0], key].concat())].concat())
}

fn integer(bytes: &[u8]) -> Vec<u8> {
    let padded =
        if bytes.first().is_none_or(|byte| *byte >= 0x80) { [&[0], bytes].concat() } else { bytes.to_vec() };
    element(crate::der::INTEGER, &padded)
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let len = content.len();
    if len < 0x80 {
        out.push(len as u8);
    } else {
        let bytes = len.to_be_bytes();
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let significant = bytes.get(zeros..).unwrap_or_default();
        out.push(0x80 | significant.len() as u8);
        out.extend_from_slice(significant);
    }
    out.extend_from_slice(content);
    out
}

/// PEM text of some DER.
pub fn to_pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        out.extend(line.iter().map(|byte| char::from(*byte)));
        out.push('\n');
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_input_is_refused_and_never_worse() {
        let good = rsa_spki(&[0xd1; 256], &[1, 0, 1]);
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
        ] {
            assert!(Certificate::from_pem(text).is_none(), "{text}");
        }
        assert!(Certificate::from_der(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0]).is_none());
    }

    #[test]
    fn times() {
        let read = |tag: u8, text: &str| time(&mut Der::new(&element(tag, text.as_bytes())));
        assert_eq!(read(UTC_TIME, "700101000000Z"), Some(0));
        assert_eq!(read(GENERALIZED_TIME, "20380119031408Z"), Some(2_147_483_648));
        assert_eq!(read(UTC_TIME, "7001010000Z"), None);
    }
}

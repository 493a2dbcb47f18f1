//! Key material: made, written down as bytes, read back, and its public half.

use super::{Broken, Rng, broken};
use crate::spec::{self, SYMMETRIC};
use ml_dsa::{MlDsa44, MlDsa65, MlDsa87};
use ml_kem::{MlKem512, MlKem768, MlKem1024};
use p256::elliptic_curve::Generate;
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey};

/// A secret ready for use. It never prints.
pub(crate) enum Secret {
    /// 256 bits for `SYMMETRIC_DEFAULT`.
    Symmetric([u8; 32]),
    /// The key of a message authentication code.
    Hmac(Vec<u8>),
    Rsa(Box<rsa::PrivateKey>),
    P256(p256::SecretKey),
    P384(p384::SecretKey),
    P521(p521::SecretKey),
    K256(k256::SecretKey),
    Ed25519(Box<ed25519_dalek::SigningKey>),
    MlDsa44(Box<ml_dsa::SigningKey<MlDsa44>>),
    MlDsa65(Box<ml_dsa::SigningKey<MlDsa65>>),
    MlDsa87(Box<ml_dsa::SigningKey<MlDsa87>>),
    MlKem512(Box<ml_kem::DecapsulationKey<MlKem512>>),
    MlKem768(Box<ml_kem::DecapsulationKey<MlKem768>>),
    MlKem1024(Box<ml_kem::DecapsulationKey<MlKem1024>>),
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

impl Secret {
    /// Makes new material. RSA takes long: not on a thread that others wait for.
    pub(crate) fn generate(spec: &str, rng: &mut Rng<'_>) -> Result<Self, Broken> {
        Ok(match spec {
            SYMMETRIC => Self::Symmetric(rng.bytes()),
            "RSA_2048" => Self::Rsa(Box::new(rsa::PrivateKey::new(rng, 2048).map_err(broken)?)),
            "RSA_3072" => Self::Rsa(Box::new(rsa::PrivateKey::new(rng, 3072).map_err(broken)?)),
            "RSA_4096" => Self::Rsa(Box::new(rsa::PrivateKey::new(rng, 4096).map_err(broken)?)),
            "ECC_NIST_P256" => Self::P256(p256::SecretKey::generate_from_rng(rng)),
            "ECC_NIST_P384" => Self::P384(p384::SecretKey::generate_from_rng(rng)),
            "ECC_NIST_P521" => Self::P521(p521::SecretKey::generate_from_rng(rng)),
            "ECC_SECG_P256K1" => Self::K256(k256::SecretKey::generate_from_rng(rng)),
            "ECC_NIST_EDWARDS25519" => Self::read(spec, &rng.bytes::<32>())?,
            "ML_DSA_44" | "ML_DSA_65" | "ML_DSA_87" => Self::read(spec, &rng.bytes::<32>())?,
            "ML_KEM_512" | "ML_KEM_768" | "ML_KEM_1024" => Self::read(spec, &rng.bytes::<64>())?,
            _ => Self::Hmac(rng.vec(spec::secret_bytes(spec).ok_or(Broken)?)),
        })
    }

    /// Reads what [`Secret::write`] wrote: raw bytes, a seed, or PKCS #8.
    pub(crate) fn read(spec: &str, bytes: &[u8]) -> Result<Self, Broken> {
        let seed = || <[u8; 32]>::try_from(bytes).map_err(broken);
        let kem = || <[u8; 64]>::try_from(bytes).map(ml_kem::Seed::from).map_err(broken);
        Ok(match spec {
            SYMMETRIC => Self::Symmetric(seed()?),
            "ECC_NIST_EDWARDS25519" => Self::Ed25519(Box::new((&seed()?).into())),
            "ML_DSA_44" => Self::MlDsa44(Box::new(ml_dsa::SigningKey::from_seed(&seed()?.into()))),
            "ML_DSA_65" => Self::MlDsa65(Box::new(ml_dsa::SigningKey::from_seed(&seed()?.into()))),
            "ML_DSA_87" => Self::MlDsa87(Box::new(ml_dsa::SigningKey::from_seed(&seed()?.into()))),
            "ML_KEM_512" => Self::MlKem512(Box::new(ml_kem::DecapsulationKey::from_seed(kem()?))),
            "ML_KEM_768" => Self::MlKem768(Box::new(ml_kem::DecapsulationKey::from_seed(kem()?))),
            "ML_KEM_1024" => Self::MlKem1024(Box::new(ml_kem::DecapsulationKey::from_seed(kem()?))),
            _ if spec.starts_with("HMAC_") => {
                if spec::secret_bytes(spec) != Some(bytes.len()) {
                    return Err(Broken);
                }
                Self::Hmac(bytes.to_vec())
            }
            _ => return Self::from_pkcs8(spec, bytes),
        })
    }

    /// Reads a private key that somebody brings: PKCS #8 (RFC 5958) in DER.
    pub(crate) fn from_pkcs8(spec: &str, der: &[u8]) -> Result<Self, Broken> {
        let rsa = |bits: usize| {
            let key = rsa::PrivateKey::from_pkcs8_der(der).map_err(broken)?;
            if rsa::traits::PublicKeyParts::size(&key) * 8 != bits {
                return Err(Broken);
            }
            Ok(Self::Rsa(Box::new(key)))
        };
        Ok(match spec {
            "RSA_2048" => rsa(2048)?,
            "RSA_3072" => rsa(3072)?,
            "RSA_4096" => rsa(4096)?,
            "ECC_NIST_P256" => Self::P256(p256::SecretKey::from_pkcs8_der(der).map_err(broken)?),
            "ECC_NIST_P384" => Self::P384(p384::SecretKey::from_pkcs8_der(der).map_err(broken)?),
            "ECC_NIST_P521" => Self::P521(p521::SecretKey::from_pkcs8_der(der).map_err(broken)?),
            "ECC_SECG_P256K1" => Self::K256(k256::SecretKey::from_pkcs8_der(der).map_err(broken)?),
            "ECC_NIST_EDWARDS25519" => {
                Self::Ed25519(Box::new(ed25519_dalek::SigningKey::from_pkcs8_der(der).map_err(broken)?))
            }
            _ => return Err(Broken),
        })
    }

    /// The material as bytes, for sealing.
    pub(crate) fn write(&self) -> Result<Vec<u8>, Broken> {
        Ok(match self {
            Self::Symmetric(key) => key.to_vec(),
            Self::Hmac(key) => key.clone(),
            Self::Ed25519(key) => key.to_bytes().to_vec(),
            Self::MlDsa44(key) => key.to_seed().to_vec(),
            Self::MlDsa65(key) => key.to_seed().to_vec(),
            Self::MlDsa87(key) => key.to_seed().to_vec(),
            Self::MlKem512(key) => key.to_seed().ok_or(Broken)?.to_vec(),
            Self::MlKem768(key) => key.to_seed().ok_or(Broken)?.to_vec(),
            Self::MlKem1024(key) => key.to_seed().ok_or(Broken)?.to_vec(),
            Self::Rsa(_) | Self::P256(_) | Self::P384(_) | Self::P521(_) | Self::K256(_) => {
                self.to_pkcs8()?
            }
        })
    }

    /// The private key as PKCS #8 in DER: what `GenerateDataKeyPair` hands out.
    pub(crate) fn to_pkcs8(&self) -> Result<Vec<u8>, Broken> {
        let document = match self {
            Self::Rsa(key) => key.to_pkcs8_der(),
            Self::P256(key) => key.to_pkcs8_der(),
            Self::P384(key) => key.to_pkcs8_der(),
            Self::P521(key) => key.to_pkcs8_der(),
            Self::K256(key) => key.to_pkcs8_der(),
            Self::Ed25519(key) => key.to_pkcs8_der(),
            Self::MlKem512(key) => key.to_pkcs8_der(),
            Self::MlKem768(key) => key.to_pkcs8_der(),
            Self::MlKem1024(key) => key.to_pkcs8_der(),
            _ => return Err(Broken),
        };
        Ok(document.map_err(broken)?.as_bytes().to_vec())
    }

    /// The public key as SubjectPublicKeyInfo (RFC 5280) in DER.
    pub(crate) fn public(&self) -> Result<Vec<u8>, Broken> {
        let document = match self {
            Self::Rsa(key) => key.to_public_key().to_public_key_der(),
            Self::P256(key) => key.public_key().to_public_key_der(),
            Self::P384(key) => key.public_key().to_public_key_der(),
            Self::P521(key) => key.public_key().to_public_key_der(),
            Self::K256(key) => key.public_key().to_public_key_der(),
            Self::Ed25519(key) => key.verifying_key().to_public_key_der(),
            Self::MlDsa44(key) => ml_dsa::Keypair::verifying_key(&**key).to_public_key_der(),
            Self::MlDsa65(key) => ml_dsa::Keypair::verifying_key(&**key).to_public_key_der(),
            Self::MlDsa87(key) => ml_dsa::Keypair::verifying_key(&**key).to_public_key_der(),
            Self::MlKem512(key) => key.encapsulation_key().to_public_key_der(),
            Self::MlKem768(key) => key.encapsulation_key().to_public_key_der(),
            Self::MlKem1024(key) => key.encapsulation_key().to_public_key_der(),
            Self::Symmetric(_) | Self::Hmac(_) => return Err(Broken),
        };
        Ok(document.map_err(broken)?.as_bytes().to_vec())
    }
}

//! Signatures: RSA (RFC 8017), ECDSA (FIPS 186-5, DER), Ed25519 (RFC 8032), ML-DSA (FIPS 204).

use super::{Broken, Rng, Secret, broken};
use digest::{FixedOutput, HashMarker, Output, OutputSizeUser, Update, typenum::U64};
use ml_dsa::{Keypair, SignatureEncoding};
use p256::ecdsa::signature::hazmat::{PrehashVerifier, RandomizedPrehashSigner};
use p256::ecdsa::signature::{Signer, Verifier};
use rsa::{Pkcs1v15Sign, Pss};
use sha2::{Digest, Sha256, Sha384, Sha512};

/// What is signed.
#[derive(Clone, Copy)]
pub(crate) enum Message<'a> {
    /// The message itself.
    Raw(&'a [u8]),
    /// Its digest.
    Digest(&'a [u8]),
    /// The representative µ of FIPS 204.
    Mu(&'a [u8; 64]),
}

impl Message<'_> {
    /// The digest that the algorithm signs.
    fn digest(&self, algorithm: &str) -> Vec<u8> {
        match self {
            Self::Digest(digest) => digest.to_vec(),
            Self::Mu(mu) => mu.to_vec(),
            Self::Raw(raw) if algorithm.ends_with("384") => Sha384::digest(raw).to_vec(),
            Self::Raw(raw) if algorithm.ends_with("512") => Sha512::digest(raw).to_vec(),
            Self::Raw(raw) => Sha256::digest(raw).to_vec(),
        }
    }
}

/// A SHA-512 that somebody else computed, where a library wants to see one at work.
#[derive(Clone)]
struct Computed([u8; 64]);

impl Default for Computed {
    fn default() -> Self {
        Self([0; 64])
    }
}

impl OutputSizeUser for Computed {
    type OutputSize = U64;
}

impl Update for Computed {
    fn update(&mut self, _: &[u8]) {}
}

impl FixedOutput for Computed {
    fn finalize_into(self, out: &mut Output<Self>) {
        out.copy_from_slice(&self.0);
    }
}

impl HashMarker for Computed {}

macro_rules! ecdsa_sign {
    ($curve:ident, $key:expr, $rng:expr, $digest:expr) => {{
        let key = $curve::ecdsa::SigningKey::from($key);
        let signature: $curve::ecdsa::DerSignature =
            key.sign_prehash_with_rng($rng, $digest).map_err(broken)?;
        signature.to_bytes().to_vec()
    }};
}

macro_rules! ecdsa_verify {
    ($curve:ident, $key:expr, $digest:expr, $signature:expr) => {{
        let signature = $curve::ecdsa::DerSignature::from_bytes($signature).map_err(broken)?;
        $curve::ecdsa::VerifyingKey::from($key.public_key())
            .verify_prehash($digest, &signature)
            .map_err(broken)
    }};
}

macro_rules! ml_dsa_sign {
    ($key:expr, $message:expr, $rng:expr) => {
        match $message {
            Message::Raw(raw) => $key.expanded_key().sign_randomized(raw, &[], $rng).map_err(broken)?,
            Message::Mu(mu) => $key.expanded_key().sign_mu_randomized(&(*mu).into(), $rng).map_err(broken)?,
            Message::Digest(_) => return Err(Broken),
        }
        .to_bytes()
        .to_vec()
    };
}

macro_rules! ml_dsa_verify {
    ($key:expr, $message:expr, $signature:expr) => {{
        let signature = ml_dsa::Signature::try_from($signature).map_err(broken)?;
        let valid = match $message {
            Message::Raw(raw) => $key.verifying_key().verify_with_context(raw, &[], &signature),
            Message::Mu(mu) => $key.verifying_key().verify_mu(&(*mu).into(), &signature),
            Message::Digest(_) => false,
        };
        if valid { Ok(()) } else { Err(Broken) }
    }};
}

impl Secret {
    /// Signs. The algorithm is one of the key's own.
    pub(crate) fn sign(
        &self,
        algorithm: &str,
        message: Message<'_>,
        rng: &mut Rng<'_>,
    ) -> Result<Vec<u8>, Broken> {
        let digest = || message.digest(algorithm);
        Ok(match self {
            Self::Rsa(key) => match algorithm {
                "RSASSA_PKCS1_V1_5_SHA_256" => {
                    key.sign_with_rng(rng, Pkcs1v15Sign::new::<Sha256>(), &digest())
                }
                "RSASSA_PKCS1_V1_5_SHA_384" => {
                    key.sign_with_rng(rng, Pkcs1v15Sign::new::<Sha384>(), &digest())
                }
                "RSASSA_PKCS1_V1_5_SHA_512" => {
                    key.sign_with_rng(rng, Pkcs1v15Sign::new::<Sha512>(), &digest())
                }
                "RSASSA_PSS_SHA_256" => key.sign_with_rng(rng, Pss::<Sha256>::new(), &digest()),
                "RSASSA_PSS_SHA_384" => key.sign_with_rng(rng, Pss::<Sha384>::new(), &digest()),
                "RSASSA_PSS_SHA_512" => key.sign_with_rng(rng, Pss::<Sha512>::new(), &digest()),
                _ => return Err(Broken),
            }
            .map_err(broken)?,
            Self::P256(key) => ecdsa_sign!(p256, key, rng, &digest()),
            Self::P384(key) => ecdsa_sign!(p384, key, rng, &digest()),
            Self::P521(key) => ecdsa_sign!(p521, key, rng, &digest()),
            Self::K256(key) => ecdsa_sign!(k256, key, rng, &digest()),
            Self::Ed25519(key) => match message {
                Message::Raw(raw) => key.sign(raw).to_bytes().to_vec(),
                _ => {
                    let digest = digest().try_into().map_err(broken)?;
                    key.sign_prehashed(Computed(digest), None).map_err(broken)?.to_bytes().to_vec()
                }
            },
            Self::MlDsa44(key) => ml_dsa_sign!(key, message, rng),
            Self::MlDsa65(key) => ml_dsa_sign!(key, message, rng),
            Self::MlDsa87(key) => ml_dsa_sign!(key, message, rng),
            _ => return Err(Broken),
        })
    }

    /// Checks a signature.
    pub(crate) fn verify(
        &self,
        algorithm: &str,
        message: Message<'_>,
        signature: &[u8],
    ) -> Result<(), Broken> {
        let digest = || message.digest(algorithm);
        match self {
            Self::Rsa(key) => {
                let key = key.as_public_key();
                match algorithm {
                    "RSASSA_PKCS1_V1_5_SHA_256" => {
                        key.verify(Pkcs1v15Sign::new::<Sha256>(), &digest(), signature)
                    }
                    "RSASSA_PKCS1_V1_5_SHA_384" => {
                        key.verify(Pkcs1v15Sign::new::<Sha384>(), &digest(), signature)
                    }
                    "RSASSA_PKCS1_V1_5_SHA_512" => {
                        key.verify(Pkcs1v15Sign::new::<Sha512>(), &digest(), signature)
                    }
                    "RSASSA_PSS_SHA_256" => key.verify(Pss::<Sha256>::new(), &digest(), signature),
                    "RSASSA_PSS_SHA_384" => key.verify(Pss::<Sha384>::new(), &digest(), signature),
                    "RSASSA_PSS_SHA_512" => key.verify(Pss::<Sha512>::new(), &digest(), signature),
                    _ => return Err(Broken),
                }
                .map_err(broken)
            }
            Self::P256(key) => ecdsa_verify!(p256, key, &digest(), signature),
            Self::P384(key) => ecdsa_verify!(p384, key, &digest(), signature),
            Self::P521(key) => ecdsa_verify!(p521, key, &digest(), signature),
            Self::K256(key) => ecdsa_verify!(k256, key, &digest(), signature),
            Self::Ed25519(key) => {
                let signature = ed25519_dalek::Signature::from_slice(signature).map_err(broken)?;
                match message {
                    Message::Raw(raw) => key.verifying_key().verify(raw, &signature).map_err(broken),
                    _ => {
                        let digest = digest().try_into().map_err(broken)?;
                        key.verifying_key()
                            .verify_prehashed(Computed(digest), None, &signature)
                            .map_err(broken)
                    }
                }
            }
            Self::MlDsa44(key) => ml_dsa_verify!(key, message, signature),
            Self::MlDsa65(key) => ml_dsa_verify!(key, message, signature),
            Self::MlDsa87(key) => ml_dsa_verify!(key, message, signature),
            _ => Err(Broken),
        }
    }
}

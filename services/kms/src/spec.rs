//! Key specs: what each kind of key can do.
//!
//! Source: AWS KMS Developer Guide, "Key spec reference"; API Reference, `CreateKey` and `KeyMetadata`.

/// `SYMMETRIC_DEFAULT`, the kind that is made where none is asked for.
pub(crate) const SYMMETRIC: &str = "SYMMETRIC_DEFAULT";
pub(crate) const ENCRYPT: &str = "ENCRYPT_DECRYPT";
pub(crate) const SIGN: &str = "SIGN_VERIFY";
pub(crate) const MAC: &str = "GENERATE_VERIFY_MAC";
pub(crate) const AGREE: &str = "KEY_AGREEMENT";
pub(crate) const ENCAPSULATE: &str = "ENCAPSULATE_DECAPSULATE";

const OAEP: &[&str] = &["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"];
const RSA_SIGN: &[&str] = &[
    "RSASSA_PKCS1_V1_5_SHA_256",
    "RSASSA_PKCS1_V1_5_SHA_384",
    "RSASSA_PKCS1_V1_5_SHA_512",
    "RSASSA_PSS_SHA_256",
    "RSASSA_PSS_SHA_384",
    "RSASSA_PSS_SHA_512",
];

/// The key usages that a spec allows, the default first.
pub(crate) fn usages(spec: &str) -> &'static [&'static str] {
    match spec {
        SYMMETRIC => &[ENCRYPT],
        "RSA_2048" | "RSA_3072" | "RSA_4096" => &[ENCRYPT, SIGN],
        "ECC_NIST_P256" | "ECC_NIST_P384" | "ECC_NIST_P521" => &[SIGN, AGREE],
        "ECC_SECG_P256K1" | "ECC_NIST_EDWARDS25519" | "ML_DSA_44" | "ML_DSA_65" | "ML_DSA_87" => &[SIGN],
        "HMAC_224" | "HMAC_256" | "HMAC_384" | "HMAC_512" => &[MAC],
        "ML_KEM_512" | "ML_KEM_768" | "ML_KEM_1024" => &[ENCAPSULATE],
        _ => &[],
    }
}

/// The algorithms of a key of this spec and usage.
pub(crate) fn algorithms(spec: &str, usage: &str) -> &'static [&'static str] {
    match (usage, spec) {
        (ENCRYPT, SYMMETRIC) => &[SYMMETRIC],
        (ENCRYPT, _) => OAEP,
        (SIGN, "RSA_2048" | "RSA_3072" | "RSA_4096") => RSA_SIGN,
        (SIGN, "ECC_NIST_P256" | "ECC_SECG_P256K1") => &["ECDSA_SHA_256"],
        (SIGN, "ECC_NIST_P384") => &["ECDSA_SHA_384"],
        (SIGN, "ECC_NIST_P521") => &["ECDSA_SHA_512"],
        (SIGN, "ECC_NIST_EDWARDS25519") => &["ED25519_SHA_512", "ED25519_PH_SHA_512"],
        (SIGN, _) => &["ML_DSA_SHAKE_256"],
        (MAC, "HMAC_224") => &["HMAC_SHA_224"],
        (MAC, "HMAC_256") => &["HMAC_SHA_256"],
        (MAC, "HMAC_384") => &["HMAC_SHA_384"],
        (MAC, "HMAC_512") => &["HMAC_SHA_512"],
        (AGREE, _) => &["ECDH"],
        (ENCAPSULATE, _) => &["ML_KEM"],
        _ => &[],
    }
}

/// The operations that a grant on a key of this spec and usage may name.
/// Source: AWS KMS Developer Guide, "Grants in AWS KMS", grant operations.
pub(crate) fn grantable(spec: &str, usage: &str, operation: &str) -> bool {
    match operation {
        "CreateGrant" | "RetireGrant" | "DescribeKey" => true,
        "Encrypt" | "Decrypt" | "ReEncryptFrom" | "ReEncryptTo" => usage == ENCRYPT,
        "GenerateDataKey"
        | "GenerateDataKeyWithoutPlaintext"
        | "GenerateDataKeyPair"
        | "GenerateDataKeyPairWithoutPlaintext" => spec == SYMMETRIC,
        "Sign" | "Verify" => usage == SIGN,
        "GenerateMac" | "VerifyMac" => usage == MAC,
        "DeriveSharedSecret" => usage == AGREE,
        "Encapsulate" | "Decapsulate" => usage == ENCAPSULATE,
        "GetPublicKey" => is_asymmetric(spec),
        _ => false,
    }
}

/// Whether the key has a public half.
pub(crate) fn is_asymmetric(spec: &str) -> bool {
    spec != SYMMETRIC && !spec.starts_with("HMAC_")
}

/// The bytes of a raw secret: symmetric and HMAC keys. `None` for key pairs.
pub(crate) fn secret_bytes(spec: &str) -> Option<usize> {
    Some(match spec {
        SYMMETRIC | "HMAC_256" => 32,
        "HMAC_224" => 28,
        "HMAC_384" => 48,
        "HMAC_512" => 64,
        _ => return None,
    })
}

/// How many bytes the digest of a signing algorithm has.
pub(crate) fn digest_bytes(algorithm: &str) -> usize {
    match algorithm.rsplit('_').next() {
        Some("384") => 48,
        Some("512") => 64,
        _ => 32,
    }
}

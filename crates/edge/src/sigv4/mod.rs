//! Signature Version 4: who signed a request, and whether it is what they signed.
//!
//! Source: IAM User Guide, "AWS Signature Version 4 for API requests"; S3 API Reference, "Authenticating
//! Requests (AWS Signature Version 4)".

pub(crate) mod canonical;
pub(crate) mod claim;
pub(crate) mod flaw;
pub(crate) mod keys;
mod refusal;
pub(crate) mod time;
pub(crate) mod v2;

pub use canonical::{PathStyle, Signable};
pub use claim::{Claim, Scope, V2, V4};
pub use flaw::{Flaw, Mismatch};
pub use refusal::Family;

use cloudlet_service::SecretKey;
use keys::{HmacSha256, hex64, sha256_hex, sign, signing_key};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// How far a request's time may be from ours, in seconds.
pub(crate) const SKEW: i64 = 15 * 60;

/// The hexadecimal SHA-256 of no bytes.
pub(crate) const EMPTY_HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The payload hash of a presigned S3 request that does not name another.
pub(crate) const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

/// Checks the request's time against ours. Errors: skewed, expired, not yet valid.
pub fn check_time(claim: &V4<'_>, now: i64) -> Result<(), Flaw> {
    let written = || claim.timestamp.to_string();
    if !claim.presigned {
        if (now - claim.time).abs() > SKEW {
            return Err(Flaw::Skewed { at: claim.time, written: written(), now });
        }
        return Ok(());
    }
    let expires = claim.expires.unwrap_or(SKEW);
    if claim.time > now + SKEW {
        return Err(Flaw::Early { written: written(), signed: claim.time, now });
    }
    if now > claim.time + expires {
        return Err(Flaw::Expired { written: written(), signed: claim.time, expires, now });
    }
    Ok(())
}

/// Checks that what must be signed is: the host everywhere, and for S3 every `x-amz-` header.
pub fn check_signed_headers(claim: &V4<'_>, request: &Signable<'_>, s3: bool) -> Result<(), Flaw> {
    let signed =
        |name: &str| claim.signed_headers.as_bytes().split(|b| *b == b';').any(|s| s == name.as_bytes());
    if !signed("host") {
        return Err(Flaw::Unsigned("host".to_owned()));
    }
    if !s3 {
        return Ok(());
    }
    let mut unsigned = request.headers.keys().map(http::HeaderName::as_str).filter(|name| {
        // The payload hash is in the canonical request by itself; the agent's name is no one's secret.
        name.starts_with("x-amz-")
            && !matches!(*name, "x-amz-content-sha256" | "x-amz-user-agent" | "x-amz-te")
            && !signed(name)
    });
    match unsigned.next() {
        None => Ok(()),
        Some(first) => Err(Flaw::Unsigned(unsigned.fold(first.to_owned(), |all, name| all + ", " + name))),
    }
}

/// What verified chunks are chained to.
#[derive(Clone)]
pub struct Seed {
    pub(crate) key: HmacSha256,
    pub(crate) timestamp: String,
    pub(crate) scope: String,
    pub(crate) signature: String,
}

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seed").field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// Checks the signature over the request and `payload_hash`. Errors: [`Flaw::Mismatch`], with both sides.
pub fn verify(
    claim: &V4<'_>,
    request: &Signable<'_>,
    payload_hash: &str,
    secret: &SecretKey,
    style: PathStyle,
) -> Result<(), Flaw> {
    let key = signing_key(&claim.access_key_id, secret, claim.scope.as_str());
    let mut canonical = Vec::with_capacity(512);
    canonical::write(&mut canonical, request, &claim.signed_headers, payload_hash, style);
    let text = string_to_sign(claim, &canonical);
    if matches(&claim.signature, &sign(&key, &text)) {
        return Ok(());
    }
    if style == PathStyle::Twice && (request.path.contains("//") || request.path.contains("/.")) {
        return verify(claim, request, payload_hash, secret, PathStyle::TwiceAsSent);
    }
    Err(Flaw::Mismatch(Box::new(Mismatch {
        access_key_id: claim.access_key_id.to_string(),
        string_to_sign: String::from_utf8_lossy(&text).into_owned(),
        canonical_request: String::from_utf8_lossy(&canonical).into_owned(),
        provided: claim.signature.chars().take(256).collect(),
    })))
}

/// What the chunks of a verified request are chained to.
pub fn seed(claim: &V4<'_>, secret: &SecretKey) -> Seed {
    Seed {
        key: signing_key(&claim.access_key_id, secret, claim.scope.as_str()),
        timestamp: claim.timestamp.to_string(),
        scope: claim.scope.as_str().to_owned(),
        signature: claim.signature.to_string(),
    }
}

fn string_to_sign(claim: &V4<'_>, canonical: &[u8]) -> Vec<u8> {
    let digest: [u8; 32] = Sha256::digest(canonical).into();
    let mut text = Vec::with_capacity(192);
    for line in [claim::ALGORITHM.as_bytes(), claim.timestamp.as_bytes(), claim.scope.as_str().as_bytes()] {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text.extend_from_slice(&hex64(&digest));
    text
}

/// Compares a signature as sent with ours, in time that does not depend on where they differ.
pub(crate) fn matches(provided: &str, ours: &[u8; 32]) -> bool {
    provided.as_bytes().ct_eq(hex64(ours).as_slice()).into()
}

/// The hexadecimal hash of a body that has been read.
pub(crate) fn payload_hash(body: &[u8]) -> std::borrow::Cow<'static, str> {
    if body.is_empty() { EMPTY_HASH.into() } else { sha256_hex(body).into() }
}

#[cfg(test)]
mod tests;

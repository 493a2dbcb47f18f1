//! The chain of chunk signatures: each is made over its chunk and the signature before it.

use super::refused;
use crate::sigv4::{self, EMPTY_HASH, Seed, keys};
use cloudlet_service::{BodyError, Error};
use sha2::{Digest, Sha256};

/// Checks chunk after chunk, starting from the signature of the request's head.
pub struct Chain {
    seed: Seed,
    hash: Sha256,
    /// The signature that the current chunk came with.
    claimed: String,
    trailers_verified: bool,
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chain").field("seed", &self.seed).finish_non_exhaustive()
    }
}

impl Chain {
    /// A chain that begins at a verified request.
    pub fn new(seed: Seed) -> Self {
        Self { seed, hash: Sha256::new(), claimed: String::new(), trailers_verified: false }
    }

    pub(super) fn begin(&mut self, signature: &str) {
        self.claimed.clear();
        self.claimed.push_str(signature);
        self.hash = Sha256::new();
    }

    pub(super) fn update(&mut self, data: &[u8]) {
        self.hash.update(data);
    }

    /// Checks the chunk whose data have all come. Errors: `SignatureDoesNotMatch`.
    pub(super) fn verify_chunk(&mut self) -> Result<(), BodyError> {
        let hash: [u8; 32] = std::mem::take(&mut self.hash).finalize().into();
        let tail = [EMPTY_HASH.as_bytes(), b"\n", &keys::hex64(&hash)].concat();
        let claimed = std::mem::take(&mut self.claimed);
        self.verify("AWS4-HMAC-SHA256-PAYLOAD", &tail, claimed)
    }

    /// Checks the signature over all trailers, which are sorted for it.
    pub(super) fn verify_trailers(
        &mut self,
        trailers: &mut [(String, String)],
        claimed: &str,
    ) -> Result<(), BodyError> {
        trailers.sort();
        let text: String = trailers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let tail = keys::sha256_hex(text.as_bytes());
        self.verify("AWS4-HMAC-SHA256-TRAILER", tail.as_bytes(), claimed.to_owned())?;
        self.trailers_verified = true;
        Ok(())
    }

    /// Checks a frame of an event stream: the time that it says, in milliseconds since the epoch, and its content.
    pub(super) fn verify_frame(
        &mut self,
        millis: i64,
        claimed: &[u8],
        content: &[u8],
    ) -> Result<(), BodyError> {
        // The one header that is signed, as a frame encodes it: the length of its name, its name, its type, its value.
        let mut header = b"\x05:date\x08".to_vec();
        header.extend_from_slice(&millis.to_be_bytes());
        self.seed.timestamp = sigv4::time::basic(millis.div_euclid(1000));
        let tail = [keys::sha256_hex(&header), "\n".to_owned(), keys::sha256_hex(content)].concat();
        self.verify("AWS4-HMAC-SHA256-PAYLOAD", tail.as_bytes(), hex::encode(claimed))
    }

    pub(super) fn trailers_verified(&self) -> bool {
        self.trailers_verified
    }

    fn verify(&mut self, algorithm: &str, tail: &[u8], claimed: String) -> Result<(), BodyError> {
        let Seed { timestamp, scope, signature, .. } = &self.seed;
        let mut text = Vec::with_capacity(320);
        for line in [algorithm, timestamp, scope, signature] {
            text.extend_from_slice(line.as_bytes());
            text.push(b'\n');
        }
        text.extend_from_slice(tail);
        if !sigv4::matches(&claimed, &keys::sign(&self.seed.key, &text)) {
            return Err(refused(
                Error::new(
                    "SignatureDoesNotMatch",
                    403,
                    "The request signature we calculated does not match the signature you provided. Check your key \
                     and signing method.",
                )
                .with("StringToSign", String::from_utf8_lossy(&text))
                .with("SignatureProvided", claimed.chars().take(256).collect::<String>()),
            ));
        }
        self.seed.signature = claimed;
        Ok(())
    }
}

//! Sign, Verify.

use super::fit;
use crate::Kms;
use crate::crypto::{Message, Rng};
use crate::errors::{dry_run, internal, validation};
use crate::spec::{self, SIGN};
use cloudlet_api_kms::*;

impl Kms {
    /// Errors: `InvalidKeyUsageException`, `DisabledException`, `KMSInvalidStateException`, `ValidationException`.
    pub async fn sign(&self, cx: &Context, input: SignInput) -> Result<SignOutput, Error> {
        let key = self.key(cx, &input.key_id).await?;
        fit(&key, "Sign", SIGN, Some(&input.signing_algorithm))?;
        let message =
            message(&input.signing_algorithm, input.message_type.as_deref(), input.message.as_ref())?;
        dry_run(input.dry_run)?;
        let (_, secret) = self.current(&key)?;
        let signature =
            secret.sign(&input.signing_algorithm, message, &mut Rng(cx.random())).map_err(internal)?;
        self.note_use(cx, &key, "Sign").await;
        Ok(SignOutput {
            key_id: Some(key.arn()),
            signature: Some(Blob::new(signature)),
            signing_algorithm: Some(input.signing_algorithm),
            ..Default::default()
        })
    }

    /// Errors: as [`Kms::sign`], and `KMSInvalidSignatureException`.
    pub async fn verify(&self, cx: &Context, input: VerifyInput) -> Result<VerifyOutput, Error> {
        let key = self.key(cx, &input.key_id).await?;
        fit(&key, "Verify", SIGN, Some(&input.signing_algorithm))?;
        let message =
            message(&input.signing_algorithm, input.message_type.as_deref(), input.message.as_ref())?;
        dry_run(input.dry_run)?;
        let (_, secret) = self.current(&key)?;
        secret
            .verify(&input.signing_algorithm, message, input.signature.as_ref())
            .map_err(|_| Error::sender("KMSInvalidSignatureException", ""))?;
        self.note_use(cx, &key, "Verify").await;
        Ok(VerifyOutput {
            key_id: Some(key.arn()),
            signature_valid: Some(true),
            signing_algorithm: Some(input.signing_algorithm),
            ..Default::default()
        })
    }
}

/// Source: API Reference, `Sign`, `MessageType`.
fn message<'a>(algorithm: &str, kind: Option<&str>, bytes: &'a [u8]) -> Result<Message<'a>, Error> {
    let wrong =
        |kind: &str| validation(format!("MessageType {kind} is not valid for algorithm {algorithm}."));
    let post_quantum = algorithm == "ML_DSA_SHAKE_256";
    match kind.unwrap_or("RAW") {
        "EXTERNAL_MU" if post_quantum => {
            let mu = bytes.try_into().map_err(|_| {
                validation(format!("Message representative is invalid length for algorithm {algorithm}."))
            })?;
            Ok(Message::Mu(mu))
        }
        kind @ "EXTERNAL_MU" => Err(wrong(kind)),
        kind @ "DIGEST" if post_quantum || algorithm == "ED25519_SHA_512" => Err(wrong(kind)),
        "DIGEST" if bytes.len() == spec::digest_bytes(algorithm) => Ok(Message::Digest(bytes)),
        "DIGEST" => Err(validation(format!("Digest is invalid length for algorithm {algorithm}."))),
        kind if algorithm == "ED25519_PH_SHA_512" => Err(wrong(kind)),
        _ => Ok(Message::Raw(bytes)),
    }
}

//! DeriveSharedSecret, Encapsulate, Decapsulate.

use super::fit;
use crate::Kms;
use crate::crypto::Rng;
use crate::errors::{bad_ciphertext, dry_run, internal, no_recipient, validation};
use crate::spec::{AGREE, ENCAPSULATE};
use cloudlet_api_kms::*;

impl Kms {
    /// Errors: `InvalidKeyUsageException`, `DisabledException`, `KMSInvalidStateException`, `ValidationException` for
    /// a public key that is none of the same curve.
    pub async fn derive_shared_secret(
        &self,
        cx: &Context,
        input: DeriveSharedSecretInput,
    ) -> Result<DeriveSharedSecretOutput, Error> {
        no_recipient(input.recipient.as_ref())?;
        let key = self.key(cx, &input.key_id).await?;
        fit(&key, "DeriveSharedSecret", AGREE, Some(&input.key_agreement_algorithm))?;
        dry_run(input.dry_run)?;
        let (_, secret) = self.current(&key)?;
        let shared = secret.agree(input.public_key.as_ref()).map_err(|_| {
            // AWS says no word more.
            validation("")
        })?;
        self.note_use(cx, &key, "DeriveSharedSecret").await;
        Ok(DeriveSharedSecretOutput {
            key_id: Some(key.arn()),
            shared_secret: Some(Blob::new(shared)),
            key_agreement_algorithm: Some(input.key_agreement_algorithm),
            key_origin: Some(key.origin.clone()),
            ..Default::default()
        })
    }

    /// Errors: `InvalidKeyUsageException`, `DisabledException`, `KMSInvalidStateException`.
    pub async fn encapsulate(
        &self,
        cx: &Context,
        input: EncapsulateInput,
    ) -> Result<EncapsulateOutput, Error> {
        let key = self.key(cx, &input.key_id).await?;
        fit(&key, "Encapsulate", ENCAPSULATE, Some(&input.encapsulation_algorithm))?;
        dry_run(input.dry_run)?;
        let (_, secret) = self.current(&key)?;
        let (ciphertext, shared) = secret.encapsulate(&mut Rng(cx.random())).map_err(internal)?;
        self.note_use(cx, &key, "Encapsulate").await;
        Ok(EncapsulateOutput {
            key_id: Some(key.arn()),
            shared_secret: Some(Blob::new(shared)),
            shared_secret_ciphertext_blob: Some(Blob::new(ciphertext)),
            encapsulation_algorithm: Some(input.encapsulation_algorithm),
            ..Default::default()
        })
    }

    /// Errors: as [`Kms::encapsulate`], and `InvalidCiphertextException`.
    pub async fn decapsulate(
        &self,
        cx: &Context,
        input: DecapsulateInput,
    ) -> Result<DecapsulateOutput, Error> {
        let key = self.key(cx, &input.key_id).await?;
        fit(&key, "Decapsulate", ENCAPSULATE, Some(&input.encapsulation_algorithm))?;
        dry_run(input.dry_run)?;
        let (_, secret) = self.current(&key)?;
        let shared =
            secret.decapsulate(input.shared_secret_ciphertext_blob.as_ref()).map_err(|_| bad_ciphertext())?;
        self.note_use(cx, &key, "Decapsulate").await;
        Ok(DecapsulateOutput {
            key_id: Some(key.arn()),
            shared_secret: Some(Blob::new(shared)),
            encapsulation_algorithm: Some(input.encapsulation_algorithm),
            ..Default::default()
        })
    }
}

//! Data keys and data key pairs: made here, used elsewhere, and given along encrypted.

use super::create::generate;
use super::encrypt::checked_context;
use super::fit;
use crate::Kms;
use crate::crypto::Rng;
use crate::errors::{dry_run, internal, no_recipient, unsupported, validation};
use crate::spec::{ENCRYPT, SYMMETRIC};
use crate::state::KeyRecord;
use cloudlet_api_kms::*;
use std::sync::Arc;

/// What is made, and under which key.
struct Made {
    key: Arc<KeyRecord>,
    plaintext: Vec<u8>,
    ciphertext: Vec<u8>,
    material: Option<String>,
}

struct Pair {
    key: Arc<KeyRecord>,
    private: Vec<u8>,
    sealed: Vec<u8>,
    public: Vec<u8>,
    material: Option<String>,
}

impl Kms {
    /// Errors: `ValidationException`, `InvalidKeyUsageException`, `DisabledException`, `KMSInvalidStateException`.
    pub async fn generate_data_key(
        &self,
        cx: &Context,
        input: GenerateDataKeyInput,
    ) -> Result<GenerateDataKeyOutput, Error> {
        no_recipient(input.recipient.as_ref())?;
        let bytes = size(input.number_of_bytes, input.key_spec.as_deref())?;
        let made = self
            .data_key(cx, "GenerateDataKey", &input.key_id, bytes, input.encryption_context, input.dry_run)
            .await?;
        Ok(GenerateDataKeyOutput {
            ciphertext_blob: Some(Blob::new(made.ciphertext)),
            plaintext: Some(Blob::new(made.plaintext)),
            key_id: Some(made.key.arn()),
            key_material_id: made.material,
            ..Default::default()
        })
    }

    /// Errors: as [`Kms::generate_data_key`].
    pub async fn generate_data_key_without_plaintext(
        &self,
        cx: &Context,
        input: GenerateDataKeyWithoutPlaintextInput,
    ) -> Result<GenerateDataKeyWithoutPlaintextOutput, Error> {
        let bytes = size(input.number_of_bytes, input.key_spec.as_deref())?;
        let made = self
            .data_key(
                cx,
                "GenerateDataKeyWithoutPlaintext",
                &input.key_id,
                bytes,
                input.encryption_context,
                input.dry_run,
            )
            .await?;
        Ok(GenerateDataKeyWithoutPlaintextOutput {
            ciphertext_blob: Some(Blob::new(made.ciphertext)),
            key_id: Some(made.key.arn()),
            key_material_id: made.material,
            ..Default::default()
        })
    }

    /// Errors: as [`Kms::generate_data_key`]; `UnsupportedOperationException`.
    pub async fn generate_data_key_pair(
        &self,
        cx: &Context,
        input: GenerateDataKeyPairInput,
    ) -> Result<GenerateDataKeyPairOutput, Error> {
        no_recipient(input.recipient.as_ref())?;
        let spec = input.key_pair_spec;
        let pair = self
            .pair(cx, "GenerateDataKeyPair", &input.key_id, &spec, input.encryption_context, input.dry_run)
            .await?;
        Ok(GenerateDataKeyPairOutput {
            private_key_ciphertext_blob: Some(Blob::new(pair.sealed)),
            private_key_plaintext: Some(Blob::new(pair.private)),
            public_key: Some(Blob::new(pair.public)),
            key_id: Some(pair.key.arn()),
            key_pair_spec: Some(spec),
            key_material_id: pair.material,
            ..Default::default()
        })
    }

    /// Errors: as [`Kms::generate_data_key_pair`].
    pub async fn generate_data_key_pair_without_plaintext(
        &self,
        cx: &Context,
        input: GenerateDataKeyPairWithoutPlaintextInput,
    ) -> Result<GenerateDataKeyPairWithoutPlaintextOutput, Error> {
        let spec = input.key_pair_spec;
        let pair = self
            .pair(
                cx,
                "GenerateDataKeyPairWithoutPlaintext",
                &input.key_id,
                &spec,
                input.encryption_context,
                input.dry_run,
            )
            .await?;
        Ok(GenerateDataKeyPairWithoutPlaintextOutput {
            private_key_ciphertext_blob: Some(Blob::new(pair.sealed)),
            public_key: Some(Blob::new(pair.public)),
            key_id: Some(pair.key.arn()),
            key_pair_spec: Some(spec),
            key_material_id: pair.material,
            ..Default::default()
        })
    }

    async fn data_key(
        &self,
        cx: &Context,
        operation: &'static str,
        key_id: &str,
        bytes: usize,
        context: Option<BTreeMap<String, String>>,
        asked: Option<bool>,
    ) -> Result<Made, Error> {
        let key = self.key(cx, key_id).await?;
        fit(&key, operation, ENCRYPT, Some(SYMMETRIC))?;
        let context = checked_context(&key, context)?;
        dry_run(asked)?;
        let plaintext = Rng(cx.random()).vec(bytes);
        let (ciphertext, material) = self.seal_for(cx, &key, SYMMETRIC, &context, &plaintext)?;
        self.note_use(cx, &key, operation).await;
        Ok(Made { key, plaintext, ciphertext, material })
    }

    async fn pair(
        &self,
        cx: &Context,
        operation: &'static str,
        key_id: &str,
        spec: &str,
        context: Option<BTreeMap<String, String>>,
        asked: Option<bool>,
    ) -> Result<Pair, Error> {
        let key = self.key(cx, key_id).await?;
        fit(&key, operation, ENCRYPT, Some(SYMMETRIC))?;
        if spec == "SM2" {
            return Err(unsupported("SM2 data key pairs are available in China Regions only."));
        }
        let context = checked_context(&key, context)?;
        dry_run(asked)?;
        let secret = generate(cx, spec).await?;
        let private = secret.to_pkcs8().map_err(internal)?;
        let (sealed, material) = self.seal_for(cx, &key, SYMMETRIC, &context, &private)?;
        self.note_use(cx, &key, operation).await;
        Ok(Pair { key, sealed, public: secret.public().map_err(internal)?, private, material })
    }
}

/// Exactly one of the two says how long the key is.
fn size(bytes: Option<i32>, spec: Option<&str>) -> Result<usize, Error> {
    match (bytes, spec) {
        (Some(bytes), None) => {
            usize::try_from(bytes).map_err(|_| validation("NumberOfBytes must be positive."))
        }
        (None, Some("AES_128")) => Ok(16),
        (None, Some(_)) => Ok(32),
        _ => Err(validation("Please specify either number of bytes or key spec.")),
    }
}

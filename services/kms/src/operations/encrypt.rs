//! Encrypt, Decrypt, ReEncrypt.

use super::fit;
use crate::Kms;
use crate::access::unknown_source;
use crate::crypto::envelope::{self, Head};
use crate::crypto::{Rng, Secret};
use crate::errors::{bad_ciphertext, dry_run, internal, no_ciphertext, no_recipient, validation, wrong_key};
use crate::names::Named;
use crate::spec::{ENCRYPT, SYMMETRIC};
use crate::state::KeyRecord;
use cloudlet_api_kms::*;
use std::sync::Arc;

/// AWS: the longest encryption context, in bytes.
const LONGEST_CONTEXT: usize = 8192;

/// What a decryption gives.
struct Opened {
    key: Arc<KeyRecord>,
    plaintext: Vec<u8>,
    /// Of symmetric keys.
    material: Option<String>,
}

/// What is to be decrypted.
struct Sealed<'a> {
    operation: &'a str,
    ciphertext: Option<&'a [u8]>,
    key_id: Option<&'a str>,
    algorithm: &'a str,
    context: &'a BTreeMap<String, String>,
    dry_run: bool,
    ignore_ciphertext: bool,
}

impl Kms {
    /// Errors: `InvalidKeyUsageException`, `DisabledException`, `KMSInvalidStateException`, `ValidationException`.
    pub async fn encrypt(&self, cx: &Context, input: EncryptInput) -> Result<EncryptOutput, Error> {
        let key = self.key(cx, &input.key_id).await?;
        let algorithm = input.encryption_algorithm.unwrap_or_else(|| SYMMETRIC.to_owned());
        fit(&key, "Encrypt", ENCRYPT, Some(&algorithm))?;
        let context = checked_context(&key, input.encryption_context)?;
        dry_run_after(input.dry_run, || capacity(self, &key, &algorithm, input.plaintext.as_ref().len()))?;
        let (blob, _) = self.seal_for(cx, &key, &algorithm, &context, input.plaintext.as_ref())?;
        self.note_use(cx, &key, "Encrypt").await;
        Ok(EncryptOutput {
            ciphertext_blob: Some(Blob::new(blob)),
            key_id: Some(key.arn()),
            encryption_algorithm: Some(algorithm),
            ..Default::default()
        })
    }

    /// Errors: `InvalidCiphertextException`, `IncorrectKeyException`, `InvalidKeyUsageException`,
    /// `DisabledException`, `KMSInvalidStateException`.
    pub async fn decrypt(&self, cx: &Context, input: DecryptInput) -> Result<DecryptOutput, Error> {
        no_recipient(input.recipient.as_ref())?;
        let algorithm = input.encryption_algorithm.unwrap_or_else(|| SYMMETRIC.to_owned());
        let context = input.encryption_context.unwrap_or_default();
        let sealed = Sealed {
            operation: "Decrypt",
            ciphertext: input.ciphertext_blob.as_ref().map(|blob| blob.as_ref()),
            key_id: input.key_id.as_deref(),
            algorithm: &algorithm,
            context: &context,
            dry_run: input.dry_run.unwrap_or(false),
            ignore_ciphertext: input.dry_run_modifiers.is_some_and(|m| !m.is_empty()),
        };
        let opened = self.unseal_from(cx, &sealed).await?;
        dry_run(input.dry_run)?;
        self.note_use(cx, &opened.key, "Decrypt").await;
        Ok(DecryptOutput {
            key_id: Some(opened.key.arn()),
            plaintext: Some(Blob::new(opened.plaintext)),
            encryption_algorithm: Some(algorithm),
            key_material_id: opened.material,
            ..Default::default()
        })
    }

    /// Errors: as [`Kms::decrypt`] and [`Kms::encrypt`].
    pub async fn re_encrypt(&self, cx: &Context, input: ReEncryptInput) -> Result<ReEncryptOutput, Error> {
        let source_algorithm = input.source_encryption_algorithm.unwrap_or_else(|| SYMMETRIC.to_owned());
        let algorithm = input.destination_encryption_algorithm.unwrap_or_else(|| SYMMETRIC.to_owned());
        let destination = self.key(cx, &input.destination_key_id).await?;
        let context = input.source_encryption_context.unwrap_or_default();
        let sealed = Sealed {
            operation: "ReEncrypt",
            ciphertext: input.ciphertext_blob.as_ref().map(|blob| blob.as_ref()),
            key_id: input.source_key_id.as_deref(),
            algorithm: &source_algorithm,
            context: &context,
            dry_run: input.dry_run.unwrap_or(false),
            ignore_ciphertext: input.dry_run_modifiers.is_some_and(|m| !m.is_empty()),
        };
        let opened = self.unseal_from(cx, &sealed).await?;
        fit(&destination, "ReEncrypt", ENCRYPT, Some(&algorithm))?;
        let context = checked_context(&destination, input.destination_encryption_context)?;
        dry_run(input.dry_run)?;
        let (blob, material) = self.seal_for(cx, &destination, &algorithm, &context, &opened.plaintext)?;
        self.note_use(cx, &opened.key, "ReEncrypt").await;
        self.note_use(cx, &destination, "ReEncrypt").await;
        Ok(ReEncryptOutput {
            ciphertext_blob: Some(Blob::new(blob)),
            source_key_id: Some(opened.key.arn()),
            key_id: Some(destination.arn()),
            source_encryption_algorithm: Some(source_algorithm),
            destination_encryption_algorithm: Some(algorithm),
            source_key_material_id: opened.material,
            destination_key_material_id: material,
            ..Default::default()
        })
    }

    /// Encrypts with what a key encrypts with now: the ciphertext, and the material of a symmetric key.
    pub(super) fn seal_for(
        &self,
        cx: &Context,
        key: &KeyRecord,
        algorithm: &str,
        context: &BTreeMap<String, String>,
        plaintext: &[u8],
    ) -> Result<(Vec<u8>, Option<String>), Error> {
        let (material, secret) = self.current(key)?;
        let mut rng = Rng(cx.random());
        if let Secret::Symmetric(bytes) = &*secret {
            let head =
                Head { account: key.account.clone(), key_id: key.id.clone(), material_id: material.clone() };
            let sealed = envelope::encrypt(&head, bytes, context, plaintext, &rng).map_err(internal)?;
            return Ok((sealed, Some(material)));
        }
        capacity(self, key, algorithm, plaintext.len())?;
        Ok((secret.oaep_encrypt(algorithm, plaintext, &mut rng).map_err(internal)?, None))
    }

    async fn unseal_from(&self, cx: &Context, sealed: &Sealed<'_>) -> Result<Opened, Error> {
        let ignore = sealed.dry_run && sealed.ignore_ciphertext;
        let named = match sealed.key_id {
            Some(id) => {
                let ciphertext = sealed.ciphertext.filter(|_| !ignore);
                Some(self.find(cx, &Named::parse_source(cx, id, ciphertext)?).await?)
            }
            None => None,
        };
        let Some(ciphertext) = sealed.ciphertext.filter(|_| !ignore) else {
            let key = named.filter(|_| ignore);
            let key = key.ok_or_else(no_ciphertext)?;
            fit(&key, sealed.operation, ENCRYPT, Some(sealed.algorithm))?;
            return Ok(Opened { key, plaintext: Vec::new(), material: None });
        };
        let Some(head) = envelope::head(ciphertext) else {
            // Without a head it is an asymmetric key's, which must be named.
            let key = named.ok_or_else(bad_ciphertext)?;
            fit(&key, sealed.operation, ENCRYPT, Some(sealed.algorithm))?;
            if key.is_symmetric() {
                return Err(bad_ciphertext());
            }
            let (_, secret) = self.current(&key)?;
            let plaintext = secret.oaep_decrypt(sealed.algorithm, ciphertext, &mut Rng(cx.random()));
            return Ok(Opened { plaintext: plaintext.map_err(|_| bad_ciphertext())?, key, material: None });
        };
        let key = match named {
            Some(key) if key.id != head.key_id || key.account != head.account => return Err(wrong_key()),
            Some(key) => key,
            None => self
                .load(cx.millis(), &head.account, &cx.region, &head.key_id)
                .await?
                .ok_or_else(|| unknown_source(cx, "kms:Decrypt"))?,
        };
        fit(&key, sealed.operation, ENCRYPT, Some(sealed.algorithm))?;
        let materials = self.materials(&key)?;
        let material = materials.get(&head.material_id).ok_or_else(bad_ciphertext)?;
        let secret = self.open(&key, &materials, material)?;
        let Secret::Symmetric(bytes) = &*secret else { return Err(bad_ciphertext()) };
        let plaintext = envelope::decrypt(bytes, sealed.context, ciphertext).map_err(|_| bad_ciphertext())?;
        Ok(Opened { key, plaintext, material: Some(head.material_id) })
    }
}

/// The encryption context of a request, as far as the key has one.
pub(super) fn checked_context(
    key: &KeyRecord,
    context: Option<BTreeMap<String, String>>,
) -> Result<BTreeMap<String, String>, Error> {
    let context = context.unwrap_or_default();
    if !context.is_empty() && !key.is_symmetric() {
        return Err(validation("EncryptionContext is only supported for symmetric encryption keys."));
    }
    let len: usize = context.iter().map(|(name, value)| name.len() + value.len()).sum();
    if len > LONGEST_CONTEXT {
        return Err(validation("The encryption context is longer than 8192 bytes."));
    }
    Ok(context)
}

/// Runs the last checks, then ends a dry run.
fn dry_run_after(asked: Option<bool>, checks: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
    if asked == Some(true) {
        checks()?;
    }
    dry_run(asked)
}

/// Refuses what does not fit into one RSA block.
fn capacity(kms: &Kms, key: &KeyRecord, algorithm: &str, len: usize) -> Result<(), Error> {
    let (_, secret) = kms.current(key)?;
    match secret.oaep_capacity(algorithm) {
        Some(most) if len > most => Err(validation(format!(
            "Algorithm {algorithm} and key spec {} cannot encrypt data larger than {most} bytes.",
            key.spec
        ))),
        _ => Ok(()),
    }
}

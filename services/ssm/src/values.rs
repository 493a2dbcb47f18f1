//! Values at rest: SecureStrings are sealed by KMS with the caller's permissions.
//!
//! Source: User Guide, "AWS KMS encryption for AWS Systems Manager Parameter Store SecureString parameters".

use crate::Ssm;
use crate::errors::kms as refused;
use crate::kinds::ADVANCED_TIER;
use crate::state::{Value, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloudlet_api_kms as kms;
use cloudlet_api_ssm::{BTreeMap, Blob, Context, Error};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

/// The key where a parameter names none.
pub(crate) const DEFAULT_KEY: &str = "alias/aws/ssm";

/// The service's principal.
const PRINCIPAL: &str = "ssm.amazonaws.com";

/// What AWS binds the ciphertext to.
fn context(arn: &str) -> Option<BTreeMap<String, String>> {
    Some(BTreeMap::from([("PARAMETER_ARN".to_owned(), arn.to_owned())]))
}

impl Ssm {
    /// Seals a SecureString. Errors: `InvalidKeyId`, `AccessDeniedException`.
    pub(crate) async fn seal(
        &self,
        cx: &Context,
        arn: &str,
        key_id: &str,
        tier: &str,
        plain: &str,
    ) -> Result<Value, Error> {
        let there = cx.through(PRINCIPAL);
        if tier != ADVANCED_TIER {
            let input = kms::EncryptInput {
                key_id: key_id.to_owned(),
                plaintext: Blob::new(plain),
                encryption_context: context(arn),
                ..Default::default()
            };
            let sealed = cx.cloud.call::<kms::operations::Encrypt>(&there, input).await;
            let sealed = sealed.map_err(|error| refused(&error))?.ciphertext_blob;
            return Ok(Value::Sealed(sealed.map(Blob::into_inner).unwrap_or_default()));
        }
        let input = kms::GenerateDataKeyInput {
            key_id: key_id.to_owned(),
            key_spec: Some("AES_256".to_owned()),
            encryption_context: context(arn),
            ..Default::default()
        };
        let made = cx.cloud.call::<kms::operations::GenerateDataKey>(&there, input).await;
        let made = made.map_err(|error| refused(&error))?;
        let mut nonce = [0; 12];
        cx.random().fill(&mut nonce);
        let mut body = plain.as_bytes().to_vec();
        cipher(made.plaintext.as_ref().map(|key| key.as_ref()).unwrap_or_default())?
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut body)
            .map_err(|_| Error::internal("a value could not be sealed"))?;
        Ok(Value::Enveloped {
            data_key: made.ciphertext_blob.map(Blob::into_inner).unwrap_or_default(),
            body: [&nonce[..], &body].concat(),
        })
    }

    /// A value as a request wants it: opened, or as the ciphertext it is.
    ///
    /// Errors: `InvalidKeyId`, `AccessDeniedException`.
    pub(crate) async fn shown_value(
        &self,
        cx: &Context,
        arn: &str,
        version: &Version,
        decrypt: bool,
    ) -> Result<String, Error> {
        match &version.value {
            Value::Plain(text) => Ok(text.clone()),
            Value::Sealed(blob) if decrypt => text(self.decrypt(cx, arn, blob).await?),
            Value::Sealed(blob) => Ok(STANDARD.encode(blob)),
            Value::Enveloped { data_key, body } if decrypt => {
                let key = self.decrypt(cx, arn, data_key).await?;
                let broken = || Error::internal("a stored value does not open");
                let (nonce, sealed) = body.split_at_checked(12).ok_or_else(broken)?;
                let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| broken())?;
                let mut sealed = sealed.to_vec();
                let opened = cipher(&key)?.open_in_place(nonce, Aad::empty(), &mut sealed);
                text(opened.map_err(|_| broken())?.to_vec())
            }
            Value::Enveloped { data_key, body } => {
                Ok(STANDARD.encode([data_key.as_slice(), body.as_slice()].concat()))
            }
        }
    }

    async fn decrypt(&self, cx: &Context, arn: &str, blob: &[u8]) -> Result<Vec<u8>, Error> {
        let input = kms::DecryptInput {
            ciphertext_blob: Some(Blob::new(blob)),
            encryption_context: context(arn),
            ..Default::default()
        };
        let there = cx.through(PRINCIPAL);
        let opened = cx.cloud.call::<kms::operations::Decrypt>(&there, input).await;
        let plain = opened.map_err(|error| refused(&error))?.plaintext;
        Ok(plain.map(Blob::into_inner).unwrap_or_default())
    }
}

fn text(bytes: Vec<u8>) -> Result<String, Error> {
    String::from_utf8(bytes).map_err(|_| Error::internal("a stored value is no text"))
}

fn cipher(key: &[u8]) -> Result<LessSafeKey, Error> {
    let unbound = UnboundKey::new(&AES_256_GCM, key).map_err(|_| Error::internal("KMS gave no AES key"))?;
    Ok(LessSafeKey::new(unbound))
}

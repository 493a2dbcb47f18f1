//! Values at rest: each version's value is sealed with a data key of its own, which KMS gives and opens with the
//! caller's permissions. Source: User Guide, "Secret encryption and decryption in AWS Secrets Manager".

use crate::errors::{decryption, encryption, no_version, stored};
use crate::state::{Secret, Value};
use crate::{PRINCIPAL, SecretsManager};
use cloudlet_api_kms as kms;
use cloudlet_api_secretsmanager::{BTreeMap, Blob, Context, Error};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

/// The key where a secret names none.
const DEFAULT_KEY: &str = "alias/aws/secretsmanager";

/// AWS: the longest value, in bytes.
const LONGEST: usize = 65_536;

/// A value as callers bring and get it. It never prints.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Plain {
    Text(String),
    Binary(Vec<u8>),
}

impl Plain {
    /// The one of the two that a request brings; `None` for neither.
    pub(crate) fn of(
        text: Option<String>,
        binary: Option<Blob>,
        both: impl FnOnce() -> Error,
    ) -> Result<Option<Self>, Error> {
        match (text, binary) {
            (Some(_), Some(_)) => Err(both()),
            // The model counts characters, the service bytes.
            (Some(text), None) if text.len() > LONGEST => Err(Error::validation(format!(
                "1 validation error detected: Value at 'secretString' failed to satisfy constraint: Member must have \
                 length less than or equal to {LONGEST}"
            ))),
            (Some(text), None) => Ok(Some(Self::Text(text))),
            (None, Some(binary)) => Ok(Some(Self::Binary(binary.into_inner()))),
            (None, None) => Ok(None),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    pub(crate) fn same(&self, other: &Self) -> bool {
        matches!(self, Self::Text(_)) == matches!(other, Self::Text(_))
            && bool::from(subtle::ConstantTimeEq::ct_eq(self.bytes(), other.bytes()))
    }
}

/// The key of a secret; by its ARN where another account's secret is written.
fn key_of(cx: &Context, secret: &Secret) -> String {
    let key = secret.kms_key.clone().unwrap_or_else(|| DEFAULT_KEY.to_owned());
    if secret.account == *cx.account || key.starts_with("arn:") {
        return key;
    }
    let kind = if key.starts_with("alias/") { "" } else { "key/" };
    format!("arn:{}:kms:{}:{}:{kind}{key}", secret.partition, secret.region, secret.account)
}

/// What AWS binds a data key to.
fn context(secret: &Secret, version: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("SecretARN".to_owned(), secret.arn()),
        ("SecretVersionId".to_owned(), version.to_owned()),
    ])
}

impl SecretsManager {
    /// Seals a value for a version, with the key that the secret names.
    ///
    /// Errors: `EncryptionFailure`, `AccessDeniedException`.
    pub(crate) async fn seal(
        &self,
        cx: &Context,
        secret: &Secret,
        version: &str,
        plain: &Plain,
    ) -> Result<Value, Error> {
        let there = cx.located(&cx.account, &secret.region).through(PRINCIPAL);
        let input = kms::GenerateDataKeyInput {
            key_id: key_of(cx, secret),
            key_spec: Some("AES_256".to_owned()),
            encryption_context: Some(context(secret, version)),
            ..Default::default()
        };
        let made = cx.cloud.call::<kms::operations::GenerateDataKey>(&there, input).await;
        let made = made.map_err(|error| encryption(&error))?;
        let key = made.plaintext.unwrap_or_else(|| Blob::new(Vec::new()));
        let mut nonce = [0; 12];
        cx.random().fill(&mut nonce);
        let mut sealed = plain.bytes().to_vec();
        cipher(key.as_ref())?
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed)
            .map_err(|_| Error::internal("a value could not be sealed"))?;
        Ok(Value {
            data_key: made.ciphertext_blob.map(Blob::into_inner).unwrap_or_default(),
            body: [&nonce[..], &sealed].concat(),
            binary: matches!(plain, Plain::Binary(_)),
        })
    }

    /// The value of a version.
    ///
    /// Errors: `DecryptionFailure`, `AccessDeniedException`, `ResourceNotFoundException`.
    pub(crate) async fn open(&self, cx: &Context, secret: &Secret, version: &str) -> Result<Plain, Error> {
        let found = self.store.table::<Value>().get(&secret.value_place(version)).map_err(stored)?;
        let value = found.ok_or_else(|| no_version(version))?;
        let there = cx.located(&cx.account, &secret.region).through(PRINCIPAL);
        let input = kms::DecryptInput {
            ciphertext_blob: Some(Blob::new(value.data_key)),
            encryption_context: Some(context(secret, version)),
            ..Default::default()
        };
        let opened = cx.cloud.call::<kms::operations::Decrypt>(&there, input).await;
        let key = opened.map_err(|error| decryption(&error))?.plaintext;
        let broken = || Error::internal("a stored value does not open").with_code("InternalServiceError");
        let (nonce, body) = value.body.split_at_checked(12).ok_or_else(broken)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| broken())?;
        let mut body = body.to_vec();
        let key = cipher(key.as_ref().map(|key| key.as_ref()).unwrap_or_default())?;
        let plain = key.open_in_place(nonce, Aad::empty(), &mut body).map_err(|_| broken())?;
        if value.binary {
            return Ok(Plain::Binary(plain.to_vec()));
        }
        String::from_utf8(plain.to_vec()).map(Plain::Text).map_err(|_| broken())
    }
}

fn cipher(key: &[u8]) -> Result<LessSafeKey, Error> {
    let unbound = UnboundKey::new(&AES_256_GCM, key).map_err(|_| Error::internal("KMS gave no AES key"))?;
    Ok(LessSafeKey::new(unbound))
}

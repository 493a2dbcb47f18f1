//! SSE-KMS: every object under a data key of its own, which KMS makes, encrypts and, for each read, decrypts again, as
//! the caller and under the key's own policy.
//!
//! What is kept beside the object is the encrypted data key and its encryption context; the bytes are encrypted as
//! those of SSE-C are. With a bucket key the context names the bucket instead of the object. Under DSSE a second layer
//! lies over the first, with a key of S3's own that KMS never sees.
//! Source: S3 User Guide, "Using server-side encryption with AWS KMS keys (SSE-KMS)".

use crate::S3;
use crate::encryption::{Cipher, Given, KeyHeaders, check_server_side};
use crate::errors::{Result, access_denied, internal, invalid_argument};
use crate::operations::ENCRYPTION;
use crate::public;
use crate::state::{Bucket, CustomerKey, KmsSeal};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloudlet_api_kms::{Blob, DecryptInput, GenerateDataKeyInput, operations as kms};
use cloudlet_api_s3 as api;
use cloudlet_service::{Arn, Context, Error, Principal};
use std::collections::BTreeMap;

/// The key that is taken where none is named.
const MANAGED: &str = "alias/aws/s3";

/// The entry of the encryption context that S3 adds.
const CONTEXT: &str = "aws:s3:arn";

/// The secret of the store that holds S3's own key.
const SECOND_LAYER: &str = "s3-second-layer";

/// What a write says of encryption.
pub(crate) struct Asked<'a> {
    pub(crate) algorithm: Option<&'a str>,
    pub(crate) key: Option<&'a str>,
    pub(crate) context: Option<&'a str>,
    pub(crate) bucket_key: Option<bool>,
    pub(crate) customer: KeyHeaders<'a>,
}

/// The members of a write's input as [`Asked`].
macro_rules! asked_encryption {
    ($input:expr) => {
        $crate::kms::Asked {
            algorithm: $input.server_side_encryption.as_deref(),
            key: $input.ssekms_key_id.as_deref(),
            context: $input.ssekms_encryption_context.as_deref(),
            bucket_key: $input.bucket_key_enabled,
            customer: $crate::encryption::customer_key!($input),
        }
    };
}
pub(crate) use asked_encryption;

/// Says in an answer how the object is encrypted.
macro_rules! show_encryption {
    ($output:expr, $stored:expr) => {
        match (&$stored.customer_key, &$stored.kms) {
            (Some(key), _) => {
                $output.sse_customer_algorithm = Some("AES256".to_owned());
                $output.sse_customer_key_md5 = Some(key.md5.clone());
            }
            (None, Some(seal)) => {
                $output.server_side_encryption = Some(seal.algorithm().to_owned());
                $output.ssekms_key_id = Some(seal.key.clone());
                $output.bucket_key_enabled = seal.bucket_key.then_some(true);
            }
            (None, None) => $output.server_side_encryption = Some("AES256".to_owned()),
        }
    };
}
pub(crate) use show_encryption;

/// How new bytes are encrypted at rest.
pub(crate) enum Sealing {
    /// As all of the data directory is: SSE-S3.
    Plain,
    Customer(Given),
    Kms {
        seal: KmsSeal,
        key: [u8; 32],
        /// S3's own key for the second layer of DSSE.
        outer: Option<[u8; 32]>,
    },
}

impl Sealing {
    /// A cipher for new bytes.
    pub(crate) fn cipher(&self, cx: &Context) -> Option<Cipher> {
        match self {
            Self::Plain => None,
            Self::Customer(given) => Some(given.cipher(cx)),
            Self::Kms { key, outer: Some(outer), .. } => Some(Cipher::twice(cx, *key, *outer)),
            Self::Kms { key, .. } => Some(Cipher::new(cx, *key)),
        }
    }

    /// Whether the entity tag says nothing of the bytes.
    pub(crate) fn hides_md5(&self) -> bool {
        !matches!(self, Self::Plain)
    }

    /// What is kept of a customer's key.
    pub(crate) fn customer_key(&self, cx: &Context) -> Option<CustomerKey> {
        match self {
            Self::Customer(given) => Some(given.remember(cx)),
            _ => None,
        }
    }

    /// What is kept of KMS's.
    pub(crate) fn kms(&self) -> Option<KmsSeal> {
        match self {
            Self::Kms { seal, .. } => Some(seal.clone()),
            _ => None,
        }
    }
}

impl KmsSeal {
    /// As `x-amz-server-side-encryption` names it.
    pub(crate) fn algorithm(&self) -> &'static str {
        if self.dual { "aws:kms:dsse" } else { "aws:kms" }
    }
}

/// Source: S3 User Guide, "Blocking or unblocking SSE-C for a general purpose bucket".
fn blocks_customer_keys(rule: &api::ServerSideEncryptionRule) -> bool {
    let blocked = rule.blocked_encryption_types.as_ref().and_then(|b| b.encryption_type.as_ref());
    blocked.is_some_and(|types| types.iter().any(|t| t == "SSE-C"))
}

impl S3 {
    /// How the bytes of a write are encrypted, by what it says or by the bucket's default.
    /// Errors: `InvalidArgument`, `AccessDenied`, KMS's own as `KMS.…`.
    pub(crate) async fn sealing(
        &self,
        cx: &Context,
        bucket: &Bucket,
        object: &str,
        asked: &Asked<'_>,
    ) -> Result<Sealing, Error> {
        let default = self.default_encryption(bucket)?;
        // Keys are not even looked at where the bucket takes none.
        if asked.customer.algorithm.is_some() && default.as_ref().is_some_and(blocks_customer_keys) {
            return Err(public::prevented_keys(cx, bucket, object));
        }
        let customer = asked.customer.read()?;
        check_server_side(asked.algorithm, asked.key.or(asked.context), customer.is_some())?;
        if let Some(customer) = customer {
            return Ok(Sealing::Customer(customer));
        }
        let by_default = default.as_ref().and_then(|d| d.apply_server_side_encryption_by_default.as_ref());
        let algorithm = asked.algorithm.or(by_default.map(|d| d.sse_algorithm.as_str())).unwrap_or("AES256");
        if !matches!(algorithm, "aws:kms" | "aws:kms:dsse") {
            return Ok(Sealing::Plain);
        }
        let inherited = by_default.filter(|_| asked.algorithm.is_none());
        let key = asked.key.or(inherited.and_then(|d| d.kms_master_key_id.as_deref())).unwrap_or(MANAGED);
        let dual = algorithm == "aws:kms:dsse";
        let bucket_key = asked.bucket_key.or(default.as_ref().and_then(|d| d.bucket_key_enabled));
        let wish = Wish { key, dual, context: asked.context, bucket_key: bucket_key == Some(true) && !dual };
        self.seal(cx, bucket, object, &wish).await
    }

    /// Whether the bucket takes no objects under keys of customers (SSE-C).
    pub(crate) fn blocks_customer_keys(&self, bucket: &Bucket) -> Result<bool> {
        Ok(self.default_encryption(bucket)?.as_ref().is_some_and(blocks_customer_keys))
    }

    /// The bucket's own rule, where it has one.
    fn default_encryption(&self, bucket: &Bucket) -> Result<Option<api::ServerSideEncryptionRule>> {
        let stored = self.config::<api::ServerSideEncryptionConfiguration>(bucket, &ENCRYPTION, "")?;
        Ok(stored.and_then(|s| s.rules.into_iter().next()))
    }

    /// A fresh data key. Errors: as [`S3::sealing`].
    pub(crate) async fn seal(
        &self,
        cx: &Context,
        bucket: &Bucket,
        object: &str,
        wish: &Wish<'_>,
    ) -> Result<Sealing, Error> {
        if cx.cloud.service("kms").is_none() {
            return Err(Error::not_implemented_part(
                "s3 with aws:kms where KMS is not served; use AES256 or SSE-C",
            ));
        }
        signed(cx)?;
        if let Some(arn) = Arn::parse(wish.key).filter(|arn| arn.region != bucket.region) {
            return Err(Error::sender("KMS.NotFoundException", format!("Invalid arn {}", arn.region)));
        }
        let mut context = match wish.context {
            None => BTreeMap::new(),
            Some(text) => encryption_context(text)?,
        };
        let arn = if wish.bucket_key { bucket.arn() } else { format!("{}/{object}", bucket.arn()) };
        context.entry(CONTEXT.to_owned()).or_insert(arn);
        let input = GenerateDataKeyInput {
            key_id: wish.key.to_owned(),
            key_spec: Some("AES_256".to_owned()),
            encryption_context: Some(context.clone()),
            ..Default::default()
        };
        let cx = asking(cx, &bucket.region);
        let made = cx.cloud.call::<kms::GenerateDataKey>(&cx, input).await.map_err(refused)?;
        let seal = KmsSeal {
            key: made.key_id.unwrap_or_default(),
            dual: wish.dual,
            second: wish.dual,
            given: wish.context.map(str::to_owned),
            context,
            sealed: made.ciphertext_blob.map(Blob::into_inner).unwrap_or_default(),
            bucket_key: wish.bucket_key,
        };
        let outer = if wish.dual { Some(self.second_layer(&cx)?) } else { None };
        Ok(Sealing::Kms { seal, key: data_key(made.plaintext)?, outer })
    }

    /// S3's own key for the second layer of DSSE, made when it is first needed.
    fn second_layer(&self, cx: &Context) -> Result<[u8; 32]> {
        if let Some(key) = self.second_layer.get() {
            return Ok(*key);
        }
        let make = || {
            let mut key = vec![0u8; 32];
            cx.random().fill(&mut key);
            key
        };
        let key = self.store.secret(SECOND_LAYER, make)?;
        let key = key.try_into().map_err(|_| internal("S3's key for the second layer has another length"))?;
        Ok(*self.second_layer.get_or_init(|| key))
    }

    /// The cipher of bytes that KMS keeps the key of. Errors: `AccessDenied`, KMS's own as `KMS.…`.
    pub(crate) async fn open_seal(&self, cx: &Context, seal: &KmsSeal) -> Result<Cipher, Error> {
        signed(cx)?;
        let region = Arn::parse(&seal.key).map(|arn| arn.region.to_owned()).unwrap_or_default();
        let input = DecryptInput {
            ciphertext_blob: Some(Blob::new(seal.sealed.clone())),
            key_id: Some(seal.key.clone()),
            encryption_context: Some(seal.context.clone()),
            ..Default::default()
        };
        let asking = asking(cx, &region);
        let opened = cx.cloud.call::<kms::Decrypt>(&asking, input).await.map_err(refused)?;
        let key = data_key(opened.plaintext)?;
        Ok(if seal.second { Cipher::twice(cx, key, self.second_layer(cx)?) } else { Cipher::new(cx, key) })
    }
}

/// A data key that is wanted.
pub(crate) struct Wish<'a> {
    pub(crate) key: &'a str,
    pub(crate) dual: bool,
    pub(crate) context: Option<&'a str>,
    pub(crate) bucket_key: bool,
}

/// The caller, asking KMS through S3.
fn asking(cx: &Context, region: &str) -> Context {
    let account = crate::names::caller(cx).to_owned();
    let account = if account.is_empty() { cx.account.to_string() } else { account };
    cx.located(&account, region).through("s3.amazonaws.com")
}

/// KMS asks for an identity. Errors: `InvalidArgument`.
pub(crate) fn signed(cx: &Context) -> Result<(), Error> {
    if !matches!(cx.principal, Principal::Anonymous) {
        return Ok(());
    }
    let message = "Requests specifying Server Side Encryption with AWS KMS managed keys require AWS Signature Version 4.";
    Err(invalid_argument(message, "Authorization", "null"))
}

fn data_key(plaintext: Option<Blob>) -> Result<[u8; 32], Error> {
    let bytes = plaintext.map(Blob::into_inner).unwrap_or_default();
    bytes.try_into().map_err(|_| internal("KMS gave a data key of another length"))
}

/// KMS's refusals in S3's words.
fn refused(error: Error) -> Error {
    match error.code() {
        "AccessDenied" | "AccessDeniedException" => match error.message() {
            "" => access_denied(),
            message => Error::new("AccessDenied", 403, message.to_owned()),
        },
        _ if error.status() >= 500 => internal(error),
        code => Error::sender(format!("KMS.{code}"), error.message().to_owned()),
    }
}

/// `x-amz-server-side-encryption-context`. Errors: `InvalidArgument`.
fn encryption_context(text: &str) -> Result<BTreeMap<String, String>, Error> {
    let read = STANDARD.decode(text).ok().and_then(|json| serde_json::from_slice(&json).ok());
    read.ok_or_else(|| {
        invalid_argument(
            "The header 'x-amz-server-side-encryption-context' shall be Base64-encoded UTF-8 string holding JSON which \
             represents a string-string map",
            "x-amz-server-side-encryption-context",
            text,
        )
    })
}

//! UpdateObjectEncryption: an object that is there, encrypted anew under a key of KMS.
//!
//! Where S3 wraps the data key anew, the bytes are written again here, because what SSE-S3 keeps in plain must be
//! encrypted from now on. Nothing else about the object changes.
//! Source: S3 API Reference, UpdateObjectEncryption, whose words the refusals are.

use crate::S3;
use crate::access::charged;
use crate::content::{self, Received};
use crate::encryption::Cipher;
use crate::errors::{Result, conflicting_operation, invalid_request};
use crate::kms::{Sealing, Wish, signed};
use crate::operations::put::MOST_AT_ONCE;
use crate::state::{Body, Bucket, Layout, LayoutPart, Version};
use crate::versions::{self, Which};
use cloudlet_api_s3 as api;
use cloudlet_service::{Arn, Context, Error};
use cloudlet_store::Tx;

/// The bytes of an object under another key, before they are its own.
enum Resealed {
    Empty,
    One(Received),
    /// Each part with its new bytes; none where it is empty.
    Many(Vec<(LayoutPart, Option<Received>)>),
}

impl Resealed {
    fn place(&self, tx: &mut Tx<'_>) -> Result<Body> {
        Ok(match self {
            Self::Empty => Body::Empty,
            Self::One(received) => received.place(tx)?,
            Self::Many(parts) => {
                let mut layout = Layout { parts: Vec::with_capacity(parts.len()) };
                for (part, received) in parts {
                    let piece = match received {
                        Some(received) => received.piece(tx)?,
                        None => None,
                    };
                    layout.parts.push(LayoutPart { piece, ..part.clone() });
                }
                Body::Many(content::put_layout(tx, &layout)?)
            }
        })
    }

    fn keep(&mut self) {
        match self {
            Self::Empty => {}
            Self::One(received) => received.keep(),
            Self::Many(parts) => parts.iter_mut().filter_map(|(_, r)| r.as_mut()).for_each(Received::keep),
        }
    }
}

impl S3 {
    /// Changes the encryption of an object to SSE-KMS, or to another key of it.
    ///
    /// Errors: `NoSuchKey`, `NoSuchVersion`, `MethodNotAllowed`, `InvalidRequest`, `AccessDenied`, KMS's own as `KMS.…`.
    pub async fn update_object_encryption(
        &self,
        cx: &Context,
        input: api::UpdateObjectEncryptionInput,
    ) -> Result<api::UpdateObjectEncryptionOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        signed(cx).map_err(|_| {
            invalid_request(
                "Requests that modify an object encryption configuration require AWS Signature Version 4. Modify the \
                 request to use AWS Signature Version 4, and then try again.",
            )
        })?;
        let api::ObjectEncryption::SSEKMS(wanted) = input.object_encryption else {
            return Err(invalid_request(
                "Requests that modify an object encryption configuration require a valid new encryption type. Valid \
                 values are SSEKMS. Modify the request to specify SSE-KMS for the updated encryption type, and then try \
                 again.",
            ));
        };
        if Arn::parse(&wanted.kms_key_arn).is_none_or(|arn| arn.account != bucket.owner) {
            let message = "The AWS KMS key in the request must be owned by the same account as the bucket. Modify the \
                           request to specify a KMS key from the same account, and then try again.";
            return Err(Error::new("AccessDenied", 403, message));
        }
        let wish = Wish {
            key: &wanted.kms_key_arn,
            dual: false,
            context: None,
            bucket_key: wanted.bucket_key_enabled == Some(true),
        };
        let version = input.version_id.as_deref();
        let which = Which::parse(version)?;
        for _ in 0..4 {
            let found = self.existing(cx, &bucket, &input.key, version, "PUT")?;
            check(cx, &found)?;
            let old = match &found.kms {
                Some(seal) => Some(self.open_seal(cx, seal).await?),
                None => None,
            };
            let sealing = self.seal(cx, &bucket, &input.key, &wish).await?;
            let Some(mut resealed) = self.reseal_body(cx, &found, old.as_ref(), &sealing).await? else {
                continue;
            };
            let done = {
                let resealed = &resealed;
                let change = |tx: &mut Tx<'_>| {
                    self.replace(tx, &bucket, &input.key, which, &found, resealed, &sealing)
                };
                self.store.transact(change).await?
            };
            if done {
                resealed.keep();
                return Ok(api::UpdateObjectEncryptionOutput { request_charged: charged(cx, &bucket) });
            }
        }
        Err(conflicting_operation())
    }

    /// The bytes under the new key. `None`: the object was replaced meanwhile.
    async fn reseal_body(
        &self,
        cx: &Context,
        version: &Version,
        old: Option<&Cipher>,
        sealing: &Sealing,
    ) -> Result<Option<Resealed>> {
        let Body::Many(id) = &version.body else {
            if version.body == Body::Empty {
                return Ok(Some(Resealed::Empty));
            }
            let received = self.reseal_bytes(cx, &version.body, version.size, old, sealing).await?;
            return Ok(received.map(Resealed::One));
        };
        let Some(layout) = self.store.table::<Layout>().get(&Layout::key(*id))? else { return Ok(None) };
        let mut parts = Vec::with_capacity(layout.parts.len());
        for part in layout.parts {
            let received = match &part.piece {
                None => None,
                Some(piece) => {
                    let body = Body::One(piece.clone());
                    match self.reseal_bytes(cx, &body, part.size, old, sealing).await? {
                        None => return Ok(None),
                        received => received,
                    }
                }
            };
            parts.push((part, received));
        }
        Ok(Some(Resealed::Many(parts)))
    }

    async fn reseal_bytes(
        &self,
        cx: &Context,
        body: &Body,
        size: u64,
        old: Option<&Cipher>,
        sealing: &Sealing,
    ) -> Result<Option<Received>> {
        let Some(mut bytes) = content::open(&self.store, body, 0..size, old)? else { return Ok(None) };
        let most = size.max(MOST_AT_ONCE);
        content::receive(&self.store, &mut bytes, &[], sealing.cipher(cx), most).await.map(Some)
    }

    /// Puts the new bytes in the place of the old ones. `false`: they are not the object's any more.
    #[allow(clippy::too_many_arguments)]
    fn replace(
        &self,
        tx: &mut Tx<'_>,
        bucket: &Bucket,
        key: &str,
        which: Which<'_>,
        old: &Version,
        resealed: &Resealed,
        sealing: &Sealing,
    ) -> Result<bool> {
        let Some(mut now) = versions::find_in(tx, bucket.id, key, which)? else { return Ok(false) };
        if now.version.seq != old.seq || now.version.body != old.body {
            return Ok(false);
        }
        let body = resealed.place(tx)?;
        content::release(tx, &old.body)?;
        now.version.body = body;
        now.version.kms = sealing.kms();
        versions::rewrite(tx, bucket.id, key, &now)?;
        Ok(true)
    }
}

/// Which objects stay as they are. Errors: `InvalidRequest`, `AccessDenied`.
fn check(cx: &Context, version: &Version) -> Result<(), Error> {
    if version.customer_key.is_some() || version.kms.as_ref().is_some_and(|seal| seal.dual) {
        return Err(invalid_request(
            "The UpdateObjectEncryption operation doesn't support source objects with the encryption type DSSE-KMS or \
             SSE-C. Only source objects encrypted with SSE-S3 or SSE-KMS are supported.",
        ));
    }
    let retained = version.retention.as_ref().is_some_and(|r| r.until > cx.millis());
    if retained || version.hold == Some(true) {
        let message = "The encryption type for the specified object can’t be updated because that object is protected by \
                       S3 Object Lock. If the object has a governance-mode retention period or a legal hold, you must \
                       first remove the Object Lock status on the object before you issue your UpdateObjectEncryption \
                       request. You can't use the UpdateObjectEncryption operation with objects that have an Object Lock \
                       compliance mode retention period applied to them.";
        return Err(Error::new("AccessDenied", 403, message));
    }
    Ok(())
}

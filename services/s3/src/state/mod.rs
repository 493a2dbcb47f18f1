//! Records and tables.
//!
//! A bucket's name is global, so that its record stands under the name alone; everything inside it stands under the
//! bucket's number, which is never given twice. The current version of a key stands in [`Object`], older ones in
//! [`Version`] under the same key, the newest first: a listing reads what it lists and nothing else.

mod uploads;

pub(crate) use uploads::{Completed, Draft, Layout, LayoutPart, Part, Upload};

use crate::checksums::Checksum;
use cloudlet_store::{BlobId, Key, Record};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A bucket and those of its settings that requests on objects need.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Bucket {
    pub(crate) id: u64,
    pub(crate) name: String,
    /// The account.
    pub(crate) owner: String,
    pub(crate) region: String,
    /// Milliseconds since 1970, as all times here.
    pub(crate) created: i64,
    #[serde(default)]
    pub(crate) versioning: Versioning,
    #[serde(default)]
    pub(crate) ownership: Option<Ownership>,
    /// Whether nobody ever said who owns new objects: clients from before 2023, which send `x-amz-acl: private` with every
    /// object, are then let through. AWS refuses them.
    #[serde(default)]
    pub(crate) ownership_unsaid: bool,
    #[serde(default)]
    pub(crate) acl: Option<Acl>,
    #[serde(default)]
    pub(crate) block: Option<PublicAccessBlock>,
    #[serde(default)]
    pub(crate) policy: Option<String>,
    #[serde(default)]
    pub(crate) notifications: Vec<Notification>,
    #[serde(default)]
    pub(crate) event_bridge: bool,
    #[serde(default)]
    pub(crate) lock: Option<ObjectLock>,
    /// Whether deleting a version demands a one-time password; `None` where it was never said.
    #[serde(default)]
    pub(crate) mfa_delete: Option<bool>,
    #[serde(default)]
    pub(crate) requester_pays: bool,
    #[serde(default)]
    pub(crate) abac: bool,
    #[serde(default)]
    pub(crate) tags: Vec<(String, String)>,
    /// Whether there is a configuration of this kind in [`Config`]: spares those without it a look.
    #[serde(default)]
    pub(crate) has: Vec<String>,
}

impl Record for Bucket {
    const TABLE: &'static str = "s3.buckets";
}

impl Bucket {
    pub(crate) fn key(name: &str) -> Key {
        Key::new().text(name)
    }

    pub(crate) fn arn(&self) -> String {
        format!("arn:{}:s3:::{}", partition(&self.region), self.name)
    }

    /// Whether ACLs play no part: what new buckets begin with.
    pub(crate) fn acls_disabled(&self) -> bool {
        self.ownership == Some(Ownership::BucketOwnerEnforced)
    }

    pub(crate) fn has(&self, kind: &str) -> bool {
        self.has.iter().any(|k| k == kind)
    }
}

pub(crate) fn partition(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "aws-cn"
    } else if region.starts_with("us-gov-") {
        "aws-us-gov"
    } else {
        "aws"
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) enum Versioning {
    #[default]
    Never,
    Enabled,
    Suspended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ownership {
    BucketOwnerEnforced,
    BucketOwnerPreferred,
    ObjectWriter,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct PublicAccessBlock {
    pub(crate) block_acls: bool,
    pub(crate) ignore_acls: bool,
    pub(crate) block_policy: bool,
    pub(crate) restrict: bool,
}

/// An access control list; its owner is the account of the bucket or object it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Acl {
    pub(crate) grants: Vec<Grant>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Grant {
    pub(crate) to: Grantee,
    /// `FULL_CONTROL`, `READ`, `WRITE`, `READ_ACP` or `WRITE_ACP`.
    pub(crate) permission: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Grantee {
    /// The account.
    Account(String),
    /// The group's URI.
    Group(String),
}

/// One destination of a bucket's events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Notification {
    pub(crate) id: String,
    pub(crate) target: Target,
    pub(crate) arn: String,
    pub(crate) events: Vec<String>,
    /// Name and value as they were given: `Prefix` or `suffix`, say.
    #[serde(default)]
    pub(crate) rules: Vec<(String, String)>,
    /// Whether a filter was given at all.
    #[serde(default)]
    pub(crate) filtered: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Target {
    Lambda,
    Queue,
    Topic,
}

/// Object lock is on; perhaps with a retention for new versions.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct ObjectLock {
    pub(crate) default: Option<DefaultRetention>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DefaultRetention {
    pub(crate) mode: String,
    pub(crate) days: Option<i32>,
    pub(crate) years: Option<i32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Retention {
    /// `GOVERNANCE` or `COMPLIANCE`.
    pub(crate) mode: String,
    pub(crate) until: i64,
}

/// Which buckets an account has.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Owned {
    pub(crate) region: String,
    pub(crate) created: i64,
}

impl Record for Owned {
    const TABLE: &'static str = "s3.owned";
}

impl Owned {
    pub(crate) fn key(account: &str, bucket: &str) -> Key {
        Key::new().text(account).text(bucket)
    }
}

/// There while the bucket of this number is: what writes into a bucket check, because it is small.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Live {}

impl Record for Live {
    const TABLE: &'static str = "s3.live";
}

impl Live {
    pub(crate) fn key(bucket: u64) -> Key {
        Key::new().number(bucket)
    }
}

/// The current version of a key, and what is known of the older ones.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Object {
    pub(crate) version: Version,
    /// How many older versions there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) older: u64,
    /// Which of the older ones is the null version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) null: Option<u64>,
}

impl Record for Object {
    const TABLE: &'static str = "s3.objects";
}

impl Object {
    pub(crate) fn key(bucket: u64, key: &str) -> Key {
        Key::new().number(bucket).raw_tail(key.as_bytes())
    }

    /// The object's key out of the stored one.
    pub(crate) fn name(key: &Key) -> String {
        let mut parts = key.parts();
        parts.number();
        String::from_utf8_lossy(parts.rest()).into_owned()
    }
}

/// One version of an object, or a delete marker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Version {
    /// Its place among all versions of the store: larger is newer.
    pub(crate) seq: u64,
    /// `None` is the null version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    pub(crate) modified: i64,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) marker: bool,
    pub(crate) size: u64,
    /// Without quotes.
    pub(crate) etag: String,
    pub(crate) body: Body,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) checksum: Option<Checksum>,
    #[serde(default, skip_serializing_if = "Headers::is_empty")]
    pub(crate) headers: Headers,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) metadata: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) tags: Vec<(String, String)>,
    /// `None` is `STANDARD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) class: Option<String>,
    /// The account, where it is not the bucket's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) acl: Option<Acl>,
    /// How many parts it was uploaded in; 0 where not by a multipart upload.
    #[serde(default, skip_serializing_if = "is_zero32")]
    pub(crate) parts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retention: Option<Retention>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hold: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) customer_key: Option<CustomerKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kms: Option<KmsSeal>,
    /// Until when a restored copy of an archived object is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) restored: Option<i64>,
    /// From when on it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) restoring: Option<i64>,
    /// How many annotations it has.
    #[serde(default, skip_serializing_if = "is_zero32")]
    pub(crate) annotations: u32,
    /// `x-amz-replication-status`, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) replication: Option<String>,
}

impl Record for Version {
    const TABLE: &'static str = "s3.versions";
}

impl Version {
    pub(crate) fn key(bucket: u64, key: &str, seq: u64) -> Key {
        Key::new().number(bucket).text(key).number(!seq)
    }

    /// What every older version of a key begins with.
    pub(crate) fn prefix(bucket: u64, key: &str) -> Key {
        Key::new().number(bucket).text(key)
    }

    /// The id as it is shown.
    pub(crate) fn shown_id(&self) -> String {
        self.id.clone().unwrap_or_else(|| "null".to_owned())
    }

    pub(crate) fn class(&self) -> &str {
        self.class.as_deref().unwrap_or("STANDARD")
    }

    /// Whether a restore is under way.
    pub(crate) fn is_restoring(&self, now: i64) -> bool {
        self.restoring.is_some_and(|ready| ready > now)
    }

    /// Until when a restored copy is there, where one is there now.
    pub(crate) fn restored_until(&self, now: i64) -> Option<i64> {
        self.restored.filter(|until| *until > now && !self.is_restoring(now))
    }

    pub(crate) fn quoted_etag(&self) -> String {
        format!("\"{}\"", self.etag)
    }
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

fn is_zero32(n: &u32) -> bool {
    *n == 0
}

fn is_false(b: &bool) -> bool {
    !b
}

/// The headers that S3 keeps for an object and gives back as they came.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Headers {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cache_control: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_disposition: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_encoding: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_language: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) redirect: Option<String>,
}

impl Headers {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Proof of the key that a customer encrypts with; never the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CustomerKey {
    /// The MD5 of the key in Base64, which answers repeat.
    pub(crate) md5: String,
    pub(crate) salt: [u8; 16],
    /// An HMAC of the salt under the key.
    pub(crate) proof: [u8; 32],
}

/// A data key as KMS has encrypted it, and how to have it decrypted again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KmsSeal {
    /// The ARN of the KMS key.
    pub(crate) key: String,
    /// Whether `aws:kms:dsse` was asked for.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) dual: bool,
    /// Whether a second layer of encryption lies over the first.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) second: bool,
    /// The encryption context as the client gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) given: Option<String>,
    /// The whole encryption context.
    pub(crate) context: BTreeMap<String, String>,
    #[serde(with = "cloudlet_store::as_bytes")]
    pub(crate) sealed: Vec<u8>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) bucket_key: bool,
}

/// Where bytes are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Body {
    /// None: a delete marker, or an empty object.
    Empty,
    /// In this record.
    Inline(#[serde(with = "cloudlet_store::as_bytes")] Vec<u8>),
    /// In one place of their own.
    One(Piece),
    /// In as many as [`Layout`] of this number says.
    Many(u64),
}

/// Bytes in one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Piece {
    pub(crate) at: Place,
    /// The nonce, where a customer's key encrypts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) nonce: Option<[u8; 16]>,
    /// CRC64NVME of the bytes as they stand there, where they are encrypted: so that they can be checked without the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sum: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Place {
    /// A [`Small`] record.
    Small(u64),
    /// A file.
    Blob(BlobId),
}

/// Bytes that are too many for the record of their object and too few for a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Small {
    #[serde(with = "cloudlet_store::as_bytes")]
    pub(crate) bytes: Vec<u8>,
}

impl Record for Small {
    const TABLE: &'static str = "s3.small";
}

impl Small {
    pub(crate) fn key(id: u64) -> Key {
        Key::new().number(id)
    }
}

/// A configuration of a bucket that requests on objects do not need at once: the document in the form of the API's
/// own shape, under its kind and, where there can be several, its id.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Config {
    #[serde(with = "cloudlet_store::as_bytes")]
    pub(crate) document: Vec<u8>,
}

impl Record for Config {
    const TABLE: &'static str = "s3.configurations";
}

impl Config {
    pub(crate) fn key(bucket: u64, kind: &str, id: &str) -> Key {
        Key::new().number(bucket).text(kind).text(id)
    }

    pub(crate) fn kind(bucket: u64, kind: &str) -> Key {
        Key::new().number(bucket).text(kind)
    }
}

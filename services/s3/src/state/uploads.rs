//! Multipart uploads: what is under way, its parts, and what is left of it in the object.

use super::{Acl, CustomerKey, Headers, KmsSeal, Piece, Retention};
use crate::checksums::{Algorithm, Checksum, Kind};
use cloudlet_store::{Key, Record};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The parts that an object was uploaded in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Layout {
    pub(crate) parts: Vec<LayoutPart>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LayoutPart {
    pub(crate) number: u32,
    pub(crate) size: u64,
    /// `None` where it is empty.
    pub(crate) piece: Option<Piece>,
    /// In Base64, of the object's algorithm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) checksum: Option<String>,
}

impl Record for Layout {
    const TABLE: &'static str = "s3.layouts";
}

impl Layout {
    pub(crate) fn key(id: u64) -> Key {
        Key::new().number(id)
    }
}

/// A multipart upload under way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Upload {
    pub(crate) seq: u64,
    pub(crate) id: String,
    pub(crate) initiated: i64,
    /// The ARN of who began it.
    pub(crate) initiator: String,
    pub(crate) initiator_account: String,
    /// What the object will be; without bytes and etag yet.
    pub(crate) draft: Draft,
    #[serde(default)]
    pub(crate) algorithm: Option<Algorithm>,
    #[serde(default)]
    pub(crate) kind: Option<Kind>,
}

impl Record for Upload {
    const TABLE: &'static str = "s3.uploads";
}

impl Upload {
    pub(crate) fn key(bucket: u64, key: &str, seq: u64) -> Key {
        Key::new().number(bucket).text(key).number(seq)
    }

    /// The object's key and the upload's number out of the stored key.
    pub(crate) fn name(key: &Key) -> Option<(String, u64)> {
        let mut parts = key.parts();
        parts.number()?;
        Some((parts.text()?, parts.number()?))
    }
}

/// What a request says of a new object beside its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Draft {
    #[serde(default)]
    pub(crate) headers: Headers,
    #[serde(default)]
    pub(crate) metadata: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) tags: Vec<(String, String)>,
    #[serde(default)]
    pub(crate) class: Option<String>,
    #[serde(default)]
    pub(crate) owner: Option<String>,
    #[serde(default)]
    pub(crate) acl: Option<Acl>,
    #[serde(default)]
    pub(crate) retention: Option<Retention>,
    #[serde(default)]
    pub(crate) hold: Option<bool>,
    #[serde(default)]
    pub(crate) customer_key: Option<CustomerKey>,
    #[serde(default)]
    pub(crate) kms: Option<KmsSeal>,
}

/// A part of an upload under way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) size: u64,
    pub(crate) etag: String,
    pub(crate) modified: i64,
    pub(crate) piece: Option<Piece>,
    /// The checksum that the client sent or the upload asked for.
    #[serde(default)]
    pub(crate) checksum: Option<Checksum>,
    /// CRC64NVME of the bytes, for the whole object's own.
    #[serde(default)]
    pub(crate) crc64: Option<Checksum>,
}

impl Record for Part {
    const TABLE: &'static str = "s3.parts";
}

impl Part {
    pub(crate) fn key(upload: u64, number: u32) -> Key {
        Key::new().number(upload).number(u64::from(number))
    }

    pub(crate) fn prefix(upload: u64) -> Key {
        Key::new().number(upload)
    }

    /// The part's number out of the stored key.
    pub(crate) fn number(key: &Key) -> u32 {
        let mut parts = key.parts();
        parts.number();
        parts.number().and_then(|n| u32::try_from(n).ok()).unwrap_or_default()
    }
}

/// An upload that was completed, remembered so that completing it again answers the same.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Completed {
    pub(crate) at: i64,
    pub(crate) etag: String,
    pub(crate) version: Option<String>,
    pub(crate) checksum: Option<Checksum>,
    /// The parts that were named, as number and etag.
    pub(crate) parts: Vec<(u32, String)>,
    #[serde(default)]
    pub(crate) kms: Option<KmsSeal>,
}

impl Record for Completed {
    const TABLE: &'static str = "s3.completed";
}

impl Completed {
    pub(crate) fn key(bucket: u64, upload: u64) -> Key {
        Key::new().number(bucket).number(upload)
    }
}

//! Names of blobs.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    str::FromStr,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// Names a blob, in this directory and in every other one. Stored as 16 bytes, shown as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId(u128);

impl BlobId {
    /// A name that was never given before: half drawn for this process by the operating system, half counted.
    pub(crate) fn random() -> BlobId {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // The count is spread by an odd factor, so that files fall evenly into the folders.
        let spread = count.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        BlobId(u128::from(spread) << 64 | u128::from(process()))
    }

    /// Whether this process gave the name.
    pub(crate) fn is_ours(self) -> bool {
        self.0 as u64 == process()
    }

    /// The 16 bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// From the 16 bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> BlobId {
        BlobId(u128::from_be_bytes(bytes))
    }

    /// The folder that holds its file.
    pub(crate) fn folder(self) -> String {
        format!("{:02x}", self.to_bytes()[0])
    }
}

/// What tells this process's blobs from all others.
fn process() -> u64 {
    static PROCESS: OnceLock<u64> = OnceLock::new();
    *PROCESS.get_or_init(|| RandomState::new().hash_one((std::process::id(), std::time::SystemTime::now())))
}

impl fmt::Display for BlobId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:032x}", self.0)
    }
}

impl FromStr for BlobId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<BlobId, Self::Err> {
        // Exactly what `Display` writes: no sign, no short form. An empty text gives the error.
        let exact = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        u128::from_str_radix(if exact { text } else { "" }, 16).map(BlobId)
    }
}

impl Serialize for BlobId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_bytes(&self.to_bytes())
        }
    }
}

impl<'de> Deserialize<'de> for BlobId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<BlobId, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(Visitor)
        } else {
            deserializer.deserialize_bytes(Visitor)
        }
    }
}

struct Visitor;

impl de::Visitor<'_> for Visitor {
    type Value = BlobId;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a blob id")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<BlobId, E> {
        text.parse().map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<BlobId, E> {
        let bytes = bytes.try_into().map_err(|_| E::invalid_length(bytes.len(), &self))?;
        Ok(BlobId::from_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_writes() {
        let id = BlobId::random();
        assert_ne!(id, BlobId::random());
        assert!(id.is_ours());
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(rmp_serde::from_slice::<BlobId>(&rmp_serde::to_vec_named(&id).unwrap()).unwrap(), id);
        for bad in ["", "abc", "+0000000000000000000000000000000", "0000000000000000000000000000000G"] {
            assert!(bad.parse::<BlobId>().is_err(), "{bad}");
        }
    }
}

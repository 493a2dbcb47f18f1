//! Records: self-describing, versioned values.
//!
//! A stored record is its version (two bytes, big-endian) and its fields by name in MessagePack. A field that was added
//! later needs only `#[serde(default)]`; a change that names cannot express raises [`Record::VERSION`].

use crate::StoreError;
use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use std::cell::RefCell;

/// The largest encoded record, in bytes.
pub const MAX_VALUE: usize = 64 * 1024 * 1024;

/// What a thread keeps for encoding the next record, in bytes.
const SCRATCH_BYTES: usize = 64 * 1024;

/// How deep the values in a record may nest. A damaged record must not exhaust a worker's stack.
const MAX_DEPTH: usize = 128;

/// A kind of record.
pub trait Record: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// The table that holds it, for example `s3.objects`. Part of the stored key: never rename it.
    const TABLE: &'static str;

    /// Raised when a stored record of the version before can no longer be read as this type.
    const VERSION: u16 = 1;

    /// Reads a record of an older version.
    ///
    /// `bytes` is the MessagePack body without the version: [`decode_body`] reads it as a struct of that time.
    fn upgrade(from: u16, bytes: &[u8]) -> Result<Self, StoreError> {
        let _ = bytes;
        Err(StoreError::RecordVersion { table: Self::TABLE, found: from, known: Self::VERSION })
    }
}

/// Reads the MessagePack body of a record as any type; for [`Record::upgrade`].
pub fn decode_body<T: DeserializeOwned>(table: &'static str, bytes: &[u8]) -> Result<T, StoreError> {
    let mut reader = rmp_serde::Deserializer::from_read_ref(bytes);
    reader.set_max_depth(MAX_DEPTH);
    T::deserialize(&mut reader).map_err(|error| StoreError::corrupt(table, error.to_string()))
}

pub(crate) fn encode<R: Record>(record: &R) -> Result<Bytes, StoreError> {
    thread_local! {
        static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    // Taken and put back, so that a record which encodes another one inside finds an empty one, not a borrowed one.
    let mut out = SCRATCH.take();
    out.clear();
    out.extend_from_slice(&R::VERSION.to_be_bytes());
    let encoded = rmp_serde::encode::write_named(&mut out, record)
        .map_err(|error| StoreError::Encode { table: R::TABLE, detail: error.to_string() });
    // The engine keeps the value in memory for a while: exactly its bytes, not what encoding had grown to.
    let value = match encoded {
        Ok(()) if out.len() > MAX_VALUE => {
            Err(StoreError::TooLarge { what: "record", len: out.len(), limit: MAX_VALUE })
        }
        Ok(()) => Ok(Bytes::copy_from_slice(&out)),
        Err(error) => Err(error),
    };
    if out.capacity() <= SCRATCH_BYTES {
        SCRATCH.set(out);
    }
    value
}

pub(crate) fn decode<R: Record>(bytes: &[u8]) -> Result<R, StoreError> {
    let Some((version, body)) = bytes.split_first_chunk::<2>() else {
        return Err(StoreError::corrupt(R::TABLE, "a record of less than two bytes"));
    };
    let version = u16::from_be_bytes(*version);
    match version.cmp(&R::VERSION) {
        std::cmp::Ordering::Equal => decode_body(R::TABLE, body),
        std::cmp::Ordering::Less => R::upgrade(version, body),
        std::cmp::Ordering::Greater => {
            Err(StoreError::RecordVersion { table: R::TABLE, found: version, known: R::VERSION })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
    struct Old {
        name: String,
    }
    impl Record for Old {
        const TABLE: &'static str = "test.people";
    }

    #[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
    struct New {
        first: String,
        #[serde(default)]
        age: u32,
    }
    impl Record for New {
        const TABLE: &'static str = "test.people";
        const VERSION: u16 = 2;
        fn upgrade(from: u16, bytes: &[u8]) -> Result<New, StoreError> {
            let Old { name } = decode_body(Self::TABLE, bytes)?;
            assert_eq!(from, 1);
            Ok(New { first: name, age: 1 })
        }
    }

    #[test]
    fn an_older_version_is_upgraded_and_a_newer_one_refused() {
        let old = encode(&Old { name: "Ada".into() }).unwrap();
        assert_eq!(decode::<New>(&old).unwrap(), New { first: "Ada".into(), age: 1 });
        let new = encode(&New { first: "Ada".into(), age: 3 }).unwrap();
        let error = decode::<Old>(&new).unwrap_err();
        assert!(matches!(error, StoreError::RecordVersion { found: 2, known: 1, .. }), "{error}");
    }

    #[test]
    fn damaged_bytes_are_an_error() {
        let good = encode(&New { first: "Ada".into(), age: 3 }).unwrap();
        for len in 0..good.len() {
            assert!(decode::<New>(&good[..len]).is_err(), "cut at {len}");
        }
        for at in 0..good.len() {
            for flip in [1u8, 0x80, 0xFF] {
                let mut bad = good.to_vec();
                bad[at] ^= flip;
                let _ = decode::<New>(&bad);
            }
        }
        // An array that says it has four thousand million entries allocates nothing for them.
        assert!(decode::<New>(&[0, 2, 0xDD, 0xFF, 0xFF, 0xFF, 0xFF]).is_err());
        assert!(decode::<New>(&[&[0, 2][..], &[0x91; 100_000]].concat()).is_err());
    }
}

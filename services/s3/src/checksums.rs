//! Checksums of object bytes, computed while they stream by. Source: S3 User Guide, "Checking object integrity".

use crate::errors::invalid_request;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloudlet_service::Error;
use crc_fast::CrcAlgorithm;
use md5::Digest;
use serde::{Deserialize, Serialize};

/// An algorithm by which a client can have its bytes checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Algorithm {
    Crc32,
    Crc32C,
    Crc64Nvme,
    Sha1,
    Sha256,
    Sha512,
    Md5,
    XxHash64,
    XxHash3,
    XxHash128,
}

use Algorithm::{Crc32, Crc32C, Crc64Nvme, Md5, Sha1, Sha256, Sha512, XxHash3, XxHash64, XxHash128};

impl Algorithm {
    pub(crate) const ALL: [Self; 10] =
        [Crc32, Crc32C, Crc64Nvme, Sha1, Sha256, Sha512, Md5, XxHash64, XxHash3, XxHash128];

    /// AWS's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Crc32 => "CRC32",
            Crc32C => "CRC32C",
            Crc64Nvme => "CRC64NVME",
            Sha1 => "SHA1",
            Sha256 => "SHA256",
            Sha512 => "SHA512",
            Md5 => "MD5",
            XxHash64 => "XXHASH64",
            XxHash3 => "XXHASH3",
            XxHash128 => "XXHASH128",
        }
    }

    /// The header or trailer that carries a value.
    pub(crate) fn header(self) -> &'static str {
        match self {
            Crc32 => "x-amz-checksum-crc32",
            Crc32C => "x-amz-checksum-crc32c",
            Crc64Nvme => "x-amz-checksum-crc64nvme",
            Sha1 => "x-amz-checksum-sha1",
            Sha256 => "x-amz-checksum-sha256",
            Sha512 => "x-amz-checksum-sha512",
            Md5 => "x-amz-checksum-md5",
            XxHash64 => "x-amz-checksum-xxhash64",
            XxHash3 => "x-amz-checksum-xxhash3",
            XxHash128 => "x-amz-checksum-xxhash128",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.name().eq_ignore_ascii_case(name))
    }

    /// The length of a value in bytes.
    pub(crate) fn len(self) -> usize {
        match self {
            Crc32 | Crc32C => 4,
            Crc64Nvme | XxHash64 | XxHash3 => 8,
            Md5 | XxHash128 => 16,
            Sha1 => 20,
            Sha256 => 32,
            Sha512 => 64,
        }
    }

    fn crc(self) -> Option<CrcAlgorithm> {
        match self {
            Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Crc32C => Some(CrcAlgorithm::Crc32Iscsi),
            Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
            _ => None,
        }
    }

    /// The kind of checksum that a multipart upload gets where it does not say.
    pub(crate) fn default_kind(self) -> Kind {
        if self == Crc64Nvme { Kind::FullObject } else { Kind::Composite }
    }

    /// Whether a multipart upload can have that kind.
    pub(crate) fn allows(self, kind: Kind) -> bool {
        match kind {
            Kind::FullObject => self.crc().is_some(),
            Kind::Composite => self != Crc64Nvme,
        }
    }

    /// Decodes a value from a request. Errors: `InvalidRequest` where it is none of this algorithm.
    pub(crate) fn decode(self, value: &str) -> Result<Vec<u8>, Error> {
        let bytes = STANDARD.decode(value).ok().filter(|b| b.len() == self.len());
        bytes.ok_or_else(|| invalid_request(format!("Value for {} header is invalid.", self.header())))
    }
}

/// Whether a checksum is over the bytes or over the checksums of the parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    FullObject,
    Composite,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::FullObject => "FULL_OBJECT",
            Self::Composite => "COMPOSITE",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::FullObject, Self::Composite].into_iter().find(|k| k.name() == name)
    }
}

/// The checksum of an object or of a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checksum {
    pub(crate) algorithm: Algorithm,
    pub(crate) kind: Kind,
    /// In Base64; with `-N` after it where it is over N parts.
    pub(crate) value: String,
}

impl Checksum {
    pub(crate) fn full(algorithm: Algorithm, bytes: &[u8]) -> Self {
        Self { algorithm, kind: Kind::FullObject, value: STANDARD.encode(bytes) }
    }

    /// The checksum over the checksums of parts.
    pub(crate) fn composite(algorithm: Algorithm, parts: &[Vec<u8>]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        parts.iter().for_each(|part| hasher.update(part));
        let value = format!("{}-{}", STANDARD.encode(hasher.finish()), parts.len());
        Self { algorithm, kind: Kind::Composite, value }
    }

    /// The checksum over all bytes out of those of the parts and their lengths; `None` for what cannot be combined.
    pub(crate) fn combined(algorithm: Algorithm, parts: &[(Vec<u8>, u64)]) -> Option<Self> {
        let crc = algorithm.crc()?;
        let number = |bytes: &[u8]| bytes.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
        let mut parts = parts.iter();
        let first = parts.next().map_or(0, |(bytes, _)| number(bytes));
        let whole =
            parts.fold(first, |sum, (bytes, len)| crc_fast::checksum_combine(crc, sum, number(bytes), *len));
        let bytes = whole.to_be_bytes();
        Some(Self::full(algorithm, &bytes[8 - algorithm.len()..]))
    }

    /// The bytes of a value that is not composite.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        STANDARD.decode(self.value.split('-').next().unwrap_or_default()).unwrap_or_default()
    }
}

/// Computes one checksum.
pub(crate) enum Hasher {
    Crc(CrcAlgorithm, crc_fast::Digest),
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
    Sha512(Box<sha2::Sha512>),
    Md5(md5::Md5),
    Xx64(Box<xxhash_rust::xxh64::Xxh64>),
    Xx3(Box<xxhash_rust::xxh3::Xxh3>),
    Xx128(Box<xxhash_rust::xxh3::Xxh3>),
}

impl Hasher {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Sha1 => Self::Sha1(sha1::Sha1::new()),
            Sha256 => Self::Sha256(sha2::Sha256::new()),
            Sha512 => Self::Sha512(Box::new(sha2::Sha512::new())),
            Md5 => Self::Md5(md5::Md5::new()),
            XxHash64 => Self::Xx64(Box::new(xxhash_rust::xxh64::Xxh64::new(0))),
            XxHash3 => Self::Xx3(Box::new(xxhash_rust::xxh3::Xxh3::new())),
            XxHash128 => Self::Xx128(Box::new(xxhash_rust::xxh3::Xxh3::new())),
            Crc32 | Crc32C | Crc64Nvme => {
                let crc = algorithm.crc().unwrap_or(CrcAlgorithm::Crc64Nvme);
                Self::Crc(crc, crc_fast::Digest::new(crc))
            }
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc(_, digest) => digest.update(bytes),
            Self::Sha1(digest) => digest.update(bytes),
            Self::Sha256(digest) => digest.update(bytes),
            Self::Sha512(digest) => digest.update(bytes),
            Self::Md5(digest) => digest.update(bytes),
            Self::Xx64(digest) => digest.update(bytes),
            Self::Xx3(digest) | Self::Xx128(digest) => digest.update(bytes),
        }
    }

    /// The value, big-endian.
    pub(crate) fn finish(self) -> Vec<u8> {
        match self {
            Self::Crc(CrcAlgorithm::Crc64Nvme, digest) => digest.finalize().to_be_bytes().to_vec(),
            Self::Crc(_, digest) => (digest.finalize() as u32).to_be_bytes().to_vec(),
            Self::Sha1(digest) => digest.finalize().to_vec(),
            Self::Sha256(digest) => digest.finalize().to_vec(),
            Self::Sha512(digest) => digest.finalize().to_vec(),
            Self::Md5(digest) => digest.finalize().to_vec(),
            Self::Xx64(digest) => digest.digest().to_be_bytes().to_vec(),
            Self::Xx3(digest) => digest.digest().to_be_bytes().to_vec(),
            Self::Xx128(digest) => digest.digest128().to_be_bytes().to_vec(),
        }
    }
}

/// The checksum members of a request: those that are there, as (algorithm, value).
macro_rules! given_checksums {
    ($input:expr) => {{
        use $crate::checksums::Algorithm as A;
        [
            (A::Crc32, &$input.checksum_crc32),
            (A::Crc32C, &$input.checksum_crc32_c),
            (A::Crc64Nvme, &$input.checksum_crc64_nvme),
            (A::Sha1, &$input.checksum_sha1),
            (A::Sha256, &$input.checksum_sha256),
            (A::Sha512, &$input.checksum_sha512),
            (A::Md5, &$input.checksum_md5),
            (A::XxHash64, &$input.checksum_xxhash64),
            (A::XxHash3, &$input.checksum_xxhash3),
            (A::XxHash128, &$input.checksum_xxhash128),
        ]
        .into_iter()
        .filter_map(|(algorithm, value)| Some((algorithm, value.clone()?)))
        .collect::<Vec<(A, String)>>()
    }};
}
pub(crate) use given_checksums;

/// Puts a checksum into the member of its algorithm.
macro_rules! show_checksum {
    ($output:expr, $algorithm:expr, $value:expr) => {{
        use $crate::checksums::Algorithm as A;
        let value = Some($value.clone());
        match $algorithm {
            A::Crc32 => $output.checksum_crc32 = value,
            A::Crc32C => $output.checksum_crc32_c = value,
            A::Crc64Nvme => $output.checksum_crc64_nvme = value,
            A::Sha1 => $output.checksum_sha1 = value,
            A::Sha256 => $output.checksum_sha256 = value,
            A::Sha512 => $output.checksum_sha512 = value,
            A::Md5 => $output.checksum_md5 = value,
            A::XxHash64 => $output.checksum_xxhash64 = value,
            A::XxHash3 => $output.checksum_xxhash3 = value,
            A::XxHash128 => $output.checksum_xxhash128 = value,
        }
    }};
}
pub(crate) use show_checksum;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(algorithm: Algorithm, bytes: &[u8]) -> String {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hex::encode(hasher.finish())
    }

    #[test]
    fn known_values() {
        // The check values of the algorithms' own definitions, over "123456789".
        let text = b"123456789";
        assert_eq!(of(Crc32, text), "cbf43926");
        assert_eq!(of(Crc32C, text), "e3069283");
        assert_eq!(of(Crc64Nvme, text), "ae8b14860a799888");
        assert_eq!(of(Sha1, b"abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(of(Md5, b""), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(of(XxHash64, b""), "ef46db3751d8e999");
    }

    #[test]
    fn combining_parts_equals_reading_all() {
        let bytes: Vec<u8> = (0..100_000u32).map(|i| (i * 7 + i / 251) as u8).collect();
        for algorithm in [Crc32, Crc32C, Crc64Nvme] {
            let mut whole = Hasher::new(algorithm);
            whole.update(&bytes);
            let whole = Checksum::full(algorithm, &whole.finish());
            for cut in
                [vec![0, 100_000], vec![0, 1, 70_000, 100_000], vec![0, 65_536, 65_537, 99_999, 100_000]]
            {
                let parts: Vec<(Vec<u8>, u64)> = cut
                    .windows(2)
                    .map(|w| {
                        let mut part = Hasher::new(algorithm);
                        part.update(&bytes[w[0]..w[1]]);
                        (part.finish(), (w[1] - w[0]) as u64)
                    })
                    .collect();
                assert_eq!(Checksum::combined(algorithm, &parts).unwrap(), whole, "{algorithm:?} {cut:?}");
            }
        }
        assert!(Checksum::combined(Sha256, &[]).is_none());
    }

    #[test]
    fn values_are_checked() {
        assert!(Crc32.decode("AAAAAA==").is_ok());
        for bad in ["", "AAAA", "AAAAAA", "not base64", "AAAAAAAA"] {
            assert_eq!(Crc32.decode(bad).unwrap_err().code(), "InvalidRequest", "{bad}");
        }
    }
}

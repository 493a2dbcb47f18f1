//! Names: of buckets, of keys, of regions, and the canonical ids of accounts.

use crate::errors::{Result, invalid_argument};
use cloudlet_service::{Context, Error, Principal};
use sha2::{Digest, Sha256};

/// The longest key, in bytes of UTF-8. Source: S3 User Guide, "Naming Amazon S3 objects".
pub(crate) const MAX_KEY: usize = 1024;

/// The canonical id of whoever is not signed in.
pub(crate) const ANONYMOUS_ID: &str = "65a011a29cdf8ec533ec3d1ccaae921c";

/// The group of everybody.
pub(crate) const ALL_USERS: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
/// The group of everybody who is signed in, of whatever account.
pub(crate) const AUTHENTICATED_USERS: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";
/// The group that delivers access logs.
pub(crate) const LOG_DELIVERY: &str = "http://acs.amazonaws.com/groups/s3/LogDelivery";

/// Checks a bucket's name. Errors: `InvalidBucketName`.
/// Source: S3 User Guide, "General purpose bucket naming rules".
pub(crate) fn check_bucket(name: &str) -> Result<(), Error> {
    if is_bucket(name) {
        return Ok(());
    }
    Err(invalid_bucket(name))
}

pub(crate) fn invalid_bucket(name: &str) -> Error {
    Error::sender("InvalidBucketName", "The specified bucket is not valid.").with("BucketName", name)
}

/// Whether a name is in the form of the aliases of access points, of which there are none here.
pub(crate) fn is_alias(name: &str) -> bool {
    name.ends_with("-s3alias") || name.ends_with("--ol-s3")
}

fn is_bucket(name: &str) -> bool {
    let bytes = name.as_bytes();
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let body = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    let reserved = ["xn--", "sthree-", "amzn-s3-demo-"].iter().any(|p| name.starts_with(p))
        || ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"].iter().any(|s| name.ends_with(s));
    (3..=63).contains(&bytes.len())
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(body)
        && !name.contains("..")
        && name.parse::<std::net::Ipv4Addr>().is_err()
        && !reserved
}

/// Checks a key's length. Errors: `KeyTooLongError`.
pub(crate) fn check_key(key: &str) -> Result<(), Error> {
    if key.len() > MAX_KEY {
        return Err(Error::sender("KeyTooLongError", "Your key is too long")
            .with("Size", key.len().to_string())
            .with("MaxSizeAllowed", MAX_KEY.to_string()));
    }
    Ok(())
}

/// The canonical user id of an account: 64 hexadecimal digits, made from the account's number in such a way that
/// [`account_of`] can read it back, so that a grant to an account needs no table of accounts.
pub(crate) fn canonical_id(account: &str) -> String {
    let Ok(number) = account.parse::<u64>() else { return ANONYMOUS_ID.to_owned() };
    let tag = Sha256::digest(format!("canonical user of account {account}"));
    let mask = Sha256::digest(&tag[..24]);
    let mut hidden = number.to_be_bytes();
    hidden.iter_mut().zip(mask.iter()).for_each(|(byte, mask)| *byte ^= mask);
    format!("{}{}", hex::encode(&tag[..24]), hex::encode(hidden))
}

/// The account of a canonical id; `None` where the id is nobody's.
pub(crate) fn account_of(canonical: &str) -> Option<String> {
    let bytes = hex::decode(canonical).ok().filter(|b| b.len() == 32)?;
    let mask = Sha256::digest(&bytes[..24]);
    let mut number: [u8; 8] = bytes[24..].try_into().ok()?;
    number.iter_mut().zip(mask.iter()).for_each(|(byte, mask)| *byte ^= mask);
    let account = format!("{:012}", u64::from_be_bytes(number));
    (account.len() == 12 && canonical_id(&account) == canonical.to_ascii_lowercase()).then_some(account)
}

/// The account of an address such as `123456789012@example.com`; `None` where it is nobody's.
pub(crate) fn account_of_email(address: &str) -> Option<String> {
    let (account, domain) = address.split_once('@')?;
    let digits = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    (digits && !domain.is_empty()).then(|| account.to_owned())
}

/// The account on whose behalf the call is made: what owns new buckets and objects.
pub(crate) fn caller(cx: &Context) -> &str {
    match &cx.principal {
        Principal::Service { source_account: Some(account), .. } => account,
        Principal::Service { .. } => &cx.account,
        other => other.account(),
    }
}

/// The regions that a bucket can be in. Source: AWS General Reference, "Amazon S3 endpoints and quotas".
const REGIONS: [&str; 40] = [
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-2",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-west-1",
    "us-west-2",
    "us-iso-east-1",
    "us-isob-east-1",
    "us-isof-south-1",
];

/// Whether a bucket can be there.
pub(crate) fn is_region(name: &str) -> bool {
    name == "us-east-1" || REGIONS.contains(&name)
}

/// The region of a new bucket, from its location constraint and the region of the endpoint that was asked.
/// Errors: `InvalidLocationConstraint`, `IllegalLocationConstraintException`.
pub(crate) fn locate(endpoint: &str, constraint: Option<&str>) -> Result<String, Error> {
    let constraint = constraint.filter(|c| !c.is_empty());
    let region = match constraint {
        Some("EU") => "eu-west-1",
        // An endpoint of one region makes buckets there alone, whatever else is asked for.
        Some(name) if endpoint != "us-east-1" && endpoint != name => return Err(illegal_location(name)),
        Some(name) if REGIONS.contains(&name) => name,
        Some(name) => {
            return Err(Error::sender(
                "InvalidLocationConstraint",
                "The specified location-constraint is not valid",
            )
            .with("LocationConstraint", name));
        }
        None if endpoint == "us-east-1" => return Ok(endpoint.to_owned()),
        None => return Err(illegal_location("unspecified")),
    };
    if endpoint != "us-east-1" && endpoint != region {
        return Err(illegal_location(region));
    }
    Ok(region.to_owned())
}

fn illegal_location(region: &str) -> Error {
    let message = format!(
        "The {region} location constraint is incompatible for the region specific endpoint this request was sent to."
    );
    Error::sender("IllegalLocationConstraintException", message)
}

/// What GetBucketLocation says of a region: nothing at all for the first one.
pub(crate) fn location_constraint(region: &str) -> Option<String> {
    (region != "us-east-1").then(|| region.to_owned())
}

/// Encodes a name for `encoding-type=url`, as Java's URLEncoder does but for the slash.
pub(crate) fn url_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' | b'/' => {
                out.push(char::from(byte))
            }
            b' ' => out.push('+'),
            _ => {
                out.push('%');
                out.push_str(&hex::encode_upper([byte]));
            }
        }
    }
    out
}

/// The URL of an object as the caller can reach it, its key encoded to the last slash. Source: S3 API Reference,
/// CompleteMultipartUpload and POST Object, `Location`.
pub(crate) fn location(cx: &Context, bucket: &str, key: &str) -> String {
    let key = url_encode(key).replace('/', "%2F").replace('+', "%20");
    let virtual_host = cx.origin.host.strip_prefix(bucket).is_some_and(|rest| rest.starts_with('.'));
    match virtual_host {
        true => format!("{}/{key}", cx.endpoint()),
        false => format!("{}/{bucket}/{key}", cx.endpoint()),
    }
}

/// Where a copy comes from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CopySource {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) version: Option<String>,
}

impl CopySource {
    /// Reads `x-amz-copy-source`: `bucket/key?versionId=…`, percent-encoded, with or without a slash in front.
    /// Errors: `InvalidArgument`.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let bad = |message: &str| invalid_argument(message, "x-amz-copy-source", text);
        let (path, version) = match text.split_once("?versionId=") {
            Some((path, version)) => (path, Some(version.to_owned())),
            None => (text, None),
        };
        let path = percent_encoding::percent_decode_str(path)
            .decode_utf8()
            .map_err(|_| bad("Copy Source must be URL-encoded UTF-8"))?;
        let path = path.strip_prefix('/').unwrap_or(&path);
        if path.starts_with("arn:") {
            return Err(Error::not_implemented_part(
                "access points as x-amz-copy-source; name the bucket instead",
            ));
        }
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        if bucket.is_empty() {
            return Err(bad("Copy Source must mention the source bucket and key: sourcebucket/sourcekey"));
        }
        if key.is_empty() {
            return Err(bad("Invalid copy source object key"));
        }
        if version.as_deref() == Some("") {
            return Err(bad("Version id cannot be the empty string"));
        }
        Ok(Self { bucket: bucket.to_owned(), key: key.to_owned(), version })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_names() {
        for good in ["abc", "a-b.c1", "000", "my.bucket-1", &"a".repeat(63)] {
            assert!(is_bucket(good), "{good}");
        }
        for bad in [
            "",
            "ab",
            "Abc",
            "a_b",
            "a..b",
            "-ab",
            "ab-",
            ".ab",
            "192.168.0.1",
            "xn--abc",
            "abc-s3alias",
            "a b",
            "sthree-x",
            "x--x-s3",
            "ä-b",
            &"a".repeat(64),
        ] {
            assert!(!is_bucket(bad), "{bad}");
        }
    }

    #[test]
    fn canonical_ids_lead_back() {
        for account in ["000000000000", "123456789012", "999999999999"] {
            let id = canonical_id(account);
            assert_eq!(id.len(), 64);
            assert_eq!(account_of(&id).as_deref(), Some(account));
        }
        assert_eq!(account_of(&"a".repeat(64)), None);
        assert_eq!(account_of("nonsense"), None);
    }

    #[test]
    fn locations() {
        assert_eq!(locate("us-east-1", None).unwrap(), "us-east-1");
        assert_eq!(locate("us-east-1", Some("eu-west-1")).unwrap(), "eu-west-1");
        assert_eq!(locate("eu-west-1", Some("EU")).unwrap(), "eu-west-1");
        for (endpoint, constraint, code) in [
            ("us-east-1", Some("us-east-1"), "InvalidLocationConstraint"),
            ("us-east-1", Some("moon-1"), "InvalidLocationConstraint"),
            ("eu-west-1", None, "IllegalLocationConstraintException"),
            ("eu-west-1", Some("us-west-2"), "IllegalLocationConstraintException"),
            ("eu-west-1", Some("us-east-1"), "IllegalLocationConstraintException"),
            ("eu-west-1", Some("moon-1"), "IllegalLocationConstraintException"),
            ("us-west-2", Some("EU"), "IllegalLocationConstraintException"),
        ] {
            assert_eq!(locate(endpoint, constraint).unwrap_err().code(), code);
        }
    }

    #[test]
    fn copy_sources() {
        let source = CopySource::parse("/b/k%20%2B/x?versionId=v").unwrap();
        assert_eq!((source.bucket.as_str(), source.key.as_str()), ("b", "k +/x"));
        assert_eq!(source.version.as_deref(), Some("v"));
        assert_eq!(CopySource::parse("b/a?b").unwrap().key, "a?b");
        for bad in ["", "b", "b/", "/k", "%ff/k", "b/k?versionId="] {
            assert!(CopySource::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn url_encoding_is_javas() {
        assert_eq!(url_encode("a b/c+d*é~"), "a+b/c%2Bd*%C3%A9%7E");
    }
}

//! Tags of objects and buckets. Source: S3 User Guide, "Categorizing your objects using tags".

use crate::errors::{Result, invalid_argument};
use cloudlet_api_s3::Tag;
use cloudlet_service::Error;
use percent_encoding::percent_decode_str;
use std::collections::HashSet;

/// The most tags of an object.
pub(crate) const OBJECT_TAGS: usize = 10;
/// The most tags of a bucket.
pub(crate) const BUCKET_TAGS: usize = 50;

/// Reads `x-amz-tagging`, a query string. Errors: `InvalidArgument`, and those of [`check`].
pub(crate) fn from_header(header: Option<&str>) -> Result<Vec<(String, String)>, Error> {
    let Some(header) = header.filter(|h| !h.is_empty()) else { return Ok(Vec::new()) };
    let bad = || {
        invalid_argument(
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag \
             name duplicates.",
            "x-amz-tagging",
            header,
        )
    };
    let decode = |text: &str| -> Result<String, Error> {
        let escaped =
            |rest: &str| rest.as_bytes().iter().take(2).filter(|b| b.is_ascii_hexdigit()).count() == 2;
        if !text.split('%').skip(1).all(escaped) {
            return Err(bad());
        }
        let spaced = text.replace('+', " ");
        Ok(percent_decode_str(&spaced).decode_utf8().map_err(|_| bad())?.into_owned())
    };
    let mut tags = Vec::new();
    for pair in header.split('&').filter(|p| !p.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if key.is_empty() || value.contains('=') {
            return Err(bad());
        }
        tags.push((decode(key)?, decode(value)?));
        if tags.len() > BUCKET_TAGS {
            break;
        }
    }
    let names: HashSet<&str> = tags.iter().map(|(key, _)| key.as_str()).collect();
    if names.len() != tags.len() {
        return Err(bad());
    }
    check(&tags, OBJECT_TAGS, "Object")?;
    // What came in a header comes back by name.
    tags.sort();
    Ok(tags)
}

/// Reads a `TagSet`. Errors: those of [`check`].
pub(crate) fn from_set(set: Vec<Tag>, most: usize, what: &str) -> Result<Vec<(String, String)>, Error> {
    let tags: Vec<_> = set.into_iter().map(|tag| (tag.key, tag.value)).collect();
    check(&tags, most, what)?;
    Ok(tags)
}

/// As the API shows them.
pub(crate) fn to_set(tags: &[(String, String)]) -> Vec<Tag> {
    tags.iter()
        .map(|(key, value)| Tag { key: key.clone(), value: value.clone(), ..Default::default() })
        .collect()
}

/// Errors: `BadRequest` for too many, `InvalidTag` for bad names, bad values and duplicates.
fn check(tags: &[(String, String)], most: usize, what: &str) -> Result<(), Error> {
    if tags.len() > most {
        let message = match what {
            "Bucket" => format!("Bucket tag count cannot be greater than {most}"),
            _ => format!("{what} tags cannot be greater than {most}"),
        };
        return Err(Error::sender("BadRequest", message));
    }
    let mut seen = HashSet::new();
    for (key, value) in tags {
        let invalid = |message: &str| Error::sender("InvalidTag", message).with("TagKey", key.clone());
        if key.is_empty() || key.chars().count() > 128 || !key.chars().all(allowed) {
            return Err(invalid("The TagKey you have provided is invalid"));
        }
        if key.starts_with("aws:") {
            return Err(invalid(match what {
                "Bucket" => "System tags cannot be added/updated by requester",
                _ => "Your TagKey cannot be prefixed with aws:",
            }));
        }
        if value.chars().count() > 256 || !value.chars().all(allowed) {
            return Err(invalid("The TagValue you have provided is invalid").with("TagValue", value.clone()));
        }
        if !seen.insert(key) {
            return Err(invalid("Cannot provide multiple Tags with the same key"));
        }
    }
    Ok(())
}

/// Letters, digits, white space and `_.:/=+-@`.
fn allowed(c: char) -> bool {
    c.is_alphanumeric()
        || c == ' '
        || (c.is_whitespace() && !c.is_control())
        || "_.:/=+-@".contains(c)
        || is_mark(c)
}

/// Combining marks, without which whole scripts cannot be written.
fn is_mark(c: char) -> bool {
    matches!(c as u32, 0x0300..=0x036F | 0x0900..=0x0DFF | 0x0E31..=0x0E4E | 0x1AB0..=0x1AFF | 0x20D0..=0x20FF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_form() {
        let tags = from_header(Some("a=1&b+c=d%2Fe&flag")).unwrap();
        assert_eq!(
            tags,
            [("a", "1"), ("b c", "d/e"), ("flag", "")].map(|(k, v)| (k.to_owned(), v.to_owned()))
        );
        let sorted: Vec<_> = from_header(Some("foo=bar&bar")).unwrap().into_iter().map(|(k, _)| k).collect();
        assert_eq!(sorted, ["bar", "foo"]);
        assert_eq!(from_header(Some("TagSet=[{Key=a,Value=b}]")).unwrap_err().code(), "InvalidArgument");
        assert_eq!(from_header(Some("a=1&a=2")).unwrap_err().code(), "InvalidArgument");
        assert_eq!(from_header(Some("a=%ff")).unwrap_err().code(), "InvalidArgument");
        for bad in ["=", "=a", "a=%zz", "a=%4"] {
            assert_eq!(from_header(Some(bad)).unwrap_err().code(), "InvalidArgument", "{bad}");
        }
        assert!(from_header(Some("&")).unwrap().is_empty());
        let eleven: Vec<String> = (0..11).map(|i| format!("k{i}=v")).collect();
        assert_eq!(from_header(Some(&eleven.join("&"))).unwrap_err().code(), "BadRequest");
        assert_eq!(from_header(Some(&format!("{}=v", "k".repeat(129)))).unwrap_err().code(), "InvalidTag");
        assert_eq!(from_header(Some(&format!("k={}", "v".repeat(257)))).unwrap_err().code(), "InvalidTag");
        assert_eq!(from_header(Some("aws:x=1")).unwrap_err().code(), "InvalidTag");
    }
}

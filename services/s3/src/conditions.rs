//! Conditional requests. Source: RFC 9110, section 13; S3 User Guide, "Conditional requests".

use crate::errors::{Fail, Result, no_such_key, not_implemented_header, precondition_failed};
use crate::state::Version;
use aws_smithy_types::DateTime;
use cloudlet_service::Error;

/// The conditions of a read or of a copy's source.
#[derive(Default)]
pub(crate) struct ReadConditions<'a> {
    pub(crate) if_match: Option<&'a str>,
    pub(crate) if_none_match: Option<&'a str>,
    pub(crate) if_modified_since: Option<&'a DateTime>,
    pub(crate) if_unmodified_since: Option<&'a DateTime>,
    /// Before the names in errors: `x-amz-copy-source-` for a copy's source.
    pub(crate) prefix: &'static str,
}

impl ReadConditions<'_> {
    /// Checks them in the order of RFC 9110, section 13.2.2. `now` bounds `If-Modified-Since`: a date to come is none.
    /// Errors: 412, and 304 (412 for the source of a copy).
    pub(crate) fn check(&self, version: &Version, now: i64) -> Result<(), Error> {
        let failed = |name: &str| {
            let name =
                if self.prefix.is_empty() { name.to_owned() } else { format!("{}{name}", self.prefix) };
            precondition_failed(&name)
        };
        let modified = version.modified.div_euclid(1000);
        if let Some(wanted) = self.if_match {
            if !any_matches(wanted, &version.etag) {
                return Err(failed("If-Match"));
            }
        } else if self.if_unmodified_since.is_some_and(|date| modified > date.secs()) {
            return Err(failed("If-Unmodified-Since"));
        }
        if let Some(unwanted) = self.if_none_match {
            if any_matches(unwanted, &version.etag) {
                return Err(if self.prefix.is_empty() {
                    not_modified(version)
                } else {
                    failed("If-None-Match")
                });
            }
        } else if let Some(date) = self.if_modified_since
            && modified <= date.secs()
            && date.secs() <= now.div_euclid(1000)
        {
            return Err(if self.prefix.is_empty() {
                not_modified(version)
            } else {
                failed("If-Modified-Since")
            });
        }
        Ok(())
    }
}

fn not_modified(version: &Version) -> Error {
    let mut error = Error::new("NotModified", 304, "Not Modified")
        .with_header("etag", version.quoted_etag())
        .with_header("last-modified", http_date(version.modified));
    if let Some(cache) = &version.headers.cache_control {
        error = error.with_header("cache-control", cache.clone());
    }
    if let Some(id) = &version.id {
        error = error.with_header("x-amz-version-id", id.clone());
    }
    error
}

/// A time as HTTP writes it.
pub(crate) fn http_date(millis: i64) -> String {
    let secs = u64::try_from(millis.div_euclid(1000)).unwrap_or_default();
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + std::time::Duration::from_secs(secs))
}

/// Whether one of a list of entity tags is this one, or the list is `*`.
fn any_matches(list: &str, etag: &str) -> bool {
    list.split(',').map(str::trim).any(|one| {
        let one = one.strip_prefix("W/").unwrap_or(one);
        one == "*" || one.trim_matches('"') == etag
    })
}

/// The conditions of a write, checked in its transaction.
pub(crate) struct WriteConditions<'a> {
    pub(crate) if_match: Option<&'a str>,
    pub(crate) if_none_match: Option<&'a str>,
}

impl WriteConditions<'_> {
    /// Refuses what S3 does not offer. Errors: `NotImplemented`.
    pub(crate) fn supported(&self) -> Result<(), Error> {
        let odd = |name: &str| {
            let why = format!("We don't accept the provided value of {name} header for this API");
            Err(not_implemented_header(name, &why))
        };
        match (self.if_match, self.if_none_match) {
            (Some(_), Some(_)) => Err(not_implemented_header(
                "If-Match,If-None-Match",
                "Multiple conditional request headers present in the request",
            )),
            (None, None | Some("*")) => Ok(()),
            (None, Some(_)) => odd("If-None-Match"),
            (Some("*"), None) => odd("If-Match"),
            (Some(_), None) => Ok(()),
        }
    }

    /// Compares with what is there; a delete marker is nothing. Errors: `PreconditionFailed`, `NoSuchKey`.
    pub(crate) fn check(&self, key: &str, current: Option<&Version>) -> Result<(), Fail> {
        let current = current.filter(|v| !v.marker);
        if self.if_none_match.is_some() && current.is_some() {
            return Err(precondition_failed("If-None-Match").into());
        }
        match (self.if_match, current) {
            (None, _) => Ok(()),
            (Some(_), None) => Err(no_such_key(key).into()),
            (Some(wanted), Some(version)) if any_matches(wanted, &version.etag) => Ok(()),
            (Some(_), Some(_)) => Err(precondition_failed("If-Match").into()),
        }
    }
}

/// What a `Range` header means for a body of this size.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of it: no range, or none that S3 understands.
    All,
    /// From the first byte to before the second.
    Part(u64, u64),
    /// Nothing of it is there.
    Unsatisfiable,
}

/// Reads a `Range` header of one range. Source: RFC 9110, section 14.1.2.
pub(crate) fn range(header: Option<&str>, size: u64) -> Wanted {
    let Some(spec) = header.and_then(|h| h.trim().strip_prefix("bytes=")) else { return Wanted::All };
    let Some((first, last)) = spec.trim().split_once('-') else { return Wanted::All };
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    match (first, number(first), number(last)) {
        ("", _, Some(0)) => Wanted::Unsatisfiable,
        ("", _, Some(_)) if size == 0 => Wanted::Unsatisfiable,
        ("", _, Some(tail)) => Wanted::Part(size.saturating_sub(tail), size),
        (_, Some(start), _) if last.is_empty() && start < size => Wanted::Part(start, size),
        (_, Some(start), Some(end)) if start > end => Wanted::All,
        (_, Some(start), Some(end)) if start < size => Wanted::Part(start, end.saturating_add(1).min(size)),
        (_, Some(_), Some(_)) => Wanted::Unsatisfiable,
        (_, Some(_), None) if last.is_empty() => Wanted::Unsatisfiable,
        _ => Wanted::All,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        use Wanted::{All, Part, Unsatisfiable};
        for (header, size, expected) in [
            ("bytes=0-4", 10, Part(0, 5)),
            ("bytes=5-", 10, Part(5, 10)),
            ("bytes=-3", 10, Part(7, 10)),
            ("bytes=-30", 10, Part(0, 10)),
            ("bytes=0-99999999999999999999999", 10, Part(0, 10)),
            ("bytes=10-", 10, Unsatisfiable),
            ("bytes=-0", 10, Unsatisfiable),
            ("bytes=0-", 0, Unsatisfiable),
            ("bytes=-5", 0, Unsatisfiable),
            ("bytes=5-3", 10, All),
            ("bytes=a-b", 10, All),
            ("bytes=0-1,3-4", 10, All),
            ("items=0-1", 10, All),
        ] {
            assert_eq!(range(Some(header), size), expected, "{header} of {size}");
        }
    }

    #[test]
    fn etags_match_with_and_without_quotes() {
        assert!(any_matches("\"abc\"", "abc") && any_matches("abc", "abc") && any_matches("*", "abc"));
        assert!(any_matches("\"x\", W/\"abc\"", "abc"));
        assert!(!any_matches("\"x\"", "abc"));
    }
}

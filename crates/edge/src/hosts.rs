//! What a host name says: which bucket, which service, which region.
//!
//! Source: S3 User Guide, "Virtual hosting of buckets"; AWS General Reference, "Service endpoints"; and the names
//! that local tooling uses, such as `photos.s3.localhost.localstack.cloud:4566`.

use std::net::IpAddr;

/// The domains under which labels mean something.
#[derive(Debug)]
pub(crate) struct Hosts {
    /// Lower case, the longest first.
    domains: Vec<String>,
}

/// What a host name says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    /// Whether the name is an address or one of our domains, so that no other site's name led here.
    pub(crate) ours: bool,
    /// An endpoint prefix such as `s3` or `lambda`.
    pub(crate) service: Option<&'a str>,
    /// A region's name.
    pub(crate) region: Option<&'a str>,
    /// A bucket, with its dots.
    pub(crate) bucket: Option<&'a str>,
    /// Whether the name is a website's, where no API is spoken.
    pub(crate) website: bool,
}

impl Hosts {
    pub(crate) fn new(domains: &[String]) -> Self {
        let mut domains: Vec<String> =
            domains.iter().map(|d| d.trim_matches('.').to_ascii_lowercase()).collect();
        domains.sort_by_key(|d| std::cmp::Reverse(d.len()));
        Self { domains }
    }

    /// Whether the name (without port) is one of our domains or below one.
    pub(crate) fn holds(&self, name: &str) -> bool {
        self.domains.iter().any(|domain| below(name, domain).is_some())
    }

    /// The id and the region of a function URL's name: `ID.lambda-url.REGION.on.aws`, or the same below a domain of ours.
    pub(crate) fn function_url<'a>(&self, name: &'a str) -> Option<(&'a str, &'a str)> {
        let (id, rest) = name.split_once(".lambda-url.")?;
        let (region, domain) = rest.split_once('.')?;
        let ours = domain.eq_ignore_ascii_case("on.aws")
            || self.domains.iter().any(|own| own.eq_ignore_ascii_case(domain));
        (ours && is_region(region) && !id.is_empty() && !id.contains('.')).then_some((id, region))
    }

    /// Reads a name without its port. `is_service` knows the endpoint prefixes; `s3` says that the request is
    /// signed for S3, so that `sqs.localhost` is a bucket named `sqs`.
    pub(crate) fn read<'a>(&self, name: &'a str, s3: bool, is_service: impl Fn(&str) -> bool) -> Place<'a> {
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        let numeric = bare.bytes().next_back().is_some_and(|b| b.is_ascii_hexdigit() || b == b':');
        if numeric && bare.parse::<IpAddr>().is_ok() {
            return Place { ours: true, ..Place::default() };
        }
        for domain in &self.domains {
            if let Some(labels) = below(name, domain) {
                return Place { ours: true, ..read_labels(labels, s3, is_service) };
            }
        }
        // Under a name that we were not told of only the unmistakable form counts.
        if let Some(place) = website(name) {
            return place;
        }
        match split_at_s3(name) {
            Some((bucket, rest)) => Place {
                ours: false,
                service: Some("s3"),
                region: region(rest),
                bucket: (!bucket.is_empty()).then_some(bucket),
                website: false,
            },
            None => Place::default(),
        }
    }
}

/// The labels of `name` before `domain`, without the dot; empty where they are equal.
fn below<'a>(name: &'a str, domain: &str) -> Option<&'a str> {
    let at = name.len().checked_sub(domain.len())?;
    if !name.get(at..)?.eq_ignore_ascii_case(domain) {
        return None;
    }
    match name.get(..at)? {
        "" => Some(""),
        labels => labels.strip_suffix('.').filter(|l| !l.is_empty()),
    }
}

fn read_labels(labels: &str, s3: bool, is_service: impl Fn(&str) -> bool) -> Place<'_> {
    if labels.is_empty() {
        return Place::default();
    }
    if let Some(place) = website(labels) {
        return place;
    }
    if let Some((bucket, rest)) = split_at_s3(labels) {
        let bucket = (!bucket.is_empty()).then_some(bucket);
        return Place { service: Some("s3"), region: region(rest), bucket, ..Place::default() };
    }
    if !s3 {
        // `lambda`, `lambda.eu-west-1`, `id.execute-api.eu-west-1`.
        let mut parts = labels.rsplit('.');
        let last = parts.next().unwrap_or_default();
        let (service, region) = if is_region(last) { (parts.next(), Some(last)) } else { (Some(last), None) };
        if let Some(service) = service.filter(|s| is_service(s)) {
            return Place { service: Some(service), region, ..Place::default() };
        }
    }
    Place { service: Some("s3"), bucket: Some(labels), ..Place::default() }
}

/// Splits `bucket.with.dots.s3.rest` at its last label `s3` (or `s3-website` and the like are not it).
fn split_at_s3(labels: &str) -> Option<(&str, &str)> {
    if let Some(bucket) = labels.strip_suffix(".s3") {
        return Some((bucket, ""));
    }
    if let Some(at) = labels.rfind(".s3.") {
        return Some((&labels[..at], &labels[at + 4..]));
    }
    if let Some(found) = split_at_other(labels) {
        return Some(found);
    }
    match labels.strip_prefix("s3") {
        Some("") => Some(("", "")),
        Some(rest) => rest.strip_prefix('.').map(|rest| ("", rest)),
        None => None,
    }
}

/// The same at S3's other names: `s3-accelerate`, `s3-fips`, and `s3-eu-west-1` as older regions have it.
/// Source: AWS General Reference, "Amazon S3 endpoints and quotas".
fn split_at_other(labels: &str) -> Option<(&str, &str)> {
    let (start, bucket) = match labels.rfind(".s3-") {
        Some(at) => (at + 1, &labels[..at]),
        None => (labels.starts_with("s3-").then_some(0)?, ""),
    };
    let name = labels.get(start + "s3-".len()..)?;
    let (first, rest) = name.split_once('.').unwrap_or((name, ""));
    match first {
        "accelerate" | "fips" => Some((bucket, rest)),
        region if is_region(region) => Some((bucket, name)),
        _ => None,
    }
}

/// A website's name: `photos.s3-website.eu-west-1`, `photos.s3-website-eu-west-1`, or without a region where one
/// machine serves them all. Source: S3 User Guide, "Website endpoints".
fn website(labels: &str) -> Option<Place<'_>> {
    let at = labels.rfind(".s3-website").filter(|at| *at > 0)?;
    let after = labels.get(at + ".s3-website".len()..)?;
    let of = match after.as_bytes().first() {
        None => None,
        Some(b'.') => region(&after[1..]),
        Some(b'-') => Some(after[1..].split('.').next().filter(|label| is_region(label))?),
        Some(_) => return None,
    };
    Some(Place { service: Some("s3"), region: of, bucket: Some(&labels[..at]), website: true, ours: false })
}

/// The region in `eu-west-1`, `dualstack.eu-west-1` or `eu-west-1.example.org`.
fn region(rest: &str) -> Option<&str> {
    rest.split('.').find(|label| *label != "dualstack").filter(|label| is_region(label))
}

/// Whether the text has the shape of a region: `us-east-1`, `us-gov-west-1`, `ap-southeast-12`.
pub(crate) fn is_region(text: &str) -> bool {
    let mut parts = text.rsplit('-');
    let number = parts.next().unwrap_or_default();
    let numbered = (1..=2).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
    let mut words = 0;
    let wordy = parts.all(|word| {
        words += 1;
        (2..=12).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase())
    });
    numbered && wordy && (2..=3).contains(&words)
}

/// A `Host` without its port.
pub(crate) fn without_port(host: &str) -> &str {
    if host.starts_with('[') {
        return host.find(']').map_or(host, |end| &host[..=end]);
    }
    host.split_once(':').map_or(host, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(host: &str, s3: bool) -> (Option<&str>, Option<&str>, Option<&str>, bool) {
        let domains = ["localhost", "localhost.localstack.cloud", "amazonaws.com", "cloud.example.org"];
        let hosts = Hosts::new(&domains.map(str::to_owned));
        let place = hosts.read(without_port(host), s3, |s| matches!(s, "sqs" | "lambda" | "execute-api"));
        (place.service, place.region, place.bucket, place.ours)
    }

    #[test]
    fn names_say_what_they_say() {
        let s3 = Some("s3");
        for (host, expected) in [
            ("localhost:4566", (None, None, None, true)),
            ("127.0.0.1:4566", (None, None, None, true)),
            ("[::1]:4566", (None, None, None, true)),
            ("LOCALHOST", (None, None, None, true)),
            ("photos.localhost:4566", (s3, None, Some("photos"), true)),
            ("my.photos.localhost", (s3, None, Some("my.photos"), true)),
            ("s3.localhost", (s3, None, None, true)),
            ("photos.s3.localhost:4566", (s3, None, Some("photos"), true)),
            ("photos.s3.eu-west-1.localhost.localstack.cloud", (s3, Some("eu-west-1"), Some("photos"), true)),
            ("photos.s3.dualstack.eu-west-1.amazonaws.com", (s3, Some("eu-west-1"), Some("photos"), true)),
            ("s3.us-east-1.amazonaws.com", (s3, Some("us-east-1"), None, true)),
            ("a.s3.b.s3.localhost", (s3, None, Some("a.s3.b"), true)),
            ("a.b.s3-eu-west-1.amazonaws.com", (s3, Some("eu-west-1"), Some("a.b"), true)),
            ("s3-us-west-2.amazonaws.com", (s3, Some("us-west-2"), None, true)),
            ("photos.s3-accelerate.amazonaws.com", (s3, None, Some("photos"), true)),
            ("photos.s3-accelerate.dualstack.amazonaws.com", (s3, None, Some("photos"), true)),
            ("photos.s3-fips.us-east-2.amazonaws.com", (s3, Some("us-east-2"), Some("photos"), true)),
            ("s3-photos.localhost", (s3, None, Some("s3-photos"), true)),
            ("sqs.localhost", (Some("sqs"), None, None, true)),
            ("lambda.eu-west-1.cloud.example.org", (Some("lambda"), Some("eu-west-1"), None, true)),
            ("abc.execute-api.localhost", (Some("execute-api"), None, None, true)),
            ("evil.example.com", (None, None, None, false)),
            ("xlocalhost", (None, None, None, false)),
            (".localhost", (None, None, None, false)),
            ("photos.s3.cloudlet:4566", (s3, None, Some("photos"), false)),
            ("", (None, None, None, false)),
        ] {
            assert_eq!(read(host, false), expected, "{host}");
        }
        assert_eq!(read("sqs.localhost", true), (s3, None, Some("sqs"), true));
        assert_eq!(read("é.localhost", true).2, Some("é"));
    }

    #[test]
    fn function_urls_have_names() {
        let hosts = Hosts::new(&["localhost", "localhost.localstack.cloud"].map(str::to_owned));
        for (name, expected) in [
            ("abc.lambda-url.us-east-1.on.aws", Some(("abc", "us-east-1"))),
            ("abc.lambda-url.us-east-1.localhost", Some(("abc", "us-east-1"))),
            ("abc.lambda-url.eu-west-1.LOCALHOST.localstack.cloud", Some(("abc", "eu-west-1"))),
            ("abc.lambda-url.us-east-1.evil.example", None),
            ("abc.lambda-url.localhost", None),
            ("a.b.lambda-url.us-east-1.localhost", None),
            (".lambda-url.us-east-1.localhost", None),
            ("lambda-url.us-east-1.localhost", None),
        ] {
            assert_eq!(hosts.function_url(name), expected, "{name}");
        }
    }

    #[test]
    fn websites_have_names_of_their_own() {
        let hosts =
            Hosts::new(&["localhost", "localhost.localstack.cloud", "amazonaws.com"].map(str::to_owned));
        for (host, expected) in [
            ("photos.s3-website.localhost", Some(("photos", None))),
            ("my.photos.s3-website.localhost.localstack.cloud", Some(("my.photos", None))),
            ("photos.s3-website.eu-west-1.amazonaws.com", Some(("photos", Some("eu-west-1")))),
            ("photos.s3-website-eu-west-1.amazonaws.com", Some(("photos", Some("eu-west-1")))),
            ("photos.s3-website-us-east-1.localhost", Some(("photos", Some("us-east-1")))),
            ("photos.s3-websites.localhost", None),
            ("photos.s3.localhost", None),
        ] {
            let place = hosts.read(host, false, |_| false);
            let found = place.website.then(|| (place.bucket.unwrap_or_default(), place.region));
            assert_eq!(found, expected, "{host}");
        }
    }

    #[test]
    fn regions_have_a_shape() {
        for good in ["us-east-1", "us-gov-west-1", "ap-southeast-2", "il-central-1", "mx-central-1"] {
            assert!(is_region(good), "{good}");
        }
        for bad in [
            "",
            "us-east",
            "us-east-1a",
            "useast1",
            "US-EAST-1",
            "a-b-c-d-1",
            "-1",
            "--1",
            "us--1",
            "us-east-123",
        ] {
            assert!(!is_region(bad), "{bad}");
        }
    }
}

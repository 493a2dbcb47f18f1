//! ARNs and the wildcards over them.

use super::{Target, seen, texts};
use cloudlet_access::wildcard_match;
use cloudlet_service::Arn;

pub(super) static TARGET: Target =
    Target { name: "arns", run, seeds, words: WORDS, longest: 64 << 10, ..Target::DEFAULT };

fn seeds() -> Vec<Vec<u8>> {
    texts(&[
        "arn:aws:lambda:us-east-1:000000000000:function:thumb:1\narn:aws:lambda:*:*:function:th*",
        "arn:aws:s3:::photos\n*",
        "arn:aws-cn:iam::123456789012:role/a/b\narn:*:iam::1?3*:role/*/?",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\n*a*a*a*a*a*a*a*a*c",
    ])
}

const WORDS: &[&str] =
    &["arn:", "aws", ":", "::", "*", "?", "**", "*a*a*a*a", "\n", "/", "\u{e9}", "us-east-1", "000000000000"];

fn run(input: &[u8]) -> u64 {
    let Ok(text) = std::str::from_utf8(input) else { return 0 };
    let (value, pattern) = text.split_once('\n').unwrap_or((text, "*"));
    let parsed = Arn::parse(value);
    if let Some(arn) = parsed {
        assert_eq!(arn.to_string(), value);
    }
    let matched = wildcard_match(pattern, value);
    if pattern == "*" || (pattern == value && !pattern.contains(['*', '?'])) {
        assert!(matched, "{pattern} does not match {value}");
    }
    seen(&(
        parsed.map(|a| (a.region.is_empty(), a.account.is_empty())),
        matched,
        pattern.matches('*').count().min(9),
    ))
}

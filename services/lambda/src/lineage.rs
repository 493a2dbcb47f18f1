//! Loops: a function that causes itself to be invoked again and again is stopped.
//!
//! The SDKs in a function pass its trace header on; Lambda counts in it how often each function was reached.
//! Source: Developer Guide, "Use Lambda recursive loop detection to prevent infinite loops".

use cloudlet_service::Context;
use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest, Sha256};

/// AWS: how often a function may be reached in one chain of requests.
pub(crate) const MOST: u32 = 16;
/// How long a header from outside may be before it is ignored, in bytes.
const LONGEST: usize = 2048;
/// How many functions a chain remembers.
const FUNCTIONS: usize = 32;

/// The trace header for an invocation of the function, made new or with this step added, and how often the chain has
/// reached the function with it.
pub(crate) fn step(cx: &Context, header: Option<&str>, arn: &str) -> (String, u32) {
    let header = header.filter(|h| h.len() <= LONGEST).unwrap_or_default();
    let part = |name: &str| header.split(';').find_map(|p| p.trim().strip_prefix(name)?.strip_prefix('='));
    let hash = hex::encode(&Sha256::digest(arn.as_bytes())[..4]);
    let mut count = 1;
    let mut lineage = Vec::new();
    for step in part("Lineage").unwrap_or_default().split('|') {
        let Some((key, times)) = step.rsplit_once(':') else { continue };
        if key.rsplit(':').next() == Some(&hash) {
            count = times.parse::<u32>().unwrap_or(0).saturating_add(1);
        } else if lineage.len() < FUNCTIONS {
            lineage.push(step.to_owned());
        }
    }
    lineage.push(format!("1:{hash}:{count}"));
    let random = |bytes: usize| {
        let mut buffer = vec![0; bytes];
        cx.random().fill(&mut buffer);
        hex::encode(buffer)
    };
    let root = match part("Root").filter(|root| root.len() == 35 && root.starts_with("1-")) {
        Some(root) => root.to_owned(),
        None => format!("1-{:08x}-{}", cx.millis() / 1000, random(12)),
    };
    let parent = part("Parent").filter(|p| p.len() == 16).map_or_else(|| random(8), str::to_owned);
    let sampled = if part("Sampled") == Some("1") { "1" } else { "0" };
    (format!("Root={root};Parent={parent};Sampled={sampled};Lineage={}", lineage.join("|")), count)
}

/// The header that carries a chain on. `None` for a text that no header can hold.
pub(crate) fn headers(trace_id: &str) -> Option<HeaderMap> {
    let value = HeaderValue::from_str(trace_id).ok()?;
    Some(HeaderMap::from_iter([(HeaderName::from_static("x-amzn-trace-id"), value)]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::cx;

    #[test]
    fn a_chain_is_counted_by_function() {
        let (mut header, _) = step(&cx(), None, "arn:a");
        for round in 1..=20 {
            let (next, count) = step(&cx(), Some(&header), "arn:b");
            assert_eq!(count, round);
            header = next;
        }
        assert_eq!(step(&cx(), Some(&header), "arn:a").1, 2);
        let root = |h: &str| h.split(';').next().map(str::to_owned);
        assert_eq!(root(&header), root(&step(&cx(), Some(&header), "arn:c").0));
    }

    #[test]
    fn headers_from_outside_do_no_harm() {
        for bad in [
            "",
            ";;;",
            "Lineage=|||",
            "Lineage=1:ffff:99999999999999999999",
            "Root=x;Lineage=:::",
            &"x".repeat(100_000),
        ] {
            let (header, count) = step(&cx(), Some(bad), "arn:a");
            assert!(header.len() < LONGEST && count == 1, "{header}");
        }
    }
}

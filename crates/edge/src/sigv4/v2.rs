//! Signature Version 2 as S3 defines it. boto3 still presigns S3 URLs this way unless told otherwise.
//!
//! Source: S3 User Guide, "Signing and authenticating REST requests (AWS signature version 2)".

use super::canonical::{Signable, query_value};
use super::claim::V2;
use super::flaw::{Flaw, Mismatch};
use super::{SKEW, time};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloudlet_service::SecretKey;
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::percent_decode_str;
use sha1::Sha1;
use std::borrow::Cow;
use std::collections::BTreeMap;
use subtle::ConstantTimeEq;

/// The query parameters that are part of the resource, sorted.
const SUBRESOURCES: &[&str] = &[
    "accelerate",
    "acl",
    "analytics",
    "cors",
    "defaultObjectAcl",
    "delete",
    "encryption",
    "inventory",
    "lifecycle",
    "location",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "partNumber",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "replication",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "select",
    "select-type",
    "storageClass",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
];

/// Checks time and signature. `bucket` is the bucket that the host names, if it does.
pub(crate) fn verify(
    claim: &V2<'_>,
    request: &Signable<'_>,
    bucket: Option<&str>,
    secret: &SecretKey,
    now: i64,
) -> Result<(), Flaw> {
    match claim.expires {
        Some(expires) if now > expires => {
            return Err(Flaw::Expired { written: String::new(), signed: 0, expires, now });
        }
        Some(_) => {}
        None => {
            let written = date(request).ok_or(Flaw::NoDate)?;
            let at = time::parse_http(written).or_else(|| time::parse(written)).ok_or(Flaw::NoDate)?;
            if (now - at).abs() > SKEW {
                return Err(Flaw::Skewed { at, written: written.to_owned(), now });
            }
        }
    }
    let text = string_to_sign(claim, request, bucket);
    if signed(&text, claim, secret) {
        return Ok(());
    }
    // Some SDKs sign a bucket's own path with a slash at its end and send it without.
    if bucket.is_none() && !request.path.trim_start_matches('/').contains('/') {
        let path = format!("{}/", request.path);
        let slashed = Signable { path: &path, ..*request };
        if signed(&string_to_sign(claim, &slashed, bucket), claim, secret) {
            return Ok(());
        }
    }
    Err(Flaw::Mismatch(Box::new(Mismatch {
        access_key_id: claim.access_key_id.to_string(),
        string_to_sign: text,
        canonical_request: String::new(),
        provided: claim.signature.chars().take(256).collect(),
    })))
}

fn signed(text: &str, claim: &V2<'_>, secret: &SecretKey) -> bool {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.reveal().as_bytes())
        .unwrap_or_else(|_| Hmac::<Sha1>::new(&Default::default()));
    mac.update(text.as_bytes());
    let ours = STANDARD.encode(mac.finalize().into_bytes());
    claim.signature.as_bytes().ct_eq(ours.as_bytes()).into()
}

fn date<'a>(request: &Signable<'a>) -> Option<&'a str> {
    let get = |name| request.headers.get(name)?.to_str().ok();
    get("x-amz-date").or_else(|| get("date"))
}

fn string_to_sign(claim: &V2<'_>, request: &Signable<'_>, bucket: Option<&str>) -> String {
    // A presigned URL carries in its query the headers that were signed with it.
    let get = |name: &str| -> Cow<'_, str> {
        match request.headers.get(name).and_then(|v| v.to_str().ok()) {
            Some(value) => Cow::Borrowed(value.trim()),
            None => query_value(request.query, name).unwrap_or_default(),
        }
    };
    let mut amz: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in request.headers {
        if name.as_str().starts_with("x-amz-") {
            let value = String::from_utf8_lossy(value.as_bytes());
            let all = amz.entry(name.as_str().to_owned()).or_default();
            if !all.is_empty() {
                all.push(',');
            }
            all.push_str(value.trim());
        }
    }
    for (name, value) in request.query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, ""))) {
        if name.starts_with("x-amz-") && claim.expires.is_some() {
            let value = percent_decode_str(value).decode_utf8_lossy().into_owned();
            amz.entry(name.to_owned()).or_insert(value);
        }
    }
    let when = match claim.expires {
        Some(expires) => expires.to_string(),
        // With `x-amz-date` the place of the date stays empty.
        None if request.headers.contains_key("x-amz-date") => String::new(),
        None => get("date").into_owned(),
    };
    let mut text = format!("{}\n{}\n{}\n{when}\n", request.method, get("content-md5"), get("content-type"));
    for (name, value) in amz {
        text.push_str(&format!("{name}:{value}\n"));
    }
    if let Some(bucket) = bucket {
        text.push('/');
        text.push_str(bucket);
    }
    text.push_str(if request.path.is_empty() { "/" } else { request.path });
    let mut parts: Vec<(&str, Option<&str>)> = request
        .query
        .split('&')
        .map(|pair| pair.split_once('=').map_or((pair, None), |(n, v)| (n, Some(v))))
        .filter(|(name, _)| SUBRESOURCES.binary_search(name).is_ok())
        .collect();
    parts.sort_by_key(|(name, _)| *name);
    for (i, (name, value)) in parts.into_iter().enumerate() {
        text.push(if i == 0 { '?' } else { '&' });
        text.push_str(name);
        if let Some(value) = value {
            text.push('=');
            text.push_str(&percent_decode_str(value).decode_utf8_lossy());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    fn check(request: &Signable<'_>, claim: &V2<'_>, bucket: Option<&str>, now: i64) -> Result<(), Flaw> {
        verify(claim, request, bucket, &SecretKey::new(SECRET), now)
    }

    #[test]
    fn the_list_is_sorted_for_the_search() {
        assert!(SUBRESOURCES.is_sorted());
    }

    /// Source: "Signing and authenticating REST requests", the examples Object GET, List and presigned GET.
    #[test]
    fn published_examples() {
        let mut headers = HeaderMap::new();
        headers.insert("date", "Tue, 27 Mar 2007 19:36:42 +0000".parse().unwrap());
        let get = Signable {
            method: "GET",
            path: "/photos/puppy.jpg",
            query: "",
            headers: &headers,
            host: "awsexamplebucket1.us-west-1.s3.amazonaws.com",
        };
        let claim = V2 { access_key_id: "A".into(), signature: "x".into(), expires: None, token: None };
        assert_eq!(
            string_to_sign(&claim, &get, Some("awsexamplebucket1")),
            "GET\n\n\nTue, 27 Mar 2007 19:36:42 +0000\n/awsexamplebucket1/photos/puppy.jpg"
        );
        let presigned = V2 {
            access_key_id: "AKIAIOSFODNN7EXAMPLE".into(),
            signature: "NpgCjnDzrM+WFzoENXmpNDUsSn8=".into(),
            expires: Some(1_175_139_620),
            token: None,
        };
        let headers = HeaderMap::new();
        let get = Signable { headers: &headers, ..get };
        let text = string_to_sign(&presigned, &get, Some("awsexamplebucket1"));
        assert_eq!(text, "GET\n\n\n1175139620\n/awsexamplebucket1/photos/puppy.jpg");
        assert!(matches!(
            check(&get, &presigned, Some("awsexamplebucket1"), 1_175_139_621),
            Err(Flaw::Expired { .. })
        ));
        assert!(matches!(check(&get, &presigned, Some("another"), 0), Err(Flaw::Mismatch(_))));
        // The page's older bucket name, for which it prints this very signature.
        assert!(check(&get, &presigned, Some("johnsmith"), 0).is_ok());
    }

    #[test]
    fn subresources_and_amz_parameters_are_signed() {
        let headers = HeaderMap::new();
        let request = Signable {
            method: "PUT",
            path: "/b/k",
            query: "uploadId=a%2Fb&x-amz-meta-a=1&partNumber=2&other=3&acl",
            headers: &headers,
            host: "h",
        };
        let claim = V2 { access_key_id: "A".into(), signature: "x".into(), expires: Some(5), token: None };
        assert_eq!(
            string_to_sign(&claim, &request, None),
            "PUT\n\n\n5\nx-amz-meta-a:1\n/b/k?acl&partNumber=2&uploadId=a/b"
        );
    }
}

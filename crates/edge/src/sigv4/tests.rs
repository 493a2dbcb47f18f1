//! The implementation against AWS's own signer and AWS's published examples.

use super::*;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SessionTokenMode, SignableBody, SignableRequest,
    SignatureLocation, SigningSettings, UriPathNormalizationMode,
};
use aws_sigv4::sign::v4;
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use std::time::{Duration, UNIX_EPOCH};

const NOW: i64 = 1_440_938_160;
const KEY: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

#[derive(Debug)]
struct Made {
    method: &'static str,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// Signs with AWS's crate and gives query and headers as they would travel.
fn aws_signs(made: &Made, s3: bool, presign: Option<u64>, token: Option<&str>) -> (String, HeaderMap) {
    let mut settings = SigningSettings::default();
    if s3 {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    if let Some(seconds) = presign {
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(Duration::from_secs(seconds));
        settings.session_token_mode = SessionTokenMode::Include;
    }
    let identity = Credentials::new(KEY, SECRET, token.map(str::to_owned), None, "test").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("eu-central-1")
        .name(if s3 { "s3" } else { "lambda" })
        .time(UNIX_EPOCH + Duration::from_secs(NOW as u64))
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let separator = if made.query.is_empty() { "" } else { "?" };
    let uri = format!("http://localhost:4566{}{separator}{}", made.path, made.query);
    let headers = made.headers.iter().map(|(n, v)| (n.as_str(), v.as_str()));
    let body =
        if s3 && presign.is_some() { SignableBody::UnsignedPayload } else { SignableBody::Bytes(&made.body) };
    let request = SignableRequest::new(made.method, &uri, headers, body).unwrap();
    let (instructions, _) = aws_sigv4::http_request::sign(request, &params).unwrap().into_parts();
    let mut all = HeaderMap::new();
    for (name, value) in &made.headers {
        all.append(HeaderName::try_from(name.as_str()).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    for (name, value) in instructions.headers() {
        all.insert(HeaderName::try_from(name).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    let mut query = made.query.clone();
    for (name, value) in instructions.params() {
        if !query.is_empty() {
            query.push('&');
        }
        query.push_str(&format!(
            "{name}={}",
            percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC)
        ));
    }
    (query, all)
}

fn we_check(made: &Made, query: &str, headers: &HeaderMap, s3: bool, secret: &str) -> Result<(), Flaw> {
    let Claim::V4(claim) = Claim::read(headers, query)? else { return Err(Flaw::Missing) };
    let request = Signable { method: made.method, path: &made.path, query, headers, host: "localhost:4566" };
    check_time(&claim, NOW)?;
    check_signed_headers(&claim, &request, s3)?;
    let hash = match (s3, claim.presigned) {
        (true, true) => UNSIGNED_PAYLOAD.into(),
        _ => payload_hash(&made.body),
    };
    let style = if s3 { PathStyle::Once } else { PathStyle::Twice };
    verify(&claim, &request, &hash, &SecretKey::new(secret), style)
}

fn text(alphabet: &'static str, most: usize) -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(alphabet.chars().collect::<Vec<_>>()), 0..most)
        .prop_map(|c| c.into_iter().collect())
}

fn encoded(text: &str, slash: bool) -> String {
    const KEEP: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    const KEEP_SLASH: &percent_encoding::AsciiSet = &KEEP.remove(b'/');
    percent_encoding::utf8_percent_encode(text, if slash { KEEP_SLASH } else { KEEP }).to_string()
}

fn made() -> impl Strategy<Value = Made> {
    let alphabet = "abcXYZ019-._~/ +%&=?:@é$()*!',";
    (
        proptest::sample::select(vec!["GET", "PUT", "POST", "DELETE", "HEAD"]),
        text(alphabet, 24),
        proptest::collection::vec((text("abcz-. é/", 6), text(alphabet, 8)), 0..5),
        proptest::collection::vec((text("abcdef", 5), text("abc \"/;=,0", 12)), 0..4),
        proptest::collection::vec(any::<u8>(), 0..64),
    )
        .prop_map(|(method, path, query, headers, body)| Made {
            method,
            path: format!("/{}", encoded(&path, true)),
            query: query
                .iter()
                .filter(|(name, _)| !name.is_empty())
                .map(|(n, v)| format!("{}={}", encoded(n, false), encoded(v, false)))
                .collect::<Vec<_>>()
                .join("&"),
            headers: headers.into_iter().map(|(n, v)| (format!("x-test-{n}z"), v)).collect(),
            body,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_aws_signs_we_accept(made in made(), s3: bool, presign: bool, token: bool) {
        let token = token.then_some("FwoGZXIvYXdzEBY//token+=");
        let (query, headers) = aws_signs(&made, s3, presign.then_some(900), token);
        let outcome = we_check(&made, &query, &headers, s3, SECRET);
        prop_assert!(outcome.is_ok(), "{} {} {query}: {outcome:#?}", made.method, made.path);
        let wrong = we_check(&made, &query, &headers, s3, "another secret");
        prop_assert!(matches!(wrong, Err(Flaw::Mismatch(_))));
        // One more parameter, header value or byte is another request.
        let more = format!("{query}&z-more=1");
        prop_assert!(matches!(we_check(&made, &more, &headers, s3, SECRET), Err(Flaw::Mismatch(_))));
        let other = Made { path: format!("{}x", made.path), body: made.body.clone(), query: String::new(), headers: vec![], ..made };
        prop_assert!(matches!(we_check(&other, &query, &headers, s3, SECRET), Err(Flaw::Mismatch(_))));
        if !presign {
            let body = [other.body.as_slice(), b"x"].concat();
            let other = Made { path: other.path[..other.path.len() - 1].to_owned(), body, query: String::new(), headers: vec![], method: other.method };
            prop_assert!(matches!(we_check(&other, &query, &headers, s3, SECRET), Err(Flaw::Mismatch(_))));
        }
    }

    #[test]
    fn no_claim_panics(header in "\\PC{0,80}", date in "\\PC{0,20}", query in "\\PC{0,120}") {
        let mut headers = HeaderMap::new();
        for prefix in ["", "AWS4-HMAC-SHA256 ", "AWS ", "AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request, SignedHeaders=host, Signature="] {
            if let Ok(value) = HeaderValue::from_str(&format!("{prefix}{header}")) {
                headers.insert("authorization", value);
            }
            if let Ok(value) = HeaderValue::from_str(&date) {
                headers.insert("x-amz-date", value);
            }
            let _ = Claim::read(&headers, "");
        }
        let empty = HeaderMap::new();
        for prefix in ["X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=", "X-Amz-Signature=", "AWSAccessKeyId=a&Signature=b&Expires="] {
            let query = format!("{prefix}{query}");
            if let Ok(Claim::V4(claim)) = Claim::read(&empty, &query) {
                let request = Signable { method: "GET", path: &query, query: &query, headers: &empty, host: "" };
                let _ = verify(&claim, &request, "", &SecretKey::new("x"), PathStyle::Twice);
            }
        }
    }
}

/// Source: S3 API Reference, "Examples: Signature Calculations in AWS Signature Version 4".
#[test]
fn published_s3_examples() {
    let mut headers = HeaderMap::new();
    headers.insert("range", HeaderValue::from_static("bytes=0-9"));
    headers.insert("x-amz-date", HeaderValue::from_static("20130524T000000Z"));
    let empty = payload_hash(b"");
    headers.insert("x-amz-content-sha256", HeaderValue::from_str(&empty).unwrap());
    headers.insert(
        "authorization",
        HeaderValue::from_static(
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
             SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,\
             Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
    );
    let request = Signable {
        method: "GET",
        path: "/test.txt",
        query: "",
        headers: &headers,
        host: "examplebucket.s3.amazonaws.com",
    };
    let Ok(Claim::V4(claim)) = Claim::read(&headers, "") else { panic!("no claim") };
    verify(&claim, &request, &empty, &SecretKey::new(SECRET), PathStyle::Once).unwrap();

    let query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2F\
                 aws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=\
                 aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
    let headers = HeaderMap::new();
    let Ok(Claim::V4(claim)) = Claim::read(&headers, query) else { panic!("no claim") };
    let request = Signable { query, headers: &headers, ..request };
    verify(&claim, &request, UNSIGNED_PAYLOAD, &SecretKey::new(SECRET), PathStyle::Once).unwrap();
    assert!(check_time(&claim, claim.time + 86_400).is_ok());
    assert!(matches!(check_time(&claim, claim.time + 86_401), Err(Flaw::Expired { .. })));
    assert!(matches!(check_time(&claim, claim.time - 901), Err(Flaw::Early { .. })));
}

fn claim_of(header: &str) -> Result<(), Flaw> {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_str(header).unwrap());
    headers.insert("x-amz-date", HeaderValue::from_static("20150830T123600Z"));
    Claim::read(&headers, "").map(|_| ())
}

#[test]
fn malformed_headers_are_named() {
    let says = |header: &str, family: refusal::Family| {
        let error = family.refuse(claim_of(header).unwrap_err());
        format!("{} {} {}", error.status(), error.code(), error.message())
    };
    use refusal::Family::{JsonRpc, Query, S3};
    let short = "AWS4-HMAC-SHA256 Credential=AKID/20150830/us-east-1/sts/aws4_request, SignedHeaders=host";
    assert!(
        says(short, Query)
            .starts_with("403 IncompleteSignature Authorization header requires 'Signature' parameter.")
    );
    assert!(says(short, JsonRpc).starts_with("400 IncompleteSignatureException "));
    assert!(
        says(short, S3)
            .starts_with("400 AuthorizationHeaderMalformed The authorization header is malformed; ")
    );
    let parts = "AWS4-HMAC-SHA256 Credential=AKID/us-east-1, SignedHeaders=host, Signature=00";
    assert!(says(parts, Query).contains("exactly 5 slash-delimited elements"));
    assert!(says(parts, S3).contains("the Credential is mal-formed"));
    let day = "AWS4-HMAC-SHA256 Credential=AKID/20150829/us-east-1/sts/aws4_request, SignedHeaders=host, Signature=00";
    assert!(
        says(day, Query).starts_with("403 SignatureDoesNotMatch Date in Credential scope does not match")
    );
    let v4a =
        "AWS4-ECDSA-P256-SHA256 Credential=AKID/20150829/s3/aws4_request, SignedHeaders=host, Signature=00";
    assert!(says(v4a, S3).starts_with("501 NotImplemented not implemented: Signature Version 4A"));
}

#[test]
fn skew_is_fifteen_minutes_both_ways() {
    let claim = |time: i64| V4 {
        access_key_id: KEY.into(),
        scope: Scope::new("20150830/us-east-1/sts/aws4_request".into()).unwrap(),
        signed_headers: "host".into(),
        signature: "".into(),
        timestamp: time::basic(time).into(),
        time,
        expires: None,
        presigned: false,
        token: None,
    };
    assert!(check_time(&claim(NOW - SKEW), NOW).is_ok());
    assert!(check_time(&claim(NOW + SKEW), NOW).is_ok());
    let old = refusal::Family::Query.refuse(check_time(&claim(NOW - SKEW - 1), NOW).unwrap_err());
    assert_eq!(
        old.message(),
        "Signature expired: 20150830T122059Z is now earlier than 20150830T122100Z (20150830T123600Z - 15 min.)"
    );
    let young = refusal::Family::S3.refuse(check_time(&claim(NOW + SKEW + 1), NOW).unwrap_err());
    assert_eq!((young.code(), young.status()), ("RequestTimeTooSkewed", 403));
}

#[test]
fn s3_wants_every_amz_header_signed() {
    let mut headers = HeaderMap::new();
    headers.insert("x-amz-acl", HeaderValue::from_static("public-read"));
    headers.insert("x-amz-tagging", HeaderValue::from_static("a=b"));
    let request = Signable { method: "PUT", path: "/b/k", query: "", headers: &headers, host: "localhost" };
    let claim = V4 {
        access_key_id: KEY.into(),
        scope: Scope::new("20150830/us-east-1/s3/aws4_request".into()).unwrap(),
        signed_headers: "host;x-amz-date".into(),
        signature: "".into(),
        timestamp: "".into(),
        time: 0,
        expires: None,
        presigned: false,
        token: None,
    };
    let flaw = check_signed_headers(&claim, &request, true).unwrap_err();
    let error = refusal::Family::S3.refuse(flaw);
    assert_eq!(error.code(), "AccessDenied");
    assert_eq!(error.fields(), [("HeadersNotSigned", "x-amz-acl, x-amz-tagging".to_owned())]);
    assert!(check_signed_headers(&claim, &request, false).is_ok());
}

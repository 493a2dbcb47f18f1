//! Who a request says has signed it: headers, query, versions 4 and 2; what is refused is refused in words.

use super::{Target, seen, seen_message, texts};
use crate::request::Asked;
use cloudlet_edge::sigv4::{self, Claim, Family, Flaw, PathStyle, Signable};
use cloudlet_service::{Protocol, SecretKey};

pub(super) static TARGET: Target =
    Target { name: "sigv4", run, seeds, words: WORDS, longest: 64 << 10, ..Target::DEFAULT };

fn seeds() -> Vec<Vec<u8>> {
    texts(&[
        "GET /a/../b%20c?x=1&y\nhost: localhost\nx-amz-date: 20231114T221320Z\nx-amz-content-sha256: UNSIGNED-PAYLOAD\nauthorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20231114/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=0000000000000000000000000000000000000000000000000000000000000000\n\n",
        "GET /k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=test%2F20231114%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20231114T221320Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Signature=00&X-Amz-Security-Token=abc%2B\nhost: localhost\n\n",
        "GET /b/k?AWSAccessKeyId=test&Expires=1700000000&Signature=AAAA%3D\nhost: localhost\n\n",
        "GET /b/k\nhost: localhost\ndate: Tue, 14 Nov 2023 22:13:20 GMT\nauthorization: AWS test:AAAA=\n\n",
        "GET /\nhost: a\nauthorization: Bearer x\n\n",
    ])
}

const WORDS: &[&str] = &[
    "AWS4-HMAC-SHA256",
    "AWS4-ECDSA-P256-SHA256",
    "Credential=",
    "SignedHeaders=",
    "Signature=",
    "X-Amz-Algorithm=",
    "X-Amz-Credential=",
    "X-Amz-Date=",
    "X-Amz-Expires=",
    "X-Amz-SignedHeaders=",
    "X-Amz-Signature=",
    "AWSAccessKeyId=",
    "Expires=",
    "Signature",
    "&",
    "=",
    "/",
    "%2F",
    "%",
    "%ff",
    "+",
    ",",
    ", ",
    ";",
    "aws4_request",
    "20231114T221320Z",
    "99999999T999999Z",
    "604801",
    "\nauthorization: ",
    "\nx-amz-date: ",
    "\nx-amz-security-token: a",
    "\ndate: ",
    "//",
    "/./",
    "/../",
    "\u{e9}",
];

fn run(input: &[u8]) -> u64 {
    let Some(asked) = Asked::parse(input) else { return 0 };
    let request = Signable {
        method: asked.method,
        path: asked.path,
        query: asked.query,
        headers: &asked.headers,
        host: asked.host,
    };
    let secret = SecretKey::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
    let judge = || -> Result<u64, Flaw> {
        match Claim::read(&asked.headers, asked.query)? {
            Claim::None => Ok(1),
            Claim::V2(claim) => Ok(seen(&(2, claim.expires.is_some(), claim.token.is_some()))),
            Claim::V4(claim) => {
                sigv4::check_time(&claim, 1_700_000_000)?;
                let s3 = claim.service() == "s3";
                sigv4::check_signed_headers(&claim, &request, s3)?;
                for style in [PathStyle::Once, PathStyle::Twice] {
                    sigv4::verify(&claim, &request, "UNSIGNED-PAYLOAD", &secret, style)?;
                }
                Ok(seen(&(claim.date().len(), claim.region().len())))
            }
        }
    };
    match judge() {
        Ok(number) => number,
        Err(flaw) => {
            let error = Family::of(asked.path.len() % 2 == 0, Protocol::AwsQuery).refuse(flaw);
            // 501 is for algorithms that AWS has and we do not serve.
            assert!((400..500).contains(&error.status()) || error.status() == 501, "{error:?}");
            seen_message(error.code(), error.message())
        }
    }
}

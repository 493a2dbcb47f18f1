//! The aws-chunked decoder: however the bytes are cut on their way, the outcome is the same.

use super::{Target, seen, seen_message, texts};
use bytes::Bytes;
use cloudlet_edge::chunked::{Chain, Decoder};
use cloudlet_edge::sigv4::{self, Claim};
use cloudlet_service::{BodyError, Error, SecretKey};
use http::{HeaderMap, HeaderValue};

pub(super) static TARGET: Target =
    Target { name: "chunked", run, seeds, words: WORDS, longest: 64 << 10, ..Target::DEFAULT };

/// The first line says how it is decoded: the declared length, whether signatures are checked, the trailers.
fn seeds() -> Vec<Vec<u8>> {
    let signature = "0".repeat(64);
    let signed =
        format!("5 signed \n5;chunk-signature={signature}\r\nhello\r\n0;chunk-signature={signature}\r\n\r\n");
    let large =
        format!("10000 - \n2000\r\n{}\r\n710\r\n{}\r\n0\r\n\r\n", "x".repeat(0x2000), "y".repeat(0x710));
    let mut all = texts(&[
        "5 - \n5\r\nhello\r\n0\r\n\r\n",
        "5 - x-amz-checksum-crc32\n5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n",
        "5 - x-amz-checksum-crc32\n5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n",
        "0 - \n0\r\n\r\n",
        "5 - \n5;a=b;c\nhello\n0\n\n",
        "99999999999999999999 - \nffffffffffffffff\r\nx",
    ]);
    all.extend([signed.into_bytes(), large.into_bytes()]);
    all
}

const WORDS: &[&str] = &[
    "\r\n",
    "\n",
    "0\r\n\r\n",
    "0\r\n",
    ";",
    "chunk-signature=",
    "x-amz-trailer-signature:",
    "x-amz-checksum-crc32:AAAAAA==\r\n",
    "2000\r\n",
    "ffffffffffffffff",
    "10000000000000000",
    "-1",
    " ",
    "\t",
    "signed",
    "x-amz-checksum-crc32",
    "+5",
    "0x5",
];

fn run(input: &[u8]) -> u64 {
    let Some(end) = input.iter().position(|b| *b == b'\n') else { return 0 };
    let Ok(first) = std::str::from_utf8(&input[..end]) else { return 0 };
    let mut words = first.split(' ');
    let declared = words.next().and_then(|w| w.parse().ok()).unwrap_or(0);
    let signed = words.next() == Some("signed");
    let expected: Vec<String> = words.filter(|w| !w.is_empty()).map(str::to_ascii_lowercase).collect();
    let body = Bytes::copy_from_slice(&input[end + 1..]);
    let decode = |pieces: Vec<Bytes>| {
        let mut decoder = Decoder::new(declared, signed.then(chain).flatten(), expected.clone());
        let mut data = Vec::new();
        let go = || -> Result<Vec<(String, String)>, BodyError> {
            for mut piece in pieces {
                while let Some(some) = decoder.next(&mut piece)? {
                    data.extend_from_slice(&some);
                }
                assert!(piece.is_empty(), "the decoder wants more and leaves {} bytes", piece.len());
            }
            decoder.finish()
        };
        let outcome = go().map_err(Error::from).map_err(|e| format!("{} {}", e.code(), e.message()));
        assert!(data.len() as u64 <= declared, "{} bytes out of {declared}", data.len());
        (outcome, data)
    };
    let (whole, data) = decode(vec![body.clone()]);
    let pieces = if body.len() < 4096 {
        (0..body.len()).map(|i| body.slice(i..=i)).collect()
    } else {
        body.chunks(997).map(Bytes::copy_from_slice).collect()
    };
    let (split, again) = decode(pieces);
    if whole.is_ok() || split.is_ok() {
        assert_eq!((&whole, &data), (&split, &again), "the same bytes in pieces");
    }
    match whole {
        Ok(trailers) => seen(&(trailers.len(), data.len().checked_ilog2())),
        Err(why) => seen_message("", &why),
    }
}

fn chain() -> Option<Chain> {
    let mut headers = HeaderMap::new();
    let signature = "0".repeat(64);
    let text = format!(
        "AWS4-HMAC-SHA256 Credential=test/20231114/us-east-1/s3/aws4_request, SignedHeaders=host, Signature={signature}"
    );
    headers.insert("authorization", HeaderValue::from_str(&text).ok()?);
    headers.insert("x-amz-date", HeaderValue::from_static("20231114T221320Z"));
    match Claim::read(&headers, "") {
        Ok(Claim::V4(claim)) => Some(Chain::new(sigv4::seed(&claim, &SecretKey::new("test")))),
        _ => None,
    }
}

//! The decoder at every split, with AWS's published example and with everything that can be wrong.

use super::*;
use crate::sigv4::Seed;
use crate::sigv4::keys::{hex64, sign, signing_key};
use cloudlet_service::SecretKey;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

const SCOPE: &str = "20130524/us-east-1/s3/aws4_request";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

fn seed(signature: &str) -> Seed {
    Seed {
        key: signing_key("AKIAIOSFODNN7EXAMPLE", &SecretKey::new(SECRET), SCOPE),
        timestamp: "20130524T000000Z".to_owned(),
        scope: SCOPE.to_owned(),
        signature: signature.to_owned(),
    }
}

/// The data and the trailers of a body.
type Fed = (Vec<u8>, Vec<(String, String)>);

fn feed(decoder: &mut Decoder, pieces: &[&[u8]]) -> Result<Fed, BodyError> {
    let mut out = Vec::new();
    for piece in pieces {
        let mut input = Bytes::copy_from_slice(piece);
        while let Some(data) = decoder.next(&mut input)? {
            assert!(!data.is_empty());
            out.extend_from_slice(&data);
        }
        assert!(input.is_empty());
    }
    Ok((out, decoder.finish()?))
}

fn code(error: BodyError) -> String {
    match error {
        BodyError::Refused(error) => error.code().to_owned(),
        other => format!("{other:?}"),
    }
}

/// Source: "Transferring Payload in Multiple Chunks", the example of 66560 bytes of `a`.
fn published() -> Vec<u8> {
    let mut body = Vec::new();
    let chunks: [(usize, &str); 3] = [
        (65536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
        (1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
        (0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
    ];
    for (size, signature) in chunks {
        body.extend_from_slice(format!("{size:x};chunk-signature={signature}\r\n").as_bytes());
        body.extend(std::iter::repeat_n(b'a', size));
        body.extend_from_slice(b"\r\n");
    }
    body
}

fn published_decoder() -> Decoder {
    let signature = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
    Decoder::new(66560, Some(Chain::new(seed(signature))), Vec::new())
}

#[test]
fn the_published_example() {
    let body = published();
    let (data, trailers) = feed(&mut published_decoder(), &[&body]).unwrap();
    assert_eq!(data, vec![b'a'; 66560]);
    assert!(trailers.is_empty());
    // In pieces of every size that cuts through the framing somewhere else.
    for size in [1, 2, 3, 7, 86, 87, 88, 1000, 65623] {
        let pieces: Vec<&[u8]> = body.chunks(size).collect();
        assert_eq!(feed(&mut published_decoder(), &pieces).unwrap().0.len(), 66560, "{size}");
    }
}

/// A body of small chunks (only the last may be small) with trailers, as a client would sign it.
fn signed(chunks: &[&[u8]], trailers: &[(&str, &str)]) -> Vec<u8> {
    let start = seed("00");
    let mut previous = "00".to_owned();
    let next = |algorithm: &str, tail: &str, previous: &mut String| {
        let text = format!("{algorithm}\n{}\n{SCOPE}\n{previous}\n{tail}", start.timestamp);
        *previous = String::from_utf8(hex64(&sign(&start.key, text.as_bytes())).to_vec()).unwrap();
        previous.clone()
    };
    let mut body = Vec::new();
    for chunk in chunks.iter().chain([&&b""[..]]) {
        let hashes = format!("{}\n{}", hex::encode(Sha256::digest(b"")), hex::encode(Sha256::digest(chunk)));
        let signature = next("AWS4-HMAC-SHA256-PAYLOAD", &hashes, &mut previous);
        body.extend_from_slice(format!("{:x};chunk-signature={signature}\r\n", chunk.len()).as_bytes());
        body.extend_from_slice(chunk);
        if !chunk.is_empty() {
            body.extend_from_slice(b"\r\n");
        }
    }
    if !trailers.is_empty() {
        let text: String = trailers.iter().map(|(n, v)| format!("{n}:{v}\n")).collect();
        let tail = hex::encode(Sha256::digest(text.as_bytes()));
        let signature = next("AWS4-HMAC-SHA256-TRAILER", &tail, &mut previous);
        for (name, value) in trailers {
            body.extend_from_slice(format!("{name}:{value}\r\n").as_bytes());
        }
        body.extend_from_slice(format!("x-amz-trailer-signature:{signature}\r\n").as_bytes());
    }
    body.extend_from_slice(b"\r\n");
    body
}

fn decoder(len: u64, expected: &[&str]) -> Decoder {
    Decoder::new(len, Some(Chain::new(seed("00"))), expected.iter().map(|s| (*s).to_owned()).collect())
}

#[test]
fn trailers_come_out_verified_whatever_the_split() {
    let body = signed(&[b"hello"], &[("x-amz-checksum-crc32c", "sOO8/Q==")]);
    for cut in 0..=body.len() {
        let (data, trailers) =
            feed(&mut decoder(5, &["x-amz-checksum-crc32c"]), &[&body[..cut], &body[cut..]]).unwrap();
        assert_eq!(data, b"hello");
        assert_eq!(trailers, [("x-amz-checksum-crc32c".to_owned(), "sOO8/Q==".to_owned())]);
    }
    let unsigned = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n";
    for cut in 0..=unsigned.len() {
        let mut decoder = Decoder::new(5, None, vec!["x-amz-checksum-crc32".to_owned()]);
        let (data, trailers) = feed(&mut decoder, &[&unsigned[..cut], &unsigned[cut..]]).unwrap();
        assert_eq!((data.as_slice(), trailers.len()), (&b"hello"[..], 1));
    }
}

#[test]
fn every_changed_byte_is_noticed() {
    let body = signed(&[b"hello"], &[("x-amz-checksum-crc32c", "sOO8/Q==")]);
    for at in 0..body.len() {
        for flip in [0x01, 0x20] {
            let mut changed = body.clone();
            changed[at] ^= flip;
            // Only the case of a trailer's name means nothing.
            if let Ok((data, trailers)) = feed(&mut decoder(5, &["x-amz-checksum-crc32c"]), &[&changed]) {
                assert_eq!(data, b"hello");
                assert_eq!(trailers[0].1, "sOO8/Q==");
                let case = body[at].is_ascii_lowercase() && flip == 0x20;
                assert!(case, "byte {at} {:?}", char::from(body[at]));
            }
        }
    }
}

#[test]
fn every_truncation_is_incomplete() {
    let body = signed(&[b"hello"], &[("x-amz-checksum-crc32c", "sOO8/Q==")]);
    // The empty line at the end may be missing; anything before it may not.
    for cut in 0..body.len() - 2 {
        let outcome = feed(&mut decoder(5, &["x-amz-checksum-crc32c"]), &[&body[..cut]]);
        assert!(outcome.is_err(), "{cut}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    let plain = |body: &[u8], len| code(feed(&mut Decoder::new(len, None, Vec::new()), &[body]).unwrap_err());
    assert_eq!(plain(b"zz\r\n", 1), "InvalidRequest");
    assert_eq!(plain(b"\r\n", 1), "InvalidRequest");
    assert_eq!(plain(b"-1\r\n", 1), "InvalidRequest");
    assert_eq!(plain(b"11111111111111111\r\n", 1), "InvalidRequest");
    assert_eq!(plain(b"ffffffffffffffff\r\n", 1), "Incomplete");
    assert_eq!(plain(&b"1".repeat(5000), 1), "InvalidRequest");
    assert_eq!(plain(b"1;a\r\nxy\r\n0\r\n\r\n", 1), "InvalidRequest");
    assert_eq!(plain(b"1\r\nx\r\n0\r\n\r\n", 2), "Incomplete");
    assert_eq!(plain(b"1\r\nx\r\n1\r\ny\r\n0\r\n\r\n", 2), "InvalidChunkSizeError");
    assert_eq!(plain(b"1\r\nx\r\n0\r\nx-other:1\r\n\r\n", 1), "MalformedTrailerError");
    assert_eq!(plain(b"0\r\n\r\nmore", 0), "InvalidRequest");
    let mut decoder = Decoder::new(1, None, vec!["x-amz-checksum-crc32".to_owned()]);
    assert_eq!(code(feed(&mut decoder, &[b"1\r\nx\r\n0\r\n\r\n"]).unwrap_err()), "MalformedTrailerError");
    let mut missing = self::decoder(1, &[]);
    assert_eq!(code(feed(&mut missing, &[b"1\r\nx\r\n0\r\n\r\n"]).unwrap_err()), "InvalidRequest");
    let forged = format!("1;chunk-signature={}\r\nx\r\n", "0".repeat(64));
    assert_eq!(
        code(feed(&mut self::decoder(1, &[]), &[forged.as_bytes()]).unwrap_err()),
        "SignatureDoesNotMatch"
    );
    // Signed chunks, then trailers that nobody signed.
    let mut body = signed(&[b"hello"], &[]);
    body.truncate(body.len() - 2);
    body.extend_from_slice(b"x-amz-checksum-crc32c:AAAA\r\n\r\n");
    let mut unsigned_trailer = self::decoder(5, &["x-amz-checksum-crc32c"]);
    assert_eq!(code(feed(&mut unsigned_trailer, &[&body]).unwrap_err()), "MalformedTrailerError");
}

proptest! {
    #[test]
    fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0usize..300, signed: bool) {
        let cut = cut.min(bytes.len());
        let chain = signed.then(|| Chain::new(seed("00")));
        let mut decoder = Decoder::new(40, chain, vec!["a".to_owned()]);
        let _ = feed_any(&mut decoder, &[&bytes[..cut], &bytes[cut..]]);
    }

    #[test]
    fn nothing_like_it_panics(text in "([0-9a-f]{0,3}(;chunk-signature=0)?\r\n[a-z:]{0,9}(\r\n)?){0,6}") {
        let mut decoder = Decoder::new(40, None, vec!["a".to_owned()]);
        let _ = feed_any(&mut decoder, &[text.as_bytes()]);
    }
}

fn feed_any(decoder: &mut Decoder, pieces: &[&[u8]]) -> Result<(), BodyError> {
    for piece in pieces {
        let mut input = Bytes::copy_from_slice(piece);
        while decoder.next(&mut input)?.is_some() {}
    }
    decoder.finish().map(|_| ())
}

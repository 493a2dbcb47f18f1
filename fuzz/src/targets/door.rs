//! The front door itself, over a socket: whatever comes, it answers or closes, and goes on.

use super::world::{self, NOW};
use super::{Target, seen, texts};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use std::time::{Duration, UNIX_EPOCH};

pub(super) static TARGET: Target =
    Target { name: "door", run, seeds, words: WORDS, longest: 200 << 10, memory: 128 << 20 };

fn seeds() -> Vec<Vec<u8>> {
    let mut all = texts(&[
        "GET / HTTP/1.1\r\nHost: localhost:4566\r\n\r\n",
        "GET /_localstack/health HTTP/1.0\r\n\r\n",
        "GET /_cloudlet/info HTTP/1.1\r\nHost: [::1]\r\n\r\n",
        "OPTIONS /b/k HTTP/1.1\r\nHost: b.s3.eu-west-1.localhost.localstack.cloud\r\nOrigin: http://localhost:3000\r\nAccess-Control-Request-Method: PUT\r\n\r\n",
        "PUT /k HTTP/1.1\r\nHost: photos.s3.localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n20\r\nAction=GetCallerIdentity&Version\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nX-Amz-Target: Logs_20140328.PutLogEvents\r\nContent-Length: 3\r\n\r\n\u{1f}\u{8b}x",
        "GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET /two HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ]);
    // HTTP/2: the preface, settings, and a request in HPACK's static table.
    all.push(
        [
            &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
            b"\0\0\0\x04\0\0\0\0\0",
            b"\0\0\x0d\x01\x05\0\0\0\x01\x82\x84\x86\x41\x08localhost"[..].get(..22).unwrap_or_default(),
            b"\0\0\x08\x06\0\0\0\0\0pingpong",
        ]
        .concat(),
    );
    let form = "application/x-www-form-urlencoded";
    all.extend(
        [
            signed("POST", "/", "sts", form, b"Action=GetCallerIdentity&Version=2011-06-15"),
            signed("PUT", "/fuzz", "s3", "", b""),
            signed("PUT", "/fuzz/key", "s3", "text/plain", b"some bytes"),
            signed("GET", "/fuzz/key", "s3", "", b""),
            signed("GET", "/fuzz?list-type=2&prefix=k", "s3", "", b""),
            signed("POST", "/fuzz?delete", "s3", "", b"<Delete><Object><Key>key</Key></Object></Delete>"),
        ]
        .into_iter()
        .flatten(),
    );
    all
}

/// A request that the root user signed. For S3 its body is not signed, so that it may be broken.
fn signed(method: &str, target: &str, service: &str, content_type: &str, body: &[u8]) -> Option<Vec<u8>> {
    let identity = Credentials::new("test", "test", None, None, "fuzz").into();
    let mut settings = SigningSettings::default();
    let s3 = service == "s3";
    if s3 {
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name(service)
        .time(UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs()))
        .settings(settings)
        .build()
        .ok()?;
    let uri = format!("http://localhost{target}");
    let payload = if s3 { SignableBody::UnsignedPayload } else { SignableBody::Bytes(body) };
    let request = SignableRequest::new(method, &uri, [("host", "localhost")].into_iter(), payload).ok()?;
    let (made, _) = sign(request, &params.into()).ok()?.into_parts();
    let mut out =
        format!("{method} {target} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n", body.len());
    if !content_type.is_empty() {
        out += &format!("content-type: {content_type}\r\n");
    }
    for (name, value) in made.headers() {
        out += &format!("{name}: {value}\r\n");
    }
    Some([out.as_bytes(), b"\r\n", body].concat())
}

const WORDS: &[&str] = &[
    "\r\n",
    "\r\n\r\n",
    "\n",
    "GET ",
    "PUT ",
    "POST ",
    "HEAD ",
    "DELETE ",
    "CONNECT ",
    " HTTP/1.1",
    " HTTP/1.0",
    " HTTP/2.0",
    "Host: ",
    "\r\nHost: a.s3.localhost",
    "\r\nContent-Length: 0",
    "\r\nContent-Length: 18446744073709551616",
    "\r\nTransfer-Encoding: chunked",
    "\r\nExpect: 100-continue",
    "\r\nContent-Encoding: gzip",
    "\r\nContent-Encoding: aws-chunked",
    "\r\nx-amz-decoded-content-length: 5",
    "\r\nx-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    "\r\nx-amz-trailer: x-amz-checksum-crc32",
    "\r\nConnection: keep-alive",
    "\r\nConnection: Upgrade",
    "\r\nX-Amz-Target: a.b",
    "http://localhost/",
    "//",
    "/../",
    "%2F",
    "%00",
    "?",
    "#",
    "*",
    "0\r\n\r\n",
    "\r\nOrigin: null",
    "\r\nX-Forwarded-For: a",
    "\r\nRange: bytes=0-",
    "xn--",
    "[::1]",
    "\r\n x",
];

fn run(input: &[u8]) -> u64 {
    world::with(|world| {
        let answer = world.knock(input, true);
        let first = answer.split(|b| *b == b'\r').next().unwrap_or_default();
        // The door is still open for others.
        let other = world.knock(
            b"GET /_localstack/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
            false,
        );
        assert!(
            other.starts_with(b"HTTP/1.1 200"),
            "the next client got {:?}",
            String::from_utf8_lossy(&other)
        );
        let code =
            answer.windows(6).position(|w| w == b"<Code>").map(|at| &answer[at..(at + 24).min(answer.len())]);
        seen(&(first, code, answer.len().checked_ilog2()))
    })
}

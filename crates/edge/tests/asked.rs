//! The request's side of the front door: who asks, for what, with which body.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::*;
use std::io::Write;
use std::time::Duration;

fn code(reply: &Reply) -> String {
    let text = reply.text();
    match text.split_once("<Code>") {
        Some((_, rest)) => rest.split('<').next().unwrap().to_owned(),
        None => {
            let kind = reply.json()["__type"].as_str().unwrap_or_default().to_owned();
            kind.rsplit('#').next().unwrap().to_owned()
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_family_refuses_in_its_own_words() {
    let cloud = start();
    let query = || {
        Request::new("POST", "/")
            .header("content-type", "application/x-www-form-urlencoded")
            .body("Action=GetCallerIdentity&Version=2011-06-15")
    };
    let json = || put_log_events(EVENTS);
    let s3 = || Request::new("GET", "/b/private");
    for (request, status, expected) in [
        (query().signed_by("sts", KEY, "wrong", None), 403, "SignatureDoesNotMatch"),
        (query().signed_by("sts", "AKIANOBODY", SECRET, None), 403, "InvalidClientTokenId"),
        (query().signed_by("sts", SESSION, SECRET, Some("old")), 403, "ExpiredToken"),
        (query().signed_by("sts", SESSION, SECRET, Some("bad")), 403, "InvalidClientTokenId"),
        (query().signed_by("sts", SESSION, SECRET, Some("good")), 200, ""),
        (query(), 403, "MissingAuthenticationToken"),
        (query().header("authorization", "AWS4-HMAC-SHA256 Credential=x"), 403, "IncompleteSignature"),
        (json().signed_by("logs", KEY, "wrong", None), 400, "InvalidSignatureException"),
        (json().signed_by("logs", "AKIANOBODY", SECRET, None), 400, "UnrecognizedClientException"),
        (json().signed_by("logs", SESSION, SECRET, Some("old")), 400, "ExpiredTokenException"),
        (json(), 400, "MissingAuthenticationTokenException"),
        (s3().signed_by("s3", KEY, "wrong", None), 403, "SignatureDoesNotMatch"),
        (s3().signed_by("s3", "AKIANOBODY", SECRET, None), 403, "InvalidAccessKeyId"),
        (s3().signed_by("s3", SESSION, SECRET, Some("old")), 400, "ExpiredToken"),
        (s3().signed_by("s3", SESSION, SECRET, Some("bad")), 400, "InvalidToken"),
        (s3(), 403, "AccessDenied"),
        (s3().header("authorization", "AWS4-HMAC-SHA256 x"), 400, "AuthorizationHeaderMalformed"),
        (s3().signed("s3").header("x-amz-meta-added", "later"), 403, "AccessDenied"),
    ] {
        let reply = cloud.ask(&request).await;
        assert_eq!(reply.status, status, "{expected}: {}", reply.text());
        if status != 200 {
            assert_eq!(code(&reply), expected, "{}", reply.text());
        }
    }
    let reply = cloud.ask(&s3().signed_by("s3", KEY, "wrong", None)).await;
    for field in ["StringToSign", "SignatureProvided", "CanonicalRequestBytes", "HostId"] {
        assert!(reply.text().contains(&format!("<{field}>")), "{field}");
    }
    assert_eq!(reply.header("server"), Some("AmazonS3"));
    assert_eq!(reply.header("x-amz-request-id").unwrap().len(), 16);
    assert!(reply.header("x-amz-id-2").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn time_is_the_clouds_own() {
    let cloud = start();
    cloud.clock.advance(Duration::from_secs(15 * 60));
    assert_eq!(cloud.ask(&get_caller_identity()).await.status, 200);
    cloud.clock.advance(Duration::from_secs(1));
    let reply = cloud.ask(&get_caller_identity()).await;
    assert!(
        reply.text().contains("Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z")
    );
    assert_eq!(code(&cloud.ask(&get("/b/k")).await), "RequestTimeTooSkewed");
}

#[tokio::test(flavor = "multi_thread")]
async fn presigned_urls_work_until_they_do_not() {
    let cloud = start();
    assert_eq!(cloud.ask(&put("/b/a%20key", "v")).await.status, 200);
    let url = Request::new("GET", "/b/a%20key").presigned(3600);
    let reply = cloud.ask(&url).await;
    assert_eq!((reply.status, reply.text().as_str()), (200, "v"));
    cloud.clock.advance(Duration::from_secs(3601));
    let reply = cloud.ask(&url).await;
    assert_eq!(code(&reply), "AccessDenied");
    assert!(reply.text().contains("<Message>Request has expired</Message>"), "{}", reply.text());
    assert!(reply.text().contains("<X-Amz-Expires>3600</X-Amz-Expires>"));
    let mut long = Request::new("GET", "/b/k").presigned(604_800);
    long.query = long.query.replace("604800", "604801");
    assert_eq!(code(&cloud.ask(&long).await), "AuthorizationQueryParametersError");
}

/// What boto3 makes by default for a region that still knows version 2.
#[tokio::test(flavor = "multi_thread")]
async fn version_2_urls_work_too() {
    use hmac::{Hmac, KeyInit, Mac};
    let cloud = start();
    assert_eq!(cloud.ask(&put("/b/k", "v")).await.status, 200);
    let expires = NOW + 60;
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(format!("GET\n\n\n{expires}\n/b/k").as_bytes());
    let signature =
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, mac.finalize().into_bytes());
    let signature = percent_encoding::utf8_percent_encode(&signature, percent_encoding::NON_ALPHANUMERIC);
    let url = |path: &str| {
        Request::new("GET", &format!("{path}?AWSAccessKeyId={KEY}&Signature={signature}&Expires={expires}"))
    };
    assert_eq!(cloud.ask(&url("/b/k")).await.text(), "v");
    // The same over a virtual host: the bucket is part of what is signed.
    assert_eq!(cloud.ask(&url("/k").host("b.s3.localhost")).await.text(), "v");
    assert_eq!(code(&cloud.ask(&url("/b/other")).await), "SignatureDoesNotMatch");
    cloud.clock.advance(Duration::from_secs(61));
    assert_eq!(code(&cloud.ask(&url("/b/k")).await), "AccessDenied");
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_are_found_in_the_path_and_in_the_host() {
    let cloud = start();
    assert_eq!(cloud.ask(&put("/photos/a/b", "v")).await.status, 200);
    for host in
        ["photos.localhost:4566", "photos.s3.localhost", "photos.s3.eu-central-1.localhost.localstack.cloud"]
    {
        let reply = cloud.ask(&Request::new("GET", "/a/b").host(host).signed("s3")).await;
        assert_eq!(reply.text(), "v", "{host}");
        // Unsigned, as a web page loads it.
        assert_eq!(cloud.ask(&Request::new("GET", "/a/b").host(host)).await.text(), "v", "{host}");
    }
    assert_eq!(
        cloud
            .ask(&Request::new("PUT", "/my%20key").host("photos.localhost").body("w").signed("s3"))
            .await
            .status,
        200
    );
    assert_eq!(&cloud.inside.objects.lock().unwrap()["photos/my key"][..], b"w");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_what_their_signature_says() {
    let cloud = start();
    let mut changed = put("/b/k", "hello");
    changed.body = b"HELLO".to_vec();
    let reply = cloud.ask(&changed).await;
    assert_eq!((reply.status, code(&reply)), (400, "XAmzContentSHA256Mismatch".to_owned()));
    let mut empty = put("/b/k", "hello");
    empty.body.clear();
    assert_eq!(code(&cloud.ask(&empty).await), "XAmzContentSHA256Mismatch");
    assert!(cloud.inside.objects.lock().unwrap().is_empty());
    let unsigned = Request::new("PUT", "/b/k").body("hello").signed_unsigned_payload();
    assert_eq!(cloud.ask(&unsigned).await.status, 200);
    let odd = Request::new("PUT", "/b/k").body("hello").signed_with_payload("nonsense");
    assert_eq!(code(&cloud.ask(&odd).await), "InvalidArgument");
    let mut changed = put_log_events(EVENTS).signed("logs");
    changed.body[2] = b'x';
    assert_eq!(code(&cloud.ask(&changed).await), "InvalidSignatureException");
}

fn unsigned_trailer(data: &[u8], trailer: &str) -> Request {
    let mut body = format!("{:x}\r\n", data.len()).into_bytes();
    body.extend_from_slice(data);
    body.extend_from_slice(format!("\r\n0\r\n{trailer}\r\n\r\n").as_bytes());
    Request::new("PUT", "/b/k")
        .header("content-encoding", "gzip,aws-chunked")
        .header("x-amz-decoded-content-length", &data.len().to_string())
        .header("x-amz-trailer", "x-amz-checksum-crc32")
        .body(body)
        .signed_with_payload("STREAMING-UNSIGNED-PAYLOAD-TRAILER")
}

#[tokio::test(flavor = "multi_thread")]
async fn chunked_uploads_lose_their_framing_and_keep_their_trailers() {
    let cloud = start();
    let data = vec![b'a'; 100_000];
    let reply = cloud.ask(&unsigned_trailer(&data, "x-amz-checksum-crc32:AAAAAA==")).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(cloud.inside.objects.lock().unwrap()["b/k"], data);
    assert_eq!(cloud.inside.trailers.lock().unwrap()["b/k"], "AAAAAA==");
    assert_eq!(cloud.inside.encodings.lock().unwrap()["b/k"].as_deref(), Some("gzip"));
    let reply = cloud.ask(&unsigned_trailer(&data, "x-amz-other:1")).await;
    assert_eq!(code(&reply), "MalformedTrailerError");
    let mut short = unsigned_trailer(&data, "x-amz-checksum-crc32:AAAAAA==");
    short.body.truncate(50_000);
    assert_eq!(code(&cloud.ask(&short).await), "IncompleteBody");
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_chunks_are_chained_to_the_head() {
    use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
    use sha2::{Digest, Sha256};
    let cloud = start();
    let data = vec![b'a'; 70_000];
    let head = Request::new("PUT", "/b/k")
        .header("x-amz-decoded-content-length", "70000")
        .signed_with_payload("STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
    let time = std::time::UNIX_EPOCH + Duration::from_secs(NOW);
    let key = generate_signing_key(SECRET, time, "eu-central-1", "s3");
    let (mut previous, mut body) = (head.signature(), Vec::new());
    let empty = hex::encode(Sha256::digest(b""));
    for chunk in data.chunks(65_536).chain([&b""[..]]) {
        let text = format!(
            "AWS4-HMAC-SHA256-PAYLOAD\n20150830T123600Z\n20150830/eu-central-1/s3/aws4_request\n{previous}\n{empty}\n{}",
            hex::encode(Sha256::digest(chunk))
        );
        previous = calculate_signature(&key, text.as_bytes());
        body.extend_from_slice(format!("{:x};chunk-signature={previous}\r\n", chunk.len()).as_bytes());
        body.extend_from_slice(chunk);
        body.extend_from_slice(b"\r\n");
    }
    let request = head.clone().body(body.clone());
    assert_eq!(cloud.ask(&request).await.status, 200);
    assert_eq!(cloud.inside.objects.lock().unwrap()["b/k"], data);
    body[66_000] ^= 1;
    let reply = cloud.ask(&head.body(body)).await;
    assert_eq!((reply.status, code(&reply)), (403, "SignatureDoesNotMatch".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_without_a_length_are_taken() {
    let cloud = start();
    let chunked = b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
    let mut request =
        Request::new("PUT", "/b/k").signed_unsigned_payload().header("transfer-encoding", "chunked");
    request.body = chunked.to_vec();
    assert_eq!(cloud.ask(&request).await.status, 200);
    assert_eq!(&cloud.inside.objects.lock().unwrap()["b/k"][..], b"hello world");
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    writer.write_all(data).unwrap();
    writer.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn gzip_is_unfolded_and_bombs_are_not() {
    let cloud = start();
    let request = |body: Vec<u8>| put_log_events(body).header("content-encoding", "gzip").signed("logs");
    let reply = cloud.ask(&request(gzip(EVENTS.as_bytes()))).await;
    assert_eq!(
        (reply.status, reply.json()["nextSequenceToken"].as_str()),
        (200, Some("1")),
        "{}",
        reply.text()
    );
    let bomb = gzip(&vec![b' '; 200 * 1024 * 1024]);
    assert!(bomb.len() < 1024 * 1024);
    let reply = cloud.ask(&request(bomb)).await;
    assert_eq!((reply.status, code(&reply)), (413, "RequestEntityTooLargeException".to_owned()));
    let reply = cloud.ask(&request(b"no gzip".to_vec())).await;
    assert_eq!((reply.status, code(&reply)), (400, "SerializationException".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn huge_bodies_are_refused_before_they_come() {
    let cloud = start_with(|config| config.limits.body_bytes = 1000);
    let mut client = cloud.connect().await;
    let mut request = put_log_events("").header("content-length", "99999999999");
    request = request.signed("logs");
    client.send(&request.head_bytes()).await;
    assert_eq!(client.reply("POST").await.status, 413);
    // Without a length it is counted as it comes.
    let mut client = cloud.connect().await;
    let request = put_log_events("").header("transfer-encoding", "chunked").signed("logs");
    client.send(&request.head_bytes()).await;
    client.send(format!("7d0\r\n{}\r\n", "x".repeat(2000)).as_bytes()).await;
    assert_eq!(client.reply("POST").await.status, 413);
    assert_eq!(cloud.ask(&get_caller_identity()).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn held_bodies_share_one_bound() {
    let cloud = start_with(|config| config.limits.body_bytes_in_all = 100_000);
    let body = format!("{EVENTS}{}", " ".repeat(150_000));
    let reply = cloud.ask(&put_log_events(body).signed("logs")).await;
    assert_eq!(reply.status, 503);
    assert_eq!(cloud.ask(&put_log_events(EVENTS).signed("logs")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn local_tooling_finds_its_probes() {
    let cloud = start();
    let health = cloud.ask(&Request::new("GET", "/_localstack/health")).await.json();
    assert_eq!(health["services"]["s3"], "running");
    assert_eq!(health["edition"], "community");
    assert_eq!(cloud.ask(&Request::new("GET", "/health")).await.json()["services"]["sts"], "running");
    let init = cloud.ask(&Request::new("GET", "/_localstack/init")).await.json();
    assert_eq!(init["completed"]["READY"], true);
    assert_eq!(cloud.ask(&Request::new("GET", "/_localstack/init/ready")).await.json()["completed"], true);
    assert_eq!(cloud.ask(&Request::new("GET", "/_localstack/init/nothing")).await.status, 404);
    assert!(cloud.ask(&Request::new("GET", "/_localstack/info")).await.json()["version"].is_string());
    assert_eq!(cloud.ask(&Request::new("GET", "/")).await.status, 200);
    assert_eq!(cloud.ask(&Request::new("HEAD", "/")).await.status, 200);
    // Signed, the same path is S3's.
    assert!(cloud.ask(&get("/")).await.text().contains("ListAllMyBucketsResult"));
    assert_eq!(cloud.ask(&Request::new("GET", "/_cloudlet/health")).await.json()["status"], "running");
    assert_eq!(cloud.ask(&Request::new("GET", "/_cloudlet/nothing")).await.status, 404);
    assert_eq!(cloud.ask(&Request::new("GET", "/_cloudlet/info").host("evil.example")).await.status, 403);
    let page = Request::new("GET", "/_cloudlet/info").header("origin", "https://evil.example");
    assert_eq!(cloud.ask(&page).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn services_left_out_do_not_answer() {
    let cloud = start_with(|config| config.services = Some(vec!["s3".to_owned()]));
    assert_eq!(cloud.ask(&get_caller_identity()).await.status, 501);
    let health = cloud.ask(&Request::new("GET", "/_localstack/health")).await.json();
    assert_eq!(health["services"].as_object().unwrap().len(), 1);
    let other = Request::new("GET", "/2015-03-31/functions").signed("lambda");
    assert_eq!(cloud.ask(&other).await.status, 501);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_this_machine_may_call_and_others_may_not() {
    let cloud = start();
    let preflight = |origin: &str| {
        Request::new("OPTIONS", "/")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,x-amz-target")
    };
    let reply = cloud.ask(&preflight("http://localhost:3000")).await;
    assert_eq!(reply.status, 204);
    assert_eq!(reply.header("access-control-allow-origin"), Some("http://localhost:3000"));
    assert_eq!(reply.header("access-control-allow-headers"), Some("authorization,x-amz-target"));
    assert_eq!(cloud.ask(&preflight("https://evil.example")).await.status, 403);
    let call = |origin: &str| put_log_events(EVENTS).signed("logs").header("origin", origin);
    let reply = cloud.ask(&call("http://localhost:3000")).await;
    assert_eq!(
        (reply.status, reply.header("access-control-allow-origin")),
        (200, Some("http://localhost:3000"))
    );
    assert_eq!(cloud.ask(&call("https://evil.example")).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_have_no_body() {
    let cloud = start();
    let mut client = cloud.connect().await;
    let mut request = Request::new("HEAD", "/b/missing").signed("s3");
    client.send(&request.bytes()).await;
    assert_eq!(client.reply("HEAD").await.status, 501);
    request = get_caller_identity();
    client.send(&request.bytes()).await;
    assert_eq!(client.reply("POST").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn contradictions_are_refused() {
    let cloud = start();
    let mut twice = Request::new("GET", "/b/k").presigned(60);
    twice.headers = get("/b/k").headers;
    assert_eq!(code(&cloud.ask(&twice).await), "InvalidArgument");
    assert_eq!(cloud.ask(&get("/b/k").header("host", "another")).await.status, 400);
    // The scope says one service, the target another.
    let reply = cloud.ask(&put_log_events(EVENTS).signed("sts")).await;
    assert_eq!(reply.status, 400);
    let far = Request::new("GET", "/b/k").signed("s3");
    let mut elsewhere = far.clone();
    for (_, value) in &mut elsewhere.headers {
        *value = value.replace("eu-central-1", "nowhere");
    }
    let reply = cloud.ask(&elsewhere).await;
    assert_eq!(code(&reply), "AuthorizationHeaderMalformed");
    assert!(reply.text().contains("<Region>us-east-1</Region>"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_for_s3_is_checked_against_its_hash_too() {
    let cloud = start();
    let document = "<Delete><Object><Key>k</Key></Object></Delete>";
    let request =
        |body: &str| Request::new("POST", "/b?delete").header("content-type", "application/xml").body(body);
    let mut changed = request(document).signed("s3");
    assert_eq!(cloud.ask(&changed).await.status, 501, "this small S3 deletes nothing");
    changed.body[20] = b'X';
    assert_eq!(code(&cloud.ask(&changed).await), "XAmzContentSHA256Mismatch");
}

//! The connection's side of the front door: keep-alive, pipelining, HTTP/2, TLS, slow and huge clients, an end.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::*;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

type Test = Result<(), Box<dyn std::error::Error>>;

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_serves_many_requests_even_sent_at_once() {
    let cloud = start();
    let mut client = cloud.connect().await;
    for _ in 0..3 {
        client.send(&get_caller_identity().bytes()).await;
        let reply = client.reply("POST").await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert!(reply.text().contains("<Arn>arn:aws:iam::111122223333:user/ada</Arn>"));
        assert_eq!(reply.header("x-amzn-requestid").unwrap().len(), 36);
    }
    let all = [put("/b/one", "1"), get("/b/one"), get("/b/two"), get_caller_identity()];
    client.send(&all.iter().flat_map(Request::bytes).collect::<Vec<u8>>()).await;
    let mut seen = Vec::new();
    for request in &all {
        seen.push(client.reply(request.method).await.status);
    }
    assert_eq!(seen, [200, 200, 404, 200]);
    assert_eq!(cloud.stopped().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_on_the_same_port_and_for_many_requests_at_once() -> Test {
    let cloud = start();
    let stream = tokio::net::TcpStream::connect(cloud.address).await?;
    let (send, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let calls = (0..20).map(|i| {
        let mut send = send.clone();
        async move {
            let made = put(&format!("/b/{i}"), vec![b'x'; 1000 * i]);
            let mut request =
                http::Request::builder().method("PUT").uri(format!("http://localhost{}", made.path));
            for (name, value) in &made.headers {
                request = request.header(name, value);
            }
            let request = request.body(Full::new(bytes::Bytes::from(made.body))).unwrap();
            let response = send.send_request(request).await.unwrap();
            (response.status().as_u16(), response.into_body().collect().await.unwrap().to_bytes())
        }
    });
    for (status, body) in futures_util::future::join_all(calls).await {
        assert_eq!((status, body.len()), (200, 0), "{}", String::from_utf8_lossy(&body));
    }
    assert_eq!(cloud.inside.objects.lock().unwrap()["b/19"].len(), 19_000);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_and_plain_share_the_port() -> Test {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("tls");
    let cloud = start_with(|config| config.tls = Some(path.clone()));
    let pem = cloudlet_edge::ca_pem(&path)?;
    let told = cloud.ask(&Request::new("GET", "/_cloudlet/ca.pem")).await;
    assert_eq!(told.text(), pem);
    let mut roots = rustls::RootCertStore::empty();
    let der = pem.lines().filter(|l| !l.starts_with("---")).collect::<String>();
    let der = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, der)?;
    roots.add(der.into())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    for name in
        ["localhost", "127.0.0.1", "photos.s3.eu-west-1.localhost.localstack.cloud", "photos.localhost"]
    {
        let stream = tokio::net::TcpStream::connect(cloud.address).await?;
        let name = rustls::pki_types::ServerName::try_from(name)?;
        let mut client = Client::new(connector.connect(name, stream).await?);
        client.send(&put("/b/secure", "s").bytes()).await;
        assert_eq!(client.reply("PUT").await.status, 200);
    }
    let (region, secure, endpoint) = cloud.inside.origins.lock().unwrap()[0].clone();
    assert_eq!((region.as_str(), secure, endpoint.as_str()), ("eu-central-1", true, "https://localhost"));
    // A name that is not ours gets the usual certificate, which is not for it.
    let stream = tokio::net::TcpStream::connect(cloud.address).await?;
    let name = rustls::pki_types::ServerName::try_from("example.com")?;
    assert!(connector.connect(name, stream).await.is_err());
    assert_eq!(cloud.ask(&get("/b/secure")).await.status, 200);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn unix_sockets_serve_functions_without_network() -> Test {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("edge.sock");
    // A stale socket of a killed program.
    drop(std::os::unix::net::UnixListener::bind(&path)?);
    let cloud = start_with(|config| config.unix = vec![path.clone()]);
    let mut client = Client::new(tokio::net::UnixStream::connect(&path).await?);
    client.send(&put("/b/k", "v").bytes()).await;
    assert_eq!(client.reply("PUT").await.status, 200);
    drop(client);
    assert_eq!(cloud.stopped().await, 0);
    assert!(!path.exists());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_head_is_cut_and_hurts_no_one() {
    let cloud = start_with(|config| config.limits.head_time = Duration::from_millis(200));
    let mut slow = Vec::new();
    for silent in [true, false, false, false] {
        let mut client = cloud.connect().await;
        if !silent {
            client.send(b"GET / HTTP/1.1\r\nhost: loc").await;
        }
        slow.push(client);
    }
    assert_eq!(cloud.ask(&get_caller_identity()).await.status, 200);
    for mut client in slow {
        assert!(client.closes().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_closed_and_a_working_one_is_not() {
    let cloud = start_with(|config| {
        config.limits.head_time = Duration::from_millis(150);
        config.limits.idle_time = Duration::from_millis(150);
    });
    let mut working = cloud.connect().await;
    working.send(&put("/b/wait", "x").bytes()).await;
    cloud.inside.begun.notified().await;
    let mut idle = cloud.connect().await;
    idle.send(&get_caller_identity().bytes()).await;
    assert_eq!(idle.reply("POST").await.status, 200);
    assert!(idle.closes().await);
    cloud.inside.release.notify_one();
    assert_eq!(working.reply("PUT").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_body_ends_its_own_request_alone() {
    let cloud = start_with(|config| config.limits.stall_time = Duration::from_millis(200));
    let mut slow = cloud.connect().await;
    let request = put("/b/slow", "0123456789");
    slow.send(&request.head_bytes()).await;
    slow.send(b"01234").await;
    assert_eq!(cloud.ask(&get_caller_identity()).await.status, 200);
    let reply = slow.reply("PUT").await;
    assert_eq!(reply.status, 400);
    assert!(reply.text().contains("<Code>RequestTimeout</Code>"), "{}", reply.text());
    assert!(cloud.inside.objects.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_breaks_off_is_stored_nowhere() {
    let cloud = start();
    let mut client = cloud.connect().await;
    client.send(&put("/b/wait", "0123456789").head_bytes()).await;
    cloud.inside.begun.notified().await;
    client.send(b"01234").await;
    client.stream.shutdown().await.unwrap();
    cloud.inside.release.notify_one();
    tokio::time::timeout(Duration::from_secs(20), cloud.inside.ended.notified()).await.unwrap();
    assert!(cloud.inside.objects.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn huge_heads_are_refused() {
    let cloud = start();
    let long = Request::new("GET", "/").header("x-long", &"x".repeat(200_000));
    let mut client = cloud.connect().await;
    // The server may hang up while we still write.
    let _ = client.stream.write_all(&long.bytes()).await;
    let head = client.head().await.unwrap();
    assert!(head.starts_with("HTTP/1.1 431 "), "{head}");
    let mut many = Request::new("GET", "/");
    for i in 0..1000 {
        many = many.header(&format!("x-{i}"), "x");
    }
    assert_eq!(cloud.ask(&many).await.status, 431);
    assert_eq!(cloud.ask(&get_caller_identity()).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_http_is_refused() {
    let cloud = start();
    for bytes in [
        &b"\0\0\0\0\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
    ] {
        let mut client = cloud.connect().await;
        client.send(bytes).await;
        let head = client.head().await.unwrap_or_default();
        assert!(
            head.is_empty() || head.starts_with("HTTP/1.1 4") || head.starts_with("HTTP/1.1 505"),
            "{head}"
        );
    }
    // Two lengths that contradict each other, and a length beside chunks: the ways to smuggle a request.
    let two = b"PUT /b/k HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\ncontent-length: 5\r\n\r\nabcde";
    let mut client = cloud.connect().await;
    client.send(two).await;
    assert!(client.head().await.unwrap().starts_with("HTTP/1.1 400"));
}

#[tokio::test(flavor = "multi_thread")]
async fn continue_is_said_only_when_the_body_is_wanted() {
    let cloud = start();
    let request = put("/b/k", "hello").header("expect", "100-continue");
    let mut client = cloud.connect().await;
    client.send(&request.head_bytes()).await;
    assert!(client.head().await.unwrap().starts_with("HTTP/1.1 100 "));
    client.send(b"hello").await;
    assert_eq!(client.reply("PUT").await.status, 200);

    let wrong = Request::new("PUT", "/b/k").body("hello").signed_by("s3", KEY, "wrong", None);
    let mut client = cloud.connect().await;
    client.send(&wrong.header("expect", "100-continue").head_bytes()).await;
    let reply = client.reply("PUT").await;
    assert_eq!(reply.status, 403);
    assert!(reply.text().contains("SignatureDoesNotMatch"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_one_requests_own() {
    let cloud = start();
    let mut client = cloud.connect().await;
    client.send(&put("/b/panic", "x").bytes()).await;
    let reply = client.reply("PUT").await;
    assert_eq!(reply.status, 500);
    assert!(reply.text().contains("<Code>Internal"), "{}", reply.text());
    assert!(!reply.text().contains("as the test asked"));
    client.send(&get_caller_identity().bytes()).await;
    assert_eq!(client.reply("POST").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_begun_is_finished_though_the_client_leaves() {
    let cloud = start();
    let mut client = cloud.connect().await;
    client.send(&put("/b/wait", "x").bytes()).await;
    cloud.inside.begun.notified().await;
    drop(client);
    // Another request, so that the loop has had its turn with the closed connection.
    assert_eq!(cloud.ask(&get_caller_identity()).await.status, 200);
    cloud.inside.release.notify_one();
    tokio::time::timeout(Duration::from_secs(20), cloud.inside.ended.notified()).await.unwrap();
    assert_eq!(cloud.inside.objects.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn shutting_down_finishes_what_has_begun() {
    let mut cloud = start();
    let mut working = cloud.connect().await;
    working.send(&put("/b/wait", "x").bytes()).await;
    cloud.inside.begun.notified().await;
    let mut idle = cloud.connect().await;
    idle.send(&get_caller_identity().bytes()).await;
    assert_eq!(idle.reply("POST").await.status, 200);
    cloud.stop();
    assert!(idle.closes().await);
    assert!(tokio::net::TcpStream::connect(cloud.address).await.is_err());
    cloud.inside.release.notify_one();
    let reply = working.reply("PUT").await;
    assert_eq!(reply.status, 200);
    assert!(working.closes().await);
    assert_eq!(cloud.served_rest().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn shutting_down_is_bounded() {
    let mut cloud = start_with(|config| config.grace = Duration::from_millis(100));
    let mut working = cloud.connect().await;
    working.send(&put("/b/wait", "x").bytes()).await;
    cloud.inside.begun.notified().await;
    cloud.stop();
    assert_eq!(cloud.served_rest().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_limit_wait_for_their_turn() {
    let cloud = start_with(|config| config.limits.connections = 1);
    let mut first = cloud.connect().await;
    first.send(&put("/b/wait", "x").bytes()).await;
    cloud.inside.begun.notified().await;
    let mut second = cloud.connect().await;
    second.send(&get_caller_identity().bytes()).await;
    cloud.inside.release.notify_one();
    assert_eq!(first.reply("PUT").await.status, 200);
    drop(first);
    assert_eq!(second.reply("POST").await.status, 200);
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let config = cloudlet_edge::EdgeConfig { listen: vec![address], ..Default::default() };
    let clock = Arc::new(cloudlet_service::ManualClock::at(0));
    let cloud =
        cloudlet_service::Cloud::new(clock, Arc::new(cloudlet_service::Seeded::new(1)), String::new());
    let error = cloudlet_edge::Edge::bind(config, cloud).unwrap_err();
    assert!(matches!(error, cloudlet_edge::EdgeError::PortTaken(at) if at == address));
    assert!(error.to_string().contains("choose another port"));
}

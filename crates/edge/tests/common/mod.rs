//! A small cloud behind a real socket: an S3 that keeps bytes in memory, an STS and a CloudWatch Logs that answer
//! one operation each, a fixed clock and an identity service with three keys.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SessionTokenMode, SignableBody, SignableRequest,
    SignatureLocation, SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use cloudlet_api_logs::{PutLogEventsRequest, PutLogEventsResponse};
use cloudlet_api_s3::{
    GetObjectOutput, GetObjectRequest, ListBucketsOutput, PutObjectOutput, PutObjectRequest,
};
use cloudlet_api_sts::GetCallerIdentityResponse;
use cloudlet_edge::{Edge, EdgeConfig};
use cloudlet_service::{
    AccessRequest, Api, BoxFuture, ByteStream, Cloud, Context, Error, Identity, ManualClock, Principal,
    Resolved, SecretKey, Seeded, Service, Structure,
};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};

pub const NOW: u64 = 1_440_938_160;
pub const KEY: &str = "AKIAIOSFODNN7EXAMPLE";
pub const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
/// A session key, whose token must be `good`.
pub const SESSION: &str = "ASIAIOSFODNN7EXAMPLE";

pub struct Keys;

impl Identity for Keys {
    fn resolve(&self, id: &str, token: Option<&str>) -> Result<Resolved, Error> {
        let (account, name) = ("111122223333".into(), "ada".into());
        let principal = Principal::User { account, path: "/".into(), name, id: "AIDA".into() };
        let found = Resolved { principal, secret: SecretKey::new(SECRET), session: None };
        match (id, token) {
            (KEY, None) | (SESSION, Some("good")) => Ok(found),
            (SESSION, Some("old")) => Err(Error::new("ExpiredToken", 400, "old")),
            (SESSION, _) => Err(Error::new("InvalidToken", 400, "bad")),
            _ => Err(Error::new("InvalidClientTokenId", 403, "unknown")),
        }
    }

    fn authorize(&self, cx: &Context, request: &AccessRequest<'_>) -> Result<(), Error> {
        if cx.principal == Principal::Anonymous && request.access.resource.contains("private") {
            return Err(Error::new("AccessDenied", 403, "Access Denied"));
        }
        Ok(())
    }
}

/// What a test sees and steers inside the services.
#[derive(Default)]
pub struct Inside {
    pub objects: Mutex<HashMap<String, Bytes>>,
    pub trailers: Mutex<HashMap<String, String>>,
    pub encodings: Mutex<HashMap<String, Option<String>>>,
    pub origins: Mutex<Vec<(String, bool, String)>>,
    pub said: Mutex<Vec<String>>,
    /// An operation on a key `wait…` has begun.
    pub begun: Notify,
    /// It may end.
    pub release: Notify,
    /// It has ended.
    pub ended: Notify,
}

struct S3(Arc<Inside>);

type Answer<'a> = BoxFuture<'a, Result<Box<dyn Structure>, Error>>;

fn typed<T: Structure>(input: Box<dyn Structure>) -> T {
    *input.into_any().downcast::<T>().unwrap()
}

impl S3 {
    async fn gate(&self, key: &str) {
        assert!(!key.starts_with("panic"), "as the test asked");
        if key.starts_with("wait") {
            self.0.begun.notify_one();
            self.0.release.notified().await;
        }
    }

    async fn put(&self, cx: &Context, mut input: PutObjectRequest) -> Result<PutObjectOutput, Error> {
        let name = format!("{}/{}", input.bucket, input.key);
        self.gate(&input.key).await;
        let mut data = Vec::new();
        while let Some(chunk) = input.body.next().await {
            data.extend_from_slice(&chunk.inspect_err(|_| self.0.ended.notify_one())?);
        }
        if let Some(value) = input.body.trailer("x-amz-checksum-crc32") {
            self.0.trailers.lock().unwrap().insert(name.clone(), value);
        }
        self.0.encodings.lock().unwrap().insert(name.clone(), input.content_encoding);
        self.0.origins.lock().unwrap().push((cx.region.to_string(), cx.origin.secure(), cx.endpoint()));
        self.0.objects.lock().unwrap().insert(name, data.into());
        self.0.ended.notify_one();
        Ok(PutObjectOutput { e_tag: Some("\"tag\"".to_owned()), ..Default::default() })
    }

    async fn get(&self, input: GetObjectRequest) -> Result<GetObjectOutput, Error> {
        self.gate(&input.key).await;
        let name = format!("{}/{}", input.bucket, input.key);
        let found = self.0.objects.lock().unwrap().get(&name).cloned();
        let data = found.ok_or_else(|| Error::new("NoSuchKey", 404, "The specified key does not exist."))?;
        let content_length = Some(data.len() as i64);
        Ok(GetObjectOutput { body: ByteStream::from(data), content_length, ..Default::default() })
    }
}

impl Service for S3 {
    fn api(&self) -> &'static Api {
        &cloudlet_api_s3::API
    }

    fn invoke<'a>(&'a self, operation: usize, cx: &'a Context, input: Box<dyn Structure>) -> Answer<'a> {
        Box::pin(async move {
            Ok(match self.api().operations[operation].name {
                "PutObject" => Box::new(self.put(cx, typed(input)).await?) as Box<dyn Structure>,
                "GetObject" => Box::new(self.get(typed(input)).await?),
                "ListBuckets" => Box::new(ListBucketsOutput::default()),
                other => return Err(Error::not_implemented("s3", other)),
            })
        })
    }
}

struct Sts;

impl Service for Sts {
    fn api(&self) -> &'static Api {
        &cloudlet_api_sts::API
    }

    fn invoke<'a>(&'a self, operation: usize, cx: &'a Context, _: Box<dyn Structure>) -> Answer<'a> {
        Box::pin(async move {
            match self.api().operations[operation].name {
                "GetCallerIdentity" => Ok(Box::new(GetCallerIdentityResponse {
                    user_id: Some(cx.principal.user_id()),
                    account: Some(cx.account.to_string()),
                    arn: Some(cx.principal.arn()),
                }) as Box<dyn Structure>),
                other => Err(Error::not_implemented("sts", other)),
            }
        })
    }
}

struct Logs;

impl Service for Logs {
    fn api(&self) -> &'static Api {
        &cloudlet_api_logs::API
    }

    fn invoke<'a>(&'a self, operation: usize, _: &'a Context, input: Box<dyn Structure>) -> Answer<'a> {
        Box::pin(async move {
            match self.api().operations[operation].name {
                "PutLogEvents" => {
                    let input: PutLogEventsRequest = typed(input);
                    let next_sequence_token = Some(input.log_events.len().to_string());
                    Ok(Box::new(PutLogEventsResponse { next_sequence_token, ..Default::default() })
                        as Box<dyn Structure>)
                }
                other => Err(Error::not_implemented("logs", other)),
            }
        })
    }
}

/// Takes events and keeps what they say.
struct Talk(Arc<Inside>);

impl Service for Talk {
    fn api(&self) -> &'static Api {
        &cloudlet_test_api::rest_json::API
    }

    fn invoke<'a>(&'a self, operation: usize, _: &'a Context, input: Box<dyn Structure>) -> Answer<'a> {
        use cloudlet_test_api::rest_json::{Sayings, TalkInput, WatchOutput};
        Box::pin(async move {
            assert_eq!(self.api().operations[operation].name, "Talk");
            let mut input: TalkInput = typed(input);
            while let Some(event) = input.said.next().await {
                let Sayings::Word(word) = event? else { continue };
                self.0.said.lock().unwrap().push(word.text.unwrap());
            }
            Ok(Box::new(WatchOutput::default()) as Box<dyn Structure>)
        })
    }
}

pub struct Running {
    pub address: SocketAddr,
    pub inside: Arc<Inside>,
    pub clock: Arc<ManualClock>,
    stop: Option<oneshot::Sender<()>>,
    served: tokio::task::JoinHandle<usize>,
}

impl Running {
    pub fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// The number of connections that did not end.
    pub async fn stopped(mut self) -> usize {
        self.stop();
        self.served_rest().await
    }

    /// The same after [`Running::stop`].
    pub async fn served_rest(self) -> usize {
        tokio::time::timeout(Duration::from_secs(20), self.served).await.unwrap().unwrap()
    }

    pub async fn connect(&self) -> Client<TcpStream> {
        Client { stream: TcpStream::connect(self.address).await.unwrap(), held: Vec::new() }
    }

    /// One request on a connection of its own.
    pub async fn ask(&self, request: &Request) -> Reply {
        let mut client = self.connect().await;
        client.send(&request.bytes()).await;
        client.reply(request.method).await
    }
}

pub fn start() -> Running {
    start_with(|_| {})
}

pub fn start_with(change: impl FnOnce(&mut EdgeConfig)) -> Running {
    let mut config =
        EdgeConfig { listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))], ..EdgeConfig::default() };
    change(&mut config);
    let clock = Arc::new(ManualClock::at(NOW as i64 * 1000));
    let cloud = Cloud::new(clock.clone(), Arc::new(Seeded::new(1)), "http://localhost".to_owned());
    let inside = Arc::new(Inside::default());
    cloud.open(
        vec![Arc::new(S3(inside.clone())), Arc::new(Sts), Arc::new(Logs), Arc::new(Talk(inside.clone()))],
        Arc::new(Keys),
    );
    let edge = Edge::bind(config, cloud).unwrap();
    let address = edge.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let served = tokio::spawn(edge.serve(async {
        let _ = stopped.await;
    }));
    Running { address, inside, clock, stop: Some(stop), served }
}

pub struct Client<S> {
    pub stream: S,
    held: Vec<u8>,
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.head.lines().find_map(|line| {
            let (n, v) = line.split_once(": ")?;
            n.eq_ignore_ascii_case(name).then_some(v)
        });
        found.map(str::trim)
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl<S: AsyncRead + tokio::io::AsyncWrite + Unpin> Client<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, held: Vec::new() }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    async fn more(&mut self) -> bool {
        let mut buffer = [0u8; 16 * 1024];
        let most = Duration::from_secs(20);
        match tokio::time::timeout(most, self.stream.read(&mut buffer)).await.expect("nothing came") {
            Ok(0) | Err(_) => false,
            Ok(n) => {
                self.held.extend_from_slice(&buffer[..n]);
                true
            }
        }
    }

    /// The head of the next answer, `100 Continue` included.
    pub async fn head(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.held.windows(4).position(|w| w == b"\r\n\r\n") {
                let head: Vec<u8> = self.held.drain(..end + 4).collect();
                return Some(String::from_utf8(head).unwrap());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    pub async fn reply(&mut self, method: &str) -> Reply {
        let head = self.head().await.expect("the connection closed without an answer");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut reply = Reply { status, head, body: Vec::new() };
        if method == "HEAD" || status == 204 {
            return reply;
        }
        let length: usize =
            reply.header("content-length").expect("an answer of known length").parse().unwrap();
        while self.held.len() < length {
            assert!(self.more().await, "the body broke off");
        }
        reply.body = self.held.drain(..length).collect();
        reply
    }

    /// Whether the other side closes without another byte.
    pub async fn closes(&mut self) -> bool {
        self.held.is_empty() && !self.more().await
    }
}

/// A request as it will travel.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: &'static str,
    pub path: String,
    pub query: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub host: String,
}

impl Request {
    pub fn new(method: &'static str, path: &str) -> Self {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        Self {
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            host: "localhost".to_owned(),
        }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub fn host(mut self, host: &str) -> Self {
        self.host = host.to_owned();
        self
    }

    fn sign(
        self,
        service: &str,
        body: SignableBody<'_>,
        key: &str,
        secret: &str,
        token: Option<&str>,
    ) -> Self {
        self.sign_with(service, body, (key, secret, token), None)
    }

    fn sign_with(
        mut self,
        service: &str,
        body: SignableBody<'_>,
        (key, secret, token): (&str, &str, Option<&str>),
        presign: Option<u64>,
    ) -> Self {
        let mut settings = SigningSettings::default();
        if matches!(body, SignableBody::Precomputed(_)) {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        if service == "s3" {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        if let Some(seconds) = presign {
            settings.signature_location = SignatureLocation::QueryParams;
            settings.expires_in = Some(Duration::from_secs(seconds));
            settings.session_token_mode = SessionTokenMode::Include;
        }
        let identity = Credentials::new(key, secret, token.map(str::to_owned), None, "test").into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region("eu-central-1")
            .name(service)
            .time(UNIX_EPOCH + Duration::from_secs(NOW))
            .settings(settings)
            .build()
            .unwrap()
            .into();
        let separator = if self.query.is_empty() { "" } else { "?" };
        let uri = format!("http://{}{}{separator}{}", self.host, self.path, self.query);
        let headers = self.headers.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        let request = SignableRequest::new(self.method, &uri, headers, body).unwrap();
        let (instructions, _) = sign(request, &params).unwrap().into_parts();
        let signed: Vec<(String, String)> =
            instructions.headers().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        for (name, value) in instructions.params() {
            if !self.query.is_empty() {
                self.query.push('&');
            }
            let value = percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
            self.query.push_str(&format!("{name}={value}"));
        }
        self.headers.extend(signed);
        self
    }

    pub fn signed(self, service: &str) -> Self {
        self.signed_by(service, KEY, SECRET, None)
    }

    pub fn signed_by(self, service: &str, key: &str, secret: &str, token: Option<&str>) -> Self {
        let body = self.body.clone();
        self.sign(service, SignableBody::Bytes(&body), key, secret, token)
    }

    pub fn signed_unsigned_payload(self) -> Self {
        self.sign("s3", SignableBody::UnsignedPayload, KEY, SECRET, None)
    }

    /// Signs the head of a stream of signed events.
    pub fn signed_with_events(self, service: &str) -> Self {
        let body = SignableBody::Precomputed("STREAMING-AWS4-HMAC-SHA256-EVENTS".to_owned());
        self.sign(service, body, KEY, SECRET, None)
    }

    /// Signs the head for a body in the form that `value` (`x-amz-content-sha256`) names.
    pub fn signed_with_payload(self, value: &str) -> Self {
        self.sign("s3", SignableBody::Precomputed(value.to_owned()), KEY, SECRET, None)
    }

    pub fn presigned(self, seconds: u64) -> Self {
        self.sign_with("s3", SignableBody::UnsignedPayload, (KEY, SECRET, None), Some(seconds))
    }

    pub fn signature(&self) -> String {
        let (_, header) = self.headers.iter().find(|(n, _)| n == "authorization").unwrap();
        header.rsplit_once("Signature=").unwrap().1.to_owned()
    }

    pub fn head_bytes(&self) -> Vec<u8> {
        let separator = if self.query.is_empty() { "" } else { "?" };
        let mut out = format!(
            "{} {}{separator}{} HTTP/1.1\r\nhost: {}\r\n",
            self.method, self.path, self.query, self.host
        );
        for (name, value) in &self.headers {
            out.push_str(&format!("{name}: {value}\r\n"));
        }
        let told = self.headers.iter().any(|(n, _)| n == "content-length" || n == "transfer-encoding");
        if !told && (!self.body.is_empty() || matches!(self.method, "PUT" | "POST")) {
            out.push_str(&format!("content-length: {}\r\n", self.body.len()));
        }
        out.push_str("\r\n");
        out.into_bytes()
    }

    pub fn bytes(&self) -> Vec<u8> {
        [self.head_bytes(), self.body.clone()].concat()
    }
}

pub fn get_caller_identity() -> Request {
    Request::new("POST", "/")
        .header("content-type", "application/x-www-form-urlencoded")
        .body("Action=GetCallerIdentity&Version=2011-06-15")
        .signed("sts")
}

pub fn put(path: &str, body: impl Into<Vec<u8>>) -> Request {
    Request::new("PUT", path).body(body).signed("s3")
}

pub fn get(path: &str) -> Request {
    Request::new("GET", path).signed("s3")
}

pub fn put_log_events(body: impl Into<Vec<u8>>) -> Request {
    Request::new("POST", "/")
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", "Logs_20140328.PutLogEvents")
        .body(body)
}

pub const EVENTS: &str =
    r#"{"logGroupName":"g","logStreamName":"s","logEvents":[{"timestamp":1440938160000,"message":"hello"}]}"#;

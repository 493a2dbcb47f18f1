//! What web pages ask of S3 beside the operations of its API: preflights, what an answer may tell a page, uploads
//! out of HTML forms, websites; and what the front door tells S3 of every answer, for access logs. No model describes
//! these, so that the front door hands them over as they are.

use crate::BoxFuture;
use crate::api::Operation;
use crate::body::ByteStream;
use crate::cloud::Cloud;
use crate::context::{Context, Origin, Tls};
use crate::error::Error;
use crate::identity::Principal;
use bytes::Bytes;
use http::{HeaderMap, Response};
use std::net::IpAddr;
use std::sync::Arc;

/// A service that pages of the web reach directly.
pub trait Web: Send + Sync {
    /// Answers a preflight by the bucket's own rules; `None` where there is no such bucket. `object` says that one of
    /// its objects is meant.
    fn preflight(&self, bucket: &str, object: bool, asked: &HeaderMap) -> Option<Response<Bytes>>;

    /// What a preflight for a bucket that is not there is told.
    fn preflight_nowhere(&self, object: bool, asked: &HeaderMap) -> Response<Bytes>;

    /// What the answer to a request with an `Origin` carries by the bucket's own rules.
    fn for_page(&self, bucket: &str, method: &str, asked: &HeaderMap) -> HeaderMap;

    /// Checks the whole body of an operation against what its head says of it: `Content-MD5`, checksums.
    fn check_body(&self, operation: &Operation, head: &HeaderMap, body: &[u8]) -> Result<(), Error>;

    /// Stores what a form uploads (`POST /bucket` with `multipart/form-data`). It always answers, with a [`Signer`] in
    /// the response's extensions where somebody signed the form.
    fn form<'a>(&'a self, form: Form<'a>, body: ByteStream) -> BoxFuture<'a, Response<Bytes>>;

    /// Answers a request to a bucket's website host name. It always answers.
    fn website<'a>(&'a self, page: Page<'a>) -> BoxFuture<'a, Response<ByteStream>>;

    /// Whether requests to this bucket are logged, so that the front door gathers what a line needs.
    fn is_logged(&self, bucket: &str) -> bool;

    /// Takes a request that was answered, for the bucket's access log.
    fn log(&self, request: Answered);
}

/// The head of a request to a website host name.
pub struct Page<'a> {
    /// The cloud, for time and the decision.
    pub cloud: &'a Arc<Cloud>,
    /// The bucket that the host names.
    pub bucket: &'a str,
    /// The method.
    pub method: &'a http::Method,
    /// The path as it was sent, percent-encoded.
    pub path: &'a str,
    /// The query without `?`.
    pub query: &'a str,
    /// The request's id.
    pub id: &'a str,
    /// Where the request came from, with its headers.
    pub origin: Origin,
}

/// A request to S3 that was answered to its end.
#[derive(Debug)]
pub struct Answered {
    /// The bucket that was addressed.
    pub bucket: String,
    /// The operation; `None` for what is none of the API, such as a page of a website.
    pub operation: Option<&'static str>,
    /// What was asked in the place of an operation: `WEBSITE.GET.OBJECT`, say.
    pub other: &'static str,
    /// The method.
    pub method: String,
    /// The path without the bucket, percent-encoded, without its first slash; empty for the bucket itself.
    pub path: String,
    /// Path and query as they were sent.
    pub target: String,
    /// The query alone.
    pub query: String,
    /// When the request came, in milliseconds since 1970 by the cloud's clock.
    pub at: i64,
    /// Who asked.
    pub principal: Principal,
    /// The client's address.
    pub source_ip: IpAddr,
    /// The request's id as the answer's headers show it, and the longer one.
    pub ids: (String, String),
    /// The status of the answer.
    pub status: u16,
    /// The error's code, where it is one.
    pub error: Option<String>,
    /// Bytes of the answer's body that left.
    pub sent: u64,
    /// Bytes that the request's body announced.
    pub received: Option<u64>,
    /// From the head's arrival to the last byte of the answer, in milliseconds.
    pub total_ms: u64,
    /// From the head's arrival to the first byte of the answer, in milliseconds.
    pub turnaround_ms: u64,
    /// What the TLS handshake settled on; `None` on a plain connection.
    pub tls: Option<Tls>,
    /// `SigV2` or `SigV4`; `None` for unsigned requests.
    pub signature: Option<&'static str>,
    /// Whether the signature came in the query.
    pub presigned: bool,
    /// Whether the signature came in a form's fields.
    pub form: bool,
    /// The request's headers.
    pub headers: Arc<HeaderMap>,
    /// The answer's headers.
    pub answer: HeaderMap,
}

/// Who signed a form, for the access log.
#[derive(Debug, Clone)]
pub struct Signer {
    /// Who it is.
    pub principal: Principal,
    /// `SigV2` or `SigV4`.
    pub signature: &'static str,
}

/// The head of a form upload.
pub struct Form<'a> {
    /// The cloud, for identities, time and randomness.
    pub cloud: &'a Arc<Cloud>,
    /// The bucket that is addressed.
    pub bucket: &'a str,
    /// `Content-Type`, with the boundary.
    pub content_type: &'a str,
    /// Where the request came from.
    pub origin: Origin,
}

/// Where a resource's own address is below the cloud's name: for machines whose resolver knows no names below it.
pub const SITE_PATH: &str = "/_cloudlet/lambda-url/";

/// Where the issuers of web identity tokens are: whoever checks such a token fetches the keys here.
pub const OIDC_PATH: &str = "/_cloudlet/oidc/";

/// A service whose resources have addresses of their own, which anybody may visit with any request: function URLs.
pub trait Site: Send + Sync {
    /// Answers a request. It always answers.
    fn answer(&self, visit: Visit) -> BoxFuture<'_, Response<ByteStream>>;
}

/// A request to a resource's own address.
pub struct Visit {
    /// The context of nobody in particular, with the request's id and where it came from.
    pub cx: Context,
    /// Who signed the request, or what is wrong with the signature; `None` for a request without one.
    pub caller: Option<Result<Context, Error>>,
    /// The resource's id, as the first label of the host name gives it.
    pub id: String,
    /// The region in the host name; `None` where the address is a path.
    pub region: Option<String>,
    /// The method.
    pub method: http::Method,
    /// The path as it was sent.
    pub path: String,
    /// The query as it was sent, without `?`.
    pub query: String,
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub protocol: &'static str,
    /// The headers.
    pub headers: Arc<HeaderMap>,
    /// All of the body.
    pub body: Bytes,
}

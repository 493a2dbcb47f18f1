//! What web pages ask of S3 beside the operations of its API: preflights, what an answer may tell a page, uploads
//! out of HTML forms. No model describes these, so that the front door hands them over as they are.

use crate::BoxFuture;
use crate::api::Operation;
use crate::body::ByteStream;
use crate::cloud::Cloud;
use crate::context::{Context, Origin};
use crate::error::Error;
use bytes::Bytes;
use http::{HeaderMap, Response};
use std::sync::Arc;

/// A service that pages of the web reach directly.
pub trait Web: Send + Sync {
    /// Answers a preflight by the bucket's own rules; `None` where there is no such bucket.
    fn preflight(&self, bucket: &str, asked: &HeaderMap) -> Option<Response<Bytes>>;

    /// What the answer to a request with an `Origin` carries by the bucket's own rules.
    fn for_page(&self, bucket: &str, method: &str, asked: &HeaderMap) -> HeaderMap;

    /// Checks the whole body of an operation against what its head says of it: `Content-MD5`, checksums.
    fn check_body(&self, operation: &Operation, head: &HeaderMap, body: &[u8]) -> Result<(), Error>;

    /// Stores what a form uploads (`POST /bucket` with `multipart/form-data`). It always answers.
    fn form<'a>(&'a self, form: Form<'a>, body: ByteStream) -> BoxFuture<'a, Response<Bytes>>;
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

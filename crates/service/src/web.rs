//! What web pages ask of S3 beside the operations of its API: preflights, what an answer may tell a page, uploads
//! out of HTML forms. No model describes these, so that the front door hands them over as they are.

use crate::BoxFuture;
use crate::api::Operation;
use crate::body::ByteStream;
use crate::cloud::Cloud;
use crate::context::Origin;
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

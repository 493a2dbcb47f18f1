//! As much of S3 as a client needs to copy one object up and down, of which nothing is kept: what a copy costs the client
//! alone. Uploads are read and forgotten; a download is as many bytes as `--size` says, all alike.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED, RANGE};
use hyper::{Method, Request, Response, StatusCode};

type Answer = Response<Full<Bytes>>;

const TAG: &str = "\"00000000000000000000000000000000\"";
const DATE: &str = "Thu, 01 Jan 2026 00:00:00 GMT";
const SPACE: &str = "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";
/// The most bytes of one answer: more than any part that a client asks for.
const MOST: u64 = 64 << 20;

/// Answers a request; an object is `size` bytes long.
pub(crate) async fn answer(request: Request<Incoming>, size: u64, zeros: &Bytes) -> Answer {
    let (parts, mut body) = request.into_parts();
    while let Some(Ok(_)) = body.frame().await {}
    let query = parts.uri.query().unwrap_or_default();
    let mut answer = match parts.method {
        Method::POST if query.starts_with("uploads") => document(format!(
            "<InitiateMultipartUploadResult {SPACE}><Bucket>b</Bucket><Key>k</Key><UploadId>u</UploadId>\
             </InitiateMultipartUploadResult>"
        )),
        Method::POST => document(format!(
            "<CompleteMultipartUploadResult {SPACE}><Bucket>b</Bucket><Key>k</Key><ETag>{TAG}</ETag>\
             </CompleteMultipartUploadResult>"
        )),
        Method::GET => part(parts.headers.get(RANGE).and_then(|v| v.to_str().ok()), size, zeros),
        Method::HEAD => {
            let mut head = Response::new(Full::default());
            set(&mut head, CONTENT_LENGTH, &size.to_string());
            head
        }
        _ => Response::new(Full::default()),
    };
    set(&mut answer, ETAG, TAG);
    set(&mut answer, LAST_MODIFIED, DATE);
    set(&mut answer, ACCEPT_RANGES, "bytes");
    answer
}

fn document(text: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    set(&mut answer, CONTENT_TYPE, "application/xml");
    answer
}

/// `bytes=FIRST-LAST` of the object, or all of it.
fn part(range: Option<&str>, size: u64, zeros: &Bytes) -> Answer {
    let bounds = range.and_then(|range| {
        let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
        Some((first.parse::<u64>().ok()?, last.parse::<u64>().unwrap_or(size - 1).min(size - 1)))
    });
    let (first, last) = bounds.unwrap_or((0, size - 1));
    let length = usize::try_from((last + 1).saturating_sub(first).min(MOST)).unwrap_or_default();
    let mut answer = Response::new(Full::new(zeros.slice(..length.min(zeros.len()))));
    if bounds.is_some() {
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        set(&mut answer, CONTENT_RANGE, &format!("bytes {first}-{last}/{size}"));
    }
    answer
}

/// As many bytes as the largest answer has.
pub(crate) fn zeros() -> Bytes {
    Bytes::from(vec![0; usize::try_from(MOST).unwrap_or_default()])
}

fn set(answer: &mut Answer, name: hyper::header::HeaderName, value: &str) {
    if let Ok(value) = value.parse() {
        answer.headers_mut().insert(name, value);
    }
}

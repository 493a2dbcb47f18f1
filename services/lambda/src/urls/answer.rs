//! The answer that a result becomes.
//!
//! Source: Developer Guide, "Response payload format" of function URLs: an object with a `statusCode` says all of the
//! answer, anything else is the body of a 200.

use super::set;
use crate::stream::Streamed;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use cloudlet_service::{BodyError, ByteStream, Error};
use futures_util::StreamExt;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, SET_COOKIE};
use http::{HeaderMap, Response, StatusCode};
use serde_json::Value;

/// What a streaming function says its answer's head stands in front of.
const WITH_HEAD: &str = "application/vnd.awslambda.http-integration-response";
/// What divides a head from the body in a stream.
const DIVIDER: &[u8] = &[0; 8];
/// The longest head of a stream, in bytes.
const LONGEST_HEAD: usize = 64 * 1024;
/// Of the connection, which is ours to speak of.
const OURS: &[&str] = &["connection", "content-length", "transfer-encoding", "keep-alive", "upgrade"];

/// What a function that failed looks like from outside.
pub(super) fn failed() -> Response<ByteStream> {
    let mut response = Response::new(ByteStream::from(Bytes::from_static(b"Internal Server Error")));
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    set(response.headers_mut(), "x-amzn-errortype", "InternalServerErrorException");
    response
}

/// The answer of a buffered function.
pub(super) fn of(payload: Bytes) -> Response<ByteStream> {
    let value = match serde_json::from_slice::<Value>(&payload) {
        Ok(value) => value,
        Err(_) => return failed(),
    };
    let (head, body) = match &value {
        Value::Object(object) if object.contains_key("statusCode") => match Head::read(&value) {
            Some(head) => {
                let encoded = value["isBase64Encoded"] == Value::Bool(true);
                let body = match &value["body"] {
                    Value::Null => Bytes::new(),
                    Value::String(text) if encoded => match STANDARD.decode(text) {
                        Ok(bytes) => Bytes::from(bytes),
                        Err(_) => return failed(),
                    },
                    Value::String(text) => Bytes::from(text.clone()),
                    other => Bytes::from(other.to_string()),
                };
                (head, body)
            }
            None => return failed(),
        },
        Value::String(text) => (Head::default(), Bytes::from(text.clone())),
        _ => (Head::default(), payload),
    };
    head.with(ByteStream::from(body))
}

/// The answer of a streaming function: its head is out as soon as it is known.
pub(super) async fn streamed(mut streamed: Streamed) -> Result<Response<ByteStream>, Error> {
    let mut head = Head { kind: "application/octet-stream", ..Head::default() };
    let mut first = BytesMut::new();
    let with_head = streamed.content_type.as_deref().is_some_and(|kind| kind.starts_with(WITH_HEAD));
    if with_head {
        loop {
            if let Some(at) = first.windows(DIVIDER.len()).position(|w| w == DIVIDER) {
                let Some(read) = serde_json::from_slice(&first[..at]).ok().as_ref().and_then(Head::read)
                else {
                    return Ok(failed());
                };
                head = read;
                let _ = first.split_to(at + DIVIDER.len());
                break;
            }
            match streamed.chunks.next().await {
                Some(Ok(chunk)) if first.len() + chunk.len() <= LONGEST_HEAD + (1 << 20) => {
                    first.extend_from_slice(&chunk);
                }
                _ => return Ok(failed()),
            }
        }
    } else if let Some(kind) = &streamed.content_type {
        head.headers.push(("content-type".to_owned(), kind.clone()));
    }
    // Whether it fails at once decides about the status; once something is out, a failure breaks the answer off.
    if first.is_empty() && !with_head {
        match streamed.chunks.next().await {
            Some(Ok(chunk)) => first.extend_from_slice(&chunk),
            Some(Err(_)) => return Ok(failed()),
            None => return Ok(head.with(ByteStream::default())),
        }
    }
    let first = futures_util::stream::iter((!first.is_empty()).then(|| Ok(first.freeze())));
    // A stream that stops half way is seen to: the connection breaks off.
    let rest = streamed.chunks.map(|chunk| {
        chunk.map_err(|failure| BodyError::Storage(format!("the function failed: {}", failure.kind)))
    });
    Ok(head.with(ByteStream::new(first.chain(rest), None)))
}

/// Status, headers and cookies.
struct Head {
    status: StatusCode,
    headers: Vec<(String, String)>,
    cookies: Vec<String>,
    /// The content type of an answer that says none.
    kind: &'static str,
}

impl Default for Head {
    fn default() -> Self {
        Self { status: StatusCode::OK, headers: Vec::new(), cookies: Vec::new(), kind: "application/json" }
    }
}

impl Head {
    /// `None` where the object cannot be an answer.
    fn read(value: &Value) -> Option<Self> {
        let object = value.as_object()?;
        let status = match object.get("statusCode") {
            None | Some(Value::Null) => 200,
            Some(Value::String(text)) => text.trim().parse().ok()?,
            Some(number) => number.as_u64()?,
        };
        let status = u16::try_from(status).ok().filter(|s| (200..600).contains(s))?;
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let headers = match object.get("headers") {
            None | Some(Value::Null) => Vec::new(),
            Some(headers) => headers.as_object()?.iter().map(|(name, v)| (name.clone(), text(v))).collect(),
        };
        let cookies =
            object.get("cookies").and_then(Value::as_array).into_iter().flatten().map(text).collect();
        Some(Self { status: StatusCode::from_u16(status).ok()?, headers, cookies, kind: "application/json" })
    }

    fn with(self, body: ByteStream) -> Response<ByteStream> {
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let lower = name.to_ascii_lowercase();
            if OURS.contains(&lower.as_str()) {
                continue;
            }
            // Names and values that HTTP cannot carry are left out.
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(lower), HeaderValue::from_str(value)) {
                headers.insert(name, value);
            }
        }
        for cookie in &self.cookies {
            if let Ok(value) = HeaderValue::from_str(cookie) {
                headers.append(SET_COOKIE, value);
            }
        }
        headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(self.kind));
        *response.headers_mut() = headers;
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answered(payload: &str) -> (u16, String, String) {
        let response = of(Bytes::from(payload.to_owned()));
        let status = response.status().as_u16();
        let kind = response.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
        let body = response.into_body().collect(1 << 20).await.unwrap();
        (status, kind, String::from_utf8_lossy(&body).into_owned())
    }

    #[tokio::test]
    async fn results_become_answers() {
        for (payload, status, kind, body) in [
            (r#""hi""#, 200, "application/json", "hi"),
            (r#"{"a": 1}"#, 200, "application/json", r#"{"a": 1}"#),
            ("[1]", 200, "application/json", "[1]"),
            ("null", 200, "application/json", "null"),
            (
                r#"{"statusCode": 201, "body": "x", "headers": {"Content-Type": "text/html"}}"#,
                201,
                "text/html",
                "x",
            ),
            (r#"{"statusCode": "404"}"#, 404, "application/json", ""),
            (r#"{"statusCode": 200, "body": {"b": 2}}"#, 200, "application/json", r#"{"b":2}"#),
            (
                r#"{"statusCode": 200, "body": "aGk=", "isBase64Encoded": true}"#,
                200,
                "application/json",
                "hi",
            ),
            (
                r#"{"statusCode": 200, "body": "?", "isBase64Encoded": true}"#,
                502,
                "application/json",
                "Internal Server Error",
            ),
            (r#"{"statusCode": 99}"#, 502, "application/json", "Internal Server Error"),
            (r#"{"statusCode": {}}"#, 502, "application/json", "Internal Server Error"),
            ("{", 502, "application/json", "Internal Server Error"),
        ] {
            assert_eq!(answered(payload).await, (status, kind.to_owned(), body.to_owned()), "{payload}");
        }
    }

    #[test]
    fn odd_headers_are_left_out() {
        let response = of(Bytes::from_static(
            br#"{"statusCode": 200, "headers": {"a b": "x", "X-A": "1\r\nX-B: 2", "Content-Length": "9", "X-N": 5}, "cookies": ["a=1", "b=2"]}"#,
        ));
        let headers = response.headers();
        assert_eq!(headers.get_all(SET_COOKIE).iter().count(), 2);
        assert_eq!(headers["x-n"], "5");
        assert!(
            !headers.contains_key("x-a")
                && !headers.contains_key("x-b")
                && !headers.contains_key("content-length")
        );
    }
}

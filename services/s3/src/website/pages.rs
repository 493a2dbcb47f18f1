//! The pages that S3 writes itself: errors, as HTML and in headers. Source: what AWS's website endpoints answer.

use bytes::Bytes;
use cloudlet_service::{ByteStream, Error};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The two ids of a request.
pub(super) struct Ids {
    request: String,
    host: String,
}

impl Ids {
    pub(super) fn of(id: &str) -> Self {
        let (request, host) = crate::events::request_ids(id);
        Self { request, host }
    }

    pub(super) fn put(&self, headers: &mut HeaderMap) {
        for (name, value) in [("x-amz-request-id", &self.request), ("x-amz-id-2", &self.host)] {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }
}

/// What a path may show as it is.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

pub(super) fn encode_path(key: &str) -> String {
    utf8_percent_encode(key, PATH).to_string()
}

pub(super) fn status(error: &Error) -> StatusCode {
    StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// What says of an error beside its page.
pub(super) fn error_headers(error: &Error) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut put = |name: String, value: &str| {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value))
        {
            headers.insert(name, value);
        }
    };
    put("x-amz-error-code".to_owned(), error.code());
    put("x-amz-error-message".to_owned(), error.message());
    for (name, value) in error.fields() {
        put(format!("x-amz-error-detail-{name}"), value);
    }
    headers
}

/// The page of an error, and of a second one over the error document.
pub(super) fn error(error: &Error, second: Option<(&Error, &str)>, ids: &Ids) -> Response<ByteStream> {
    let status = status(error);
    let title = format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or_default());
    let mut page = format!("<html>\n<head><title>{title}</title></head>\n<body>\n<h1>{title}</h1>\n<ul>\n");
    item(&mut page, "Code", error.code());
    item(&mut page, "Message", error.message());
    for (name, value) in error.fields() {
        item(&mut page, name, value);
    }
    item(&mut page, "RequestId", &ids.request);
    item(&mut page, "HostId", &ids.host);
    page.push_str("</ul>\n");
    if let Some((second, key)) = second {
        page.push_str(
            "<h3>An Error Occurred While Attempting to Retrieve a Custom Error Document</h3>\n<ul>\n",
        );
        item(&mut page, "Code", second.code());
        item(&mut page, "Message", second.message());
        if second.status() == 404 {
            item(&mut page, "Key", key);
        }
        page.push_str("</ul>\n");
    }
    page.push_str("<hr/>\n</body>\n</html>\n");
    let mut response = Response::new(ByteStream::from(Bytes::from(page.clone())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.extend(error_headers(error));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(page.len()));
    for (name, value) in error.headers() {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(*name, value);
        }
    }
    ids.put(headers);
    response
}

fn item(page: &mut String, name: &str, value: &str) {
    page.push_str("<li>");
    page.push_str(name);
    page.push_str(": ");
    for c in value.chars() {
        match c {
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            '&' => page.push_str("&amp;"),
            '"' => page.push_str("&quot;"),
            '\'' => page.push_str("&#39;"),
            other => page.push(other),
        }
    }
    page.push_str("</li>\n");
}

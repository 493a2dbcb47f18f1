//! What web pages may do with a function URL, by its own rules.
//!
//! Source: Developer Guide, "Cross-origin resource sharing (CORS)" of function URLs; Fetch Standard, "CORS protocol".

use crate::state::{UrlConfig, UrlCors};
use cloudlet_service::{ByteStream, Visit};
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderName, HeaderValue, ORIGIN, VARY,
};
use http::{HeaderMap, Method, Response};

/// Answers a preflight without running the function; `None` where the request is none or the URL has no rules.
pub(super) fn preflight(config: &UrlConfig, visit: &Visit) -> Option<Response<ByteStream>> {
    let asks = visit.method == Method::OPTIONS
        && visit.headers.contains_key(ORIGIN)
        && visit.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let cors = config.cors.as_ref().filter(|_| asks)?;
    let mut response = Response::new(ByteStream::default());
    let headers = response.headers_mut();
    if origin(cors, visit, headers) {
        list(headers, ACCESS_CONTROL_ALLOW_METHODS, cors.methods.as_deref());
        list(headers, ACCESS_CONTROL_ALLOW_HEADERS, cors.headers.as_deref());
        list(headers, ACCESS_CONTROL_EXPOSE_HEADERS, cors.expose.as_deref());
        if let Some(age) = cors.max_age {
            headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(age));
        }
    }
    Some(response)
}

/// Adds what the page may know of an answer. Headers of the function's own are replaced by the URL's.
pub(super) fn allow(config: &UrlConfig, visit: &Visit, headers: &mut HeaderMap) {
    if let Some(cors) = &config.cors
        && origin(cors, visit, headers)
    {
        list(headers, ACCESS_CONTROL_EXPOSE_HEADERS, cors.expose.as_deref());
    }
}

fn origin(cors: &UrlCors, visit: &Visit, headers: &mut HeaderMap) -> bool {
    let Some(origin) = visit.headers.get(ORIGIN) else { return false };
    let origins = cors.origins.as_deref().unwrap_or_default();
    let all = origins.iter().any(|o| o == "*");
    let named = origin.to_str().is_ok_and(|origin| origins.iter().any(|o| o.eq_ignore_ascii_case(origin)));
    if !all && !named {
        return false;
    }
    headers.insert(
        ACCESS_CONTROL_ALLOW_ORIGIN,
        if all { HeaderValue::from_static("*") } else { origin.clone() },
    );
    headers.append(VARY, HeaderValue::from_static("Origin"));
    if cors.credentials == Some(true) {
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    true
}

fn list(headers: &mut HeaderMap, name: HeaderName, values: Option<&[String]>) {
    if let Some(values) = values.filter(|values| !values.is_empty())
        && let Ok(value) = HeaderValue::from_str(&values.join(","))
    {
        headers.insert(name, value);
    }
}

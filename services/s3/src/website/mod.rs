//! Website hosting: a bucket's objects as the pages of a site, on host names of their own.
//!
//! Everybody is anonymous here: what the bucket lets everybody read is served, the rest is an error page. The order of
//! things is AWS's: routing rules on the key alone, the object or its index document, a folder's missing slash, routing
//! rules on the error, the error document, the error page.
//! Source: S3 User Guide, "Hosting a static website using Amazon S3".

mod pages;
mod rules;

pub(crate) use rules::{PROTOCOL, check};

use crate::S3;
use crate::configurations::Kind;
use crate::errors::{Result, method_not_allowed};
use bytes::Bytes;
use cloudlet_api_s3 as api;
use cloudlet_service::{ByteStream, Context, Error, Page, Principal};
use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, ETAG, EXPIRES, LAST_MODIFIED, LOCATION,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use pages::Ids;
use percent_encoding::percent_decode_str;
use std::sync::Arc;

pub(crate) const WEBSITE: Kind = Kind {
    name: "website",
    missing: ("NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration"),
};

/// A request to a site, with what answers need of it.
struct Visit<'a> {
    cx: Context,
    bucket: &'a str,
    head: bool,
    secure: bool,
    host: Arc<str>,
    query: &'a str,
    ids: Ids,
}

impl S3 {
    /// Answers a request to a bucket's website.
    pub(crate) async fn visit(&self, page: Page<'_>) -> Response<ByteStream> {
        let ids = Ids::of(page.id);
        let bucket = match self.bucket(page.bucket) {
            Ok(bucket) => bucket,
            Err(fail) => return pages::error(&fail.0, None, &ids),
        };
        let mut cx = page.cloud.context(Principal::Anonymous, &bucket.owner, &bucket.region);
        cx.request_id = page.id.into();
        let (secure, host) = (page.origin.secure(), page.origin.host.clone());
        cx.origin = Arc::new(page.origin);
        let visit = Visit {
            cx,
            bucket: page.bucket,
            head: page.method == Method::HEAD,
            secure,
            host,
            query: page.query,
            ids,
        };
        if !matches!(*page.method, Method::GET | Method::HEAD) {
            return pages::error(&method_not_allowed(page.method.as_str(), "OBJECT"), None, &visit.ids);
        }
        let site = match self.config::<api::WebsiteConfiguration>(&bucket, &WEBSITE, "") {
            Ok(Some(site)) => site,
            Ok(None) => return pages::error(&WEBSITE.missing(&bucket.name), None, &visit.ids),
            Err(fail) => return pages::error(&fail.0, None, &visit.ids),
        };
        if let Some(all) = &site.redirect_all_requests_to {
            let protocol = all.protocol.as_deref().unwrap_or(visit.protocol());
            let path = page.path.trim_start_matches('/');
            return visit.moved(&format!("{protocol}://{}/{path}{}", all.host_name, visit.query()), 301);
        }
        // A plus is a space here as in the keys of the API's own paths.
        let path = page.path.strip_prefix('/').unwrap_or(page.path).replace('+', " ");
        let Ok(key) = percent_decode_str(&path).decode_utf8() else {
            let error = Error::sender("InvalidURI", "Couldn't parse the specified URI.");
            return pages::error(&error, None, &visit.ids);
        };
        self.show(&visit, &site, &key).await
    }

    async fn show(
        &self,
        visit: &Visit<'_>,
        site: &api::WebsiteConfiguration,
        key: &str,
    ) -> Response<ByteStream> {
        let rules = site.routing_rules.as_deref().unwrap_or_default();
        if let Some(to) = rules::route(rules, key, None) {
            return visit.routed(to, key);
        }
        let index = site.index_document.as_ref().map(|i| i.suffix.as_str()).unwrap_or_default();
        let folder = key.is_empty() || key.ends_with('/');
        let wanted = if folder { format!("{key}{index}") } else { key.to_owned() };
        let error = match visit.object(&wanted).await {
            Ok(object) => return visit.found(object, None),
            Err(error) => error,
        };
        match error.status() {
            304 | 412 | 416 => return visit.conditional(&error),
            403 | 404 if !folder && visit.is_there(&format!("{key}/{index}")).await => {
                return visit.folder(key);
            }
            _ => {}
        }
        if let Some(to) = rules::route(rules, key, Some(error.status())) {
            return visit.routed(to, key);
        }
        let Some(document) = site.error_document.as_ref().filter(|_| error.status() < 500) else {
            return pages::error(&error, None, &visit.ids);
        };
        match visit.object(&document.key).await {
            Ok(object) => visit.found(object, Some(&error)),
            Err(second) => pages::error(&error, Some((&second, &document.key)), &visit.ids),
        }
    }
}

impl Visit<'_> {
    fn protocol(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    fn query(&self) -> String {
        if self.query.is_empty() { String::new() } else { format!("?{}", self.query) }
    }

    /// The object as everybody may read it. Errors: those of GetObject.
    async fn object(&self, key: &str) -> Result<api::GetObjectOutput, Error> {
        let text = |name: &str| {
            let value = self.cx.origin.headers.as_ref()?.get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        let date = |name: &str| {
            let at = httpdate::parse_http_date(&text(name)?).ok()?;
            let since = at.duration_since(std::time::UNIX_EPOCH).ok()?;
            Some(aws_smithy_types::DateTime::from_secs(i64::try_from(since.as_secs()).ok()?))
        };
        let input = api::GetObjectInput {
            bucket: self.bucket.to_owned(),
            key: key.to_owned(),
            range: text("range"),
            if_match: text("if-match"),
            if_none_match: text("if-none-match"),
            if_modified_since: date("if-modified-since"),
            if_unmodified_since: date("if-unmodified-since"),
            ..Default::default()
        };
        self.cx.cloud.call::<api::operations::GetObject>(&self.cx, input).await
    }

    async fn is_there(&self, key: &str) -> bool {
        let input = api::HeadObjectInput {
            bucket: self.bucket.to_owned(),
            key: key.to_owned(),
            ..Default::default()
        };
        self.cx.cloud.call::<api::operations::HeadObject>(&self.cx, input).await.is_ok()
    }

    /// An object as a page; as the error document where there is an error.
    fn found(&self, object: api::GetObjectOutput, error: Option<&Error>) -> Response<ByteStream> {
        if let Some(to) = &object.website_redirect_location {
            return self.moved(to, 301);
        }
        let mut headers = HeaderMap::new();
        let mut put = |name: HeaderName, value: Option<String>| {
            if let Some(value) = value.and_then(|v| HeaderValue::from_str(&v).ok()) {
                headers.insert(name, value);
            }
        };
        let partial = object.content_range.is_some();
        let date =
            |at: aws_smithy_types::DateTime| crate::conditions::http_date(at.secs().saturating_mul(1000));
        put(CONTENT_TYPE, object.content_type);
        put(CONTENT_LENGTH, object.content_length.map(|n| n.to_string()));
        put(CONTENT_RANGE, object.content_range);
        put(CONTENT_ENCODING, object.content_encoding);
        put(CONTENT_DISPOSITION, object.content_disposition);
        put(CONTENT_LANGUAGE, object.content_language);
        put(CACHE_CONTROL, object.cache_control);
        put(EXPIRES, object.expires);
        put(ETAG, object.e_tag);
        put(LAST_MODIFIED, object.last_modified.map(date));
        put(HeaderName::from_static("x-amz-version-id"), object.version_id);
        put(HeaderName::from_static("x-amz-server-side-encryption"), object.server_side_encryption);
        for (name, value) in object.metadata.into_iter().flatten() {
            if let Ok(name) = HeaderName::from_bytes(format!("x-amz-meta-{name}").as_bytes()) {
                put(name, Some(value));
            }
        }
        if let Some(error) = error {
            headers.extend(pages::error_headers(error));
        }
        let mut response = Response::new(if self.head { ByteStream::default() } else { object.body });
        *response.status_mut() = match error {
            Some(error) => pages::status(error),
            None if partial => StatusCode::PARTIAL_CONTENT,
            None => StatusCode::OK,
        };
        *response.headers_mut() = headers;
        self.ids.put(response.headers_mut());
        response
    }

    /// 304, 412 and 416: what the conditions of a request come to.
    fn conditional(&self, error: &Error) -> Response<ByteStream> {
        if error.status() != 304 {
            return pages::error(error, None, &self.ids);
        }
        let mut response = Response::new(ByteStream::default());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        for (name, value) in error.headers() {
            if let Ok(value) = HeaderValue::from_str(value) {
                response.headers_mut().insert(*name, value);
            }
        }
        self.ids.put(response.headers_mut());
        response
    }

    /// A redirect without a page.
    fn moved(&self, to: &str, status: u16) -> Response<ByteStream> {
        let mut response = Response::new(ByteStream::from(Bytes::new()));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::MOVED_PERMANENTLY);
        if let Ok(to) = HeaderValue::from_str(to) {
            response.headers_mut().insert(LOCATION, to);
        }
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        self.ids.put(response.headers_mut());
        response
    }

    /// Where a routing rule sends to.
    fn routed(&self, rule: &api::RoutingRule, key: &str) -> Response<ByteStream> {
        let redirect = &rule.redirect;
        let protocol = redirect.protocol.as_deref().unwrap_or(self.protocol());
        let host = redirect.host_name.as_deref().unwrap_or(&self.host);
        let key = rules::replaced(rule, key);
        let to = format!("{protocol}://{host}/{}{}", pages::encode_path(&key), self.query());
        self.moved(&to, redirect.http_redirect_code.as_deref().and_then(|c| c.parse().ok()).unwrap_or(301))
    }

    /// A folder that was asked for without its slash.
    fn folder(&self, key: &str) -> Response<ByteStream> {
        let found = Error::new("Found", 302, "Resource Found");
        let mut response = pages::error(&found, None, &self.ids);
        if let Ok(to) = HeaderValue::from_str(&format!("/{}/", pages::encode_path(key))) {
            response.headers_mut().insert(LOCATION, to);
        }
        response
    }
}

//! The addresses of issuers: what they say of themselves, and their public keys.
//!
//! Source: OpenID Connect Discovery 1.0, sections 3 and 4.

use crate::Sts;
use cloudlet_identity::issuer::discovery;
use cloudlet_service::{BoxFuture, ByteStream, Error, Site, Visit};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Response, StatusCode};
use serde_json::Value;

impl Site for Sts {
    fn answer(&self, visit: Visit) -> BoxFuture<'_, Response<ByteStream>> {
        Box::pin(async move {
            let (status, body) = match self.published(&visit) {
                Ok(Some(body)) => (StatusCode::OK, body),
                Ok(None) => (StatusCode::NOT_FOUND, serde_json::json!({ "message": "Not Found" })),
                Err(error) => {
                    tracing::error!(%error, "an issuer's keys cannot be shown");
                    (StatusCode::INTERNAL_SERVER_ERROR, serde_json::json!({ "message": "Internal Error" }))
                }
            };
            let mut response = Response::new(ByteStream::from(bytes::Bytes::from(body.to_string())));
            *response.status_mut() = status;
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        })
    }
}

impl Sts {
    fn published(&self, visit: &Visit) -> Result<Option<Value>, Error> {
        if !matches!(visit.method, Method::GET | Method::HEAD) {
            return Ok(None);
        }
        let Some(issuer) = self.identities.issuer_by_id(&visit.id)? else { return Ok(None) };
        match visit.path.as_str() {
            "/.well-known/openid-configuration" => {
                Ok(Some(discovery(&issuer.url(visit.cx.cloud.endpoint()))))
            }
            "/.well-known/jwks.json" => issuer.key_set().map(Some),
            _ => Ok(None),
        }
    }
}

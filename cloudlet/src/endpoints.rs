//! The endpoints below `/_cloudlet/` that belong to services: the packages whose locations GetFunction gives.

use bytes::Bytes;
use cloudlet_edge::{OwnEndpoints, OwnRequest};
use cloudlet_lambda::{Lambda, PACKAGE_PATH};
use cloudlet_service::BoxFuture;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Response, StatusCode};
use std::sync::{Arc, OnceLock};

/// Bound with the front door, filled once the services are there.
#[derive(Default)]
pub(crate) struct Endpoints {
    lambda: OnceLock<Arc<Lambda>>,
}

impl Endpoints {
    /// Serves the packages of this Lambda from now on.
    pub(crate) fn open(&self, lambda: Arc<Lambda>) {
        let _ = self.lambda.set(lambda);
    }
}

impl OwnEndpoints for Endpoints {
    fn answer(&self, request: OwnRequest) -> BoxFuture<'_, Option<Response<Bytes>>> {
        Box::pin(async move {
            let wanted = request.path == PACKAGE_PATH && matches!(request.method, Method::GET | Method::HEAD);
            let lambda = self.lambda.get().filter(|_| wanted)?;
            let (status, kind, body) = match lambda.package(&request.query).await {
                Ok(package) => (StatusCode::OK, "application/zip", package),
                Err(error) => {
                    let status =
                        StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                    (status, "text/plain", Bytes::from(format!("{error}\n")))
                }
            };
            let mut answer = Response::new(body);
            *answer.status_mut() = status;
            answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            Some(answer)
        })
    }
}

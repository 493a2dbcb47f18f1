//! What an operation is given beside its input.

use crate::cloud::Cloud;
use crate::identity::Principal;
use crate::sources::{Clock, Randomness};
use aws_smithy_types::DateTime;
use std::any::Any;
use std::net::IpAddr;
use std::sync::Arc;

/// What the handshake of a TLS connection settled on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tls {
    /// `1.2` or `1.3` (`s3:TlsVersion`).
    pub version: &'static str,
    /// The cipher suite by the name that OpenSSL gives it, as access logs show it.
    pub cipher: &'static str,
}

/// Where a request came from, as condition keys and some answers need it.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The client's address; `None` for a call from inside.
    pub source_ip: Option<IpAddr>,
    /// What the TLS handshake settled on, where the connection is TLS.
    pub tls: Option<Tls>,
    /// The `Host` the client used, port included, such as `localhost:4566`.
    pub host: Arc<str>,
    /// The access key that signed the request.
    pub access_key_id: Option<Arc<str>>,
    /// The HTTP headers, for the few condition keys and operations that are defined over them; `None` for a call from
    /// inside.
    pub headers: Option<Arc<http::HeaderMap>>,
    /// Whether the signature came in the query string (a presigned URL).
    pub presigned: bool,
    /// How the request was signed: `AWS4-HMAC-SHA256`, or `AWS` for S3's older version.
    pub signature: Option<&'static str>,
    /// Whether the signature came in the fields of an HTML form.
    pub form: bool,
    /// The services that make the call with the caller's permissions, the first that was asked first
    /// (`aws:CalledVia`).
    pub called_via: Vec<Arc<str>>,
}

impl Origin {
    /// Whether the connection is TLS (`aws:SecureTransport`).
    pub fn secure(&self) -> bool {
        self.tls.is_some()
    }

    /// The `User-Agent`.
    pub fn user_agent(&self) -> Option<&str> {
        self.header(&http::header::USER_AGENT)
    }

    /// The `Referer`.
    pub fn referer(&self) -> Option<&str> {
        self.header(&http::header::REFERER)
    }

    fn header(&self, name: &http::HeaderName) -> Option<&str> {
        self.headers.as_ref()?.get(name)?.to_str().ok()
    }
}

/// The context of one call. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// Unique per request; returned to the client and written in every log line about it.
    pub request_id: Arc<str>,
    /// The account whose resources the call means, 12 digits.
    pub account: Arc<str>,
    /// The region, such as `us-east-1`.
    pub region: Arc<str>,
    /// Who calls.
    pub principal: Principal,
    /// What the caller's session carries (session policies, tags). Opaque to all but IAM.
    pub session: Option<Arc<dyn Any + Send + Sync>>,
    /// Where the request came from.
    pub origin: Arc<Origin>,
    /// The cloud it runs in: the clock, the randomness and the way to other services.
    pub cloud: Arc<Cloud>,
}

impl Context {
    /// Now, with millisecond precision.
    pub fn now(&self) -> DateTime {
        self.cloud.clock().now()
    }

    /// Milliseconds since the Unix epoch.
    pub fn millis(&self) -> i64 {
        self.cloud.clock().millis()
    }

    /// The clock.
    pub fn clock(&self) -> &dyn Clock {
        self.cloud.clock()
    }

    /// The randomness.
    pub fn random(&self) -> &dyn Randomness {
        self.cloud.random()
    }

    /// Whether a policy that could decide about the caller here asks for condition keys. If none does, and the
    /// resource has no policy of its own, a service need not gather any.
    pub fn asks_keys(&self) -> bool {
        self.cloud.identity().map_or(true, |identity| identity.asks_keys(self))
    }

    /// The partition of the region.
    pub fn partition(&self) -> &'static str {
        crate::regions::partition(&self.region)
    }

    /// An ARN of this account and region.
    pub fn arn(&self, service: &str, resource: impl std::fmt::Display) -> String {
        format!("arn:{}:{service}:{}:{}:{resource}", self.partition(), self.region, self.account)
    }

    /// The base URL at which the caller reached us, such as `http://localhost:4566`.
    pub fn endpoint(&self) -> String {
        if self.origin.host.is_empty() {
            return self.cloud.endpoint().to_owned();
        }
        format!("{}://{}", if self.origin.secure() { "https" } else { "http" }, self.origin.host)
    }

    /// The same call made by one of our services for itself: how S3 invokes a function.
    pub fn as_service(&self, name: &str, source_arn: Option<&str>) -> Self {
        let principal = Principal::Service {
            name: name.into(),
            source_arn: source_arn.map(Into::into),
            source_account: Some(self.account.clone()),
        };
        Self { principal, session: None, origin: Arc::new(Origin::default()), ..self.clone() }
    }

    /// The same caller, asking through a service: how a service calls another with its caller's permissions. `service`
    /// is a service principal, such as `s3.amazonaws.com`.
    pub fn through(&self, service: &str) -> Self {
        let mut origin = Origin::clone(&self.origin);
        origin.called_via.push(service.into());
        Self { origin: Arc::new(origin), ..self.clone() }
    }

    /// The same caller in another region or account, for calls on resources that an ARN names.
    pub fn located(&self, account: &str, region: &str) -> Self {
        Self { account: account.into(), region: region.into(), ..self.clone() }
    }
}

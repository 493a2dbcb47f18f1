//! What is asked, and its signature.

use crate::Outcome;
use crate::wire::Request;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use std::fmt::Write;
use std::net::SocketAddr;
use std::time::SystemTime;

/// Bodies up to here are made whole and signed, larger ones are sent in pieces.
const WHOLE: u64 = 16 << 20;

/// The request before it is signed. In its target `{n}` stands for the connection's number and `{i}` for the request's.
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) target: String,
    /// The signing name; `None` signs nothing.
    pub(crate) service: Option<String>,
    pub(crate) body: Option<Vec<u8>>,
    /// Bytes of a body that is made up.
    pub(crate) size: u64,
    pub(crate) media_type: String,
    /// Further headers, `name: value`.
    pub(crate) headers: Vec<String>,
    /// The access key and its secret.
    pub(crate) key: String,
    pub(crate) secret: String,
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            method: "GET".to_owned(),
            target: "/".to_owned(),
            service: None,
            body: None,
            size: 0,
            media_type: "application/octet-stream".to_owned(),
            headers: Vec::new(),
            key: "test".to_owned(),
            secret: "test".to_owned(),
        }
    }
}

/// What stands for the number of the request in targets and bodies, which is written with eight digits.
const NUMBER: &str = "{i}";

impl Asked {
    /// Whether each request differs, so that each is signed by itself.
    pub(crate) fn differs(&self) -> bool {
        let in_body = |body: &Vec<u8>| body.windows(NUMBER.len()).any(|w| w == NUMBER.as_bytes());
        self.target.contains(NUMBER) || self.body.as_ref().is_some_and(in_body)
    }

    /// The request number `i`, of connection number `n`, signed by its key: unless told otherwise that of the root user.
    pub(crate) fn sign(&self, address: SocketAddr, n: usize, i: u64) -> Outcome<Request> {
        let fill = |text: &str| text.replace("{n}", &n.to_string()).replace(NUMBER, &format!("{i:08}"));
        let target = fill(&self.target);
        let (body, rest) = match &self.body {
            Some(body) => (fill(&String::from_utf8_lossy(body)).into_bytes(), 0),
            None if self.size <= WHOLE => (vec![b'x'; usize::try_from(self.size)?], 0),
            None => (Vec::new(), self.size),
        };
        let length = body.len() as u64 + rest;
        let host = address.to_string();
        let mut head = format!("{} {target} HTTP/1.1\r\nhost: {host}\r\n", self.method);
        if length > 0 || matches!(self.method.as_str(), "PUT" | "POST") {
            let _ = write!(head, "content-length: {length}\r\ncontent-type: {}\r\n", self.media_type);
        }
        for header in &self.headers {
            let _ = write!(head, "{header}\r\n");
        }
        if let Some(service) = &self.service {
            for (name, value) in self.signature(service, &host, &target, &body, rest > 0)? {
                let _ = write!(head, "{name}: {value}\r\n");
            }
        }
        head.push_str("\r\n");
        Ok(Request { whole: [head.as_bytes(), &body].concat(), rest, head_only: self.method == "HEAD" })
    }

    fn signature(
        &self,
        service: &str,
        host: &str,
        target: &str,
        body: &[u8],
        in_pieces: bool,
    ) -> Outcome<Vec<(String, String)>> {
        let identity = Credentials::new(&*self.key, &*self.secret, None, None, "load").into();
        let mut settings = SigningSettings::default();
        if service == "s3" {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        }
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name(service)
            .time(SystemTime::now())
            .settings(settings)
            .build()?;
        let uri = format!("http://{host}{target}");
        let payload = if in_pieces { SignableBody::UnsignedPayload } else { SignableBody::Bytes(body) };
        let request = SignableRequest::new(&self.method, &uri, [("host", host)].into_iter(), payload)?;
        let (made, _) = sign(request, &params.into())?.into_parts();
        Ok(made.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

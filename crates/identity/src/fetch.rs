//! Fetches the small documents in which identity providers publish their keys.
//!
//! Over TLS the server must show a certificate whose SHA-1 is registered with the provider (its thumbprint), as AWS asks
//! of providers that no public authority vouches for. Plain HTTP only reaches this machine. Nothing is followed, and a
//! document has a size and a time to arrive in.

use crate::x509::Certificate;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use ring::digest;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

/// The largest document, in bytes.
const LARGEST: usize = 256 * 1024;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a document did not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfetched {
    /// The server's certificate is none of those that are known.
    Thumbprint,
    /// Anything else.
    Unreachable,
}

/// Fetches a document.
pub async fn fetch(url: &str, thumbprints: &[String]) -> Result<Bytes, Unfetched> {
    tokio::time::timeout(PATIENCE, get(url, thumbprints)).await.unwrap_or(Err(Unfetched::Unreachable))
}

async fn get(url: &str, thumbprints: &[String]) -> Result<Bytes, Unfetched> {
    let gone = Unfetched::Unreachable;
    let uri: http::Uri = url.parse().map_err(|_| gone)?;
    let host = uri.host().ok_or(gone)?;
    let name = host.trim_matches(['[', ']']).to_owned();
    let secure = match uri.scheme_str() {
        Some("https") => true,
        Some("http") if matches!(name.as_str(), "localhost" | "127.0.0.1" | "::1") => false,
        _ => return Err(gone),
    };
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let stream = TcpStream::connect((name.as_str(), port)).await.map_err(|_| gone)?;
    let authority = uri.authority().map(|a| a.as_str().to_owned()).unwrap_or_default();
    let path = uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
    if !secure {
        return exchange(TokioIo::new(stream), &authority, &path).await;
    }
    let pinned = Pinned::new(thumbprints).ok_or(gone)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| gone)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(pinned))
        .with_no_client_auth();
    let name = ServerName::try_from(name).map_err(|_| gone)?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name, stream).await.map_err(|error| {
        let pinned = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match pinned {
            Some(rustls::Error::InvalidCertificate(_)) => Unfetched::Thumbprint,
            _ => gone,
        }
    })?;
    exchange(TokioIo::new(stream), &authority, &path).await
}

async fn exchange<S>(stream: S, authority: &str, path: &str) -> Result<Bytes, Unfetched>
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let gone = Unfetched::Unreachable;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.map_err(|_| gone)?;
    let driven = tokio::spawn(connection);
    let request = http::Request::get(path)
        .header(http::header::HOST, authority)
        .header(http::header::ACCEPT, "application/json")
        .body(Empty::<Bytes>::new())
        .map_err(|_| gone)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(|_| gone)?;
        if response.status() != http::StatusCode::OK {
            return Err(gone);
        }
        let body = Limited::new(response.into_body(), LARGEST).collect().await.map_err(|_| gone)?;
        Ok(body.to_bytes())
    };
    let answer = answer.await;
    driven.abort();
    answer
}

/// Takes a server whose chain holds a certificate with a known thumbprint that vouches for the server's own.
#[derive(Debug)]
struct Pinned {
    thumbprints: Vec<Vec<u8>>,
    provider: CryptoProvider,
}

impl Pinned {
    fn new(thumbprints: &[String]) -> Option<Self> {
        let thumbprints: Option<Vec<Vec<u8>>> = thumbprints.iter().map(|text| unhex(text)).collect();
        Some(Self { thumbprints: thumbprints?, provider: rustls::crypto::ring::default_provider() })
    }

    fn knows(&self, certificate: &CertificateDer<'_>) -> bool {
        let own = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, certificate);
        self.thumbprints.iter().any(|known| known == own.as_ref())
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let refused = || rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let mut own = Certificate::from_der(end_entity).ok_or_else(refused)?;
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        if !(own.not_before..=own.not_after).contains(&seconds) {
            return Err(refused());
        }
        let mut known = self.knows(end_entity);
        for issuer in intermediates {
            if known {
                break;
            }
            let above = Certificate::from_der(issuer).ok_or_else(refused)?;
            if !own.signed_by(&above) {
                break;
            }
            known = self.knows(issuer);
            own = above;
        }
        if known { Ok(ServerCertVerified::assertion()) } else { Err(refused()) }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

//! A certificate authority of one's own, and certificates for the names that clients ask for.
//!
//! Certificates are made on demand for each name below our domains, because many clients refuse wildcards such as
//! `*.localhost` that stand directly below a top-level domain.

use crate::hosts::Hosts;
use cloudlet_service::Tls;
use parking_lot::Mutex;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::collections::HashMap;
use std::io::{Error, ErrorKind, Result, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// The authority's certificate inside its directory.
const CERTIFICATE: &str = "ca.pem";
/// Its key, which only its owner may read.
const KEY: &str = "ca-key.pem";
/// How many certificates are kept; beyond it the store begins anew.
const REMEMBERED: usize = 256;

/// The authority's certificate in PEM, made if it is not there yet. Errors: the directory cannot be written, or
/// what is in it is not a key.
pub fn ca_pem(directory: &Path) -> Result<String> {
    Authority::open(directory).map(|authority| authority.pem)
}

/// The authority.
pub(crate) struct Authority {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// What a handshake settled on, under the names that access logs give it.
pub(crate) fn agreed(session: &rustls::ServerConnection) -> Tls {
    let version = match session.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "1.3",
        _ => "1.2",
    };
    let suite = session.negotiated_cipher_suite().map(|suite| suite.suite());
    Tls { version, cipher: suite.map_or("-", cipher_name) }
}

/// The name that OpenSSL has for a cipher suite. Source: openssl-ciphers(1), "Cipher suite names".
fn cipher_name(suite: rustls::CipherSuite) -> &'static str {
    use rustls::CipherSuite as C;
    match suite {
        C::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        C::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        C::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        C::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => "ECDHE-ECDSA-AES128-GCM-SHA256",
        C::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => "ECDHE-ECDSA-AES256-GCM-SHA384",
        C::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-ECDSA-CHACHA20-POLY1305",
        C::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => "ECDHE-RSA-AES128-GCM-SHA256",
        C::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => "ECDHE-RSA-AES256-GCM-SHA384",
        C::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-RSA-CHACHA20-POLY1305",
        _ => "-",
    }
}

fn invalid(what: &str, why: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidData, format!("{what}: {why}"))
}

impl Authority {
    /// Opens the directory's authority; makes it at the first start.
    pub(crate) fn open(directory: &Path) -> Result<Self> {
        let (key_path, certificate_path) = (directory.join(KEY), directory.join(CERTIFICATE));
        match (std::fs::read_to_string(&key_path), std::fs::read_to_string(&certificate_path)) {
            (Ok(key), Ok(pem)) => {
                let key = KeyPair::from_pem(&key).map_err(|e| {
                    let path = key_path.display();
                    invalid(
                        &format!(
                            "{path} is not a key; remove it and {CERTIFICATE} beside it to make new ones"
                        ),
                        e,
                    )
                })?;
                Ok(Self { pem, issuer: Issuer::new(Self::params(), key) })
            }
            (Err(e), _) | (_, Err(e)) if e.kind() != ErrorKind::NotFound => Err(e),
            _ => {
                std::fs::create_dir_all(directory)?;
                let key = KeyPair::generate().map_err(|e| invalid("making the authority's key", e))?;
                let certificate = Self::params()
                    .self_signed(&key)
                    .map_err(|e| invalid("signing the authority's certificate", e))?;
                write_new(&key_path, key.serialize_pem().as_bytes(), 0o600)?;
                write_new(&certificate_path, certificate.pem().as_bytes(), 0o644)?;
                Ok(Self { pem: certificate.pem(), issuer: Issuer::new(Self::params(), key) })
            }
        }
    }

    /// The authority's own parameters, the same at every start, so that only its key need be kept.
    fn params() -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = name("Cloudlet Local CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
    }

    /// A certificate for these names, with its key.
    fn issue(&self, names: Vec<String>) -> Result<Arc<CertifiedKey>> {
        let wrong = |e: rcgen::Error| invalid("making a certificate", e);
        let key = KeyPair::generate().map_err(wrong)?;
        let common = names.first().cloned().unwrap_or_default();
        let mut params = CertificateParams::new(names).map_err(wrong)?;
        // 64 characters is the longest common name (RFC 5280, appendix A.1).
        params.distinguished_name = name(if common.len() <= 64 { &common } else { "Cloudlet" });
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &self.issuer).map_err(wrong)?;
        let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let secret =
            rustls::crypto::ring::sign::any_supported_type(&secret).map_err(|e| invalid("the key", e))?;
        Ok(Arc::new(CertifiedKey::new(vec![certificate.der().clone()], secret)))
    }
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "Cloudlet");
    name.push(DnType::CommonName, common);
    name
}

/// Writes a file so that it is either wholly there or not at all, and never readable by others on the way.
fn write_new(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let half = path.with_extension("new");
    let _ = std::fs::remove_file(&half);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&half)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&half, path)
}

/// Chooses the certificate for a handshake.
struct Names {
    authority: Authority,
    hosts: Arc<Hosts>,
    /// For clients that name no host, or an address.
    usual: OnceLock<Option<Arc<CertifiedKey>>>,
    made: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Names")
    }
}

impl Names {
    fn usual(&self) -> Option<Arc<CertifiedKey>> {
        let make = || self.issue(vec!["localhost".into(), "127.0.0.1".into(), "::1".into()]);
        self.usual.get_or_init(make).clone()
    }

    fn issue(&self, names: Vec<String>) -> Option<Arc<CertifiedKey>> {
        self.authority.issue(names).inspect_err(|why| tracing::warn!(%why, "no certificate")).ok()
    }
}

impl ResolvesServerCert for Names {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let Some(asked) = hello.server_name() else { return self.usual() };
        if asked.eq_ignore_ascii_case("localhost") || !self.hosts.holds(asked) {
            return self.usual();
        }
        if let Some(found) = self.made.lock().get(asked) {
            return Some(found.clone());
        }
        let made = self.issue(vec![asked.to_owned()])?;
        let mut all = self.made.lock();
        if all.len() >= REMEMBERED {
            all.clear();
        }
        all.insert(asked.to_owned(), made.clone());
        Some(made)
    }
}

/// The TLS side of a listener. Errors: the authority cannot be opened.
pub(crate) fn acceptor(directory: &Path, hosts: Arc<Hosts>) -> Result<tokio_rustls::TlsAcceptor> {
    let authority = Authority::open(directory)?;
    let names = Names { authority, hosts, usual: OnceLock::new(), made: Mutex::default() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| invalid("TLS", e))?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(names));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(tokio_rustls::TlsAcceptor::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_authority_is_made_once_and_its_key_is_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tls");
        let first = ca_pem(&path).unwrap();
        assert!(first.starts_with("-----BEGIN CERTIFICATE-----"));
        assert_eq!(ca_pem(&path).unwrap(), first);
        let mode = std::fs::metadata(path.join(KEY)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(path.join(KEY), "nonsense").unwrap();
        let why = ca_pem(&path).unwrap_err().to_string();
        assert!(why.contains("remove it"), "{why}");
    }
}

//! What identity providers send: tokens, assertions, metadata, certificates and keys.

use super::{Target, seen, texts};
use cloudlet_identity::jwt::Token;
use cloudlet_identity::saml::{Assertion, Metadata};
use cloudlet_identity::x509::{Certificate, PublicKey, pem, public_key};

pub(super) static TARGET: Target =
    Target { name: "assertions", run, seeds, words: WORDS, longest: 128 << 10, ..Target::DEFAULT };

const METADATA: &str = "<EntityDescriptor xmlns=\"urn:oasis:names:tc:SAML:2.0:metadata\" entityID=\"i\" validUntil=\"2030-01-01T00:00:00Z\"><IDPSSODescriptor><KeyDescriptor use=\"signing\"><KeyInfo xmlns=\"http://www.w3.org/2000/09/xmldsig#\"><X509Data><X509Certificate>MAA=</X509Certificate></X509Data></KeyInfo></KeyDescriptor></IDPSSODescriptor></EntityDescriptor>";

fn seeds() -> Vec<Vec<u8>> {
    texts(&[
        METADATA,
        "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsifQ.eyJpc3MiOiJqb2UiLCJhdWQiOlsiYSJdLCJleHAiOjEzMDA4MTkzODB9.AAAA",
        "-----BEGIN CERTIFICATE-----\nMIIBAjCBqKADAgECAgEBMAoGCCqGSM49BAMCMAAwHhcNNzAwMTAxMDAwMDAwWhcNNzAwMTAxMDAwMDAwWjAAMFkw\n-----END CERTIFICATE-----\n",
        "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n",
        "<a xmlns:x='u' x:b='1'><x:c xmlns=''>&#65;<![CDATA[x]]></x:c></a>",
    ])
}

const WORDS: &[&str] = &[
    "<a>",
    "</a>",
    "<a xmlns='u'>",
    " xmlns:b=\"c\"",
    " b:d='e'",
    "&amp;",
    "&#x41;",
    "<![CDATA[",
    "]]>",
    "<!--",
    "-->",
    "<!DOCTYPE a [",
    "-----BEGIN ",
    "-----END ",
    "CERTIFICATE-----",
    "MII",
    "MAA=",
    ".",
    "eyJ",
    "==",
    "ID=\"_a\"",
];

fn run(input: &[u8]) -> u64 {
    let certificate = Certificate::from_der(input).is_some();
    let key = public_key(input).is_some();
    let Ok(text) = std::str::from_utf8(input) else { return seen(&(certificate, key)) };
    let metadata = Metadata::read(text);
    let keys = serde_json::json!({"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]});
    let token = Token::read(text);
    if let Some(token) = &token {
        assert!(!token.signed_by(&keys), "a key that is none signed a token");
    }
    let assertion = metadata.as_ref().map(|metadata| Assertion::read(text, metadata, &[], false).err());
    seen(&(
        certificate,
        key,
        metadata.is_some(),
        token.map(|token| (token.algorithm.len().min(9), token.audiences().len().min(3))),
        assertion.flatten().map(|flaw| flaw as u8),
        pem(text, &["CERTIFICATE", "PRIVATE KEY"]).map(|blocks| blocks.len().min(5)),
        PublicKey::of_private_pem(text).is_some(),
        cloudlet_identity::encrypted::private_key(text).is_some(),
        cloudlet_identity::saml::canonical(text).map(|text| text.len().min(64)),
    ))
}

//! SAML 2.0: the metadata of a provider, and assertions that its key signed.
//!
//! A signature counts only for the element it stands in and refers to, and only what stands in that element is
//! read: whatever else a message holds is not looked at. Source: SAML Core (saml-core-2.0-os), section 5; XML
//! Signature Syntax and Processing; IAM User Guide, "Configure SAML assertions for the authentication response".

use crate::encrypted;
use crate::x509::{Certificate, Digest};
use crate::xml::{At, Document};
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest;

const METADATA: &str = "urn:oasis:names:tc:SAML:2.0:metadata";
const ASSERTION: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
const SIGNATURE: &str = "http://www.w3.org/2000/09/xmldsig#";
const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
const BEARER: &str = "urn:oasis:names:tc:SAML:2.0:cm:bearer";
const SUCCESS: &str = "urn:oasis:names:tc:SAML:2.0:status:Success";

/// What a provider says about itself.
#[derive(Debug)]
pub struct Metadata {
    /// Its name, which is the issuer of its assertions.
    pub entity_id: String,
    /// When the document ends, in seconds since the epoch.
    pub valid_until: Option<i64>,
    certificates: Vec<Certificate>,
}

impl Metadata {
    /// Reads a metadata document of an identity provider with at least one signing certificate.
    pub fn read(text: &str) -> Option<Self> {
        let document = Document::read(text)?;
        if !document.is(0, METADATA, "EntityDescriptor") {
            return None;
        }
        let entity_id = document.attribute(0, "entityID").filter(|id| !id.is_empty())?.to_owned();
        let valid_until = match document.attribute(0, "validUntil") {
            Some(text) => Some(seconds(text)?),
            None => None,
        };
        let mut certificates = Vec::new();
        for provider in document.children(0, METADATA, "IDPSSODescriptor") {
            for key in document.children(provider, METADATA, "KeyDescriptor") {
                if document.attribute(key, "use").is_some_and(|used| used != "signing") {
                    continue;
                }
                for at in document.below(key) {
                    if document.is(at, SIGNATURE, "X509Certificate") {
                        certificates.push(Certificate::from_der(&decode(&document.text(at))?)?);
                    }
                }
            }
        }
        (!certificates.is_empty()).then_some(Self { entity_id, valid_until, certificates })
    }
}

/// What a provider says about somebody.
#[derive(Debug, Default)]
pub struct Assertion {
    /// Who says it.
    pub issuer: String,
    /// About whom.
    pub subject: String,
    /// The kind of name that is, such as `persistent`.
    pub subject_type: String,
    /// Where the bearer was told to bring it.
    pub recipient: String,
    /// For whom it is meant.
    pub audiences: Vec<String>,
    /// When it was made, in seconds since the epoch.
    pub issued: i64,
    /// From when it counts.
    pub not_before: Option<i64>,
    /// Until when it counts.
    pub not_after: Option<i64>,
    /// Further statements: names and values.
    pub attributes: Vec<(String, Vec<String>)>,
}

/// Why an assertion was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// It cannot be read.
    Malformed,
    /// It is encrypted, and none of the provider's keys opens it.
    Encrypted,
    /// It is not encrypted, which the provider's assertions must be.
    Plain,
    /// It is not signed by the provider.
    Signature,
}

impl Assertion {
    /// The values of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&[String]> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, values)| values.as_slice())
    }

    /// Reads a Base64-encoded response whose assertion, or which itself, one of the provider's keys signed. An encrypted
    /// assertion is opened with one of the private keys; `required` takes no other.
    pub fn read(
        encoded: &str,
        provider: &Metadata,
        private_keys: &[String],
        required: bool,
    ) -> Result<Self, Flaw> {
        let bytes = decode(encoded).ok_or(Flaw::Malformed)?;
        let text = String::from_utf8(bytes).map_err(|_| Flaw::Malformed)?;
        let document = Document::read(&text).filter(unambiguous).ok_or(Flaw::Malformed)?;
        if !document.is(0, PROTOCOL, "Response") {
            return Err(Flaw::Malformed);
        }
        let status = document
            .child(0, PROTOCOL, "Status")
            .and_then(|status| document.child(status, PROTOCOL, "StatusCode"))
            .and_then(|code| document.attribute(code, "Value"));
        if status != Some(SUCCESS) {
            return Err(Flaw::Malformed);
        }
        if let Some(encrypted) = document.child(0, ASSERTION, "EncryptedAssertion") {
            if document.children(0, ASSERTION, "Assertion").next().is_some() {
                return Err(Flaw::Malformed);
            }
            let text = encrypted::open(&document, encrypted, private_keys).ok_or(Flaw::Encrypted)?;
            let inner = Document::read(&text).filter(unambiguous).ok_or(Flaw::Encrypted)?;
            if !inner.is(0, ASSERTION, "Assertion") {
                return Err(Flaw::Encrypted);
            }
            // The signature of the whole is over what was encrypted.
            if !signed(&inner, 0, provider) && !signed(&document, 0, provider) {
                return Err(Flaw::Signature);
            }
            return read(&inner, 0).ok_or(Flaw::Malformed);
        }
        if required {
            return Err(Flaw::Plain);
        }
        let assertion = document.child(0, ASSERTION, "Assertion").ok_or(Flaw::Malformed)?;
        if !signed(&document, assertion, provider) && !signed(&document, 0, provider) {
            return Err(Flaw::Signature);
        }
        read(&document, assertion).ok_or(Flaw::Malformed)
    }
}

/// Two elements of one name would leave open which was meant.
fn unambiguous(document: &Document) -> bool {
    let mut ids: Vec<&str> =
        document.below(0).into_iter().filter_map(|at| document.attribute(at, "ID")).collect();
    ids.sort_unstable();
    ids.windows(2).all(|pair| pair[0] != pair[1])
}

fn read(document: &Document, at: At) -> Option<Assertion> {
    let text = |at: At| document.text(at).trim().to_owned();
    let subject = document.child(at, ASSERTION, "Subject")?;
    let name = document.child(subject, ASSERTION, "NameID")?;
    let confirmation = document
        .children(subject, ASSERTION, "SubjectConfirmation")
        .find(|c| document.attribute(*c, "Method") == Some(BEARER))?;
    let data = document.child(confirmation, ASSERTION, "SubjectConfirmationData")?;
    let time = |at: At, name: &str| match document.attribute(at, name) {
        Some(text) => seconds(text).map(Some),
        None => Some(None),
    };
    let mut found = Assertion {
        issuer: text(document.child(at, ASSERTION, "Issuer")?),
        subject: text(name),
        subject_type: document
            .attribute(name, "Format")
            .and_then(|format| format.rsplit(':').next())
            .unwrap_or("unspecified")
            .to_owned(),
        recipient: document.attribute(data, "Recipient").unwrap_or_default().to_owned(),
        issued: seconds(document.attribute(at, "IssueInstant")?)?,
        not_after: time(data, "NotOnOrAfter")?,
        ..Assertion::default()
    };
    if let Some(conditions) = document.child(at, ASSERTION, "Conditions") {
        found.not_before = time(conditions, "NotBefore")?;
        if let Some(end) = time(conditions, "NotOnOrAfter")? {
            found.not_after = Some(found.not_after.map_or(end, |known| known.min(end)));
        }
        for restriction in document.children(conditions, ASSERTION, "AudienceRestriction") {
            found.audiences.extend(document.children(restriction, ASSERTION, "Audience").map(text));
        }
    }
    for statement in document.children(at, ASSERTION, "AttributeStatement") {
        for attribute in document.children(statement, ASSERTION, "Attribute") {
            let name = document.attribute(attribute, "Name")?.to_owned();
            let values = document.children(attribute, ASSERTION, "AttributeValue").map(text).collect();
            found.attributes.push((name, values));
        }
    }
    Some(found)
}

/// Whether an element holds a signature over itself by one of the provider's keys.
fn signed(document: &Document, at: At, provider: &Metadata) -> bool {
    check(document, at, provider).unwrap_or(false)
}

fn check(document: &Document, at: At, provider: &Metadata) -> Option<bool> {
    let own = document.child(at, SIGNATURE, "Signature")?;
    let info = document.child(own, SIGNATURE, "SignedInfo")?;
    let algorithm = |at: At| document.attribute(at, "Algorithm");
    let method = document.child(info, SIGNATURE, "CanonicalizationMethod")?;
    if algorithm(method)? != EXCLUSIVE {
        return None;
    }
    let reference = document.child(info, SIGNATURE, "Reference")?;
    let uri = document.attribute(reference, "URI")?;
    let id = document.attribute(at, "ID")?;
    if uri.strip_prefix('#') != Some(id) {
        return None;
    }
    let mut inclusive = Vec::new();
    let transforms = document.child(reference, SIGNATURE, "Transforms")?;
    for transform in document.children(transforms, SIGNATURE, "Transform") {
        match algorithm(transform)? {
            ENVELOPED => {}
            EXCLUSIVE => inclusive = prefixes(document, transform),
            _ => return None,
        }
    }
    let (hash, _) = hashes(algorithm(document.child(reference, SIGNATURE, "DigestMethod")?)?)?;
    let told = decode(&document.text(document.child(reference, SIGNATURE, "DigestValue")?))?;
    let content = document.canonical(at, Some(own), &inclusive);
    if digest::digest(hash, content.as_bytes()).as_ref() != told {
        return Some(false);
    }
    let signed = document.canonical(info, None, &prefixes(document, method));
    let (_, by) = hashes(algorithm(document.child(info, SIGNATURE, "SignatureMethod")?)?)?;
    let value = decode(&document.text(document.child(own, SIGNATURE, "SignatureValue")?))?;
    Some(provider.certificates.iter().any(|c| c.key.verify(by, signed.as_bytes(), &value)))
}

/// The prefixes in an `InclusiveNamespaces` element.
fn prefixes(document: &Document, at: At) -> Vec<&str> {
    let found = document.child(at, EXCLUSIVE, "InclusiveNamespaces");
    found.and_then(|at| document.attribute(at, "PrefixList")).unwrap_or_default().split_whitespace().collect()
}

/// The hash that an algorithm's URI names, be it of digests or of RSA signatures.
fn hashes(uri: &str) -> Option<(&'static digest::Algorithm, Digest)> {
    Some(match uri {
        "http://www.w3.org/2000/09/xmldsig#sha1" | "http://www.w3.org/2000/09/xmldsig#rsa-sha1" => {
            (&digest::SHA1_FOR_LEGACY_USE_ONLY, Digest::Sha1)
        }
        "http://www.w3.org/2001/04/xmlenc#sha256" | "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256" => {
            (&digest::SHA256, Digest::Sha256)
        }
        "http://www.w3.org/2001/04/xmldsig-more#sha384"
        | "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384" => (&digest::SHA384, Digest::Sha384),
        "http://www.w3.org/2001/04/xmlenc#sha512" | "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512" => {
            (&digest::SHA512, Digest::Sha512)
        }
        _ => return None,
    })
}

/// The exclusive canonical form of a document; `None` for what is not well-formed.
pub fn canonical(text: &str) -> Option<String> {
    Document::read(text).map(|document| document.canonical(0, None, &[]))
}

pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    STANDARD.decode(text).ok()
}

fn seconds(text: &str) -> Option<i64> {
    DateTime::from_str(text, Format::DateTimeWithOffset).ok().map(|time| time.secs())
}

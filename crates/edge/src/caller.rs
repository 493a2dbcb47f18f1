//! Who sends a request: from the claim in its head to a principal of IAM.

use crate::sigv4::{self, Claim, Flaw, PathStyle, Seed, Signable, v2};
use crate::{gate::Gate, hosts};
use cloudlet_service::{Error, Principal, Resolved};
use std::any::Any;
use std::sync::Arc;

/// Who sends a request.
pub(crate) struct Caller {
    pub(crate) principal: Principal,
    pub(crate) session: Option<Arc<dyn Any + Send + Sync>>,
    pub(crate) access_key_id: Option<Arc<str>>,
    /// The region of the credential scope.
    pub(crate) region: Option<Arc<str>>,
    pub(crate) presigned: bool,
    /// `AWS4-HMAC-SHA256`, or `AWS` for version 2.
    pub(crate) signature: Option<&'static str>,
    /// What chunks are chained to, where the body comes in signed ones.
    pub(crate) seed: Option<Seed>,
}

impl Caller {
    /// Nobody.
    pub(crate) fn anonymous() -> Self {
        Self {
            principal: Principal::Anonymous,
            session: None,
            access_key_id: None,
            region: None,
            presigned: false,
            signature: None,
            seed: None,
        }
    }
}

/// A claim whose key exists, whose session lives and whose time is right. Only the signature itself is open,
/// which for most services needs the body.
pub(crate) struct Known<'a> {
    claim: &'a Claim<'a>,
    resolved: Resolved,
}

/// Looks up the claim's key. `None` for a request without a claim. Errors: the flaws that need no body.
pub(crate) fn look_up<'a>(
    gate: &Gate,
    claim: &'a Claim<'a>,
    request: &Signable<'_>,
    s3: bool,
) -> Result<Option<Known<'a>>, Flaw> {
    let (id, token) = match claim {
        Claim::None => return Ok(None),
        Claim::V4(v4) => (&v4.access_key_id, &v4.token),
        Claim::V2(v2) => (&v2.access_key_id, &v2.token),
    };
    let token = token.as_deref();
    let identity = gate.cloud.identity().map_err(Flaw::Other)?;
    let resolved = identity.resolve(id, token).map_err(|error| named(error, id, token))?;
    if let Claim::V4(v4) = claim {
        if !hosts::is_region(v4.region()) {
            let given = v4.region().chars().take(64).collect();
            return Err(Flaw::WrongRegion { given, expected: gate.config.default_region.clone() });
        }
        sigv4::check_time(v4, gate.cloud.clock().seconds())?;
        sigv4::check_signed_headers(v4, request, s3)?;
        if s3 && v4.presigned && v4.expires.is_none() {
            return Err(Flaw::BadQuery(
                "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, \
                 X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
                    .to_owned(),
            ));
        }
    }
    Ok(Some(Known { claim, resolved }))
}

/// The identity service answers in one family's words; each family has its own.
fn named(error: Error, id: &str, token: Option<&str>) -> Flaw {
    let token = || token.unwrap_or_default().chars().take(2048).collect();
    match error.code() {
        "InvalidAccessKeyId" | "InvalidClientTokenId" | "UnrecognizedClientException" => {
            Flaw::UnknownKey(id.to_owned())
        }
        "ExpiredToken" | "ExpiredTokenException" => Flaw::ExpiredToken(token()),
        "InvalidToken" => Flaw::BadToken(token()),
        _ => Flaw::Other(error),
    }
}

impl Known<'_> {
    /// Checks the signature and says who it is. `payload_hash` is what the canonical request ends with, `bucket`
    /// the bucket that the host names, and `chunked` says that signed chunks follow.
    pub(crate) fn verify(
        self,
        gate: &Gate,
        request: &Signable<'_>,
        payload_hash: &str,
        s3: bool,
        bucket: Option<&str>,
        chunked: bool,
    ) -> Result<Caller, Flaw> {
        let Resolved { principal, secret, session } = self.resolved;
        match self.claim {
            Claim::None => Ok(Caller::anonymous()),
            Claim::V4(v4) => {
                let style = if s3 { PathStyle::Once } else { PathStyle::Twice };
                sigv4::verify(v4, request, payload_hash, &secret, style)?;
                Ok(Caller {
                    principal,
                    session,
                    access_key_id: Some((*v4.access_key_id).into()),
                    region: Some(match v4.region() {
                        region if *region == *gate.default_region => gate.default_region.clone(),
                        region => region.into(),
                    }),
                    presigned: v4.presigned,
                    signature: Some("AWS4-HMAC-SHA256"),
                    seed: chunked.then(|| sigv4::seed(v4, &secret)),
                })
            }
            Claim::V2(claim) => {
                v2::verify(claim, request, bucket, &secret, gate.cloud.clock().seconds())?;
                Ok(Caller {
                    principal,
                    session,
                    access_key_id: Some((*claim.access_key_id).into()),
                    region: None,
                    presigned: claim.expires.is_some(),
                    signature: Some("AWS"),
                    seed: None,
                })
            }
        }
    }
}

/// How S3's clients say that the body is signed: the value of `x-amz-content-sha256`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PayloadClaim<'a> {
    /// Not at all.
    Unsigned,
    /// By its hash, in lower-case hexadecimal.
    Hash(&'a str),
    /// In chunks.
    Chunked { value: &'a str, signed: bool, trailer: bool },
}

impl<'a> PayloadClaim<'a> {
    /// Reads the claim. `needed` says that a signed request must make one in its header.
    pub(crate) fn read(value: Option<&'a str>, needed: bool) -> Result<Self, Flaw> {
        let Some(value) = value else {
            return if needed { Err(Flaw::NoPayloadHash) } else { Ok(Self::Unsigned) };
        };
        if value.len() == 64 && value.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Ok(Self::Hash(value));
        }
        match value {
            sigv4::UNSIGNED_PAYLOAD => Ok(Self::Unsigned),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => Ok(Self::Chunked { value, signed: true, trailer: false }),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => {
                Ok(Self::Chunked { value, signed: true, trailer: true })
            }
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Ok(Self::Chunked { value, signed: false, trailer: true }),
            other if other.starts_with("STREAMING-AWS4-ECDSA") => {
                Err(Flaw::Algorithm("AWS4-ECDSA-P256-SHA256".to_owned()))
            }
            other => Err(Flaw::BadPayloadHash(other.chars().take(128).collect())),
        }
    }

    /// What the canonical request ends with.
    pub(crate) fn canonical(self) -> &'a str {
        match self {
            Self::Unsigned => sigv4::UNSIGNED_PAYLOAD,
            Self::Hash(value) | Self::Chunked { value, .. } => value,
        }
    }
}

//! AWS's words for a request whose signature is not accepted, which differ by the family of the service.
//!
//! Source: S3 API Reference, "Error responses"; IAM and STS API References, "Common Errors"; the answers of the
//! services themselves where the references give only the code.

use super::flaw::{Flaw, Mismatch};
use super::{SKEW, time};
use cloudlet_service::{Error, Protocol};

/// Services that refuse in the same words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// S3.
    S3,
    /// The query protocol: IAM, STS, SQS's older face.
    Query,
    /// EC2's variant of it.
    Ec2,
    /// JSON with `X-Amz-Target`, and CBOR.
    JsonRpc,
    /// JSON on REST paths, and other XML services on them.
    Rest,
}

impl Family {
    /// The family of a request.
    pub fn of(s3: bool, protocol: Protocol) -> Self {
        match protocol {
            _ if s3 => Self::S3,
            Protocol::AwsQuery => Self::Query,
            Protocol::Ec2Query => Self::Ec2,
            Protocol::AwsJson10 | Protocol::AwsJson11 | Protocol::RpcV2Cbor => Self::JsonRpc,
            Protocol::RestJson1 | Protocol::RestXml => Self::Rest,
        }
    }

    /// An error of this family: the query protocol's code, or the JSON services' code, which answer 400 on RPC
    /// and 403 on REST.
    fn error(self, query: &'static str, json: &'static str, message: String) -> Error {
        match self {
            Self::S3 | Self::Query => Error::new(query, 403, message),
            Self::Ec2 => Error::new("AuthFailure", 401, message),
            Self::JsonRpc => Error::new(json, 400, message),
            Self::Rest => Error::new(json, 403, message),
        }
    }

    fn bad_signature(self, message: String) -> Error {
        self.error("SignatureDoesNotMatch", "InvalidSignatureException", message)
    }

    fn incomplete(self, message: String) -> Error {
        self.error("IncompleteSignature", "IncompleteSignatureException", message)
    }

    /// What AWS answers to this flaw.
    pub fn refuse(self, flaw: Flaw) -> Error {
        match flaw {
            Flaw::Other(error) => error,
            Flaw::Algorithm(name) => algorithm(&name),
            flaw if self == Self::S3 => s3(flaw),
            Flaw::Missing => self.error(
                "MissingAuthenticationToken",
                "MissingAuthenticationTokenException",
                match self {
                    Self::Rest => "Missing Authentication Token".to_owned(),
                    _ => "Request is missing Authentication Token".to_owned(),
                },
            ),
            Flaw::BadHeader(why)
            | Flaw::BadQuery(why)
            | Flaw::BadDate(why)
            | Flaw::Lacking(why)
            | Flaw::BadComponent { why, .. } => self.incomplete(why),
            Flaw::BadAuthorization { why, .. } => self.incomplete(why.to_owned()),
            Flaw::Twice => self.bad_signature(
                "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.".to_owned(),
            ),
            Flaw::BadCredential(shown) => self.incomplete(format!(
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got \
                 '{shown}'"
            )),
            Flaw::NoDate => self.incomplete(
                "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.".to_owned(),
            ),
            Flaw::ScopeDate { scope, date, .. } => self.bad_signature(format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{scope}' \
                 != '{}', from '{date}'.",
                date.get(..8).unwrap_or_default()
            )),
            Flaw::ScopeTerm { term, .. } => self.bad_signature(format!(
                "Credential should be scoped with a valid terminator: 'aws4_request', not '{term}'."
            )),
            Flaw::WrongRegion { .. } => {
                self.bad_signature("Credential should be scoped to a valid region.".to_owned())
            }
            Flaw::UnknownKey(_) | Flaw::BadToken(_) if self == Self::Ec2 => self.error(
                "",
                "",
                "AWS was not able to validate the provided access credentials".to_owned(),
            ),
            Flaw::UnknownKey(_) | Flaw::BadToken(_) => self.error(
                "InvalidClientTokenId",
                "UnrecognizedClientException",
                "The security token included in the request is invalid.".to_owned(),
            ),
            Flaw::ExpiredToken(_) if self == Self::Ec2 => Error::sender("RequestExpired", "Request has expired."),
            Flaw::ExpiredToken(_) => self.error(
                "ExpiredToken",
                "ExpiredTokenException",
                "The security token included in the request is expired".to_owned(),
            ),
            Flaw::Mismatch(both) => self.bad_signature(mismatch(&both)),
            Flaw::Skewed { at, written, now } => self.bad_signature(skewed(at, &written, now)),
            Flaw::Expired { written, now, .. } => self.bad_signature(expired(&written, now)),
            Flaw::Early { written, now, .. } => self.bad_signature(early(&written, now)),
            Flaw::Unsigned(names) => self.bad_signature(if names == "host" {
                "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.".to_owned()
            } else {
                format!("'{names}' must be a 'SignedHeader' in the AWS Authorization.")
            }),
            Flaw::NoPayloadHash | Flaw::BadPayloadHash(_) | Flaw::WrongPayloadHash { .. } => {
                self.bad_signature("The value of the x-amz-content-sha256 header is not the body's hash.".to_owned())
            }
            Flaw::NoDecodedLength => {
                Error::new("MissingContentLength", 411, "You must provide the Content-Length HTTP header.")
            }
        }
    }
}

fn algorithm(name: &str) -> Error {
    let what = if name.contains("ECDSA") { "Signature Version 4A" } else { "this signature algorithm" };
    Error::not_implemented_part(format!(
        "{what} ('{name}'). Sign with AWS4-HMAC-SHA256 for one region; in the AWS CLI and SDKs use a region instead \
         of a multi-region endpoint"
    ))
}

/// The services print both texts, because a wrong one shows the fault at once.
fn mismatch(both: &Mismatch) -> String {
    format!(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access \
         Key and signing method. Consult the service documentation for details.\n\nThe Canonical String for this \
         request should have been\n'{}'\n\nThe String-to-Sign should have been\n'{}'\n",
        both.canonical_request, both.string_to_sign
    )
}

fn skewed(at: i64, written: &str, now: i64) -> String {
    if at < now { expired(written, now) } else { early(written, now) }
}

fn expired(written: &str, now: i64) -> String {
    format!(
        "Signature expired: {written} is now earlier than {} ({} - 15 min.)",
        time::basic(now - SKEW),
        time::basic(now)
    )
}

fn early(written: &str, now: i64) -> String {
    format!(
        "Signature not yet current: {written} is still later than {} ({} + 15 min.)",
        time::basic(now + SKEW),
        time::basic(now)
    )
}

fn s3(flaw: Flaw) -> Error {
    let header = |why: String| {
        Error::new(
            "AuthorizationHeaderMalformed",
            400,
            format!("The authorization header is malformed; {why}"),
        )
    };
    let query = |why: String| Error::new("AuthorizationQueryParametersError", 400, why);
    let denied = |why: &str| Error::new("AccessDenied", 403, why);
    const PARSING: &str = "Error parsing the X-Amz-Credential parameter; ";
    const CREDENTIAL: &str =
        "the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".";
    match flaw {
        Flaw::Missing => denied("Access Denied"),
        Flaw::BadHeader(why) => header(why),
        Flaw::Lacking(_) => header(
            "the authorization header requires three components: Credential, SignedHeaders, and Signature."
                .to_owned(),
        ),
        Flaw::BadComponent { part, .. } => {
            header(format!("the authorization component \"{part}\" is malformed."))
        }
        Flaw::BadCredential(_) => header(CREDENTIAL.to_owned()),
        Flaw::BadQuery(why) => query(why),
        Flaw::Twice => Error::sender(
            "InvalidArgument",
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string \
             parameter or the Authorization header should be specified",
        )
        .with("ArgumentName", "Authorization"),
        Flaw::BadAuthorization { why, given } => {
            Error::sender("InvalidArgument", why).with("ArgumentName", "Authorization").with("ArgumentValue", given)
        }
        Flaw::NoDate | Flaw::BadDate(_) => denied("AWS authentication requires a valid Date or x-amz-date header"),
        Flaw::ScopeDate { scope, presigned, .. } if scope.len() != 8 || !scope.bytes().all(|b| b.is_ascii_digit()) => {
            let why = format!(
                "incorrect date format \"{scope}\". This date in the credential must be in the format \"yyyyMMdd\"."
            );
            if presigned { query(format!("{PARSING}{why}")) } else { header(why) }
        }
        Flaw::ScopeDate { scope, date, presigned } => {
            let day = date.get(..8).unwrap_or_default();
            let why = format!(
                "Invalid credential date \"{scope}\". This date is not the same as X-Amz-Date: \"{day}\"."
            );
            if presigned { query(why) } else { header(why) }
        }
        Flaw::ScopeTerm { term, presigned } => {
            let why = format!("incorrect terminal \"{term}\". This endpoint uses \"aws4_request\".");
            if presigned { query(format!("{PARSING}{why}")) } else { header(why) }
        }
        Flaw::WrongRegion { given, expected } => {
            header(format!("the region '{given}' is wrong; expecting '{expected}'")).with("Region", expected)
        }
        Flaw::UnknownKey(id) => {
            Error::new("InvalidAccessKeyId", 403, "The AWS Access Key Id you provided does not exist in our records.")
                .with("AWSAccessKeyId", id)
        }
        Flaw::BadToken(token) => {
            Error::new("InvalidToken", 400, "The provided token is malformed or otherwise invalid.")
                .with("Token-0", token)
        }
        Flaw::ExpiredToken(token) => {
            Error::new("ExpiredToken", 400, "The provided token has expired.").with("Token-0", token)
        }
        Flaw::Mismatch(both) => s3_mismatch(*both),
        Flaw::Skewed { written, now, .. } => Error::new(
            "RequestTimeTooSkewed",
            403,
            "The difference between the request time and the current time is too large.",
        )
        .with("RequestTime", written)
        .with("ServerTime", time::extended(now))
        .with("MaxAllowedSkewMilliseconds", (SKEW * 1000).to_string()),
        Flaw::Expired { signed, expires, now, written } => {
            let error = denied("Request has expired");
            // Version 2 gives the end itself, version 4 how long after the signing.
            let (error, end) = if written.is_empty() {
                (error, expires)
            } else {
                (error.with("X-Amz-Expires", expires.to_string()), signed.saturating_add(expires))
            };
            error.with("Expires", time::extended(end)).with("ServerTime", time::extended(now))
        }
        Flaw::Early { signed, now, .. } => denied("Request is not valid yet")
            .with("RequestTime", time::extended(signed))
            .with("ServerTime", time::extended(now)),
        Flaw::Unsigned(names) => {
            denied("There were headers present in the request which were not signed").with("HeadersNotSigned", names)
        }
        Flaw::NoPayloadHash => {
            Error::sender("InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
        }
        Flaw::BadPayloadHash(value) => Error::sender(
            "InvalidArgument",
            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, \
             STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.",
        )
        .with("ArgumentName", "x-amz-content-sha256")
        .with("ArgumentValue", value),
        Flaw::WrongPayloadHash { claimed, computed } => Error::sender(
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        )
        .with("ClientComputedContentSHA256", claimed)
        .with("S3ComputedContentSHA256", computed),
        Flaw::NoDecodedLength => {
            Error::new("MissingContentLength", 411, "You must provide the Content-Length HTTP header.")
        }
        Flaw::Algorithm(name) => algorithm(&name),
        Flaw::Other(error) => error,
    }
}

fn s3_mismatch(both: Mismatch) -> Error {
    let spelled = |text: &str| {
        let mut out = String::with_capacity(text.len() * 3);
        for (i, byte) in text.bytes().enumerate() {
            out.push_str(if i == 0 { "" } else { " " });
            out.push_str(&format!("{byte:02x}"));
        }
        out
    };
    let error = Error::new(
        "SignatureDoesNotMatch",
        403,
        "The request signature we calculated does not match the signature you provided. Check your key and signing \
         method.",
    )
    .with("AWSAccessKeyId", both.access_key_id)
    .with("StringToSign", both.string_to_sign.clone())
    .with("SignatureProvided", both.provided)
    .with("StringToSignBytes", spelled(&both.string_to_sign));
    if both.canonical_request.is_empty() {
        return error;
    }
    let bytes = spelled(&both.canonical_request);
    error.with("CanonicalRequest", both.canonical_request).with("CanonicalRequestBytes", bytes)
}

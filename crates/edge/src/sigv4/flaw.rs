//! What can be wrong with a signature, apart from how each family of services says it.

use cloudlet_service::Error;

/// Why a request is not who it says it is.
#[derive(Debug)]
pub enum Flaw {
    /// There is no signature, and the operation needs one.
    Missing,
    /// The `Authorization` header cannot be read: AWS's sentence about it.
    BadHeader(String),
    /// Something of the `Authorization` header is missing: AWS's sentence about it.
    Lacking(String),
    /// A part of the `Authorization` header that is no pair: AWS's sentence about it, and the part.
    BadComponent { why: String, part: String },
    /// An `Authorization` header of no form that means a signer: AWS's sentence about it, and what stood there.
    BadAuthorization { why: &'static str, given: String },
    /// The request's time cannot be read or is missing: AWS's sentence about it.
    BadDate(String),
    /// The signature's query parameters cannot be read or are out of bounds: AWS's sentence about them.
    BadQuery(String),
    /// An algorithm that is not served: its name as sent.
    Algorithm(String),
    /// Signed both in the header and in the query.
    Twice,
    /// The credential does not have its five parts: what stood there.
    BadCredential(String),
    /// The day in the credential scope is not that of the request's time.
    ScopeDate { scope: String, date: String, presigned: bool },
    /// The credential scope does not end in `aws4_request`: what stood there.
    ScopeTerm { term: String, presigned: bool },
    /// The region of the credential scope is not the one expected.
    WrongRegion { given: String, expected: String },
    /// No such access key.
    UnknownKey(String),
    /// The session token is not one of ours or not of this key.
    BadToken(String),
    /// The session is over.
    ExpiredToken(String),
    /// IAM could not be asked, or said something else.
    Other(Error),
    /// The signature differs from ours.
    Mismatch(Box<Mismatch>),
    /// The request's time is too far from ours; seconds since the epoch, and how the request wrote its time.
    Skewed { at: i64, written: String, now: i64 },
    /// A presigned request came too late. `written` is the time of signing as sent.
    Expired { written: String, signed: i64, expires: i64, now: i64 },
    /// A presigned request whose time has not come.
    Early { written: String, signed: i64, now: i64 },
    /// No time in the request.
    NoDate,
    /// Headers that must be signed and are not, comma-separated.
    Unsigned(String),
    /// S3 needs `x-amz-content-sha256` to say how the body is signed.
    NoPayloadHash,
    /// `x-amz-content-sha256` is none of the values that S3 knows.
    BadPayloadHash(String),
    /// `x-amz-content-sha256` is not the hash of the body that came.
    WrongPayloadHash { claimed: String, computed: String },
    /// Chunked signing without `x-amz-decoded-content-length`.
    NoDecodedLength,
}

/// Both sides of a signature that differs.
#[derive(Debug)]
pub struct Mismatch {
    /// Whose key it should have been.
    pub access_key_id: String,
    /// What we signed.
    pub string_to_sign: String,
    /// Over which canonical request; empty for Signature Version 2.
    pub canonical_request: String,
    /// The signature that came.
    pub provided: String,
}

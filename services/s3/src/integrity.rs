//! What a client says of its bytes ahead (`Content-MD5`, `x-amz-checksum-*` as header or trailer), and whether the
//! bytes keep to it. Source: S3 User Guide, "Checking object integrity in Amazon S3".

use crate::checksums::{Algorithm, Checksum, Hasher};
use crate::content::Received;
use crate::errors::{Result, invalid_request};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloudlet_service::{ByteStream, Context, Error, Operation};
use http::HeaderMap;

/// What the bytes must turn out to be.
pub(crate) struct Claim {
    md5: Option<[u8; 16]>,
    /// The algorithm that the client named, and the value where it came in a header.
    checksum: Option<(Algorithm, Option<String>)>,
}

impl Claim {
    /// Reads the headers. `sdk` is `x-amz-sdk-checksum-algorithm`.
    /// Errors: `InvalidDigest`, `InvalidRequest`.
    pub(crate) fn read(
        cx: &Context,
        md5: Option<&str>,
        given: Vec<(Algorithm, String)>,
        sdk: Option<&str>,
    ) -> Result<Self, Error> {
        let md5 = match md5 {
            None => None,
            Some(text) => {
                let bytes = STANDARD.decode(text).ok().and_then(|b| <[u8; 16]>::try_from(b).ok());
                let invalid = || {
                    Error::sender("InvalidDigest", "The Content-MD5 you specified was invalid.")
                        .with("Content-MD5", text)
                };
                Some(bytes.ok_or_else(invalid)?)
            }
        };
        known_algorithms(cx)?;
        if given.len() > 1 {
            let message =
                "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.";
            return Err(invalid_request(message));
        }
        let named = sdk.map(|name| {
            Algorithm::parse(name)
                .ok_or_else(|| invalid_request("Value for x-amz-sdk-checksum-algorithm header is invalid."))
        });
        let named = named.transpose()?;
        if let Some((algorithm, value)) = given.into_iter().next() {
            algorithm.decode(&value)?;
            if named.is_some_and(|n| n != algorithm) {
                return Err(invalid_request("Value for x-amz-sdk-checksum-algorithm header is invalid."));
            }
            return Ok(Self { md5, checksum: Some((algorithm, Some(value))) });
        }
        let trailer = trailer(cx)?;
        if let (Some(trailer), Some(named)) = (trailer, named)
            && trailer != named
        {
            return Err(invalid_request("Value for x-amz-sdk-checksum-algorithm header is invalid."));
        }
        if trailer.is_none() && named.is_some() && cx.origin.headers.is_some() {
            return Err(invalid_request(
                "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers \
                 were found.",
            ));
        }
        Ok(Self { md5, checksum: trailer.or(named).map(|algorithm| (algorithm, None)) })
    }

    /// The algorithm that the client chose.
    pub(crate) fn algorithm(&self) -> Option<Algorithm> {
        self.checksum.as_ref().map(|(algorithm, _)| *algorithm)
    }

    /// What is to be locked comes with a digest. Errors: `InvalidRequest`.
    /// Source: S3 API Reference, PutObject and UploadPart, `Content-MD5`.
    pub(crate) fn check_locked(&self, cx: &Context, what: &str) -> Result<(), Error> {
        if self.md5.is_some() || self.checksum.is_some() || cx.origin.headers.is_none() {
            return Ok(());
        }
        Err(invalid_request(format!(
            "Content-MD5 OR x-amz-checksum- HTTP header is required for {what} requests with Object Lock parameters"
        )))
    }

    /// Compares, after the body was read to its end. Errors: `BadDigest`, `InvalidRequest`.
    pub(crate) fn check(&self, body: &ByteStream, received: &Received) -> Result<(), Error> {
        if let Some(md5) = self.md5.filter(|md5| *md5 != received.md5) {
            return Err(Error::sender(
                "BadDigest",
                "The Content-MD5 you specified did not match what we received.",
            )
            .with("CalculatedDigest", STANDARD.encode(received.md5))
            .with("ExpectedDigest", hex::encode(md5)));
        }
        let Some((algorithm, header)) = &self.checksum else { return Ok(()) };
        let name = algorithm.header();
        let expected = header.clone().or_else(|| body.trailer(name));
        let Some(expected) = expected else { return Ok(()) };
        if header.is_none() && algorithm.decode(expected.trim()).is_err() {
            return Err(invalid_request(format!("Value for {name} trailing header is invalid.")));
        }
        let found = received.checksums.iter().find(|c| c.algorithm == *algorithm);
        if found.is_some_and(|found| found.value != expected.trim()) {
            let message =
                format!("The {} you specified did not match the calculated checksum.", algorithm.name());
            return Err(Error::sender("BadDigest", message));
        }
        Ok(())
    }
}

/// The operations that S3 refuses without a digest of their body. The model demands one of many more, which SDKs then
/// send; S3 itself does not insist, so that clients which never did still work.
/// Source: S3 API Reference, the `Content-MD5` header of each operation.
const DEMANDING: [&str; 8] = [
    "DeleteObjects",
    "PutBucketCors",
    "PutBucketLifecycleConfiguration",
    "PutBucketReplication",
    "PutBucketTagging",
    "PutObjectLegalHold",
    "PutObjectLockConfiguration",
    "PutObjectRetention",
];

/// Checks the whole body of an operation whose input is a document: what the head says of it must hold, and some
/// operations demand that it says something. Trailers are the front door's.
/// Errors: `InvalidRequest`, `InvalidDigest`, `BadDigest`.
pub(crate) fn check_document(operation: &Operation, head: &HeaderMap, body: &[u8]) -> Result<(), Error> {
    if operation.name == "SelectObjectContent" && body.is_empty() {
        return Err(Error::sender("EmptyRequestBody", "Request body cannot be empty."));
    }
    let text = |name: &str| head.get(name).and_then(|v| v.to_str().ok());
    let mut said = head.contains_key("x-amz-trailer");
    if let Some(given) = text("content-md5") {
        said = true;
        let wanted = STANDARD.decode(given).ok().filter(|b| b.len() == 16);
        let invalid = || {
            Error::sender("InvalidDigest", "The Content-MD5 you specified was invalid.")
                .with("Content-MD5", given)
        };
        let found = digest(Algorithm::Md5, body);
        if wanted.ok_or_else(invalid)? != found {
            return Err(Error::sender(
                "BadDigest",
                "The Content-MD5 you specified did not match what we received.",
            )
            .with("CalculatedDigest", STANDARD.encode(found))
            .with("ExpectedDigest", given));
        }
    }
    // On completing an upload these headers are about the object.
    if operation.name == "CompleteMultipartUpload" {
        return Ok(());
    }
    let checksums = head.keys().filter(|name| name.as_str().starts_with("x-amz-checksum-"));
    for name in checksums {
        let algorithm = Algorithm::ALL.into_iter().find(|algorithm| algorithm.header() == name.as_str());
        let (Some(algorithm), Some(given)) = (algorithm, text(name.as_str())) else { continue };
        said = true;
        if algorithm.decode(given)? != digest(algorithm, body) {
            let message =
                format!("The {} you specified did not match the calculated checksum.", algorithm.name());
            return Err(Error::sender("BadDigest", message));
        }
    }
    if DEMANDING.contains(&operation.name) && !said {
        return Err(invalid_request(
            "Missing required header for this request: Content-MD5 OR x-amz-checksum-*",
        ));
    }
    Ok(())
}

fn digest(algorithm: Algorithm, body: &[u8]) -> Vec<u8> {
    let mut hasher = Hasher::new(algorithm);
    hasher.update(body);
    hasher.finish()
}

/// Headers of the family that are about something else than a value.
const NO_VALUES: [&str; 3] = ["algorithm", "type", "mode"];

/// Errors: `InvalidRequest` for a checksum of an algorithm that S3 does not know.
fn known_algorithms(cx: &Context) -> Result<(), Error> {
    let names = cx.origin.headers.iter().flat_map(|headers| headers.keys());
    let mut algorithms = names.filter_map(|name| name.as_str().strip_prefix("x-amz-checksum-"));
    match algorithms.any(|name| !NO_VALUES.contains(&name) && Algorithm::parse(name).is_none()) {
        true => {
            Err(invalid_request("The algorithm type you specified in x-amz-checksum- header is invalid."))
        }
        false => Ok(()),
    }
}

/// The checksum that will come as a trailer. Errors: `InvalidRequest` for one we do not know.
fn trailer(cx: &Context) -> Result<Option<Algorithm>, Error> {
    let Some(headers) = &cx.origin.headers else { return Ok(None) };
    let Some(text) = headers.get("x-amz-trailer").and_then(|v| v.to_str().ok()) else { return Ok(None) };
    for name in text.split(',').map(|n| n.trim().to_ascii_lowercase()) {
        if let Some(name) = name.strip_prefix("x-amz-checksum-") {
            let found = Algorithm::parse(name);
            return found.map(Some).ok_or_else(|| {
                invalid_request("The value specified in the x-amz-trailer header is not supported")
            });
        }
    }
    Ok(None)
}

/// The checksum of the algorithm, out of those computed.
pub(crate) fn computed(received: &Received, algorithm: Algorithm) -> Option<Checksum> {
    received.checksums.iter().find(|c| c.algorithm == algorithm).cloned()
}

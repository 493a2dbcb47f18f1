//! Packages: accepted out of the call or out of S3, checked, and kept as blobs.

use crate::Lambda;
use crate::errors::{invalid, stored, too_large};
use crate::state::Code;
use bytes::Bytes;
use cloudlet_api_s3::{GetObjectInput, operations::GetObject};
use cloudlet_service::{Context, Error};
use cloudlet_store::Store;
use sha2::{Digest, Sha256};
use std::io::Cursor;

/// Lambda quotas: the unpacked size of a package with its layers, in bytes.
pub(crate) const MAX_UNZIPPED: u64 = 262_144_000;
/// The most bytes of a request; a package in the call is in Base64 there.
const MAX_REQUEST: usize = 70_167_211;
/// Lambda quotas: the most bytes of a package in the call.
pub(crate) const MAX_ZIPPED: usize = 52_428_800;
/// How many entries a package may have. Ours, to bound the time that checking takes.
const MAX_ENTRIES: usize = 200_000;

/// Where a package comes from.
pub(crate) enum Source {
    Call(Bytes),
    S3 { bucket: String, key: String, version: Option<String> },
}

impl Source {
    /// Out of the members of `FunctionCode`, `UpdateFunctionCode` or a layer's content.
    pub(crate) fn of(
        zip: Option<&[u8]>,
        bucket: Option<&String>,
        key: Option<&String>,
        version: Option<&String>,
    ) -> Result<Self, Error> {
        match (zip, bucket, key) {
            (Some(zip), None, None) => Ok(Self::Call(Bytes::copy_from_slice(zip))),
            (None, Some(bucket), Some(key)) => {
                Ok(Self::S3 { bucket: bucket.clone(), key: key.clone(), version: version.cloned() })
            }
            (Some(_), _, _) => {
                Err(invalid("Please do not provide other FunctionCode parameters when providing a ZipFile."))
            }
            _ => Err(invalid("Please provide a source for function code.")),
        }
    }

    /// Fetches, checks and keeps the package. The blob belongs to nobody yet: the caller's transaction adopts it, or
    /// [`discard`] forgets it.
    ///
    /// Errors: `InvalidParameterValueException`, `RequestEntityTooLargeException`.
    pub(crate) async fn accept(self, cx: &Context, store: &Store, operation: &str) -> Result<Code, Error> {
        let bytes = match self {
            Self::Call(bytes) => {
                if bytes.len().div_ceil(3) * 4 > MAX_REQUEST {
                    return Err(too_large(format!(
                        "Request must be smaller than {MAX_REQUEST} bytes for the {operation} operation"
                    )));
                }
                if bytes.len() > MAX_ZIPPED {
                    return Err(too_large(format!("Zipped size must be smaller than {MAX_ZIPPED} bytes")));
                }
                bytes
            }
            Self::S3 { bucket, key, version } => fetch(cx, bucket, key, version).await?,
        };
        if bytes.is_empty() {
            return Err(invalid("Uploaded file must be a non-empty zip"));
        }
        let shared = bytes.clone();
        let checked = tokio::task::spawn_blocking(move || {
            let unpacked = check(&shared)?;
            Ok::<_, Error>((hex::encode(Sha256::digest(&shared)), unpacked))
        });
        let (sha256, unpacked) = checked.await.map_err(Error::internal)??;
        let size = bytes.len() as i64;
        let mut writer = store.blobs().create().map_err(stored)?;
        for at in (0..bytes.len()).step_by(1 << 20) {
            writer.write(bytes.slice(at..bytes.len().min(at + (1 << 20)))).await.map_err(stored)?;
        }
        let blob = writer.finish().await.map_err(stored)?;
        Ok(Code { blob: blob.id, sha256, size, unpacked })
    }
}

/// Forgets a package whose transaction failed.
pub(crate) fn discard(store: &Store, code: &Code) {
    store.discard_blob(code.blob);
}

async fn fetch(cx: &Context, bucket: String, key: String, version: Option<String>) -> Result<Bytes, Error> {
    let input = GetObjectInput { bucket, key, version_id: version, ..Default::default() };
    let output = cx.cloud.call::<GetObject>(cx, input).await.map_err(|error| {
        invalid(format!(
            "Error occurred while GetObject. S3 Error Code: {}. S3 Error Message: {}",
            error.code(),
            error.message()
        ))
    })?;
    output
        .body
        .collect(MAX_UNZIPPED as usize)
        .await
        .map_err(|error| if error.is("EntityTooLarge") { unzipped_too_large() } else { error })
}

fn unzipped_too_large() -> Error {
    invalid(format!("Unzipped size must be smaller than {MAX_UNZIPPED} bytes"))
}

/// Reads the directory of the zip, and gives the size that it announces unpacked; what its entries hold is unpacked, with
/// limits of its own, by compute.
fn check(bytes: &[u8]) -> Result<u64, Error> {
    let broken =
        || invalid("Could not unzip uploaded file. Please check your file, then try to upload again.");
    let archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|_| broken())?;
    if archive.is_empty() {
        return Err(invalid("Uploaded file must be a non-empty zip"));
    }
    if archive.len() > MAX_ENTRIES {
        return Err(invalid(format!(
            "The package has more than {MAX_ENTRIES} entries; leave out what the function does not need."
        )));
    }
    match archive.decompressed_size() {
        Some(size) if size > u128::from(MAX_UNZIPPED) => Err(unzipped_too_large()),
        size => Ok(size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0)),
    }
}

/// Where [`Lambda::package`] is served.
pub const PACKAGE_PATH: &str = "/_cloudlet/lambda/package";
/// AWS: a location is good for ten minutes, in milliseconds.
const LOCATION: i64 = 10 * 60 * 1000;

impl Lambda {
    /// An URL that gives the package to whoever has it, for ten minutes.
    pub(crate) fn code_url(&self, cx: &Context, code: &Code) -> String {
        let expires = cx.millis() + LOCATION;
        let signature = self.sign_location(&code.blob.to_string(), expires);
        format!("{}{PACKAGE_PATH}?blob={}&expires={expires}&signature={signature}", cx.endpoint(), code.blob)
    }

    fn sign_location(&self, blob: &str, expires: i64) -> String {
        let digest = Sha256::new()
            .chain_update(self.location_key)
            .chain_update(format!("{blob}\n{expires}"))
            .finalize();
        // Hashed twice, so that nothing can be appended to what was signed.
        hex::encode(Sha256::new().chain_update(self.location_key).chain_update(digest).finalize())
    }

    /// The package that the query of a location names.
    ///
    /// Errors: `AccessDenied` for a query that is not one of ours or too old, `NoSuchKey` for a package that is gone.
    pub async fn package(&self, query: &str) -> Result<Bytes, Error> {
        let denied = || Error::new("AccessDenied", 403, "Access Denied; call GetFunction for a new location");
        let part = |name: &str| {
            query.split('&').find_map(|pair| pair.split_once('=').filter(|(n, _)| *n == name)).map(|(_, v)| v)
        };
        let (Some(blob), Some(expires), Some(signature)) = (part("blob"), part("expires"), part("signature"))
        else {
            return Err(denied());
        };
        let expires: i64 = expires.parse().map_err(|_| denied())?;
        let good = self.sign_location(blob, expires);
        // Compared by their hashes: how far they agree says nothing about the key.
        let same = Sha256::digest(signature.as_bytes()) == Sha256::digest(good.as_bytes());
        if !same || self.cloud.clock().millis() > expires {
            return Err(denied());
        }
        let gone =
            || Error::new("NoSuchKey", 404, "The package is gone; call GetFunction for a new location");
        let reader = self.store.blobs().open(blob.parse().map_err(|_| denied())?).map_err(|_| gone())?;
        reader.read(0..reader.len()).await.map_err(Error::internal)
    }
}

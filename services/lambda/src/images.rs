//! Functions that are container images: where the image is, and what AWS refuses about them.
//!
//! Source: API Reference, CreateFunction and UpdateFunctionCode, `PackageType`, `ImageUri`, `ImageConfig`.

use crate::errors::{invalid, stored};
use crate::state::{Code, ImageRecord};
use cloudlet_api_lambda::{CreateFunctionInput, ImageConfig, ImageConfigResponse};
use cloudlet_compute::{ComputeError, ImageError, ImageSpec};
use cloudlet_service::Error;
use cloudlet_store::Store;

/// What stands in front of a path: the folder of an OCI image layout, or an archive of one.
const LOCAL: [&str; 3] = ["oci:", "oci-archive:", "docker-archive:"];

/// Whether a call means an image; what does not go together is refused in AWS's words.
///
/// Errors: `InvalidParameterValueException`.
pub(crate) fn wanted(input: &CreateFunctionInput) -> Result<Option<ImageRecord>, Error> {
    if input.package_type.as_deref() != Some("Image") {
        if input.code.image_uri.is_some() {
            return Err(invalid(
                "Please don't provide ImageUri when creating a function with packageType Zip.",
            ));
        }
        if input.image_config.is_some() {
            return Err(invalid(
                "Please don't provide ImageConfig when the intended function PackageType is Zip.",
            ));
        }
        return Ok(None);
    }
    let code = &input.code;
    let layers = input.layers.as_ref().is_some_and(|layers| !layers.is_empty());
    if input.runtime.is_some() || input.handler.is_some() || layers {
        return Err(invalid(
            "Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image.",
        ));
    }
    let package = code.zip_file.is_some() || code.s3_bucket.is_some() || code.s3_key.is_some();
    let uri = code.image_uri.clone().filter(|uri| !uri.is_empty() && !package);
    let uri = uri
        .ok_or_else(|| invalid("Please provide ImageUri when creating a function with packageType Image."))?;
    let mut record = ImageRecord { uri, ..ImageRecord::default() };
    if let Some(config) = &input.image_config {
        configure(&mut record, config);
    }
    Ok(Some(record))
}

/// Sets what a call has of an image's configuration.
pub(crate) fn configure(record: &mut ImageRecord, config: &ImageConfig) {
    let list = |list: &Option<Vec<String>>| list.clone().filter(|list| !list.is_empty());
    record.entry_point = list(&config.entry_point);
    record.command = list(&config.command);
    record.working_directory = config.working_directory.clone().filter(|text| !text.is_empty());
}

/// An image's configuration as answers show it: not at all where the function has none of its own.
pub(crate) fn shown(record: &ImageRecord) -> Option<ImageConfigResponse> {
    let config = ImageConfig {
        entry_point: record.entry_point.clone(),
        command: record.command.clone(),
        working_directory: record.working_directory.clone(),
    };
    let set = config.entry_point.is_some() || config.command.is_some() || config.working_directory.is_some();
    set.then_some(ImageConfigResponse { image_config: Some(config), error: None })
}

/// What compute needs to know. Errors: an image that is in a registry.
pub(crate) fn spec(record: &ImageRecord) -> Result<ImageSpec, Error> {
    let place = LOCAL.iter().find_map(|prefix| record.uri.strip_prefix(prefix));
    let Some(place) = place else {
        return Err(Error::not_implemented_part(format_args!(
            "lambda ImageUri {}: images of registries; use oci:PATH of an image layout or of an archive of docker save",
            record.uri
        )));
    };
    // `PATH:TAG`, where the last part is no path.
    let (path, tag) = match place.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') && !path.is_empty() => (path, Some(tag.to_owned())),
        _ => (place, None),
    };
    Ok(ImageSpec {
        path: path.into(),
        tag,
        entry_point: record.entry_point.clone(),
        command: record.command.clone(),
        working_directory: record.working_directory.clone(),
    })
}

/// Looks at the image; what names its content takes the place of a package.
///
/// Errors: `InvalidParameterValueException`.
pub(crate) async fn accept(record: &ImageRecord, store: &Store) -> Result<Code, Error> {
    let spec = spec(record)?;
    let digest = cloudlet_compute::image_digest(spec).await.map_err(|error| match error {
        ComputeError::Image(ImageError::Missing(_)) => {
            invalid(format!("Source image {} does not exist. Provide a valid source image.", record.uri))
        }
        other => invalid(format!("Source image {} is not valid: {other}", record.uri)),
    })?;
    // Every version has a blob; an image's is empty.
    let blob = store.blobs().create().map_err(stored)?.finish().await.map_err(stored)?;
    Ok(Code { blob: blob.id, sha256: digest, size: 0, unpacked: 0 })
}

//! `dotnet*`: said in words until there is a host for it.

use super::Runtime;
use crate::{ComputeError, Config};

/// An error that says how such a function runs here all the same.
pub(crate) fn find(runtime: &str, _: &Config) -> Result<Runtime, ComputeError> {
    Err(ComputeError::Runtime(format!(
        "the runtime {runtime} is not served: AWS's runtime support for .NET is not brought along here. Two ways run such a \
         function today: publish it with `dotnet publish --self-contained`, its executable named bootstrap, with the runtime \
         provided.al2023; or build AWS's image for .NET and give it as PackageType Image, ImageUri oci:PATH"
    )))
}

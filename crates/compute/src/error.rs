//! What can go wrong on this side of the sandbox wall.
//!
//! A handler that fails is not an error here: it is an [`InvokeResult`](crate::InvokeResult) with a
//! `function_error`. These are the failures of the machine around it.

/// Why an invocation could not be carried out at all.
#[derive(Debug, thiserror::Error)]
pub enum ComputeError {
    /// Every sandbox is busy and the caller asked not to wait, or the waiting line itself is full.
    /// Lambda answers `TooManyRequestsException`.
    #[error(
        "all {max_concurrency} sandboxes are busy and {waiting} invocations wait already; try again later or raise the compute concurrency limit"
    )]
    AtCapacity {
        /// The configured limit.
        max_concurrency: usize,
        /// How many invocations stand in line.
        waiting: usize,
    },
    /// No interpreter for this runtime. The text says how to add one.
    /// Lambda answers `InvalidRuntimeException`.
    #[error("{0}")]
    Runtime(String),
    /// The code package cannot be unpacked. Lambda answers `InvalidZipFileException`.
    #[error("the code package was refused: {0}")]
    Archive(#[from] ArchiveError),
    /// The container image cannot be used. Lambda answers `InvalidParameterValueException`.
    #[error("the image was refused: {0}")]
    Image(#[from] crate::image::ImageError),
    /// The sandbox could not be built. Lambda answers `ServiceException`.
    #[error("the sandbox could not be started: {0}")]
    Sandbox(String),
    /// The role's credentials could not be had. Lambda answers `ServiceException`.
    #[error("the execution role's credentials could not be made: {0}")]
    Credentials(String),
    /// The function was deleted or changed, or the program is stopping, while the call waited.
    #[error("the function was removed or the program is stopping")]
    Gone,
    /// A file operation of our own failed.
    #[error("{what}: {source}")]
    Io {
        /// What was attempted, with the path.
        what: String,
        /// The system's answer.
        source: std::io::Error,
    },
}

impl ComputeError {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// Why a zip was not unpacked. Nothing of it is left behind.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Not a zip, truncated, or a compression method that is not served.
    #[error(
        "not a readable zip file ({0}); make it with `zip -r` or any zip tool, methods stored or deflate"
    )]
    NotAZip(String),
    /// A path that would leave the destination.
    #[error("the entry {0:?} would be written outside of the package; use relative paths without `..`")]
    Outside(String),
    /// A link whose target leaves the destination.
    #[error(
        "the symbolic link {name:?} points outside of the package, to {target:?}; package the file itself"
    )]
    EscapingLink {
        /// The entry.
        name: String,
        /// What it points to.
        target: String,
    },
    /// A device, a socket, an absurd name.
    #[error("the entry {0:?} is neither a file, a folder nor a link; leave it out of the package")]
    Kind(String),
    /// More bytes than Lambda's unzipped limit (262,144,000 bytes).
    #[error("Unzipped size must be smaller than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// Compressed far beyond what code compresses to.
    #[error(
        "the entry {name:?} unpacks to more than {ratio} times its packed size, which only a zip bomb does"
    )]
    Bomb {
        /// The entry.
        name: String,
        /// The limit on the ratio.
        ratio: u64,
    },
    /// More entries than allowed.
    #[error("the zip has more than {limit} entries")]
    TooManyEntries {
        /// The limit.
        limit: usize,
    },
    /// The disk said no.
    #[error("cannot write the unpacked code: {0}; check free space and rights of the data directory")]
    Io(#[from] std::io::Error),
}

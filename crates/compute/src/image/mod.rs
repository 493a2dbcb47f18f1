//! Container images: read from an image layout folder or a saved archive, unpacked once, run as a sandbox's root.
//!
//! Source: OCI Image Format Specification 1.1 (layout, manifest, configuration, layers), and the archive of
//! `docker save`, which is the same since Docker 25 and has a `manifest.json` before.

mod layers;
mod rootfs;
mod zstd;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::{ComputeError, ImageSpec};
pub use layers::ImageLimits;
pub(crate) use rootfs::{Last, resolve};

/// What may be wrong with an image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// It is not there.
    #[error(
        "there is no image at {0}; give the folder of an OCI image layout or an archive made by `docker save`"
    )]
    Missing(PathBuf),
    /// It is something else.
    #[error("{0}")]
    NotAnImage(String),
    /// No image in there goes by this name.
    #[error("the image has no tag {wanted:?}; it has {has}")]
    NoSuchTag {
        /// What was asked for.
        wanted: String,
        /// What there is.
        has: String,
    },
    /// An entry would be written outside of the root.
    #[error("a layer's entry {0:?} would be written outside of the image")]
    Outside(String),
    /// More bytes than allowed.
    #[error("the image unpacks to more than {0} bytes")]
    TooLarge(u64),
    /// More entries than allowed.
    #[error("the image has more than {0} files")]
    TooManyEntries(u64),
    /// A file operation failed.
    #[error("{what}: {source}")]
    Io {
        /// What was attempted.
        what: String,
        /// The system's answer.
        source: io::Error,
    },
}

fn failed(what: impl Into<String>) -> impl FnOnce(io::Error) -> ImageError {
    let what = what.into();
    move |source| ImageError::Io { what, source }
}

fn not_an_image(why: impl Into<String>) -> ImageError {
    ImageError::NotAnImage(why.into())
}

/// The parts of an image's configuration that matter here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct RunConfig {
    pub(crate) entrypoint: Option<Vec<String>>,
    pub(crate) cmd: Option<Vec<String>>,
    pub(crate) env: Option<Vec<String>>,
    pub(crate) working_dir: Option<String>,
}

#[derive(Deserialize)]
struct Configuration {
    #[serde(default)]
    config: Option<RunConfig>,
    #[serde(default)]
    architecture: String,
}

/// Points to a blob.
#[derive(Deserialize, Clone)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(default)]
    platform: Option<Platform>,
}

#[derive(Deserialize, Clone, Default)]
struct Platform {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

/// An entry of `manifest.json`, as `docker save` wrote it before it wrote image layouts.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// An image: its configuration, and where its layers lie.
pub(crate) struct Image {
    /// Names the content of configuration and layers.
    pub(crate) digest: String,
    pub(crate) config: RunConfig,
    layers: Vec<PathBuf>,
    /// What an archive was taken apart into; removed with this.
    _unpacked: Option<Temporary>,
}

struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = crate::archive::remove_tree(&self.0);
    }
}

/// JSON of an image is small; anything longer is none.
const LONGEST_JSON: u64 = 16 << 20;

impl Image {
    /// Reads what an image is made of. An archive is taken apart in `scratch` for as long as the result lives.
    pub(crate) fn open(
        path: &Path,
        tag: Option<&str>,
        scratch: &Path,
        limits: ImageLimits,
    ) -> Result<Self, ImageError> {
        let meta = fs::metadata(path).map_err(|_| ImageError::Missing(path.to_owned()))?;
        if meta.is_dir() {
            return Self::read(path, tag, None);
        }
        let folder = scratch.join(format!(".image-{}", uuid::Uuid::new_v4().simple()));
        fs::create_dir_all(&folder).map_err(failed(format!("cannot make {}", folder.display())))?;
        let temporary = Temporary(folder.clone());
        layers::take_apart(path, &folder, limits)?;
        Self::read(&folder, tag, Some(temporary))
    }

    fn read(root: &Path, tag: Option<&str>, unpacked: Option<Temporary>) -> Result<Self, ImageError> {
        if root.join("index.json").is_file() {
            return Self::of_layout(root, tag, unpacked);
        }
        if root.join("manifest.json").is_file() {
            return Self::of_saved(root, tag, unpacked);
        }
        Err(not_an_image(format!(
            "{} has neither an index.json (OCI image layout) nor a manifest.json (docker save)",
            root.display()
        )))
    }

    fn of_layout(root: &Path, tag: Option<&str>, unpacked: Option<Temporary>) -> Result<Self, ImageError> {
        let index: Index = json(root, Path::new("index.json"))?;
        let mut chosen = choose(&index.manifests, tag)?;
        // An index of platforms, two deep at most.
        for _ in 0..2 {
            if chosen.media_type.contains("index") || chosen.media_type.contains("manifest.list") {
                let inner: Index = json(root, &blob(&chosen.digest)?)?;
                chosen = of_this_machine(&inner.manifests)?;
            }
        }
        let manifest: Manifest = json(root, &blob(&chosen.digest)?)?;
        let configuration: Configuration = json(root, &blob(&manifest.config.digest)?)?;
        let layers: Result<Vec<_>, _> =
            manifest.layers.iter().map(|layer| Ok(root.join(blob(&layer.digest)?))).collect();
        // What everything is called there is what it contains.
        let mut content = Sha256::new();
        for part in std::iter::once(&manifest.config).chain(&manifest.layers) {
            content.update(part.digest.as_bytes());
        }
        Self::of(content, configuration, layers?, unpacked)
    }

    fn of_saved(root: &Path, tag: Option<&str>, unpacked: Option<Temporary>) -> Result<Self, ImageError> {
        let all: Vec<Saved> = json(root, Path::new("manifest.json"))?;
        let tags = |saved: &Saved| saved.repo_tags.clone().unwrap_or_default();
        let saved = match tag {
            Some(wanted) => all.iter().find(|s| tags(s).iter().any(|has| is_tag(has, wanted))),
            None => all.first(),
        };
        let saved = saved.ok_or_else(|| ImageError::NoSuchTag {
            wanted: tag.unwrap_or_default().to_owned(),
            has: all.iter().flat_map(tags).collect::<Vec<_>>().join(", "),
        })?;
        let configuration: Configuration = json(root, Path::new(&saved.config))?;
        let layers: Result<Vec<_>, _> =
            saved.layers.iter().map(|layer| inside(root, Path::new(layer))).collect();
        let layers = layers?;
        let mut content = Sha256::new();
        for part in std::iter::once(&inside(root, Path::new(&saved.config))?).chain(&layers) {
            let mut file = File::open(part).map_err(failed("cannot open a layer"))?;
            io::copy(&mut file, &mut Hashed(&mut content)).map_err(failed("cannot read a layer"))?;
        }
        Self::of(content, configuration, layers, unpacked)
    }

    fn of(
        content: Sha256,
        configuration: Configuration,
        layers: Vec<PathBuf>,
        unpacked: Option<Temporary>,
    ) -> Result<Self, ImageError> {
        let here = architecture();
        if !configuration.architecture.is_empty() && configuration.architecture != here {
            return Err(not_an_image(format!(
                "the image is for {}, this machine is {here}; build it with --platform linux/{here}",
                configuration.architecture
            )));
        }
        let digest = hex::encode(content.finalize());
        Ok(Self { digest, config: configuration.config.unwrap_or_default(), layers, _unpacked: unpacked })
    }

    /// Unpacks all layers, one over the other, into the empty folder `root`.
    pub(crate) fn unpack(&self, root: &Path, limits: ImageLimits) -> Result<(), ImageError> {
        let mut left = limits;
        for layer in &self.layers {
            layers::apply(layer, root, &mut left, limits)?;
        }
        rootfs::furnish(root)
    }
}

/// Reads an image as far as to say that it is one. Gives what names its content, in hex.
pub async fn image_digest(image: ImageSpec) -> Result<String, ComputeError> {
    let read = move || {
        let scratch = std::env::temp_dir();
        let image = Image::open(&image.path, image.tag.as_deref(), &scratch, ImageLimits::default())?;
        Ok::<_, ImageError>(image.digest.clone())
    };
    let read = tokio::task::spawn_blocking(read).await;
    Ok(read.map_err(|error| ComputeError::Sandbox(format!("reading stopped: {error}")))??)
}

struct Hashed<'a>(&'a mut Sha256);

impl io::Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// As images name it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn choose(manifests: &[Descriptor], tag: Option<&str>) -> Result<Descriptor, ImageError> {
    const NAMES: [&str; 2] = ["org.opencontainers.image.ref.name", "io.containerd.image.name"];
    let Some(wanted) = tag else { return of_this_machine(manifests) };
    let names =
        |d: &Descriptor| NAMES.iter().filter_map(|n| d.annotations.get(*n)).cloned().collect::<Vec<_>>();
    let found = manifests
        .iter()
        .find(|d| d.digest == wanted || names(d).iter().any(|name| name == wanted || is_tag(name, wanted)));
    found.cloned().ok_or_else(|| ImageError::NoSuchTag {
        wanted: wanted.to_owned(),
        has: manifests.iter().flat_map(names).collect::<Vec<_>>().join(", "),
    })
}

/// Whether `name` is `repository:wanted`.
fn is_tag(name: &str, wanted: &str) -> bool {
    name == wanted || name.rsplit_once(':').is_some_and(|(_, tag)| tag == wanted)
}

fn of_this_machine(manifests: &[Descriptor]) -> Result<Descriptor, ImageError> {
    let fits = |d: &&Descriptor| {
        d.platform
            .as_ref()
            .is_some_and(|p| p.architecture == architecture() && (p.os.is_empty() || p.os == "linux"))
    };
    let unsaid = |d: &&Descriptor| d.platform.is_none();
    let found = manifests.iter().find(fits).or_else(|| manifests.iter().find(unsaid));
    found.cloned().ok_or_else(|| {
        not_an_image(format!("the image is not for linux/{}; build it with --platform", architecture()))
    })
}

/// `blobs/sha256/…` of a digest.
fn blob(digest: &str) -> Result<PathBuf, ImageError> {
    let parts = digest.split_once(':').filter(|(algorithm, hash)| {
        let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric());
        plain(algorithm) && plain(hash)
    });
    let (algorithm, hash) = parts.ok_or_else(|| not_an_image(format!("{digest:?} is not a digest")))?;
    Ok(Path::new("blobs").join(algorithm).join(hash))
}

/// A file of an image, by the name that the image gives it. Archives may have links to layers of the same archive.
fn inside(root: &Path, name: &Path) -> Result<PathBuf, ImageError> {
    let bad = || ImageError::Outside(name.display().to_string());
    if name.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(bad());
    }
    let root = root.canonicalize().map_err(failed("cannot find the image"))?;
    let real =
        root.join(name).canonicalize().map_err(failed(format!("the image lacks {}", name.display())))?;
    if real.starts_with(&root) { Ok(real) } else { Err(bad()) }
}

fn json<T: serde::de::DeserializeOwned>(root: &Path, name: &Path) -> Result<T, ImageError> {
    let path = inside(root, name)?;
    let file = File::open(&path).map_err(failed(format!("cannot open {}", name.display())))?;
    let mut bytes = Vec::new();
    file.take(LONGEST_JSON)
        .read_to_end(&mut bytes)
        .map_err(failed(format!("cannot read {}", name.display())))?;
    serde_json::from_slice(&bytes)
        .map_err(|e| not_an_image(format!("{} is not understood: {e}", name.display())))
}

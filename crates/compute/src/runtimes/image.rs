//! Container images: every image is a runtime of its own, which brings everything but the kernel.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::{Runtime, Start};
use crate::image::{Image, ImageError, ImageLimits, Last, RunConfig, resolve};
use crate::sandbox::InitFailure;
use crate::warden::protocol::Program;
use crate::{ComputeError, FunctionSpec, ImageSpec};

/// Images that were unpacked, by what they were unpacked from.
pub(crate) struct Images {
    root: PathBuf,
    /// One at a time: they are large.
    known: tokio::sync::Mutex<HashMap<Source, Arc<Runtime>>>,
}

/// A file or folder as it was at some time, and which image in it.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Source {
    path: PathBuf,
    tag: Option<String>,
    changed: Option<SystemTime>,
    size: u64,
}

impl Source {
    fn of(spec: &ImageSpec) -> Self {
        // A folder changes with its index.
        let file = if spec.path.is_dir() { spec.path.join("index.json") } else { spec.path.clone() };
        let meta = fs::metadata(file).ok();
        Self {
            path: spec.path.clone(),
            tag: spec.tag.clone(),
            changed: meta.as_ref().and_then(|meta| meta.modified().ok()),
            size: meta.map_or(0, |meta| meta.len()),
        }
    }
}

impl Images {
    /// Unpacked images are kept in `root` from run to run.
    pub(crate) fn open(root: PathBuf) -> Result<Self, ComputeError> {
        fs::create_dir_all(&root).map_err(ComputeError::io(format!("cannot make {}", root.display())))?;
        // What a crash left half-way.
        for entry in fs::read_dir(&root).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with('.') {
                let _ = crate::archive::remove_tree(&entry.path());
            }
        }
        Ok(Self { root, known: tokio::sync::Mutex::default() })
    }

    /// The image, unpacked now if it is new.
    pub(crate) async fn get(&self, spec: &ImageSpec) -> Result<Arc<Runtime>, ComputeError> {
        let source = Source::of(spec);
        let mut known = self.known.lock().await;
        if let Some(runtime) = known.get(&source) {
            return Ok(runtime.clone());
        }
        let (root, wanted) = (self.root.clone(), source.clone());
        let made = tokio::task::spawn_blocking(move || unpack(&root, &wanted)).await;
        let runtime =
            made.map_err(|error| ComputeError::Sandbox(format!("unpacking stopped: {error}")))??;
        let runtime = Arc::new(runtime);
        known.retain(|other, _| (&other.path, &other.tag) != (&source.path, &source.tag));
        known.insert(source, runtime.clone());
        Ok(runtime)
    }
}

fn unpack(images: &Path, source: &Source) -> Result<Runtime, ImageError> {
    let limits = ImageLimits::default();
    let image = Image::open(&source.path, source.tag.as_deref(), images, limits)?;
    let folder = images.join(&image.digest);
    if !folder.is_dir() {
        let temporary = images.join(format!(".{}", uuid::Uuid::new_v4().simple()));
        let made = fs::create_dir(&temporary)
            .map_err(|source| ImageError::Io {
                what: "cannot make a folder for the image".to_owned(),
                source,
            })
            .and_then(|()| image.unpack(&temporary, limits))
            .and_then(|()| {
                fs::rename(&temporary, &folder).map_err(|source| ImageError::Io {
                    what: "cannot put the image in place".to_owned(),
                    source,
                })
            });
        if let Err(error) = made {
            let _ = crate::archive::remove_tree(&temporary);
            return Err(error);
        }
    }
    Ok(Runtime {
        key: format!("image:{}", image.digest),
        shown: vec![],
        start: Start::Image(image.config.clone()),
        warnings: vec![],
        provisional: false,
        root: Some(folder),
        address_space: false,
        read_at_start: &[],
    })
}

/// What to run: the image's own entry point and command, unless the function has others. `env` is the function's.
///
/// Source: Lambda Developer Guide, "Container image settings".
pub(crate) fn program(
    runtime: &Runtime,
    config: &RunConfig,
    spec: &FunctionSpec,
    env: &BTreeMap<String, String>,
) -> Result<Program, InitFailure> {
    let own = spec.image.clone().unwrap_or_default();
    let mut argv = own.entry_point.or_else(|| config.entrypoint.clone()).unwrap_or_default();
    let command = own.command.or_else(|| config.cmd.clone()).unwrap_or_default();
    let mut env = env.clone();
    // The image's variables give way to the function's and to those that Lambda reserves.
    for (name, value) in config.env.iter().flatten().filter_map(|line| line.split_once('=')) {
        let reserved = name.starts_with("AWS_") || name.starts_with("_X_AMZN") || name == "_HANDLER";
        if !spec.env.contains_key(name) && !reserved {
            env.insert(name.to_owned(), value.to_owned());
        }
    }
    env.remove("AWS_EXECUTION_ENV");
    env.insert("_HANDLER".to_owned(), command.first().cloned().unwrap_or_default());
    argv.extend(command);
    let directory = own.working_directory.or_else(|| config.working_dir.clone());
    let directory = directory.filter(|directory| !directory.is_empty()).unwrap_or_else(|| "/".to_owned());
    let root = runtime.root.as_deref().unwrap_or(Path::new("/"));
    let path = env.get("PATH").map_or("", String::as_str);
    match argv.first().map(|name| find(root, name, path, &directory)) {
        Some(Some(found)) => argv[0] = found,
        Some(None) => {
            let message = format!("fork/exec {}: no such file or directory", argv[0]);
            return Err(InitFailure::new("Runtime.InvalidEntrypoint", &message));
        }
        None => {
            let message = "the image has neither an entry point nor a command";
            return Err(InitFailure::new("Runtime.InvalidEntrypoint", message));
        }
    }
    Ok(Program { argv, env, directory: Some(directory) })
}

/// Where a program is in an image, as a shell would find it.
fn find(root: &Path, name: &str, path: &str, directory: &str) -> Option<String> {
    let there = |path: &Path| resolve(root, path, Last::Follow).is_ok_and(|real| real.is_file());
    if name.contains('/') {
        let full = Path::new(directory).join(name);
        return there(&full).then(|| full.to_string_lossy().into_owned());
    }
    path.split(':')
        .map(|folder| Path::new(folder).join(name))
        .find(|full| there(full))
        .map(|full| full.to_string_lossy().into_owned())
}

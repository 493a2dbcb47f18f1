//! Where things are kept. Source: the XDG Base Directory Specification.

use std::path::PathBuf;

fn home(variable: &str, fallback: &str) -> PathBuf {
    let set = std::env::var_os(variable).map(PathBuf::from).filter(|p| p.is_absolute());
    set.unwrap_or_else(|| {
        let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from);
        home.join(fallback)
    })
}

/// The state: `$XDG_DATA_HOME/cloudlet`.
pub(crate) fn data() -> PathBuf {
    home("XDG_DATA_HOME", ".local/share").join("cloudlet")
}

/// What can be made again: `$XDG_CACHE_HOME/cloudlet`.
pub(crate) fn cache() -> PathBuf {
    home("XDG_CACHE_HOME", ".cache").join("cloudlet")
}

/// Saved copies of the state.
pub(crate) fn snapshots() -> PathBuf {
    home("XDG_DATA_HOME", ".local/share").join("cloudlet-snapshots")
}

/// What running clouds say of themselves: `$XDG_RUNTIME_DIR/cloudlet`, or a folder of the user's in the temporary
/// directory.
pub(crate) fn runtime() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|p| p.is_dir()) {
        Some(dir) => dir.join("cloudlet"),
        None => std::env::temp_dir().join(format!("cloudlet-{}", nix::unistd::getuid())),
    }
}

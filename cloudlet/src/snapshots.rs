//! `cloudlet snapshot`: named copies of the whole state.

use crate::cli::SnapshotCommand;
use crate::config::File;
use crate::control::{Ask, ask};
use crate::{Failure, paths};
use std::path::PathBuf;
use std::process::ExitCode;

pub(crate) fn run(command: SnapshotCommand, file: &File) -> Result<ExitCode, Failure> {
    match command {
        SnapshotCommand::Save { name, target } => {
            let dir = dir(&name)?;
            if dir.exists() {
                return Err(format!(
                    "a snapshot named {name} exists; choose another name or remove {}",
                    dir.display()
                )
                .into());
            }
            let instance = target.resolve(file)?.running()?;
            std::fs::create_dir_all(paths::snapshots())?;
            ask(&instance, &Ask::Save { dir: dir.to_string_lossy().into_owned() })?;
            println!("saved as {name} in {}", dir.display());
        }
        SnapshotCommand::Load { name, target } => {
            let dir = dir(&name)?;
            if !dir.exists() {
                return Err(format!("there is no snapshot named {name}; see: cloudlet snapshot list").into());
            }
            ask(&target.resolve(file)?.running()?, &Ask::Load { dir: dir.to_string_lossy().into_owned() })?;
            println!("the cloud now holds what {name} held");
        }
        SnapshotCommand::List => list()?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list() -> Result<(), Failure> {
    let entries = std::fs::read_dir(paths::snapshots()).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|e| e.file_name().into_string().ok()).collect();
    names.sort();
    if names.is_empty() {
        println!("no snapshots yet; make one with: cloudlet snapshot save NAME");
    }
    for name in names {
        println!("{name}");
    }
    Ok(())
}

/// The directory of a snapshot. A name is one plain path segment.
fn dir(name: &str) -> Result<PathBuf, Failure> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) || name.len() > 100 {
        return Err(
            "a snapshot's name has letters, digits, '-', '_' and '.', and does not begin with '.'".into()
        );
    }
    Ok(paths::snapshots().join(name))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_name_never_leaves_the_folder() {
        for bad in ["", "..", "../x", "a/b", "/etc", ".hidden", &"x".repeat(101)] {
            assert!(super::dir(bad).is_err(), "{bad}");
        }
        assert!(super::dir("before-upgrade_2.1").is_ok());
    }
}

//! The operations, one file per family.

mod agree;
mod aliases;
mod create;
mod data_keys;
mod encrypt;
mod grants;
mod import;
mod keys;
mod mac;
mod policies;
mod random;
mod replicas;
mod rotation;
mod sign;
mod stores;
mod tags;
mod usage;

use crate::errors::{bad_marker, bad_usage};
use crate::state::KeyRecord;
use crate::{spec, usable};
use cloudlet_service::{Error, pages};

/// Refuses a key that is not fit for an operation: by its state, by its usage, by the algorithm.
fn fit(key: &KeyRecord, operation: &str, usage: &str, algorithm: Option<&str>) -> Result<(), Error> {
    usable(key)?;
    if key.usage != usage {
        return Err(bad_usage(format!(
            "{} key usage is {} which is not valid for {operation}.",
            key.arn(),
            key.usage
        )));
    }
    match algorithm {
        Some(algorithm) if !spec::algorithms(&key.spec, usage).contains(&algorithm) => {
            Err(bad_usage(format!("Algorithm {algorithm} is incompatible with key spec {}.", key.spec)))
        }
        _ => Ok(()),
    }
}

/// A page of a listing that is in memory: the items, the next marker, whether there are more. A page has `usual` items
/// where none are asked for, and never more than `most`.
fn page<T>(
    items: Vec<T>,
    limit: Option<i32>,
    (usual, most): (usize, usize),
    marker: Option<&str>,
    key_of: impl Fn(&T) -> String,
) -> Result<(Vec<T>, Option<String>, bool), Error> {
    let limit = limit.and_then(|l| usize::try_from(l).ok()).unwrap_or(usual).min(most);
    let bad = || bad_marker(marker.unwrap_or_default());
    let page = pages::page(items.into_iter(), limit, marker, |item| key_of(item).into_bytes(), bad)?;
    let truncated = page.next.is_some();
    Ok((page.items, page.next, truncated))
}

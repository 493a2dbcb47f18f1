//! The operations, one file per family.

mod delete;
mod describe;
mod get;
mod history;
mod labels;
mod policies;
mod put;
mod settings;
mod tags;

use crate::errors::bad_token;
use cloudlet_service::{Error, pages};

/// A page of a listing that is in memory.
fn page<T>(
    items: Vec<T>,
    limit: Option<i32>,
    default: usize,
    token: Option<&str>,
    key_of: impl Fn(&T) -> String,
) -> Result<(Vec<T>, Option<String>), Error> {
    let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(default);
    let token = token.filter(|token| !token.is_empty());
    let page = pages::page(items.into_iter(), limit, token, |item| key_of(item).into_bytes(), bad_token)?;
    Ok((page.items, page.next))
}

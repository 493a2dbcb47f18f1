//! Walking a bucket's keys: prefix, delimiter, where to begin, a page at a time.
//!
//! A page reads what it shows, and one key for each common prefix: the rest of a folder is skipped by seeking past it.

use crate::errors::{Fail, Result, invalid_argument};
use cloudlet_service::Error;
use cloudlet_store::{Key, KeyRange};

/// The most entries of one page. Source: S3 API Reference, ListObjectsV2.
pub(crate) const MOST: usize = 1000;

/// How many rows are looked at before others get their turn.
const TURN: usize = 2000;

/// One entry of a page.
#[derive(Debug)]
pub(crate) enum Entry<T> {
    Item(String, T),
    Prefix(String),
}

/// A page, and where the next one begins.
#[derive(Debug)]
pub(crate) struct Page<T> {
    pub(crate) entries: Vec<Entry<T>>,
    /// The last entry's key or prefix, where there is more after it.
    pub(crate) next: Option<String>,
}

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) delimiter: &'a str,
    /// Keys after this one only.
    pub(crate) after: &'a str,
    /// Whether `after` is a marker: one inside a common prefix then stands for all of it, as on AWS.
    pub(crate) marker: bool,
    pub(crate) most: usize,
}

impl Query<'_> {
    /// The common prefix that a key is part of.
    pub(crate) fn common_prefix<'k>(&self, key: &'k str) -> Option<&'k str> {
        if self.delimiter.is_empty() {
            return None;
        }
        let rest = key.get(self.prefix.len()..)?;
        let at = rest.find(self.delimiter)?;
        key.get(..self.prefix.len() + at + self.delimiter.len())
    }
}

/// Rows as key, name and value; a row without a value stands for what is not shown.
type Walked<'a, V> = Box<dyn Iterator<Item = Result<(Key, String, Option<V>), Fail>> + Send + 'a>;

/// Where rows come from. `key` makes the stored key that begins with a piece of a name, `rows` gives the rows of a
/// range: the name and, where it is to be shown, the value.
pub(crate) trait Rows {
    type Value;
    fn start(&self, name: &str) -> Key;
    /// Narrows a range to what follows `name`.
    fn beyond(&self, range: KeyRange, name: &str) -> KeyRange;
    fn rows<'a>(&'a self, range: KeyRange) -> Walked<'a, Self::Value>;
}

/// Fills one page.
pub(crate) async fn walk<R: Rows>(source: &R, query: &Query<'_>) -> Result<Page<R::Value>> {
    let whole = source.start(query.prefix).prefix_range();
    let mut range = whole.clone();
    if !query.after.is_empty() {
        // A marker that is itself a common prefix stands for all of it.
        range = match query.common_prefix(query.after) {
            Some(prefix)
                if (query.marker || prefix == query.after) && query.after.starts_with(query.prefix) =>
            {
                range.past(&source.start(prefix))
            }
            _ => source.beyond(range, query.after),
        };
    }
    let mut page = Page { entries: Vec::new(), next: None };
    if query.most == 0 {
        return Ok(page);
    }
    loop {
        let mut seek = None;
        let mut looked = 0;
        for row in source.rows(range.clone()) {
            let (stored, name, value) = row?;
            looked += 1;
            let prefix = query.common_prefix(&name);
            if value.is_none() {
                if looked >= TURN {
                    seek = Some(range.clone().after(&stored));
                    break;
                }
                continue;
            }
            if page.entries.len() == query.most {
                page.next = page.entries.last().map(|entry| match entry {
                    Entry::Item(name, _) | Entry::Prefix(name) => name.clone(),
                });
                return Ok(page);
            }
            if let Some(prefix) = prefix {
                seek = Some(range.clone().past(&source.start(prefix)));
                page.entries.push(Entry::Prefix(prefix.to_owned()));
                break;
            }
            if let Some(value) = value {
                page.entries.push(Entry::Item(name, value));
            }
        }
        match seek {
            Some(next) => range = next,
            None => return Ok(page),
        }
        tokio::task::consume_budget().await;
    }
}

/// The page size that a request asks for. Errors: `InvalidArgument` for a negative one.
pub(crate) fn most(asked: Option<i32>, name: &str) -> Result<usize, Error> {
    match asked {
        None => Ok(MOST),
        Some(n) if n < 0 => {
            let message = format!("Argument {name} must be an integer between 0 and 2147483647");
            Err(invalid_argument(message, name, n.to_string()))
        }
        Some(n) => Ok((n as usize).min(MOST)),
    }
}

/// Whether names are to be percent-encoded. Errors: `InvalidArgument`.
pub(crate) fn url_encoding(encoding: Option<&str>) -> Result<bool, Error> {
    match encoding {
        None => Ok(false),
        Some("url") => Ok(true),
        Some(other) => {
            Err(invalid_argument("Invalid Encoding Method specified in Request", "encoding-type", other))
        }
    }
}

//! Pagination: opaque tokens that say where the next page begins.

use crate::error::Error;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// How many bytes of a token tell that it is one of ours.
const CHECK: usize = 4;

/// Makes the token for a position; clients must not read meaning into it.
pub fn token(position: impl AsRef<[u8]>) -> String {
    let position = position.as_ref();
    URL_SAFE_NO_PAD.encode([&check(position)[..], position].concat())
}

/// What a client that makes tokens up does not hit.
fn check(position: &[u8]) -> [u8; CHECK] {
    let digest = Sha256::new_with_prefix("cloudlet page").chain_update(position).finalize();
    digest.first_chunk::<CHECK>().copied().unwrap_or_default()
}

/// The position in a token. Errors: `None` where it is not one of ours.
pub fn position(token: &str) -> Option<Vec<u8>> {
    if token.len() > 16 * 1024 {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (known, position) = bytes.split_first_chunk::<CHECK>()?;
    (*known == check(position)).then(|| position.to_vec())
}

/// One page out of an ordered iterator.
#[derive(Debug)]
pub struct Page<T> {
    /// At most `limit` items.
    pub items: Vec<T>,
    /// The token of the next page, where there is one.
    pub next: Option<String>,
}

/// Takes up to `limit` items that come after `after` (a key as `key_of` gives it) out of an iterator sorted by
/// that key.
pub fn page<T, I: Iterator<Item = T>>(
    items: I,
    limit: usize,
    token_text: Option<&str>,
    key_of: impl Fn(&T) -> Vec<u8>,
    bad_token: impl FnOnce() -> Error,
) -> Result<Page<T>, Error> {
    let after = match token_text {
        Some(text) => Some(position(text).ok_or_else(bad_token)?),
        None => None,
    };
    let mut out = Vec::new();
    for item in items {
        if after.as_ref().is_some_and(|a| key_of(&item) <= *a) {
            continue;
        }
        if out.len() == limit {
            let next = out.last().map(|last| token(key_of(last)));
            return Ok(Page { items: out, next });
        }
        out.push(item);
    }
    Ok(Page { items: out, next: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_all_pages() {
        let all: Vec<String> = (0..25).map(|i| format!("{i:02}")).collect();
        let (mut seen, mut next) = (Vec::new(), None);
        loop {
            let key = |s: &String| s.clone().into_bytes();
            let page =
                page(all.iter().cloned(), 10, next.as_deref(), key, || Error::validation("bad")).unwrap();
            seen.extend(page.items);
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        assert_eq!(seen, all);
        assert!(position("not base64 !").is_none());
        for made_up in ["", "AAAA", "Zm9v", &URL_SAFE_NO_PAD.encode("09"), &token("09")[1..]] {
            assert!(position(made_up).is_none(), "{made_up}");
        }
        assert_eq!(position(&token("09")).as_deref(), Some(&b"09"[..]));
    }
}

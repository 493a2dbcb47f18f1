//! Access keys and session tokens: only what we sealed opens.

use super::{Target, seen_message, world};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloudlet_service::Identity;

pub(super) static TARGET: Target =
    Target { name: "tokens", run, seeds, words: WORDS, longest: 64 << 10, ..Target::DEFAULT };

const WORDS: &[&str] =
    &["\n", "ASIA", "AKIA", "test", "=", "==", "AAAA", "/", "+", "000000000000", "arn:aws:"];

fn seeds() -> Vec<Vec<u8>> {
    let sealed = world::with(|world| world.session());
    vec![sealed.into_bytes(), b"test".to_vec(), b"000000000000".to_vec(), b"ASIAEXAMPLE\nAAAA".to_vec()]
}

/// A key, and after a line end its token.
fn run(input: &[u8]) -> u64 {
    let Ok(text) = std::str::from_utf8(input) else { return 0 };
    let (key, token) = text.split_once('\n').map_or((text, None), |(key, token)| (key, Some(token)));
    world::with(|world| match world.identities.resolve(key, token) {
        Ok(found) => {
            // A token beside a long-term key says nothing; the key's own secret decides.
            if let Some(token) = token.filter(|t| !t.is_empty() && key.starts_with("ASIA")) {
                let original = world.session();
                let (_, genuine) = original.split_once('\n').unwrap_or_default();
                assert_eq!(
                    STANDARD.decode(token).ok(),
                    STANDARD.decode(genuine).ok(),
                    "a token that we did not make opens"
                );
            }
            seen_message("", &found.principal.arn())
        }
        Err(why) => seen_message(why.code(), why.message()),
    })
}

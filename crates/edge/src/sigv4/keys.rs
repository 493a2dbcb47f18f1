//! Signing keys, derived once a day per key pair and scope.

use cloudlet_service::SecretKey;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::cell::RefCell;

pub(crate) type HmacSha256 = Hmac<Sha256>;

/// How many derived keys each worker thread remembers. Threads share nothing, so no request waits for another.
const REMEMBERED: usize = 64;

struct Entry {
    secret: SecretKey,
    access_key_id: Box<str>,
    scope: Box<str>,
    key: HmacSha256,
}

thread_local! {
    static RECENT: RefCell<Vec<Entry>> = const { RefCell::new(Vec::new()) };
}

/// The keyed HMAC for a scope `date/region/service/aws4_request`.
pub(crate) fn signing_key(access_key_id: &str, secret: &SecretKey, scope: &str) -> HmacSha256 {
    RECENT.with_borrow_mut(|recent| {
        let found = recent.iter().position(|e| {
            *e.scope == *scope && *e.access_key_id == *access_key_id && e.secret.reveal() == secret.reveal()
        });
        if let Some(at) = found {
            // The usual caller stays in front; the list is short enough that order is all the index it needs.
            if at > 8 {
                recent.swap(at, at / 2);
                return recent[at / 2].key.clone();
            }
            return recent[at].key.clone();
        }
        let key = derive(secret.reveal(), scope);
        if recent.len() >= REMEMBERED {
            recent.truncate(REMEMBERED / 2);
        }
        let entry = Entry {
            secret: secret.clone(),
            access_key_id: access_key_id.into(),
            scope: scope.into(),
            key: key.clone(),
        };
        recent.insert(0, entry);
        key
    })
}

/// `HMAC(HMAC(HMAC(HMAC("AWS4" + secret, date), region), service), "aws4_request")`, as a keyed state.
fn derive(secret: &str, scope: &str) -> HmacSha256 {
    let mut start = Vec::with_capacity(4 + secret.len());
    start.extend_from_slice(b"AWS4");
    start.extend_from_slice(secret.as_bytes());
    let mut state = keyed(&start);
    for part in scope.split('/') {
        state = keyed(&sign(&state, part.as_bytes()));
    }
    state
}

/// An HMAC under any key. HMAC takes keys of every length (RFC 2104), so the fallback is never taken.
fn keyed(key: &[u8]) -> HmacSha256 {
    HmacSha256::new_from_slice(key).unwrap_or_else(|_| HmacSha256::new(&Default::default()))
}

/// The 32 bytes of the HMAC of `data`.
pub(crate) fn sign(state: &HmacSha256, data: &[u8]) -> [u8; 32] {
    let mut mac = state.clone();
    mac.update(data);
    mac.finalize().into_bytes().into()
}

/// Lower-case hexadecimal without an allocation.
pub(crate) fn hex64(bytes: &[u8; 32]) -> [u8; 64] {
    let mut out = [0u8; 64];
    // The lengths fit by their types.
    let _ = hex::encode_to_slice(bytes, &mut out);
    out
}

/// The hexadecimal SHA-256 of some bytes.
pub(crate) fn sha256_hex(data: &[u8]) -> String {
    use sha2::Digest;
    let digest: [u8; 32] = Sha256::digest(data).into();
    String::from_utf8_lossy(&hex64(&digest)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Source: AWS General Reference, "Examples of how to derive a signing key".
    #[test]
    fn derives_as_published() {
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        let text = b"AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/iam/aws4_request\n\
            f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59";
        let key = derive(secret, "20150830/us-east-1/iam/aws4_request");
        let signature = sign(&key, text);
        assert_eq!(
            std::str::from_utf8(&hex64(&signature)).unwrap(),
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
        );
    }

    #[test]
    fn a_new_secret_gives_a_new_key_though_the_id_stays() {
        let scope = "20150830/us-east-1/iam/aws4_request";
        let one = sign(&signing_key("A", &SecretKey::new("one"), scope), b"x");
        let two = sign(&signing_key("A", &SecretKey::new("two"), scope), b"x");
        assert_ne!(one, two);
        assert_eq!(one, sign(&signing_key("A", &SecretKey::new("one"), scope), b"x"));
        for i in 0..1000 {
            signing_key(&i.to_string(), &SecretKey::new("one"), scope);
        }
        RECENT.with_borrow(|recent| assert!(recent.len() <= REMEMBERED));
    }
}

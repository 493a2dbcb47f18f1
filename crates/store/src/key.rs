//! Composite keys whose byte order is the order of their components.
//!
//! A text or bytes component is written with every `00` escaped as `00 FF` and ended by `00 00`. Whatever follows,
//! the end sorts before the escape, and any other byte sorts after both, so `("a", x)` comes before `("a\0", y)`
//! which comes before `("aa", z)`, exactly as the tuples do. Numbers are eight bytes, big-endian.

use crate::StoreError;

/// The longest key, with the name of its table, that the store accepts, in bytes.
pub const MAX_KEY: usize = 32 * 1024;

const ESCAPED_ZERO: [u8; 2] = [0, 0xFF];
const END: [u8; 2] = [0, 0];

/// A composite key under construction or as read back from a scan.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Vec<u8>);

impl Key {
    /// The empty key, to which components are added.
    #[must_use]
    pub fn new() -> Key {
        Key(Vec::with_capacity(48))
    }

    /// Adds a text component. Any text is fine, also with zero bytes in it.
    #[must_use]
    pub fn text(self, text: &str) -> Key {
        self.bytes(text.as_bytes())
    }

    /// Adds a component of arbitrary bytes.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Key {
        push_escaped(&mut self.0, bytes);
        self
    }

    /// Adds a number; smaller numbers come first.
    #[must_use]
    pub fn number(mut self, number: u64) -> Key {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    /// Adds bytes as they are, without an end. Only for the last component: it lets a range be any prefix of it
    /// (`Key::new().text(bucket).raw_tail(b"photos/").prefix_range()`), and it reads back with [`KeyParts::rest`].
    #[must_use]
    pub fn raw_tail(mut self, bytes: &[u8]) -> Key {
        self.0.extend_from_slice(bytes);
        self
    }

    /// The encoded key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// A key from bytes that [`Key::as_bytes`] gave, for example out of a page token.
    #[must_use]
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Key {
        Key(bytes.into())
    }

    /// Every key that begins with this one, itself included.
    #[must_use]
    pub fn prefix_range(&self) -> KeyRange {
        KeyRange { start: self.0.clone(), end: successor(&self.0) }
    }

    /// Reads the components back, in the order in which they were added.
    #[must_use]
    pub fn parts(&self) -> KeyParts<'_> {
        KeyParts { rest: &self.0 }
    }
}

/// A half-open range of keys: from `start` (included) to `end` (excluded; `None` is the end of the table).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyRange {
    pub(crate) start: Vec<u8>,
    pub(crate) end: Option<Vec<u8>>,
}

impl KeyRange {
    /// The whole table.
    #[must_use]
    pub fn all() -> KeyRange {
        KeyRange::default()
    }

    /// From `start` (included) to `end` (excluded).
    #[must_use]
    pub fn between(start: &Key, end: &Key) -> KeyRange {
        KeyRange { start: start.0.clone(), end: Some(end.0.clone()) }
    }

    /// Narrows the range to `key` and what follows.
    #[must_use]
    pub fn from(mut self, key: &Key) -> KeyRange {
        self.raise(key.0.clone());
        self
    }

    /// Narrows the range to what follows `key`, without `key`: the next page after it.
    #[must_use]
    pub fn after(mut self, key: &Key) -> KeyRange {
        let mut start = key.0.clone();
        start.push(0);
        self.raise(start);
        self
    }

    /// Narrows the range to what follows every key that begins with `prefix`: how a listing skips a folder.
    #[must_use]
    pub fn past(mut self, prefix: &Key) -> KeyRange {
        match successor(&prefix.0) {
            Some(start) => self.raise(start),
            None => self.end = Some(self.start.clone()),
        }
        self
    }

    /// Narrows the range to what comes before `key`, without `key`.
    #[must_use]
    pub fn until(mut self, key: &Key) -> KeyRange {
        if self.end.as_ref().is_none_or(|end| *end > key.0) {
            self.end = Some(key.0.clone());
        }
        self
    }

    fn raise(&mut self, start: Vec<u8>) {
        if start > self.start {
            self.start = start;
        }
    }

    /// Whether no key can be in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.end.as_ref().is_some_and(|end| *end <= self.start)
    }

    /// The same range below a prefix.
    pub(crate) fn below(&self, prefix: &[u8]) -> KeyRange {
        let join = |tail: &[u8]| [prefix, tail].concat();
        let end = match &self.end {
            Some(end) => Some(join(end)),
            None => successor(prefix),
        };
        KeyRange { start: join(&self.start), end }
    }
}

/// Reads the components of a key. Every method gives `None` when the key does not continue that way.
#[derive(Clone, Debug)]
pub struct KeyParts<'a> {
    rest: &'a [u8],
}

impl<'a> KeyParts<'a> {
    /// The next component as text.
    pub fn text(&mut self) -> Option<String> {
        let before = self.rest;
        let text = self.bytes().and_then(|bytes| String::from_utf8(bytes).ok());
        if text.is_none() {
            self.rest = before;
        }
        text
    }

    /// The next component as bytes.
    pub fn bytes(&mut self) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let mut rest = self.rest;
        loop {
            let zero = rest.iter().position(|byte| *byte == 0)?;
            let (plain, tail) = rest.split_at(zero);
            out.extend_from_slice(plain);
            let (mark, tail) = tail.split_at_checked(2)?;
            rest = tail;
            if mark == END {
                self.rest = rest;
                return Some(out);
            }
            if mark != ESCAPED_ZERO {
                return None;
            }
            out.push(0);
        }
    }

    /// The next component as a number.
    pub fn number(&mut self) -> Option<u64> {
        let (head, rest) = self.rest.split_first_chunk::<8>()?;
        self.rest = rest;
        Some(u64::from_be_bytes(*head))
    }

    /// Whatever follows, as [`Key::raw_tail`] put it there.
    #[must_use]
    pub fn rest(self) -> &'a [u8] {
        self.rest
    }
}

fn push_escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut rest = bytes;
    while let Some(zero) = rest.iter().position(|byte| *byte == 0) {
        out.extend_from_slice(&rest[..zero]);
        out.extend_from_slice(&ESCAPED_ZERO);
        rest = &rest[zero + 1..];
    }
    out.extend_from_slice(rest);
    out.extend_from_slice(&END);
}

/// The smallest byte string after everything that begins with `prefix`; `None` when there is none.
pub(crate) fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xFF)?;
    let mut next = prefix[..=last].to_vec();
    next[last] += 1;
    Some(next)
}

/// The prefix of a table's keys: its name as a text component.
pub(crate) fn table_prefix(table: &str) -> Vec<u8> {
    let mut prefix = Vec::with_capacity(table.len() + 2);
    push_escaped(&mut prefix, table.as_bytes());
    prefix
}

/// The engine's key of a record that is to be written. Errors: `TooLarge`.
pub(crate) fn record_key(table: &str, key: &Key) -> Result<Vec<u8>, StoreError> {
    let full = whole_key(table, key);
    if full.len() > MAX_KEY {
        return Err(StoreError::TooLarge { what: "key", len: full.len(), limit: MAX_KEY });
    }
    Ok(full)
}

/// The engine's key of a record that is to be read; `None` for one so long that there cannot be such a record. Names
/// from outside are looked up before anybody measures them.
pub(crate) fn lookup_key(table: &str, key: &Key) -> Option<Vec<u8>> {
    Some(whole_key(table, key)).filter(|full| full.len() <= MAX_KEY)
}

fn whole_key(table: &str, key: &Key) -> Vec<u8> {
    let mut full = Vec::with_capacity(table.len() + 2 + key.0.len());
    push_escaped(&mut full, table.as_bytes());
    full.extend_from_slice(&key.0);
    full
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn components_read_back() {
        let key = Key::new().text("000000000000").bytes(b"a\0b").number(7).raw_tail(b"x\0y");
        let mut parts = key.parts();
        assert_eq!(parts.text().as_deref(), Some("000000000000"));
        assert_eq!(parts.bytes().as_deref(), Some(&b"a\0b"[..]));
        assert_eq!(parts.number(), Some(7));
        assert_eq!(parts.rest(), b"x\0y");
        assert_eq!(Key::new().number(u64::MAX).parts().text(), None);
        assert_eq!(Key::new().raw_tail(b"abc").parts().number(), None);
    }

    #[test]
    fn ranges_narrow() {
        let a = Key::new().text("a");
        let range = a.prefix_range();
        assert!(range.clone().from(&a) == range);
        assert!(range.clone().past(&a).is_empty());
        assert!(KeyRange::all().past(&Key::from_bytes(vec![0xFF])).is_empty());
        assert!(range.clone().until(&a).is_empty());
        assert_eq!(successor(&[1, 0xFF]), Some(vec![2]));
        assert_eq!(successor(&[0xFF]), None);
    }

    proptest! {
        #[test]
        fn byte_order_is_tuple_order(
            a in (prop::collection::vec(0u8..4, 0..4), any::<u64>(), prop::collection::vec(any::<u8>(), 0..6), ".*"),
            b in (prop::collection::vec(0u8..4, 0..4), any::<u64>(), prop::collection::vec(any::<u8>(), 0..6), ".*"),
        ) {
            let key = |t: &(Vec<u8>, u64, Vec<u8>, String)| {
                Key::new().bytes(&t.0).number(t.1).bytes(&t.2).text(&t.3)
            };
            prop_assert_eq!(key(&a).cmp(&key(&b)), a.cmp(&b));
        }

        /// A component before a number full of `FF` bytes is where a one-byte end would go wrong.
        #[test]
        fn an_end_sorts_before_everything(a in prop::collection::vec(prop::sample::select(vec![0u8, 1, 0xFF]), 0..4),
                                          b in prop::collection::vec(prop::sample::select(vec![0u8, 1, 0xFF]), 0..4),
                                          x in prop::sample::select(vec![0u64, 1, u64::MAX]),
                                          y in prop::sample::select(vec![0u64, 1, u64::MAX])) {
            let left = Key::new().bytes(&a).number(x);
            let right = Key::new().bytes(&b).number(y);
            prop_assert_eq!(left.cmp(&right), (&a, x).cmp(&(&b, y)));
            let mut parts = left.parts();
            prop_assert_eq!(parts.bytes(), Some(a));
            prop_assert_eq!(parts.number(), Some(x));
        }

        #[test]
        fn a_prefix_range_holds_what_begins_so(prefix in prop::collection::vec(any::<u8>(), 0..3),
                                               other in prop::collection::vec(any::<u8>(), 0..5)) {
            let range = Key::from_bytes(prefix.clone()).prefix_range();
            let inside = other >= range.start && range.end.as_ref().is_none_or(|end| other < *end);
            prop_assert_eq!(inside, other.starts_with(&prefix));
        }

        #[test]
        fn reading_arbitrary_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..20)) {
            let key = Key::from_bytes(bytes);
            let mut parts = key.parts();
            while parts.text().is_some() || parts.bytes().is_some() || parts.number().is_some() {}
        }
    }
}

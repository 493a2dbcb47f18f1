//! The request context: the condition keys a request carries and their values.

use std::borrow::Cow;

use crate::principal::PrincipalRef;

/// The values of one key: nearly always one, so that one costs no list.
#[derive(Clone, Debug)]
enum Values {
    One(Cow<'static, str>),
    Many(Vec<Cow<'static, str>>),
}

/// The condition keys of a request: names are case-insensitive, values may be several.
///
/// Callers set what they know (`aws:SourceIp`, `s3:prefix`, …) as text: dates as ISO 8601 or epoch seconds,
/// booleans as `true`/`false`, binary values in Base64. A key without any value counts as absent.
///
/// Source: IAM User Guide, "AWS global condition context keys".
#[derive(Clone, Debug, Default)]
pub struct ConditionContext {
    /// The hash of each key's name: most lookups touch nothing else.
    hashes: Vec<u32>,
    keys: Vec<(Cow<'static, str>, Values)>,
}

/// A hash of a name that ignores ASCII case (FNV-1a).
pub(crate) fn name_hash(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0193)
    })
}

impl ConditionContext {
    /// An empty context.
    pub fn new() -> Self {
        Self::default()
    }

    /// A context that already holds what follows from the caller alone, see [`Self::set_principal`].
    pub fn for_principal(principal: &PrincipalRef) -> Self {
        let mut context = Self { hashes: Vec::with_capacity(24), keys: Vec::with_capacity(24) };
        context.set_principal(principal);
        context
    }

    /// Sets `aws:PrincipalArn`, `aws:PrincipalAccount`, `aws:PrincipalType`, `aws:userid`, `aws:username`,
    /// `aws:PrincipalIsAWSService` and `aws:PrincipalServiceName` as far as each exists for this kind of caller.
    pub fn set_principal(&mut self, principal: &PrincipalRef) -> &mut Self {
        principal.describe(self);
        self
    }

    /// Sets `key` to exactly one value, replacing any it had.
    pub fn set(
        &mut self,
        key: impl Into<Cow<'static, str>>,
        value: impl Into<Cow<'static, str>>,
    ) -> &mut Self {
        self.put(key.into(), Values::One(value.into()))
    }

    /// Sets `key` to these values, replacing any it had; none at all removes it.
    pub fn set_all<V: Into<Cow<'static, str>>>(
        &mut self,
        key: impl Into<Cow<'static, str>>,
        values: impl IntoIterator<Item = V>,
    ) -> &mut Self {
        let key = key.into();
        let values: Vec<_> = values.into_iter().map(Into::into).collect();
        if values.is_empty() {
            if let Some(at) = self.position(&key, name_hash(&key)) {
                self.hashes.remove(at);
                self.keys.remove(at);
            }
            return self;
        }
        self.put(key, Values::Many(values))
    }

    /// Sets `key` if there is a value, else leaves it absent.
    pub fn set_some<V: Into<Cow<'static, str>>>(
        &mut self,
        key: impl Into<Cow<'static, str>>,
        value: Option<V>,
    ) -> &mut Self {
        if let Some(value) = value {
            self.set(key, value);
        }
        self
    }

    /// The values of `key`; empty if the request does not carry it.
    pub fn get(&self, key: &str) -> &[Cow<'static, str>] {
        self.get_hashed(key, name_hash(key))
    }

    /// As [`Self::get`], for a name whose hash is known.
    pub(crate) fn get_hashed(&self, key: &str, hash: u32) -> &[Cow<'static, str>] {
        match self.position(key, hash).map(|at| &self.keys[at].1) {
            Some(Values::One(value)) => std::slice::from_ref(value),
            Some(Values::Many(values)) => values,
            None => &[],
        }
    }

    /// The value of `key` if it has exactly one.
    pub fn get_one(&self, key: &str) -> Option<&str> {
        match self.get(key) {
            [value] => Some(value),
            _ => None,
        }
    }

    /// True if the request carries `key`.
    pub fn contains(&self, key: &str) -> bool {
        self.position(key, name_hash(key)).is_some()
    }

    /// Every key with its values, in the order they were set.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[Cow<'static, str>])> {
        self.keys.iter().map(|(name, values)| {
            let values = match values {
                Values::One(value) => std::slice::from_ref(value),
                Values::Many(values) => values.as_slice(),
            };
            (name.as_ref(), values)
        })
    }

    fn put(&mut self, key: Cow<'static, str>, values: Values) -> &mut Self {
        let hash = name_hash(&key);
        match self.position(&key, hash) {
            Some(at) => self.keys[at].1 = values,
            None => {
                self.hashes.push(hash);
                self.keys.push((key, values));
            }
        }
        self
    }

    // A request carries some tens of keys: a walk over their hashes is as quick as any table.
    fn position(&self, key: &str, hash: u32) -> Option<usize> {
        let mut from = 0;
        while let Some(found) = self.hashes[from..].iter().position(|known| *known == hash) {
            let at = from + found;
            // Nearly always both are spelt as AWS's documents spell them.
            let name = &*self.keys[at].0;
            if name == key || name.eq_ignore_ascii_case(key) {
                return Some(at);
            }
            from = at + 1;
        }
        None
    }
}

//! What has become of the items that changed between two times.

use crate::errors::Failure;
use crate::keys;
use crate::state::{Stored, Undo};
use crate::value::Item;
use cloudlet_store::{Key, Store};
use std::collections::BTreeMap;

/// An item that changed between two times: what it was before and what it was then.
pub(crate) struct Changed {
    /// When it changed last, in milliseconds.
    pub at: i64,
    /// The item in some state: its keys are what counts.
    pub any: Item,
    pub old: Option<Item>,
    pub new: Option<Item>,
}

impl Changed {
    /// The attributes of these names.
    pub(super) fn keys(&self, names: &[&str]) -> Item {
        let one = |name: &&str| Some(((*name).to_owned(), self.any.get(*name)?.clone()));
        names.iter().filter_map(one).collect()
    }
}

/// Shows every item that changed at or after the one time and before the other, once.
pub(crate) fn each_change(
    store: &Store,
    space: u64,
    (from, to): (i64, i64),
    mut show: impl FnMut(Changed) -> Result<(), Failure>,
) -> Result<(), Failure> {
    /// What is known of an item: what it was, in any state, when it changed last, and what it became if that is history.
    struct Seen {
        old: Option<Item>,
        any: Option<Item>,
        at: i64,
        new: Option<Option<Item>>,
    }
    store.read(|snapshot| {
        let mut seen: BTreeMap<Vec<u8>, Seen> = BTreeMap::new();
        let start = Key::new().number(space).number(from.max(0).unsigned_abs());
        for row in snapshot.scan::<Undo>(keys::space(space).from(&start), false) {
            let (key, undo) = row?;
            let mut parts = key.parts();
            let at = parts.number().and_then(|_| parts.number()).and_then(|at| i64::try_from(at).ok());
            let at = at.unwrap_or(i64::MAX);
            if at < to {
                let any = undo.old.clone();
                let known = seen.entry(undo.key).or_insert(Seen { old: undo.old, any: None, at, new: None });
                known.at = at;
                known.any = any.or(known.any.take());
            } else if let Some(known) = seen.get_mut(&undo.key)
                && known.new.is_none()
            {
                known.new = Some(undo.old);
            }
        }
        for (key, known) in seen {
            let new = match known.new {
                Some(new) => new,
                None => snapshot.get::<Stored>(&Key::from_bytes(key))?.map(|item| item.0),
            };
            let any = new.clone().or_else(|| known.old.clone()).or(known.any);
            if let Some(any) = any {
                show(Changed { at: known.at, any, old: known.old, new })?;
            }
        }
        Ok(())
    })
}

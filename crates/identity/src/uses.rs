//! When keys and roles were last used, and for what: read out of memory, written down every few seconds.

use crate::records::LastUse;
use cloudlet_store::{Key, KeyRange, Record, Store, StoreError};
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// As fine as AWS reports it: a later use within this time changes nothing, in milliseconds.
const GRAIN: i64 = 60_000;

/// The same for single actions on single resources: marks fall between them.
const FINE_GRAIN: i64 = crate::recent::MOMENT;

/// How many names and how many pairs of caller and action are remembered.
const REMEMBERED: usize = 16 * 1024;

/// How many resources of one action are told apart before they are put together.
const RESOURCES: usize = 20;

/// How long what was noted may stay unwritten.
const UNWRITTEN: Duration = Duration::from_secs(5);

/// What a caller did with one action.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub struct ActionUse {
    /// The latest use.
    pub last: LastUse,
    /// On what, and when last, in milliseconds since the epoch. A resource that ends in `*` stands for several.
    pub resources: BTreeMap<String, i64>,
}

impl Record for ActionUse {
    const TABLE: &'static str = "iam.actions_used";
}

#[derive(Serialize, Deserialize, Clone)]
struct Used(LastUse);

impl Record for Used {
    const TABLE: &'static str = "iam.uses";
}

/// The actions of each caller, by unique id and name.
type Actions = HashMap<Box<str>, HashMap<Box<str>, ActionUse>>;

/// A caller's unique id and an action.
type Pair = (Box<str>, Box<str>);

/// The last use by name: an access key id, a role's or user's unique id, or one of those and a service. And the actions
/// of each caller.
#[derive(Default)]
pub(crate) struct Uses {
    by_name: RwLock<HashMap<Box<str>, LastUse>>,
    actions: RwLock<Actions>,
    dirty: Mutex<(HashSet<Box<str>>, HashSet<Pair>)>,
    writing: AtomicBool,
}

impl Uses {
    /// Reads what was written down.
    pub(crate) fn read(&self, store: &Store) -> Result<(), StoreError> {
        let mut by_name = HashMap::new();
        for row in store.table::<Used>().scan(KeyRange::all(), false).take(REMEMBERED) {
            let (key, Used(last)) = row?;
            by_name.extend(key.parts().text().map(|name| (name.into_boxed_str(), last)));
        }
        let mut actions = Actions::new();
        for row in store.table::<ActionUse>().scan(KeyRange::all(), false).take(REMEMBERED) {
            let (key, used) = row?;
            let mut parts = key.parts();
            if let (Some(id), Some(action)) = (parts.text(), parts.text()) {
                actions.entry(id.into()).or_default().insert(action.into(), used);
            }
        }
        *self.by_name.write() = by_name;
        *self.actions.write() = actions;
        *self.dirty.lock() = Default::default();
        Ok(())
    }

    /// Notes a use.
    pub(crate) fn note(self: &Arc<Self>, store: &Store, name: &str, at: i64, region: &str, service: &str) {
        if let Some(known) = self.by_name.read().get(name)
            && at - known.at < GRAIN
            && known.service == service
            && known.region == region
        {
            return;
        }
        {
            let mut all = self.by_name.write();
            if all.len() >= REMEMBERED && !all.contains_key(name) {
                return;
            }
            all.insert(name.into(), LastUse { at, region: region.to_owned(), service: service.to_owned() });
        }
        self.dirty.lock().0.insert(name.into());
        self.write_soon(store);
    }

    /// Notes that an action on a resource was allowed.
    pub(crate) fn note_action(
        self: &Arc<Self>,
        store: &Store,
        id: &str,
        action: &str,
        resource: &str,
        last: impl FnOnce() -> LastUse,
        at: i64,
    ) {
        if let Some(used) = self.actions.read().get(id).and_then(|actions| actions.get(action))
            && used
                .resources
                .get(resource)
                .or_else(|| widened(used, resource))
                .is_some_and(|t| at - t < FINE_GRAIN)
        {
            return;
        }
        {
            let mut all = self.actions.write();
            let pairs: usize = all.values().map(HashMap::len).sum();
            let of_caller = all.entry(id.into()).or_default();
            if pairs >= REMEMBERED && !of_caller.contains_key(action) {
                return;
            }
            let used = of_caller.entry(action.into()).or_default();
            used.last = last();
            used.note(resource, at);
        }
        self.dirty.lock().1.insert((id.into(), action.into()));
        self.write_soon(store);
    }

    pub(crate) fn get(&self, name: &str) -> Option<LastUse> {
        self.by_name.read().get(name).cloned()
    }

    /// All whose name begins so, with what follows.
    pub(crate) fn beginning(&self, prefix: &str) -> Vec<(String, LastUse)> {
        let all = self.by_name.read();
        let found =
            all.iter().filter_map(|(name, at)| Some((name.strip_prefix(prefix)?.to_owned(), at.clone())));
        found.collect()
    }

    /// The actions of the caller with this unique id, by name.
    pub(crate) fn actions(&self, id: &str) -> BTreeMap<String, ActionUse> {
        let all = self.actions.read();
        all.get(id).into_iter().flatten().map(|(action, used)| (action.to_string(), used.clone())).collect()
    }

    /// Sees to it that what was noted is written down before long.
    fn write_soon(self: &Arc<Self>, store: &Store) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if self.writing.swap(true, Ordering::AcqRel) {
            return;
        }
        let (uses, store) = (self.clone(), store.clone());
        runtime.spawn(async move {
            tokio::time::sleep(UNWRITTEN).await;
            uses.writing.store(false, Ordering::Release);
            if let Err(why) = uses.write(&store).await {
                tracing::warn!(%why, "when identities were last used could not be written down");
            }
        });
    }

    pub(crate) async fn write(&self, store: &Store) -> Result<(), StoreError> {
        let (names, pairs) = std::mem::take(&mut *self.dirty.lock());
        let used: Vec<(Key, Used)> = {
            let all = self.by_name.read();
            let found = names.iter().filter_map(|n| Some((Key::new().text(n), Used(all.get(n)?.clone()))));
            found.collect()
        };
        let acted: Vec<(Key, ActionUse)> = {
            let all = self.actions.read();
            let found = pairs.iter().filter_map(|(id, action)| {
                Some((Key::new().text(id).text(action), all.get(id)?.get(action)?.clone()))
            });
            found.collect()
        };
        store
            .transact(|tx| {
                for (key, record) in &used {
                    tx.put(key, record)?;
                }
                for (key, record) in &acted {
                    tx.put(key, record)?;
                }
                Ok(())
            })
            .await
    }
}

/// The entry for several resources that one belongs to.
fn widened<'a>(used: &'a ActionUse, resource: &str) -> Option<&'a i64> {
    let wide = |known: &str| known.strip_suffix('*').is_some_and(|prefix| resource.starts_with(prefix));
    used.resources.iter().find(|(known, _)| wide(known)).map(|(_, at)| at)
}

impl ActionUse {
    fn note(&mut self, resource: &str, at: i64) {
        let wide = |known: &String| known.strip_suffix('*').is_some_and(|p| resource.starts_with(p));
        let known = self.resources.iter_mut().find(|(known, _)| *known == resource || wide(known));
        match known {
            Some((_, known)) => *known = at,
            None => {
                self.resources.insert(resource.to_owned(), at);
            }
        }
        // First the objects of a bucket become the bucket's, then everything becomes one.
        for widen in [inside, whole] {
            if self.resources.len() > RESOURCES {
                let narrow = std::mem::take(&mut self.resources);
                for (resource, at) in narrow {
                    let known = self.resources.entry(widen(&resource)).or_default();
                    *known = at.max(*known);
                }
            }
        }
    }
}

/// `arn:aws:s3:::photos/2026/cat.jpg` → `arn:aws:s3:::photos/*`
fn inside(arn: &str) -> String {
    match arn.split_once('/') {
        Some((outer, _)) => format!("{outer}/*"),
        None => match arn.rsplit_once(':') {
            Some((outer, _)) => format!("{outer}:*"),
            None => "*".to_owned(),
        },
    }
}

fn whole(_: &str) -> String {
    "*".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_resources_become_few() {
        let mut used = ActionUse::default();
        for i in 0..RESOURCES {
            used.note(&format!("arn:aws:s3:::photos/{i}"), i as i64);
        }
        assert_eq!(used.resources.len(), RESOURCES);
        used.note("arn:aws:s3:::photos/more", 50);
        assert_eq!(used.resources, BTreeMap::from([("arn:aws:s3:::photos/*".to_owned(), 50)]));
        used.note("arn:aws:s3:::photos/again", 60);
        assert_eq!(used.resources, BTreeMap::from([("arn:aws:s3:::photos/*".to_owned(), 60)]));
        for i in 0..40 {
            used.note(&format!("arn:aws:s3:::bucket-{i}/x"), 70);
        }
        assert_eq!(used.resources.keys().next().map(String::as_str), Some("*"));
    }
}

//! Projections: the parts of an item that are wanted.

use super::path::{Element, Path};
use crate::value::{Item, Value};
use std::collections::BTreeMap;

/// Which parts of an item are wanted. Parts of one document come out as one document; elements of a list come out in
/// their order in the list, without gaps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Projection {
    paths: Vec<Path>,
    names: BTreeMap<String, Wanted>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Wanted {
    whole: bool,
    names: BTreeMap<String, Wanted>,
    indexes: BTreeMap<usize, Wanted>,
}

impl Projection {
    /// The projection of these paths.
    pub fn of(paths: impl IntoIterator<Item = Path>) -> Self {
        let mut out = Self::default();
        for path in paths {
            let mut at = out.names.entry(path.root().to_owned()).or_default();
            for element in path.rest() {
                at = match element {
                    Element::Name(name) => at.names.entry(name.clone()).or_default(),
                    Element::Index(index) => at.indexes.entry(*index).or_default(),
                };
            }
            at.whole = true;
            out.paths.push(path);
        }
        out
    }

    /// The paths as they were written.
    pub fn paths(&self) -> &[Path] {
        &self.paths
    }

    /// The attributes that are wanted, whole or in part.
    pub fn attributes(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    /// What the item has of it.
    pub fn project(&self, item: &Item) -> Item {
        let one = |(name, wanted): (&String, &Wanted)| Some((name.clone(), wanted.of(item.get(name)?)?));
        self.names.iter().filter_map(one).collect()
    }
}

impl Wanted {
    fn of(&self, value: &Value) -> Option<Value> {
        if self.whole {
            return Some(value.clone());
        }
        match value {
            Value::M(map) => {
                let one =
                    |(name, wanted): (&String, &Wanted)| Some((name.clone(), wanted.of(map.get(name)?)?));
                let out: Item = self.names.iter().filter_map(one).collect();
                (!out.is_empty()).then_some(Value::M(out))
            }
            Value::L(list) => {
                let one = |(index, wanted): (&usize, &Wanted)| wanted.of(list.get(*index)?);
                let out: Vec<Value> = self.indexes.iter().filter_map(one).collect();
                (!out.is_empty()).then_some(Value::L(out))
            }
            _ => None,
        }
    }
}

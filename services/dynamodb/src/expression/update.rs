//! Updates: what changes in an item.
//!
//! All right sides are computed from the item as it was; then all changes are made, and places in a list are those
//! that it had before. Source: Developer Guide, "Update expressions".

use super::path::{Element, Path};
use super::projection::Projection;
use crate::value::{Item, MAX_DEPTH, Number, NumberError, Value, invalid, invalid_values};
use cloudlet_service::Error;
use std::collections::BTreeMap;

/// What an update does at one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Puts a value there.
    Set(Path, Assigned),
    /// Takes away what is there.
    Remove(Path),
    /// Adds to a number or a set.
    Add(Path, Value),
    /// Takes elements out of a set.
    Delete(Path, Value),
}

/// What SET puts there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assigned {
    /// A value as it is.
    Source(Source),
    /// The sum of two numbers.
    Sum(Source, Source),
    /// The difference of two numbers.
    Difference(Source, Source),
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The item.
    Path(Path),
    /// The request.
    Value(Value),
    /// The item if it has something there, or else something else.
    IfNotExists(Path, Box<Source>),
    /// Two lists, one behind the other.
    ListAppend(Box<Source>, Box<Source>),
}

/// A whole update. Its paths do not stand in each other's way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    actions: Vec<Action>,
    /// Whether it comes from `AttributeUpdates`, which has words of its own and adds to lists.
    legacy: bool,
}

const WRONG_TYPE: &str = "An operand in the update expression has an incorrect data type";
const WRONG_PATH: &str = "The document path provided in the update expression is invalid for update";
const NOTHING_THERE: &str = "The provided expression refers to an attribute that does not exist in the item";
const LEGACY_WRONG_TYPE: &str = "Type mismatch for attribute to update";
const TOO_DEEP: &str = "Nesting Levels have exceeded supported limits";

impl Action {
    /// The path that it changes.
    pub fn path(&self) -> &Path {
        let (Action::Set(path, _) | Action::Remove(path) | Action::Add(path, _) | Action::Delete(path, _)) =
            self;
        path
    }
}

impl Source {
    fn collect<'s>(&'s self, out: &mut Vec<&'s Path>) {
        match self {
            Source::Path(path) => out.push(path),
            Source::Value(_) => {}
            Source::IfNotExists(path, other) => {
                out.push(path);
                other.collect(out);
            }
            Source::ListAppend(front, back) => {
                front.collect(out);
                back.collect(out);
            }
        }
    }

    fn value(&self, item: &Item) -> Result<Value, Error> {
        match self {
            Source::Value(value) => Ok(value.clone()),
            Source::Path(path) => path.get(item).cloned().ok_or_else(|| invalid(NOTHING_THERE)),
            Source::IfNotExists(path, other) => match path.get(item) {
                Some(value) => Ok(value.clone()),
                None => other.value(item),
            },
            Source::ListAppend(front, back) => match (front.value(item)?, back.value(item)?) {
                (Value::L(mut front), Value::L(back)) => {
                    front.extend(back);
                    Ok(Value::L(front))
                }
                _ => Err(invalid(WRONG_TYPE)),
            },
        }
    }
}

impl Assigned {
    fn value(&self, item: &Item) -> Result<Value, Error> {
        let computed = |left: &Source,
                        right: &Source,
                        by: fn(&Number, &Number) -> Result<Number, NumberError>| {
            match (left.value(item)?, right.value(item)?) {
                (Value::N(a), Value::N(b)) => by(&a, &b).map(Value::N).map_err(|e| invalid(e.to_string())),
                _ => Err(invalid(WRONG_TYPE)),
            }
        };
        match self {
            Assigned::Source(source) => source.value(item),
            Assigned::Sum(left, right) => computed(left, right, Number::add),
            Assigned::Difference(left, right) => computed(left, right, Number::subtract),
        }
    }
}

/// What happens at one place, its value being known.
enum Change<'u> {
    Set(Value),
    Remove,
    Add(&'u Value),
    Delete(&'u Value),
}

/// The changes by their way into the item, so that lists can be changed in one go.
#[derive(Default)]
struct Changes<'u> {
    here: Option<Change<'u>>,
    names: BTreeMap<&'u str, Changes<'u>>,
    indexes: BTreeMap<usize, Changes<'u>>,
}

impl<'u> Changes<'u> {
    fn insert(&mut self, path: &'u Path, change: Change<'u>) {
        let mut at = self.names.entry(path.root()).or_default();
        for element in path.rest() {
            at = match element {
                Element::Name(name) => at.names.entry(name).or_default(),
                Element::Index(index) => at.indexes.entry(*index).or_default(),
            };
        }
        at.here = Some(change);
    }
}

impl Update {
    pub(crate) fn new(actions: Vec<Action>) -> Self {
        Self { actions, legacy: false }
    }

    pub(crate) fn legacy(actions: Vec<Action>) -> Self {
        Self { actions, legacy: true }
    }

    /// What it does, in the order in which it was written.
    pub fn actions(&self) -> &[Action] {
        &self.actions
    }

    /// The paths that it changes.
    pub fn targets(&self) -> Vec<&Path> {
        self.actions.iter().map(Action::path).collect()
    }

    /// All paths that it changes or reads.
    pub fn paths(&self) -> Vec<&Path> {
        let mut out = self.targets();
        for action in &self.actions {
            if let Action::Set(_, assigned) = action {
                match assigned {
                    Assigned::Source(source) => source.collect(&mut out),
                    Assigned::Sum(left, right) | Assigned::Difference(left, right) => {
                        left.collect(&mut out);
                        right.collect(&mut out);
                    }
                }
            }
        }
        out
    }

    /// Refuses to change a key of the table.
    pub fn check_keys<'k>(&self, keys: impl IntoIterator<Item = &'k str> + Clone) -> Result<(), Error> {
        for action in &self.actions {
            let root = action.path().root();
            if keys.clone().into_iter().any(|key| key == root) {
                return Err(invalid_values(format_args!(
                    "Cannot update attribute {root}. This attribute is part of the key"
                )));
            }
        }
        Ok(())
    }

    /// Changes the item. On an error it is as it was.
    pub fn apply(&self, item: &mut Item) -> Result<(), Error> {
        let mut changes = Changes::default();
        for action in &self.actions {
            let change = match action {
                Action::Set(path, assigned) => {
                    let value = assigned.value(item)?;
                    if path.depth() - 1 + value.depth() > MAX_DEPTH {
                        return Err(invalid(TOO_DEEP));
                    }
                    Change::Set(value)
                }
                Action::Remove(_) => Change::Remove,
                Action::Add(_, value) => Change::Add(value),
                Action::Delete(_, value) => Change::Delete(value),
            };
            changes.insert(action.path(), change);
        }
        // Only what changes is copied: an update of one attribute of many touches that one alone.
        let mut after = Item::new();
        let mut gone = Vec::new();
        for (name, changes) in changes.names {
            match self.changed(item.get(name), changes)? {
                Some(value) => {
                    after.insert(name.to_owned(), value);
                }
                None => gone.push(name),
            }
        }
        item.extend(after);
        gone.into_iter().for_each(|name| {
            item.remove(name);
        });
        Ok(())
    }

    /// What is at a place afterwards.
    fn changed(&self, before: Option<&Value>, changes: Changes<'_>) -> Result<Option<Value>, Error> {
        match changes.here {
            Some(Change::Set(value)) => return Ok(Some(value)),
            Some(Change::Remove) => return Ok(None),
            Some(Change::Add(value)) => return self.sum(before, value).map(Some),
            Some(Change::Delete(value)) => return self.difference(before, value),
            None => {}
        }
        match before {
            Some(Value::M(map)) if changes.indexes.is_empty() => {
                let mut map = map.clone();
                for (name, changes) in changes.names {
                    match self.changed(map.get(name), changes)? {
                        Some(value) => {
                            map.insert(name.to_owned(), value);
                        }
                        None => {
                            map.remove(name);
                        }
                    }
                }
                Ok(Some(Value::M(map)))
            }
            Some(Value::L(list)) if changes.names.is_empty() => {
                let mut places: Vec<Option<Value>> = list.iter().cloned().map(Some).collect();
                let mut behind = Vec::new();
                for (index, changes) in changes.indexes {
                    let value = self.changed(list.get(index), changes)?;
                    match places.get_mut(index) {
                        Some(place) => *place = value,
                        // A place behind the end means the end.
                        None => behind.extend(value),
                    }
                }
                Ok(Some(Value::L(places.into_iter().flatten().chain(behind).collect())))
            }
            _ => Err(invalid(WRONG_PATH)),
        }
    }

    fn wrong_type(&self) -> Error {
        invalid(if self.legacy { LEGACY_WRONG_TYPE } else { WRONG_TYPE })
    }

    fn sum(&self, before: Option<&Value>, value: &Value) -> Result<Value, Error> {
        let Some(before) = before else {
            return Ok(value.clone());
        };
        Ok(match (before, value) {
            (Value::N(a), Value::N(b)) => Value::N(a.add(b).map_err(|error| invalid(error.to_string()))?),
            (Value::SS(a), Value::SS(b)) => Value::SS(a | b),
            (Value::NS(a), Value::NS(b)) => Value::NS(a | b),
            (Value::BS(a), Value::BS(b)) => Value::BS(a | b),
            (Value::L(a), Value::L(b)) if self.legacy => Value::L(a.iter().chain(b).cloned().collect()),
            _ => return Err(self.wrong_type()),
        })
    }

    fn difference(&self, before: Option<&Value>, value: &Value) -> Result<Option<Value>, Error> {
        let Some(before) = before else {
            return Ok(None);
        };
        // A set that has nothing left is no attribute any more.
        Ok(match (before, value) {
            (Value::SS(a), Value::SS(b)) => Some(a - b).filter(|set| !set.is_empty()).map(Value::SS),
            (Value::NS(a), Value::NS(b)) => Some(a - b).filter(|set| !set.is_empty()).map(Value::NS),
            (Value::BS(a), Value::BS(b)) => Some(a - b).filter(|set| !set.is_empty()).map(Value::BS),
            _ => return Err(self.wrong_type()),
        })
    }

    /// What `ReturnValues` of `UPDATED_OLD` or `UPDATED_NEW` gives of the item before or after.
    pub fn updated(&self, item: &Item) -> Item {
        Projection::of(self.actions.iter().map(|action| action.path().clone())).project(item)
    }
}

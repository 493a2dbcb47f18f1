//! Document paths: a way from an item to a value inside it.

use super::syntax;
use crate::value::{Item, Value};
use std::collections::HashMap;
use std::fmt;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Element {
    /// An attribute of the item, or a member of a map.
    Name(String),
    /// A place in a list.
    Index(usize),
}

/// A way from an item to a value inside it; begins with an attribute's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path {
    root: String,
    rest: Vec<Element>,
}

impl Path {
    /// The path of a whole attribute.
    pub fn attribute(name: impl Into<String>) -> Self {
        Self { root: name.into(), rest: Vec::new() }
    }

    /// The path that begins with this attribute and goes on so.
    pub fn new(root: impl Into<String>, rest: Vec<Element>) -> Self {
        Self { root: root.into(), rest }
    }

    /// The attribute that it begins with.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// What follows the attribute.
    pub fn rest(&self) -> &[Element] {
        &self.rest
    }

    /// Whether it leads into an attribute.
    pub fn is_nested(&self) -> bool {
        !self.rest.is_empty()
    }

    /// How many steps it has.
    pub fn depth(&self) -> usize {
        1 + self.rest.len()
    }

    /// The value that it leads to.
    pub fn get<'i>(&self, item: &'i Item) -> Option<&'i Value> {
        let root = item.get(&self.root)?;
        self.rest.iter().try_fold(root, |value, element| match (value, element) {
            (Value::M(map), Element::Name(name)) => map.get(name),
            (Value::L(list), Element::Index(index)) => list.get(*index),
            _ => None,
        })
    }

    /// How the two stand in each other's way, if they do.
    fn clash(&self, other: &Self) -> Option<Clash> {
        if self.root != other.root {
            return None;
        }
        for (a, b) in self.rest.iter().zip(&other.rest) {
            match (a, b) {
                (Element::Name(_), Element::Index(_)) | (Element::Index(_), Element::Name(_)) => {
                    return Some(Clash::Conflict);
                }
                (a, b) if a != b => return None,
                _ => {}
            }
        }
        Some(Clash::Overlap)
    }
}

/// What is wrong with two paths in one expression.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Clash {
    /// One leads through the other.
    Overlap,
    /// One takes for a list what the other takes for a map.
    Conflict,
}

/// AWS's sentence about the first two paths that stand in each other's way.
pub(crate) fn check_clashes(paths: &[&Path]) -> Result<(), String> {
    let sentence = |what: &str, one: &Path, two: &Path| {
        format!(
            "Two document paths {what} with each other; must remove or rewrite one of these paths; \
             path one: {one}, path two: {two}"
        )
    };
    let mut conflict = None;
    let mut by_root: HashMap<&str, Vec<&Path>> = HashMap::new();
    for path in paths {
        let others = by_root.entry(path.root()).or_default();
        for other in others.iter() {
            match other.clash(path) {
                Some(Clash::Overlap) => return Err(sentence("overlap", other, path)),
                Some(Clash::Conflict) if conflict.is_none() => {
                    conflict = Some(sentence("conflict", other, path));
                }
                _ => {}
            }
        }
        others.push(path);
    }
    conflict.map_or(Ok(()), Err)
}

/// As AWS's messages write it: `[a, [0], b]`.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}", self.root)?;
        for element in &self.rest {
            match element {
                Element::Name(name) => write!(f, ", {name}")?,
                Element::Index(index) => write!(f, ", [{index}]")?,
            }
        }
        f.write_str("]")
    }
}

/// A path whose names have been looked up; `None` for an empty one, which no parser makes.
pub(crate) fn resolved<E>(
    path: &syntax::Path,
    mut lookup: impl FnMut(&str) -> Result<String, E>,
) -> Result<Path, E> {
    let mut out = Path { root: String::new(), rest: Vec::with_capacity(path.len().saturating_sub(1)) };
    for (i, part) in path.iter().enumerate() {
        let element = match part {
            syntax::Part::Plain(name) => Element::Name(name.clone()),
            syntax::Part::Placeholder(name) => Element::Name(lookup(name)?),
            syntax::Part::Index(index) => Element::Index(*index as usize),
        };
        match element {
            Element::Name(name) if i == 0 => out.root = name,
            element => out.rest.push(element),
        }
    }
    Ok(out)
}

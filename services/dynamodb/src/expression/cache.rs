//! Expressions that were read lately. Applications use few, again and again, with other values.

use super::syntax::{Action, Condition, Path};
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::Arc;

/// An expression that reads well, and passed what can be checked without names and values.
pub(crate) enum Syntax {
    Condition(Condition),
    Update(Vec<Action>),
    Projection(Vec<Path>),
}

/// Which grammar a text was read by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grammar {
    Condition,
    Update,
    Projection,
}

/// Expressions by their text, in two generations: what the older one has and nobody asked for is forgotten when the
/// younger one is full. At most twice [`GENERATION`] are kept, of at most 4 KiB each.
#[derive(Default)]
pub(crate) struct Cache {
    generations: [RwLock<Generations>; 3],
}

#[derive(Default)]
struct Generations {
    young: HashMap<String, Arc<Syntax>>,
    old: HashMap<String, Arc<Syntax>>,
}

const GENERATION: usize = 1024;

impl Cache {
    /// The expression of this text, read with `read` unless it is known.
    pub(crate) fn get(
        &self,
        grammar: Grammar,
        text: &str,
        read: impl FnOnce() -> Result<Syntax, String>,
    ) -> Result<Arc<Syntax>, String> {
        let generations = &self.generations[grammar as usize];
        let known = {
            let generations = generations.read();
            if let Some(found) = generations.young.get(text) {
                return Ok(found.clone());
            }
            generations.old.get(text).cloned()
        };
        let syntax = match known {
            Some(known) => known,
            None => Arc::new(read()?),
        };
        let mut generations = generations.write();
        if generations.young.len() >= GENERATION {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.young.insert(text.to_owned(), syntax.clone());
        Ok(syntax)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_is_forgotten() {
        let cache = Cache::default();
        let read = |_: &str| Ok(Syntax::Projection(Vec::new()));
        for i in 0..5 * GENERATION {
            cache.get(Grammar::Projection, &i.to_string(), || read("")).unwrap();
            cache
                .get(Grammar::Projection, "often", || if i == 0 { read("") } else { panic!("forgotten") })
                .unwrap();
        }
        let generations = cache.generations[Grammar::Projection as usize].read();
        assert!(generations.young.len() + generations.old.len() <= 2 * GENERATION + 1);
    }
}

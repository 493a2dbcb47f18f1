//! The model's constraints as statics that schemas point to.

use crate::model::Node;
use crate::names;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The distinct constraints met so far; equal ones share a static.
#[derive(Default)]
pub(crate) struct Pool {
    numbers: BTreeMap<String, usize>,
}

impl Pool {
    /// The setter call that gives a schema the constraints of `target`, or nothing where it has none.
    pub(crate) fn setter(&mut self, target: Node<'_>, required: bool) -> String {
        let kind = target.kind();
        // Whether a structure's `min` could be meant is moot: only these have a length or a value.
        let bounded = !matches!(kind, "structure" | "boolean" | "timestamp");
        let bound = |name: &str| target.number(name).filter(|_| bounded);
        let pattern = target.text("pattern").filter(|_| kind == "string");
        let values = if kind == "string" { target.list("enum") } else { Vec::new() };
        let (min, max) = (bound("min"), bound("max"));
        if !required && min.is_none() && max.is_none() && pattern.is_none() && values.is_empty() {
            return String::new();
        }
        let body = format!(
            "required: {required}, min: {min:?}, max: {max:?}, pattern: {}, values: &{values:?}, sensitive: {}",
            pattern.map_or_else(|| "None".to_owned(), |p| format!("Some({})", names::lit(p))),
            target.flag("sensitive")
        );
        let next = self.numbers.len();
        let number = *self.numbers.entry(body).or_insert(next);
        format!(".with_traits(&T{number})")
    }

    /// Writes the statics.
    pub(crate) fn write(&self, out: &mut String) {
        for (body, number) in &self.numbers {
            let _ = writeln!(
                out,
                "static R{number}: Rules = Rules {{ {body}, compiled: OnceLock::new() }};\n\
                 static T{number}: LazyLock<TraitMap> = LazyLock::new(|| trait_map(&R{number}));"
            );
        }
    }
}

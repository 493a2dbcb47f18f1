//! Expressions: what a condition, a filter, a key condition, a projection and an update say about an item.
//!
//! A request's placeholders are taken by [`Parameters::new`]; its expressions are then read with the methods of
//! [`Parameters`] in AWS's order (update, condition, key condition, filter, projection), and [`Parameters::finish`]
//! refuses what none of them used. `lexer` and `parser` turn text into `syntax`, which `cache` remembers; `checks` says
//! what is wrong with it by itself; `bind` puts names and values in. `legacy` makes the same trees from the parameters
//! that came before expressions.
//!
//! Source: Developer Guide, "Expressions"; the order of errors is the service's own.

pub(crate) mod bind;
mod cache;
mod checks;
mod condition;
mod key;
pub mod legacy;
mod lexer;
mod parameters;
mod parser;
pub(crate) mod path;
mod projection;
mod reserved;
mod syntax;
#[cfg(test)]
pub(crate) mod tests;
mod update;

use crate::value::invalid;
use cache::{Cache, Grammar, Syntax};
use cloudlet_service::Error;
use parser::Parser;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

pub use condition::{Condition, Filter, Operand};
pub use key::{KeyCondition, KeyPredicate, KeyQuery, KeySchema};
pub use parameters::Parameters;
pub use path::{Element, Path};
pub use projection::Projection;
pub use syntax::Comparator;
pub use update::{Action, Assigned, Source, Update};

/// Which parameter of a request an expression is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Update,
    Condition,
    KeyCondition,
    Filter,
    Projection,
}

impl Purpose {
    fn parameter(self) -> &'static str {
        match self {
            Purpose::Update => "UpdateExpression",
            Purpose::Condition => "ConditionExpression",
            Purpose::KeyCondition => "KeyConditionExpression",
            Purpose::Filter => "FilterExpression",
            Purpose::Projection => "ProjectionExpression",
        }
    }

    fn refusal(self, message: &str) -> Error {
        invalid(format!("Invalid {}: {message}", self.parameter()))
    }
}

static CACHE: LazyLock<Cache> = LazyLock::new(Cache::default);

fn read_condition(text: &str, purpose: Purpose) -> Result<Arc<Syntax>, String> {
    CACHE.get(Grammar::Condition, text, || {
        let (condition, notes) = Parser::condition(text)?;
        checks::condition(&condition, &notes, purpose)?;
        Ok(Syntax::Condition(condition))
    })
}

fn read_update(text: &str) -> Result<Arc<Syntax>, String> {
    CACHE.get(Grammar::Update, text, || {
        let (actions, sections, notes) = Parser::update(text)?;
        checks::update(&actions, &sections, &notes)?;
        Ok(Syntax::Update(actions))
    })
}

fn read_projection(text: &str) -> Result<Arc<Syntax>, String> {
    CACHE.get(Grammar::Projection, text, || {
        let paths = Parser::projection(text)?;
        checks::projection(&paths)?;
        Ok(Syntax::Projection(paths))
    })
}

type Names = BTreeMap<String, String>;

/// The attributes that an expression reads or writes, as far as it can be read.
fn attributes_of(syntax: Result<Arc<Syntax>, String>, names: Option<&Names>) -> Vec<String> {
    let mut out = Vec::new();
    let Ok(syntax) = syntax else { return out };
    let mut take = |path: &syntax::Path| {
        out.extend(match path.first() {
            Some(syntax::Part::Plain(name)) => Some(name.clone()),
            Some(syntax::Part::Placeholder(name)) => names.and_then(|names| names.get(name)).cloned(),
            _ => None,
        });
        Ok(())
    };
    // None of the visits fails.
    let _ = match &*syntax {
        Syntax::Condition(condition) => checks::condition_paths(condition, &mut take),
        Syntax::Update(actions) => checks::each_path(actions, &mut take),
        Syntax::Projection(paths) => paths.iter().try_for_each(take),
    };
    out
}

/// The attributes that a condition, a filter or a key condition reads.
pub(crate) fn condition_attributes(text: &str, names: Option<&Names>) -> Vec<String> {
    attributes_of(read_condition(text, Purpose::Condition), names)
}

/// The attributes that an update reads or writes.
pub(crate) fn update_attributes(text: &str, names: Option<&Names>) -> Vec<String> {
    attributes_of(read_update(text), names)
}

/// The attributes of which a projection wants something.
pub(crate) fn projection_attributes(text: &str, names: Option<&Names>) -> Vec<String> {
    attributes_of(read_projection(text), names)
}

impl Parameters {
    /// Reads an `UpdateExpression`.
    pub fn update(&mut self, text: &str) -> Result<Update, Error> {
        let actions = read_update(text).and_then(|syntax| match &*syntax {
            Syntax::Update(actions) => bind::update(actions, self),
            _ => Ok(Vec::new()),
        });
        actions.map(Update::new).map_err(|message| Purpose::Update.refusal(&message))
    }

    /// Reads a `ConditionExpression`.
    pub fn condition(&mut self, text: &str) -> Result<Condition, Error> {
        self.condition_for(text, Purpose::Condition)
    }

    /// Reads a `FilterExpression`.
    pub fn filter(&mut self, text: &str) -> Result<Filter, Error> {
        self.condition_for(text, Purpose::Filter)
    }

    /// Reads a `KeyConditionExpression`.
    pub fn key_condition(&mut self, text: &str) -> Result<KeyCondition, Error> {
        KeyCondition::from_condition(self.condition_for(text, Purpose::KeyCondition)?)
    }

    fn condition_for(&mut self, text: &str, purpose: Purpose) -> Result<Condition, Error> {
        let condition = read_condition(text, purpose).and_then(|syntax| match &*syntax {
            Syntax::Condition(condition) => bind::condition(condition, self),
            _ => Ok(Condition::And(Vec::new())),
        });
        condition.map_err(|message| purpose.refusal(&message))
    }

    /// Reads a `ProjectionExpression`.
    pub fn projection(&mut self, text: &str) -> Result<Projection, Error> {
        let paths = read_projection(text).and_then(|syntax| match &*syntax {
            Syntax::Projection(paths) => bind::projection(paths, self),
            _ => Ok(Vec::new()),
        });
        paths.map(Projection::of).map_err(|message| Purpose::Projection.refusal(&message))
    }
}

/// Which expressions and which of the older parameters a request has, in AWS's order and spelling.
///
/// Errors: both kinds in one request; names or values without an expression that could use them.
pub fn check_kinds(
    expressions: &[(&str, bool)],
    legacy: &[(&str, bool)],
    has_names: bool,
    has_values: bool,
) -> Result<(), Error> {
    let given = |list: &[(&str, bool)]| -> Vec<String> {
        list.iter().filter(|(_, given)| *given).map(|(name, _)| (*name).to_owned()).collect()
    };
    let (new, mut old) = (given(expressions), given(legacy));
    if !new.is_empty() {
        // A query may take its keys the old way as long as it does nothing the new way with them.
        if !new.iter().any(|name| name == "KeyConditionExpression") {
            old.retain(|name| name != "KeyConditions");
        }
        if !old.is_empty() {
            return Err(invalid(format!(
                "Can not use both expression and non-expression parameters in the same request: \
                 Non-expression parameters: {{{}}} Expression parameters: {{{}}}",
                old.join(", "),
                new.join(", ")
            )));
        }
    }
    if has_names && new.is_empty() {
        return Err(invalid("ExpressionAttributeNames can only be specified when using expressions"));
    }
    let takes_values = || expressions.iter().filter(|(name, _)| *name != "ProjectionExpression");
    if has_values && takes_values().all(|(_, given)| !given) {
        let missing: Vec<String> = takes_values().map(|(name, _)| format!("{name} is null")).collect();
        let missing = match missing.split_last() {
            Some((_, [])) | None => missing.join(""),
            Some(_) => missing.join(" and "),
        };
        return Err(invalid(format!(
            "ExpressionAttributeValues can only be specified when using expressions: {missing}"
        )));
    }
    Ok(())
}

/// Refuses paths that lead into a key attribute of the table or of one of its indexes: keys are scalars.
pub fn check_nested_keys<'p, 'k>(
    paths: impl IntoIterator<Item = &'p Path> + Clone,
    table_keys: impl IntoIterator<Item = &'k str>,
    index_keys: impl IntoIterator<Item = &'k str>,
) -> Result<(), Error> {
    let nested = |key: &str| paths.clone().into_iter().any(|path| path.is_nested() && path.root() == key);
    let refusal = |what: &str, key: &str| {
        Err(invalid(format!(
            "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: \
             {what}: {key}"
        )))
    };
    for key in table_keys {
        if nested(key) {
            return refusal("Key", key);
        }
    }
    for key in index_keys {
        if nested(key) {
            return refusal("IndexKey", key);
        }
    }
    Ok(())
}

/// Refuses a filter of a query that reads a key attribute of what is queried.
pub fn check_filter_keys<'k>(filter: &Filter, keys: impl IntoIterator<Item = &'k str>) -> Result<(), Error> {
    let paths = filter.paths();
    for key in keys {
        if paths.iter().any(|path| path.root() == key) {
            return Err(invalid(format!(
                "Filter Expression can only contain non-primary key attributes: Primary key attribute: {key}"
            )));
        }
    }
    Ok(())
}

/// The sentence as PutItem and UpdateItem say it, which put what is wrong with their parameters into the frame of the
/// model's constraints. What is wrong with a value's own shape (its type, its number, its depth) stays as it is, and so
/// does what is wrong only with the item that is there.
pub fn framed(error: Error) -> Error {
    if crate::value::is_about_shape(error.message()) {
        return error;
    }
    invalid(format!("1 validation error detected: {}", error.message()))
}

//! Records and what a path in them comes to.

use super::Refused;
use super::parse::Step;
use super::value::Value;
use super::words::refused;
use serde_json::Value as Json;
use std::collections::HashMap;
use std::sync::Arc;

/// One record of the input.
pub(super) enum Record {
    Fields { fields: Vec<String>, header: Option<Arc<Header>> },
    Json(Json),
}

/// The names of a CSV file's columns.
pub(super) struct Header {
    pub(super) names: Vec<String>,
    exact: HashMap<String, usize>,
    /// In small letters; `None` where several names are alike but for their case.
    folded: HashMap<String, Option<usize>>,
}

impl Header {
    pub(super) fn new(names: Vec<String>) -> Self {
        let (mut exact, mut folded) = (HashMap::new(), HashMap::new());
        for (index, name) in names.iter().enumerate() {
            exact.entry(name.clone()).or_insert(index);
            folded.entry(name.to_lowercase()).and_modify(|found| *found = None).or_insert(Some(index));
        }
        Self { names, exact, folded }
    }
}

/// All columns of a record, with their names.
pub(super) fn whole(record: &Record) -> Vec<(String, Value)> {
    match record {
        Record::Json(Json::Object(map)) => map.iter().map(|(k, v)| (k.clone(), Value::of(v))).collect(),
        Record::Json(other) => vec![("_1".to_owned(), Value::of(other))],
        Record::Fields { fields, header } => {
            let name = |index: usize| header.as_ref().and_then(|h| h.names.get(index).cloned());
            let numbered = |(index, field): (usize, &String)| {
                (name(index).unwrap_or_else(|| format!("_{}", index + 1)), Value::Field(field.clone()))
            };
            fields.iter().enumerate().map(numbered).collect()
        }
    }
}

/// What the path leads to in a document.
pub(super) fn walk(json: &Json, steps: &[Step]) -> Value {
    let mut at = json;
    for step in steps {
        let next = match step {
            Step::Name(name, true) => at.get(name),
            Step::Name(name, false) => at.get(name).or_else(|| {
                at.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
            }),
            Step::Index(index) => at.get(index),
            Step::All => Some(at),
        };
        match next {
            Some(next) => at = next,
            None => return Value::Missing,
        }
    }
    Value::of(at)
}

/// The column that the path names.
pub(super) fn field(fields: &[String], header: Option<&Header>, steps: &[Step]) -> Result<Value, Refused> {
    let [Step::Name(name, exact)] = steps else {
        let message = "The SQL expression contains a path that a CSV file does not have.";
        return Err(Refused::new("ParseInvalidPathComponent", message));
    };
    let place = |index: usize| Ok(fields.get(index).map_or(Value::Missing, |f| Value::Field(f.clone())));
    if let Some(header) = header {
        let found = match exact {
            true => header.exact.get(name).copied().map(Some),
            false => header.folded.get(&name.to_lowercase()).copied(),
        };
        match found {
            Some(Some(index)) => return place(index),
            Some(None) => return Err(refused("AmbiguousFieldName")),
            None => {}
        }
    }
    match name.strip_prefix('_').and_then(|n| n.parse::<usize>().ok()) {
        Some(number) if number > 0 => place(number - 1),
        _ if header.is_some() => Err(Refused::new(
            "MissingHeaders",
            "Some headers in the query are missing from the file. Check the file and try again.",
        )),
        _ => Err(Refused::new(
            "InvalidColumnIndex",
            "The column index in the SQL expression is not valid. Check the service documentation and try again.",
        )),
    }
}

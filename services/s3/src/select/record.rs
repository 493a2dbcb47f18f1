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
    Fields {
        fields: Vec<String>,
        header: Option<Arc<Header>>,
    },
    Json(Json),
    /// Where a document has not what the query is about.
    Missing,
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

    fn has(&self, name: &str) -> bool {
        self.folded.contains_key(&name.to_lowercase())
    }
}

/// All columns of a record, with their names.
pub(super) fn whole(record: &Record) -> Vec<(String, Value)> {
    match record {
        Record::Json(Json::Object(map)) => map.iter().map(|(k, v)| (k.clone(), Value::of(v))).collect(),
        Record::Missing => Vec::new(),
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

/// What the path leads to in a document. Errors: `AmbiguousFieldName`.
pub(super) fn walk(json: &Json, steps: &[Step]) -> Result<Value, Refused> {
    let mut at = json;
    for step in steps {
        let next = match step {
            Step::Name(name, true) => at.get(name),
            Step::Name(name, false) => match at.as_object() {
                Some(map) => any_case(map, name)?.and_then(|key| map.get(key)),
                None => None,
            },
            Step::Index(index) => at.get(index),
            Step::All | Step::Star => Some(at),
        };
        match next {
            Some(next) => at = next,
            None => return Ok(Value::Missing),
        }
    }
    Ok(Value::of(at))
}

/// The key of this name in any case. Errors: `AmbiguousFieldName` where there are several.
pub(super) fn any_case<'j>(
    map: &'j serde_json::Map<String, Json>,
    name: &str,
) -> Result<Option<&'j str>, Refused> {
    let mut found = map.keys().filter(|key| key.eq_ignore_ascii_case(name));
    match (found.next(), found.next()) {
        (Some(_), Some(_)) => Err(refused("AmbiguousFieldName")),
        (first, _) => Ok(first.map(String::as_str)),
    }
}

/// The column that the path names, which began with the source's own name or not.
/// Errors: `InvalidKeyPath`, `EvaluatorBindingDoesNotExist`, `AmbiguousFieldName`, `MissingHeaders`, `InvalidColumnIndex`.
pub(super) fn field(
    fields: &[String],
    header: Option<&Header>,
    steps: &[Step],
    ours: bool,
) -> Result<Value, Refused> {
    let (name, exact) = match steps {
        [Step::Name(name, exact)] => (name, exact),
        // A name that is no column's, before one that may be.
        [Step::Name(name, _), Step::Name(..)] if !ours && header.is_none_or(|h| !h.has(name)) => {
            return Err(refused("EvaluatorBindingDoesNotExist"));
        }
        [] => return Err(refused("EvaluatorBindingDoesNotExist")),
        _ => return Err(refused("InvalidKeyPath")),
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
        _ if header.is_some() => Err(refused("MissingHeaders")),
        _ => Err(refused("InvalidColumnIndex")),
    }
}

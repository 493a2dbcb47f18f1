//! AWS's description of a service, as botocore carries it. Source: botocore's `service-2.json` files and
//! `botocore.model`.

use serde_json::{Map, Value};

pub(crate) struct Model {
    root: Value,
}

/// A shape or a reference to one: a JSON object with typed looks into it.
#[derive(Clone, Copy)]
pub(crate) struct Node<'a>(pub(crate) &'a Value);

impl<'a> Node<'a> {
    pub(crate) fn text(self, key: &str) -> Option<&'a str> {
        self.0.get(key)?.as_str()
    }

    pub(crate) fn flag(self, key: &str) -> bool {
        self.0.get(key).and_then(Value::as_bool).unwrap_or(false)
    }

    pub(crate) fn number(self, key: &str) -> Option<i64> {
        let value = self.0.get(key)?;
        value.as_i64().or_else(|| value.as_f64().map(|f| f as i64))
    }

    pub(crate) fn get(self, key: &str) -> Option<Node<'a>> {
        self.0.get(key).map(Node)
    }

    pub(crate) fn list(self, key: &str) -> Vec<&'a str> {
        let items = self.0.get(key).and_then(Value::as_array);
        items.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    pub(crate) fn kind(self) -> &'a str {
        self.text("type").unwrap_or_else(|| panic!("a shape has a type: {}", self.0))
    }

    /// The members of a structure, in the model's order, as (name, reference).
    pub(crate) fn members(self) -> Vec<(&'a str, Node<'a>)> {
        let members = self.0.get("members").and_then(Value::as_object);
        members.into_iter().flatten().map(|(name, v)| (name.as_str(), Node(v))).collect()
    }

    /// The shape that a reference names.
    pub(crate) fn target(self) -> &'a str {
        self.text("shape").unwrap_or_else(|| panic!("a reference names a shape: {}", self.0))
    }
}

impl Model {
    pub(crate) fn parse(text: &str, overrides: Option<&str>) -> Self {
        let mut root: Value = serde_json::from_str(text).expect("the model is JSON");
        if let Some(text) = overrides {
            merge(&mut root, serde_json::from_str(text).expect("overrides.json is JSON"));
        }
        Self { root }
    }

    pub(crate) fn metadata(&self) -> Node<'_> {
        Node(&self.root["metadata"])
    }

    pub(crate) fn operations(&self) -> &Map<String, Value> {
        self.root["operations"].as_object().expect("a model has operations")
    }

    pub(crate) fn operation(&self, name: &str) -> Node<'_> {
        Node(&self.operations()[name])
    }

    pub(crate) fn shape(&self, name: &str) -> Node<'_> {
        let shape = self.root["shapes"].get(name);
        Node(shape.unwrap_or_else(|| panic!("the model lacks shape {name}")))
    }

    pub(crate) fn protocols(&self) -> Vec<&str> {
        let metadata = self.metadata();
        let mut protocols = metadata.list("protocols");
        if protocols.is_empty() {
            protocols.extend(metadata.text("protocol"));
        }
        if metadata.get("awsQueryCompatible").is_some() && !protocols.contains(&"query") {
            protocols.push("query");
        }
        protocols
    }

    /// Whether errors are known by their `error.code` first, as in the query protocols.
    pub(crate) fn speaks_query_first(&self) -> bool {
        matches!(self.protocols().first(), Some(&("query" | "ec2")))
    }
}

/// Merges objects key by key; `null` removes, everything else replaces.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                if value.is_null() {
                    into.shift_remove(&key);
                } else {
                    merge(into.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (into, from) => *into = from,
    }
}

//! What policies of one type come to for an account: those of the root, then those of each unit on the way, then the
//! account's own, each changing what it inherits.
//!
//! Source: Organizations User Guide, "Understanding management policy inheritance" and "Inheritance operators".

use serde_json::{Map, Value};

/// Which operators later levels may use.
const CONTROL: &str = "@@operators_allowed_for_child_policies";

/// One element of the merged policy.
#[derive(Default)]
struct Node {
    children: Vec<(String, Node)>,
    value: Option<Value>,
    /// The operators that are left to the level at hand; `None` is all of them.
    allowed: Option<Vec<String>>,
    /// What the level at hand leaves to those below.
    control: Option<Vec<String>>,
}

/// Merges levels of policies from the root down; `None` where there is none.
pub(crate) fn merge(levels: &[Vec<String>]) -> Option<Value> {
    let mut root = Node::default();
    for level in levels {
        for text in level {
            if let Ok(policy) = serde_json::from_str::<Map<String, Value>>(text) {
                root.apply(&policy, None);
            }
        }
        root.settle();
    }
    levels.iter().any(|level| !level.is_empty()).then(|| root.shown())
}

impl Node {
    fn apply(&mut self, policy: &Map<String, Value>, above: Option<&[String]>) {
        let left = narrower(above, self.allowed.as_deref());
        let may = |operator: &str| {
            left.as_ref().is_none_or(|left| left.iter().any(|known| known == operator || known == "@@all"))
        };
        for (key, value) in policy {
            match key.as_str() {
                CONTROL => self.control = Some(list(value).iter().map(text).collect()),
                "@@assign" if may(key) => self.value = Some(value.clone()),
                "@@append" if may(key) => {
                    let mut values = self.value.as_ref().map(list).unwrap_or_default();
                    for value in list(value) {
                        if !values.contains(&value) {
                            values.push(value);
                        }
                    }
                    self.value = Some(Value::Array(values));
                }
                "@@remove" if may(key) => {
                    let gone = list(value);
                    let mut values = self.value.as_ref().map(list).unwrap_or_default();
                    values.retain(|value| !gone.contains(value));
                    self.value = Some(Value::Array(values));
                }
                operator if operator.starts_with("@@") => {}
                // A level that may use no operator adds no elements either.
                _ if left.as_ref().is_some_and(|left| left.iter().all(|known| known == "@@none"))
                    && !self.children.iter().any(|(known, _)| known == key) => {}
                _ => {
                    let child = self.child(key);
                    match value {
                        Value::Object(object) => child.apply(object, left.as_deref()),
                        plain if may("@@assign") => child.value = Some(plain.clone()),
                        _ => {}
                    }
                }
            }
        }
    }

    fn child(&mut self, name: &str) -> &mut Node {
        let at = self.children.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            self.children.push((name.to_owned(), Node::default()));
            self.children.len() - 1
        });
        &mut self.children[at].1
    }

    /// What a level said about those below counts from here on.
    fn settle(&mut self) {
        if let Some(control) = self.control.take() {
            self.allowed = narrower(self.allowed.as_deref(), Some(&control));
        }
        self.children.iter_mut().for_each(|(_, child)| child.settle());
    }

    fn shown(self) -> Value {
        match self.value {
            Some(value) => value,
            None => {
                let children = self.children.into_iter().map(|(name, child)| (name, child.shown()));
                Value::Object(children.collect())
            }
        }
    }
}

/// What both leave.
fn narrower(one: Option<&[String]>, other: Option<&[String]>) -> Option<Vec<String>> {
    let all = |list: &[String]| list.iter().any(|operator| operator == "@@all");
    match (one, other) {
        (None, None) => None,
        (Some(list), None) | (None, Some(list)) => Some(list.to_vec()),
        (Some(one), Some(other)) if all(other) => Some(one.to_vec()),
        (Some(one), Some(other)) if all(one) => Some(other.to_vec()),
        (Some(one), Some(other)) => Some(one.iter().filter(|known| other.contains(known)).cloned().collect()),
    }
}

fn list(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(values) => values.clone(),
        value => vec![value.clone()],
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(levels: &[&str]) -> String {
        let levels: Vec<Vec<String>> = levels.iter().map(|text| vec![(*text).to_owned()]).collect();
        merge(&levels).unwrap().to_string()
    }

    #[test]
    fn levels_assign_append_and_remove() {
        let root = r#"{"tags":{"cost":{"tag_key":{"@@assign":"Cost"},"tag_value":{"@@assign":["a","b"]}}}}"#;
        let unit = r#"{"tags":{"cost":{"tag_value":{"@@append":["c","a"],"@@remove":["b"]}},"team":{"tag_key":{"@@assign":"Team"}}}}"#;
        assert_eq!(
            merged(&[root, unit]),
            r#"{"tags":{"cost":{"tag_key":"Cost","tag_value":["a","c"]},"team":{"tag_key":"Team"}}}"#
        );
        assert_eq!(merge(&[Vec::new(), Vec::new()]), None);
    }

    #[test]
    fn a_level_keeps_those_below_from_changing_it() {
        let root = r#"{"tags":{"@@operators_allowed_for_child_policies":["@@none"],"cost":{"tag_key":{"@@assign":"Cost"}}}}"#;
        let unit =
            r#"{"tags":{"cost":{"tag_key":{"@@assign":"COST"}},"team":{"tag_key":{"@@assign":"Team"}}}}"#;
        assert_eq!(merged(&[root, unit]), r#"{"tags":{"cost":{"tag_key":"Cost"}}}"#);
        let root = r#"{"a":{"v":{"@@operators_allowed_for_child_policies":["@@append"],"@@assign":["x"]}}}"#;
        let unit = r#"{"a":{"v":{"@@assign":["y"]}}}"#;
        let last = r#"{"a":{"v":{"@@append":["z"]}}}"#;
        assert_eq!(merged(&[root, unit, last]), r#"{"a":{"v":["x","z"]}}"#);
    }
}

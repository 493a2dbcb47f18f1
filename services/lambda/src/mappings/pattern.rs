//! Event patterns: which records a mapping's filters let through.
//!
//! A pattern is an object whose leaves are lists of tests: `{"body": {"kind": ["a", {"prefix": "b"}]}}`. All fields must
//! match, any test of a leaf may.
//! Source: Developer Guide, "Control which events Lambda sends to your function", "Filter rule syntax"; EventBridge User
//! Guide, "Event patterns".

use serde_json::{Map, Value};

/// A pattern that was checked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pattern(Node);

#[derive(Debug, Clone, PartialEq)]
enum Node {
    /// All fields, and one of each list of alternatives.
    Fields { fields: Vec<(String, Node)>, any: Vec<Vec<Node>> },
    /// One of the tests.
    Tests(Vec<Test>),
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    /// The value itself; numbers by value, text by its characters.
    Is(Value),
    IgnoreCase(String),
    Prefix(String),
    PrefixIgnoreCase(String),
    Suffix(String),
    SuffixIgnoreCase(String),
    /// None of these tests.
    Not(Vec<Test>),
    /// All comparisons.
    Numeric(Vec<(Order, f64)>),
    Exists(bool),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Numbers in `numeric` are at most this far from zero. Source: EventBridge, "Numeric matching".
const FARTHEST: f64 = 5.0e9;

impl Pattern {
    /// Reads a pattern; `None` where it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match serde_json::from_str(text).ok()? {
            Value::Object(object) => Some(Self(fields(&object)?)),
            _ => None,
        }
    }

    /// Whether an event is let through.
    pub(crate) fn matches(&self, event: &Value) -> bool {
        self.0.matches(Some(event))
    }
}

fn fields(object: &Map<String, Value>) -> Option<Node> {
    let (mut fields_, mut any) = (Vec::new(), Vec::new());
    for (name, value) in object {
        match value {
            Value::Array(list) if name == "$or" && list.len() > 1 && list.iter().all(Value::is_object) => {
                let branches = list.iter().map(|v| fields(v.as_object()?)).collect::<Option<Vec<_>>>()?;
                any.push(branches);
            }
            Value::Object(inner) => fields_.push((name.clone(), fields(inner)?)),
            Value::Array(list) if !list.is_empty() => {
                let tests = list.iter().map(test).collect::<Option<Vec<_>>>()?;
                fields_.push((name.clone(), Node::Tests(tests)));
            }
            // A value that stands alone, or no test at all.
            _ => return None,
        }
    }
    Some(Node::Fields { fields: fields_, any })
}

fn test(value: &Value) -> Option<Test> {
    let Value::Object(object) = value else {
        return (!value.is_array()).then(|| Test::Is(value.clone()));
    };
    let mut entries = object.iter();
    let (Some((name, operand)), None) = (entries.next(), entries.next()) else { return None };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let ignoring = |value: &Value| {
        let inner = value.as_object().filter(|o| o.len() == 1)?;
        text(inner.get("equals-ignore-case")?)
    };
    Some(match name.as_str() {
        "exists" => Test::Exists(operand.as_bool()?),
        "prefix" => match ignoring(operand) {
            Some(prefix) => Test::PrefixIgnoreCase(prefix),
            None => Test::Prefix(text(operand)?),
        },
        "suffix" => match ignoring(operand) {
            Some(suffix) => Test::SuffixIgnoreCase(suffix),
            None => Test::Suffix(text(operand)?),
        },
        "equals-ignore-case" => Test::IgnoreCase(text(operand)?),
        "numeric" => Test::Numeric(comparisons(operand.as_array()?)?),
        "anything-but" => Test::Not(refused(operand)?),
        _ => return None,
    })
}

/// What `anything-but` excludes: a value, a list of them, or one of the tests of text.
fn refused(operand: &Value) -> Option<Vec<Test>> {
    match operand {
        Value::Array(list) if !list.is_empty() => {
            let plain =
                |value: &Value| (value.is_string() || value.is_number()).then(|| Test::Is(value.clone()));
            list.iter().map(plain).collect()
        }
        Value::Object(object) => {
            let (name, inner) = object.iter().next().filter(|_| object.len() == 1)?;
            let texts: Vec<String> = match inner {
                Value::String(text) => vec![text.clone()],
                Value::Array(list) if !list.is_empty() => {
                    list.iter().map(|v| v.as_str().map(str::to_owned)).collect::<Option<_>>()?
                }
                _ => return None,
            };
            let make: fn(String) -> Test = match name.as_str() {
                "prefix" => Test::Prefix,
                "suffix" => Test::Suffix,
                "equals-ignore-case" => Test::IgnoreCase,
                _ => return None,
            };
            Some(texts.into_iter().map(make).collect())
        }
        Value::String(_) | Value::Number(_) => Some(vec![Test::Is(operand.clone())]),
        _ => None,
    }
}

/// `["=", 1]` or `[">", 0, "<=", 5]`.
fn comparisons(list: &[Value]) -> Option<Vec<(Order, f64)>> {
    if !matches!(list.len(), 2 | 4) {
        return None;
    }
    list.chunks(2)
        .map(|pair| {
            let order = match pair.first()?.as_str()? {
                "=" => Order::Equal,
                "<" => Order::Less,
                "<=" => Order::LessOrEqual,
                ">" => Order::Greater,
                ">=" => Order::GreaterOrEqual,
                _ => return None,
            };
            let bound = pair.get(1)?.as_f64().filter(|bound| bound.abs() <= FARTHEST)?;
            Some((order, bound))
        })
        .collect()
}

impl Node {
    fn matches(&self, value: Option<&Value>) -> bool {
        match self {
            Self::Tests(tests) => tests.iter().any(|test| test.passes(value)),
            Self::Fields { fields, any } => match value {
                // Of a list, one element must match as a whole.
                Some(Value::Array(list)) => list.iter().any(|item| self.matches(Some(item))),
                _ => {
                    fields.iter().all(|(name, node)| node.matches(value.and_then(|v| v.get(name))))
                        && any.iter().all(|branches| branches.iter().any(|branch| branch.matches(value)))
                }
            },
        }
    }
}

impl Test {
    fn passes(&self, value: Option<&Value>) -> bool {
        if let Self::Exists(wanted) = self {
            // Only leaves exist for a filter.
            return value.is_some_and(|v| !v.is_object()) == *wanted;
        }
        match value {
            Some(Value::Array(list)) => match self {
                // Not one of the elements may be excluded.
                Self::Not(_) => list.iter().all(|item| self.passes_one(item)),
                _ => list.iter().any(|item| self.passes_one(item)),
            },
            Some(value) => self.passes_one(value),
            None => false,
        }
    }

    fn passes_one(&self, value: &Value) -> bool {
        let text = value.as_str();
        match self {
            Self::Is(wanted) => same(wanted, value),
            Self::IgnoreCase(wanted) => text.is_some_and(|t| lower(t) == lower(wanted)),
            Self::Prefix(prefix) => text.is_some_and(|t| t.starts_with(prefix.as_str())),
            Self::PrefixIgnoreCase(prefix) => text.is_some_and(|t| lower(t).starts_with(&lower(prefix))),
            Self::Suffix(suffix) => text.is_some_and(|t| t.ends_with(suffix.as_str())),
            Self::SuffixIgnoreCase(suffix) => text.is_some_and(|t| lower(t).ends_with(&lower(suffix))),
            Self::Not(tests) => !value.is_object() && !tests.iter().any(|test| test.passes_one(value)),
            Self::Numeric(comparisons) => value.as_f64().is_some_and(|number| {
                comparisons.iter().all(|(order, bound)| match order {
                    Order::Equal => number == *bound,
                    Order::Less => number < *bound,
                    Order::LessOrEqual => number <= *bound,
                    Order::Greater => number > *bound,
                    Order::GreaterOrEqual => number >= *bound,
                })
            }),
            Self::Exists(_) => false,
        }
    }
}

fn lower(text: &str) -> String {
    text.to_lowercase()
}

fn same(wanted: &Value, value: &Value) -> bool {
    match (wanted.as_f64(), value.as_f64()) {
        (Some(wanted), Some(value)) => wanted == value,
        _ => wanted == value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn patterns_match_as_event_bridge_does() {
        let event = json!({"a": "x", "n": 5, "l": ["p", "q"], "e": "", "z": null, "o": {"b": true, "c": [{"d": 1}, {"d": 2}]}});
        for (pattern, expected) in [
            (json!({}), true),
            (json!({"a": ["x"]}), true),
            (json!({"a": ["y", "x"]}), true),
            (json!({"a": ["X"]}), false),
            (json!({"a": [{"equals-ignore-case": "X"}]}), true),
            (json!({"a": ["x"], "n": [6]}), false),
            (json!({"n": [5.0]}), true),
            (json!({"l": ["q"]}), true),
            (json!({"l": ["r"]}), false),
            (json!({"e": [""]}), true),
            (json!({"z": [null]}), true),
            (json!({"a": [null]}), false),
            (json!({"o": {"b": [true]}}), true),
            (json!({"o": {"c": {"d": [2]}}}), true),
            (json!({"o": {"c": {"d": [3]}}}), false),
            (json!({"o": [{"exists": true}]}), false),
            (json!({"a": [{"exists": true}]}), true),
            (json!({"q": [{"exists": false}]}), true),
            (json!({"q": {"r": [{"exists": false}]}}), true),
            (json!({"a": [{"exists": false}]}), false),
            (json!({"a": [{"prefix": "x"}]}), true),
            (json!({"a": [{"suffix": "y"}]}), false),
            (json!({"a": [{"prefix": {"equals-ignore-case": "X"}}]}), true),
            (json!({"a": [{"anything-but": "x"}]}), false),
            (json!({"a": [{"anything-but": ["y", "z"]}]}), true),
            (json!({"a": [{"anything-but": {"prefix": "x"}}]}), false),
            (json!({"q": [{"anything-but": "x"}]}), false),
            (json!({"l": [{"anything-but": "p"}]}), false),
            (json!({"n": [{"numeric": [">", 0, "<=", 5]}]}), true),
            (json!({"n": [{"numeric": ["<", 5]}]}), false),
            (json!({"a": [{"numeric": ["=", 5]}]}), false),
            (json!({"$or": [{"a": ["y"]}, {"n": [5]}]}), true),
            (json!({"$or": [{"a": ["y"]}, {"n": [6]}]}), false),
            (json!({"a": ["y"], "$or": [{"a": ["x"]}, {"n": [5]}]}), false),
        ] {
            let compiled = Pattern::parse(&pattern.to_string()).unwrap_or_else(|| panic!("{pattern}"));
            assert_eq!(compiled.matches(&event), expected, "{pattern}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for bad in [
            "",
            "[]",
            "\"a\"",
            "{",
            r#"{"a": "x"}"#,
            r#"{"a": 1}"#,
            r#"{"a": []}"#,
            r#"{"a": [[1]]}"#,
            r#"{"a": [{"wildcards": "x"}]}"#,
            r#"{"a": [{"prefix": 1}]}"#,
            r#"{"a": [{"prefix": "a", "suffix": "b"}]}"#,
            r#"{"a": [{"numeric": [">"]}]}"#,
            r#"{"a": [{"numeric": ["!", 1]}]}"#,
            r#"{"a": [{"numeric": [">", 1e300]}]}"#,
            r#"{"a": [{"exists": "yes"}]}"#,
            r#"{"a": [{}]}"#,
            &"{\"a\":".repeat(10_000),
        ] {
            assert!(Pattern::parse(bad).is_none(), "{bad:.40}");
        }
    }
}

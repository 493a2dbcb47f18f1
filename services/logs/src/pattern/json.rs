//! Patterns over JSON events: `{ $.a = 1 && ($.b[0].c = "x*" || $.d IS NULL) }`.

use super::cursor::Cursor;
use super::test::Test;
use super::{DEPTH, PatternError};
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Debug)]
pub(super) enum Expression {
    And(Vec<Expression>),
    Or(Vec<Expression>),
    Is(Selector, Check),
}

#[derive(Debug)]
pub(super) enum Check {
    Passes(Test),
    Null,
    True,
    False,
    NotExists,
    Exists,
}

/// `$.a['b'].c[0]` or `[*]`.
#[derive(Debug)]
pub(super) struct Selector {
    written: String,
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    Member(String),
    Index(usize),
    Any,
}

pub(super) fn parse(text: &str) -> Result<Expression, PatternError> {
    let mut cursor = Cursor::new(text);
    cursor.expect("{")?;
    let expression = either(&mut cursor, 0)?;
    cursor.expect("}")?;
    cursor.skip_space();
    match cursor.peek() {
        None => Ok(expression),
        Some(_) => Err(cursor.error("the end of the pattern")),
    }
}

fn either(cursor: &mut Cursor<'_>, depth: usize) -> Result<Expression, PatternError> {
    let mut all = vec![both(cursor, depth)?];
    while cursor.take("||") {
        all.push(both(cursor, depth)?);
    }
    Ok(if all.len() == 1 { all.remove(0) } else { Expression::Or(all) })
}

fn both(cursor: &mut Cursor<'_>, depth: usize) -> Result<Expression, PatternError> {
    let mut all = vec![one(cursor, depth)?];
    while cursor.take("&&") {
        all.push(one(cursor, depth)?);
    }
    Ok(if all.len() == 1 { all.remove(0) } else { Expression::And(all) })
}

fn one(cursor: &mut Cursor<'_>, depth: usize) -> Result<Expression, PatternError> {
    if depth > DEPTH {
        return Err(cursor.error("fewer nested parentheses"));
    }
    if cursor.take("(") {
        let inner = either(cursor, depth + 1)?;
        cursor.expect(")")?;
        return Ok(inner);
    }
    let selector = selector(cursor)?;
    let check = if cursor.take_words(&["IS", "NULL"]) {
        Check::Null
    } else if cursor.take_words(&["IS", "TRUE"]) {
        Check::True
    } else if cursor.take_words(&["IS", "FALSE"]) {
        Check::False
    } else if cursor.take_words(&["NOT", "EXISTS"]) {
        Check::NotExists
    } else if cursor.take_words(&["EXISTS"]) {
        Check::Exists
    } else {
        Check::Passes(Test::read(cursor, &['}', ')', '&', '|'])?)
    };
    Ok(Expression::Is(selector, check))
}

fn selector(cursor: &mut Cursor<'_>) -> Result<Selector, PatternError> {
    cursor.expect("$")?;
    let mut written = "$".to_owned();
    let mut steps = Vec::new();
    loop {
        match cursor.peek() {
            Some('.') => {
                cursor.next();
                if cursor.peek() == Some('[') {
                    continue;
                }
                let name = cursor.word(|c| ".[=!<>)}&|".contains(c));
                if name.is_empty() {
                    return Err(cursor.error("a property's name"));
                }
                written.push('.');
                written.push_str(&name);
                steps.push(Step::Member(name));
            }
            Some('[') => {
                cursor.next();
                let inside = match cursor.peek() {
                    Some(quote @ ('\'' | '"')) => {
                        cursor.next();
                        let mut name = String::new();
                        while let Some(c) = cursor.next() {
                            if c == quote {
                                break;
                            }
                            name.push(c);
                        }
                        written.push_str(&format!("['{name}']"));
                        Step::Member(name)
                    }
                    _ => {
                        let word = cursor.word(|c| c == ']');
                        written.push_str(&format!("[{word}]"));
                        match word.parse() {
                            _ if word == "*" => Step::Any,
                            Ok(index) => Step::Index(index),
                            Err(_) => return Err(cursor.error("an index")),
                        }
                    }
                };
                cursor.expect("]")?;
                steps.push(inside);
            }
            _ if steps.is_empty() => return Err(cursor.error("a selector such as $.name")),
            _ => return Ok(Selector { written, steps }),
        }
    }
}

impl Selector {
    fn find<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        let mut found = vec![value];
        for step in &self.steps {
            found = match step {
                Step::Member(name) => found.into_iter().filter_map(|v| v.get(name)).collect(),
                Step::Index(index) => found.into_iter().filter_map(|v| v.get(index)).collect(),
                Step::Any => found.into_iter().filter_map(Value::as_array).flatten().collect(),
            };
        }
        found
    }
}

impl Expression {
    pub(super) fn holds(&self, value: &Value) -> bool {
        match self {
            Self::And(all) => all.iter().all(|e| e.holds(value)),
            Self::Or(all) => all.iter().any(|e| e.holds(value)),
            Self::Is(selector, check) => {
                let found = selector.find(value);
                match check {
                    Check::NotExists => found.is_empty(),
                    Check::Exists => !found.is_empty(),
                    Check::Null => found.iter().any(|v| v.is_null()),
                    Check::True => found.iter().any(|v| **v == Value::Bool(true)),
                    Check::False => found.iter().any(|v| **v == Value::Bool(false)),
                    Check::Passes(test) => found.iter().any(|v| test.passes(v)),
                }
            }
        }
    }

    pub(super) fn extract(&self, value: &Value) -> BTreeMap<String, String> {
        let mut out = BTreeMap::new();
        self.collect(value, &mut out);
        out
    }

    fn collect(&self, value: &Value, out: &mut BTreeMap<String, String>) {
        match self {
            Self::And(all) | Self::Or(all) => all.iter().for_each(|e| e.collect(value, out)),
            Self::Is(selector, _) => {
                if let Some(found) = selector.find(value).first() {
                    let text = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
                    out.insert(selector.written.clone(), text);
                }
            }
        }
    }
}

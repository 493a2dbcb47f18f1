//! Patterns over fields that are separated by space: `[ip, user, ..., status = 4*, bytes > 1000]`. A field in quotes
//! or in square brackets is one field.

use super::PatternError;
use super::cursor::Cursor;
use super::test::Test;
use std::collections::BTreeMap;

/// How many columns a pattern may have.
const MOST: usize = 100;

#[derive(Debug)]
pub(super) struct Columns {
    before: Vec<Column>,
    /// Those after `...`, where the pattern has one.
    after: Option<Vec<Column>>,
}

#[derive(Debug, Default)]
struct Column {
    name: String,
    /// Alternatives of conditions that must hold together.
    tests: Vec<Vec<Test>>,
}

pub(super) fn parse(text: &str) -> Result<Columns, PatternError> {
    let mut cursor = Cursor::new(text);
    cursor.expect("[")?;
    let mut columns = Columns { before: Vec::new(), after: None };
    loop {
        if cursor.take("...") {
            if columns.after.is_some() {
                return Err(cursor.error("one ellipsis only"));
            }
            columns.after = Some(Vec::new());
        } else {
            let column = column(&mut cursor)?;
            columns.after.as_mut().unwrap_or(&mut columns.before).push(column);
        }
        if columns.before.len() + columns.after.as_ref().map_or(0, Vec::len) > MOST {
            return Err(cursor.error("fewer fields"));
        }
        if cursor.take("]") {
            cursor.skip_space();
            return if cursor.peek().is_none() {
                Ok(columns)
            } else {
                Err(cursor.error("the end of the pattern"))
            };
        }
        cursor.expect(",")?;
    }
}

const ENDS: &[char] = &[',', ']', '&', '|', ')'];

fn column(cursor: &mut Cursor<'_>) -> Result<Column, PatternError> {
    let name = name(cursor);
    let mut tests = Vec::new();
    cursor.skip_space();
    if cursor.peek().is_some_and(|c| "=!<>".contains(c)) {
        let mut together = vec![Test::read(cursor, ENDS)?];
        loop {
            let and = cursor.take("&&");
            if !and && !cursor.take("||") {
                break;
            }
            let again = self::name(cursor);
            if again != name {
                return Err(cursor.error("the same field's name again"));
            }
            if !and {
                tests.push(std::mem::take(&mut together));
            }
            together.push(Test::read(cursor, ENDS)?);
        }
        tests.push(together);
    }
    Ok(Column { name, tests })
}

fn name(cursor: &mut Cursor<'_>) -> String {
    cursor.skip_space();
    cursor.word(|c| ENDS.contains(&c) || "=!<>".contains(c))
}

impl Column {
    fn passes(&self, field: &str) -> bool {
        self.tests.is_empty()
            || self.tests.iter().any(|together| together.iter().all(|test| test.passes_text(field)))
    }
}

impl Columns {
    /// The columns with their fields, or nothing where their numbers do not fit.
    fn align<'a, 'm>(&'a self, fields: &[&'m str]) -> Option<Vec<(&'a Column, &'m str)>> {
        let tail = self.after.as_deref().unwrap_or_default();
        let fits = match self.after {
            None => fields.len() == self.before.len(),
            Some(_) => fields.len() >= self.before.len() + tail.len(),
        };
        if !fits {
            return None;
        }
        let head = self.before.iter().zip(fields.iter().copied());
        let tail = tail.iter().zip(fields[fields.len() - tail.len()..].iter().copied());
        Some(head.chain(tail).collect())
    }

    pub(super) fn matches(&self, message: &str) -> bool {
        self.align(&split(message)).is_some_and(|all| all.iter().all(|(column, field)| column.passes(field)))
    }

    pub(super) fn extract(&self, message: &str) -> BTreeMap<String, String> {
        let fields = split(message);
        let aligned = self.align(&fields).unwrap_or_default();
        aligned.into_iter().map(|(column, field)| (format!("${}", column.name), field.to_owned())).collect()
    }
}

fn split(message: &str) -> Vec<&str> {
    let mut fields = Vec::new();
    let mut rest = message.trim_start();
    while let Some(first) = rest.chars().next() {
        let close = match first {
            '"' => Some('"'),
            '[' => Some(']'),
            _ => None,
        };
        if let Some(close) = close
            && let Some(end) = rest[1..].find(close)
        {
            fields.push(&rest[1..=end]);
            rest = rest[end + 2..].trim_start();
            continue;
        }
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        fields.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    fields
}

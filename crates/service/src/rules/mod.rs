//! The model's constraints, checked once for every protocol by walking the value with its schema.
//!
//! The words are AWS's: `2 validation errors detected: Value null at 'tableName' failed to satisfy constraint:
//! Member must not be null; Value …`. Source: the answers of awsJson and restJson services to such calls.

mod violations;

pub use violations::{Violation, Violations};

use crate::shape::Structure;
use aws_smithy_schema::extension::SchemaExtensionKey;
use aws_smithy_schema::serde::{SerdeError, SerializableStruct, ShapeSerializer};
use aws_smithy_schema::{Schema, ShapeId, Trait, TraitMap, shape_id};
use aws_smithy_types::{BigDecimal, BigInteger, Blob, DateTime, Document};
use regex::Regex;
use std::any::Any;
use std::fmt::Write;
use std::sync::OnceLock;

/// What the model demands of a member.
#[derive(Debug, Default)]
pub struct Rules {
    /// It must be there.
    pub required: bool,
    /// The least length (text in characters, blobs in bytes, lists and maps in entries) or value.
    pub min: Option<i64>,
    /// The greatest.
    pub max: Option<i64>,
    /// A regular expression that the whole text must match.
    pub pattern: Option<&'static str>,
    /// The values that an enumeration has.
    pub values: &'static [&'static str],
    /// Whether the value must not appear in messages.
    pub sensitive: bool,
    #[doc(hidden)]
    pub compiled: OnceLock<Option<Regex>>,
}

impl Rules {
    /// What is demanded of text, in the order in which AWS says it.
    fn sentence(&self) -> String {
        let mut parts = Vec::new();
        parts.extend(self.max.map(|max| format!("Member must have length less than or equal to {max}")));
        parts.extend(self.min.map(|min| format!("Member must have length greater than or equal to {min}")));
        parts.extend(self.pattern.map(|p| format!("Member must satisfy regular expression pattern: {p}")));
        if !self.values.is_empty() {
            parts.push(format!("Member must satisfy enum value set: [{}]", enumeration(self.values)));
        }
        parts.join(", ")
    }
}

/// The values of an enumeration in the order in which AWS lists them: that of a hash table of 32 buckets over Java's
/// hash of strings, the latest first within a bucket.
fn enumeration(values: &[&str]) -> String {
    let bucket = |value: &&str| {
        value.encode_utf16().fold(0u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit))) % 32
    };
    let mut sorted: Vec<&str> = values.iter().rev().copied().collect();
    sorted.sort_by_key(bucket);
    sorted.join(", ")
}

const RULES_TRAIT: ShapeId<'static> = shape_id!("cloudlet", "rules");

#[derive(Debug)]
struct RulesTrait(&'static Rules);

impl Trait for RulesTrait {
    fn trait_id(&self) -> &ShapeId<'static> {
        static ID: ShapeId<'static> = RULES_TRAIT;
        &ID
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The trait map that carries `rules` on a schema; generated code names it.
pub fn trait_map(rules: &'static Rules) -> TraitMap {
    let mut map = TraitMap::new();
    map.insert(Box::new(RulesTrait(rules)));
    map
}

static RULES: SchemaExtensionKey<Option<&'static Rules>> = SchemaExtensionKey::new(|schema| {
    let found = schema.traits()?.get(&RULES_TRAIT)?;
    found.as_any().downcast_ref::<RulesTrait>().map(|t| t.0)
});

/// The members of a structure that must be there, by index.
static REQUIRED: SchemaExtensionKey<Vec<usize>> = SchemaExtensionKey::new(|schema| {
    let required = |member: &&Schema<'_>| {
        let rules = member.traits().and_then(|t| t.get(&RULES_TRAIT));
        rules.and_then(|r| r.as_any().downcast_ref::<RulesTrait>()).is_some_and(|r| r.0.required)
    };
    schema.members().iter().enumerate().filter(|(_, m)| required(m)).map(|(i, _)| i).collect()
});

/// The rules that a schema carries.
pub fn of(schema: &Schema<'_>) -> Option<&'static Rules> {
    *schema.extension(&RULES)
}

/// Checks a value against the constraints in its schema.
pub fn check(value: &dyn Structure) -> Result<(), Violations> {
    let mut checker = Checker::default();
    // The checker itself never fails, and generated code only passes errors through.
    let _ = checker.structure(value);
    if checker.violations.is_empty() { Ok(()) } else { Err(Violations(checker.violations)) }
}

/// The text of a top-level member, by its name in the model: how resource templates are filled.
pub fn text_member(value: &dyn Structure, name: &str) -> Option<String> {
    let mut picker = Checker { pick: Some(name.to_owned()), ..Checker::default() };
    let _ = value.serialize_members(&mut picker);
    picker.picked
}

/// How many violations are reported; further ones add nothing for the reader.
const MOST: usize = 20;

#[derive(Default)]
enum Place {
    #[default]
    Structure,
    List(usize),
    Key,
    Value(String),
}

#[derive(Default)]
struct Checker {
    path: String,
    place: Place,
    seen: Vec<bool>,
    violations: Vec<Violation>,
    pick: Option<String>,
    picked: Option<String>,
    /// Collects the texts of a list instead of checking them.
    gathered: Option<Vec<String>>,
}

/// A list as AWS prints it, where it is one of texts and short.
fn printed(write: &dyn Fn(&mut dyn ShapeSerializer) -> Result<(), SerdeError>) -> String {
    let mut gatherer = Checker { gathered: Some(Vec::new()), ..Checker::default() };
    let _ = write(&mut gatherer);
    match gatherer.gathered.filter(|texts| !texts.is_empty() && texts.len() <= MOST) {
        Some(texts) => format!("[{}]", texts.join(", ")),
        None => "[...]".to_owned(),
    }
}

impl Checker {
    fn structure(&mut self, value: &dyn SerializableStruct) -> Result<(), SerdeError> {
        let schema = value.schema();
        let seen = std::mem::replace(&mut self.seen, vec![false; schema.members().len()]);
        let place = std::mem::take(&mut self.place);
        let result = value.serialize_members(self);
        self.place = place;
        let seen = std::mem::replace(&mut self.seen, seen);
        for &index in schema.extension(&REQUIRED) {
            if !seen.get(index).copied().unwrap_or(true)
                && let Some(name) = schema.member_schema_by_index(index).and_then(Schema::member_name)
            {
                let mark = self.enter_name(name);
                self.report(name, None, true, "Member must not be null".to_owned());
                self.path.truncate(mark);
            }
        }
        result
    }

    /// Notes that a member is present and adds its segment to the path; gives the length to go back to.
    fn enter(&mut self, schema: &Schema<'_>) -> usize {
        let mark = self.path.len();
        match &mut self.place {
            Place::Structure => {
                if let Some(seen) = schema.member_index().and_then(|i| self.seen.get_mut(i)) {
                    *seen = true;
                }
                if let Some(name) = schema.member_name() {
                    return self.enter_name(name);
                }
            }
            Place::List(index) => {
                *index += 1;
                let _ = write!(self.path, ".{index}.member");
            }
            Place::Key => {}
            Place::Value(key) => {
                let key = std::mem::take(key);
                let _ = write!(self.path, ".{key}.member");
                self.place = Place::Key;
            }
        }
        mark
    }

    fn enter_name(&mut self, name: &str) -> usize {
        let mark = self.path.len();
        if mark > 0 {
            self.path.push('.');
        }
        // AWS writes paths in lower camel case whatever the member's own case is.
        let mut chars = name.chars();
        self.path.extend(chars.next().map(|c| c.to_ascii_lowercase()));
        self.path.push_str(chars.as_str());
        mark
    }

    fn report(&mut self, member: &str, value: Option<String>, absent: bool, constraint: String) {
        if self.violations.len() < MOST {
            // A key has no place of its own: the map is what breaks the constraint.
            let constraint = match self.place {
                Place::Key => format!("Map keys must satisfy constraint: [{constraint}]"),
                _ => constraint,
            };
            let violation = Violation {
                path: self.path.clone(),
                member: member.to_owned(),
                value,
                constraint,
                absent,
                list: None,
                all: None,
            };
            self.violations.push(violation);
        }
    }

    fn bounds(&mut self, schema: &Schema<'_>, size: i64, what: &str, shown: impl FnOnce() -> String) {
        let Some(rules) = of(schema) else { return };
        let constraint = match (rules.min, rules.max) {
            (Some(min), _) if size < min => format!("Member must have {what} greater than or equal to {min}"),
            (_, Some(max)) if size > max => format!("Member must have {what} less than or equal to {max}"),
            _ => return,
        };
        let value = (!rules.sensitive).then(shown);
        self.report(schema.member_name().unwrap_or_default(), value, false, constraint);
    }

    fn text(&mut self, schema: &Schema<'_>, value: &str) {
        let Some(rules) = of(schema) else { return };
        let name = schema.member_name().unwrap_or_default();
        let before = self.violations.len();
        let shown = || (!rules.sensitive).then(|| value.chars().take(1024).collect::<String>());
        if !rules.values.is_empty() && !rules.values.contains(&value) {
            let set = enumeration(rules.values);
            self.report(name, shown(), false, format!("Member must satisfy enum value set: [{set}]"));
        }
        if rules.min.is_some() || rules.max.is_some() {
            self.bounds(schema, value.chars().count() as i64, "length", || {
                value.chars().take(1024).collect()
            });
        }
        if let Some(pattern) = rules.pattern
            && let Some(regex) = rules.compiled.get_or_init(|| compile(pattern))
            && (!regex.is_match(value) || is_refused_number(pattern, value))
        {
            self.report(
                name,
                shown(),
                false,
                format!("Member must satisfy regular expression pattern: {pattern}"),
            );
        }
        for violation in self.violations.iter_mut().skip(before) {
            violation.all = Some(rules.sentence());
        }
    }

    fn number(&mut self, schema: &Schema<'_>, value: i64) {
        let mark = self.enter(schema);
        self.bounds(schema, value, "value", || value.to_string());
        self.path.truncate(mark);
    }

    fn collection(
        &mut self,
        schema: &Schema<'_>,
        size: i64,
        inside: Place,
        write: &dyn Fn(&mut dyn ShapeSerializer) -> Result<(), SerdeError>,
    ) -> Result<(), SerdeError> {
        if self.pick.is_some() {
            return Ok(());
        }
        let mark = self.enter(schema);
        let list = matches!(inside, Place::List(_));
        self.bounds(schema, size, "length", || match (size, list) {
            (0, true) => "[]".to_owned(),
            (0, false) => "{}".to_owned(),
            (_, true) => printed(write),
            (_, false) => "[...]".to_owned(),
        });
        let place = std::mem::replace(&mut self.place, inside);
        let before = self.violations.len();
        let result = write(self);
        self.place = place;
        if list && self.violations.len() > before {
            let name = schema.member_name().unwrap_or_default();
            let item = |path: &str| {
                let rest = path.strip_prefix(&*self.path)?.strip_prefix('.')?.strip_suffix(".member")?;
                rest.bytes().all(|b| b.is_ascii_digit()).then_some(())
            };
            for violation in self.violations.iter_mut().skip(before).filter(|v| item(&v.path).is_some()) {
                violation.member = name.to_owned();
                violation.list = Some(printed(write));
            }
        }
        self.path.truncate(mark);
        result
    }
}

/// The only look-ahead that models use in more than one place: names that are no numbers.
const NO_NUMBER: [&str; 2] = ["(?!^[0-9]+$)", r"(?!^\d+$)"];

fn is_refused_number(pattern: &str, value: &str) -> bool {
    !value.is_empty()
        && value.bytes().all(|b| b.is_ascii_digit())
        && NO_NUMBER.iter().any(|ahead| pattern.contains(ahead))
}

/// Compiles one of the model's patterns, which are Java's; `None` where it uses what this engine lacks
/// (look-ahead, back references), and the service itself must check.
fn compile(pattern: &str) -> Option<Regex> {
    let plain = NO_NUMBER.iter().fold(pattern.to_owned(), |plain, ahead| plain.replace(ahead, ""));
    regex::RegexBuilder::new(&format!("^(?:{})$", ascii_classes(&plain))).size_limit(1 << 20).build().ok()
}

/// Writes out the classes that mean ASCII in Java's patterns, where this engine takes them for Unicode's.
/// Source: java.util.regex.Pattern, "Predefined character classes".
fn ascii_classes(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    let (mut chars, mut in_class) = (pattern.chars(), false);
    while let Some(c) = chars.next() {
        if c != '\\' {
            in_class = match c {
                '[' => true,
                ']' => false,
                _ => in_class,
            };
            out.push(c);
            continue;
        }
        let Some(escaped) = chars.next() else { break };
        let set = match escaped {
            'w' => "0-9A-Za-z_",
            'd' => "0-9",
            's' => "\\t\\n\\x0B\\f\\r ",
            'W' if !in_class => "^0-9A-Za-z_",
            'D' if !in_class => "^0-9",
            'S' if !in_class => "^\\t\\n\\x0B\\f\\r ",
            other => {
                out.push('\\');
                out.push(other);
                continue;
            }
        };
        if in_class {
            out.push_str(set);
        } else {
            out.push('[');
            out.push_str(set);
            out.push(']');
        }
    }
    out
}

/// Counts entries by running the callback on nothing but a counter would need a second pass; generated code
/// always gives the length, so the plain forms are only met by hand-written structures.
impl ShapeSerializer for Checker {
    fn write_struct(
        &mut self,
        schema: &Schema<'_>,
        value: &dyn SerializableStruct,
    ) -> Result<(), SerdeError> {
        if self.pick.is_some() {
            return Ok(());
        }
        let mark = self.enter(schema);
        let result = self.structure(value);
        self.path.truncate(mark);
        result
    }

    fn write_list(
        &mut self,
        schema: &Schema<'_>,
        write: &dyn Fn(&mut dyn ShapeSerializer) -> Result<(), SerdeError>,
    ) -> Result<(), SerdeError> {
        let least = of(schema).and_then(|r| r.min).unwrap_or(0);
        self.collection(schema, least, Place::List(0), write)
    }

    fn write_list_with_length(
        &mut self,
        schema: &Schema<'_>,
        length: usize,
        write: &dyn Fn(&mut dyn ShapeSerializer) -> Result<(), SerdeError>,
    ) -> Result<(), SerdeError> {
        self.collection(schema, length as i64, Place::List(0), write)
    }

    fn write_map(
        &mut self,
        schema: &Schema<'_>,
        write: &dyn Fn(&mut dyn ShapeSerializer) -> Result<(), SerdeError>,
    ) -> Result<(), SerdeError> {
        let least = of(schema).and_then(|r| r.min).unwrap_or(0);
        self.collection(schema, least, Place::Key, write)
    }

    fn write_map_with_length(
        &mut self,
        schema: &Schema<'_>,
        length: usize,
        write: &dyn Fn(&mut dyn ShapeSerializer) -> Result<(), SerdeError>,
    ) -> Result<(), SerdeError> {
        self.collection(schema, length as i64, Place::Key, write)
    }

    fn write_boolean(&mut self, schema: &Schema<'_>, _: bool) -> Result<(), SerdeError> {
        let mark = self.enter(schema);
        self.path.truncate(mark);
        Ok(())
    }

    fn write_byte(&mut self, schema: &Schema<'_>, value: i8) -> Result<(), SerdeError> {
        self.number(schema, value.into());
        Ok(())
    }

    fn write_short(&mut self, schema: &Schema<'_>, value: i16) -> Result<(), SerdeError> {
        self.number(schema, value.into());
        Ok(())
    }

    fn write_integer(&mut self, schema: &Schema<'_>, value: i32) -> Result<(), SerdeError> {
        self.number(schema, value.into());
        Ok(())
    }

    fn write_long(&mut self, schema: &Schema<'_>, value: i64) -> Result<(), SerdeError> {
        self.number(schema, value);
        Ok(())
    }

    fn write_float(&mut self, schema: &Schema<'_>, value: f32) -> Result<(), SerdeError> {
        self.write_double(schema, value.into())
    }

    fn write_double(&mut self, schema: &Schema<'_>, value: f64) -> Result<(), SerdeError> {
        let mark = self.enter(schema);
        // A bound holds for the number itself: what lies beyond it by a fraction breaks it.
        let whole = if value < 0.0 { value.floor() } else { value.ceil() };
        self.bounds(schema, whole as i64, "value", || value.to_string());
        self.path.truncate(mark);
        Ok(())
    }

    fn write_big_integer(&mut self, schema: &Schema<'_>, _: &BigInteger) -> Result<(), SerdeError> {
        self.write_boolean(schema, true)
    }

    fn write_big_decimal(&mut self, schema: &Schema<'_>, _: &BigDecimal) -> Result<(), SerdeError> {
        self.write_boolean(schema, true)
    }

    fn write_string(&mut self, schema: &Schema<'_>, value: &str) -> Result<(), SerdeError> {
        if let Some(gathered) = &mut self.gathered {
            if gathered.len() <= MOST {
                gathered.push(value.chars().take(2048).collect());
            }
            return Ok(());
        }
        if let Some(name) = &self.pick {
            if schema.member_name() == Some(name) {
                self.picked = Some(value.to_owned());
            }
            return Ok(());
        }
        let is_key = matches!(self.place, Place::Key);
        let mark = self.enter(schema);
        self.text(schema, value);
        self.path.truncate(mark);
        if is_key {
            self.place = Place::Value(value.to_owned());
        }
        Ok(())
    }

    fn write_blob(&mut self, schema: &Schema<'_>, value: Blob) -> Result<(), SerdeError> {
        let mark = self.enter(schema);
        let len = value.as_ref().len();
        let shown = || format!("java.nio.HeapByteBuffer[pos=0 lim={len} cap={len}]");
        self.bounds(schema, len as i64, "length", shown);
        self.path.truncate(mark);
        Ok(())
    }

    fn write_timestamp(&mut self, schema: &Schema<'_>, _: &DateTime) -> Result<(), SerdeError> {
        self.write_boolean(schema, true)
    }

    fn write_document(&mut self, schema: &Schema<'_>, _: &Document) -> Result<(), SerdeError> {
        self.write_boolean(schema, true)
    }

    fn write_null(&mut self, schema: &Schema<'_>) -> Result<(), SerdeError> {
        self.write_boolean(schema, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_must_be_no_numbers() {
        for pattern in ["(?!^[0-9]+$)([a-zA-Z0-9-_]+)", r"((?!^\d+$)^[0-9a-zA-Z-_]+$)"] {
            let regex = compile(pattern).unwrap();
            let good = |text: &str| regex.is_match(text) && !is_refused_number(pattern, text);
            assert!(good("a1") && good("1a") && !good("12") && !good("a b") && !good(""), "{pattern}");
        }
    }

    #[test]
    fn java_classes_mean_ascii() {
        let matches = |pattern: &str, text: &str| compile(pattern).unwrap().is_match(text);
        assert!(matches(r"[\w+=,.@-]+", "a_b+c@d-e"));
        assert!(!matches(r"[\w+=,.@-]+", "a/b"));
        assert!(!matches(r"[\w+=,.@-]+", "ä"));
        assert!(matches(r"arn:aws:iam::\d{12}:role/?[a-z]+", "arn:aws:iam::123456789012:role/x"));
        assert!(!matches(r"\d{12}", "12345678901x"));
        assert!(matches(r"[\u0009\u000A\u000D\u0020-\u00FF]+", "hello"));
        assert!(matches(r"\S+", "abc") && !matches(r"\S+", "a c"));
    }

    #[test]
    fn enumerations_stand_in_the_order_of_aws() {
        for known in [
            "SecureString, StringList, String",
            "ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW",
            "HMAC_SHA_384, HMAC_SHA_256, HMAC_SHA_224, HMAC_SHA_512",
            "IN, NULL, BETWEEN, LT, NOT_CONTAINS, EQ, GT, NOT_NULL, NE, LE, BEGINS_WITH, GE, CONTAINS",
        ] {
            let mut values: Vec<&str> = known.split(", ").collect();
            values.reverse();
            assert_eq!(enumeration(&values), known);
        }
    }
}

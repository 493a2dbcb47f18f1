//! Reading the forms of the query protocols: `Tags.member.1.Key=a`, flattened `Tag.1.Key=a`, maps of entries.
//!
//! Source: Smithy, "AWS query protocol" and "AWS EC2 query protocol", serialization of inputs.

use crate::head::Params;
use crate::refusal;
use crate::text::{Given, Place, TextReader, format_of, timestamp};
use aws_smithy_schema::serde::{SerdeError, ShapeDeserializer};
use aws_smithy_schema::{Schema, ShapeType};
use aws_smithy_types::date_time::Format;
use aws_smithy_types::{BigDecimal, BigInteger, Blob, DateTime, Document};
use cloudlet_service::Error;
use std::borrow::Cow;

/// How deep a form may nest; nothing in AWS's models comes near it.
const DEPTH: usize = 24;

/// How many places a form may name in all, so that its tree stays small.
const MOST_NODES: usize = 100_000;

/// The fields of a form as the tree that their dots describe. Children are sorted by name.
#[derive(Debug, Default)]
pub(crate) struct Node<'a> {
    value: Option<&'a str>,
    children: Vec<(&'a str, Node<'a>)>,
}

impl<'a> Node<'a> {
    /// Builds the tree. Errors: fields nested too deep, or one name with two values.
    pub(crate) fn parse(params: &'a Params<'_>) -> Result<Self, Error> {
        let mut fields: Vec<(&str, &str)> = params.0.iter().map(|(n, v)| (n.as_ref(), v.as_ref())).collect();
        fields.sort_by(|(a, _), (b, _)| a.split('.').cmp(b.split('.')));
        let mut root = Self::default();
        let mut nodes = 0;
        for (name, value) in fields {
            let mut node = &mut root;
            for (depth, segment) in name.split('.').enumerate() {
                // The fields are sorted, so the place they share with the one before is always the last.
                if node.children.last().is_none_or(|(last, _)| *last != segment) {
                    nodes += 1;
                    if depth >= DEPTH || nodes > MOST_NODES {
                        return Err(refusal::malformed_form("its parameters nest too deep"));
                    }
                    node.children.push((segment, Self::default()));
                }
                match node.children.last_mut() {
                    Some((_, child)) => node = child,
                    None => break,
                }
            }
            if node.value.is_some_and(|v| v != value) {
                return Err(refusal::duplicate_parameter(name));
            }
            node.value = Some(value);
        }
        Ok(root)
    }

    fn child(&self, name: &str) -> Option<&Self> {
        let at = self.children.binary_search_by(|(n, _)| (*n).cmp(name)).ok()?;
        Some(&self.children[at].1)
    }

    /// The children whose names are numbers, in their order. Gaps mean nothing.
    fn indexed(&self) -> Vec<&Self> {
        let mut found: Vec<(u64, &Self)> =
            self.children.iter().filter_map(|(name, node)| Some((name.parse().ok()?, node))).collect();
        found.sort_by_key(|(n, _)| *n);
        found.into_iter().map(|(_, node)| node).collect()
    }
}

/// Which of the two dialects a form is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Query,
    Ec2,
}

/// Reads a structure from a form.
pub(crate) struct FormReader<'a> {
    pub(crate) node: &'a Node<'a>,
    pub(crate) dialect: Dialect,
}

impl<'a> FormReader<'a> {
    fn at(&self, node: &'a Node<'a>) -> FormReader<'a> {
        FormReader { node, dialect: self.dialect }
    }

    fn member(&self, member: &Schema<'_>) -> Option<&'a Node<'a>> {
        let own = member.member_name().unwrap_or_default();
        match self.dialect {
            // `json_name` carries EC2's `queryName`, or the location name, which is then capitalised.
            Dialect::Ec2 => {
                let xml = member.xml_name().map(|n| n.value());
                let name = match member.json_name().map(|n| n.value()) {
                    Some(name) if xml != Some(name) => Cow::Borrowed(name),
                    Some(name) => capitalised(name),
                    None => xml.map_or_else(|| capitalised(own), capitalised),
                };
                self.node.child(&name)
            }
            // An empty flattened list is written under its own name, its elements under theirs.
            Dialect::Query => {
                let name = member.xml_name().map_or(own, |n| n.value());
                let alias = || if member.xml_flattened() { self.node.child(own) } else { None };
                self.node.child(name).or_else(alias)
            }
        }
    }

    fn scalar(&self) -> Result<TextReader<'a>, SerdeError> {
        match self.node.value {
            Some(text) => Ok(TextReader { given: Given::One(text), place: Place::Query }),
            None => Err(SerdeError::invalid_input("Unexpected complex element")),
        }
    }

    /// The nodes of a list's elements or a map's entries.
    fn items(&self, schema: &Schema<'_>, inner: &str) -> Vec<&'a Node<'a>> {
        if self.dialect == Dialect::Ec2 || schema.xml_flattened() {
            return self.node.indexed();
        }
        match self.node.child(inner) {
            Some(node) => node.indexed(),
            // Old clients write every list as if it were flattened.
            None => self.node.indexed(),
        }
    }
}

fn capitalised(name: &str) -> Cow<'_, str> {
    match name.chars().next() {
        Some(first) if first.is_ascii_lowercase() => {
            Cow::Owned(format!("{}{}", first.to_ascii_uppercase(), &name[first.len_utf8()..]))
        }
        _ => Cow::Borrowed(name),
    }
}

impl ShapeDeserializer for FormReader<'_> {
    fn read_struct(
        &mut self,
        schema: &Schema<'_>,
        consumer: &mut dyn FnMut(&Schema<'_>, &mut dyn ShapeDeserializer) -> Result<(), SerdeError>,
    ) -> Result<(), SerdeError> {
        for member in schema.members() {
            let Some(node) = self.member(member) else { continue };
            if !member.shape_type().is_aggregate() && node.value.is_none() {
                let name = member.member_name().unwrap_or_default();
                return Err(SerdeError::invalid_input(format!("Unexpected complex element for {name}")));
            }
            consumer(member, &mut self.at(node)).map_err(|e| named(member, e))?;
        }
        Ok(())
    }

    fn read_list(
        &mut self,
        schema: &Schema<'_>,
        consumer: &mut dyn FnMut(&mut dyn ShapeDeserializer) -> Result<(), SerdeError>,
    ) -> Result<(), SerdeError> {
        let inner = schema.member().and_then(|m| m.xml_name()).map_or("member", |n| n.value());
        self.items(schema, inner).into_iter().try_for_each(|node| consumer(&mut self.at(node)))
    }

    fn read_map(
        &mut self,
        schema: &Schema<'_>,
        consumer: &mut dyn FnMut(String, &mut dyn ShapeDeserializer) -> Result<(), SerdeError>,
    ) -> Result<(), SerdeError> {
        let key_name = schema.key().and_then(|k| k.xml_name()).map_or("key", |n| n.value());
        let value_name = schema.member().and_then(|v| v.xml_name()).map_or("value", |n| n.value());
        let empty = Node { value: Some(""), children: Vec::new() };
        for entry in self.items(schema, "entry") {
            let Some(key) = entry.child(key_name).and_then(|k| k.value) else {
                return Err(SerdeError::invalid_input(format!("A map entry has no {key_name}")));
            };
            let value = entry.child(value_name).unwrap_or(&empty);
            consumer(key.to_owned(), &mut FormReader { node: value, dialect: self.dialect })?;
        }
        Ok(())
    }

    fn read_boolean(&mut self, schema: &Schema<'_>) -> Result<bool, SerdeError> {
        self.scalar()?.read_boolean(schema)
    }

    fn read_byte(&mut self, schema: &Schema<'_>) -> Result<i8, SerdeError> {
        self.scalar()?.read_byte(schema)
    }

    fn read_short(&mut self, schema: &Schema<'_>) -> Result<i16, SerdeError> {
        self.scalar()?.read_short(schema)
    }

    fn read_integer(&mut self, schema: &Schema<'_>) -> Result<i32, SerdeError> {
        self.scalar()?.read_integer(schema)
    }

    fn read_long(&mut self, schema: &Schema<'_>) -> Result<i64, SerdeError> {
        self.scalar()?.read_long(schema)
    }

    fn read_float(&mut self, schema: &Schema<'_>) -> Result<f32, SerdeError> {
        self.scalar()?.read_float(schema)
    }

    fn read_double(&mut self, schema: &Schema<'_>) -> Result<f64, SerdeError> {
        self.scalar()?.read_double(schema)
    }

    fn read_big_integer(&mut self, schema: &Schema<'_>) -> Result<BigInteger, SerdeError> {
        self.scalar()?.read_big_integer(schema)
    }

    fn read_big_decimal(&mut self, schema: &Schema<'_>) -> Result<BigDecimal, SerdeError> {
        self.scalar()?.read_big_decimal(schema)
    }

    fn read_string(&mut self, schema: &Schema<'_>) -> Result<String, SerdeError> {
        self.scalar()?.read_string(schema)
    }

    fn read_blob(&mut self, schema: &Schema<'_>) -> Result<Blob, SerdeError> {
        self.scalar()?.read_blob(schema)
    }

    fn read_timestamp(&mut self, schema: &Schema<'_>) -> Result<DateTime, SerdeError> {
        let Given::One(text) = self.scalar()?.given else {
            return Err(SerdeError::invalid_input("no timestamp"));
        };
        timestamp(text, format_of(schema, Format::DateTime))
    }

    fn read_document(&mut self, schema: &Schema<'_>) -> Result<Document, SerdeError> {
        self.scalar()?.read_document(schema)
    }

    nothing_to_skip!();
}

/// Says which parameter could not be read.
fn named(member: &Schema<'_>, error: SerdeError) -> SerdeError {
    let name = member.member_name().unwrap_or_default();
    if matches!(
        member.shape_type(),
        ShapeType::Structure | ShapeType::List | ShapeType::Map | ShapeType::Union
    ) {
        return error;
    }
    SerdeError::invalid_input(format!("{name}: {}", refusal::words(&error)))
}

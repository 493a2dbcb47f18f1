//! The HTTP bindings of the REST protocols, in the server's direction.

use crate::head::{Head, Params};
use crate::refusal::{self, BadValue};
use crate::router::Route;
use crate::text::{Given, Place, TextReader};
use crate::{codec, path, s3};
use aws_smithy_schema::extension::SchemaExtensionKey;
use aws_smithy_schema::serde::{SerdeError, ShapeDeserializer};
use aws_smithy_schema::{Schema, ShapeType};
use aws_smithy_types::{BigDecimal, BigInteger, Blob, DateTime, Document};
use bytes::Bytes;
use cloudlet_service::{Error, Protocol, Structure};
use http::HeaderName;
use std::borrow::Cow;

/// Where a member of an input travels.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Binding {
    /// Its name parsed once, for the map of headers.
    Header(HeaderName),
    PrefixHeaders,
    Query,
    QueryParams,
    Label,
    Payload,
    /// A payload that streams, of bytes or of events, which is set once the rest has been read.
    Streaming,
    Body,
}

fn binding(member: &Schema<'_>) -> Binding {
    if let Some(header) = member.http_header() {
        match HeaderName::from_bytes(header.value().as_bytes()) {
            Ok(name) => Binding::Header(name),
            Err(_) => Binding::Body,
        }
    } else if member.http_prefix_headers().is_some() {
        Binding::PrefixHeaders
    } else if member.http_query().is_some() {
        Binding::Query
    } else if member.http_query_params().is_some() {
        Binding::QueryParams
    } else if member.http_label().is_some() {
        Binding::Label
    } else if member.streaming() {
        Binding::Streaming
    } else if member.http_payload().is_some() {
        Binding::Payload
    } else {
        Binding::Body
    }
}

/// The bindings of a structure's members, by index, worked out once.
static BINDINGS: SchemaExtensionKey<Vec<Binding>> =
    SchemaExtensionKey::new(|schema| schema.members().iter().map(|m| binding(m)).collect());

/// For each member the one that the body means by its name. A member that travels elsewhere may have the name that
/// another has in the body: API Gateway's `httpMethod` is a label and, as `integrationHttpMethod`, a body member.
static IN_BODY: SchemaExtensionKey<Vec<Option<usize>>> = SchemaExtensionKey::new(|schema| {
    let all = schema.members();
    let in_body = |m: &Schema<'_>| binding(m) == Binding::Body;
    let named = |m: &Schema<'_>, name: Option<&str>| {
        m.json_name().map(|n| n.value()) == name || m.xml_name().map(|n| n.value()) == name
    };
    let meant = |(index, member): (usize, &&Schema<'_>)| {
        if in_body(member) {
            return Some(index);
        }
        all.iter().position(|other| in_body(other) && named(other, member.member_name()))
    };
    all.iter().enumerate().map(meant).collect()
});

pub(super) fn read(route: &Route, head: &Head<'_>, body: &Bytes) -> Result<Box<dyn Structure>, Error> {
    if route.protocol == Protocol::RestXml && codec::has_doctype(body) && !streams(route) {
        let refused = SerdeError::invalid_input("document type declarations are refused");
        return Err(bad_document(route, &refused, &[]));
    }
    if !body.is_empty() && s3::is(route.api) && !s3::has_shape(route.operation(), body) {
        let refused = SerdeError::invalid_input("the document has another shape");
        return Err(bad_document(route, &refused, &[]));
    }
    let mut reader = Reader { route, head, body, params: Params::parse(head.query)?, failure: None };
    match (route.operation().read_input)(&mut reader) {
        Ok(input) => Ok(input),
        Err(why) => Err(reader.failure.take().unwrap_or_else(|| bad_document(route, &why, &[]))),
    }
}

/// A body that cannot be read. Of some documents S3 says so under codes of their own.
fn bad_document(route: &Route, why: &SerdeError, rest: &[u8]) -> Error {
    let error = refusal::bad_body(route.protocol, why, rest);
    match s3::is(route.api) {
        true => s3::bad_document(route.operation(), error),
        false => error,
    }
}

fn streams(route: &Route) -> bool {
    matches!(route.operation().input_payload, cloudlet_service::Payload::Stream(_))
}

/// Hands each member to the input from its own place.
struct Reader<'a> {
    route: &'a Route,
    head: &'a Head<'a>,
    body: &'a Bytes,
    params: Params<'a>,
    failure: Option<Error>,
}

type Consumer<'c> = dyn FnMut(&Schema<'_>, &mut dyn ShapeDeserializer) -> Result<(), SerdeError> + 'c;

impl Reader<'_> {
    fn bound(
        &mut self,
        member: &Schema<'_>,
        name: &str,
        given: Given<'_>,
        place: Place,
        consumer: &mut Consumer<'_>,
    ) -> Result<(), SerdeError> {
        let mut reader = TextReader { given, place };
        let result = consumer(member, &mut reader);
        if let Err(why) = &result {
            let value = match reader.given {
                Given::One(value) => value.to_owned(),
                Given::Many(values) => values.join(","),
                Given::Pairs(_) => String::new(),
            };
            let bad = BadValue { name: name.to_owned(), value };
            self.failure = Some(refusal::bad_value(self.route.api, self.route.protocol, bad, why));
        }
        result
    }

    fn header(
        &mut self,
        member: &Schema<'_>,
        name: &HeaderName,
        consumer: &mut Consumer<'_>,
    ) -> Result<(), SerdeError> {
        let Some(value) = header_text(self.head, name) else { return Ok(()) };
        let name = name.as_str();
        let scalar = !member.shape_type().is_aggregate() && member.shape_type() != ShapeType::String;
        if scalar && value.is_empty() {
            return Ok(());
        }
        // RFC 9110, sections 13.1.3 and 13.1.4: a condition whose date is none is ignored.
        let conditional = member.shape_type() == ShapeType::Timestamp && name.starts_with("if-");
        let ignored = conditional || (s3::is(self.route.api) && s3::IGNORED.contains(&name));
        let result = self.bound(member, name, Given::One(&value), Place::Header, consumer);
        if ignored && result.is_err() {
            self.failure = None;
            return Ok(());
        }
        result
    }

    fn prefix_headers(&mut self, member: &Schema<'_>, consumer: &mut Consumer<'_>) -> Result<(), SerdeError> {
        let prefix = member.http_prefix_headers().map_or("", |p| p.value()).to_ascii_lowercase();
        let mut found: Vec<(&str, Cow<'_, str>)> = Vec::new();
        for name in self.head.headers.keys() {
            if let Some(key) = name.as_str().strip_prefix(prefix.as_str())
                && let Some(value) = header_text(self.head, name)
            {
                let value = match s3::is(self.route.api) {
                    true => s3::metadata_value(self.head, name, value),
                    false => value,
                };
                found.push((key, value));
            }
        }
        if found.is_empty() {
            return Ok(());
        }
        let pairs = found.iter().map(|(k, v)| (*k, vec![v.as_ref()])).collect();
        self.bound(member, &prefix, Given::Pairs(pairs), Place::Header, consumer)
    }

    fn query(&mut self, member: &Schema<'_>, consumer: &mut Consumer<'_>) -> Result<(), SerdeError> {
        let Some(name) = member.http_query().map(|q| q.value()) else { return Ok(()) };
        let params = std::mem::take(&mut self.params);
        let values: Vec<&str> = params.0.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_ref()).collect();
        let numeric = !member.shape_type().is_aggregate() && member.shape_type() != ShapeType::String;
        let absent = values.is_empty() || (numeric && values.iter().all(|v| v.is_empty()));
        let result = if absent {
            Ok(())
        } else {
            self.bound(member, name, Given::Many(values), Place::Query, consumer)
        };
        self.params = params;
        result
    }

    /// All parameters that are neither bound to a member of their own nor fixed by the operation's URI.
    fn query_params(
        &mut self,
        schema: &Schema<'_>,
        member: &Schema<'_>,
        consumer: &mut Consumer<'_>,
    ) -> Result<(), SerdeError> {
        let (_, literals) = path::parse(self.route.operation().uri);
        let params = std::mem::take(&mut self.params);
        let mut pairs: Vec<(&str, Vec<&str>)> = Vec::new();
        for (name, value) in &params.0 {
            let own = schema.members().iter().any(|m| m.http_query().is_some_and(|q| q.value() == name));
            if own || literals.iter().any(|l| l.name == name) {
                continue;
            }
            match pairs.iter_mut().find(|(n, _)| n == name) {
                Some((_, values)) => values.push(value),
                None => pairs.push((name, vec![value])),
            }
        }
        let result = if pairs.is_empty() {
            Ok(())
        } else {
            self.bound(member, "", Given::Pairs(pairs), Place::Query, consumer)
        };
        self.params = params;
        result
    }

    /// A label of the path. Labels of the host travel in their own places as well.
    fn label(&mut self, member: &Schema<'_>, consumer: &mut Consumer<'_>) -> Result<(), SerdeError> {
        let name = member.member_name().unwrap_or_default();
        let route = self.route;
        match route.labels.get(name) {
            Some(value) => self.bound(member, name, Given::One(value), Place::Query, consumer),
            None => Ok(()),
        }
    }

    fn payload(&mut self, member: &Schema<'_>, consumer: &mut Consumer<'_>) -> Result<(), SerdeError> {
        if self.body.is_empty() {
            return Ok(());
        }
        match member.shape_type() {
            ShapeType::Blob | ShapeType::String => consumer(member, &mut RawReader(self.body)),
            _ => self.body(&mut |de| consumer(member, de)),
        }
    }

    fn body(
        &mut self,
        read: &mut dyn FnMut(&mut dyn ShapeDeserializer) -> Result<(), SerdeError>,
    ) -> Result<(), SerdeError> {
        let (body, route) = (self.body, self.route);
        let (result, rest) = match route.protocol {
            Protocol::RestXml => {
                let plain = codec::without_cdata(body);
                let plain = match s3::is(route.api) {
                    true => s3::with_plain_booleans(route.operation(), plain),
                    false => plain,
                };
                (read(&mut codec::xml(&plain)), &[][..])
            }
            _ => {
                let mut de = codec::json(body);
                let result = read(&mut de);
                (result, &body[de.position().min(body.len())..])
            }
        };
        if let Err(why) = &result {
            self.failure = Some(bad_document(route, why, rest));
        }
        result
    }
}

/// A header's value: repeated ones joined by comma (RFC 9110, section 5.3), bytes that are not UTF-8 as Latin-1.
fn header_text<'a>(head: &Head<'a>, name: &HeaderName) -> Option<Cow<'a, str>> {
    let mut values = head.headers.get_all(name).iter();
    let text = |value: &'a http::HeaderValue| match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(value.as_bytes().iter().map(|&b| char::from(b)).collect()),
    };
    let first = text(values.next()?);
    let mut rest = values.peekable();
    if rest.peek().is_none() {
        return Some(first);
    }
    let mut all = first.into_owned();
    for value in rest {
        all.push_str(", ");
        all.push_str(&text(value));
    }
    Some(Cow::Owned(all))
}

fn only_structures<T>() -> Result<T, SerdeError> {
    Err(SerdeError::unsupported("an input is a structure"))
}

impl ShapeDeserializer for Reader<'_> {
    fn read_struct(
        &mut self,
        schema: &Schema<'_>,
        consumer: &mut dyn FnMut(&Schema<'_>, &mut dyn ShapeDeserializer) -> Result<(), SerdeError>,
    ) -> Result<(), SerdeError> {
        let bindings: &Vec<Binding> = schema.extension(&BINDINGS);
        let mut in_body = false;
        for (member, binding) in schema.members().iter().zip(bindings) {
            match binding {
                Binding::Header(name) => self.header(member, name, consumer)?,
                Binding::PrefixHeaders => self.prefix_headers(member, consumer)?,
                Binding::Query => self.query(member, consumer)?,
                Binding::QueryParams => self.query_params(schema, member, consumer)?,
                Binding::Label => self.label(member, consumer)?,
                Binding::Payload => self.payload(member, consumer)?,
                Binding::Streaming => {}
                Binding::Body => in_body = true,
            }
        }
        if in_body && !self.body.is_empty() {
            // A member that travels elsewhere is not read from the body too.
            let meant: &Vec<Option<usize>> = schema.extension(&IN_BODY);
            return self.body(&mut |de| {
                de.read_struct(schema, &mut |member, de| {
                    let Some(index) = member.member_index() else { return consumer(member, de) };
                    let own =
                        meant.get(index).copied().flatten().and_then(|i| schema.member_schema_by_index(i));
                    match own {
                        Some(own) => consumer(own, de),
                        None => de.skip_value(),
                    }
                })
            });
        }
        Ok(())
    }

    collections_are!(only_structures);

    numbers_are!(only_structures);
    texts_are!(only_structures);
}

/// A payload that is the body itself.
pub(super) struct RawReader<'a>(pub(super) &'a Bytes);

fn only_bytes<T>() -> Result<T, SerdeError> {
    Err(SerdeError::unsupported("a payload is a structure, a text or bytes"))
}

impl ShapeDeserializer for RawReader<'_> {
    structures_are!(only_bytes);

    collections_are!(only_bytes);

    fn read_string(&mut self, _: &Schema<'_>) -> Result<String, SerdeError> {
        String::from_utf8(self.0.to_vec()).map_err(|_| SerdeError::invalid_input("the body is not UTF-8"))
    }

    fn read_blob(&mut self, _: &Schema<'_>) -> Result<Blob, SerdeError> {
        Ok(Blob::new(self.0.to_vec()))
    }

    numbers_are!(only_bytes);
}

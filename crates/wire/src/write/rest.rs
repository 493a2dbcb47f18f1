//! The HTTP bindings of the REST protocols' answers.

use super::millis::Millis;
use super::{bytes_response, content_type, header_value, to_bytes};
use crate::router::Route;
use crate::text::{format_of, join_element, write_timestamp};
use crate::{Payload, Response, codec, s3};
use aws_smithy_schema::codec::FinishSerializer;
use aws_smithy_schema::extension::SchemaExtensionKey;
use aws_smithy_schema::serde::{SerdeError, SerializableStruct, ShapeSerializer};
use aws_smithy_schema::{Schema, ShapeType};
use aws_smithy_types::date_time::Format;
use aws_smithy_types::primitive::Encoder;
use aws_smithy_types::{BigDecimal, BigInteger, Blob, DateTime, Document};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cloudlet_service::{Protocol, Structure};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};

/// Whether a structure has members in its body.
static HAS_BODY: SchemaExtensionKey<bool> =
    SchemaExtensionKey::new(|schema| schema.members().iter().any(|member| in_body(member)));

fn in_body(member: &Schema<'_>) -> bool {
    !(member.has_http_response_binding() || member.streaming())
}

/// Writes an output whose payload is not an event stream.
pub(super) fn write(route: &Route, output: &mut dyn Structure) -> Result<Response, SerdeError> {
    let operation = route.operation();
    let stream = match operation.output_payload {
        cloudlet_service::Payload::Stream(_) => output.take_stream(),
        _ => None,
    };
    let mut bound = bound(route.protocol, s3::is(route.api), output)?;
    // RFC 9110, section 15.3.7; S3's model has no member for it.
    let partial = s3::is(route.api) && bound.headers.contains_key(http::header::CONTENT_RANGE);
    let usual = if s3::is(route.api) { s3::status(operation.name, &mut bound.headers) } else { None };
    let status = bound.status.unwrap_or(if partial { 206 } else { usual.unwrap_or(operation.status) });
    let (kind, payload) = match (stream, bound.payload) {
        (Some(stream), _) => (Some("application/octet-stream"), Payload::Stream(stream)),
        (None, Some((kind, bytes))) => (Some(kind), Payload::Bytes(bytes)),
        (None, None) => {
            let body = body(route, output, status)?;
            let kind = (!body.is_empty()).then(|| content_type(route.protocol));
            (kind, Payload::Bytes(body))
        }
    };
    let mut response = bytes_response(status, None, Bytes::new());
    *response.body_mut() = payload;
    *response.headers_mut() = bound.headers;
    if let Some(kind) = kind {
        response.headers_mut().entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(kind));
    }
    Ok(response)
}

/// The headers of an output with an event stream.
pub(crate) fn headers(route: &Route, output: &dyn Structure) -> Result<HeaderMap, SerdeError> {
    Ok(bound(route.protocol, s3::is(route.api), output)?.headers)
}

fn body(route: &Route, output: &dyn Structure, status: u16) -> Result<Bytes, SerdeError> {
    let schema = output.schema();
    if route.protocol == Protocol::RestXml {
        if !*schema.extension(&HAS_BODY) || status == 204 {
            return Ok(Bytes::new());
        }
        return xml_body(route, output);
    }
    let no_content = matches!(status, 204 | 205 | 304);
    // A payload that is not there is an empty body.
    let payload = schema.members().iter().any(|member| member.http_payload().is_some());
    if no_content || payload {
        return Ok(Bytes::new());
    }
    to_bytes(codec::json_writer(), &InBody(output))
}

fn xml_body(route: &Route, output: &dyn Structure) -> Result<Bytes, SerdeError> {
    let (api, operation, schema) = (route.api, route.operation(), output.schema());
    let namespace = if s3::is(api) { s3::NAMESPACE } else { api.xml_namespace };
    let root = if s3::is(api) { s3::root(operation.name) } else { None };
    let root = root.or(schema.xml_name().map(|n| n.value())).or(schema.original_name());
    let root = root.unwrap_or_else(|| schema.shape_id().shape_name());
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    if schema.xml_unwrapped_output() || (s3::is(api) && operation.name == "GetBucketLocation") {
        let inner = super::members(&InBody(output))?;
        // The one member's own element is the root.
        let inner =
            inner.strip_prefix(&format!("<{root}>")).and_then(|t| t.strip_suffix(&format!("</{root}>")));
        out.push_str(&match inner {
            Some(text) if !text.is_empty() => format!("<{root} xmlns=\"{namespace}\">{text}</{root}>"),
            _ => format!("<{root} xmlns=\"{namespace}\"/>"),
        });
        return Ok(Bytes::from(codec::with_references(out)));
    }
    let mut writer = codec::xml_writer();
    writer.set_next_root_xml_name(root.to_owned());
    if !namespace.is_empty() {
        writer.set_next_root_xml_namespace(namespace.to_owned(), None);
    }
    let body = InBody(output);
    match s3::is(api) {
        true => writer.write_struct(schema, &Millis(&body))?,
        false => writer.write_struct(schema, &body)?,
    }
    out.push_str(&String::from_utf8(writer.finish()).map_err(|e| SerdeError::write_failed(e.to_string()))?);
    Ok(Bytes::from(codec::with_references(out)))
}

/// What of a structure travels outside its body.
#[derive(Debug, Default)]
pub(super) struct Bound {
    pub(super) headers: HeaderMap,
    status: Option<u16>,
    payload: Option<(&'static str, Bytes)>,
}

/// Collects the members that are bound to places of their own.
pub(super) fn bound(
    protocol: Protocol,
    s3: bool,
    value: &dyn SerializableStruct,
) -> Result<Bound, SerdeError> {
    let mut collector = Collector { protocol, s3, bound: Bound::default() };
    if value.schema().members().iter().any(|member| member.http_header().is_some()) {
        // Room for what most answers of objects have, and for what the way out adds: growing costs more than asking.
        collector.bound.headers.reserve(14);
    }
    value.serialize_members(&mut collector)?;
    Ok(collector.bound)
}

/// A structure without the members that travel elsewhere.
pub(crate) struct InBody<'a>(pub(crate) &'a dyn SerializableStruct);

impl SerializableStruct for InBody<'_> {
    fn schema(&self) -> &Schema<'_> {
        self.0.schema()
    }

    fn serialize_members(&self, serializer: &mut dyn ShapeSerializer) -> Result<(), SerdeError> {
        self.0.serialize_members(&mut Filter { inner: serializer, keep: in_body })
    }
}

type Writes<'f> = &'f dyn Fn(&mut dyn ShapeSerializer) -> Result<(), SerdeError>;

/// Passes on the members that are to be kept, and nothing else.
pub(crate) struct Filter<'a> {
    pub(crate) inner: &'a mut dyn ShapeSerializer,
    pub(crate) keep: fn(&Schema<'_>) -> bool,
}

macro_rules! filtered {
    ($($method:ident($ty:ty);)*) => {$(
        fn $method(&mut self, schema: &Schema<'_>, value: $ty) -> Result<(), SerdeError> {
            if (self.keep)(schema) { self.inner.$method(schema, value) } else { Ok(()) }
        }
    )*};
}

impl ShapeSerializer for Filter<'_> {
    filtered! {
        write_struct(&dyn SerializableStruct);
        write_list(Writes<'_>);
        write_map(Writes<'_>);
        write_boolean(bool);
        write_byte(i8);
        write_short(i16);
        write_integer(i32);
        write_long(i64);
        write_float(f32);
        write_double(f64);
        write_big_integer(&BigInteger);
        write_big_decimal(&BigDecimal);
        write_string(&str);
        write_blob(Blob);
        write_timestamp(&DateTime);
        write_document(&Document);
    }

    fn write_list_with_length(
        &mut self,
        schema: &Schema<'_>,
        n: usize,
        f: Writes<'_>,
    ) -> Result<(), SerdeError> {
        if (self.keep)(schema) { self.inner.write_list_with_length(schema, n, f) } else { Ok(()) }
    }

    fn write_map_with_length(
        &mut self,
        schema: &Schema<'_>,
        n: usize,
        f: Writes<'_>,
    ) -> Result<(), SerdeError> {
        if (self.keep)(schema) { self.inner.write_map_with_length(schema, n, f) } else { Ok(()) }
    }

    fn write_null(&mut self, schema: &Schema<'_>) -> Result<(), SerdeError> {
        if (self.keep)(schema) { self.inner.write_null(schema) } else { Ok(()) }
    }
}

/// Collects what travels outside the body.
struct Collector {
    protocol: Protocol,
    s3: bool,
    bound: Bound,
}

/// A bound member's header, its name parsed once.
static HEADER: SchemaExtensionKey<Option<HeaderName>> =
    SchemaExtensionKey::new(|member| HeaderName::from_bytes(member.http_header()?.value().as_bytes()).ok());

impl Collector {
    fn header(&mut self, schema: &Schema<'_>, text: String) {
        if let (Some(name), Some(value)) = (schema.extension(&HEADER), header_value(text)) {
            self.bound.headers.insert(name.clone(), value);
        }
    }

    fn scalar(&mut self, schema: &Schema<'_>, text: impl FnOnce() -> String) {
        if schema.http_header().is_some() {
            self.header(schema, text());
        } else if schema.http_response_code().is_some() {
            self.bound.status = text().parse().ok();
        }
    }

    fn integer(&mut self, schema: &Schema<'_>, value: i64) -> Result<(), SerdeError> {
        self.scalar(schema, || value.to_string());
        Ok(())
    }
}

impl ShapeSerializer for Collector {
    fn write_struct(
        &mut self,
        schema: &Schema<'_>,
        value: &dyn SerializableStruct,
    ) -> Result<(), SerdeError> {
        if schema.http_payload().is_none() || schema.streaming() {
            return Ok(());
        }
        let bytes = if self.protocol == Protocol::RestXml {
            let mut writer = codec::xml_writer();
            if self.s3 && value.schema().xml_namespace().is_none() {
                writer.set_next_root_xml_namespace(s3::NAMESPACE.to_owned(), None);
            }
            match self.s3 {
                true => writer.write_struct(schema, &Millis(value))?,
                false => writer.write_struct(schema, value)?,
            }
            let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
            out.push_str(
                std::str::from_utf8(&writer.finish()).map_err(|e| SerdeError::write_failed(e.to_string()))?,
            );
            Bytes::from(codec::with_references(out))
        } else {
            to_bytes(codec::json_writer(), value)?
        };
        self.bound.payload = Some((content_type(self.protocol), bytes));
        Ok(())
    }

    fn write_list(&mut self, schema: &Schema<'_>, write: Writes<'_>) -> Result<(), SerdeError> {
        if schema.http_header().is_some() {
            let mut list = TextWriter { string: is_string(schema.member()), ..TextWriter::default() };
            write(&mut list)?;
            self.header(schema, list.out);
        } else if schema.http_payload().is_some() && self.protocol == Protocol::RestJson1 {
            let mut writer = codec::json_writer();
            // Written as an element of nothing, so that no member name precedes it.
            writer.write_list(&aws_smithy_schema::prelude::DOCUMENT, write)?;
            self.bound.payload = Some((content_type(self.protocol), Bytes::from(writer.finish())));
        }
        Ok(())
    }

    fn write_map(&mut self, schema: &Schema<'_>, write: Writes<'_>) -> Result<(), SerdeError> {
        if let Some(prefix) = schema.http_prefix_headers() {
            let mut map = TextWriter { pairs: Some(Vec::new()), ..TextWriter::default() };
            write(&mut map)?;
            for (key, value) in map.pairs.unwrap_or_default() {
                let value = if self.s3 { s3::encode_words(&value).into_owned() } else { value };
                let name = HeaderName::from_bytes(format!("{}{key}", prefix.value()).as_bytes());
                if let (Ok(name), Some(value)) = (name, header_value(value)) {
                    self.bound.headers.insert(name, value);
                }
            }
        }
        Ok(())
    }

    fn write_boolean(&mut self, schema: &Schema<'_>, value: bool) -> Result<(), SerdeError> {
        self.scalar(schema, || value.to_string());
        Ok(())
    }

    fn write_byte(&mut self, schema: &Schema<'_>, value: i8) -> Result<(), SerdeError> {
        self.integer(schema, value.into())
    }

    fn write_short(&mut self, schema: &Schema<'_>, value: i16) -> Result<(), SerdeError> {
        self.integer(schema, value.into())
    }

    fn write_integer(&mut self, schema: &Schema<'_>, value: i32) -> Result<(), SerdeError> {
        self.integer(schema, value.into())
    }

    fn write_long(&mut self, schema: &Schema<'_>, value: i64) -> Result<(), SerdeError> {
        self.integer(schema, value)
    }

    fn write_float(&mut self, schema: &Schema<'_>, value: f32) -> Result<(), SerdeError> {
        self.scalar(schema, || Encoder::from(value).encode().to_owned());
        Ok(())
    }

    fn write_double(&mut self, schema: &Schema<'_>, value: f64) -> Result<(), SerdeError> {
        self.scalar(schema, || Encoder::from(value).encode().to_owned());
        Ok(())
    }

    fn write_big_integer(&mut self, schema: &Schema<'_>, value: &BigInteger) -> Result<(), SerdeError> {
        self.scalar(schema, || value.as_ref().to_owned());
        Ok(())
    }

    fn write_big_decimal(&mut self, schema: &Schema<'_>, value: &BigDecimal) -> Result<(), SerdeError> {
        self.scalar(schema, || value.as_ref().to_owned());
        Ok(())
    }

    fn write_string(&mut self, schema: &Schema<'_>, value: &str) -> Result<(), SerdeError> {
        if schema.http_payload().is_some() {
            self.bound.payload = Some(("text/plain", Bytes::copy_from_slice(value.as_bytes())));
            return Ok(());
        }
        let encoded = schema.media_type().is_some();
        self.scalar(schema, || if encoded { STANDARD.encode(value) } else { value.to_owned() });
        Ok(())
    }

    fn write_blob(&mut self, schema: &Schema<'_>, value: Blob) -> Result<(), SerdeError> {
        if schema.http_payload().is_some() && !schema.streaming() {
            // What functions answer is JSON, and Lambda says so.
            let json = schema.media_type().is_some();
            let kind = if json { "application/json" } else { "application/octet-stream" };
            self.bound.payload = Some((kind, Bytes::from(value.into_inner())));
            return Ok(());
        }
        self.scalar(schema, || STANDARD.encode(value.as_ref()));
        Ok(())
    }

    fn write_timestamp(&mut self, schema: &Schema<'_>, value: &DateTime) -> Result<(), SerdeError> {
        let format = format_of(schema, Format::HttpDate);
        self.scalar(schema, || write_timestamp(value, format));
        Ok(())
    }

    fn write_document(&mut self, schema: &Schema<'_>, value: &Document) -> Result<(), SerdeError> {
        if schema.http_payload().is_some() {
            let mut writer = codec::json_writer();
            writer.write_document(&aws_smithy_schema::prelude::DOCUMENT, value)?;
            self.bound.payload = Some((content_type(self.protocol), Bytes::from(writer.finish())));
        }
        Ok(())
    }

    fn write_null(&mut self, _: &Schema<'_>) -> Result<(), SerdeError> {
        Ok(())
    }
}

fn is_string(schema: Option<&Schema<'_>>) -> bool {
    schema.is_none_or(|s| s.shape_type() == ShapeType::String)
}

/// Writes the elements of a header list, or the entries of prefix headers.
#[derive(Default)]
struct TextWriter {
    out: String,
    string: bool,
    pairs: Option<Vec<(String, String)>>,
    key: Option<String>,
}

impl TextWriter {
    fn text(&mut self, text: &str) -> Result<(), SerdeError> {
        match &mut self.pairs {
            None => join_element(&mut self.out, text, self.string),
            Some(pairs) => match self.key.take() {
                None => self.key = Some(text.to_owned()),
                Some(key) => pairs.push((key, text.to_owned())),
            },
        }
        Ok(())
    }
}

fn no_aggregate() -> Result<(), SerdeError> {
    Err(SerdeError::unsupported("a header holds no structure, list or map"))
}

impl ShapeSerializer for TextWriter {
    fn write_struct(&mut self, _: &Schema<'_>, _: &dyn SerializableStruct) -> Result<(), SerdeError> {
        no_aggregate()
    }

    fn write_list(&mut self, _: &Schema<'_>, _: Writes<'_>) -> Result<(), SerdeError> {
        no_aggregate()
    }

    fn write_map(&mut self, _: &Schema<'_>, _: Writes<'_>) -> Result<(), SerdeError> {
        no_aggregate()
    }

    fn write_boolean(&mut self, _: &Schema<'_>, value: bool) -> Result<(), SerdeError> {
        self.text(if value { "true" } else { "false" })
    }

    fn write_byte(&mut self, _: &Schema<'_>, value: i8) -> Result<(), SerdeError> {
        self.text(&value.to_string())
    }

    fn write_short(&mut self, _: &Schema<'_>, value: i16) -> Result<(), SerdeError> {
        self.text(&value.to_string())
    }

    fn write_integer(&mut self, _: &Schema<'_>, value: i32) -> Result<(), SerdeError> {
        self.text(&value.to_string())
    }

    fn write_long(&mut self, _: &Schema<'_>, value: i64) -> Result<(), SerdeError> {
        self.text(&value.to_string())
    }

    fn write_float(&mut self, _: &Schema<'_>, value: f32) -> Result<(), SerdeError> {
        self.text(Encoder::from(value).encode())
    }

    fn write_double(&mut self, _: &Schema<'_>, value: f64) -> Result<(), SerdeError> {
        self.text(Encoder::from(value).encode())
    }

    fn write_big_integer(&mut self, _: &Schema<'_>, value: &BigInteger) -> Result<(), SerdeError> {
        self.text(value.as_ref())
    }

    fn write_big_decimal(&mut self, _: &Schema<'_>, value: &BigDecimal) -> Result<(), SerdeError> {
        self.text(value.as_ref())
    }

    fn write_string(&mut self, _: &Schema<'_>, value: &str) -> Result<(), SerdeError> {
        self.text(value)
    }

    fn write_blob(&mut self, _: &Schema<'_>, value: Blob) -> Result<(), SerdeError> {
        self.text(&STANDARD.encode(value.as_ref()))
    }

    fn write_timestamp(&mut self, schema: &Schema<'_>, value: &DateTime) -> Result<(), SerdeError> {
        self.text(&write_timestamp(value, format_of(schema, Format::HttpDate)))
    }

    fn write_document(&mut self, _: &Schema<'_>, _: &Document) -> Result<(), SerdeError> {
        no_aggregate()
    }

    fn write_null(&mut self, _: &Schema<'_>) -> Result<(), SerdeError> {
        self.text("")
    }
}

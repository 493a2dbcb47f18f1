//! Canonical JSON: any input or output as one JSON text and back, so that other implementations of the protocols
//! can be compared with this one. Members have the model's names wherever they travel; blobs are base64.
//!
//! [`answer`] speaks JSON lines: `{"do":"read",…}` takes a request apart, `{"do":"write",…}` and
//! `{"do":"fail",…}` make an answer. `tests/roundtrip` drives it with botocore on the other side.

use crate::{Body, Head, Payload, Response, Router, read_input, write_error, write_output};
use crate::{Route, router};
use aws_smithy_json::codec::{JsonCodec, JsonCodecSettings};
use aws_smithy_schema::codec::{Codec, FinishSerializer};
use aws_smithy_schema::serde::{SerdeError, ShapeSerializer};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cloudlet_service::{Api, ByteStream, Error, Operation, Protocol, Structure};
use futures_util::FutureExt;
use serde_json::{Value, json};

fn codec() -> JsonCodec {
    JsonCodec::new(JsonCodecSettings::builder().use_json_name(false).build())
}

/// A structure as canonical JSON. Streams are left out.
pub fn to_json(value: &dyn Structure) -> Result<Vec<u8>, SerdeError> {
    let mut writer = codec().create_serializer();
    writer.write_struct(value.schema(), &Whole(value))?;
    Ok(FinishSerializer::finish(writer))
}

/// An operation's output out of canonical JSON.
pub fn output_from_json(operation: &Operation, text: &[u8]) -> Result<Box<dyn Structure>, SerdeError> {
    (operation.read_output)(&mut codec().create_deserializer(text))
}

/// A structure by reference, for the codecs.
struct Whole<'a>(&'a dyn Structure);

impl aws_smithy_schema::serde::SerializableStruct for Whole<'_> {
    fn schema(&self) -> &aws_smithy_schema::Schema<'_> {
        self.0.schema()
    }

    fn serialize_members(&self, serializer: &mut dyn ShapeSerializer) -> Result<(), SerdeError> {
        self.0.serialize_members(serializer)
    }
}

/// Answers one line; see the module.
pub fn answer(router: &Router, apis: &[&'static Api], line: &str) -> String {
    let outcome =
        serde_json::from_str::<Value>(line).map_err(|e| e.to_string()).and_then(|asked| {
            match asked["do"].as_str() {
                Some("read") => read(router, &asked),
                Some("write") => write(apis, &asked),
                Some("fail") => fail(apis, &asked),
                _ => Err("`do` must be read, write or fail".to_owned()),
            }
        });
    outcome.unwrap_or_else(|why| json!({ "wrong": why })).to_string()
}

fn text<'a>(asked: &'a Value, name: &str) -> &'a str {
    asked[name].as_str().unwrap_or_default()
}

fn decoded(asked: &Value, name: &str) -> Result<Bytes, String> {
    STANDARD.decode(text(asked, name)).map(Bytes::from).map_err(|e| format!("{name}: {e}"))
}

fn headers(asked: &Value) -> Result<http::HeaderMap, String> {
    let mut headers = http::HeaderMap::new();
    for (name, value) in asked["headers"].as_object().into_iter().flatten() {
        let name = http::HeaderName::from_bytes(name.as_bytes()).map_err(|e| e.to_string())?;
        let value = http::HeaderValue::from_bytes(value.as_str().unwrap_or_default().as_bytes());
        headers.append(name, value.map_err(|e| e.to_string())?);
    }
    Ok(headers)
}

fn read(router: &Router, asked: &Value) -> Result<Value, String> {
    let headers = headers(asked)?;
    let body = decoded(asked, "body")?;
    let head = Head {
        method: text(asked, "method"),
        path: text(asked, "path"),
        query: text(asked, "query"),
        headers: &headers,
        host: text(asked, "host"),
        bucket: asked["bucket"].as_str(),
    };
    let form = Router::needs_form(&head).then_some(body.as_ref());
    let route = match router.route(asked["service"].as_str(), &head, form) {
        Ok(route) => route,
        Err(router::Unrouted { error, .. }) => return Ok(refused(&error)),
    };
    let input = match read_input(&route, &head, Body::Bytes(body)) {
        Ok(input) => input,
        Err(error) => return Ok(refused(&error)),
    };
    let violations = cloudlet_service::rules::check(input.as_ref()).err().map(|v| v.message());
    let canonical = to_json(input.as_ref()).map_err(|e| e.to_string())?;
    let canonical: Value = serde_json::from_slice(&canonical).map_err(|e| e.to_string())?;
    let mut input = input;
    let stream = input.take_stream().and_then(collect);
    Ok(json!({
        "operation": route.operation().name,
        "protocol": format!("{:?}", route.protocol),
        "input": canonical,
        "stream": stream.map(|s| STANDARD.encode(s)),
        "violations": violations,
    }))
}

fn refused(error: &Error) -> Value {
    json!({ "error": { "code": error.code(), "message": error.message(), "status": error.status() } })
}

/// Everything in a stream that never waits.
fn collect(stream: ByteStream) -> Option<Bytes> {
    stream.collect(usize::MAX).now_or_never()?.ok()
}

fn protocol(asked: &Value, api: &Api) -> Result<Protocol, String> {
    let name = text(asked, "protocol");
    let found = api.protocols.iter().copied().find(|p| name.is_empty() || format!("{p:?}") == name);
    found.ok_or_else(|| format!("{} does not speak {name}", api.name))
}

fn write(apis: &[&'static Api], asked: &Value) -> Result<Value, String> {
    let api = find(apis, asked)?;
    let name = text(asked, "operation");
    let index =
        api.operations.iter().position(|o| o.name == name).ok_or_else(|| format!("no operation {name}"))?;
    let route = Route { api, operation: index, protocol: protocol(asked, api)?, labels: Default::default() };
    let mut output = output_from_json(route.operation(), asked["output"].to_string().as_bytes())
        .map_err(|e| e.to_string())?;
    if asked["stream"].is_string() {
        output.set_stream(ByteStream::from(decoded(asked, "stream")?));
    }
    shown(write_output(&route, "0a1b2c3d-4e5f-4a6b-8c7d-9e8f7a6b5c4d", output))
}

fn fail(apis: &[&'static Api], asked: &Value) -> Result<Value, String> {
    let api = find(apis, asked)?;
    let status = asked["status"].as_u64().and_then(|s| u16::try_from(s).ok()).unwrap_or(400);
    let error = Error::new(text(asked, "code").to_owned(), status, text(asked, "message"));
    let headers = http::HeaderMap::new();
    let head = Head { method: "POST", path: "/", query: "", headers: &headers, host: "", bucket: None };
    shown(write_error(
        protocol(asked, api)?,
        Some(api),
        "0a1b2c3d-4e5f-4a6b-8c7d-9e8f7a6b5c4d",
        &head,
        &error,
    ))
}

fn find(apis: &[&'static Api], asked: &Value) -> Result<&'static Api, String> {
    let name = text(asked, "service");
    apis.iter().copied().find(|a| a.name == name).ok_or_else(|| format!("no API {name}"))
}

fn shown(response: Response) -> Result<Value, String> {
    let (parts, payload) = response.into_parts();
    let body = match payload {
        Payload::Bytes(bytes) => bytes,
        Payload::Stream(stream) => collect(stream).ok_or("the stream waits")?,
    };
    let headers: Vec<(String, String)> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    Ok(json!({ "status": parts.status.as_u16(), "headers": headers, "body": STANDARD.encode(body) }))
}

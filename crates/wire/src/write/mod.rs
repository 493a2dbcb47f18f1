//! Turning an operation's output into an answer.

mod error;
mod millis;
mod rest;

pub(crate) use error::error_payload;
pub use error::write_error;
pub(crate) use rest::{Filter, InBody, headers as bound_headers};

use crate::router::Route;
use crate::{Payload, Response, codec, events, s3};
use aws_smithy_schema::codec::FinishSerializer;
use aws_smithy_schema::serde::{SerdeError, SerializableStruct, ShapeSerializer};
use bytes::Bytes;
use cloudlet_service::{Api, Error, Protocol, Structure};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};

/// Writes the answer of success in the route's protocol.
pub fn write_output(route: &Route, request_id: &str, mut output: Box<dyn Structure>) -> Response {
    let operation = route.operation();
    let written = match operation.output_payload {
        cloudlet_service::Payload::Events(member) => events::write(route, output.as_mut(), member),
        _ => match route.protocol {
            Protocol::RestJson1 | Protocol::RestXml => rest::write(route, output.as_mut()),
            _ => rpc(route, output.as_ref(), request_id),
        },
    };
    let mut response = written.unwrap_or_else(|why| {
        let error = Error::internal(format!("writing the output of {}: {why}", operation.name));
        error::bare(route.protocol, Some(route.api), request_id, &error)
    });
    request_ids(&mut response, Some(route.api), request_id);
    checksum(&mut response, Some(route.api));
    if operation.method == "HEAD" {
        *response.body_mut() = Payload::Bytes(Bytes::new());
    }
    response
}

/// Answers of the protocols that have one body and no bindings.
fn rpc(route: &Route, output: &dyn Structure, request_id: &str) -> Result<Response, SerdeError> {
    let operation = route.operation();
    let body = match route.protocol {
        Protocol::RpcV2Cbor => to_bytes(codec::cbor_writer(), output)?,
        Protocol::AwsQuery | Protocol::Ec2Query => query(route, output, request_id)?,
        // An operation without output answers with no byte at all.
        _ if operation.output.members().is_empty() => Bytes::new(),
        _ => to_bytes(codec::json_writer(), output)?,
    };
    let mut response = bytes_response(200, Some(content_type(route.protocol)), body);
    if route.protocol == Protocol::RpcV2Cbor {
        put(&mut response, SMITHY_PROTOCOL, "rpc-v2-cbor");
    }
    Ok(response)
}

/// `<OpResponse><OpResult>…</OpResult><ResponseMetadata>…`, or EC2's flat form.
/// Source: Smithy, "AWS query protocol" and "AWS EC2 query protocol", serialization of outputs.
fn query(route: &Route, output: &dyn Structure, request_id: &str) -> Result<Bytes, SerdeError> {
    let (api, operation) = (route.api, route.operation());
    let name = operation.name;
    let request_id = escape(request_id);
    let namespace = namespace(api);
    let mut out = String::new();
    if route.protocol == Protocol::Ec2Query {
        out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let inner = members(output)?;
        out.push_str(&format!(
            "<{name}Response{namespace}><requestId>{request_id}</requestId>{inner}</{name}Response>"
        ));
        return Ok(Bytes::from(out));
    }
    out.push_str(&format!("<{name}Response{namespace}>"));
    let inner = members(output)?;
    match operation.result_wrapper {
        "" => out.push_str(&inner),
        wrapper => out.push_str(&format!("<{wrapper}>{inner}</{wrapper}>")),
    }
    out.push_str(&format!(
        "<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{name}Response>"
    ));
    Ok(Bytes::from(out))
}

fn namespace(api: &Api) -> String {
    match api.xml_namespace {
        "" => String::new(),
        uri => format!(" xmlns=\"{uri}\""),
    }
}

/// The members of a structure as XML elements, without an element around them.
fn members(value: &dyn SerializableStruct) -> Result<String, SerdeError> {
    let mut writer = codec::xml_writer();
    writer.set_next_root_xml_name("_".to_owned());
    writer.write_struct(value.schema(), value)?;
    let text = String::from_utf8(writer.finish()).map_err(|e| SerdeError::write_failed(e.to_string()))?;
    // The element around them is `<_ …>` … `</_>`; its attributes are the schema's namespace.
    let begin = text.find('>').map_or(0, |at| at + 1);
    let end = text.len().saturating_sub("</_>".len());
    Ok(text.get(begin..end).unwrap_or_default().to_owned())
}

/// A whole structure in a codec.
fn to_bytes<S>(mut writer: S, value: &dyn SerializableStruct) -> Result<Bytes, SerdeError>
where
    S: ShapeSerializer + FinishSerializer,
{
    writer.write_struct(value.schema(), value)?;
    Ok(Bytes::from(writer.finish()))
}

fn content_type(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::AwsJson10 => "application/x-amz-json-1.0",
        Protocol::AwsJson11 => "application/x-amz-json-1.1",
        Protocol::RestJson1 => "application/json",
        Protocol::RestXml => "application/xml",
        Protocol::AwsQuery => "text/xml",
        Protocol::Ec2Query => "text/xml;charset=UTF-8",
        Protocol::RpcV2Cbor => "application/cbor",
    }
}

fn bytes_response(status: u16, content_type: Option<&'static str>, body: Bytes) -> Response {
    let mut response = Response::new(Payload::Bytes(body));
    *response.status_mut() =
        http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(content_type) = content_type {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    response
}

/// Sets a header.
pub(crate) fn put(response: &mut Response, name: HeaderName, value: impl Into<String>) {
    if let Some(value) = header_value(value.into()) {
        response.headers_mut().insert(name, value);
    }
}

/// Text as a header's value. What no header may hold (control characters) becomes a space.
pub(crate) fn header_value(text: String) -> Option<HeaderValue> {
    let mut bytes = text.into_bytes();
    for byte in &mut bytes {
        if (*byte < 0x20 && *byte != b'\t') || *byte == 0x7f {
            *byte = b' ';
        }
    }
    HeaderValue::from_maybe_shared(Bytes::from(bytes)).ok()
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const S3_REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");
const S3_HOST_ID: HeaderName = HeaderName::from_static("x-amz-id-2");
const CRC32: HeaderName = HeaderName::from_static("x-amz-crc32");
const SMITHY_PROTOCOL: HeaderName = HeaderName::from_static("smithy-protocol");

/// Each protocol's header for the request's id.
fn request_ids(response: &mut Response, api: Option<&Api>, request_id: &str) {
    if api.is_some_and(s3::is) {
        let (short, long) = s3::request_ids(request_id);
        put(response, S3_REQUEST_ID, short);
        put(response, S3_HOST_ID, long);
    } else {
        put(response, REQUEST_ID, request_id);
    }
}

/// DynamoDB sends a checksum of every body, which older SDKs compare. Source: API Reference, "DynamoDB low-level API",
/// response format.
fn checksum(response: &mut Response, api: Option<&Api>) {
    if api.is_some_and(|api| api.name == "dynamodb")
        && let Payload::Bytes(body) = response.body()
    {
        let sum = crc32fast::hash(body);
        put(response, CRC32, sum.to_string());
    }
}

/// Text as XML character data. Characters that XML 1.0 cannot hold at all become the replacement character.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#xD;"),
            '\n' | '\t' => out.push(c),
            c if c < ' ' || c == '\u{fffe}' || c == '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

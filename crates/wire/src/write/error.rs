//! Turning an error into an answer.

use super::rest::{Filter, InBody, bound};
use super::{
    SMITHY_PROTOCOL, bytes_response, checksum, content_type, escape, members, namespace, put, request_ids,
};
use crate::head::Head;
use crate::{Payload, Response, codec, s3};
use aws_smithy_schema::Schema;
use aws_smithy_schema::codec::FinishSerializer;
use aws_smithy_schema::serde::{SerdeError, SerializableStruct, ShapeSerializer};
use bytes::Bytes;
use cloudlet_service::{Api, Error, Fault, Protocol, Structure};
use http::HeaderName;
use std::fmt::Write;

const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const QUERY_ERROR: HeaderName = HeaderName::from_static("x-amzn-query-error");

/// Writes the answer of failure in the protocol that was asked in. `api` is `None` where not even that is known.
pub fn write_error(
    protocol: Protocol,
    api: Option<&Api>,
    request_id: &str,
    head: &Head<'_>,
    error: &Error,
) -> Response {
    let mut response = bare(protocol, api, request_id, error);
    request_ids(&mut response, api, request_id);
    checksum(&mut response, api);
    if head.method == "HEAD" {
        // An answer to HEAD carries no body; S3's SDKs then go by the status alone.
        *response.body_mut() = Payload::Bytes(Bytes::new());
        if protocol == Protocol::RestXml {
            response.headers_mut().remove(http::header::CONTENT_TYPE);
        }
    }
    response
}

/// The same without request id headers.
pub(super) fn bare(protocol: Protocol, api: Option<&Api>, request_id: &str, error: &Error) -> Response {
    let status = error.status();
    // RFC 9110, sections 15.4.5 and 15.3.5: these carry no body.
    let silent = matches!(status, 204 | 304);
    // What is no JSON DynamoDB refuses before it speaks any.
    let foreign = status == 404 && api.is_some_and(|api| api.name == "dynamodb");
    let body = match protocol {
        _ if foreign => Bytes::from_static(b"<UnknownOperationException/>\n"),
        _ if silent => Bytes::new(),
        Protocol::AwsQuery | Protocol::Ec2Query | Protocol::RestXml => xml(protocol, api, request_id, error),
        Protocol::RpcV2Cbor => cbor(api, error),
        _ => json(protocol, api, error),
    };
    let mut response = bytes_response(status, (!silent && !foreign).then(|| content_type(protocol)), body);
    match protocol {
        Protocol::RestJson1 => put(&mut response, ERROR_TYPE, error.code()),
        Protocol::RpcV2Cbor => put(&mut response, SMITHY_PROTOCOL, "rpc-v2-cbor"),
        _ => {}
    }
    if api.is_some_and(|a| a.query_compatible) && !is_xml(protocol) {
        let fault = match error.fault() {
            Fault::Sender => "Sender",
            Fault::Receiver => "Receiver",
        };
        put(&mut response, QUERY_ERROR, format!("{};{fault}", error.query_code()));
    }
    if let Some(detail) = error.detail()
        && is_rest(protocol)
        && let Ok(bound) = bound(protocol, api.is_some_and(s3::is), detail)
    {
        response.headers_mut().extend(bound.headers);
    }
    for (name, value) in error.headers() {
        match HeaderName::from_bytes(name.as_bytes()) {
            Ok(name) => put(&mut response, name, value.as_str()),
            Err(_) => tracing::warn!(name, "not a header name"),
        }
    }
    response
}

fn is_xml(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::AwsQuery | Protocol::Ec2Query | Protocol::RestXml)
}

fn is_rest(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::RestJson1 | Protocol::RestXml)
}

/// Source: Smithy, "AWS query protocol", "AWS EC2 query protocol" and "AWS restXml protocol", error responses;
/// S3 API Reference, "Error responses".
fn xml(protocol: Protocol, api: Option<&Api>, request_id: &str, error: &Error) -> Bytes {
    let is_s3 = match api {
        Some(api) => s3::is(api),
        // A REST request that could not be given to any API is answered as S3 does.
        None => protocol == Protocol::RestXml,
    };
    let mut out = String::new();
    if is_s3 || protocol == Protocol::Ec2Query {
        out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    }
    let (code, message) = (escape(error.query_code()), escape(error.message()));
    let mut extra = String::new();
    for (name, value) in error.fields() {
        let _ = write!(extra, "<{name}>{0}</{name}>", escape(value));
    }
    if let Some(detail) = error.detail() {
        let detail = InBody(detail);
        extra.push_str(&members(&WithoutMessage(&detail)).unwrap_or_default());
    }
    let request_id = escape(request_id);
    if is_s3 {
        let (short, long) = s3::request_ids(&request_id);
        let _ = write!(
            out,
            "<Error><Code>{code}</Code><Message>{message}</Message>{extra}<RequestId>{short}</RequestId><HostId>{long}</HostId></Error>"
        );
        return Bytes::from(out);
    }
    if protocol == Protocol::Ec2Query {
        let _ = write!(
            out,
            "<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message>{extra}</Error></Errors><RequestID>{request_id}</RequestID></Response>"
        );
        return Bytes::from(out);
    }
    let fault = match error.fault() {
        Fault::Sender => "Sender",
        Fault::Receiver => "Receiver",
    };
    let namespace = api.map(namespace).unwrap_or_default();
    let _ = write!(
        out,
        "<ErrorResponse{namespace}><Error><Type>{fault}</Type><Code>{code}</Code><Message>{message}</Message>{extra}</Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    );
    Bytes::from(out)
}

/// The body alone, for an exception inside an event stream.
pub(crate) fn error_payload(protocol: Protocol, error: &Error) -> Bytes {
    match protocol {
        Protocol::RpcV2Cbor => cbor(None, error),
        Protocol::RestXml | Protocol::AwsQuery | Protocol::Ec2Query => {
            let (code, message) = (escape(error.code()), escape(error.message()));
            Bytes::from(format!("<{code}><Message>{message}</Message></{code}>"))
        }
        _ => json(Protocol::RestJson1, None, error),
    }
}

/// The errors that AWS's service framework itself makes, and their namespaces.
fn framework_namespace(code: &str) -> Option<&'static str> {
    Some(match code {
        "ValidationException" => "com.amazon.coral.validate",
        "AccessDeniedException"
        | "ExpiredTokenException"
        | "IncompleteSignatureException"
        | "InternalFailure"
        | "InvalidSignatureException"
        | "MissingAuthenticationTokenException"
        | "SerializationException"
        | "UnknownOperationException"
        | "UnrecognizedClientException" => "com.amazon.coral.service",
        _ => return None,
    })
}

fn type_name(protocol: Protocol, api: Option<&Api>, error: &Error) -> String {
    let code = error.code();
    if code.contains('#') {
        return code.to_owned();
    }
    let namespace = match api.map_or("", |a| a.error_namespace) {
        "" if protocol == Protocol::RpcV2Cbor => api.map_or("", |a| a.target_prefix),
        "" => "",
        own => framework_namespace(code).unwrap_or(own),
    };
    if namespace.is_empty() { code.to_owned() } else { format!("{namespace}#{code}") }
}

/// The name of a modeled error's message member: `message` or `Message`.
fn message_member(error: &Error) -> Option<&'static str> {
    let detail = error.detail()?;
    let found = detail.schema().members().iter().find_map(|m| {
        let name = m.member_name()?;
        Some(match name {
            "message" => "message",
            "Message" => "Message",
            _ => return None,
        })
    });
    Some(found.unwrap_or(""))
}

/// `{"__type":"ns#Code","message":"…"}`. Source: Smithy, "AWS JSON 1.1 protocol", operation error serialization.
fn json(protocol: Protocol, api: Option<&Api>, error: &Error) -> Bytes {
    let mut out = String::from("{");
    if protocol != Protocol::RestJson1 {
        let _ = write!(out, "\"__type\":{},", quoted(&type_name(protocol, api, error)));
    }
    let key = match message_member(error) {
        Some("") | None if protocol == Protocol::RestJson1 => "message",
        // DynamoDB's framework errors spell it with a capital where it has a namespace of its own.
        None if api.is_some_and(|a| !a.error_namespace.is_empty()) => match error.code() {
            "SerializationException" | "AccessDeniedException" => "Message",
            _ => "message",
        },
        Some("") | None => "message",
        Some(own) => own,
    };
    let rest = error.detail().and_then(|detail| json_detail(protocol, detail));
    // DynamoDB spells it with a capital where the item comes with it.
    let with_item = rest.is_some() && error.is("ConditionalCheckFailedException");
    let key = if with_item { "Message" } else { key };
    if protocol == Protocol::RestJson1 || !error.message().is_empty() {
        let _ = write!(out, "\"{key}\":{}", quoted(error.message()));
    } else {
        // The comma after the type.
        out.pop();
    }
    for (name, value) in error.fields() {
        let _ = write!(out, ",{}:{}", quoted(name), quoted(value));
    }
    if let Some(rest) = rest {
        out.push(',');
        out.push_str(&rest);
    }
    out.push('}');
    Bytes::from(out)
}

/// The members of a modeled error but its message, without the braces around them.
fn json_detail(protocol: Protocol, detail: &dyn Structure) -> Option<String> {
    let in_body = InBody(detail);
    let value: &dyn SerializableStruct = if is_rest(protocol) { &in_body } else { &AsStruct(detail) };
    let mut writer = codec::json_writer();
    writer.write_struct(detail.schema(), &WithoutMessage(value)).ok()?;
    let text = String::from_utf8(writer.finish()).ok()?;
    let inner = text.strip_prefix('{')?.strip_suffix('}')?;
    (!inner.is_empty()).then(|| inner.to_owned())
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn cbor(api: Option<&Api>, error: &Error) -> Bytes {
    let mut encoder = aws_smithy_cbor::Encoder::new(Vec::new());
    encoder.begin_map();
    encoder.str("__type").str(&type_name(Protocol::RpcV2Cbor, api, error));
    let key = match message_member(error) {
        Some("") | None => "message",
        Some(own) => own,
    };
    encoder.str(key).str(error.message());
    for (name, value) in error.fields() {
        encoder.str(name).str(value);
    }
    encoder.end();
    let mut out = encoder.into_writer();
    if let Some(detail) = error.detail()
        && let Some(entries) = cbor_detail(detail)
    {
        // Before the break that ends the map.
        out.pop();
        out.extend_from_slice(&entries);
        out.push(0xff);
    }
    Bytes::from(out)
}

/// The entries of a modeled error but its message, without the map around them.
fn cbor_detail(detail: &dyn Structure) -> Option<Vec<u8>> {
    let mut writer = codec::cbor_writer();
    writer.write_struct(detail.schema(), &WithoutMessage(&AsStruct(detail))).ok()?;
    let bytes = writer.finish();
    // Structures are written with indefinite length: 0xbf, the entries, 0xff.
    let inner = bytes.strip_prefix(&[0xbf])?.strip_suffix(&[0xff])?;
    Some(inner.to_vec())
}

fn is_message(member: &Schema<'_>) -> bool {
    member.member_name().is_some_and(|name| name.eq_ignore_ascii_case("message"))
}

struct AsStruct<'a>(&'a dyn Structure);

impl SerializableStruct for AsStruct<'_> {
    fn schema(&self) -> &Schema<'_> {
        self.0.schema()
    }

    fn serialize_members(&self, serializer: &mut dyn ShapeSerializer) -> Result<(), SerdeError> {
        self.0.serialize_members(serializer)
    }
}

/// A modeled error without its message and code, which are written on their own.
struct WithoutMessage<'a>(&'a dyn SerializableStruct);

impl SerializableStruct for WithoutMessage<'_> {
    fn schema(&self) -> &Schema<'_> {
        self.0.schema()
    }

    fn serialize_members(&self, serializer: &mut dyn ShapeSerializer) -> Result<(), SerdeError> {
        self.0.serialize_members(&mut Filter { inner: serializer, keep: |member| !is_message(member) })
    }
}

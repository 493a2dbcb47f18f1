//! Event streams: `application/vnd.amazon.eventstream` frames.
//!
//! Source: Smithy, "Amazon Event Stream specification".

use crate::router::Route;
use crate::{Payload, Response, codec, write};
use aws_smithy_eventstream::frame::{DecodedFrame, MessageFrameDecoder, write_message_to};
use aws_smithy_schema::Schema;
use aws_smithy_schema::codec::FinishSerializer;
use aws_smithy_schema::serde::{SerdeError, SerializableStruct, ShapeSerializer};
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use aws_smithy_types::{BigDecimal, BigInteger, Blob, DateTime, Document};
use bytes::{Bytes, BytesMut};
use cloudlet_service::events::{ErasedEventStream, Event};
use cloudlet_service::{BodyError, ByteStream, Error, Protocol, Structure};
use futures_util::StreamExt;
use futures_util::stream;

const CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";

/// Writes an output whose payload is an event stream.
pub(crate) fn write(
    route: &Route,
    output: &mut dyn Structure,
    _member: usize,
) -> Result<Response, SerdeError> {
    let events = output.take_events().unwrap_or_else(|| Box::pin(stream::empty()));
    let protocol = route.protocol;
    let rest = matches!(protocol, Protocol::RestJson1 | Protocol::RestXml);
    // The RPC protocols have no headers for the other members: they travel in a first frame of their own.
    let initial = if rest { None } else { Some(initial_response(protocol, output)?) };
    let headers = if rest { write::bound_headers(route, output)? } else { http::HeaderMap::new() };
    let stream = encode_events(protocol, initial, events);
    let mut response = Response::new(Payload::Stream(stream));
    *response.status_mut() =
        http::StatusCode::from_u16(route.operation().status).unwrap_or(http::StatusCode::OK);
    write::put(&mut response, http::header::CONTENT_TYPE, CONTENT_TYPE);
    response.headers_mut().extend(headers);
    Ok(response)
}

fn initial_response(protocol: Protocol, output: &dyn Structure) -> Result<Bytes, SerdeError> {
    let body = encode(protocol, &write::InBody(output))?;
    let headers = vec![
        text(":message-type", "event"),
        text(":event-type", "initial-response"),
        text(":content-type", media_type(protocol)),
    ];
    frame(headers, body)
}

/// Encodes events as frames. `first` is a frame that goes ahead. An error ends the stream as an exception frame.
pub fn encode_events(protocol: Protocol, first: Option<Bytes>, events: ErasedEventStream) -> ByteStream {
    let frames = stream::unfold(Some(events), move |state| async move {
        let mut events = state?;
        match events.next().await? {
            Ok(event) => match event_frame(protocol, &event) {
                Ok(bytes) => Some((Ok(bytes), Some(events))),
                Err(why) => Some((Err(BodyError::Storage(why.to_string())), None)),
            },
            Err(error) => {
                let bytes = exception_frame(protocol, &error);
                Some((bytes.map_err(|why| BodyError::Storage(why.to_string())), None))
            }
        }
    });
    ByteStream::new(stream::iter(first.map(Ok)).chain(frames), None)
}

fn media_type(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::AwsJson10 => "application/x-amz-json-1.0",
        Protocol::AwsJson11 => "application/x-amz-json-1.1",
        Protocol::RestJson1 => "application/json",
        Protocol::RpcV2Cbor => "application/cbor",
        Protocol::RestXml | Protocol::AwsQuery | Protocol::Ec2Query => "text/xml",
    }
}

fn encode(protocol: Protocol, value: &dyn SerializableStruct) -> Result<Bytes, SerdeError> {
    let schema = value.schema();
    Ok(Bytes::from(match protocol {
        Protocol::RpcV2Cbor => {
            let mut writer = codec::cbor_writer();
            writer.write_struct(schema, value)?;
            writer.finish()
        }
        Protocol::RestXml | Protocol::AwsQuery | Protocol::Ec2Query => {
            let mut writer = codec::xml_writer();
            writer.write_struct(schema, value)?;
            writer.finish()
        }
        _ => {
            let mut writer = codec::json_writer();
            writer.write_struct(schema, value)?;
            writer.finish()
        }
    }))
}

fn text(name: &'static str, value: &str) -> Header {
    Header::new(name, HeaderValue::String(value.to_owned().into()))
}

fn frame(headers: Vec<Header>, payload: Bytes) -> Result<Bytes, SerdeError> {
    let mut out = BytesMut::new();
    write_message_to(&Message::new_from_parts(headers, payload), &mut out)
        .map_err(|e| SerdeError::write_failed(e.to_string()))?;
    Ok(out.freeze())
}

fn event_frame(protocol: Protocol, event: &Event) -> Result<Bytes, SerdeError> {
    let mut parts = Parts { protocol, headers: Vec::new(), payload: None };
    event.value.serialize_members(&mut parts)?;
    let mut headers = vec![text(":message-type", "event"), text(":event-type", event.name)];
    let schema = event.value.schema();
    let explicit = schema.members().iter().any(|m| m.event_payload().is_some());
    let implicit = schema.members().iter().any(|m| m.event_payload().is_none() && m.event_header().is_none());
    let payload = match parts.payload {
        Some((kind, payload)) => Some((kind, payload)),
        None if explicit || !implicit => None,
        None => Some((media_type(protocol), encode(protocol, &WithoutHeaders(event.value.as_ref()))?)),
    };
    let payload = match payload {
        Some((kind, payload)) => {
            headers.push(text(":content-type", kind));
            payload
        }
        None => Bytes::new(),
    };
    headers.append(&mut parts.headers);
    frame(headers, payload)
}

fn exception_frame(protocol: Protocol, error: &Error) -> Result<Bytes, SerdeError> {
    let (code, message) = (error.code(), error.message());
    if error.detail().is_none() {
        // Not modeled: an error frame, whose code and message are headers.
        let headers =
            vec![text(":message-type", "error"), text(":error-code", code), text(":error-message", message)];
        return frame(headers, Bytes::new());
    }
    let headers = vec![
        text(":message-type", "exception"),
        text(":exception-type", code),
        text(":content-type", media_type(protocol)),
    ];
    let payload = write::error_payload(protocol, error);
    frame(headers, payload)
}

/// An event without the members that travel in its frame's headers.
struct WithoutHeaders<'a>(&'a dyn Structure);

impl SerializableStruct for WithoutHeaders<'_> {
    fn schema(&self) -> &Schema<'_> {
        self.0.schema()
    }

    fn serialize_members(&self, serializer: &mut dyn ShapeSerializer) -> Result<(), SerdeError> {
        let keep = |member: &Schema<'_>| member.event_header().is_none();
        self.0.serialize_members(&mut write::Filter { inner: serializer, keep })
    }
}

/// Collects an event's headers and its explicit payload.
struct Parts {
    protocol: Protocol,
    headers: Vec<Header>,
    payload: Option<(&'static str, Bytes)>,
}

impl Parts {
    fn header(&mut self, schema: &Schema<'_>, value: HeaderValue) -> Result<(), SerdeError> {
        if schema.event_header().is_some()
            && let Some(name) = schema.member_name()
        {
            self.headers.push(Header::new(name.to_owned(), value));
        }
        Ok(())
    }
}

type Writes<'f> = &'f dyn Fn(&mut dyn ShapeSerializer) -> Result<(), SerdeError>;

impl ShapeSerializer for Parts {
    fn write_struct(
        &mut self,
        schema: &Schema<'_>,
        value: &dyn SerializableStruct,
    ) -> Result<(), SerdeError> {
        if schema.event_payload().is_some() {
            self.payload = Some((media_type(self.protocol), encode(self.protocol, value)?));
        }
        Ok(())
    }

    fn write_list(&mut self, _: &Schema<'_>, _: Writes<'_>) -> Result<(), SerdeError> {
        Ok(())
    }

    fn write_map(&mut self, _: &Schema<'_>, _: Writes<'_>) -> Result<(), SerdeError> {
        Ok(())
    }

    fn write_boolean(&mut self, schema: &Schema<'_>, value: bool) -> Result<(), SerdeError> {
        self.header(schema, HeaderValue::Bool(value))
    }

    fn write_byte(&mut self, schema: &Schema<'_>, value: i8) -> Result<(), SerdeError> {
        self.header(schema, HeaderValue::Byte(value))
    }

    fn write_short(&mut self, schema: &Schema<'_>, value: i16) -> Result<(), SerdeError> {
        self.header(schema, HeaderValue::Int16(value))
    }

    fn write_integer(&mut self, schema: &Schema<'_>, value: i32) -> Result<(), SerdeError> {
        self.header(schema, HeaderValue::Int32(value))
    }

    fn write_long(&mut self, schema: &Schema<'_>, value: i64) -> Result<(), SerdeError> {
        self.header(schema, HeaderValue::Int64(value))
    }

    fn write_float(&mut self, _: &Schema<'_>, _: f32) -> Result<(), SerdeError> {
        Ok(())
    }

    fn write_double(&mut self, _: &Schema<'_>, _: f64) -> Result<(), SerdeError> {
        Ok(())
    }

    fn write_big_integer(&mut self, _: &Schema<'_>, _: &BigInteger) -> Result<(), SerdeError> {
        Ok(())
    }

    fn write_big_decimal(&mut self, _: &Schema<'_>, _: &BigDecimal) -> Result<(), SerdeError> {
        Ok(())
    }

    fn write_string(&mut self, schema: &Schema<'_>, value: &str) -> Result<(), SerdeError> {
        if schema.event_payload().is_some() {
            self.payload = Some(("text/plain", Bytes::copy_from_slice(value.as_bytes())));
            return Ok(());
        }
        self.header(schema, HeaderValue::String(value.to_owned().into()))
    }

    fn write_blob(&mut self, schema: &Schema<'_>, value: Blob) -> Result<(), SerdeError> {
        let bytes = Bytes::from(value.into_inner());
        if schema.event_payload().is_some() {
            self.payload = Some(("application/octet-stream", bytes));
            return Ok(());
        }
        self.header(schema, HeaderValue::ByteArray(bytes))
    }

    fn write_timestamp(&mut self, schema: &Schema<'_>, value: &DateTime) -> Result<(), SerdeError> {
        self.header(schema, HeaderValue::Timestamp(*value))
    }

    fn write_document(&mut self, _: &Schema<'_>, _: &Document) -> Result<(), SerdeError> {
        Ok(())
    }

    fn write_null(&mut self, _: &Schema<'_>) -> Result<(), SerdeError> {
        Ok(())
    }
}

/// The largest frame that is taken in. Source: Amazon Event Stream specification, 16 MiB of payload.
const MOST_BYTES: usize = 24 * 1024 * 1024;

/// Takes one whole frame off the front of a buffer; `None` where more bytes are needed.
///
/// Errors: `SerializationException` for a frame whose lengths or checksums are wrong.
pub fn decode_frame(buffer: &mut BytesMut) -> Result<Option<Message>, Error> {
    let wrong =
        |why: String| Error::sender("SerializationException", format!("The event stream is broken: {why}"));
    if let Some(length) = buffer.first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        // The least frame is two lengths and two checksums.
        if !(16..=MOST_BYTES).contains(&length) {
            return Err(wrong(format!("a frame cannot be {length} bytes long")));
        }
        if buffer.len() < length {
            return Ok(None);
        }
    }
    match MessageFrameDecoder::new().decode_frame(&mut *buffer) {
        Ok(DecodedFrame::Complete(message)) => Ok(Some(message)),
        Ok(DecodedFrame::Incomplete) => Ok(None),
        Err(why) => Err(wrong(why.to_string())),
    }
}

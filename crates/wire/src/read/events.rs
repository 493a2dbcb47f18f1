//! Event streams that clients send.
//!
//! Source: Smithy, "Amazon Event Stream specification" and "Event stream semantics".

use super::{form, rest};
use crate::events::decode_frame;
use crate::head::Head;
use crate::router::Route;
use crate::{codec, refusal};
use aws_smithy_schema::serde::{SerdeError, ShapeDeserializer};
use aws_smithy_schema::{Schema, ShapeType};
use aws_smithy_types::event_stream::{HeaderValue, Message};
use aws_smithy_types::{BigDecimal, BigInteger, Blob, DateTime, Document};
use bytes::{Bytes, BytesMut};
use cloudlet_service::events::{EventFrames, Frame, FrameReader};
use cloudlet_service::{ByteStream, Error, Protocol, Structure};
use futures_util::stream;

/// Reads the input of an operation whose payload is an event stream, out of a body of frames. It waits for the first frame
/// where that one carries the other members, as it does in the RPC protocols; the events are read as they are asked for.
///
/// Errors: those of [`crate::read_input`] for the other members.
pub async fn read_events(
    route: &Route,
    head: &Head<'_>,
    body: ByteStream,
) -> Result<Box<dyn Structure>, Error> {
    let mut arriving = Arriving { protocol: route.protocol, body, held: BytesMut::new() };
    let rest = matches!(route.protocol, Protocol::RestJson1 | Protocol::RestXml);
    let mut input = if rest {
        rest::read(route, head, &Bytes::new())?
    } else {
        let Some(first) = arriving.next().await? else {
            return Err(broken("it ends before its first frame".to_owned()));
        };
        if first.event != "initial-request" {
            let found: String = first.event.chars().take(128).collect();
            return Err(broken(format!("its first event is {found:?}, not \"initial-request\"")));
        }
        initial(route, head, first.message.payload())?
    };
    input.set_events(arriving.frames());
    Ok(input)
}

fn initial(route: &Route, head: &Head<'_>, payload: &Bytes) -> Result<Box<dyn Structure>, Error> {
    let refused = |why: SerdeError| refusal::bad_body(route.protocol, &why, &[]);
    match route.protocol {
        Protocol::RpcV2Cbor => (route.operation().read_input)(&mut codec::cbor(payload)).map_err(refused),
        Protocol::AwsQuery => form(route, head, payload, crate::form::Dialect::Query),
        Protocol::Ec2Query => form(route, head, payload, crate::form::Dialect::Ec2),
        _ => (route.operation().read_input)(&mut codec::json(payload)).map_err(refused),
    }
}

fn broken(why: String) -> Error {
    Error::sender("SerializationException", format!("The event stream is broken: {why}."))
}

/// The frames of a body.
struct Arriving {
    protocol: Protocol,
    body: ByteStream,
    held: BytesMut,
}

impl Arriving {
    /// The next event's frame; `None` at the end. Frames that are none of events are passed over.
    async fn next(&mut self) -> Result<Option<EventFrame>, Error> {
        loop {
            if let Some(message) = decode_frame(&mut self.held)? {
                let text = |wanted: &str| {
                    let header = message.headers().iter().find(|h| h.name().as_str() == wanted);
                    header.and_then(|h| h.value().as_string().ok()).map(|s| s.as_str().to_owned())
                };
                match (text(":message-type").as_deref(), text(":event-type")) {
                    (Some("event"), Some(event)) => {
                        let protocol = self.protocol;
                        return Ok(Some(EventFrame { protocol, event, message }));
                    }
                    (Some("event"), None) => {
                        return Err(broken("a frame has no :event-type".to_owned()));
                    }
                    _ => continue,
                }
            }
            match self.body.next().await {
                Some(data) => self.held.extend_from_slice(&data?),
                None if self.held.is_empty() => return Ok(None),
                None => return Err(broken("it ends within a frame".to_owned())),
            }
        }
    }

    fn frames(self) -> EventFrames {
        Box::pin(stream::unfold(Some(self), |state| async move {
            let mut arriving = state?;
            match arriving.next().await {
                Ok(Some(frame)) => Some((Ok(Box::new(frame) as Box<dyn Frame>), Some(arriving))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        }))
    }
}

/// A frame that carries an event.
struct EventFrame {
    protocol: Protocol,
    event: String,
    message: Message,
}

impl Frame for EventFrame {
    fn event(&self) -> &str {
        &self.event
    }

    fn read(&self, reader: &mut FrameReader<'_>) -> Result<(), Error> {
        let mut members = Members { protocol: self.protocol, message: &self.message };
        reader(&mut members).map_err(|why| refusal::bad_body(self.protocol, &why, &[]))
    }
}

/// Hands each member to an event's structure from its own place.
struct Members<'a> {
    protocol: Protocol,
    message: &'a Message,
}

type Consumer<'c> = dyn FnMut(&Schema<'_>, &mut dyn ShapeDeserializer) -> Result<(), SerdeError> + 'c;

impl Members<'_> {
    fn payload(
        &self,
        read: &mut dyn FnMut(&mut dyn ShapeDeserializer) -> Result<(), SerdeError>,
    ) -> Result<(), SerdeError> {
        let payload = self.message.payload();
        match self.protocol {
            Protocol::RpcV2Cbor => read(&mut codec::cbor(payload)),
            Protocol::RestXml | Protocol::AwsQuery | Protocol::Ec2Query => {
                if codec::has_doctype(payload) {
                    return Err(SerdeError::invalid_input("document type declarations are refused"));
                }
                read(&mut codec::xml(&codec::without_cdata(payload)))
            }
            _ => read(&mut codec::json(payload)),
        }
    }
}

impl ShapeDeserializer for Members<'_> {
    fn read_struct(&mut self, schema: &Schema<'_>, consumer: &mut Consumer<'_>) -> Result<(), SerdeError> {
        let mut in_payload = false;
        for member in schema.members() {
            if member.event_header().is_some() {
                let name = member.member_name().unwrap_or_default();
                let header = self.message.headers().iter().find(|h| h.name().as_str() == name);
                if let Some(header) = header {
                    consumer(member, &mut Header(header.value()))?;
                }
            } else if member.event_payload().is_none() {
                in_payload = true;
            } else if !self.message.payload().is_empty() {
                match member.shape_type() {
                    ShapeType::Blob | ShapeType::String => {
                        consumer(member, &mut rest::RawReader(self.message.payload()))?;
                    }
                    _ => self.payload(&mut |de| consumer(member, de))?,
                }
            }
        }
        if in_payload && !self.message.payload().is_empty() {
            return self.payload(&mut |de| {
                de.read_struct(schema, &mut |member, de| {
                    if member.event_header().is_some() { de.skip_value() } else { consumer(member, de) }
                })
            });
        }
        Ok(())
    }

    collections_are!(only_structures);

    numbers_are!(only_structures);
    texts_are!(only_structures);
}

fn only_structures<T>() -> Result<T, SerdeError> {
    Err(SerdeError::unsupported("an event is a structure"))
}

/// A frame's header, whose value has a type of its own.
struct Header<'a>(&'a HeaderValue);

impl Header<'_> {
    /// The value as an integer that fits.
    fn integer<T: TryFrom<i64>>(&self) -> Result<T, SerdeError> {
        let value = match self.0 {
            HeaderValue::Byte(value) => i64::from(*value),
            HeaderValue::Int16(value) => i64::from(*value),
            HeaderValue::Int32(value) => i64::from(*value),
            HeaderValue::Int64(value) => *value,
            _ => return not("an integer"),
        };
        T::try_from(value).or_else(|_| not("an integer of its member's size"))
    }
}

fn not<T>(kind: &str) -> Result<T, SerdeError> {
    Err(SerdeError::type_mismatch(format!("an event's header is not {kind}")))
}

fn never<T>() -> Result<T, SerdeError> {
    not("of a type that headers have")
}

impl ShapeDeserializer for Header<'_> {
    structures_are!(never);

    collections_are!(never);

    fn read_boolean(&mut self, _: &Schema<'_>) -> Result<bool, SerdeError> {
        self.0.as_bool().or_else(|_| not("a boolean"))
    }

    fn read_byte(&mut self, _: &Schema<'_>) -> Result<i8, SerdeError> {
        self.integer()
    }

    fn read_short(&mut self, _: &Schema<'_>) -> Result<i16, SerdeError> {
        self.integer()
    }

    fn read_integer(&mut self, _: &Schema<'_>) -> Result<i32, SerdeError> {
        self.integer()
    }

    fn read_long(&mut self, _: &Schema<'_>) -> Result<i64, SerdeError> {
        self.integer()
    }

    fn read_float(&mut self, _: &Schema<'_>) -> Result<f32, SerdeError> {
        never()
    }

    fn read_double(&mut self, _: &Schema<'_>) -> Result<f64, SerdeError> {
        never()
    }

    fn read_big_integer(&mut self, _: &Schema<'_>) -> Result<BigInteger, SerdeError> {
        never()
    }

    fn read_big_decimal(&mut self, _: &Schema<'_>) -> Result<BigDecimal, SerdeError> {
        never()
    }

    fn read_string(&mut self, _: &Schema<'_>) -> Result<String, SerdeError> {
        self.0.as_string().map(|text| text.as_str().to_owned()).or_else(|_| not("a string"))
    }

    fn read_blob(&mut self, _: &Schema<'_>) -> Result<Blob, SerdeError> {
        self.0.as_byte_array().map(|bytes| Blob::new(bytes.to_vec())).or_else(|_| not("bytes"))
    }

    fn read_timestamp(&mut self, _: &Schema<'_>) -> Result<DateTime, SerdeError> {
        self.0.as_timestamp().or_else(|_| not("a timestamp"))
    }

    fn read_document(&mut self, _: &Schema<'_>) -> Result<Document, SerdeError> {
        never()
    }

    nothing_to_skip!();
}

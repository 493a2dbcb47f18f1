//! Turning a request into its operation's input.

mod events;
mod rest;

use crate::expected::read_again;
use crate::form::{Dialect, FormReader, Node};
use crate::head::{Head, Params};
use crate::router::Route;
use crate::{Body, codec, refusal};
use bytes::Bytes;
use cloudlet_service::{ByteStream, Error, Payload, Protocol, Structure};

pub use events::read_events;

/// Reads the input of the route's operation. The body of an operation with a streaming payload is handed on as it
/// comes; every other body must be whole.
///
/// Errors: AWS's for what cannot be read: `SerializationException`, `MalformedXML`, `MalformedInput`,
/// `InvalidArgument`.
pub fn read_input(route: &Route, head: &Head<'_>, body: Body) -> Result<Box<dyn Structure>, Error> {
    let operation = route.operation();
    if let Payload::Stream(_) = operation.input_payload {
        let mut input = rest::read(route, head, &Bytes::new())?;
        input.set_stream(match body {
            Body::Bytes(bytes) => ByteStream::from(bytes),
            Body::Stream(stream) => stream,
        });
        return Ok(input);
    }
    let Body::Bytes(body) = body else {
        return Err(Error::internal(format!("the body of {} has not been collected", operation.name)));
    };
    let api = route.api;
    match route.protocol {
        // To DynamoDB no body is no JSON; others take it for an empty object.
        Protocol::AwsJson10 if body.is_empty() && api.signing_name == "dynamodb" => {
            Err(Error::sender("SerializationException", ""))
        }
        Protocol::AwsJson10 | Protocol::AwsJson11 => {
            let mut de = codec::json(&body);
            (operation.read_input)(&mut de).or_else(|e| {
                let rest = &body[de.position().min(body.len())..];
                if api.signing_name == "dynamodb" {
                    return read_again(operation, &mut codec::json(&body))
                        .map_err(|expected| refusal::bad_dynamodb_body(&e, expected, &body, rest));
                }
                Err(refusal::bad_body(route.protocol, &e, rest))
            })
        }
        Protocol::RpcV2Cbor => {
            let mut de = codec::cbor(&body);
            (operation.read_input)(&mut de).map_err(|e| refusal::bad_body(route.protocol, &e, &[]))
        }
        Protocol::AwsQuery => form(route, head, &body, Dialect::Query),
        Protocol::Ec2Query => form(route, head, &body, Dialect::Ec2),
        Protocol::RestJson1 | Protocol::RestXml => rest::read(route, head, &body),
    }
}

fn form(route: &Route, head: &Head<'_>, body: &Bytes, dialect: Dialect) -> Result<Box<dyn Structure>, Error> {
    let text = std::str::from_utf8(body).map_err(|_| refusal::malformed_form("the form is not UTF-8"))?;
    let mut params = Params::parse(head.query)?;
    params.0.append(&mut Params::parse(text)?.0);
    let node = Node::parse(&params)?;
    (route.operation().read_input)(&mut FormReader { node: &node, dialect })
        .map_err(|e| refusal::bad_body(route.protocol, &e, &[]))
}

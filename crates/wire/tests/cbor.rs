//! rpcv2Cbor and event streams.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use aws_smithy_cbor::{Decoder, Encoder};
use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use bytes::BytesMut;
use cloudlet_service::{ByteStream, Error, EventStream, Protocol, Structure};
use cloudlet_test_api::{cbor, rest_json};
use cloudlet_wire::{Labels, Payload, Route, Router, decode_frame, read_events, write_output};
use common::{read_bytes, write};
use futures_util::stream;
use serde_json::json;

const HEAD: &str =
    "POST /service/TestCbor/operation/Kitchen\nsmithy-protocol: rpc-v2-cbor\ncontent-type: application/cbor";

fn kitchen(build: impl FnOnce(&mut Encoder)) -> String {
    let mut encoder = Encoder::new(Vec::new());
    build(&mut encoder);
    read_bytes("test-cbor", HEAD, &encoder.into_writer())
}

#[test]
fn reads() {
    assert_eq!(read_bytes("test-cbor", HEAD, b""), "Kitchen {}");
    let got = kitchen(|e| {
        e.begin_map().str("String").str("a").str("Unknown").map(1).str("x").null().str("Integer").integer(-7);
        e.str("Timestamp")
            .timestamp(&aws_smithy_types::DateTime::from_millis(1_500))
            .str("Blob")
            .blob_bytes(b"hi");
        e.str("Strings").array(2).str("a").str("b").str("Renamed").str("r").str("Double").double(1.5).end();
    });
    let expected = r#"Kitchen {"String":"a","Renamed":"r","Integer":-7,"Double":1.5,"Blob":"aGk=","Timestamp":1.5,"Strings":["a","b"]}"#;
    assert_eq!(got, expected);
}

#[test]
fn refuses() {
    let mut deep = vec![0xbf, 0x66];
    deep.extend_from_slice(b"Nested");
    for _ in 0..300_000 {
        deep.extend_from_slice(&[0xbf, 0x65]);
        deep.extend_from_slice(b"Inner");
    }
    let arrays = [b"\xa1\x67Unknown".as_slice(), &[0x81; 1_000_000]].concat();
    let huge = b"\xa1\x67Strings\x9b\xff\xff\xff\xff\xff\xff\xff\xff".to_vec();
    let wrong_type = b"\xa1\x66String\x07".to_vec();
    let trailing = b"\xa0\xa0".to_vec();
    for body in [deep, arrays, huge, wrong_type, trailing, vec![0xbf], vec![0xff], b"{}".to_vec()] {
        let got = read_bytes("test-cbor", HEAD, &body);
        assert!(got.starts_with("SerializationException (400): "), "{got}");
    }
    let unknown = HEAD.replace("Kitchen", "Nope");
    assert!(read_bytes("test-cbor", &unknown, b"").starts_with("UnknownOperationException (404): "));
}

#[test]
fn writes() {
    let got = write("test_cbor", "RpcV2Cbor", "Kitchen", json!({"String": "a", "Integer": 1}));
    let expected = "200\ncontent-type: application/cbor\nsmithy-protocol: rpc-v2-cbor\n\n";
    assert_eq!(got, format!("{expected}bf66537472696e676161{}01ff", "67496e7465676572"));
}

fn route(api: &'static cloudlet_service::Api, name: &str, protocol: Protocol) -> Route {
    let operation = api.operations.iter().position(|o| o.name == name).unwrap();
    Route { api, operation, protocol, labels: Labels::default() }
}

async fn frames(response: cloudlet_wire::Response) -> Vec<String> {
    assert_eq!(response.headers()["content-type"], "application/vnd.amazon.eventstream");
    let Payload::Stream(stream) = response.into_body() else { panic!("not a stream") };
    let mut buffer = BytesMut::from(&stream.collect(1 << 20).await.unwrap()[..]);
    let mut out = Vec::new();
    while let Some(message) = decode_frame(&mut buffer).unwrap() {
        let headers: Vec<String> = message
            .headers()
            .iter()
            .map(|h| format!("{}={}", h.name().as_str(), h.value().as_string().map_or("?", |s| s.as_str())))
            .collect();
        out.push(format!("{} | {}", headers.join(" "), String::from_utf8_lossy(message.payload())));
    }
    assert!(buffer.is_empty());
    out
}

#[tokio::test]
async fn streams_events_in_json() {
    let events = vec![
        Ok(rest_json::Events::Tick(rest_json::Tick { id: Some(7), text: Some("t".into()) })),
        Ok(rest_json::Events::Data(rest_json::Data { bytes: Some(aws_smithy_types::Blob::new("raw")) })),
        Err(rest_json::Gone { message: Some("gone".into()), resource: Some("r".into()) }.into()),
    ];
    let output =
        rest_json::WatchOutput { h_string: Some("h".into()), events: EventStream::new(stream::iter(events)) };
    let response =
        write_output(&route(&rest_json::API, "Watch", Protocol::RestJson1), "id", Box::new(output));
    assert_eq!(response.headers()["x-string"], "h");
    assert_eq!(
        frames(response).await,
        [
            r#":message-type=event :event-type=Tick :content-type=application/json Id=? | {"Text":"t"}"#,
            r#":message-type=event :event-type=Data :content-type=application/octet-stream | raw"#,
            r#":message-type=exception :exception-type=Gone :content-type=application/json | {"message":"gone","Resource":"r"}"#,
        ]
    );
}

#[tokio::test]
async fn streams_events_after_an_initial_response() {
    let events = vec![Err(Error::new("Broken", 500, "it broke"))];
    let output = cbor::WatchOutput { name: Some("n".into()), events: EventStream::new(stream::iter(events)) };
    let response = write_output(&route(&cbor::API, "Watch", Protocol::RpcV2Cbor), "id", Box::new(output));
    let got = frames(response).await;
    assert!(
        got[0].starts_with(
            ":message-type=event :event-type=initial-response :content-type=application/cbor | "
        )
    );
    assert_eq!(got[1], ":message-type=error :error-code=Broken :error-message=it broke | ");
}

/// A frame of a client: an event's name, its headers and its payload.
fn frame(event: &str, headers: Vec<Header>, payload: &[u8]) -> Vec<u8> {
    let text =
        |name: &'static str, value: &str| Header::new(name, HeaderValue::String(value.to_owned().into()));
    let mut all = vec![text(":message-type", "event"), text(":event-type", event)];
    all.extend(headers);
    let mut out = Vec::new();
    write_message_to(&Message::new_from_parts(all, payload.to_vec()), &mut out).unwrap();
    out
}

/// The bytes as they may arrive, so many at a time.
fn arriving(bytes: &[u8], size: usize) -> ByteStream {
    let pieces: Vec<_> = bytes.chunks(size).map(|piece| Ok(bytes::Bytes::copy_from_slice(piece))).collect();
    ByteStream::new(stream::iter(pieces), None)
}

async fn talk<T: Structure>(
    api: &'static cloudlet_service::Api,
    protocol: Protocol,
    body: ByteStream,
) -> Result<T, Error> {
    let mut headers = http::HeaderMap::new();
    if protocol == Protocol::RpcV2Cbor {
        headers.insert("smithy-protocol", http::HeaderValue::from_static("rpc-v2-cbor"));
    }
    let path = if protocol == Protocol::RpcV2Cbor { "/service/TestCbor/operation/Talk" } else { "/talk/ada" };
    let head =
        cloudlet_wire::Head { method: "POST", path, query: "", headers: &headers, host: "", bucket: None };
    let route = Router::new(&[api]).route(Some(api.signing_name), &head, None).unwrap();
    let input = read_events(&route, &head, body).await?;
    Ok(*input.into_any().downcast::<T>().unwrap())
}

fn word_headers() -> Vec<Header> {
    vec![
        Header::new("At", HeaderValue::Timestamp(aws_smithy_types::DateTime::from_millis(1_500))),
        Header::new("Loud", HeaderValue::Bool(true)),
        Header::new("Number", HeaderValue::Byte(-3)),
        Header::new("Language", HeaderValue::String("en".into())),
    ]
}

#[tokio::test]
async fn reads_events_of_clients_in_json() {
    let mut body = frame("Word", word_headers(), br#"{"Text":"hi","Loud":false}"#);
    body.extend(frame("Audio", Vec::new(), b"\x00raw"));
    for size in [1, 7, 1000] {
        let mut input: rest_json::TalkInput =
            talk(&rest_json::API, Protocol::RestJson1, arriving(&body, size)).await.unwrap();
        assert_eq!(input.name, "ada");
        let Some(Ok(rest_json::Sayings::Word(word))) = input.said.next().await else { panic!("no word") };
        assert_eq!(word.at.unwrap().to_millis().unwrap(), 1_500);
        assert_eq!((word.loud, word.number), (Some(true), Some(-3)));
        assert_eq!((word.language.as_deref(), word.text.as_deref()), (Some("en"), Some("hi")));
        let Some(Ok(rest_json::Sayings::Audio(audio))) = input.said.next().await else { panic!("no audio") };
        assert_eq!(audio.chunk.unwrap().as_ref(), b"\x00raw");
        assert!(input.said.next().await.is_none());
    }
}

#[tokio::test]
async fn reads_events_of_clients_after_an_initial_request() {
    let payload = |build: &dyn Fn(&mut Encoder)| {
        let mut encoder = Encoder::new(Vec::new());
        build(&mut encoder);
        encoder.into_writer()
    };
    let mut body = frame(
        "initial-request",
        Vec::new(),
        &payload(&|e| {
            e.map(1).str("Name").str("ada");
        }),
    );
    body.extend(frame(
        "Word",
        Vec::new(),
        &payload(&|e| {
            e.map(1).str("Text").str("hi");
        }),
    ));
    let mut input: cbor::TalkInput = talk(&cbor::API, Protocol::RpcV2Cbor, arriving(&body, 5)).await.unwrap();
    assert_eq!(input.name.as_deref(), Some("ada"));
    let Some(Ok(cbor::Sayings::Word(word))) = input.said.next().await else { panic!("no word") };
    assert_eq!(word.text.as_deref(), Some("hi"));
    let without = frame("Word", Vec::new(), b"");
    for wrong in [without, Vec::new()] {
        let got = talk::<cbor::TalkInput>(&cbor::API, Protocol::RpcV2Cbor, arriving(&wrong, 9)).await;
        assert_eq!(got.err().unwrap().code(), "SerializationException");
    }
}

#[tokio::test]
async fn events_of_clients_end_with_the_first_that_cannot_be_read() {
    let whole = frame("Audio", Vec::new(), b"a");
    let wrong = vec![
        (frame("Shout", Vec::new(), b"{}"), "The operation takes no event of type \"Shout\"."),
        (frame("Word", Vec::new(), b"{"), "Could not parse request body into json"),
        (
            frame("Word", vec![Header::new("Loud", HeaderValue::Byte(1))], b"{}"),
            "an event's header is not a boolean",
        ),
        (whole[..whole.len() - 1].to_vec(), "it ends within a frame"),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff".to_vec(), "a frame cannot be"),
    ];
    for (bytes, why) in wrong {
        let body = [whole.clone(), bytes].concat();
        let mut input: rest_json::TalkInput =
            talk(&rest_json::API, Protocol::RestJson1, arriving(&body, 64)).await.unwrap();
        assert!(input.said.next().await.unwrap().is_ok());
        let Some(Err(error)) = input.said.next().await else { panic!("{why}: no error") };
        assert_eq!(error.code(), "SerializationException");
        assert!(error.message().contains(why), "{}", error.message());
    }
}

#[test]
fn refuses_broken_frames() {
    for bytes in [
        &b"\x00\x00\x00\x05abcdefghijklmnop"[..],
        &[0xff; 40],
        &[0, 0, 0, 16, 0, 0, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0],
    ] {
        assert!(decode_frame(&mut BytesMut::from(bytes)).is_err());
    }
    assert!(decode_frame(&mut BytesMut::from(&b"\x00\x00"[..])).unwrap().is_none());
    assert!(decode_frame(&mut BytesMut::from(&b"\x00\x00\x01\x00rest"[..])).unwrap().is_none());
}

#[test]
fn writes_modeled_errors() {
    let error: Error = cbor::Gone { message: Some("gone".into()), resource: Some("r".into()) }.into();
    let headers = http::HeaderMap::new();
    let head = cloudlet_wire::Head {
        method: "POST",
        path: "/",
        query: "",
        headers: &headers,
        host: "",
        bucket: None,
    };
    let response = cloudlet_wire::write_error(Protocol::RpcV2Cbor, Some(&cbor::API), "id", &head, &error);
    let Payload::Bytes(body) = response.into_body() else { panic!("not bytes") };
    let mut decoder = Decoder::new(&body);
    decoder.map().unwrap();
    let mut texts = Vec::new();
    for _ in 0..6 {
        texts.push(decoder.str().unwrap().into_owned());
    }
    assert_eq!(texts, ["__type", "TestCbor#Gone", "message", "gone", "Resource", "r"]);
}

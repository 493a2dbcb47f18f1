//! rpcv2Cbor and event streams.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use aws_smithy_cbor::{Decoder, Encoder};
use bytes::BytesMut;
use cloudlet_service::{Error, EventStream, Protocol};
use cloudlet_test_api::{cbor, rest_json};
use cloudlet_wire::{Labels, Payload, Route, decode_frame, write_output};
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

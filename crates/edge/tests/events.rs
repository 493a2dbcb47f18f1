//! Event streams that clients send, in frames that AWS's own signer has signed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use aws_credential_types::Credentials;
use aws_sigv4::event_stream::{sign_empty_message, sign_message};
use aws_sigv4::sign::v4;
use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use common::*;
use std::time::{Duration, UNIX_EPOCH};

fn word(text: &str) -> Message {
    let header =
        |name: &'static str, value: &'static str| Header::new(name, HeaderValue::String(value.into()));
    let headers = vec![header(":message-type", "event"), header(":event-type", "Word")];
    Message::new_from_parts(headers, serde_json::json!({ "Text": text }).to_string().into_bytes())
}

/// The signed frames of some words, each by itself, with the empty one at the end.
fn signed(words: &[&str], seed: &str) -> Vec<Vec<u8>> {
    let identity = Credentials::new(KEY, SECRET, None, None, "test").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("eu-central-1")
        .name("test-rest-json")
        .time(UNIX_EPOCH + Duration::from_secs(NOW))
        .settings(())
        .build()
        .unwrap();
    let mut last = seed.to_owned();
    let mut frames = Vec::new();
    for text in words.iter().map(Some).chain([None]) {
        let message = text.map(|text| word(text));
        let (frame, signature) = match &message {
            Some(message) => sign_message(message, &last, &params).unwrap().into_parts(),
            None => sign_empty_message(&last, &params).unwrap().into_parts(),
        };
        let mut bytes = Vec::new();
        write_message_to(&frame, &mut bytes).unwrap();
        frames.push(bytes);
        last = signature;
    }
    frames
}

fn talk() -> Request {
    Request::new("POST", "/talk/ada").header("content-type", "application/vnd.amazon.eventstream")
}

/// Sends frames; gives what came of it: `200`, or the error's code, and what the service heard.
async fn say(change: impl FnOnce(&mut Vec<Vec<u8>>)) -> (String, Vec<String>) {
    let cloud = start();
    let mut request = talk().signed_with_events("test-rest-json");
    let mut frames = signed(&["one", "two", "three"], &request.signature());
    change(&mut frames);
    request.body = frames.concat();
    let mut client = cloud.connect().await;
    client.send(&request.bytes()).await;
    let head = client.head().await.unwrap();
    let status = head.split(' ').nth(1).unwrap().to_owned();
    let kind = head.lines().find_map(|line| line.strip_prefix("x-amzn-errortype: "));
    let said = cloud.inside.said.lock().unwrap().clone();
    (kind.map_or(status, |kind| kind.trim().to_owned()), said)
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_events_arrive() {
    let (outcome, said) = say(|_| {}).await;
    assert_eq!(outcome, "200");
    assert_eq!(said, ["one", "two", "three"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_on_the_way_is_refused() {
    let (outcome, said) = say(|frames| frames.swap(0, 1)).await;
    assert_eq!((outcome.as_str(), said.len()), ("SignatureDoesNotMatch", 0));
    let (outcome, said) = say(|frames| drop(frames.remove(1))).await;
    assert_eq!((outcome.as_str(), said.len()), ("SignatureDoesNotMatch", 1));
    // A frame of the right form that another key has signed.
    let (outcome, _) = say(|frames| frames[2] = signed(&["three"], "another")[0].clone()).await;
    assert_eq!(outcome, "SignatureDoesNotMatch");
    // Cut short, between two frames and within one.
    let (outcome, said) = say(|frames| drop(frames.pop())).await;
    assert_eq!((outcome.as_str(), said.len()), ("SerializationException", 3));
    let (outcome, _) = say(|frames| frames[3].truncate(20)).await;
    assert_eq!(outcome, "SerializationException");
    // Not signed at all.
    let (outcome, said) = say(|frames| {
        frames[0].clear();
        write_message_to(&word("one"), &mut frames[0]).unwrap();
    })
    .await;
    assert_eq!((outcome.as_str(), said.len()), ("SerializationException", 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_promises_no_signed_events_is_refused() {
    let cloud = start();
    let frames = signed(&["one"], "");
    for request in [talk(), talk().body(frames.concat()).signed("test-rest-json")] {
        let reply = cloud.ask(&request).await;
        assert_eq!(reply.status, 403, "{}", reply.text());
    }
    assert!(cloud.inside.said.lock().unwrap().is_empty());
}

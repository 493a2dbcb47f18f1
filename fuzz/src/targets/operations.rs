//! Every operation of the services that keep state, called by the root user with whatever can be read out of the bytes. It must
//! answer, and never with an internal failure.

use super::{Target, seen, seen_message, texts, wire_json, world};
use crate::request::Asked;
use crate::skeleton;
use cloudlet_service::Protocol;
use cloudlet_wire::Body;

pub(super) static TARGET: Target =
    Target { name: "operations", run, seeds, words: wire_json::WORDS, longest: 128 << 10, memory: 64 << 20 };

fn seeds() -> Vec<Vec<u8>> {
    let mut all = texts(&[
        "PUT /fuzz\nscope: s3\n\n",
        "PUT /fuzz/folder/key\nscope: s3\nx-amz-meta-a: b\n\nsome bytes",
        "GET /fuzz/folder/key\nscope: s3\nrange: bytes=1-3\n\n",
        "GET /fuzz?list-type=2&prefix=f&delimiter=%2F&max-keys=1&encoding-type=url\nscope: s3\n\n",
        "GET /fuzz?list-type=2&continuation-token=AAAA\nscope: s3\n\n",
        "GET /fuzz?versions&key-marker=a&version-id-marker=b\nscope: s3\n\n",
        "POST /fuzz/folder/key?uploads\nscope: s3\n\n",
        "POST /\nscope: logs\nx-amz-target: Logs_20140328.CreateLogGroup\n\n{\"logGroupName\":\"/fuzz\"}",
        "POST /\nscope: logs\nx-amz-target: Logs_20140328.CreateLogStream\n\n{\"logGroupName\":\"/fuzz\",\"logStreamName\":\"fuzz\"}",
        "POST /\nscope: logs\nx-amz-target: Logs_20140328.FilterLogEvents\n\n{\"logGroupName\":\"/fuzz\",\"filterPattern\":\"{ $.a = 1 }\",\"nextToken\":\"AAAA\"}",
    ]);
    all.extend(skeleton::requests(&cloudlet_api_s3::API, Protocol::RestXml));
    all.extend(skeleton::requests(&cloudlet_api_logs::API, Protocol::AwsJson11));
    all.extend(skeleton::requests(&cloudlet_api_iam::API, Protocol::AwsQuery));
    all.extend(skeleton::requests(&cloudlet_api_sts::API, Protocol::AwsQuery));
    all
}

fn run(input: &[u8]) -> u64 {
    let Some(asked) = Asked::parse(input) else { return 0 };
    world::with(|world| {
        let head = asked.head();
        let form = cloudlet_wire::Router::needs_form(&head).then_some(&asked.body[..]);
        let Ok(route) = world.router.route(asked.scope, &head, form) else { return 1 };
        let name = route.operation().name;
        let input = match cloudlet_wire::read_input(&route, &head, Body::Bytes(asked.body.clone())) {
            Ok(input) => input,
            Err(why) => return seen(&(name, why.code())),
        };
        match world.call(&route, input) {
            Ok(length) => seen(&(name, length.checked_ilog2())),
            Err(why) => {
                assert!(why.status() != 500, "{name} fails with {why:?}");
                seen(&(name, seen_message(why.code(), why.message())))
            }
        }
    })
}

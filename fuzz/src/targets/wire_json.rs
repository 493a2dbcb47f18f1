//! awsJson 1.0 and 1.1: CloudWatch Logs and the test API.

use super::{Target, texts, wire};
use crate::skeleton;
use cloudlet_service::Protocol;

pub(super) static TARGET: Target =
    Target { name: "wire-json", run: wire::read, seeds, words: WORDS, ..Target::DEFAULT };

fn seeds() -> Vec<Vec<u8>> {
    let mut all = skeleton::requests(&cloudlet_api_logs::API, Protocol::AwsJson11);
    all.extend(skeleton::requests(&cloudlet_test_api::json::API, Protocol::AwsJson10));
    all.extend(texts(&[
        "POST /\nscope: logs\nx-amz-target: Logs_20140328.PutLogEvents\ncontent-type: application/x-amz-json-1.1\n\n{\"logGroupName\":\"a\",\"logStreamName\":\"b\",\"logEvents\":[{\"timestamp\":1,\"message\":\"\\u00e9\\ud83d\\ude00\"}]}",
        "POST /\nx-amz-target: Logs_20140328.Nothing\n\n{}",
    ]));
    all
}

pub(super) const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\\",
    "\\u",
    "\\ud800",
    "\\udc00",
    "\\u0000",
    "null",
    "true",
    "false",
    "1e9",
    "-0",
    "1.5e-3",
    "{}",
    "[]",
    "\"\"",
    "\"String\":",
    "\"Nested\":{",
    "\"Choice\":{",
    "\"Document\":[",
    "\"Map\":{",
    "\"Blob\":\"AA=\"",
    "\"Timestamp\":",
    "\"__type\":",
    "\"a\":1,\"a\":2",
    "\u{feff}",
    "//",
    "/* */",
    "NaN",
    "Infinity",
    "'",
    "\n\n",
    "\nx-amz-target: ",
    "\nscope: logs",
    "content-type: application/json",
    "?",
    "%2F",
    "%00",
    "/",
];

//! awsQuery: IAM, STS and the test API.

use super::{Target, texts, wire};
use crate::skeleton;
use cloudlet_service::Protocol;

pub(super) static TARGET: Target =
    Target { name: "wire-query", run: wire::read, seeds, words: WORDS, ..Target::DEFAULT };

fn seeds() -> Vec<Vec<u8>> {
    let mut all = skeleton::requests(&cloudlet_api_iam::API, Protocol::AwsQuery);
    all.extend(skeleton::requests(&cloudlet_api_sts::API, Protocol::AwsQuery));
    all.extend(skeleton::requests(&cloudlet_test_api::query::API, Protocol::AwsQuery));
    all.extend(texts(&[
        "GET /?Action=GetCallerIdentity&Version=2011-06-15\nscope: sts\n\n",
        "POST /\nscope: iam\ncontent-type: application/x-www-form-urlencoded; charset=utf-8\n\nAction=TagRole&RoleName=a&Tags.member.1.Key=k&Tags.member.1.Value=v&Tags.member.3.Key=l",
    ]));
    all
}

pub(super) const WORDS: &[&str] = &[
    "&",
    "=",
    ".",
    "%",
    "%00",
    "%ff",
    "%E9",
    "+",
    ";",
    "Action=",
    "&Action=GetUser",
    "&Version=2010-05-08",
    ".member.1",
    ".member.2.",
    ".member.99999",
    ".member.18446744073709551616",
    ".member.0",
    ".entry.1.key=",
    ".entry.1.value=",
    ".1",
    ".0",
    ".01",
    "Nested.",
    "Strings.member.1=",
    "Map.entry.1.key=",
    "Tags.member.1.Key=",
    "\n\n",
    "\nscope: iam",
    "?",
    "\ncontent-type: application/x-www-form-urlencoded",
    "..",
    "a=b",
    "=&=",
    "&&&&",
    "true",
    "2023-11-14T22:13:20Z",
];

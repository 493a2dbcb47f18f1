//! restJson1: Lambda and the test API.

use super::{Target, texts, wire, wire_json};
use crate::skeleton;
use cloudlet_service::Protocol;

pub(super) static TARGET: Target =
    Target { name: "wire-rest-json", run: wire::read, seeds, words: wire_json::WORDS, ..Target::DEFAULT };

fn seeds() -> Vec<Vec<u8>> {
    let mut all = skeleton::requests(&cloudlet_api_lambda::API, Protocol::RestJson1);
    all.extend(skeleton::requests(&cloudlet_test_api::rest_json::API, Protocol::RestJson1));
    all.extend(texts(&[
        "POST /2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af/invocations?Qualifier=1\nscope: lambda\nx-amz-invocation-type: Event\n\n{}",
        "GET /2015-03-31/functions/?MaxItems=10&Marker=x\nscope: lambda\n\n",
    ]));
    all
}

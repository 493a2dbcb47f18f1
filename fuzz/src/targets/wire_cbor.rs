//! rpcv2Cbor: the test API, and CloudWatch Logs, which must refuse or read it.

use super::{Target, wire};
use crate::skeleton;
use cloudlet_service::Protocol;

pub(super) static TARGET: Target =
    Target { name: "wire-cbor", run: wire::read, seeds, words: WORDS, ..Target::DEFAULT };

fn seeds() -> Vec<Vec<u8>> {
    let mut all = skeleton::requests(&cloudlet_test_api::cbor::API, Protocol::RpcV2Cbor);
    let head =
        b"POST /service/TestCbor/operation/Kitchen\nscope: test-cbor\nsmithy-protocol: rpc-v2-cbor\n\n";
    // Lengths that are not there, indefinite lengths, tags on tags, half floats, breaks out of place.
    let bodies: [&[u8]; 12] = [
        b"\xbf\xff",
        b"\xbf\x66String\x7f\x61a\x61b\xff\xff",
        b"\xa1\x66String\x7b\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xa1\x67Strings\x9b\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"\xa1\x67Strings\x9f\x61a\xff",
        b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xa1\x65Float\xf9\x3c\x00",
        b"\xa1\x64Blob\x5f\x41a\x41b\xff",
        b"\xa1\x69Timestamp\xc1\xfb\x7f\xf0\x00\x00\x00\x00\x00\x00",
        b"\xc1\xc1\xc1\xa0",
        b"\xff",
        b"\xa1\x66String\xf7",
    ];
    all.extend(bodies.map(|body| [&head[..], body].concat()));
    all
}

const WORDS: &[&str] = &[
    "\u{1}",
    "fNested",
    "gStrings",
    "fString",
    "cMap",
    "gInteger",
    "hDocument",
    "\0",
    "\u{7f}",
    "x",
    "\n\n",
];

//! Whatever arrives, an error is the worst that happens.

mod common;

use cloudlet_wire::decode_frame;
use common::read_bytes;
use proptest::prelude::*;

const HEADS: [(&str, &str); 8] = [
    (
        "test-json",
        "POST /\nx-amz-target: TestJson_20260101.Kitchen\ncontent-type: application/x-amz-json-1.0",
    ),
    ("test-query", "POST /\ncontent-type: application/x-www-form-urlencoded"),
    ("test-ec2", "POST /\ncontent-type: application/x-www-form-urlencoded"),
    ("test-cbor", "POST /service/TestCbor/operation/Kitchen\nsmithy-protocol: rpc-v2-cbor"),
    ("test-rest-json", "POST /kitchen"),
    ("test-rest-xml", "POST /kitchen"),
    ("test-rest-json", "POST /payload/struct"),
    ("test-rest-xml", "POST /payload/struct"),
];

/// Bytes that look a little like what the protocols carry.
fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"",
        "\\",
        "\\u12",
        "null",
        "true",
        "1e9",
        "-",
        "\"String\"",
        "\"Nested\":{",
        "\"Choice\":",
        "\"Document\":[",
        "<K>",
        "</K>",
        "<Nested>",
        "<Flat>",
        "</Flat>",
        "<![CDATA[",
        "]]>",
        "<!--",
        "-->",
        "<?",
        "&amp;",
        "&#x0;",
        "<Map><entry><key>",
        "Action=Kitchen&",
        "Strings.member.1=",
        "Map.entry.1.key=",
        "&",
        "=",
        ".",
        "%",
        "%ff",
        "+",
        "Integer=",
        "\u{e9}",
        "\u{bf}",
        "fNested",
        "gStrings",
        "\u{0}",
    ]);
    let text = prop::collection::vec(pieces, 0..40).prop_map(|p| p.concat().into_bytes());
    prop_oneof![prop::collection::vec(any::<u8>(), 0..200), text]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn on_any_body(body in bodies()) {
        for (service, head) in HEADS {
            let got = read_bytes(service, head, &body);
            prop_assert!(!got.is_empty());
        }
        let _ = decode_frame(&mut bytes::BytesMut::from(&body[..]));
    }

    #[test]
    fn on_any_head(path in "/[ -~]{0,60}", query in "[ -~]{0,60}", value in "[ -~]{0,60}") {
        for service in ["", "test-rest-json", "test-rest-xml", "test-query", "test-json"] {
            for method in ["GET", "PUT", "POST"] {
                let head = format!(
                    "{method} {path}?{query}\nx-integer: {value}\nx-list: {value}\nx-time: {value}\nx-meta-a: {value}"
                );
                prop_assert!(!read_bytes(service, &head, b"").is_empty());
                let head = format!("{method} /bind/a/tail{path}?fixed&mode=1&{query}\nx-list: {value}\nx-time: {value}");
                prop_assert!(!read_bytes(service, &head, b"").is_empty());
            }
        }
    }
}

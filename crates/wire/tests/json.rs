//! awsJson: what is read, what is written, what is refused.

mod common;

use common::{fail, read, write};
use serde_json::json;

fn kitchen(body: &str) -> String {
    let head =
        "POST /\nx-amz-target: TestJson_20260101.Kitchen\ncontent-type: application/x-amz-json-1.0\n\n";
    read("test-json", &format!("{head}{body}"))
}

#[test]
fn reads_every_kind_of_member() {
    let cases = [
        ("", r#"Kitchen {}"#),
        ("{}", r#"Kitchen {}"#),
        (r#"{"String":"a\u00e9\n","Unknown":[1,{"x":null}]}"#, r#"Kitchen {"String":"aé\n"}"#),
        (
            r#"{"String":null,"Integer":7,"Long":9007199254740993}"#,
            r#"Kitchen {"Integer":7,"Long":9007199254740993}"#,
        ),
        (r#"{"renamedHere":"r","Renamed":"no"}"#, r#"Kitchen {"Renamed":"r"}"#),
        (
            r#"{"Integer":7.0,"Boolean":false,"Double":1e-3}"#,
            r#"Kitchen {"Boolean":false,"Integer":7,"Double":0.001}"#,
        ),
        (r#"{"Double":"NaN","Float":"-Infinity"}"#, r#"Kitchen {"Float":"-Infinity","Double":"NaN"}"#),
        (r#"{"Blob":"aGk="}"#, r#"Kitchen {"Blob":"aGk="}"#),
        (
            r#"{"Timestamp":1.5,"Iso":"2020-01-01T00:00:00Z","Unix":3}"#,
            r#"Kitchen {"Timestamp":1.5,"Iso":"2020-01-01T00:00:00Z","Unix":3}"#,
        ),
        (
            r#"{"Http":"Mon, 16 Dec 2019 23:48:18 GMT"}"#,
            r#"Kitchen {"Http":"Mon, 16 Dec 2019 23:48:18 GMT"}"#,
        ),
        (
            r#"{"Strings":[],"Lists":[["a"],[]],"Map":{}}"#,
            r#"Kitchen {"Strings":[],"Lists":[["a"],[]],"Map":{}}"#,
        ),
        (
            r#"{"NestedMap":{"a b":{"Name":"n"}},"NestedList":[{"Size":1}]}"#,
            r#"Kitchen {"NestedList":[{"Size":1}],"NestedMap":{"a b":{"Name":"n"}}}"#,
        ),
        (
            r#"{"Choice":{"Deep":{"Inner":{"Name":"x"}}}}"#,
            r#"Kitchen {"Choice":{"Deep":{"Inner":{"Name":"x"}}}}"#,
        ),
        (r#"{"Document":{"a":[1,2.5,null,"x"]}}"#, r#"Kitchen {"Document":{"a":[1,2.5,null,"x"]}}"#),
    ];
    for (body, expected) in cases {
        assert_eq!(kitchen(body), expected, "{body}");
    }
}

#[test]
fn refuses_in_awss_words() {
    let cases = [
        (r#"{"String":1}"#, "NUMBER_VALUE can not be converted to a String"),
        (r#"{"String":1.5}"#, "DECIMAL_VALUE can not be converted to a String"),
        (r#"{"String":true}"#, "TRUE_VALUE can not be converted to a String"),
        (r#"{"String":{}}"#, "Start of structure or map found where not expected."),
        (r#"{"String":[]}"#, "Unrecognized collection type class java.lang.String"),
        (r#"{"Integer":"7"}"#, "STRING_VALUE can not be converted to an Integer"),
        (r#"{"Integer":false}"#, "FALSE_VALUE can not be converted to an Integer"),
        (r#"{"Boolean":1}"#, "NUMBER_VALUE can not be converted to a Boolean"),
        (r#"{"Strings":"a"}"#, "Unexpected field type"),
        (r#"{"Nested":[]}"#, "Start of list found where not expected"),
        (r#"{"Strings":{}}"#, "Start of structure or map found where not expected."),
    ];
    for (body, expected) in cases {
        assert_eq!(kitchen(body), format!("SerializationException (400): {expected}"), "{body}");
    }
}

#[test]
fn refuses_what_is_not_json() {
    let deep = format!("{{\"Unknown\":{}", "[".repeat(1_000_000));
    let inner = format!("{{\"Nested\":{}", "{\"Inner\":".repeat(1_000_000));
    let document = format!("{{\"Document\":{}", "[".repeat(1_000_000));
    for body in [
        "{",
        "[]",
        "nothing",
        "{\"String\":\"a",
        "{\"String\":\"a\"}x",
        "{\"Integer\":1e999}",
        "{\"Blob\":\"%\"}",
        "{\"Choice\":{\"Text\":\"a\",\"Number\":1}}",
        &deep,
        &inner,
        &document,
        "{\"Integer\":99999999999}",
    ] {
        let got = kitchen(body);
        assert!(got.starts_with("SerializationException (400): "), "{got}");
    }
    let head = "POST /\nx-amz-target: TestJson_20260101.Kitchen";
    let got = common::read_bytes("test-json", head, b"{\"String\":\"\xff\"}");
    assert!(got.starts_with("SerializationException (400): "), "{got}");
}

#[test]
fn knows_its_operations() {
    let to = |target: &str| read("test-json", &format!("POST /\nx-amz-target: {target}\n\n{{}}"));
    assert_eq!(to("TestJson_20260101.Nothing"), "Nothing {}");
    assert_eq!(
        to("TestJson_20260101.UnservedThing"),
        "NotImplemented (501): not implemented: test_json:UnservedThing"
    );
    assert!(to("TestJson_20260101.Nope").starts_with("UnknownOperationException (400): "));
    assert!(to("Other.Nope").starts_with("UnknownOperationException (400): "));
    assert_eq!(
        read("elsewhere", "POST /\nx-amz-target: Elsewhere_1.ListThings\n\n{}"),
        "NotImplemented (501): not implemented: elsewhere:ListThings"
    );
}

#[test]
fn speaks_the_query_protocol_too() {
    let request = "POST /\ncontent-type: application/x-www-form-urlencoded\n\nAction=Kitchen&Version=2026-01-01&String=a";
    assert_eq!(read("test-json", request), r#"Kitchen {"String":"a"}"#);
}

#[test]
fn writes() {
    let output = json!({"String": "a\"é", "Renamed": "r", "Timestamp": 1.5, "Iso": 0, "Http": 0, "Blob": "aGk=",
        "Double": "NaN", "Map": {"k": "v"}, "Choice": {"Number": 1}, "Document": {"a": [null]}});
    assert_eq!(
        write("test_json", "AwsJson10", "Kitchen", output),
        "200\ncontent-type: application/x-amz-json-1.0\n\n{\"String\":\"a\\\"é\",\"renamedHere\":\"r\",\
         \"Double\":\"NaN\",\"Blob\":\"aGk=\",\"Timestamp\":1.5,\"Iso\":\"1970-01-01T00:00:00Z\",\
         \"Http\":\"Thu, 01 Jan 1970 00:00:00 GMT\",\"Map\":{\"k\":\"v\"},\"Choice\":{\"Number\":1},\"Document\":{\"a\":[null]}}"
    );
    assert_eq!(
        write("test_json", "AwsJson10", "Nothing", json!({})),
        "200\ncontent-type: application/x-amz-json-1.0\n\n"
    );
}

#[test]
fn fails() {
    assert_eq!(
        fail("test_json", "AwsJson10", "Gone", 404, "it's \"gone\""),
        "404\ncontent-type: application/x-amz-json-1.0\nx-amzn-query-error: Gone;Sender\n\n\
         {\"__type\":\"Gone\",\"message\":\"it's \\\"gone\\\"\"}"
    );
}

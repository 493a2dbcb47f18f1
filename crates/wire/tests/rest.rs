//! restJson1 and restXml: routing, bindings, payloads.

mod common;

use common::{fail, read, read_bytes, write, write_stream};
use serde_json::json;

#[test]
fn routes_by_pattern_query_and_headers() {
    let cases = [
        ("PUT /pick/a", r#"Plain {"Name":"a"}"#),
        ("PUT /pick/a?part=1&upload=u", r#"Part {"Name":"a","Part":1,"Upload":"u"}"#),
        ("PUT /pick/a?part=1", r#"Plain {"Name":"a"}"#),
        (
            "PUT /pick/a?part=1&upload=u\nx-source: s",
            r#"CopyPart {"Name":"a","Part":1,"Upload":"u","Source":"s"}"#,
        ),
        ("PUT /pick/a\nx-source: s", "NotImplemented (501): not implemented: test_rest_json:UnservedCopy"),
        ("PUT /pick/a?tagging", r#"Tag {"Name":"a"}"#),
        ("PUT /pick/a?tagging&part=1&upload=u", r#"Tag {"Name":"a"}"#),
        ("PUT /pick/literal", r#"Literal {}"#),
        ("PUT /pick/literal?tagging", r#"Literal {}"#),
        ("PUT /pick/a%2Fb%2520%C3%A9", r#"Plain {"Name":"a/b%20é"}"#),
        ("DELETE /look/a/", r#"Remove {"Name":"a"}"#),
        ("PUT /pick/%ff", "InvalidURI (400): Couldn't parse the specified URI."),
    ];
    for (request, expected) in cases {
        assert_eq!(read("test-rest-json", request), expected, "{request}");
    }
    assert!(read("test-rest-json", "PATCH /pick/a").starts_with("UnknownOperationException (404): "));
    assert!(read("test-rest-json", "GET /nowhere").starts_with("UnknownOperationException (404): "));
    // Unsigned: a fixed word of the path tells the service.
    assert_eq!(read("", "PUT /pick/a"), r#"Plain {"Name":"a"}"#);
}

#[test]
fn reads_bindings() {
    let cases = [
        (
            "PUT /bind/a/tail/x/y%20z?fixed&mode=1&q=%2B+&n=7&t=2020-01-01T00:00:00Z&list=a&list=b,c&b=true",
            r#"{"Name":"a","Rest":"x/y z","QString":"+ ","QInteger":7,"QTime":1577836800,"QList":["a","b,c"],"QBoolean":true}"#,
        ),
        (
            "PUT /bind/a/tail/x?mode=1&fixed=\nx-string: s p\nx-integer: -3\nx-boolean: TRUE\nx-double: 1.5",
            r#"{"Name":"a","Rest":"x","HString":"s p","HInteger":-3,"HBoolean":true,"HDouble":1.5}"#,
        ),
        (
            "PUT /bind/a/tail/x?mode=1&fixed\nx-time: Mon, 16 Dec 2019 23:48:18 GMT\nx-iso: 2020-01-01T00:00:00Z\nx-unix: 5",
            r#"{"Name":"a","Rest":"x","HTime":1576540098,"HIso":"2020-01-01T00:00:00Z","HUnix":5}"#,
        ),
        (
            "PUT /bind/a/tail/x?mode=1&fixed\nx-list: a, \"b, c\"\nx-meta-one: 1\nX-Meta-Two: 2",
            r#"{"Name":"a","Rest":"x","HList":["a","b, c"],"HMeta":{"one":"1","two":"2"}}"#,
        ),
        (
            "PUT /bind/a/tail/x?mode=1&fixed\n\n{\"Body\":\"b\",\"Nested\":{\"Size\":1},\"HString\":\"not from here\",\"Name\":[1]}",
            r#"{"Name":"a","Rest":"x","Body":"b","Nested":{"Size":1}}"#,
        ),
        (
            "PUT /bind/a/tail/x?mode=1&fixed\nx-json: eyJhIjoxfQ==",
            r#"{"Name":"a","Rest":"x","HJson":"{\"a\":1}"}"#,
        ),
        (
            "PUT /bind/a/tail/x?mode=1&fixed\n\n{\"Rest\":\"a member's name in the body\"}",
            r#"{"Name":"a","Rest":"x","RealRest":"a member's name in the body"}"#,
        ),
    ];
    for (request, expected) in cases {
        assert_eq!(read("test-rest-json", request), format!("Bindings {expected}"), "{request}");
    }
    assert_eq!(
        read("test-rest-json", "GET /all?fixed=1&known=k&a=1&b=2&a=3"),
        r#"AllQuery {"Known":"k","Others":{"a":["1","3"],"b":["2"]}}"#
    );
    let wrong = [
        ("n=x", "SerializationException (400): n: 'x' can not be converted to an Integer"),
        ("n=1&n=2", "SerializationException (400): n: the parameter is given more than once"),
        ("b=maybe", "SerializationException (400): b: 'maybe' can not be converted to a Boolean"),
        ("t=never", "SerializationException (400): t: 'never' can not be converted to a timestamp"),
    ];
    for (query, expected) in wrong {
        assert_eq!(read("test-rest-json", &format!("PUT /bind/a/tail/x?mode=1&fixed&{query}")), expected);
    }
}

#[test]
fn reads_payloads() {
    let both = [
        ("POST /payload/blob\ncontent-type: a/b\n\nhi", r#"PayloadBlob {"Kind":"a/b","It":"aGk="}"#),
        ("POST /payload/blob", r#"PayloadBlob {}"#),
        ("POST /payload/string\nx-string: h\n\nhé", r#"PayloadString {"HString":"h","It":"hé"}"#),
        ("PUT /stream/n\nx-string: h\n\nbytes", r#"Stream {"Name":"n","HString":"h"} <bytes>"#),
        ("PUT /stream/n", r#"Stream {"Name":"n"} <>"#),
        ("POST /payload/struct", r#"PayloadStruct {}"#),
    ];
    for (request, expected) in both {
        assert_eq!(read("test-rest-json", request), expected, "{request}");
        assert_eq!(read("test-rest-xml", request), expected, "{request}");
    }
    assert_eq!(
        read("test-rest-json", "POST /payload/struct\n\n{\"Name\":\"n\"}"),
        r#"PayloadStruct {"It":{"Name":"n"}}"#
    );
    assert_eq!(
        read("test-rest-xml", "POST /payload/struct\n\n<It><Name>n</Name></It>"),
        r#"PayloadStruct {"It":{"Name":"n"}}"#
    );
    let wrong = read_bytes("test-rest-json", "POST /payload/string", b"\xff");
    assert_eq!(
        wrong,
        "SerializationException (400): Could not parse request body into json: the body is not UTF-8"
    );
}

fn xml(body: &str) -> String {
    read("test-rest-xml", &format!("POST /kitchen\n\n{body}"))
}

#[test]
fn reads_xml() {
    let cases = [
        ("", "{}"),
        ("<Kitchen/>", "{}"),
        (
            "<?xml version=\"1.0\"?><!-- hi --><Kitchen xmlns=\"http://x/\"><String>a&amp;&#233;<![CDATA[<b>]]></String></Kitchen>",
            r#"{"String":"a&é<b>"}"#,
        ),
        (
            "<K><renamedHere>r</renamedHere><Integer>7</Integer><Boolean>true</Boolean><Unknown><x/></Unknown></K>",
            r#"{"Renamed":"r","Boolean":true,"Integer":7}"#,
        ),
        (
            "<K><Strings><member>a</member><member/></Strings><Named><item>b</item></Named></K>",
            r#"{"Strings":["a",""],"Named":["b"]}"#,
        ),
        (
            "<K><Flat>a</Flat><Flat>b</Flat><flatHere>d</flatHere></K>",
            r#"{"Flat":["a","b"],"FlatRenamed":["d"]}"#,
        ),
        (
            "<K><Map><entry><key>k</key><value>v</value></entry></Map><FlatMap><K>k</K><V>v</V></FlatMap></K>",
            r#"{"Map":{"k":"v"},"FlatMap":{"k":"v"}}"#,
        ),
        (
            "<K><Timestamp>2020-01-01T00:00:00Z</Timestamp><Blob>aGk=</Blob></K>",
            r#"{"Blob":"aGk=","Timestamp":1577836800}"#,
        ),
        (
            "<K><Attribute kind=\"k\"><Text>t</Text></Attribute></K>",
            r#"{"Attribute":{"Kind":"k","Text":"t"}}"#,
        ),
        ("<K><Choice><Deep><Name>n</Name></Deep></Choice></K>", r#"{"Choice":{"Deep":{"Name":"n"}}}"#),
    ];
    for (body, expected) in cases {
        assert_eq!(xml(body), format!("Kitchen {expected}"), "{body}");
    }
}

#[test]
fn refuses_xml() {
    let malformed = "MalformedXML (400): The XML you provided was not well-formed or did not validate against our published schema";
    let deep = "<a>".repeat(1_000_000);
    let known = format!("<K>{}", "<Nested><Inner>".repeat(500_000));
    let closed = format!(
        "<K>{}{}</K>",
        "<Nested>".to_owned() + &"<Inner>".repeat(60),
        "</Inner>".repeat(60) + "</Nested>"
    );
    for body in [
        "<K>",
        "<K></L>",
        "text",
        "<K/><K/>",
        "<K><Integer>x</Integer></K>",
        "<K><String>&unknown;</String></K>",
        "<!DOCTYPE K [<!ENTITY a \"b\">]><K/>",
        "<K a=\"1\" a=\"2\"/>",
        &deep,
        &known,
        &closed,
    ] {
        assert_eq!(xml(body), malformed, "{}", &body[..body.len().min(60)]);
    }
    assert_eq!(read_bytes("test-rest-xml", "POST /kitchen", b"<K>\xff</K>"), malformed);
}

#[test]
fn writes_bindings() {
    let output = json!({"HString": "s", "HInteger": 1, "HBoolean": false, "HTime": 0, "HIso": 0, "HUnix": 7,
        "HList": ["a", "b,c"], "HMeta": {"One": "1"}, "HDouble": 1.5, "Status": 202, "Body": "b"});
    let head = "202\ncontent-type: application/TYPE\nx-boolean: false\nx-double: 1.5\nx-integer: 1\nx-iso: 1970-01-01T00:00:00Z\n\
                x-list: a, \"b,c\"\nx-meta-one: 1\nx-string: s\nx-time: Thu, 01 Jan 1970 00:00:00 GMT\nx-unix: 7\n\n";
    assert_eq!(
        write("test_rest_json", "", "Bindings", output.clone()),
        format!("{}{{\"Body\":\"b\"}}", head.replace("TYPE", "json"))
    );
    assert_eq!(
        write("test_rest_xml", "", "Bindings", output),
        format!(
            "{}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<BindingsOutput xmlns=\"http://xml.test.example/doc/\"><Body>b</Body></BindingsOutput>",
            head.replace("TYPE", "xml")
        )
    );
    let got = write("test_rest_json", "", "Bindings", json!({"HJson": "{\"a\":1}"}));
    assert!(got.contains("\nx-json: eyJhIjoxfQ==\n"), "{got}");
    // Control characters cannot stand in a header.
    let got = write("test_rest_json", "", "Bindings", json!({"HString": "a\r\nx-evil: 1"}));
    assert!(got.contains("\nx-string: a  x-evil: 1\n"), "{got}");
}

#[test]
fn writes_payloads_and_statuses() {
    let nothing = json!({});
    assert_eq!(
        write("test_rest_json", "", "Plain", nothing.clone()),
        "200\ncontent-type: application/json\n\n{}"
    );
    assert_eq!(write("test_rest_xml", "", "Plain", nothing.clone()), "200\n\n\n");
    assert_eq!(write("test_rest_json", "", "Remove", nothing.clone()), "204\n\n\n");
    assert_eq!(
        write("test_rest_json", "", "PayloadBlob", json!({"Kind": "image/png", "It": "aGk="})),
        "200\ncontent-type: image/png\n\nhi"
    );
    assert_eq!(
        write("test_rest_json", "", "PayloadStruct", json!({"It": {"Name": "n"}})),
        "200\ncontent-type: application/json\n\n{\"Name\":\"n\"}"
    );
    assert_eq!(
        write("test_rest_xml", "", "PayloadStruct", json!({"It": {"Name": "n"}})),
        "200\ncontent-type: application/xml\n\n<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<It><Name>n</Name></It>"
    );
    assert_eq!(
        write_stream("test_rest_json", "Stream", json!({"HString": "h"}), b"bytes"),
        "200\ncontent-type: application/octet-stream\nx-string: h\n\nbytes"
    );
    let look = write("test_rest_json", "", "Look", json!({"HString": "h", "Body": "b"}));
    assert_eq!(look, "200\ncontent-type: application/json\nx-string: h\n\n");
}

#[test]
fn writes_xml() {
    let output = json!({"Renamed": "r", "Flat": ["a", "b"], "Named": ["d"], "FlatMap": {"k": "v"},
        "Attribute": {"Kind": "k\"", "Text": "t"}, "Spaced": {"Text": "s"}, "NestedMap": {"k": {"Name": "n"}}});
    assert_eq!(
        write("test_rest_xml", "", "Kitchen", output),
        "200\ncontent-type: application/xml\n\n<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <Kitchen xmlns=\"http://xml.test.example/doc/\"><renamedHere>r</renamedHere>\
         <NestedMap><entry><key>k</key><value><Name>n</Name></value></entry></NestedMap>\
         <Named><item>d</item></Named><Flat>a</Flat><Flat>b</Flat><FlatMap><K>k</K><V>v</V></FlatMap>\
         <Attribute kind=\"k&quot;\"><Text>t</Text></Attribute><Spaced xmlns=\"http://spaced.example/\"><Text>s</Text></Spaced></Kitchen>"
    );
}

#[test]
fn fails_in_kind() {
    assert_eq!(
        fail("test_rest_json", "", "Gone", 404, "gone"),
        "404\ncontent-type: application/json\nx-amzn-errortype: Gone\n\n{\"message\":\"gone\"}"
    );
    assert_eq!(
        fail("test_rest_xml", "", "Gone", 404, "gone"),
        "404\ncontent-type: application/xml\n\n<ErrorResponse xmlns=\"http://xml.test.example/doc/\"><Error><Type>Sender</Type>\
         <Code>Gone</Code><Message>gone</Message></Error><RequestId>0a1b2c3d-4e5f-4a6b-8c7d-9e8f7a6b5c4d</RequestId></ErrorResponse>"
    );
}

//! awsQuery and ec2Query: forms in, XML out.

mod common;

use common::{fail, read, read_bytes, write};
use serde_json::json;

fn form(api: &str, fields: &str) -> String {
    let head = "POST /\ncontent-type: application/x-www-form-urlencoded; charset=utf-8\n\n";
    read(api, &format!("{head}Action=Kitchen&Version=2026-01-01&{fields}"))
}

#[test]
fn reads_query_forms() {
    let cases = [
        ("", r#"{}"#),
        ("String=a+b%26c&Unknown=1", r#"{"String":"a b&c"}"#),
        ("String=", r#"{"String":""}"#),
        ("renamedHere=r&Integer=-7&Boolean=true", r#"{"Renamed":"r","Boolean":true,"Integer":-7}"#),
        (
            "Float=1.5&Double=Infinity&Long=9007199254740993",
            r#"{"Long":9007199254740993,"Float":1.5,"Double":"Infinity"}"#,
        ),
        (
            "Blob=aGk%3D&Timestamp=2020-01-01T00%3A00%3A00Z&Unix=3",
            r#"{"Blob":"aGk=","Timestamp":1577836800,"Unix":3}"#,
        ),
        ("Strings.member.1=a&Strings.member.2=b", r#"{"Strings":["a","b"]}"#),
        ("Strings.member.10=c&Strings.member.2=b&Strings.member.1=a", r#"{"Strings":["a","b","c"]}"#),
        ("Strings=", r#"{"Strings":[]}"#),
        ("Lists.member.1.member.1=a&Lists.member.2=", r#"{"Lists":[["a"],[]]}"#),
        (
            "Named.item.1=a&Flat.1=b&Entry.1=c&flatHere.1=d",
            r#"{"Named":["a"],"Flat":["b"],"FlatNamed":["c"],"FlatRenamed":["d"]}"#,
        ),
        ("FlatNamed=&Flat=", r#"{"Flat":[],"FlatNamed":[]}"#),
        ("Map.entry.1.key=k&Map.entry.1.value=v", r#"{"Map":{"k":"v"}}"#),
        ("NamedMap.entry.1.Name=k&NamedMap.entry.1.Number=7", r#"{"NamedMap":{"k":7}}"#),
        ("FlatMap.1.K=k&FlatMap.1.V=v&FlatMap.2.K=l", r#"{"FlatMap":{"k":"v","l":""}}"#),
        ("NestedMap.entry.1.key=k&NestedMap.entry.1.value.Name=n", r#"{"NestedMap":{"k":{"Name":"n"}}}"#),
        ("MapOfLists.entry.1.key=k&MapOfLists.entry.1.value.member.1=n", r#"{"MapOfLists":{"k":["n"]}}"#),
        ("NestedList.member.1.Inner.Size=3", r#"{"NestedList":[{"Inner":{"Size":3}}]}"#),
        ("Choice.Deep.Name=x", r#"{"Choice":{"Deep":{"Name":"x"}}}"#),
    ];
    for (fields, expected) in cases {
        assert_eq!(form("test-query", fields), format!("Kitchen {expected}"), "{fields}");
    }
    assert_eq!(read("test-query", "GET /?Action=Kitchen&String=a"), r#"Kitchen {"String":"a"}"#);
}

#[test]
fn reads_ec2_forms() {
    let cases = [
        ("String=a&RenamedHere=r&QueryName=q", r#"{"String":"a","Renamed":"r","Queried":"q"}"#),
        ("StringSet.1=a&StringSet.2=b", r#"{"Strings":["a","b"]}"#),
        (
            "NestedSet.1.Name=n&NestedSet.1.Inner.Size=2",
            r#"{"NestedList":[{"Name":"n","Inner":{"Size":2}}]}"#,
        ),
        ("Nested.Name=n&Choice.Number=4", r#"{"Nested":{"Name":"n"},"Choice":{"Number":4}}"#),
    ];
    for (fields, expected) in cases {
        assert_eq!(form("test-ec2", fields), format!("Kitchen {expected}"), "{fields}");
    }
}

#[test]
fn refuses_forms() {
    let many = "a&".repeat(30_000);
    let deep = format!("{}=1", "a.".repeat(1_000_000));
    let cases = [
        ("Integer=x", "MalformedInput (400): Integer: 'x' can not be converted to an Integer"),
        ("Boolean=maybe", "MalformedInput (400): Boolean: 'maybe' can not be converted to a Boolean"),
        ("String.1=a", "MalformedInput (400): Unexpected complex element for String"),
        (
            "String=a&String=b",
            "MalformedInput (400): The parameter String is given more than once. Give it once.",
        ),
        ("Map.entry.1.value=v", "MalformedInput (400): A map entry has no key"),
        (
            many.as_str(),
            "MalformedQueryString (400): A request may have at most 20000 parameters. Send fewer.",
        ),
        (
            deep.as_str(),
            "MalformedInput (400): The query string could not be read: its parameters nest too deep.",
        ),
    ];
    for (fields, expected) in cases {
        assert_eq!(form("test-query", fields), expected);
    }
    let head = "POST /\ncontent-type: application/x-www-form-urlencoded";
    assert_eq!(
        read_bytes("test-query", head, b"Action=Kitchen&String=\xff"),
        "MalformedInput (400): The query string could not be read: the form is not UTF-8."
    );
    let action = |action: &str| read("test-query", &format!("{head}\n\n{action}"));
    assert_eq!(
        action("Action=Nope"),
        "InvalidAction (400): Could not find operation Nope for version NO_VERSION_SPECIFIED"
    );
    assert_eq!(
        action("Action=Kitchen&Version=2001-01-01"),
        "InvalidAction (400): Could not find operation Kitchen for version 2001-01-01"
    );
    assert_eq!(
        action("Action=UnservedThing"),
        "NotImplemented (501): not implemented: test_query:UnservedThing"
    );
    assert!(action("Version=2026-01-01").starts_with("MissingAction (400): "));
    assert!(action("Action=Kitchen&Action=Nothing").starts_with("MalformedInput (400): "));
    // Unsigned: the action and its version tell the service.
    assert_eq!(read("", &format!("{head}\n\nAction=Nothing&Version=2026-01-01")), "Nothing {}");
}

#[test]
fn writes_query_answers() {
    let output = json!({"String": "a<&>\"", "Renamed": "r", "Strings": ["a"], "Flat": ["b", "c"], "FlatNamed": ["d"],
        "Named": ["e"], "Map": {"k": "v"}, "FlatMap": {"k": "v"}, "NamedMap": {"k": 1}, "Timestamp": 0, "Unix": 5,
        "Nested": {"Inner": {"Name": "n"}}, "NestedList": [{"Size": 1}], "Blob": "aGk=", "Boolean": false});
    assert_eq!(
        write("test_query", "AwsQuery", "Kitchen", output),
        "200\ncontent-type: text/xml\n\n<KitchenResponse xmlns=\"http://query.test.example/doc/\"><KitchenResult>\
         <String>a&lt;&amp;&gt;&quot;</String><renamedHere>r</renamedHere><Boolean>false</Boolean><Blob>aGk=</Blob>\
         <Timestamp>1970-01-01T00:00:00Z</Timestamp><Unix>5</Unix><Strings><member>a</member></Strings>\
         <NestedList><member><Size>1</Size></member></NestedList>\
         <Map><entry><key>k</key><value>v</value></entry></Map><Nested><Inner><Name>n</Name></Inner></Nested>\
         <Named><item>e</item></Named><Flat>b</Flat><Flat>c</Flat><Entry>d</Entry>\
         <NamedMap><entry><Name>k</Name><Number>1</Number></entry></NamedMap><FlatMap><K>k</K><V>v</V></FlatMap>\
         </KitchenResult><ResponseMetadata><RequestId>0a1b2c3d-4e5f-4a6b-8c7d-9e8f7a6b5c4d</RequestId></ResponseMetadata>\
         </KitchenResponse>"
    );
    assert_eq!(
        write("test_query", "AwsQuery", "Nothing", json!({})),
        "200\ncontent-type: text/xml\n\n<NothingResponse xmlns=\"http://query.test.example/doc/\"><ResponseMetadata>\
         <RequestId>0a1b2c3d-4e5f-4a6b-8c7d-9e8f7a6b5c4d</RequestId></ResponseMetadata></NothingResponse>"
    );
}

#[test]
fn writes_ec2_answers() {
    let output = json!({"Renamed": "r", "Queried": "q", "Strings": ["a"], "NestedList": [{"Name": "n"}]});
    assert_eq!(
        write("test_ec2", "Ec2Query", "Kitchen", output),
        "200\ncontent-type: text/xml;charset=UTF-8\n\n<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <KitchenResponse xmlns=\"http://ec2.test.example/doc/\"><requestId>0a1b2c3d-4e5f-4a6b-8c7d-9e8f7a6b5c4d</requestId>\
         <renamedHere>r</renamedHere><stringSet><item>a</item></stringSet><nestedSet><item><Name>n</Name></item></nestedSet>\
         <queriedHere>q</queriedHere></KitchenResponse>"
    );
}

#[test]
fn fails() {
    assert_eq!(
        fail("test_query", "AwsQuery", "Gone", 404, "<gone>"),
        "404\ncontent-type: text/xml\n\n<ErrorResponse xmlns=\"http://query.test.example/doc/\"><Error><Type>Sender</Type>\
         <Code>Gone</Code><Message>&lt;gone&gt;</Message></Error><RequestId>0a1b2c3d-4e5f-4a6b-8c7d-9e8f7a6b5c4d</RequestId></ErrorResponse>"
    );
    assert_eq!(
        fail("test_ec2", "Ec2Query", "Gone", 400, "gone"),
        "400\ncontent-type: text/xml;charset=UTF-8\n\n<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>Gone</Code>\
         <Message>gone</Message></Error></Errors><RequestID>0a1b2c3d-4e5f-4a6b-8c7d-9e8f7a6b5c4d</RequestID></Response>"
    );
}

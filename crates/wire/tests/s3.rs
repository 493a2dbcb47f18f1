//! What S3 does in its own way.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use cloudlet_service::{Error, Protocol};
use cloudlet_wire::{Head, Payload, Router, write_error};
use common::{fail, read, write};
use serde_json::json;

#[test]
fn routes_buckets_and_objects() {
    let cases = [
        ("GET /", "ListBuckets {}"),
        ("GET /b", r#"ListObjects {"Bucket":"b"}"#),
        (
            "GET /b/?list-type=2&prefix=a%2F&max-keys=7",
            r#"ListObjectsV2 {"Bucket":"b","MaxKeys":7,"Prefix":"a/"}"#,
        ),
        ("GET /b?uploads", r#"ListMultipartUploads {"Bucket":"b"}"#),
        ("GET /b/k", r#"GetObject {"Bucket":"b","Key":"k"}"#),
        (
            "GET /b//a/../%C3%A9%2B+?partNumber=2",
            r#"GetObject {"Bucket":"b","Key":"/a/../é+ ","PartNumber":2}"#,
        ),
        ("HEAD /b/k", r#"HeadObject {"Bucket":"b","Key":"k"}"#),
        ("HEAD /b", r#"HeadBucket {"Bucket":"b"}"#),
        (
            "PUT /b/k?x-id=PutObject\nx-amz-meta-A: 1\n\nhi",
            r#"PutObject {"Bucket":"b","Key":"k","Metadata":{"a":"1"}} <hi>"#,
        ),
        (
            "PUT /b/k?partNumber=1&uploadId=u\n\nhi",
            r#"UploadPart {"Bucket":"b","Key":"k","PartNumber":1,"UploadId":"u"} <hi>"#,
        ),
        ("PUT /b/k\nx-amz-copy-source: /c/l", r#"CopyObject {"Bucket":"b","CopySource":"/c/l","Key":"k"}"#),
        ("POST /b/k?uploads", r#"CreateMultipartUpload {"Bucket":"b","Key":"k"}"#),
        ("DELETE /b/k?uploadId=u", r#"AbortMultipartUpload {"Bucket":"b","Key":"k","UploadId":"u"}"#),
        ("DELETE /b/k", r#"DeleteObject {"Bucket":"b","Key":"k"}"#),
        (
            "POST /b?delete\n\n<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Object><Key>a&amp;b</Key></Object><Object><Key>c</Key></Object><Quiet>true</Quiet></Delete>",
            r#"DeleteObjects {"Bucket":"b","Delete":{"Objects":[{"Key":"a&b"},{"Key":"c"}],"Quiet":true}}"#,
        ),
        (
            "PUT /b\n\n<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>",
            r#"CreateBucket {"Bucket":"b","CreateBucketConfiguration":{"LocationConstraint":"eu-west-1"}}"#,
        ),
    ];
    for (request, expected) in cases {
        assert_eq!(read("s3", request), expected, "{request}");
    }
    // Unsigned requests that are nobody else's are S3's.
    assert_eq!(read("", "GET /b/k"), r#"GetObject {"Bucket":"b","Key":"k"}"#);
}

#[test]
fn refuses() {
    let not_allowed = "MethodNotAllowed (405): The specified method is not allowed against this resource.";
    let cases = [
        ("PUT /b/k?uploads", not_allowed),
        ("PATCH /b/k", not_allowed),
        (
            "PUT /b/k?partNumber=1",
            "InvalidArgument (400): This operation does not accept partNumber without uploadId",
        ),
        ("PUT /b/k?uploadId=u", not_allowed),
        (
            "GET /b?max-keys=x",
            "InvalidArgument (400): Provided max-keys not an integer or within integer range",
        ),
        (
            "GET /b?max-keys=99999999999",
            "InvalidArgument (400): Provided max-keys not an integer or within integer range",
        ),
        ("GET /b?max-keys=1&max-keys=2", "InvalidArgument (400): The max-keys parameter must appear once."),
        (
            "PUT /b/k?partNumber=x&uploadId=u",
            "InvalidArgument (400): Part number must be an integer between 1 and 10000, inclusive",
        ),
        (
            "POST /b?delete\n\n<Delete><Object>",
            "MalformedXML (400): The XML you provided was not well-formed or did not validate against our published schema",
        ),
    ];
    for (request, expected) in cases {
        assert_eq!(read("s3", request), expected, "{request}");
    }
    // A date that is none is no condition.
    assert_eq!(read("s3", "GET /b/k\nif-modified-since: yesterday"), r#"GetObject {"Bucket":"b","Key":"k"}"#);
}

#[test]
fn writes() {
    let location = |value| write("s3", "", "GetBucketLocation", value);
    let head = "200\ncontent-type: application/xml\n\n<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
    let namespace = "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";
    assert_eq!(
        location(json!({"LocationConstraint": "eu-west-1"})),
        format!("{head}<LocationConstraint {namespace}>eu-west-1</LocationConstraint>")
    );
    assert_eq!(location(json!({})), format!("{head}<LocationConstraint {namespace}/>"));
    assert_eq!(
        write(
            "s3",
            "",
            "ListObjectsV2",
            json!({"Name": "b", "KeyCount": 1, "Contents": [{"Key": "a&b", "Size": 3}]})
        ),
        format!(
            "{head}<ListBucketResult {namespace}><Contents><Key>a&amp;b</Key><Size>3</Size></Contents><Name>b</Name><KeyCount>1</KeyCount></ListBucketResult>"
        )
    );
    assert_eq!(
        write("s3", "", "CopyObject", json!({"CopyObjectResult": {"ETag": "\"e\""}})),
        format!("{head}<CopyObjectResult {namespace}><ETag>&quot;e&quot;</ETag></CopyObjectResult>")
    );
    assert_eq!(write("s3", "", "PutObject", json!({"ETag": "\"e\""})), "200\netag: \"e\"\n\n");
    assert_eq!(write("s3", "", "DeleteObject", json!({})), "204\n\n\n");
    let head_object = write("s3", "", "HeadObject", json!({"ContentLength": 7, "Metadata": {"a": "é"}}));
    // The metadata's header is a request id to the filter: look at the length alone.
    assert_eq!(head_object, "200\ncontent-length: 7\n\n");
}

#[test]
fn fails() {
    let got = fail("s3", "", "NoSuchKey", 404, "The specified key does not exist.");
    assert_eq!(
        got,
        "404\ncontent-type: application/xml\n\n<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchKey</Code>\
         <Message>The specified key does not exist.</Message><RequestId>0A1B2C3D4E5F4A6B</RequestId>\
         <HostId>MGExYjJjM2QtNGU1Zi00YTZiLThjN2QtOWU4ZjdhNmI1YzRk</HostId></Error>"
    );
    let headers = http::HeaderMap::new();
    let head = Head { method: "HEAD", path: "/b/k", query: "", headers: &headers, host: "", bucket: None };
    let error = Error::new("NoSuchKey", 404, "The specified key does not exist.").with("Key", "<k>");
    let response = write_error(Protocol::RestXml, Some(&cloudlet_api_s3::API), "id", &head, &error);
    assert!(response.body().is_empty());
    let response = write_error(
        Protocol::RestXml,
        Some(&cloudlet_api_s3::API),
        "id",
        &Head { method: "GET", ..head },
        &error,
    );
    let Payload::Bytes(body) = response.body() else { panic!("not bytes") };
    assert!(
        String::from_utf8_lossy(body).contains("</Message><Key>&lt;k&gt;</Key><RequestId>ID</RequestId>")
    );
}

#[test]
fn virtual_hosts_give_the_bucket() {
    let router = Router::new(&[&cloudlet_api_s3::API]);
    let headers = http::HeaderMap::new();
    let head =
        Head { method: "GET", path: "//k", query: "", headers: &headers, host: "b.s3", bucket: Some("b") };
    let route = router.route(Some("s3"), &head, None).unwrap();
    assert_eq!(route.operation().name, "GetObject");
    assert_eq!((route.labels.get("Bucket"), route.labels.get("Key")), (Some("b"), Some("/k")));
    let route = router.route(Some("s3"), &Head { path: "/", ..head }, None).unwrap();
    assert_eq!(route.operation().name, "ListObjects");
}

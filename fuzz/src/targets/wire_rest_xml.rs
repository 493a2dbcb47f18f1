//! restXml: S3 and the test API.

use super::{Target, texts, wire};
use crate::skeleton;
use cloudlet_service::Protocol;

pub(super) static TARGET: Target =
    Target { name: "wire-rest-xml", run: wire::read, seeds, words: WORDS, ..Target::DEFAULT };

fn seeds() -> Vec<Vec<u8>> {
    let mut all = skeleton::requests(&cloudlet_api_s3::API, Protocol::RestXml);
    all.extend(skeleton::requests(&cloudlet_test_api::rest_xml::API, Protocol::RestXml));
    all.extend(texts(&[
        "GET /?list-type=2&prefix=a%2Fb&max-keys=10\nscope: s3\nbucket: photos\nhost: photos.s3.localhost:4566\n\n",
        "PUT /b/k\nscope: s3\nx-amz-meta-a: b\nx-amz-tagging: a=b&c=d\nx-amz-checksum-crc32: AAAAAA==\nexpires: never\n\nbytes",
        "POST /b/k?uploadId=x\nscope: s3\n\n<CompleteMultipartUpload><Part><ETag>\"a\"</ETag><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>",
        "POST /b?delete\nscope: s3\n\n<!-- x --><?y z?><Delete xmlns='a'><Object><Key><![CDATA[<a>&]]>&#x41;&lt;</Key></Object></Delete>",
        "POST /kitchen\nscope: test-rest-xml\n\n<!DOCTYPE a [<!ENTITY b \"cc\">]><Kitchen><String>&b;</String></Kitchen>",
    ]));
    all
}

const WORDS: &[&str] = &[
    "<",
    ">",
    "</",
    "/>",
    "<a>",
    "</a>",
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
    "<![CDATA[",
    "]]>",
    "<!--",
    "-->",
    "<!DOCTYPE a [<!ENTITY b \"c\">]>",
    "&b;",
    "&amp;",
    "&#0;",
    "&#x10FFFF;",
    "&#xD800;",
    " xmlns=\"a\"",
    " xmlns:x='y'",
    "<x:a>",
    "<Key>",
    "</Key>",
    "<Object>",
    "<Quiet>true</Quiet>",
    "<Flat>",
    "<Map><entry><key>",
    "?",
    "&",
    "=",
    "%2F",
    "%00",
    "%ff",
    "uploads",
    "tagging",
    "versionId=",
    "x-amz-meta-",
    "\nx-amz-copy-source: /b/k",
    "\nrange: bytes=0-1",
    "\n\n",
    "scope: s3",
    "2023-11-14T22:13:20Z",
    "Tue, 14 Nov 2023 22:13:20 GMT",
    "\u{feff}",
    "true",
    "-1",
];

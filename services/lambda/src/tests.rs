//! What needs neither a sandbox nor another service: names, policies, weights, packages.

use crate::names::{Named, version_number};
use cloudlet_service::{Cloud, Context, ManualClock, Principal, Seeded};
use cloudlet_store::Store;
use std::io::Write;
use std::sync::Arc;

pub(crate) fn cx() -> Context {
    let cloud = Cloud::new(
        Arc::new(ManualClock::at(0)),
        Arc::new(Seeded::new(1)),
        "http://localhost:4566".to_owned(),
    );
    cloud.context(Principal::Root { account: "000000000000".into() }, "000000000000", "us-east-1")
}

#[test]
fn functions_have_many_names() {
    for (text, qualifier, expected) in [
        ("f", None, ("000000000000", "f", None)),
        ("f", Some("1"), ("000000000000", "f", Some("1"))),
        ("f:live", None, ("000000000000", "f", Some("live"))),
        ("f:live", Some("live"), ("000000000000", "f", Some("live"))),
        ("function:f", None, ("000000000000", "f", None)),
        ("111111111111:function:f", None, ("111111111111", "f", None)),
        ("111111111111:f", None, ("111111111111", "f", None)),
        ("111111111111:function:f:$LATEST", None, ("111111111111", "f", Some("$LATEST"))),
        ("arn:aws:lambda:us-east-1:111111111111:function:f", None, ("111111111111", "f", None)),
        ("arn:aws:lambda:us-east-1:111111111111:function:f:7", None, ("111111111111", "f", Some("7"))),
        ("us-east-1:111111111111:function:f", None, ("111111111111", "f", None)),
    ] {
        let named = Named::read(&cx(), text, qualifier).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!((&*named.cx.account, &*named.name, named.qualifier.as_deref()), expected, "{text}");
    }
    let elsewhere =
        Named::read(&cx(), "arn:aws:lambda:eu-west-1:111111111111:function:f", None).err().unwrap();
    assert_eq!(
        elsewhere.message(),
        "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')"
    );
    for bad in ["", ":", "a b", "f:1:2", "arn:aws:s3:::f", "arn:aws:lambda", "../x"] {
        assert!(Named::read(&cx(), bad, None).is_err(), "{bad}");
    }
    let both = Named::read(&cx(), "f:1", Some("2")).err().unwrap();
    assert_eq!(
        both.message(),
        "The derived qualifier from the function name does not match the specified qualifier."
    );
    assert_eq!(version_number("$LATEST"), Some(0));
    assert_eq!(version_number("12"), Some(12));
    assert_eq!(version_number("live"), None);
}

fn zipped(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[tokio::test]
async fn packages_are_checked_and_kept() {
    use crate::code::Source;
    let store = Store::ephemeral().unwrap();
    let cx = cx();
    let good = zipped(&[("index.py", b"x = 1")]);
    let source = Source::of(Some(&good), None, None, None).ok().unwrap();
    let code = source.accept(&cx, &store, "CreateFunction").await.ok().unwrap();
    assert_eq!(code.size, good.len() as i64);
    let reader = store.blobs().open(code.blob).unwrap();
    assert_eq!(reader.read(0..reader.len()).await.unwrap(), good);

    let broken = "Could not unzip uploaded file. Please check your file, then try to upload again.";
    let empty = "Uploaded file must be a non-empty zip";
    let bomb = zipped(&[("zeros", &vec![0; 262_144_001])]);
    for (bytes, message) in [
        (b"not a zip".to_vec(), broken),
        (good[..good.len() / 2].to_vec(), broken),
        (Vec::new(), empty),
        (zipped(&[]), empty),
        (bomb, "Unzipped size must be smaller than 262144000 bytes"),
    ] {
        let source = Source::of(Some(&bytes), None, None, None).ok().unwrap();
        let error = source.accept(&cx, &store, "CreateFunction").await.err().unwrap();
        assert_eq!(error.message(), message);
    }
    assert!(Source::of(None, None, None, None).is_err());
    assert!(Source::of(Some(b"x"), Some(&"b".to_owned()), None, None).is_err());
}

#[test]
fn times_and_policies_are_written_as_aws_does() {
    assert_eq!(crate::state::written_time(1_795_460_000_123), "2026-11-23T18:53:20.123+0000");
    let policy = crate::state::PolicyRecord {
        statements: vec![
            ("a".to_owned(), r#"{"Sid":"a"}"#.to_owned()),
            ("b".to_owned(), r#"{"Sid":"b"}"#.to_owned()),
        ],
        revision: String::new(),
    };
    assert_eq!(
        policy.document(),
        r#"{"Version":"2012-10-17","Id":"default","Statement":[{"Sid":"a"},{"Sid":"b"}]}"#
    );
}

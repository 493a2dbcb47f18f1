//! Errors that no single request causes at will: faults of the store, and limits that are reached late.

use super::{World, code};
use crate::errors::Fail;
use cloudlet_api_s3::{self as api, operations as op};
use cloudlet_service::ByteStream;
use cloudlet_store::StoreError;

#[test]
fn what_the_store_refuses_is_said_in_s3s_words() {
    for (fault, code, status) in [
        (StoreError::Conflict { attempts: 3 }, "OperationAborted", 409),
        (StoreError::NoSpace { dir: "/data".into() }, "ServiceUnavailable", 503),
        (StoreError::Corrupt { what: "a record".into(), detail: "no end".into() }, "InternalError", 500),
    ] {
        let error = Fail::from(fault).0;
        assert_eq!((error.code(), error.status()), (code, status));
    }
}

#[tokio::test]
async fn an_object_has_so_many_annotations() {
    let world = World::with_bucket("notes").await;
    world.put("notes", "k", "x").await;
    let annotate = |n: usize| {
        world.call::<op::PutObjectAnnotation>(api::PutObjectAnnotationInput {
            bucket: "notes".into(),
            key: "k".into(),
            annotation_name: format!("n{n}"),
            annotation_payload: ByteStream::from(bytes::Bytes::from_static(b"text")),
            ..Default::default()
        })
    };
    for n in 0..1_000 {
        annotate(n).await.unwrap();
    }
    assert_eq!(code(annotate(1_000).await), "AnnotationLimitExceeded");
    // One that is there can be replaced.
    annotate(7).await.unwrap();
}

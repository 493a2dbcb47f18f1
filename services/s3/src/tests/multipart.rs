use super::*;

const MIB: usize = 1 << 20;

async fn begin(world: &World, algorithm: Option<&str>, kind: Option<&str>) -> String {
    let input = api::CreateMultipartUploadInput {
        bucket: "parts".into(),
        key: "big".into(),
        checksum_algorithm: algorithm.map(str::to_owned),
        checksum_type: kind.map(str::to_owned),
        ..Default::default()
    };
    world.call::<op::CreateMultipartUpload>(input).await.unwrap().upload_id.unwrap()
}

async fn part(world: &World, upload: &str, number: i32, body: Vec<u8>) -> api::UploadPartOutput {
    part_with(world, upload, number, body, None).await
}

async fn part_with(
    world: &World,
    upload: &str,
    number: i32,
    body: Vec<u8>,
    algorithm: Option<&str>,
) -> api::UploadPartOutput {
    let input = api::UploadPartInput {
        bucket: "parts".into(),
        key: "big".into(),
        upload_id: upload.into(),
        part_number: number,
        checksum_algorithm: algorithm.map(str::to_owned),
        body: ByteStream::from(Bytes::from(body)),
        ..Default::default()
    };
    world.call::<op::UploadPart>(input).await.unwrap()
}

fn complete(upload: &str, parts: &[(i32, &api::UploadPartOutput)]) -> api::CompleteMultipartUploadInput {
    let parts = parts.iter().map(|(number, output)| api::CompletedPart {
        part_number: Some(*number),
        e_tag: output.e_tag.clone(),
        checksum_sha256: output.checksum_sha256.clone(),
        ..Default::default()
    });
    api::CompleteMultipartUploadInput {
        bucket: "parts".into(),
        key: "big".into(),
        upload_id: upload.into(),
        multipart_upload: Some(api::CompletedMultipartUpload { parts: Some(parts.collect()) }),
        ..Default::default()
    }
}

#[tokio::test]
async fn parts_become_the_object() {
    let world = World::with_bucket("parts").await;
    let upload = begin(&world, None, None).await;
    let (a, b, c) = (bytes(5 * MIB), bytes(6 * MIB), bytes(100));
    let second = part(&world, &upload, 2, b.clone()).await;
    let first = part(&world, &upload, 1, a.clone()).await;
    let last = part(&world, &upload, 10, c.clone()).await;
    let unused = part(&world, &upload, 11, bytes(50_000)).await;
    assert!(unused.e_tag.is_some());
    let done = complete(&upload, &[(1, &first), (2, &second), (10, &last)]);
    let answer = world.call::<op::CompleteMultipartUpload>(done.clone()).await.unwrap();
    assert!(answer.e_tag.as_ref().unwrap().ends_with("-3\""));
    let whole = [a.clone(), b.clone(), c.clone()].concat();
    assert_eq!(world.get("parts", "big").await.unwrap(), whole);
    // Full-object CRC64NVME out of the parts equals that of the bytes put at once.
    let at_once = world.put("parts", "once", whole.clone()).await;
    assert_eq!(answer.checksum_crc64_nvme, at_once.checksum_crc64_nvme);
    // Again: the same answer.
    let again = world.call::<op::CompleteMultipartUpload>(done).await.unwrap();
    assert_eq!(again.e_tag, answer.e_tag);
    let get = |number| api::GetObjectInput {
        bucket: "parts".into(),
        key: "big".into(),
        part_number: Some(number),
        ..Default::default()
    };
    let two = world.call::<op::GetObject>(get(2)).await.unwrap();
    assert_eq!(two.parts_count, Some(3));
    assert_eq!(two.body.collect(10 * MIB).await.unwrap(), b);
    assert_eq!(code(world.call::<op::GetObject>(get(4)).await), "InvalidPartNumber");
    let across = api::GetObjectInput {
        range: Some(format!("bytes={}-{}", 5 * MIB - 3, 11 * MIB + 5)),
        part_number: None,
        ..get(1)
    };
    let across = world.call::<op::GetObject>(across).await.unwrap();
    assert_eq!(across.body.collect(10 * MIB).await.unwrap(), whole[5 * MIB - 3..11 * MIB + 6]);
    // A copy of it has a plain entity tag and lives on by itself.
    let copy = api::CopyObjectInput {
        bucket: "parts".into(),
        key: "copy".into(),
        copy_source: "parts/big".into(),
        ..Default::default()
    };
    let copied = world.call::<op::CopyObject>(copy).await.unwrap().copy_object_result.unwrap();
    assert_eq!(copied.e_tag, at_once.e_tag);
    let gone = api::DeleteObjectInput { bucket: "parts".into(), key: "big".into(), ..Default::default() };
    world.call::<op::DeleteObject>(gone).await.unwrap();
    assert_eq!(world.get("parts", "copy").await.unwrap(), whole);
}

#[tokio::test]
async fn composite_checksums() {
    let world = World::with_bucket("parts").await;
    let upload = begin(&world, Some("SHA256"), None).await;
    let first = part_with(&world, &upload, 1, bytes(5 * MIB), Some("SHA256")).await;
    let second = part_with(&world, &upload, 2, bytes(7), Some("SHA256")).await;
    assert!(first.checksum_sha256.is_some());
    let mut without = complete(&upload, &[(1, &first), (2, &second)]);
    without.multipart_upload.as_mut().unwrap().parts.as_mut().unwrap()[0].checksum_sha256 = None;
    assert_eq!(code(world.call::<op::CompleteMultipartUpload>(without).await), "InvalidRequest");
    let done = complete(&upload, &[(1, &first), (2, &second)]);
    let answer = world.call::<op::CompleteMultipartUpload>(done).await.unwrap();
    assert!(answer.checksum_sha256.unwrap().ends_with("-2"));
    assert_eq!(answer.checksum_type.as_deref(), Some("COMPOSITE"));
}

#[tokio::test]
async fn what_cannot_be_completed() {
    let world = World::with_bucket("parts").await;
    let upload = begin(&world, None, None).await;
    let small = part(&world, &upload, 1, bytes(100)).await;
    let other = part(&world, &upload, 2, bytes(101)).await;
    let try_it = |parts: Vec<(i32, &api::UploadPartOutput)>| {
        let input = complete(&upload, &parts);
        let world = &world;
        async move { code(world.call::<op::CompleteMultipartUpload>(input).await) }
    };
    assert_eq!(try_it(vec![(1, &small), (2, &other)]).await, "EntityTooSmall");
    assert_eq!(try_it(vec![(2, &other), (1, &small)]).await, "InvalidPartOrder");
    assert_eq!(try_it(vec![(1, &other)]).await, "InvalidPart");
    assert_eq!(try_it(vec![(3, &other)]).await, "InvalidPart");
    assert_eq!(try_it(vec![]).await, "InvalidRequest");
    let abort = api::AbortMultipartUploadInput {
        bucket: "parts".into(),
        key: "big".into(),
        upload_id: upload.clone(),
        ..Default::default()
    };
    world.call::<op::AbortMultipartUpload>(abort.clone()).await.unwrap();
    assert_eq!(code(world.call::<op::AbortMultipartUpload>(abort).await), "NoSuchUpload");
    assert_eq!(try_it(vec![(1, &small)]).await, "NoSuchUpload");
}

#[tokio::test]
async fn uploads_and_parts_are_listed() {
    let world = World::with_bucket("parts").await;
    let one = begin(&world, None, None).await;
    let two = begin(&world, None, None).await;
    part(&world, &one, 1, bytes(10)).await;
    part(&world, &one, 3, bytes(20)).await;
    let list =
        api::ListMultipartUploadsInput { bucket: "parts".into(), max_uploads: Some(1), ..Default::default() };
    let page = world.call::<op::ListMultipartUploads>(list.clone()).await.unwrap();
    assert_eq!(page.uploads.unwrap()[0].upload_id.as_ref(), Some(&one));
    assert_eq!(page.is_truncated, Some(true));
    let next = api::ListMultipartUploadsInput {
        key_marker: page.next_key_marker,
        upload_id_marker: page.next_upload_id_marker,
        ..list
    };
    let page = world.call::<op::ListMultipartUploads>(next).await.unwrap();
    assert_eq!(page.uploads.unwrap()[0].upload_id.as_ref(), Some(&two));
    assert_eq!(page.is_truncated, Some(false));
    let parts = api::ListPartsInput {
        bucket: "parts".into(),
        key: "big".into(),
        upload_id: one,
        max_parts: Some(1),
        ..Default::default()
    };
    let page = world.call::<op::ListParts>(parts.clone()).await.unwrap();
    assert_eq!(page.parts.unwrap()[0].part_number, Some(1));
    let next = api::ListPartsInput { part_number_marker: page.next_part_number_marker, ..parts };
    let page = world.call::<op::ListParts>(next).await.unwrap();
    assert_eq!(page.parts.unwrap()[0].size, Some(20));
}

#[tokio::test]
async fn the_object_is_as_old_as_its_upload() {
    let world = World::with_bucket("parts").await;
    let begun = world.root(ME).millis();
    let upload = begin(&world, None, None).await;
    world.clock.advance(std::time::Duration::from_secs(60));
    let one = part(&world, &upload, 1, bytes(10)).await;
    world.call::<op::CompleteMultipartUpload>(complete(&upload, &[(1, &one)])).await.unwrap();
    let input = api::HeadObjectInput { bucket: "parts".into(), key: "big".into(), ..Default::default() };
    let head = world.call::<op::HeadObject>(input).await.unwrap();
    assert_eq!(head.last_modified.unwrap().secs() * 1000, begun);
}

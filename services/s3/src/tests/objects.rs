use super::*;

#[tokio::test]
async fn buckets_are_global_and_must_be_empty() {
    let world = World::with_bucket("photos").await;
    let create = |name: &str| api::CreateBucketInput { bucket: name.into(), ..Default::default() };
    world.call::<op::CreateBucket>(create("photos")).await.unwrap();
    let taken = world.cloud.call::<op::CreateBucket>(&world.root(OTHER), create("photos")).await;
    assert_eq!(code(taken), "BucketAlreadyExists");
    assert_eq!(code(world.call::<op::CreateBucket>(create("No")).await), "InvalidBucketName");
    let listed = world.call::<op::ListBuckets>(api::ListBucketsInput::default()).await.unwrap();
    assert_eq!(listed.buckets.unwrap()[0].name.as_deref(), Some("photos"));
    world.put("photos", "k", "x").await;
    let delete = || api::DeleteBucketInput { bucket: "photos".into(), ..Default::default() };
    assert_eq!(code(world.call::<op::DeleteBucket>(delete()).await), "BucketNotEmpty");
    let gone = api::DeleteObjectInput { bucket: "photos".into(), key: "k".into(), ..Default::default() };
    world.call::<op::DeleteObject>(gone).await.unwrap();
    world.call::<op::DeleteBucket>(delete()).await.unwrap();
    assert_eq!(code(world.call::<op::DeleteBucket>(delete()).await), "NoSuchBucket");
}

#[tokio::test]
async fn bytes_come_back_whatever_their_size() {
    let world = World::with_bucket("sizes").await;
    for len in [0, 1, 4096, 4097, 32 << 10, (32 << 10) + 1, 1 << 20] {
        let body = bytes(len);
        let answer = world.put("sizes", "k", body.clone()).await;
        let md5 = hex::encode(<md5::Md5 as md5::Digest>::digest(&body));
        assert_eq!(answer.e_tag.unwrap(), format!("\"{md5}\""));
        assert!(answer.checksum_crc64_nvme.is_some());
        assert_eq!(world.get("sizes", "k").await.unwrap(), body, "{len}");
    }
}

#[tokio::test]
async fn ranges_and_conditions() {
    let world = World::with_bucket("ranges").await;
    for len in [1000usize, 40_000] {
        let body = bytes(len);
        let etag = world.put("ranges", "k", body.clone()).await.e_tag.unwrap();
        let get = || api::GetObjectInput { bucket: "ranges".into(), key: "k".into(), ..Default::default() };
        let part = world
            .call::<op::GetObject>(api::GetObjectInput { range: Some("bytes=10-19".into()), ..get() })
            .await
            .unwrap();
        assert_eq!(part.content_range.unwrap(), format!("bytes 10-19/{len}"));
        assert_eq!(part.body.collect(100).await.unwrap(), body[10..20]);
        let beyond = api::GetObjectInput { range: Some(format!("bytes={len}-")), ..get() };
        let error = world.call::<op::GetObject>(beyond).await.err().unwrap();
        assert_eq!((error.code(), error.status()), ("InvalidRange", 416));
        let same = api::GetObjectInput { if_none_match: Some(etag.clone()), ..get() };
        assert_eq!(world.call::<op::GetObject>(same).await.err().unwrap().status(), 304);
        let other = api::GetObjectInput { if_match: Some("\"x\"".into()), ..get() };
        assert_eq!(code(world.call::<op::GetObject>(other).await), "PreconditionFailed");
    }
    let missing = world.get("ranges", "nothing").await.unwrap_err();
    assert_eq!((missing.code(), missing.status()), ("NoSuchKey", 404));
}

#[tokio::test]
async fn writes_can_be_conditional() {
    let world = World::with_bucket("conditional").await;
    let only_new = |b: &'static str| api::PutObjectInput {
        if_none_match: Some("*".into()),
        ..put("conditional", "k", b)
    };
    let etag = world.call::<op::PutObject>(only_new("a")).await.unwrap().e_tag;
    assert_eq!(code(world.call::<op::PutObject>(only_new("b")).await), "PreconditionFailed");
    let matching = api::PutObjectInput { if_match: etag.clone(), ..put("conditional", "k", "c") };
    world.call::<op::PutObject>(matching).await.unwrap();
    let stale = api::PutObjectInput { if_match: etag, ..put("conditional", "k", "d") };
    assert_eq!(code(world.call::<op::PutObject>(stale).await), "PreconditionFailed");
    assert_eq!(world.get("conditional", "k").await.unwrap(), "c");
}

#[tokio::test]
async fn wrong_digests_store_nothing() {
    let world = World::with_bucket("digests").await;
    let md5 = api::PutObjectInput {
        content_md5: Some("AAAAAAAAAAAAAAAAAAAAAA==".into()),
        ..put("digests", "k", "x")
    };
    assert_eq!(code(world.call::<op::PutObject>(md5).await), "BadDigest");
    let bad = api::PutObjectInput { content_md5: Some("zz".into()), ..put("digests", "k", "x") };
    assert_eq!(code(world.call::<op::PutObject>(bad).await), "InvalidDigest");
    let crc = api::PutObjectInput { checksum_crc32: Some("AAAAAA==".into()), ..put("digests", "k", "x") };
    assert_eq!(code(world.call::<op::PutObject>(crc).await), "BadDigest");
    assert_eq!(code(world.get("digests", "k").await), "NoSuchKey");
    // CRC32 of "x".
    let good = api::PutObjectInput { checksum_crc32: Some("jNwWgw==".into()), ..put("digests", "k", "x") };
    let answer = world.call::<op::PutObject>(good).await.unwrap();
    assert_eq!(answer.checksum_crc32.as_deref(), Some("jNwWgw=="));
}

#[tokio::test]
async fn copies_share_bytes_and_survive_their_source() {
    let world = World::with_bucket("copies").await;
    for len in [10usize, 20_000, 100_000] {
        let body = bytes(len);
        let input = api::PutObjectInput {
            metadata: Some([("a".to_owned(), "b".to_owned())].into()),
            content_type: Some("image/png".into()),
            ..put("copies", "from", body.clone())
        };
        let etag = world.call::<op::PutObject>(input).await.unwrap().e_tag;
        let copy = api::CopyObjectInput {
            bucket: "copies".into(),
            key: "to".into(),
            copy_source: "copies/from".into(),
            ..Default::default()
        };
        let answer = world.call::<op::CopyObject>(copy.clone()).await.unwrap();
        assert_eq!(answer.copy_object_result.unwrap().e_tag, etag);
        let gone =
            api::DeleteObjectInput { bucket: "copies".into(), key: "from".into(), ..Default::default() };
        world.call::<op::DeleteObject>(gone).await.unwrap();
        assert_eq!(world.get("copies", "to").await.unwrap(), body);
        let head = api::HeadObjectInput { bucket: "copies".into(), key: "to".into(), ..Default::default() };
        let head = world.call::<op::HeadObject>(head).await.unwrap();
        assert_eq!(head.content_type.as_deref(), Some("image/png"));
        assert_eq!(head.metadata.unwrap()["a"], "b");
        let onto_itself = api::CopyObjectInput { copy_source: "copies/to".into(), ..copy };
        assert_eq!(code(world.call::<op::CopyObject>(onto_itself).await), "InvalidRequest");
    }
}

#[tokio::test]
async fn customer_keys_encrypt_and_must_be_given_again() {
    use base64::Engine;
    let encode = |b: &[u8]| base64::engine::general_purpose::STANDARD.encode(b);
    let world = World::with_bucket("secrets").await;
    let key = [5u8; 32];
    let md5 = encode(&<md5::Md5 as md5::Digest>::digest(key));
    let body = bytes(50_000);
    let sealed = api::PutObjectInput {
        sse_customer_algorithm: Some("AES256".into()),
        sse_customer_key: Some(encode(&key)),
        sse_customer_key_md5: Some(md5.clone()),
        ..put("secrets", "k", body.clone())
    };
    world.call::<op::PutObject>(sealed).await.unwrap();
    assert_eq!(code(world.get("secrets", "k").await), "InvalidRequest");
    let open = api::GetObjectInput {
        bucket: "secrets".into(),
        key: "k".into(),
        range: Some("bytes=33333-44443".into()),
        sse_customer_algorithm: Some("AES256".into()),
        sse_customer_key: Some(encode(&key)),
        sse_customer_key_md5: Some(md5),
        ..Default::default()
    };
    let answer = world.call::<op::GetObject>(open).await.unwrap();
    assert_eq!(answer.body.collect(1 << 20).await.unwrap(), body[33_333..44_444]);
    // What lies on the disk is not what was sent.
    let plain = &body[1000..1032];
    for entry in walk(world.store.dir()) {
        let stored = std::fs::read(entry).unwrap();
        assert!(!stored.windows(plain.len()).any(|w| w == plain));
    }
}

fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() { out.extend(walk(&path)) } else { out.push(path) }
    }
    out
}

#[tokio::test]
async fn strangers_are_refused() {
    let world = World::with_bucket("mine").await;
    world.put("mine", "k", "x").await;
    let get = || api::GetObjectInput { bucket: "mine".into(), key: "k".into(), ..Default::default() };
    for cx in [world.nobody(), world.root(OTHER)] {
        let error = world.cloud.call::<op::GetObject>(&cx, get()).await.err().unwrap();
        assert_eq!((error.code(), error.status()), ("AccessDenied", 403));
    }
    let away = world.cloud.context(Principal::Root { account: ME.into() }, ME, "eu-west-1");
    let error = world.cloud.call::<op::GetObject>(&away, get()).await.err().unwrap();
    assert_eq!((error.code(), error.status()), ("PermanentRedirect", 301));
    assert!(error.headers().iter().any(|(n, v)| *n == "x-amz-bucket-region" && v == "us-east-1"));
}

use super::*;
use std::time::Duration;

async fn versioning(world: &World, bucket: &str, status: &str) {
    let input = api::PutBucketVersioningInput {
        bucket: bucket.into(),
        versioning_configuration: api::VersioningConfiguration {
            status: Some(status.into()),
            ..Default::default()
        },
        ..Default::default()
    };
    world.call::<op::PutBucketVersioning>(input).await.unwrap();
}

async fn delete(world: &World, key: &str, version: Option<&str>) -> api::DeleteObjectOutput {
    let input = api::DeleteObjectInput {
        bucket: "kept".into(),
        key: key.into(),
        version_id: version.map(str::to_owned),
        ..Default::default()
    };
    world.call::<op::DeleteObject>(input).await.unwrap()
}

/// Ids of versions and delete markers as they are listed, `*` after the latest.
async fn listed(world: &World, page: i32) -> Vec<String> {
    let mut out = Vec::new();
    let mut input =
        api::ListObjectVersionsInput { bucket: "kept".into(), max_keys: Some(page), ..Default::default() };
    loop {
        let answer = world.call::<op::ListObjectVersions>(input.clone()).await.unwrap();
        let show = |id: Option<String>, latest: Option<bool>| {
            id.unwrap() + if latest == Some(true) { "*" } else { "" }
        };
        out.extend(answer.versions.into_iter().flatten().map(|v| show(v.version_id, v.is_latest)));
        out.extend(answer.delete_markers.into_iter().flatten().map(|m| show(m.version_id, m.is_latest)));
        if answer.is_truncated != Some(true) {
            return out;
        }
        input.key_marker = answer.next_key_marker;
        input.version_id_marker = answer.next_version_id_marker;
    }
}

#[tokio::test]
async fn versions_come_and_go() {
    let world = World::with_bucket("kept").await;
    world.put("kept", "k", "null").await;
    versioning(&world, "kept", "Enabled").await;
    let one = world.put("kept", "k", "one").await.version_id.unwrap();
    let two = world.put("kept", "k", bytes(50_000)).await.version_id.unwrap();
    assert_eq!(listed(&world, 1000).await, [format!("{two}*"), one.clone(), "null".into()]);
    assert_eq!(listed(&world, 1).await, listed(&world, 1000).await);

    let marker = delete(&world, "k", None).await;
    assert_eq!(marker.delete_marker, Some(true));
    assert_eq!(code(world.get("kept", "k").await), "NoSuchKey");
    let of = |version: &str| api::GetObjectInput {
        bucket: "kept".into(),
        key: "k".into(),
        version_id: Some(version.into()),
        ..Default::default()
    };
    let marker = marker.version_id.unwrap();
    let on_marker = world.call::<op::GetObject>(of(&marker)).await.err().unwrap();
    assert_eq!((on_marker.code(), on_marker.status()), ("MethodNotAllowed", 405));
    let null = world.call::<op::GetObject>(of("null")).await.unwrap();
    assert_eq!(null.body.collect(100).await.unwrap(), "null");

    // Without the marker the newest version is current again, and so on down.
    delete(&world, "k", Some(&marker)).await;
    assert_eq!(world.get("kept", "k").await.unwrap(), bytes(50_000));
    delete(&world, "k", Some(&two)).await;
    assert_eq!(world.get("kept", "k").await.unwrap(), "one");
    delete(&world, "k", Some("null")).await;
    assert_eq!(listed(&world, 1000).await, [format!("{one}*")]);
    delete(&world, "k", Some(&one)).await;
    assert!(listed(&world, 1000).await.is_empty());
    assert_eq!(code(world.call::<op::GetObject>(of(&one)).await), "NoSuchVersion");
    assert_eq!(code(world.call::<op::GetObject>(of("nonsense")).await), "InvalidArgument");
}

#[tokio::test]
async fn suspended_buckets_have_one_null_version() {
    let world = World::with_bucket("kept").await;
    versioning(&world, "kept", "Enabled").await;
    let one = world.put("kept", "k", "one").await.version_id.unwrap();
    versioning(&world, "kept", "Suspended").await;
    world.put("kept", "k", "a").await;
    world.put("kept", "k", "b").await;
    assert_eq!(listed(&world, 1000).await, ["null*".to_owned(), one.clone()]);
    let marker = delete(&world, "k", None).await;
    assert_eq!((marker.delete_marker, marker.version_id.as_deref()), (Some(true), Some("null")));
    // Delete markers are a list of their own, after that of the versions.
    assert_eq!(listed(&world, 1000).await, [one.clone(), "null*".to_owned()]);
    versioning(&world, "kept", "Enabled").await;
    let two = world.put("kept", "k", "two").await.version_id.unwrap();
    versioning(&world, "kept", "Suspended").await;
    // The new null version takes the place of the old one, which lay below another.
    world.put("kept", "k", "c").await;
    assert_eq!(listed(&world, 1000).await, ["null*".to_owned(), two, one]);
}

#[tokio::test]
async fn lifecycle_rules_act_when_their_day_comes() {
    let world = World::with_bucket("kept").await;
    let rule = api::LifecycleRule {
        status: "Enabled".into(),
        filter: Some(api::LifecycleRuleFilter { prefix: Some("tmp/".into()), ..Default::default() }),
        expiration: Some(api::LifecycleExpiration { days: Some(3), ..Default::default() }),
        ..Default::default()
    };
    let input = api::PutBucketLifecycleConfigurationInput {
        bucket: "kept".into(),
        lifecycle_configuration: Some(api::BucketLifecycleConfiguration {
            rules: vec![rule],
            ..Default::default()
        }),
        ..Default::default()
    };
    world.call::<op::PutBucketLifecycleConfiguration>(input).await.unwrap();
    let expiring = world.put("kept", "tmp/a", "x").await;
    // 14 November 2023, 22:13: three days later at the next midnight.
    assert!(expiring.expiration.unwrap().starts_with("expiry-date=\"Sat, 18 Nov 2023 00:00:00 GMT\""));
    world.put("kept", "stays", "x").await;
    world.s3.sweep(&world.cloud).await.unwrap();
    assert_eq!(world.get("kept", "tmp/a").await.unwrap(), "x");
    world.clock.advance(Duration::from_secs(4 * 86_400));
    world.s3.sweep(&world.cloud).await.unwrap();
    assert_eq!(code(world.get("kept", "tmp/a").await), "NoSuchKey");
    assert_eq!(world.get("kept", "stays").await.unwrap(), "x");
}

#[tokio::test]
async fn locked_versions_stay() {
    let world = World::new();
    let create = api::CreateBucketInput {
        bucket: "kept".into(),
        object_lock_enabled_for_bucket: Some(true),
        ..Default::default()
    };
    world.call::<op::CreateBucket>(create).await.unwrap();
    let until = aws_smithy_types::DateTime::from_millis(world.cloud.clock().millis() + 60_000);
    let input = api::PutObjectInput {
        object_lock_mode: Some("COMPLIANCE".into()),
        object_lock_retain_until_date: Some(until),
        ..put("kept", "k", "x")
    };
    let version = world.call::<op::PutObject>(input).await.unwrap().version_id.unwrap();
    let gone = || api::DeleteObjectInput {
        bucket: "kept".into(),
        key: "k".into(),
        version_id: Some(version.clone()),
        bypass_governance_retention: Some(true),
        ..Default::default()
    };
    assert_eq!(code(world.call::<op::DeleteObject>(gone()).await), "AccessDenied");
    world.clock.advance(Duration::from_secs(61));
    world.call::<op::DeleteObject>(gone()).await.unwrap();
}

#[tokio::test]
async fn policies_and_acls_let_others_in() {
    let world = World::with_bucket("kept").await;
    world.put("kept", "k", "x").await;
    let get = || api::GetObjectInput { bucket: "kept".into(), key: "k".into(), ..Default::default() };
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::kept/*"}]}"#;
    let put_policy =
        || api::PutBucketPolicyInput { bucket: "kept".into(), policy: policy.into(), ..Default::default() };
    // New buckets block public policies.
    assert_eq!(code(world.call::<op::PutBucketPolicy>(put_policy()).await), "AccessDenied");
    let open = api::DeletePublicAccessBlockInput { bucket: "kept".into(), ..Default::default() };
    world.call::<op::DeletePublicAccessBlock>(open).await.unwrap();
    world.call::<op::PutBucketPolicy>(put_policy()).await.unwrap();
    world.cloud.call::<op::GetObject>(&world.nobody(), get()).await.unwrap();
    let block = api::PutPublicAccessBlockInput {
        bucket: "kept".into(),
        public_access_block_configuration: api::PublicAccessBlockConfiguration {
            restrict_public_buckets: Some(true),
            ..Default::default()
        },
        ..Default::default()
    };
    world.call::<op::PutPublicAccessBlock>(block).await.unwrap();
    assert_eq!(code(world.cloud.call::<op::GetObject>(&world.nobody(), get()).await), "AccessDenied");
}

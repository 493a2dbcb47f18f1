//! Buckets themselves.

use super::{ME, OTHER, World};
use crate::state::Owned;
use cloudlet_api_s3::{self as api, operations as op};

#[tokio::test]
async fn an_account_has_so_many_buckets() {
    let world = World::new();
    let made = world
        .store
        .transact(|tx| -> Result<(), crate::errors::Fail> {
            for n in 0..9_999 {
                let owned = Owned { region: "us-east-1".into(), created: 0 };
                tx.put(&Owned::key(ME, &format!("bucket-{n:05}")), &owned)?;
            }
            Ok(())
        })
        .await;
    assert!(made.is_ok());
    let create = |name: &str| api::CreateBucketInput { bucket: name.to_owned(), ..Default::default() };
    let me = world.root(ME);
    world.cloud.call::<op::CreateBucket>(&me, create("the-last-one")).await.unwrap();
    let refused = world.cloud.call::<op::CreateBucket>(&me, create("one-too-many")).await.err().unwrap();
    assert_eq!(
        (refused.code(), refused.message()),
        ("TooManyBuckets", "You have attempted to create more buckets than allowed")
    );
    // Another account has its own.
    world.cloud.call::<op::CreateBucket>(&world.root(OTHER), create("one-too-many")).await.unwrap();
}

#[tokio::test]
async fn a_bucket_has_so_many_configurations_of_a_kind() {
    let world = super::World::with_bucket("measured").await;
    let metrics = |n: usize| {
        let id = format!("m{n:04}");
        world.call::<op::PutBucketMetricsConfiguration>(api::PutBucketMetricsConfigurationInput {
            bucket: "measured".into(),
            id: id.clone(),
            metrics_configuration: api::MetricsConfiguration { id, ..Default::default() },
            ..Default::default()
        })
    };
    for n in 0..1_000 {
        metrics(n).await.unwrap();
    }
    let refused = metrics(1_000).await.err().unwrap();
    assert_eq!((refused.code(), refused.status()), ("TooManyConfigurations", 400));
    // One that is there can be replaced.
    metrics(7).await.unwrap();
    // They come in pages of a hundred, in order.
    let (mut token, mut seen) = (None, Vec::new());
    loop {
        let page = world
            .call::<op::ListBucketMetricsConfigurations>(api::ListBucketMetricsConfigurationsInput {
                bucket: "measured".into(),
                continuation_token: token,
                ..Default::default()
            })
            .await
            .unwrap();
        let ids: Vec<String> =
            page.metrics_configuration_list.unwrap_or_default().into_iter().map(|m| m.id).collect();
        assert!(ids.len() <= 100);
        seen.extend(ids);
        token = page.next_continuation_token;
        assert_eq!(token.is_some(), page.is_truncated == Some(true));
        if token.is_none() {
            break;
        }
    }
    assert_eq!(seen, (0..1_000).map(|n| format!("m{n:04}")).collect::<Vec<_>>());
}

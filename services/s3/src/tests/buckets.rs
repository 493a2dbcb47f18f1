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

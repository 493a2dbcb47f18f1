//! The service over an ephemeral store and a clock that tests move. What needs KMS is in the acceptance tests.

use crate::SecretsManager;
use crate::state::DAY;
use cloudlet_api_secretsmanager::*;
use cloudlet_bus::Bus;
use cloudlet_service::{Cloud, ManualClock, Principal, Seeded};
use cloudlet_store::Store;
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn a_recovery_window_ends_by_the_clock() {
    let clock = Arc::new(ManualClock::at(1_800_000_000_000));
    let cloud = Cloud::new(clock.clone(), Arc::new(Seeded::new(1)), "http://localhost:4566".to_owned());
    let store = Store::ephemeral().unwrap();
    let bus = Bus::new(store.clone(), clock.clone());
    let secrets = SecretsManager::new(store, &cloud, &bus);
    let cx = cloud.context(Principal::Root { account: "000000000000".into() }, "000000000000", "us-east-1");
    let create = || CreateSecretInput {
        name: "s".to_owned(),
        client_request_token: Some("0".repeat(32)),
        ..Default::default()
    };
    let refused = secrets.create_secret(&cx, CreateSecretInput::default()).await.err().unwrap();
    assert!(refused.message().starts_with("You must provide a ClientRequestToken value."));
    let describe = || DescribeSecretInput { secret_id: "s".to_owned(), ..Default::default() };
    let first = secrets.create_secret(&cx, create()).await.unwrap().arn;
    let delete = DeleteSecretInput {
        secret_id: "s".to_owned(),
        recovery_window_in_days: Some(7),
        ..Default::default()
    };
    secrets.delete_secret(&cx, delete).await.unwrap();
    clock.advance(Duration::from_millis(7 * DAY as u64 - 1));
    assert!(secrets.describe_secret(&cx, describe()).await.is_ok());
    assert_eq!(secrets.create_secret(&cx, create()).await.err().unwrap().code(), "InvalidRequestException");
    clock.advance(Duration::from_millis(1));
    let gone = secrets.describe_secret(&cx, describe()).await.err().unwrap();
    assert_eq!(gone.code(), "ResourceNotFoundException");
    assert_ne!(secrets.create_secret(&cx, create()).await.unwrap().arn, first);
}

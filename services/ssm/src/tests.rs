//! The service over an ephemeral store and a clock that tests move. What needs KMS is in the acceptance tests.

use crate::Ssm;
use cloudlet_api_ssm::*;
use cloudlet_bus::Bus;
use cloudlet_service::{Cloud, ManualClock, Principal, Seeded};
use cloudlet_store::Store;
use std::sync::Arc;
use std::time::Duration;

/// 2027-01-15 08:00 UTC.
const NOW: i64 = 1_800_000_000_000;

fn house() -> (Arc<Ssm>, Context, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(NOW));
    let cloud = Cloud::new(clock.clone(), Arc::new(Seeded::new(1)), "http://localhost:4566".to_owned());
    let store = Store::ephemeral().unwrap();
    let bus = Bus::new(store.clone(), clock.clone());
    let ssm = Ssm::new(store, &bus);
    let cx = cloud.context(Principal::Root { account: "000000000000".into() }, "000000000000", "us-east-1");
    (ssm, cx, clock)
}

fn put(value: &str) -> PutParameterInput {
    PutParameterInput {
        name: "p".to_owned(),
        value: value.to_owned(),
        r#type: Some("String".to_owned()),
        overwrite: Some(true),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_parameter_expires_by_the_clock() {
    let (ssm, cx, clock) = house();
    let policy =
        r#"[{"Type":"Expiration","Version":"1.0","Attributes":{"Timestamp":"2027-01-15T09:00:00.000Z"}}]"#;
    let input = PutParameterInput {
        tier: Some("Advanced".to_owned()),
        policies: Some(policy.to_owned()),
        ..put("v")
    };
    ssm.put_parameter(&cx, input).await.unwrap();
    let get = || GetParameterInput { name: "p".to_owned(), ..Default::default() };
    // A new value does not move the end.
    assert_eq!(ssm.put_parameter(&cx, put("w")).await.unwrap().version, Some(2));
    assert!(ssm.get_parameter(&cx, get()).await.is_ok());
    clock.advance(Duration::from_secs(3600));
    assert_eq!(ssm.get_parameter(&cx, get()).await.err().unwrap().code(), "ParameterNotFound");
    let again = ssm.put_parameter(&cx, put("x")).await.unwrap();
    assert_eq!((again.version, again.tier.as_deref()), (Some(1), Some("Standard")));
}

#[tokio::test]
async fn the_oldest_version_goes_unless_a_label_holds_it() {
    let (ssm, cx, _) = house();
    for number in 1..=101 {
        assert_eq!(ssm.put_parameter(&cx, put("v")).await.unwrap().version, Some(number));
    }
    let get = |name: &str| {
        ssm.get_parameter(&cx, GetParameterInput { name: name.to_owned(), ..Default::default() })
    };
    assert_eq!(get("p:1").await.err().unwrap().code(), "ParameterVersionNotFound");
    assert!(get("p:2").await.is_ok());
    let label = LabelParameterVersionInput {
        name: "p".to_owned(),
        parameter_version: Some(2),
        labels: vec!["kept".to_owned()],
        ..Default::default()
    };
    ssm.label_parameter_version(&cx, label).await.unwrap();
    let refused = ssm.put_parameter(&cx, put("v")).await.err().unwrap();
    assert_eq!(refused.code(), "ParameterMaxVersionLimitExceeded");
}

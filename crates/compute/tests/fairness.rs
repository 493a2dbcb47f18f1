//! Functions that want more sandboxes than there may be: nobody starves, and nobody's sandbox is thrown away for nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cloudlet_compute::*;
use common::*;

const WORK: &str = "import time\ndef handler(event, context):\n    time.sleep(0.03)\n    return 1\n";

fn patient(lab: &Lab) -> Arc<FunctionSpec> {
    let mut spec = lab.python(WORK);
    spec.timeout = Duration::from_secs(60);
    Arc::new(spec)
}

/// Calls all at once; gives the sandboxes that served them. `left` counts down.
fn load(
    lab: &Lab,
    spec: &Arc<FunctionSpec>,
    calls: usize,
    left: &Arc<AtomicUsize>,
) -> tokio::task::JoinHandle<HashSet<String>> {
    let (compute, spec, left) = (lab.compute.clone(), spec.clone(), left.clone());
    left.fetch_add(calls, Ordering::SeqCst);
    tokio::spawn(async move {
        let all: Vec<_> = (0..calls)
            .map(|n| {
                let call = Invocation::new(format!("{}-{n}", spec.name), spec.arn.clone(), &b"1"[..]);
                let (compute, spec, left) = (compute.clone(), spec.clone(), left.clone());
                tokio::spawn(async move {
                    let result = compute.invoke(spec, call).await.unwrap();
                    left.fetch_sub(1, Ordering::SeqCst);
                    assert_eq!(text(&result), "1");
                    result.sandbox
                })
            })
            .collect();
        let mut sandboxes = HashSet::new();
        for one in all {
            sandboxes.insert(one.await.unwrap());
        }
        sandboxes
    })
}

#[tokio::test]
async fn two_busy_functions_keep_their_sandboxes() {
    let lab = lab_with(|config| config.max_concurrency = 2);
    let (a, b) = (patient(&lab), patient(&lab));
    let left = Arc::default();
    let (first, second) = (load(&lab, &a, 40, &left), load(&lab, &b, 40, &left));
    let (first, second) = (first.await.unwrap(), second.await.unwrap());
    // Each has had its place for all of that time, perhaps after the first had both.
    assert!(first.len() + second.len() <= 4, "{first:?} {second:?}");
    lab.compute.shutdown().await;
}

#[tokio::test]
async fn a_late_small_one_is_served_amid_big_ones() {
    let lab = lab_with(|config| config.max_concurrency = 2);
    let (a, b, small) = (patient(&lab), patient(&lab), patient(&lab));
    let left: Arc<AtomicUsize> = Arc::default();
    let (first, second) = (load(&lab, &a, 100, &left), load(&lab, &b, 100, &left));
    while left.load(Ordering::SeqCst) > 190 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let result = lab.call(&small, "1").await;
    assert_eq!(text(&result), "1");
    assert!(left.load(Ordering::SeqCst) > 0, "it did not wait until all the others were done");
    first.await.unwrap();
    second.await.unwrap();
    lab.compute.shutdown().await;
}

#[tokio::test]
async fn one_place_goes_round() {
    let lab = lab_with(|config| config.max_concurrency = 1);
    let left = Arc::default();
    let loads: Vec<_> = (0..3).map(|_| load(&lab, &patient(&lab), 10, &left)).collect();
    for load in loads {
        assert!(!load.await.unwrap().is_empty());
    }
    lab.compute.shutdown().await;
}

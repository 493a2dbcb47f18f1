//! Tests of the whole service on an ephemeral store, through the one way into it: constraints, access, operation.

mod buckets;
mod errors;
mod leaks;
mod lifecycle;
mod listing;
mod multipart;
mod objects;
mod versions;

use crate::S3;
use bytes::Bytes;
use cloudlet_access::{Attached, ConditionContext, PolicySet, PrincipalRef, Request, evaluate};
use cloudlet_api_s3::{self as api, operations as op};
use cloudlet_bus::Bus;
use cloudlet_service::{
    AccessRequest, ByteStream, Cloud, Context, Error, Identity, ManualClock, Principal, Resolved, Seeded,
    TypedOperation,
};
use cloudlet_store::Store;
use std::sync::Arc;

pub(super) const ME: &str = "000000000000";
pub(super) const OTHER: &str = "111111111111";

/// Decides as IAM does, for callers without identity policies of their own.
struct Rules;

impl Identity for Rules {
    fn resolve(&self, _: &str, _: Option<&str>) -> Result<Resolved, Error> {
        Err(Error::internal("no keys here"))
    }

    fn authorize(&self, cx: &Context, request: &AccessRequest<'_>) -> Result<(), Error> {
        let access = request.access;
        let owner = access.resource_account.clone().unwrap_or_else(|| cx.account.to_string());
        let principal = match &cx.principal {
            Principal::Anonymous => PrincipalRef::Anonymous,
            other => PrincipalRef::root(other.account()),
        };
        let mut context = ConditionContext::for_principal(&principal);
        for (key, values) in &access.keys {
            context.set_all(key.clone(), values.iter().cloned());
        }
        let asked = Request::new(&access.action, &access.resource, &principal, &context);
        let attached: [Attached<'_>; 0] = [];
        let policy = access.resource_policy.as_ref().map(|policy| Attached::new(policy, "bucket policy"));
        let set = PolicySet::identity(&attached).with_resource(policy, &owner);
        let own = cx.principal.account() == owner;
        let decision = evaluate(&asked, &set);
        if (own && !decision.explicit_deny()) || decision.allowed {
            return Ok(());
        }
        Err(Error::new("AccessDenied", 403, "Access Denied"))
    }
}

/// A cloud with S3 alone.
pub(super) struct World {
    pub(super) cloud: Arc<Cloud>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) store: Store,
    pub(super) s3: Arc<S3>,
}

impl World {
    pub(super) fn new() -> Self {
        let clock = Arc::new(ManualClock::at(1_700_000_000_000));
        let cloud = Cloud::new(clock.clone(), Arc::new(Seeded::new(7)), "http://localhost:4566".into());
        let store = Store::ephemeral().unwrap();
        let bus = Bus::new(store.clone(), clock.clone());
        let s3 = S3::new(store.clone(), cloud.clone(), &bus);
        cloud.open(vec![s3.clone()], Arc::new(Rules));
        Self { cloud, clock, store, s3 }
    }

    pub(super) fn root(&self, account: &str) -> Context {
        self.cloud.context(Principal::Root { account: account.into() }, account, "us-east-1")
    }

    pub(super) fn nobody(&self) -> Context {
        self.cloud.context(Principal::Anonymous, "", "us-east-1")
    }

    pub(super) async fn call<O: TypedOperation>(&self, input: O::Input) -> Result<O::Output, Error> {
        self.cloud.call::<O>(&self.root(ME), input).await
    }

    pub(super) async fn with_bucket(name: &str) -> Self {
        let world = Self::new();
        world
            .call::<op::CreateBucket>(api::CreateBucketInput { bucket: name.into(), ..Default::default() })
            .await
            .unwrap();
        world
    }

    pub(super) async fn put(&self, bucket: &str, key: &str, body: impl Into<Bytes>) -> api::PutObjectOutput {
        self.call::<op::PutObject>(put(bucket, key, body)).await.unwrap()
    }

    pub(super) async fn get(&self, bucket: &str, key: &str) -> Result<Bytes, Error> {
        let input = api::GetObjectInput { bucket: bucket.into(), key: key.into(), ..Default::default() };
        let output = self.call::<op::GetObject>(input).await?;
        output.body.collect(1 << 30).await
    }
}

pub(super) fn put(bucket: &str, key: &str, body: impl Into<Bytes>) -> api::PutObjectInput {
    api::PutObjectInput {
        bucket: bucket.into(),
        key: key.into(),
        body: ByteStream::from(body.into()),
        ..Default::default()
    }
}

pub(super) fn code<T>(result: Result<T, Error>) -> String {
    result.err().map_or_else(|| "no error".to_owned(), |e| e.code().to_owned())
}

/// Bytes that repeat nowhere near.
pub(super) fn bytes(len: usize) -> Vec<u8> {
    (0..len as u64).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

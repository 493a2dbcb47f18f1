//! Amazon S3.
//!
//! Entry points: [`S3::new`], and [`cloudlet_service::Service`] for the front door. An operation of the API is the method of its name
//! in `operations/`. What lies below them: `versions` (which version of a key is current), `content` (bytes in and
//! out), `listing`, `access` (what IAM is asked, with bucket policies and ACLs), `events`.
//!
//! Invariants:
//! - A mutating operation is one store transaction; the events it causes commit with it.
//! - An object's record is written after its bytes are complete, and no byte of it is ever rewritten.
//! - A key never becomes part of a path on disk.

mod access;
mod acl;
mod annotations;
mod bucket_policy;
mod checksums;
mod condition_keys;
mod conditions;
mod configurations;
mod content;
mod cors;
mod draft;
mod encryption;
mod errors;
mod events;
mod form;
mod integrity;
mod kms;
mod lifecycle;
mod listing;
mod logging;
mod names;
mod operations;
mod public;
mod replication;
mod select;
mod state;
mod tags;
#[cfg(test)]
mod tests;
mod verify;
mod versions;
mod website;
mod words;

pub use crate::select::select;
pub use crate::verify::{Verified, verify};

use crate::errors::{Result, access_denied, no_such_bucket};
use crate::state::Bucket;
use bytes::Bytes;
use cloudlet_api_s3 as api;
use cloudlet_bus::Bus;
use cloudlet_service::{
    Access, Answered, BoxFuture, ByteStream, Cloud, Context, Error, Form, Operation, Page, Service,
    Structure, Web,
};
use cloudlet_store::Store;
use http::{HeaderMap, Response};
use std::sync::{Arc, OnceLock};

/// The service.
pub struct S3 {
    store: Store,
    policies: access::Policies,
    notes: logging::Notes,
    /// The key of the second layer of DSSE, once it was needed.
    second_layer: OnceLock<[u8; 32]>,
}

impl S3 {
    /// Starts the service on its store; `bus` delivers its events from now on. Must be called within a tokio runtime.
    pub fn new(store: Store, cloud: Arc<Cloud>, bus: &Bus) -> Arc<Self> {
        bus.subscribe(
            events::QUEUE,
            events::delivery(),
            Arc::new(events::Deliverer { cloud: cloud.clone() }),
        );
        let (notes, answers) = logging::notes();
        let s3 = Arc::new(Self {
            store,
            policies: access::Policies::default(),
            notes,
            second_layer: OnceLock::new(),
        });
        bus.subscribe(
            replication::QUEUE,
            replication::delivery(),
            Arc::new(replication::Deliverer { s3: Arc::downgrade(&s3), cloud: cloud.clone() }),
        );
        logging::start(Arc::downgrade(&s3), Arc::downgrade(&cloud), answers);
        lifecycle::start(Arc::downgrade(&s3), Arc::downgrade(&cloud));
        s3
    }

    /// The bucket of this name. Errors: `NoSuchBucket`.
    fn bucket(&self, name: &str) -> Result<Arc<Bucket>> {
        if let Some(bucket) = self.store.table::<Bucket>().get_arc(&Bucket::key(name))? {
            return Ok(bucket);
        }
        if names::is_alias(name) {
            let message = "The specified access point alias name is not valid.";
            return Err(Error::sender("InvalidAccessPointAliasError", message).into());
        }
        names::check_bucket(name)?;
        Err(no_such_bucket(name).into())
    }

    /// The bucket, as the request expects it. Errors: `NoSuchBucket`, `AccessDenied`.
    fn expected(&self, name: &str, owner: Option<&str>) -> Result<Arc<Bucket>> {
        let bucket = self.bucket(name)?;
        self.check_owner(&bucket, owner)?;
        Ok(bucket)
    }

    /// `x-amz-expected-bucket-owner`. Errors: `AccessDenied`, `InvalidBucketOwnerAWSAccountID`.
    fn check_owner(&self, bucket: &Bucket, owner: Option<&str>) -> Result<()> {
        match owner {
            Some(owner) if owner.len() != 12 || !owner.bytes().all(|b| b.is_ascii_digit()) => {
                let message = format!(
                    "The value of the expected bucket owner parameter must be an AWS Account ID... [{owner}]"
                );
                Err(Error::sender("InvalidBucketOwnerAWSAccountID", message).into())
            }
            Some(owner) if owner != bucket.owner => Err(access_denied().into()),
            _ => Ok(()),
        }
    }
}

impl Service for S3 {
    api::operations!();

    fn access<'a>(
        &'a self,
        op: &'static Operation,
        cx: &'a Context,
        input: &'a dyn Structure,
    ) -> BoxFuture<'a, Result<Vec<Access>, Error>> {
        Box::pin(async move { Ok(self.accesses(op, cx, input)?) })
    }

    fn invalid_input(
        &self,
        op: &'static Operation,
        violations: cloudlet_service::rules::Violations,
    ) -> Error {
        words::invalid_input(op, &violations)
    }

    fn lets_through(&self, op: &'static Operation, violation: &cloudlet_service::rules::Violation) -> bool {
        words::lets_through(op, violation)
    }

    fn web(&self) -> Option<&dyn Web> {
        Some(self)
    }
}

impl Web for S3 {
    fn preflight(&self, bucket: &str, object: bool, asked: &HeaderMap) -> Option<Response<Bytes>> {
        self.answer_preflight(bucket, object, asked)
    }

    fn preflight_nowhere(&self, object: bool, asked: &HeaderMap) -> Response<Bytes> {
        cors::refuse_nowhere(object, asked)
    }

    fn for_page(&self, bucket: &str, method: &str, asked: &HeaderMap) -> HeaderMap {
        self.cors_headers(bucket, method, asked)
    }

    fn check_body(&self, operation: &Operation, head: &HeaderMap, body: &[u8]) -> Result<(), Error> {
        integrity::check_document(operation, head, body)
    }

    fn form<'a>(&'a self, form: Form<'a>, body: ByteStream) -> BoxFuture<'a, Response<Bytes>> {
        Box::pin(self.post_form(form, body))
    }

    fn website<'a>(&'a self, page: Page<'a>) -> BoxFuture<'a, Response<ByteStream>> {
        Box::pin(self.visit(page))
    }

    fn is_logged(&self, bucket: &str) -> bool {
        self.has_log(bucket)
    }

    fn log(&self, request: Answered) {
        self.note(request);
    }
}

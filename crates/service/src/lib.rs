//! What every service is made of: the description of an API, the context of a call, errors as values, clocks
//! and randomness that a test can own, ids and ARNs, pages and tags.
//!
//! Start with [`Service`] (what the front door calls), [`Context`] (what an operation is given) and [`Error`]
//! (what it answers when it cannot).

pub mod api;
pub mod arn;
pub mod body;
pub mod cloud;
pub mod condition_keys;
pub mod context;
pub mod error;
pub mod events;
pub mod identity;
pub mod pages;
pub mod regions;
pub mod rules;
pub mod shape;
pub mod sources;
pub mod web;

pub use api::{Access, AccessRequest, Api, Operation, Payload, Protocol, Service, TypedOperation, Unserved};
pub use arn::Arn;
pub use body::{BodyError, ByteStream};
pub use cloud::Cloud;
pub use condition_keys::ConditionKeys;
pub use context::{Context, Origin, Tls};
pub use error::{Error, Fault};
pub use events::EventStream;
pub use identity::{Identity, Principal, Resolved, SecretKey};
pub use shape::{Shape, Structure};
pub use sources::{Clock, ManualClock, Randomness, Seeded, SystemClock, SystemRandomness};
pub use web::{Answered, Form, OIDC_PATH, Page, SITE_PATH, Signer, Site, Visit, Web};

/// The boxed future that operations return through a `dyn` API.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What generated API crates bring into scope.
#[doc(hidden)]
pub mod generated {
    pub use crate::api::{AccessRule, Api, Operation, Payload, Protocol, TypedOperation, Unserved};
    pub use crate::body::ByteStream;
    pub use crate::events::{ErasedEventStream, Event, EventFrames, EventStream, ReadEvents};
    pub use crate::rules::{Rules, trait_map};
    pub use crate::shape::{NoMembers, Shape, Structure, typed_input};
    pub use crate::{BoxFuture, Context, Error};
    pub use aws_smithy_schema::serde::{SerdeError, SerializableStruct, ShapeDeserializer, ShapeSerializer};
    pub use aws_smithy_schema::traits::TimestampFormat;
    pub use aws_smithy_schema::{Schema, ShapeId, ShapeType, TraitMap, shape_id};
    pub use aws_smithy_types::{Blob, DateTime, Document};
    pub use std::any::Any;
    pub use std::collections::BTreeMap;
    pub use std::sync::{LazyLock, OnceLock};
}

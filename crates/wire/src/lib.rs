//! The AWS protocols over generated schemas, server side, both directions.
//!
//! A request is read in two steps: [`Router::route`] finds the API, the operation and the protocol from the head
//! (and, for forms, the body), then [`read_input`] turns bytes into the typed input. [`write_output`] and
//! [`write_error`] answer in the protocol that was asked in. Behaviour is written once per protocol and driven by
//! the schemas; AWS's own codecs do the bodies, and this crate adds what only a server does: routing, query forms,
//! HTTP bindings in the server's direction, and AWS's words for what cannot be read.

#[macro_use]
mod macros;

mod codec;
mod events;
mod expected;
mod form;
mod head;
mod path;
mod read;
mod refusal;
mod router;
mod s3;
mod text;
mod write;

pub mod echo;

pub use events::{decode_frame, encode_events};
pub use head::{Head, Labels};
pub use read::{read_events, read_input};
pub use router::{Route, Router, Unrouted};
pub use write::{write_error, write_output};

use bytes::Bytes;
use cloudlet_service::ByteStream;

/// The body of a request.
#[derive(Debug)]
pub enum Body {
    /// All of it.
    Bytes(Bytes),
    /// What is still arriving: only for operations whose input has a streaming payload.
    Stream(ByteStream),
}

/// The body of an answer. Event streams are [`Payload::Stream`] too.
#[derive(Debug)]
pub enum Payload {
    /// All of it.
    Bytes(Bytes),
    /// Bytes that come while the answer is being sent.
    Stream(ByteStream),
}

impl Payload {
    /// The exact length in bytes, where it is known ahead.
    pub fn len(&self) -> Option<u64> {
        match self {
            Self::Bytes(bytes) => Some(bytes.len() as u64),
            Self::Stream(stream) => stream.len(),
        }
    }

    /// Whether there is no byte in it.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }
}

/// An answer, ready for the front door.
pub type Response = http::Response<Payload>;

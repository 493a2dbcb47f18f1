//! The front door: listeners, TLS, HTTP/1.1 and 2, routing to services, Signature Version 4, request ids, limits.
//!
//! [`Edge::bind`] takes the ports and [`Edge::serve`] answers. A request goes through `request.rs` from top to
//! bottom: its claim about its signer ([`sigv4`]), the operation it means (`cloudlet_wire`), its body
//! ([`chunked`], `body.rs`), its caller (`caller.rs`), the operation, the answer.
//!
//! Invariants: nothing from outside is held without a bound on its size and its time; a request that has begun is
//! worked on to its end; a panic ends one request and no other.

mod access_log;
mod apart;
mod body;
mod caller;
pub mod chunked;
mod config;
mod connection;
mod cors;
mod finished;
mod gate;
mod hosts;
mod listener;
mod out;
mod own;
mod pulse;
mod request;
pub mod sigv4;
mod site;
mod tls;
mod website;

pub use config::{EdgeConfig, Limits};
pub use listener::{Edge, EdgeError};
pub use own::{OwnEndpoints, OwnRequest};
pub use tls::ca_pem;

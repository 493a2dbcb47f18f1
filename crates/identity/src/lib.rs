//! Who is who: what IAM, STS and the front door share about identities.
//!
//! IAM writes the [`records`]; STS makes sessions with [`Identities::mint`]; the front door asks
//! [`Identities`] through [`cloudlet_service::Identity`] whose key it is and whether a call is allowed.
//!
//! The way of a decision: `find` turns key and token into a [`Caller`], which travels in the request's context;
//! `bundle` gathers the policies that speak about it and keeps them until an identity record changes; `keys` makes
//! the condition keys, only where a policy asks for any; `cloudlet_access` evaluates; `decide` words the refusal.

mod bundle;
mod caller;
mod decide;
pub mod encrypted;
mod exists;
mod explain;
pub mod fetch;
mod identities;
pub mod issuer;
pub mod jwt;
mod keys;
mod least;
pub mod managed;
pub mod mfa;
mod mint;
pub mod organization;
mod recent;
pub mod records;
pub mod regions;
pub mod saml;
mod token;
mod uses;
pub mod x509;
mod xml;

pub use caller::{Bundle, Caller, Named, who};
pub use explain::{Considered, Denial};
pub use identities::{Identities, RootKeyPair, Settings};
pub use mint::{Credentials, NewSession};
pub use token::{Claims, Holder, MAX_TOKEN};
pub use uses::ActionUse;

//! The operations, one file per family.

mod assume;
mod federated;
pub(crate) mod root;
mod saml;
mod scoped;
mod tell;
mod token;
mod web_identity;
mod web_token;

//! The operations, one file per family.

mod assume;
mod federated;
mod saml;
mod tell;
mod token;
mod web_identity;

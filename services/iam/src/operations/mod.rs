//! The operations, one file per family.

mod access_keys;
mod account;
mod attached;
mod groups;
mod inline;
pub(crate) mod instance_profiles;
mod last_accessed;
mod linked_roles;
mod login;
mod mfa;
mod oidc;
mod organizations_report;
mod outbound;
pub(crate) mod policies;
mod report;
mod roles;
mod root_features;
mod saml;
mod server_certificates;
mod service_credentials;
mod signing_certificates;
mod simulate;
mod ssh_keys;
pub(crate) mod tags;
mod users;

//! The operations of the API, one file per family.

mod acls;
mod annotations;
mod buckets;
mod copy;
mod delete;
mod encryption;
mod express;
mod get;
mod lifecycle;
mod list;
mod lock;
mod multipart;
mod multipart_complete;
mod multipart_list;
mod notification;
mod permissions;
mod put;
mod replication;
mod restore;
mod select;
mod settings;
mod stored;
mod tagging;
mod web;

pub(crate) use buckets::MAX_BUCKETS;
pub(crate) use delete::check_lock;
pub(crate) use multipart::drop_parts;
pub(crate) use put::insert;
pub(crate) use settings::{ENCRYPTION, LOGGING, check_mfa};
pub(crate) use stored::invalid_id;
pub(crate) use tagging::tell;
pub(crate) use web::CORS;
